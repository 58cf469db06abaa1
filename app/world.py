"""What one server process holds, and its clock."""
from __future__ import annotations

import time
from typing import NamedTuple

from app.audit.direct import Direct
from app.audit.journal import Indexer, Journal
from app.settings import Settings
from app.store.base import Store


class World(NamedTuple):
    """What one server process holds: its store, its journal of accesses and the indexer of journals."""

    settings: Settings
    store: Store
    journal: Journal | Direct
    indexer: Indexer | Direct
    zone: str
    secret: str
    site: str


def moment() -> int:
    """Microseconds UTC."""
    return time.time_ns() // 1000
