"""Maintenance that is no commit: taking the text of an old version. It leaves access records."""
from __future__ import annotations

import time

from app.audit import record
from app.caller import Caller
from app.records import World
from app.store.base import Event


async def purge(world: World, caller: Caller, type: str, id: str, version: int, reason: str) -> bool:
    """Takes text and rows of a version that is not current; entry, hash and order stay, and a read of it is 410. False where there is none."""
    event = Event("D", "delete", f"{type}/{id}", version)
    await tell(world, caller, event, query="purge", reason=reason)
    done = await world.store.purge(type, id, version)
    if not done:
        await tell(world, caller, event, outcome="4", query="purge", reason="There is no such version that is not current.")
    return done


async def purgeable(world: World, type: str, id: str) -> list[int]:
    """The versions that a purge may take: those that are not current, all of a deleted resource."""
    newest = await world.store.get(type, id)
    olds = [await world.store.get(type, id, version=v) for v in range(1, newest.version)] if newest else []
    return [e.version for e in (*olds, *([newest] if newest and newest.deleted else [])) if not e.purged]


async def tell(world: World, caller: Caller, event: Event, outcome: str = "0", **more) -> None:
    """The access record, durable before anything is done."""
    await world.journal.write(record.access(caller, at=time.time_ns() // 1000, events=(event,), outcome=outcome, site=world.site, **more))
