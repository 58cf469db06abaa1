"""The index made anew as a job: complete, while others write, told on the way, taken over, cancelled; stamps too."""
from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from app import errors
from app.fhir import json
from app.jobs import job as jobs
from app.jobs import reindex, runner
from app.main import open_world
from app.records import Change, Records
from app.search import stamp
from app.search.query import Query
from app.store.base import ALIVE, Made
from app.workflow import job as tasks
from tests.conftest import hospital, operator
from tests.test_records import add, failure_of, patient, put


async def asked(world, types: str = ""):
    task, fresh = await runner.ask(world, operator(), "reindex", "Reindex", {"types": types})
    assert fresh
    return task


async def task(world, entry) -> dict:
    return json.loads((await world.store.get("Task", entry.id)).text)


async def lose(world, type: str = "Patient") -> None:
    """Takes all rows of current versions of a type."""
    made = [Made(w.entry, [], []) for w in await world.store.walk(type, after=0, until=ALIVE, limit=10_000) if w.rowed]
    assert await world.store.reindexed(made, await world.store.recipe())


async def total(world, *pairs, type: str = "Patient") -> int:
    return (await Records(world, operator()).search((type,), [*pairs, ("_summary", "count")])).total


@contextlib.asynccontextmanager
async def another(world):
    """A second process of the same store."""
    async with open_world(world.settings) as other:
        yield other


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(reindex, "CHUNK", 10)
    monkeypatch.setattr(jobs, "TOLD", 0.0)


async def test_lost_rows_are_made_again_and_the_task_tells(world, small_steps):
    for i in range(45):
        await add(world, operator(), patient(family=f"家{i}"))
    await lose(world)
    assert await total(world, ("family", "家7")) == 0
    entry, heard = await asked(world), []
    assert (await task(world, entry))["status"] == "requested"
    await runner.do(world, entry, lambda done, total: heard.append((done, total)))
    assert await total(world, ("family:exact", "家7")) == 1 and await total(world, ("family", "家")) == 45
    ended = await task(world, entry)
    assert (ended["status"], ended["code"]["coding"][0]["code"], ended["businessStatus"]["text"]) == ("completed", "reindex", "45 resources")
    assert heard == sorted(heard) and heard[0] == (10, 45) and heard[-1] == (45, 45)
    told = [json.loads(e.text).get("businessStatus", {}).get("text") for e in (await Records(world, operator()).versions("Task", entry.id)).entries]
    assert "20 of 45" in told
    log = (await Records(world, operator()).search(("AuditEvent",), [("subtype", "$reindex")])).entries
    assert len(log) == 1 and '"open"' in log[0].text.decode()


async def test_only_the_types_named_are_walked(world):
    await add(world, operator(), patient())
    await add(world, operator(), {"resourceType": "Basic", "code": {"text": "a"}})
    await lose(world)
    await lose(world, "Basic")
    await runner.do(world, await asked(world, "Basic"))
    assert await total(world, ("code:text", "a"), type="Basic") == 1 and await total(world, ("family", "张")) == 0


async def test_stamps_of_all_versions_are_made_anew_and_a_delete_has_that_of_what_it_deleted(world, monkeypatch):
    person = await add(world, operator(), patient())
    task = {"resourceType": "Task", "id": "t", "status": "draft", "intent": "order", "focus": {"reference": f"Patient/{person.id}"}}
    with monkeypatch.context() as older:
        older.setitem(stamp.ABOUT, "Task", ())
        older.setattr(stamp, "LABELS", {})
        stamp._patients.cache_clear()
        for status in ("draft", "requested"):
            await put(world, operator(), {**task, "status": status, "meta": {"security": [{"system": stamp.CONFIDENTIALITY, "code": "R"}]}})
        await Records(world, operator()).commit([Change("delete", "Task", "t")])
    stamp._patients.cache_clear()
    assert [(await world.store.get("Task", "t", version=v)).about for v in (1, 2, 3)] == [(), (), ()]
    await runner.do(world, await asked(world))
    for version in (1, 2, 3):
        made = await world.store.get("Task", "t", version=version)
        assert (made.about, made.labels) == ((f"Patient/{person.id}",), stamp.LABELS[stamp.CONFIDENTIALITY, "R"]), version


async def test_what_is_written_and_read_meanwhile_is_as_if_there_were_no_reindex(world, small_steps):
    made = [await add(world, operator(), patient(family=f"家{i}")) for i in range(40)]
    page = await Records(world, operator()).search(("Patient",), [("family", "家"), ("_count", "15")])

    async def write():
        for entry in made[:20]:
            await put(world, operator(), patient(entry.id, "新"))
            assert await total(world, ("family", "家,新")) == 40
    await asyncio.gather(runner.do(world, await asked(world)), write())
    assert [await total(world, ("family", name)) for name in ("新", "家", "家,新")] == [20, 20, 40]
    found = [e.id for e in page.entries]
    while page.next:
        page = await Records(world, operator()).search(("Patient",), [], cursor=page.next)
        found += [e.id for e in page.entries]
    assert sorted(found) == sorted(e.id for e in made)


async def test_there_is_one_at_a_time(world):
    first = await asked(world)
    again, fresh = await runner.ask(world, operator(), "reindex", "Reindex", {})
    assert (again.id, fresh) == (first.id, False)
    both = await asyncio.gather(*(runner.do(world, first) for _ in range(3)))
    assert both == [None] * 3 and (await task(world, first))["status"] == "completed"
    assert (await asked(world)).id != first.id


async def test_two_who_ask_at_once_get_one_job(world):
    got = await asyncio.gather(*(runner.ask(world, operator(), "reindex", "Reindex", {}) for _ in range(4)))
    assert len({entry.id for entry, _ in got}) == 1 and sorted(fresh for _, fresh in got) == [False, False, False, True]


async def test_the_operator_alone_asks(world):
    assert (await failure_of(runner.ask(world, hospital("a"), "reindex", "Reindex", {})))[1] == 403


async def stopped(world, entry, after: int = 2) -> None:
    """Does a job up to its n-th step, where the process ends in an orderly way."""
    steps, doing = 0, None

    def step(done, total):
        nonlocal steps
        steps += 1
        if steps == after:
            doing.cancel()
    doing = asyncio.create_task(runner.do(world, entry, step))
    with pytest.raises(asyncio.CancelledError):
        await doing


async def test_a_job_that_is_stopped_goes_on_in_another_process_where_it_was(world, small_steps):
    for i in range(45):
        await add(world, operator(), patient(family=f"家{i}"))
    entry, heard = await asked(world), []
    await stopped(world, entry)
    assert (await task(world, entry))["status"] == "on-hold"
    async with another(world) as other:
        waiting, = await runner.waiting(other)
        await runner.do(other, waiting, lambda done, total: heard.append(done))
    assert heard[0] > 20 and (await task(world, entry))["status"] == "completed"


async def test_a_job_whose_process_says_nothing_is_taken_and_the_first_one_leaves_it(world, small_steps, monkeypatch):
    for i in range(30):
        await add(world, operator(), patient(family=f"家{i}"))
    entry, first = await asked(world), []
    silent, going = asyncio.Event(), asyncio.Event()
    remake = reindex._remake

    async def slow(this, job, chunk):
        if this is world:
            going.set()
            await silent.wait()
        await remake(this, job, chunk)
    monkeypatch.setattr(reindex, "_remake", slow)
    doing = asyncio.create_task(runner.do(world, entry, lambda done, total: first.append(done)))
    await going.wait()
    async with another(world) as other:
        assert await runner.waiting(other) == []
        monkeypatch.setattr(runner, "LEASE", -1)
        waiting, = await runner.waiting(other)
        await runner.do(other, waiting)
        assert (await task(world, entry))["status"] == "completed"
        silent.set()
        await doing
    assert len(first) == 1 and len((await Records(world, operator()).versions("Task", entry.id, [("_count", "50")])).entries) > 4
    assert (await task(world, entry))["status"] == "completed"


async def test_a_cancelled_job_ends_and_another_may_be_asked_for(world, small_steps):
    for i in range(30):
        await add(world, operator(), patient(family=f"家{i}"))
    entry = await asked(world)

    async def cancel():
        await Records(world, operator()).commit([Change("patch", "Task", entry.id, patch=lambda now: {**now, "status": "cancelled"})])
    await cancel()
    await runner.do(world, entry)
    assert (await task(world, entry))["status"] == "cancelled" and await runner.waiting(world) == []
    again, heard = await asked(world), []
    doing = asyncio.create_task(runner.do(world, again, lambda done, total: heard.append(done)))
    while not heard:
        await asyncio.sleep(0)
    entry = again
    await cancel()
    await doing
    assert (await task(world, again))["status"] == "cancelled" and len(heard) < 4


@pytest.mark.parametrize("change", [{"status": "completed"}, {"status": "cancelled", "description": "b"}, {"status": "cancelled", "priority": "stat"}])
async def test_nothing_but_its_end_is_changed_of_a_jobs_task(world, change):
    entry = await asked(world)
    failed = await failure_of(put(world, operator(), {**await task(world, entry), **change}))
    assert failed[1] == 422 and "becomes cancelled" in failed[3]


async def test_a_job_that_is_over_and_an_import_are_not_cancelled(world):
    entry = await asked(world)
    await runner.do(world, entry)
    assert (await failure_of(put(world, operator(), {**await task(world, entry), "status": "cancelled"})))[1] == 422
    assert not tasks.cancels(tasks.task("import", "in-progress", "a"), tasks.task("import", "cancelled", "a"))


async def test_what_cannot_be_indexed_fails_the_job_and_says_why(world, monkeypatch):
    def broken(*_):
        raise ValueError("the seventh seal")
    entry = await asked(world)
    monkeypatch.setattr(reindex, "remade", broken)
    await runner.do(world, entry)
    ended = await task(world, entry)
    assert (ended["status"], ended["businessStatus"]["text"]) == ("failed", "the seventh seal")


async def test_a_store_that_is_away_leaves_the_job_to_be_gone_on_with(world, monkeypatch):
    async def away(*_):
        raise errors.Unavailable("away")
    entry = await asked(world)
    with monkeypatch.context() as gone:
        gone.setattr(reindex, "_remake", away)
        assert (await failure_of(runner.do(world, entry)))[1] == 503
    assert (await task(world, entry))["status"] == "in-progress"
    monkeypatch.setattr(runner, "LEASE", -1)
    await runner.do(world, (await runner.waiting(world))[0])
    assert (await task(world, entry))["status"] == "completed"


async def test_a_process_that_serves_does_what_waits(world, monkeypatch):
    monkeypatch.setattr(runner, "PERIOD", 0.01)
    entry = await asked(world)
    serving = asyncio.create_task(runner.serve(world))
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if (await task(world, entry))["status"] == "completed":
            break
    serving.cancel()
    assert (await task(world, entry))["status"] == "completed"
    assert await world.store.count(Query(("Task",)), at=await world.store.newest(), now=0) == 1


async def test_jobs_are_looked_for_again_after_a_failure(world, monkeypatch):
    monkeypatch.setattr(runner, "PERIOD", 0.01)
    looked, failures = asyncio.Queue(), itertools.cycle((errors.Unavailable("away"), ValueError("odd")))

    async def waiting(_):
        await looked.put(1)
        raise next(failures)
    monkeypatch.setattr(runner, "waiting", waiting)
    serving = asyncio.create_task(runner.serve(world))
    for _ in range(3):
        await asyncio.wait_for(looked.get(), 5)
    serving.cancel()
