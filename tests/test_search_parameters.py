"""Search parameters that are posted: served once a reindex is complete, in all processes alike, and never with a part of the answer."""
from __future__ import annotations

import asyncio

import pytest

from app import errors
from app.jobs import job as jobs
from app.jobs import reindex, runner
from app.main import open_world
from app.records import Change, Records
from tests.conftest import operator
from tests.jobs.test_reindex import asked
from tests.search.test_own import parameter
from tests.test_records import add, all_pages, failure_of, put


def nicknamed(name: str, id: str | None = None, **more) -> dict:
    return {"resourceType": "Patient", **({"id": id} if id else {}), "name": [{"use": "nickname", "given": [name]}, {"family": "王"}], **more}


async def define(world, *resources: dict) -> list[str]:
    return [done.entry.id for done in await Records(world, operator()).commit([Change("create", "SearchParameter", resource=r) for r in resources or (parameter(),)])]


async def ready(world, *resources: dict) -> list[str]:
    made = await define(world, *resources)
    await runner.do(world, await asked(world))
    return made


async def found(world, *pairs, type: str = "Patient") -> int:
    return (await Records(world, operator()).search((type,), [*pairs, ("_summary", "count")])).total


async def refusal(world, *pairs, type: str = "Patient") -> str:
    kind, status, _, text = await failure_of(Records(world, operator()).search((type,), list(pairs)))
    assert (kind, status) == (errors.Unsupported, 400)
    return text


async def test_one_is_refused_until_a_reindex_is_complete_and_then_finds_what_was_there_before_and_since(world):
    await add(world, operator(), nicknamed("阿毛"))
    id, = await define(world)
    await add(world, operator(), nicknamed("阿毛"))
    assert "Patient.nickname awaits a reindex" in await refusal(world, ("nickname", "阿毛"))
    await runner.do(world, await asked(world, "Group"))
    assert "awaits a reindex" in await refusal(world, ("nickname", "阿毛"))
    await runner.do(world, await asked(world, "Patient"))
    await add(world, operator(), nicknamed("阿毛"))
    assert [await found(world, (name, value)) for name, value in (("nickname", "阿毛"), ("nickname:exact", "阿"), ("nickname:contains", "毛"), ("nickname:missing", "true"))] == [3, 0, 3, 0]
    await Records(world, operator()).commit([Change("delete", "SearchParameter", id)])
    assert "has no search parameter 'nickname'" in await refusal(world, ("nickname", "阿毛"))


async def test_it_sorts_chains_includes_and_is_asked_for_in_conditions(world):
    house = await add(world, operator(), {"resourceType": "Organization", "name": "华山"})
    who = await add(world, operator(), nicknamed("b", contact=[{"organization": {"reference": f"Organization/{house.id}"}}]))
    other = await add(world, operator(), nicknamed("a"))
    await ready(world, parameter(), parameter("guardian", "reference", "Patient.contact.organization", target=["Organization"]))
    records = Records(world, operator())
    for pairs, ids in (([("_sort", "nickname")], [other.id, who.id]), ([("_sort", "-nickname")], [who.id, other.id]), ([("guardian", house.id)], [who.id]), ([("guardian.name", "华山")], [who.id]),
                       ([("_filter", "nickname sw b and guardian.name eq 华山")], [who.id])):
        assert [e.id for e in (await records.search(("Patient",), pairs)).entries] == ids, pairs
    for directive in ("Patient:guardian", "Patient:*", "*"):
        assert [e.id for e in (await records.search(("Patient",), [("nickname", "b"), ("_include", directive)])).included] == [house.id]
    back = await records.search(("Organization",), [("_has:Patient:guardian:nickname", "b"), ("_revinclude", "Patient:guardian")])
    assert ([e.id for e in back.entries], [e.id for e in back.included]) == ([house.id], [who.id])
    done, = await records.commit([Change("create", "Patient", resource=nicknamed("b"), condition="nickname:exact=b")])
    assert (done.outcome, done.entry.id) == ("found", who.id)


async def test_a_changed_one_awaits_a_reindex_again_and_its_old_page_links_are_refused(world):
    for step in range(3):
        await add(world, operator(), nicknamed(f"阿{step}"))
    id, = await ready(world)
    page = await Records(world, operator()).search(("Patient",), [("nickname", "阿"), ("_count", "1")])
    await put(world, operator(), {**parameter(), "id": id, "description": "the same in other words"})
    assert await found(world, ("nickname", "阿")) == 3
    await put(world, operator(), {**parameter(expression="Patient.name.family"), "id": id})
    assert "awaits a reindex" in await refusal(world, ("nickname", "王"))
    await runner.do(world, await asked(world))
    assert [await found(world, ("nickname", value)) for value in ("王", "阿")] == [3, 0]
    assert "defined after this search began" in (await failure_of(Records(world, operator()).search(("Patient",), [], cursor=page.next)))[3]
    await put(world, operator(), {**parameter(expression="Patient.name.family"), "id": id, "status": "retired"})
    assert "has no search parameter" in await refusal(world, ("nickname", "王"))


async def test_a_transaction_may_define_one_and_bring_what_it_finds(world):
    await Records(world, operator()).commit([Change("create", "Patient", resource=nicknamed("a")), Change("create", "SearchParameter", resource=parameter()),
                                             Change("create", "SearchParameter", resource=parameter("family2", expression="Patient.name.family")), Change("create", "Patient", resource=nicknamed("b"))])
    assert "awaits a reindex" in await refusal(world, ("family2", "王"))
    await runner.do(world, await asked(world))
    assert [await found(world, pair) for pair in (("nickname", "a,b"), ("family2", "王"))] == [2, 2]


async def test_a_refused_one_and_a_rehearsed_one_change_nothing(world):
    kind, status, codes, text = await failure_of(define(world, parameter(), parameter("b", expression="Patient.nam")))
    assert (status, codes) == (422, ["processing"])
    assert "has no search parameter" in await refusal(world, ("nickname", "a")) and await world.store.recipe() == ""
    assert await Records(world, operator()).rehearse(Change("create", "SearchParameter", resource=parameter()), runner.Event("E", "$validate")) is None
    assert await world.store.recipe() == ""


async def test_one_that_is_defined_while_a_reindex_runs_awaits_the_next(world, monkeypatch):
    monkeypatch.setattr(reindex, "CHUNK", 1)
    for step in range(4):
        await add(world, operator(), nicknamed(f"阿{step}"))
    await define(world)
    defining = []

    def meanwhile(done, total):
        if done == 2:
            defining.append(asyncio.create_task(define(world, parameter("late", expression="Patient.name.family"))))
    await runner.do(world, await asked(world), meanwhile)
    await defining[0]
    assert await found(world, ("nickname", "阿")) == 4 and "awaits a reindex" in await refusal(world, ("late", "王"))
    await runner.do(world, await asked(world))
    assert await found(world, ("late", "王")) == await found(world, ("nickname", "阿")) == 4


async def test_processes_agree_whoever_defines_writes_and_reindexes(world):
    async with open_world(world.settings) as other:
        await add(other, operator(), nicknamed("a"))
        await found(other, ("family", "王"))
        id, = await define(world)
        assert "awaits a reindex" in await refusal(other, ("nickname", "a"))
        await add(other, operator(), nicknamed("a"))
        await runner.do(other, await asked(other))
        await add(other, operator(), nicknamed("a"))
        await add(world, operator(), nicknamed("a"))
        assert await found(world, ("nickname", "a")) == await found(other, ("nickname", "a")) == 4
        await Records(other, operator()).commit([Change("delete", "SearchParameter", id)])
        assert "has no search parameter" in await refusal(world, ("nickname", "a"))


async def test_what_is_written_by_two_processes_while_one_defines_and_reindexes_is_all_found(world, monkeypatch):
    monkeypatch.setattr(reindex, "CHUNK", 5)
    monkeypatch.setattr(jobs, "TOLD", 0.0)
    written, over = [], False

    async def write(by, name: str):
        step = 0
        while not over:
            entry = await add(by, operator(), nicknamed(name))
            written.append(entry.id)
            if step % 3 == 0:
                await put(by, operator(), nicknamed(name, entry.id, gender="female"))
            step += 1

    async def search(by):
        while not over:
            try:
                total = await found(by, ("nickname", "甲,乙"))
                assert total >= len(before), "a part of the answer"
            except errors.Unsupported as failure:
                assert "reindex" in str(failure) or "has no" in str(failure)
            await asyncio.sleep(0.01)
    async with open_world(world.settings) as other:
        before = [(await add(world, operator(), nicknamed("甲"))).id for _ in range(20)]
        writers = [asyncio.create_task(write(world, "甲")), asyncio.create_task(write(other, "乙")), asyncio.create_task(search(world)), asyncio.create_task(search(other))]
        await asyncio.sleep(0.1)
        await ready(other)
        await asyncio.sleep(0.1)
        over = True
        await asyncio.gather(*writers)
        ids = await all_pages(Records(world, operator()), ("Patient",), [("nickname", "甲,乙"), ("_count", "500")])
        assert sorted(ids) == sorted(before + written) and len(written) > 4


async def test_a_commit_that_began_before_a_definition_is_done_again_with_it(mongo_world, monkeypatch):
    """On SQLite it would hold the lock."""
    async with open_world(mongo_world.settings) as other:
        paused, go_on = asyncio.Event(), asyncio.Event()

        async def hold(tx):
            if not paused.is_set():
                paused.set()
                await go_on.wait()
        writing = asyncio.create_task(Records(other, operator()).commit([Change("create", "Patient", resource=nicknamed("a"))], also=hold))
        await paused.wait()
        await ready(mongo_world)
        go_on.set()
        await writing
        assert await found(mongo_world, ("nickname", "a")) == 1


@pytest.mark.parametrize("strict", [True, False])
async def test_a_lenient_search_passes_over_one_that_waits_and_says_so(sqlite_world, strict):
    await add(sqlite_world, operator(), nicknamed("a"))
    await define(sqlite_world)
    asking = Records(sqlite_world, operator()).search(("Patient",), [("nickname", "zzz")], strict=strict)
    if strict:
        assert (await failure_of(asking))[0] is errors.Unsupported
    else:
        page = await asking
        assert len(page.entries) == 1 and page.search.ignored == ("nickname",) and page.search.understood == ()
