"""Fixtures that many rooms' tests share: a world on each kind of store, and callers."""
from __future__ import annotations

import uuid
from urllib.parse import urlsplit

import hypothesis
import pytest
import pytest_asyncio

from app.caller import Caller
from app.main import open_world
from app.settings import Settings
from tests.store.conftest import mongo_url, transactions  # noqa: F401 - the session's MongoDB server, for tests of other rooms too

hypothesis.settings.register_profile("house", deadline=None)  # how long an example takes says how busy the machine is
hypothesis.settings.load_profile("house")


@pytest_asyncio.fixture
async def sqlite_world(tmp_path):
    """A whole world on a fresh SQLite file."""
    async with open_world(Settings(store=f"sqlite:{tmp_path}/store.db", journals=str(tmp_path / "journals"), open=True)) as world:
        yield world


@pytest_asyncio.fixture
async def mongo_world(tmp_path, mongo_url, transactions):  # noqa: F811
    """A whole world on a fresh database of the MongoDB server under test."""
    url = urlsplit(mongo_url)._replace(path=f"/yilian_test_{uuid.uuid4().hex[:12]}").geturl()
    async with open_world(Settings(store=url, journals=str(tmp_path / "journals"), open=True, without_transactions=not transactions)) as world:
        yield world
        await world.store.client.drop_database(world.store.db.name)


@pytest.fixture(params=["sqlite", "mongo"])
def world(request):
    """A whole world on each kind of store."""
    return request.getfixturevalue(f"{request.param}_world")


@pytest.fixture(params=["sqlite", "mongo"])
def settings(request, tmp_path):
    """Settings of a fresh store of each kind, for a server of its own that may be started again."""
    if request.param == "sqlite":
        return {"store": f"sqlite:{tmp_path}/store.db"}
    url = urlsplit(request.getfixturevalue("mongo_url"))._replace(path=f"/yilian_test_{uuid.uuid4().hex[:12]}").geturl()
    return {"store": url, "journals": str(tmp_path / "journals"), "without_transactions": not request.getfixturevalue("transactions")}


def hospital(name: str, **more) -> Caller:
    """A member hospital's own system; it may choose ids that start with its name."""
    return Caller(organization=name, client=f"{name}-emr", prefix=f"{name}-", base="http://test/fhir", **more)


def operator(**more) -> Caller:
    return Caller(organization="operator", client="open", operator=True, prefix="", base="http://test/fhir", **more)
