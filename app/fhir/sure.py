"""Whether a resource is surely right by R4, told in one walk that writes no messages and knows no paths: most resources are, at a third of the price.

Where it is not sure (or where judging wants more than the element at hand: other resources within, what stands beside primitives), `validate` goes the whole way.
"""
from __future__ import annotations

from functools import lru_cache

from app.fhir import bindings, definitions, invariants, narrative, primitive, reference
from app.fhir.path import BadExpression, Evaluation, Node
from app.fhir.path.evaluation import truth

DEPTH = 60
"""Elements that may be nested in one another."""
MORE = ("extension", "modifierExtension", "profile")
"""Elements that give more to judge."""


class _Walk:
    """What one walk comes by: whether there is more to judge, by profiles and the definitions of extensions."""

    __slots__ = ("more",)

    def __init__(self):
        self.more = False


def resource(value, type: str | None = None) -> tuple[bool, bool]:
    """(whether a resource breaks surely nothing of R4, whether it claims profiles or has extensions; the second means something only with the first).
    Errors: TooCostly."""
    if value.__class__ is not dict or not isinstance(own := value.get("resourceType"), str) or type and own != type or not definitions.is_resource(own):
        return False, False
    walk = _Walk()
    return _object(value, _shape(own), (), walk, 1), walk.more


def _object(value, shape, rules, walk: _Walk, depth: int) -> bool:
    table, required, choices, own = shape.told or shape.tell()
    if depth > DEPTH or not value or len(value) == 1 and "id" in value:
        return False
    for key, item in value.items():
        check = table.get(key)
        if check is None or not check(item, walk, depth):
            return False
    for key in required:
        if key not in value:
            return False
    for keys, low in choices:
        if not low <= sum([key in value for key in keys]) <= 1:
            return False
    for rule in own:
        if not rule.told(value) and not _judged(rule, value):
            return False
    for rule in rules:
        if not rule.told(value) and not _judged(rule, value):
            return False
    return True


def _judged(rule: invariants.Rule, value: dict) -> bool:
    """Whether a rule that looks at nothing but the element holds; of another nothing is sure."""
    try:
        return rule.alone and truth(rule.expression.run(Evaluation(Node(value, rule.type), {}))) is not False
    except BadExpression:
        return False


class _Shape:
    """A type as the walk asks it; compiled when the first value of it comes by, for types hold one another."""

    __slots__ = ("type", "told")

    def __init__(self, type: str):
        self.type, self.told = type, ()

    def tell(self):
        """(JSON property -> check, properties that must be there, choices with the least of each, rules)."""
        plan, table = invariants.plan(self.type), {}
        elements = definitions.elements(self.type)
        for key, element in elements.items():
            one = _one(element, tuple(r for r in plan.children.get(key, ("", ()))[1] if r.severity == "error"))
            if one is not None:
                check = _listed(one, element.max) if element.max != 1 else one
                table[key] = _noted(check) if key in MORE else check
        if definitions.is_resource(self.type):
            table["resourceType"] = _right
        required = tuple(key for key, element in elements.items() if element.min > 0)
        choices = tuple((keys, low) for low, keys in definitions.choices(self.type).values())
        self.told = table, required, choices, tuple(r for r in plan.rules if r.severity == "error")
        return self.told


_shape = lru_cache(None)(_Shape)


def _right(item, walk, depth) -> bool:
    return True


def _noted(check):
    def noted(item, walk, depth) -> bool:
        walk.more = True
        return check(item, walk, depth)
    return noted


def _listed(one, most: int):
    def check(item, walk, depth) -> bool:
        if item.__class__ is not list or not item or 0 <= most < len(item):
            return False
        for each in item:
            if not one(each, walk, depth):
                return False
        return True
    return check


def _one(element: definitions.Element, rules):
    """The check of one value of an element, (value, walk, depth); None for what is never sure."""
    type = element.type
    kind = definitions.kind(type)
    if type == "Resource" or kind == "primitive-type" and rules:
        return None
    if kind == "primitive-type":
        return _primitive(element)
    shape = _shape(type)
    if type == "Reference":
        return _reference(shape, rules, frozenset() if "Resource" in element.targets else frozenset(element.targets))
    if type in ("Coding", "CodeableConcept"):
        return _coded(shape, rules, bindings.coded(element))
    return lambda value, walk, depth: value.__class__ is dict and _object(value, shape, rules, walk, depth + 1)


def _primitive(element: definitions.Element):
    good = primitive._CHECKS[element.type]
    if element.type == "xhtml":
        return lambda value, walk, depth: good(value) and not narrative.problem(value)
    values = bindings.required(element) if element.type == "code" else None
    if values is None:
        return lambda value, walk, depth: good(value)
    if values.codes is None:
        return lambda value, walk, depth: good(value) and values.system(value) is not None
    codes = values.codes
    return lambda value, walk, depth: value.__class__ is str and value in codes


def _reference(shape: _Shape, rules, targets: frozenset[str]):
    def check(value, walk, depth) -> bool:
        if value.__class__ is not dict or not _object(value, shape, rules, walk, depth + 1):
            return False
        said, stated = value.get("reference", ""), value.get("type")
        if said[:1] == "#":
            return False
        named = reference.named(said)
        stated = stated and stated.removeprefix(reference.BASE)
        type = named or stated
        return not (named and stated and named != stated) and (not targets or type is None or type in targets or not definitions.is_resource(type))
    return check


def _coded(shape: _Shape, rules, coded):
    def check(value, walk, depth) -> bool:
        if value.__class__ is not dict or not _object(value, shape, rules, walk, depth + 1):
            return False
        issues = _Issues()
        coded(value, "", issues)
        return not issues
    return check


class _Issues(list):
    """What a check of codes tells to; warnings are not asked for."""

    warnings = None
