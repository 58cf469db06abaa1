"""delete, also by condition. http://hl7.org/fhir/R4/http.html#delete"""
import pytest

from tests.rest.conftest import issue, patient


async def test_a_delete_is_204_and_the_resource_is_found_no_more(client):
    await client.put("Patient/a", json=patient(id="a"))
    gone = await client.delete("Patient/a")
    assert gone.status_code == 204 and gone.content == b"" and gone.headers["etag"] == 'W/"2"'
    assert "content-type" not in gone.headers
    assert (await client.get("Patient/a")).status_code == 410
    assert (await client.get("Patient")).json()["total"] == 0


async def test_deleting_twice_or_nothing_is_no_error(client):
    await client.put("Patient/a", json=patient(id="a"))
    await client.delete("Patient/a")
    assert (await client.delete("Patient/a")).status_code == 204
    assert (await client.delete("Patient/b")).status_code == 204
    assert len((await client.get("Patient/a/_history")).json()["entry"]) == 2


async def test_a_delete_minds_if_match(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.delete("Patient/a", headers={"If-Match": 'W/"2"'})).status_code == 412
    assert (await client.delete("Patient/a", headers={"If-Match": 'W/"1"'})).status_code == 204
    assert (await client.delete("Patient/a", headers={"If-Match": 'W/"1"'})).status_code == 412


async def test_a_delete_can_tell_its_outcome(client):
    await client.put("Patient/a", json=patient(id="a"))
    gone = await client.delete("Patient/a", headers={"Prefer": "return=OperationOutcome"})
    assert gone.status_code == 200 and issue(gone)["severity"] == "information"


async def test_a_conditional_delete_removes_what_matches_one_or_many(client):
    for id, value in (("a", "1"), ("b", "2"), ("c", "2"), ("d", "3")):
        await client.put(f"Patient/{id}", json=patient(id=id, identifier=[{"value": value}]))
    assert (await client.delete("Patient?identifier=1")).status_code == 204
    assert (await client.delete("Patient?identifier=2")).status_code == 204
    left = await client.get("Patient")
    assert [e["resource"]["id"] for e in left.json()["entry"]] == ["d"]


async def test_a_conditional_delete_without_match_is_no_error(client):
    assert (await client.delete("Patient?identifier=1")).status_code == 204


async def test_a_conditional_delete_tells_how_many_there_were(client):
    for id in "ab":
        await client.put(f"Patient/{id}", json=patient(id=id, identifier=[{"value": "1"}]))
    gone = await client.delete("Patient?identifier=1", headers={"Prefer": "return=OperationOutcome"})
    assert "2" in issue(gone)["diagnostics"]


@pytest.mark.parametrize("address", ["Patient", "Patient/", "Patient?", "Patient?_format=json", "Patient?colour=red", "Patient?_count=1"])
async def test_a_delete_of_a_whole_type_is_refused(client, address):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.delete(address)).status_code == 400
    assert (await client.get("Patient/a")).status_code == 200


async def test_the_standards_form_with_a_slash_before_the_question_mark_is_read(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    assert (await client.delete("Patient/?identifier=1")).status_code == 204
    assert (await client.get("Patient/a")).status_code == 410


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_the_log_is_never_changed(client, method):
    event = (await client.get("AuditEvent")).json()
    id = event["entry"][0]["resource"]["id"] if event.get("entry") else "x"
    for address in (f"AuditEvent/{id}", "AuditEvent?type=rest"):
        refused = await client.request(method, address, json={"resourceType": "AuditEvent", "id": id})
        assert refused.status_code == 405 and "GET" in refused.headers["allow"] and method not in refused.headers["allow"]
