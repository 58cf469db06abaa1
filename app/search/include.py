"""_include and _revinclude as queries over what a page holds. https://hl7.org/fhir/R4/search.html#include"""
from __future__ import annotations

from typing import NamedTuple

from app import errors
from app.search import parameters
from app.search.context import Context
from app.search.param import NOTHING, Own
from app.search.query import Back, Clause, Compare, Has, Query, Stamp, Test, either

LOG = "AuditEvent"
STEP = 100
"""Parameters that one query of a wildcard asks about."""


class Include(NamedTuple):
    """One directive. `type` is the type whose parameter `code` is followed (empty: any), `*` as code means all of its reference parameters.

    target: type of what it points to (empty: any). reverse: `_revinclude`. iterate: also applied to what was included.
    """

    type: str
    code: str
    target: str = ""
    reverse: bool = False
    iterate: bool = False


def parse(text: str, context: Context, *, reverse: bool, iterate: bool) -> Include:
    """`Type:param`, `Type:param:Target`, `Type:*` or `*`. Errors: Invalid, Unsupported by name."""
    if text == "*":
        return Include("", "*", "", reverse, iterate)
    type, _, rest = text.partition(":")
    code, _, target = rest.partition(":")
    if not code:
        raise errors.Invalid(f"{text!r} is not Type:parameter, Type:parameter:Target, Type:* or *.")
    for named in (type, *([target] if target else ())):
        if not parameters.is_type(named):
            raise errors.Invalid(f"{named!r} is no resource type.")
    if code != "*":
        param = parameters.find(type, code, context)
        if param.type != "reference":
            raise errors.Invalid(f"{type}:{code} is a {param.type} parameter; only references can be included.")
        if param.canonical:
            raise errors.Unsupported(f"{type}:{code} holds canonical urls, which are not included.")
        if target and target not in param.targets:
            raise errors.Invalid(f"{type}:{code} does not point to {target}, but to {', '.join(param.targets)}.")
    return Include(type, code, target, reverse, iterate)


def targets(includes, page: list, own: Own = NOTHING) -> list[Query]:
    """Queries that find what the directives bring to the entries of a page (with type, id, number); own: the store's own parameters. One step: `:iterate` is the caller's to repeat."""
    found: list[Query] = []
    for include in includes:
        found += _reverse(include, page, own) if include.reverse else _forward(include, page, own)
    return list(dict.fromkeys(found))


def _forward(include: Include, page: list, own: Own) -> list[Query]:
    numbers: dict[str, list[int]] = {}
    for entry in page:
        if not include.type or entry.type == include.type:
            numbers.setdefault(entry.type, []).append(entry.number)
    ways: list[Clause] = []
    types: dict[str, None] = {}
    for source, those in numbers.items():
        for param in _params(source, include.code, own):
            ways.append(Back(param.name, source, Stamp((Compare("number", "in", tuple(those)),))))
            types.update(dict.fromkeys(param.targets))
    return _queries((include.target,) if include.target else tuple(types), ways)


def _reverse(include: Include, page: list, own: Own) -> list[Query]:
    refs: dict[str, list[str]] = {}
    for entry in page:
        if not include.target or entry.type == include.target:
            refs.setdefault(entry.type, []).append(f"{entry.type}/{entry.id}")
    sources = (include.type,) if include.type else tuple(t for t in parameters.TYPES if t != LOG)
    ways: list[Clause] = []
    types: dict[str, None] = {}
    for source in sources:
        for param in _params(source, include.code, own):
            codes = tuple(ref for type, those in refs.items() if type in param.targets for ref in those)
            if codes:
                ways.append(Has((Test(param.name, (Compare("code", "in", codes),)),)))
                types[source] = None
    return _queries(tuple(types), ways)


def _params(type: str, code: str, own: Own) -> list:
    known = parameters.of(type, own)
    if code != "*":
        return [known[code]]
    return [p for p in known.values() if p.type == "reference" and not p.canonical]


def _queries(types: tuple[str, ...], ways: list[Clause]) -> list[Query]:
    return [Query(types, either(*ways[at:at + STEP])) for at in range(0, len(ways), STEP)]
