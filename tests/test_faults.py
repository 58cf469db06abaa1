"""Faults: killed processes, locked and full stores. What was acknowledged is there; what was not leaves no half."""
from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest

from app import errors
from app.records import Change, Records
from tests.conftest import operator
from tests.test_records import patient


@pytest.fixture
def world(sqlite_world):
    """These faults are the embedded store's."""
    return sqlite_world


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(folder, port: int) -> subprocess.Popen:
    environ = {**os.environ, "YILIAN_STORE": f"sqlite:{folder}/store.db", "YILIAN_OPEN": "yes"}
    return subprocess.Popen([sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", str(port), "--log-level", "error"], env=environ)


async def answering(client) -> None:
    for _ in range(150):
        try:
            if (await client.get("metadata")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("the server does not answer")


def transaction(mark: str) -> dict:
    """Three resources that belong together."""
    url = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    parts = [("Patient", {"identifier": [{"system": "urn:mark", "value": mark}]}), *(("Observation", {
        "status": "final", "code": {"text": "x"}, "subject": {"reference": url}, "identifier": [{"system": "urn:mark", "value": mark}]}) for _ in range(2))]
    return {"resourceType": "Bundle", "type": "transaction", "entry": [
        {**({"fullUrl": url} if i == 0 else {}), "resource": {"resourceType": type, **content}, "request": {"method": "POST", "url": type}} for i, (type, content) in enumerate(parts)]}


@pytest.mark.slow
async def test_a_server_killed_under_load_keeps_all_that_it_acknowledged_and_nothing_half_written(tmp_path):
    acknowledged, refused, step = set(), set(), 0
    for life in range(4):
        port = free_port()
        process = serve(tmp_path, port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir/", timeout=30) as client:
            try:
                await answering(client)

                async def work():
                    nonlocal step
                    while True:
                        step += 1
                        mark = f"m{step}"
                        try:
                            answer = await client.post("", json=transaction(mark))
                        except httpx.TransportError:
                            refused.add(mark)
                            return
                        assert answer.status_code == 200, answer.text
                        acknowledged.add(mark)

                workers = [asyncio.create_task(work()) for _ in range(6)]
                await asyncio.sleep(0.5 + random.random() / 2)
                process.send_signal(signal.SIGKILL)
                await asyncio.gather(*workers)
            finally:
                process.kill()
                process.wait()
    port = free_port()
    process = serve(tmp_path, port)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir/", timeout=60) as client:
            await answering(client)
            found = {type: {} for type in ("Patient", "Observation")}
            for type, marks in found.items():
                url = f"{type}?_count=500"
                while url:
                    page = (await client.get(url)).json()
                    for entry in page.get("entry", ()):
                        mark = entry["resource"]["identifier"][0]["value"]
                        marks[mark] = marks.get(mark, 0) + 1
                    url = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), None)
            assert len(acknowledged) > 20
            assert acknowledged <= set(found["Patient"]) <= acknowledged | refused
            assert found["Observation"] == {mark: 2 for mark in found["Patient"]} and set(found["Patient"].values()) == {1}
            log = (await client.get("AuditEvent?action=C&entity-type=2&_summary=count")).json()
            assert log["total"] >= 3 * len(acknowledged)
    finally:
        process.terminate()
        process.wait(20)
    assert sqlite3.connect(tmp_path / "store.db").execute("pragma integrity_check").fetchone() == ("ok",)


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
