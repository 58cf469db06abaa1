"""A few resources in a store, and as the judge sees them: what the store finds is what `match` finds, in its order, and as many."""
from __future__ import annotations

from app.fhir import json
from app.search import index, match, parse, stamp
from app.search.context import Context
from app.search.types import date
from app.store.base import Entry

ZONE, BASE = "Asia/Shanghai", "http://test/fhir"
NOW = date.span("2026-01-01", ZONE)[0]
CONTEXT = Context(ZONE, BASE, NOW)


def search(text: str, context: Context = CONTEXT) -> parse.Search:
    """`Type?parameters` as a search; without a type one of the whole system."""
    type, _, query = text.partition("?")
    return parse.parse((type,) if type else (), parse.pairs(query), context)


class Shelf:
    """The resources in a store, and as (entry, rows)."""

    def __init__(self, store, resources: list[dict]):
        self.store, self.resources, self.items = store, resources, []

    async def fill(self) -> None:
        async def work(tx):
            self.items = []
            for resource in self.resources:
                rows, marks = index.rows(resource, ZONE, BASE), stamp.stamp(resource, ZONE, BASE)
                entry = Entry(resource["resourceType"], resource["id"], 1, json.dumps(resource), NOW, about=marks.about, date=marks.date)
                await tx.write(entry, rows)
                self.items.append((entry, rows))
        await self.store.commit(work)

    def current(self, type: str, id: str):
        return next((item for item in self.items if item[0].ref == f"{type}/{id}"), None)

    def referring(self, param: str, type: str, ref: str):
        return [item for item in self.items if item[0].type == type and any(r.param == param and r.code == ref for r in item[1])]

    def facts(self):
        return ()

    async def find(self, query) -> list[str]:
        """The ids in order, on which the store and the judge agree."""
        at = await self.store.newest()
        stored = [f.entry.id for f in await self.store.search(query, at=at, now=NOW, limit=1000)]
        judged = [entry.id for entry, _ in match.order(query, [item for item in self.items if match.match(query, *item, self, NOW)])]
        assert stored == judged
        assert await self.store.count(query, at=at, now=NOW) == len(judged)
        return stored

    async def ids(self, text: str) -> list[str]:
        """The ids that a search finds, by the alphabet."""
        return sorted(await self.find(search(text).query))
