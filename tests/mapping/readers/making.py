"""Source files of every kind, and a mapping's source for each."""
from __future__ import annotations

import struct
from datetime import date
from types import SimpleNamespace

from app.mapping.document import parse
from app.mapping.readers import reader
from app.mapping.site import source as read


def mapping(source: str, columns=("号", "名", "值"), ignored=("备注",)):
    """What a reader asks of a mapping; `source` in YAML."""
    return SimpleNamespace(source=read(parse(f"source: {{{source}, zone: Asia/Shanghai}}", "m.yaml")["source"]), columns=columns, optional=frozenset(), ignored=ignored)


def records(path, source: str, **more):
    return list(reader(path, mapping(source, **more)).records())


def values(path, source: str, **more):
    return [r.values or (r.reject.code, r.reject.column) if not r.skip else r.skip for r in records(path, source, **more)]


def dbf(path, fields, rows, *, version=0x03, encoding="gb18030", end=b"\x1a", deleted=()):
    """A DBF table. fields: (name, type, width); rows: bytes or text for each field."""
    length = 1 + sum(width for _, _, width in fields)
    head = struct.pack("<4BIHH20x", version, 126, 1, 1, len(rows), 32 + 32 * len(fields) + 1, length)
    for name, kind, width in fields:
        head += name.encode(encoding).ljust(11, b"\0")[:11] + kind.encode() + bytes(4) + bytes([width & 255, width >> 8 if kind == "C" else 0]) + bytes(14)
    body = b""
    for at, row in enumerate(rows):
        body += b"*" if at in deleted else b" "
        for (_, _, width), cell in zip(fields, row):
            body += (cell if isinstance(cell, bytes) else cell.encode(encoding)).ljust(width)[:width]
    path.write_bytes(head + b"\r" + body + end)
    return path


JULIAN = date(2026, 1, 2).toordinal() + 1721425
