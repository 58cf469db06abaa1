"""composite parameters: several values that must be met by one element. https://hl7.org/fhir/R4/search.html#composite"""
from __future__ import annotations

from itertools import product

from app import errors
from app.search.query import Test
from app.search.types.text import split

MODIFIERS = ()
PREFIXES = ()
READERS: dict = {}
"""Its rows are its components' rows, as `param/0`, `param/1`, with a group number for each element; see index."""


def ways(param, value: str, component) -> list[tuple[Test, ...]]:
    """`a$b`: each way to meet the first component with each way to meet the second; `component(part, value)` gives those."""
    values = split(value, "$")
    if len(values) != len(param.components):
        names = "$".join(c.code for c in param.components)
        raise errors.Invalid(f"{value!r} is not {names}: {len(param.components)} values joined by $.")
    found = [component(part, text) for part, text in zip(param.components, values)]
    return [tuple(test for way in combination for test in way) for combination in product(*found)]
