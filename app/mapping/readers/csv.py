"""CSV exports, read strictly record by record: byte offsets kept, each record decoded on its own, and a stray quote costs one line, not the file.

https://www.rfc-editor.org/rfc/rfc4180, with any one-character delimiter. GB18030 as in `app.mapping.readers.text`; UTF-16 in either byte order.
"""
from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from app.mapping.document import Map, Mistake, place
from app.mapping.readers.lines import MARKS, Line, lines
from app.mapping.readers.record import LONGEST, OURS, Record, columns, line_of_names
from app.mapping.readers.text import decode, has_private_use, private_use
from app.mapping.reject import Reject

LINES = 50
"""Physical lines that a record may have."""
BLANK = frozenset(end.encode(encoding) for end in ("\n", "\r\n", "\r") for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
"""Lines that are no record."""


class Reader:
    """Reads one file under a mapping. `header` are its columns, `new` those that the mapping does not know; places are bytes, line ends included.

    Errors of the constructor: Reject `column-missing`, `encoding` or `csv-structure`: then the file as a whole is refused.
    """

    OPTIONS = ("delimiter", "header")
    ENCODINGS = ("gb18030", "utf-8", "utf-16")
    first = 2

    @staticmethod
    def options(node: Map) -> dict:
        delimiter = {"tab": "\t"}.get(node.get("delimiter", ","), node.get("delimiter", ","))
        if len(delimiter) != 1 or delimiter in "\"'\r\n ":
            raise Mistake(place(delimiter, node.place), "delimiter is one character, or 'tab'")
        return {"delimiter": str(delimiter), "above": line_of_names(node) - 1}

    def __init__(self, path: Path, mapping):
        self.path, self.source, self.size = path, mapping.source, path.stat().st_size
        self.mark, self.encoding = self.source.options.get("delimiter", ","), ordered(path, self.source.encoding or "utf-8")
        with open(path, "rb") as file:
            first = self._names(file, self.source.options.get("above", 0), {name for name in mapping.columns if name not in mapping.optional})
        if first is None or first.fields is None:
            raise first.reject if first else Reject("csv-structure", "the file is empty")
        if len(first.fields) > 1 and any("\r" in name and "\n" not in name for name in first.fields) and first.byte + first.length == self.size:
            raise Reject("csv-structure", "its lines end in CR alone; save it with line ends of Windows or Unix")
        self.header = [name.strip() for name in first.fields]
        self.head, self.start = (first.byte, first.length), first.byte + first.length
        self.order, self.new = columns(self.header, mapping)
        self.fed = "_reject" in self.header
        self.of = self.header.index("_reject") if self.fed else len(self.header)

    def _names(self, file: BinaryIO, above: int, wanted: set[str]) -> "_Raw | None":
        """The header, below so many lines, or at the top where all wanted names stand there: a rejects.csv has nothing above."""
        first = next(self._records(lines(file, 0, self.encoding), None, 1), None)
        if not above or first and first.fields and wanted and wanted <= {name.strip() for name in first.fields}:
            return first
        self.first = above + 2
        return next(self._records(islice(lines(file, 0, self.encoding), above, None), None, 1), None)

    def records(self, place: int = 0, row: int | None = None) -> Iterator[Record]:
        """The records from a byte offset on (where a record begins; 0 means the first after the header), numbered from `row`."""
        null, order = self.source.null, self.order
        with open(self.path, "rb") as file:
            for raw in self._records(lines(file, place or self.start, self.encoding), len(self.header), self.first if row is None else row):
                if raw.fields is None:
                    yield Record(raw.row, raw.byte, raw.length, None, raw.reject)
                    continue
                fields, warnings = raw.fields, ()
                if raw.private:
                    fields, warnings = [private_use(text) for text in fields], ("private-use",)
                fields.append("")
                values = [None if (text := fields[at].strip()) in null else text for at in order]
                yield Record(raw.row, raw.byte, raw.length, values, None, warnings, "", fields[self.of].strip())

    def heading(self) -> bytes:
        """The header as a line of rejects.csv, without its end and without the columns that an earlier report appended; after a mark where UTF-16 or the file asks for one."""
        mark = MARKS.get(self.encoding, MARKS["utf-8"])[0]
        begins = self.encoding.startswith("utf-16") or self._slices([(0, len(mark))])[0] == mark
        return (mark if begins else b"") + self._told(self._slices([self.head])[0])

    def lines(self, places: dict[int, int]) -> dict[int, bytes]:
        """Place -> line of rejects.csv, without its end, of the records at (place: length): their bytes untouched."""
        return dict(zip(places, map(self._told, self._slices(places.items()))))

    def raw(self, places: dict[int, int]) -> list[bytes]:
        """The bytes of the records at (place: length)."""
        return self._slices(places.items())

    def _slices(self, places) -> list[bytes]:
        found = []
        with open(self.path, "rb") as file:
            for byte, length in places:
                file.seek(byte)
                found.append(file.read(length))
        return found

    def _told(self, raw: bytes) -> bytes:
        """A record without its line end, and without what an earlier report appended."""
        text = raw.decode(self.encoding).rstrip("\r\n")
        ours = len(self.header)
        while ours and self.header[ours - 1] in OURS:
            ours -= 1
        if ours == len(self.header):
            return text.encode(self.encoding)
        out = io.StringIO()
        csv.writer(out, delimiter=self.mark, lineterminator="").writerow(next(csv.reader(io.StringIO(text, newline=""), delimiter=self.mark))[:ours])
        return out.getvalue().encode(self.encoding)

    def _records(self, found: Iterator[Line], width: int | None, row: int) -> Iterator["_Raw"]:
        """Raw records; blank lines are none. A record that cannot be read is its first line alone; the next begins after it."""
        ahead: deque[Line] = deque()
        while ahead or (line := next(found, None)) is not None:
            line = ahead.popleft() if ahead else line
            if line.raw in BLANK:
                continue
            raw = self._record(line, found, ahead, width, row)
            yield raw
            row += 1

    def _record(self, line: Line, found: Iterator[Line], ahead: deque[Line], width: int | None, row: int) -> "_Raw":
        taken, raw = 0, line.raw
        try:
            if not raw:
                raise Reject("size", f"a record has at most {LONGEST} bytes")
            while (fields := self._fields(raw, width) if not taken or b'"' in ahead[taken - 1].raw else None) is None:
                if taken == len(ahead) and (more := next(found, None)) is not None:
                    ahead.append(more)
                if taken == len(ahead) or taken + 1 >= LINES or len(raw) > LONGEST or not ahead[taken].raw:
                    taken = 0
                    raise Reject("csv-structure", "a quoted value is not closed", self._column(line.raw.decode(self.encoding)))
                raw += ahead[taken].raw
                taken += 1
        except Reject as reject:
            if taken:  # what is wrong stands in a later line, which is a record of its own if the quote is the fault
                reject = Reject("csv-structure", f"a quoted value is not closed in its line, and with the lines after it this is no row: {reject.message}", self._column(line.raw.decode(self.encoding)))
            return _Raw(row, line.byte, line.length, None, reject, False)
        for _ in range(taken):
            ahead.popleft()
        return _Raw(row, line.byte, len(raw), fields, None, any(map(has_private_use, fields)))

    def _fields(self, raw: bytes, width: int | None) -> list[str] | None:
        """The fields of a record; None when it goes on in the next line. Errors: Reject."""
        text = decode(raw, self.encoding, self._column)
        if "\0" in text:
            raise Reject("csv-structure", "a NUL byte", self._column(text[:text.index("\0")]))
        bare = text[:-2] if text.endswith("\r\n") else text[:-1] if text.endswith(("\n", "\r")) else text
        try:
            fields, closed = (bare.split(self.mark), True) if '"' not in bare else _quoted(bare, self.mark)
        except _Stray as stray:
            raise Reject("csv-structure", "a quote inside a value; it must be doubled, and the value quoted", self._named(stray.at)) from None
        if not closed:
            return None
        if width is not None and len(fields) != width:
            raise Reject("csv-structure", f"{len(fields)} values for {width} columns")
        return fields

    def _column(self, before: str) -> str:
        """The column in which a byte stands that cannot be decoded, by the text before it."""
        try:
            fields, closed = _quoted(before, self.mark)
        except _Stray:
            fields, closed = before.split(self.mark), True
        return self._named(len(fields) - closed)

    def _named(self, at: int) -> str:
        header = getattr(self, "header", [])
        return header[at] if at < len(header) else ""


class _Stray(Exception):
    """A quote where none may stand; `at` is the number of its field, from 0."""

    def __init__(self, at: int):
        self.at = at
        super().__init__(at)


class _Raw(NamedTuple):
    row: int
    byte: int
    length: int
    fields: list[str] | None
    reject: Reject | None
    private: bool


def _quoted(text: str, mark: str) -> tuple[list[str], bool]:
    """Fields of a text with quotes, and whether its last quote is closed; if not, the fields before it. Errors: _Stray."""
    fields, at = [], 0
    while True:
        if text.startswith('"', at):
            end = at + 1
            while (end := text.find('"', end)) >= 0 and text.startswith('""', end):
                end += 2
            if end < 0:
                return fields, False
            fields.append(text[at + 1:end].replace('""', '"'))
            at = end + 1
            if at < len(text) and text[at] != mark:
                raise _Stray(len(fields) - 1)
        else:
            end = text.find(mark, at)
            field = text[at:] if end < 0 else text[at:end]
            if '"' in field:
                raise _Stray(len(fields))
            fields.append(field)
            at += len(field)
        if at >= len(text):
            return fields, True
        at += 1


def ordered(path: Path, declared: str) -> str:
    """The encoding with its byte order: UTF-16 says it in a mark, and is little-endian without one."""
    if declared != "utf-16":
        return declared
    with open(path, "rb") as file:
        return "utf-16-be" if file.read(2) == MARKS["utf-16-be"][0] else "utf-16-le"
