"""What every reader gives: records with their place in the file, and a header held against the columns of a mapping."""
from __future__ import annotations

from typing import NamedTuple

from app.mapping.document import Map, Mistake
from app.mapping.reject import Reject

OURS = ("_row", "_place", "_code", "_rule", "_column", "_message", "_reject")
"""What rejects.csv has after the columns of the source; `_reject` names the reject as `yilian rejects list` does."""
LONGEST = 1 << 20
"""Bytes, or characters of a source that has none, that a record may have."""


class Record(NamedTuple):
    """A record of the file: `row` is its number as a person counts; `place` and `length` are where it is, in the reader's own unit.

    of: the reject (TASK/ROW) that the record is fed back for, in a rejects.csv that comes back. unread: names that only this record tells, of values that no column holds.
    values: one for each of the mapping's columns, then of new ones, None for empty; None as a whole where `reject` says what is wrong, or `skip` why it is passed over.
    """

    row: int
    place: int
    length: int
    values: list[str | None] | None
    reject: Reject | None = None
    warnings: tuple[str, ...] = ()
    skip: str = ""
    of: str = ""
    unread: tuple[str, ...] = ()


class Columns(NamedTuple):
    """Where the mapping's columns, and after them those that it does not know (`new`), stand in a record; those that are absent: behind its last."""

    order: tuple[int, ...]
    new: tuple[str, ...]


def columns(header: list[str], mapping) -> Columns:
    """A header held against a mapping. Errors: Reject `csv-structure` (twice the same name), `column-missing`."""
    twice = next((name for at, name in enumerate(header) if name and name in header[:at]), None)
    if twice:
        raise Reject("csv-structure", f"the column '{twice}' stands in the header twice", twice)
    missing = [name for name in mapping.columns if name not in header and name not in mapping.optional]
    if missing:
        raise Reject("column-missing", f"the header has no column {', '.join(missing)}", missing[0])
    known = {*mapping.columns, *mapping.ignored, *OURS}
    new = {name: at for at, name in enumerate(name or nameless(at) for at, name in enumerate(header)) if name not in known}
    return Columns((*(header.index(name) if name in header else len(header) for name in mapping.columns), *new.values()), tuple(new))


def nameless(at: int) -> str:
    """What a column without a name is called, by its place from 0: what stands in it is told too."""
    return f"(column {at + 1})"


def line_of_names(node: Map) -> int:
    """The `header` of a source: which line or row holds the names of the columns, from 1. Errors: Mistake."""
    header = node.get("header", "1")
    if not header.isascii() or not header.isdecimal() or not 0 < int(header) < 1000:
        raise Mistake(header.place, "header is the number of the row that holds the names of the columns")
    return int(header)
