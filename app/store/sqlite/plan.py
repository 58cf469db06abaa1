"""How a query is run: which clause drives, what is probed. The answer and its order never depend on it, only the cost does.

A clause that gives few entries drives, and the rest is probed by row id. Where none gives few, the order asked for is followed through its
index, as many candidates as would have been few; if those do not fill the page, a clause may give somewhat more, and so on: whatever
is cheaper of the two is found at a small multiple of its own cost, and no statistics are kept.
"""
from __future__ import annotations

import sqlite3
from typing import NamedTuple

from app.search.query import And, Clause, Compare, Has, Key, Not, Query, Stamp, Test, both, conjuncts, narrowed
from app.store.base import Plan
from app.store.sqlite.clauses import TRUE, Compiler, Sql, join
from app.store.sqlite.sources import Source, Sources, index

FEW = 200
"""Entries that are few: a driver of fewer is run to its end and sorted; it also bounds what counting one costs."""
MORE = 4
"""By how much more is few in the next round."""
LISTED = 16
"""Codes of a list whose indexes are followed side by side."""
INDEX = {"code": "row_code", "text": "row_text", "low": "row_low"}
"""Column of a row -> the index in its order."""
STAMPED = {"updated": "entry_updated", "id": "entry_version"}
"""Column of a stamp -> the index in its order, within a type."""


class Stream(NamedTuple):
    """Candidates in an order: `select(place)` gives those after it as (number, k), without a limit. `check` is asked of each, of `c` and `e`;
    `where` is what is left of the clause. `begins`: the place before its first, where that is not the search's own."""

    select: object
    where: Clause
    check: Sql = TRUE
    begins: tuple | None = None


def select(con: sqlite3.Connection, compiler: Compiler, query: Query, columns: str, limit: int, after: tuple | None) -> list[tuple]:
    """The first `limit` rows `(columns..., place...)` after the place `after`."""
    return Search(con, compiler, query, Sql(columns)).page(limit, after)


def count(con: sqlite3.Connection, compiler: Compiler, query: Query) -> int:
    """How many entries match. All that drives is looked at, so that a driver of few is looked for longer."""
    search = Search(con, compiler, query, Sql("1"))
    driver = next((d for d in (search.driver(most) for most in (FEW, FEW * 16, FEW * 256, 2**40)) if d), None)
    start, holds = search.start(driver)
    return con.execute(f"select count(*) from {start.text} where {holds.text}", (*start.args, *holds.args)).fetchone()[0]


def plan(query: Query, sizes: tuple[int, ...]) -> Plan:
    """See app.store.base.Store.plan."""
    parts = conjuncts(query.where)
    found = [(size, place, name) for place, (part, size) in enumerate(zip(parts, sizes)) if size < FEW and (name := index(part, query.types))]
    if found:
        _, place, name = min(found)
        return Plan(parts[place], name, (*parts[:place], *parts[place + 1:]), "")
    return Plan(None, "", parts, _order(query, parts))


def _order(query: Query, parts: tuple[Clause, ...]) -> str:
    """The index that the order follows."""
    if not query.sort:
        return "row_code" if any(map(_listed, parts)) else "entry_type" if query.types else "primary key"
    key = query.sort[0]
    if not _indexed(key):
        return ""
    return INDEX[key.column] if key.param else STAMPED[key.column] if query.types else "entry_changed"


class Search:
    """One search of a snapshot; `columns` are selected of the entry at `e`."""

    def __init__(self, con: sqlite3.Connection, compiler: Compiler, query: Query, columns: Sql):
        self.con, self.compiler, self.columns, self.types, self.keys = con, compiler, columns, query.types, query.sort
        self.sources = Sources(con, compiler)
        self.where = self.sources.sets(narrowed(query.where, query.types), query.types, FEW)

    def page(self, limit: int, after: tuple | None) -> list[tuple]:
        driver = self.driver(FEW)
        if driver is not None or self.keys and not _indexed(self.keys[0]):
            return self._driven(driver, limit, after)
        if len(self.keys) > 1:
            return self._grouped(limit, after)
        found, most = [], FEW
        for stream in self._streams(after):
            place = after if stream.begins is None or after and after[0] is None else stream.begins
            while True:
                found += self._candidates(stream, place, most, limit - len(found))
                if len(found) >= limit:
                    return found
                place = self._last(stream, place, most)
                if place is None:
                    break
                most *= MORE
                driver = self.driver(most)
                if driver is not None:
                    return self._driven(driver, limit, after)
        return found

    def driver(self, most: int) -> tuple[Source, Clause] | None:
        return self.sources.driver(self.where, self.types, most)

    # few: a driver is run to its end

    def start(self, driver) -> tuple[Sql, Sql]:
        """Where entries come from, each once, and the condition that they still have to meet."""
        if driver is None:
            return Sql("entry e"), self.compiler.of(self.types, self.where, "e")
        source, rest = driver
        return Sql(f"(select distinct number from ({source.sql.text})) d cross join entry e on e.number=d.number", source.sql.args), self.compiler.of(self.types, rest, "e")

    def _driven(self, driver, limit: int, after: tuple | None) -> list[tuple]:
        """The matches of a driver (all entries, without one), sorted."""
        start, holds = self.start(driver)
        values = [self._value(key) for key in self.keys]
        inner = "".join(f", {v.text} as k{i}" for i, v in enumerate(values))
        beyond = _beyond([(f"k{i}", key.descending) for i, key in enumerate(self.keys)], after)
        order = "".join(f"k{i} is null, k{i}{_way(key)}, " for i, key in enumerate(self.keys))
        places = "".join(f", k{i}" for i in range(len(values)))
        text = (f"select {self.columns.text}{places}, e.number from (select e.*{inner} from {start.text} where {holds.text}) e where {beyond.text}"
                f" order by {order}e.number{_way(*self.keys[-1:])} limit ?")
        args = (*self.columns.args, *(a for v in values for a in v.args), *start.args, *holds.args, *beyond.args, limit)
        return self.con.execute(text, args).fetchall()

    def _value(self, key: Key) -> Sql:
        """The value by which an entry is sorted: of its first row in the key's direction. (The plus keeps SQLite from looking for it in an index of all.)"""
        if not key.param:
            return Sql(f"e.{key.column}")
        params = [-1 if number is None else number for number in map(self.compiler.intern, key.params)]
        k = self.compiler.alias("k")
        rows = join(" and ", [Sql(f"{k}.entry=e.number"), Sql(f"{k}.param in ({','.join('?' * len(params))})", tuple(params)), *(self.compiler.compare(c, "+" + k) for c in key.compares)], TRUE)
        return Sql(f"(select {'max' if key.descending else 'min'}(+{k}.{key.column}) from row {k} where {rows.text})", rows.args)

    # many: an order is followed

    def _candidates(self, stream: Stream, place, most: int, limit: int) -> list[tuple]:
        """Those of the next `most` candidates that match."""
        candidates, holds = stream.select(place), self.compiler.of(self.types, stream.where, "e")
        key = ", c.k" if self.keys else ""
        text = (f"select {self.columns.text}{key}, e.number from ({candidates.text} limit ?) c cross join entry e on e.number=c.number"
                f" where {holds.text} and {stream.check.text} limit ?")
        return self.con.execute(text, (*self.columns.args, *candidates.args, most, *holds.args, *stream.check.args, limit)).fetchall()

    def _last(self, stream: Stream, place, most: int) -> tuple | None:
        """The place of the last of the next `most` candidates; None where there are not so many."""
        candidates = stream.select(place)
        found = self.con.execute(f"{candidates.text} limit 1 offset ?", (*candidates.args, most - 1)).fetchone()
        return found and (found[1], found[0])

    def _streams(self, after: tuple | None):
        """The streams that make up the order. The first begins at `after`, unless what it gives is through."""
        key = self.keys[0] if self.keys else None
        if key is None:
            yield self._newest()
        elif not key.param:
            yield Stream(lambda place: self._by_type(key, place), self.where)
        else:
            value = self._value(key)
            if after is None or after[0] is not None:
                yield Stream(lambda place: self._along(key, place), self.where, Sql(f"c.k={value.text}", value.args))
            yield Stream(lambda place: self._by_type(key, place), self.where, Sql(f"{value.text} is null", value.args), (None, 2**62 if key.descending else -1))

    def _newest(self) -> Stream:
        """From the newest down: along the rows of a code that is asked for, else by type."""
        followed = [c for c in conjuncts(self.where) if _listed(c)]
        if not followed:
            return Stream(lambda place: self._by_type(None, place), self.where)
        clause = min(followed, key=self._reaches) if len(followed) > 1 else followed[0]
        test = clause.tests[0]
        rest = And(tuple(c for c in conjuncts(self.where) if c is not clause)) if len(test.compares) == 1 else self.where
        return Stream(lambda place: self._by_code(test, place), rest)

    def _reaches(self, clause: Has) -> int:
        """The oldest of the newest few with a code: the rarer it is, the older."""
        candidates = self._by_code(clause.tests[0], None)
        return self.con.execute(f"select min(number) from ({candidates.text} limit ?)", (*candidates.args, FEW)).fetchone()[0] or 0

    def _by_code(self, test: Test, place) -> Sql:
        param = self.compiler.intern(test.param)
        bound = Sql("s.entry<?", (place[-1],)) if place else TRUE
        parts = [Sql(f"select distinct s.entry as number, null as k from row s indexed by row_code where s.param=? and s.code=? and {bound.text}",
                     (-1 if param is None else param, code, *bound.args)) for code in _codes(test)]
        return Sql(" union ".join(p.text for p in parts) + " order by number desc", tuple(a for p in parts for a in p.args))

    def _by_type(self, key: Key | None, place) -> Sql:
        """Entries of the types, newest first or by a column of the stamp."""
        descending = key is None or key.descending
        way, past = (" desc", "<") if descending else ("", ">")
        if key is None or key.param:
            name, column = "entry_type", "null"
            bound = Sql(f"e.number{past}?", (place[-1],)) if place else TRUE
        else:
            name, column = STAMPED[key.column], f"e.{key.column}"
            bound = Sql(f"{column}{past}=? and ({column}{past}? or e.number{past}?)", (place[0], *place)) if place else TRUE
        known = [n for n in map(self.compiler.intern, self.types) if n is not None]
        if not self.types:
            name = "indexed by entry_changed" if name == "entry_updated" else "not indexed"
            parts = [Sql(f"select e.number as number, {column} as k from entry e {name} where {bound.text}", bound.args)]
        else:
            parts = [Sql(f"select e.number as number, {column} as k from entry e indexed by {name} where e.type=? and {bound.text}", (n, *bound.args)) for n in known or [-1]]
        order = f"number{way}" if column == "null" else f"k{way}, number{way}"
        return Sql(f"{' union all '.join(p.text for p in parts)} order by {order}", tuple(a for p in parts for a in p.args))

    def _along(self, key: Key, place) -> Sql:
        """Entries with a row of the key's parameter by the index of its column, one for each different value that it has."""
        way, past = (" desc", "<") if key.descending else ("", ">")
        param, column = self.compiler.intern(key.param), f"s.{key.column}"
        bounds = [self.compiler.compare(c, "s") for c in key.compares if c.column == key.column and c.how in ("lt", "le", "gt", "ge")]
        if place:
            bounds.append(Sql(f"{column}{past}=? and ({column}{past}? or s.entry{past}?)", (place[0], *place)))
        where = join(" and ", [Sql("s.param=?", (-1 if param is None else param,)), Sql(f"{column} is not null"), *bounds], TRUE)
        return Sql(f"select distinct s.entry as number, {column} as k from row s indexed by {INDEX[key.column]} where {where.text} order by {column}{way}, s.entry{way}", where.args)

    # several keys

    def _grouped(self, limit: int, after: tuple | None) -> list[tuple]:
        """The order of the first key is followed; entries with one value of it are a search of their own, in the order of the others."""
        first, others = self.keys[0], self.keys[1:]
        found = self._group(after[0], limit, after[1:]) if after else []
        if len(found) >= limit or after and after[0] is None:
            return found
        values = [self._value(key) for key in others]
        columns = Sql(", ".join([self.columns.text, *(v.text for v in values)]), (*self.columns.args, *(a for v in values for a in v.args)))
        wanted = limit - len(found)
        rows = Search(self.con, self.compiler, Query(self.types, self.where, (first,)), columns).page(wanted, after and (after[0], -1 if first.descending else 2**62))
        width = len(others)
        for value in dict.fromkeys(row[-2] for row in rows):
            group = [row for row in rows if row[-2] == value]
            if group[-1] is rows[-1] and len(rows) == wanted:
                found += self._group(value, limit - len(found), None)
            else:
                group = [(*row[:-2 - width], value, *row[-2 - width:-2], row[-1]) for row in group]
                found += _in_order(group, others)
        return found

    def _group(self, value, limit: int, after: tuple | None) -> list[tuple]:
        """The entries whose first key has this value."""
        query = Query(self.types, both(self.where, _valued(self.keys[0], value)), self.keys[1:])
        columns = Sql(f"{self.columns.text}, ?", (*self.columns.args, value))
        return Search(self.con, self.compiler, query, columns).page(limit, after)


def _indexed(key: Key) -> bool:
    return not key.also and key.column in (INDEX if key.param else STAMPED)


def _listed(clause: Clause) -> bool:
    """A test on one row for one of a few codes."""
    return isinstance(clause, Has) and len(clause.tests) == 1 and 0 < len(_codes(clause.tests[0])) <= LISTED


def _codes(test: Test) -> tuple[str, ...]:
    for c in test.compares:
        if c.column == "code" and c.how in ("eq", "in"):
            return (c.value,) if c.how == "eq" else tuple(dict.fromkeys(c.value))
    return ()


def _valued(key: Key, value) -> Clause:
    """The entries for which a key gives a value."""
    if not key.param:
        return Stamp((Compare(key.column, "none") if value is None else Compare(key.column, "eq", value),))

    def has(*compares):
        return Has((Test(key.param, (*key.compares, *compares)),))
    if value is None:
        return Not(has(Compare(key.column, "some")))
    return And((has(Compare(key.column, "eq", value)), Not(has(Compare(key.column, "gt" if key.descending else "lt", value)))))


def _in_order(rows: list[tuple], keys: tuple[Key, ...]) -> list[tuple]:
    """A few rows that end in (value, a value for each key, number), in the order of the keys."""
    rows = sorted(rows, key=lambda row: row[-1], reverse=keys[-1].descending)
    for place, key in reversed(list(enumerate(keys))):
        at = place - len(keys) - 1
        there = sorted((row for row in rows if row[at] is not None), key=lambda row: row[at], reverse=key.descending)
        rows = there + [row for row in rows if row[at] is None]
    return rows


def _way(key: Key | None = None) -> str:
    return "" if key is not None and not key.descending else " desc"


def _beyond(keys: list[tuple[str, bool]], after: tuple | None) -> Sql:
    """The condition that an entry comes after a place: keyset paging, missing values last, then the number in the last key's direction."""
    if after is None:
        return TRUE
    *values, number = after
    ways, equal = [], []
    for (name, descending), value in zip(keys, values):
        if value is not None:
            later = Sql(f"({name} is null or {name}{'<' if descending else '>'}?)", (value,))
            ways.append(join(" and ", [*equal, later], TRUE))
        equal.append(Sql(f"{name} is ?", (value,)))
    past = "<" if not keys or keys[-1][1] else ">"
    ways.append(join(" and ", [*equal, Sql(f"e.number{past}?", (number,))], TRUE))
    return join(" or ", ways, TRUE)
