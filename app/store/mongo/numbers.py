"""Commit numbers without a counter: time with a writer's tie-break, the marks of running commits, and the number up to which all is settled.

A commit first notes its number in `running` and then looks at the mark `horizon`; a number that is not beyond it is given up for a later
one. Whoever asks for the newest number first moves the horizon there and then looks at `running`. So either the asker sees the commit
that is under way and answers with less, or the commit sees the horizon and goes beyond it: nothing appears later up to a number once given.
The transaction of a commit notes its number in `commits`. Whoever takes a running commit for dead notes that number there first, as void:
either finds the other's note, so that a commit lands or is dropped, never both. One is taken for dead whose process is gone from this
machine, or has given no sign of life for a while; taken so by mistake, it runs again under another number.
"""
from __future__ import annotations

import asyncio
import random
import time

import pymongo
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from app.store.mongo import process

TIE = 10
"""Bits below the microseconds that tell writers apart."""
PATIENCE = 0.25
"""Seconds that the newest number waits for commits under way that hide finished ones."""
PULSE = 2.0
"""Seconds between two signs of life of a process with commits under way."""
QUIET = 10.0
"""Seconds of watching without a sign of life after which a running commit is taken for dead."""
SETTLING = 2.0
"""Seconds that a dead commit's own transaction may keep its number from being noted as void."""


def moment() -> int:
    """Microseconds UTC."""
    return time.time_ns() // 1000


class Changed(Exception):
    """The recipe is another by now: make the rows anew."""


class Numbers:
    """The numbers of one process. Each that it gives is beyond all that it has seen, whatever the clocks of other machines say."""

    def __init__(self, db):
        self.db, self.last, self.writer, self.horizon = db, 0, random.getrandbits(TIE), 0
        self.process, self._own, self._pulse, self._watched = process.own(), set(), None, {}

    def close(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()

    def seen(self, number: int) -> None:
        self.last = max(self.last, number >> TIE)

    def next(self) -> int:
        self.last = max(moment(), self.last + 1)
        return self.last << TIE | self.writer

    async def begin(self, session=None, recipe: int | None = None) -> int:
        """A number for a commit that is about to write in a session's transaction. Errors: Changed where the recipe's number is not `recipe` (None: any).

        The number is noted before the recipe is looked at: so either who waits for quiet after a change of the recipe sees this commit, or it sees the change.
        """
        while True:
            number = self.next()
            try:
                await self.db.running.insert_one({"_id": number, "at": moment(), "by": self.process, "session": session.session_id["id"] if session else None})
            except DuplicateKeyError:
                continue
            self._live(number)
            marks = {d["_id"]: d["number"] for d in await self.db.marks.find({"_id": {"$in": ["horizon", "recipe"]}}, {"number": 1}).to_list()}
            changed, horizon = recipe not in (None, marks["recipe"]), marks.get("horizon", 0)
            if number > horizon and not changed:
                return number
            self.seen(horizon)
            await self.forget(number)
            if changed:
                raise Changed

    def _live(self, number: int) -> None:
        self._own.add(number)
        if self._pulse is None or self._pulse.done():
            self._pulse = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        """Signs of life, as long as there are commits under way."""
        await asyncio.sleep(PULSE)
        while self._own:
            try:
                await self.db.running.update_many({"_id": {"$in": list(self._own)}}, {"$set": {"at": moment()}})
            except PyMongoError:
                pass  # no sign is a sign, too
            await asyncio.sleep(PULSE)

    def leave(self, number: int) -> None:
        """Nothing more is done for the commit of this number here: who asks for the newest number settles it."""
        self._own.discard(number)

    async def forget(self, number: int) -> None:
        """The commit of this number has landed, or never will."""
        self.leave(number)
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
            notes = await self.db.running.find({"_id": {"$lte": top}}, sort=[("_id", 1)]).to_list()
            if not notes:
                return top
            dead = [note for note in notes if self._is_dead(note)]
            if not (dead and await self._settled(dead)) and time.monotonic() > limit:
                return notes[0]["_id"] - 1
            await asyncio.sleep(0 if dead else 0.01)

    async def quiet(self) -> None:
        """Waits until every commit that is under way now has landed, or never will."""
        notes = await self.db.running.find({}).to_list()
        while notes:
            if dead := [note for note in notes if self._is_dead(note)]:
                await self._settled(dead)
            await asyncio.sleep(0.05)
            notes = await self.db.running.find({"_id": {"$in": [note["_id"] for note in notes]}}).to_list()

    async def bury(self) -> None:
        """Settles what the dead have under way, whatever its number: their open transactions keep others from what they wrote for a minute."""
        try:
            if dead := [note for note in await self.db.running.find({}).to_list() if self._is_dead(note)]:
                await self._settled(dead)
        except PyMongoError:
            pass  # the commit itself tells that the database is away

    def _is_dead(self, note: dict) -> bool:
        if process.gone(note.get("by", "")):
            return True
        at, since = self._watched.get(note["_id"], (None, 0.0))
        if at != note["at"]:
            if len(self._watched) > 10_000:
                self._watched.clear()
            self._watched[note["_id"]] = note["at"], time.monotonic()
            return False
        return time.monotonic() - since > QUIET

    async def _settled(self, notes: list[dict]) -> bool:
        """Whether all are decided; while a dead commit's transaction is open, the database keeps us from it."""
        try:
            with pymongo.timeout(SETTLING):
                if sessions := [{"id": note["session"]} for note in notes if note.get("session")]:
                    await self._end(sessions)
                for note in notes:
                    await self.settle(note["_id"])
                    self._watched.pop(note["_id"], None)
            return True
        except PyMongoError:
            return False

    async def _end(self, sessions: list[dict]) -> None:
        """Ends the transactions of the dead: open ones would keep what they wrote for a minute."""
        try:
            await self.db.client.admin.command("killSessions", sessions)
        except OperationFailure:
            pass  # not every server knows it, or lets everyone: then they end by themselves

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
