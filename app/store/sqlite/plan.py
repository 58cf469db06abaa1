"""How a query is run: which clause drives, what is probed. The answer and its order never depend on it, only the cost does.

A clause that matches few entries drives and the rest is probed by row id; where all match many, the order asked for is followed
through the index that has it, until the page is full.
"""
from __future__ import annotations

import sqlite3
from typing import NamedTuple

from app.search.query import And, Clause, Compare, Has, Key, Query, conjuncts
from app.store.sqlite.clauses import SINGLE, TRUE, Compiler, Sql, join

FEW = 300
"""A driver with fewer entries than this is run to its end and sorted; it also bounds what counting a driver costs."""

MANY = 10_000
"""A count reads all that its driver gives: one with fewer than this is looked for before any will do."""


class Driver(NamedTuple):
    """What gives entries, and the clause that is still to be asked of them."""

    source: Sql
    rest: Clause


def select(con: sqlite3.Connection, compiler: Compiler, query: Query, columns: str, limit: int, after: tuple | None) -> list[tuple]:
    """The first `limit` rows `(columns..., place...)` after the place `after`."""
    driver = fewest(con, compiler, query)
    if driver is not None and not query.sort:
        return _few(con, compiler, query, columns, limit, after, driver)
    if driver is not None or len(query.sort) > 1:
        return _sorted(con, compiler, query, columns, limit, after, driver)
    if query.sort and query.sort[0].param:
        return _along(con, compiler, query, columns, limit, after)
    return _newest(con, compiler, query, columns, limit, after)


def count(con: sqlite3.Connection, compiler: Compiler, query: Query) -> int:
    driver = fewest(con, compiler, query) or fewest(con, compiler, query, MANY) or _any_source(compiler, query)
    start, holds = _start(compiler, query, driver)
    return con.execute(f"select count(*) from {start.text} where {holds.text}", (*start.args, *holds.args)).fetchone()[0]


def _start(compiler: Compiler, query: Query, driver: Driver | None) -> tuple[Sql, Sql]:
    """Where entries come from, each once, and the condition that they still have to meet."""
    if driver is None:
        return Sql("entry e"), compiler.of(query.types, query.where, "e")
    source, rest = driver
    return Sql(f"(select distinct number from ({source.text})) d cross join entry e on e.number=d.number", source.args), compiler.of(query.types, rest, "e")


def explain(con: sqlite3.Connection, compiler: Compiler, query: Query) -> str:
    """The plan's name, for people."""
    if fewest(con, compiler, query) is not None:
        return "few: one clause drives, the rest is probed"
    return "order: the sort index is followed, all is probed" if query.sort else "newest: entries are followed from the newest, all is probed"


def fewest(con: sqlite3.Connection, compiler: Compiler, query: Query, few: int = FEW) -> Driver | None:
    """The conjunct that gives the fewest entries, where that is few."""
    best, least = None, few
    for clause in conjuncts(query.where):
        source = compiler.source(clause, query.types)
        if source is None:
            continue
        number = con.execute(f"select count(*) from (select 1 from ({source.text}) limit {least})", source.args).fetchone()[0]
        if number < least:
            best, least = Driver(source, _rest(query.where, clause)), number
        if number == 0:
            break
    return best


def _any_source(compiler: Compiler, query: Query) -> Driver | None:
    sources = ((compiler.source(clause, query.types), clause) for clause in conjuncts(query.where))
    return next((Driver(source, _rest(query.where, clause)) for source, clause in sources if source), None)


def _rest(where: Clause, driver: Clause) -> Clause:
    """A single test gives just the entries that meet it; other sources may give more."""
    if isinstance(driver, Has) and len(driver.tests) == 1:
        return And(tuple(clause for clause in conjuncts(where) if clause is not driver))
    return where


def _value(compiler: Compiler, key: Key) -> Sql:
    """The value by which an entry is sorted: of its first row in the key's direction."""
    if not key.param:
        return Sql(f"e.{key.column}")
    param = compiler.intern(key.param)
    rows = join(" and ", [Sql("k.entry=e.number"), Sql("k.param=?", (param if param is not None else -1,)), *(compiler.compare(c, "+k") for c in key.compares)], TRUE)
    return Sql(f"(select {'max' if key.descending else 'min'}(k.{key.column}) from row k where {rows.text})", rows.args)


def _few(con, compiler, query, columns, limit, after, driver) -> list[tuple]:
    """The matches of a driver, newest first: SQLite goes down its numbers, sorts nothing and stops at the limit."""
    bound = Sql("e.number<?", (after[-1],)) if after else TRUE
    where = join(" and ", [Sql(f"e.number in ({driver.source.text})", driver.source.args), compiler.of(query.types, driver.rest, "e"), bound], TRUE)
    return con.execute(f"select {columns}, e.number from entry e not indexed where {where.text} order by e.number desc limit ?", (*where.args, limit)).fetchall()


def _sorted(con, compiler, query, columns, limit, after, driver) -> list[tuple]:
    """All matches of a driver (or of the type) are found and sorted."""
    start, holds = _start(compiler, query, driver)
    values = [_value(compiler, key) for key in query.sort]
    inner = "".join(f", {v.text} as k{i}" for i, v in enumerate(values))
    args = [a for v in values for a in v.args] + list(start.args) + list(holds.args)
    beyond = _beyond([(f"k{i}", key.descending) for i, key in enumerate(query.sort)], after)
    order = "".join(f"k{i} is null, k{i}{' desc' if key.descending else ''}, " for i, key in enumerate(query.sort))
    places = "".join(f", k{i}" for i in range(len(values)))
    text = f"select {columns}{places}, e.number from (select e.*{inner} from {start.text} where {holds.text}) e where {beyond.text} order by {order}e.number desc limit ?"
    return con.execute(text, (*args, *beyond.args, limit)).fetchall()


def _beyond(keys: list[tuple[str, bool]], after: tuple | None) -> Sql:
    """The condition that an entry comes after a place: keyset paging, missing values last, then the number downwards."""
    if after is None:
        return TRUE
    *values, number = after
    ways, equal = [], []
    for (name, descending), value in zip(keys, values):
        if value is not None:
            later = Sql(f"({name} is null or {name}{'<' if descending else '>'}?)", (value,))
            ways.append(join(" and ", [*equal, later], TRUE))
        equal.append(Sql(f"{name} is ?", (value,)))
    ways.append(join(" and ", [*equal, Sql("e.number<?", (number,))], TRUE))
    return join(" or ", ways, TRUE)


def _newest(con, compiler, query, columns, limit, after) -> list[tuple]:
    """From the newest entry down: along the rows of one code where there is an equality on one, else along the type."""
    follow = next((c.tests[0] for c in conjuncts(query.where) if isinstance(c, Has) and len(c.tests) == 1 and _fixed(c.tests[0])), None)
    key = query.sort[0] if query.sort else None
    if key is not None:  # a column of the stamp, such as updated: no row index has it
        return _sorted(con, compiler, query, columns, limit, after, None)
    parts = [compiler.of(query.types, query.where, "e")]
    bound = Sql("e.number<?", (after[-1],)) if after else TRUE
    if follow is None:
        if len(query.types) == 1:
            text, order = "entry e indexed by entry_type", "e.number"
        else:
            text, order = "entry e not indexed", "e.number"
        where = join(" and ", [*parts, bound], TRUE)
        return con.execute(f"select {columns}, e.number from {text} where {where.text} order by {order} desc limit ?", (*where.args, limit)).fetchall()
    test = compiler.test(follow, "s")
    earlier = compiler.probe(follow, "s2")
    bound = Sql("s.entry<?", (after[-1],)) if after else TRUE
    first = Sql(f"not exists(select 1 from row s2 where s2.entry=s.entry and s2.place<s.place and {earlier.text})", earlier.args)
    where = join(" and ", [test, bound, first, *parts], TRUE)
    return con.execute(f"select {columns}, e.number from row s indexed by row_code cross join entry e on e.number=s.entry where s.code is not null and {where.text}"
                       f" order by s.entry desc limit ?", (*where.args, limit)).fetchall()


def _fixed(test) -> bool:
    return any(c.column == "code" and c.how == "eq" for c in test.compares)


def _along(con, compiler, query, columns, limit, after) -> list[tuple]:
    """Along the index of the only sort key; entries without a value come when those with one are through."""
    key = query.sort[0]
    found: list[tuple] = []
    if after is None or after[0] is not None:
        found = _with_value(con, compiler, query, columns, limit, after, key)
    if len(found) < limit and not _needed(query, key):
        rest = after if after is not None and after[0] is None else None
        found += _without_value(con, compiler, query, columns, limit - len(found), rest, key)
    return found


def _needed(query: Query, key: Key) -> bool:
    """A match always has a value, because a test asks for it."""
    return bool(key.compares) and any(isinstance(c, Has) and c.tests[0].param == key.param and c.tests[0].compares == key.compares for c in conjuncts(query.where))


def _with_value(con, compiler, query, columns, limit, after, key) -> list[tuple]:
    param = compiler.intern(key.param)
    if param is None:
        return []
    column, desc = key.column, " desc" if key.descending else ""
    here = [Sql("s.param=?", (param,)), Sql(f"s.{column} is not null"), *(compiler.compare(c, "s") for c in key.compares)]
    worse = "<" if not key.descending else ">"
    better = join(" and ", [Sql("b.entry=s.entry"), Sql("b.param=s.param"), *(compiler.compare(c, "+b") for c in key.compares),
                            Sql(f"(+b.{column}{worse}s.{column} or (+b.{column}=s.{column} and b.place<s.place))")], TRUE)
    bound = TRUE
    if after is not None:
        past = "<" if key.descending else ">"
        bound = Sql(f"s.{column}{past}=? and (s.{column}{past}? or s.entry<?)", (after[0], after[0], after[1]))
    holds = compiler.of(query.types, query.where, "e")
    where = join(" and ", [*here, bound, Sql(f"not exists(select 1 from row b where {better.text})", better.args), holds], TRUE)
    return con.execute(f"select {columns}, s.{column}, e.number from row s indexed by {SINGLE[column]} cross join entry e on e.number=s.entry where {where.text}"
                       f" order by s.{column}{desc}, s.entry desc limit ?", (*where.args, limit)).fetchall()


def _without_value(con, compiler, query, columns, limit, after, key) -> list[tuple]:
    param = compiler.intern(key.param)
    rows = join(" and ", [Sql("k.entry=e.number"), Sql("k.param=?", (param if param is not None else -1,)), Sql(f"+k.{key.column} is not null"),
                          *(compiler.compare(c, "+k") for c in key.compares)], TRUE)
    bound = Sql("e.number<?", (after[1],)) if after else TRUE
    holds = compiler.of(query.types, query.where, "e")
    where = join(" and ", [holds, bound, Sql(f"not exists(select 1 from row k where {rows.text})", rows.args)], TRUE)
    index = " indexed by entry_type" if len(query.types) == 1 else ""
    return con.execute(f"select {columns}, null, e.number from entry e{index} where {where.text} order by e.number desc limit ?", (*where.args, limit)).fetchall()
