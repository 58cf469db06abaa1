"""Faults: locked and full stores. What was acknowledged is there; what was not leaves no half. Killed servers are in test_kills.py."""
from __future__ import annotations

import sqlite3

import pytest

from app import errors
from app.records import Change, Records
from app.store.sqlite import SqliteStore
from tests.conftest import operator
from tests.test_records import patient


@pytest.fixture
def world(sqlite_world):
    """These faults are the embedded store's."""
    return sqlite_world


async def test_a_store_locked_by_another_process_answers_503_and_recovers(world, monkeypatch):
    from app.store.sqlite import commit
    monkeypatch.setattr(commit, "WAIT", 0.3)
    other = sqlite3.connect(world.store.path, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(errors.Unavailable, match="locked"):
        await Records(world, operator()).commit([Change("create", "Patient", resource=patient())])
    other.execute("rollback")
    [done] = await Records(world, operator()).commit([Change("create", "Patient", resource=patient())])
    assert done.outcome == "created" and (await Records(world, operator()).search(("Patient",), [])).total == 1


async def test_a_full_disk_answers_503_leaves_no_half_and_recovers(world):
    con = world.store._commits.con
    pages = con.execute("pragma page_count").fetchone()[0]
    con.execute(f"pragma max_page_count={pages + 4}")
    records = Records(world, operator())
    big = [Change("create", "Patient", resource=patient(family="大" * 20000)) for _ in range(40)]
    with pytest.raises(errors.Unavailable, match="full") as caught:
        await records.commit(big)
    assert caught.value.headers["Retry-After"]
    assert (await records.search(("Patient",), [("_total", "accurate")])).total == 0
    con.execute("pragma max_page_count=1073741823")
    assert len(await records.commit(big)) == 40


async def test_no_audit_no_data(world, monkeypatch):
    [done] = await Records(world, operator()).commit([Change("create", "Patient", resource=patient())])

    def full(fd):
        raise OSError(28, "No space left on device")
    kept = world.journal._sync
    world.journal._sync = full
    for ask in (lambda r: r.read("Patient", done.entry.id), lambda r: r.search(("Patient",), []), lambda r: r.versions("Patient"), lambda r: r.read("Patient", "nobody")):
        with pytest.raises(errors.Unavailable):
            await ask(Records(world, operator()))
    world.journal._sync = kept
    assert (await Records(world, operator()).read("Patient", done.entry.id)).id == done.entry.id


async def test_a_file_that_is_no_database_is_told_in_one_sentence_and_left_as_it_is(tmp_path):
    path = tmp_path / "文件 1.db"
    path.write_bytes(b"hello world" * 1000)
    with pytest.raises(errors.Unavailable, match="no SQLite database"):
        await SqliteStore.open(str(path))
    assert path.read_bytes() == b"hello world" * 1000


async def test_as_many_alternatives_as_a_list_may_have_are_searched(world):
    await Records(world, operator()).commit([Change("create", "Patient", resource=patient(family="Wang"))])
    names = ",".join(f"n{i}" for i in range(499))
    found = await Records(world, operator()).search(("Patient",), [("family", f"{names},wang"), ("_total", "accurate")])
    assert found.total == 1
