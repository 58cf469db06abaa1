"""Sources: selects of entry numbers by which a plan can be driven, each bounded by an index, and how many entries they give."""
from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from app.search.query import And, Back, Clause, Compare, Granted, Has, Link, Not, Or, Stamp, Test, conjuncts
from app.search.words import needed
from app.store.sqlite.clauses import BOUNDING, FALSE, REF, TRUE, Compiler, Sql, join, union

NOTHING = Sql("select 0 as number where 0")
LOWER, UPPER = ("gt", "ge", "eq"), ("lt", "le", "eq")
STAMPED = {"id": "entry_version", "about": "about_patient", "number": "", "custodian": "entry_custodian", "updated": "entry_updated", "type": "entry_type"}
"""Column of a stamp -> the index that leads to it (behind the type)."""
SPANS = ("(with recursive w(span) as (select min(x.span) from row x where x.param=? and x.span is not null union all"
         " select (select min(x.span) from row x where x.param=? and x.span>w.span) from w where w.span is not null) select span from w where span is not null)")
"""The different spans of a parameter's rows, a look-up each."""
ROUNDED = 1024
"""How far apart the reals are that a whole number of a row may become: a span is a real."""
TYPES = ("(with recursive w(type) as (select min(x.type) from entry x union all select (select min(x.type) from entry x where x.type>w.type) from w"
         " where w.type is not null) select type from w where type is not null)")
"""The types of which there are entries, a look-up each."""


class Source(NamedTuple):
    """A select of entry numbers (repeats and dead versions included) that holds all which meet a clause, and its length.

    exact: every current entry that it gives meets the clause.
    """

    sql: Sql
    size: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Among(Clause):
    """The entry is one of those that a select gives: a semi-join that was asked once, from its other side."""

    sql: Sql


class Sources:
    """Finds the sources of clauses that give fewer than a number of entries, and counts no further than that."""

    def __init__(self, con: sqlite3.Connection, compiler: Compiler):
        self.con, self.compiler = con, compiler

    def few(self, clause: Clause, types: tuple[str, ...], most: int) -> Source | None:
        """The source of a clause, where it gives fewer than `most` entries."""
        make = getattr(self, f"_{type(clause).__name__.lower()}", None)
        return make(clause, types, most) if make else None

    def driver(self, where: Clause, types: tuple[str, ...], most: int) -> tuple[Source, Clause] | None:
        """The source of the conjunct that gives the fewest, and what is still to be asked of its entries."""
        best, least = None, most
        for clause in conjuncts(where):
            source = self.few(clause, types, least)
            if source is not None:
                best, least = (source, clause), source.size
            if least == 0:
                break
        return best and (best[0], rest(where, *best))

    def sets(self, clause: Clause, types: tuple[str, ...], most: int) -> Clause:
        """The clause with reverse chains from few as sets: one with very many referring to it is not asked for all of them."""
        if isinstance(clause, (And, Or)):
            return type(clause)(tuple(self.sets(p, types, most) for p in clause.parts))
        if isinstance(clause, Not):
            return Not(self.sets(clause.part, types, most))
        source = self.few(clause, types, most) if isinstance(clause, Back) else None
        return Among(source.sql) if source else clause

    def _counted(self, sql: Sql, most: int, exact: bool) -> Source | None:
        number = self.con.execute(f"select count(*) from (select 1 from ({sql.text}) limit ?)", (*sql.args, most)).fetchone()[0]
        return Source(sql, number, exact) if number < most else None

    def _has(self, clause: Has, types, most: int) -> Source | None:
        best = None
        for test in clause.tests:
            rows = self.rows(test)
            found = rows and self._counted(rows, most, len(clause.tests) == 1)
            if found:
                best, most = found, found.size
        return best

    def _and(self, clause: And, types, most: int) -> Source | None:
        best = None
        for part in clause.parts:
            found = self.few(part, types, most)
            if found:
                best, most = found, found.size
        return best and best._replace(exact=best.exact and len(clause.parts) == 1)

    def _or(self, clause: Or, types, most: int) -> Source | None:
        found = []
        for part in clause.parts:
            source = self.few(part, types, most - sum(f.size for f in found))
            if source is None:
                return None
            found.append(source)
        return Source(union([f.sql for f in found if f.size]), sum(f.size for f in found), all(f.exact for f in found))

    def _among(self, clause: Among, types, most: int) -> Source | None:
        return self._counted(clause.sql, most, True)

    def _stamp(self, clause: Stamp, types, most: int) -> Source | None:
        best = None
        for compare in clause.compares:
            sql = self._stamped(compare, types)
            found = sql and self._counted(sql, most, len(clause.compares) == 1)
            if found:
                best, most = found, found.size
        return best

    def _stamped(self, compare: Compare, types) -> Sql | None:
        column = compare.column
        if not _leads(compare):
            return None
        compiler, e = self.compiler, self.compiler.alias("e")
        table, index = ("about" if column == "about" else "entry"), STAMPED[column]
        tests = [compiler.compare(compare._replace(column="patient") if table == "about" else compare, e), compiler.types(e, types)]
        if column == "id" and not types:
            table, tests = f"{TYPES} w{e} cross join entry", [*tests, Sql(f"{e}.type=w{e}.type")]
        if column == "updated" and not types:
            index = "entry_changed"
        where = join(" and ", tests, TRUE)
        return NOTHING if FALSE in tests else Sql(f"select {e}.number as number from {table} {e} {index and 'indexed by ' + index} where {where.text}", where.args)

    def _link(self, clause: Link, types, most: int) -> Source | None:
        inner = self._inner(clause.clause, clause.types, most)
        if inner is None or inner is NOTHING:
            return inner and Source(NOTHING, 0, True)
        source, holds, t = inner
        r, param = self.compiler.alias("r"), self.compiler.intern(clause.param)
        return self._counted(Sql(f"select {r}.entry as number from ({source.text}) d{r} cross join entry {t} on {t}.number=d{r}.number cross join row {r} indexed by row_code"
                                 f" on {r}.param=? and {r}.code={REF.format(t)} where {holds.text}", (*source.args, -1 if param is None else param, *holds.args)), most, True)

    def _back(self, clause: Back, types, most: int) -> Source | None:
        inner = self._inner(clause.clause, (clause.type,), most)
        if inner is None or inner is NOTHING:
            return inner and Source(NOTHING, 0, True)
        source, holds, o = inner
        r, n, param = self.compiler.alias("r"), self.compiler.alias("n"), self.compiler.intern(clause.param)
        return self._counted(Sql(f"select {n}.number as number from ({source.text}) d{r} cross join entry {o} on {o}.number=d{r}.number cross join row {r} on {r}.entry={o}.number"
                                 f" and {r}.param=? cross join entry {n} indexed by entry_version on {n}.type=(select id from name where text=substr({r}.code,1,instr({r}.code,'/')-1))"
                                 f" and {n}.id=substr({r}.code,instr({r}.code,'/')+1) where {holds.text}", (*source.args, -1 if param is None else param, *holds.args)), most, True)

    def _inner(self, clause: Clause, types, most: int):
        """(source, condition, alias) of the entries at the other end of a semi-join; NOTHING where there are none."""
        driver = self.driver(clause, types, most)
        if driver is None:
            return None
        if driver[0].size == 0:
            return NOTHING
        alias = self.compiler.alias("t")
        return driver[0].sql, self.compiler.of(types, driver[1], alias), alias

    def _granted(self, clause: Granted, types, most: int) -> Source | None:
        all = self.compiler.of_all(clause)
        if self.con.execute(all.text, all.args).fetchone():
            return None
        found = [self.compiler.given(clause, step, types) for step in range(len(clause.on))]
        return self._counted(union(found), most, len(clause.on) == 1)

    # rows

    def rows(self, test: Test) -> Sql | None:
        """The numbers of entries with a row that meets a test, by the index that bounds it; None where none does."""
        compiler, r = self.compiler, self.compiler.alias("r")
        param = compiler.intern(test.param)
        if param is None or FALSE in [compiler.compare(c, r) for c in test.compares]:
            return NOTHING
        if asked := pieces(test, param):
            exact, p = compiler.probe(test, r), compiler.alias("p")
            return Sql(f"select {p}.rowid as number from piece {p} cross join row {r} on {r}.entry={p}.rowid and {exact.text} where {p}.piece match ?", (*exact.args, asked))
        exact, index = compiler.test(test, r), _leading(test)
        if index in ("row_low", "row_span"):
            return self._range(test, r, param, exact, index)
        return Sql(f"select {r}.entry as number from row {r} indexed by {index} where {exact.text}", exact.args) if index else None

    def _range(self, test: Test, r: str, param: int, exact: Sql, index: str) -> Sql:
        """Rows by their range. Where it begins is not after its end; what reaches to a moment begins there or later, or no more before than its span is at most."""
        found = {(c.column, way): c.value for c in test.compares for way, hows in (("from", LOWER), ("to", UPPER)) if c.how in hows}
        where = [exact]
        if ("high", "to") in found and ("low", "to") not in found:
            where.append(self.compiler.compare(Compare("low", "le", found["high", "to"]), r))
        if index == "row_low":
            made = join(" and ", where, TRUE)
            return Sql(f"select {r}.entry as number from row {r} indexed by row_low where {made.text}", made.args)
        start = self.compiler.value(found["high", "from"])
        reached = start - ROUNDED if isinstance(start, int) else start
        after, across = join(" and ", [*where, Sql(f"{r}.low>=?", (start,))], TRUE), join(" and ", [*where, Sql(f"{r}.span=w{r}.span and {r}.low>=?-w{r}.span and {r}.low<?", (reached, start))], TRUE)
        return Sql(f"select {r}.entry as number from row {r} indexed by row_low where {after.text} union all"
                   f" select {r}.entry from {SPANS} w{r} cross join row {r} indexed by row_span where {across.text}", (*after.args, param, param, *across.args))


def index(clause: Clause, types: tuple[str, ...]) -> str:
    """The index that finds a clause's entries; empty where none does."""
    if isinstance(clause, Has):
        return next(filter(None, map(_leading, clause.tests)), "")
    if isinstance(clause, Stamp):
        return next((STAMPED[c.column] or "primary key" for c in clause.compares if _leads(c)), "")
    if isinstance(clause, And):
        return next(filter(None, (index(p, types) for p in clause.parts)), "")
    if isinstance(clause, Or):
        found = [index(p, types) for p in clause.parts]
        return " and ".join(dict.fromkeys(found)) if all(found) else ""
    if isinstance(clause, (Link, Back)):
        inner = index(clause.clause, clause.types if isinstance(clause, Link) else (clause.type,))
        return inner and f"{inner}, then {'row_code' if isinstance(clause, Link) else 'entry_version'}"
    return "fact_grantee" if isinstance(clause, Granted) else ""


def _leads(compare: Compare) -> bool:
    return compare.column in STAMPED and (compare.how in ("eq", "in") or compare.column == "updated" and compare.how in BOUNDING)


def _leading(test: Test) -> str:
    """The index that bounds the rows of a test."""
    if pieces(test, 0):
        return "piece"
    for column, name in (("code", "row_code"), ("text", "row_text")):
        if any(c.column == column and c.how in BOUNDING and c.value != "" for c in test.compares):
            return name
    ends = {(c.column, way) for c in test.compares if c.column in ("low", "high") for way, hows in (("from", LOWER), ("to", UPPER)) if c.how in hows}
    if ("low", "from") in ends or ends and ("high", "from") not in ends:
        return "row_low"
    return "row_span" if ends else ""


def pieces(test: Test, param: int) -> str:
    """What FTS5 is asked for the words that a row shall contain; empty where there is no such comparison. https://www.sqlite.org/fts5.html"""
    texts = [needed(c.value) for c in test.compares if c.column == "words" and c.how == "contains"]
    return " ".join(f'"{param}x{piece}"{mark}' for whole, begun in texts for found, mark in ((whole, ""), (begun, "*")) for piece in found)


def rest(where: Clause, source: Source, driver: Clause) -> Clause:
    """What is still to be asked of the entries that a conjunct's source gives."""
    return And(tuple(clause for clause in conjuncts(where) if clause is not driver)) if source.exact else where
