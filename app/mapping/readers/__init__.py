"""One file a source format: bytes to records with positions."""
