"""The waist: the only way to stored data. It decides, checks, does and audits, so that no door can forget to."""
from __future__ import annotations

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from app import cursor as cursors
from app import errors
from app.audit import answers, asked, events, record
from app.audit.direct import Direct
from app.audit.journal import Indexer, Journal
from app.caller import Caller
from app.change import Change, Done, Writer, check, new_id
from app.fhir import json, reference
from app.links import ROUNDS as LINK_ROUNDS
from app.links import Links
from app.links import names as links_of
from app.search import include, parse
from app.search.query import ALL, Clause, Compare, Key, Not, Query, Stamp, both, conjuncts
from app.search.types import date
from app.settings import Settings
from app.sharing import policy
from app.store.base import Entry, Event, Found, Store

__all__ = ["Change", "Done", "Page", "Records", "World"]

_VERSION = re.compile(r"[1-9][0-9]{0,14}")
LOG = "AuditEvent"
NOT_LOG = Not(Stamp((Compare("type", "eq", LOG),)))
ISSUES = 200
"""Issues after which no more changes of a commit are judged."""
INCLUDED = 1000
"""Resources that includes may add to a page; what would bring more makes fewer matches on it."""
ROUNDS = 10
"""Rounds of `:iterate`."""


class World(NamedTuple):
    """What one server process holds: its store, its journal of accesses and the indexer of journals."""

    settings: Settings
    store: Store
    journal: Journal | Direct
    indexer: Indexer | Direct
    zone: str
    secret: str
    site: str


@dataclass(slots=True)
class Page:
    """One page: matches in order, what was included, the total where it is known, and the cursor of the next page."""

    entries: list[Entry]
    included: list[Entry] = field(default_factory=list)
    total: int | None = None
    next: str | None = None
    search: parse.Search | None = None


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
            happened = _each(entry, "R", kind)
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
        return self.scope == ALL or await self.store.meets(entry, self.scope, now=_now())

    # history

    async def versions(self, type: str = "", id: str | None = None, pairs: list[tuple[str, str]] = (), cursor: str | None = None) -> Page:
        """History, newest first, of a resource, a type or all; pairs hold `_since _at _count`. A delete has entry.deleted.

        Errors: Absent for a resource that is not there or hidden; Invalid for a bad parameter.
        """
        kind = "history-instance" if id else "history-type" if type else "history-system"
        subject = f"{type}/{id}" if id else ""
        try:
            page = await self._history(type, id, list(pairs), cursor)
        except errors.Failure as failure:
            await self._refuse([Event("E", kind, subject)], failure, asked.text(pairs))
            raise
        await self._tell(_patients(page.entries, kind, subject), asked.text(pairs))
        return page

    async def _history(self, type: str, id: str | None, pairs, cursor) -> Page:
        opened = self._open(cursor) if cursor else None
        if opened and (opened.get("type", "?"), opened.get("id")) != (type, id):
            raise errors.Invalid("This page link belongs to another address.", expression="_cursor")
        pairs = opened["pairs"] if opened else pairs
        asked = _Span(pairs, self.world)
        if id is not None:
            await self._version(type, id, None)
        at, now = (opened["at"], opened["now"]) if opened else (await self.store.newest(), _now())
        if type == LOG:
            raise errors.Unsupported("The log has no versions: search AuditEvent, for each is written once.")
        where = self.scope if type else both(self.scope, NOT_LOG)
        found = await self.store.history(Query((type,) if type else (), where), at=at, now=_now(), id=id, since=asked.since, moment=asked.moment,
                                         limit=asked.count + 1, after=opened["after"] if opened else None)
        entries = found[:asked.count]
        more = len(found) > asked.count and entries
        link = self._seal(pairs=pairs, type=type, id=id, at=at, now=now, after=entries[-1].number) if more else None
        return Page(entries, next=link)

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
        await self._tell(_patients([*page.entries, *page.included], kind, whose, *asked.patients(page.search.query, whose)), said)
        return page

    async def _search(self, types, pairs, strict, compartment, cursor) -> Page:
        opened = self._open(cursor) if cursor else {}
        if opened:
            if (opened.get("types"), opened.get("compartment")) != (list(types), list(compartment) if compartment else None):
                raise errors.Invalid("This page link belongs to another address.", expression="_cursor")
            pairs, strict = [tuple(p) for p in opened["pairs"]], opened["strict"]
        at, now = (opened["at"], opened["now"]) if opened else (await self.store.newest(), _now())
        context = parse.Context(self.world.zone, self.caller.base, now, strict)
        search = _without_log(parse.parse(types, pairs, context))
        if compartment:
            search = search._replace(query=search.query._replace(where=both(search.query.where, parse.compartment(*compartment, search.query.types))))
        ask = _Ask(self, search, at, now, opened.get("after"), min(search.count if search.count is not None else self.world.settings.page, self.world.settings.page_limit))
        page = await (ask.log() if search.query.types == (LOG,) else ask.entries())
        if page.next:
            page.next = self._seal(types=types, pairs=pairs, strict=strict, compartment=compartment, at=at, now=now, after=page.next)
        return page

    # commit

    async def commit(self, changes: list[Change], *, also=None) -> list[Done]:
        """All changes or none, in one transaction: conditions, references among them (urn:uuid, conditional), validation, guards,
        versions, index, facts and the access record. The first failure raises, with the change's place in its issues.

        also: an async function of the store's transaction that joins the commit (a claim of a job).
        """
        if not changes:
            return []
        try:
            await self._check(changes)
            return await self.store.commit(lambda tx: self._apply(tx, changes, also))
        except errors.Failure as failure:
            await self._refuse([_tried(c) for c in changes], failure, "; ".join(c.condition for c in changes if c.condition))
            raise

    async def _check(self, changes: list[Change]) -> None:
        """All that can be told before the commit, in slices that let others have their turn."""
        limit = min(self.world.settings.bundle_limit, self.store.entries_limit)
        if len(changes) > limit:
            raise errors.TooLarge(f"One transaction takes {limit} changes, not {len(changes)}.")
        issues: list[errors.Issue] = []
        for step, change in enumerate(changes):
            try:
                with _at(change):
                    check(change)
            except errors.Invalid as failure:
                issues += failure.issues
            if len(issues) > ISSUES:
                break
            if step % 50 == 49:
                await asyncio.sleep(0)
        if issues:
            raise errors.Invalid(issues=issues)

    async def _apply(self, tx, changes: list[Change], also) -> list[Done]:
        """The commit itself; it may run again, so it leaves the changes as they are."""
        writer = self._writer(tx)
        targets, done = await self._targets(tx, changes)
        links = Links({name: ref for c, t in zip(changes, targets) if c.url and t.id and c.method != "delete" for name, ref in links_of(c.url, f"{t.type}/{t.id}").items()}, self._finder(tx))
        links.versions = {f"{t.type}/{t.id}": 1 for step, t in enumerate(targets) if t.method == "create" and step not in done}
        links.versions |= {d.entry.ref: d.entry.version for d in done.values() if d.entry is not None}
        waiting: dict[int, set[str]] = {}
        for step, (change, target) in enumerate(zip(changes, targets)):
            plain = step in done or change.resource is None or links.plain(change.resource)
            wanted = set() if plain else links.wants(change.resource)
            if wanted:
                waiting[step] = wanted
            elif step not in done:
                done[step] = await self._write(writer, change, target, links, change.resource if plain else links.rewrite(change.resource))
            if step % 50 == 49:
                await asyncio.sleep(0)
        await self._write_late(writer, changes, targets, waiting, links, done)
        told = [d if d.entry is not None or d.outcome != "found" else Done("found", done[targets.index(targets[step])].entry) for step, d in sorted(done.items())]
        await self._distinct(tx, changes, told)
        if self.world.settings.enforce_references:
            await self._enforce(tx, changes, told)
        await tx.record(record.access(self.caller, at=tx.now, outcome="0", site=self.world.site, events=tuple(
            e for c, d in zip(changes, told) for e in _done(c, d))))
        if also is not None:
            await also(tx)
        return told

    def _writer(self, tx) -> Writer:
        return Writer(tx, self.caller, self.world.zone, self.caller.base, self.scope)

    def _finder(self, tx):
        async def find(type: str, condition: str) -> list[str]:
            return [m.entry.ref for m in await self._matches(tx, type, condition, 2)]
        return find

    async def _write(self, writer: Writer, change: Change, target: Change, links: Links, resource: dict | None) -> Done:
        with _at(change):
            if change.patch is not None:
                target = replace(target, patch=lambda before: links.rewrite(change.patch(before)))
            done = await writer.apply(target, resource)
        if done.entry is not None:
            links.versions[done.entry.ref] = done.entry.version
        return done

    async def _write_late(self, writer: Writer, changes, targets, waiting: dict[int, set[str]], links: Links, done: dict[int, Done]) -> None:
        """Changes whose references are resolved after all others, each round of them at once: the order of entries decides nothing."""
        late = {changes[step].type for step in waiting}
        for _ in range(LINK_ROUNDS):
            ready = []
            for step, wanted in waiting.items():
                with _at(changes[step]):
                    if all([await links.look(text) for text in sorted(wanted)]):
                        ready.append(step)
            for step in ready:
                del waiting[step]
                done[step] = await self._write(writer, changes[step], targets[step], links, links.rewrite(changes[step].resource))
            if not ready:
                break
        if waiting:
            step = min(waiting)
            with _at(changes[step]):
                raise links.unknown(waiting[step])
        await links.confirm(late)

    async def _distinct(self, tx, changes: list[Change], done: list[Done]) -> None:
        """No conditional update or patch means what a create of the same commit made. Errors: Ambiguous."""
        made = {d.entry.ref for c, d in zip(changes, done) if c.method == "create" and d.outcome == "created"}
        types = {ref.partition("/")[0] for ref in made}
        for change in changes:
            if change.method in ("update", "patch") and change.condition is not None and change.type in types:
                with _at(change):
                    if any(m.entry.ref in made for m in await self._matches(tx, change.type, change.condition, 1000)):
                        raise errors.Ambiguous(f"{change.type}?{change.condition} means what this transaction creates: a resource stands in a transaction once.")

    async def _targets(self, tx, changes: list[Change]) -> tuple[list[Change], dict[int, Done]]:
        """The changes with their ids known: given, made, or found by their conditions; and those that are done already: deletes, which
        come first, and creates that find their resource."""
        targets, settled, taken, equal = {}, {}, set(), {}
        for step in sorted(range(len(changes)), key=lambda step: (changes[step].method != "delete", changes[step].condition is None)):
            change = changes[step]
            with _at(change):
                first = equal.setdefault((change.type, change.condition), step) if change.method == "create" and change.condition is not None else step
                if first != step:  # the same conditional create again: it finds what the first one makes
                    targets[step], settled[step] = targets[first], Done("found", None)
                    continue
                targets[step], done, names = await self._target(tx, change)
                if taken.intersection(names):
                    raise errors.Invalid(f"{', '.join(taken.intersection(names))} is changed twice in one transaction.")
                taken.update(names)
                if done is not None:
                    settled[step] = done
        return [targets[step] for step in range(len(changes))], settled

    async def _target(self, tx, change: Change) -> tuple[Change, Done | None, list[str]]:
        """One change with its id, what became of it already, and the names of what it changes."""
        if change.condition is None:
            target = replace(change, id=new_id()) if change.method == "create" else change
            return target, await self._writer(tx).apply(target, None) if change.method == "delete" else None, [f"{target.type}/{target.id}"]
        matches = await self._matches(tx, change.type, change.condition, 1000 if change.many else 2)
        if change.method == "delete" and change.many:
            return change, await self._delete_all(tx, change, matches), [m.entry.ref for m in matches]
        if len(matches) > 1:
            raise errors.Ambiguous(f"{change.type}?{change.condition} matches more than one resource.")
        if not matches:
            await self._claim(tx, change)
            target, settled = await self._unmatched(tx, change)
        else:
            target, settled = self._matched(change, matches[0].entry)
        return target, settled, [f"{target.type}/{target.id}"] if settled is None else []

    def _matched(self, change: Change, entry: Entry) -> tuple[Change, Done | None]:
        """A condition that finds one resource."""
        if change.method == "create":
            return replace(change, id=entry.id), Done("found", entry)
        named = (change.resource or {}).get("id")
        if change.method == "update" and named not in (None, entry.id):
            raise errors.Invalid(f"The condition finds {entry.ref}, but the resource says id {named!r}.", expression=f"{change.type}.id")
        return replace(change, id=entry.id), None

    async def _unmatched(self, tx, change: Change) -> tuple[Change, Done | None]:
        """A condition that finds nothing."""
        if change.method == "create":
            return replace(change, id=new_id()), None
        if change.if_match and change.method != "patch":
            raise errors.VersionMismatch(f"If-Match names version {', '.join(change.if_match)}, but {change.type}?{change.condition} matches nothing.")
        if change.method == "update":
            named = change.resource.get("id")
            if named and await self._alive(tx, change.type, named):
                raise errors.Conflict(f"{change.type}/{named} exists, but the condition does not find it.", expression=f"{change.type}.id")
            return (replace(change, condition=None, id=named), None) if named else (replace(change, method="create", id=new_id()), None)
        if change.method == "delete":
            return change, Done("deleted", None, ())
        raise errors.Absent(f"{change.type}?{change.condition} matches nothing.")

    async def _alive(self, tx, type: str, id: str) -> bool:
        """Something that the caller sees is there now."""
        entry = await tx.get(type, id)
        return entry is not None and not entry.deleted and (self.scope == ALL or await tx.meets(entry, self.scope))

    async def _claim(self, tx, change: Change) -> None:
        """What the condition read (nothing), the commit writes, however it is spelt: of two that read it at once, one runs again.
        It holds nobody up afterwards, on machines whose clocks are behind either."""
        parts = sorted(map(repr, conjuncts(self._condition(tx, change.type, change.condition).where)))
        await tx.claim("condition", self.caller.organization, f"{change.type}?{hashlib.sha256(repr(parts).encode()).hexdigest()}", 0)

    async def _delete_all(self, tx, change: Change, matches: list[Found]) -> Done:
        if len(matches) >= 1000:
            raise errors.TooCostly("A conditional delete removes 999 resources at most; narrow the condition.")
        writer = self._writer(tx)
        gone = [await writer.apply(replace(change, id=m.entry.id), None) for m in matches]
        return Done("deleted", gone[0].entry if gone else None, tuple(g.entry for g in gone))

    async def _matches(self, tx, type: str, condition: str, limit: int) -> list[Found]:
        """What a condition finds, of what the caller may see. Errors: as _condition."""
        return await tx.search(policy.restrict(self._condition(tx, type, condition), self.scope), limit=limit)

    def _condition(self, tx, type: str, condition: str) -> Query:
        """Errors: Invalid where it says nothing that selects."""
        pairs = parse.pairs(condition)
        if results := sorted({name.partition(":")[0] for name, _ in pairs} & parse.RESULTS.keys()):
            raise errors.Invalid(f"A condition only selects: {', '.join(results)} has no place in {condition!r}.", expression=results[0])
        search = parse.parse((type,), pairs, parse.Context(self.world.zone, self.caller.base, tx.now, True))
        if search.query.where == ALL:
            raise errors.Invalid(f"The condition {condition!r} selects nothing in particular.")
        return search.query

    async def _enforce(self, tx, changes: list[Change], done: list[Done]) -> None:
        """Each local reference names something that is there and that the caller sees."""
        for change, result in zip(changes, done):
            if result.entry is None or result.entry.text is None or result.outcome not in ("created", "updated"):
                continue
            for path, _, _, value in reference.walk(json.loads(result.entry.text)):
                parts = reference.parse(value, self.caller.base)
                if parts.type and parts.id and not parts.base and not parts.fragment:
                    if not await self._alive(tx, parts.type, parts.id):
                        with _at(change):
                            raise errors.Unprocessable(f"{value} is not known here, and this store enforces references.", expression=path)

    # audit

    async def _tell(self, happened: list[Event], query: str = "", outcome: str = "0", reason: str = "") -> None:
        """Writes the access record; returns when it is durable. No audit, no data."""
        try:
            await self.world.journal.write(record.access(self.caller, at=_now(), outcome=outcome, site=self.world.site, events=tuple(happened), query=query, reason=reason))
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
        return cursors.unseal(self.world.secret, self._binding(), cursor, _now())

    async def _event(self, id: str, version: str | None) -> Entry:
        """One AuditEvent rendered from an access record; it has one version."""
        await self.world.indexer.catch_up()
        journal, sequence, ordinal = events.parse_id(id)
        found = await self.store.access(journal, sequence)
        visible = found is not None and ordinal < max(1, len(found.events)) and await self.store.count_events(both(
            Stamp((Compare("number", "eq", found.number), Compare("ordinal", "eq", ordinal))), policy.log_scope(self.caller)))
        if not visible or version not in (None, "1"):
            raise errors.Absent(f"{LOG}/{id} is not known here.")
        return _rendered(found, ordinal)


class _Ask:
    """One page of one search, of entries or of the log."""

    def __init__(self, records: Records, search: parse.Search, at: int, now: int, after, count: int):
        self.records, self.search, self.at, self.now, self.after, self.count = records, search, at, now, after, count
        self.store, self.query = records.store, policy.restrict(search.query, records.scope)

    async def entries(self) -> Page:
        only = self.search.summary == "count" or self.search.count == 0
        if only:
            return Page([], total=await self._count(), search=self.search)
        found = await self._find(self.query, self.count + 1)
        more, found = len(found) > self.count, found[:self.count]
        included = await self._include([f.entry for f in found])
        while len(included) > INCLUDED and len(found) > 1:
            found, more = found[:len(found) // 2], True
            included = await self._include([f.entry for f in found])
        if len(included) > INCLUDED:
            raise errors.TooCostly(f"One match alone brings more than {INCLUDED} others: search for those, page by page.", expression="_include")
        total = await self._total(len(found), more)
        return Page([f.entry for f in found], included, total, list(found[-1].place) if more and found else None, self.search)

    async def _find(self, query: Query, limit: int) -> list[Found]:
        after = tuple(self.after) if self.after else None
        return await self.store.search(query, at=self.at, now=_now(), limit=limit, after=after)

    async def _count(self) -> int:
        return await self.store.count(self.query, at=self.at, now=_now())

    async def _total(self, number: int, more: bool) -> int | None:
        """Given where the first page holds all, and where it is asked for."""
        if not more and self.after is None:
            return number
        return await self._count() if self.search.total in ("accurate", "estimate") else None

    async def _include(self, matches: list[Entry]) -> list[Entry]:
        """What the directives bring, each once, none that is a match, in rounds as long as `:iterate` finds more."""
        if not self.search.includes or not matches:
            return []
        seen, added, fresh = {e.number for e in matches}, [], matches
        for step in range(ROUNDS):
            directives = [i for i in self.search.includes if step == 0 or i.iterate]
            found = [f.entry for q in include.targets(directives, fresh) for f in await self.store.search(
                policy.restrict(q, self.records.scope), at=self.at, now=_now(), limit=INCLUDED + 1)]
            fresh = list({e.number: e for e in found if e.number not in seen and e.type != LOG}.values())
            seen.update(e.number for e in fresh)
            added += fresh
            if not fresh or len(added) > INCLUDED:
                return added
        raise errors.TooCostly(f":iterate finds more after {ROUNDS} rounds: search from there.", expression="_include")

    async def _until(self, where: Clause) -> int:
        """The time up to which all pages show the log: their own records come after it, so that an end is reached. Clocks of other machines may be ahead."""
        return max([self.now, *(s.access.at for s in await self.store.events(where, limit=1))])

    async def log(self) -> Page:
        """A search of AuditEvents: access records as they render, and those that other systems sent, newest first."""
        await self.records.world.indexer.catch_up()
        ascending = _log_order(self.search)
        where = both(answers.translate(self.search.query.where), policy.log_scope(self.records.caller))
        own, theirs, until = self.after or (None, None, await self._until(where))
        where = both(where, Stamp((Compare("at", "le", until),)))
        sort = self.query._replace(sort=(Key(f"{LOG}.date", "low", not ascending),))
        if self.search.summary == "count" or self.search.count == 0:
            return Page([], total=await self._count() + await self.store.count_events(where), search=self.search)
        seen = await self.store.events(where, limit=self.count + 1, after=tuple(own) if own else None, ascending=ascending)
        sent = await self.store.search(sort, at=self.at, now=_now(), limit=self.count + 1, after=tuple(theirs) if theirs else None)
        merged = sorted([(s.access.at, 0, s) for s in seen] + [(f.place[0] or 0, 1, f) for f in sent], key=lambda m: m[0], reverse=not ascending)
        more, merged = len(merged) > self.count, merged[:self.count]
        for _, kind, item in merged:
            own, theirs = (item.place, theirs) if kind == 0 else (own, item.place)
        entries = [_rendered(item.access, item.ordinal) if kind == 0 else item.entry for _, kind, item in merged]
        total = len(entries) if not more and self.after is None else None
        if total is None and self.search.total in ("accurate", "estimate"):
            total = await self._count() + await self.store.count_events(where)
        return Page(entries, total=total, next=[own, theirs, until] if more else None, search=self.search)


class _Span:
    """`_since`, `_at` and `_count` of a history."""

    def __init__(self, pairs, world: World):
        self.since, self.moment, self.count = None, None, world.settings.page
        for name, value in pairs:
            if name == "_since":
                self.since = _moment(name, value, world)[0]
            elif name == "_at":
                self.moment = _moment(name, value, world)
            elif name == "_count":
                if not value.isdecimal() or len(value) > 9:
                    raise errors.Invalid(f"_count is a whole number, not {value!r}.", expression="_count")
                self.count = min(int(value), world.settings.page_limit)
            elif name not in ("_format", "_pretty", "_summary", "_elements", "_sort"):
                raise errors.Unsupported(f"History knows _since, _at and _count, not {name!r}.", expression=name)


def _moment(name: str, value: str, world: World) -> tuple[int, int]:
    try:
        return date.bounds(value, "dateTime", world.zone)
    except errors.Failure as failure:
        raise failure.at(name)


class _at:
    """Tells a failure's issues the place of the change that caused it."""

    def __init__(self, change: Change):
        self.change = change

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, errors.Failure) and self.change.place:
            error.at(self.change.place)
        return False


ACTIONS = {"create": ("C", "create"), "update": ("U", "update"), "patch": ("U", "patch"), "delete": ("D", "delete")}


def _now() -> int:
    return time.time_ns() // 1000


def _each(entry: Entry, action: str, subtype: str) -> list[Event]:
    """One event a patient whom the entry concerns; one without where it concerns none."""
    return [Event(action, subtype, entry.ref, entry.version, p) for p in entry.about or ("",)]


def _tried(change: Change) -> Event:
    return Event(*ACTIONS[change.method], f"{change.type}/{change.id}" if change.id else "")


def _done(change: Change, done: Done) -> list[Event]:
    if done.entry is None:
        return [_tried(change)]
    action = ("R", "read") if done.outcome == "found" else ACTIONS[change.method]
    return [e for entry in done.gone or (done.entry,) for e in _each(entry, *action)]


def _patients(entries: list[Entry], kind: str, entity: str, *sought: str) -> list[Event]:
    """Events of a search or history: one for each patient who was asked for or stands in its results."""
    patients = dict.fromkeys([*sought, *(p for e in entries for p in e.about)])
    return [Event("E", kind, entity, 0, p) for p in patients or ("",)]


def _without_log(search: parse.Search) -> parse.Search:
    """The log is searched by its name, and alone."""
    types = search.query.types
    if LOG in types and len(types) > 1:
        raise errors.Unsupported("AuditEvents are searched alone, not beside other types.", expression="_type")
    if types == (LOG,) and search.includes or any(LOG in (i.type, i.target) for i in search.includes):
        raise errors.Unsupported("AuditEvents are neither included nor do they include; search them by entity or patient.", expression="_include")
    return search if types else search._replace(query=search.query._replace(where=both(search.query.where, NOT_LOG)))


def _rendered(access, ordinal: int) -> Entry:
    resource = events.render(access, ordinal)
    return Entry(LOG, resource["id"], 1, json.dumps(resource), access.at, access.organization)


def _log_order(search: parse.Search) -> bool:
    """Whether the log is asked for oldest first. Errors: Unsupported for an order other than by date."""
    keys = search.query.sort
    if not keys or (len(keys) == 1 and keys[0][:2] in ((f"{LOG}.date", "low"), (f"{LOG}.date", "high"), ("", "updated"))):
        return bool(keys) and not keys[0].descending
    raise errors.Unsupported("The log is ordered by date; _sort=date and _sort=-date are known.", expression="_sort")
