"""The embedded store: reads on the event loop, a thread for what takes long, commits gathered into one transaction."""
from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor

from app import errors
from app.search.query import ALL, Clause, Query
from app.store.base import ALIVE, INDEX, SCHEMA, Access, Entry, Fact, Found, Made, Plan, Seen, Walked
from app.store.sqlite import events, plan, read
from app.store.sqlite.clauses import Compiler
from app.store.sqlite.commit import Commits
from app.store.sqlite.names import Names
from app.store.sqlite.schema import TABLES, connect, failure, told, within

PATIENCE = 0.005
"""Seconds that a read may take on the event loop; then a thread runs it again."""
SECONDS = 20
"""Seconds that it may take there; then it is refused."""



class SqliteStore:
    """A store in one file. Every process that serves it opens its own; writers take turns under SQLite's lock."""

    entries_limit = 10_000

    def __init__(self, path: str, temporary: str | None, zone: str):
        self.path, self._temporary = path, temporary
        self._read = connect(path, write=False)
        self._names = Names(self._read)
        self._pool = ThreadPoolExecutor(2, "sqlite-read")
        self._turn = self._closed = False
        self._commits = Commits(path, durable=temporary is None)
        self.zone = zone

    @classmethod
    async def open(cls, path: str, *, zone: str = "Asia/Shanghai", reindexing: bool = False) -> "SqliteStore":
        """Opens or creates the store at `path` (`:memory:` makes a temporary one). Its zone is fixed when it is created.

        reindexing: an index of another version is no obstacle, because it is about to be made anew.
        Errors: errors.Unavailable when its schema or index is of another version, or it cannot be opened.
        """
        temporary = tempfile.mkdtemp(prefix="yilian-") if path == ":memory:" else None
        path = os.path.join(temporary, "store.db") if temporary else path
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with told():
            zone = _prepare(path, zone, durable=temporary is None, reindexing=reindexing)
            return cls(path, temporary, zone)

    async def close(self) -> None:
        await self._commits.close()
        self._pool.shutdown(wait=True)
        self._closed = True
        self._read.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    # reads

    async def run(self, ask, *args):
        """Runs ask(con, names, *args) on the loop's connection; what takes long is stopped and run again in a thread."""
        self._begin()
        try:
            with within(self._read, PATIENCE):
                return ask(self._read, self._names, *args)
        except sqlite3.DatabaseError as error:
            if "interrupted" not in str(error):
                raise failure(error) from error
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._apart, ask, args)

    def _begin(self) -> None:
        """One read transaction for all short reads of a turn of the event loop."""
        if not self._turn:
            with told():
                self._read.execute("begin")
            self._turn = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._turn = False
        if not self._closed and self._read.in_transaction:
            self._read.execute("commit")

    def _apart(self, ask, args):
        with told():
            con = connect(self.path, write=False)
            try:
                con.execute("begin")
                with within(con, SECONDS):
                    return ask(con, Names(con), *args)
            finally:
                con.close()

    async def newest(self) -> int:
        return await self.run(read.newest)

    async def get(self, type: str, id: str, *, version: int | None = None) -> Entry | None:
        return await self.run(read.get, type, id, version)

    async def search(self, query: Query, *, at: int, now: int, limit: int, after: tuple | None = None) -> list[Found]:
        return await self.run(read.search, query, at, now, limit, after)

    async def count(self, query: Query, *, at: int, now: int) -> int:
        return await self.run(lambda con, names: plan.count(con, Compiler(names.number, at, now), query))

    few = plan.FEW

    def plan(self, query: Query, sizes: tuple[int, ...]) -> Plan:
        return plan.plan(query, sizes)

    async def meets(self, entry: Entry, clause, *, now: int) -> bool:
        return await self.run(lambda con, names: read.meets(con, names, entry, clause, read.newest(con, names), now))

    async def history(self, query: Query, *, at: int, now: int, limit: int, id: str | None = None, since: int | None = None,
                      until: int | None = None, moment: tuple[int, int] | None = None, after: int | None = None, own: Clause = ALL) -> list[Entry]:
        return await self.run(read.history, query, at, now, limit, id, since, until, moment, after, own)

    async def walk(self, type: str = "", *, after: int, until: int, limit: int) -> list[Walked]:
        return await self.run(read.walk, type, after, until, limit)

    async def recipe(self) -> str:
        return await self.run(read.recipe)

    async def quiet(self) -> int:
        # a commit holds the lock from its first look to its end
        return await self.run(lambda con, names: con.execute("select coalesce(max(number), 0) from entry").fetchone()[0])

    async def facts(self, source: str) -> list[Fact]:
        def given(con, names):
            type, _, id = source.partition("/")
            found = con.execute("select f.effect, f.grantee, f.patient, f.resource, f.custodian, f.low, f.high, f.labels, f.purpose, f.kind, f.code, f.since,"
                                f" f.until, f.level from fact f join entry e on e.number=f.source where e.type=? and e.id=? and e.died={ALIVE}", (names.number(type), id))
            return [Fact(*row) for row in found.fetchall()]
        return await self.run(given)

    # events of the log

    async def events(self, where, *, limit: int, after: tuple | None = None, ascending: bool = False) -> list[Seen]:
        return await self.run(events.find, where, limit, after, ascending)

    async def count_events(self, where) -> int:
        return await self.run(events.count, where)

    async def access(self, journal: str, sequence: int) -> Access | None:
        return await self.run(events.one, journal, sequence)

    async def kept(self, journal: str) -> int:
        def last(con, names):
            found = con.execute("select max(sequence) from access where journal=?", (journal,)).fetchone()[0]
            return -1 if found is None else found
        return await self.run(last)

    async def keep(self, accesses: list[Access]) -> None:
        async def work(tx):
            for step, access in enumerate(accesses):
                events.put(tx.con, access)
                if step % 50 == 49:
                    await asyncio.sleep(0)
        await self._commits.commit(work)

    # writes

    async def commit(self, work):
        return await self._commits.commit(work)

    async def value(self, key: str, make=None) -> str | None:
        found = await self.run(lambda con, names: con.execute("select value from value where key=?", (key,)).fetchone())
        if found is None and make is not None:
            async def work(tx):
                tx.con.execute("insert or ignore into value values (?, ?)", (key, make()))
                return tx.con.execute("select value from value where key=?", (key,)).fetchone()
            found = await self._commits.commit(work)
        return found[0] if found else None

    async def reindexed(self, made: list[Made], recipe: str) -> bool:
        async def work(tx):
            if await tx.recipe() != recipe:
                return False
            for each in made:
                tx.remake(each)
            return True
        return await self._commits.commit(work)

    async def indexed(self) -> None:
        async def work(tx):
            tx.con.execute("insert or replace into value values ('index', ?)", (str(INDEX),))
        await self._commits.commit(work)

    async def purge(self, type: str, id: str, version: int) -> bool:
        async def work(tx):
            found = tx.con.execute(f"select number from entry where type=? and id=? and version=? and (died<{ALIVE} or deleted=1)", (tx.names.number(type), id, version)).fetchone()
            if found is None:
                return False
            tx.forget("?", found)
            for text in ("delete from body where number=?", "delete from about where number=?",
                         f"update entry set purged=1, many=max(many,about<>''), about='', died=case when died<{ALIVE} then born else died end where number=?"):
                tx.con.execute(text, found)
            return True
        return await self._commits.commit(work)

    async def sweep(self, before: int) -> int:
        async def work(tx):
            tx.con.execute("delete from claim where until<?", (before,))
            return tx.forget(f"select o.number from entry o where o.died<{ALIVE} and o.guard in ('', '-') and exists(select 1 from row r where r.entry=o.number)"
                             " and exists(select 1 from entry n where n.type=o.type and n.id=o.id and n.born=o.died and n.updated<?)", (before,))
        return await self._commits.commit(work)


def _prepare(path: str, zone: str, *, durable: bool, reindexing: bool) -> str:
    """Creates the tables of a new store, or looks whether an old one is of this version; returns its zone."""
    con = connect(path, write=True, durable=durable)
    con.execute("pragma busy_timeout=5000")
    try:
        con.execute("begin immediate")
        if not con.execute("select 1 from sqlite_master where name='value'").fetchone():
            for statement in TABLES.split(";"):
                con.execute(statement)
            con.executemany("insert into value values (?, ?)", [("schema", str(SCHEMA)), ("index", str(INDEX)), ("zone", zone)])
        con.execute("commit")
        kept = dict(con.execute("select key, value from value").fetchall())
    finally:
        con.close()
    if kept.get("schema") != str(SCHEMA):
        raise errors.Unavailable(f"This store has schema {kept.get('schema')}; this version of Yilian serves schema {SCHEMA} alone.")
    if kept.get("index") != str(INDEX) and not reindexing:
        raise errors.Unavailable("The index of this store was made by another version of Yilian: run `yilian reindex` before serving it.")
    return kept["zone"]
