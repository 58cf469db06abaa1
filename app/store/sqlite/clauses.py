"""Clauses as SQL conditions on an entry."""
from __future__ import annotations

from typing import NamedTuple

from app.search import query as q
from app.search.query import And, Back, Clause, Compare, Granted, Has, Link, Newest, Not, Or, Stamp, Test
from app.store.base import ALIVE

OPERATORS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
BOUNDING = {"eq", "in", "prefix", "lt", "le", "gt", "ge"}
"""Comparisons that bound an index."""
INTERNED = {"type", "custodian", "system"}
STAMPS = {"type", "id", "version", "updated", "custodian", "date", "writer", "labels", "many", "guard", "number"}
REF = "(select text from name where id={0}.type)||'/'||{0}.id"
"""`Type/id` of the entry at an alias."""


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
        return join(glue, [Sql(f"({made.text})", made.args) for made in (join(glue, chunk, empty) for chunk in chunks(parts))], empty)
    text = glue.join(p.text for p in parts)
    # `and` binds tightest: it needs no parentheses, each of which SQLite's parser has to remember
    return Sql(text if glue == " and " or len(parts) == 1 else f"({text})", tuple(a for p in parts for a in p.args))


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
        """Tests on single rows of one parameter are one look at its rows."""
        alike: dict[str, list[Test]] = {}
        others = []
        for part in clause.parts:
            single = isinstance(part, Has) and len(part.tests) == 1
            alike.setdefault(part.tests[0].param, []).append(part.tests[0]) if single else others.append(part)
        return join(" or ", [*(self._any(tests, e) for tests in alike.values()), *(self.clause(p, e) for p in others)], FALSE)

    def _any(self, tests: list[Test], e: str) -> Sql:
        param, r = self.intern(tests[0].param), self.alias("r")
        if param is None:
            return FALSE
        met = join(" or ", [join(" and ", [self.compare(c, "+" + r) for c in t.compares], TRUE) for t in tests], FALSE)
        return Sql(f"exists(select 1 from row {r} where {r}.entry={e}.number and {r}.param=? and {met.text})", (param, *met.args))

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
                   f" and {r}.code={REF.format(e)} and {inner.text})", (param, *inner.args))

    def _newest(self, clause: Newest, e: str) -> Sql:
        n, at = self.alias("n"), self.at
        self.at = ALIVE - 1  # what is alive last
        inner = self.clause(clause.part, n)
        self.at = at
        return Sql(f"exists(select 1 from entry {n} where {n}.type={e}.type and {n}.id={e}.id and {n}.died={ALIVE} and {inner.text})", inner.args)

    def _among(self, clause, e: str) -> Sql:
        return Sql(f"{e}.number in ({clause.sql.text})", clause.sql.args)

    def _granted(self, clause: Granted, e: str) -> Sql:
        """One `exists` for each pair that may be the first which a fact fills: each follows an index, however many facts there are."""
        return join(" or ", [self._fact(clause, e, step) for step in range(len(clause.on) + 1)], FALSE)

    def _fact(self, clause: Granted, e: str, step: int) -> Sql:
        f = self.alias("f")
        tables, first = f"fact {f}", []
        if step < len(clause.on):
            column, stamp = clause.on[step]
            if stamp == "about":
                tables, first = f"about a{f} cross join fact {f}", [Sql(f"a{f}.number={e}.number and {f}.{column}=a{f}.patient")]
            else:
                first = [Sql(f"{f}.{column}={self._stamp_value(e, stamp)}")]
        inner = join(" and ", [*first, *self._fact_conditions(clause, f, e, step)], TRUE)
        return Sql(f"exists(select 1 from {tables} where {inner.text})", inner.args)

    def _fact_conditions(self, clause: Granted, f: str, e: str | None, step: int) -> list[Sql]:
        """The fact at `f` meets the clause and fills the columns of `on` from `step` on; those behind it agree with the entry at `e` where there is one."""
        empty = [Sql(f"{f}.{column} is null") for column, _ in clause.on[:step]]
        others = [self._agrees(f, e, *pair) for pair in clause.on[step + 1:]] if e else []
        return [*(self.compare(c, f) for c in clause.compares), *empty, *others]

    def _stamp_value(self, e: str, stamp: str) -> str:
        if stamp == "ref":
            return REF.format(e)
        return f"(select text from name where id={e}.{stamp})" if stamp in INTERNED else f"{e}.{stamp}"

    def _agrees(self, f: str, e: str, column: str, stamp: str) -> Sql:
        there = f"exists(select 1 from about a where a.number={e}.number and a.patient={f}.{column})" if stamp == "about" else f"{f}.{column}={self._stamp_value(e, stamp)}"
        return Sql(f"({f}.{column} is null or {there})")

    def given(self, clause: Granted, step: int, types: tuple[str, ...]) -> Sql:
        """A select of the entries that agree with the facts in the pair `step`, the first that those fill."""
        f, e = self.alias("f"), self.alias("e")
        column, stamp = clause.on[step]
        there = {"about": f"{e}.patient={f}.{column}", "custodian": f"{e}.custodian=(select id from name where text={f}.{column})",
                 "ref": f"{e}.type=(select id from name where text=substr({f}.{column},1,instr({f}.{column},'/')-1)) and {e}.id=substr({f}.{column},instr({f}.{column},'/')+1)"}[stamp]
        where = join(" and ", [*self._fact_conditions(clause, f, None, step), Sql(f"{f}.{column} is not null and {there}"), self.types(e, types)], TRUE)
        return Sql(f"select {e}.number as number from fact {f} cross join {'about' if stamp == 'about' else 'entry'} {e} where {where.text}", where.args)

    def of_all(self, clause: Granted) -> Sql:
        """A select that finds whether there is a fact that fills no column of `on`: all entries agree with it."""
        where = join(" and ", self._fact_conditions(clause, "f", None, len(clause.on)), TRUE)
        return Sql(f"select 1 from fact f where {where.text} limit 1", where.args)

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
        value = self.value(value)
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

    def value(self, value):
        return self.now if value is q.NOW else value

    def name(self, text: str):
        return -1 if text == "" else self.intern(text)


def after(text: str) -> str:
    """The least text that comes after every text with this prefix (by code point, which is also the order of UTF-8)."""
    last = ord(text[-1])
    return text[:-1] + chr(0xE000 if last == 0xD7FF else last + 1) if last < 0x10FFFF else text + "\U0010ffff"
