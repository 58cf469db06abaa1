"""What the store tests write: invented entries, one commit each."""
from __future__ import annotations

import hashlib
import json

from app.search.query import Query, Row
from app.store.base import Access, Entry, Event

NOW = 1_700_000_000_000_000
"""The moment of the tests' requests: 2023-11-14T22:13:20Z."""


def entry(type: str, id: str, version: int = 1, **stamp) -> Entry:
    stamp.setdefault("updated", NOW + version)
    text = stamp.pop("text", json.dumps({"resourceType": type, "id": id, "version": version}).encode())
    return Entry(type, id, version, text, hash=hashlib.sha256(text or b"").digest(), **stamp)


async def put(store, type: str, id: str, *rows: Row, facts=(), **stamp) -> Entry:
    """Commits the next version of a resource."""
    async def work(tx):
        before = await tx.get(type, id)
        made = entry(type, id, before.version + 1 if before else 1, **stamp)
        await tx.write(made, list(rows), list(facts))
        return made
    return await store.commit(work)


async def delete(store, type: str, id: str, **stamp) -> Entry:
    return await put(store, type, id, text=None, deleted=True, method="DELETE", **stamp)


async def ids(store, types, *where, at=None, now=NOW, limit=100, after=None, sort=()) -> list[str]:
    """The ids that a search finds, in order."""
    at = await store.newest() if at is None else at
    query = Query((types,) if isinstance(types, str) else types, *where, sort=tuple(sort))
    return [f.entry.id for f in await store.search(query, at=at, now=now, limit=limit, after=after)]


def access(sequence: int, *events: Event, journal: str = "j1", at: int = NOW, **more) -> Access:
    columns = {"outcome": "0", "organization": "huashan", "client": "emr", "user": "", "agent_name": "", "address": "127.0.0.1", "site": "s", "policy": "",
               "purpose": "TREAT", "request": "", "type": "rest", "plain": b'{"query":"name=\xe7\x8e\x8b"}', **more}
    return Access(journal, sequence, at, events=events, **columns)
