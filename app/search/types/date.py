"""date parameters: every date is a range of microseconds UTC. https://hl7.org/fhir/R4/search.html#date"""
from __future__ import annotations

import calendar
import re
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from app import errors
from app.search.context import Context
from app.search.query import FIRST, LAST, Compare, Row, Test
from app.search.types import range as ranges
from app.search.types.text import PREFIXES, plain, prefixed

MODIFIERS = ()
__all__ = ["MODIFIERS", "PREFIXES", "READERS", "bounds", "span", "sought", "ways"]
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY, _MINUTE, _SECOND = 86_400_000_000, 60_000_000, 1_000_000
_zone = lru_cache(maxsize=16)(ZoneInfo)


def bounds(value, type: str, zone: str) -> tuple[int, int]:
    """(low, high), both inclusive, of a date, dateTime, instant (text), Period or Timing (dict); FIRST and LAST are open ends.

    An instant is a point. Errors: Invalid for a text that is no date.
    """
    if type == "Period":
        return _period(value, zone)
    if type == "Timing":
        return _timing(value, zone)
    found = span(value, zone)
    return (found[0], found[0]) if type == "instant" else found


@lru_cache(maxsize=50_000)
def span(text: str, zone: str) -> tuple[int, int]:
    """The range of a date as precise as it is written. Errors: Invalid for a text that is no date."""
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        hint = " In an address + is written %2B." if " " in str(text) else ""
        raise errors.Invalid(f"{text!r} is not a date: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][zone].{hint}")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        if hour is None:
            return _days(int(year), int(month or 0), int(day or 0), zone)
        low = _moment(date(int(year), int(month), int(day)), int(hour), int(minute), offset, zone)
    except ValueError as error:
        raise errors.Invalid(f"{text!r} is not a date: {error}.") from None
    if second is None:
        return low, low + _MINUTE - 1
    if int(second) > 59:  # a leap second, which the calendar here has not
        if int(second) > 60:
            raise errors.Invalid(f"{text!r} is not a date: there are 60 seconds in a minute.")
        return low + _MINUTE - 1, low + _MINUTE - 1
    low += int(second) * _SECOND
    if fraction is None:
        return low, low + _SECOND - 1
    low += int(fraction[:6].ljust(6, "0"))
    return low, low + 10 ** max(0, 6 - len(fraction)) - 1


def _days(year: int, month: int, day: int, zone: str) -> tuple[int, int]:
    first = date(year, month or 1, day or 1)
    last = date(year, month or 12, day or calendar.monthrange(year, month or 12)[1])
    return _midnight(first.toordinal(), zone), _midnight(last.toordinal() + 1, zone) - 1


def _midnight(ordinal: int, zone: str) -> int:
    """The start of a day in the zone; the one after the last of the calendar has that one's offset."""
    near = datetime.fromordinal(min(ordinal, date.max.toordinal()))
    return (ordinal - _EPOCH) * _DAY - _offset(near, zone)


def _moment(day: date, hour: int, minute: int, offset: str | None, zone: str) -> int:
    near = datetime(day.year, day.month, day.day, hour, minute)
    local = (day.toordinal() - _EPOCH) * _DAY + (hour * 60 + minute) * _MINUTE
    if offset is None:
        return local - _offset(near, zone)
    if offset == "Z":
        return local
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError(f"no zone is {offset} away")
    return local - (hours * 60 + minutes) * _MINUTE * (-1 if offset[0] == "-" else 1)


def _offset(near: datetime, zone: str) -> int:
    return int(_zone(zone).utcoffset(near).total_seconds()) * _SECOND


def _period(value: dict, zone: str) -> tuple[int, int]:
    start, end = value.get("start"), value.get("end")
    return span(start, zone)[0] if start else FIRST, span(end, zone)[1] if end else LAST


def _timing(value: dict, zone: str) -> tuple[int, int]:
    """Only the outer limits matter: of the events, and of the period that bounds the repetition."""
    found = [span(e, zone) for e in value.get("event") or () if e]
    period = (value.get("repeat") or {}).get("boundsPeriod")
    if period:
        found.append(_period(period, zone))
    return (min(low for low, _ in found), max(high for _, high in found)) if found else (FIRST, LAST)


def _reader(type: str):
    def read(add, param: str, group: int, value, context: Context) -> None:
        try:
            low, high = bounds(value, type, context.zone)
        except errors.Invalid:
            return
        if low != FIRST or high != LAST:
            add(Row(param, group, None, None, None, low, high))
    return read


READERS = {type: _reader(type) for type in ("date", "dateTime", "instant", "Period", "Timing")}
"""FHIR type -> what adds its rows. What is no date of the calendar (a 30th of February), or says none, has no row."""


def sought(text: str, context: Context) -> tuple[str, int, int]:
    """(prefix, low, high) of a searched date; `ap` is widened by a tenth of its distance from now."""
    prefix, rest = prefixed(plain(text))
    low, high = span(rest.replace(" ", "+"), context.zone)  # a plus sign that nobody encoded arrives as a space
    if prefix == "ap":
        gap = max(low - context.now, context.now - high, 0) // 10
        low, high = low - gap, high + gap
    return prefix, low, high


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    return [(Test(param.name, compares),) for compares in ranges.ways(*sought(value, context))]


def limit(param, value: str, context: Context) -> tuple[Compare, ...] | None:
    """What every row meets that the value finds, or None where that is no bound."""
    return ranges.bound(*sought(value, context))
