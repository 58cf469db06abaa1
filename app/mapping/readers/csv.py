"""CSV exports, read strictly record by record: byte offsets kept, each record decoded on its own, and a stray quote costs one line, not the file.

https://www.rfc-editor.org/rfc/rfc4180, with any one-character delimiter. GB18030 as in `app.mapping.readers.text`.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from app.mapping.readers.text import decode, private_use
from app.mapping.reject import Reject

LONGEST = 1 << 20
"""Bytes that a record may have."""
LINES = 50
"""Physical lines that a record may have."""


class Record(NamedTuple):
    """A record of the file: `row` counts the header as 1; `byte` and `length` are its place, line end included.

    values: one for each of the mapping's columns, None for empty; None as a whole where `reject` says what is wrong.
    """

    row: int
    byte: int
    length: int
    values: list[str | None] | None
    reject: Reject | None = None
    warnings: tuple[str, ...] = ()


class Line(NamedTuple):
    """A physical line; `raw` is empty for one that is longer than a record may be."""
    byte: int
    length: int
    raw: bytes


class Reader:
    """Reads one file under a mapping. `header` are its columns, `new` those that the mapping does not know.

    Errors of the constructor: Reject `column-missing`, `encoding` or `csv-structure`: then the file as a whole is refused.
    """

    def __init__(self, path: Path, mapping):
        self.path, self.source = path, mapping.source
        self.mark = self.source.delimiter
        with open(path, "rb") as file:
            first = next(self._records(_lines(file, 0), None, 1), None)
        if first is None or first.fields is None:
            raise first.reject if first else Reject("csv-structure", "the file is empty")
        self.header = [name.strip() for name in first.fields]
        self.start = first.byte + first.length
        self.head = first.byte, first.length
        twice = next((name for at, name in enumerate(self.header) if name and name in self.header[:at]), None)
        if twice:
            raise Reject("csv-structure", f"the column '{twice}' stands in the header twice", twice)
        missing = [name for name in mapping.columns if name not in self.header]
        if missing:
            raise Reject("column-missing", f"the header has no column {', '.join(missing)}", missing[0])
        self.order = [self.header.index(name) for name in mapping.columns]
        self.new = tuple(n for n in self.header if n not in mapping.columns and n not in mapping.ignored and not n.startswith("_"))

    def records(self, byte: int = 0, row: int = 2) -> Iterator[Record]:
        """The records from a byte offset on (where a record begins; 0 means the first after the header), numbered from `row`."""
        null, order = self.source.null, self.order
        with open(self.path, "rb") as file:
            for raw in self._records(_lines(file, byte or self.start), len(self.header), row):
                if raw.fields is None:
                    yield Record(raw.row, raw.byte, raw.length, None, raw.reject)
                    continue
                fields, warnings = raw.fields, ()
                if raw.private:
                    fields, warnings = [private_use(text) for text in fields], ("private-use",)
                values = [None if (text := fields[at].strip()) in null else text for at in order]
                yield Record(raw.row, raw.byte, raw.length, values, None, warnings)

    def _records(self, lines: Iterator[Line], width: int | None, row: int) -> Iterator["_Raw"]:
        """Raw records; blank lines are none. A record that cannot be read is its first line alone; the next begins after it."""
        ahead: deque[Line] = deque()
        while ahead or (line := next(lines, None)) is not None:
            line = ahead.popleft() if ahead else line
            if line.raw and not line.raw.strip(b"\r\n"):
                continue
            raw = self._record(line, lines, ahead, width, row)
            yield raw
            row += 1

    def _record(self, line: Line, lines: Iterator[Line], ahead: deque[Line], width: int | None, row: int) -> "_Raw":
        taken, raw = 0, line.raw
        try:
            if not raw:
                raise Reject("size", f"a record has at most {LONGEST} bytes")
            while (fields := self._fields(raw, width) if not taken or b'"' in ahead[taken - 1].raw else None) is None:
                if taken == len(ahead) and (more := next(lines, None)) is not None:
                    ahead.append(more)
                if taken == len(ahead) or taken + 1 >= LINES or len(raw) > LONGEST or not ahead[taken].raw:
                    raise Reject("csv-structure", "a quoted value is not closed", self._column(line.raw.decode(self.source.encoding)))
                raw += ahead[taken].raw
                taken += 1
        except Reject as reject:
            return _Raw(row, line.byte, line.length, None, reject, False)
        for _ in range(taken):
            ahead.popleft()
        return _Raw(row, line.byte, len(raw), fields, None, any("\ue000" <= sign <= "\uf8ff" for text in fields for sign in text))

    def _fields(self, raw: bytes, width: int | None) -> list[str] | None:
        """The fields of a record; None when it goes on in the next line. Errors: Reject."""
        text = decode(raw, self.source.encoding, self._column)
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


def _lines(file: BinaryIO, byte: int) -> Iterator[Line]:
    file.seek(byte)
    if byte == 0 and file.read(3) != b"\xef\xbb\xbf":
        file.seek(0)
    byte = file.tell()
    while raw := file.readline(LONGEST + 1):
        length, longer = len(raw), len(raw) > LONGEST
        rest = raw
        while longer and not rest.endswith(b"\n") and (rest := file.readline(LONGEST)):
            length += len(rest)
        yield Line(byte, length, b"" if longer else raw)
        byte += length
