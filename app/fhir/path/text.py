"""FHIRPath's functions on strings and numbers. http://hl7.org/fhirpath/N1/#string-manipulation and #math"""
from __future__ import annotations

import base64
import binascii
import decimal
import html
import json
import re
from decimal import Decimal

from app.fhir.path import regex
from app.fhir.path.evaluation import LONGEST_STRING, Evaluation, one, single
from app.fhir.path.node import Node, boolean, constant
from app.fhir.path.operators import number
from app.fhir.path.quantity import EXACT, Quantity
from app.fhir.path.syntax import BadExpression


def _strings(compute):
    """A function of the input string and its arguments, all of them strings; empty if one of them is."""
    def apply(run: Evaluation, nodes: list, *arguments: list) -> list:
        values = [single(part, "String") for part in (nodes, *arguments)]
        if None in values:
            return []
        run.spend(sum(map(len, values)) // 100)
        return _result(run, compute(run, *values))
    return apply


def _result(run: Evaluation, value) -> list[Node]:
    if value is None:
        return []
    if value.__class__ is list:
        run.spend(len(value))
        return [constant("String", item) for item in value]
    if value.__class__ is bool:
        return boolean(value)
    if value.__class__ is int:
        return number(value)
    if len(value) > LONGEST_STRING:
        raise BadExpression(f"a string longer than {LONGEST_STRING} characters")
    run.spend(len(value) // 100)
    return [constant("String", value)]


def _substring(run: Evaluation, nodes: list, start: list, length: list | None = None) -> list:
    text, begin = single(nodes, "String"), single(start, "Integer")
    count = None if length is None else single(length, "Integer")
    if text is None or begin is None or not 0 <= begin < len(text):
        return []
    return _result(run, text[begin:] if count is None else text[begin:begin + max(count, 0)])


def _replace(run: Evaluation, text: str, pattern: str, substitution: str) -> str:
    if (text.count(pattern) if pattern else len(text) + 1) * len(substitution) > LONGEST_STRING:
        raise BadExpression(f"a string longer than {LONGEST_STRING} characters")
    return text.replace(pattern, substitution)


def _join(run: Evaluation, nodes: list, separator: list | None = None) -> list:
    between = "" if separator is None else single(separator, "String") or ""
    return _result(run, between.join(single([node], "String") or "" for node in nodes)) if nodes else []


def _encode(run: Evaluation, text: str, format: str) -> str | None:
    raw = text.encode()
    return {"hex": lambda: raw.hex(), "base64": lambda: base64.b64encode(raw).decode(), "urlbase64": lambda: base64.urlsafe_b64encode(raw).decode()}.get(format, lambda: None)()


def _decode(run: Evaluation, text: str, format: str) -> str | None:
    try:
        if format == "hex":
            return bytes.fromhex(text).decode()
        return base64.b64decode(text, altchars=b"-_" if format == "urlbase64" else None, validate=True).decode() if format in ("base64", "urlbase64") else None
    except (ValueError, binascii.Error):
        return None


_JSON_ESCAPE = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\.?", re.DOTALL)
_ESCAPES = {"html": (html.escape, html.unescape),
            "json": (lambda text: json.dumps(text, ensure_ascii=False)[1:-1], lambda text: _JSON_ESCAPE.sub(lambda found: json.loads(f'"{found[0]}"'), text))}


def _escaping(direction: int):
    def apply(run: Evaluation, text: str, target: str) -> str | None:
        try:
            made = _ESCAPES[target][direction](text) if target in _ESCAPES else None
            return made if made is None or made.encode() else made
        except ValueError:
            return None
    return apply


def _rounded(rounding: str):
    def whole(run: Evaluation, nodes: list) -> list:
        value = single(nodes, "Number")
        if value is None:
            return []
        if value.__class__ is int:
            return number(value)
        return number(int(value.to_integral_value(rounding))) if value.is_finite() and value.adjusted() < 20 else []
    return whole


def _numbers(compute):
    """A function of decimals; empty where it is not defined (the logarithm of nothing, the root of a negative number)."""
    def apply(run: Evaluation, nodes: list, *arguments: list) -> list:
        values = [single(part, "Number") for part in (nodes, *arguments)]
        return [] if None in values else number(compute(*map(Decimal, values)))
    return apply


def _abs(run: Evaluation, nodes: list) -> list:
    found = one(nodes)
    if found is None:
        return []
    kind, value = found
    if kind == "Quantity":
        return [constant(kind, Quantity(abs(value.value), value.unit))]
    if kind not in ("Integer", "Decimal"):
        raise BadExpression(f"abs() of a {kind} is not defined")
    return number(abs(value) if value.__class__ is int else EXACT.abs(value))


def _power(run: Evaluation, nodes: list, exponent: list) -> list:
    base, power = single(nodes, "Number"), single(exponent, "Number")
    if base is None or power is None:
        return []
    found = EXACT.power(Decimal(base), Decimal(power))
    whole = base.__class__ is int and power.__class__ is int and power >= 0
    return number(int(found)) if whole and found.is_finite() and found.adjusted() < 20 else [] if whole else number(found)


def _round(run: Evaluation, nodes: list, precision: list | None = None) -> list:
    value, places = single(nodes, "Number"), 0 if precision is None else single(precision, "Integer")
    if value is None or places is None:
        return []
    if not 0 <= places <= 28:
        raise BadExpression("round() takes a precision from 0 to 28")
    return number(EXACT.quantize(Decimal(value), Decimal(1).scaleb(-places)))


def _log(value: Decimal, base: Decimal) -> Decimal:
    return EXACT.divide(EXACT.ln(value), EXACT.ln(base))


STRINGS = {
    "indexOf": (1, 1, _strings(lambda run, text, part: text.find(part))),
    "lastIndexOf": (1, 1, _strings(lambda run, text, part: text.rfind(part))),
    "substring": (1, 2, _substring),
    "startsWith": (1, 1, _strings(lambda run, text, part: text.startswith(part))),
    "endsWith": (1, 1, _strings(lambda run, text, part: text.endswith(part))),
    "contains": (1, 1, _strings(lambda run, text, part: part in text)),
    "upper": (0, 0, _strings(lambda run, text: text.upper())), "lower": (0, 0, _strings(lambda run, text: text.lower())),
    "replace": (2, 2, _strings(_replace)), "length": (0, 0, _strings(lambda run, text: len(text))), "toChars": (0, 0, _strings(lambda run, text: list(text))),
    "matches": (1, 1, _strings(lambda run, text, pattern: regex.search(run, pattern, text))),
    "matchesFull": (1, 1, _strings(lambda run, text, pattern: regex.search(run, f"^(?:{pattern})$", text))),
    "replaceMatches": (2, 2, _strings(regex.replace)),
    "trim": (0, 0, _strings(lambda run, text: text.strip())), "split": (1, 1, _strings(lambda run, text, separator: text.split(separator) if separator else list(text))),
    "join": (0, 1, _join), "encode": (1, 1, _strings(_encode)), "decode": (1, 1, _strings(_decode)),
    "escape": (1, 1, _strings(_escaping(0))), "unescape": (1, 1, _strings(_escaping(1))),
}

MATHS = {
    "abs": (0, 0, _abs), "ceiling": (0, 0, _rounded(decimal.ROUND_CEILING)), "floor": (0, 0, _rounded(decimal.ROUND_FLOOR)),
    "truncate": (0, 0, _rounded(decimal.ROUND_DOWN)), "round": (0, 1, _round), "power": (1, 1, _power),
    "exp": (0, 0, _numbers(EXACT.exp)), "ln": (0, 0, _numbers(EXACT.ln)), "log": (1, 1, _numbers(_log)), "sqrt": (0, 0, _numbers(EXACT.sqrt)),
}
