"""What an evaluation carries with it, and the reading of collections as single values. http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections"""
from __future__ import annotations

from app.errors import TooCostly
from app.fhir.path.node import Node
from app.fhir.path.syntax import BadExpression
from app.fhir.path.values import Temporal, system

BUDGET = 2_000_000
LONGEST_STRING = 1_000_000


class Evaluation:
    """One run of an expression: its context node, its environment, the variables of the innermost loop, what work is left, and what is known
    of the resource already (`known`; runs within one resource that is not changed may share it)."""

    __slots__ = ("context", "env", "this", "index", "total", "budget", "known")

    def __init__(self, context: Node, env: dict, budget: int = BUDGET, known: dict | None = None):
        self.context, self.env, self.this, self.index, self.total, self.budget = context, env, context, 0, [], budget
        self.known = {} if known is None else known

    def once(self, what, compute):
        """What `compute` gives for the resource of the context; `what` names it."""
        name = what, id(self.context.resource)
        if (found := self.known.get(name)) is None:
            found = self.known[name] = compute(), self.context.resource  # kept, so that no other node has its id
        return found[0]

    def spend(self, steps: int) -> None:
        self.budget -= steps
        if self.budget < 0:
            raise TooCostly("FHIRPath: the expression takes too much work")

    def weigh(self, nodes: list[Node], times: int = 1) -> None:
        """Spends as many steps as there are values in these nodes: what it takes to compare or to hash them."""
        self.spend(times * sum([_values(node.value) if node.value.__class__ is dict else 1 for node in nodes]))

    def each(self, nodes: list[Node], run):
        """(node, result of `run` on it) for each node, with `$this` and `$index` set."""
        this, index = self.this, self.index
        try:
            for i, node in enumerate(nodes):
                self.spend(1)
                self.this, self.index = node, i
                yield node, run(self, [node])
        finally:
            self.this, self.index = this, index


def _values(value) -> int:
    if value.__class__ is dict:
        return 1 + sum(map(_values, value.values()))
    return 1 + sum(map(_values, value)) if value.__class__ is list else 1


def truth(nodes: list[Node]) -> bool | None:
    """A collection as a Boolean: None if empty; a single item that is no Boolean is true."""
    if not nodes:
        return None
    if len(nodes) > 1:
        raise BadExpression(f"one Boolean is expected, there are {len(nodes)} items")
    node = nodes[0]
    if node.value.__class__ is bool:
        return node.value
    return None if node.type == "boolean" else True


def single(nodes: list[Node], kind: str):
    """The one system value of a collection if it is of that kind ('Number' is either); None if empty. BadExpression if there are more, or others."""
    found = one(nodes)
    if found is None:
        return None
    if found[0] == kind or kind == "Number" and found[0] in ("Integer", "Decimal"):
        return found[1]
    raise BadExpression(f"{kind} is expected, this is {found[0]}")


def one(nodes: list[Node]) -> tuple | None:
    """The one system value of a collection; None if it is empty or has no value."""
    if not nodes:
        return None
    if len(nodes) > 1:
        raise BadExpression(f"one item is expected, there are {len(nodes)}")
    found = system(nodes[0])
    if found is None and nodes[0].value.__class__ in (dict, Temporal):
        raise BadExpression(f"a simple value is expected, this is {nodes[0].type}")
    return found
