"""A client of a whole server on an empty store in memory, and the few shapes that most tests need."""
from __future__ import annotations

import contextlib

import httpx
import pytest_asyncio

from app.main import create_app
from app.settings import Settings

FHIR = {"Content-Type": "application/fhir+json"}


@contextlib.asynccontextmanager
async def serving(**settings):
    """A client of a server with these settings."""
    app = create_app(Settings(**{"store": "sqlite::memory:", "open": True, **settings}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir/", headers=FHIR) as client:
            yield client


@pytest_asyncio.fixture
async def client():
    async with serving() as client:
        yield client


def patient(**more) -> dict:
    return {"resourceType": "Patient", **more}


def issue(response) -> dict:
    """The first issue of an OperationOutcome that an answer holds."""
    body = response.json()
    assert body["resourceType"] == "OperationOutcome", body
    return body["issue"][0]


def transaction(*entries, kind: str = "transaction") -> dict:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: dict | None = None, full: str = "", **request) -> dict:
    made = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full:
        made["fullUrl"] = full
    return made
