"""Physical lines of a file with their bytes: what CSV, fixed width and NDJSON are read by. Lines beyond a record's length are told, not held."""
from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from app.mapping.readers.record import LONGEST

MARKS = {"utf-8": (b"\xef\xbb\xbf",), "utf-16-le": (b"\xff\xfe",), "utf-16-be": (b"\xfe\xff",)}
"""Encoding -> the byte order mark that may open its files."""


class Line(NamedTuple):
    """A physical line; `raw` is empty for one that is longer than a record may be."""

    byte: int
    length: int
    raw: bytes


def lines(file: BinaryIO, byte: int, encoding: str = "utf-8") -> Iterator[Line]:
    """The lines from a byte on, a byte order mark at the file's beginning passed over; the bytes of each are those of the file."""
    file.seek(0)
    mark = next((mark for mark in MARKS.get(encoding, MARKS["utf-8"]) if file.read(len(mark)) == mark), b"")
    byte = max(byte, len(mark))
    file.seek(byte)
    read = _wide(encoding) if encoding.startswith("utf-16-") else _narrow
    while raw := read(file, LONGEST + 1):
        length, longer = len(raw), len(raw) > LONGEST
        rest = raw
        while longer and not _ended(rest, encoding) and (rest := read(file, LONGEST)):
            length += len(rest)
        yield Line(byte, length, b"" if longer else raw)
        byte += length


def _ended(raw: bytes, encoding: str) -> bool:
    return raw.endswith({"utf-16-le": b"\n\0", "utf-16-be": b"\0\n"}.get(encoding, b"\n"))


def _narrow(file: BinaryIO, most: int) -> bytes:
    return file.readline(most)


def _wide(encoding: str):
    """Lines of UTF-16: the byte 0A ends one only where it is a unit of its own, not a half of another (上 is 4E 0A)."""
    little = encoding == "utf-16-le"

    def read(file: BinaryIO, most: int) -> bytes:
        raw = b""
        while len(raw) < most and (more := file.readline(most - len(raw))):
            raw += more
            if raw.endswith(b"\n") and len(raw) % 2:
                raw += file.read(1)
                if little and raw.endswith(b"\n\0"):
                    break
            elif raw.endswith(b"\0\n") and not little:
                break
        return raw + file.read(len(raw) % 2)
    return read
