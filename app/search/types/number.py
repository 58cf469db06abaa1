"""number parameters, and the precision that a number in a search implies. https://hl7.org/fhir/R4/search.html#number"""
from __future__ import annotations

import math
import re
from decimal import Decimal

from app import errors
from app.search.context import Context
from app.search.query import GREATEST, LEAST, Row, Test
from app.search.types import range as ranges
from app.search.types.text import PREFIXES, plain, prefixed

MODIFIERS = ()
__all__ = ["MODIFIERS", "PREFIXES", "READERS", "point", "read", "sought", "ways"]
_NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def _number(add, param: str, group: int, value, context: Context) -> None:
    if value is not None:
        add(Row(param, group, None, None, None, point(value), point(value)))


def _range(add, param: str, group: int, value: dict, context: Context) -> None:
    low, high = (value.get("low") or {}).get("value"), (value.get("high") or {}).get("value")
    if low is not None or high is not None:
        add(Row(param, group, None, None, None, LEAST if low is None else point(low), GREATEST if high is None else point(high)))


READERS = {**dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _number), "Range": _range}
"""FHIR type -> what adds its rows. A number in a resource is a point, whatever its precision."""


def point(value) -> float:
    """The nearest float, within the open ends."""
    try:
        return max(LEAST, min(GREATEST, float(value)))
    except OverflowError:
        return GREATEST if value > 0 else LEAST


def read(text: str) -> Decimal | None:
    """A number as a resource or a search may write it; None for what is none."""
    return Decimal(text) if _NUMBER.fullmatch(text) and len(text) <= 60 else None


def _half(text: str) -> Decimal:
    """Half a unit of a number's last digit, which is what its digits leave open: 100 is [99.5, 100.5), 5.40e-3 is 0.0054 +/- 0.000005."""
    match = _NUMBER.fullmatch(text)
    step = Decimal(text).as_tuple().exponent
    if match[2] and len(match[1].replace(".", "").lstrip("0")) < 2:
        step -= 1  # the specification's table has 1e2 stand for [95, 105)
    return Decimal(5).scaleb(step - 1)


def _same(number: Decimal) -> Decimal:
    return number


def sought(text: str, into=_same) -> tuple[str, float, float]:
    """(prefix, low, high): `eq` and `ne` heed the range that digits imply, `ap` at least a tenth, the others the exact number.

    The upper end of what digits imply does not belong to it, so `high` is the greatest float below, but never below the number itself.
    into: from the numbers searched for, exact, to those of rows. Errors: Invalid.
    """
    prefix, rest = prefixed(text)
    rest = rest.replace(" ", "+")  # a plus sign that nobody encoded arrives as a space
    number = read(rest)
    if number is None:
        raise errors.Invalid(f"{rest if len(rest) <= 60 else rest[:57] + '...'!r} is not a number: digits, perhaps with a sign, a point and an exponent, of 60 characters at most, such as 5.40 or 1e-3.")
    if prefix not in ("eq", "ne", "ap"):
        return prefix, point(into(number)), point(into(number))
    half = _half(rest) if prefix != "ap" else max(_half(rest), abs(number) / 10)
    low, high = point(into(number - half)), point(into(number + half))
    return prefix, low, high if prefix == "ap" else max(point(into(number)), math.nextafter(high, -math.inf))


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    return [(Test(param.name, compares),) for compares in ranges.ways(*sought(plain(value)))]
