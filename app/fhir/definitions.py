"""R4's definitions as look-ups: types and their elements, search parameters, compartments, invariants. https://hl7.org/fhir/R4/

Compiled by scripts/compile_r4.py into r4.json.gz; loaded at the first question.
"""
from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_name("r4.json.gz")
_QUANTITIES = Path(__file__).with_name("quantities.json")


class Element(NamedTuple):
    """One JSON property of a type.

    name: the element's name; choice: the base name (`value` of valueQuantity) or ``; max: -1 for any number; type: a type's name, or the
    path of an anonymous one (`Patient.contact`); targets: types that a Reference may name (empty: any)
    binding: (strength, value set), and the value set that is the most it may be extended to, where there is one
    """

    name: str
    min: int
    max: int
    type: str
    choice: str = ""
    targets: tuple[str, ...] = ()
    binding: tuple[str, ...] | None = None
    summary: bool = False
    modifier: bool = False
    short: str = ""
    path: str = ""


class Parameter(NamedTuple):
    """One search parameter as it applies to a type; components: (definition url, expression) of a composite."""

    code: str
    type: str
    url: str
    expression: str
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    base: tuple[str, ...] = ()
    description: str = ""


class Operation(NamedTuple):
    code: str
    url: str
    system: bool
    type: bool
    instance: bool
    resource: tuple[str, ...]
    affects_state: bool


@lru_cache(1)
def _all() -> dict:
    return json.loads(gzip.decompress(_FILE.read_bytes()))


def __getattr__(name: str):
    """RESOURCE_TYPES: every concrete type; ENDPOINT_TYPES: those with an address (not Parameters); COMPARTMENTS: their names."""
    if name == "RESOURCE_TYPES":
        value = tuple(sorted(n for n, t in _all()["types"].items() if t["kind"] == "resource" and not t["abstract"]))
    elif name == "ENDPOINT_TYPES":
        value = tuple(n for n in __getattr__("RESOURCE_TYPES") if n != "Parameters")
    elif name == "TYPES":
        value = frozenset(__getattr__("ENDPOINT_TYPES"))
    elif name == "COMPARTMENTS":
        value = tuple(sorted(_all()["compartments"]))
    elif name == "PRIMITIVES":
        value = {n: t.get("regex", "") for n, t in _all()["types"].items() if t["kind"] == "primitive-type"}
    else:
        raise AttributeError(name)
    globals()[name] = value
    return value


def is_resource(name: str) -> bool:
    """It names a concrete resource type."""
    return name in _resources()


@lru_cache(1)
def _resources() -> frozenset[str]:
    return frozenset(__getattr__("RESOURCE_TYPES"))


@lru_cache(None)
def elements(type: str) -> dict[str, Element]:
    """JSON property -> Element of a type or anonymous part; choices expanded, references to other parts resolved. Errors: KeyError."""
    root, _, _ = type.partition(".")
    found: dict[str, Element] = {}
    for name, low, high, types, targets, choice, binding, reference, summary, modifier, short in _all()["types"][root]["elements"].get(type, []):
        path = f"{type}.{name}"
        for each in ([reference] if reference else types):
            key = name + each[0].upper() + each[1:] if choice else name
            found[key] = Element(name, 0 if choice else low, high, each, name if choice else "", tuple(targets) if each in ("Reference", "canonical") else (),
                                 tuple(binding) if binding else None, summary, modifier, short, path)
    if not found and type not in _all()["types"] and type.rpartition(".")[0] not in _all()["types"][root]["elements"]:
        raise KeyError(type)
    return found


@lru_cache(None)
def choices(type: str) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Choice name -> (min, its JSON properties) of a type."""
    root = type.partition(".")[0]
    return {e[0]: (e[1], tuple(e[0] + t[0].upper() + t[1:] for t in e[3])) for e in _all()["types"][root]["elements"].get(type, []) if e[5]}


@lru_cache(None)
def ancestors(type: str) -> tuple[str, ...]:
    """The type and those that it is derived from, nearest first; anonymous parts are BackboneElements or Elements."""
    if "." in type:
        return (type, "BackboneElement", "Element") if "modifierExtension" in elements(type) else (type, "Element")
    known = _all()["types"].get(type)
    return (type, *ancestors(known["base"])) if known and known["base"] else (type,)


def kind(type: str) -> str:
    """`resource`, `complex-type`, `primitive-type`, or `` for what is no named type."""
    known = _all()["types"].get(type)
    return known["kind"] if known else ""


@lru_cache(None)
def parameters(type: str) -> dict[str, Parameter]:
    """Code -> search parameter of a resource type, those of every resource included; `Resource` gives these alone."""
    names = set(ancestors(type)) if type in _all()["types"] else {"Resource", "DomainResource"}
    found = {}
    for p in _all()["parameters"]:
        if names & set(p["base"]):
            found[p["code"]] = Parameter(p["code"], p["type"], p["url"], p.get("expression", ""), tuple(p.get("target", ())),
                                         tuple(map(tuple, p.get("component", ()))), tuple(p["base"]), p.get("description", ""))
    return found


@lru_cache(None)
def parameter(url: str) -> Parameter | None:
    """A search parameter by its canonical url."""
    for p in _all()["parameters"]:
        if p["url"] == url:
            return Parameter(p["code"], p["type"], url, p.get("expression", ""), tuple(p.get("target", ())), tuple(map(tuple, p.get("component", ()))), tuple(p["base"]), p.get("description", ""))
    return None


@lru_cache(None)
def compartment(name: str) -> dict[str, tuple[str, ...]]:
    """Resource type -> codes of the parameters by which it belongs to the compartment; `{def}` stands for the resource itself."""
    return {type: tuple(params) for type, params in _all()["compartments"][name].items()}


@lru_cache(1)
def operations() -> dict[str, Operation]:
    """Code -> operation definition of the base specification."""
    return {o["code"]: Operation(o["code"], o["url"], o.get("system", False), o.get("type", False), o.get("instance", False), tuple(o.get("resource", ())), o.get("affectsState", False))
            for o in _all()["operations"]}


@lru_cache(1)
def _quantities() -> dict:
    return json.loads(_QUANTITIES.read_bytes())


def invariants(path: str, type: str = "") -> list[tuple[str, str, str, str]]:
    """(key, severity, human, FHIRPath expression) of the invariants that stand at an element's path, for a value of the type (of `value[x]`, say)."""
    root = path.partition(".")[0]
    simple = _quantities()["invariants"] if type == "Quantity" and path in _quantities()["elements"] else ()
    return [tuple(i) for i in (*_all()["types"].get(root, {}).get("invariants", {}).get(path, ()), *simple)]
