"""No byte of an answer leaves before its access record is durable: whole requests through the application, on files that tell what happens to them."""
from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import sqlite3
import threading
from dataclasses import replace

import pytest
import pytest_asyncio

from app.audit.frames import Frame, read
from app.main import create_app
from app.records import Change, Records
from tests.audit.test_journal import Disk, failing
from tests.conftest import operator
from tests.rest.conftest import entry, patient, transaction

REQUESTS = {
    "read": ("GET", "/Patient/p1", None, {}, 200), "vread": ("GET", "/Patient/p1/_history/1", None, {}, 200), "head": ("HEAD", "/Patient/p1", None, {}, 200),
    "not modified": ("GET", "/Patient/p1", None, {"if-none-match": 'W/"1"'}, 304), "not modified since": ("GET", "/Patient/p1", None, {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304),
    "absent": ("GET", "/Patient/none", None, {}, 404), "deleted": ("GET", "/Patient/p2", None, {}, 410), "search": ("GET", "/Patient?gender=male", None, {}, 200),
    "search by post": ("POST", "/Patient/_search", b"gender=male", {"content-type": "application/x-www-form-urlencoded"}, 200), "search of all": ("GET", "/?_type=Patient", None, {}, 200),
    "compartment": ("GET", "/Patient/p1/Observation", None, {}, 200), "refused search": ("GET", "/Patient?x=1", None, {}, 400), "log": ("GET", "/AuditEvent", None, {}, 200),
    "history": ("GET", "/Patient/p1/_history", None, {}, 200), "history of a type": ("GET", "/Patient/_history", None, {}, 200), "history of all": ("GET", "/_history", None, {}, 200),
    "refused write": ("PUT", "/Patient/p1", {"resourceType": "Patient", "id": "p1", "x": 1}, {}, 400), "unreadable write": ("POST", "/Patient", b"{", {}, 400),
    "failed condition": ("PUT", "/Patient/p1", patient(id="p1"), {"if-match": 'W/"9"'}, 412), "change of the log": ("DELETE", "/AuditEvent/log.1.0", None, {}, 405),
    "too large": ("POST", "/Patient", b" " * 3_000_000, {}, 413), "not acceptable": ("GET", "/Patient/p1", None, {"accept": "application/fhir+xml"}, 406),
    "batch": ("POST", "/", transaction(entry("GET", "Patient/p1"), entry("GET", "Patient/none"), kind="batch"), {}, 200),
    "unreadable batch": ("POST", "/", transaction(entry("DELETE", "AuditEvent/log.1.0"), entry("PUT", "Nothing/1", {}), kind="batch"), {}, 200),
    "reads of a transaction": ("POST", "/", transaction(entry("GET", "Patient/p1")), {}, 200), "refused transaction": ("POST", "/", transaction(entry("DELETE", "Patient?x=1")), {}, 400),
    "unknown operation": ("GET", "/Patient/$nothing", None, {}, 404)}
WRITES = {
    "create": ("POST", "/Patient", patient(), {}, 201), "update": ("PUT", "/Patient/p1", patient(id="p1", gender="female"), {}, 200), "unchanged": ("PUT", "/Patient/p1", patient(id="p1", gender="male"), {}, 200),
    "delete": ("DELETE", "/Patient/p1", None, {}, 204), "delete of nothing": ("DELETE", "/Patient/none", None, {}, 204),
    "transaction": ("POST", "/", transaction(entry("POST", "Patient", patient()), entry("GET", "Patient/p1")), {}, 200)}


class Watched:
    """An application whose journal (where it has one) is on a Disk; `order` is what happened, `sent` what left."""

    def __init__(self, world, tmp_path):
        self.disk = Disk()
        self.order = self.disk.calls
        self.embedded = world.settings.store.startswith("sqlite:")
        self.folder = tmp_path / "watched"
        self.world = world._replace(journal=self.disk.journal(self.folder)) if self.embedded else world
        self.app = create_app(world.settings)
        self.app.state.world = self.world

    async def ask(self, method: str, path: str, body, headers: dict, id: str) -> tuple[int, bytes, bool]:
        """Status, body, and whether the record of the request was durable when the first byte left."""
        address, _, query = path.partition("?")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent, durable = [], []
        given = {"content-type": "application/fhir+json", "x-request-id": id, "host": "test", **headers}
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": "/fhir" + address, "raw_path": b"", "root_path": "",
                 "query_string": query.encode(), "headers": [(k.encode(), v.encode()) for k, v in given.items()], "client": ("127.0.0.1", 1), "server": ("test", 80)}

        async def receive():
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message):
            self.order.append("send")
            if not sent:
                durable.append(await self.durable(id))
            sent.append(message)
        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:]), durable[0]

    async def durable(self, id: str) -> bool:
        """A record of the request stands in what was synced, or committed."""
        if not self.embedded:
            return await self.world.store.db.accesses.find_one({"request": id}) is not None
        synced = [f for path, size in self.disk.synced.items() for f in read(path) if isinstance(f, Frame) and f.end <= size]
        other = sqlite3.connect(self.world.store.path)
        committed = other.execute("select 1 from access where request=?", (id,)).fetchone()
        other.close()
        return committed is not None or any(json.loads(f.payload).get("r") == id for f in synced)


@contextlib.asynccontextmanager
async def watching(world, tmp_path):
    records = Records(world, operator())
    await records.commit([Change("update", "Patient", id, resource=patient(id=id, gender="male")) for id in ("p1", "p2")])
    await records.commit([Change("delete", "Patient", "p2")])
    watched = Watched(world._replace(settings=replace(world.settings, body_limit=2_000_000)), tmp_path)
    yield watched
    if watched.embedded:
        await watched.world.journal.close()


@pytest_asyncio.fixture
async def watched(world, tmp_path):
    async with watching(world, tmp_path) as watched:
        yield watched


@pytest_asyncio.fixture
async def embedded(sqlite_world, tmp_path):
    async with watching(sqlite_world, tmp_path) as watched:
        yield watched


@pytest.mark.parametrize("name", [*REQUESTS, *WRITES])
async def test_the_record_is_durable_before_the_first_byte_leaves(watched, name):
    *request, status = {**REQUESTS, **WRITES}[name]
    answered, _, durable = await watched.ask(*request, id="req-1")
    assert (answered, durable) == (status, True)
    if watched.embedded and name in REQUESTS:
        assert watched.order[:3] == ["open", "write", "sync"] and watched.order[-2:] == ["send", "send"]


async def test_commits_of_the_embedded_store_wait_for_the_disk(embedded):
    assert embedded.world.store._commits.con.execute("pragma synchronous").fetchone() == (2,)


@pytest.mark.parametrize("name", REQUESTS)
async def test_nothing_leaves_while_a_sync_takes_its_time(embedded, name):
    *request, status = REQUESTS[name]
    await embedded.ask("GET", "/Patient/p1", None, {}, id="first")
    released = threading.Event()
    embedded.disk.sync = lambda: released.wait(10)
    del embedded.order[:]
    asking = asyncio.create_task(embedded.ask(*request, id="req-2"))
    while "sync" not in embedded.order:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert "send" not in embedded.order and not asking.done()
    released.set()
    answered, _, durable = await asking
    assert (answered, durable) == (status, True)


@pytest.mark.parametrize("step", ["write", "sync"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_where_the_record_cannot_be_written_the_answer_is_503_and_says_nothing(embedded, name, step):
    setattr(embedded.disk, step, failing(errno.ENOSPC))
    method, *_ = request = REQUESTS[name][:4]
    answered, body, _ = await embedded.ask(*request, id="req-3")
    if name.endswith("batch") or name == "reads of a transaction":
        assert answered == 503 or [e["response"]["status"][:3] for e in json.loads(body)["entry"]] == ["503"] * 2
    else:
        assert answered == 503
    assert b"male" not in body and (method == "HEAD" or b"transient" in body)
    setattr(embedded.disk, step, lambda: None)
    answered, _, durable = await embedded.ask(*request, id="req-4")
    assert (answered, durable) == (REQUESTS[name][4], True)


async def test_what_the_server_can_do_is_answered_without_a_record(embedded):
    embedded.disk.sync = failing(errno.ENOSPC)
    answered, _, durable = await embedded.ask("GET", "/metadata", None, {}, id="req-5")
    assert (answered, durable) == (200, False)
