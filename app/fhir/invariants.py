"""R4's invariants: each a FHIRPath expression at an element's path, judged wherever such an element stands.

Most invariants only ask what is there, and the JSON properties of an element tell that: an expression is run where they do not. https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""
from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from app.errors import Issue
from app.fhir import definitions
from app.fhir.path import BadExpression, Evaluation, Expression, Node, compile
from app.fhir.path.evaluation import truth
from app.fhir.path.presence import Told, surely

STRUCTURAL = frozenset({"ele-1", "txt-1", "txt-2"})
"""Judged with the structure (app.fhir.validate), for they speak of what JSON can hold beside elements: empty objects, and the inside of a div."""
_AROUND = re.compile(r"%|resolve|memberOf|conformsTo")
"""What an expression that looks beyond its element says."""


class Rule(NamedTuple):
    """One invariant of a type or element. told: whether the properties of an element tell already that it holds; type: of the element; alone: whether
    it looks at nothing but the element itself."""

    key: str
    severity: str
    human: str
    expression: Expression
    told: Told
    type: str
    alone: bool


class Plan(NamedTuple):
    """What is judged in an object of a type: its rules, and by JSON property (type of the child, rules of the child's path)."""

    rules: tuple[Rule, ...]
    children: dict[str, tuple[str, tuple[Rule, ...]]]


class Check(NamedTuple):
    """One judging of a resource: what is told, whether warnings too, and what is known of it already."""

    issues: list[Issue]
    warnings: bool
    known: dict


def check(resource: dict, *, warnings: bool = False) -> list[Issue]:
    """Issues of the invariants that a resource of right structure breaks; those of best practice only with `warnings`. Errors: TooCostly."""
    run = Check([], warnings, {})
    _object(Node(resource, resource["resourceType"]), (), run)
    return run.issues


def _object(node: Node, more: tuple[Rule, ...], run: Check) -> None:
    own, children = plan(node.type)
    for rule in (*own, *more) if more else own:
        if (run.warnings or rule.severity == "error") and not rule.told(node.value):
            _judge(rule, node, run)
    for key, item in node.value.items():
        step = children.get(key)
        if step is None:
            continue
        type, rules = step
        if item.__class__ is dict:
            _child(item, type, node, key, None, rules, run)
        elif item.__class__ is list:
            for index, each in enumerate(item):
                if each.__class__ is dict:
                    _child(each, type, node, key, index, rules, run)
        elif rules:  # a primitive
            _child(item, type, node, key, None, rules, run)


def _child(value, type: str, parent: Node, key: str, index: int | None, rules, run: Check) -> None:
    name = key.removeprefix("_")
    if type == "Resource":
        type = value.get("resourceType", type)
    else:
        name = definitions.elements(parent.type)[name].name
    node = Node(value, type, parent, key, name, index)
    if value.__class__ is dict:
        return _object(node, rules, run)
    for rule in rules:
        _judge(rule, node, run)


def _judge(rule: Rule, node: Node, run: Check) -> None:
    try:
        held = truth(rule.expression.run(Evaluation(node, {}, known=run.known)))
    except BadExpression as error:
        run.issues.append(Issue("warning", "exception", f"{rule.key} could not be judged: {error}", node.path))
        return
    if held is False:
        run.issues.append(Issue(rule.severity, "invariant", f"{rule.key}: {rule.human}", node.path))


@lru_cache(None)
def plan(type: str) -> Plan:
    """The rules of a type and of its children, compiled once."""
    rules = tuple(r for each in reversed(definitions.ancestors(type)) for r in _rules(each, type))
    children = {}
    for key, element in definitions.elements(type).items():
        path = f"{type}.{element.name}{'[x]' * bool(element.choice)}"
        own = _rules(path, element.type) if path != element.type else ()  # those of an anonymous part are its own
        if definitions.kind(element.type) == "primitive-type":
            children["_" + key] = ("Element", ())
        if definitions.kind(element.type) != "primitive-type" or own:
            children[key] = (element.type, own)
    return Plan(rules, children)


@lru_cache(None)
def _rules(path: str, type: str) -> tuple[Rule, ...]:
    """The rules that stand at a path, for elements of a type."""
    return tuple(_rule(*said, type) for said in definitions.invariants(path, type) if said[0] not in STRUCTURAL)


def _rule(key: str, severity: str, human: str, text: str, type: str) -> Rule:
    return Rule(key, severity, human, compile(text), surely(text, type), type, _AROUND.search(text) is None)
