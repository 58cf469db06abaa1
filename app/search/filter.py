"""`_filter`: an expression of tests in one parameter, read and turned into the clauses that ordinary parameters give.

https://hl7.org/fhir/R4/search_filter.html. Read left to right, without precedence; a path may also say `subject:Patient.name` and `_has:Type:reference:parameter`,
as ordinary parameters do. What each operation means for each type is in `operations`.
"""
from __future__ import annotations

import re
from json.decoder import JSONDecodeError, scanstring
from typing import NamedTuple

from app import errors
from app.search import criteria, operations, parameters
from app.search import types as kinds
from app.search.context import Context
from app.search.query import ALL, Clause, Not, Test, both, either
from app.search.types import special

LONGEST = 10_000
"""Characters of an expression."""
DEEPEST = 20
"""Levels of an expression: parentheses, brackets, and changes between `and` and `or`."""
MOST = 500
"""Tests that an expression comes to, those counted for each type that a chain may lead to."""
ADDITIONAL = {("Group", "characteristic"): ("characteristic-value", ("code", "value")), ("DocumentReference", "relatesTo"): ("relationship", ("code", "target"))}
"""Names that only filters have, `name[test].name` about one element -> the composite parameter that indexes it, the names of its parts.
The page's others stand for parameters that R4 has no longer."""


class Step(NamedTuple):
    """One name of a path, and the filter in brackets behind it."""

    name: str
    filter: Node | None = None


class Asked(NamedTuple):
    """A test: `path operation value`; at: where it stands; depth: of what its brackets hold."""

    at: int
    path: tuple[Step, ...]
    how: str
    value: str
    depth: int = 1


class Logic(NamedTuple):
    """word: `and` or `or` of all parts, or `not` of the only one."""

    word: str
    parts: tuple[Node, ...]
    depth: int


Node = Asked | Logic


def clause(text: str, types: tuple[str, ...], context: Context, bounds: criteria.Bounds | None = None) -> Clause:
    """The clause of a filter on resources of the types (none: of any). Errors: Invalid, Unsupported, TooCostly, with the place in the text."""
    return _Making(context, bounds or criteria.Bounds()).clause(read(text), types)


def read(text: str) -> Node:
    """The expression as a tree. Errors: Invalid where it is none; TooCostly."""
    if len(text) > LONGEST:
        raise errors.TooCostly(f"A filter of {len(text)} characters; {LONGEST} is the most.")
    reader = _Reader(text)
    found = reader.filter()
    if reader.at < len(text):
        raise reader.wrong("`and`, `or` or the end")
    return found


# reading

_SPACE, _WORD, _NOT = re.compile(r"\s*"), re.compile(r"(and|or)(?=[\s(])"), re.compile(r"not\s*(?=\()")
_NAME, _HOW, _TOKEN = re.compile(r"[A-Za-z_][\w\-]*(:[\w\-]+)*", re.ASCII), re.compile(r"[a-z]{2}(?!\w)"), re.compile(r"[^\s\])]+")
_CLOSING = {")": re.compile(r"\)"), "]": re.compile(r"\]")}


class _Reader:
    """A place in a text, and what can be read from there."""

    def __init__(self, text: str):
        self.text, self.at, self.depth = text, _SPACE.match(text).end(), 0

    def wrong(self, wanted: str) -> errors.Invalid:
        here = self.text[self.at:self.at + 20]
        return errors.Invalid(f"At character {self.at + 1} of the filter, " + (f"before {here!r}," if here else "at its end,") + f" {wanted} is missing.")

    def take(self, pattern: re.Pattern) -> str | None:
        """What the pattern finds here, with the space behind it passed."""
        match = pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = _SPACE.match(self.text, match.end()).end()
        return match[0]

    def need(self, pattern: re.Pattern, wanted: str) -> str:
        found = self.take(pattern)
        if found is None:
            raise self.wrong(wanted)
        return found

    def filter(self) -> Node:
        found = self.term()
        while word := self.take(_WORD):
            found = _joined(word, found, self.term())
        return found

    def term(self) -> Node:
        if self.take(_NOT):
            inner = self.within(")")
            return Logic("not", (inner,), _deeper(inner.depth))
        return self.within(")") if self.here("(") else self.test()

    def here(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def within(self, closing: str) -> Node:
        """A filter in the parentheses or brackets that open here."""
        self.at = _SPACE.match(self.text, self.at + 1).end()
        self.depth = _deeper(self.depth)
        found = self.filter()
        self.need(_CLOSING[closing], f"`{closing}`")
        self.depth -= 1
        return found

    def test(self) -> Asked:
        at = self.at
        path = self.path()
        how = self.need(_HOW, f"an operation ({', '.join(operations.ALL)})")
        value = self.string() if self.here('"') else self.need(_TOKEN, "a value")
        return Asked(at, path, how, value, _deeper(max((s.filter.depth for s in path if s.filter), default=0)))

    def path(self) -> tuple[Step, ...]:
        steps = []
        while True:
            name = self.need(_NAME, "the name of a parameter")
            inner = self.within("]") if self.here("[") else None
            steps.append(Step(name, inner))
            if self.here("."):
                self.at += 1
            elif inner is not None:
                raise self.wrong("`.` and a name")
            else:
                return tuple(steps)

    def string(self) -> str:
        try:
            found, end = scanstring(self.text, self.at + 1)
            found.encode()
        except (JSONDecodeError, UnicodeEncodeError):
            raise self.wrong("a string as JSON writes it") from None
        if "\0" in found:
            raise self.wrong("a string without the character NUL")
        self.at = _SPACE.match(self.text, end).end()
        return found


def _joined(word: str, left: Node, right: Node) -> Logic:
    if isinstance(left, Logic) and left.word == word:
        return Logic(word, (*left.parts, right), max(left.depth, _deeper(right.depth)))
    return Logic(word, (left, right), _deeper(max(left.depth, right.depth)))


def _deeper(depth: int) -> int:
    if depth >= DEEPEST:
        raise errors.TooCostly(f"The filter is deeper than {DEEPEST} levels.")
    return depth + 1


# meaning


class _Making:
    """One filter in the making: how many tests it has come to."""

    def __init__(self, context: Context, bounds: criteria.Bounds):
        self.context, self.bounds, self.tests = context, bounds, 0

    def clause(self, node: Node, types: tuple[str, ...]) -> Clause:
        if isinstance(node, Asked):
            return self._test(node, types)
        parts = [self.clause(part, types) for part in node.parts]
        return Not(parts[0]) if node.word == "not" else both(*parts) if node.word == "and" else either(*parts)

    def _test(self, asked: Asked, types: tuple[str, ...]) -> Clause:
        """`pr false` and `ni` say that nothing which the path leads to is there, or is in the value set."""
        try:
            how, negative = operations.positive(asked.how, asked.value)
            found = self._along(types, asked.path, how, asked)
        except errors.Invalid as failure:
            if failure.issues[0].expression:
                raise
            raise type(failure)(f"{failure} (At character {asked.at + 1} of the filter.)", expression="_filter") from None
        return Not(found) if negative else found

    def _along(self, types: tuple[str, ...], path: tuple[Step, ...], how: str, asked: Asked) -> Clause:
        step, rest = path[0], path[1:]
        if step.name.startswith("_has:"):
            return self._back(types, step, rest, how, asked)
        if not rest:
            return self._leaf(types, step.name, how, asked.value)
        if len(types) == 1 and (types[0], step.name) in ADDITIONAL:
            return self._element(types[0], step, rest, how, asked)
        code, _, type = step.name.partition(":")
        return criteria.link(types, code, type, rest[0].name, self.context, lambda target: self._there(target, step.filter, rest, how, asked), self.bounds)

    def _back(self, types, step: Step, rest, how: str, asked: Asked) -> Clause:
        """`_has:Type:reference:name` or `_has:Type:reference[filter].name`."""
        parts = step.name.split(":", 3)
        inner = step.filter
        if len(parts) == 4:
            rest, inner = (Step(parts[3], step.filter), *rest), None
        if len(parts) < 3 or not rest:
            raise errors.Invalid("_has is written _has:Type:reference:parameter.")
        return criteria.back(types, parts[1], parts[2], self.context, lambda source: self._there(source, inner, rest, how, asked), self.bounds)

    def _there(self, type: str, inner: Node | None, rest, how: str, asked: Asked) -> Clause:
        return both(self.clause(inner, (type,)) if inner else ALL, self._along((type,), rest, how, asked))

    def _leaf(self, types: tuple[str, ...], name: str, how: str, value: str) -> Clause:
        self._count(1)
        if ":" in name:
            raise errors.Unsupported(f"{name!r}: in a filter the operations are what modifiers are elsewhere.")
        if name in special.CLAUSES:
            return operations.special(name, how, value, self.context)
        criteria.refuse(name)
        params = [parameters.find(type, name, self.context) for type in types or criteria.common(name, self.context)]
        return either(*(kinds.any_of(operations.ways(param, how, value, self.context)) for param in params))

    def _count(self, tests: int) -> None:
        self.tests += tests
        if self.tests > MOST:
            raise errors.TooCostly(f"The filter comes to more than {MOST} tests.")

    def _element(self, type: str, step: Step, rest, how: str, asked: Asked) -> Clause:
        """`name[filter].part`: both about one element."""
        code, names = ADDITIONAL[type, step.name]
        parts = dict(zip(names, parameters.find(type, code, self.context).components))
        if step.filter is None:
            raise errors.Invalid(f"{step.name} is written {step.name}[{names[0]} eq ...].{names[1]}.")
        found = self._together(self._ways(step.filter, parts), self._ways(asked._replace(path=rest, how=how), parts))
        return kinds.any_of(found)

    def _ways(self, node: Node, parts: dict[str, parameters.Param]) -> list[tuple[Test, ...]]:
        """The ways in which one element meets a filter. Errors: Unsupported for what cannot be asked of one element."""
        if isinstance(node, Asked):
            how, negative = operations.positive(node.how, node.value)
            param = parts.get(node.path[0].name) if len(node.path) == 1 else None
            if param is None or negative:
                raise errors.Unsupported(f"Of one element {' and '.join(parts)} are asked, and not what is missing.")
            return operations.ways(param, how, node.value, self.context)
        if node.word == "not":
            raise errors.Unsupported("not(...) cannot be asked of one element.")
        found = self._ways(node.parts[0], parts)
        for part in node.parts[1:]:
            more = self._ways(part, parts)
            found = self._together(found, more) if node.word == "and" else found + more
        return found

    def _together(self, left: list[tuple[Test, ...]], right: list[tuple[Test, ...]]) -> list[tuple[Test, ...]]:
        self._count(len(left) * len(right))
        return [one + other for one in left for other in right]
