"""Maintenance: purges, and the refusal to serve an index of another version."""
from __future__ import annotations

import sqlite3

import pytest

from app import errors, upkeep
from app.jobs import runner
from app.main import open_world
from app.records import Records
from app.settings import Settings
from tests.conftest import operator
from tests.jobs.test_reindex import asked
from tests.test_records import add, failure_of, patient, put


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
        await runner.do(world, await asked(world))
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
