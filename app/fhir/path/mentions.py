"""What an expression names in the element that it is run on: where none of it is there, the result is that of an empty element."""
from __future__ import annotations

from app.fhir.path.functions import LOOPS
from app.fhir.path.syntax import Call, Chain, External, Index, Literal, Member, Path, Sign, parse

_EMPTY_STAYS = frozenset({"where", "select", "repeat", "trace", "first", "last", "tail", "skip", "take", "distinct", "ofType", "as", "resolve", "extension"})
"""Functions that give nothing for nothing, so that what comes after them is not run either."""


class _Anything(Exception):
    """It may look anywhere."""


def mentions(text: str) -> frozenset[str] | None:
    """Names of children without any of which the expression gives what it gives on an empty element; None where that is not known."""
    try:
        return frozenset(_of(parse(text)))
    except _Anything:
        return None


def _of(tree) -> set[str]:
    if tree.__class__ is Literal:
        return set()
    if tree.__class__ is External and tree.name in ("ucum", "sct", "loinc"):
        return set()
    if tree.__class__ is Sign:
        return _of(tree.operand)
    if tree.__class__ is Chain:
        typed = [operator in ("is", "as") for operator, _ in tree.rest]
        return _of(tree.first).union(*(_of(operand) for (_, operand), type in zip(tree.rest, typed) if not type))
    if tree.__class__ is Path:
        return _path(tree)
    raise _Anything


def _path(tree: Path) -> set[str]:
    steps = tree.steps
    if tree.head is None:
        if steps[0].__class__ is not Member:
            raise _Anything
        steps = steps[1:] if steps[0].name[:1].isupper() and len(steps) > 1 else steps
        if steps[0].__class__ is not Member:
            raise _Anything
        return {steps[0].name} | _steps(steps[1:], empty=True)
    return _of(tree.head) | _steps(steps, empty=False)


def _steps(steps, empty: bool) -> set[str]:
    """What the arguments of steps name; those of a loop over nothing are not run."""
    named: set[str] = set()
    for step in steps:
        if step.__class__ is Index:
            named |= _of(step.index)
        elif step.__class__ is Call:
            if not (empty and step.name in LOOPS and step.name != "iif"):
                named = named.union(*(_of(argument) for argument in step.arguments)) if step.name not in ("is", "as", "ofType") else named
            empty = empty and step.name in _EMPTY_STAYS
        elif step.__class__ is not Member:
            raise _Anything
    return named
