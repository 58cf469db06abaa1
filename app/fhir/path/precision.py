"""How precise a value is, and between what it may lie. http://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time (later than 2.0, on trial)"""
from __future__ import annotations

import calendar
import decimal
from decimal import Decimal

from app.fhir.path.evaluation import Evaluation, one, single
from app.fhir.path.node import boolean, constant
from app.fhir.path.quantity import EXACT, Quantity, worth
from app.fhir.path.syntax import BadExpression
from app.fhir.path.values import Temporal

_DIGITS = {"Date": (4, 6, 8), "DateTime": (4, 6, 8, 10, 12, 14, 17), "Time": (2, 4, 6, 9)}
"""Kind -> digits of a value that has one part, two parts, ...; the last has milliseconds."""
_MOST_PLACES = 28


def _boundary(high: bool):
    def function(run: Evaluation, nodes: list, digits: list | None = None) -> list:
        found, wanted = one(nodes), None if digits is None else single(digits, "Integer")
        if found is None or digits is not None and wanted is None:
            return []
        kind, value = found
        if kind in _DIGITS:
            edge = _moment(value, _DIGITS[kind][-1] if wanted is None else wanted, high)
        elif kind == "Quantity":
            number = _number(value.value, wanted, high)
            edge = None if number is None else Quantity(number, value.unit)
        elif kind in ("Integer", "Decimal"):
            kind, edge = "Decimal", _number(Decimal(value), wanted, high)
        else:
            raise BadExpression(f"a {kind} has no boundary")
        return [] if edge is None else [constant(kind, edge)]
    return function


def _number(value: Decimal, places: int | None, high: bool) -> Decimal | None:
    """Half a unit of the last digit away, to so many places (eight, unless said), away from the value."""
    places = 8 if places is None else places
    half = Decimal(5).scaleb(value.as_tuple().exponent - 1, EXACT)
    if not 0 <= places <= _MOST_PLACES:
        return None
    edge = EXACT.add(value, half if high else -half)
    found = edge.quantize(Decimal(1).scaleb(-places), decimal.ROUND_CEILING if high else decimal.ROUND_FLOOR, EXACT)
    return found if found.is_finite() else None


def _moment(when: Temporal, digits: int, high: bool) -> Temporal | None:
    """The first or last moment that a value may be, with so many digits: its own parts, then the least or greatest; without a zone in the first or last one."""
    known = _DIGITS[when.kind]
    if digits not in known:
        return None
    parts = list(when.parts)
    while len(parts) < min(known.index(digits) + 1, 3 if when.kind != "DateTime" else 6):
        parts.append(_last(when.kind, parts) if high else 1 if when.kind != "Time" and len(parts) < 3 else 0)
    parts = parts[:known.index(digits) + 1]
    if digits == known[-1] and when.kind != "Date":
        parts[-1] = _milliseconds(Decimal(parts[-1]), high)
    zone = (-720 if high else 840) if when.zone is None and when.kind == "DateTime" and len(parts) > 3 else when.zone
    return Temporal(when.kind, tuple(parts), zone)


def _last(kind: str, parts: list) -> int:
    at = len(parts) + (3 if kind == "Time" else 0)
    return calendar.monthrange(*parts[:2])[1] if at == 2 else (0, 12, 0, 23, 59, 59)[at]


def _milliseconds(seconds: Decimal, high: bool) -> Decimal:
    rest = Decimal(1).scaleb(seconds.as_tuple().exponent) - Decimal("0.001")
    return (seconds + rest if high and rest > 0 else seconds).quantize(Decimal("0.001"), decimal.ROUND_DOWN)


def _precision(run: Evaluation, nodes: list) -> list:
    """Places after the point, or digits of a date or time."""
    found = one(nodes)
    if found is None:
        return []
    kind, value = found
    if kind in _DIGITS:
        fraction = value.parts[-1].__class__ is Decimal and value.parts[-1].as_tuple().exponent < 0
        return [constant("Integer", _DIGITS[kind][-1] if fraction else _DIGITS[kind][len(value.parts) - 1])]
    if kind not in ("Integer", "Decimal"):
        raise BadExpression(f"a {kind} has no precision")
    return [constant("Integer", max(0, -Decimal(value).as_tuple().exponent))]


def _comparable(run: Evaluation, nodes: list, other: list) -> list:
    """Whether two quantities measure the same."""
    left, right = single(nodes, "Quantity"), single(other, "Quantity")
    return [] if left is None or right is None else boolean(worth(left)[0] == worth(right)[0])


PRECISION = {"lowBoundary": (0, 1, _boundary(False)), "highBoundary": (0, 1, _boundary(True)), "precision": (0, 0, _precision), "comparable": (1, 1, _comparable)}
