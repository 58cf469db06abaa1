"""A client that goes away: what was accepted is done whole and is in the log, or is not done; what others wait for goes on."""
from __future__ import annotations

import asyncio

import pytest

from app import errors
from app.records import Change, Records
from app.search.query import Compare, Stamp
from tests.conftest import hospital, operator
from tests.test_records import add, patient, put


def pair(mark: str) -> list[Change]:
    """A patient and an observation that belong together."""
    made = {"resourceType": "Observation", "id": f"o{mark}", "status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/p{mark}"}}
    return [Change("update", "Patient", f"p{mark}", patient(f"p{mark}")), Change("update", "Observation", f"o{mark}", made)]


async def leave(task: asyncio.Task, after: int) -> None:
    """Cancels a task after so many turns of the event loop, of a thousandth of a second each."""
    for _ in range(after):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])


async def ids(world, type: str) -> set[str]:
    return {e.id[1:] for e in (await Records(world, operator()).search((type,), [("_count", "100")])).entries}


async def written(world) -> set[str]:
    """The marks of patients whose write is in the log."""
    where = Stamp((Compare("action", "eq", "U"), Compare("outcome", "eq", "0"), Compare("patient", "some")))
    return {seen.access.events[seen.ordinal].patient.removeprefix("Patient/p") for seen in await world.store.events(where, limit=1000)} - {""}


async def test_a_commit_whose_client_left_is_whole_and_in_the_log_or_not_there(world):
    for step in range(12):
        await leave(asyncio.create_task(Records(world, operator()).commit(pair(str(step)))), step)
    await put(world, operator(), patient("plast"))
    for _ in range(100):
        if len(await ids(world, "Observation")) == 12:
            break
        await asyncio.sleep(0.02)
    patients = await ids(world, "Patient") - {"last"}
    assert patients == await ids(world, "Observation") == await written(world) - {"last"}
    for step in range(12):  # and whatever became of it can be done again
        assert [d.outcome in ("created", "unchanged") for d in await Records(world, operator()).commit(pair(str(step)))] == [True, True]


async def test_commits_gathered_with_one_whose_client_left_are_done(world):
    tasks = [asyncio.create_task(Records(world, operator()).commit(pair(str(step)))) for step in range(8)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(d, asyncio.CancelledError) for d in done] == [True, False] * 4
    assert {"1", "3", "5", "7"} <= await ids(world, "Patient") == await ids(world, "Observation")


async def test_a_store_closes_after_what_it_accepted(sqlite_world, tmp_path):
    from app.main import open_world
    from app.settings import Settings
    settings = Settings(store=f"sqlite:{tmp_path}/other.db", open=True)
    async with open_world(settings) as world:
        await leave(asyncio.create_task(Records(world, operator()).commit(pair("1"))), 0)
    async with open_world(settings) as world:
        assert await ids(world, "Patient") == await ids(world, "Observation")


async def test_reads_whose_client_left_harm_no_other(world):
    entry = await add(world, hospital("a"), patient())
    for step in range(6):
        await leave(asyncio.create_task(Records(world, hospital("a")).read("Patient", entry.id)), step % 3)
        readers = [asyncio.create_task(Records(world, hospital("a")).read("Patient", entry.id)) for _ in range(4)]
        await asyncio.sleep(0)
        readers[step % 4].cancel()
        found = await asyncio.gather(*readers, return_exceptions=True)
        assert sum(not isinstance(f, BaseException) for f in found) >= 3  # pymongo may finish one that was cancelled
    with pytest.raises(errors.Absent):
        await Records(world, hospital("a")).read("Patient", "nobody")
