"""read and vread. http://hl7.org/fhir/R4/http.html#read"""
from email.utils import parsedate_to_datetime

import pytest

from tests.rest.conftest import issue, patient


async def test_a_created_resource_is_read_back_with_its_id_and_version(client):
    made = await client.post("Patient", json=patient(gender="female"))
    id = made.json()["id"]
    read = await client.get(f"Patient/{id}")
    assert read.status_code == 200
    assert read.json()["resourceType"] == "Patient" and read.json()["id"] == id and read.json()["gender"] == "female"
    assert read.json()["meta"]["versionId"] == "1"


async def test_a_read_has_etag_last_modified_and_content_location(client):
    made = (await client.post("Patient", json=patient())).json()
    read = await client.get(f"Patient/{made['id']}")
    assert read.headers["etag"] == 'W/"1"'
    moment = parsedate_to_datetime(read.headers["last-modified"])
    assert moment.strftime("%Y-%m-%dT%H:%M:%S") == made["meta"]["lastUpdated"][:19]
    assert read.headers["content-location"] == f"http://test/fhir/Patient/{made['id']}/_history/1"
    assert read.headers["content-type"].startswith("application/fhir+json")


async def test_an_unknown_id_is_404_with_an_outcome(client):
    read = await client.get("Patient/nobody")
    assert read.status_code == 404
    assert issue(read)["code"] == "not-found" and issue(read)["severity"] == "error"


async def test_a_deleted_resource_is_410_with_the_version_of_its_delete(client):
    await client.put("Patient/a", json=patient(id="a"))
    await client.delete("Patient/a")
    read = await client.get("Patient/a")
    assert read.status_code == 410 and issue(read)["code"] == "deleted"
    assert read.headers["etag"] == 'W/"2"'


async def test_an_old_version_is_read_by_vread(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    await client.put("Patient/a", json=patient(id="a", gender="female"))
    first = await client.get("Patient/a/_history/1")
    assert first.status_code == 200
    assert first.json()["gender"] == "male" and first.json()["meta"]["versionId"] == "1"
    assert first.headers["etag"] == 'W/"1"'
    assert (await client.get("Patient/a/_history/2")).json()["gender"] == "female"


@pytest.mark.parametrize("version", ["3", "0", "-1", "x", "1.0", "99999999999999999999", "%E4%B8%80"])
async def test_a_version_that_never_was_is_404(client, version):
    await client.put("Patient/a", json=patient(id="a"))
    read = await client.get(f"Patient/a/_history/{version}")
    assert read.status_code == 404 and issue(read)["code"] == "not-found"


async def test_the_version_that_is_a_delete_is_410(client):
    await client.put("Patient/a", json=patient(id="a"))
    await client.delete("Patient/a")
    assert (await client.get("Patient/a/_history/2")).status_code == 410
    assert (await client.get("Patient/a/_history/1")).status_code == 200


async def test_if_none_match_with_the_current_version_is_304_without_a_body(client):
    await client.put("Patient/a", json=patient(id="a"))
    read = await client.get("Patient/a", headers={"If-None-Match": 'W/"1"'})
    assert read.status_code == 304 and read.content == b""
    assert read.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("header, status", [('W/"2"', 200), ('W/"2", W/"1"', 304), ('"1"', 304), ("*", 304), ('W/"nothing"', 200)])
async def test_if_none_match_names_versions(client, header, status):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.get("Patient/a", headers={"If-None-Match": header})).status_code == status


async def test_if_modified_since_the_last_change_is_304(client):
    made = await client.put("Patient/a", json=patient(id="a"))
    assert (await client.get("Patient/a", headers={"If-Modified-Since": made.headers["last-modified"]})).status_code == 304
    assert (await client.get("Patient/a", headers={"If-Modified-Since": "Sat, 29 Oct 1994 19:43:31 GMT"})).status_code == 200


async def test_a_bad_if_modified_since_is_ignored(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.get("Patient/a", headers={"If-Modified-Since": "yesterday"})).status_code == 200


async def test_if_none_match_outweighs_if_modified_since(client):
    made = await client.put("Patient/a", json=patient(id="a"))
    read = await client.get("Patient/a", headers={"If-None-Match": 'W/"7"', "If-Modified-Since": made.headers["last-modified"]})
    assert read.status_code == 200


async def test_head_is_a_read_without_its_body(client):
    await client.put("Patient/a", json=patient(id="a"))
    read, head = await client.get("Patient/a"), await client.head("Patient/a")
    assert head.status_code == 200 and head.content == b""
    for name in ("etag", "last-modified", "content-type", "content-length"):
        assert head.headers[name] == read.headers[name]
    assert (await client.head("Patient/b")).status_code == 404


async def test_an_unknown_parameter_of_a_read_is_named(client):
    await client.put("Patient/a", json=patient(id="a"))
    read = await client.get("Patient/a?colour=red")
    assert read.status_code == 400 and "colour" in issue(read)["diagnostics"]


async def test_summary_gives_marked_parts(client):
    await client.put("Patient/a", json=patient(id="a", gender="male", contact=[{"gender": "female", "name": {"text": "B"}}],
                                               text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A</div>'}))
    read = (await client.get("Patient/a?_summary=true")).json()
    assert read["gender"] == "male" and "contact" not in read and "text" not in read
    assert any(tag["code"] == "SUBSETTED" for tag in read["meta"]["tag"])
    text = (await client.get("Patient/a?_summary=text")).json()
    assert text["text"]["status"] == "generated" and text["id"] == "a" and "gender" not in text
    data = (await client.get("Patient/a?_summary=data")).json()
    assert "text" not in data and data["contact"] == [{"gender": "female", "name": {"text": "B"}}]
    assert "text" in (await client.get("Patient/a?_summary=false")).json()


async def test_elements_gives_those_and_the_mandatory(client):
    await client.put("Patient/a", json=patient(id="a", gender="male", birthDate="2001-02-03"))
    read = (await client.get("Patient/a?_elements=birthDate")).json()
    assert read["birthDate"] == "2001-02-03" and "gender" not in read
    assert read["resourceType"] == "Patient" and read["id"] == "a"
    assert any(tag["code"] == "SUBSETTED" for tag in read["meta"]["tag"])


@pytest.mark.parametrize("query", ["_summary=maybe", "_summary=true&_summary=text", "_pretty=maybe", "_summary=true&_elements=gender", "_summary=count"])
async def test_a_bad_view_is_refused(client, query):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.get(f"Patient/a?{query}")).status_code == 400


async def test_pretty_prints_and_changes_nothing(client):
    made = await client.post("Observation", content='{"resourceType":"Observation","status":"final","code":{"text":"a, \\"b\\": {c}"},'
                             '"valueQuantity":{"value":72.50,"unit":"kg"}}')
    id = made.json()["id"]
    read = await client.get(f"Observation/{id}?_pretty=true")
    assert '\n  "status": "final"' in read.text and "72.50" in read.text and "\\\"b\\\": {c}" in read.text
    assert read.json() == (await client.get(f"Observation/{id}")).json()


async def test_a_trailing_slash_is_nothing(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.get("Patient/a/")).status_code == 200


@pytest.mark.parametrize("version", ["01", "١", "1.0", "+1"])
async def test_a_version_is_named_as_it_was_given(client, version):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.get(f"Patient/a/_history/{version}")).status_code == 404


async def test_a_read_minds_if_match(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.get("Patient/a", headers={"If-Match": 'W/"1"'})).status_code == 200
    assert (await client.get("Patient/a", headers={"If-Match": 'W/"2"'})).status_code == 412
