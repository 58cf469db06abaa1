"""FHIRPath's own values: dates and times of any precision, quantities, and what a FHIR element is worth as one of them. http://hl7.org/fhirpath/N1/#literals

A system value is `(kind, value)`: Boolean bool, String str, Integer int, Decimal Decimal, Date/DateTime/Time a
Temporal, Quantity a Quantity.
"""
from __future__ import annotations

import calendar
import decimal
import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from app.fhir.path.syntax import BadExpression

EXACT = decimal.Context(prec=40, Emax=9999, Emin=-9999, traps=[])
UCUM = "http://unitsofmeasure.org"

KINDS = {"boolean": "Boolean", "decimal": "Decimal", "date": "Date", "dateTime": "DateTime", "instant": "DateTime", "time": "Time",
         **dict.fromkeys(("string", "uri", "url", "canonical", "code", "oid", "id", "uuid", "markdown", "base64Binary", "xhtml"), "String"),
         **dict.fromkeys(("integer", "unsignedInt", "positiveInt", "integer64"), "Integer"),
         **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration", "Money", "SimpleQuantity", "MoneyQuantity"), "Quantity"),
         **{f"System.{kind}": kind for kind in ("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity")}}

_TEMPORAL = re.compile(r"(?:(\d{4})(?:-(\d\d)(?:-(\d\d))?)?)?(?:(T?)(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?)?(Z|[+-]\d\d:\d\d)?)?")
_HIGHEST = (9999, 12, 31, 23, 59, 60)


class Temporal:
    """A date, dateTime or time: `parts` from the year (or hour) down to what was given, seconds as a Decimal; `zone` in minutes, or None."""

    __slots__ = ("kind", "parts", "zone")

    def __init__(self, kind: str, parts: tuple, zone: int | None = None):
        self.kind, self.parts, self.zone = kind, parts, zone

    def __str__(self) -> str:
        parts = self.parts if self.kind != "Time" else (0, 0, 0, *self.parts)
        day, hour = "-".join(f"{p:0{4 if i == 0 else 2}}" for i, p in enumerate(parts[:3])), ":".join(_two(p) for p in parts[3:])
        if self.kind == "Time":
            return hour
        zone = "" if self.zone is None else "Z" if self.zone == 0 else f"{'-' if self.zone < 0 else '+'}{abs(self.zone) // 60:02}:{abs(self.zone) % 60:02}"
        return f"{day}T{hour}{zone}" if hour or self.kind == "DateTime" and len(parts) > 3 else day

    __repr__ = __str__

    def minutes(self) -> int:
        """Minutes since the year 1, in UTC where the zone is known. Only for values that have minutes."""
        year, month, day, hour, minute = self.parts[:5]
        return date(year, month, day).toordinal() * 1440 + hour * 60 + minute - (self.zone or 0)


def _two(part) -> str:
    if isinstance(part, Decimal):
        whole, dot, rest = format(part, "f").partition(".")
        return f"{whole:0>2}{dot}{rest}"
    return f"{part:02}"


class Quantity(NamedTuple):
    value: Decimal
    unit: str

    def __str__(self) -> str:
        unit = self.unit if self.unit.removesuffix("s") in CALENDAR_UNITS else f"'{self.unit}'"
        return f"{decimal_text(self.value)} {unit}"


def temporal(kind: str, text) -> Temporal | None:
    """A Temporal from its text (a literal without its @), or None where it is no valid one of that kind."""
    match = _TEMPORAL.fullmatch(text) if isinstance(text, str) and len(text) < 64 else None
    if match is None:
        return None
    year, month, day, mark, hour, minute, second, zone = match.groups()
    given = [p for p in ((hour, minute, second) if kind == "Time" else (year, month, day, hour, minute, second)) if p is not None]
    parts = tuple(Decimal(p) if p is second and second is not None else int(p) for p in given)
    if kind == "Time":
        fits = year is None and hour is not None and zone is None
        limits = _HIGHEST[3:]
    else:
        fits = year is not None and not (kind == "Date" and (mark or hour)) and (hour is None or (mark and day))
        limits = _HIGHEST
    if not fits or any(p > limit for p, limit in zip(parts, limits)) or (kind != "Time" and not _is_day(parts)):
        return None
    return Temporal(kind, parts, _zone(zone))


def _is_day(parts) -> bool:
    if 0 in parts[:3]:
        return False
    return len(parts) < 3 or parts[2] <= calendar.monthrange(parts[0], parts[1])[1]


def _zone(text: str | None) -> int | None:
    if not text:
        return None
    return 0 if text == "Z" else (-1 if text[0] == "-" else 1) * (int(text[1:3]) * 60 + int(text[4:6]))


def system(node) -> tuple[str, object] | None:
    """What a node is worth as a system value; None for a complex one, one without a value, or one whose value does not fit its type."""
    kind, value = KINDS.get(node.type), node.value
    if kind is None or value is None:
        return None
    if kind == "Quantity":
        return _quantity(value)
    if kind in ("Date", "DateTime", "Time"):
        if value.__class__ is not Temporal:
            value = temporal(kind, value)
        return None if value is None else (kind, value)
    if kind == "Decimal":
        return (kind, value if isinstance(value, Decimal) else Decimal(value)) if isinstance(value, (int, Decimal)) and value.__class__ is not bool else None
    fits = value.__class__ is bool if kind == "Boolean" else value.__class__ is int if kind == "Integer" else isinstance(value, str)
    return (kind, value) if fits else None


def _quantity(value):
    if value.__class__ is Quantity:
        return "Quantity", value
    if not isinstance(value, dict) or value.get("comparator"):
        return None
    number, unit = value.get("value"), value.get("code") or value.get("unit") or value.get("currency") or "1"
    if not isinstance(number, (int, Decimal)) or isinstance(number, bool) or not isinstance(unit, str):
        return None
    return "Quantity", Quantity(Decimal(number) if isinstance(number, int) else number, unit)


# Units that can be compared without a terminology: unit -> (dimension, factor).
CALENDAR_UNITS = {"year": "year", "month": "month", "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
_FACTORS = {unit: (dimension, Decimal(factor)) for dimension, factors in {
    "time": {"wk": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1, "ms": "0.001"}, "months": {"month": 1, "year": 12},
    "mass": {"kg": 1000, "g": 1, "mg": "0.001", "ug": "0.000001", "ng": "0.000000001"},
    "length": {"km": 1000, "m": 1, "cm": "0.01", "mm": "0.001"},
    "volume": {"L": 1, "l": 1, "dL": "0.1", "dl": "0.1", "mL": "0.001", "ml": "0.001", "uL": "0.000001"}}.items() for unit, factor in factors.items()}


def base_unit(quantity: Quantity) -> tuple[str, Decimal]:
    """(what is comparable, value in its base unit)."""
    unit = CALENDAR_UNITS.get(quantity.unit.removesuffix("s"), quantity.unit) if len(quantity.unit) > 2 else quantity.unit
    if unit in _FACTORS:
        dimension, factor = _FACTORS[unit]
        return dimension, EXACT.multiply(quantity.value, factor)
    return unit or "1", quantity.value


def decimal_text(number) -> str:
    """A number in plain digits, never in powers of ten; BadExpression where that would be absurdly long."""
    if isinstance(number, int):
        return str(number)
    if not number.is_finite() or abs(number.adjusted()) > 400:
        raise BadExpression("a number beyond 400 digits")
    return format(Decimal(number), "f")


def shift(when: Temporal, quantity: Quantity, sign: int) -> Temporal | None:
    """A date or time moved by a calendar quantity; None where it leaves the calendar. A finer unit than the date's counts in whole coarser ones."""
    unit = CALENDAR_UNITS.get(quantity.unit.removesuffix("s"), quantity.unit) if len(quantity.unit) > 2 else quantity.unit
    amount = quantity.value * sign
    if unit not in CALENDAR_UNITS.values() or abs(amount.adjusted()) > 14:
        raise BadExpression(f"{quantity} cannot be added to a date or time")
    if when.kind == "Time":
        return None if unit in ("year", "month", "wk", "d") else _shift_time(when, amount, unit)
    if unit in ("year", "month"):
        return _shift_months(when, int(amount) * (12 if unit == "year" else 1))
    seconds = EXACT.multiply(amount, _FACTORS[unit][1])
    precision = len(when.parts)
    if precision < 3:
        months = int(seconds / 86400 / 30) if precision == 2 else int(seconds / 86400 / 365) * 12
        return _shift_months(when, months)
    return _shift_seconds(when, seconds)


def _shift_months(when: Temporal, months: int) -> Temporal | None:
    year, month = when.parts[0], when.parts[1] if len(when.parts) > 1 else 1
    if len(when.parts) == 1:
        months = int(months / 12) * 12
    total = year * 12 + month - 1 + months
    year, month = divmod(total, 12)
    if not 1 <= year <= 9999:
        return None
    parts = [year, month + 1, *when.parts[2:]][:len(when.parts)]
    if len(parts) > 2:
        parts[2] = min(parts[2], calendar.monthrange(year, month + 1)[1])
    return Temporal(when.kind, tuple(parts), when.zone)


def _shift_seconds(when: Temporal, seconds: Decimal) -> Temporal | None:
    parts = when.parts
    unit = {3: 86400, 4: 3600, 5: 60}.get(len(parts))
    if unit:
        seconds = Decimal(int(seconds / unit) * unit)
    padded = (*parts[3:], 0, 0, 0)[:3]
    total = date(*parts[:3]).toordinal() * 86400 + padded[0] * 3600 + padded[1] * 60 + padded[2] + seconds
    days, rest = divmod(total, 86400)
    if not 1 <= days <= date.max.toordinal():
        return None
    day = date.fromordinal(int(days))
    return Temporal(when.kind, (day.year, day.month, day.day, *_clock(rest))[:len(parts)], when.zone)


def _clock(seconds) -> tuple:
    return int(seconds // 3600), int(seconds % 3600 // 60), Decimal(seconds % 60)


def _shift_time(when: Temporal, amount: Decimal, unit: str) -> Temporal:
    seconds = EXACT.multiply(amount, _FACTORS[unit][1])
    step = {1: 3600, 2: 60}.get(len(when.parts))
    if step:
        seconds = Decimal(int(seconds / step) * step)
    padded = (*when.parts, 0, 0)[:3]
    total = (padded[0] * 3600 + padded[1] * 60 + padded[2] + seconds) % 86400  # of a Decimal, it has the dividend's sign
    return Temporal("Time", _clock(total + 86400 if total < 0 else total)[:len(when.parts)])
