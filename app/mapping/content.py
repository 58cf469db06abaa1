"""What a resource says, as an import compares it: without what the server or the feed put into its meta. As a dict, or as the text that a process mapped ahead."""
from __future__ import annotations

from hashlib import sha256

from app.fhir import json

SERVER = ("versionId", "lastUpdated", "source")
CUSTODIAN = "https://yilian.example/fhir/CodeSystem/custodian"
FIRST = ("resourceType", "id", "meta")
"""What stands first in a stored text."""


class Early:
    """A mapped resource as text. head: its FIRST elements, without the closing brace; rest: all that follows, with it; mark: its digest;
    prepared: what it is stored as where nothing is (app.records.Prepared), or None."""

    __slots__ = ("ref", "head", "rest", "mark", "prepared", "_resource")

    def __init__(self, ref: str, head: bytes, rest: bytes, mark: str, prepared=None):
        self.ref, self.head, self.rest, self.mark, self.prepared = ref, head, rest, mark, prepared
        self._resource: dict | None = None

    @property
    def resource(self) -> dict:
        if self._resource is None:
            self._resource = json.loads(self.head + (b"" if self.rest == b"}" else b",") + self.rest)
        return self._resource


def whole(content: dict | Early) -> dict:
    """The content as a dict."""
    return content.resource if content.__class__ is Early else content


def split(content: dict | Early) -> tuple[bytes, bytes]:
    """Its text as head and rest."""
    if content.__class__ is Early:
        return content.head, content.rest
    content = bare(content) if "meta" in content else content
    return (json.dumps({key: content[key] for key in FIRST if key in content})[:-1],
            json.dumps({key: value for key, value in content.items() if key not in FIRST})[1:])


def mark(content: dict | Early) -> str:
    """12 hex digits of a content, whatever the order of its elements."""
    if content.__class__ is Early:
        return content.mark
    return sha256(json.dumps(dict(sorted((bare(content) if "meta" in content else content).items())))).hexdigest()[:12]


def bare(resource: dict) -> dict:
    """The resource without version, time, source and custodian: what the no-op comparison looks at."""
    meta = {}
    for key, value in (resource.get("meta") or {}).items():
        if key == "tag":
            value = [tag for tag in value if tag.get("system") != CUSTODIAN]
        if key not in SERVER and value:
            meta[key] = value
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return {**rest, "meta": meta} if meta else rest
