"""Parameter types, index rows and queries, pure."""
