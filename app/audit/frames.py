"""The frames of a journal file: what is written, and what can be read again of a file that is torn or damaged.

A frame is MARK (4 bytes), length of the payload (4), CRC-32 of all that follows (4), journal id (8), sequence (8), SHA-256 of the frame
before it (32), payload. Numbers are big-endian. MARK begins with 0xFF, which UTF-8 never has, so that a reader can find the next frame.
"""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

MARK = b"\xffYLJ"
_HEAD = struct.Struct(">4sII")
_SLOT = struct.Struct(">8sQ32s")
HEADER = _HEAD.size + _SLOT.size
START = bytes(32)
"""`previous` of a journal that follows none."""
LONGEST = 64 * 1024 * 1024
SUFFIX = ".journal"


class Frame(NamedTuple):
    """A frame as read. journal: 16 hexadecimal digits; previous: hash of the frame before it; hash: its own; start, end: bytes of the file."""

    journal: str
    sequence: int
    previous: bytes
    payload: bytes
    hash: bytes
    start: int
    end: int


class Damage(NamedTuple):
    """What should be frames and is none. `torn`: it is the file's end, as an interrupted write leaves it, and nobody was told that it stands."""

    start: int
    end: int
    what: str
    torn: bool = False


def frame(journal: str, sequence: int, previous: bytes, payload: bytes) -> bytes:
    body = _SLOT.pack(bytes.fromhex(journal), sequence, previous) + payload
    return _HEAD.pack(MARK, len(payload), crc32(body)) + body


def digest(frame: bytes) -> bytes:
    return hashlib.sha256(frame).digest()


def read(path: str, start: int = 0, sequence: int | None = None, previous: bytes | None = None) -> Iterator[Frame | Damage]:
    """The frames of a file from byte `start` on, in order, and a Damage wherever frames are missing, altered or broken.

    sequence, previous: what the first frame must have, if it is known. A torn tail is one last Damage with `torn`. Errors: OSError.
    """
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read()
    at = 0
    while at < len(data):
        found = _at(data, at, start)
        if isinstance(found, str):
            after = _next(data, at + 1)
            yield _damage(data, at, after, start, found)
            if after is None:
                return
            at, sequence, previous = after, None, None  # the damage is reported once, not again as a gap
            continue
        if sequence is not None and found.sequence != sequence or previous is not None and found.previous != previous:
            yield Damage(found.start, found.start, f"frame {found.sequence} does not follow the one before it")
        yield found
        at, sequence, previous = found.end - start, found.sequence + 1, found.hash


def _at(data: bytes, at: int, start: int) -> Frame | str:
    """The frame at a byte, or why there is none."""
    if len(data) - at < HEADER:
        return "a frame's header is incomplete" if MARK.startswith(data[at:at + 4]) or data[at:at + 4] == MARK else "no frame begins here"
    mark, length, check = _HEAD.unpack_from(data, at)
    if mark != MARK:
        return "no frame begins here"
    end = at + HEADER + length
    if length > LONGEST or end > len(data):
        return "a frame is incomplete"
    if crc32(memoryview(data)[at + _HEAD.size:end]) != check:
        return "a frame's checksum is wrong"
    journal, sequence, previous = _SLOT.unpack_from(data, at + _HEAD.size)
    return Frame(journal.hex(), sequence, previous, data[at + HEADER:end], digest(memoryview(data)[at:end]), start + at, start + end)


def _next(data: bytes, at: int) -> int | None:
    """Where the next whole frame begins."""
    while (at := data.find(MARK, at)) >= 0:
        if isinstance(_at(data, at, 0), Frame):
            return at
        at += 1
    return None


def _damage(data: bytes, at: int, after: int | None, start: int, what: str) -> Damage:
    if after is not None:
        return Damage(start + at, start + after, what)
    return Damage(start + at, start + len(data), what, torn=_unfinished(data, at, what))


def _unfinished(data: bytes, at: int, what: str) -> bool:
    """Whether the end of a file looks as an interrupted write leaves it: the beginning of a frame, or room that was never filled.

    A frame that is whole but for its length is not unfinished: someone was told that it stands.
    """
    if not what.endswith("incomplete"):
        return not data[at:].strip(b"\0")
    return len(data) - at < HEADER or crc32(memoryview(data)[at + _HEAD.size:]) != _HEAD.unpack_from(data, at)[2]
