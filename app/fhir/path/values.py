"""FHIRPath's own values: dates and times of any precision, quantities, and what a FHIR element is worth as one of them. http://hl7.org/fhirpath/N1/#literals

A system value is `(kind, value)`: Boolean bool, String str, Integer int, Decimal Decimal, Date/DateTime/Time a
Temporal, Quantity a Quantity.
"""
from __future__ import annotations

import calendar
import re
from datetime import date
from decimal import Decimal

from app.fhir.path.quantity import KEYWORDS, Quantity

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
    return "Quantity", Quantity(Decimal(number) if isinstance(number, int) else number, KEYWORDS.get(unit, unit))
