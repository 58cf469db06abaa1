"""Sources whose records are cells and not lines of text: fixed width, DBF, Excel, JSON, XML. Their rejects are told as CSV in the source's own columns."""
from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from app.mapping.readers.record import LONGEST, Record, columns
from app.mapping.readers.text import has_private_use, private_use
from app.mapping.reject import Reject


class Cells(NamedTuple):
    """A record as it stands in the file; `cells` follow the header, and are fewer or none where `reject` says why."""

    place: int
    length: int
    cells: list[str]
    reject: Reject | None = None
    skip: str = ""
    unread: tuple[str, ...] = ()


class CellReader:
    """A reader by its `cells(place)`: all records from a place on. A subclass sets `header`, `size`, and then `fit`s.

    `size` is the place after the last record, 0 where it is not known; `first` the number of the first record.
    """

    OPTIONS: tuple[str, ...] = ()
    ENCODINGS: tuple[str, ...] = ()
    first = 1
    size = 0
    mark = ","
    fed = False

    def __init__(self, path, mapping):
        self.path, self.source, self.mapping = path, mapping.source, mapping
        self.encoding = mapping.source.encoding or "utf-8-sig"
        self.header: list[str] = []

    def fit(self) -> None:
        self.order, self.new = columns(self.header, self.mapping)

    def cells(self, place: int) -> Iterator[Cells]:
        raise NotImplementedError

    def records(self, place: int = 0, row: int | None = None) -> Iterator[Record]:
        """The records from a place on (where a record begins; 0 means the first), numbered from `row`."""
        for at, found in enumerate(self.cells(place), self.first if row is None else row):
            yield self._record(at, found)

    def _record(self, row: int, found: Cells) -> Record:
        where = row, found.place, found.length
        if found.reject or found.skip:
            return Record(*where, None, found.reject, (), found.skip)
        cells, warnings = found.cells, ()
        if sum(map(len, cells)) > LONGEST:
            return Record(*where, None, Reject("size", f"a record has at most {LONGEST} characters"))
        bad = next((at for at, text in enumerate(cells) if "\0" in text), None)
        if bad is not None:
            return Record(*where, None, Reject("bad-value", "a NUL character", self.header[bad]))
        if any(map(has_private_use, cells)):
            cells, warnings = [private_use(text) for text in cells], ("private-use",)
        null, cells = self.source.null, [*cells, ""]
        return Record(*where, [None if (text := cells[at].strip()) in null else text for at in self.order], None, warnings, unread=found.unread)

    def heading(self) -> bytes:
        """The header as a line of rejects.csv, without its end."""
        return self._line(self.header)

    def lines(self, places: dict[int, int]) -> dict[int, bytes]:
        """Place -> line of rejects.csv, without its end, for those records that could be read."""
        return {found.place: self._line(found.cells).removeprefix(b"\xef\xbb\xbf") for found in self.cells(0) if found.place in places and len(found.cells) == len(self.header)}

    def raw(self, places: dict[int, int]) -> list[bytes]:
        """What could not be read as a record, as it stands in the file; these sources keep none that is no row."""
        return []

    def _line(self, cells: list[str]) -> bytes:
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(cells)
        return out.getvalue().encode(self.encoding, "replace")
