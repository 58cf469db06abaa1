"""Regular expressions whose work is bounded, for patterns that clients write. http://hl7.org/fhirpath/N1/#matchesregex-string-boolean

Python's engine goes back and tries again, and takes exponential time on patterns such as `(a+)+$` or `a?a?a?aaa`. A
pattern with few ways to choose goes to it, on a text that is not long; any other is run as a set of states, in time proportional to text times pattern.
"""
from __future__ import annotations

import re
from bisect import bisect
from functools import lru_cache
from re import _constants as op
from re import _parser

from app.fhir.path.evaluation import Evaluation
from app.fhir.path.syntax import BadExpression

LONGEST_PATTERN = 1_000
LONGEST_TEXT = 2_000
MOST_STATES = 5_000
_GROUP = re.compile(r"\$(?:(\d)|\{(\w+)\})", re.ASCII)
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)


def search(run: Evaluation, pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text (`^` and `$` hold it to the whole); the dot matches any character."""
    compiled = _compiled(run, pattern, text)
    return compiled.search(text) is not None if compiled else _simulate(run, _states(pattern), text)


def replace(run: Evaluation, text: str, pattern: str, substitution: str) -> str:
    """The text with each match replaced; `$1` and `${name}` in the substitution stand for groups. No pattern matches nothing."""
    if not pattern:
        return text
    compiled = _compiled(run, pattern, text)
    if compiled is None:
        raise BadExpression(f"replacing {pattern!r} takes too much work here")
    run.spend(len(substitution))
    known = {*map(str, range(compiled.groups + 1)), *compiled.groupindex}

    def fill(match):
        def group(found):
            name = found[1] or found[2]
            return found[0] if name not in known else match[int(name) if name.isdecimal() else name] or ""
        run.spend(1 + len(substitution) // 50)
        return _GROUP.sub(group, substitution)
    return compiled.sub(fill, text)


def _compiled(run: Evaluation, pattern: str, text: str) -> re.Pattern | None:
    """The pattern for Python's engine, or None where that is not safe. What it takes to be compiled, and to go back at most, is spent."""
    run.spend(50 + len(pattern))
    compiled, ways = _engine(pattern)
    if compiled is None or len(text) > LONGEST_TEXT:
        return None
    run.spend(len(text) * (20 + ways) // 200)
    return compiled


@lru_cache(maxsize=512)
def _engine(pattern: str) -> tuple[re.Pattern | None, int]:
    ways = _ways(_tree(pattern))
    return re.compile(_named(pattern), re.DOTALL) if ways <= MOST_WAYS else None, ways


@lru_cache(maxsize=512)
def _states(pattern: str) -> "_States":
    tree = _tree(pattern)
    if tree.state.flags & re.IGNORECASE:
        raise BadExpression("a regular expression with flags inside")
    return _States().build(tree)


def _named(pattern: str) -> str:
    """Named groups as Python writes them."""
    return re.sub(r"(?<!\\)\(\?<(?=[A-Za-z_])", "(?P<", pattern)


def _tree(pattern: str):
    if len(pattern) > LONGEST_PATTERN:
        raise BadExpression(f"a regular expression longer than {LONGEST_PATTERN} characters")
    try:
        return _parser.parse(_named(pattern), re.DOTALL)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadExpression(f"{pattern!r} is no regular expression: {error}") from None


_CHARACTERS = (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY)
MOST_WAYS = 5_000


def _ways(tree) -> int:
    """In how many ways an engine that goes back may read a text from one place; more than MOST_WAYS where that is not bounded well."""
    ways = 1
    for code, argument in tree:
        if code is op.SUBPATTERN:
            ways *= _ways(argument[-1])
        elif code is op.BRANCH:
            ways *= sum(map(_ways, argument[1]))
        elif code in _REPEATS:
            low, high, body = argument
            single = all(each in _CHARACTERS for each, _ in _flat(body)) and len(list(_flat(body))) == 1
            ways *= min(high, LONGEST_TEXT) - low + 1 if single else MOST_WAYS + 1
        elif code not in (*_CHARACTERS, op.AT):
            return MOST_WAYS + 1
        ways = min(ways, MOST_WAYS + 1)
    return ways


def _flat(tree):
    for code, argument in tree:
        if code is op.SUBPATTERN:
            yield from _flat(argument[-1])
        else:
            yield code, argument


class _States:
    """A Thompson automaton: `edges[state]` is a list of (test or None, next state)."""

    __slots__ = ("edges", "final", "parts")

    def __init__(self):
        self.edges, self.final, self.parts = [], -1, 0

    def build(self, tree):
        start = self.state()
        self.final = self.sequence(tree, start)
        return self

    def state(self) -> int:
        if len(self.edges) >= MOST_STATES:
            raise BadExpression("a regular expression with too many repeats")
        self.edges.append([])
        return len(self.edges) - 1

    def sequence(self, tree, start: int) -> int:
        self.parts += 1
        if self.parts > MOST_STATES:  # empty parts make no states
            raise BadExpression("a regular expression with too many repeats")
        for code, argument in tree:
            start = self.piece(code, argument, start)
        return start

    def piece(self, code, argument, start: int) -> int:
        if code is op.SUBPATTERN:
            if argument[1] or argument[2]:
                raise BadExpression("a regular expression with flags inside")
            return self.sequence(argument[-1], start)
        if code is op.BRANCH:
            return self.branch(argument[1], start)
        if code in _REPEATS:
            return self.repeat(*argument, start)
        end = self.state()
        self.edges[start].append((_test(code, argument), end))
        return end

    def branch(self, ways, start: int) -> int:
        end = self.state()
        for way in ways:
            self.edges[self.sequence(way, start)].append((None, end))
        return end

    def repeat(self, low: int, high: int, body, start: int) -> int:
        for _ in range(low):
            start = self.sequence(body, start)
        if high is op.MAXREPEAT:
            loop = self.state()
            self.edges[start].append((None, loop))
            self.edges[self.sequence(body, loop)].append((None, loop))
            start = loop
            high = low
        end = self.state()
        self.edges[start].append((None, end))
        for _ in range(high - low):
            start = self.sequence(body, start)
            self.edges[start].append((None, end))
        return end


_WORD = re.compile(r"\w")
_CATEGORIES = {op.CATEGORY_DIGIT: str.isdecimal, op.CATEGORY_SPACE: str.isspace, op.CATEGORY_WORD: lambda c: _WORD.match(c) is not None,
               op.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(), op.CATEGORY_NOT_SPACE: lambda c: not c.isspace(), op.CATEGORY_NOT_WORD: lambda c: _WORD.match(c) is None}
_PLACES = {op.AT_BEGINNING: "start", op.AT_BEGINNING_STRING: "start", op.AT_END: "end", op.AT_END_STRING: "end", op.AT_BOUNDARY: "boundary", op.AT_NON_BOUNDARY: "inside"}


def _test(code, argument):
    """A test of one character, or the name of a place, one of _PLACES."""
    if code is op.LITERAL:
        wanted = chr(argument)
        return lambda c: c == wanted
    if code is op.NOT_LITERAL:
        unwanted = chr(argument)
        return lambda c: c != unwanted
    if code is op.ANY:
        return lambda c: True
    if code is op.IN:
        return _set(argument)
    if code is op.AT and argument in _PLACES:
        return _PLACES[argument]
    raise BadExpression(f"a regular expression with {str(code).lower()} is not supported")


def _set(items):
    negate = items[0][0] is op.NEGATE
    categories = [_CATEGORIES[argument] for code, argument in items if code is op.CATEGORY]
    ends: list[int] = []  # of ranges that do not meet: a character is in one where an odd number of them is not above it
    for low, high in sorted(argument if code is op.RANGE else (argument, argument) for code, argument in items if code in (op.RANGE, op.LITERAL)):
        if ends and low <= ends[-1]:
            ends[-1] = max(ends[-1], high + 1)
        else:
            ends += (low, high + 1)
    return lambda c: (bisect(ends, ord(c)) % 2 == 1 or any(test(c) for test in categories)) is not negate


def _simulate(run: Evaluation, states: _States, text: str) -> bool:
    current: set[int] = set()
    for at in range(len(text) + 1):
        current = _closure(run, states, current | {0}, _place(text, at))
        if states.final in current:
            return True
        if at < len(text):
            character = text[at]
            current = {end for state in current for test, end in states.edges[state] if callable(test) and test(character)}
    return False


def _place(text: str, at: int) -> set[str]:
    """The names of places that hold before a character."""
    edge = bool(at > 0 and _WORD.match(text[at - 1])) is not bool(at < len(text) and _WORD.match(text[at]))
    return {*(("start",) if at == 0 else ()), *(("end",) if at == len(text) else ()), "boundary" if edge else "inside"}


def _closure(run: Evaluation, states: _States, current: set[int], place: set[str]) -> set[int]:
    """All states that can be reached without a character."""
    stack = list(current)
    while stack:
        for test, end in states.edges[stack.pop()]:
            if end not in current and (test is None or test.__class__ is str and test in place):
                current.add(end)
                stack.append(end)
    run.spend(len(current))
    return current
