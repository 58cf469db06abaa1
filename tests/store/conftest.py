"""The stores under test: SQLite in a temporary file, and MongoDB on a given server or on mongo-java-server.

https://github.com/bwaldvogel/mongo-java-server has no transactions and no multikey index: it judges meaning, not speed.
"""
from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import uuid
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


@pytest.fixture
async def mongo(mongo_url, transactions):
    """Opens MongoDB stores on one fresh database: `await mongo(zone=...)`."""
    url = urlsplit(mongo_url)._replace(path=f"/yilian_test_{uuid.uuid4().hex[:12]}").geturl()
    opened = []

    async def open(**options) -> MongoStore:
        store = await MongoStore.open(url, **{"zone": "Asia/Shanghai", "without_transactions": not transactions, **options})
        opened.append(store)
        return store

    yield open
    if opened:
        await opened[0].client.drop_database(opened[0].db.name)
    for store in opened:
        await store.close()


@pytest.fixture
async def mongo_store(mongo):
    return await mongo()


@pytest.fixture
async def steps_store(mongo, monkeypatch):
    """A MongoDB store that takes all in small steps: most rows in side documents, semi-joins in batches, texts in parts."""
    for module, limits in ((clauses, {"SET": 2, "BATCH": 3}), (collections, {"ROWS": 1, "TEXT": 100_000})):
        for name, limit in limits.items():
            monkeypatch.setattr(module, name, limit)
    return await mongo()


@pytest.fixture
async def sqlite_store():
    store = await SqliteStore.open(":memory:", zone="Asia/Shanghai")
    yield store
    await store.close()


@pytest.fixture(params=["sqlite", "mongo", "steps"])
def store(request):
    """An empty store of each kind."""
    return request.getfixturevalue(f"{request.param}_store")
