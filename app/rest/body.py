"""The body of a request: read with a bound, unpacked with a bound, and parsed.

https://hl7.org/fhir/R4/http.html#mime-type
"""
from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

from app.errors import Invalid, Malformed, TooCostly, TooLarge, WrongMedia
from app.fhir import json

FIELDS = 1000
"""The most parameters of one query."""
LONGEST = 1_000_000
"""Bytes of one query or form."""
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def read(chunks: AsyncIterator[bytes], length: str | None, encoding: str | None, limit: int) -> bytes:
    """The body, unpacked. `length` and `encoding` are its Content-Length and Content-Encoding headers.

    Errors: TooLarge as soon as more than `limit` bytes are announced, have come, or have been unpacked; WrongMedia for an
    encoding that is not known; Malformed for data that is not in it.
    """
    if length is not None and length.isdigit() and int(length) > limit:
        raise _large(limit)
    unpack = _unpacker((encoding or "identity").strip().lower(), limit)
    parts, size = [], 0
    async for chunk in chunks:
        part = unpack(chunk) if unpack else chunk
        size += len(part)
        if size > limit:
            raise _large(limit)
        parts.append(part)
    if unpack:
        parts.append(unpack(None))
    return b"".join(parts)


def _unpacker(encoding: str, limit: int):
    """A function that unpacks chunk after chunk (None: the end), never more than one byte beyond the limit; None for `identity`."""
    if encoding in ("identity", ""):
        return None
    if encoding not in _WINDOWS:
        raise WrongMedia(f"Content-Encoding {encoding!r} is not read here; send gzip, deflate or identity.", headers={"Accept-Encoding": "gzip, deflate"})
    stream = zlib.decompressobj(_WINDOWS[encoding])
    left = limit

    def unpack(chunk: bytes | None) -> bytes:
        nonlocal left
        try:
            part = stream.decompress(chunk, left + 1) if chunk is not None else stream.flush(1)
        except zlib.error as error:
            raise Malformed(f"The body is not {encoding}: {error}.") from None
        left -= len(part)
        if left < 0 or stream.unconsumed_tail:
            raise _large(limit)
        if stream.unused_data:
            raise Malformed(f"Something follows the end of the {encoding} body.")
        if chunk is None and not stream.eof:
            raise Malformed(f"The {encoding} body ends too early.")
        return part

    return unpack


def _large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than the {limit} bytes that this server reads.")


def resource(data: bytes) -> dict:
    """The resource that JSON text holds. Errors: Malformed."""
    found = json.loads(data)
    if not isinstance(found, dict):
        raise Malformed("The body must be one JSON object: a resource.")
    if not isinstance(found.get("resourceType"), str):
        raise Malformed("A resource needs a resourceType.", expression="resourceType")
    return found


def pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query or form, percent-decoded. Errors: Invalid for what is not UTF-8 or holds NUL, TooCostly for too many."""
    if not query:
        return []
    if len(query) > LONGEST:
        raise TooCostly(f"The parameters have {len(query)} bytes; {LONGEST} is the most.")
    try:
        found = parse_qsl(query.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=FIELDS)
    except UnicodeDecodeError:
        raise Invalid("The parameters are not UTF-8.") from None
    except ValueError:
        raise TooCostly(f"More than {FIELDS} parameters are not read.") from None
    for name, value in found:
        if "\0" in name or "\0" in value:
            raise Invalid("A parameter holds the NUL character.", expression=name.replace("\0", ""))
    return found
