"""What the JSON properties of an element tell of an expression before it is run: most invariants ask only whether something is there."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from app.fhir import definitions
from app.fhir.path.node import fields
from app.fhir.path.syntax import Call, Chain, Index, Literal, Member, Path, parse

Told = Callable[[dict], bool]
_EMPTY_STAYS = frozenset({"where", "select", "repeat", "trace", "first", "last", "tail", "skip", "take", "distinct", "ofType", "as", "resolve", "extension", "children", "descendants",
                          "matches", "startsWith", "endsWith", "contains", "substring", "length", "replaceMatches", "toInteger", "single"})
"""Functions that give nothing for nothing."""
_EMPTY_HOLDS = frozenset({"all", "isDistinct"})


class Tells(NamedTuple):
    """Two tests of a JSON object: where the expression is surely not false, and where it is surely not true. Both hold where it gives nothing."""

    not_false: Told
    not_true: Told


def surely(text: str, type: str) -> Told:
    """A test of the JSON objects of a type: True where the expression is not false, False where it must be run to know."""
    return _of(parse(text), type).not_false


def _never(value: dict) -> bool:
    return False


_UNKNOWN = Tells(_never, _never)


def _either(one: Told, other: Told) -> Told:
    return other if one is _never else one if other is _never else lambda value: one(value) or other(value)


def _both(one: Told, other: Told) -> Told:
    return _never if _never in (one, other) else lambda value: one(value) and other(value)


_LOGIC = {
    "or": lambda a, b: Tells(_either(a.not_false, b.not_false), _both(a.not_true, b.not_true)),
    "and": lambda a, b: Tells(_both(a.not_false, b.not_false), _either(a.not_true, b.not_true)),
    "implies": lambda a, b: Tells(_either(a.not_true, b.not_false), _both(a.not_false, b.not_true)),
    "xor": lambda a, b: Tells(_either(_both(a.not_false, b.not_true), _both(a.not_true, b.not_false)), _either(_both(a.not_false, b.not_false), _both(a.not_true, b.not_true))),
}


def _of(tree, type: str) -> Tells:
    if tree.__class__ is Path:
        return _path(tree, type)
    if tree.__class__ is not Chain:
        return _UNKNOWN
    if all(operator in _LOGIC for operator, _ in tree.rest):
        found = _of(tree.first, type)
        for operator, operand in tree.rest:
            found = _LOGIC[operator](found, _of(operand, type))
        return found
    (operator, operand), *more = tree.rest
    return _compared(tree.first, operator, operand, type) if not more else _UNKNOWN


def _compared(left, operator: str, right, type: str) -> Tells:
    """A comparison gives nothing where one side is not there; with a constant it is told by a property that holds one."""
    if operator in ("is", "as", "|", "&", "in", "contains"):
        return _UNKNOWN
    nothing = _either(_absent(left, type), _absent(right, type))
    key = _plain(left, type)
    if key is None or operator not in ("=", "!=") or right.__class__ is not Literal or right.value.__class__ not in (str, bool) or right.type not in ("String", "Boolean"):
        return Tells(nothing, nothing)
    kind, constant = right.value.__class__, right.value
    same: Told = lambda value: value.get(key).__class__ is kind and value[key] == constant
    other: Told = lambda value: value.get(key).__class__ is kind and value[key] != constant
    return Tells(_either(nothing, same), _either(nothing, other)) if operator == "=" else Tells(_either(nothing, other), _either(nothing, same))


def _absent(tree, type: str) -> Told:
    """Where a path gives nothing, for its first step is not there."""
    if tree.__class__ is not Path or not (keys := _keys(steps := _steps(tree, type), type)):
        return _never
    if not all(step.__class__ in (Member, Index) or step.__class__ is Call and step.name in _EMPTY_STAYS for step in steps[1:]):
        return _never
    return keys.isdisjoint


def _steps(tree: Path, type: str) -> tuple:
    """The steps from the element on; what names its type itself is none."""
    first = tree.steps[0]
    return tree.steps[1:] if tree.head is None and first.__class__ is Member and first.name in definitions.ancestors(type) else tree.steps


def _keys(steps: tuple, type: str) -> frozenset[str]:
    """The JSON properties of the first step."""
    if not steps or steps[0].__class__ is not Member:
        return frozenset()
    return frozenset(key for known in fields(type, steps[0].name) for key in (known, "_" + known))


def _plain(tree, type: str) -> str | None:
    """The one JSON property that a path names, if it names no more than that."""
    if tree.__class__ is not Path or tree.head is not None or len(steps := _steps(tree, type)) != 1 or steps[0].__class__ is not Member:
        return None
    found = tuple(fields(type, steps[0].name))
    return found[0] if len(found) == 1 else None


def _path(tree: Path, type: str) -> Tells:
    steps, found = _steps(tree, type), None
    if tree.head is not None:
        found = _of(tree.head, type)
    elif not (keys := _keys(steps, type)):
        return _UNKNOWN
    else:
        steps, at = steps[1:], 0
        while at < len(steps) and (steps[at].__class__ in (Member, Index) or steps[at].__class__ is Call and steps[at].name in _EMPTY_STAYS and steps[at].name != "startsWith"):
            at += 1
        if at == len(steps):
            return Tells(keys.isdisjoint, keys.isdisjoint)
        found, steps = _asked(keys, steps[at], plain=at == 0), steps[at + 1:]
    for step in steps:
        if step.__class__ is not Call or step.name != "not":
            return _UNKNOWN
        found = Tells(found.not_true, found.not_false)
    return found


def _asked(keys: frozenset[str], step, plain: bool) -> Tells:
    """What is asked of a path's nodes: of what is there, more is told where it is the property itself."""
    absent = keys.isdisjoint
    present: Told = (lambda value: not absent(value)) if plain else _never
    if step.__class__ is not Call:
        return _UNKNOWN
    if step.name == "exists":
        return Tells(present if not step.arguments else _never, absent)
    if step.name == "empty":
        return Tells(absent, present)
    if step.name == "hasValue":
        return Tells(_simple(keys) if plain else _never, absent)
    if step.name == "startsWith" and plain and step.arguments[0].__class__ is Literal:
        return _starting(keys, step.arguments[0].value)
    return Tells(absent, _never) if step.name in _EMPTY_HOLDS else _UNKNOWN


def _simple(keys: frozenset[str]) -> Told:
    known = [key for key in keys if key[0] != "_"]
    return lambda value: any(key in value and value[key].__class__ not in (dict, list) for key in known)


def _starting(keys: frozenset[str], start: str) -> Tells:
    known = [key for key in keys if key[0] != "_"]
    if len(known) != 1:
        return _UNKNOWN
    key, = known
    absent = keys.isdisjoint
    return Tells(lambda value: absent(value) or value.get(key).__class__ is str and value[key].startswith(start),
                 lambda value: absent(value) or value.get(key).__class__ is str and not value[key].startswith(start))
