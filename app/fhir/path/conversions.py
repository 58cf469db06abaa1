"""FHIRPath's conversions: toX and convertsToX for each system type. http://hl7.org/fhirpath/N1/#conversion"""
from __future__ import annotations

import re
from decimal import Decimal

from app.fhir.path.evaluation import Evaluation, one, single
from app.fhir.path.node import boolean, constant
from app.fhir.path.quantity import Quantity, converted, decimal_text
from app.fhir.path.syntax import CALENDAR
from app.fhir.path.values import Temporal, temporal

_TRUE, _FALSE = {"true", "t", "yes", "y", "1", "1.0"}, {"false", "f", "no", "n", "0", "0.0"}
_INTEGER = re.compile(r"[+-]?\d{1,10}")
_DECIMAL = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?")
_QUANTITY = re.compile(r"([+-]?\d{1,40}(?:\.\d{1,40})?)\s*(?:'([^']+)'|([a-zA-Z]+))?")


def _boolean(kind: str, value) -> bool | None:
    if kind == "Boolean":
        return value
    if kind == "String":
        return True if value.lower() in _TRUE else False if value.lower() in _FALSE else None
    return bool(value) if kind in ("Integer", "Decimal") and value in (0, 1) else None


def _integer(kind: str, value) -> int | None:
    if kind in ("Integer", "Boolean"):
        return int(value)
    found = int(value) if kind == "String" and _INTEGER.fullmatch(value) else None
    return found if found is not None and -2 ** 31 <= found < 2 ** 31 else None


def _decimal(kind: str, value) -> Decimal | None:
    if kind in ("Integer", "Decimal", "Boolean"):
        return Decimal(value)
    return Decimal(value) if kind == "String" and _DECIMAL.fullmatch(value) else None


def _string(kind: str, value) -> str | None:
    if kind == "Boolean":
        return "true" if value else "false"
    return value if kind == "String" else decimal_text(value) if kind in ("Integer", "Decimal") else str(value)


def _moment(wanted: str):
    def convert(kind: str, value) -> Temporal | None:
        if kind == "String":
            return temporal(wanted, value.removeprefix("T") if wanted == "Time" else value)
        if kind == wanted:
            return value
        if wanted == "Date" and kind == "DateTime":
            return Temporal("Date", value.parts[:3])
        return Temporal("DateTime", value.parts) if wanted == "DateTime" and kind == "Date" else None
    return convert


def _quantity(kind: str, value) -> Quantity | None:
    if kind == "Quantity":
        return value
    if kind in ("Integer", "Decimal", "Boolean"):
        return Quantity(Decimal(value), "1")
    match = _QUANTITY.fullmatch(value) if kind == "String" else None
    if match is None or match[3] and match[3] not in CALENDAR:
        return None
    return Quantity(Decimal(match[1]), match[2] or match[3] or "1")


_CONVERT = {"Boolean": _boolean, "Integer": _integer, "Decimal": _decimal, "String": _string, "Quantity": _quantity,
            **{wanted: _moment(wanted) for wanted in ("Date", "DateTime", "Time")}}


def _in(convert):
    """The conversion, and of a quantity that to the unit that is asked for, perhaps."""
    def value(found: tuple, unit: tuple[list, ...]):
        result = convert(*found)
        wanted = single(unit[0], "String") if unit else None
        return result if not unit or result is None else converted(result, wanted) if wanted else None
    return value


def _to(wanted: str, value):
    def function(run: Evaluation, nodes: list, *unit: list) -> list:
        found = one(nodes)
        result = None if found is None else value(found, unit)
        return [] if result is None else [constant(wanted, result)]
    return function


def _converts(value):
    def function(run: Evaluation, nodes: list, *unit: list) -> list:
        found = one(nodes)
        return [] if found is None else boolean(value(found, unit) is not None)
    return function


CONVERSIONS = {}
for _wanted, _convert in _CONVERT.items():
    _most = 1 if _wanted == "Quantity" else 0
    CONVERSIONS[f"to{_wanted}"] = (0, _most, _to(_wanted, _in(_convert)))
    CONVERSIONS[f"convertsTo{_wanted}"] = (0, _most, _converts(_in(_convert)))
