"""How one change becomes one version: what is checked before the commit, and what is done inside it. Used by records alone."""
from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from app import errors
from app.caller import Caller
from app.fhir import bundle, json, narrative, profile, summary, validate
from app.search import index, match, own, stamp
from app.search.param import Own
from app.search.query import ALL, Row
from app.search.types import date
from app.sharing import facts, policy
from app.sharing.rules import GUARD, published
from app.store.base import Entry, Fact, Made
from app.structures import alone
from app.workflow import guards

CUSTODIAN = "https://yilian.example/fhir/CodeSystem/custodian"
IMMUTABLE = frozenset({"AuditEvent"})
"""Types that are written once: the log."""


@dataclass(slots=True)
class Change:
    """One change of a commit.

    method:    `create`, `update`, `patch` or `delete`
    type, id:  what is changed; id None where the server gives one or a condition finds it
    resource:  the new content (create, update); the commit does not change the dict given
    patch:     current resource (dict) -> patched one, pure; it may run again
    condition: search text (`identifier=s|v`) of a conditional update, patch or delete, or If-None-Exist of a create
    if_match:  versions that If-Match names; empty without one
    if_none_match: `*`: only where nothing is there
    many:      a conditional delete may remove all that match
    url:       fullUrl of the entry, by which others in the same commit refer to it
    place:     where it stands, for messages (`Bundle.entry[3]`)
    prepared:  what an update brings in place of `resource`, judged and indexed before
    """

    method: str
    type: str
    id: str | None = None
    resource: dict | None = None
    patch: Callable[[dict], dict] | None = None
    condition: str | None = None
    if_match: tuple[str, ...] = ()
    if_none_match: str = ""
    many: bool = False
    url: str = ""
    place: str = ""
    prepared: "Prepared | None" = None


class Prepared(NamedTuple):
    """A valid resource as it is stored where nothing was: `before` and `after` are its text on both sides of its version and time, made without a store.

    recipe: of the store's own search parameters that its rows are of; custodian: who answers for it.
    """

    before: bytes
    after: bytes
    stamp: stamp.Stamped
    rows: list[Row] | list[tuple]
    recipe: str
    custodian: str

    def text(self, updated: int) -> bytes:
        """The text of its first version. updated: microseconds."""
        return b"".join((self.before, _version(updated), self.after))

    @classmethod
    def of(cls, resource: dict, custodian: str, zone: str, base: str, recipe: str) -> "Prepared | None":
        """None for what only a commit can tell of: it is not valid, needs definitions that may be stored, has a state table, gives facts or defines a search parameter."""
        type = resource["resourceType"]
        if type in guards.GUARDS or type in facts.FACTS or type == "SearchParameter" or alone(lambda library: validate.validate(resource, library=library)) != []:
            return None
        whole = _with_meta(resource, custodian, 1, 0)
        before, found, after = json.dumps(whole).partition(_version(0))
        marks = stamp.stamp(whole, zone, base)
        return cls(before, after, marks, indexed(whole, custodian, marks.guard, zone, base, own.read(recipe))[0], recipe, custodian) if found else None

    def plain(self) -> tuple:
        """It in values that any process understands."""
        return (self.before, self.after, tuple(self.stamp), list(map(tuple, self.rows)), self.recipe, self.custodian)

    @classmethod
    def read(cls, plain: tuple) -> "Prepared":
        before, after, marks, rows, recipe, custodian = plain
        return cls(before, after, stamp.Stamped(*marks), rows, recipe, custodian)


@lru_cache(maxsize=16)
def _version(updated: int) -> bytes:
    """What the server says of a first version in its meta; the same for many of one commit."""
    return f'"versionId":"1","lastUpdated":"{bundle.instant(updated)}"'.encode()


class Done(NamedTuple):
    """What became of a change: `created`, `updated`, `unchanged`, `deleted` or `found` (conditional create); gone: all that a condition deleted."""

    outcome: str
    entry: Entry | None
    gone: tuple[Entry, ...] | None = None

    @property
    def count(self) -> int:
        return 1 if self.gone is None else len(self.gone)


def check(change: Change, library: profile.Library) -> None:
    """What can be told of a change by itself. Errors: NotAllowed; Invalid or Unprocessable with all issues of the content."""
    if change.type in IMMUTABLE and change.method != "create":
        raise errors.NotAllowed(f"{change.type} is written once and never changed.", headers={"Allow": "GET, HEAD, POST"})
    if change.resource is None:
        return
    named = change.resource.get("resourceType")
    if named != change.type:
        raise errors.Invalid(f"The resource is a {named!r}, but {change.type} was addressed.", expression=f"{change.type}")
    if change.method == "update" and change.condition is None and change.resource.get("id") != change.id:
        raise errors.Invalid(f"The resource's id is {change.resource.get('id')!r}; it must be the {change.id!r} of the address.", expression=f"{change.type}.id")
    valid(change.resource, library)


def valid(resource: dict, library: profile.Library) -> None:
    """Errors: Invalid where R4 itself is broken, else Unprocessable where a profile is; with every issue of the validation."""
    if issues := validate.validate(resource, library=library):
        raise (errors.Invalid if validate.by_r4(resource) else errors.Unprocessable)(issues=issues)


def new_id() -> str:
    return str(uuid.uuid4())


class Writer:
    """Applies changes in one commit for one caller. `tx` is the store's; recipe: of its own search parameters; valid: refuses what is no right resource."""

    def __init__(self, tx, caller: Caller, zone: str, base: str, scope, recipe: str, valid: Callable[[dict], Awaitable[None]]):
        self.tx, self.caller, self.zone, self.base, self.scope, self.recipe, self.valid = tx, caller, zone, base, scope, recipe, valid
        self.own: Own = own.read(recipe)

    async def apply(self, change: Change, resource: dict | None) -> Done:
        """One change, its id known and its references rewritten; `resource` is what it brings."""
        if change.method == "create":
            return await self._store(change, None, {**resource, "id": change.id}, created=True)
        current = await self.tx.get(change.type, change.id)
        seen = current is not None and await self.sees(current)
        if change.method == "delete":
            return await self._delete(change, current if seen else None)
        if change.method == "patch":
            return await self._patch(change, current if seen else None)
        ready = change.prepared
        if ready is not None and (current, ready.recipe, ready.custodian) != (None, self.recipe, self.caller.organization):
            resource = json.loads(ready.text(0))
        return await self._update(change, current, seen, resource)

    async def sees(self, entry: Entry) -> bool:
        """The scope holds for the newest version (a delete keeps its last stamp)."""
        return self.scope == ALL or await self.tx.meets(entry, self.scope)

    async def _update(self, change: Change, current: Entry | None, seen: bool, resource: dict | None) -> Done:
        if not seen and (current is not None or not (change.condition is not None or policy.may_choose(self.caller, change.id))):
            raise errors.Forbidden("This id is not yours to write: there is nothing here that you may change.")
        alive = current is not None and not current.deleted
        if change.if_none_match == "*" and alive:
            raise errors.VersionMismatch("If-None-Match is *, but the resource exists.")
        self._match(change, current if alive else None)
        if current is not None:
            self._may(current)
        if alive and summary.is_part(resource):
            raise errors.Unprocessable("This is a part of the resource (its tag says SUBSETTED): as an update it would remove the rest.", expression=f"{change.type}.meta.tag")
        return await self._store(change, current, resource and {**resource, "id": change.id}, created=not alive)

    async def _patch(self, change: Change, current: Entry | None) -> Done:
        if current is None:
            raise errors.Absent(f"{change.type}/{change.id} is not known here.")
        if current.deleted:
            raise errors.Deleted(f"{change.type}/{change.id} was deleted.")
        self._match(change, current)
        self._may(current)
        before = json.loads(current.text)
        after = narrative.still_true(before, change.patch(before))
        if after.get("resourceType") != change.type or after.get("id") != change.id:
            raise errors.Unprocessable("A patch changes neither the type nor the id of a resource.")
        await self.valid(after)
        return await self._store(change, current, after, created=False)

    async def _delete(self, change: Change, current: Entry | None) -> Done:
        if current is None or current.deleted:
            if change.if_match:
                self._match(change, None)
            return Done("deleted", current, ())
        self._match(change, current)
        self._may(current)
        self._guard(change, current, None)
        gone = Entry(change.type, change.id, current.version + 1, None, max(self.tx.now, current.updated + 1), current.custodian, current.about, current.many,
                     current.labels, current.date, current.guard, hash=b"", deleted=True, method="DELETE")
        await self._define(gone, None)
        await self.tx.write(gone, _guarding(change.type, gone.guard), [])
        return Done("deleted", gone)

    def _match(self, change: Change, current: Entry | None) -> None:
        if change.if_match and (current is None or not {"*", str(current.version)} & set(change.if_match)):
            now = f"the current version is {current.version}" if current else "there is no current version"
            raise errors.VersionMismatch(f"If-Match names version {', '.join(change.if_match)}, but {now}.")

    def _may(self, current: Entry) -> None:
        if not policy.may_change(self.caller, current):
            raise errors.Forbidden("Only the organisation that answers for this resource changes it.")

    def _guard(self, change: Change, current: Entry | None, after: dict | None) -> None:
        if change.type not in guards.GUARDS:
            return
        before = json.loads(current.text) if current is not None and current.text else None
        reason = guards.refusal(change.type, before, after, self.caller, self.tx.now)
        if reason:
            raise errors.Unprocessable(reason, expression=change.type)

    async def _store(self, change: Change, current: Entry | None, resource: dict | None, *, created: bool) -> Done:
        """Writes the next version, unless it equals the current one; without a resource the first, as it was prepared."""
        custodian = current.custodian if current is not None else self.caller.organization
        alive = current is not None and not current.deleted
        if alive and json.dumps(_with_meta(resource, custodian, current.version, current.updated)) == current.text:
            return Done("unchanged", current)
        self._guard(change, current if alive else None, resource)
        version = current.version + 1 if current is not None else 1
        updated = max(self.tx.now, current.updated + 1 if current is not None else 0)
        if resource is None:
            text, marks, made = change.prepared.text(updated), change.prepared.stamp, (change.prepared.rows, [])
        else:
            resource = _with_meta(resource, custodian, version, updated)
            text, marks = json.dumps(resource), stamp.stamp(resource, self.zone, self.base)
            made = indexed(resource, custodian, marks.guard, self.zone, self.base, self.own)
        entry = Entry(change.type, change.id, version, text, updated, custodian, marks.about, marks.many, marks.labels, marks.date, marks.guard,
                      hash=hashlib.sha256(text).digest(), method="POST" if change.method == "create" else {"patch": "PATCH"}.get(change.method, "PUT"))
        await self._define(entry, resource)
        await self.tx.write(entry, *made)
        return Done("created" if created else "updated", entry)

    async def _define(self, entry: Entry, resource: dict | None) -> None:
        """A search parameter comes into force, or ceases to be. Errors: Unprocessable with all that is wrong with it."""
        if entry.type == "SearchParameter":
            if resource is not None and not match.alone(published(), entry):
                raise errors.Unprocessable("A search parameter is for every member, and this one names a patient.", expression="SearchParameter")
            before = await self.tx.recipe()
            if (after := own.put(before, entry.id, resource, entry.updated)) != before:
                await self.tx.set_recipe(after)


def indexed(resource: dict, custodian: str, guard: str, zone: str, base: str, known: Own) -> tuple[list[Row], list[Fact]]:
    """The index rows and facts of a version."""
    return [*index.rows(resource, zone, base, known), *_guarding(resource["resourceType"], guard)], facts.facts(resource, custodian, lambda period: date.bounds(period or {}, "Period", zone), base)


def remade(entry: Entry, text: bytes | None, rowed: bool, zone: str, base: str, known: Own) -> Made:
    """A version as it would be stored today. text: what its stamp is of: its own, of a delete that of the version before (None: purged, the stamp stays);
    rowed: it has rows; known: the store's own parameters."""
    if text is None:
        return Made(entry, _guarding(entry.type, entry.guard) if rowed else None, [])
    resource = json.loads(text)
    marks = stamp.stamp(resource, zone, base)
    entry = replace(entry, about=marks.about, many=marks.many, labels=marks.labels, date=marks.date, guard=marks.guard)
    if entry.deleted or not rowed:
        return Made(entry, _guarding(entry.type, entry.guard) if rowed else None, [])
    return Made(entry, *indexed(resource, entry.custodian, entry.guard, zone, base, known))


def _guarding(type: str, guard: str) -> list[Row]:
    """The row by which an entry is decided as another; a delete keeps it."""
    return [Row(GUARD.format(type), code=guard)] if guard else []


def _with_meta(resource: dict, custodian: str, version: int, updated: int) -> dict:
    """The resource as stored: version, time and custodian are the server's to say, the rest of meta is the client's."""
    meta = dict(resource.get("meta") or {})
    meta["versionId"], meta["lastUpdated"] = str(version), bundle.instant(updated)
    if custodian:
        mine = {"system": CUSTODIAN, "code": custodian}
        tags = [t for t in meta.get("tag") or () if t.get("system") != CUSTODIAN]
        meta["tag"] = [*tags, mine]
    first = {key: resource[key] for key in ("resourceType", "id") if key in resource}
    return {**first, "meta": meta, **{key: value for key, value in resource.items() if key not in first and key != "meta"}}
