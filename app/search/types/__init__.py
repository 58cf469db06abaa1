"""Parameter types: what turns elements into index rows and search text into tests on rows. https://hl7.org/fhir/R4/search.html#ptypes

Each module has READERS (FHIR data type -> what adds its rows), MODIFIERS and PREFIXES (what it serves), and
`ways(param, modifier, value, context)`: tests of which an entry must meet one group.
"""
from __future__ import annotations

from typing import NamedTuple

from app import errors
from app.search.context import Context
from app.search.query import Clause, Compare, Has, Not, Row, Test, both, either
from app.search.types import composite, content, date, near, number, quantity, reference, special, string, token, uri
from app.search.types.text import split

TYPES = {"token": token, "string": string, "date": date, "number": number, "quantity": quantity, "reference": reference, "uri": uri,
         "composite": composite, "special": near}
MOST_VALUES = 500
"""Values of one OR list."""
MOST_CODES = 20_000
"""Codes that one comparison may name: ids without a type count once for each type that they may be of."""
LONGEST = 4096
"""Characters of one value."""


class Supported(NamedTuple):
    modifiers: tuple[str, ...]
    prefixes: tuple[str, ...]


SUPPORTED = {name: Supported((() if name == "composite" else ("missing",)) + module.MODIFIERS, module.PREFIXES) for name, module in TYPES.items()}
"""Parameter type -> the modifiers and prefixes that are served; `[type]` stands for the name of a resource type."""


SYSTEM = {"System.Boolean": "boolean", "System.String": "string", "System.Integer": "integer", "System.Decimal": "decimal"}
"""FHIRPath's own types, of what an expression computes -> the data types as which they are read."""


def rows(type: str, param: str, pairs, context: Context, group: int = 0) -> list[Row]:
    """Rows of a parameter of this type for (value, FHIR data type) pairs; none for a data type on which it is not defined."""
    found: list[Row] = []
    for value, kind in pairs:
        reader = TYPES[type].READERS.get(SYSTEM.get(kind, kind))
        if reader is not None and value is not None:
            reader(found.append, param, group, value, context)
    return found


def test(param, modifier: str, value: str, context: Context) -> Clause:
    """The clause of one parameter with its modifier and its value as written (an OR list perhaps).

    param: has name (of its rows), code, type, kinds, targets, components. Errors: Unsupported modifier or prefix, Invalid value, TooCostly.
    """
    values = split(value, ",")
    if len(values) > MOST_VALUES:
        raise errors.TooCostly(f"{len(values)} values in one list; {MOST_VALUES} is the most.")
    if any(len(v) > LONGEST for v in values):
        raise errors.TooCostly(f"A value of more than {LONGEST} characters.")
    if "" in values:
        raise errors.Invalid("A value is empty.")
    check(param, modifier)
    if modifier == "missing":
        return missing(param, values)
    if param.code in content.CODES:
        return either(*(content.clause(param, v) for v in values))
    if modifier == "contains":
        return either(*(both(any_of(ways(param, modifier, v, context)), *content.anywhere(param, v)) for v in values))
    found = any_of([way for v in values for way in ways(param, NEGATED.get(modifier, modifier), v, context)])
    return Not(found) if modifier in NEGATED else found


NEGATED = {"not": "", "not-in": "in"}
"""Modifier -> the one whose contrary it is: what has no such value, and what has none at all."""


def missing(param, values: list[str]) -> Clause:
    if values not in (["true"], ["false"]):
        raise errors.Invalid(":missing is true or false.")
    there = either(*(Has((Test(one.name),)) for one in param.of or (param,)))
    return Not(there) if values == ["true"] else there


def supported(param) -> Supported:
    """The modifiers and prefixes of one parameter: of its type's those that its elements have."""
    if param.code in content.CODES:
        return Supported((), ())
    if param.code in special.SUPPORTED:
        return Supported(*special.SUPPORTED[param.code])
    modifiers, prefixes = SUPPORTED[param.type]
    if param.type == "reference" and not reference.is_related(param):
        modifiers = tuple(m for m in modifiers if m not in ("above", "below"))
    needed = NEEDED.get(param.type, {})
    return Supported(tuple(m for m in modifiers if m not in needed or not param.kinds or needed[m] & param.kinds), prefixes)


NEEDED = {"reference": {"identifier": frozenset({"Reference"}), "[type]": frozenset({"Reference"})},
          "token": {"of-type": frozenset({"Identifier"}), "text": frozenset({"CodeableConcept", "Coding", "Identifier"}),
                    **dict.fromkeys(("in", "not-in", "above", "below"), frozenset({"CodeableConcept", "Coding", "code"}))}}
"""Parameter type and modifier -> the data types without any of which a parameter has it not."""


def check(param, modifier: str) -> None:
    """Errors: Unsupported for a modifier that this parameter has not, with those that it has."""
    modifiers = supported(param).modifiers
    if not modifier or (modifier in modifiers and modifier != "[type]") or ("[type]" in modifiers and modifier in param.targets):
        return
    known = ", ".join(f":{m}" for m in modifiers) or "none"
    raise errors.Unsupported(f"{param.code} has no modifier :{modifier}; it has {known}.")


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """Tests of which an entry must meet one group, for one value, which stands alone: a comma in it is one."""
    return [way for one in param.of or (param,) for way in _ways(one, modifier, value, context)]


def _ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    if param.type == "composite":
        return composite.ways(param, value, lambda part, text: ways(part, "", text, context))
    return TYPES[param.type].ways(param, modifier, value, context)


def any_of(ways: list[tuple[Test, ...]]) -> Clause:
    """One of the ways; those that differ in the code alone are one test. Errors: TooCostly."""
    merged: dict[tuple, list] = {}
    for way in ways:
        codes = [c for c in way[0].compares if c.column == "code" and c.how in ("eq", "in")] if len(way) == 1 else ()
        if len(codes) == 1:
            rest = (way[0].param, tuple(c for c in way[0].compares if c is not codes[0]))
            merged.setdefault(rest, []).extend(codes[0].value if codes[0].how == "in" else (codes[0].value,))
        else:
            merged.setdefault((way,), [])
    if len(merged) > MOST_VALUES:
        raise errors.TooCostly(f"The values come to {len(merged)} tests; {MOST_VALUES} is the most.")
    return either(*(_has(key, codes) for key, codes in merged.items()))


def _has(key: tuple, codes: list[str]) -> Has:
    if len(key) == 1:
        return Has(key[0])
    param, rest = key
    codes = list(dict.fromkeys(codes))
    if len(codes) > MOST_CODES:
        raise errors.TooCostly(f"The values may name {len(codes)} things; {MOST_CODES} is the most. Give the types of references.")
    first = Compare("code", "eq", codes[0]) if len(codes) == 1 else Compare("code", "in", tuple(codes))
    return Has((Test(param, (first, *rest)),))


__all__ = ["SUPPORTED", "Supported", "TYPES", "any_of", "check", "rows", "supported", "test", "ways"]
