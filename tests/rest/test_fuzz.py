"""Random bytes, JSON, addresses, queries and headers never give a 5xx, and every refusal is an OperationOutcome."""
import asyncio
import json
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fhir import definitions
from app.main import create_app
from app.settings import Settings
from tests.rest.conftest import FHIR

MANY = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TYPES = st.sampled_from(["Patient", "Observation", "Bundle", "Binary", "AuditEvent", "List", "Questionnaire", "Nothing"])
WORDS = st.sampled_from(["resourceType", "Patient", "Bundle", "transaction", "batch", "entry", "request", "method", "url", "GET", "POST", "PUT", "PATCH", "DELETE", "resource", "fullUrl",
                         "id", "meta", "a", "extension", "valueString", "contained", "text", "div", "reference", "subject", "parameter", "name", "operation", "part", "type", "path",
                         "Patient.name", "value", "op", "add", "/name/0", "", "\0", "#", "urn:uuid:1", "Patient?identifier=1", "Patient/1", "ifMatch", 'W/"1"', "ifModifiedSince"])
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=25)
SEGMENTS = st.lists(st.one_of(TYPES, st.sampled_from(["_history", "_search", "*", "$x", "metadata", "1", "a", "", "..", "%00", "%FF", "%2F", "__proto__"]), st.text(max_size=6)), max_size=5)
NAMES = st.sampled_from(["_id", "_count", "_sort", "_include", "_revinclude", "_has:Observation:subject:code", "_lastUpdated", "_summary", "_elements", "_format", "_pretty", "_since", "_at",
                         "_cursor", "_total", "_type", "_list", "_explain", "identifier", "identifier:of-type", "name:exact", "birthdate", "general-practitioner.name", "organization:Organization.name",
                         "value-quantity", "code-value-quantity", "gender:not", "subject:missing", "date", "url:below"])
VALUES = st.one_of(st.text(max_size=12), st.sampled_from(["|", "||", "a|b", "a|b|c", "$", "a$b", ",", "\\", "\\,", "ge2020", "ap", "2020-13-45", "0000", "9999-12-31", "1e9999", "-0", "5.40e-3|x|y", "*", "Patient:x",
                                                          "Observation:subject", "-", "-_id", "9" * 400, "true", "count", "2020-02-30T25:61:61Z", "+08:00", "json", "id,", "%", "\x7f"]))
QUERIES = st.lists(st.tuples(NAMES | st.text(max_size=8), VALUES), max_size=4)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
MEDIA = st.sampled_from(["application/fhir+json", "application/json", "application/json-patch+json", "application/x-www-form-urlencoded", "text/plain", "", "x", "application/fhir+json; charset=x"])
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
HEADERS = st.fixed_dictionaries({}, optional={"Accept": st.one_of(PLAIN, st.sampled_from(["*/*", "application/fhir+json;q=0.1, */*;q=0", ",", ";", "q=1", "a/b;q=nan"])), "If-Match": PLAIN, "If-None-Match": PLAIN,
                                              "If-Modified-Since": PLAIN, "If-None-Exist": PLAIN, "Prefer": PLAIN, "Content-Encoding": st.sampled_from(["gzip", "deflate", "x", "identity"]), "X-Request-Id": PLAIN,
                                              "X-Security-Context": PLAIN, "Accept-Encoding": PLAIN})


class Door:
    """A server that outlives the examples, on a loop of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.app = create_app(Settings(store="sqlite::memory:", open=True))
        self.life = self.app.router.lifespan_context(self.app)
        self.loop.run_until_complete(self.life.__aenter__())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://test", headers=FHIR)

    def ask(self, method: str, address: str, **more):
        return self.loop.run_until_complete(self.client.request(method, address, **more))

    def close(self):
        self.loop.run_until_complete(self.life.__aexit__(None, None, None))
        self.loop.close()


@pytest.fixture(scope="module")
def door():
    door = Door()
    door.ask("PUT", "/fhir/Patient/1", json={"resourceType": "Patient", "id": "1", "name": [{"family": "A"}]})
    yield door
    door.close()


def fine(answer):
    assert answer.status_code < 500, answer.text
    if answer.status_code == 200 and b'-response"' in answer.content[:70]:
        assert all(entry["response"]["status"] < "5" for entry in answer.json().get("entry", [])), answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.json()["resourceType"] == "OperationOutcome" and answer.json()["issue"][0]["severity"] in ("error", "fatal")


@MANY
@given(type=TYPES, content=st.binary(max_size=200), media=MEDIA)
def test_random_bytes(door, type, content, media):
    for method, address in (("POST", type), ("PUT", f"{type}/1"), ("PATCH", f"{type}/1"), ("POST", ""), ("POST", f"{type}/_search")):
        fine(door.ask(method, f"/fhir/{address}", content=content, headers={"Content-Type": media}))


@MANY
@given(type=TYPES, body=JSON)
def test_random_json(door, type, body):
    content = json.dumps(body).encode()
    for method, address, media in (("POST", type, "fhir+json"), ("PUT", f"{type}/1", "fhir+json"), ("PATCH", f"{type}/1", "fhir+json"), ("PATCH", f"{type}/1", "json-patch+json"), ("POST", "", "fhir+json")):
        fine(door.ask(method, f"/fhir/{address}", content=content, headers={"Content-Type": f"application/{media}"}))


@MANY
@given(kind=st.sampled_from(["batch", "transaction"]), entries=st.lists(st.fixed_dictionaries({}, optional={
    "request": st.fixed_dictionaries({}, optional={"method": METHODS | JSON, "url": WORDS | st.text(max_size=8) | JSON, "ifMatch": WORDS | JSON, "ifNoneExist": WORDS, "ifModifiedSince": WORDS | st.just("2020-01-01T23:59:60Z")}),
    "resource": st.fixed_dictionaries({"resourceType": TYPES}, optional={"id": WORDS, "subject": JSON, "contentType": WORDS, "data": WORDS, "name": JSON}) | JSON, "fullUrl": WORDS | JSON}), max_size=3))
def test_random_bundles(door, kind, entries):
    fine(door.ask("POST", "/fhir", content=json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()))


@MANY
@given(method=METHODS, segments=SEGMENTS, query=QUERIES, headers=HEADERS)
def test_random_addresses_queries_and_headers(door, method, segments, query, headers):
    path = "/".join(segment if segment in ("%00", "%FF", "%2F") else quote(segment) for segment in ["/fhir", *segments])
    url = httpx.URL("http://test" + path, params=query or None)
    if url.path.startswith("/fhir/"):
        fine(door.ask(method, url, headers=headers, content=b"" if method in ("POST", "PUT", "PATCH") else None))


@MANY
@given(query=QUERIES, type=st.sampled_from(["Patient", "Observation", "AuditEvent", "ValueSet", ""]), address=st.sampled_from(["", "/_history", "/1/_history", "/1/*", "/1/Observation"]))
def test_random_queries_of_real_addresses(door, query, type, address):
    fine(door.ask("GET", f"/fhir/{type}{address if type else ''}", params=query))
    fine(door.ask("GET", f"/fhir/{type}{address if type else ''}", params=query, headers={"Prefer": "handling=lenient"}))


@MANY
@given(query=st.binary(max_size=40))
def test_random_query_bytes(door, query):
    async def raw():
        sent = []
        scope = {"type": "http", "method": "GET", "path": "/fhir/Patient", "raw_path": b"/fhir/Patient", "query_string": query, "headers": [(b"host", b"test")], "client": ("127.0.0.1", 1),
                 "server": ("test", 80), "scheme": "http", "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"}}

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        await door.app(scope, receive, send)
        return sent[0]["status"]

    assert door.loop.run_until_complete(raw()) < 500


@settings(parent=MANY, max_examples=60)
@given(type=st.sampled_from(sorted(definitions.ENDPOINT_TYPES)), data=st.data())
def test_known_elements_with_random_content(door, type, data):
    """Every element of a type, filled with anything: refused or stored, and then read back."""
    keys = sorted(definitions.elements(type))
    body = {"resourceType": type, **data.draw(st.dictionaries(st.sampled_from(keys), JSON, max_size=5))}
    fine(door.ask("POST", f"/fhir/{type}", content=json.dumps(body).encode()))
