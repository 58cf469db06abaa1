"""Commit numbers without a counter: time with a writer's tie-break, the marks of running commits, and the number up to which all is settled.

A commit first notes its number in `running` and then looks at the mark `horizon`; a number that is not beyond it is given up for a later
one. Whoever asks for the newest number first moves the horizon there and then looks at `running`. So either the asker sees the commit
that is under way and answers with less, or the commit sees the horizon and goes beyond it: nothing appears later up to a number once given.
The transaction of a commit notes its number in `commits`. Whoever takes a running commit for dead notes that number there first, as void:
either finds the other's note, so that a commit lands or is dropped, never both.
"""
from __future__ import annotations

import asyncio
import random
import time

from pymongo.errors import DuplicateKeyError

TIE = 10
"""Bits below the microseconds that tell writers apart."""
PATIENCE = 0.25
"""Seconds that the newest number waits for commits under way that hide finished ones."""
ABANDONED = 180_000_000
"""Microseconds after which a running commit's process is taken for dead; a transaction lives a minute at most."""


def moment() -> int:
    """Microseconds UTC."""
    return time.time_ns() // 1000


class Numbers:
    """The numbers of one process. Each that it gives is beyond all that it has seen, whatever the clocks of other machines say."""

    def __init__(self, db):
        self.db, self.last, self.writer, self.horizon = db, 0, random.getrandbits(TIE), 0

    def seen(self, number: int) -> None:
        self.last = max(self.last, number >> TIE)

    def next(self) -> int:
        self.last = max(moment(), self.last + 1)
        return self.last << TIE | self.writer

    async def begin(self) -> int:
        """A number for a commit that is about to write."""
        while True:
            number = self.next()
            try:
                await self.db.running.insert_one({"_id": number, "at": moment()})
            except DuplicateKeyError:
                continue
            mark = await self.db.marks.find_one({"_id": "horizon"})
            if mark is None or number > mark["number"]:
                return number
            self.seen(mark["number"])
            await self.forget(number)

    async def forget(self, number: int) -> None:
        """The commit of this number has landed, or never will."""
        await self.db.running.delete_one({"_id": number})

    async def landed(self, number: int) -> bool:
        """The commit of this number landed."""
        return await self.db.commits.find_one({"_id": number, "void": None}) is not None

    async def settle(self, number: int) -> None:
        """Sees to it that the commit of this number, if it has not landed, never does."""
        try:
            await self.db.commits.insert_one({"_id": number, "void": True})
        except DuplicateKeyError:
            pass
        await self.forget(number)

    async def newest(self) -> int:
        """The newest number up to which every commit is there and none will appear."""
        limit = time.monotonic() + PATIENCE
        while True:
            top = await self._top()
            first = await self.db.running.find_one({}, sort=[("_id", 1)])
            if first is None or first["_id"] > top:
                return top
            if first["at"] < moment() - ABANDONED:
                await self.settle(first["_id"])
            elif time.monotonic() > limit:
                return first["_id"] - 1
            else:
                await asyncio.sleep(0.01)

    async def _top(self) -> int:
        """The largest number that landed (or is void), once the horizon is there."""
        found = await self.db.commits.find_one({}, sort=[("_id", -1)])
        top = found["_id"] if found else 0
        if top > self.horizon:
            await self.db.marks.update_one({"_id": "horizon"}, {"$max": {"number": top}}, upsert=True)
            self.horizon = top
            self.seen(top)
        return top

    async def prune(self) -> None:
        """Drops the notes of landed commits that nobody can be in doubt of any more."""
        await self.db.commits.delete_many({"_id": {"$lt": min(self.horizon, moment() - 86_400_000_000 << TIE)}})
