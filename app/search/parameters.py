"""The search parameters that each type has, as rows and tests need them. https://hl7.org/fhir/R4/searchparameter-registry.html"""
from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from app import errors
from app.fhir import definitions, path
from app.search import types
from app.search.param import Param
from app.search.paths import Branch, Unfit, ends
from app.search.types import special

__all__ = ["COMMON", "Param", "STAMPED", "TYPES", "definition", "find", "has_element", "is_type", "look", "members", "of", "part_expressions"]
TYPES: tuple[str, ...] = definitions.ENDPOINT_TYPES
"""Every type with an address."""
STAMPED = frozenset(special.CLAUSES) | {"_filter"}
"""Parameters that have no rows: tests on the entry itself, and filters, which are made of others."""
_OF_ANY = {code: p for code, p in definitions.parameters("Resource").items() if code not in special.REFUSED and p.expression}
COMMON = frozenset(_OF_ANY) | STAMPED
"""Parameters that every type has."""
EVALUATED = {"Patient.deceased": frozenset({"boolean"})}
"""Parameters whose expressions need FHIRPath -> the types of what they give."""


def is_type(name: str) -> bool:
    return name in _types()


@lru_cache(1)
def _types() -> frozenset[str]:
    return frozenset(TYPES)


@lru_cache(None)
def of(type: str) -> dict[str, Param]:
    """Code -> parameter of a type: all that are served, those of every resource included."""
    found = {code: param for code, known in definitions.parameters(type).items() if (param := _param(type, known)) is not None}
    return {**found, **{code: Param(f"{type}.{code}", code, "special") for code in ("_list", "_filter")}}


def look(type: str, code: str) -> Param | None:
    return of(type).get(code)


def find(type: str, code: str) -> Param:
    """The parameter. Errors: Unsupported, which names those near it."""
    param = of(type).get(code)
    if param is None:
        if code in definitions.parameters(type):
            raise errors.Unsupported(f"{type}.{code} is not served" + (f" ({special.REFUSED[code]})." if code in special.REFUSED else "."))
        near = get_close_matches(code, of(type), 5, 0.5)
        hint = f"near it are {', '.join(near)}" if near else f"it has {', '.join(sorted(of(type)))}"
        raise errors.Unsupported(f"{type} has no search parameter {code!r}; {hint}.")
    return param


def definition(type: str, code: str) -> definitions.Parameter | None:
    return definitions.parameters(type).get(code)


def _param(type: str, known: definitions.Parameter) -> Param | None:
    """A parameter as it is served for a type, or None where it is not: its expression says nothing that can be indexed."""
    if known.code in special.REFUSED or not known.expression:
        return None
    name, targets = f"{type}.{known.code}", tuple(sorted(t for t in known.targets if is_type(t)))
    if known.type == "composite":
        parts = tuple(_part(f"{name}/{i}", url, kinds) for i, (url, kinds) in enumerate(_part_kinds(type, known)))
        return Param(name, known.code, known.type, components=parts, url=known.url) if parts and all(p.kinds for p in parts) else None
    kinds = _kinds(type, known.expression, known.type, name)
    if not kinds:
        return None
    if known.type == "reference":
        targets = _targets(type, known.expression, targets or TYPES)
    return Param(name, known.code, known.type, kinds, targets, url=known.url)


def _targets(type: str, expression: str, targets: tuple[str, ...]) -> tuple[str, ...]:
    """Of a parameter's targets (one definition for many types, often), those that the elements of this type may name."""
    named = [end.targets for end in ends(Branch(), type, expression)]
    if None in named:
        return targets
    return tuple(t for t in targets if any(t in each for each in named)) or targets


def _kinds(type: str, expression: str, parameter: str, name: str = "") -> frozenset[str]:
    """The FHIR types at an expression's ends from which a parameter of that type has rows."""
    try:
        return frozenset(end.type for end in ends(Branch(), type, expression) if end.type in types.TYPES[parameter].READERS)
    except Unfit:
        return EVALUATED.get(name, frozenset())


def _part(name: str, url: str, kinds: frozenset[str]) -> Param:
    known = definitions.parameter(url)
    return Param(name, known.code, known.type, kinds, tuple(sorted(t for t in known.targets if is_type(t))) or (TYPES if known.type == "reference" else ()), url=url)


def _part_kinds(type: str, known: definitions.Parameter) -> list[tuple[str, frozenset[str]]]:
    """(definition url, kinds) of a composite's parts, at whichever of its ends they are."""
    found = []
    for url, expression in known.components:
        roots = [type] if expression.startswith("%resource.") else sorted({end.type for end in ends(Branch(), type, known.expression)})
        # DocumentReference-relationship names its two parts the wrong way round: the expression tells which is which
        for named in (url, *(other for other, _ in known.components if other != url)):
            kind = definitions.parameter(named).type
            kinds = frozenset(k for root in roots for k in _kinds(root, expression.removeprefix("%resource."), kind))
            if kinds:
                break
        found.append((named, kinds))
    return found


def part_expressions(known: definitions.Parameter) -> list[str]:
    return [expression for _, expression in known.components]


def members(name: str) -> dict[str, tuple[str, ...]]:
    """Type -> codes of the parameters by which it belongs to a compartment; `{def}` is the resource itself. Errors: Invalid for no compartment."""
    if name not in definitions.COMPARTMENTS:
        raise errors.Invalid(f"There is no compartment {name!r}; there are {', '.join(definitions.COMPARTMENTS)}.")
    return definitions.compartment(name)


def has_element(types: tuple[str, ...], name: str) -> bool:
    """Whether any of the types (all, where none is given) has an element of that name at its top, or what it begins with up to a point.
    The name may begin with its type (`Patient.name`)."""
    first, _, rest = name.partition(".")
    if rest and first in TYPES:
        return has_element((first,), rest)
    return any(first in (element.name, key) for type in types or TYPES for key, element in definitions.elements(type).items())


def evaluate(expression: str):
    """An expression for FHIRPath: resource -> nodes."""
    return path.compile(expression)
