"""Commits of the MongoDB store: one transaction each, run again after a conflict, and never in doubt about whether it landed.

https://www.mongodb.com/docs/manual/core/transactions-in-applications/
"""
from __future__ import annotations

import asyncio
import random
import time
import uuid
from contextlib import asynccontextmanager

from pymongo import InsertOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app import errors
from app.search.query import Clause, Query, Row
from app.store.base import ALIVE, Access, Entry, Fact, Found, Made
from app.store.mongo import collections
from app.store.mongo.numbers import TIE, Changed, moment
from app.store.mongo.reading import Reading

ATTEMPTS = 12
"""Times that a commit is tried where others are in its way."""
CONFLICTS = {112, 16777220, 11000, 251, 24, 246}
"""Codes of a write conflict, a duplicate of a key that another took meanwhile, an ended transaction, a lock, an unavailable snapshot."""
TOGETHER = 64
"""Commits of this process that run beside each other."""
LARGE, LARGE_TOGETHER, LARGE_WAIT = 200, 2, 5.0
"""A commit of that many entries is large; so many of them write beside each other; others wait so many seconds, then they are refused."""
DOUBT = 30.0
"""Seconds in which a commit of unknown result is asked after."""


class Clash(Exception):
    """Another commit was quicker: run it again."""


class Doubt(errors.Unavailable):
    """Whether a commit landed could not be learned."""


class Tx:
    """One commit in the making, see app.store.base.Tx.

    What is written is gathered and sent at the end, or before a search: only then has the commit a number, so that it hides others from
    `newest` as briefly as possible. `number` is 0 until then, and so are number and born of what it writes.
    """

    def __init__(self, db, numbers, session, token: str, held: tuple[int, str]):
        self.db, self.numbers, self.session, self.token, self.held = db, numbers, session, token, held
        self.text: str | None = None
        self.number, self.now, self.size = 0, moment(), 0
        self.entries: dict[str, tuple[Entry, list[Row], list[Fact]]] = {}
        self.claims: dict[tuple[str, str, str], dict] = {}
        self.accesses: list[Access] = []

    def reading(self) -> Reading:
        return Reading(self.db, at=None, now=self.now, session=self.session)

    async def get(self, type: str, id: str) -> Entry | None:
        if f"{type}/{id}" in self.entries:
            return self.entries[f"{type}/{id}"][0]
        found = await self.reading().newest(type, id)
        if found is not None:
            self.numbers.seen(found.number)
        return found

    async def search(self, query: Query, *, limit: int) -> list[Found]:
        await self.send()
        return await self.reading().search(query, limit, None)

    async def meets(self, entry: Entry, clause: Clause) -> bool:
        await self.send()
        return await self.reading().meets(entry.number, clause)

    async def write(self, entry: Entry, rows: list[Row], facts: list[Fact] = ()) -> None:
        if entry.ref in self.entries:
            await self.send()
        self.entries[entry.ref] = (entry, list(map(Row._make, rows)), list(facts))

    async def claim(self, kind: str, owner: str, key: str, until: int) -> bool:
        if (kind, owner, key) in self.claims:
            return False
        found = await self.db.claims.find_one({"kind": kind, "owner": owner, "key": key}, session=self.session)
        if found is not None and found["until"] > self.now and found["by"] != self.token:
            return False
        names = {"kind": kind, "owner": owner, "key": key}
        self.claims[kind, owner, key] = {**names, "until": until, "by": self.token, "was": found}
        return True

    async def record(self, access: Access) -> None:
        self.accesses.append(access)

    async def recipe(self) -> str:
        return self.held[1] if self.text is None else self.text

    async def set_recipe(self, text: str) -> None:
        self.text = text

    # sending

    async def send(self, *, last: bool = False) -> None:
        """Writes what was gathered; with the last of it the note that this commit landed."""
        if self.entries or self.claims or self.accesses or last and (self.number or self.text is not None):
            await self._begin()
            await self._claims()
            await self._entries()
            await self._accesses()
        if last and self.text is not None:
            await self._recipe()
        if last and self.number:
            await self.db.commits.insert_one({"_id": self.number}, session=self.session)

    async def _begin(self) -> None:
        self.number = self.number or await self.numbers.begin(self.session, self.held[0])

    async def _recipe(self) -> None:
        number = self.held[0]
        done = await self.db.marks.update_one({"_id": "recipe", "number": number}, {"$set": {"number": number + 1, "text": self.text}}, session=self.session)
        if done.matched_count != 1:
            raise Clash

    async def _claims(self) -> None:
        claims, self.claims = self.claims, dict.fromkeys(self.claims)
        for claim in (c for c in claims.values() if c is not None):
            was = claim.pop("was")
            if was is None:
                await self.db.claims.insert_one(claim, session=self.session)
                continue
            same = {"_id": was["_id"], "until": was["until"], "by": was["by"]}
            if (await self.db.claims.update_one(same, {"$set": claim}, session=self.session)).matched_count != 1:
                raise Clash

    async def _entries(self) -> None:
        written, self.entries = list(self.entries.values()), {}
        self.size += len(written)
        for start in range(0, len(written), 500):
            await self._some(written[start:start + 500])

    async def _some(self, written: list[tuple[Entry, list[Row], list[Fact]]]) -> None:
        """Heads first: they are where two writers of one resource meet."""
        refs = [entry.ref for entry, _, _ in written]
        heads = {d["_id"]: d for d in await self.db.heads.find({"_id": {"$in": refs}}, session=self.session).to_list()}
        for head in heads.values():
            self.numbers.seen(head["number"])
        if any(head["number"] >> TIE >= self.number >> TIE and head["by"] != self.token for head in heads.values()):
            raise Clash  # a machine whose clock is ahead: the next attempt's number is beyond its
        for entry, _, _ in written:
            entry.number, entry.born, entry.died = self.numbers.next(), self.number, ALIVE
        await self._bulk("heads", [self._head(entry, heads.get(entry.ref)) for entry, _, _ in written])
        await self._bulk("entries", [self._end(entry, heads[entry.ref]) for entry, _, _ in written if entry.ref in heads])
        await self._insert(written)
        if heads:
            await self.db.facts.delete_many({"source": {"$in": sorted(heads)}}, session=self.session)
        await self._bulk("facts", [InsertOne(collections.fact(entry, fact)) for entry, _, facts in written for fact in facts])

    def _head(self, entry: Entry, before: dict | None):
        now = {"version": entry.version, "number": entry.number, "by": self.token}
        if before is None:
            return InsertOne({"_id": entry.ref, **now})
        if before["version"] >= entry.version:
            raise Clash
        return UpdateOne({"_id": entry.ref, "version": before["version"]}, {"$set": now})

    def _end(self, entry: Entry, before: dict) -> UpdateOne:
        return UpdateOne({"_id": before["number"], "died": ALIVE}, {"$set": {"died": self.number, "ended": entry.updated, "due": entry.updated}})

    async def _insert(self, written) -> None:
        entries, aside, texts, spilled = [], [], [], set()
        for entry, rows, _ in written:
            inside, chunks = collections.divided(rows)
            entries.append(InsertOne(collections.document(entry, inside)))
            texts += [InsertOne(d) for d in collections.texts(entry)]
            aside += [InsertOne({"number": entry.number, **collections.indexed(chunk)}) for chunk in chunks]
            spilled |= {r.param for chunk in chunks for r in chunk}
        await spill(self.db, spilled)
        await self._bulk("entries", entries)
        await self._bulk("texts", texts)
        await self._bulk("rows", aside)

    async def _accesses(self) -> None:
        accesses, self.accesses = self.accesses, []
        for access in accesses:
            access.number = self.numbers.next()
            if not access.journal:
                access.journal, access.sequence = "log", access.number
        await self._bulk("accesses", [InsertOne(collections.record(a)) for a in accesses])

    async def _bulk(self, collection: str, writes: list) -> None:
        """Sends them in order; each must find what it changes."""
        if not writes:
            return
        done = await self.db[collection].bulk_write(writes, ordered=True, session=self.session)
        if done.inserted_count + done.matched_count + done.deleted_count != len(writes):
            raise Clash

    # maintenance

    async def remake(self, made: list[Made]) -> None:
        """Other stamps, rows and facts for versions that are not purged. Each is written to, so that who ends or sweeps one meanwhile conflicts."""
        await self._begin()
        numbers = {"_id": {"$in": [m.entry.number for m in made]}, "purged": False}
        held = {d["_id"]: d for d in await self.db.entries.find(numbers, {"died": 1, "due": 1}, session=self.session).to_list()}
        there = [m for m in made if m.entry.number in held]
        rowed = {m.entry.number: collections.divided(m.rows) for m in there if m.rows is not None and (held[m.entry.number]["died"] == ALIVE or "due" in held[m.entry.number])}
        current = [m for m in there if held[m.entry.number]["died"] == ALIVE]
        await spill(self.db, {r.param for _, chunks in rowed.values() for chunk in chunks for r in chunk})
        await self._bulk("entries", [UpdateOne({"_id": m.entry.number}, collections.remade(m.entry, rowed.get(m.entry.number, (None,))[0])) for m in there])
        await self.db.rows.delete_many({"number": {"$in": list(rowed)}}, session=self.session)
        await self._bulk("rows", [InsertOne({"number": n, **collections.indexed(chunk)}) for n, (_, chunks) in rowed.items() for chunk in chunks])
        await self.db.facts.delete_many({"source": {"$in": [m.entry.ref for m in current]}}, session=self.session)
        await self._bulk("facts", [InsertOne(collections.fact(m.entry, fact)) for m in current for fact in m.facts])


async def spill(db, params: set[str]) -> None:
    """Notes, before any row is there, that these parameters have rows aside; outside the transaction, for it does no harm alone."""
    for param in sorted(params):
        await db.spilled.update_one({"_id": param}, {"$set": {}}, upsert=True)


class Commits:
    """Runs commits. `transactions` False runs the same code without a session, one commit after the other: for tests only."""

    def __init__(self, client, db, numbers, *, transactions: bool):
        self.client, self.db, self.numbers, self.transactions = client, db, numbers, transactions
        self.turns = asyncio.Semaphore(TOGETHER if transactions else 1)
        self.large = asyncio.Semaphore(LARGE_TOGETHER)
        self.running: set[asyncio.Task] = set()
        self.held = (0, "")

    async def commit(self, work):
        """Runs work(tx), again where another commit was in its way; returns its result when it is durable.

        A caller that goes away does not stop it: cut off in the middle, nobody would know whether it landed.
        """
        task = asyncio.create_task(self._run(work))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Finishes what was accepted."""
        await asyncio.gather(*self.running, return_exceptions=True)
        self.numbers.close()

    async def _run(self, work):
        token = uuid.uuid4().hex
        async with self.turns:
            for attempt in range(ATTEMPTS):
                try:
                    return await self._once(work, token)
                except Changed:
                    await self.recipe()
                    continue
                except (Clash, PyMongoError) as error:
                    if not conflict(error):
                        raise
                    if attempt:
                        await self.numbers.bury()
                await asyncio.sleep(random.random() * min(1.0, 0.005 * 2 ** attempt))
        raise errors.Unavailable("Other changes to the same resources were always quicker; nothing was done.")

    async def recipe(self) -> str:
        """The recipe that holds now; its text is fetched where it is another than the one held here."""
        found = await self.db.marks.find_one({"_id": "recipe"}, {"number": 1})
        if found["number"] != self.held[0]:
            found = await self.db.marks.find_one({"_id": "recipe"})
            self.held = (found["number"], found["text"])
        return self.held[1]

    async def _once(self, work, token: str):
        async with self._session() as session:
            tx = Tx(self.db, self.numbers, session, token, self.held)
            try:
                result = await work(tx)
                async with self._room(tx.size + len(tx.entries)):
                    await tx.send(last=True)
                    if session is not None and not await self._landed(session, tx.number):
                        raise Clash
            except Doubt:
                self.numbers.leave(tx.number)
                raise
            except BaseException:
                await self._give_up(session, tx.number)
                raise
        if tx.number:
            await self._done(tx.number)
        return result

    async def _done(self, number: int) -> None:
        try:
            await self.numbers.forget(number)
        except PyMongoError:
            pass  # it is done; its note is dropped when it is old

    @asynccontextmanager
    async def _session(self):
        if not self.transactions:
            yield None
            return
        async with self.client.start_session() as session:
            await session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority"), max_commit_time_ms=20_000)
            yield session

    @asynccontextmanager
    async def _room(self, size: int):
        """Few large commits write at a time: more of them only make the server throw their work away."""
        if size < LARGE:
            yield
            return
        try:
            await asyncio.wait_for(self.large.acquire(), LARGE_WAIT)
        except TimeoutError:
            raise errors.Unavailable("Other large transactions are being written; nothing was done.", retry_after=10) from None
        try:
            yield
        finally:
            self.large.release()

    async def _landed(self, session, number: int) -> bool:
        """Commits; where the answer is lost, asks until it is known. False: it did not land, and never will."""
        limit = time.monotonic() + DOUBT
        while True:
            try:
                await session.commit_transaction()
                return True
            except PyMongoError as error:
                if not number:
                    return True  # it only read
                try:
                    if _ended(error):
                        await self.numbers.settle(number)
                        return await self.numbers.landed(number)
                except PyMongoError:
                    pass
                if time.monotonic() > limit:
                    raise Doubt("The database was lost while this was being committed: whether it was done is not known. Look before you try again.") from error
            await asyncio.sleep(0.1 + 0.2 * random.random())

    async def _give_up(self, session, number: int) -> None:
        try:
            if session is not None and session.in_transaction:
                await session.abort_transaction()
            if number:
                await self.numbers.forget(number)
        except PyMongoError:
            pass  # the server ends the transaction by itself, and its note is dropped when it is old


def _ended(error: PyMongoError) -> bool:
    """The server has said that the transaction is over without a commit."""
    return isinstance(error, OperationFailure) and not error.has_error_label("UnknownTransactionCommitResult")


def conflict(error: Exception) -> bool:
    """Running it again may help: another commit was in the way, or the connection broke before the commit was sent."""
    if isinstance(error, Clash | DuplicateKeyError):
        return True
    if isinstance(error, ServerSelectionTimeoutError):
        return False
    if isinstance(error, BulkWriteError):
        return any(e.get("code") in CONFLICTS for e in error.details.get("writeErrors", ())) or error.has_error_label("TransientTransactionError")
    if isinstance(error, OperationFailure):
        return error.code in CONFLICTS or error.has_error_label("TransientTransactionError")
    return isinstance(error, AutoReconnect) and error.has_error_label("TransientTransactionError")
