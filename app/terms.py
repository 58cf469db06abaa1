"""Value sets, code systems and hierarchies that a search turns out to need: the package's, and those of the store that the caller sees."""
from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache

import orjson

from app import errors
from app.fhir import reference, terminology
from app.fhir.codesystem import System
from app.fhir.valueset import Terms
from app.search.query import Back, Compare, Query, Stamp, both, has
from app.search.types.reference import parents
from app.store.base import Entry, Found

MOST = 50
"""Value sets, code systems and hierarchies of the store that one request may need."""
LARGEST = 16 * 1024 * 1024
"""Bytes of what has one url."""
VERSIONS = 20
"""Resources with one url, of which the best is taken."""
RELATED, ROUNDS = 1000, 20
"""Resources above or below one, and how many steps away."""
_NUMBERS = re.compile(r"\d+|\D+")


class _Wanted(Exception):
    """What is being understood needs a resource of the store that has not been read."""


async def understood(understand: Callable[[Terms], object], find: Callable[[Query, int], Awaitable[list[Found]]], base: str):
    """What `understand` gives, a pure function of terms, called again each time it needs something more of the store.

    find: (query, limit) -> what the caller sees, in one snapshot; base: this server's FHIR base url. Errors: as understand; TooCostly.
    """
    read: dict[tuple[str, str], object] = {}

    def held(kind: str, name: str):
        if (kind, name) not in read:
            raise _Wanted(kind, name)
        return read[kind, name]

    # the standard's own mean what the standard says, whatever is stored
    terms = Terms(lambda canonical: terminology.value_set(canonical) or held("ValueSet", canonical),
                  lambda canonical: terminology.code_system(canonical) or held("CodeSystem", canonical), related=lambda ref, way: held(way, ref))
    while True:
        try:
            return understand(terms)
        except _Wanted as wanted:
            if len(read) >= MOST:
                raise errors.TooCostly(f"More than {MOST} value sets, code systems and hierarchies are needed.") from None
            kind, name = wanted.args
            if kind in ("above", "below"):
                read[kind, name] = await related(name, kind, find)
            else:
                text = await stored(kind, name, find, base)
                read[kind, name] = None if text is None else _read(text)


async def related(ref: str, way: str, find) -> tuple[str, ...]:
    """A resource, and those `above` or `below` it by what is part of what; it goes on through those alone that the caller sees. Errors: TooCostly."""
    type = ref.partition("/")[0]
    param = f"{type}.{parents()[type]}"
    found, fresh = [ref], [ref]
    for _ in range(ROUNDS):
        ids = tuple(each.partition("/")[2] for each in fresh)
        where = has(param, Compare("code", "in", tuple(fresh))) if way == "below" else Back(param, type, Stamp((Compare("id", "in", ids),)))
        fresh = [f.entry.ref for f in await find(Query((type,), where), RELATED + 1) if f.entry.ref not in found]
        found += fresh
        if not fresh:
            return tuple(found)
        if len(found) > RELATED:
            break
    raise errors.TooCostly(f"{ref} has more than {RELATED} {way} it, or more than {ROUNDS} steps of them.")


async def stored(type: str, canonical: str, find, base: str) -> bytes | None:
    """The text of the resource that a canonical url, or a reference, means; None where there is none that the caller sees."""
    url, _, version = canonical.partition("|")
    parts = reference.parse(url, base)
    if parts.is_local and parts.type == type and parts.id and not version:
        where = Stamp((Compare("id", "eq", parts.id),))
    else:
        where = both(has(f"{type}.url", Compare("code", "eq", url)), *([has(f"{type}.version", Compare("code", "eq", version))] if version else ()))
    found = [f.entry for f in await find(Query((type,), where), VERSIONS)]
    if not found:
        return None
    if sum(len(entry.text) for entry in found) > LARGEST:
        raise errors.TooCostly(f"{canonical} is too large to be used.")
    return max(found, key=rank).text


def rank(entry: Entry):
    """Active before others, then the highest version, then the newest."""
    resource = orjson.loads(entry.text)
    return resource.get("status") == "active", [(0, int(p)) if p.isdecimal() else (1, p) for p in _NUMBERS.findall(resource.get("version", ""))], entry.number


@lru_cache(4)
def _read(text: bytes) -> dict | System | None:
    resource = orjson.loads(text)
    if resource["resourceType"] == "ValueSet":
        return resource
    return System(resource) if resource.get("content") == "complete" and resource.get("concept") else None
