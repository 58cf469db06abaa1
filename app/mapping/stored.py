"""What is stored of that which an import names, seen as the site's own caller sees it."""
from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable

from app.fhir import json
from app.mapping import references
from app.mapping.content import CUSTODIAN, Early
from app.mapping.mapped import Mapped, targets
from app.mapping.merge import State, same, stored
from app.mapping.rules import Site

PAGE = 200
"""Ids asked for in one search."""
KNOWN = 200_000
"""References whose targets are remembered to be there."""


class Stored:
    """Looks things up with the `search` of the waist; `there` remembers references whose targets exist."""

    def __init__(self, search, site: Site):
        self._search, self.site = search, site
        self.there: dict[str, None] = {}
        self.written: set[str] = set()
        """What the last chunk has changed."""
        self._begun: tuple[list[Mapped], asyncio.Task] | None = None

    def begin(self, batch: list[Mapped]) -> None:
        """Begins to look for what a batch names, while the chunk before it is still being written."""
        self._begun = batch, asyncio.create_task(self._states(batch))
        self._begun[1].add_done_callback(lambda task: task.cancelled() or task.exception())  # of one that nobody asks for any more

    async def states(self, batch: list[Mapped]) -> dict[str, State]:
        """The states by `Type/id` of all that the batch names."""
        begun, self._begun = self._begun, None
        if begun and begun[0] is batch:
            states = await begun[1]
            if self.written.isdisjoint(made.ref for mapped in batch for made in mapped.made) and self.written.isdisjoint(target.reference for target in targets(batch)):
                return states
        return await self._states(batch)

    async def _states(self, batch: list[Mapped]) -> dict[str, State]:
        wanted: dict[str, dict[str, dict | Early]] = {}
        for mapped in batch:
            for made in mapped.made:
                type, _, id = made.ref.partition("/")
                wanted.setdefault(type, {})[id] = made.content
        states = {}
        for type, by in wanted.items():
            for ref, entry in (await self.fetch(type, sorted(by))).items():
                states[ref] = same(by[entry.id], entry.text, entry.version, self.site.name) or stored(entry.text, entry.version, self.site.name)
        await self._look({target.reference for target in targets(batch)} - states.keys())
        return states

    async def _look(self, refs: Iterable[str]) -> None:
        """Remembers which of these are there."""
        if len(self.there) > KNOWN:
            self.there.clear()
        wanted: dict[str, list[str]] = {}
        for type, slash, id in (ref.partition("/") for ref in refs if "?" not in ref and ref not in self.there):
            wanted.setdefault(type, []).append(id)
        for type, names in wanted.items():
            self.there.update(dict.fromkeys(await self.fetch(type, sorted(names))))

    async def found(self, batch: list[Mapped]) -> dict[str, set[str]]:
        """What each lookup of the batch finds among the site's own resources."""
        found: dict[str, set[str]] = {target.reference: set() for target in targets(batch) if "?" in target.reference}
        by: dict[str, list[str]] = {}
        for type, _, value in (one.partition("?identifier=") for one in found):
            by.setdefault(type, []).append(_escaped(value))
        for type, values in by.items():
            for start in range(0, len(values), PAGE):
                async for entry in self.all(type, [("identifier", ",".join(values[start:start + PAGE])), ("_tag", f"{CUSTODIAN}|{self.site.organization}")]):
                    references.notice(found, f"{type}/{entry.id}", json.loads(entry.text))
        return found

    async def all(self, type: str, pairs: list[tuple[str, str]], count: int = PAGE) -> AsyncIterator:
        """Every entry of a search."""
        page = await self._search((type,), [*pairs, ("_count", str(count))])
        while True:
            for entry in page.entries:
                yield entry
            if not page.next:
                return
            page = await self._search((type,), [], cursor=page.next)

    async def fetch(self, type: str, names: list[str]) -> dict:
        """Entries by `Type/id`, of those that exist."""
        found = {}
        for start in range(0, len(names), PAGE):
            page = await self._search((type,), [("_id", ",".join(names[start:start + PAGE])), ("_count", str(PAGE))])
            found.update({f"{entry.type}/{entry.id}": entry for entry in page.entries})
        return found

    async def one(self, type: str, id: str):
        """The entry, or None."""
        return (await self.fetch(type, [id])).get(f"{type}/{id}")

    async def has(self, type: str, id: str, version: str) -> bool:
        """It is there, and its business version is this one; its text is not read."""
        return bool((await self._search((type,), [("_id", id), ("version", version), ("_summary", "count")])).total)


def _escaped(value: str) -> str:
    """`system|value` as a search takes it: what separates within either is escaped."""
    system, _, number = value.partition("|")
    return "|".join(re.sub(r"([\\$,|])", r"\\\1", part) for part in (system, number))
