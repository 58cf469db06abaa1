"""DBF tables of dBase, Clipper and FoxPro, with memos beside them (.dbt, .fpt). http://www.dbase.com/Knowledgebase/INT/db7_file_fmt.htm

Deleted records are passed over and counted; a record is read on its own, so that a bad one costs no other.
"""
from __future__ import annotations

import struct
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from app.mapping.readers.cells import CellReader, Cells
from app.mapping.readers.record import LONGEST
from app.mapping.readers.text import decode
from app.mapping.reject import Reject

FOXPRO = frozenset({0x30, 0x31, 0x32})
"""Version bytes of Visual FoxPro, whose memo numbers are binary."""
NAME = 10
"""Bytes of a column's name."""
END = 0x1A
JULIAN = 1721425
"""The Julian day number of 1 January of the year 1, less one."""


class Field(NamedTuple):
    name: str
    type: str
    low: int
    high: int


class Reader(CellReader):
    """A table and, where it has memo columns, the memo file of the same name beside it.

    Dates are told as yyyyMMdd, moments as yyyy-MM-dd HH:mm:ss, numbers as written, logical values as T and F, `?` as nothing.
    """

    ENCODINGS = ("gb18030", "utf-8")

    def __init__(self, path: Path, mapping):
        super().__init__(path, mapping)
        self.encoding = mapping.source.encoding
        with open(path, "rb") as file:
            head = file.read(32)
            if len(head) < 32 or not (start := struct.unpack_from("<H", head, 8)[0]) > 32:
                raise Reject("csv-structure", "the file is no DBF table: its header is too short")
            self.version, self.count, self.start, self.length = head[0], *struct.unpack_from("<IHH", head, 4)
            self.fields = list(self._fields(file.read(start - 32)))
        if not self.fields or self.fields[-1].high > self.length:
            raise Reject("csv-structure", "the file is no DBF table: its columns do not fit its records")
        self.header = [field.name for field in self.fields]
        self.size = self.start + self.count * self.length
        self.memo = _memo(path) if any(field.type == "M" for field in self.fields) else None
        self.fit()

    def _fields(self, raw: bytes):
        at = 1
        for low in range(0, len(raw) - 31, 32):
            part = raw[low:low + 32]
            if part[0] in (0x0D, 0):
                return
            kind, width = chr(part[11]), part[16] + (part[17] << 8 if part[11] == ord("C") else 0)
            if kind != "0":  # FoxPro's own bits of which values are null
                yield Field(self._named(part[:11].split(b"\0")[0]), kind, at, at + width)
            at += width

    def _named(self, raw: bytes) -> str:
        """A column's name. One of ten bytes or more was cut there, a half character at its end may be left of that."""
        for cut in range(4 if len(raw) >= NAME else 0):
            with suppress(UnicodeDecodeError):
                return raw[:len(raw) - cut].decode(self.encoding).strip()
        return decode(raw, self.encoding, lambda before: "").strip()

    def cells(self, place: int):
        place = place or self.start
        with open(self.path, "rb") as file:
            file.seek(place)
            while (raw := file.read(self.length)) and raw[0] != END:
                yield self._cells(place, raw)
                place += self.length
        if place < self.size:
            yield Cells(place, self.size - place, [], Reject("csv-structure", f"the header counts {self.count} records; the file ends before this one"))

    def _cells(self, place: int, raw: bytes) -> Cells:
        found: list[str] = []
        if raw[:1] == b"*":
            return Cells(place, len(raw), found, None, "deleted in the DBF table")
        try:
            if len(raw) < self.length:
                raise Reject("csv-structure", "the file ends within this record")
            for field in self.fields:
                found.append(self._value(field, raw[field.low:field.high]))
        except Reject as reject:
            return Cells(place, len(raw), found, reject)
        return Cells(place, len(raw), found)

    def _value(self, field: Field, raw: bytes) -> str:
        read = BINARY.get(field.type)
        try:
            if field.type == "M":
                return self._noted(field, raw)
            if read and (field.type != "B" or self.version in FOXPRO):
                return read(raw)
        except (struct.error, ValueError, OverflowError):
            raise Reject("bad-value", f"the bytes are no value of a column of type {field.type}", field.name) from None
        if field.type not in "CVNFDL":
            return ""
        text = decode(raw.rstrip(b" \0"), self.encoding, lambda before: field.name)
        return "" if field.type == "L" and text == "?" else text

    def _noted(self, field: Field, raw: bytes) -> str:
        """The text of a memo. Errors: Reject where the memo file is absent or does not hold it."""
        block = int.from_bytes(raw, "little") if len(raw) == 4 else int(raw.strip(b" \0") or 0)
        if not block:
            return ""
        if self.memo is None:
            raise Reject("bad-value", f"its memo file ({self.path.stem}.dbt or .fpt) does not stand beside the table", field.name)
        return decode(self.memo.read(block, field.name), self.encoding, lambda before: field.name)


def _double(raw: bytes) -> str:
    return repr(struct.unpack("<d", raw)[0]).removesuffix(".0")


def _money(raw: bytes) -> str:
    units = struct.unpack("<q", raw)[0]
    return f"{'-' * (units < 0)}{abs(units) // 10000}.{abs(units) % 10000:04d}"


def _moment(raw: bytes) -> str:
    day, milliseconds = struct.unpack("<II", raw)
    if not day:
        return ""
    seconds = (milliseconds + 500) // 1000
    when = date.fromordinal(day - JULIAN) + timedelta(days=seconds // 86400)
    seconds %= 86400
    return f"{when:%Y-%m-%d} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


BINARY = {"I": lambda raw: str(struct.unpack("<i", raw)[0]), "B": _double, "Y": _money, "T": _moment}
"""Column type -> what reads its bytes, for those whose bytes are no text."""


class _Memo:
    """A memo file: blocks by number. `.fpt` and dBase IV's `.dbt` tell each text's length; dBase III's ends with 1A."""

    def __init__(self, path: Path):
        self.path, self.fox = path, path.suffix.lower() == ".fpt"
        with open(path, "rb") as file:
            head = file.read(24).ljust(24, b"\0")
        self.block = (struct.unpack_from(">H", head, 6)[0] if self.fox else struct.unpack_from("<H", head, 20)[0]) or 512

    def read(self, number: int, column: str) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(number * self.block)
            head = file.read(8)
            if len(head) == 8 and (self.fox or head[:4] == b"\xff\xff\x08\0"):
                length = struct.unpack(">I", head[4:])[0] if self.fox else struct.unpack("<I", head[4:])[0] - 8
                if not 0 <= length <= LONGEST:
                    raise Reject("size", f"a memo has at most {LONGEST} bytes", column)
                text = file.read(length)
                if len(text) == length:
                    return text.rstrip(b"\0\x1a")
            elif head and not self.fox:
                text, mark, _ = (head + file.read(LONGEST)).partition(b"\x1a")
                if mark:
                    return text
        raise Reject("bad-value", f"the memo file does not hold block {number}", column)


def _memo(path: Path) -> _Memo | None:
    beside = {one.suffix.lower(): one for one in path.parent.iterdir() if one.stem.lower() == path.stem.lower()}
    found = beside.get(".fpt") or beside.get(".dbt")
    return _Memo(found) if found else None
