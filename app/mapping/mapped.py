"""Records of a file with what the rules make of them, batch by batch. Pure."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from app.mapping.ledger import Held
from app.mapping.readers.record import Record
from app.mapping.reject import Reject
from app.mapping.rules import Made, Mapping, Row, Target


@dataclass(slots=True)
class Mapped:
    """A record after the rules: its resources, or why there are none."""
    record: Record
    made: list[Made]
    row: Row | None = None
    reject: Reject | None = None
    skipped: str = ""
    unread: list[str] = field(default_factory=list)
    """The columns that nothing reads and that hold a value here."""


def batches(records: Iterator[Record], mapping: Mapping, new: tuple[str, ...], ids: Callable, size: int) -> Iterator[list[Mapped]]:
    """The records after the rules, `size` at a time; the last batch holds fewer, or none. new: columns that the mapping does not know."""
    unread = [(at, name) for at, name in enumerate((*mapping.columns, *new)) if name in mapping.unread or at >= len(mapping.columns)]
    while True:
        batch = [_apply(mapping, record, ids, unread) for record in islice(records, size)]
        yield batch
        if len(batch) < size:
            return


def _apply(mapping: Mapping, record: Record, ids: Callable, unread: list[tuple[int, str]]) -> Mapped:
    if record.reject:
        return Mapped(record, [], None, record.reject)
    row, values = Row(record.values, ids), record.values
    mapped = Mapped(record, [], row, skipped=record.skip, unread=[*(name for at, name in unread if at < len(values) and values[at] is not None), *record.unread])
    if record.skip:
        return mapped
    row.warnings += record.warnings
    try:
        mapped.skipped = mapping.skip(row)
        mapped.made = [] if mapped.skipped else mapping.apply(row)
    except Reject as reject:
        mapped.reject = reject
    return mapped


def again(held: Held) -> Mapped:
    """A held record as it was mapped."""
    row = Row([], None)
    row.targets = held.targets
    return Mapped(Record(held.row, held.place, held.length, [], of=held.of), held.made, row)


def targets(batch: list[Mapped]) -> Iterable[Target]:
    """What the references of a batch name."""
    return (target for mapped in batch if mapped.row and mapped.made for target in mapped.row.targets)
