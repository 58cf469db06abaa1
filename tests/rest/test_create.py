"""create, also by condition. http://hl7.org/fhir/R4/http.html#create"""
import pytest

from tests.rest.conftest import issue, patient


async def test_a_create_is_201_with_the_place_of_the_version(client):
    made = await client.post("Patient", json=patient())
    assert made.status_code == 201
    id = made.json()["id"]
    assert made.headers["location"] == f"http://test/fhir/Patient/{id}/_history/1"
    assert made.headers["etag"] == 'W/"1"' and made.headers["last-modified"]


async def test_the_servers_id_version_and_time_replace_the_clients(client):
    made = (await client.post("Patient", json=patient(id="mine", meta={"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z"}))).json()
    assert made["id"] != "mine"
    assert made["meta"]["versionId"] == "1" and made["meta"]["lastUpdated"] > "2020"
    assert (await client.get("Patient/mine")).status_code == 404


async def test_the_rest_of_meta_is_kept(client):
    tag = {"system": "http://example.org/tags", "code": "x"}
    made = (await client.post("Patient", json=patient(meta={"tag": [tag], "profile": ["http://example.org/p"]}))).json()
    assert tag in made["meta"]["tag"] and made["meta"]["profile"] == ["http://example.org/p"]


async def test_numbers_text_and_order_come_back_as_written(client):
    text = '{"resourceType":"Observation","status":"final","code":{"text":"重量 \U0002A6D6"},"valueQuantity":{"value":1.50e2,"unit":"kg"},"_status":{"id":"s"}}'
    made = await client.post("Observation", content=text.encode())
    assert made.status_code == 201, made.text
    read = await client.get(f"Observation/{made.json()['id']}")
    assert '"value":1.50e2' in read.text and "\U0002A6D6" in read.text
    assert read.text.index('"status"') < read.text.index('"code":{') < read.text.index('"valueQuantity"') < read.text.index('"_status"')


@pytest.mark.parametrize("content, code", [
    ("", "structure"), ("{", "structure"), ("[]", "structure"), ("null", "structure"), ('"Patient"', "structure"), ("{}", "structure"),
    ('{"resourceType":7}', "structure"), ('{"resourceType":"Patient","resourceType":"Patient"}', None), ('{"resourceType":"Patient","gender":NaN}', None),
    (b'{"resourceType":"Patient","id":"\xff"}', None), ('{"resourceType":"Patient"} x', None),
])
async def test_what_is_no_resource_is_400(client, content, code):
    made = await client.post("Patient", content=content)
    assert made.status_code == 400
    assert code is None or issue(made)["code"] == code


async def test_a_nesting_bomb_is_400(client):
    assert (await client.post("Patient", content='{"resourceType":"Patient","extension":' + "[" * 100_000 + "]" * 100_000 + "}")).status_code == 400
    assert (await client.post("Patient", content='{"a":' * 100_000 + "1" + "}" * 100_000)).status_code == 400


async def test_a_resource_of_another_type_than_the_address_is_400(client):
    made = await client.post("Patient", json={"resourceType": "Observation", "status": "final", "code": {"text": "x"}})
    assert made.status_code == 400 and "Observation" in issue(made)["diagnostics"]


async def test_every_fault_of_a_resource_is_told_at_once_with_its_place(client):
    made = await client.post("Patient", json=patient(gender="blue", birthDate="01.02.2003", colour="red"))
    assert made.status_code == 400
    places = {p for i in made.json()["issue"] for p in i.get("expression", [])}
    assert len(made.json()["issue"]) == 3
    assert {"Patient.gender", "Patient.birthDate"} <= places


@pytest.mark.parametrize("header", ["application/fhir+xml", "text/plain", "application/fhir+json; charset=gb18030", "application/json-patch+json"])
async def test_another_media_type_is_415(client, header):
    made = await client.post("Patient", json=patient(), headers={"Content-Type": header})
    assert made.status_code == 415 and issue(made)["code"] == "not-supported"
    assert "application/fhir+json" in made.headers["accept-post"]


@pytest.mark.parametrize("header", ["application/json", "text/json", "application/fhir+json; charset=utf-8", "application/fhir+json;fhirVersion=4.0"])
async def test_each_name_of_json_is_read(client, header):
    assert (await client.post("Patient", json=patient(), headers={"Content-Type": header})).status_code == 201


async def test_what_cannot_be_answered_is_not_done(client):
    made = await client.post("Patient", json=patient(gender="other"), headers={"Accept": "application/fhir+xml"})
    assert made.status_code == 406
    assert (await client.get("Patient?gender=other")).json()["total"] == 0


async def test_an_unknown_type_is_404(client):
    for type in ("Person2", "patient", "Parameters", "Resource", "DomainResource", "Element", "HumanName"):
        made = await client.post(type, json={"resourceType": type})
        assert made.status_code == 404 and issue(made)["code"] == "not-found", type


async def test_a_conditional_create_makes_a_resource_once(client):
    one = patient(identifier=[{"system": "urn:s", "value": "1"}])
    header = {"If-None-Exist": "identifier=urn:s|1"}
    first = await client.post("Patient", json=one, headers=header)
    again = await client.post("Patient", json=one, headers=header)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["etag"] == 'W/"1"' and again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    assert (await client.get("Patient?identifier=urn:s|1")).json()["total"] == 1


async def test_a_conditional_create_with_several_matches_is_412(client):
    for _ in range(2):
        await client.post("Patient", json=patient(identifier=[{"system": "urn:s", "value": "1"}]))
    made = await client.post("Patient", json=patient(), headers={"If-None-Exist": "identifier=urn:s|1"})
    assert made.status_code == 412 and issue(made)["code"] == "multiple-matches"


@pytest.mark.parametrize("header", ["", "?", "colour=red", "identifier", "_count=1", "identifier=%FF", "identifier=a%00b"])
async def test_a_condition_that_selects_nothing_is_400(client, header):
    made = await client.post("Patient", json=patient(), headers={"If-None-Exist": header})
    assert made.status_code == 400


async def test_a_condition_may_name_the_type(client):
    await client.post("Patient", json=patient(identifier=[{"value": "1"}]))
    assert (await client.post("Patient", json=patient(), headers={"If-None-Exist": "Patient?identifier=1"})).status_code == 200


async def test_a_parameter_of_a_create_is_refused(client):
    assert (await client.post("Patient?gender=male", json=patient())).status_code == 400
    assert (await client.post("Patient?_format=json&_pretty=true", json=patient())).status_code == 201


async def test_a_created_resource_can_be_viewed_in_part(client):
    made = await client.post("Patient?_elements=gender", json=patient(gender="male", birthDate="2001-02-03"))
    assert made.status_code == 201 and made.json()["gender"] == "male" and "birthDate" not in made.json()


@pytest.mark.parametrize("more", [
    {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><a href="http://example.org/a?b=1">more?</a></div>'}},
    {"photo": [{"url": "/images/1?size=2"}]}, {"extension": [{"url": "http://example.org/e", "valueUri": "mailto:a@example.org?subject=x"}]},
    {"extension": [{"url": "http://example.org/e", "valueUri": "Patient?identifier=nobody"}]}, {"extension": [{"url": "http://example.org/e", "valueCanonical": "Questionnaire?name=x"}]},
    {"generalPractitioner": [{"reference": "ftp://example.org/x?y=1"}]}, {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><a href="Patient?identifier=1">a</a></div>'}},
])
async def test_a_question_mark_in_a_link_is_no_conditional_reference(client, more):
    made = await client.post("Patient", json=patient(**more))
    assert made.status_code == 201, made.text
    assert {key: made.json()[key] for key in more} == more
