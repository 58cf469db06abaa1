"""Clauses as MongoDB filters on entries. https://www.mongodb.com/docs/manual/reference/operator/query/

A find has no semi-join, so Link, Back and Granted are asked first and put in as sets of values, up to SET of them, as of the same commit.
Where there are more, `Wide` is raised: `reading` then takes candidates in batches, by the rest of the query, and these clauses are asked
about a batch alone (the one exception to "a store filters by index"; the filtering is the server's in both cases).
"""
from __future__ import annotations

import re
from typing import NamedTuple

from app import errors
from app.search import query as q
from app.search.query import And, Back, Clause, Compare, Granted, Has, Link, Newest, Not, Or, Query, Stamp, Test
from app.search.words import needed
from app.store.base import Plan
from app.store.mongo.collections import MARKED, ROW, STAMP, OneRow, piece

SET = 1_000
"""Values that a semi-join puts into a filter at most."""
BATCH = 500
"""Candidates that are asked about at once."""
ASIDE = 10_000
"""Entries that a test may find by rows in side documents."""
OPERATORS = {"eq": "$eq", "in": "$in", "lt": "$lt", "le": "$lte", "gt": "$gt", "ge": "$gte"}
NOTHING = {"_id": {"$in": []}}
MARK = {column: OneRow._fields[mark].db_field for column, mark in MARKED.items()}
INDEX = {"code": "rows_code", "text": "rows_text", "low": "rows_low", "high": "rows_high"}
JOINS = (Link, Back, Granted, Newest)


class Wide(Exception):
    """A semi-join has more values than a filter takes."""


class Bound(NamedTuple):
    """What the driver's index does for a query; `cost` orders the choices, `hint` is the index (None leaves it to the planner)."""

    cost: int
    hint: str | None


# comparisons


def after(text: str) -> str | None:
    """The least text that comes after every text with this prefix; None where there is none."""
    text = text.rstrip("\U0010ffff")
    if not text:
        return None
    last = ord(text[-1])
    return text[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)


def plain(value):
    """As documents hold it: flags are numbers."""
    if isinstance(value, (tuple, list, set, frozenset)):
        return [plain(v) for v in value]
    return int(value) if isinstance(value, bool) else value


def operators(how: str, value) -> dict | None:
    """A comparison as query operators; None for one that nothing meets."""
    if how == "none":
        return {"$eq": None}
    if how == "some" or how == "prefix" and not value:
        return {"$ne": None}
    if how == "prefix":
        end = after(value)
        return {"$gte": value, "$lt": end} if end else {"$gte": value}
    if how == "ne":
        return {"$nin": [plain(value), None]}
    if how in ("contains", "suffix"):
        if "\0" in value:
            return None
        if len(value) > 4_000:
            raise errors.TooCostly("A text of more than 4000 characters cannot be looked for inside others.")
        return {"$regex": re.escape(value) + (r"\z" if how == "suffix" else "")}
    return {OPERATORS[how]: plain(value)}


def lacks(mask: int) -> dict:
    return {"bits": {"$nin": [i for i in range(mask.bit_length()) if mask >> i & 1]}}


def every(parts: list[dict]) -> dict:
    """The conjunction; different fields, and different operators on one field, become one document."""
    parts = [p for p in parts if p]
    if any(p == NOTHING for p in parts):
        return NOTHING
    made: dict = {}
    for field, value in (pair for p in parts for pair in p.items()):
        there = made.setdefault(field, value)
        if there is value:
            continue
        # a $regex stands alone: a compatible server overlooks what stands beside it
        if not (_operators(there) and _operators(value)) or there.keys() & value.keys() or "$regex" in there.keys() | value.keys():
            return {"$and": parts}
        made[field] = {**there, **value}
    return made


def _operators(value) -> bool:
    return isinstance(value, dict) and all(k.startswith("$") for k in value)


def some(parts: list[dict]) -> dict:
    """The disjunction."""
    parts = [p for p in parts if p != NOTHING]
    if not parts:
        return NOTHING
    if {} in parts:
        return {}
    return parts[0] if len(parts) == 1 else {"$or": parts}


def compared(field: str, how: str, value) -> dict:
    if how == "lacks":
        return lacks(value)
    made = operators(how, value)
    return NOTHING if made is None else {field: made}


def element(test: Test) -> dict | None:
    """What a row must be to meet the test, as operators inside $elemMatch; None where no row can."""
    marks = {MARK[c.column] for c in test.compares if c.column in MARK and c.how != "none"}
    parts = [{mark: test.param} for mark in sorted(marks)] or [{"p": test.param}]
    for c in test.compares:
        if c.how == "within":
            continue  # no operator of $elemMatch: `condition` has it
        made = operators(c.how, c.value)
        if made is None:
            return None
        parts.append({ROW[c.column]: made})
    return every(parts)


def condition(param: str, compares: tuple[Compare, ...], row: str = "$$r") -> dict:
    """The same, all of it, as an aggregation expression on one row."""
    return {"$and": [{"$eq": [f"{row}.p", {"$literal": param}]},
                     *(_circle(row, *c.value) if c.how == "within" else _expression(f"{row}.{ROW[c.column]}", c.how, c.value) for c in compares)]}


def _circle(row: str, x: float, y: float, sign: int, limit: float) -> dict:
    low, high = f"{row}.{ROW['low']}", f"{row}.{ROW['high']}"
    squares = [{"$multiply": [{"$subtract": [field, at]}, {"$subtract": [field, at]}]} for field, at in ((low, x), (high, y))]
    return {"$and": [{"$gt": [low, None]}, {"$gt": [high, None]}, {"$lte": [{"$multiply": [sign, {"$add": squares}]}, limit]}]}


def _expression(field: str, how: str, value) -> dict:
    there = {"$gt": [field, None]}
    if how in ("none", "some"):
        return {"$lte": [field, None]} if how == "none" else there
    if how == "in":
        return {"$in": [field, {"$literal": list(value)}]}
    if how == "contains":
        return {"$gte": [{"$indexOfCP": [field, {"$literal": value}]}, 0]}
    if how == "suffix":
        length = {"$strLenCP": {"$ifNull": [field, ""]}}
        end = {"$substrCP": [field, {"$subtract": [length, len(value)]}, len(value)]}
        return {"$and": [there, {"$eq": [{"$cond": [{"$gte": [length, len(value)]}, end, None]}, {"$literal": value}]}]}
    if how == "ne":
        return {"$and": [there, {"$ne": [field, {"$literal": plain(value)}]}]}
    if how == "prefix":
        made = operators(how, value)
        return {"$and": [there, *({op: [field, {"$literal": v}]} for op, v in made.items() if op != "$ne")]}
    return {"$and": [there, {OPERATORS[how]: [field, {"$literal": plain(value)}]}]}


def rows_of(param: str, compares: tuple[Compare, ...], column: str, rows: str = "$rows") -> dict:
    """The expression for `column` of each row that meets the compares."""
    rows = {"$filter": {"input": {"$ifNull": [rows, []]}, "as": "r", "cond": condition(param, compares)}}
    return {"$map": {"input": rows, "as": "r", "in": f"$$r.{ROW[column]}"}}


def at_moment(clause: Clause, now: int) -> Clause:
    """The clause with NOW put in."""
    def put(compares):
        return tuple(c._replace(value=now) if c.value is q.NOW else c for c in compares)
    if isinstance(clause, (And, Or)):
        return type(clause)(tuple(at_moment(p, now) for p in clause.parts))
    if isinstance(clause, (Not, Newest)):
        return type(clause)(at_moment(clause.part, now))
    if isinstance(clause, Has):
        return Has(tuple(Test(t.param, put(t.compares)) for t in clause.tests))
    if isinstance(clause, Stamp):
        return Stamp(put(clause.compares))
    if isinstance(clause, Granted):
        return Granted(put(clause.compares), clause.on)
    if isinstance(clause, Link):
        return Link(clause.param, clause.types, at_moment(clause.clause, now))
    return Back(clause.param, clause.type, at_moment(clause.clause, now))


def joins(clause: Clause, kinds: tuple[type, ...] = JOINS) -> bool:
    """There is a semi-join of these kinds in it, where it is about the entry itself."""
    if isinstance(clause, (And, Or)):
        return any(joins(p, kinds) for p in clause.parts)
    return joins(clause.part, kinds) if isinstance(clause, Not) else isinstance(clause, kinds)


def weaker(clause: Clause, kinds: tuple[type, ...] = JOINS) -> Clause:
    """A clause without semi-joins of these kinds that holds wherever this one does."""
    if isinstance(clause, And):
        return q.both(*(weaker(p, kinds) for p in clause.parts))
    if isinstance(clause, Or):
        parts = tuple(weaker(p, kinds) for p in clause.parts)
        return q.ALL if q.ALL in parts else Or(parts)
    return q.ALL if joins(clause, kinds) else clause


def params(clause: Clause) -> set[str]:
    """The parameters whose rows it looks at."""
    if isinstance(clause, (And, Or)):
        return {p for part in clause.parts for p in params(part)}
    if isinstance(clause, (Not, Newest)):
        return params(clause.part)
    if isinstance(clause, Has):
        return {t.param for t in clause.tests}
    return {clause.param, *params(clause.clause)} if isinstance(clause, (Link, Back)) else set()


# the driver


def plan(query: Query) -> Plan:
    """See app.store.base.Store.plan: what drives is chosen by the kind of the conditions alone, and what it gives is sorted by the server."""
    parts = q.conjuncts(query.where)
    bound = driver(query.where, query.types)
    first = next((p for p in parts if _bound(p, query.types) == bound), None)
    if first is None:
        return Plan(None, "", parts, "updated" if query.types and [k.column for k in query.sort] == ["updated"] else "" if query.sort else bound.hint)
    return Plan(first, bound.hint or "the planner's", tuple(p for p in parts if p is not first), "")


def driver(clause: Clause, types: tuple[str, ...]) -> Bound:
    """The index that a query is driven by: a single entry, an equality on a code, a patient, a text, a range, the custodian, the type."""
    found = [_bound(part, types) for part in (clause.parts if isinstance(clause, And) else (clause,))]
    rest = Bound(90, "type") if types else Bound(99, "_id_")
    return min((f for f in found if f is not None), key=lambda b: b.cost, default=rest)


def _bound(clause: Clause, types: tuple[str, ...]) -> Bound | None:
    if isinstance(clause, Has):
        return min((b for t in clause.tests for c in t.compares if (b := _by_row(c))), key=lambda b: b.cost, default=None)
    if isinstance(clause, Stamp):
        return min((b for c in clause.compares if (b := _by_stamp(c, types))), key=lambda b: b.cost, default=None)
    if isinstance(clause, Link):
        return Bound(25, "rows_code")
    if isinstance(clause, Back):
        return Bound(26, "ref")
    if isinstance(clause, Or) and clause.parts:
        bounds = [_bound(p, types) for p in clause.parts]
        return Bound(max(b.cost for b in bounds) + 1, None) if all(bounds) else None
    return None


def _by_row(compare: Compare) -> Bound | None:
    if compare.column == "words" and compare.how == "contains":
        whole, begun = needed(compare.value)
        return Bound(13 if whole else 32, "pieces") if whole or begun else None
    cost = {"eq": 10, "in": 11, "prefix": 30, "lt": 40, "le": 40, "gt": 40, "ge": 40}.get(compare.how)
    if cost is None or compare.column not in INDEX or compare.how == "prefix" and not compare.value:
        return None
    return Bound(cost + (compare.column != "code"), INDEX[compare.column])


def _by_stamp(compare: Compare, types: tuple[str, ...]) -> Bound | None:
    if compare.how not in ("eq", "in"):
        return None
    if compare.column == "number":
        return Bound(0, "_id_")
    if compare.column == "id" and types:
        return Bound(1, "version")
    if compare.column == "about":
        return Bound(20, "about")
    return Bound(80, "custodian") if compare.column == "custodian" else None


# filters


class Filters:
    """Makes filters; `ask` is the reading that semi-joins are asked of, `numbers` the batch that they are about, or None for all entries."""

    def __init__(self, ask, spilled: set[str], numbers: list[int] | None = None):
        self.ask, self.spilled, self.numbers = ask, spilled, numbers

    async def of(self, clause: Clause) -> dict:
        """The filter of entries for which `clause` (without NOW) holds. Raises Wide."""
        return await getattr(self, f"_{type(clause).__name__.lower()}")(clause)

    async def _and(self, clause: And) -> dict:
        return every([await self.of(p) for p in clause.parts])

    async def _or(self, clause: Or) -> dict:
        return some([await self.of(p) for p in clause.parts])

    async def _not(self, clause: Not) -> dict:
        inner = await self.of(clause.part)
        return {} if inner == NOTHING else NOTHING if inner == {} else {"$nor": [inner]}

    async def _stamp(self, clause: Stamp) -> dict:
        return every([_stamped(c) for c in clause.compares])

    async def _has(self, clause: Has) -> dict:
        elements = [element(t) for t in clause.tests]
        if None in elements:
            return NOTHING
        parts = [bound for test in clause.tests for bound in await self._pieces(test)] + [{"rows": {"$elemMatch": e}} for e in elements]
        if len(elements) > 1 or any(c.how == "within" for c in clause.tests[0].compares):
            groups = [rows_of(t.param, t.compares, "group") for t in clause.tests]
            parts.append({"$expr": {"$gt": [{"$size": {"$setIntersection": groups}}, 0]}})
        return await self._with_aside(clause.tests[0].param, every(parts), self.numbers)

    async def _pieces(self, test: Test) -> list[dict]:
        """That the entry has the rarest of the pieces of each text which the words of a row shall contain."""
        bounds = []
        for whole, begun in (needed(c.value) for c in test.compares if c.column == "words" and c.how == "contains"):
            if whole:
                bounds.append({"pieces": await self.ask.rarest([piece(test.param, text) for text in whole])})
            elif begun:
                bounds.append({"pieces": {"$elemMatch": operators("prefix", piece(test.param, begun[0]))}})
        return bounds

    async def _link(self, clause: Link) -> dict:
        bound = None if self.numbers is None else {"ref": {"$in": await self.ask.codes(clause.param, self.numbers)}}
        refs = await self.ask.values(clause.types, clause.clause, None, bound)
        if not refs:
            return NOTHING
        return await self._with_aside(clause.param, {"rows": {"$elemMatch": {"pc": clause.param, "c": {"$in": refs}}}}, self.numbers)

    async def _back(self, clause: Back) -> dict:
        bound = None
        if self.numbers is not None:
            refs = await self.ask.column("ref", self.numbers)
            bound = await self._with_aside(clause.param, {"rows": {"$elemMatch": {"pc": clause.param, "c": {"$in": refs}}}}, None)
        refs = await self.ask.values((clause.type,), clause.clause, clause.param, bound)
        return {"ref": {"$in": refs}} if refs else NOTHING

    async def _newest(self, clause: Newest) -> dict:
        if self.numbers is None:
            raise Wide
        return {"ref": {"$in": await self.ask.today(clause.part, self.numbers)}}

    async def _granted(self, clause: Granted) -> dict:
        bounds = []
        if self.numbers is not None:
            bounds = [{column: {"$in": [None, *await self.ask.column(stamp, self.numbers)]}} for column, stamp in clause.on]
        facts = every([compared(c.column, c.how, c.value) for c in clause.compares] + bounds)
        columns = tuple(dict.fromkeys(column for column, _ in clause.on))
        return agreeing(await self.ask.granted(facts, columns, bounded=self.numbers is not None), clause.on)

    async def _with_aside(self, param: str, found: dict, numbers: list[int] | None) -> dict:
        """With the entries (of a batch) that have such rows in side documents."""
        if param not in self.spilled:
            return found
        return some([found, {"_id": {"$in": await self.ask.aside(found, numbers)}}])


def _stamped(compare: Compare) -> dict:
    if compare.column == "about":
        made = operators(compare.how, compare.value)
        return NOTHING if made is None else {"about": {"$elemMatch": made}}
    return compared(STAMP[compare.column], compare.how, compare.value)


def agreeing(facts: list[dict], on: tuple[tuple[str, str], ...]) -> dict:
    """The filter of entries that agree with one of the facts in each pair; facts that say one thing are put together."""
    single: dict[str, list] = {}
    several = []
    for fact in facts:
        said = [(field(stamp), fact[column]) for column, stamp in on if fact.get(column) is not None]
        if not said:
            return {}
        if len(said) == 1:
            single.setdefault(said[0][0], []).append(said[0][1])
        else:
            several.append({"$and": [{name: value} for name, value in said]})
    return some([{name: {"$in": values}} for name, values in single.items()] + several)


def field(stamp: str) -> str:
    return "ref" if stamp == "ref" else STAMP[stamp]
