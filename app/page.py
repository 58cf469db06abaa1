"""One page of a search: matches, what they include, the total; of entries, or of the log as its records render."""
from __future__ import annotations

from dataclasses import dataclass, field

from app import errors
from app.audit import answers, events
from app.caller import Caller
from app.fhir import json
from app.search import include, parse, phrases
from app.search.context import Context
from app.search.param import Own
from app.search.query import ALL, NONE, And, Clause, Compare, Has, Key, Link, Not, Or, Query, Stamp, Test, both, conjuncts, narrowed
from app.sharing import policy
from app.store.base import Entry, Found
from app.world import World, moment

LOG = "AuditEvent"
NOT_LOG = Not(Stamp((Compare("type", "eq", LOG),)))
INCLUDED = 1000
"""Resources that includes may add to a page; what would bring more makes fewer matches on it."""
LOOKUPS = 20_000
"""Look-ups (a parameter for an entry) that the includes of a page may come to; for more, too, fewer matches are on it."""
ROUNDS = 10
"""Rounds of `:iterate`."""
LED = 1000
"""Resources to which a chain from access records may lead."""


@dataclass(slots=True)
class Page:
    """One page: matches in order, what was included, the total where it is known, the cursor of the next page, and the plan in words where
    that is asked for."""

    entries: list[Entry]
    included: list[Entry] = field(default_factory=list)
    total: int | None = None
    next: str | None = None
    search: parse.Search | None = None
    plan: list[str] = field(default_factory=list)


class Ask:
    """One page of one search, of entries or of the log."""

    def __init__(self, world: World, caller: Caller, scope: Clause, search: parse.Search, at: int, after: list | None, own: Own):
        self.world, self.caller, self.scope, self.search, self.at, self.after, self.own = world, caller, scope, search, at, after, own
        self.store, self.now, self.query = world.store, moment(), policy.restrict(search.query, scope)
        self.count = min(search.count if search.count is not None else world.settings.page, world.settings.page_limit)

    async def entries(self) -> Page:
        only = self.search.summary == "count" or self.search.count == 0
        if only:
            return Page([], total=await self._count(), search=self.search)
        found = await self._find(self.query, self.count + 1)
        more, found = len(found) > self.count, found[:self.count]
        included = await self._include([f.entry for f in found])
        while included is None and len(found) > 1:
            found, more = found[:len(found) // 2], True
            included = await self._include([f.entry for f in found])
        if included is None:
            raise errors.TooCostly(f"One match alone brings more than {INCLUDED} others: search for those, page by page.", expression="_include")
        total = await self._total(len(found), more)
        return Page([f.entry for f in found], included, total, list(found[-1].place) if more and found else None, self.search)

    async def _find(self, query: Query, limit: int) -> list[Found]:
        after = tuple(self.after) if self.after else None
        return await self.store.search(query, at=self.at, now=self.now, limit=limit, after=after)

    async def _count(self) -> int:
        return await self.store.count(self.query, at=self.at, now=self.now)

    async def _total(self, number: int, more: bool) -> int | None:
        """Given where the first page holds all, and where it is asked for."""
        if not more and self.after is None:
            return number
        return await self._count() if self.search.total in ("accurate", "estimate") else None

    async def _include(self, matches: list[Entry]) -> list[Entry] | None:
        """What the directives bring, each once, none that is a match, in rounds as long as `:iterate` finds more; None where it is too much for one page."""
        if not self.search.includes or not matches:
            return []
        seen, added, fresh, left = {e.number for e in matches}, [], matches, LOOKUPS
        for step in range(ROUNDS):
            directives = [i for i in self.search.includes if step == 0 or i.iterate]
            left -= include.lookups(directives, fresh, self.own)
            fresh = await self._brought(directives, fresh, seen) if left >= 0 else None
            if fresh is None or len(added) + len(fresh) > INCLUDED:
                return None
            seen.update(e.number for e in fresh)
            added += fresh
            if not fresh:
                return added
        raise errors.TooCostly(f":iterate finds more after {ROUNDS} rounds: search from there.", expression="_include")

    async def _brought(self, directives: list[include.Include], page: list[Entry], seen: set[int]) -> list[Entry] | None:
        """What the directives bring to a page beyond what was seen; in place of a current version the one that is referred to, where only that is."""
        context, brought = Context(self.world.zone, self.caller.base, own=self.own), {}
        for query in include.targets(directives, page, context):
            found = [f.entry for f in await self.store.search(policy.restrict(query, self.scope), at=self.at, now=self.now, limit=INCLUDED + 1)]
            brought.update((e.number, e) for e in found if e.number not in seen and e.type != LOG)
            if max(len(found), len(brought)) > INCLUDED:
                return None
        old = [entry for named in include.versions(directives, page, context) if (entry := await self._version(*named))]
        instead = {entry.ref for entry in old if not include.plainly(page, entry.ref)}
        return [*(e for e in brought.values() if e.ref not in instead), *(e for e in old if e.number not in seen and (e.number not in brought or e.ref in instead))]

    async def _version(self, type: str, id: str, version: int) -> Entry | None:
        """A version that was there at the page's commit, if it and the current one may be seen."""
        for entry in (await self.store.get(type, id), await self.store.get(type, id, version=version)):
            if entry is None or not (self.scope == ALL or await self.store.meets(entry, self.scope, now=self.now)):
                return None
        return entry if entry.text is not None and entry.born <= self.at and type != LOG else None

    async def explain(self) -> list[str]:
        """How the search is run, in words, as if there were nothing but what this caller may see: it tells nothing of the rest."""
        query = self.search.query
        if query.types == (LOG,):
            return ["Access records are followed in the order of their time, by the index of the patient, entity, user or client that is asked for."]
        query = query._replace(where=narrowed(query.where, query.types))
        plan = self.store.plan(query, tuple([await self._size(clause) for clause in conjuncts(query.where)]))
        return [f"Found: {' or '.join(query.types) or 'resources of any type'} for which {phrases.said(query.where)}.",
                f"Driven by: {phrases.said(plan.driver)}; index {plan.index}." if plan.driver else f"Followed: {phrases.order(query.sort)}; {plan.order and 'index ' + plan.order or 'all is sorted'}.",
                *(f"Probed: {phrases.said(clause)}." for clause in plan.probed if clause != ALL),
                f"Order: {phrases.order(query.sort)}, ties by entry.",
                *(["Only what you may see is found and followed, at every hop."] if self.scope != ALL else []),
                "This is the plan for a store that holds only what you may see; what else there is may make another plan cheaper, never the answer another."]

    async def _size(self, clause: Clause) -> int:
        """How many entries the caller may see for which a condition holds that may drive; `few` for as many, and for any other."""
        query = Query(self.search.query.types, clause)
        if not self.store.few or self.store.plan(query, (0,)).driver is None:
            return self.store.few
        return len(await self.store.search(policy.restrict(query, self.scope), at=self.at, now=self.now, limit=self.store.few))

    async def _until(self, where: Clause) -> int:
        """The time up to which all pages show the log: their own records come after it, so that an end is reached. Clocks of other machines may be ahead."""
        return max([self.now, *(s.access.at for s in await self.store.events(where, limit=1))])

    async def _led(self, clause: Clause) -> Clause:
        """The clause with each chain as the references to what it leads to, of what the caller sees: access records are joined to nothing. Errors: TooCostly."""
        if isinstance(clause, (And, Or)):
            return type(clause)(tuple([await self._led(part) for part in clause.parts]))
        if isinstance(clause, Not):
            return Not(await self._led(clause.part))
        if not isinstance(clause, Link):
            return clause
        found = await self.store.search(policy.restrict(Query(clause.types, clause.clause), self.scope), at=self.at, now=self.now, limit=LED + 1)
        if len(found) > LED:
            raise errors.TooCostly(f"{clause.param}: the chain leads to more than {LED} resources; narrow it.")
        return Has((Test(clause.param, (Compare("code", "in", tuple(f.entry.ref for f in found)),)),)) if found else NONE

    async def log(self) -> Page:
        """A search of AuditEvents: access records as they render, and those that other systems sent, newest first."""
        await self.world.indexer.catch_up()
        ascending = _log_order(self.search)
        where = both(answers.translate(await self._led(self.search.query.where)), policy.log_scope(self.caller))
        own, theirs, until = self.after or (None, None, await self._until(where))
        where = both(where, Stamp((Compare("at", "le", until),)))
        sort = self.query._replace(sort=(Key(f"{LOG}.date", "low", not ascending),))
        if self.search.summary == "count" or self.search.count == 0:
            return Page([], total=await self._count() + await self.store.count_events(where), search=self.search)
        seen = await self.store.events(where, limit=self.count + 1, after=tuple(own) if own else None, ascending=ascending)
        sent = await self.store.search(sort, at=self.at, now=self.now, limit=self.count + 1, after=tuple(theirs) if theirs else None)
        merged = sorted([(s.access.at, 0, s) for s in seen] + [(f.place[0] or 0, 1, f) for f in sent], key=lambda m: m[0], reverse=not ascending)
        more, merged = len(merged) > self.count, merged[:self.count]
        for _, kind, item in merged:
            own, theirs = (item.place, theirs) if kind == 0 else (own, item.place)
        entries = [rendered(item.access, item.ordinal) if kind == 0 else item.entry for _, kind, item in merged]
        total = len(entries) if not more and self.after is None else None
        if total is None and self.search.total in ("accurate", "estimate"):
            total = await self._count() + await self.store.count_events(where)
        return Page(entries, total=total, next=[own, theirs, until] if more else None, search=self.search)


def without_log(search: parse.Search) -> parse.Search:
    """The log is searched by its name, and alone."""
    types = search.query.types
    if LOG in types and len(types) > 1:
        raise errors.Unsupported("AuditEvents are searched alone, not beside other types.", expression="_type")
    if types == (LOG,) and search.includes or any(LOG in (i.type, i.target) for i in search.includes):
        raise errors.Unsupported("AuditEvents are neither included nor do they include; search them by entity or patient.", expression="_include")
    return search if types else search._replace(query=search.query._replace(where=both(search.query.where, NOT_LOG)))


def rendered(access, ordinal: int) -> Entry:
    resource = events.render(access, ordinal)
    return Entry(LOG, resource["id"], 1, json.dumps(resource), access.at, access.organization)


def _log_order(search: parse.Search) -> bool:
    """Whether the log is asked for oldest first. Errors: Unsupported for an order other than by date."""
    keys = search.query.sort
    if not keys or (len(keys) == 1 and keys[0][:2] in ((f"{LOG}.date", "low"), (f"{LOG}.date", "high"), ("", "updated"))):
        return bool(keys) and not keys[0].descending
    raise errors.Unsupported("The log is ordered by date; _sort=date and _sort=-date are known.", expression="_sort")
