"""The expression language of mappings: a source path, then pipes; `//` takes the first that is not empty. Text to a tree, nothing more.

expression  pipe ( `//` pipe )*
pipe        term ( `|` call )*
term        path | "quoted path" | 'text' | number | [list] | call | ( expression )
call        name [ ( argument, name=argument, ... ) ]
condition   `and`, `or`, `not`, ( ) over:  expression exists,  =  !=  in  matches  and a value

There are no loops, no assignments and no arithmetic: a mapping that wants more gets a named function (see `functions`).
"""
from __future__ import annotations

import re
from typing import NamedTuple

from app.mapping.document import DEEPEST, Mistake


class Path(NamedTuple):
    """A place in the source record: of a CSV, the column's name."""
    name: str


class Value(NamedTuple):
    """A literal: text, a whole number, or a tuple of them."""
    value: object


class Call(NamedTuple):
    name: str
    arguments: tuple = ()
    named: tuple[tuple[str, object], ...] = ()


class Pipe(NamedTuple):
    source: object
    calls: tuple[Call, ...]


class First(NamedTuple):
    """The first option that is not empty."""
    options: tuple


class Exists(NamedTuple):
    value: object


class Compare(NamedTuple):
    value: object
    how: str
    other: object


class Logic(NamedTuple):
    """`and`, `or` of its parts, `not` of its one part."""
    how: str
    parts: tuple


TOKEN = re.compile(r"""\s*(?:
    (?P<mark>//|!=|[|(),=\]\[])
  | '(?P<text>(?:[^']|'')*)'
  | "(?P<quoted>[^"]+)"
  | (?P<number>\d+)(?![\w.\-\[])
  | (?P<name>[\w.$](?:[\w.\-:·]|\[[^\]]*\])*)
)""", re.VERBOSE)
QUOTED = "; within { } or [ ] an expression that holds a comma stands in double quotes"
CONDITIONS = 10
"""Levels of nesting that a condition may have: each is read in up to two ways."""
WORDS = ("and", "or", "not", "exists", "in", "matches")


def expression(text: str, place: str):
    """The tree of an expression (without its leading `=`). Errors: Mistake."""
    return _whole(_Reader(text, place), _Reader.expression)


def condition(text: str, place: str):
    """The tree of a condition. Errors: Mistake."""
    return _whole(_Reader(text, place), _Reader.either)


def paths(tree) -> list[str]:
    """The source paths that a tree reads, in order."""
    if isinstance(tree, Path):
        return [tree.name]
    if isinstance(tree, tuple):
        return [name for part in tree for name in paths(part)]
    return []


def _whole(reader: "_Reader", rule):
    tree = rule(reader)
    if reader.kind:
        reader.fail(f"'{reader.text}' is not expected here")
    return tree


SHOWN = 200
"""Characters of an expression that a fault shows."""


class _Reader:
    def __init__(self, source: str, place: str):
        self.source, self.place, self.at = source, place, 0
        self.depth = self.inner = 0
        self.kind = self.text = ""
        self.next()

    def fail(self, text: str):
        source = self.source.strip()
        raise Mistake(self.place, f"in '{source if len(source) <= SHOWN else source[:SHOWN] + '…'}': {text}")

    def next(self) -> None:
        rest = self.source[self.at:]
        if not rest.strip():
            self.kind, self.text = "", "the end"
            return
        found = TOKEN.match(rest)
        if not found:
            self.fail(f"cannot read '{rest.strip()[:12]}'; a column whose name has signs or spaces stands in double quotes")
        self.at += found.end()
        self.kind, self.text = found.lastgroup, found[found.lastgroup]
        if self.kind == "name" and self.text in WORDS:
            self.kind = "word"

    def take(self, text: str, kind: str = "mark") -> bool:
        if self.kind == kind and self.text == text:
            self.next()
            return True
        return False

    def need(self, text: str) -> None:
        if not self.take(text):
            self.fail(f"'{text}' is missing before {self.text}")

    def expression(self):
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"nested deeper than {DEEPEST} levels")
        options = [self.pipe()]
        while self.take("//"):
            options.append(self.pipe())
        self.depth -= 1
        return options[0] if len(options) == 1 else First(tuple(options))

    def pipe(self):
        source, calls = self.term(), []
        while self.take("|"):
            if self.kind != "name":
                self.fail(f"a function's name is missing before {self.text}")
            name = self.text
            self.next()
            calls.append(self.call(name))
        return Pipe(source, tuple(calls)) if calls else source

    def term(self):
        kind, text = self.kind, self.text
        if self.take("("):
            tree = self.expression()
            self.need(")")
            return tree
        if self.take("["):
            return self.list()
        if kind not in ("text", "quoted", "number", "name"):
            self.fail(f"a value is missing before {text}")
        self.next()
        if kind == "name" and self.kind == "mark" and self.text == "(":
            return self.call(text)
        return {"text": lambda: Value(text.replace("''", "'")), "number": lambda: Value(int(text)),
                "quoted": lambda: Path(text), "name": lambda: Path(text)}[kind]()

    def list(self) -> Value:
        values = []
        while not self.take("]"):
            if self.kind not in ("text", "number"):
                self.fail("a list holds 'texts' and numbers")
            values.append(self.term().value)
            if not self.take(",") and self.text != "]":
                self.fail("',' or ']' is missing in a list")
        return Value(tuple(values))

    def call(self, name: str) -> Call:
        arguments, named = [], []
        if self.take("("):
            while not self.take(")"):
                argument = self.expression()
                if isinstance(argument, Path) and self.take("="):
                    named.append((argument.name, self.expression()))
                else:
                    arguments.append(argument)
                if not self.take(",") and not (self.kind == "mark" and self.text == ")"):
                    self.fail(f"',' or ')' is missing before {self.text}" + ("" if self.kind else QUOTED))
        return Call(name, tuple(arguments), tuple(named))

    def either(self):
        return self.logic("or", lambda: self.logic("and", self.negation))

    def logic(self, how: str, part):
        parts = [part()]
        while self.take(how, "word"):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Logic(how, tuple(parts))

    def negation(self):
        self.inner += 1
        if self.inner > CONDITIONS:
            self.fail(f"conditions nested deeper than {CONDITIONS} levels")
        tree = self.denied()
        self.inner -= 1
        return tree

    def denied(self):
        if self.take("not", "word"):
            return Logic("not", (self.negation(),))
        start = self.at, self.kind, self.text, self.inner, self.depth
        if self.take("("):
            try:
                tree = self.either()
                self.need(")")
                return tree
            except Mistake:
                if self.inner > CONDITIONS:
                    raise
                self.at, self.kind, self.text, self.inner, self.depth = start
        return self.test()

    def test(self):
        value = self.expression()
        if self.take("exists", "word"):
            return Exists(value)
        for how, kind in (("=", "mark"), ("!=", "mark"), ("in", "word"), ("matches", "word")):
            if self.take(how, kind):
                return Compare(value, how, self.term())
        self.fail(f"'exists', '=', '!=', 'in' or 'matches' is missing before {self.text}")
