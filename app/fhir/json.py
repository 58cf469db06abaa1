"""FHIR's JSON, lossless and strict: numbers keep their text, duplicate keys are refused. https://hl7.org/fhir/R4/json.html"""
from __future__ import annotations

import json
import re
from decimal import Decimal

import orjson

from app.errors import Malformed

DEPTH = 100
"""Levels of nesting that a resource may have."""
_DEEP = re.compile(rb"[\[{]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Number(Decimal):
    """A number that remembers how it was written: 72.50, 1e2, -0."""

    __slots__ = ("text",)

    def __new__(cls, text: str):
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __reduce__(self):
        return Number, (self.text,)

    def __deepcopy__(self, memo):
        return self


def loads(data: bytes) -> dict:
    """A resource as a dict. Errors: Malformed, with the place, for anything that is not one JSON object in UTF-8."""
    value = parse(data)
    if not isinstance(value, dict):
        raise Malformed("The body is JSON, but no object; a resource is one.")
    return value


def parse(data: bytes):
    """Any JSON value, as strictly. Errors: Malformed."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    if len(_DEEP.findall(data)) > DEPTH and _depth(text) > DEPTH:
        raise Malformed(f"The body is nested deeper than {DEPTH} levels.")
    try:
        value = _DECODER.decode(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise Malformed(f"The body is nested deeper than {DEPTH} levels.") from None
    if "\\u" in text and (text.find("\\u0000") >= 0 or re.search(r"\\u[dD][89a-fA-F]", text)):
        _check(value)
    return value


def _depth(text: str) -> int:
    """The deepest nesting, strings left out."""
    depth = deepest = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        first = token.group()[0]
        if first in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in "]}":
            depth -= 1
    return deepest


def _pairs(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Malformed(f"The property {twice!r} stands twice in one object.")
    return made


def _integer(text: str):
    return int(text) if len(text) < 19 and text != "-0" else _number(text)


def _number(text: str) -> Number:
    exponent = re.search(r"[eE][+-]?(\d+)$", text)
    if len(text) > 1000 or (exponent and len(exponent.group(1)) > 4):
        raise Malformed(f"The number {text[:20]}... is beyond what a decimal can be.")
    return Number(text)


def _constant(text: str):
    raise Malformed(f"{text} is no number in JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_number, parse_int=_integer, parse_constant=_constant)


def _check(value) -> None:
    """Escapes can write what UTF-8 cannot: lone surrogates, and NUL, which FHIR's strings never hold."""
    if isinstance(value, str):
        if "\0" in value:
            raise Malformed("A string holds U+0000, which FHIR does not allow.")
        if _SURROGATE.search(value):
            raise Malformed("A string holds half of a surrogate pair, which is no character.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key)
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)


def _default(value):
    if isinstance(value, Number):
        return orjson.Fragment(value.text)
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value) -> bytes:
    """Compact JSON in UTF-8; numbers as they were written."""
    return orjson.dumps(value, _default)


def pretty(value) -> bytes:
    """The same, indented for people."""
    return orjson.dumps(value, _default, orjson.OPT_INDENT_2)
