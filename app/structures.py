"""Profiles and extension definitions that are stored, as a caller sees them, beside those that the server knows by itself."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app import terms
from app.fhir import json
from app.fhir.profile import BASE, Library, known
from app.search.query import Query
from app.store.base import Found

MOST = 50
"""Urls that one request looks for in the store; more are not known."""
Find = Callable[[Query, int], Awaitable[list[Found]]]
T = TypeVar("T")


class _Wanted(Exception):
    """What is being judged names a definition that was not looked for yet."""


class Structures(Library):
    """What the server knows, then what `judged` has found in the store. The standard's own mean what the standard says, whatever is stored."""

    def __init__(self):
        super().__init__((), known())
        self._looked: set[str] = set()

    def structure(self, url: str | None) -> dict | None:
        bare = (url or "").partition("|")[0]
        if ":" in bare and not bare.startswith(BASE) and bare not in self._looked and len(self._looked) < MOST and self.below.structure(bare) is None:
            raise _Wanted(bare)
        return super().structure(url)

    async def judged(self, judge: Callable[["Structures"], T], find: Find, base: str) -> T:
        """What `judge` gives, a pure function of the definitions, called again each time it needs another one of the store.

        find: (query, limit) -> what the caller sees; base: this server's FHIR base url. Errors: as judge; TooCostly.
        """
        while True:
            try:
                return judge(self)
            except _Wanted as wanted:
                url = wanted.args[0]
                text = await terms.stored("StructureDefinition", url, find, base)
                self._looked.add(url)
                if text is not None:
                    self.add(url, json.loads(text))


def alone(judge: Callable[[Structures], T]) -> T | None:
    """What `judge` gives by what the server knows itself; None where it needs what may be stored."""
    try:
        return judge(Structures())
    except _Wanted:
        return None
