"""The waist: the only way to stored data. It decides, checks, does and audits, so that no door can forget to."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from app.store.base import Entry


@dataclass(slots=True)
class Change:
    """One change of a commit.

    method:    `create`, `update`, `patch` or `delete`
    type, id:  what is changed; id None where the server gives one or a condition finds it
    resource:  the new content (create, update); the commit does not change the dict given
    patch:     current resource (dict) -> patched one, pure; it may run again
    condition: search text (`identifier=s|v`) of a conditional update, patch or delete, or If-None-Exist of a create
    if_match:  versions that If-Match names; empty without one
    many:      a conditional delete may remove all that match
    url:       fullUrl of the entry, by which others in the same commit refer to it
    place:     where it stands, for messages (`Bundle.entry[3]`)
    """

    method: str
    type: str
    id: str | None = None
    resource: dict | None = None
    patch: Callable[[dict], dict] | None = None
    condition: str | None = None
    if_match: tuple[str, ...] = ()
    many: bool = False
    url: str = ""
    place: str = ""


class Done(NamedTuple):
    """What became of a change: `created`, `updated`, `unchanged`, `deleted` (again: nothing was there) or `found` (conditional create)."""

    outcome: str
    entry: Entry | None
    count: int = 1


@dataclass(slots=True)
class Page:
    """One page: matches in order, what was included, the total where it is known, and the cursor of the next page."""

    entries: list[Entry]
    included: list[Entry] = field(default_factory=list)
    total: int | None = None
    next: str | None = None
    search: object = None


class Records:
    """Stored data as one caller may see and change it.

    Errors of every verb: errors.Absent (hidden and absent alike), Forbidden, Invalid, and Unavailable when no audit is possible.
    """

    def __init__(self, world, caller):
        self.world, self.caller = world, caller

    async def read(self, type: str, id: str, version: str | None = None) -> Entry:
        """The current version, or the one named (as in a url; `x` is Absent). Errors: Absent; Deleted."""

    async def versions(self, type: str = "", id: str | None = None, pairs: list[tuple[str, str]] = (), cursor: str | None = None) -> Page:
        """History, newest first, of a resource, a type or all; pairs hold `_since _at _count`. Deletes have entry.deleted."""

    async def search(self, types: tuple[str, ...], pairs: list[tuple[str, str]], *, strict: bool = True,
                     compartment: tuple[str, str] | None = None, cursor: str | None = None) -> Page:
        """A search; page.search is the parsed app.search.parse.Search (understood pairs, ignored names, summary, elements).
        The entries of an AuditEvent search include rendered access records."""

    async def commit(self, changes: list[Change], *, whole: bool = True) -> list[Done]:
        """All changes or none, in one transaction: conditions, references among them (urn:uuid, conditional), validation, guards,
        versions, index, facts and the access record. The first failure raises with the change's place in its issues."""
