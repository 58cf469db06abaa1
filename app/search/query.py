"""What can be asked of a store: index rows, tests on them, clauses of tests, and a query. A store knows these and nothing of FHIR.

https://hl7.org/fhir/R4/search.html is spoken by `parse`, which turns it into these; a sharing rule is made of the same.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

FIRST, LAST = -(2**62), 2**62
"""Open ends of a range: before and after every date in microseconds."""
LEAST, GREATEST = -1e300, 1e300
"""Open ends of a range of numbers; a number beyond counts as one of them."""


class Row(NamedTuple):
    """One index row, the same shape for all parameter types.

    param:  `Type.code` of the search parameter (`Observation.code`), with `/n` for the n-th component of a composite and
            `:identifier`, `:piece`, ... for the derived rows that a modifier reads
    group:  rows of one element share it: a composite's components must match within one group
    system: of a token or quantity; the empty string says that there is none
    code:   a token's code, a reference as `Type/id` or absolute url, a string's exact text, a uri
    text:   what prefix and contains look at: the normal form of a string (see types/string), a display, a uri
    low, high: the range that the value covers (both or neither, low <= high): microseconds UTC (int) for dates, floats for numbers; open ends are
            the ones above. Of a position its coordinates in a plane, together its `point`
    words:  running text in the form of search/words, looked into by `contains` alone
    """

    param: str
    group: int = 0
    system: str | None = None
    code: str | None = None
    text: str | None = None
    low: float | None = None
    high: float | None = None
    words: str | None = None

    @property
    def point(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


class Now:
    """Stands for the request's one moment in a Compare; a store puts it in."""

    def __repr__(self):
        return "NOW"


NOW = Now()


class Compare(NamedTuple):
    """One comparison: `column` of a row, a stamp or a fact; `how` is one of HOW; `value` a scalar, a tuple for `in`, or NOW.

    `ne` holds for what is there and another; `none` and `some` ask whether the column is empty and take no value; `lacks` holds when none
    of the bits is set. `within` is of a row's `point` alone, with (x, y, sign, limit): sign times the square of its distance from (x, y) is
    at most the limit.
    Text is compared by code point.
    """

    column: str
    how: str
    value: Any = None


HOW = ("eq", "ne", "in", "prefix", "suffix", "contains", "lt", "le", "gt", "ge", "none", "some", "lacks", "within")


class Test(NamedTuple):
    """Comparisons that must all hold on the same row of `param`; with none, any row of `param` will do."""

    param: str
    compares: tuple[Compare, ...] = ()


Test.__test__ = False  # its name is the house's word, not a test for pytest to collect


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition on an entry."""


@dataclass(frozen=True, slots=True)
class Has(Clause):
    """The entry has a row that meets the test; several tests must be met by rows of one group, and are of one composite (`name/1`, `name/2`)."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Stamp(Clause):
    """Comparisons on the entry's own columns: type, id, version, updated, custodian, date, writer; `labels` by `lacks` bits;
    `about` holds when any of the patients whom the entry concerns meets it."""

    compares: tuple[Compare, ...]


@dataclass(frozen=True, slots=True)
class And(Clause):
    parts: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Or(Clause):
    parts: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Not(Clause):
    part: Clause


@dataclass(frozen=True, slots=True)
class Link(Clause):
    """A chain: a row of `param` names a current entry of one of `types` for which `clause` holds."""

    param: str
    types: tuple[str, ...]
    clause: Clause


@dataclass(frozen=True, slots=True)
class Back(Clause):
    """A reverse chain: a current entry of `type`, for which `clause` holds, has a row of `param` that names this one."""

    param: str
    type: str
    clause: Clause


@dataclass(frozen=True, slots=True)
class Granted(Clause):
    """A semi-join to the facts of the newest commit: one fact meets `compares` and agrees with the entry in each pair of `on`.

    on: (fact column, stamp column): `patient`-`about`, `resource`-`ref` (`Type/id`), `custodian`-`custodian`, ...
    A fact column that is empty (None) agrees with every entry.
    """

    compares: tuple[Compare, ...]
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Newest(Clause):
    """The newest version of the entry's resource, deleted or not, meets `part` as of the newest commit: an earlier version, or commit, is asked what holds today."""

    part: Clause


ALL = And(())
NONE = Or(())


class Key(NamedTuple):
    """A sort key: the first row of `param` in the direction asked, by `column` (low, text, code); `param` `` means the stamp's column.

    Only rows that meet `compares` count: a search by date is ordered by the dates that it found. also: further params whose rows count; then no
    index has the order.
    """

    param: str
    column: str
    descending: bool = False
    compares: tuple[Compare, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def params(self) -> tuple[str, ...]:
        return (self.param, *self.also)


class Query(NamedTuple):
    """What to find: current entries of `types` (empty: any type) for which `where` holds, in the order of `sort`, then newest first.

    Entries without a row for a sort key come last. Ties go by entry number in the direction of the last key, and a search without keys
    by that number, highest first.
    """

    types: tuple[str, ...]
    where: Clause = ALL
    sort: tuple[Key, ...] = ()


def both(*clauses: Clause) -> Clause:
    """The conjunction, without empty layers."""
    parts = tuple(p for c in clauses for p in (c.parts if isinstance(c, And) else (c,)))
    return parts[0] if len(parts) == 1 else And(parts)


def conjuncts(clause: Clause) -> tuple[Clause, ...]:
    """The clauses that must all hold."""
    return clause.parts if isinstance(clause, And) else (clause,)


def narrowed(clause: Clause, types: tuple[str, ...]) -> Clause:
    """What a clause comes to for entries of these types (none: of any): tests on the type, and on parameters of other types, are decided."""
    if isinstance(clause, (And, Or)):
        parts = [narrowed(p, types) for p in clause.parts]
        decided, neutral = (NONE, ALL) if isinstance(clause, And) else (ALL, NONE)
        return decided if decided in parts else (both if isinstance(clause, And) else either)(*(p for p in parts if p != neutral))
    if isinstance(clause, Not):
        part = narrowed(clause.part, types)
        return NONE if part == ALL else ALL if part == NONE else Not(part)
    if isinstance(clause, Newest):
        part = narrowed(clause.part, types)
        return part if part in (ALL, NONE) else Newest(part)
    if isinstance(clause, Stamp) and types:
        return _narrowed(clause, types)
    if isinstance(clause, (Has, Link)) and types:
        of, dot, _ = (clause.param if isinstance(clause, Link) else clause.tests[0].param).partition(".")
        if dot and of not in types:
            return NONE
    if isinstance(clause, (Link, Back)):
        inner = narrowed(clause.clause, clause.types if isinstance(clause, Link) else (clause.type,))
        return NONE if inner == NONE else replace(clause, clause=inner)
    return clause


def _narrowed(clause: Stamp, types: tuple[str, ...]) -> Clause:
    left = []
    for c in clause.compares:
        meet = [t in c.value if c.how == "in" else t == c.value for t in types] if c.column == "type" and c.how in ("eq", "in") else [True, False]
        if not any(meet):
            return NONE
        left += [] if all(meet) else [c]
    return Stamp(tuple(left)) if left else ALL


def either(*clauses: Clause) -> Clause:
    """The disjunction, without empty layers."""
    parts = tuple(p for c in clauses for p in (c.parts if isinstance(c, Or) else (c,)))
    return parts[0] if len(parts) == 1 else Or(parts)


def has(param: str, *compares: Compare) -> Clause:
    """One test on one row."""
    return Has((Test(param, compares),))
