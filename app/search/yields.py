"""The data types that an expression gives, as far as they are known without running it. http://hl7.org/fhirpath/N1/#expressions"""
from __future__ import annotations

from app.fhir.path import syntax
from app.search import paths

SAME = frozenset({"where", "first", "last", "tail", "skip", "take", "single", "distinct", "trace"})
"""Functions that give some of what they are given."""
SIMPLE = {
    **dict.fromkeys(("exists", "empty", "not", "all", "allTrue", "anyTrue", "allFalse", "anyFalse", "isDistinct", "hasValue", "contains", "startsWith", "endsWith", "matches",
                     "is", "subsetOf", "supersetOf"), "System.Boolean"),
    **dict.fromkeys(("substring", "lower", "upper", "replace", "replaceMatches", "toString"), "System.String"), **dict.fromkeys(("count", "length", "indexOf"), "System.Integer")}
"""Function -> the type that it gives, whatever it is given."""
LOGIC = frozenset({"=", "!=", "~", "!~", "<", ">", "<=", ">=", "and", "or", "xor", "implies", "is", "in", "contains"})


class _Unknown(Exception):
    """Only a run tells."""


def yields(type: str, expression: str) -> frozenset[str] | None:
    """The types of what an expression may find in a resource of `type`; None where only a run tells. Errors: BadExpression."""
    try:
        return frozenset(kind for tree in paths.terms(syntax.parse(expression)) if paths.concerns(tree, type) for kind in _of({type}, tree, True))
    except _Unknown:
        return None


def _of(kinds: set[str], tree, start: bool = False) -> set[str]:
    if isinstance(tree, syntax.Literal):
        return {f"System.{tree.type}"} if tree.type else set()
    if isinstance(tree, syntax.Chain):
        return _chain(kinds, tree, start)
    if not isinstance(tree, syntax.Path) or isinstance(tree.head, syntax.External):
        raise _Unknown
    if tree.head is not None:
        kinds, start = _of(kinds, tree.head, start), False
    for step in tree.steps:
        kinds, start = _step(kinds, step, start), False
    return kinds


def _chain(kinds: set[str], tree, start: bool) -> set[str]:
    operators = {operator for operator, _ in tree.rest}
    if operators <= LOGIC:
        return {"System.Boolean"}
    if operators == {"|"}:
        return set().union(*(_of(kinds, each, start) for each in (tree.first, *(operand for _, operand in tree.rest))))
    if operators == {"as"}:
        return _only(_of(kinds, tree.first, start), tree.rest[-1][1])
    if operators == {"&"}:
        return {"System.String"}
    raise _Unknown


def _step(kinds: set[str], step, start: bool) -> set[str]:
    if isinstance(step, syntax.Index) or isinstance(step, syntax.Call) and step.name in SAME:
        return kinds
    if isinstance(step, syntax.Member):
        if start and (step.name in paths.ROOTS or step.name in kinds):
            return kinds
        return {element.type for kind in kinds for _, element in paths.elements(kind, step.name)}
    if isinstance(step, syntax.Call) and step.name in SIMPLE:
        return {SIMPLE[step.name]}
    if isinstance(step, syntax.Call) and step.name in ("as", "ofType") and len(step.arguments) == 1:
        return _only(kinds, step.arguments[0].steps[-1].name)
    if isinstance(step, syntax.Call) and step.name == "extension":
        return {"Extension"}
    raise _Unknown


def _only(kinds: set[str], name: str) -> set[str]:
    return {kind for kind in kinds if kind in (name, name[0].lower() + name[1:])}
