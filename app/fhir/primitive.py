"""The formats of R4's primitive types, with their real limits. https://hl7.org/fhir/R4/datatypes.html#primitive"""
from __future__ import annotations

import re
from calendar import monthrange
from decimal import Decimal

from app.fhir import definitions

_MEANT = {
    "boolean": "true or false, without quotes", "integer": "a whole number from -2147483648 to 2147483647, without quotes", "positiveInt": "a whole number from 1 to 2147483647, without quotes",
    "unsignedInt": "a whole number from 0 to 2147483647, without quotes", "decimal": "a number without quotes, such as 5.40", "date": "a date that there is: YYYY, YYYY-MM or YYYY-MM-DD, such as 2026-02-03",
    "dateTime": "a date (YYYY, YYYY-MM or YYYY-MM-DD), or a date and time with seconds and a zone, such as 2026-02-03T08:30:00+08:00",
    "instant": "a date and time with seconds and a zone, such as 2026-02-03T08:30:00+08:00", "time": "a time of day with seconds and without a zone, such as 08:30:00",
    "code": "a code: text without blanks at its ends or two together", "id": "an id: 1 to 64 letters, digits, - and .", "oid": "an OID, such as urn:oid:1.2.156.10011",
    "uuid": "a UUID in lower case, such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "uri": "a URI without blanks, such as https://hospital.example/ids or urn:oid:1.2.156",
    "url": "a URL without blanks, such as https://hospital.example/a.pdf", "canonical": "a canonical URL without blanks, such as http://hl7.org/fhir/ValueSet/example|1.0",
    "base64Binary": "base64, such as 5byg", "string": "a text that is not empty, of 1048576 characters at most and without control characters",
    "markdown": "a text that is not empty, of 1048576 characters at most and without control characters", "xhtml": "an XHTML div, such as <div xmlns=\"http://www.w3.org/1999/xhtml\">...</div>"}
_RANGES = {"integer": (-2**31, 2**31 - 1), "positiveInt": (1, 2**31 - 1), "unsignedInt": (0, 2**31 - 1)}
_BASE64 = re.compile(r"(?:[0-9a-zA-Z+/]{4})*(?:[0-9a-zA-Z+/]{2}==|[0-9a-zA-Z+/]{3}=)?")
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_TEXT_LIMIT = 1024 * 1024


def check(type: str, value) -> str:
    """Empty where `value` is a `type`; else a sentence that says what it is and what it should be."""
    good = _CHECKS[type](value)
    return "" if good else f"{_shown(value)} is not {meant(type)}."


def meant(type: str) -> str:
    """What a value of a type is, in words."""
    return _MEANT[type]


def _shown(value) -> str:
    if isinstance(value, (dict, list)):
        return "An object" if isinstance(value, dict) else "A list"
    text = value if isinstance(value, str) else {True: "true", False: "false", None: "null"}.get(value, str(value)) if value is None or isinstance(value, bool) else str(value)
    return repr(text if len(text) < 60 else text[:57] + "...") if isinstance(value, str) else text


def _integer(low: int, high: int):
    return lambda value: type(value) is int and low <= value <= high


def _decimal(value) -> bool:
    return type(value) is int or isinstance(value, Decimal)


def _matching(type: str):
    full = re.compile(definitions.PRIMITIVES[type]).fullmatch
    return lambda value: isinstance(value, str) and value != "" and full(value) is not None


def _dated(type: str):
    full = re.compile(definitions.PRIMITIVES[type]).fullmatch

    def good(value) -> bool:
        return isinstance(value, str) and full(value) is not None and (len(value) < 10 or int(value[8:10]) <= monthrange(int(value[:4]), int(value[5:7]))[1])
    return good


def _text(value) -> bool:
    return isinstance(value, str) and value.strip() != "" and len(value) <= _TEXT_LIMIT and _CONTROL.search(value) is None


def _base64(value) -> bool:
    return isinstance(value, str) and value.strip() != "" and _BASE64.fullmatch(_SPACE.sub("", value)) is not None


_CHECKS = {
    "boolean": lambda value: isinstance(value, bool), "decimal": _decimal, "string": _text, "markdown": _text, "base64Binary": _base64,
    "xhtml": lambda value: isinstance(value, str) and value != "",
    **{name: _integer(*bounds) for name, bounds in _RANGES.items()}, **{name: _dated(name) for name in ("date", "dateTime", "instant")},
    **{name: _matching(name) for name in ("time", "code", "id", "oid", "uuid", "uri", "url", "canonical")}}
