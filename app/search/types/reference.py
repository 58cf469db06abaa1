"""reference parameters: to resources here, elsewhere, and to canonical urls. https://hl7.org/fhir/R4/search.html#reference

A row's code is `Type/id` for a resource of this server, the absolute url for any other, the canonical with and without its version.
"""
from __future__ import annotations

import re
from functools import lru_cache

from app import errors
from app.fhir import definitions
from app.search.context import Context
from app.search.query import Compare, Row, Test
from app.search.types import token
from app.search.types.string import normal
from app.search.types.text import plain, split

MODIFIERS = ("identifier", "[type]", "above", "below")
PREFIXES = ()
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RELATIVE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(/_history/[A-Za-z0-9\-.]{1,64})?")
VERSIONED = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([1-9][0-9]{0,14}))?")
"""`Type/id` of this server, of a version perhaps."""
CONTAINED = ":contained"
"""What the name of a row ends in that tells the id of a contained resource: for `index`, which puts that resource's own rows in its place."""
CANONICAL = frozenset(("canonical", "uri", "url"))


@lru_cache(1)
def parents() -> dict[str, str]:
    """Type -> its parameter that tells what a resource is part of, where that may be another of its type: the hierarchies."""
    return {type: code for type in definitions.ENDPOINT_TYPES for code, known in definitions.parameters(type).items()
            if known.type == "reference" and f"{type}.partOf" in (known.expression or "").split(" | ") and type in known.targets}


def is_related(param) -> bool:
    """Whether what a parameter refers to stands in hierarchies, or has versions: it has `:above` and `:below`."""
    return bool(CANONICAL & param.kinds or parents().keys() & set(param.targets))


def local(text: str, base: str) -> str:
    """A literal reference as rows have it: relative where it names a resource of this server, otherwise as written."""
    if base and text.startswith(base) and text[len(base):len(base) + 1] == "/":
        rest = text[len(base) + 1:]
        return rest if _RELATIVE.fullmatch(rest) else text
    return text


def _reference(add, param: str, group: int, value: dict, context: Context) -> None:
    text, identifier = value.get("reference"), value.get("identifier")
    code = local(text, context.base) if text and text[0] != "#" else None
    if text and text[0] == "#":
        add(Row(param + CONTAINED, group, None, text[1:]))
    display = value.get("display")
    if code is not None and "/_history/" in code and (match := _RELATIVE.fullmatch(code)):
        add(Row(param, group, None, f"{match[1]}/{match[2]}", normal(display) if display else None))
        add(Row(param, group, None, code))
    elif code is not None or identifier or display or text:
        add(Row(param, group, None, code, normal(display) if display else None))
    if identifier:
        add(Row(param + ":identifier", group, identifier.get("system") or "", identifier.get("value")))


def _canonical(add, param: str, group: int, value, context: Context) -> None:
    if not value or value[0] == "#":
        return
    add(Row(param, group, None, value, value))
    plain_url = value.partition("#")[0].partition("|")[0]
    if plain_url != value:
        add(Row(param, group, None, plain_url))
    here = local(plain_url, context.base)
    if here != plain_url:
        add(Row(param, group, None, here))


def _resource(add, param: str, group: int, value: dict, context: Context) -> None:
    """A resource within a resource: the composition or the message header of a Bundle."""
    type, id = value.get("resourceType"), value.get("id")
    add(Row(param, group, None, f"{type}/{id}" if type and id else None))


READERS = {"Reference": _reference, "Resource": _resource, **dict.fromkeys(CANONICAL, _canonical)}


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """`id`, `Type/id`, a url; with `:Type` an id of that type; with `:identifier` a token; with `:above` and `:below` what stands so to it."""
    if modifier == "identifier":
        parts = [plain(p) for p in split(value, "|")]
        if len(parts) > 2 or not any(parts):
            raise errors.Invalid(f"{value!r} is not value, system|value, |value or system|.")
        return [(Test(param.name + ":identifier", token.compares(parts)),)]
    text = local(plain(value).rstrip(" "), context.base)
    if not text:
        raise errors.Invalid("A reference to search for is empty.")
    if modifier in ("above", "below"):
        return [(Test(param.name, (compare,)),) for compare in _related(param, modifier, text, context)]
    return [(Test(param.name, (_named(param, modifier, text),)),)]


def _related(param, way: str, text: str, context: Context) -> list[Compare]:
    """A resource here with those above or below it; a canonical url with a part of a version: `|1` is above `|1.2`."""
    relative = _RELATIVE.fullmatch(text)
    if not relative and ("/" in text or ":" in text):
        url, bar, version = text.partition("|")
        if way == "below":
            return [Compare("code", "eq", text), *([Compare("code", "prefix", f"{text}.")] if bar else [])]
        # without a version it stands alone, as what another server has does
        parts = version.split(".")
        return [Compare("code", "in", tuple(f"{url}|{'.'.join(parts[:n])}" for n in range(len(parts), 0, -1)) if bar else (url,))]
    types = [relative[1]] if relative else sorted(parents().keys() & set(param.targets))
    if not types or types[0] not in parents():
        raise errors.Invalid(f"{text} stands in no hierarchy: of {', '.join(parents())} it is known what they are part of.")
    refs = tuple(ref for type in types for ref in context.terms.related(f"{type}/{relative[2] if relative else _id(text)}", way))
    return [Compare("code", "in", refs)]


def _named(param, type: str, text: str) -> Compare:
    relative = _RELATIVE.fullmatch(text)
    if relative or "/" in text or ":" in text:
        if type and not (relative and relative[1] == type):
            raise errors.Invalid(f"{text} is no {type}: :{type} takes an id or {type}/id.")
        return Compare("code", "eq", text)
    if type or (len(param.targets) == 1 and not CANONICAL.intersection(param.kinds)):
        return Compare("code", "eq", f"{type or param.targets[0]}/{_id(text)}")
    if _ID.fullmatch(text):
        return Compare("code", "in", tuple(f"{target}/{text}" for target in param.targets) + ((text,) if CANONICAL.intersection(param.kinds) else ()))
    if CANONICAL.intersection(param.kinds):
        return Compare("code", "eq", text)
    return Compare("code", "eq", _id(text))


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise errors.Invalid(f"{text!r} is not an id, Type/id or a url.")
    return text


def identity(text: str, type: str, context: Context) -> str:
    """The id that `id`, `Type/id` or this server's url of it names. Errors: Invalid for anything else."""
    match = _RELATIVE.fullmatch(local(text, context.base))
    if match:
        if match[1] != type:
            raise errors.Invalid(f"{text!r} is no {type}.")
        return match[2]
    return _id(text)
