"""Events of the log: access records hold the events that they render to; a search unwinds those of the records that can match.

https://www.mongodb.com/docs/manual/reference/operator/aggregation/unwind/
"""
from __future__ import annotations

from app.search.query import ALL, And, Clause, Not, Or, Stamp
from app.store.base import Event, Seen
from app.store.mongo import clauses
from app.store.mongo.clauses import compared, every, some
from app.store.mongo.collections import ACCESS, access
from app.store.mongo.reading import past

FIELD = {**{c: c for c in ACCESS}, "number": "_id", "ordinal": "ordinal", **{c: f"events.{c}" for c in Event._fields}}
"""Column of an access record or event -> its field, once the events are unwound."""
HINTS = {"patient": "patient", "entity": "entity", "user": "user", "client": "client", "organization": "organization"}


async def find(db, where: Clause, *, limit: int, after: tuple | None, ascending: bool) -> list[Seen]:
    """Events in the order of their time, then record and ordinal; records are taken in that order, batch by batch."""
    sign, op = (1, "$gte") if ascending else (-1, "$lte")
    holds = condition(where)
    order = [("at", sign), ("_id", sign), ("ordinal", sign)]
    seen: list[Seen] = []
    start = after
    while len(seen) < limit:
        bound = every([possible(where), {"at": {op: start[0]}} if start else {}, _from(start, op, sign) if start else {}])
        found = await db.accesses.find(bound, {"_id": 1, "at": 1}).sort(order[:2]).limit(clauses.BATCH).hint(hint(where)).to_list()
        stages = [{"$match": {"_id": {"$in": [d["_id"] for d in found]}}}, {"$unwind": {"path": "$events", "includeArrayIndex": "ordinal"}},
                  {"$match": every([holds, past(order, after) if after else {}])},
                  {"$project": {"at": 1, "ordinal": 1}}, {"$sort": dict(order)}, {"$limit": limit - len(seen)}]
        hits = await (await db.accesses.aggregate(stages, hint="_id_")).to_list()
        kept = {d["_id"]: access(d) for d in await db.accesses.find({"_id": {"$in": sorted({h["_id"] for h in hits})}}).to_list()}
        seen += [Seen(kept[h["_id"]], int(h["ordinal"]), (h["at"], h["_id"], int(h["ordinal"]))) for h in hits]
        if len(found) < clauses.BATCH:
            break
        start = after = (found[-1]["at"], found[-1]["_id"], 2**31 if ascending else -1)
    return seen


def _from(start: tuple, op: str, sign: int) -> dict:
    """Records from that of a place on, itself included."""
    return {"$or": [{"at": {"$gt" if sign > 0 else "$lt": start[0]}}, {"_id": {op: start[1]}}]}


async def count(db, where: Clause) -> int:
    stages = [{"$match": possible(where)}, {"$unwind": {"path": "$events", "includeArrayIndex": "ordinal"}}, {"$match": condition(where)}, {"$count": "events"}]
    found = await (await db.accesses.aggregate(stages, hint=hint(where))).to_list()
    return found[0]["events"] if found else 0


def condition(clause: Clause) -> dict:
    """The filter of unwound events."""
    if isinstance(clause, And):
        return every([condition(p) for p in clause.parts])
    if isinstance(clause, Or):
        return some([condition(p) for p in clause.parts])
    if isinstance(clause, Not):
        return {"$nor": [condition(clause.part)]}
    return every([_compared(c) for c in clause.compares])


def possible(clause: Clause) -> dict:
    """A filter of records that holds wherever one of their events can meet the clause."""
    return condition(_possible(clause))


def _possible(clause: Clause) -> Clause:
    if isinstance(clause, And):
        return And(tuple(_possible(p) for p in clause.parts))
    if isinstance(clause, Or):
        parts = tuple(_possible(p) for p in clause.parts)
        return ALL if any(p in (ALL, Stamp(())) for p in parts) else Or(parts)
    if isinstance(clause, Not):
        return ALL
    return Stamp(tuple(c for c in clause.compares if c.column != "ordinal" and c.how not in ("none", "some")))


def hint(where: Clause) -> str:
    """The index that leads with what is asked for, else the one by time."""
    parts = where.parts if isinstance(where, And) else (where,)
    asked = {c.column for p in parts if isinstance(p, Stamp) for c in p.compares if c.how == "eq"}
    if "number" in asked:
        return "_id_"
    return next((HINTS[c] for c in HINTS if c in asked), "at")


def _compared(compare) -> dict:
    # the empty text is how these columns say that there is nothing
    if compare.how in ("none", "some") or compare.how == "prefix" and not compare.value:
        return {FIELD[compare.column]: {"$eq" if compare.how == "none" else "$ne": ""}}
    return compared(FIELD[compare.column], compare.how, compare.value)
