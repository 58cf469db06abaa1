"""What the references of a commit's changes become: names of entries, versions of them, and conditional references.

http://hl7.org/fhir/R4/http.html#trules
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable

from app import errors
from app.fhir import json, reference

ROUNDS = 10
"""Conditional references may find what other changes of the commit bring, which may wait for conditional references of their own, so many times."""
VERSION = "/_history/"


class Links:
    """names: what a change may be called -> `Type/id`; versions: `Type/id` -> version, of what is written or sure to be;
    find: (type, condition) -> what it finds now, as `Type/id`, two at most."""

    def __init__(self, names: dict[str, str], find: Callable[[str, str], Awaitable[list[str]]]):
        self.names, self.find, self.versions, self.known = names, find, {}, {}
        self._foreign = any("://" in name for name in names)

    def plain(self, resource: dict) -> bool:
        """Whether nothing in it can be a reference to be replaced: told by its text, for most have none."""
        if self._foreign:
            return False
        written = json.dumps(resource)
        return b"?" not in written and not (self.names and b"urn:" in written)

    def wants(self, resource: dict) -> set[str]:
        """The references that cannot be told before others are written: conditional ones, and versions of what the commit changes."""
        wanted: set[str] = set()
        reference.rewrite(resource, lambda text: wanted.add(text) if reference.is_conditional(text) or self._versioned(text) in self.names else None)
        return wanted

    def rewrite(self, resource: dict) -> dict:
        """The resource with what is known put in the place of its references."""
        return reference.rewrite(resource, self._other)

    def _other(self, text: str) -> str | None:
        head, mark, fragment = text.partition("#")
        found = self.known.get(text) or self.names.get(text)
        return found or (f"{self.names[head]}#{fragment}" if mark and head in self.names else None)

    def _versioned(self, text: str) -> str:
        return text.rpartition(VERSION)[0]

    async def look(self, text: str) -> bool:
        """Whether a wanted reference is known by now. Errors: Ambiguous."""
        if text in self.known:
            return True
        found = await self._conditional(text) if reference.is_conditional(text) else self._version(text)
        if found:
            self.known[text] = found
        return bool(found)

    async def _conditional(self, text: str) -> str | None:
        type, _, condition = text.partition("?")
        found = await self.find(type, condition)
        if len(found) > 1:
            raise errors.Ambiguous(f"The conditional reference {text} matches more than one resource.")
        return found[0] if found else None

    def _version(self, text: str) -> str | None:
        ref = self.names[self._versioned(text)]
        return f"{ref}{VERSION}{self.versions[ref]}" if ref in self.versions else None

    def unknown(self, wanted: set[str]) -> errors.Failure:
        """What is to be said of a change that waits in vain."""
        text = min(wanted - self.known.keys())
        if reference.is_conditional(text):
            return errors.VersionMismatch(f"The conditional reference {text} matches nothing.")
        return errors.Invalid(f"{text} names a version that comes to be only after the one that refers to it.")

    async def confirm(self, types: set[str]) -> None:
        """Conditional references to types of which more was written since they were looked for still find the same. Errors: Ambiguous."""
        for text, ref in self.known.items():
            if reference.is_conditional(text) and text.partition("?")[0] in types and await self._conditional(text) != ref:
                raise errors.Ambiguous(f"The conditional reference {text} matches something else once the transaction is done.")


def names(url: str, ref: str) -> dict[str, str]:
    """What others in the same commit may call a change: its fullUrl, and what is relative to a RESTful one."""
    relative = "/".join(url.rsplit("/", 2)[-2:])
    own = relative.startswith(ref.partition("/")[0] + "/") and relative != ref and "://" in url
    return {url: ref, **({relative: ref} if own else {})}
