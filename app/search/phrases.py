"""Clauses and sort keys in words, for people who ask how a search is run."""
from __future__ import annotations

from app.search.query import ALL, NONE, NOW, And, Back, Clause, Compare, Granted, Has, Key, Link, Newest, Not, Or, Stamp, Test

HOWS = {"eq": "is", "ne": "is not", "in": "is one of", "prefix": "begins with", "suffix": "ends with", "contains": "contains", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
        "none": "is empty", "some": "is there", "lacks": "has none of the bits", "within": "is within"}
SHOWN = 5
"""Values of a list, and alternatives, that are told; of more, how many there are."""


def said(clause: Clause) -> str:
    """A condition as a phrase."""
    if clause == ALL or clause == NONE:
        return "everything" if clause == ALL else "nothing"
    return _SAID[type(clause)](clause)


def order(keys: tuple[Key, ...]) -> str:
    return ", then ".join(f"{' or '.join(key.params) or key.column} ({'last' if key.descending else 'first'} first)" for key in keys) or "newest first"


def _several(parts: tuple[Clause, ...], glue: str) -> str:
    told = glue.join(f"({said(p)})" if isinstance(p, (And, Or)) else said(p) for p in parts[:SHOWN])
    return told + (f"{glue}{len(parts) - SHOWN} more" if len(parts) > SHOWN else "")


def _test(test: Test) -> str:
    return f"{test.param} {' and '.join(map(_compare, test.compares)) or 'is there'}"


def _compare(compare: Compare) -> str:
    column, how, value = compare
    if how == "in":
        value = ", ".join(map(str, value[:SHOWN])) + (f" and {len(value) - SHOWN} more" if len(value) > SHOWN else "")
    return " ".join(filter(None, (column, HOWS[how], "" if how in ("none", "some") else "now" if value is NOW else str(value))))


_SAID = {
    Has: lambda c: " beside ".join(map(_test, c.tests)),
    Stamp: lambda c: " and ".join(map(_compare, c.compares)),
    And: lambda c: _several(c.parts, " and "),
    Or: lambda c: _several(c.parts, " or "),
    Not: lambda c: f"not ({said(c.part)})",
    Link: lambda c: f"{c.param} names a {' or '.join(c.types) or 'resource'} for which ({said(c.clause)})",
    Back: lambda c: f"a {c.type} names it in {c.param}, for which ({said(c.clause)})",
    Newest: lambda c: f"today's version: ({said(c.part)})",
    Granted: lambda c: f"a fact for which ({' and '.join(map(_compare, c.compares))}) agrees in {', '.join(column for column, _ in c.on) or 'nothing'}",
}
