"""The store for many machines: a MongoDB replica set, one document a version, one transaction a commit."""
from __future__ import annotations

import functools
import uuid

from pymongo import AsyncMongoClient
from pymongo.errors import (BulkWriteError, ConfigurationError, ConnectionFailure, DocumentTooLarge, DuplicateKeyError, ExecutionTimeout, InvalidOperation,
                            OperationFailure, PyMongoError)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app import errors
from app.search.query import ALL, Clause, Query
from app.store.base import ALIVE, INDEX, SCHEMA, Access, Entry, Fact, Found, Made, Plan, Seen, Walked
from app.store.mongo import clauses, collections, events
from app.store.mongo.commit import Commits
from app.store.mongo.numbers import Numbers
from app.store.mongo.reading import WHOLE, Reading

WAIT = 4_000
"""Milliseconds that a request waits for a server before it is refused."""


TOO_LARGE = {10334, 17280, 257}
"""Codes of a document, an index key, a transaction beyond the server's limits."""
STRANGER = {13, 18}
"""Codes of an operation without the right to it, and of a failed authentication."""


def codes(error: PyMongoError) -> set[int]:
    """The codes of all that went wrong."""
    details = getattr(error, "details", None) or {}
    return {getattr(error, "code", None), *(e.get("code") for e in details.get("writeErrors", ()))}


def told(verb):
    """A verb whose failures of the database are told as errors.Unavailable, TooCostly or TooLarge."""
    @functools.wraps(verb)
    async def telling(*args, **more):
        try:
            return await verb(*args, **more)
        except PyMongoError as error:
            raise failure(error) from error
    return telling


def failure(error: PyMongoError) -> errors.Failure:
    if isinstance(error, ExecutionTimeout):
        return errors.TooCostly("The search takes too long: narrow it.")
    if isinstance(error, DocumentTooLarge) or codes(error) & TOO_LARGE:
        return errors.TooLarge("This resource or transaction is larger than the store takes.")
    if isinstance(error, ConfigurationError):
        return errors.Unavailable(f"This is no address of a MongoDB server (mongodb://HOST/NAME): {error}")
    if codes(error) & STRANGER:
        return errors.Unavailable("The database does not accept this user and password, or gives the user no right to this database.")
    if isinstance(error, ConnectionFailure | InvalidOperation):
        return errors.Unavailable("The database cannot be reached; nothing was done.", retry_after=5)
    if isinstance(error, OperationFailure) and error.code == 14031:
        return errors.Unavailable("The disk of the database is full; nothing was done.", retry_after=30)
    return errors.Unavailable(f"The database refuses to work now ({type(error).__name__}); nothing was done.", retry_after=5)


def _client(url: str, options: dict) -> AsyncMongoClient:
    try:
        return AsyncMongoClient(url, **options)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


class MongoStore:
    """A store on a MongoDB replica set. Any number of processes and machines share it."""

    entries_limit = 2_000

    def __init__(self, client: AsyncMongoClient, *, transactions: bool):
        self.client = client
        self.db = client.get_default_database("yilian").with_options(read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority", j=True))
        self.numbers = Numbers(self.db)
        self.commits = Commits(client, self.db, self.numbers, transactions=transactions)
        self.zone = ""

    @classmethod
    @told
    async def open(cls, url: str, *, zone: str = "Asia/Shanghai", without_transactions: bool = False, reindexing: bool = False, **options) -> "MongoStore":
        """Opens or creates the store at a `mongodb://host/database` url. Its zone is fixed when it is created.

        reindexing: an index of another version is no obstacle, because it is about to be made anew.
        options: further ones of pymongo's client. Errors: errors.Unavailable when the server cannot be reached or has no transactions,
        or the store is of another version.
        """
        client = _client(url, {"serverSelectionTimeoutMS": WAIT, "connectTimeoutMS": WAIT, "socketTimeoutMS": 30_000, "appname": "yilian", **options})
        store = cls(client, transactions=not without_transactions)
        try:
            await store._prepare(zone, reindexing)
        except BaseException:
            await client.close()
            raise
        return store

    async def _prepare(self, zone: str, reindexing: bool) -> None:
        if self.commits.transactions:
            await self._try_transaction()
        have = set(await self.db.list_collection_names())
        for declared in collections.ALL:
            name = declared._meta["collection"]
            if name not in have:
                await self._create(name)
            for keys, options in collections.indexes(declared):
                await self.db[name].create_index(keys, **options)
        await self.db.marks.update_one({"_id": "recipe"}, {"$setOnInsert": {"number": 0, "text": ""}}, upsert=True)
        await self.commits.recipe()
        self.zone = await self.value("zone", lambda: zone)
        schema, index = await self.value("schema", lambda: str(SCHEMA)), await self.value("index", lambda: str(INDEX))
        if schema != str(SCHEMA):
            raise errors.Unavailable(f"This store has schema {schema}; this version of Yilian serves schema {SCHEMA} alone.")
        if index != str(INDEX) and not reindexing:
            raise errors.Unavailable("The index of this store was made by another version of Yilian: run `yilian reindex` before serving it.")

    async def _create(self, name: str) -> None:
        try:
            await self.db.create_collection(name)
        except PyMongoError:
            if name not in await self.db.list_collection_names():
                raise

    async def _try_transaction(self) -> None:
        """A standalone server announces sessions and refuses transactions only when one is tried; other processes may try at the same time."""
        own = {"_id": uuid.uuid4().hex}
        try:
            async with self.client.start_session() as session, await session.start_transaction():
                await self.db.client[self.db.name].scratch.insert_one(own, session=session)
            await self.db.scratch.delete_many({"_id": own["_id"]})
        except (ConfigurationError, OperationFailure) as error:
            raise errors.Unavailable("This MongoDB server has no transactions, without which nothing can be stored safely: run it as a replica set"
                                     " (one node will do).") from error

    async def close(self) -> None:
        await self.commits.close()
        await self.client.close()

    # reads

    @told
    async def newest(self) -> int:
        return await self.numbers.newest()

    @told
    async def get(self, type: str, id: str, *, version: int | None = None) -> Entry | None:
        return await Reading(self.db, at=None, now=0).newest(type, id, version)

    @told
    async def search(self, query: Query, *, at: int, now: int, limit: int, after: tuple | None = None) -> list[Found]:
        return await Reading(self.db, at=at, now=now).search(query, limit, tuple(after) if after else None)

    @told
    async def count(self, query: Query, *, at: int, now: int) -> int:
        return await Reading(self.db, at=at, now=now).count(query)

    few = 0
    """Every condition drives that has an index, whatever it gives."""

    def plan(self, query: Query, sizes: tuple[int, ...]) -> Plan:
        return clauses.plan(query)

    @told
    async def meets(self, entry: Entry, clause: Clause, *, now: int) -> bool:
        return await Reading(self.db, at=None, now=now).meets(entry.number, clause)

    @told
    async def history(self, query: Query, *, at: int, now: int, limit: int, id: str | None = None, since: int | None = None,
                      until: int | None = None, moment: tuple[int, int] | None = None, after: int | None = None, own: Clause = ALL) -> list[Entry]:
        return await Reading(self.db, at=at, now=now).history(query, limit, at, id=id, since=since, until=until, moment=moment, after=after, own=own)

    @told
    async def walk(self, type: str = "", *, after: int, until: int, limit: int) -> list[Walked]:
        reading = Reading(self.db, at=None, now=0)
        where = {**({"type": type} if type else {}), "_id": {"$gt": after, "$lte": until}, "purged": False}
        found = await self.db.entries.find(where, WHOLE).sort("_id").limit(limit).hint("type" if type else "_id_").to_list()
        return [Walked(await reading.whole(d), d["died"] == ALIVE or "due" in d) for d in found]

    @told
    async def recipe(self) -> str:
        return await self.commits.recipe()

    @told
    async def quiet(self) -> int:
        await self.numbers.quiet()
        last = await self.db.entries.find_one({}, {"_id": 1}, sort=[("_id", -1)])
        return last["_id"] if last else 0

    @told
    async def facts(self, source: str) -> list[Fact]:
        return [collections.given(d) for d in await self.db.facts.find({"source": source}).sort("_id").to_list()]

    # the log

    @told
    async def events(self, where: Clause, *, limit: int, after: tuple | None = None, ascending: bool = False) -> list[Seen]:
        return await events.find(self.db, where, limit=limit, after=tuple(after) if after else None, ascending=ascending)

    @told
    async def count_events(self, where: Clause) -> int:
        return await events.count(self.db, where)

    @told
    async def access(self, journal: str, sequence: int) -> Access | None:
        found = await self.db.accesses.find_one({"journal": journal, "sequence": sequence})
        return collections.access(found) if found else None

    @told
    async def kept(self, journal: str) -> int:
        found = await self.db.accesses.find_one({"journal": journal}, {"sequence": 1}, sort=[("sequence", -1)])
        return found["sequence"] if found else -1

    @told
    async def keep(self, accesses: list[Access]) -> None:
        while accesses:
            for access in accesses:
                access.number = self.numbers.next()
                if not access.journal:
                    access.journal, access.sequence = "log", access.number
            try:
                await self.db.accesses.insert_many([collections.record(a) for a in accesses], ordered=False)
                return
            except BulkWriteError as error:
                failed = error.details["writeErrors"]
                if error.details["writeConcernErrors"] or any(e.get("code") != 11000 for e in failed):
                    raise
                accesses = await self._absent([accesses[e["index"]] for e in failed])

    async def _absent(self, accesses: list[Access]) -> list[Access]:
        """Those that are not here: another process came to their numbers first."""
        slots = {(a.journal, a.sequence) for a in accesses}
        found = await self.db.accesses.find({"journal": {"$in": sorted({j for j, _ in slots})}, "sequence": {"$in": sorted({s for _, s in slots})}},
                                            {"journal": 1, "sequence": 1}).hint("slot").to_list()
        slots -= {(d["journal"], d["sequence"]) for d in found}
        return [a for a in accesses if (a.journal, a.sequence) in slots]

    # writes

    @told
    async def commit(self, work):
        return await self.commits.commit(work)

    @told
    async def value(self, key: str, make=None) -> str | None:
        found = await self.db["values"].find_one({"_id": key})
        if found is None and make is not None:
            try:
                await self.db["values"].insert_one({"_id": key, "value": make()})
            except DuplicateKeyError:
                pass
            found = await self.db["values"].find_one({"_id": key})
        return found["value"] if found else None

    @told
    async def reindexed(self, made: list[Made], recipe: str) -> bool:
        async def work(tx):
            if await tx.recipe() != recipe:
                return False
            await tx.remake(made)
            return True
        return await self.commits.commit(work)

    @told
    async def indexed(self) -> None:
        await self.db["values"].update_one({"_id": "index"}, {"$set": {"value": str(INDEX)}}, upsert=True)

    @told
    async def purge(self, type: str, id: str, version: int) -> bool:
        where = {"type": type, "id": id, "version": version, "$or": [{"died": {"$lt": ALIVE}}, {"deleted": True}]}
        found = await self.db.entries.find_one(where, {"born": 1, "died": 1, "many": 1, "about": 1})
        if found is None:
            return False
        never = {"died": found["born"]} if found["died"] < ALIVE else {}
        await self.db.entries.update_one({"_id": found["_id"]}, {"$set": {"purged": True, "about": [], "many": int(bool(found["many"] or found["about"])), **never}, "$unset": {"text": "", "rows": "", "pieces": "", "parts": "", "due": ""}})
        await self.db.texts.delete_many({"number": found["_id"]})
        await self.db.rows.delete_many({"number": found["_id"]})
        return True

    @told
    async def sweep(self, before: int) -> int:
        swept = 0
        while found := await self.db.entries.find({"due": {"$lt": before}, "guard": {"$in": ["", "-"]}}, {"rows.p": 1}).limit(clauses.BATCH).to_list():
            numbers = [d["_id"] for d in found]
            aside = await self.db.rows.find({"number": {"$in": numbers}}, {"rows.p": 1}).to_list()
            await self.db.rows.delete_many({"number": {"$in": numbers}})
            await self.db.entries.update_many({"_id": {"$in": numbers}}, {"$unset": {"rows": "", "pieces": "", "due": ""}})
            swept += sum(len(d.get("rows", ())) for d in found + aside)
        await self.db.claims.delete_many({"until": {"$lt": before}})
        await self.numbers.prune()
        return swept
