"""Expressions of search parameters as a tree of JSON properties, walked once for all parameters of a resource.

The paths that HL7's parameters take (members, `as`, `where(resolve() is T)`, `where(name='text')`, the first of a list) are followed
without FHIRPath; Unfit is raised for the rest, which FHIRPath evaluates. https://hl7.org/fhir/R4/searchparameter.html#expression
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from app.fhir import definitions
from app.fhir.path import syntax

ROOTS = ("Resource", "DomainResource")


class Unfit(Exception):
    """An expression that needs FHIRPath."""


class Frame:
    """One walk: what readers need of the context, the resource, and the number of the last group of composite rows."""

    __slots__ = ("zone", "base", "root", "group")

    def __init__(self, zone: str, base: str, root: dict):
        self.zone, self.base, self.root, self.group = zone, base, root, 0


class Branch:
    """What is done at one element: readers add its rows, and the tree goes on by property, under a condition, or at the first item alone."""

    __slots__ = ("children", "readers", "guards", "composites", "first")

    def __init__(self):
        self.children: dict[str, Branch] = {}
        self.readers: list[tuple[Callable, str]] = []
        self.guards: list[tuple[Callable, Branch]] = []
        self.composites: list[Composite] = []
        self.first: Branch | None = None

    def child(self, key: str) -> "Branch":
        return self.children.setdefault(key, Branch())

    def guarded(self, test: Callable) -> "Branch":
        """The branch behind a condition; equal conditions share one."""
        for known, branch in self.guards:
            if known == test:
                return branch
        self.guards.append((test, Branch()))
        return self.guards[-1][1]


class Composite(NamedTuple):
    """A composite parameter at its element: each part's tree, and whether that starts at the resource (`%resource`)."""

    parts: tuple[tuple[Branch, bool], ...]


class End(NamedTuple):
    """Where an expression ends: the branch, the FHIR type of what is there, its definition (None for the resource itself),
    and the one type that `resolve() is` asks of a reference (empty where it does not)."""

    branch: Branch
    type: str
    element: object = None
    only: str = ""

    @property
    def targets(self) -> frozenset[str] | None:
        """Types that a reference here may name; None where it may name any."""
        if self.only:
            return frozenset((self.only,))
        declared = getattr(self.element, "targets", ())
        return frozenset(declared) if declared and "Resource" not in declared else None


def walk(branch: Branch, value, add: Callable, frame: Frame, group: int = 0) -> None:
    """Adds the rows of an element and of all that is under it."""
    for reader, param in branch.readers:
        reader(add, param, group, value, frame)
    if branch.guards:
        for test, inner in branch.guards:
            if test(value, frame):
                walk(inner, value, add, frame, group)
    if branch.composites:
        for composite in branch.composites:
            _combine(composite, value, add, frame)
    children = branch.children
    if children and value.__class__ is dict:
        for key, below in value.items():
            child = children.get(key)
            if child is None:
                continue
            if below.__class__ is list:
                for item in below:
                    if item is not None:
                        walk(child, item, add, frame, group)
                if child.first is not None and below and below[0] is not None:
                    walk(child.first, below[0], add, frame, group)
            elif below is not None:
                walk(child, below, add, frame, group)


def _combine(composite: Composite, value, add: Callable, frame: Frame) -> None:
    """Rows of all parts in a group of their own, if each part has one that a value can meet: without, no search could be met.
    Of a token only system and code: nobody asks a part of a composite for its display."""
    frame.group += 1
    rows: list = []
    for part, rooted in reversed(composite.parts):  # the value, of many types, is the part that is missing most
        found: list = []
        walk(part, frame.root if rooted else value, found.append, frame, frame.group)
        found = [row for row in found if row.code is not None or row.low is not None]
        if not found:
            return
        rows = found + rows
    for row in rows:
        add(row if row.system is None or row.code is None or row.text is None or row.low is not None else row._replace(text=None))


def ends(branch: Branch, type: str, expression: str) -> list[End]:
    """The ends of an expression on elements of `type`, as branches grown on `branch`; parts that begin at another resource have none,
    and an extension stands for its value.

    Errors: Unfit.
    """
    found = [end for tree in terms(syntax.parse(expression)) if concerns(tree, type) for end in _grow([End(branch, type)], tree, True)]
    return [end for each in found for end in (_step([each], syntax.Member("value"), False) if each.type == "Extension" else [each])]


def terms(tree) -> list:
    """The operands of a union."""
    if isinstance(tree, syntax.Path) and not tree.steps:
        return terms(tree.head)
    if isinstance(tree, syntax.Chain) and all(op == "|" for op, _ in tree.rest):
        return [t for operand in (tree.first, *(o for _, o in tree.rest)) for t in terms(operand)]
    return [tree]


def concerns(tree, type: str) -> bool:
    """Whether a term is about this type: it begins with its name, with that of all resources, or with an element."""
    first = tree
    while not isinstance(first, syntax.Path) or first.head is not None:
        first = first.first if isinstance(first, syntax.Chain) else first.head if isinstance(first, syntax.Path) else None
        if first is None:
            return True
    name = first.steps[0].name if isinstance(first.steps[0], syntax.Member) else type
    return name == type or name in ROOTS or not name[0].isupper()


def _grow(states: list[End], tree, start: bool = False) -> list[End]:
    if isinstance(tree, syntax.Chain) and len(tree.rest) == 1 and tree.rest[0][0] == "as":
        return _only(_grow(states, tree.first, start), tree.rest[0][1])
    if not isinstance(tree, syntax.Path):
        raise Unfit(repr(tree))
    if tree.head is not None:
        if isinstance(tree.head, syntax.External):
            raise Unfit("%" + tree.head.name)
        states, start = _grow(states, tree.head, start), False
    for step in tree.steps:
        states = _step(states, step, start)
        start = False
    return states


def _step(states: list[End], step, start: bool) -> list[End]:
    if isinstance(step, syntax.Member):
        if start and (step.name in ROOTS or any(s.type == step.name for s in states)):
            return states
        return [End(s.branch.child(key), element.type, element) for s in states for key, element in elements(s.type, step.name)]
    if isinstance(step, syntax.Index) and _is_zero(step.index):
        return [End(_first(s.branch), s.type, s.element) for s in states]
    if isinstance(step, syntax.Call) and step.name in ("as", "ofType") and len(step.arguments) == 1:
        return _only(states, step.arguments[0].steps[-1].name)
    if isinstance(step, syntax.Call) and step.name == "where" and len(step.arguments) == 1:
        test = _condition(step.arguments[0])
        return [End(s.branch.guarded(test), s.type, s.element, test.type if isinstance(test, Is) else s.only) for s in states]
    if isinstance(step, syntax.Call) and step.name == "extension" and len(step.arguments) == 1:
        return [End(s.branch.child("extension").guarded(Equals("url", _constant(step.arguments[0]))), "Extension") for s in states]
    raise Unfit(repr(step))


def elements(type: str, name: str) -> list[tuple[str, object]]:
    """(JSON property, definition) of an element's name in a type; of a choice, one for each type."""
    try:
        return [(key, element) for key, element in definitions.elements(type).items() if element.name == name or key == name]
    except KeyError:
        return []


def _only(states: list[End], name: str) -> list[End]:
    """Those of a type; FHIRPath's own DateTime is FHIR's dateTime."""
    return [s for s in states if s.type in (name, name[0].lower() + name[1:])]


def _is_zero(index) -> bool:
    return isinstance(index, syntax.Literal) and index.value == 0


def _first(branch: Branch) -> Branch:
    if branch.first is None:
        branch.first = Branch()
    return branch.first


class Is(NamedTuple):
    """`resolve() is T` of a Reference, told from its text; of what is contained, from the resource that it names."""

    type: str

    def __call__(self, value: dict, frame: Frame) -> bool:
        text = value.get("reference")
        if not text:
            return value.get("type") == self.type
        if text[0] == "#":
            return any(c.get("id") == text[1:] and c.get("resourceType") == self.type for c in frame.root.get("contained") or ())
        return text.startswith(self.type + "/") or f"/{self.type}/" in text or value.get("type") == self.type


class Equals(NamedTuple):
    """`name = 'text'`."""

    name: str
    text: str

    def __call__(self, value: dict, frame: Frame) -> bool:
        return value.get(self.name) == self.text


class Bears(NamedTuple):
    """`hasExtension(url)`."""

    url: str

    def __call__(self, value: dict, frame: Frame) -> bool:
        return any(e.get("url") == self.url for e in value.get("extension") or ())


class Of(NamedTuple):
    """A nested resource is of one of these types."""

    types: tuple[str, ...]

    def __call__(self, value: dict, frame: Frame) -> bool:
        return value.get("resourceType") in self.types


def _constant(tree) -> str:
    if isinstance(tree, syntax.Literal) and isinstance(tree.value, str):
        return tree.value
    raise Unfit(repr(tree))


def _condition(tree) -> Callable:
    if isinstance(tree, syntax.Path) and tree.head is None and isinstance(tree.steps[0], syntax.Call) and tree.steps[0].name == "hasExtension" and len(tree.steps) == 1:
        return Bears(_constant(tree.steps[0].arguments[0]))
    if isinstance(tree, syntax.Chain) and len(tree.rest) == 1 and isinstance(tree.first, syntax.Path) and tree.first.head is None and len(tree.first.steps) == 1:
        (operator, operand), step = tree.rest[0], tree.first.steps[0]
        if operator == "is" and isinstance(step, syntax.Call) and step.name == "resolve":
            return Is(operand)
        if operator == "=" and isinstance(step, syntax.Member) and isinstance(operand, syntax.Literal) and isinstance(operand.value, str):
            return Equals(step.name, operand.value)
    raise Unfit(repr(tree))
