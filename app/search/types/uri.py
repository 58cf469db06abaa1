"""uri parameters. https://hl7.org/fhir/R4/search.html#uri"""
from __future__ import annotations

from app import errors
from app.search.context import Context
from app.search.query import Compare, Row, Test
from app.search.types.text import plain

MODIFIERS = ("below", "above")
PREFIXES = ()


def _uri(add, param: str, group: int, value, context: Context) -> None:
    if value:
        add(Row(param, group, None, value, value))


def _canonical(add, param: str, group: int, value, context: Context) -> None:
    """Found with its version and without."""
    if value:
        add(Row(param, group, None, value, value))
        if "|" in value:
            add(Row(param, group, None, value.partition("|")[0]))


def _oid(add, param: str, group: int, value, context: Context) -> None:
    _uri(add, param, group, value, context)


READERS = {**dict.fromkeys(("uri", "url", "oid", "uuid", "id", "string"), _uri), "canonical": _canonical}
"""FHIR type -> what adds its rows: code and text are the uri as written."""


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """The whole uri; `:below` what starts with the value; `:above` those under which the value stands."""
    uri = plain(value)
    if not uri:
        raise errors.Invalid("A uri to search for is empty.")
    if modifier and uri[:4].lower() == "urn:":
        raise errors.Invalid(f":{modifier} is for urls; {uri} is a urn.")
    if modifier == "below":
        return [(Test(param.name, (Compare("text", "prefix", uri),)),)]
    if modifier == "above":
        return [(Test(param.name, (Compare("code", "in", _above(uri)),)),)]
    return [(Test(param.name, (Compare("code", "eq", uri),)),)]


def _above(uri: str) -> tuple[str, ...]:
    """The url and those above it, by its path's segments."""
    found, start = [uri], uri.find("://") + 3
    for at in range(start, len(uri)):
        if uri[at] == "/":
            found += [uri[:at], uri[:at + 1]]
    return tuple(dict.fromkeys(u for u in found if len(u) > start))
