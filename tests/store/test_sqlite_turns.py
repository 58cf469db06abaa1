"""Several processes write one embedded store: whoever waits has its turn next."""
from __future__ import annotations

import asyncio
import fcntl

import pytest

from app.store.sqlite import SqliteStore, commit


@pytest.fixture
async def stores(tmp_path):
    stores = [await SqliteStore.open(str(tmp_path / "shared.db")) for _ in range(2)]
    yield stores
    for store in stores:
        await store.close()


async def test_who_waits_is_next_however_much_the_other_has_waiting(stores, tmp_path, monkeypatch):
    monkeypatch.setattr(commit, "TURN", 0)
    order, inside, go = [], asyncio.Event(), asyncio.Event()

    async def first(tx):
        inside.set()
        await go.wait()

    def noting(writer: int):
        async def work(tx):
            order.append(writer)
        return work

    held = asyncio.create_task(stores[0].commit(first))
    await inside.wait()
    many = [asyncio.create_task(stores[0].commit(noting(0))) for _ in range(commit.TOGETHER * 4)]
    one = asyncio.create_task(stores[1].commit(noting(1)))
    await _waits(tmp_path / "shared.db.next")
    go.set()
    await asyncio.gather(held, *many, one)
    assert order == [1] + [0] * commit.TOGETHER * 4


async def test_both_get_through_when_both_have_much_waiting(stores, monkeypatch):
    monkeypatch.setattr(commit, "TURN", 0)
    done = [0, 0]

    def counting(writer: int):
        async def work(tx):
            done[writer] += 1
        return work

    await asyncio.gather(*(store.commit(counting(writer)) for _ in range(commit.TOGETHER * 8) for writer, store in enumerate(stores)))
    assert done == [commit.TOGETHER * 8] * 2


async def _waits(path) -> None:
    """Until somebody stands in the queue."""
    for _ in range(500):
        with open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")
