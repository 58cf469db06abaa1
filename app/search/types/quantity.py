"""quantity parameters: a number with its unit. https://hl7.org/fhir/R4/search.html#quantity

A row holds the value as written; a second one, `:ucum`, holds it in the canonical unit where its unit is one of UCUM's. A search that
names a UCUM unit looks at those, any other at what was written.
"""
from __future__ import annotations

import math
from functools import lru_cache

from app import errors
from app.fhir import ucum
from app.search.context import Context
from app.search.query import GREATEST, LEAST, Compare, Row, Test
from app.search.types import number
from app.search.types import range as ranges
from app.search.types.text import PREFIXES, plain, split

MODIFIERS = ()
__all__ = ["MODIFIERS", "PREFIXES", "READERS", "ways"]
CURRENCY = "urn:iso:std:iso:4217"


def _add(add, param: str, group: int, unit: dict, low, high, comparator: str = "") -> None:
    """The rows of what lies between two numbers, either of them None for an open end. unit: with system, code and unit."""
    system, code = unit.get("system") or "", unit.get("code")
    add(Row(param, group, system, code, unit.get("unit"), *_ends(low, high, comparator)))
    if system == ucum.URL and code and (found := _converted(code, low, high, comparator)) is not None:
        base, low, high = found
        add(Row(f"{param}:ucum", group, None, base, None, low, high))


@lru_cache(maxsize=4096)
def _converted(code: str, low, high, comparator: str) -> tuple[str, float, float] | None:
    """(canonical unit, low, high). Kept: several parameters read one quantity, and many resources say the same."""
    found = ucum.unit(code)
    if found is None:
        return None
    return found.base, *_ends(*(end if end is None else found.worth(end) for end in (low, high)), comparator)


def _ends(low, high, comparator: str) -> tuple[float, float]:
    """A quantity with a comparator covers all that it may be: `<5` everything below 5."""
    low, high = LEAST if low is None else number.point(low), GREATEST if high is None else number.point(high)
    if comparator in ("<", "<="):
        return LEAST, high if comparator == "<=" else math.nextafter(high, -math.inf)
    if comparator in (">", ">="):
        return low if comparator == ">=" else math.nextafter(low, math.inf), GREATEST
    return low, high


def _quantity(add, param: str, group: int, value: dict, context: Context) -> None:
    """One without a number has its unit and no range: no number searched for finds it."""
    amount = value.get("value")
    if amount is not None:
        _add(add, param, group, value, amount, amount, value.get("comparator") or "")
    elif value.get("code") or value.get("unit"):
        add(Row(param, group, value.get("system") or "", value.get("code"), value.get("unit")))


def _money(add, param: str, group: int, value: dict, context: Context) -> None:
    amount, currency = value.get("value"), value.get("currency")
    if amount is not None:
        _add(add, param, group, {"system": CURRENCY, "code": currency, "unit": currency}, amount, amount)


def _range(add, param: str, group: int, value: dict, context: Context) -> None:
    low, high = value.get("low") or {}, value.get("high") or {}
    ends = low.get("value"), high.get("value")
    if ends != (None, None):
        _add(add, param, group, low if ends[0] is not None else high, *ends)


def _sampled(add, param: str, group: int, value: dict, context: Context) -> None:
    """What the samples lie between; below (`L`) and above (`U`) the limits of detection it is open, an error (`E`) is no sample."""
    samples = set((value.get("data") or "").split()) - {"E"}
    numbers = [found for text in samples - {"L", "U"} if (found := number.read(text)) is not None]
    if numbers:
        origin, factor = value.get("origin") or {}, value.get("factor")
        ends = sorted((origin.get("value") or 0) + end * (1 if factor is None else factor) for end in (min(numbers), max(numbers)))
        _add(add, param, group, origin, None if "L" in samples else ends[0], None if "U" in samples else ends[1])


READERS = {**dict.fromkeys(("Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"), _quantity),
           "Money": _money, "Range": _range, "SampledData": _sampled}
"""FHIR type -> what adds its rows. A written row's code and system are the coded unit, its text the unit as written for people."""


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """`number`, `number|system|code`, or `number||unit`, which finds the unit as code or as written."""
    parts = [plain(p) for p in split(value, "|")]
    if len(parts) not in (1, 3):
        raise errors.Invalid(f"{value!r} is not number, number|system|code or number||unit.")
    system, unit = parts[1:] if len(parts) == 3 else ("", "")
    if system == ucum.URL and (found := ucum.unit(unit)) is not None:
        compares = ranges.ways(*number.sought(parts[0], found.worth))
        return [(Test(f"{param.name}:ucum", (Compare("code", "eq", found.base), *way)),) for way in compares]
    return [(Test(param.name, (*written, *way)),) for way in ranges.ways(*number.sought(parts[0])) for written in _written(system, unit)]


def _written(system: str, unit: str) -> list[tuple[Compare, ...]]:
    if system:
        return [(*((Compare("code", "eq", unit),) if unit else ()), Compare("system", "eq", system))]
    return [(Compare("code", "eq", unit),), (Compare("text", "eq", unit),)] if unit else [()]
