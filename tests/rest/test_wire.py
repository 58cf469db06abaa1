"""Bytes on the wire: what is no HTTP, and heads without end."""
import asyncio
import json

import pytest
import pytest_asyncio
import uvicorn

from app.main import create_app
from app.rest.wire import LIMIT, Wire
from app.settings import Settings


@pytest_asyncio.fixture
async def port():
    server = uvicorn.Server(uvicorn.Config(create_app(Settings(store="sqlite::memory:", open=True)), port=0, http=Wire, log_level="critical"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def sent(port: int, *parts: bytes) -> list[tuple[int, dict]]:
    """Status and JSON of the answers to what is sent, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    found = []
    while line := await reader.readline():
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(h.partition(b":")[2]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length"))
        found.append((int(line.split()[1]), json.loads(await reader.readexactly(length))))
    writer.close()
    return found


@pytest.mark.parametrize("request_", ["GET /fhir/Patient?name=张 HTTP/1.1\r\nHost: a\r\n\r\n".encode(), b"GET /fhir/Patient?name=a b HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\0\r\n\r\n",
                                      b"GET /fhir/Patient?name=" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"])
async def test_what_is_no_http_is_refused_with_an_outcome(port, request_):
    (status, told), = await sent(port, request_)
    assert status == 400 and told["issue"][0]["code"] == "structure" and "percent-encoded" in told["issue"][0]["diagnostics"]


async def test_a_head_without_end_is_refused_before_it_is_kept(port):
    (status, told), = await sent(port, b"GET /fhir/Patient HTTP/1.1\r\nHost: a\r\nX-A: ", *[b"a" * (LIMIT // 8)] * 8)
    assert status == 431 and told["issue"][0]["code"] == "too-long" and str(LIMIT) in told["issue"][0]["diagnostics"]


async def test_large_bodies_and_requests_in_a_row_are_no_heads(port):
    body = b'{"resourceType":"Patient","name":[{"text":"' + b"x" * 900_000 + b'"}]}'
    post = b"POST /fhir/Patient HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\nPrefer: return=OperationOutcome\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /fhir/Patient/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert [status for status, _ in await sent(port, post + post, last)] == [201, 201, 404]
