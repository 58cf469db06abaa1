"""FHIR's JSON, lossless and strict: numbers keep their text, duplicate keys are refused. https://hl7.org/fhir/R4/json.html"""
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal

import orjson

from app.errors import Malformed

DEPTH = 100
"""Levels of nesting that a resource may have."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_UNUSUAL = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""Escapes that can write what UTF-8 cannot, or what FHIR's strings never hold."""


class Number(Decimal):
    """A number that remembers how it was written: 72.50, 1e2, -0."""

    __slots__ = ("text",)

    def __new__(cls, text: str):
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __reduce__(self):
        return Number, (self.text,)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def loads(data: bytes) -> dict:
    """A resource as a dict. Errors: Malformed, with the place, for anything that is not one JSON object in UTF-8."""
    value = parse(data)
    if not isinstance(value, dict):
        raise Malformed("The body is JSON, but no object; a resource is one.")
    return value


def parse(data: bytes):
    """Any JSON value, as strictly. A byte order mark is passed over. Errors: Malformed."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    try:
        value = _DECODER.decode(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _too_deep() from None
    except Malformed as error:
        raise _placed(error, text) from None
    # the decoder has found it well formed: brackets are in pairs, strings end
    if data.count(b"{") + data.count(b"[") > DEPTH and _is_deep(data):
        raise _too_deep()
    if b"\\u" in data and _UNUSUAL.search(data):
        _check(value)
    return value


def _too_deep() -> Malformed:
    return Malformed(f"The body is nested deeper than {DEPTH} levels.")


def _is_deep(data: bytes) -> bool:
    """Whether something is left once the innermost pairs of brackets have been taken away as often as they may be nested."""
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKET)
    for _ in range(DEPTH):
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"") if brackets else brackets
    return bool(brackets)


def _pairs(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Malformed(f"The property {_short(twice)} stands twice in one object.")
    return made


def _integer(text: str):
    return int(text) if len(text) < 19 and text != "-0" else number(text)


def number(text: str) -> Number:
    """The number that a JSON text of one means. Errors: Malformed for one beyond what is stored (1000 characters, exponents of four digits)."""
    exponent = re.search(r"[eE][+-]?(\d+)$", text)
    if len(text) > 1000 or (exponent and len(exponent.group(1)) > 4):
        raise Malformed(f"The number {text[:20]}{'...' if len(text) > 20 else ''} is beyond what a decimal can be.")
    return Number(text)


def _constant(text: str):
    raise Malformed(f"{text} is no number in JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=number, parse_int=_integer, parse_constant=_constant)


class _Wrong:
    """Stands for a value that is refused, while its place is looked for."""


def _marked(read):
    def made(item):
        try:
            return read(item)
        except Malformed:
            return _Wrong()
    return made


_FINDER = json.JSONDecoder(object_pairs_hook=_marked(_pairs), parse_float=_marked(number), parse_int=_marked(_integer), parse_constant=_marked(_constant))


def _placed(error: Malformed, text: str) -> Malformed:
    """The refusal of a value with its path; without one at the top, and where what follows is no JSON."""
    try:
        path = next((path for path, _ in _leaves(_FINDER.decode(text.removeprefix("\ufeff")), "", _Wrong)), "")
    except (json.JSONDecodeError, RecursionError):
        path = ""
    shown = (path if len(path) <= 300 else f"{path[:297]}...").encode("utf-8", "backslashreplace").decode()
    return Malformed(f"{error} (At {shown}.)") if path else error


def _check(value) -> None:
    """Errors: Malformed for U+0000 and for lone surrogates, wherever they stand."""
    for path, text in _leaves(value, "", str):
        path = path or "The text"
        if "\0" in text:
            raise Malformed(f"{path} holds U+0000, which FHIR does not allow.")
        if _SURROGATE.search(text):
            raise Malformed(f"{path} holds half of a surrogate pair, which is no character.")


def _leaves(value, path: str, kind: type) -> Iterator[tuple[str, object]]:
    """(where it stands, value) of every value of a kind; of texts, property names too."""
    if isinstance(value, kind):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if kind is str:
                yield "A property's name", key
            yield from _leaves(item, f"{path}.{key}" if path else key, kind)
    elif isinstance(value, list):
        for step, item in enumerate(value):
            yield from _leaves(item, f"{path}[{step}]", kind)


def _short(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:57] + "...") if _SURROGATE.search(text) else repr(text if len(text) <= 60 else text[:57] + "...")


def _default(value):
    if isinstance(value, Number):
        return orjson.Fragment(value.text)
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} {value!r} has no JSON form")


def dumps(value) -> bytes:
    """Compact JSON in UTF-8; numbers as they were written. Errors: TypeError for what JSON cannot say, and for an int beyond 64 bits (a Number is none)."""
    return orjson.dumps(value, _default)


def pretty(value) -> bytes:
    """The same, indented for people."""
    return orjson.dumps(value, _default, orjson.OPT_INDENT_2)
