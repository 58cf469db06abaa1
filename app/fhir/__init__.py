"""The standard as data and functions, pure."""
