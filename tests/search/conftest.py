"""The resources of a test module (its RESOURCES) in each kind of store."""
from __future__ import annotations

import uuid
from urllib.parse import urlsplit

import pytest_asyncio

from app.store.mongo import MongoStore
from app.store.sqlite import SqliteStore
from tests.search.shelf import ZONE, Shelf


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "mongo"])
async def shelf(request):
    if request.param == "sqlite":
        store = await SqliteStore.open(":memory:", zone=ZONE)
    else:
        url = urlsplit(request.getfixturevalue("mongo_url"))._replace(path=f"/yilian_test_{uuid.uuid4().hex[:12]}").geturl()
        store = await MongoStore.open(url, zone=ZONE, without_transactions=not request.getfixturevalue("transactions"))
    filled = Shelf(store, request.module.RESOURCES)
    await filled.fill()
    yield filled
    if request.param == "mongo":
        await store.client.drop_database(store.db.name)
    await store.close()
