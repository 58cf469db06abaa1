"""What is read of the MongoDB store: searches, counts and histories, each in the snapshot of a commit number or of a transaction."""
from __future__ import annotations

import time

from app import errors
from app.search.query import ALL, Clause, Key, Newest, Query, narrowed
from app.store.base import ALIVE, Entry, Found
from app.store.mongo import clauses
from app.store.mongo.clauses import ASIDE, Filters, Wide, at_moment, driver, every, rows_of, weaker
from app.store.mongo.collections import STAMP, entry

SECONDS = 20
"""How long one search or count may take."""
WHOLE = {"rows": 0, "pieces": 0}
SURE = {"number", "type", "id", "version", "updated", "custodian"}
"""Columns of a stamp that are never empty: a find can sort by them."""


class Reading:
    """Reads as of commit `at`, or of the newest state that `session` sees where `at` is None; `now` is the request's moment."""

    def __init__(self, db, *, at: int | None, now: int, session=None):
        self.db, self.now, self.session = db, now, session
        self.alive = {"died": ALIVE} if at is None else {"born": {"$lte": at}, "died": {"$gt": at}}
        self.until = time.monotonic() + SECONDS
        self.spilled: set[str] = set()

    def options(self, hint: str | None = None) -> dict:
        """Session, time that is left, index."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise errors.TooCostly(f"This search takes more than {SECONDS} seconds: narrow it.")
        return {"session": self.session, "maxTimeMS": int(left * 1000) + 1, **({"hint": hint} if hint else {})}

    def _find(self, where: dict, project: dict, hint: str | None = None, **more):
        options = self.options(hint)
        return self.db.entries.find(where, project, session=options["session"], hint=options.get("hint"), **more).max_time_ms(options["maxTimeMS"])

    async def _aggregate(self, collection: str, stages: list[dict], hint: str | None = None) -> list[dict]:
        return await (await self.db[collection].aggregate(stages, allowDiskUse=True, **self.options(hint))).to_list()

    # searches

    async def search(self, query: Query, limit: int, after: tuple | None) -> list[Found]:
        """The first `limit` matches after the place `after`."""
        if limit <= 0:
            return []  # to MongoDB a limit of 0 is none
        query = await self._prepared(query)
        try:
            where = await Filters(self, self.spilled).of(query.where)
        except Wide:
            return await self._walk(query, limit, after)
        places = await self._places(query, where, limit, after)
        entries = await self._entries([place[-1] for place in places])
        return [Found(entries[place[-1]], place) for place in places if place[-1] in entries]

    async def count(self, query: Query) -> int:
        query = await self._prepared(query)
        try:
            where = await Filters(self, self.spilled).of(query.where)
        except Wide:
            return sum([len(kept) async for _, kept in self._batches(query._replace(sort=()), None)])
        where = every([self.current(query.types), where])
        return await self.db.entries.count_documents(where, **self.options(driver(query.where, query.types).hint))

    async def meets(self, number: int, clause: Clause) -> bool:
        """The clause holds for this version, current or not."""
        query = await self._prepared(Query((), clause))
        where = await Filters(self, self.spilled, [number]).of(query.where)
        return await self._find(every([{"_id": number}, where]), {"_id": 1}, "_id_", limit=1).to_list() != []

    async def _prepared(self, query: Query) -> Query:
        """With NOW put in, and the parameters known that have rows aside."""
        where = at_moment(narrowed(query.where, query.types), self.now)
        sort = tuple(k._replace(compares=tuple(c._replace(value=self.now) if c.value is clauses.q.NOW else c for c in k.compares)) for k in query.sort)
        names = clauses.params(where) | {param for k in sort for param in k.params}
        if names:
            self.spilled = {d["_id"] for d in await self.db.spilled.find({"_id": {"$in": sorted(names)}}, session=self.session).to_list()}
        return Query(query.types, where, sort)

    def current(self, types: tuple[str, ...]) -> dict:
        """Entries of the types, current in this snapshot and not deleted."""
        named = {} if not types else {"type": types[0]} if len(types) == 1 else {"type": {"$in": list(types)}}
        return {**named, **self.alive, "deleted": False}

    async def _walk(self, query: Query, limit: int, after: tuple | None) -> list[Found]:
        """Candidates in order, batch by batch, until there are enough that hold."""
        found: list[Found] = []
        async for places, kept in self._batches(query, after):
            entries = await self._entries(kept[:limit - len(found)])
            found += [Found(entries[place[-1]], place) for place in places if place[-1] in entries]
            if len(found) >= limit:
                break
        return found

    async def _batches(self, query: Query, after: tuple | None):
        """(places of candidates, the numbers of those that hold, in order), until no candidates are left."""
        loose, where = await self._loose(query)
        while places := await self._places(loose, where, clauses.BATCH, after):
            numbers = [place[-1] for place in places]
            held = await self._meeting(query.where, numbers)
            yield places, [n for n in numbers if n in held]
            after = places[-1]

    async def _loose(self, query: Query) -> tuple[Query, dict]:
        """A query that gives all that this one does, and more, with its filter: what is asked of today's version, which needs a batch, is left to that, and
        semi-joins only where they are too wide."""
        loose = query._replace(where=weaker(query.where, (Newest,)))
        try:
            return loose, await Filters(self, self.spilled).of(loose.where)
        except Wide:
            loose = query._replace(where=weaker(query.where))
            return loose, await Filters(self, self.spilled).of(loose.where)

    async def _meeting(self, where: Clause, numbers: list[int]) -> dict[int, str]:
        """Those of a batch for which the clause holds, with their refs."""
        exact = await Filters(self, self.spilled, numbers).of(where)
        return {d["_id"]: d["ref"] for d in await self._find(every([{"_id": {"$in": numbers}}, exact]), {"ref": 1}, "_id_").to_list()}

    async def _places(self, query: Query, where: dict, limit: int, after: tuple | None) -> list[tuple]:
        """(sort values..., number) of the first matches after a place."""
        where = every([self.current(query.types), where])
        hint = driver(query.where, query.types).hint
        if all(not k.param and k.column in SURE for k in query.sort):
            return await self._along(query.sort, where, hint, limit, after)
        stages = [{"$match": where}, *sorting(query.sort, after, self.spilled), {"$limit": limit}]
        found = await self._aggregate("entries", stages, hint)
        return [(*(d.get(f"k{i}") for i in range(len(query.sort))), d["_id"]) for d in found]

    async def _along(self, keys: tuple[Key, ...], where: dict, hint: str | None, limit: int, after: tuple | None) -> list[tuple]:
        """By columns of the stamp, which an index may follow."""
        fields = [STAMP[k.column] for k in keys]
        order = [(f, -1 if k.descending else 1) for f, k in zip(fields, keys)] + [("_id", direction(keys))]
        if after is not None:
            where = every([where, past(order, after)])
        if hint == "type" and fields == ["updated"]:
            hint = "updated"
        found = await self._find(where, dict.fromkeys(fields, 1) or {"_id": 1}, hint, sort=order, limit=limit).to_list()
        return [(*(d[f] for f in fields), d["_id"]) for d in found]

    async def _entries(self, numbers: list[int]) -> dict[int, Entry]:
        found = {}
        for start in range(0, len(numbers), clauses.BATCH):
            for made in await self._find({"_id": {"$in": numbers[start:start + clauses.BATCH]}}, WHOLE, "_id_").to_list():
                found[made["_id"]] = await self.whole(made)
        return found

    async def whole(self, made: dict) -> Entry:
        """The entry of a document, a large text put together."""
        result = entry(made)
        if made.get("parts"):
            parts = await self.db.texts.find({"number": result.number}, session=self.session).sort("part").to_list()
            result.text = b"".join(p["text"] for p in parts)
        return result

    async def newest(self, type: str, id: str, version: int | None = None) -> Entry | None:
        """The newest version of a resource, or the one asked for."""
        where = {"type": type, "id": id, **({} if version is None else {"version": version})}
        found = await self._find(where, WHOLE, "version", sort=[("version", -1)], limit=1).to_list()
        return await self.whole(found[0]) if found else None

    # semi-joins, asked of this snapshot

    async def values(self, types: tuple[str, ...], clause: Clause, param: str | None, bound: dict | None) -> list[str]:
        """The refs of current entries for which `clause` holds, or the codes of their rows of `param`. Raises Wide where `bound` is None and they are many."""
        base = every([self.current(types), bound or {}])
        hint = None if bound else driver(clause, types).hint
        try:
            where = every([base, await Filters(self, self.spilled).of(clause)])
        except Wide:
            if bound is None:
                raise
            return await self._values_in_batches(types, clause, param, bound)
        return await self._distinct(where, param, None if bound else clauses.SET, hint)

    async def _values_in_batches(self, types, clause, param, bound) -> list[str]:
        found: set[str] = set()
        loose, after = weaker(clause), {}
        where = every([self.current(types), bound, await Filters(self, self.spilled).of(loose)])
        while numbers := [d["_id"] for d in await self._find(every([where, after]), {"_id": 1}, sort=[("_id", -1)], limit=clauses.BATCH).to_list()]:
            exact = await Filters(self, self.spilled, numbers).of(clause)
            found.update(await self._distinct(every([{"_id": {"$in": numbers}}, exact]), param, None, "_id_"))
            after = {"_id": {"$lt": numbers[-1]}}
        return sorted(found)

    async def _distinct(self, where: dict, param: str | None, most: int | None, hint: str | None) -> list[str]:
        if param is None:
            stages = [{"$match": where}, {"$group": {"_id": "$ref"}}]
        else:
            where = every([where, {"rows": {"$elemMatch": {"pc": param}}}]) if param not in self.spilled else where
            stages = [{"$match": where}, *unwound(param)]
        found = {d["_id"] for d in await self._aggregate("entries", stages + ([{"$limit": most + 1}] if most else []), hint)}
        if param in self.spilled:
            found |= await self._distinct_aside(where, param)
        if most and len(found) > most:
            raise Wide
        return sorted(found)

    async def _distinct_aside(self, where: dict, param: str) -> set[str]:
        have = [d["_id"] for d in await self._aggregate("rows", [{"$match": {"rows": {"$elemMatch": {"pc": param}}}}, {"$group": {"_id": "$number"}}], "rows_code")]
        numbers = [d["_id"] for d in await self._find(every([where, {"_id": {"$in": have}}]), {"_id": 1}, "_id_").to_list()]
        return {d["_id"] for d in await self._aggregate("rows", [{"$match": {"number": {"$in": numbers}}}, *unwound(param)], "number")}

    async def codes(self, param: str, numbers: list[int]) -> list[str]:
        """The codes of the rows of `param` in a batch of entries."""
        found = {d["_id"] for d in await self._aggregate("entries", [{"$match": {"_id": {"$in": numbers}}}, *unwound(param)], "_id_")}
        if param in self.spilled:
            found |= {d["_id"] for d in await self._aggregate("rows", [{"$match": {"number": {"$in": numbers}}}, *unwound(param)], "number")}
        return sorted(found)

    async def column(self, stamp: str, numbers: list[int]) -> list:
        """The values of a stamp's column in a batch of entries."""
        name = clauses.field(stamp)
        found = [d.get(name) for d in await self._find({"_id": {"$in": numbers}}, {name: 1}, "_id_").to_list()]
        return sorted({v for value in found for v in (value if isinstance(value, list) else [value]) if v is not None})

    async def today(self, clause: Clause, numbers: list[int]) -> list[str]:
        """The refs of a batch whose newest versions meet a clause, as of the newest commit."""
        refs = await self.column("ref", numbers)
        heads = [d["_id"] for d in await self._find({"ref": {"$in": refs}, "died": ALIVE}, {"_id": 1}, "ref").to_list()]
        newest = Reading(self.db, at=None, now=self.now, session=self.session)
        newest.spilled, newest.until = self.spilled, self.until
        return sorted((await newest._meeting(clause, heads)).values())

    async def granted(self, where: dict, columns: tuple[str, ...], *, bounded: bool) -> list[dict]:
        """The different combinations of `columns` in the facts. Raises Wide where they are many and not bounded by a batch."""
        if not columns:
            return [{}] if await self.db.facts.find(where, {"_id": 1}, session=self.session).limit(1).to_list() else []
        stages = [{"$match": where}, {"$group": {"_id": {c: f"${c}" for c in columns}}}, *([] if bounded else [{"$limit": clauses.SET + 1}])]
        found = await self._aggregate("facts", stages)
        if not bounded and len(found) > clauses.SET:
            raise Wide
        return [d["_id"] for d in found]

    async def aside(self, where: dict, numbers: list[int] | None) -> list[int]:
        """The numbers of entries that meet a condition on rows in side documents."""
        bound = {} if numbers is None else {"number": {"$in": numbers}}
        stages = [{"$match": every([bound, where])}, {"$group": {"_id": "$number"}}, {"$limit": ASIDE + 1}]
        found = [d["_id"] for d in await self._aggregate("rows", stages, "number" if bound else None)]
        if len(found) > ASIDE:
            raise errors.TooCostly("Too many resources with very many values match; narrow the search.")
        return found

    async def rarest(self, pieces: list[str]) -> str:
        """Of some pieces the one that the fewest entries have."""
        if len(pieces) == 1:
            return pieces[0]
        sizes = [await self.db.entries.count_documents({"pieces": piece}, limit=clauses.SET, **self.options("pieces")) for piece in pieces]
        return pieces[sizes.index(min(sizes))]

    # versions

    async def history(self, query: Query, limit: int, at: int, *, id, since, until, moment, after, own) -> list[Entry]:
        """Versions newest first, see app.store.base.Store.history."""
        query = await self._prepared(query)
        parts: list[dict] = [{"born": {"$lte": at}}]
        if query.types:
            parts.append({"type": query.types[0]} if len(query.types) == 1 else {"type": {"$in": list(query.types)}})
        if id is not None:
            parts.append({"id": id})
        if since is not None or until is not None:
            parts.append({"updated": {op: v for op, v in (("$gte", since), ("$lte", until)) if v is not None}})
        if moment is not None:
            parts += [{"updated": {"$lte": moment[1]}}, {"$or": [{"ended": None}, {"ended": {"$gt": moment[0]}}]}]
        parts.append(await Filters(self, self.spilled).of(own))
        hint = None if own != ALL else "version" if id is not None and query.types else "type" if query.types else "_id_"
        found: list[Entry] = []
        while len(found) < limit:
            size = limit if query.where == ALL else clauses.BATCH
            bound = [] if after is None else [{"_id": {"$lt": after}}]
            numbers = [d["_id"] for d in await self._find({"$and": parts + bound}, {"_id": 1}, hint, sort=[("_id", -1)], limit=size).to_list()]
            held = numbers if query.where == ALL or not numbers else await self._meeting(query.where, numbers)
            kept = [n for n in numbers if n in held]
            entries = await self._entries(kept[:limit - len(found)])
            found += [entries[n] for n in kept if n in entries]
            if len(numbers) < size:
                break
            after = numbers[-1]
        return found


def unwound(param: str) -> list[dict]:
    """Stages that give the different codes of rows of `param`."""
    return [{"$unwind": "$rows"}, {"$match": {"rows.pc": param}}, {"$group": {"_id": "$rows.c"}}]


def sorting(keys: tuple[Key, ...], after: tuple | None, spilled: set[str]) -> list[dict]:
    """Stages that give k0, k1, ... (of the first row in each key's direction), entries without a value last, ties in the last key's."""
    values = {f"k{i}": value(k, not spilled.isdisjoint(k.params)) for i, k in enumerate(keys)}
    missing = {f"m{i}": {"$cond": [{"$gt": [f"$k{i}", None]}, 0, 1]} for i in range(len(keys))}
    order = [pair for i, k in enumerate(keys) for pair in ((f"m{i}", 1), (f"k{i}", -1 if k.descending else 1))] + [("_id", direction(keys))]
    aside = [{"$lookup": {"from": "rows", "localField": "_id", "foreignField": "number", "as": "aside"}}] if any(not spilled.isdisjoint(k.params) for k in keys) else []
    stages = [*aside, {"$project": values}, {"$addFields": missing}]
    if after is not None:
        place = [v for item in after[:-1] for v in (0 if item is not None else 1, item)] + [after[-1]]
        stages.append({"$match": past(order, tuple(place))})
    return [*stages, {"$sort": dict(order)}]


def direction(keys: tuple[Key, ...]) -> int:
    """Of ties: that of the last key, or the newest first."""
    return 1 if keys and not keys[-1].descending else -1


def value(key: Key, aside: bool) -> dict:
    """The expression for what a key sorts by; `aside`: some entries have such rows in side documents."""
    if not key.param:
        return {"$ifNull": [f"${STAMP[key.column]}", None]}
    first = "$max" if key.descending else "$min"
    found = [{first: rows_of(param, key.compares, key.column)} for param in key.params]
    if aside:
        found += [{first: {"$map": {"input": "$aside", "as": "d", "in": {first: rows_of(param, key.compares, key.column, "$$d.rows")}}}} for param in key.params]
    return found[0] if len(found) == 1 else {first: found}


def past(order: list[tuple[str, int]], place: tuple) -> dict:
    """The filter of what comes after a place in an order; where a value is None it is None for all that are equal so far."""
    ways, equal = [], []
    for (name, direction), at in zip(order, place):
        if at is not None:
            ways.append({"$and": [*equal, {name: {"$gt" if direction > 0 else "$lt": at}}]})
        equal.append({name: at})
    return {"$or": ways}
