"""Writers beside each other: each change is whole, none is lost, time runs forwards."""
from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from app.fhir import json
from app.records import Change, Records
from tests.conftest import operator
from tests.test_records import add, patient, put


def both(name: str, *ids: str) -> list[Change]:
    return [Change("update", "Patient", id, patient(id, name)) for id in ids]


async def family(world, id: str) -> str:
    return json.loads((await Records(world, operator()).read("Patient", id)).text)["name"][0]["family"]


async def test_transactions_that_take_resources_in_opposite_orders_are_all_done_and_each_whole(world):
    await asyncio.gather(*(Records(world, operator()).commit(both(f"家{i}", *(("x", "y") if i % 2 else ("y", "x")))) for i in range(8)))
    assert await family(world, "x") == await family(world, "y")
    for id in "xy":
        versions = (await Records(world, operator()).versions("Patient", id)).entries
        assert [e.version for e in versions] == [8, 7, 6, 5, 4, 3, 2, 1]
        assert sorted({e.updated for e in versions}, reverse=True) == [e.updated for e in versions]


async def test_of_a_delete_and_an_update_with_the_same_if_match_one_is_done(world):
    for _ in range(4):
        entry = await add(world, operator(), patient())
        changes = [Change("delete", "Patient", entry.id, if_match=("1",)), Change("update", "Patient", entry.id, patient(entry.id, "李"), if_match=("1",))]
        results = await asyncio.gather(*(Records(world, operator()).commit([c]) for c in changes), return_exceptions=True)
        assert sorted(getattr(r, "status", 0) for r in results) == [0, 412]
        assert (await world.store.get("Patient", entry.id)).version == 2


async def test_of_eight_parallel_creates_by_put_that_ask_for_nothing_there_one_is_done(world):
    ways = [Records(world, operator()).commit([Change("update", "Patient", "n", patient("n", f"家{i}"), if_none_match="*")]) for i in range(8)]
    results = await asyncio.gather(*ways, return_exceptions=True)
    assert sorted(getattr(r, "status", 0) for r in results) == [0] + [412] * 7


CHANGES = {"update": {"resource": patient("p", "李")}, "patch": {"patch": lambda before: {**before, "active": True}}, "delete": {}}


@pytest.mark.parametrize("method", CHANGES)
async def test_time_never_runs_backwards_for_a_resource_though_a_clock_does(world, method):
    await put(world, operator(), patient("p"))
    ahead = replace(await world.store.get("Patient", "p"), version=2, updated=time.time_ns() // 1000 + 3_600_000_000)
    await world.store.commit(lambda tx: tx.write(ahead, [], []))
    [done] = await Records(world, operator()).commit([Change(method, "Patient", "p", **CHANGES[method])])
    assert done.entry.version == 3 and done.entry.updated > ahead.updated
