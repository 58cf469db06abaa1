"""Prefixes on ranges: which rows a search range finds. https://hl7.org/fhir/R4/search.html#prefix

A row's value covers [low, high]; so does the value searched for. Both ends belong to a range.
"""
from __future__ import annotations

from app.search.query import Compare


def ways(prefix: str, low: float, high: float) -> list[tuple[Compare, ...]]:
    """Comparisons of which one set must hold on one row.

    eq  the search range contains the row's range        ne  it does not
    gt  the row's range reaches above the search range   lt  below it
    ge  gt or eq: it reaches above, or starts within     le  lt or eq
    sa  it lies wholly above                             eb  wholly below       ap  the two overlap
    """
    if prefix == "eq":  # the second comparison follows from the others: it gives an index on `low` its second end
        return [(Compare("low", "ge", low), Compare("low", "le", high), Compare("high", "le", high))]
    if prefix == "ne":
        return [(Compare("low", "lt", low),), (Compare("high", "gt", high),)]
    if prefix == "gt":
        return [(Compare("high", "gt", high),)]
    if prefix == "lt":
        return [(Compare("low", "lt", low),)]
    if prefix == "ge":
        return [(Compare("high", "gt", high),), (Compare("low", "ge", low),)]
    if prefix == "le":
        return [(Compare("low", "lt", low),), (Compare("high", "le", high),)]
    if prefix == "sa":
        return [(Compare("low", "gt", high),)]
    if prefix == "eb":
        return [(Compare("high", "lt", low),)]
    return [(Compare("high", "ge", low), Compare("low", "le", high))]


def bound(prefix: str, low: float, high: float) -> tuple[Compare, ...] | None:
    """One set of comparisons that every row found meets, so that an index can be followed; None for `ne`, which bounds nothing."""
    if prefix == "ge":
        return (Compare("high", "ge", low),)
    if prefix == "le":
        return (Compare("low", "le", high),)
    return None if prefix == "ne" else ways(prefix, low, high)[0]
