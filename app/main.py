"""Wires everything, once: the store, the journal and its indexer, the doors."""
from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
import socket
import tempfile
import time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from app import cursor, errors
from app.audit.direct import Direct
from app.audit.indexer import Indexer
from app.audit.journal import Journal
from app.jobs import runner
from app.records import World
from app.settings import Settings
from app.store.base import Store

if TYPE_CHECKING:
    from fastapi import FastAPI

SWEEP = 600
"""Seconds between two sweeps of index rows that no page link can need any more."""
MONGO = re.compile(r"//[^/?]+/[^/?]+(\?.*)?")
log = logging.getLogger("yilian")


async def open_store(settings: Settings, *, reindexing: bool = False) -> Store:
    """The store that the settings name. Errors: ValueError for a name of no known kind; Unavailable where it cannot be served."""
    _check_zone(settings.zone)
    kind, _, rest = settings.store.partition(":")
    if kind == "sqlite" and rest:
        if os.path.isdir(rest):
            raise ValueError(f"{rest} is a folder; name a file in it, such as sqlite:{os.path.join(rest, 'yilian.db')}.")
        from app.store.sqlite import SqliteStore
        return await SqliteStore.open(rest, zone=settings.zone, reindexing=reindexing)
    if kind in ("mongodb", "mongodb+srv") and MONGO.fullmatch(rest):
        from app.store.mongo import MongoStore
        return await MongoStore.open(settings.store, zone=settings.zone, without_transactions=settings.without_transactions, reindexing=reindexing)
    raise ValueError(f"A store is sqlite:PATH or mongodb://HOST/NAME, not {settings.store!r}.")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"YILIAN_ZONE is the name of a time zone such as Asia/Shanghai, not {name!r}.") from None


@contextlib.asynccontextmanager
async def open_world(settings: Settings, *, reindexing: bool = False):
    """A World for as long as the block runs: journals are moved and old index rows swept meanwhile; what was accepted is finished."""
    store = await open_store(settings, reindexing=reindexing)
    site = settings.base.rstrip("/") or socket.gethostname()
    journal, indexer = _log(settings, store, site)
    world = World(settings, store, journal, indexer, await store.value("zone") or settings.zone, await store.value("cursor-secret", cursor.key), site)
    tasks = [asyncio.create_task(indexer.run()), asyncio.create_task(_sweep(store))]
    try:
        yield world
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()
        with contextlib.suppress(errors.Failure, OSError):
            await indexer.once()
        await store.close()


def _log(settings: Settings, store: Store, site: str) -> tuple[Journal | Direct, Indexer | Direct]:
    """What records accesses, and what moves them: beside an embedded store journals, none where the store is elsewhere."""
    if not settings.store.startswith("sqlite:"):
        direct = Direct(store)
        return direct, direct
    path = settings.store.removeprefix("sqlite:")
    folder = settings.journals or (tempfile.mkdtemp(prefix="yilian-journals-") if path == ":memory:" else path + ".journals")
    os.makedirs(folder, exist_ok=True)
    return Journal(folder, site), Indexer(folder, store)


async def _sweep(store: Store) -> None:
    while True:
        await asyncio.sleep(SWEEP)
        try:
            await store.sweep(time.time_ns() // 1000 - cursor.LIFETIME)
        except errors.Failure as failure:
            log.warning("sweep: %s", failure)


@contextlib.asynccontextmanager
async def jobs(world: World):
    """Jobs are done for as long as the block runs."""
    task = asyncio.create_task(runner.serve(world))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. Its world is opened when it starts and closed when it stops."""
    settings = settings or Settings.read()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        async with open_world(settings) as world:
            app.state.world = world
            gc.freeze()  # the definitions stay: looking through them again and again stops everybody
            async with jobs(world):
                yield

    from fastapi import FastAPI  # commands that serve nobody do without

    from app.rest.routes import mount
    app = FastAPI(title="Yilian", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    mount(app)
    return app
