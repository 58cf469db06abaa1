"""quantity parameters: a number with its unit. https://hl7.org/fhir/R4/search.html#quantity"""
from __future__ import annotations

import math

from app import errors
from app.search.context import Context
from app.search.query import FIRST, LAST, Compare, Row, Test
from app.search.types import number
from app.search.types import range as ranges
from app.search.types.text import PREFIXES, plain, split

MODIFIERS = ()
__all__ = ["MODIFIERS", "PREFIXES", "READERS", "ways"]
CURRENCY = "urn:iso:std:iso:4217"


def _quantity(add, param: str, group: int, value: dict, context: Context) -> None:
    """A quantity with a comparator covers all that it may be: `<5` everything below 5."""
    get = value.get
    amount, comparator = get("value"), get("comparator")
    if amount is None:
        low, high = FIRST, LAST
        if not get("code") and not get("unit"):
            return
    else:
        low = high = number._float(amount)
        if comparator:
            low, high = _widened(low, comparator)
    add(Row(param, group, get("system") or "", get("code"), get("unit"), low, high))


def _widened(value: float, comparator: str) -> tuple[float, float]:
    if comparator in ("<", "<="):
        return FIRST, value if comparator == "<=" else math.nextafter(value, -math.inf)
    if comparator in (">", ">="):
        return value if comparator == ">=" else math.nextafter(value, math.inf), LAST
    return value, value


def _money(add, param: str, group: int, value: dict, context: Context) -> None:
    if value.get("value") is not None:
        amount = number._float(value["value"])
        add(Row(param, group, CURRENCY, value.get("currency"), value.get("currency"), amount, amount))


def _range(add, param: str, group: int, value: dict, context: Context) -> None:
    low, high = value.get("low") or {}, value.get("high") or {}
    if low.get("value") is None and high.get("value") is None:
        return
    unit = low if low.get("value") is not None else high
    add(Row(param, group, unit.get("system") or "", unit.get("code"), unit.get("unit"),
            FIRST if low.get("value") is None else number._float(low["value"]), LAST if high.get("value") is None else number._float(high["value"])))


READERS = {**dict.fromkeys(("Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"), _quantity), "Money": _money, "Range": _range}
"""FHIR type -> what adds its rows. A row's code and system are the coded unit, its text the unit as written for people."""


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """`number`, `number|system|code`, or `number||unit`, which finds the unit as code or as written."""
    parts = [plain(p) for p in split(value, "|")]
    if len(parts) not in (1, 3):
        raise errors.Invalid(f"{value!r} is not number, number|system|code or number||unit.")
    system, unit = parts[1:] if len(parts) == 3 else ("", "")
    units: list[tuple[Compare, ...]] = [()]
    if unit:
        units = [(Compare("code", "eq", unit), Compare("system", "eq", system))] if system else [(Compare("code", "eq", unit),), (Compare("text", "eq", unit),)]
    elif system:
        units = [(Compare("system", "eq", system),)]
    return [(Test(param.name, (*unit, *compares)),) for compares in ranges.ways(*number.sought(parts[0])) for unit in units]
