"""What the MongoDB store sends: every command that reads entries names an index of what it asks for."""
from __future__ import annotations

import pytest
from pymongo.monitoring import CommandListener

from app.search.query import Compare, Query, Row, Stamp
from app.store.base import Entry, Event, Fact
from app.store.mongo import clauses, collections
from tests.store.test_sqlite_plans import SEARCHES
from tests.store.writing import access

LARGE = {"entries", "rows", "texts", "facts", "accesses"}
DECLARED = {(d._meta["collection"], options["name"]): [f for f, _ in keys] for d in collections.ALL for keys, options in collections.indexes(d)}


class Sent(CommandListener):
    """The reading commands that went to the server."""

    def __init__(self):
        self.commands: list[dict] = []

    def started(self, event):
        if event.command_name in ("find", "aggregate", "count", "distinct"):
            self.commands.append(dict(event.command))

    def succeeded(self, event):
        pass

    failed = succeeded


@pytest.fixture
async def watched(mongo_opening):
    """(a store with some entries, what it sends from now on)."""
    sent = Sent()
    async with mongo_opening(event_listeners=[sent]) as store:
        async def work(tx):
            for i in range(5):
                await tx.write(Entry("Patient", f"p{i}", 1, b"{}", custodian="a", about=(f"Patient/p{i}",)), [Row("Patient.name", code=f"A{i}", text=f"a{i}")], [])
                await tx.write(Entry("Observation", f"o{i}", 1, b"{}", custodian="a", about=(f"Patient/p{i}",)), [
                    Row("Observation.code", system="http://loinc.org", code="8867-4"), Row("Observation.subject", code=f"Patient/p{i}"),
                    Row("Observation.date", low=i, high=i)], [Fact("allow", "b", patient="Patient/p1")] if i == 0 else [])
        await store.commit(work)
        await store.keep([access(1, Event("R", "read", "Patient/p1", 1, "Patient/p1"))])
        sent.commands.clear()
        yield store, sent


def unbounded(commands: list[dict]) -> list[str]:
    """Commands on large collections without an index of ours whose first field they ask for."""
    return [str(c)[:300] for c in commands if next(iter(c.values())) in LARGE and not _bounded(c)]


def _bounded(command: dict) -> bool:
    collection = next(iter(command.values()))
    pipeline = command.get("pipeline")
    where = pipeline[0].get("$match", {}) if pipeline else command.get("filter", command.get("query", {}))
    hint, asked = command.get("hint"), set(_fields(where))
    if hint is None:
        leading = {keys[0] for (of, _), keys in DECLARED.items() if of == collection} | {"_id"}
        return bool(asked & leading)
    keys = ["_id"] if hint == "_id_" else DECLARED[collection, hint]
    return keys[0] in asked or bool(command.get("limit"))


def _fields(where: dict, before: str = ""):
    for name, value in where.items():
        if name in ("$and", "$or"):
            for part in value:
                yield from _fields(part, before)
        elif isinstance(value, dict) and "$elemMatch" in value:
            yield before + name
            yield from _fields(value["$elemMatch"], f"{before}{name}.")
        elif not name.startswith("$"):
            yield before + name


@pytest.mark.parametrize("name", SEARCHES)
async def test_every_command_of_a_search_and_a_count_is_bounded_by_an_index(watched, name):
    store, sent = watched
    at = await store.newest()
    await store.search(SEARCHES[name], at=at, now=0, limit=3)
    await store.count(SEARCHES[name], at=at, now=0)
    assert sent.commands and not unbounded(sent.commands)


@pytest.mark.parametrize("types, id", [(("Observation",), "o1"), (("Observation",), None), ((), None)])
async def test_every_command_of_a_history_is_bounded_by_an_index(watched, types, id):
    store, sent = watched
    assert await store.history(Query(types, Stamp((Compare("custodian", "eq", "a"),))), at=await store.newest(), now=0, limit=3, id=id)
    assert not unbounded(sent.commands)


@pytest.mark.parametrize("asked", [(), (("patient", "Patient/p1"),), (("entity", "Patient/p1"),), (("client", "emr"),)])
async def test_every_command_of_a_search_of_the_log_is_bounded_by_an_index(watched, asked):
    store, sent = watched
    assert len(await store.events(Stamp(tuple(Compare(column, "eq", value) for column, value in asked)), limit=5)) == 1
    assert not unbounded(sent.commands)


async def test_a_command_that_names_no_index_of_what_it_asks_for_is_noticed(watched, monkeypatch):
    store, sent = watched
    monkeypatch.setitem(clauses.INDEX, "code", "rows_text")
    await store.count(SEARCHES["a token"], at=await store.newest(), now=0)
    assert unbounded(sent.commands)
