"""The operations of filters: what each means for each parameter type. https://hl7.org/fhir/R4/search_filter.html#ops"""
from __future__ import annotations

import re

from app import errors
from app.fhir.codesystem import spellings
from app.search import types
from app.search.context import Context
from app.search.param import Param
from app.search.query import Clause, Compare, Test
from app.search.types import date
from app.search.types import range as ranges
from app.search.types import special as specials
from app.search.types.string import sought
from app.search.types.text import split

ALL = ("eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "ni", "re")
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb")
TEXT = {"eq": "eq", "ne": "ne", "co": "contains", "sw": "prefix", "ew": "suffix", "gt": "gt", "lt": "lt", "ge": "ge", "le": "le"}
"""Operation on a text -> comparison."""
TERMS = {"in": "in", "ss": "below", "sb": "above"}
"""Operation on a concept -> the modifier of the ordinary parameter that means it."""
NAMESPACES = {"loinc": "http://loinc.org", "snomed": "http://snomed.info/sct", "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm", "ucum": "http://unitsofmeasure.org"}
"""Names that stand for a system."""

Ways = list[tuple[Test, ...]]


def positive(how: str, value: str) -> tuple[str, bool]:
    """The operation without its negation, and whether it negates: `ni` and `pr false` speak of all that a path leads to. Errors: Unsupported, Invalid."""
    if how not in ALL:
        raise errors.Unsupported(f"There is no operation {how!r}; there are {', '.join(ALL)}.")
    if how == "pr" and value not in ("true", "false"):
        raise errors.Invalid(f"pr is true or false, not {value!r}.")
    return ("in" if how == "ni" else how), how == "ni" or (how, value) == ("pr", "false")


def ways(param: Param, how: str, value: str, context: Context) -> Ways:
    """Tests of which an entry must meet one group. Errors: Unsupported for an operation that the parameter has not; Invalid."""
    if not value:
        raise errors.Invalid("A value is empty.")
    if how == "pr":
        types.check(param, "missing")
        return [(Test(one.name),) for one in param.of or (param,)]
    meaning = MEANINGS.get(param.type, {})
    if how not in meaning:
        known = ", ".join([*meaning, "pr"])
        raise errors.Unsupported(f"{param.code} is a {param.type} parameter, for which {how} is not defined; it has {known}." + REASONS.get((param.type, how), ""))
    return [way for one in param.of or (param,) for way in meaning[how](one, how, value, context)]


REASONS = {("number", "co"): " Numbers are indexed without the precision in which they are written."}


def special(code: str, how: str, value: str, context: Context) -> Clause:
    """Of a parameter that is a test on the entry itself. Errors: as ways."""
    if how == "pr":
        return specials.clause(code, "missing", ["false"], context)
    if code == "_lastUpdated" and how in PREFIXES:
        return specials.clause(code, "", [_prefixed_text("date", how, value)], context)
    if how in ("eq", "ne"):
        return specials.clause(code, "not" if how == "ne" else "", [_literal(value)], context)
    raise errors.Unsupported(f"{code} has no operation {how}.")


def _literal(value: str) -> str:
    """A value without escapes as ordinary parameters have it."""
    return value.replace("\\", "\\\\")


def _string(param: Param, how: str, value: str, context: Context) -> Ways:
    """On the normal form. An order, and what differs, is of texts as they are written: not of their later words."""
    whole = (Compare("code", "some"),) if how in ("ne", "gt", "lt", "ge", "le") else ()
    return [(Test(param.name, (Compare("text", TEXT[how], sought(value)), *whole)),)]


def _uri(param: Param, how: str, value: str, context: Context) -> Ways:
    return [(Test(param.name, (Compare("code" if how in ("eq", "ne") else "text", TEXT[how], value),)),)]


def _prefixed_text(type: str, how: str, value: str) -> str:
    if not re.match(r"[-+.\d]", value, re.ASCII):
        raise errors.Invalid(f"{value!r} is no {type}.")
    return how + value


def _prefixed(param: Param, how: str, value: str, context: Context) -> Ways:
    return types.ways(param, "", _prefixed_text(param.type, how, _systems(value)), context)


def _covered(param: Param, how: str, value: str, context: Context) -> Ways:
    """A date's period includes the value's."""
    _, low, high = date.sought(_prefixed_text("date", "eq", value), context)
    return [(Test(param.name, (Compare("low", "le", low), Compare("high", "ge", high))),)]


def _overlapping(param: Param, how: str, value: str, context: Context) -> Ways:
    _, low, high = date.sought(_prefixed_text("date", "eq", value), context)
    return [(Test(param.name, compares),) for compares in ranges.ways("ap", low, high)]


def _as_written(param: Param, how: str, value: str, context: Context) -> Ways:
    return types.ways(param, "", value, context)


def _composite(param: Param, how: str, value: str, context: Context) -> Ways:
    return types.ways(param, "", "$".join(map(_systems, split(value, "$"))), context)


def _term(param: Param, how: str, value: str, context: Context) -> Ways:
    types.check(param, TERMS[how])
    return types.ways(param, TERMS[how], value if how == "in" else _systems(value), context)


def _systems(value: str) -> str:
    """With the systems in place of their short names."""
    *systems, last = split(value, "|")
    return "|".join([*(NAMESPACES.get(s, s) for s in systems), last])


def _token(param: Param, how: str, value: str, context: Context) -> Ways:
    """Without regard to case as far as an index can tell: as written, in small and in capital letters."""
    found = [tuple(c._replace(how="in", value=_cases(c)) if c.column == "code" else c for c in test.compares) for test, in types.ways(param, "", _systems(value), context)]
    if how == "eq":
        return [(Test(param.name, compares),) for compares in found]
    return [(Test(param.name, tuple(Compare(c.column, "ne", v) for v in (c.value if c.how == "in" else (c.value,)))),) for compares in found for c in compares]


def _cases(compare: Compare) -> tuple[str, ...]:
    codes = compare.value if compare.how == "in" else (compare.value,)
    return tuple(dict.fromkeys(form for code in codes for form in (code, *spellings(code))))


MEANINGS = {
    "string": dict.fromkeys(TEXT, _string),
    "uri": dict.fromkeys(("eq", "ne", "co", "sw", "ew"), _uri),
    "date": {**dict.fromkeys(PREFIXES, _prefixed), "co": _covered, "po": _overlapping},
    "number": dict.fromkeys(PREFIXES, _prefixed),
    "quantity": dict.fromkeys(PREFIXES, _prefixed),
    "token": {"eq": _token, "ne": _token, **dict.fromkeys(TERMS, _term)},
    "reference": {"re": _as_written},
    "composite": {"eq": _composite},
    "special": {"eq": _as_written},
}
"""Parameter type -> operation -> what makes its ways. The page has no column for uri, composite and special; `pr` is for all, `ni` is `in` negated."""
