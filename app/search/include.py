"""_include and _revinclude as queries over what a page holds. https://hl7.org/fhir/R4/search.html#include"""
from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from app import errors
from app.fhir import json
from app.search import index, parameters
from app.search.context import Context
from app.search.param import Own
from app.search.query import Back, Clause, Compare, Has, Query, Stamp, Test, both, either, has
from app.search.types.reference import VERSIONED

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
        if param.inner:
            raise errors.Unsupported(f"{type}:{code} finds resources inside of others; they come with what they are in.")
        if target and target not in param.targets:
            raise errors.Invalid(f"{type}:{code} does not point to {target}, but to {', '.join(param.targets)}.")
    return Include(type, code, target, reverse, iterate)


def lookups(includes, page: list, own: Own) -> int:
    """How many look-ups the directives come to: of each parameter for each entry of the page."""
    types, found = Counter(entry.type for entry in page), 0
    for include in includes:
        if include.reverse:
            found += sum(types[target] for source in _sources(include) for param in _params(source, include.code, own) for target in param.targets if include.target in ("", target))
        else:
            found += sum(number * len(_params(type, include.code, own)) for type, number in types.items() if include.type in ("", type))
    return found


def targets(includes, page: list, context: Context = Context()) -> list[Query]:
    """Queries that find what the directives bring to the entries of a page (with type, id, number, text). One step: `:iterate` is the caller's to repeat."""
    found: list[Query] = []
    for include in includes:
        found += _reverse(include, page, context) if include.reverse else _forward(include, page, context)
    return list(dict.fromkeys(found))


def versions(includes, page: list, context: Context) -> list[tuple[str, str, int]]:
    """(type, id, version) of what the entries of a page refer to by a version, as far as the directives follow it.

    https://hl7.org/fhir/R4/search.html#versions
    """
    found = {}
    for entry in page:
        if b"/_history/" in entry.text:
            codes = _codes(entry, [(i, p) for i in includes if not i.reverse and i.type in ("", entry.type) for p in _params(entry.type, i.code, context.own)], context)
            for include, code in codes:
                if (match := VERSIONED.fullmatch(code)) and match[3] and include.target in ("", match[1]):
                    found[match[1], match[2], int(match[3])] = None
    return list(found)


def plainly(page: list, ref: str) -> bool:
    """Whether an entry of the page also refers to `Type/id` without a version."""
    return any(f'"{ref}"'.encode() in entry.text or f'/{ref}"'.encode() in entry.text for entry in page)


def _codes(entry, wanted: list, context: Context) -> list[tuple]:
    """(what is wanted, code) of the rows that an entry has of wanted parameters: pairs of (anything, parameter)."""
    by_name: dict[str, list] = {}
    for what, param in wanted:
        by_name.setdefault(param.name, []).append(what)
    rows = index.rows(json.loads(entry.text), context.zone, context.base, context.own) if wanted else ()
    return [(what, row.code) for row in rows if row.code for what in by_name.get(row.param, ())]


def _forward(include: Include, page: list, context: Context) -> list[Query]:
    numbers: dict[str, list[int]] = {}
    for entry in page:
        if not include.type or entry.type == include.type:
            numbers.setdefault(entry.type, []).append(entry.number)
    ways: list[Clause] = []
    types: dict[str, None] = {}
    for source, those in numbers.items():
        for param in _params(source, include.code, context.own):
            targets = (include.target,) if include.target else param.targets
            ways.append(Back(param.name, source, Stamp((Compare("number", "in", tuple(those)),))))
            if param.canonical:
                ways += _canonicals(param, targets, [e for e in page if e.type == source], context)
            types.update(dict.fromkeys(targets))
    return _queries(tuple(types), ways)


def _canonicals(param, targets: tuple[str, ...], page: list, context: Context) -> list[Clause]:
    """What has one of the urls that the entries name, in the version that they name."""
    ways, named = [], set()
    for entry in page:
        codes = {code for _, code in _codes(entry, [(None, param)], context)}
        # of a url with a version there is a row without it too
        named |= {code.partition("|")[::2] for code in codes if not any(other.startswith(code + "|") for other in codes)}
    for target in targets:
        if parameters.look(target, "url") is not None:
            ways += [both(has(f"{target}.url", Compare("code", "eq", url)), *([has(f"{target}.version", Compare("code", "eq", version))] if version else ())) for url, version in sorted(named)]
    return ways


def _reverse(include: Include, page: list, context: Context) -> list[Query]:
    refs: dict[str, list] = {}
    for entry in page:
        if not include.target or entry.type == include.target:
            refs.setdefault(entry.type, []).append(entry)
    ways: list[Clause] = []
    types: dict[str, None] = {}
    for source in _sources(include):
        for param in _params(source, include.code, context.own):
            codes = tuple(code for type, those in refs.items() if type in param.targets for entry in those for code in _names(entry, param, context))
            if codes:
                ways.append(Has((Test(param.name, (Compare("code", "in", codes),)),)))
                types[source] = None
    return _queries(tuple(types), ways)


def _names(entry, param, context: Context) -> tuple[str, ...]:
    """How a parameter's rows may name an entry."""
    url = parameters.look(entry.type, "url") if param.canonical else None
    return (f"{entry.type}/{entry.id}", *(code for _, code in _codes(entry, [(None, url)], context))) if url else (f"{entry.type}/{entry.id}",)


def _sources(include: Include) -> tuple[str, ...]:
    return (include.type,) if include.type else tuple(t for t in parameters.TYPES if t != LOG)


def _params(type: str, code: str, own: Own) -> list:
    """The parameter, or all references that can be included but canonical ones, which are followed by their name alone."""
    known = parameters.of(type, own)
    if code != "*":
        return [known[code]]
    return [p for p in known.values() if p.type == "reference" and not p.canonical and not p.inner]


def _queries(types: tuple[str, ...], ways: list[Clause]) -> list[Query]:
    return [Query(types, either(*ways[at:at + STEP])) for at in range(0, len(ways), STEP)]
