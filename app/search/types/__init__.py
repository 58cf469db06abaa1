"""One file a search parameter type: elements to rows, search text to tests."""
