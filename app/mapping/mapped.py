"""Records of a file with what the rules make of them, batch by batch. Pure."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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


def batches(records: Iterator[Record], mapping: Mapping, ids: Callable, size: int) -> Iterator[list[Mapped]]:
    """The records after the rules, `size` at a time; the last batch holds fewer, or none."""
    while True:
        batch = [_apply(mapping, record, ids) for record in islice(records, size)]
        yield batch
        if len(batch) < size:
            return


def _apply(mapping: Mapping, record: Record, ids: Callable) -> Mapped:
    if record.reject:
        return Mapped(record, [], None, record.reject)
    row = Row(record.values, ids)
    if record.skip:
        return Mapped(record, [], row, skipped=record.skip)
    row.warnings += record.warnings
    try:
        skipped = mapping.skip(row)
        return Mapped(record, [] if skipped else mapping.apply(row), row, skipped=skipped)
    except Reject as reject:
        return Mapped(record, [], row, reject)


def again(held: Held) -> Mapped:
    """A held record as it was mapped."""
    row = Row([], None)
    row.targets = held.targets
    return Mapped(Record(held.row, held.place, held.length, [], of=held.of), held.made, row)


def targets(batch: list[Mapped]) -> Iterable[Target]:
    """What the references of a batch name."""
    return (target for mapped in batch if mapped.row and mapped.made for target in mapped.row.targets)
