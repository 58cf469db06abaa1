"""Several processes write one embedded store: whoever waits has its turn next."""
from __future__ import annotations

import asyncio
from itertools import groupby

from app.store.sqlite import SqliteStore, commit


async def test_two_writers_take_turns_however_much_one_has_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(commit, "TURN", 0)
    stores = [await SqliteStore.open(str(tmp_path / "shared.db")) for _ in range(2)]
    order: list[int] = []

    def noting(writer: int):
        async def work(tx):
            order.append(writer)
        return work

    await asyncio.gather(*(store.commit(noting(writer)) for _ in range(commit.TOGETHER * 16) for writer, store in enumerate(stores)))
    for store in stores:
        await store.close()
    runs = [len(list(run)) for _, run in groupby(order)]
    assert len(order) == commit.TOGETHER * 32
    assert max(runs[:-1]) <= commit.TOGETHER * 4
