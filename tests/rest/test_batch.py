"""batch: each entry alone. http://hl7.org/fhir/R4/http.html#brules"""
import base64

import pytest

from tests.rest.conftest import entry, issue, patient, transaction


async def send(client, *entries, **more):
    answer = await client.post("", json=transaction(*entries, kind="batch"), **more)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["resourceType"] == "Bundle" and body["type"] == "batch-response"
    assert len(body.get("entry", [])) == len(entries)
    return body.get("entry", [])


def statuses(entries) -> list[str]:
    return [e["response"]["status"][:3] for e in entries]


async def test_each_entry_is_done_and_told_in_the_requests_order(client):
    await client.put("Patient/z", json=patient(id="z"))
    done = await send(client, entry("GET", "Patient/z"), entry("PUT", "Patient/a", patient(id="a")), entry("POST", "Patient", patient()), entry("DELETE", "Patient/y"))
    assert statuses(done) == ["200", "201", "201", "204"]
    assert done[0]["resource"]["id"] == "z" and done[0]["fullUrl"] == "http://test/fhir/Patient/z"
    assert done[1]["response"]["location"] == "Patient/a/_history/1" and done[1]["response"]["etag"] == 'W/"1"' and done[1]["response"]["lastModified"]


async def test_a_failing_entry_leaves_the_others_alone(client):
    done = await send(client, entry("PUT", "Patient/a", patient(id="a", gender="blue")), entry("PUT", "Patient/b", patient(id="b")), entry("GET", "Patient/nobody"))
    assert statuses(done) == ["400", "201", "404"]
    assert done[0]["response"]["outcome"]["issue"][0]["code"] == "code-invalid" or done[0]["response"]["outcome"]["issue"][0]["severity"] == "error"
    assert done[2]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert (await client.get("Patient/b")).status_code == 200


@pytest.mark.parametrize("bad, status", [
    ({"request": {"method": "GET", "url": "Nothing/1"}}, "404"),
    ({"request": {"method": "POST", "url": "Patient"}}, "400"),
    ({"request": {"method": "PUT", "url": "Patient/a"}, "resource": {"resourceType": "Patient", "id": "b"}}, "400"),
    ({"request": {"method": "DELETE", "url": "Patient"}}, "400"),
    ({"request": {"method": "PATCH", "url": "Binary/1"}, "resource": {"resourceType": "Parameters"}}, "405"),
    ({"request": {"method": "GET", "url": "http://elsewhere/fhir/Patient/1"}}, "400"),
    ({"request": {"method": "GET", "url": "Patient?colour=red"}}, "400"),
    ({"request": {"method": "GET", "url": "Patient/$everything-else"}}, "404"),
    ({"request": {"method": "POST", "url": "/"}, "resource": {"resourceType": "Bundle", "type": "batch"}}, "400"),
    ({"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Observation"}}, "400"),
])
async def test_what_is_wrong_with_an_entry_is_told_in_its_response(client, bad, status):
    done = await send(client, bad, entry("PUT", "Patient/ok", patient(id="ok")))
    assert statuses(done) == [status, "201"]
    assert done[0]["response"]["outcome"]["resourceType"] == "OperationOutcome"


async def test_a_batch_inside_a_batch_is_refused_in_words(client):
    inner, = await send(client, entry("POST", "/", transaction(kind="batch")))
    assert inner["response"]["status"].startswith("400") and "inside another" in inner["response"]["outcome"]["issue"][0]["diagnostics"]


async def test_reads_searches_and_histories_are_answered(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    await client.put("Patient/a", json=patient(id="a", gender="female"))
    done = await send(client, entry("GET", "Patient?gender=female"), entry("GET", "Patient/a/_history"), entry("GET", "Patient/a/_history/1"),
                      entry("HEAD", "Patient/a"), entry("GET", "Patient/a?_elements=gender"), entry("GET", "http://test/fhir/Patient/a"), entry("GET", "/Patient/a"))
    assert statuses(done) == ["200"] * 7
    assert done[0]["resource"]["type"] == "searchset" and done[0]["resource"]["total"] == 1
    assert done[1]["resource"]["type"] == "history" and len(done[1]["resource"]["entry"]) == 2
    assert done[2]["resource"]["gender"] == "male"
    assert "resource" not in done[3] and done[3]["response"]["etag"] == 'W/"2"'
    assert done[5]["resource"]["id"] == done[6]["resource"]["id"] == "a"


async def test_conditions_of_entries_are_minded(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    made = await client.get("Patient/a")
    done = await send(
        client,
        entry("GET", "Patient/a", ifNoneMatch='W/"1"'),
        entry("GET", "Patient/a", ifModifiedSince="2999-01-01T00:00:00Z"),
        entry("PUT", "Patient/a", patient(id="a", gender="male"), ifMatch='W/"7"'),
        entry("POST", "Patient", patient(), ifNoneExist="identifier=1"),
        entry("PUT", "Patient/b", patient(id="b"), ifNoneMatch="*"),
    )
    assert statuses(done) == ["304", "304", "412", "200", "201"]
    assert "resource" not in done[0] and done[3]["response"]["location"] == "Patient/a/_history/1"
    assert (await client.get("Patient/a")).content == made.content


async def test_patches_come_as_binary_or_parameters(client):
    await client.put("Patient/a", json=patient(id="a"))
    change = base64.b64encode(b'[{"op":"add","path":"/gender","value":"male"}]').decode()
    fhirpath = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"}, {"name": "name", "valueString": "birthDate"}, {"name": "value", "valueDate": "2001-02-03"}]}]}
    done = await send(client, entry("PATCH", "Patient/a", {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": change}))
    assert statuses(done) == ["200"]
    done = await send(client, entry("PATCH", "Patient/a", fhirpath))
    assert statuses(done) == ["200"]
    changed = (await client.get("Patient/a")).json()
    assert changed["gender"] == "male" and changed["birthDate"] == "2001-02-03"
    bad = await send(client, entry("PATCH", "Patient/a", {"resourceType": "Binary", "contentType": "text/plain", "data": change}), entry("PATCH", "Patient/a", patient(id="a")),
                     entry("PATCH", "Patient/a", {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "*"}))
    assert statuses(bad) == ["400"] * 3


async def test_conditional_urls_are_done(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    await client.put("Patient/b", json=patient(id="b", identifier=[{"value": "2"}]))
    done = await send(client, entry("PUT", "Patient?identifier=1", patient(identifier=[{"value": "1"}], gender="male")), entry("DELETE", "Patient?identifier=2"),
                      entry("DELETE", "Patient?identifier=3"))
    assert statuses(done) == ["200", "204", "204"]
    assert (await client.get("Patient/b")).status_code == 410


async def test_prefer_decides_what_entries_hold(client):
    minimal, = await send(client, entry("PUT", "Patient/a", patient(id="a")))
    assert "resource" not in minimal and "outcome" not in minimal["response"]
    whole, = await send(client, entry("PUT", "Patient/b", patient(id="b")), headers={"Prefer": "return=representation"})
    assert whole["resource"]["id"] == "b" and whole["fullUrl"] == "http://test/fhir/Patient/b"
    told, gone = await send(client, entry("PUT", "Patient/c", patient(id="c")), entry("DELETE", "Patient/a"), headers={"Prefer": "return=OperationOutcome"})
    assert told["response"]["outcome"]["issue"][0]["severity"] == "information" and gone["response"]["outcome"]


async def test_a_binary_is_read_as_a_resource(client):
    await client.post("Binary", content=b"\x89PNG", headers={"Content-Type": "image/png"})
    id = (await client.get("Binary")).json()["entry"][0]["resource"]["id"]
    read, = await send(client, entry("GET", f"Binary/{id}"))
    assert read["resource"]["contentType"] == "image/png"


async def test_an_empty_batch_is_no_error(client):
    assert await send(client) == []
    assert (await client.post("", json={"resourceType": "Bundle", "type": "batch"})).json() == {"resourceType": "Bundle", "type": "batch-response"}


@pytest.mark.parametrize("body", [
    {"resourceType": "Patient"}, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "type": "collection"}, {"resourceType": "Bundle", "type": "searchset"},
    {"resourceType": "Bundle", "type": "batch", "entry": {}}, {"resourceType": "Bundle", "type": "batch", "entry": [7]}, {"resourceType": "Bundle", "type": "batch", "entry": [{}]},
    {"resourceType": "Bundle", "type": "batch", "entry": [{"request": 7}]}, {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET"}}]},
    {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "JUMP", "url": "Patient"}}]},
    {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": 7}}]},
    {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType": "Patient"}}]},
    {"resourceType": "Bundle", "type": "batch", "colour": "red"}, {"resourceType": "Bundle", "type": ["batch"]},
])
async def test_what_is_no_batch_is_400(client, body):
    answer = await client.post("", json=body)
    assert answer.status_code == 400 and issue(answer)["severity"] in ("error", "fatal")


async def test_the_base_with_and_without_a_slash_takes_bundles(client):
    for address in ("http://test/fhir", "http://test/fhir/"):
        assert (await client.post(address, json=transaction(kind="batch"))).status_code == 200


async def test_searches_by_post_have_their_place_in_a_batch(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    found, = await send(client, entry("POST", "Patient/_search?gender=male"))
    assert found["response"]["status"].startswith("200") and found["resource"]["total"] == 1


async def test_a_search_by_post_that_brings_a_resource_is_refused(client):
    told, = await send(client, entry("POST", "Patient/_search", {"resourceType": "Parameters", "parameter": [{"name": "_id", "valueString": "a"}]}))
    assert told["response"]["status"].startswith("400") and told["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[0].resource"]


@pytest.mark.parametrize("full", ["urn:uuid:00000000-0000-4000-8000-00000000000a", "http://elsewhere.example/fhir/Patient/77"])
async def test_an_entry_that_refers_to_another_that_is_created_is_refused(client, full):
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": full}}
    made, refused = await send(client, entry("POST", "Patient", patient(), full=full), entry("POST", "Observation", observation))
    assert made["response"]["status"].startswith("201")
    assert refused["response"]["status"].startswith("400") and full in refused["response"]["outcome"]["issue"][0]["diagnostics"]


async def test_an_entry_that_asks_for_a_format_that_is_not_served_is_refused(client):
    await client.put("Patient/z", json=patient(id="z"))
    asked = [entry("GET", "Patient/z?_format=xml"), entry("GET", "Patient?_format=ttl"), entry("DELETE", "Patient/z?_format=xml"), entry("GET", "Patient/z?_format=json")]
    assert statuses(await send(client, *asked)) == ["406", "406", "406", "200"]
    assert (await client.post("", json=transaction(*asked[:1]))).status_code == 406
