"""What a mapped resource means beside the one that is stored: create, update, keep, or a reason to refuse the record.

Each version that a feed writes says in `meta.source` which feed, file and row gave it and what it held, so that an edit by anybody else shows.
"""
from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from app import errors
from app.fhir import json
from app.mapping.content import FIRST, Early, bare, mark, split, whole
from app.mapping.reject import Reject
from app.mapping.rules import CHANGES, Made

SOURCE = re.compile(r"urn:fhir-import:(?P<site>[^/#]+)/(?P<mapping>[^#]+)#(?P<file>[0-9a-f]{12})/(?P<row>\d+)/(?P<content>[0-9a-f]{12})(?:/(?P<newer>.+))?")


class Source(NamedTuple):
    """Where a version came from: the mapping (`site/name`), the file's hash (12 digits), the row, and the source time that it tells."""
    mapping: str
    file: str
    row: int
    newer: str | None = None


class State(NamedTuple):
    """A resource as it is, or as this chunk will leave it.

    held: its content, see app.mapping.content. source: None where no feed of this site wrote it as it stands.
    version: the stored one (None: nothing is stored). changed: this chunk writes it.
    """

    held: dict | Early
    source: Source | None
    version: int | None = None
    changed: bool = False

    @property
    def content(self) -> dict:
        return whole(self.held)


def stored(text: bytes, version: int, site: str) -> State:
    """The state of a stored resource."""
    resource = json.loads(text)
    return _state(bare(resource), resource, version, site)


def _state(content: dict | Early, resource: dict, version: int, site: str) -> State:
    named = SOURCE.fullmatch((resource.get("meta") or {}).get("source") or "")
    if not named or named["site"] != site or named["content"] != mark(content):
        return State(content, None, version)
    return State(content, Source(f"{site}/{named['mapping']}", named["file"], int(named["row"]), named["newer"]), version)


def same(content: dict | Early, text: bytes, version: int, site: str) -> State | None:
    """The state of a stored resource that says exactly what `content` does, found without reading it whole; None where that does not show.

    What follows meta in the text is compared as it stands, so the two have the same elements in the same order.
    """
    ours, rest = split(content)
    head = text.removesuffix(rest)
    if len(head) == len(text) or not head.endswith(b"}" if rest == b"}" else b"},"):
        return None
    try:
        first = json.loads(head.removesuffix(b",") + b"}")
    except errors.Malformed:
        return None
    if first.keys() != set(FIRST) or json.dumps(bare(first)) != ours + b"}":
        return None
    return _state(content, first, version, site)


def written(state: State) -> dict:
    """The resource to write, its source said in meta."""
    source, content = state.source, state.content
    newer = f"/{source.newer}" if source.newer else ""
    text = f"urn:fhir-import:{source.mapping}#{source.file}/{source.row}/{mark(state.held)}{newer}"
    return {**content, "meta": {**content.get("meta", {}), "source": text}}


def prepared(state: State):
    """What a new resource is stored as (app.records.Prepared), where a process made it ahead and it is still that."""
    return state.held.prepared if state.version is None and state.held.__class__ is Early else None


def decide(made: Made, state: State | None, source: Source, column: str) -> tuple[str, State]:
    """What becomes of a mapped resource: `created`, `updated`, `unchanged` or `stale`, and the state after it. Errors: Reject.

    `source` is this row; `column` is named where values collide.
    """
    if state is None:
        if made.write in CHANGES:
            raise Reject("absent", f"the {made.resource['resourceType']} that it changes is not stored; import that first", column, made.place)
        return "created", State(made.content, source, None, True)
    if state.held is made.content:
        return "unchanged", state
    _must_match(made, state.content, column)
    if made.write == "create":
        return "unchanged", state
    after = _merged(made, state.content)
    if mark(after) == mark(state.held):
        return "unchanged", state
    if state.source is None:
        raise Reject("edited-elsewhere", f"the stored {made.resource['resourceType']} was changed by somebody else since it was imported", column, made.place)
    if made.newer_by and state.source.newer and _older(made.newer_by, state.source.newer):
        return "stale", state
    if not made.newer_by and made.write != "append" and state.source.file == source.file and state.source.row < source.row and state.source.mapping == source.mapping:
        raise Reject("duplicate-key", f"row {state.source.row} of this file has the same key and says something else", column, made.place)
    return "updated", State(after, source, state.version, True)


def _merged(made: Made, current: dict) -> dict:
    """What the mapping owns over what is there: elements replaced but for those given once, those that a snapshot has empty gone; `append` adds what a list has not yet."""
    if made.write != "append":
        kept = {name: current[name] for name in made.once if name in current}
        return {name: value for name, value in {**current, **made.resource, **kept}.items() if name in kept or name not in made.empty}
    lists = {name: value for name, value in made.resource.items() if isinstance(value, list)}
    return {**current, **{name: _joined(current.get(name, []), value) for name, value in lists.items()}}


def _joined(there: list, more: list) -> list:
    joined = list(there)
    for one in more:
        if one not in joined:
            joined.append(one)
    return joined


def _older(one: str, other: str) -> bool:
    """The one time is before the other; where one is a date alone, by the date: within a day nothing is known to be older."""
    if len(one) == 10 or len(other) == 10:
        return one[:10] < other[:10]
    return datetime.fromisoformat(one) < datetime.fromisoformat(other)


def _must_match(made: Made, current: dict, column: str) -> None:
    for name in made.must_match:
        ours, theirs = _value(made.resource, name), _value(current, name)
        if ours is not None and theirs is not None and ours != theirs:
            raise Reject("identity-collision", f"the stored {current['resourceType']} with this key has another {name}", column, made.place)


def _value(resource: dict, name: str):
    """A value by a dotted path (`subject.reference`) or an identifier's by its system (`identifier|system`)."""
    if name.startswith("identifier|"):
        return next((one.get("value") for one in resource.get("identifier", []) if one.get("system") == name[11:]), None)
    value = resource
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value
