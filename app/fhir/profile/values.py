"""Fixed values and patterns, held against what a resource has. https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_"""
from __future__ import annotations

from decimal import Decimal

from app.fhir import json


def same(value, fixed) -> bool:
    """All of it is there, and nothing else; the precision of a decimal counts."""
    if isinstance(fixed, dict):
        return isinstance(value, dict) and value.keys() == fixed.keys() and all(same(value[key], each) for key, each in fixed.items())
    if isinstance(fixed, list):
        return isinstance(value, list) and len(value) == len(fixed) and all(map(same, value, fixed))
    if isinstance(fixed, bool) or isinstance(value, bool):
        return value is fixed
    if isinstance(fixed, (int, Decimal)):
        return isinstance(value, (int, Decimal)) and Decimal(value).as_tuple() == Decimal(fixed).as_tuple()
    return value == fixed


def fits(value, pattern) -> bool:
    """What the pattern has is there; each item of its lists is fitted by some item."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], each) for key, each in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(fits(one, each) for one in value) for each in pattern)
    return same(value, pattern)


def inside(value, path: list[str]) -> list:
    """The values at a path of names within a fixed value or pattern; lists are gone through."""
    if isinstance(value, list):
        return [found for each in value for found in inside(each, path)]
    if not path:
        return [value]
    return inside(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []


def shown(value) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."
