"""The value of a search parameter as text: commas, escapes, prefixes. https://hl7.org/fhir/R4/search.html#escaping"""
from __future__ import annotations

import re

from app import errors

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_PREFIX = re.compile(r"[a-z]{2}(?=[-+0-9.])")
_SPECIAL = frozenset("\\,$|")


def split(text: str, separator: str) -> list[str]:
    """The parts between unescaped separators, still escaped."""
    if "\\" not in text:
        return text.split(separator)
    parts, part, at = [], [], 0
    while at < len(text):
        if text[at] == "\\":
            part.append(text[at:at + 2])
            at += 2
            continue
        if text[at] == separator:
            parts.append("".join(part))
            part = []
        else:
            part.append(text[at])
        at += 1
    return [*parts, "".join(part)]


def plain(text: str) -> str:
    """The text without its escapes. Errors: Invalid for a backslash before anything else than `\\ , $ |`."""
    if "\\" not in text:
        return text
    out, at = [], 0
    while at < len(text):
        if text[at] == "\\":
            if text[at + 1:at + 2] not in _SPECIAL or at + 1 == len(text):
                raise errors.Invalid(f"The value {text!r} has a backslash that escapes nothing; a backslash itself is written \\\\.")
            at += 1
        out.append(text[at])
        at += 1
    return "".join(out)


def prefixed(text: str) -> tuple[str, str]:
    """(prefix, rest) of a date, number or quantity; `eq` where none is written. Errors: Unsupported for a prefix that is none."""
    match = _PREFIX.match(text)
    if match is None:
        return "eq", text
    if match[0] not in PREFIXES:
        raise errors.Unsupported(f"There is no prefix {match[0]!r}; there are {', '.join(PREFIXES)}.")
    return match[0], text[2:]
