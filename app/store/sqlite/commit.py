"""Commits of the embedded store: those that wait beside each other share one transaction and one wait for the disk."""
from __future__ import annotations

import asyncio
import fcntl
import math
import sqlite3
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from app import errors
from app.search.query import Row
from app.search.words import pieces
from app.store.base import ALIVE, Access, Entry, Found, Made
from app.store.sqlite import events, read
from app.store.sqlite.names import Names
from app.store.sqlite.schema import connect, failure, within

TOGETHER = 64
"""Commits that share one transaction at most."""
WAIT = 5.0
"""Seconds that a commit waits for another process's lock before it is refused."""
SECONDS = 1.0
"""Seconds that a condition may be looked for in a commit: all others wait."""
COLUMNS = "param, grp, system, code, text, low, high, span, words"
"""Of an index row, beside its entry and place."""
PARAM = -9
"""Where the first of them stands, from the end."""
TURN = 0.05
"""Seconds for which a process may take the lock again before one that waits: each change of writers costs both their caches."""


class Tx:
    """One commit in the making, see app.store.base.Tx."""

    def __init__(self, con: sqlite3.Connection, names: Names, number: int):
        self.con, self.names, self.number, self.now = con, names, number, time.time_ns() // 1000

    async def get(self, type: str, id: str) -> Entry | None:
        return read.get(self.con, self.names, type, id, None)

    async def search(self, query, *, limit: int) -> list[Found]:
        with within(self.con, SECONDS):
            return read.search(self.con, self.names, query, self.number, self.now, limit, None)

    async def meets(self, entry: Entry, clause) -> bool:
        return read.meets(self.con, self.names, entry, clause, self.number, self.now)

    async def write(self, entry: Entry, rows, facts=()) -> None:
        made = self.names.made
        type = made(entry.type)
        before = None if entry.version == 1 else self.con.execute(f"select number from entry where type=? and id=? and version<? and died={ALIVE}", (type, entry.id, entry.version)).fetchone()
        if before is not None:
            self.con.execute("update entry set died=? where number=?", (self.number, before[0]))
            self.con.execute("delete from fact where source=?", before)
        entry.born, entry.died = self.number, ALIVE
        entry.number = self.con.execute(
            "insert into entry (type,id,version,born,died,updated,custodian,about,many,labels,date,guard,writer,hash,deleted,purged,method)"
            " values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?)",
            (type, entry.id, entry.version, self.number, ALIVE, entry.updated, made(entry.custodian), "\n".join(entry.about), entry.many, entry.labels,
             entry.date, entry.guard, entry.writer, entry.hash, entry.deleted, entry.method)).lastrowid
        if entry.text is not None:
            self.con.execute("insert into body values (?, ?)", (entry.number, entry.text))
        self._about(entry, type)
        values = self._values(entry.number, rows)
        self._insert(values)
        self._pieces(entry.number, values)
        self._facts(entry, facts)

    def _about(self, entry: Entry, type: int) -> None:
        self.con.executemany("insert into about values (?, ?, ?)", [(entry.number, p, type) for p in entry.about])

    def _values(self, number: int, rows: list[Row]) -> list[tuple]:
        """The rows of an entry as tuples: its number, their place, COLUMNS."""
        known, made = self.names.numbers, self.names.made
        return [(number, place, known.get(param) or made(param), group, known.get(system) or made(system), code, text, low, high, span(low, high), words)
                for place, (param, group, system, code, text, low, high, words) in enumerate(rows)]

    def _insert(self, rows: list[tuple]) -> None:
        self.con.executemany(f"insert into row (entry, place, {COLUMNS}) values (?,?,?,?,?,?,?,?,?,?,?)", rows)

    def _facts(self, entry: Entry, facts) -> None:
        if facts:
            self.con.executemany("insert into fact values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", [(entry.number, *fact) for fact in facts])

    def remake(self, made: Made) -> None:
        """Other stamp, rows and facts for a version that is not purged."""
        entry = made.entry
        held = self.con.execute("select died, about from entry where number=? and purged=0", (entry.number,)).fetchone()
        if held is None:
            return
        about = "\n".join(entry.about)
        self.con.execute("update entry set about=?, many=?, labels=?, date=?, guard=? where number=?", (about, entry.many, entry.labels, entry.date, entry.guard, entry.number))
        if about != held[1]:
            self.con.execute("delete from about where number=?", (entry.number,))
            self._about(entry, self.names.made(entry.type))
        if made.rows is not None:
            self._alter(entry.number, self._values(entry.number, made.rows))
        if held[0] == ALIVE:
            self.con.execute("delete from fact where source=?", (entry.number,))
            self._facts(entry, made.facts)

    def _alter(self, number: int, wanted: list[tuple]) -> None:
        """Makes these the rows of a version; most are there already."""
        held = {tuple(values): place for place, *values in self.con.execute(f"select place, {COLUMNS} from row where entry=?", (number,)).fetchall()}
        gone, new = held.keys() - {row[2:] for row in wanted}, [row[2:] for row in wanted if row[2:] not in held]
        self.con.executemany("delete from row where entry=? and place=?", [(number, held[values]) for values in gone])
        self._insert([(number, place, *values) for place, values in enumerate(new, max(held.values(), default=-1) + 1)])
        if any(values[-1] for values in (*gone, *new)):
            self._pieces(number, held, "delete")
            self._pieces(number, wanted)

    def _pieces(self, number: int, rows: Iterable[tuple], verb: str | None = None) -> None:
        """Adds the pieces of the words of an entry's rows, tuples that end in COLUMNS; `delete` takes them away, which needs all of them again."""
        found = [f"{row[PARAM]}x" + f" {row[PARAM]}x".join(words) for row in rows if row[-1] and (words := pieces(row[-1]))]
        if found:
            self.con.execute("insert into piece (piece, rowid, pieces) values (?, ?, ?)", (verb, number, " ".join(found)))

    def forget(self, entries: str, args: tuple) -> int:
        """Deletes the rows, and with them the pieces, of entries that a select gives; returns how many rows."""
        worded = self.con.execute(f"select entry, {COLUMNS} from row where words<>'' and entry in ({entries}) order by entry", args).fetchall()
        for number, rows in groupby(worded, lambda row: row[0]):
            self._pieces(number, rows, "delete")
        return self.con.execute(f"delete from row where entry in ({entries})", args).rowcount

    async def claim(self, kind: str, owner: str, key: str, until: int) -> bool:
        return self.con.execute("insert into claim values (?,?,?,?) on conflict do update set until=excluded.until where claim.until<=?",
                                (kind, owner, key, until, self.now)).rowcount == 1

    async def record(self, access: Access) -> None:
        events.put(self.con, access)

    async def recipe(self) -> str:
        return read.recipe(self.con, self.names)

    async def set_recipe(self, text: str) -> None:
        self.con.execute("insert or replace into value values ('recipe', ?)", (text,))


def span(low: float | None, high: float | None) -> float | None:
    """A power of four that a range does not exceed, None for a point: there are few, and none is much wider than its rows."""
    if low is None or high is None or high <= low:
        return None
    exponent = math.frexp(high - low)[1]
    return 2.0 ** (exponent + exponent % 2)


class Commits:
    """The queue of waiting commits, and the one task that empties it."""

    def __init__(self, path: str, *, durable: bool):
        self.con = connect(path, write=True, durable=durable)
        self.names = Names(self.con)
        self.waiting: list[tuple] = []
        self.task: asyncio.Task | None = None
        self.thread = ThreadPoolExecutor(1, "sqlite-write")
        self.until = 0.0
        self.turn, self.next = open(path + ".lock", "w"), open(path + ".next", "w")

    async def commit(self, work):
        """Runs work(tx); returns its result when it is durable. What it raises undoes it alone."""
        done = asyncio.get_running_loop().create_future()
        self.waiting.append((work, done))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._empty())
        return await done

    async def close(self) -> None:
        while self.task is not None and not self.task.done():
            await asyncio.wait([self.task])
        self.thread.shutdown(wait=True)
        self.con.close()
        self.turn.close()
        self.next.close()

    async def _empty(self) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting[:TOGETHER], self.waiting[TOGETHER:]
            await self._together(batch)

    async def _together(self, batch) -> None:
        """One transaction for the batch: a savepoint each, results told after the commit."""
        results = []
        try:
            await self._lock()
            base = self.con.execute("select number from counter").fetchone()[0]
            for step, (work, done) in enumerate(batch, 1):
                results.append(await self._one(work, base + step))
            self.con.execute("update counter set number=?", (base + len(batch),))
            await self._in_thread("commit")
        except BaseException as error:
            self._undo()
            results = [(False, failure(error) if isinstance(error, sqlite3.Error) else error)] * len(batch)
            if not isinstance(error, Exception):
                self._tell(batch, results)
                raise
        finally:
            fcntl.flock(self.turn, fcntl.LOCK_UN)
        self._tell(batch, results)

    @staticmethod
    def _tell(batch, results) -> None:
        for (work, done), (good, result) in zip(batch, results):
            if not done.done():
                done.set_result(result) if good else done.set_exception(result)

    async def _one(self, work, number: int) -> tuple[bool, object]:
        """Runs one commit in a savepoint; (True, result) or (False, what it raised)."""
        self.con.execute("savepoint one")
        try:
            result = await work(Tx(self.con, self.names, number))
        except Exception as error:
            reason = failure(error) if isinstance(error, sqlite3.OperationalError) else error
            if reason is not error and isinstance(reason, errors.Unavailable) or not self.con.in_transaction:
                raise
            self.con.execute("rollback to one")
            self.con.execute("release one")
            self.names.forget()
            return False, reason
        self.con.execute("release one")
        return True, result

    async def _lock(self) -> None:
        """Takes this store's write lock; where another process has it, a thread waits."""
        try:
            self._queue(0)
        except sqlite3.OperationalError:
            await asyncio.get_running_loop().run_in_executor(self.thread, self._queue, WAIT)
        finally:
            fcntl.flock(self.next, fcntl.LOCK_UN)

    def _queue(self, patience: float) -> None:
        """First the files' locks, then SQLite's. Who waits for the turn holds `next` (from its first try on): so whoever had the turn cannot
        take it again before, once its time is up."""
        limit = time.monotonic() + patience
        late = patience or time.monotonic() > self.until
        if late:
            _take(self.next, limit)
        _take(self.turn, limit)
        if late:
            self.until = time.monotonic() + TURN
        self.con.execute(f"pragma busy_timeout={int(patience * 1000)}")
        self.con.execute("begin immediate")

    async def _in_thread(self, statement: str) -> None:
        """Waiting for the disk does not stop the event loop."""
        await asyncio.get_running_loop().run_in_executor(self.thread, self.con.execute, statement)

    def _undo(self) -> None:
        self.names.forget()
        try:
            if self.con.in_transaction:
                self.con.execute("rollback")
        except sqlite3.Error:
            pass


def _take(file, limit: float) -> None:
    """The lock of a file. Errors: OperationalError where another still has it at the moment `limit`."""
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= limit:
                raise sqlite3.OperationalError("database is locked") from None
            time.sleep(0.001)
