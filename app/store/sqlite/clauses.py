"""Clauses as SQL: conditions on an entry, and sources of entries that a plan can be driven by."""
from __future__ import annotations

from typing import NamedTuple

from app.search import query as q
from app.search.query import And, Back, Clause, Compare, Granted, Has, Link, Not, Or, Stamp, Test

OPERATORS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
BOUNDING = {"eq", "in", "prefix", "lt", "le", "gt", "ge"}
"""Comparisons that bound an index."""
INTERNED = {"type", "custodian", "system"}
STAMPS = {"type", "id", "version", "updated", "custodian", "date", "writer", "labels", "many", "guard", "number"}
SINGLE = {"code": "row_code", "text": "row_text", "low": "row_low", "high": "row_high"}
"""Column of a row -> the index that leads with it."""


class Sql(NamedTuple):
    """A piece of SQL and its arguments, in order."""

    text: str
    args: tuple = ()


FALSE, TRUE = Sql("1=0"), Sql("1")
"""Not `0`: SQLite drops what stands beside that, and then a partial index that the rest allows is no longer one."""


TERMS = 100
"""Parts that are put together at one level: SQLite's depth of an expression and terms of a union are bounded, not their number in all."""


def join(glue: str, parts: list[Sql], empty: Sql) -> Sql:
    if not parts:
        return empty
    if len(parts) > TERMS:
        return join(glue, [join(glue, chunk, empty) for chunk in chunks(parts)], empty)
    return Sql("(" + glue.join(p.text for p in parts) + ")", tuple(a for p in parts for a in p.args)) if len(parts) > 1 else parts[0]


def union(parts: list[Sql]) -> Sql:
    """A select of all the numbers that the selects give."""
    if len(parts) > TERMS:
        return union([Sql(f"select number from ({made.text})", made.args) for made in map(union, chunks(parts))])
    return Sql(" union all ".join(p.text for p in parts) or "select 0 as number where 0", tuple(a for p in parts for a in p.args))


def chunks(parts: list) -> list[list]:
    return [parts[i:i + TERMS] for i in range(0, len(parts), TERMS)]


class Compiler:
    """Turns clauses into SQL as of commit `at` and at the moment `now`; `intern` gives the number of a name, or None."""

    def __init__(self, intern, at: int, now: int):
        self.intern, self.at, self.now, self.depth = intern, at, now, 0

    def alias(self, letter: str) -> str:
        self.depth += 1
        return f"{letter}{self.depth}"

    def alive(self, e: str) -> Sql:
        return Sql(f"{e}.born<=? and {e}.died>? and {e}.deleted=0", (self.at, self.at))

    def types(self, e: str, types: tuple[str, ...]) -> Sql:
        if not types:
            return TRUE
        known = [n for n in map(self.intern, types) if n is not None]
        return Sql(f"{e}.type in ({','.join('?' * len(known))})", tuple(known)) if known else FALSE

    # conditions

    def clause(self, clause: Clause, e: str) -> Sql:
        """The condition that `clause` holds for the entry at alias `e`."""
        return getattr(self, f"_{type(clause).__name__.lower()}")(clause, e)

    def _and(self, clause: And, e: str) -> Sql:
        return join(" and ", [self.clause(p, e) for p in clause.parts], TRUE)

    def _or(self, clause: Or, e: str) -> Sql:
        return join(" or ", [self.clause(p, e) for p in clause.parts], FALSE)

    def _not(self, clause: Not, e: str) -> Sql:
        inner = self.clause(clause.part, e)
        return Sql(f"not coalesce({inner.text},0)", inner.args)

    def _stamp(self, clause: Stamp, e: str) -> Sql:
        return join(" and ", [self._stamp_compare(c, e) for c in clause.compares], TRUE)

    def _stamp_compare(self, compare: Compare, e: str) -> Sql:
        if compare.column == "about":
            inner = self.compare(compare._replace(column="patient"), "a")
            return Sql(f"exists(select 1 from about a where a.number={e}.number and {inner.text})", inner.args)
        if compare.column not in STAMPS:
            raise ValueError(f"no stamp column {compare.column}")
        return self.compare(compare, e)

    def _has(self, clause: Has, e: str) -> Sql:
        return self._same(clause.tests, Sql(f"{e}.number"), "")

    def _same(self, tests: tuple[Test, ...], entry: Sql, group: str) -> Sql:
        """There is a row of `entry` for the first test, and beside it rows of the same group for the others."""
        test, rest = tests[0], tests[1:]
        r = self.alias("r")
        conditions = [Sql(f"{r}.entry={entry.text}", entry.args), self.probe(test, r)]
        if group:
            conditions.append(Sql(f"{r}.grp={group}"))
        if rest:
            conditions.append(self._same(rest, Sql(f"{r}.entry"), f"{r}.grp"))
        inner = join(" and ", conditions, TRUE)
        return Sql(f"exists(select 1 from row {r} where {inner.text})", inner.args)

    def _link(self, clause: Link, e: str) -> Sql:
        r, t = self.alias("r"), self.alias("t")
        param = self.intern(clause.param)
        inner = self.of(clause.types, clause.clause, t)
        if param is None:
            return FALSE
        return Sql(f"exists(select 1 from row {r} cross join entry {t} on {t}.type=(select id from name where text=substr({r}.code,1,instr({r}.code,'/')-1))"
                   f" and {t}.id=substr({r}.code,instr({r}.code,'/')+1) where {r}.entry={e}.number and {r}.param=? and {inner.text})", (param, *inner.args))

    def _back(self, clause: Back, e: str) -> Sql:
        r, o = self.alias("r"), self.alias("o")
        param = self.intern(clause.param)
        inner = self.of((clause.type,), clause.clause, o)
        if param is None:
            return FALSE
        return Sql(f"exists(select 1 from row {r} cross join entry {o} on {o}.number={r}.entry where {r}.param=?"
                   f" and {r}.code=(select text from name where id={e}.type)||'/'||{e}.id and {inner.text})", (param, *inner.args))

    def _granted(self, clause: Granted, e: str) -> Sql:
        f = self.alias("f")
        conditions = [self.compare(c, f) for c in clause.compares] + [self._agrees(f, e, *pair) for pair in clause.on]
        inner = join(" and ", conditions, TRUE)
        return Sql(f"exists(select 1 from fact {f} where {inner.text})", inner.args)

    def _agrees(self, f: str, e: str, column: str, stamp: str) -> Sql:
        if stamp == "about":
            there = f"exists(select 1 from about a where a.number={e}.number and a.patient={f}.{column})"
        elif stamp == "ref":
            there = f"{f}.{column}=(select text from name where id={e}.type)||'/'||{e}.id"
        elif stamp in INTERNED:
            there = f"{f}.{column}=(select text from name where id={e}.{stamp})"
        else:
            there = f"{f}.{column}={e}.{stamp}"
        return Sql(f"({f}.{column} is null or {there})")

    def of(self, types: tuple[str, ...], clause: Clause, e: str) -> Sql:
        """The entry at `e` is current, of one of the types, and meets the clause."""
        return join(" and ", [self.types(e, types), self.alive(e), self.clause(clause, e)], TRUE)

    # rows

    def test(self, test: Test, r: str) -> Sql:
        param = self.intern(test.param)
        if param is None:
            return FALSE
        return join(" and ", [Sql(f"{r}.param=?", (param,)), *(self.compare(c, r) for c in test.compares)], TRUE)

    def probe(self, test: Test, r: str) -> Sql:
        """The test on rows whose entry is known: the unary plus keeps SQLite from leaving the key led by the entry for another."""
        param = self.intern(test.param)
        if param is None:
            return FALSE
        return join(" and ", [Sql(f"{r}.param=?", (param,)), *(self.compare(c, "+" + r) for c in test.compares)], TRUE)

    def compare(self, compare: Compare, alias: str) -> Sql:
        """One comparison on a column of `alias`; an unknown name matches nothing."""
        column, how, value = compare
        value = self.now if value is q.NOW else value
        name = f"{alias}.{column}"
        if how == "within":
            x, y, sign, limit = value
            return Sql(f"?*(({alias}.low-?)*({alias}.low-?)+({alias}.high-?)*({alias}.high-?))<=?", (sign, x, x, y, y, limit))
        if how in ("none", "some"):
            return Sql(f"{name} is {'not ' if how == 'some' else ''}null")
        if how == "lacks":
            return Sql(f"({name}&?)=0", (value,))
        if how == "in":
            values = tuple(v for v in (map(self.name, value) if column in INTERNED else value) if v is not None)
            return Sql(f"{name} in ({','.join('?' * len(values))})", values) if values else FALSE
        if how == "prefix":
            return Sql(f"{name}>=? and {name}<?", (value, after(value))) if value else Sql(f"{name} is not null")
        if how == "contains":
            return Sql(f"instr({name},?)>0", (value,))
        if how == "suffix":
            return Sql(f"substr({name},-length(?))=?", (value, value)) if value else Sql(f"{name} is not null")
        if column in INTERNED:
            value = self.name(value)
            if value is None:
                return Sql(f"{name} is not null") if how == "ne" else FALSE
        return Sql(f"{name}{OPERATORS[how]}?", (value,))

    def name(self, text: str):
        return -1 if text == "" else self.intern(text)

    # sources: entry numbers that a clause can give by itself, repeats and dead versions included

    def source(self, clause: Clause, types: tuple[str, ...]) -> Sql | None:
        """A select of entry numbers, bounded by an index, that holds every entry which meets the clause; None where there is none."""
        make = getattr(self, f"_source_{type(clause).__name__.lower()}", None)
        return make(clause, types) if make else None

    def _source_has(self, clause: Has, types) -> Sql | None:
        r = self.alias("r")
        test = clause.tests[0]
        if not any(c.how in BOUNDING for c in test.compares):
            return None
        inner = self.test(test, r)
        return Sql(f"select {r}.entry as number from row {r} where {inner.text}", inner.args)

    def _source_or(self, clause: Or, types) -> Sql | None:
        parts = [self.source(p, types) for p in clause.parts]
        if None in parts:
            return None
        return union(parts)

    def _source_and(self, clause: And, types) -> Sql | None:
        return next(filter(None, (self.source(p, types) for p in clause.parts)), None)

    def _source_stamp(self, clause: Stamp, types) -> Sql | None:
        for compare in clause.compares:
            if compare.how not in ("eq", "in"):
                continue
            if compare.column == "id" and types:
                e = self.alias("e")
                inner = join(" and ", [self.types(e, types), self.compare(compare, e)], TRUE)
                return Sql(f"select {e}.number as number from entry {e} where {inner.text}", inner.args)
            if compare.column == "about":
                inner = self.compare(compare._replace(column="patient"), "a")
                return Sql(f"select a.number as number from about a where {inner.text}", inner.args)
            if compare.column == "number":
                inner = self.compare(compare, "n")
                return Sql(f"select n.number as number from entry n where {inner.text}", inner.args)
        return None

    def _source_link(self, clause: Link, types) -> Sql | None:
        param = self.intern(clause.param)
        inner = self.source(clause.clause, clause.types)
        if inner is None or param is None:
            return inner if param is not None else Sql("select 0 as number where 0")
        r, t = self.alias("r"), self.alias("t")
        holds = self.of(clause.types, clause.clause, t)
        return Sql(f"select {r}.entry as number from ({inner.text}) d{r} cross join entry {t} on {t}.number=d{r}.number cross join row {r} on {r}.param=?"
                   f" and {r}.code=(select text from name where id={t}.type)||'/'||{t}.id where {holds.text}", (*inner.args, param, *holds.args))

    def _source_back(self, clause: Back, types) -> Sql | None:
        param = self.intern(clause.param)
        inner = self.source(clause.clause, (clause.type,))
        if inner is None or param is None:
            return inner if param is not None else Sql("select 0 as number where 0")
        r, o, n = self.alias("r"), self.alias("o"), self.alias("n")
        holds = self.of((clause.type,), clause.clause, o)
        return Sql(f"select {n}.number as number from ({inner.text}) d{r} cross join entry {o} on {o}.number=d{r}.number cross join row {r} on {r}.entry={o}.number"
                   f" and {r}.param=? cross join entry {n} on {n}.type=(select id from name where text=substr({r}.code,1,instr({r}.code,'/')-1))"
                   f" and {n}.id=substr({r}.code,instr({r}.code,'/')+1) where {holds.text}", (*inner.args, param, *holds.args))


def after(text: str) -> str:
    """The least text that comes after every text with this prefix (by code point, which is also the order of UTF-8)."""
    last = ord(text[-1])
    return text[:-1] + chr(0xE000 if last == 0xD7FF else last + 1) if last < 0x10FFFF else text + "\U0010ffff"
