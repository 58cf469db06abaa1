"""The search parameters that each type has, as rows and tests need them. https://hl7.org/fhir/R4/searchparameter-registry.html"""
from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from app import errors
from app.fhir import definitions
from app.search import types
from app.search.context import Context
from app.search.param import NOTHING, Defined, Own, Param
from app.search.paths import Branch, Unfit, ends
from app.search.types import content, special
from app.search.yields import yields

__all__ = ["COMMON", "Param", "STAMPED", "TYPES", "definition", "find", "has_element", "is_type", "look", "members", "of", "part_expressions"]
TYPES: tuple[str, ...] = definitions.ENDPOINT_TYPES
"""Every type with an address."""
STAMPED = frozenset(special.CLAUSES) | {"_filter"}
"""Parameters that have no rows: tests on the entry itself, and filters, which are made of others."""
UNITED = ("token", "quantity", "composite")
"""Types of parameters that may be made of others."""
_OF_ANY = {code: p for code, p in definitions.parameters("Resource").items() if code not in special.REFUSED and p.expression}
COMMON = frozenset(_OF_ANY) | STAMPED | frozenset(content.CODES)
"""Parameters that every type has; _text those with a narrative, _content those with words."""
PLAIN = Context()
"""That of a store without parameters of its own."""


def is_type(name: str) -> bool:
    return name in _types()


@lru_cache(1)
def _types() -> frozenset[str]:
    return frozenset(TYPES)


def of(type: str, own: Own = NOTHING) -> dict[str, Param]:
    """Code -> parameter of a type: all that are served, those of every resource and the store's own included."""
    mine = {code: each.param for code, each in own[type].items() if each.ready} if type in own else {}
    return {**_of(type), **mine} if mine else _of(type)


@lru_cache(None)
def _of(type: str) -> dict[str, Param]:
    found = {code: param for code, known in definitions.parameters(type).items() if (param := served(type, known)) is not None}
    found |= {code: param._replace(of=_united(type, code, found)) for code, param in found.items() if param.type in UNITED}
    return {**found, **{code: Param(f"{type}.{code}", code, "special") for code in ("_list", "_filter")}}


def _united(type: str, code: str, found: dict[str, Param]) -> tuple[Param, ...]:
    """The parameters that ask the same of a part of its elements each, and together of all of them."""
    known = definitions.parameters(type)
    mine = _elements(type, known[code])
    others = {_elements(type, known[other]): param for other, param in found.items() if _asks(known[other], param) == _asks(known[code], found[code])}
    parts = {each: param for each, param in others.items() if each and each < mine}
    return tuple(parts.values()) if frozenset().union(*parts) == mine else ()


def _elements(type: str, known: definitions.Parameter) -> frozenset[str]:
    """The terms of its expression that are about a type."""
    terms = (term.strip() for term in known.expression.split("|"))
    return frozenset(term for term in terms if term.lstrip("(").partition(".")[0] == type)


def _asks(known: definitions.Parameter, param: Param) -> tuple:
    """What is asked of an element: as what it is read, and of a composite its parts' expressions and what they are read as."""
    return param.type, [(expression, part.type, part.kinds, part.targets) for expression, part in zip(part_expressions(known), param.components)]


def look(type: str, code: str, context: Context = PLAIN) -> Param | None:
    return of(type, context.own).get(code)


def find(type: str, code: str, context: Context = PLAIN) -> Param:
    """The parameter. Errors: Unsupported, which names those near it, or says why one of the store's own is not served now."""
    param = _of(type).get(code)
    if param is None and type in context.own and code in context.own[type]:
        return _own(context.own[type][code], context.now)
    if param is None:
        if code in definitions.parameters(type):
            raise errors.Unsupported(f"{type}.{code} is not served" + (f" ({special.REFUSED[code]})." if code in special.REFUSED else "."))
        known = of(type, context.own)
        near = get_close_matches(code, known, 5, 0.5)
        hint = f"near it are {', '.join(near)}" if near else f"it has {', '.join(sorted(known))}"
        raise errors.Unsupported(f"{type} has no search parameter {code!r}; {hint}.")
    return param


def _own(found: Defined, now: int) -> Param:
    """One of the store's own. Errors: Unsupported where it is not, or was not at the moment of the search (that of a page link), what it is now."""
    if not found.ready:
        raise errors.Unsupported(f"{found.param.name} awaits a reindex: not all resources are indexed by it yet.")
    if found.since > now:
        raise errors.Unsupported(f"{found.param.name} was defined after this search began: search again.")
    return found.param


def definition(type: str, code: str) -> definitions.Parameter | None:
    return definitions.parameters(type).get(code)


def served(type: str, known: definitions.Parameter, look=definitions.parameter) -> Param | None:
    """A parameter as it is served for a type, or None where it is not: its expression says nothing that can be indexed.

    look: url -> definition of a composite's part. Errors: BadExpression; Unfit for a composite of parts that need FHIRPath.
    """
    if known.code in content.CODES and type not in content.WORDLESS:
        return Param(f"{type}.{known.code}", known.code, known.type, url=known.url)
    if known.code in special.REFUSED or not known.expression:
        return None
    name, targets = f"{type}.{known.code}", tuple(sorted(t for t in known.targets if is_type(t)))
    if known.type == "composite":
        parts = tuple(_part(f"{name}/{i}", look(url), kinds) for i, (url, kinds) in enumerate(_part_kinds(type, known, look)))
        return Param(name, known.code, known.type, components=parts, url=known.url) if parts and all(p.kinds for p in parts) else None
    kinds = _kinds(type, known.expression, known.type)
    if not kinds:
        return None
    if known.type == "reference":
        targets = _targets(type, known.expression, targets or TYPES)
    return Param(name, known.code, known.type, kinds, targets, url=known.url)


def _targets(type: str, expression: str, targets: tuple[str, ...]) -> tuple[str, ...]:
    """Of a parameter's targets (one definition for many types, often), those that the elements of this type may name."""
    try:
        named = [end.targets for end in ends(Branch(), type, expression)]
    except Unfit:
        return targets
    if None in named:
        return targets
    return tuple(t for t in targets if any(t in each for each in named)) or targets


def _kinds(type: str, expression: str, parameter: str) -> frozenset[str]:
    """The types of what an expression gives from which a parameter of that type has rows; all where only a run tells."""
    readers = types.TYPES[parameter].READERS
    try:
        return frozenset(end.type for end in ends(Branch(), type, expression) if end.type in readers)
    except Unfit:
        found = yields(type, expression)
        return frozenset(readers if found is None else {types.SYSTEM.get(kind, kind) for kind in found} & readers.keys())


def _part(name: str, known: definitions.Parameter, kinds: frozenset[str]) -> Param:
    return Param(name, known.code, known.type, kinds, tuple(sorted(t for t in known.targets if is_type(t))) or (TYPES if known.type == "reference" else ()), url=known.url)


def _part_kinds(type: str, known: definitions.Parameter, look) -> list[tuple[str, frozenset[str]]]:
    """(definition url, kinds) of a composite's parts, at whichever of its ends they are."""
    found = []
    for url, expression in known.components:
        roots = [type] if expression.startswith("%resource.") else sorted({end.type for end in ends(Branch(), type, known.expression)})
        # DocumentReference-relationship names its two parts the wrong way round: the expression tells which is which
        for named in (url, *(other for other, _ in known.components if other != url)):
            kinds = frozenset(k for root in roots for k in _part_ends(root, expression.removeprefix("%resource."), look(named).type))
            if kinds:
                break
        found.append((named, kinds))
    return found


def _part_ends(type: str, expression: str, parameter: str) -> set[str]:
    return {end.type for end in ends(Branch(), type, expression)} & types.TYPES[parameter].READERS.keys()


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

