"""Rows, queries and versions on SQLite or MongoDB."""
