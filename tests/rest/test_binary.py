"""Binary: content in its own media type both ways. http://hl7.org/fhir/R4/binary.html#rest"""
import base64

import pytest

from tests.rest.conftest import issue

PNG = bytes(range(256))
NATIVE = {"Content-Type": "image/png"}


async def stored(client, **headers) -> str:
    made = await client.post("Binary", content=PNG, headers={**NATIVE, **headers})
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def test_content_comes_back_as_it_was_sent(client):
    id = await stored(client)
    read = await client.get(f"Binary/{id}")
    assert read.status_code == 200 and read.content == PNG and read.headers["content-type"] == "image/png"
    assert read.headers["etag"] == 'W/"1"' and read.headers["last-modified"]


async def test_content_is_a_resource_where_fhir_is_asked_for(client):
    id = await stored(client)
    for headers, query in (({"Accept": "application/fhir+json"}, ""), ({}, "?_format=json")):
        read = await client.get(f"Binary/{id}{query}", headers=headers)
        assert read.json()["contentType"] == "image/png" and base64.b64decode(read.json()["data"]) == PNG
        assert read.headers["content-type"].startswith("application/fhir+json")


@pytest.mark.parametrize("accept, media", [("image/png", "image/png"), ("image/*", "image/png"), ("*/*", "image/png"), ("application/json", "application/json"),
                                           ("application/fhir+json;q=0.1, image/png", "image/png")])
async def test_accept_decides_on_a_read(client, accept, media):
    id = await stored(client)
    read = await client.get(f"Binary/{id}", headers={"Accept": accept})
    assert read.headers["content-type"].partition(";")[0] == media


async def test_content_that_is_not_accepted_is_406(client):
    id = await stored(client)
    assert (await client.get(f"Binary/{id}", headers={"Accept": "application/pdf"})).status_code == 406
    assert (await client.get(f"Binary/{id}?_format=xml")).status_code == 406


async def test_a_binary_resource_is_stored_as_such(client):
    body = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode("你好".encode()).decode(), "securityContext": {"reference": "Patient/a"}}
    for media in ("application/fhir+json", "application/json"):
        made = await client.post("Binary", json=body, headers={"Content-Type": media})
        read = await client.get(f"Binary/{made.json()['id']}")
        assert read.content == "你好".encode() and read.headers["content-type"] == "text/plain"
        assert read.headers["x-security-context"] == "Patient/a"


async def test_the_security_context_header_is_kept(client):
    id = await stored(client, **{"X-Security-Context": "Patient/a"})
    assert (await client.get(f"Binary/{id}")).headers["x-security-context"] == "Patient/a"
    assert (await client.get(f"Binary/{id}?_format=json")).json()["securityContext"] == {"reference": "Patient/a"}


async def test_an_update_by_put_takes_content(client):
    assert (await client.put("Binary/b", content=b"one", headers={"Content-Type": "text/plain"})).status_code == 201
    changed = await client.put("Binary/b", content=b"two", headers={"Content-Type": "text/plain; charset=gb18030", "If-Match": 'W/"1"'})
    assert changed.status_code == 200
    read = await client.get("Binary/b")
    assert read.content == b"two" and read.headers["content-type"] == "text/plain; charset=gb18030"
    assert (await client.get("Binary/b/_history/1")).content == b"one"


async def test_json_that_is_no_binary_is_content_like_any_other(client):
    made = await client.post("Binary", content=b'{"resourceType":"Patient"}', headers={"Content-Type": "application/fhir+json"})
    assert made.status_code == 201
    assert (await client.get(f"Binary/{made.json()['id']}")).content == b'{"resourceType":"Patient"}'
    other = await client.post("Binary", content=b"[1,2", headers={"Content-Type": "application/json"})
    assert (await client.get(f"Binary/{other.json()['id']}")).content == b"[1,2"


async def test_fhir_that_cannot_be_parsed_is_400(client):
    assert (await client.post("Binary", content=b"{", headers={"Content-Type": "application/fhir+json"})).status_code == 400


async def test_empty_content_is_content(client):
    made = await client.post("Binary", content=b"", headers={"Content-Type": "text/plain"})
    assert made.status_code == 201
    assert (await client.get(f"Binary/{made.json()['id']}")).content == b""


async def test_a_binary_is_not_patched(client):
    id = await stored(client)
    for address in (f"Binary/{id}", "Binary?_id=x"):
        refused = await client.patch(address, content=b"[]", headers={"Content-Type": "application/json-patch+json"})
        assert refused.status_code == 405 and "PATCH" not in refused.headers["allow"] and issue(refused)["code"] == "not-supported"


async def test_content_cannot_act_in_a_browser(client):
    made = await client.post("Binary", content=b"<script>alert(1)</script>", headers={"Content-Type": "text/html"})
    read = await client.get(f"Binary/{made.json()['id']}")
    assert read.headers["x-content-type-options"] == "nosniff" and "sandbox" in read.headers["content-security-policy"]


async def test_a_content_type_that_is_no_header_is_not_sent_as_one(client):
    made = await client.post("Binary", json={"resourceType": "Binary", "contentType": "text/plain 中", "data": "YQ=="})
    if made.status_code == 201:
        assert (await client.get(f"Binary/{made.json()['id']}")).headers["content-type"] == "application/octet-stream"


async def test_conditional_reads_and_head_work_on_content(client):
    id = await stored(client)
    assert (await client.get(f"Binary/{id}", headers={"If-None-Match": 'W/"1"'})).status_code == 304
    head = await client.head(f"Binary/{id}")
    assert head.content == b"" and head.headers["content-length"] == "256" and head.headers["content-type"] == "image/png"


async def test_bundles_hold_binaries_as_resources(client):
    id = await stored(client)
    found = (await client.get(f"Binary?_id={id}")).json()["entry"][0]["resource"]
    assert found["contentType"] == "image/png"
    assert (await client.get(f"Binary/{id}/_history")).json()["entry"][0]["resource"]["contentType"] == "image/png"
