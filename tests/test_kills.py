"""Servers of several processes, killed under load again and again: what was answered is there, and in the log, once."""
from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo import MongoClient

WORKERS, LIVES = 3, 3


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """`yilian serve` in a process group of its own."""

    def __init__(self, store: str, port: int, **settings: str):
        command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--store", store, "--port", str(port), "--workers", str(WORKERS), "--open"]
        self.process = subprocess.Popen(command, env={**os.environ, **settings}, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def workers(self) -> list[int]:
        found = []
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
        return found

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.asynccontextmanager
async def serving(store: str, **settings: str):
    """(a server that answers, a client of it); it is killed with all its processes in the end."""
    port = free_port()
    server = Server(store, port, **settings)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir/", timeout=30) as client:
            for _ in range(300):
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("metadata")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
            else:
                raise AssertionError("the server does not answer")
            yield server, client
    finally:
        server.kill()


def transaction(mark: str) -> dict:
    """Three resources that belong together."""
    url = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    parts = [("Patient", {"identifier": [{"system": "urn:mark", "value": mark}]}), *(("Observation", {
        "status": "final", "code": {"text": "x"}, "subject": {"reference": url}, "identifier": [{"system": "urn:mark", "value": mark}]}) for _ in range(2))]
    return {"resourceType": "Bundle", "type": "transaction", "entry": [
        {**({"fullUrl": url} if i == 0 else {}), "resource": {"resourceType": type, **content}, "request": {"method": "POST", "url": type}} for i, (type, content) in enumerate(parts)]}


class Load:
    """What was asked, and what of it was answered."""

    def __init__(self):
        self.written, self.asked, self.read, self.stopped = set(), set(), {}, False

    async def run(self, client) -> None:
        while not self.stopped:
            mark = uuid.uuid4().hex
            self.asked.add(mark)
            try:
                answer = await client.post("", json=transaction(mark), headers={"X-Request-Id": mark})
                assert answer.status_code in (200, 503), answer.text
                if answer.status_code == 200:
                    self.written.add(mark)
                for address, status in ((f"Patient?identifier=urn:mark|{mark}", 200), ("Patient/none", 404), ("Patient?x=1", 400)):
                    id = uuid.uuid4().hex
                    answer = await client.get(address, headers={"X-Request-Id": id})
                    assert answer.status_code in (status, 503), answer.text
                    if answer.status_code == status:
                        self.read[id] = "0" if status == 200 else "4"
            except httpx.TransportError:
                await asyncio.sleep(0.02)


async def killed(load: Load, server: Server, client) -> None:
    """The server's whole group under load, and before it one worker of it."""
    load.stopped = False
    running = [asyncio.create_task(load.run(client)) for _ in range(6)]
    await asyncio.sleep(0.5 + random.random() / 2)
    os.kill(random.choice(server.workers()), signal.SIGKILL)
    await asyncio.sleep(0.5 + random.random() / 2)
    server.kill()
    load.stopped = True
    await asyncio.gather(*running)


async def every(client, url: str) -> list[dict]:
    found = []
    while url:
        page = (await client.get(url)).json()
        found += [e["resource"] for e in page.get("entry", ())]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


def request(event: dict) -> str:
    return next((e["what"]["identifier"]["value"] for e in event["entity"] if e["type"]["code"] == "XrequestId"), "")


async def judged(load: Load, store: str, whole: bool, **settings: str) -> None:
    """What the next server says; whole: nothing half-written can be there."""
    async with serving(store, **settings) as (_, client):
        marks = {type: Counter(r["identifier"][0]["value"] for r in await every(client, f"{type}?_count=500")) for type in ("Patient", "Observation")}
        assert len(load.written) > 20 and load.written <= set(marks["Patient"]) <= load.asked
        assert all((marks["Patient"][m], marks["Observation"][m]) == (1, 2) for m in (marks["Patient"] if whole else load.written))
        events = await every(client, "AuditEvent?type=rest&_count=1000")
        told = {}
        for event in events:
            told.setdefault(request(event), []).append(event)
        assert len(load.read) > 50
        for id, outcome in load.read.items():
            assert [e["outcome"] for e in told.get(id, ())] == [outcome], (id, outcome)
        for mark in load.written:
            assert sorted((e["action"], e["outcome"]) for e in told.get(mark, ())) == [("C", "0")] * 3
        assert len({e["id"] for e in events}) == len(events)


@pytest.mark.slow
async def test_several_processes_killed_under_load_keep_and_log_all_that_they_answered(tmp_path):
    load, store = Load(), f"sqlite:{tmp_path}/store.db"
    for _ in range(LIVES):
        async with serving(store) as (server, client):
            await killed(load, server, client)
    await judged(load, store, whole=True)
    assert sqlite3.connect(tmp_path / "store.db").execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
async def test_several_processes_killed_under_load_keep_and_log_all_that_they_answered_on_mongodb(mongo_url, transactions):
    load, name = Load(), f"yilian_test_{uuid.uuid4().hex[:12]}"
    store = urlsplit(mongo_url)._replace(path=f"/{name}").geturl()
    settings = {"YILIAN_WITHOUT_TRANSACTIONS": "no" if transactions else "yes"}
    try:
        for _ in range(LIVES):
            async with serving(store, **settings) as (server, client):
                await killed(load, server, client)
        await judged(load, store, whole=transactions, **settings)
    finally:
        with MongoClient(mongo_url) as client:
            client.drop_database(name)


@pytest.mark.slow
async def test_a_search_of_the_log_sees_what_any_process_of_the_server_answered_before(tmp_path):
    async with serving(f"sqlite:{tmp_path}/store.db") as (_, first):
        async def asked(step: int) -> None:
            async with httpx.AsyncClient(base_url=first.base_url, timeout=30) as client, httpx.AsyncClient(base_url=first.base_url, timeout=30) as auditor:
                await client.get("Patient/none", headers={"X-Request-Id": f"req-{step}"})
                found = (await auditor.get(f"AuditEvent?entity:identifier=req-{step}")).json()
                assert [e["resource"]["outcome"] for e in found.get("entry", ())] == ["4"], step
        for step in range(0, 120, 8):
            await asyncio.gather(*(asked(step + n) for n in range(8)))


async def killed_in_a_reindex(store: str, many: int, version: int = 2, **settings: str) -> None:
    """A parameter is posted, its reindex begun, the server killed once its Task has this version; the next one ends the reindex, and only then serves the parameter."""
    parameter = {"resourceType": "SearchParameter", "url": "http://example.org/SearchParameter/nickname", "name": "A", "description": "a", "status": "active", "code": "nickname",
                 "base": ["Patient"], "type": "string", "expression": "Patient.name.where(use='nickname').given"}
    async with serving(store, **settings) as (server, client):
        for start in range(0, many, 1000):
            entries = [{"resource": {"resourceType": "Patient", "name": [{"use": "nickname", "given": [f"家{n}"]}]}, "request": {"method": "POST", "url": "Patient"}} for n in range(start, start + 1000)]
            assert (await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})).status_code == 200
        assert (await client.post("SearchParameter", json=parameter)).status_code == 201
        asked = await client.post("$reindex")
        assert asked.status_code == 202
        url = asked.headers["content-location"].partition("/fhir/")[2]
        while int((await client.get(url)).json()["meta"]["versionId"]) < version:
            await asyncio.sleep(0.02)
        server.kill()
    async with serving(store, **settings) as (_, client):
        for _ in range(1200):
            task, answer = (await client.get(url)).json(), await client.get("Patient?nickname:exact=家777&_summary=count")
            if task["status"] == "completed":
                break
            assert task["status"] == "in-progress" and (answer.status_code == 400 or answer.json()["total"] == 1)
            await asyncio.sleep(0.1)
        assert task["status"] == "completed" and int(task["meta"]["versionId"]) > 3 and task["businessStatus"]["text"] == f"{many + 1} resources"
        assert (await client.get("Patient?nickname:exact=家777")).json()["total"] == 1
        assert (await client.get("Patient?nickname=家&_summary=count")).json()["total"] == many


@pytest.mark.slow
async def test_a_reindex_whose_server_is_killed_goes_on_in_the_next_one(tmp_path):
    await killed_in_a_reindex(f"sqlite:{tmp_path}/store.db", 3000)


@pytest.mark.slow
async def test_a_reindex_whose_server_is_killed_goes_on_in_the_next_one_on_mongodb(mongo_url, transactions):
    name = f"yilian_test_{uuid.uuid4().hex[:12]}"
    try:
        # without transactions half of a killed commit stays: then it is killed between the Task's second and its next, not within the second
        await killed_in_a_reindex(urlsplit(mongo_url)._replace(path=f"/{name}").geturl(), 1000, 2 if transactions else 3, YILIAN_WITHOUT_TRANSACTIONS="no" if transactions else "yes")
    finally:
        with MongoClient(mongo_url) as client:
            client.drop_database(name)
