"""Batch and transaction: a Bundle of calls, done in the standard's order, and the Bundle of their answers.

https://hl7.org/fhir/R4/http.html#transaction
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import format_datetime
from urllib.parse import unquote

from app.errors import Absent, Deleted, Failure, Invalid, NotAllowed, TooLarge
from app.fhir import bundle, reference, validate
from app.records import Event
from app.records import Change
from app.rest import body, negotiation, respond, write
from app.rest.call import Answer, Call, single

ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
"""https://hl7.org/fhir/R4/http.html#trules"""
HEADERS = {"ifMatch": "if-match", "ifNoneMatch": "if-none-match", "ifNoneExist": "if-none-exist"}
LARGE = 256 * 1024
"""Bytes of a Bundle above which it is parsed beside the event loop."""
PACE = 100
"""Entries after which others have a turn."""
NEEDS = ("POST", "PUT", "PATCH")
"""Methods whose entry needs a resource."""


async def submit(call: Call, target: Callable, allowed: Callable, perform: Callable) -> Answer:
    """The answer to a Bundle posted to the base. The three functions are those of the table of interactions."""
    call.only()
    call.view
    found = await asyncio.to_thread(_bundle, call) if len(call.body) > LARGE else _bundle(call)
    kind, entries = found["type"], found.get("entry") or []
    reader = _Reader(call, target, allowed)
    answers = await (_batch if kind == "batch" else _transaction)(call, entries, reader, perform)
    prefer = call.prefer._replace(returns=call.prefer.returns or "minimal")
    told = await _paced(lambda answer: respond.entry(*answer, prefer, call.view), answers)
    return Answer(json=bundle.bundle(f"{kind}-response", told))


async def _paced(make: Callable, items: list) -> list:
    """`make` of each, with a turn for others now and then."""
    made = []
    for step, item in enumerate(items):
        made.append(make(item))
        if step % PACE == PACE - 1:
            await asyncio.sleep(0)
    return made


def _bundle(call: Call) -> dict:
    """The Bundle that was sent. Errors: Malformed, Invalid, TooLarge."""
    found = write.document(call)
    kind, entries = found.get("type"), found.get("entry")
    if found.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise Invalid(f"A Bundle of type batch or transaction can be posted here, not {found.get('resourceType')} of type {kind!r}.", expression="Bundle.type")
    if entries == []:  # the standard says that it is no error
        del found["entry"]
    if isinstance(entries, list):
        _bound(call, kind, len(entries))
    _check(found)
    return found


def _check(found: dict) -> None:
    """The Bundle without its resources is as the standard says: each of those is checked where it is written."""
    entries = found.get("entry")
    bare = [{k: v for k, v in e.items() if k != "resource"} if isinstance(e, dict) else e for e in entries] if isinstance(entries, list) else entries
    for step, entry in enumerate(bare if isinstance(bare, list) else ()):
        if entry == {}:
            raise Invalid("Each entry of a batch or transaction needs a request.", expression=f"Bundle.entry[{step}].request")
    issues = [i for i in validate.structure({**found, **({"entry": bare} if "entry" in found else {})}) if i.severity in ("fatal", "error")]
    if issues:
        raise Invalid(issues=issues)


def _bound(call: Call, kind: str, count: int) -> None:
    settings, store = call.records.world.settings, call.records.world.store
    limit = min(settings.bundle_limit, store.entries_limit) if kind == "transaction" else settings.bundle_limit
    if count > limit:
        raise TooLarge(f"A {kind} takes {limit} entries on this server, not {count}.", expression="Bundle.entry")


class _Reader:
    """Makes calls of entries."""

    def __init__(self, call: Call, target: Callable, allowed: Callable):
        self.call, self.target, self.allowed = call, target, allowed

    def read(self, entry: dict, place: str) -> Call:
        """The call that an entry asks for. Errors: Failure, at its place."""
        try:
            return self._read(entry, place)
        except Failure as failure:
            raise failure.at(place)

    def _read(self, entry: dict, place: str) -> Call:
        request = entry.get("request")
        if request is None:
            raise Invalid("Each entry of a batch or transaction needs a request.", expression="request")
        method, url = request.get("method"), request.get("url", "")
        path, _, query = self._relative(url).partition("?")
        address = unquote(path)
        if "\0" in address or "\ufffd" in address:
            raise Invalid("The address is not UTF-8, or holds the NUL character.", expression="request.url")
        where = self.target(address)
        if where.shape == "" and method == "POST":
            raise Invalid("A batch or transaction inside another is not done: post it by itself.", expression="request.url")
        self.allowed(where, method)
        resource = entry.get("resource")
        if method in NEEDS and not isinstance(resource, dict) and not where.operation and not where.shape.endswith("s"):
            raise Invalid(f"A {method} needs a resource in its entry.", expression="resource")
        if not isinstance(resource, dict | None):
            raise Invalid("A resource is a JSON object.", expression="resource")
        if where.shape.endswith("s") and resource is not None:
            raise Invalid("The parameters of a search stand in the url of its entry, not in a resource.", expression="resource")
        pairs = body.pairs(query.encode("utf-8", "replace"))
        negotiation.representation(negotiation.FHIR, single(pairs, "_format"))
        return self.call.on(method=method, target=where, pairs=pairs, headers=_headers(request),
                            body=resource, place=place, url=entry.get("fullUrl", ""))

    def _relative(self, url: str) -> str:
        if "://" in url and not url.startswith(self.call.base):
            raise Invalid(f"{url} is not on this server.", expression="request.url")
        return url.removeprefix(self.call.base).removeprefix("/")


def _headers(request: dict) -> dict[str, str]:
    headers = {"accept": negotiation.FHIR, **{header: request[name] for name, header in HEADERS.items() if request.get(name)}}
    if request.get("ifModifiedSince"):
        headers["if-modified-since"] = _date(request["ifModifiedSince"])
    return headers


def _date(instant: str) -> str:
    """An instant as an HTTP date. Errors: Invalid."""
    try:
        return format_datetime(datetime.fromisoformat(instant.replace("Z", "+00:00")).astimezone(timezone.utc), usegmt=True)
    except (ValueError, OverflowError):
        raise Invalid(f"{instant!r} is no instant.", expression="request.ifModifiedSince") from None


# batch


async def _batch(call: Call, entries: list, reader: _Reader, perform: Callable) -> list[tuple[Call | None, Answer]]:
    """Each entry alone: a failing one is told in its own response."""
    answers: list = [None] * len(entries)
    made = {entry.get("fullUrl") for entry in entries if (entry.get("request") or {}).get("method") == "POST"} - {None}
    for step in sorted(range(len(entries)), key=lambda step: ORDER.get((entries[step].get("request") or {}).get("method"), 9)):
        answers[step] = await _alone(entries[step], f"Bundle.entry[{step}]", made, reader, perform)
        await asyncio.sleep(0)
    return answers


async def _alone(entry: dict, place: str, made: set[str], reader: _Reader, perform: Callable) -> tuple[Call | None, Answer]:
    asked = None
    try:
        asked = reader.read(entry, place)
        _independent(asked, made)
        return asked, await perform(asked)
    except Exception as error:
        failure = error if isinstance(error, Failure) else respond.unexpected(error, f"{reader.call.records.caller.request} {place}")
    return asked, respond.failed(await _recorded(failure, entry, reader.call.records))


async def _recorded(failure: Failure, entry: dict, records) -> Failure:
    """The failure, recorded; or that it cannot be."""
    request = entry.get("request") or {}
    try:
        await records.refused(failure, Event("E", "batch"), f"{request.get('method')} {request.get('url')}")
    except Failure as other:
        return other
    return failure


def _independent(asked: Call, made: set[str]) -> None:
    """Errors: Invalid where a resource refers to one that the same batch creates (https://hl7.org/fhir/R4/http.html#brules)."""
    meant: list[str] = []
    if made and isinstance(asked.body, dict):
        reference.rewrite(asked.body, lambda text: meant.append(text) if text in made else None)
    if meant:
        raise Invalid(f"{meant[0]} is an entry of this batch, whose id nobody knows yet: post a transaction.", expression=f"{asked.place}.resource")


# transaction


async def _transaction(call: Call, entries: list, reader: _Reader, perform: Callable) -> list[tuple[Call, Answer]]:
    """All entries or none. What reads is tried before the commit, so that it cannot fail after it."""
    calls = await _paced(lambda each: reader.read(each[1], f"Bundle.entry[{each[0]}]"), list(enumerate(entries)))
    writes = sorted((c for c in calls if c.method in write.CHANGES and not _reads(c)), key=lambda c: ORDER[c.method])
    reads = [c for c in calls if _reads(c)]
    changes = await _paced(_change, writes)
    _once(calls)
    if writes:
        for asked in reads:
            await _rehearse(asked, writes, perform)
    done = await call.records.commit(changes)
    answers = {id(asked): write.written(asked, result) for asked, result in zip(writes, done)}
    for asked in reads:
        answers[id(asked)] = await _read(asked, perform, bool(writes))
    return [(c, answers[id(c)]) for c in calls]


def _reads(call: Call) -> bool:
    return call.method in ("GET", "HEAD") or call.target.shape.endswith("s")


def _once(calls: list[Call]) -> None:
    """Errors: Invalid where two entries name one resource or have one fullUrl."""
    named: dict[str, str] = {}
    for call in calls:
        names = [f"{call.target.type}/{call.target.id}"] if call.method in ("PUT", "PATCH", "DELETE") and call.target.id else []
        names += [f"{call.target.type}?{call.criteria()}"] if call.method == "PUT" and not call.target.id and call.pairs else []
        names += [call.url] if call.url and not _reads(call) and call.method != "DELETE" else []
        for name in names:
            if name in named:
                raise Invalid(f"{named[name]} and {call.place} are both {name}: a resource stands in a transaction once.", expression=call.place)
        named |= dict.fromkeys(names, call.place)


def _change(call: Call) -> Change:
    try:
        if call.target.operation:
            raise NotAllowed(f"The operation ${call.target.operation} is not done inside a transaction.", expression="request.url")
        change = write.CHANGES[call.method](call)
    except Failure as failure:
        raise failure.at(call.place)
    change.url, change.place = call.url, call.place
    return change


async def _rehearse(call: Call, writes: list[Call], perform: Callable) -> None:
    """Fails as the read will; one of a resource that the transaction itself brings cannot be told yet."""
    brings = {c.target[:3] for c in writes if c.method == "PUT" and c.target.id}
    removes = {c.target[:3] for c in writes if c.method == "DELETE" and c.target.id}
    try:
        if call.target[:3] in removes:
            raise Deleted(f"{call.target.path} is deleted by this transaction.")
        await perform(call)
    except (Absent, Deleted) as failure:
        if call.target[:3] not in brings:
            raise failure.at(call.place)
    except Failure as failure:
        raise failure.at(call.place)


async def _read(call: Call, perform: Callable, late: bool) -> Answer:
    """The answer of a read; `late` where the changes are done and nothing can be refused any more."""
    try:
        return await perform(call)
    except Failure as failure:
        if late:
            return respond.failed(failure)
        raise failure.at(call.place)
