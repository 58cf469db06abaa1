"""Access records that go straight into the store."""
from __future__ import annotations

import asyncio
import uuid
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from pymongo.errors import BulkWriteError

from app import errors
from app.audit import record
from app.audit.direct import Direct
from app.main import open_world
from app.records import Change, Records
from app.settings import Settings
from app.store.base import Event
from app.store.sqlite import SqliteStore
from app.search.query import ALL
from app.store.mongo import MongoStore
from tests.audit.conftest import door
from tests.conftest import hospital, operator
from tests.store.proxy import Proxy


def access(step: int):
    return record.access(hospital("a"), at=step, events=(Event("R", "read", f"Patient/{step}"),), outcome="0", site="here")


async def test_what_waits_together_is_kept_in_order_before_any_answer():
    store = await SqliteStore.open(":memory:")
    direct = Direct(store)
    written = await asyncio.gather(*(direct.write(access(i)) for i in range(1200)))
    assert [a.sequence for a in written] == list(range(1200)) and await store.kept(direct.id) == 1199
    await direct.close()
    await store.close()


async def test_a_store_that_does_not_keep_them_is_a_503():
    class Gone:
        async def keep(self, accesses):
            raise ConnectionError("gone")
    with pytest.raises(errors.Unavailable):
        await Direct(Gone()).write(access(1))
    direct = Direct(Gone())
    failures = await asyncio.gather(*(direct.write(access(i)) for i in range(3)), return_exceptions=True)
    assert len({id(f) for f in failures}) == 3  # each request tells its own place in it


async def test_a_store_elsewhere_needs_no_folder_here(mongo_url, transactions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = urlsplit(mongo_url)._replace(path=f"/yilian_test_{uuid.uuid4().hex[:12]}").geturl()
    async with open_world(Settings(store=url, open=True, without_transactions=not transactions)) as world:
        with pytest.raises(errors.Absent):
            await Records(world, operator()).read("Patient", "none")
        assert len((await Records(world, operator()).search(("AuditEvent",), [])).entries) == 1
        await world.store.client.drop_database(world.store.db.name)
    assert list(tmp_path.iterdir()) == []


# a database that fails

PATHS = ("Patient/p1", "Patient/none", "Patient?gender=male", "Patient/p1/_history", "Patient?x=1", "Patient/p1?x=1")


@pytest_asyncio.fixture
async def proxied(mongo_world, mongo_url, transactions):
    """(a world that reaches the same database through a proxy, the proxy); it holds Patient/p1."""
    await Records(mongo_world, operator()).commit([Change("update", "Patient", "p1", resource={"resourceType": "Patient", "id": "p1", "gender": "male"})])
    async with Proxy(urlsplit(mongo_url)._replace(path=f"/{mongo_world.store.db.name}").geturl()) as proxy:
        store = await MongoStore.open(proxy.url, without_transactions=not transactions, serverSelectionTimeoutMS=500, socketTimeoutMS=500)
        yield mongo_world._replace(store=store, journal=Direct(store)), proxy
        await store.close()


async def slots(world) -> list[tuple[str, int]]:
    return [(s.access.journal, s.access.sequence) for s in await world.store.events(ALL, limit=1000)]


@pytest.mark.parametrize("late", [False, True], ids=["lost on the way", "done, but nobody is told"])
@pytest.mark.parametrize("path", PATHS)
async def test_where_the_record_is_not_inserted_the_answer_is_503_and_the_next_is_answered(proxied, path, late):
    world, proxy = proxied
    async with door(world) as client:
        expected = (await client.get(path)).status_code
        proxy.cut_on, proxy.late, proxy.most = b"accesses", late, 2  # the driver tries once more
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["issue"][0]["code"], answer.headers["Retry-After"]) == (503, "transient", "5") and "male" not in answer.text
        proxy.most = 0
        assert (await client.get(path)).status_code == expected
    assert len(set(await slots(world))) == len(await slots(world))


async def test_a_database_that_is_slow_makes_answers_late_and_one_too_slow_makes_them_503(proxied):
    world, proxy = proxied
    async with door(world) as client:
        proxy.hold = 0.05
        assert (await client.get("Patient/p1")).status_code == 200
        proxy.hold = 3.0
        assert (await client.get("Patient/p1")).status_code == 503
        proxy.hold = 0.0
        proxy.cut()
        assert (await client.get("Patient/p1")).status_code == 200


async def test_of_many_that_wait_for_a_database_that_is_gone_none_is_answered_and_all_are_when_it_is_back(proxied, mongo_world):
    world, proxy = proxied
    async with door(world) as client:
        proxy.open = False
        proxy.cut()
        assert {a.status_code for a in await asyncio.gather(*(client.get("Patient/p1") for _ in range(20)))} == {503}
        proxy.open = True
        ids = [f"req-{n}" for n in range(20)]
        answers = await asyncio.gather(*(client.get("Patient/p1", headers={"X-Request-Id": id}) for id in ids))
    assert {a.status_code for a in answers} == {200}
    requests = [s.access.request for s in await mongo_world.store.events(ALL, limit=1000)]
    assert sorted(r for r in requests if r in ids) == sorted(ids)


async def test_two_processes_that_come_to_the_same_numbers_lose_no_record(mongo_world, mongo_url, transactions):
    url = urlsplit(mongo_url)._replace(path=f"/{mongo_world.store.db.name}").geturl()
    other = await MongoStore.open(url, without_transactions=not transactions)
    one, two = mongo_world.store, other
    for store in (one, two):
        store.numbers.writer, store.numbers.last = 7, 2**52
    first, second = Direct(one), Direct(two)
    written = await asyncio.gather(*(direct.write(access(i)) for i in range(50) for direct in (first, second)))
    assert {(a.journal, a.sequence) for a in written} == set(await slots(mongo_world)) and len(await slots(mongo_world)) == 100
    assert {a.number for a in written} == {s.access.number for s in await one.events(ALL, limit=1000)}
    await other.close()


async def test_a_record_that_is_there_already_is_left_alone(mongo_world):
    direct = Direct(mongo_world.store)
    kept = await direct.write(access(1))
    await mongo_world.store.keep([kept, *(a for a in [access(2)] if not setattr(a, "journal", "other"))])
    assert sorted(await slots(mongo_world)) == sorted([(direct.id, 0), ("other", 0)])


async def test_a_record_that_the_majority_does_not_have_is_not_answered_for(mongo_world, monkeypatch):
    class Lagging:
        """A collection whose replicas do not come along."""

        async def insert_many(self, *_, **__):
            raise BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}], "nInserted": 1})

    monkeypatch.setattr(type(mongo_world.store.db), "__getattr__", lambda db, name: Lagging())
    with pytest.raises(errors.Unavailable):
        await Direct(mongo_world.store).write(access(1))
