"""Dates and times moved by a time-valued quantity. http://hl7.org/fhirpath/N1/#datetime-arithmetic"""
from __future__ import annotations

import calendar
from datetime import date
from decimal import Decimal

from app.fhir.path.quantity import EXACT, Quantity, calendar as keyword
from app.fhir.path.syntax import BadExpression
from app.fhir.path.values import Temporal

_DEFINITE = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
"""Units of UCUM that stand for the calendar's; its year and month do not."""
_SECONDS = {"week": 604800, "day": 86400, "hour": 3600, "minute": 60, "second": Decimal(1), "millisecond": Decimal("0.001")}


def shift(when: Temporal, quantity: Quantity, sign: int) -> Temporal | None:
    """None where it leaves the calendar. Of units above the second whole ones count; a finer unit than the date's counts in whole coarser ones."""
    unit, amount = keyword(quantity.unit) or _DEFINITE.get(quantity.unit), quantity.value * sign
    if unit is None or abs(amount.adjusted()) > 14 or when.kind == "Time" and unit in ("year", "month", "week", "day"):
        raise BadExpression(f"{quantity} cannot be added to a {when.kind}")
    if unit not in ("second", "millisecond"):
        amount = Decimal(int(amount))
    if unit in ("year", "month"):
        return _by_months(when, int(amount) * (12 if unit == "year" else 1))
    seconds = EXACT.multiply(amount, _SECONDS[unit])
    if when.kind == "Time":
        return _by_clock(when, seconds)
    if len(when.parts) < 3:
        return _by_months(when, int(seconds / 86400 / 30) if len(when.parts) == 2 else int(seconds / 86400 / 365) * 12)
    return _by_seconds(when, seconds)


def _by_months(when: Temporal, months: int) -> Temporal | None:
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


def _by_seconds(when: Temporal, seconds: Decimal) -> Temporal | None:
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


def _by_clock(when: Temporal, seconds: Decimal) -> Temporal:
    step = {1: 3600, 2: 60}.get(len(when.parts))
    if step:
        seconds = Decimal(int(seconds / step) * step)
    padded = (*when.parts, 0, 0)[:3]
    total = (padded[0] * 3600 + padded[1] * 60 + padded[2] + seconds) % 86400  # of a Decimal, it has the dividend's sign
    return Temporal("Time", _clock(total + 86400 if total < 0 else total)[:len(when.parts)])
