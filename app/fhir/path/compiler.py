"""Trees to closures: an expression is compiled once and then run on many resources. http://hl7.org/fhirpath/N1/#expressions

A closure takes the evaluation and the focus (what a name without a dot before it belongs to) and gives a list of nodes.
"""
from __future__ import annotations

from functools import lru_cache

from app.fhir import definitions
from app.fhir.path import fhir
from app.fhir.path.compare import distinct, keys
from app.fhir.path.conversions import CONVERSIONS
from app.fhir.path.evaluation import BUDGET, Evaluation, single, truth
from app.fhir.path.functions import FUNCTIONS, LOOPS
from app.fhir.path.node import Node, boolean, constant, is_a, member
from app.fhir.path.operators import LOGIC, OPERATORS, among, negated
from app.fhir.path.precision import PRECISION
from app.fhir.path.quantity import Quantity
from app.fhir.path.syntax import BadExpression, Call, Chain, External, Index, Literal, Member, Path, Sign, Special, parse
from app.fhir.path.text import MATHS, STRINGS
from app.fhir.path.values import temporal

CALLS = {**FUNCTIONS, **STRINGS, **MATHS, **CONVERSIONS, **PRECISION, **fhir.FHIR}
TYPED = ("is", "as", "ofType")
SYSTEM_TYPES = ("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity")


class Expression:
    """A compiled expression; its text is `text`."""

    __slots__ = ("text", "_run")

    def __init__(self, text: str):
        self.text, self._run = text, _compile(parse(text))

    def __call__(self, resource, *, type_name: str | None = None, env: dict | None = None, budget: int = BUDGET) -> list[Node]:
        """The nodes that the expression finds in a resource (or element: a dict with its `type_name`, or a Node, whose place is then known).

        `env` holds variables by name (`%name`; nodes, lists of nodes or plain values) and what only the caller knows:
        `resolve(text) -> (type, resource or None) or None`, `memberOf(node, url)`, `conformsTo(node, url)`,
        `subsumes(node, node)`, `slice(node, structure, name)`, `now` (a dateTime's text), `trace(name, nodes)`. Raises BadExpression and TooCostly.
        """
        node = resource if resource.__class__ is Node else Node(resource, type_name or resource["resourceType"])
        return self.run(Evaluation(node, env or {}, budget))

    def run(self, evaluation: Evaluation) -> list[Node]:
        """The same, as a part of a larger piece of work with one budget."""
        return self._run(evaluation, [evaluation.context])

    def holds(self, resource, *, type_name: str | None = None, env: dict | None = None) -> bool | None:
        """The result as one Boolean; None if it is empty."""
        return truth(self(resource, type_name=type_name, env=env))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


@lru_cache(maxsize=4096)
def compile(text: str) -> Expression:
    """The expression of a text, from a cache. Raises BadExpression with the position of a mistake."""
    return Expression(text)


def _compile(tree):
    run = _COMPILERS[tree.__class__](tree)
    if tree.__class__ in (Path, Chain) and _same_everywhere(tree):
        return lambda evaluation, focus: evaluation.once(run, lambda: run(evaluation, focus))
    return run


_EVERYWHERE = {"resource", "rootResource", *fhir.CONSTANTS}


def _same_everywhere(tree) -> bool:
    """It gives the same wherever in a resource it is run, so that a loop need not run it again."""
    if tree.__class__ is Chain:
        operands = [tree.first, *(operand for operator, operand in tree.rest if operator not in ("is", "as"))]
        return all(map(_same_everywhere, operands))
    if tree.__class__ is Path:
        return tree.head is not None and _same_everywhere(tree.head) and all(
            step.__class__ is Member or step.__class__ is Call and (step.name in TYPED or all(map(_same_everywhere, step.arguments))) for step in tree.steps)
    return tree.__class__ is Literal or tree.__class__ is External and tree.name in _EVERYWHERE


def _literal(tree: Literal):
    if not tree.type:
        return lambda run, focus: []
    value = tree.value
    if tree.type in ("Date", "DateTime", "Time"):
        value = temporal(tree.type, value)
        if value is None:
            raise BadExpression(f"@{tree.value} is no {tree.type}")
    nodes = [constant(tree.type, Quantity(*value) if tree.type == "Quantity" else value)]
    return lambda run, focus: nodes


def _special(tree: Special):
    if tree.name == "this":
        return lambda run, focus: [run.this]
    return (lambda run, focus: [constant("Integer", run.index)]) if tree.name == "index" else lambda run, focus: run.total


def _external(tree: External):
    return lambda run, focus: fhir.variable(run, tree.name)


def _sign(tree: Sign):
    operand = _compile(tree.operand)
    return (lambda run, focus: negated(operand(run, focus))) if tree.minus else operand


def _path(tree: Path):
    head = _compile(tree.head) if tree.head is not None else None
    steps = [_STEPS[step.__class__](step) for step in tree.steps]
    if head is None and tree.steps[0].__class__ is Member and tree.steps[0].name[:1].isupper():
        steps[0] = _rooted(tree.steps[0].name)
    if head is None and len(steps) == 1:
        only = steps[0]
        return lambda run, focus: only(run, focus, focus)

    def walk(run: Evaluation, focus: list) -> list:
        nodes = focus if head is None else head(run, focus)
        for step in steps:
            nodes = step(run, nodes, focus)
        return nodes
    return walk


def _rooted(name: str):
    """The first name of a path may be the type of the focus: `Patient.name`."""
    def root(run: Evaluation, nodes: list, focus: list) -> list:
        found = [node for node in nodes if node.type == name or is_a(node.type, name)]
        return found or member(nodes, name)
    return root


def _member(step: Member):
    name = step.name

    def children(run: Evaluation, nodes: list, focus: list) -> list:
        if not nodes:
            return nodes
        found = member(nodes, name)
        run.spend(len(nodes) + len(found))
        return found
    return children


def _index(step: Index):
    index = _compile(step.index)

    def item(run: Evaluation, nodes: list, focus: list) -> list:
        at = single(index(run, focus), "Integer")
        return [] if at is None or at < 0 else nodes[at:at + 1]
    return item


def _special_step(step: Special):
    run_special = _special(step)
    return lambda run, nodes, focus: run_special(run, focus)


def _call(step: Call):
    if step.name in TYPED:
        return _typed_call(step)
    loop = LOOPS.get(step.name)
    found = loop or CALLS.get(step.name)
    if found is None:
        raise BadExpression(f"there is no function {step.name}()", step.position)
    least, most, function = found
    if not least <= len(step.arguments) <= most:
        raise BadExpression(f"{step.name}() takes {least if least == most else f'{least} to {most}'} arguments", step.position)
    if step.name == "where" and (wanted := _resolved_type(step.arguments[0])) is not None:
        return _where_resolved(wanted)
    if step.name == "sort":
        arguments = [_sort_key(argument) for argument in step.arguments]
    else:
        arguments = [_compile(argument) for argument in step.arguments]
    if loop:
        return lambda run, nodes, focus: function(run, nodes, *arguments)
    if not arguments:
        return lambda run, nodes, focus: function(run, nodes)
    return lambda run, nodes, focus: function(run, nodes, *[argument(run, [run.this]) for argument in arguments])


def _sort_key(tree) -> tuple:
    """(key, descending): a minus before a key turns the order, whatever the key's type."""
    descending = tree.__class__ is Sign and tree.minus
    return _compile(tree.operand if descending else tree), descending


def _typed_call(step: Call):
    if len(step.arguments) != 1:
        raise BadExpression(f"{step.name}() takes the name of a type", step.position)
    wanted, function = _type_name(step.arguments[0], step.position), fhir.typed(step.name)
    return lambda run, nodes, focus: function(nodes, wanted)


def _type_name(tree, position: int) -> str:
    if tree.__class__ is Path and tree.head is None and all(step.__class__ is Member for step in tree.steps):
        return _known_type(".".join(step.name for step in tree.steps), position)
    raise BadExpression("the name of a type is expected", position)


def _known_type(name: str, position: int = -1) -> str:
    space, dot, plain = name.rpartition(".")
    if space == "System" or space in ("", "FHIR") and (definitions.kind(plain) or not space and plain in SYSTEM_TYPES):
        return name
    raise BadExpression(f"there is no type {name}", position)


def _resolved_type(tree) -> str | None:
    """The type in `resolve() is Type`, the commonest criterion of search parameters."""
    if tree.__class__ is Chain and tree.first.__class__ is Path and len(tree.rest) == 1 and tree.rest[0][0] == "is":
        path = tree.first
        if path.head is None and len(path.steps) == 1 and path.steps[0].__class__ is Call and path.steps[0].name == "resolve":
            return tree.rest[0][1]
    return None


def _where_resolved(wanted: str):
    def keep(run: Evaluation, nodes: list, focus: list) -> list:
        run.spend(len(nodes))
        return [node for node in nodes if (type := fhir.referred_type(run, node)) is not None and (type == wanted or is_a(type, wanted))]
    return keep


def _chain(tree: Chain):
    operators = {operator for operator, _ in tree.rest}
    first = _compile(tree.first)
    if operators == {"|"}:
        return _union(tree, [first, *(_compile(operand) for _, operand in tree.rest)])
    if operators <= {"is", "as"}:
        return _typed_chain(first, [(fhir.typed(operator), _known_type(wanted)) for operator, wanted in tree.rest])
    if operators <= LOGIC.keys():
        return _logic(first, [(operator, LOGIC[operator], _compile(operand)) for operator, operand in tree.rest])
    if operators == {"in"} and len(tree.rest) == 1 and _same_everywhere(tree.rest[0][1]):
        return _among(first, _compile(tree.rest[0][1]))
    rest = [(OPERATORS[operator], _compile(operand)) for operator, operand in tree.rest]
    if len(rest) == 1:
        (apply, right), = rest
        return lambda run, focus: apply(run, first(run, focus), right(run, focus))

    def fold(run: Evaluation, focus: list) -> list:
        found = first(run, focus)
        for apply, operand in rest:
            found = apply(run, found, operand(run, focus))
        return found
    return fold


def _among(first, right):
    """`in` a collection that is the same everywhere: its members are told apart once."""
    def within(run: Evaluation, focus: list) -> list:
        found = first(run, focus)
        return among(run, found, run.once(within, lambda: keys(right(run, focus)))) if found else found
    return within


def _typed_chain(first, rest):
    def check(run: Evaluation, focus: list) -> list:
        found = first(run, focus)
        for apply, wanted in rest:
            found = apply(found, wanted)
        return found
    return check


def _logic(first, rest):
    """Boolean operators, from left to right; the right side is not run where the left decides."""
    def decide(run: Evaluation, focus: list) -> list:
        found = truth(first(run, focus))
        for operator, apply, operand in rest:
            if found is False and operator == "and" or found is True and operator == "or":
                continue
            found = True if found is False and operator == "implies" else apply(found, truth(operand(run, focus)))
        return boolean(found)
    return decide


def _union(tree: Chain, parts: list):
    """`a | b | ...`; of alternatives that begin with the name of a type only those of the focus's type are run."""
    roots = [_root_type(tree.first), *(_root_type(operand) for _, operand in tree.rest)]
    chosen: dict[str, list] = {}

    def unite(run: Evaluation, focus: list) -> list:
        if len(focus) == 1:
            type = focus[0].type
            if (own := chosen.get(type)) is None:
                own = [part for part, root in zip(parts, roots) if root is None or is_a(type, root)]
                if len(chosen) < 1000:
                    chosen[type] = own
        else:
            own = parts
        found: list[Node] = []
        for part in own:
            found = found + more if (more := part(run, focus)) and found else found or more
        run.weigh(found)
        return distinct(found)
    return unite


def _root_type(tree) -> str | None:
    while tree.__class__ in (Chain, Path):
        if tree.__class__ is Chain:
            if not {operator for operator, _ in tree.rest} <= {"is", "as"}:
                return None
            tree = tree.first
        elif tree.head is None:
            first = tree.steps[0]
            return first.name if first.__class__ is Member and first.name[:1].isupper() else None
        else:
            tree = tree.head
    return None


_COMPILERS = {Literal: _literal, Special: _special, External: _external, Sign: _sign, Path: _path, Chain: _chain}
_STEPS = {Member: _member, Index: _index, Call: _call, Special: _special_step}
