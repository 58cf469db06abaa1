"""Bundles put together from stored bytes; no resource in them is parsed. https://hl7.org/fhir/R4/bundle.html"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from functools import lru_cache

from app.fhir import json


def bundle(kind: str, entries: Iterable[bytes], *, total: int | None = None, links: Iterable[tuple[str, str]] = ()) -> bytes:
    """A Bundle of `kind` (searchset, history, transaction-response, batch-response); entries by `entry`, links as (relation, url)."""
    parts = [b'{"resourceType":"Bundle","type":', json.dumps(kind)]
    if total is not None:
        parts.append(b',"total":%d' % total)
    links = [{"relation": relation, "url": url} for relation, url in links]
    if links:
        parts += [b',"link":', json.dumps(links)]
    held = b",".join(entries)
    if held:
        parts += [b',"entry":[', held, b"]"]
    return b"".join(parts) + b"}"


def entry(*, url: str = "", text: bytes | None = None, search: dict | None = None, request: dict | None = None, response: dict | None = None) -> bytes:
    """One entry: `text` is the resource's JSON as it is sent."""
    parts = [b'"fullUrl":' + json.dumps(url)] if url else []
    if text is not None:
        parts.append(b'"resource":' + text)
    parts += [b'"%s":' % name + json.dumps(part) for name, part in ((b"search", search), (b"request", request), (b"response", response)) if part]
    return b"{" + b",".join(parts) + b"}"


def instant(at: int) -> str:
    """Microseconds UTC as a FHIR instant with milliseconds."""
    return f"{_second(at // 1_000_000)}.{at // 1000 % 1000:03d}Z"


@lru_cache(10_000)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
