"""Mappings as they run: what the compiler makes of a YAML file, from a record to its resources.

A mapping knows no server, no clock and no secret: `Mapping.apply(Row(values, ids))` is all of it.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.mapping.content import Early, whole
from app.mapping.reject import Reject
from app.mapping.tables import Table

DIRECTIVES = ("type", "key", "write", "when", "newer_by", "must_match", "snapshot", "once")
WRITES = ("upsert", "create", "status", "append")
CHANGES = ("status", "append")
"""Modes that change a stored resource and never make one: what the rules give is no whole resource."""


@dataclass(frozen=True, slots=True)
class Site:
    """Whose exports these are: the organisation that writes them, what its ids start with, its systems (`$name` in mappings; `$organization` is a reference
    to it)."""
    name: str
    organization: str
    prefix: str
    systems: dict[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """How the export is written: kind, encoding (empty where the kind has its own), what stands for no value, the zone of its times, what its reader asks for.

    files: a pattern of file names that this mapping is for (`patients*.csv`), empty for any
    """
    kind: str
    encoding: str
    null: frozenset[str]
    zone: ZoneInfo
    options: dict[str, object]
    files: str = ""

    def reads(self, name: str) -> bool:
        """The mapping is for a file of this name."""
        return not self.files or fnmatch(name.lower(), self.files.lower())


class Target(NamedTuple):
    """What a reference of a record names: `Type/id`, or of a lookup the search `Type?identifier=system|value`; with the column and the rule that say so.

    missing: what becomes of a lookup that finds nothing: `hold`, or `logical` (the identifier alone stands in the Reference).
    """
    reference: str
    column: str
    place: str
    missing: str = "hold"


class Row:
    """A record on its way through the rules: values in the mapping's column order (None for empty), and what the rules noticed."""

    __slots__ = ("values", "ids", "unmapped", "warnings", "targets")

    def __init__(self, values: list[str | None], ids: Callable):
        self.values, self.ids = values, ids
        self.unmapped: list[tuple[str, str, str]] = []
        self.warnings: list[str] = []
        self.targets: list[Target] = []

    def warn(self, code: str) -> None:
        self.warnings.append(code)


class Made(NamedTuple):
    """A resource that a record gives: `rule` is its name in the mapping; `newer_by` a dateTime or None; `empty` the elements that a snapshot deletes,
    `once` those that a stored resource keeps."""
    rule: str
    content: dict | Early
    write: str
    must_match: tuple[str, ...]
    newer_by: str | None
    place: str
    empty: tuple[str, ...] = ()
    once: tuple[str, ...] = ()

    @property
    def resource(self) -> dict:
        return whole(self.content)

    @property
    def ref(self) -> str:
        """`Type/id`."""
        return self.content.ref if self.content.__class__ is Early else f"{self.content['resourceType']}/{self.content['id']}"


class Part(NamedTuple):
    """A compiled value: `run(row)`, and whether it depends on the record."""
    run: Callable[[Row], object]
    dynamic: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A resource of a mapping, compiled."""
    name: str
    type: str
    write: str
    must_match: tuple[str, ...]
    when: Callable[[Row], bool] | None
    newer_by: Callable[[Row], object] | None
    elements: tuple[tuple[str, Callable], ...]
    place: str
    snapshot: bool = False
    once: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """What a resource is identified by: its type, its namespace, and the expressions of its parts."""
    type: str
    namespace: str
    parts: tuple[Callable, ...]
    columns: tuple[str, ...]
    place: str

    def id(self, row: Row, parts: tuple[Callable, ...] = ()) -> str | None:
        """The id that the record gives, by other expressions where given; None when a part is empty."""
        values = tuple([part(row) for part in parts or self.parts])
        return None if None in values else row.ids(self.type, self.namespace, values)

    def missing(self, row: Row) -> str:
        """The column of the first part that is empty."""
        return next((column for part, column in zip(self.parts, self.columns) if part(row) is None), "")


@dataclass(frozen=True, slots=True)
class Mapping:
    """A compiled mapping. `hash` covers its files, its site and its code tables; columns are named as in the source.

    optional: columns that may be absent. unread: columns that no rule reads. needs: keys of other mappings (type and namespace) that it refers to.
    """
    name: str
    version: str
    hash: str
    site: Site
    source: Source
    columns: tuple[str, ...]
    optional: frozenset[str]
    ignored: tuple[str, ...]
    skips: tuple[tuple[Callable, str], ...]
    keys: dict[str, Key]
    templates: tuple[Template, ...]
    tables: dict[str, Table] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    needs: frozenset[tuple[str, str]] = frozenset()

    @property
    def gives(self) -> frozenset[tuple[str, str]]:
        """The keys of its resources: type and namespace."""
        return frozenset((key.type, key.namespace) for key in self.keys.values())

    def skip(self, row: Row) -> str:
        """Why this record gives nothing by intent, or the empty string."""
        return next((why for test, why in self.skips if test(row)), "")

    def apply(self, row: Row) -> list[Made]:
        """The resources of a record, ids included, in the mapping's order. Errors: Reject."""
        return [self._made(template, row) for template in self.templates if template.when is None or template.when(row)]

    def _made(self, template: Template, row: Row) -> Made:
        key = self.keys[template.name]
        id = key.id(row)
        if id is None:
            raise Reject("identity-missing", f"a part of the key of '{template.name}' is empty", key.missing(row), key.place)
        resource = {"resourceType": template.type, "id": id}
        for name, run in template.elements:
            if (value := run(row)) is not None:
                resource[name] = value
        empty = tuple(name for name, _ in template.elements if name not in resource) if template.snapshot else ()
        return Made(template.name, resource, template.write, template.must_match, template.newer_by and template.newer_by(row), template.place, empty, template.once)


def ordered(mappings: list[Mapping]) -> list[Mapping]:
    """Mappings of a site, each after those whose resources it refers to, so that few records wait; in a circle, in the order given."""
    left, done = list(mappings), []
    while left:
        free = [one for one in left if not any(one.needs & other.gives for other in left if other is not one)]
        done += free or left[:1]
        left = [one for one in left if one not in done]
    return done
