"""The FHIR door of a whole world on each kind of store, and what its log says of it."""
from __future__ import annotations

from base64 import b64decode

import httpx
import pytest_asyncio

from app.main import create_app


def door(world) -> httpx.AsyncClient:
    """A client of an application that serves this world."""
    app = create_app(world.settings)
    app.state.world = world
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test/fhir/", headers={"Content-Type": "application/fhir+json"})


@pytest_asyncio.fixture
async def client(world):
    async with door(world) as client:
        yield client


async def told(client, **asked) -> list[dict]:
    """The newest AuditEvents first, searches of the log itself and openings of journals left out."""
    answer = await client.get("AuditEvent", params={"_count": 100, "type": "rest", **asked})
    assert answer.status_code == 200, answer.text
    return [e["resource"] for e in answer.json().get("entry", ()) if "AuditEvent?" not in query(e["resource"])]


def query(event: dict) -> str:
    """The query of a rendered AuditEvent, decoded; empty where it has none."""
    return next((b64decode(e["query"]).decode() for e in event["entity"] if "query" in e), "")


def named(event: dict) -> list[str]:
    """The references of an AuditEvent's entities."""
    return [e["what"]["reference"] for e in event["entity"] if "reference" in e.get("what", {})]
