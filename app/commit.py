"""One commit: its changes with their ids known, its conditions decided, references among it rewritten, each change applied."""
from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import replace
from functools import partial

from app import errors, terms
from app.audit import record, touched
from app.caller import Caller
from app.change import Change, Done, Writer, check, new_id, valid
from app.fhir import json, reference
from app.links import ROUNDS as LINK_ROUNDS
from app.links import Links
from app.links import names as links_of
from app.search import own, parse
from app.search.query import ALL, Clause, Compare, Query, Stamp, both, conjuncts
from app.sharing import policy
from app.store.base import Entry, Event, Found
from app.structures import Structures
from app.world import World, moment

ISSUES = 200
"""Issues after which no more changes of a commit are judged."""
ACTIONS = {"create": ("C", "create"), "update": ("U", "update"), "patch": ("U", "patch"), "delete": ("D", "delete")}


class Commit:
    """What one caller changes, all or nothing. Used by records alone."""

    def __init__(self, world: World, caller: Caller, scope: Clause):
        self.world, self.caller, self.scope, self.structures = world, caller, scope, Structures()

    async def check(self, changes: list[Change]) -> None:
        """All that can be told before the commit, in slices that let others have their turn."""
        limit = min(self.world.settings.bundle_limit, self.world.store.entries_limit)
        if len(changes) > limit:
            raise errors.TooLarge(f"One transaction takes {limit} changes, not {len(changes)}.")
        issues, kind = [], errors.Unprocessable
        for step, change in enumerate(changes):
            try:
                with _at(change):
                    await self.structures.judged(partial(check, change), self._now, self.caller.base)
            except (errors.Invalid, errors.Unprocessable) as failure:
                issues += failure.issues
                kind = errors.Invalid if isinstance(failure, errors.Invalid) else kind
            if len(issues) > ISSUES:
                break
            if step % 50 == 49:
                await asyncio.sleep(0)
        if issues:
            raise kind(issues=issues)

    async def apply(self, tx, changes: list[Change], also) -> list[Done]:
        """The commit itself; it may run again, so it leaves the changes as they are."""
        self.recipe = await tx.recipe()
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
            e for c, d in zip(changes, told) for e in happened(c, d))))
        if also is not None:
            await also(tx)
        return told

    async def _now(self, query: Query, limit: int) -> list[Found]:
        """Definitions before the commit that may refuse a write: nobody else's than the caller's own and the operator's."""
        return await self.world.store.search(self._binding(query), at=await self.world.store.newest(), now=moment(), limit=limit)

    def _binding(self, query: Query) -> Query:
        return policy.restrict(query, both(self.scope, Stamp((Compare("custodian", "in", (self.caller.organization, self.world.settings.organization)),))))

    def _writer(self, tx) -> Writer:
        async def right(resource: dict) -> None:
            await self.structures.judged(partial(valid, resource), lambda query, limit: tx.search(self._binding(query), limit=limit), self.caller.base)
        return Writer(tx, self.caller, self.world.zone, self.caller.base, self.scope, self.recipe, right)

    def _finder(self, tx):
        async def find(type: str, condition: str) -> list[str]:
            return [m.entry.ref for m in await self._matches(tx, type, condition, 2)]
        return find

    async def _write(self, writer: Writer, change: Change, target: Change, links: Links, resource: dict | None) -> Done:
        with _at(change):
            if resource is not change.resource:  # what is stored is judged: only now is it known what the references name
                await writer.valid(resource)
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
        """No conditional update or patch means what another change of the same commit made. Errors: Ambiguous."""
        made = {d.entry.ref for c, d in zip(changes, done) if d.outcome == "created" and (c.method == "create" or c.condition is not None)}
        types = Counter(ref.partition("/")[0] for ref in made)
        for change, result in zip(changes, done):
            if change.method in ("update", "patch") and change.condition is not None and types[change.type] > (result.entry.ref in made):
                with _at(change):
                    if any(m.entry.ref in made and m.entry.ref != result.entry.ref for m in await self._matches(tx, change.type, change.condition, 1000)):
                        raise errors.Ambiguous(f"{change.type}?{change.condition} means what this transaction creates: a resource stands in a transaction once.")

    async def _targets(self, tx, changes: list[Change]) -> tuple[list[Change], dict[int, Done]]:
        """The changes with their ids known: given, made, or found by their conditions; and those that are done already: deletes, which
        come first, and creates that find their resource."""
        targets, settled, taken, equal = {}, {}, set(), {}
        found = {step: await self._found(tx, change) for step, change in enumerate(changes) if change.method == "delete" and change.condition is not None}
        for step in sorted(range(len(changes)), key=lambda step: (changes[step].method != "delete", changes[step].condition is None)):
            change = changes[step]
            with _at(change):
                first = equal.setdefault(await self._meaning(tx, change), step) if change.method == "create" and change.condition is not None else step
                if first != step:  # the same conditional create again: it finds what the first one makes
                    if changes[first].resource != change.resource:
                        raise errors.Invalid(f"{changes[first].place} would create {change.type}?{change.condition} with different content.")
                    targets[step], settled[step] = targets[first], Done("found", None)
                    continue
                targets[step], done, names = await self._target(tx, change, found.get(step))
                if taken.intersection(names):
                    raise errors.Invalid(f"{', '.join(taken.intersection(names))} is changed twice in one transaction.")
                taken.update(names)
                if done is not None:
                    settled[step] = done
        return [targets[step] for step in range(len(changes))], settled

    async def _found(self, tx, change: Change) -> list[Found]:
        """What the condition of a change means; deletes are asked before any of them is done, so that two which mean one resource are told."""
        with _at(change):
            return await self._matches(tx, change.type, change.condition, 1000 if change.many else 2)

    async def _target(self, tx, change: Change, found: list[Found] | None) -> tuple[Change, Done | None, list[str]]:
        """One change with its id, what became of it already, and the names of what it changes; found: what its condition means, if that is known."""
        if change.condition is None:
            target = replace(change, id=new_id()) if change.method == "create" else change
            return target, await self._writer(tx).apply(target, None) if change.method == "delete" else None, [f"{target.type}/{target.id}"]
        matches = await self._found(tx, change) if found is None else found
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
        await tx.claim("condition", self.caller.organization, await self._meaning(tx, change), 0)

    async def _meaning(self, tx, change: Change) -> str:
        """The same for conditions that say the same, however they are spelt."""
        parts = sorted(map(repr, conjuncts((await self._condition(tx, change.type, change.condition)).where)))
        return f"{change.type}?{hashlib.sha256(repr(parts).encode()).hexdigest()}"

    async def _delete_all(self, tx, change: Change, matches: list[Found]) -> Done:
        if len(matches) >= 1000:
            raise errors.TooCostly("A conditional delete removes 999 resources at most; narrow the condition.")
        writer = self._writer(tx)
        gone = [await writer.apply(replace(change, id=m.entry.id), None) for m in matches]
        return Done("deleted", gone[0].entry if gone else None, tuple(g.entry for g in gone))

    async def _matches(self, tx, type: str, condition: str, limit: int) -> list[Found]:
        """What a condition finds, of what the caller may see. Errors: as _condition."""
        return await self._seen(tx, await self._condition(tx, type, condition), limit)

    async def _seen(self, tx, query: Query, limit: int) -> list[Found]:
        return await tx.search(policy.restrict(query, self.scope), limit=limit)

    async def _condition(self, tx, type: str, condition: str) -> Query:
        """Errors: Invalid where it says nothing that selects."""
        pairs = parse.pairs(condition)
        if results := sorted({name.partition(":")[0] for name, _ in pairs} & parse.RESULTS.keys()):
            raise errors.Invalid(f"A condition only selects: {', '.join(results)} has no place in {condition!r}.", expression=results[0])
        context = parse.Context(self.world.zone, self.caller.base, tx.now, True, own=own.read(self.recipe))
        search = await terms.understood(lambda known: parse.parse((type,), pairs, context._replace(terms=known)), lambda query, limit: self._seen(tx, query, limit), context.base)
        if search.query.where == ALL:
            raise errors.Invalid(f"The condition {condition!r} selects nothing in particular.")
        return search.query

    async def _enforce(self, tx, changes: list[Change], done: list[Done]) -> None:
        """Each local reference names something that is there and that the caller sees; a stored Bundle may mean its own entries."""
        for change, result in zip(changes, done):
            if result.entry is None or result.entry.text is None or result.outcome not in ("created", "updated"):
                continue
            resource = json.loads(result.entry.text)
            own = reference.entries(resource) if change.type == "Bundle" else ()
            for path, _, _, value in reference.walk(resource):
                parts = reference.parse(value, self.caller.base)
                if parts.id and parts.is_local and value not in own and not parts.fragment and not await self._resolves(tx, parts):
                    with _at(change):
                        raise errors.Unprocessable(f"{value} is not known here, and this store enforces references.", expression=path)

    async def _resolves(self, tx, parts: reference.Reference) -> bool:
        """Or is the caller's own organisation, in whose name jobs are asked for."""
        if (parts.type, parts.id) == ("Organization", self.caller.organization):
            return True
        if not await self._alive(tx, parts.type, parts.id):
            return False
        return not parts.version or parts.version.isdecimal() and 1 <= int(parts.version) <= (await tx.get(parts.type, parts.id)).version


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


def tried(change: Change) -> Event:
    """The event of a change that was refused, or found nothing."""
    return Event(*ACTIONS[change.method], f"{change.type}/{change.id}" if change.id else "")


def happened(change: Change, done: Done) -> list[Event]:
    """The events of a change that was done."""
    if done.entry is None:
        return [tried(change)]
    action = ("R", "read") if done.outcome == "found" else ACTIONS[change.method]
    return [e for entry in done.gone or (done.entry,) for e in touched.each(entry, *action)]
