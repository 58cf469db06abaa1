"""Fixtures that many rooms' tests share: a world on a temporary embedded store, and callers."""
from __future__ import annotations

import pytest_asyncio

from app.caller import Caller
from app.main import open_world
from app.settings import Settings


@pytest_asyncio.fixture
async def world(tmp_path):
    """A whole world on a fresh SQLite file."""
    async with open_world(Settings(store=f"sqlite:{tmp_path}/store.db", journals=str(tmp_path / "journals"), open=True)) as world:
        yield world


def hospital(name: str, **more) -> Caller:
    """A member hospital's own system; it may choose ids that start with its name."""
    return Caller(organization=name, client=f"{name}-emr", prefix=f"{name}-", base="http://test/fhir", **more)


def operator(**more) -> Caller:
    return Caller(organization="operator", client="open", operator=True, prefix="", base="http://test/fhir", **more)
