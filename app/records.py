"""The waist: the only way to stored data. It decides, checks, does and audits, so that no door can forget to."""
from __future__ import annotations

import re
from functools import partial

from app import cursor as cursors
from app import errors, terms
from app.audit import asked, events, record, touched
from app.caller import Caller
from app.change import Change, Done, Prepared
from app.commit import Commit, tried
from app.fhir import json, validate
from app.page import LOG, NOT_LOG, Ask, Page, rendered, without_log
from app.search import own, parse
from app.search.query import ALL, NONE, Clause, Compare, Query, Stamp, both
from app.search.types import date, special
from app.sharing import policy
from app.store.base import Entry, Event, Found
from app.structures import Structures
from app.world import World, moment

__all__ = ["Change", "Done", "Page", "Prepared", "Records", "World"]

_VERSION = re.compile(r"[1-9][0-9]{0,14}")


class Records:
    """Stored data as one caller may see and change it.

    Errors of every verb: errors.Absent (hidden and absent alike), Forbidden, Invalid, and Unavailable where no audit is possible.
    """

    def __init__(self, world: World, caller: Caller):
        self.world, self.caller, self.store = world, caller, world.store
        self.scope = policy.scope(caller)

    # read

    async def read(self, type: str, id: str, version: str | None = None) -> Entry:
        """The current version, or the one named (as in a url; what is no version is Absent). Errors: Absent; Deleted."""
        kind = "read" if version is None else "vread"
        happened = [Event("R", kind, f"{type}/{id}")]
        try:
            entry = await (self._event(id, version) if type == LOG and events.parse_id(id) else self._version(type, id, version))
            happened = touched.each(entry, "R", kind)
            if entry.deleted or entry.text is None:
                raise errors.Deleted(f"{type}/{id} was deleted." if entry.deleted else f"This version of {type}/{id} was removed.", headers={"ETag": f'W/"{entry.version}"'})
        except errors.Failure as failure:
            await self._refuse(happened, failure)
            raise
        await self._tell(happened)
        return entry

    async def _version(self, type: str, id: str, version: str | None) -> Entry:
        """The version, if it and the current one may be seen."""
        current = await self.store.get(type, id)
        if current is None or not await self._sees(current):
            raise errors.Absent(f"{type}/{id} is not known here.")
        if version is None:
            return current
        entry = await self.store.get(type, id, version=int(version)) if _VERSION.fullmatch(version) else None
        if entry is None or not await self._sees(entry):
            raise errors.Absent(f"{type}/{id}/_history/{version} is not known here.")
        return entry

    async def _sees(self, entry: Entry) -> bool:
        return self.scope == ALL or await self.store.meets(entry, self.scope, now=moment())

    # history

    async def versions(self, type: str = "", id: str | None = None, pairs: list[tuple[str, str]] = (), cursor: str | None = None) -> Page:
        """History, newest first, of a resource, a type or all; pairs hold `_since _at _count _list`. A delete has entry.deleted.

        Errors: Absent for a resource that is not there or hidden; Invalid for a bad parameter.
        """
        kind = "history-instance" if id else "history-type" if type else "history-system"
        subject = f"{type}/{id}" if id else ""
        try:
            page = await self._history(type, id, list(pairs), cursor)
        except errors.Failure as failure:
            await self._refuse([Event("E", kind, subject)], failure, asked.text(pairs))
            raise
        await self._tell(touched.patients(page.entries, kind, subject), asked.text(pairs))
        return page

    async def _history(self, type: str, id: str | None, pairs, cursor) -> Page:
        opened = self._open(cursor) if cursor else None
        if opened and (opened.get("type", "?"), opened.get("id")) != (type, id):
            raise errors.Invalid("This page link belongs to another address.", expression="_cursor")
        pairs = opened["pairs"] if opened else pairs
        span = _Span(pairs, self.world, self.caller.base)
        if id is not None:
            await self._version(type, id, None)
        at, now = (opened["at"], opened["now"]) if opened else (await self.store.newest(), moment())
        if type == LOG:
            raise errors.Unsupported("The log has no versions: search AuditEvent, for each is written once.")
        where = policy.still(self.scope) if type else both(policy.still(self.scope), NOT_LOG)
        listed = await self._listed(span.list, at, opened) if span.list else ALL
        found = await self.store.history(Query((type,) if type else (), where), at=at, now=moment(), id=id, since=span.since, moment=span.moment,
                                         limit=span.count + 1, after=opened["after"] if opened else None, own=listed)
        entries = found[:span.count]
        more = len(found) > span.count and entries
        link = self._seal(pairs=pairs, type=type, id=id, at=at, now=now, after=entries[-1].number) if more else None
        return Page(entries, next=link)

    async def _listed(self, id: str, at: int, opened: dict | None) -> Clause:
        """The versions that a List names; a hidden one is none."""
        found = await self._seen(self._scope(opened), at, Query(("List",), Stamp((Compare("id", "eq", id),))), 1)
        return special.listed(json.loads(found[0].entry.text), self.caller.base) if found else NONE

    # search

    async def search(self, types: tuple[str, ...], pairs: list[tuple[str, str]], *, strict: bool = True,
                     compartment: tuple[str, str] | None = None, cursor: str | None = None) -> Page:
        """A search; page.search is what was understood. An AuditEvent search finds rendered access records too.

        compartment: (`Patient`, id) of a compartment search. Errors: Unsupported, Invalid, TooCostly by the name of the parameter.
        """
        kind = "search-type" if len(types) == 1 else "search-system"
        whose = "/".join(compartment or ())
        try:
            page = await self._search(types, list(pairs), strict, compartment, cursor)
        except errors.Failure as failure:
            await self._refuse([Event("E", kind, whose)], failure, asked.query(types, pairs, whose))
            raise
        said = asked.query(types, [*page.search.understood, ("_cursor", "")] if cursor else pairs, whose)
        await self._tell(touched.patients([*page.entries, *page.included], kind, whose, *asked.patients(page.search.query, whose)), said)
        return page

    async def _search(self, types, pairs, strict, compartment, cursor) -> Page:
        opened = self._open(cursor) if cursor else {}
        if opened:
            if (opened.get("types"), opened.get("compartment")) != (list(types), list(compartment) if compartment else None):
                raise errors.Invalid("This page link belongs to another address.", expression="_cursor")
            pairs, strict = [tuple(p) for p in opened["pairs"]], opened["strict"]
        at, now = (opened["at"], opened["now"]) if opened else (await self.store.newest(), moment())
        scope = self._scope(opened)
        context = parse.Context(self.world.zone, self.caller.base, now, strict, own=own.read(await self.store.recipe()))
        search = without_log(await terms.understood(lambda known: parse.parse(types, pairs, context._replace(terms=known)), partial(self._seen, scope, at), context.base))
        if compartment:
            search = search._replace(query=search.query._replace(where=both(search.query.where, parse.compartment(*compartment, search.query.types))))
        ask = Ask(self.world, self.caller, scope, search, at, opened.get("after"), context.own)
        page = await (ask.log() if search.query.types == (LOG,) else ask.entries())
        if search.explain:
            page.plan = await ask.explain()
        if page.next:
            page.next = self._seal(types=types, pairs=pairs, strict=strict, compartment=compartment, at=at, now=now, after=page.next)
        return page

    def _scope(self, opened: dict | None) -> Clause:
        """What may be seen of the newest commit, or of an earlier one on a later page."""
        return policy.still(self.scope) if opened else self.scope

    async def _seen(self, scope: Clause, at: int, query: Query, limit: int) -> list[Found]:
        return await self.store.search(policy.restrict(query, scope), at=at, now=moment(), limit=limit)

    async def find(self, query: Query, limit: int, event: Event, said: str = "") -> list[Found]:
        """What a query finds of what the caller sees, for an operation that works on it; recorded as `event`, asked for with `said`."""
        try:
            found = await self._seen(self.scope, await self.store.newest(), query, limit)
        except errors.Failure as failure:
            await self._refuse([event], failure, said)
            raise
        await self._tell(touched.patients([f.entry for f in found], event.subtype, event.entity), said)
        return found

    # commit

    async def commit(self, changes: list[Change], *, also=None) -> list[Done]:
        """All changes or none, in one transaction: conditions, references among them (urn:uuid, conditional), validation, guards,
        versions, index, facts and the access record. The first failure raises, with the change's place in its issues.

        also: an async function of the store's transaction that joins the commit (a claim of a job).
        """
        if not changes:
            return []
        commit = Commit(self.world, self.caller, self.scope)
        try:
            await commit.check(changes)
            return await self.store.commit(lambda tx: commit.apply(tx, changes, also))
        except errors.Failure as failure:
            await self._refuse([tried(c) for c in changes], failure, "; ".join(c.condition for c in changes if c.condition))
            raise

    async def judge(self, resource: dict, type: str, profiles: tuple[str, ...] = ()) -> list[errors.Issue]:
        """All that can be told of a resource by R4 and by profiles, those in the store that the caller sees included. Errors: Unsupported for an unknown profile; TooCostly."""
        def work(library: Structures) -> list[errors.Issue]:
            for url in profiles:
                library.need(url, type)
            return validate.validate(resource, type, warnings=True, profiles=profiles, library=library)
        return await Structures().judged(work, partial(self._seen, self.scope, await self.store.newest()), self.caller.base)

    async def rehearse(self, change: Change | None, event: Event) -> errors.Failure | None:
        """What would refuse a change, which is tried whole and left undone; None where nothing would. The trial is recorded as `event`."""
        refusal = None
        try:
            if change is not None:
                commit = Commit(self.world, self.caller, self.scope)
                await commit.check([change])
                await self.store.commit(lambda tx: commit.apply(tx, [change], _undo))
        except _Undone:
            pass
        except errors.Unavailable as failure:
            await self._refuse([event], failure)
            raise
        except errors.Failure as failure:
            refusal = failure
        await self._tell([event])
        return refusal

    # audit

    async def _tell(self, happened: list[Event], query: str = "", outcome: str = "0", reason: str = "") -> None:
        """Writes the access record; returns when it is durable. No audit, no data."""
        try:
            await self.world.journal.write(record.access(self.caller, at=moment(), outcome=outcome, site=self.world.site, events=tuple(happened), query=query, reason=reason))
        except errors.Failure as failure:
            failure.recorded = True  # as far as it can be: it is not tried again
            raise

    async def _refuse(self, happened: list[Event], failure: errors.Failure, query: str = "") -> None:
        await self._tell(happened, query, "8" if failure.status >= 500 else "4", str(failure)[:200])
        failure.recorded = True

    async def refused(self, failure: errors.Failure, event: Event, query: str = "") -> None:
        """Records what a door refused before it came to a verb; what a verb refused has its record. Errors: Unavailable."""
        if not failure.recorded:
            await self._refuse([event], failure, query)

    # page links

    def _binding(self) -> str:
        return f"{self.caller.organization}|{self.caller.client}|{self.caller.user}"

    def _seal(self, **content) -> str:
        return cursors.seal(self.world.secret, self._binding(), content)

    def _open(self, cursor: str) -> dict:
        return cursors.unseal(self.world.secret, self._binding(), cursor, moment())

    async def _event(self, id: str, version: str | None) -> Entry:
        """One AuditEvent rendered from an access record; it has one version."""
        await self.world.indexer.catch_up()
        journal, sequence, ordinal = events.parse_id(id)
        found = await self.store.access(journal, sequence)
        visible = found is not None and ordinal < max(1, len(found.events)) and await self.store.count_events(both(
            Stamp((Compare("number", "eq", found.number), Compare("ordinal", "eq", ordinal))), policy.log_scope(self.caller)))
        if not visible or version not in (None, "1"):
            raise errors.Absent(f"{LOG}/{id} is not known here.")
        return rendered(found, ordinal)


class _Undone(Exception):
    """Ends a rehearsal."""


async def _undo(tx) -> None:
    raise _Undone


class _Span:
    """`_since`, `_at`, `_count` and `_list` of a history."""

    def __init__(self, pairs, world: World, base: str):
        self.since, self.moment, self.count, self.list = None, None, world.settings.page, ""
        for name, value in pairs:
            if name == "_since":
                self.since = _moment(name, value, world)[0]
            elif name == "_at":
                self.moment = _moment(name, value, world)
            elif name == "_count":
                if not value.isdecimal() or len(value) > 9:
                    raise errors.Invalid(f"_count is a whole number, not {value!r}.", expression="_count")
                self.count = min(int(value), world.settings.page_limit)
            elif name == "_list":
                self.list = _named(name, lambda: special.list_id(value, parse.Context(base=base)))
            elif name not in ("_format", "_pretty", "_summary", "_elements", "_sort"):
                raise errors.Unsupported(f"History knows _since, _at, _count and _list, not {name!r}.", expression=name)


def _moment(name: str, value: str, world: World) -> tuple[int, int]:
    return _named(name, lambda: date.bounds(value, "dateTime", world.zone))


def _named(name: str, read):
    """What `read` gives. Errors: its own, of the parameter's name."""
    try:
        return read()
    except errors.Failure as failure:
        raise failure.at(name)
