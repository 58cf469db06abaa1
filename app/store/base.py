"""The Store protocol: what the waist needs of a store, and the shapes that go in and out. Two stores, one behaviour."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from app.search.query import ALL, LAST, Clause, Query, Row

T = TypeVar("T")
ALIVE = LAST
"""`died` of a version that is current."""
SCHEMA, INDEX = 3, 9
"""Versions of the layout and of what index rows, stamps and facts mean; a store with others refuses to serve until it is reindexed."""


@dataclass(slots=True)
class Entry:
    """One version of a resource, deletes included, with its stamp: all that decisions need without parsing.

    number:    order of entries in this store; a later one is larger (0 before it is written)
    born/died: commits at which it became and ceased to be current: it is current as of N when born <= N < died (a purge makes them equal: as of no commit)
    updated:   microseconds UTC; never runs backwards for a resource
    custodian: id of the Organization that answers for it; `writer` the access record (number or journal slot) of its write
    about:     `Patient/id` of those whom it concerns; `many`: allowed only if allowed for each
    labels:    bits of its security labels, contained and bundled parts included
    date:      clinical date in microseconds, or None
    guard:     `Type/id` as which it is decided (Binary.securityContext, Provenance.target), `-` for custodian only, or empty
    hash:      SHA-256 of its text; it stays when a purge takes the text
    text:      JSON as served; None for a delete, and after a purge
    """

    type: str
    id: str
    version: int
    text: bytes | None
    updated: int = 0
    custodian: str = ""
    about: tuple[str, ...] = ()
    many: bool = False
    labels: int = 0
    date: int | None = None
    guard: str = ""
    writer: str = ""
    hash: bytes = b""
    deleted: bool = False
    purged: bool = False
    method: str = "POST"
    number: int = 0
    born: int = 0
    died: int = ALIVE

    @property
    def ref(self) -> str:
        return f"{self.type}/{self.id}"


class Fact(NamedTuple):
    """A row that grants (`allow`) or denies (`deny`): it holds from `low` to `high` while its source version is current.

    grantee: id of an Organization. Empty (None) columns mean any. `labels` are bits that it covers.
    """

    effect: str
    grantee: str | None = None
    patient: str | None = None
    resource: str | None = None
    custodian: str | None = None
    low: int = -LAST
    high: int = LAST
    labels: int = 0
    purpose: str | None = None
    kind: str | None = None
    code: str | None = None
    since: int | None = None
    until: int | None = None
    level: int = 0


class Found(NamedTuple):
    """A match and its place in the order: `place` continues the search after it (sort values, then the entry's number)."""

    entry: Entry
    place: tuple


class Walked(NamedTuple):
    """A version as a reindex meets it. rowed: it has rows: it is current, or was so lately that a page link may need them."""

    entry: Entry
    rowed: bool


class Made(NamedTuple):
    """What a reindex made of a version: the entry with the stamp that it should have, its rows (None: it has none any more), its facts."""

    entry: Entry
    rows: list[Row] | None
    facts: list[Fact]


class Event(NamedTuple):
    """One AuditEvent that an access record renders to: `patient` and `entity` as `Type/id`, entity with `version` where known."""

    action: str
    subtype: str
    entity: str = ""
    version: int = 0
    patient: str = ""


@dataclass(slots=True)
class Access:
    """An access record as a store keeps it: the columns that are searched, its events, and `plain`, the whole record as JSON.

    journal/sequence: the slot that its worker's journal gave it; together unique, so that a second move does nothing.
                      One written in a commit has the journal `log`, and its sequence is its number
    number: order in this store (0 before it is written)
    """

    journal: str
    sequence: int
    at: int
    outcome: str
    organization: str
    client: str
    user: str
    agent_name: str
    address: str
    site: str
    policy: str
    purpose: str
    request: str
    type: str
    events: tuple[Event, ...]
    plain: bytes
    number: int = 0


class Seen(NamedTuple):
    """One event found: its record, which of its events, and its place in the order (newest first)."""

    access: Access
    ordinal: int
    place: tuple


class Plan(NamedTuple):
    """How a store runs a query: the conjunct that drives and the index that finds it (None: the order is followed), the conjuncts that
    are probed, and the index that the order follows (empty: what is found is sorted)."""

    driver: Clause | None
    index: str
    probed: tuple[Clause, ...]
    order: str


class Tx(Protocol):
    """One commit in the making. Reads see the newest commit and what this one has written. `now` is microseconds UTC."""

    number: int
    now: int

    async def get(self, type: str, id: str) -> Entry | None:
        """The newest version, a delete included."""

    async def search(self, query: Query, *, limit: int) -> list[Found]: ...

    async def meets(self, entry: Entry, clause: Clause) -> bool:
        """The clause holds for this version, whether or not it is current or a delete."""

    async def write(self, entry: Entry, rows: list[Row], facts: list[Fact] = ()) -> None:
        """Makes `entry` the current version: sets number and born, ends its predecessor (died), its rows and facts. rows: plain tuples of a Row's columns will do."""

    async def claim(self, kind: str, owner: str, key: str, until: int) -> bool:
        """Takes (kind, owner, key) until then; False where another holds it. An expired one is taken over."""

    async def record(self, access: Access) -> None:
        """Writes an access record in this commit."""

    async def recipe(self) -> str:
        """What index rows are made by beyond the standard, to the store a text. A commit lands only while what it read here still holds."""

    async def set_recipe(self, text: str) -> None:
        """Another recipe, from this commit on."""


class Store(Protocol):
    """A store. `at` is a commit number: what was current as of it. Facts are always those of the newest commit.

    Errors: errors.Unavailable where it is locked, full or gone: then nothing was done.
    """

    entries_limit: int
    """The most changes that one commit takes."""

    async def newest(self) -> int:
        """The newest commit that every reader sees and before which none will appear."""

    async def get(self, type: str, id: str, *, version: int | None = None) -> Entry | None:
        """The newest version, a delete included, or the one asked for."""

    async def search(self, query: Query, *, at: int, now: int, limit: int, after: tuple | None = None) -> list[Found]: ...

    async def count(self, query: Query, *, at: int, now: int) -> int: ...

    few: int
    """A condition that gives fewer entries than this may drive; 0 where what it gives is not asked."""

    def plan(self, query: Query, sizes: tuple[int, ...]) -> Plan:
        """The plan where each conjunct of `query.where` gives so many entries (`few` stands for all beyond). It looks at no data."""

    async def meets(self, entry: Entry, clause: Clause, *, now: int) -> bool:
        """The clause holds for this version, whether or not it is current or a delete; chains look at the newest commit."""

    async def history(self, query: Query, *, at: int, now: int, limit: int, id: str | None = None, since: int | None = None,
                      until: int | None = None, moment: tuple[int, int] | None = None, after: int | None = None, own: Clause = ALL) -> list[Entry]:
        """Versions of `query.types` (all where empty) that meet `query.where`, born <= at, newest first, with number < after. since/until bound `updated`; `moment` (first, last) keeps those that
        were current at some time between; `own`, tests on stamps alone, those that meet it too, and by which they may be found."""

    async def commit(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Runs `work` in one transaction; it may run again after a conflict, so it changes nothing but the Tx. Returns after it is durable."""

    async def keep(self, accesses: list[Access]) -> None:
        """Writes access records outside a commit, those already there left alone (the indexer; on MongoDB the recorder)."""

    async def kept(self, journal: str) -> int:
        """The last sequence of `journal` that is here; -1 for none."""

    async def events(self, where: Clause, *, limit: int, after: tuple | None = None, ascending: bool = False) -> list[Seen]:
        """Events newest first. `where` holds Stamp clauses on columns of Access and Event (`number`, `ordinal` too), and and/or/not."""

    async def count_events(self, where: Clause) -> int: ...

    async def access(self, journal: str, sequence: int) -> Access | None: ...

    async def facts(self, source: str) -> list[Fact]:
        """The facts that the current version of `Type/id` gives."""

    async def value(self, key: str, make: Callable[[], str] | None = None) -> str | None:
        """A setting kept in the store (zone, secret of cursors); `make` gives it once where there is none."""

    async def recipe(self) -> str:
        """The recipe of index rows, see Tx.recipe; empty where none was set."""

    async def quiet(self) -> int:
        """Waits until every commit that is under way now is over; returns the last version's number. Those that are written later, whatever their
        number, go by the recipe that holds now."""

    async def walk(self, type: str = "", *, after: int, until: int, limit: int) -> list[Walked]:
        """Versions that are not purged, deletes included, of a type or all, by number, after < number <= until: what a reindex walks through."""

    async def reindexed(self, made: list[Made], recipe: str) -> bool:
        """Replaces stamps, rows and facts of versions, in one commit; what ceased to be current meanwhile keeps no facts, what was swept no
        rows, what was purged nothing. False where the recipe is another by now: then nothing was done."""

    async def indexed(self) -> None:
        """Notes that every row is of this version's making."""

    async def purge(self, type: str, id: str, version: int) -> bool:
        """Takes text and rows of a version that is not current or is a delete; entry and hash stay."""

    async def sweep(self, before: int) -> int:
        """Drops index rows of versions that died before that time (microseconds), but of those that are decided as another resource, which needs
        them, and claims that ended before it; returns how many rows."""

    async def close(self) -> None: ...
