"""number parameters, and the precision that a number in a search implies. https://hl7.org/fhir/R4/search.html#number"""
from __future__ import annotations

import math
import re
from decimal import Decimal

from app import errors
from app.search.context import Context
from app.search.query import FIRST, LAST, Row, Test
from app.search.types import range as ranges
from app.search.types.text import PREFIXES, plain, prefixed

MODIFIERS = ()
__all__ = ["MODIFIERS", "PREFIXES", "READERS", "sought", "span", "ways"]
_NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def _number(add, param: str, group: int, value, context: Context) -> None:
    if value is not None:
        point = _float(value)
        add(Row(param, group, None, None, None, point, point))


def _range(add, param: str, group: int, value: dict, context: Context) -> None:
    low, high = (value.get("low") or {}).get("value"), (value.get("high") or {}).get("value")
    if low is not None or high is not None:
        add(Row(param, group, None, None, None, FIRST if low is None else _float(low), LAST if high is None else _float(high)))


READERS = {**dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _number), "Range": _range}
"""FHIR type -> what adds its rows. A number in a resource is a point, whatever its precision."""


def _float(value) -> float:
    """The nearest float, within the open ends."""
    try:
        return max(float(FIRST), min(float(LAST), float(value)))
    except OverflowError:
        return float(LAST) if value > 0 else float(FIRST)


def span(text: str) -> tuple[float, float, float]:
    """(value, low, high) of a written number with the range that its digits imply: 100 is [99.5, 100.5), 5.40e-3 is 0.0054 +/- 0.000005.

    The upper end does not belong to the range, so `high` is the greatest float below it. Errors: Invalid.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > 60:
        raise errors.Invalid(f"{text!r} is not a number.")
    number = Decimal(text)
    step = number.as_tuple().exponent
    if match[2] and len(match[1].replace(".", "").lstrip("0")) < 2:
        step -= 1  # the specification's table has 1e2 stand for [95, 105)
    half = Decimal(5).scaleb(step - 1)
    return _float(number), _float(number - half), math.nextafter(_float(number + half), -math.inf)


def sought(text: str) -> tuple[str, float, float]:
    """(prefix, low, high): `eq` and `ne` heed the implied range, `ap` takes a tenth, the others the exact number."""
    prefix, rest = prefixed(text)
    value, low, high = span(rest)
    if prefix in ("eq", "ne"):
        return prefix, low, high
    if prefix == "ap":
        tenth = abs(value) / 10
        return prefix, min(low, value - tenth), max(high, value + tenth)
    return prefix, value, value


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    return [(Test(param.name, compares),) for compares in ranges.ways(*sought(plain(value)))]
