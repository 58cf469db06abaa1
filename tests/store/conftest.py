"""The stores under test: SQLite in a temporary file, and MongoDB on a given server or on mongo-java-server.

https://github.com/bwaldvogel/mongo-java-server has no transactions and no multikey index: it judges meaning, not speed.
"""
from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import uuid
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.store.mongo import MongoStore, clauses, collections
from app.store.sqlite import SqliteStore

JAVA = Path(__file__).parent / "java"
NO_JAVA = "No JDK (17) with Maven on this machine and no server in MONGO: the MongoDB store is not tested."
NO_TRANSACTIONS = "The test server has no transactions: run with MONGO=mongodb://... of a replica set."


def _libraries() -> Path:
    """Fetches the server's jars once; target/ keeps them."""
    target = JAVA / "target"
    target.mkdir(exist_ok=True)
    with open(target / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = target / "fetched"
        if not done.exists():
            made = subprocess.run(["mvn", "-q", "-B", "dependency:copy-dependencies"], cwd=JAVA, capture_output=True, text=True, timeout=300)
            if made.returncode:
                raise RuntimeError("Maven could not fetch the test server:\n" + made.stdout[-2000:])
            done.touch()
    return target / "lib"


@pytest.fixture(scope="session")
def mongo_url():
    """The url of a MongoDB server: that of MONGO, or of a server started for this session."""
    if os.environ.get("MONGO"):
        yield os.environ["MONGO"]
        return
    if not (shutil.which("java") and shutil.which("mvn")):
        pytest.skip(NO_JAVA)
    command = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{_libraries()}/*", str(JAVA / "Server.java")]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield f"mongodb://127.0.0.1:{int(server.stdout.readline())}/"
    finally:
        server.stdin.close()
        server.wait(timeout=20)


@pytest.fixture(scope="session")
def transactions() -> bool:
    """The MongoDB server under test has transactions."""
    return bool(os.environ.get("MONGO"))


@pytest.fixture(autouse=True)
def _needs_transactions(request, transactions):
    if request.node.get_closest_marker("transactions") and not transactions:
        pytest.skip(NO_TRANSACTIONS)


@asynccontextmanager
async def _mongo(url: str, **options):
    """A store on a fresh database of the server."""
    url = urlsplit(url)._replace(path=f"/yilian_test_{uuid.uuid4().hex[:12]}").geturl()
    store = await MongoStore.open(url, **{"zone": "Asia/Shanghai", **options})
    try:
        yield store
    finally:
        await store.client.drop_database(store.db.name)
        await store.close()


@asynccontextmanager
async def _sqlite():
    store = await SqliteStore.open(":memory:", zone="Asia/Shanghai")
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def mongo_opening(mongo_url, transactions):
    """Contexts of empty stores: `async with mongo_opening() as store`."""
    return partial(_mongo, mongo_url, without_transactions=not transactions)


@pytest.fixture
def steps_opening(mongo_opening, monkeypatch):
    """MongoDB stores that take all in small steps: most rows in side documents, semi-joins in batches, texts in parts."""
    for module, limits in ((clauses, {"SET": 2, "BATCH": 3}), (collections, {"ROWS": 1, "TEXT": 100_000})):
        for name, limit in limits.items():
            monkeypatch.setattr(module, name, limit)
    return mongo_opening


@pytest.fixture
def sqlite_opening():
    return _sqlite


@pytest.fixture(params=["sqlite", "mongo", "steps"])
def opening(request):
    """Contexts of empty stores of each kind."""
    return request.getfixturevalue(f"{request.param}_opening")


@pytest.fixture
async def store(opening):
    """An empty store of each kind."""
    async with opening() as store:
        yield store
