"""Maintenance: the index made anew, and the refusal to serve one of another version."""
from __future__ import annotations

import asyncio
import sqlite3

import pytest

from app import errors, upkeep
from app.main import open_world
from app.records import Change, Records
from app.settings import Settings
from tests.conftest import operator
from tests.test_records import add, failure_of, patient, put


async def test_a_reindex_makes_lost_rows_again(sqlite_world):
    for i in range(450):
        await add(sqlite_world, operator(), patient(family=f"家{i}"))

    async def lose(tx):
        tx.con.execute("delete from row")
    await sqlite_world.store.commit(lose)
    records = Records(sqlite_world, operator())
    assert (await records.search(("Patient",), [("family", "家7")])).total == 0
    assert await upkeep.reindex(sqlite_world, operator()) == 450
    assert (await records.search(("Patient",), [("family:exact", "家7")])).total == 1


async def test_an_index_of_another_version_is_served_only_after_a_reindex(tmp_path):
    settings = Settings(store=f"sqlite:{tmp_path}/store.db", open=True)
    async with open_world(settings) as world:
        await add(world, operator(), patient(family="欧阳"))
    con = sqlite3.connect(tmp_path / "store.db")
    con.execute("update value set value='0' where key='index'")
    con.commit()
    con.close()
    with pytest.raises(errors.Unavailable, match="yilian reindex"):
        async with open_world(settings):
            pass
    async with open_world(settings, reindexing=True) as world:
        await upkeep.reindex(world, operator())
    async with open_world(settings) as world:
        assert (await Records(world, operator()).search(("Patient",), [("family", "欧阳")])).total == 1


async def test_a_purge_is_in_the_log_and_leaves_410(world):
    entry = await add(world, operator(), patient())
    await put(world, operator(), patient(entry.id, "新"))
    assert await upkeep.purge(world, operator(), "Patient", entry.id, 1, "asked for by the patient")
    assert (await failure_of(Records(world, operator()).read("Patient", entry.id, "1")))[1] == 410
    page = await Records(world, operator()).search(("AuditEvent",), [("action", "D"), ("entity", f"Patient/{entry.id}")])
    assert len(page.entries) == 1 and "asked for by the patient".encode() in page.entries[0].text


async def test_a_purge_of_what_is_not_there_is_told_as_refused(world):
    entry = await add(world, operator(), patient())
    assert not await upkeep.purge(world, operator(), "Patient", entry.id, 1, "asked for by the patient")
    page = await Records(world, operator()).search(("AuditEvent",), [("action", "D"), ("outcome", "4"), ("entity", f"Patient/{entry.id}")])
    assert len(page.entries) == 1 and (await Records(world, operator()).read("Patient", entry.id, "1")).version == 1


async def test_a_reindex_is_in_the_log_and_leaves_alone_what_is_written_meanwhile(world):
    made = [await add(world, operator(), patient(family=f"家{i}")) for i in range(30)]

    async def write():
        for entry in made:
            await put(world, operator(), patient(entry.id, "新"))
    await asyncio.gather(upkeep.reindex(world, operator()), write())
    records = Records(world, operator())
    assert (await records.search(("Patient",), [("family:exact", "新"), ("_total", "accurate")])).total == 30
    assert (await records.search(("Patient",), [("family", "家"), ("_total", "accurate")])).total == 0
    assert len((await records.search(("AuditEvent",), [("subtype", "$reindex")])).entries) == 1
