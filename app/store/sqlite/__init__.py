"""The embedded store: one SQLite file, no other process. https://sqlite.org/wal.html"""
from app.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
