"""Maintenance that is no commit: making the index anew, and taking the text of an old version. Both leave access records."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from app.audit import record
from app.caller import Caller
from app.change import indexed
from app.fhir import json
from app.records import World
from app.store.base import Event

BATCH = 200


async def reindex(world: World, caller: Caller, progress: Callable[[int], None] = lambda done: None) -> int:
    """Makes the index rows and facts of every current version anew; returns how many. What is written meanwhile keeps its own rows."""
    await _tell(world, caller, Event("E", "$reindex"))
    after = done = 0
    while batch := await world.store.entries(after=after, limit=BATCH):
        await asyncio.gather(*(world.store.reindexed(entry, *indexed(json.loads(entry.text), entry.custodian, entry.guard, world.zone, caller.base))
                               for entry in batch if entry.text is not None))
        after, done = batch[-1].number, done + len(batch)
        progress(done)
    await world.store.indexed()
    return done


async def purge(world: World, caller: Caller, type: str, id: str, version: int, reason: str) -> bool:
    """Takes text and rows of a version that is not current; entry, hash and order stay, and a read of it is 410. False where there is none."""
    event = Event("D", "delete", f"{type}/{id}", version)
    await _tell(world, caller, event, query="purge", reason=reason)
    done = await world.store.purge(type, id, version)
    if not done:
        await _tell(world, caller, event, outcome="4", query="purge", reason="There is no such version that is not current.")
    return done


async def _tell(world: World, caller: Caller, event: Event, outcome: str = "0", **more) -> None:
    """The access record, durable before anything is done."""
    await world.journal.write(record.access(caller, at=time.time_ns() // 1000, events=(event,), outcome=outcome, site=world.site, **more))
