"""What only the MongoDB store has: transactions or a refusal, lost connections, numbers without a counter, limits.

Tests marked `transactions` need a server that has them: MONGO=mongodb://... of a replica set.
"""
from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from pymongo.errors import PyMongoError

from app import errors
from app.search.query import ALL, Compare, Query, Row, has
from app.store.mongo import MongoStore, commit, numbers, process
from tests.store.proxy import Proxy
from tests.store.writing import NOW, access, entry, ids, put


@pytest.fixture
async def store(mongo_opening):
    async with mongo_opening() as store:
        yield store


@pytest.fixture
async def other(store, mongo_url, transactions):
    """Another process's store on the same database."""
    url = urlsplit(mongo_url)._replace(path=f"/{store.db.name}").geturl()
    other = await MongoStore.open(url, without_transactions=not transactions)
    yield other
    await other.close()


@pytest.fixture
async def proxied(store, mongo_url, transactions):
    """(a store on the same database through a proxy, the proxy)."""
    async with Proxy(urlsplit(mongo_url)._replace(path=f"/{store.db.name}").geturl()) as proxy:
        there = await MongoStore.open(proxy.url, without_transactions=not transactions, serverSelectionTimeoutMS=500, socketTimeoutMS=5_000)
        yield there, proxy
        await there.close()


# opening


async def test_a_server_without_transactions_is_refused_in_one_sentence(mongo_url, transactions):
    if transactions:
        pytest.skip("This server has transactions.")
    with pytest.raises(errors.Unavailable) as refused:
        await MongoStore.open(mongo_url + "yilian_refused")
    assert str(refused.value) == ("This MongoDB server has no transactions, without which nothing can be stored safely:"
                                  " run it as a replica set (one node will do).")


async def test_a_server_that_cannot_be_reached_is_refused_promptly():
    started = time.monotonic()
    with pytest.raises(errors.Unavailable, match="cannot be reached"):
        await MongoStore.open("mongodb://127.0.0.1:1/yilian", serverSelectionTimeoutMS=300)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("url", ["mongodb://", "mongodb://127.0.0.1:port/yilian", "mongodb://127.0.0.1:99999/yilian", "mongodb://127.0.0.1/a b", "mongodb://us er:p@ss@host/x"])
async def test_an_address_that_is_none_is_refused_with_the_reason(url):
    with pytest.raises(errors.Unavailable, match="no address of a MongoDB server"):
        await MongoStore.open(url)


@pytest.mark.transactions  # the other has no users
async def test_a_stranger_is_told_that_he_is_one(mongo_url):
    there = urlsplit(mongo_url)
    with pytest.raises(errors.Unavailable, match="this user and password"):
        await MongoStore.open(f"mongodb://nobody:wrong@{there.hostname}:{there.port}/yilian_refused?authSource=admin")


async def test_the_zone_is_fixed_when_the_store_is_created(store, mongo_url, transactions):
    again = await MongoStore.open(urlsplit(mongo_url)._replace(path=f"/{store.db.name}").geturl(), zone="Europe/Paris", without_transactions=not transactions)
    assert again.zone == "Asia/Shanghai"
    await again.close()


@pytest.mark.parametrize("key, reindexing, opens", [("index", False, False), ("index", True, True), ("schema", False, False), ("schema", True, False)])
async def test_a_store_of_another_version_is_refused(store, mongo_url, transactions, key, reindexing, opens):
    await store.db["values"].update_one({"_id": key}, {"$set": {"value": "0"}})
    url = urlsplit(mongo_url)._replace(path=f"/{store.db.name}").geturl()
    if opens:
        await (await MongoStore.open(url, without_transactions=not transactions, reindexing=reindexing)).close()
        return
    with pytest.raises(errors.Unavailable):
        await MongoStore.open(url, without_transactions=not transactions, reindexing=reindexing)


# lost connections


async def test_a_lost_database_is_told_and_found_again(proxied):
    store, proxy = proxied
    await put(store, "Patient", "p1")
    proxy.open = False
    proxy.cut()
    for verb in (store.newest, lambda: store.get("Patient", "p1"), lambda: store.search(Query(("Patient",)), at=1, now=NOW, limit=1),
                 lambda: put(store, "Patient", "p2"), lambda: store.keep([access(1)])):
        with pytest.raises(errors.Unavailable) as refused:
            await verb()
        assert "Retry-After" in refused.value.headers
    proxy.open = True
    assert (await store.get("Patient", "p1")).version == 1
    assert await store.get("Patient", "p2") is None
    await put(store, "Patient", "p2")
    assert await ids(store, "Patient") == ["p2", "p1"]


@pytest.mark.transactions
@pytest.mark.parametrize("at", [b"commitTransaction", b"heads", b"entries"])
@pytest.mark.parametrize("late", [False, True])
async def test_a_connection_cut_in_mid_commit_leaves_the_whole_or_nothing(proxied, at, late):
    store, proxy = proxied
    before = await put(store, "Patient", "p1", Row("Patient.name", text="a"))
    proxy.cut_on, proxy.late = at, late
    await put(store, "Patient", "p1", Row("Patient.name", text="b"))
    assert proxy.cuts == 1
    proxy.cut_on = b""
    found = await store.history(Query(("Patient",), ALL), at=await store.newest(), now=NOW, limit=9)
    assert [e.version for e in found] == [2, 1]
    assert found[1].number == before.number and found[1].died == found[0].born


@pytest.mark.transactions
async def test_a_commit_whose_result_stays_unknown_says_so(proxied, store, monkeypatch):
    monkeypatch.setattr(commit, "DOUBT", 1.0)
    through, proxy = proxied

    async def work(tx):
        await tx.write(entry("Patient", "p1"), [], [])
        proxy.cut_on, proxy.late, proxy.most = b"commitTransaction", False, 1
        asyncio.get_running_loop().call_later(0.0, lambda: None)

    async def close_when_cut():
        while not proxy.cuts:
            await asyncio.sleep(0.001)
        proxy.open = False
        proxy.cut()

    closing = asyncio.create_task(close_when_cut())
    with pytest.raises(errors.Unavailable, match="not known"):
        await through.commit(work)
    await closing
    proxy.open = True
    proxy.cut_on = b""


# conflicts


@pytest.mark.transactions
async def test_processes_that_write_one_resource_all_succeed(store, other):
    await put(store, "Patient", "p1")
    await asyncio.gather(*(put(s, "Patient", "p1") for s in (store, other) for _ in range(5)))
    found = await store.history(Query(("Patient",)), at=await store.newest(), now=NOW, limit=99)
    assert [e.version for e in found] == list(range(11, 0, -1))
    assert all(later.born == earlier.died for later, earlier in zip(found, found[1:]))
    assert [e.number for e in found] == sorted((e.number for e in found), reverse=True)


@pytest.mark.transactions
async def test_of_eight_parallel_claims_in_two_processes_one_wins(store, other):
    async def claim(store):
        return await store.commit(lambda tx: tx.claim("hold", "o", "k", NOW * 2))

    assert sum(await asyncio.gather(*(claim(s) for s in (store, other) for _ in range(4)))) == 1


@pytest.mark.transactions
async def test_a_commit_that_always_loses_is_refused_and_leaves_nothing(store, other, monkeypatch):
    monkeypatch.setattr(commit, "ATTEMPTS", 3)
    await put(store, "Patient", "p1")

    async def work(tx):
        current = await tx.get("Patient", "p1")
        await put(other, "Patient", "p1")
        await tx.write(entry("Patient", "p1", current.version + 1), [], [])
        await tx.write(entry("Patient", "p2"), [], [])

    with pytest.raises(errors.Unavailable, match="nothing was done"):
        await store.commit(work)
    assert await store.get("Patient", "p2") is None
    assert (await store.get("Patient", "p1")).version == 4
    assert await store.db.running.count_documents({}) == 0


@pytest.mark.transactions
async def test_a_commit_taken_for_dead_runs_again_under_another_number(store, other):
    begun = []

    async def work(tx):
        await tx.write(entry("Patient", "p1"), [], [])
        await tx.search(Query(("Patient",)), limit=1)
        begun.append(tx.number)
        if len(begun) == 1:
            await other.numbers.settle(tx.number)

    await store.commit(work)
    assert len(begun) == 2
    found = await store.history(Query(("Patient",)), at=await store.newest(), now=NOW, limit=9)
    assert [(e.version, e.born) for e in found] == [(1, begun[1])]


@pytest.mark.transactions
async def test_many_processes_start_at_once(store, mongo_url):
    url = urlsplit(mongo_url)._replace(path=f"/{store.db.name}").geturl()
    opened = await asyncio.gather(*(MongoStore.open(url) for _ in range(16)))
    assert len(opened) == 16 and await store.db.scratch.count_documents({}) == 0
    await asyncio.gather(*(each.close() for each in opened))


# numbers


async def test_a_commit_under_way_holds_the_newest_number_back(store, monkeypatch):
    monkeypatch.setattr(numbers, "PATIENCE", 0.02)
    await put(store, "Patient", "p1")
    under_way = await store.numbers.begin()
    await put(store, "Patient", "p2")
    at = await store.newest()
    assert at == under_way - 1
    assert await ids(store, "Patient", at=at) == ["p1"]
    await store.numbers.forget(under_way)
    assert await ids(store, "Patient") == ["p2", "p1"]


async def _noted(store, by: str) -> int:
    """The number of a commit that another process has begun, which nothing more is heard of."""
    number = store.numbers.next()
    await store.db.running.insert_one({"_id": number, "at": numbers.moment(), "by": by})
    return number


async def test_a_commit_of_a_process_that_was_killed_here_is_settled_at_once(store):
    killed = subprocess.run([sys.executable, "-c", "from app.store.mongo import process; print(process.own())"], capture_output=True, text=True, check=True).stdout.strip()
    assert killed and process.gone(killed) and not process.gone(process.own()) and not process.gone("") and not process.gone(killed.replace("/", "-/", 1))
    await put(store, "Patient", "p1")
    dead = await _noted(store, killed)
    last = await put(store, "Patient", "p2")
    assert await store.newest() == last.born
    assert await store.db.running.find_one({"_id": dead}) is None
    assert not await store.numbers.landed(dead)


async def test_what_the_dead_have_under_way_beyond_all_that_landed_is_buried_where_it_is_in_the_way(store, monkeypatch):
    """Nobody asks for a number so large; but its open transaction would keep others from what it wrote for a minute."""
    killed = subprocess.run([sys.executable, "-c", "from app.store.mongo import process; print(process.own())"], capture_output=True, text=True, check=True).stdout.strip()
    dead, alive, tries = await _noted(store, killed), await _noted(store, process.own()), []

    async def in_the_way(tx):
        tries.append(await store.db.running.find_one({"_id": dead}))
        if tries[-1] is not None:
            raise commit.Clash
    await store.commit(in_the_way)
    assert len(tries) == 3 and await store.db.commits.find_one({"_id": dead}) == {"_id": dead, "void": True}
    assert await store.db.running.find_one({"_id": alive}) is not None


async def test_commits_of_another_machine_are_settled_when_they_gave_no_sign_for_a_while(store, monkeypatch):
    monkeypatch.setattr(numbers, "PATIENCE", 0.02)
    monkeypatch.setattr(numbers, "QUIET", 1.0)
    await put(store, "Patient", "p1")
    dead = [await _noted(store, "elsewhere/1/1") for _ in range(3)]
    last = await put(store, "Patient", "p2")
    assert await store.newest() == dead[0] - 1
    await asyncio.sleep(1.2)
    assert await store.newest() == last.born
    assert await store.db.running.count_documents({}) == 0


async def test_a_slow_commit_of_another_machine_is_waited_for_as_long_as_it_gives_signs(store, other, monkeypatch):
    for name, seconds in (("PATIENCE", 0.02), ("QUIET", 1.0), ("PULSE", 0.05)):
        monkeypatch.setattr(numbers, name, seconds)
    other.numbers.process = "elsewhere/1/1"
    await put(store, "Patient", "p1")
    slow = await other.numbers.begin()
    last = await put(store, "Patient", "p2")
    for _ in range(4):
        assert await store.newest() == slow - 1
        await asyncio.sleep(0.4)
    other.numbers.leave(slow)
    while await store.newest() != last.born:
        await asyncio.sleep(0.1)


@pytest.mark.transactions
async def test_a_dead_commit_whose_transaction_is_open_keeps_nobody_waiting(store, other):
    """It was killed between the note that it landed and the commit itself."""
    await put(store, "Patient", "p1")
    async with other.client.start_session() as session:
        await session.start_transaction()
        dead = commit.Tx(other.db, other.numbers, session, "dead")
        await dead.write(entry("Patient", "p2"), [], [])
        await dead.send(last=True)
        other.numbers.leave(dead.number)
        await store.db.running.update_one({"_id": dead.number}, {"$set": {"by": f"{process.own()}0"}})
        last = await put(store, "Patient", "p3")
        assert await store.newest() == last.born
        assert await ids(store, "Patient") == ["p3", "p1"]
        with pytest.raises(PyMongoError):
            await session.commit_transaction()


@pytest.mark.transactions
async def test_a_commit_that_was_taken_for_dead_by_mistake_runs_again(store, other):
    given: list[int] = []

    async def work(tx):
        await tx.write(entry("Patient", "p1"), [], [])
        await tx.send()
        given.append(tx.number)
        if len(given) == 1:
            await other.numbers.settle(tx.number)
    await store.commit(work)
    assert len(given) == 2 and not await store.numbers.landed(given[0]) and await store.numbers.landed(given[1])
    assert await ids(store, "Patient") == ["p1"]


async def test_a_clock_that_is_behind_gives_no_number_up_to_the_newest(store, other, monkeypatch):
    await put(store, "Patient", "p1")
    at = await store.newest()
    monkeypatch.setattr(numbers, "moment", lambda: 1)
    made = await put(other, "Patient", "p2")
    assert made.born > at
    assert await ids(store, "Patient", at=at) == ["p1"]
    again = await put(other, "Patient", "p1")
    assert again.born > made.born and again.number > made.number


async def test_old_notes_of_commits_are_dropped_but_not_the_last(store, monkeypatch):
    for i in range(3):
        last = await put(store, "Patient", f"p{i}")
    at = await store.newest()
    later = numbers.moment() + 2 * 86_400_000_000
    monkeypatch.setattr(numbers, "moment", lambda: later)
    await store.sweep(0)
    assert [d["_id"] for d in await store.db.commits.find({}).to_list()] == [last.born]
    assert await store.newest() == at


# limits


async def test_large_commits_wait_for_each_other_and_are_refused_in_the_end(store, monkeypatch):
    monkeypatch.setattr(commit, "LARGE", 3)
    monkeypatch.setattr(commit, "LARGE_WAIT", 0.05)

    async def work(tx):
        for i in range(3):
            await tx.write(entry("Patient", f"p{i}"), [], [])

    for _ in range(commit.LARGE_TOGETHER):
        await store.commits.large.acquire()
    with pytest.raises(errors.Unavailable) as refused:
        await store.commit(work)
    assert refused.value.headers["Retry-After"] == "10"
    assert await ids(store, "Patient") == []
    store.commits.large.release()
    await store.commit(work)
    assert await ids(store, "Patient") == ["p2", "p1", "p0"]


async def test_a_text_of_more_than_a_document_takes(store):
    text = b"x" * 20_000_000
    await put(store, "Binary", "b", text=text)
    assert (await store.get("Binary", "b")).text == text


async def test_a_contains_of_a_very_long_text_is_refused(store):
    with pytest.raises(errors.TooCostly, match="4000"):
        await ids(store, "Patient", has("Patient.name", Compare("text", "contains", "x" * 4001)))


async def test_long_rows_of_more_than_a_document_takes_are_found_by_each(store):
    await put(store, "T", "1", *(Row("T.x", i, code=f"{i} " + "字" * 5_000) for i in range(1_900)))
    for i in (0, 950, 1_899):
        assert await ids(store, "T", has("T.x", Compare("code", "prefix", f"{i} "))) == ["1"]


@pytest.mark.transactions  # the other has no such limit
async def test_a_row_of_more_than_a_document_takes_is_too_large(store):
    with pytest.raises(errors.TooLarge):
        await put(store, "T", "1", Row("T.x", text="x" * 17_000_000))
    assert await ids(store, "T") == []


async def test_quiet_is_when_all_commits_are_over_that_were_under_way(store):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx):
        await tx.write(entry("Patient", "p1"), [])
        await tx.send()
        begun.set()
        await go_on.wait()
    writing = asyncio.create_task(store.commit(slow))
    await begun.wait()
    waiting = asyncio.create_task(store.quiet())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    go_on.set()
    await writing
    assert await waiting == (await store.get("Patient", "p1")).number
