"""What holds for every interaction: addresses, methods, headers, limits, compression, cross-origin use. http://hl7.org/fhir/R4/http.html"""
import gzip
import logging
import zlib

import httpx
import pytest

from app.rest import body, interactions
from tests.rest.conftest import issue, patient, serving, transaction

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("address", ["Nothing", "Nothing/1", "patient/1", "Parameters", "Patient/1/2", "Patient/1/_history/1/2", "Patient/1/nothing", "metadata/1", "_nothing", "_search/1",
                                     "Patient/_nothing", "Patient//1", "Patient/1/_history/1/_search", "Patient/1/*/*", "$", "Patient/$/x", "Patient/1/Observation/2", "_history/1"])
async def test_what_is_no_address_is_404_with_an_outcome(client, address):
    answer = await client.get(address)
    assert answer.status_code == 404 and issue(answer)["code"] == "not-found"
    assert answer.headers["content-type"].startswith("application/fhir+json")


@pytest.mark.parametrize("method, address, allowed", [
    ("DELETE", "", "GET, POST"), ("PUT", "", "GET, POST"), ("POST", "metadata", "GET"), ("POST", "Patient/1", "GET, PUT, PATCH, DELETE"), ("POST", "_history", "GET"),
    ("DELETE", "Patient/1/_history", "GET"), ("PUT", "Patient/1/_history/1", "GET"), ("DELETE", "Patient/1/_history/1", "GET"), ("GET", "Patient/_search", "POST"),
    ("PUT", "Patient/1/Observation", "GET"), ("TRACE", "Patient/1", "GET, PUT, PATCH, DELETE"), ("JUMP", "Patient", "GET, POST, PUT, PATCH, DELETE"),
    ("PATCH", "Binary/1", "GET, PUT, DELETE"), ("PUT", "AuditEvent/1", "GET"), ("GET", "AuditEvent/1/_history", ""),
])
async def test_a_method_that_an_address_has_not_is_405_and_says_which_it_has(client, method, address, allowed):
    answer = await client.request(method, address)
    assert answer.status_code == 405
    told = set(answer.headers["allow"].split(", "))
    assert set(filter(None, allowed.split(", "))) == told - {"HEAD", "OPTIONS"}
    assert issue(answer)["code"] == "not-supported"


@pytest.mark.parametrize("address", ["$everything", "Patient/$nothing", "Patient/1/$nothing"])
async def test_an_unknown_operation_is_404_by_name(client, address):
    for answer in (await client.get(address), await client.post(address, json={"resourceType": "Parameters"})):
        assert answer.status_code == 404 and "$" + address.partition("$")[2] in issue(answer)["diagnostics"]


@pytest.mark.parametrize("address", ["metadata", "", "Patient", "_history", "Patient/_history"])
async def test_head_stands_wherever_get_does(client, address):
    head = await client.head(address)
    assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 10


@pytest.mark.parametrize("accept, status", [("application/fhir+xml", 406), ("text/html", 406), ("application/json", 200), ("*/*", 200), ("application/fhir+json;fhirVersion=3.0", 406),
                                            ("application/fhir+json;charset=gbk", 406)])
@pytest.mark.parametrize("method, address", [("GET", "Patient"), ("GET", "metadata"), ("POST", "Patient/_search"), ("GET", "_history"), ("POST", "")])
async def test_every_interaction_negotiates(client, method, address, accept, status):
    headers = {"Accept": accept, **(FORM if address.endswith("_search") else {})}
    answer = await client.request(method, address, headers=headers, content=b"" if address else b'{"resourceType":"Bundle","type":"batch"}')
    assert answer.status_code == status
    if status == 406:
        assert issue(answer)["code"] == "not-supported"


@pytest.mark.parametrize("address", ["Patient?_format=xml", "metadata?_format=xml", "Patient/a?_format=ttl", "_history?_format=html", "Patient?_format=json&_format=json"])
async def test_an_unknown_or_repeated_format_is_refused(client, address):
    assert (await client.get(address)).status_code in (400, 406)


async def test_format_overrides_accept(client):
    answer = await client.get("Patient?_format=application/json", headers={"Accept": "application/fhir+xml"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json; charset=utf-8"


# request ids, caching


async def test_the_clients_request_id_is_answered(client):
    for address in ("Patient", "Nothing", "Patient/a"):
        assert (await client.get(address, headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"


async def test_a_request_without_an_id_gets_one_and_a_correlation_id_is_returned(client):
    one, two = await client.get("Patient"), await client.get("Patient", headers={"X-Correlation-Id": "them-7"})
    assert one.headers["x-request-id"] != two.headers["x-request-id"] and len(one.headers["x-request-id"]) > 20
    assert two.headers["x-correlation-id"] == "them-7"


async def test_an_endless_request_id_is_replaced(client):
    assert len((await client.get("Patient", headers={"X-Request-Id": "x" * 5000})).headers["x-request-id"]) < 100


async def test_headers_beyond_ascii_are_read_as_utf8(client):
    name = {"name": [{"family": "王"}]}
    header = {"If-None-Exist": "family=王".encode(), "X-Request-Id": "请求".encode()}
    first, again = [await client.post("Patient", json=patient(**name), headers=header) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers.raw and dict(first.headers.raw)[b"x-request-id"] == "请求".encode()


@pytest.mark.parametrize("hosts, status", [(["a.example"], 200), (["a.example:8080"], 200), (["[::1]:8080"], 200), (["a\"<x>/.."], 400), (["a/b"], 400), ([""], 400), (["a", "b"], 400), (["a:x"], 400)])
async def test_a_host_that_cannot_stand_in_a_link_is_400(client, hosts, status):
    answer = await client.get("Patient", headers=[("Host", host) for host in hosts])
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["link"][0]["url"] == f"http://{hosts[0]}/fhir/Patient"


async def test_repeated_headers_are_one_list(client):
    await client.put("Patient/a", json=patient(id="a"))
    answer = await client.get("Patient/a", headers=[("If-None-Match", 'W/"9"'), ("If-None-Match", 'W/"1"'), ("Accept", "application/fhir+xml"), ("Accept", "application/json")])
    assert answer.status_code == 304
    assert (await client.get("Patient/a", headers=[("Accept", "application/fhir+xml"), ("Accept", "application/json")])).headers["content-type"].startswith("application/json")


async def test_answers_are_for_the_caller_alone_and_checked_before_use(client):
    answer = await client.get("Patient")
    assert "private" in answer.headers["cache-control"] and "Accept" in answer.headers["vary"] and "Accept-Encoding" in answer.headers["vary"]


# preferences


@pytest.mark.parametrize("header, body", [(None, "Patient"), ("return=representation", "Patient"), ("return=minimal", None), ("return=OperationOutcome", "OperationOutcome"),
                                          ("respond-async", "Patient"), ("return=nothing", "Patient"), ("handling=lenient; return=minimal", None), ("handling=strict, return=minimal", None),
                                          ('return="minimal"', None)])
async def test_prefer_decides_what_a_write_returns(client, header, body):
    headers = {"Prefer": header} if header else {}
    made = await client.post("Patient", json=patient(), headers=headers)
    changed = await client.put("Patient/a", json=patient(id="a"), headers=headers)
    patched = await client.patch("Patient/a", json=[{"op": "add", "path": "/gender", "value": "male"}], headers={**headers, "Content-Type": "application/json-patch+json"})
    for answer in (made, changed, patched):
        assert answer.status_code in (200, 201) and answer.headers["etag"] and answer.headers["last-modified"]
        if body is None:
            assert answer.content == b"" and "content-type" not in answer.headers
        else:
            assert answer.json()["resourceType"] == body
        if body in (None, "OperationOutcome"):
            assert answer.headers["preference-applied"].startswith("return=")
    assert made.headers["location"]


async def test_a_failure_has_its_outcome_whatever_is_preferred(client):
    answer = await client.post("Patient", json=patient(gender="blue"), headers={"Prefer": "return=minimal"})
    assert answer.status_code == 400 and issue(answer)


# sizes


async def test_a_body_over_the_limit_is_413():
    async with serving(body_limit=1000) as client:
        answer = await client.post("Patient", json=patient(name=[{"text": "x" * 1000}]))
        assert answer.status_code == 413 and issue(answer)["code"] == "too-long" and "1000" in issue(answer)["diagnostics"]
        assert (await client.post("Binary", content=b"x" * 1001, headers={"Content-Type": "image/png"})).status_code == 413
        assert (await client.post("Patient", json=patient())).status_code == 201


async def test_a_body_of_some_megabytes_is_taken(client):
    content = b"x" * 6_000_000
    made = await client.post("Binary", content=content, headers={"Content-Type": "application/dicom"})
    assert made.status_code == 201
    assert (await client.get(f"Binary/{made.json()['id']}")).content == content


async def test_a_streamed_body_over_the_limit_is_413_before_it_ends():
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 100

    async with serving(body_limit=1000) as client:
        answer = await client.post("Patient", content=endless())
        assert answer.status_code == 413 and "content-length" not in answer.request.headers and sent < 50


async def test_bodies_in_gzip_and_deflate_are_unpacked(client):
    text = b'{"resourceType":"Patient","gender":"female"}'
    for encoding, packed in (("gzip", gzip.compress(text)), ("deflate", zlib.compress(text)), ("identity", text), ("GZip", gzip.compress(text))):
        made = await client.post("Patient", content=packed, headers={"Content-Encoding": encoding})
        assert made.status_code == 201 and made.json()["gender"] == "female", encoding


@pytest.mark.parametrize("encoding, content, status", [
    ("br", b"x", 415), ("gzip", b"not gzip", 400), ("gzip", gzip.compress(b'{"resourceType":"Patient"}', mtime=0)[:-4], 400), ("deflate", b"\0", 400),
    ("gzip", gzip.compress(b'{"resourceType":"Patient"}', mtime=0) + b"more", 400), ("gzip, gzip", b"", 415), ("gzip", b"", 400),
])
async def test_a_body_that_is_not_in_its_encoding_is_refused(client, encoding, content, status):
    assert (await client.post("Patient", content=content, headers={"Content-Encoding": encoding})).status_code == status


async def test_a_compression_bomb_is_413():
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with serving(body_limit=1_000_000) as client:
        assert len(bomb) < 1_000_000
        assert (await client.post("Patient", content=bomb, headers={"Content-Encoding": "gzip"})).status_code == 413


async def test_a_bomb_is_never_unpacked_beyond_the_limit():
    async def chunks():
        yield gzip.compress(b"\0" * 10_000_000)

    with pytest.raises(body.TooLarge):
        await body.read(chunks(), None, "gzip", 1000)

    async def exact():
        yield gzip.compress(b"\0" * 1000)

    assert await body.read(exact(), None, "gzip", 1000) == b"\0" * 1000


async def test_long_answers_are_compressed_for_who_takes_it(client):
    await client.put("Patient/a", json=patient(id="a", name=[{"text": "x" * 5000}]))
    plain = await client.get("Patient/a", headers={"Accept-Encoding": "identity"})
    packed = await client.get("Patient/a", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json() and int(packed.headers["content-length"]) < 1000
    assert "content-encoding" not in (await client.get("Patient/b", headers={"Accept-Encoding": "gzip"})).headers, "a short answer is sent as it is"


# text


@pytest.mark.parametrize("address", ["Patient/%00", "Patient/%FF", "Patient?_id=%00", "Patient?%FF=1", "Patient?_id=%ED%A0%80", "%FF/1", "Patient/a%00b"])
async def test_nul_and_what_is_not_utf8_is_400(client, address):
    answer = await client.get(address)
    assert answer.status_code == 400 and issue(answer)


async def test_a_form_with_nul_or_bad_utf8_is_400(client):
    for content in (b"_id=%00", b"_id=\xff", b"_id=%FF"):
        assert (await client.post("Patient/_search", content=content, headers=FORM)).status_code == 400


# other origins


async def test_a_preflight_is_answered_with_what_is_possible(client):
    answer = await client.options("Patient/a", headers={"Origin": "https://app.example", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"GET", "PUT", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    allowed = answer.headers["access-control-allow-headers"].lower()
    for name in ("content-type", "if-match", "if-none-exist", "if-none-match", "prefer", "authorization", "x-request-id"):
        assert name in allowed


async def test_answers_show_a_browser_the_headers_of_the_standard(client):
    for answer in (await client.get("Patient", headers={"Origin": "https://app.example"}), await client.get("Nothing", headers={"Origin": "https://app.example"})):
        assert answer.headers["access-control-allow-origin"] == "*"
        for name in ("ETag", "Location", "Content-Location", "Last-Modified", "X-Request-Id"):
            assert name in answer.headers["access-control-expose-headers"]


async def test_options_of_an_unknown_address_is_404(client):
    assert (await client.options("Nothing")).status_code == 404
    assert (await client.options("")).headers["allow"] == "POST, GET, HEAD, OPTIONS"


# faults of ours


async def test_an_unexpected_fault_is_500_without_particulars_and_is_logged(client, monkeypatch, caplog):
    async def broken(call):
        raise RuntimeError("a secret")

    row = interactions.SHAPES["Ti"]["GET"]
    monkeypatch.setitem(interactions.SHAPES["Ti"], "GET", row._replace(answer=broken))
    with caplog.at_level(logging.ERROR):
        answer = await client.get("Patient/a", headers={"X-Request-Id": "r-1"})
        batch = await client.post("", json=transaction({"request": {"method": "GET", "url": "Patient/a"}}, kind="batch"))
    assert answer.status_code == 500 and issue(answer)["code"] == "exception"
    assert "secret" not in answer.text and "Traceback" not in answer.text and "r-1" in answer.text
    assert batch.status_code == 200 and batch.json()["entry"][0]["response"]["status"].startswith("500") and "secret" not in batch.text
    assert "a secret" in caplog.text


async def test_links_use_the_address_that_is_set():
    async with serving(base="https://fhir.hospital.example") as client:
        made = await client.put("Patient/a", json=patient(id="a"))
        assert made.headers["location"] == "https://fhir.hospital.example/fhir/Patient/a/_history/1"
        assert (await client.get("Patient")).json()["link"][0]["url"] == "https://fhir.hospital.example/fhir/Patient"


async def test_a_store_that_is_not_open_answers_its_capability_statement_only():
    async with serving(open=False) as client:
        assert (await client.get("metadata")).status_code == 200
        refused = await client.get("Patient/a")
        assert refused.status_code == 401 and issue(refused)["code"] == "login" and refused.headers["www-authenticate"]


async def test_what_is_beside_the_base_is_not_the_doors(client):
    async with httpx.AsyncClient(transport=client._transport, base_url="http://test") as outside:
        assert (await outside.get("/fhirx/Patient")).status_code == 404
