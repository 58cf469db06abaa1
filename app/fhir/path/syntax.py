"""The grammar of FHIRPath: text to a small tree, by precedence climbing. http://hl7.org/fhirpath/N1/grammar.html

Operators of one precedence and the steps of one path are kept as flat sequences, never nested to the left: the
depth of a tree is the depth of its brackets, which is bounded, so neither parsing, compiling nor evaluating can
exhaust the stack.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from app.errors import Invalid

LONGEST = 20_000
DEEPEST = 30

CALENDAR = {f"{unit}{s}" for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond") for s in ("", "s")}


class BadExpression(Invalid):
    """The text is not FHIRPath, or its evaluation is an error. `position` is a character offset, -1 where there is none."""

    def __init__(self, text: str, position: int = -1):
        self.position = position
        super().__init__(f"FHIRPath: {text}" + (f" (at character {position + 1})" if position >= 0 else ""))


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: `type` is a System type without its prefix, or '' for the empty collection; `value` str, bool, int, Decimal, or (value, unit)."""
    type: str
    value: object = None


@dataclass(frozen=True, slots=True)
class Member:
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple
    position: int


@dataclass(frozen=True, slots=True)
class Index:
    index: object


@dataclass(frozen=True, slots=True)
class Special:
    """`$this`, `$index`, `$total`."""
    name: str


@dataclass(frozen=True, slots=True)
class External:
    """`%name`."""
    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """Steps one after another, the first on `head` (a tree), or on the focus where `head` is None."""
    head: object
    steps: tuple


@dataclass(frozen=True, slots=True)
class Chain:
    """`first (operator operand)*`: operators of one precedence, from left to right. The operand of `is` and `as` is a type name."""
    first: object
    rest: tuple


@dataclass(frozen=True, slots=True)
class Sign:
    minus: bool
    operand: object


_TOKEN = re.compile(r"""
    (?P<space>(?:\s+|//[^\n]*|/\*.*?\*/)+)
  | (?P<temporal>@(?:T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?
        |\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:\d\d)?)?))
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<string>'(?:[^'\\]|\\.)*')
  | (?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
  | (?P<special>\$(?:this|index|total)\b)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<symbol>!=|!~|<=|>=|[%.,()\[\]{}+\-*/&|<>=~])
""", re.VERBOSE | re.DOTALL)

_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f", "'": "'", '"': '"', "`": "`", "\\": "\\", "/": "/"}

# Operator -> binding strength, the loosest first.
_STRENGTH = {op: strength for strength, ops in enumerate((
    ("implies",), ("or", "xor"), ("and",), ("in", "contains"), ("=", "!=", "~", "!~"), ("<", "<=", ">", ">="),
    ("|",), ("is", "as"), ("+", "-", "&"), ("*", "/", "div", "mod"))) for op in ops}
_RESERVED = {"and", "or", "xor", "implies"}


def parse(text: str):
    """The tree of an expression. Raises BadExpression with the position of what was not understood."""
    if not isinstance(text, str) or not text.strip():
        raise BadExpression("the expression is empty")
    if len(text) > LONGEST:
        raise BadExpression(f"the expression is longer than {LONGEST} characters")
    return _Parser(text).whole()


def _tokens(text: str):
    position, out = 0, []
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadExpression(f"unexpected {text[position:position + 10]!r}", position)
        if match.lastgroup != "space":
            out.append((match.lastgroup, match.group(), position))
        position = match.end()
    out.append(("end", "", position))
    return out


def _unquote(text: str, position: int) -> str:
    def character(match):
        code = match.group(1)
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise BadExpression(f"unknown escape \\{code}", position)
        return _ESCAPES[code]
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    try:
        return _ESCAPE.sub(character, inner).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise BadExpression("half of a surrogate pair, which is no character", position) from None


class _Parser:
    __slots__ = ("tokens", "at", "depth")

    def __init__(self, text: str):
        self.tokens, self.at, self.depth = _tokens(text), 0, 0

    def whole(self):
        tree = self.expression()
        kind, text, position = self.tokens[self.at]
        if kind != "end":
            raise BadExpression(f"unexpected {text!r}", position)
        return tree

    def take(self, text: str) -> bool:
        if self.tokens[self.at][0] == "symbol" and self.tokens[self.at][1] == text:
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            _, found, position = self.tokens[self.at]
            raise BadExpression(f"expected {text!r}, found {found!r}" if found else f"expected {text!r} before the end", position)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise BadExpression(f"more than {DEEPEST} brackets deep", self.tokens[self.at][2])

    def expression(self, least: int = 0):
        first = self.signed()
        while True:
            strength = self.operator(least)
            if strength is None:
                return first
            rest = []
            while self.operator(strength) == strength:
                operator = self.tokens[self.at][1]
                self.at += 1
                rest.append((operator, self.type_name() if operator in ("is", "as") else self.expression(strength + 1)))
            first = Chain(first, tuple(rest))

    def operator(self, least: int) -> int | None:
        kind, text, _ = self.tokens[self.at]
        strength = _STRENGTH.get(text) if kind in ("symbol", "name") else None
        return strength if strength is not None and strength >= least else None

    def signed(self):
        if not (minus := self.take("-")) and not self.take("+"):
            return self.path()
        self.deeper()
        tree = Sign(minus, self.signed())
        self.depth -= 1
        return tree

    def path(self):
        head, steps = self.term()
        while True:
            if self.take("."):
                steps.append(self.invocation())
            elif self.take("["):
                steps.append(Index(self.bracketed("]")))
            else:
                return Path(head, tuple(steps)) if steps else head

    def term(self):
        """(head, first steps) of a path."""
        kind, text, position = self.tokens[self.at]
        if kind in ("name", "quoted") and not (kind == "name" and text in ("true", "false")):
            if kind == "name" and text in _RESERVED:
                raise BadExpression(f"unexpected {text!r}", position)
            return None, [self.invocation()]
        self.at += 1
        if kind == "name":
            return Literal("Boolean", text == "true"), []
        if kind == "string":
            return Literal("String", _unquote(text, position)), []
        if kind == "number":
            return self.number(text, position), []
        if kind == "temporal":
            type = "Time" if text[1] == "T" else "DateTime" if "T" in text else "Date"
            return Literal(type, text[2:] if type == "Time" else text[1:]), []
        if kind == "special":
            return Special(text[1:]), []
        if kind == "symbol" and text == "(":
            return self.bracketed(")"), []
        if kind == "symbol" and text == "{":
            self.expect("}")
            return Literal(""), []
        if kind == "symbol" and text == "%":
            return self.external(), []
        raise BadExpression(f"unexpected {text!r}" if text else "unexpected end", position)

    def bracketed(self, close: str):
        self.deeper()
        tree = self.expression()
        self.expect(close)
        self.depth -= 1
        return tree

    def number(self, text: str, position: int):
        if len(text) > 40:
            raise BadExpression("a number of more than 40 digits", position)
        kind, unit, at = self.tokens[self.at]
        if kind == "string" or kind == "name" and unit in CALENDAR:
            self.at += 1
            return Literal("Quantity", (Decimal(text), _unquote(unit, at) if kind == "string" else unit))
        return Literal("Decimal", Decimal(text)) if "." in text else Literal("Integer", int(text))

    def external(self):
        kind, text, position = self.tokens[self.at]
        self.at += 1
        if kind in ("quoted", "string"):
            return External(_unquote(text, position))
        if kind != "name":
            raise BadExpression("expected a name after %", position)
        # %vs-name and %ext-name are written without quotes in older expressions.
        while self.tokens[self.at][:2] == ("symbol", "-") and text.split("-")[0] in ("vs", "ext"):
            self.at += 1
            text += "-" + self.name()
        return External(text)

    def invocation(self):
        kind, text, position = self.tokens[self.at]
        if kind == "special":
            self.at += 1
            return Special(text[1:])
        name = self.name()
        return Call(name, self.arguments(), position) if self.take("(") else Member(name)

    def arguments(self) -> tuple:
        if self.take(")"):
            return ()
        self.deeper()
        out = [self.expression()]
        while self.take(","):
            out.append(self.expression())
        self.expect(")")
        self.depth -= 1
        return tuple(out)

    def name(self) -> str:
        kind, text, position = self.tokens[self.at]
        if kind not in ("name", "quoted") or len(text) == 2 and kind == "quoted":
            raise BadExpression(f"expected a name, found {text!r}" if text else "expected a name before the end", position)
        self.at += 1
        return text if kind == "name" else _unquote(text, position)

    def type_name(self) -> str:
        parts = []
        while True:
            parts.append(self.name())
            if not self.take("."):
                return ".".join(parts)
