"""The interactions that read: read, vread, history, search.

https://hl7.org/fhir/R4/http.html#read and #search
"""
from __future__ import annotations

from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode

from app.errors import Deleted, Invalid, Issue, VersionMismatch, outcome
from app.fhir import bundle, definitions, json
from app.records import Entry
from app.rest import binary, respond
from app.rest.call import GENERAL, Answer, Call, View, located, modified, single, tag, versions

HISTORY = ("_since", "_at", "_count", "_list")


async def read(call: Call) -> Answer:
    """The current version; 304 where the client has it."""
    call.only()
    entry = await call.records.read(call.target.type, call.target.id)
    return _one(call, entry)


async def vread(call: Call) -> Answer:
    call.only()
    entry = await call.records.read(call.target.type, call.target.id, call.target.version)
    return _one(call, entry)


def _one(call: Call, entry: Entry) -> Answer:
    if call.view.summary == "count":
        raise Invalid("_summary=count counts what a search found; it says nothing of one resource.", expression="_summary")
    if entry.deleted or entry.text is None:
        raise Deleted(f"{entry.ref} was deleted.", headers={"ETag": tag(entry)})
    wanted = versions(call.headers.get("if-match"))
    if wanted and not {"*", str(entry.version)} & set(wanted):
        raise VersionMismatch(f"If-Match names version {', '.join(wanted)}, but this is version {entry.version}.")
    headers = {"ETag": tag(entry), "Last-Modified": modified(entry), "Content-Location": located(entry, call.base)}
    if _known(call, entry):
        return Answer(304, headers=headers)
    answer = Answer(entry=entry, headers=headers)
    return binary.native(call, answer) if entry.type == "Binary" else answer


def _known(call: Call, entry: Entry) -> bool:
    """Whether the client has this version: If-None-Match, and only without it If-Modified-Since (RFC 7232, 3.3)."""
    named = call.headers.get("if-none-match")
    if named is not None:
        return any(version in ("*", str(entry.version)) for version in versions(named))
    since = call.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since).timestamp()
    except (TypeError, ValueError, OverflowError):
        return False
    return entry.updated // 1_000_000 <= moment


async def history(call: Call) -> Answer:
    """Versions, newest first, of a resource, a type or everything."""
    call.only(*HISTORY, "_cursor")
    cursor = _cursor(call)
    pairs = [pair for pair in call.pairs if pair[0] in HISTORY]
    for name in HISTORY:
        single(pairs, name)
    if call.view.summary == "count":
        raise Invalid("_summary=count counts what a search found; a history is not counted.", expression="_summary")
    page = await call.records.versions(call.target.type, call.target.id or None, pairs, cursor)
    kept = [pair for pair in call.pairs if pair[0] in GENERAL]
    links = _links(call, page.next, [*([("_cursor", cursor)] if cursor else pairs), *kept], kept)
    return Answer(json=bundle.bundle("history", [_version(call, entry) for entry in page.entries], links=links))


def _version(call: Call, entry: Entry) -> bytes:
    """An entry of a history: what was done and when, and the resource unless it was deleted."""
    method = entry.method if not entry.deleted else "DELETE"
    created = method == "POST"
    said = {"status": "204 No Content" if entry.deleted else "201 Created" if entry.version == 1 else "200 OK", "etag": tag(entry),
            "lastModified": bundle.instant(entry.updated)}
    return bundle.entry(url=f"{call.base}/{entry.ref}", text=None if entry.text is None else respond.seen(entry.text, call.view),
                        request={"method": method, "url": entry.type if created else entry.ref}, response=said)


async def search(call: Call) -> Answer:
    """Matches in a type, in several, or in a compartment, with what they include."""
    cursor, target = _cursor(call), call.target
    pretty = call.view.pretty
    compartment = (target.type, target.id) if target.shape.startswith("Ti") else None
    if compartment and target.type not in definitions.COMPARTMENTS:
        raise Invalid(f"{target.type} is no compartment; those are {', '.join(sorted(definitions.COMPARTMENTS))}.", expression=target.type)
    types = (target.other or target.type,) if target.shape in ("T", "Ts", "TiT", "TiTs") else ()
    page = await call.records.search(types, [p for p in call.pairs if p[0] != "_cursor"], strict=call.prefer.strict, compartment=compartment, cursor=cursor)
    view = View(page.search.summary if page.search.summary not in ("false", "count") else "", page.search.elements, pretty)
    kept = [pair for pair in call.pairs if pair[0] in ("_format", "_pretty")]
    links = _links(call, page.next, [("_cursor", cursor), *kept] if cursor else list(page.search.understood), kept if page.next else [])
    entries = [*(_found(call, e, "match", view) for e in page.entries), *(_found(call, e, "include", view) for e in page.included), *_notes(page)]
    return Answer(json=bundle.bundle("searchset", entries, total=page.total, links=links), headers=_handled(call))


def _handled(call: Call) -> dict[str, str]:
    """The preference that decided what became of unknown parameters (RFC 7240)."""
    handling = [told for told in call.prefer.applied if told.startswith("handling=")]
    return {"Preference-Applied": handling[-1]} if handling else {}


def _found(call: Call, entry: Entry, mode: str, view: View) -> bytes:
    return bundle.entry(url=f"{call.base}/{entry.ref}", text=respond.seen(entry.text, view), search={"mode": mode})


def _notes(page) -> list[bytes]:
    """What is to be said of a search: the parameters that a lenient one did not understand, and its plan where that is asked."""
    issues = [Issue("warning", "not-supported", f"{name} is not understood and was ignored.", name) for name in page.search.ignored]
    issues += [Issue("information", "informational", told) for told in page.plan]
    return [bundle.entry(text=json.dumps(outcome(issues)), search={"mode": "outcome"})] if issues else []


def _cursor(call: Call) -> str | None:
    """The page link's cursor, which stands alone beside the general parameters."""
    cursor = single(call.pairs, "_cursor")
    if cursor is not None:
        call.only("_cursor")
    return cursor


def _links(call: Call, next: str | None, own: list[tuple[str, str]], kept: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The self link and that of the next page: an opaque cursor beside the `kept` parameters."""
    address = f"{call.base}/{quote(call.target.path, safe='/*')}".rstrip("/")
    links = [("self", _url(address, own))]
    return [*links, ("next", _url(address, [("_cursor", next), *kept]))] if next else links


def _url(address: str, pairs: list[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(pairs, safe=',|:/$')}" if pairs else address
