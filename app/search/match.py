"""Whether an entry meets a query, judged on its rows alone: the meaning of clauses, to which both stores are held."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from app.search.query import NOW, And, Back, Clause, Compare, Granted, Has, Key, Link, Newest, Not, Or, Query, Row, Stamp, Test


class Look(Protocol):
    """How a judge sees other entries of the same snapshot: current ones that are not deleted."""

    def current(self, type: str, id: str) -> tuple[Any, list[Row]] | None:
        """An entry and its rows."""

    def newest(self, type: str, id: str) -> tuple[Any, list[Row], Look]:
        """The newest version of a resource, and how others are seen in the newest commit."""

    def referring(self, param: str, type: str, ref: str) -> Iterable[tuple[Any, list[Row]]]:
        """Entries of `type` that have a row of `param` with the code `ref`."""

    def facts(self) -> Iterable[Any]:
        """The facts of the newest commit."""


def match(query: Query, entry, rows: list[Row], look: Look, now: int) -> bool:
    """Whether a current entry is of the query's types and meets its clause.

    entry: has the columns of a stamp as attributes (see app.store.base.Entry); now: microseconds UTC, what NOW stands for.
    """
    return (not query.types or entry.type in query.types) and not entry.deleted and holds(query.where, entry, rows, look, now)


def holds(clause: Clause, entry, rows: list[Row], look: Look, now: int) -> bool:
    return CLAUSES[type(clause)](clause, entry, rows, look, now)


def alone(clause: Clause, entry) -> bool:
    """Whether a clause of stamps, and of nothing else, holds."""
    return holds(clause, entry, [], None, 0)


def _has(clause: Has, entry, rows, look, now) -> bool:
    first, *rest = clause.tests
    for row in rows:
        if _meets(row, first, now) and all(any(r.group == row.group and _meets(r, t, now) for r in rows) for t in rest):
            return True
    return False


def _meets(row: Row, test: Test, now: int) -> bool:
    return row.param == test.param and all(compare(getattr(row, c.column), c, now) for c in test.compares)


def _stamp(clause: Stamp, entry, rows, look, now) -> bool:
    return all(any(compare(a, c, now) for a in entry.about) if c.column == "about" else compare(getattr(entry, c.column), c, now) for c in clause.compares)


def _and(clause: And, entry, rows, look, now) -> bool:
    return all(holds(p, entry, rows, look, now) for p in clause.parts)


def _or(clause: Or, entry, rows, look, now) -> bool:
    return any(holds(p, entry, rows, look, now) for p in clause.parts)


def _not(clause: Not, entry, rows, look, now) -> bool:
    return not holds(clause.part, entry, rows, look, now)


def _link(clause: Link, entry, rows, look, now) -> bool:
    for row in rows:
        if row.param == clause.param and row.code and "/" in row.code:
            kind, _, id = row.code.partition("/")
            there = look.current(kind, id) if not clause.types or kind in clause.types else None
            if there is not None and holds(clause.clause, *there, look, now):
                return True
    return False


def _back(clause: Back, entry, rows, look, now) -> bool:
    return any(holds(clause.clause, *there, look, now) for there in look.referring(clause.param, clause.type, f"{entry.type}/{entry.id}"))


def _newest(clause: Newest, entry, rows, look, now) -> bool:
    return holds(clause.part, *look.newest(entry.type, entry.id), now)


def _granted(clause: Granted, entry, rows, look, now) -> bool:
    return any(all(compare(getattr(fact, c.column), c, now) for c in clause.compares) and all(_agrees(getattr(fact, column), stamp, entry) for column, stamp in clause.on)
               for fact in look.facts())


def _agrees(value, stamp: str, entry) -> bool:
    if value is None:
        return True
    if stamp == "about":
        return value in entry.about
    return value == (f"{entry.type}/{entry.id}" if stamp == "ref" else getattr(entry, stamp))


CLAUSES = {Has: _has, Stamp: _stamp, And: _and, Or: _or, Not: _not, Link: _link, Back: _back, Newest: _newest, Granted: _granted}


def compare(value, compare: Compare, now: int) -> bool:
    """One comparison. A column that is empty meets none but `none`."""
    _, how, sought = compare
    if how in ("none", "some"):
        return (value is None) == (how == "none")
    return value is not None and COMPARISONS[how](value, now if sought is NOW else sought)


COMPARISONS = {
    "eq": lambda value, sought: value == sought,
    "ne": lambda value, sought: value != sought,
    "in": lambda value, sought: value in sought,
    "prefix": lambda value, sought: value.startswith(sought),
    "suffix": lambda value, sought: value.endswith(sought),
    "contains": lambda value, sought: sought in value,
    "lt": lambda value, sought: value < sought,
    "le": lambda value, sought: value <= sought,
    "gt": lambda value, sought: value > sought,
    "ge": lambda value, sought: value >= sought,
    "lacks": lambda value, sought: not value & sought,
    "within": lambda value, sought: _within(*value, *sought),
}


def _within(low, high, x, y, sign, limit) -> bool:
    return sign * ((low - x) * (low - x) + (high - y) * (high - y)) <= limit


def order(query: Query, items: list[tuple[Any, list[Row]]], now: int = 0) -> list[tuple[Any, list[Row]]]:
    """Entries with their rows in the query's order: by each key's first row in its direction, those without one last; ties in the last key's."""
    items = sorted(items, key=lambda item: item[0].number, reverse=not query.sort or query.sort[-1].descending)
    for key in reversed(query.sort):
        valued = [(first(key, *item, now), item) for item in items]
        there = sorted((v for v in valued if v[0] is not None), key=lambda v: v[0], reverse=key.descending)
        items = [item for _, item in there] + [item for value, item in valued if value is None]
    return items


def first(key: Key, entry, rows: list[Row], now: int = 0):
    """The value by which a key sorts an entry; None where it has none."""
    if not key.param:
        return getattr(entry, key.column)
    values = [getattr(r, key.column) for r in rows if r.param in key.params and getattr(r, key.column) is not None and all(compare(getattr(r, c.column), c, now) for c in key.compares)]
    return (max if key.descending else min)(values, default=None)
