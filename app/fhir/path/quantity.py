"""Quantities of FHIRPath: units of UCUM, and calendar durations, of which years and months compare with no unit of UCUM. http://hl7.org/fhirpath/N1/#quantity"""
from __future__ import annotations

import decimal
import re
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from app.fhir import ucum
from app.fhir.path.syntax import BadExpression

EXACT = decimal.Context(prec=40, rounding=decimal.ROUND_HALF_UP, Emax=9999, Emin=-9999, traps=[])

CALENDAR = {"year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
"""Calendar unit -> the unit of UCUM that it stands for in a resource's quantity, and whose length it has from weeks on."""
KEYWORDS = {code: word for word, code in CALENDAR.items() if code not in ("wk", "ms")}
"""Of a FHIR quantity with one of these units, the calendar's is meant. http://hl7.org/fhir/R4/fhirpath.html"""
_DAYS = {"year": 365, "month": 30}
_MONTHS = {"year": 12, "month": 1}


class Quantity(NamedTuple):
    value: Decimal
    unit: str

    def __str__(self) -> str:
        unit = self.unit if calendar(self.unit) else f"'{self.unit}'"
        return f"{decimal_text(self.value)} {unit}"


def decimal_text(number) -> str:
    """A number in plain digits, never in powers of ten; BadExpression where that would be absurdly long."""
    if isinstance(number, int):
        return str(number)
    if not number.is_finite() or abs(number.adjusted()) > 400:
        raise BadExpression("a number beyond 400 digits")
    return format(Decimal(number), "f")


def calendar(unit: str) -> str | None:
    """The calendar unit of a keyword in either number; None for another unit."""
    word = unit.removesuffix("s")
    return word if word in CALENDAR else None


def worth(quantity: Quantity) -> tuple[str, Fraction]:
    """(what it measures, how much of that): quantities compare if they measure the same. A unit that is none of UCUM's measures itself."""
    word = calendar(quantity.unit)
    if word in _MONTHS:
        return "calendar months", Fraction(quantity.value) * _MONTHS[word]
    found = ucum.canonical(quantity.value, CALENDAR[word] if word else quantity.unit)
    return (found[1], found[0]) if found else (quantity.unit, Fraction(quantity.value))


def in_one_unit(left: Quantity, right: Quantity) -> tuple[Decimal, Decimal] | None:
    """Their values in the coarser of their units, for equivalence, which takes a calendar year or month for UCUM's; None if they measure different things."""
    left, right = (q._replace(unit=_code(q.unit)) for q in (left, right))
    if (_step(left.unit) or 0) < (_step(right.unit) or 0):
        left, right = right, left
    found = converted(right, left.unit)
    return None if found is None else (left.value, found.value)


def converted(quantity: Quantity, unit: str) -> Quantity | None:
    """In another unit; None if it measures something else. Of calendar units a year is 12 months or 365 days, a month 30 days."""
    one = Quantity(Decimal(1), unit)
    if calendar(unit) and calendar(quantity.unit) and worth(quantity)[0] != worth(one)[0]:
        quantity, one = _in_days(quantity), _in_days(one)
    elif not calendar(unit) and not calendar(quantity.unit):
        found = ucum.converted(quantity.value, quantity.unit, unit)
        return quantity if quantity.unit == unit else None if found is None else Quantity(_decimal(found), unit)
    (measure, amount), (other, step) = worth(quantity), worth(one)
    return Quantity(_decimal(amount / step), unit) if measure == other else None


def _in_days(quantity: Quantity) -> Quantity:
    days = _DAYS.get(calendar(quantity.unit))
    return Quantity(EXACT.multiply(quantity.value, days), "day") if days else quantity


def _decimal(number: Fraction) -> Decimal:
    return EXACT.divide(Decimal(number.numerator), Decimal(number.denominator))


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Sum or difference, in the finer of their units; None if they measure different things, or on a scale on which nothing adds up (37 Cel + 1 K)."""
    if left.unit == right.unit:
        return Quantity(EXACT.add(left.value, right.value * sign), left.unit)
    (measure, x), (other, y), steps = worth(left), worth(right), [(_step(q.unit), q.unit) for q in (left, right)]
    if measure != other or any(step is None for step, _ in steps):
        return None
    step, unit = min(steps, key=lambda found: found[0])
    return Quantity(_decimal((x + sign * y) / step), unit)


def _step(unit: str) -> Fraction | None:
    found = ucum.unit(unit)
    return worth(Quantity(Decimal(1), unit))[1] if found is None or found.into is None else None


def multiply(left: Quantity, right: Quantity) -> Quantity:
    return Quantity(EXACT.multiply(left.value, right.value), _product(_code(left.unit), _code(right.unit), 1))


def divide(left: Quantity, right: Quantity) -> Quantity | None:
    """None for a division by nothing."""
    return Quantity(EXACT.divide(left.value, right.value), _product(_code(left.unit), _code(right.unit), -1)) if right.value else None


_POWER = re.compile(r"([a-zA-Z]+|\[[^\[\]]+\])(-?\d+)?")


def _product(left: str, right: str, sign: int) -> str:
    """The unit of a product or quotient; powers of one unit are one power: `cm` and `cm2` make `cm3`."""
    if right == "1":
        return left
    a, b = _POWER.fullmatch(left), _POWER.fullmatch(right)
    if a and b and a[1] == b[1]:
        power = int(a[2] or 1) + sign * int(b[2] or 1)
        return "1" if power == 0 else a[1] if power == 1 else f"{a[1]}{power}"
    if left == "1" and sign > 0:
        return right
    return f"{left}{'.' if sign > 0 else '/'}{f'({right})' if '.' in right or '/' in right else right}"


def _code(unit: str) -> str:
    return CALENDAR[word] if (word := calendar(unit)) else unit
