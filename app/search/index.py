"""The index rows of a resource, for all search parameters of its type. https://hl7.org/fhir/R4/searchparameter-registry.html"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from app import errors
from app.fhir import bindings, path
from app.search import content, parameters, types
from app.search.criteria import INSIDE
from app.search.param import NOTHING, Defined, Own
from app.search.paths import Branch, Composite, Frame, Of, Unfit, ends, walk
from app.search.query import Row
from app.search.types import string, token
from app.search.types.reference import CONTAINED

WORK = 100_000
"""Steps of FHIRPath that one parameter may take on one resource."""
TEXT = 200_000
"""Characters of all that one parameter's FHIRPath finds in one resource."""
HULL = ":hull"
"""What the name of a date's row from its first to its last ends in."""


class Plan(NamedTuple):
    """A type's parameters, compiled: the tree that is walked, the few that FHIRPath evaluates (parameter type, rows' name, expression), and
    the rows' names of strings."""

    tree: Branch
    rest: tuple[tuple[str, str, path.Expression], ...]
    strings: frozenset[str]


def rows(resource: dict, zone: str, base: str = "", own: Own = NOTHING) -> list[Row]:
    """All index rows of a valid resource, each once. zone: of dates that carry none; base: this server's FHIR base url; own: the store's own parameters.

    Whatever else is odd about the content, it does not fail: what cannot be read has no row.
    """
    frame = Frame(zone, base.rstrip("/"), resource)
    held = {each["id"]: each for each in resource.get("contained") or () if each and "id" in each}
    return list(dict.fromkeys(_with_contained(_own_rows(resource, frame, own), held, frame, own)))


def _own_rows(resource: dict, frame: Frame, own: Own) -> list[Row]:
    """The rows of a resource's own elements, and of its words."""
    type = resource["resourceType"]
    plan = _plan(type, tuple(own[type].values()) if type in own else ())
    found: list[Row] = []
    walk(plan.tree, resource, found.append, frame)
    for kind, name, evaluate in plan.rest:
        found += types.rows(kind, name, _nodes(evaluate, resource), frame)
    return [*found, *_hulls(found), *content.rows(resource, [row.text for row in found if row.text and row.param in plan.strings])]


def _with_contained(rows: list[Row], held: dict[str, dict], frame: Frame, own: Own) -> list[Row]:
    """With the rows of what is contained, under the name of the parameter that refers to it: `Observation.subject>Patient.name`, and `Observation.subject>Patient` that it is there.

    Hop by hop, what one way leads to all at once: what refers to one another would be met over and over.
    """
    found, ways = _parted(rows, held)
    known: dict[str, tuple[list[Row], dict[str, dict]]] = {}
    for _ in range(INSIDE):
        further: dict[str, dict] = {}
        for way, ids in ways.items():
            for id in ids:
                if id not in known:
                    inside = Frame(frame.zone, frame.base, held[id])
                    inside.group = frame.group  # of two that are contained, the groups are told apart
                    known[id] = _parted(_own_rows(held[id], inside, own), held)
                    frame.group = inside.group
                below, on = known[id]
                found.append(Row(way + held[id]["resourceType"]))
                found += [row._replace(param=way + row.param) for row in below]
                for param, those in on.items():
                    further.setdefault(way + param, {}).update(those)
        ways = further
    return found


def _parted(rows: list[Row], held: dict[str, dict]) -> tuple[list[Row], dict[str, dict]]:
    """The rows, each once, and by the name of each parameter with `>` the ids of what is contained and referred to."""
    found, refs = [], {}
    for row in dict.fromkeys(rows):
        if not row.param.endswith(CONTAINED):
            found.append(row)
        elif row.code in held:
            refs.setdefault(row.param.removesuffix(CONTAINED) + ">", {})[row.code] = None
    return found, refs


def _hulls(rows: list[Row]) -> list[Row]:
    """From the first to the last of several dates of a parameter: what a search between two looks at."""
    dates: dict[str, list[Row]] = {}
    for row in rows:
        if row.low.__class__ is int and "/" not in row.param:
            dates.setdefault(row.param, []).append(row)
    return [Row(param + HULL, 0, low=min(r.low for r in each), high=max(r.high for r in each)) for param, each in dates.items() if len(each) > 1]


def _nodes(evaluate: path.Expression, resource: dict) -> list[tuple]:
    try:
        found = [(node.value, node.type) for node in evaluate(resource, budget=WORK)]
        return found if sum(len(value) for value, _ in found if value.__class__ is str) <= TEXT else []
    except (path.BadExpression, errors.TooCostly):
        return []


@lru_cache(maxsize=1000)
def _plan(type: str, own: tuple[Defined, ...]) -> Plan:
    tree, rest = Branch(), []
    known = [*((p, parameters.definition(type, p.code)) for p in parameters.of(type).values()), *((d.param, d.definition) for d in own)]
    for param, definition in known:
        if param.of:
            continue
        if param.components:
            _composite(tree, type, param, definition)
        elif param.kinds and param.code not in parameters.STAMPED:
            try:
                plant(tree, type, param, definition.expression)
            except Unfit:
                rest.append((param.type, param.name, path.compile(definition.expression)))
    return Plan(tree, tuple(rest), frozenset(param.name for param, _ in known if param.type == "string" and param.kinds))


def plant(tree: Branch, type: str, param, expression: str) -> None:
    """Puts a parameter's readers at the ends of its expression. Errors: Unfit."""
    for end in ends(tree, type, expression):
        reader = reader_of(param, end)
        if reader is not None:
            branch = end.branch.guarded(Of(param.targets)) if end.type == "Resource" else end.branch
            branch.readers.append((reader, param.name))


def reader_of(param, end) -> Callable | None:
    """What adds the rows of a parameter at one end of its expression."""
    if param.type == "token" and end.type == "code" and (values := bindings.required(end.element)):
        return token.code_of(values)
    if param.type == "string" and end.type == "string" and end.element is not None and end.element.path == "HumanName.family":
        return string.family
    return types.TYPES[param.type].READERS.get(end.type)


def _composite(tree: Branch, type: str, param, definition) -> None:
    """A composite at each end of its own expression; its parts are trees of their own, from there or from the resource."""
    for end in ends(tree, type, definition.expression):
        parts = []
        for part, expression in zip(param.components, parameters.part_expressions(definition)):
            rooted = expression.startswith("%resource.")
            branch = Branch()
            plant(branch, type if rooted else end.type, part, expression.removeprefix("%resource."))
            parts.append((branch, rooted))
        end.branch.composites.append(Composite(tuple(parts)))
