"""What a search asked, as the log tells it: its text, and the patients whom it named. https://hl7.org/fhir/R4/search.html"""
from __future__ import annotations

import re

from app.search.query import And, Clause, Has, Or, Query, Stamp

_PATIENT = re.compile(r"Patient/[A-Za-z0-9\-.]{1,64}")
_ESCAPES = str.maketrans({"%": "%25", "&": "%26", "+": "%2B", ";": "%3B"})


def text(pairs) -> str:
    """Names and values as one readable text, from which they can be told apart again as from a form."""
    return "&".join(f"{name.translate(_ESCAPES).replace('=', '%3D')}={value.translate(_ESCAPES)}" for name, value in pairs)


def query(types: tuple[str, ...], pairs, whose: str = "") -> str:
    """The search's address below the base; whose: `Type/id` of its compartment."""
    type = types[0] if len(types) == 1 else "*" if whose else ""
    return f"{whose}/{type}?{text(pairs)}" if whose else f"{type}?{text(pairs)}"


def patients(query: Query, whose: str = "") -> list[str]:
    """The patients whom a search names, found or not: that is whom it was about."""
    ids = [f"Patient/{v}" for v in _values(query.where, "id")] if query.types == ("Patient",) else []
    return [p for p in dict.fromkeys([whose, *ids, *_values(query.where, "code")]) if _PATIENT.fullmatch(p)]


def _values(clause: Clause, column: str):
    """What the column is to be equal to, wherever nothing is negated."""
    if isinstance(clause, And | Or):
        for part in clause.parts:
            yield from _values(part, column)
        return
    compares = clause.compares if isinstance(clause, Stamp) else [c for t in clause.tests for c in t.compares] if isinstance(clause, Has) else ()
    for compare in compares:
        if compare.column == column and compare.how in ("eq", "in"):
            yield from (v for v in (compare.value if compare.how == "in" else (compare.value,)) if isinstance(v, str))
