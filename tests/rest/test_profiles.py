"""Profiles at the door: what a write claims, and what $validate is asked for. https://hl7.org/fhir/R4/http.html#rejecting-updates, resource-operation-validate.html"""
from __future__ import annotations

import json

import pytest

from tests.fhir.profile.making import BASE
from tests.fhir.profile.test_r4 import DIASTOLIC, PRESSURE, SYSTOLIC, sign
from tests.rest.conftest import entry, patient, transaction
from tests.rest.test_validate import parameters, said

CLAIMS = {"meta": {"profile": [BASE + "bp"]}}
HALF = sign("85354-9", component=[SYSTOLIC], **CLAIMS)
MISSING = [("required", "Observation.component")] * 2


def told(answer) -> list[tuple[str, str]]:
    return [(issue["code"], issue["expression"][0]) for issue in answer.json()["issue"]]


async def test_a_write_that_claims_a_profile_and_breaks_it_is_422_with_every_issue_in_its_place(client):
    for answer in (await client.post("Observation", json=HALF), await client.put("Observation/a", json={**HALF, "id": "a"})):
        assert answer.status_code == 422 and told(answer) == MISSING, answer.text
    assert (await client.post("Observation", json={**PRESSURE, **CLAIMS})).status_code == 201
    assert (await client.post("Observation", json={key: value for key, value in HALF.items() if key != "meta"})).status_code == 201


async def test_where_r4_itself_is_broken_too_it_is_400_with_all_of_it(client):
    answer = await client.post("Observation", json={**HALF, "status": "done"})
    assert answer.status_code == 400 and told(answer) == [("code-invalid", "Observation.status"), *MISSING]


async def test_a_patch_may_not_break_what_is_claimed(client):
    await client.put("Observation/a", json={**PRESSURE, **CLAIMS, "id": "a"})
    operations = json.dumps([{"op": "remove", "path": "/component/1"}]).encode()
    answer = await client.patch("Observation/a", content=operations, headers={"Content-Type": "application/json-patch+json"})
    assert answer.status_code == 422 and told(answer) == MISSING
    assert len((await client.get("Observation/a")).json()["component"]) == 2


async def test_in_a_transaction_nothing_is_written_and_the_entry_is_named(client):
    both = transaction(entry("POST", "Patient", patient()), entry("POST", "Observation", HALF))
    answer = await client.post("", json=both)
    assert answer.status_code == 422 and told(answer) == [("required", "Bundle.entry[1].resource.component")] * 2
    assert (await client.get("Patient?_summary=count")).json()["total"] == 0
    batch = (await client.post("", json={**both, "type": "batch"})).json()
    assert [e["response"]["status"][:3] for e in batch["entry"]] == ["201", "422"]
    worse = transaction(entry("POST", "Patient", patient(gender="x")), entry("POST", "Observation", HALF))
    assert (await client.post("", json=worse)).status_code == 400


async def test_what_is_stored_is_judged_its_references_rewritten(client):
    whole = transaction(entry("POST", "Group", {"resourceType": "Group", "type": "person", "actual": True}, "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"),
                        entry("POST", "Observation", {**PRESSURE, **CLAIMS, "subject": {"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}}))
    answer = await client.post("", json=whole)
    assert answer.status_code == 422 and told(answer) == [("structure", "Bundle.entry[1].resource.subject")]


async def test_a_profile_that_is_not_known_refuses_nothing_and_is_told(client):
    claims = patient(meta={"profile": ["http://example.org/none"]})
    assert (await client.post("Patient", json=claims)).status_code == 201
    assert ("warning", "not-found", "Patient.meta.profile") in await said(client, "Patient/$validate", claims)


async def test_an_extension_is_held_to_its_definition(client):
    wrong = patient(extension=[{"url": BASE + "patient-birthPlace", "valueString": "a"}])
    answer = await client.post("Patient", json=wrong)
    assert answer.status_code == 422 and told(answer) == [("structure", "Patient.extension[0].value")]
    assert (await client.post("Patient", json=patient(extension=[{"url": "http://example.org/any", "valueString": "a"}]))).status_code == 201


class TestValidate:
    @pytest.mark.parametrize("resource, errors", [(PRESSURE, []), (HALF, MISSING), (sign("85354-9", component=[DIASTOLIC]), MISSING)])
    async def test_it_judges_by_a_profile_that_is_asked_for(self, client, resource, errors):
        for found in (await said(client, f"Observation/$validate?profile={BASE}bp", resource), await said(client, "Observation/$validate", parameters(resource=resource, profile=BASE + "bp"))):
            assert [each[1:] for each in found if each[0] == "error"] == errors

    async def test_a_stored_resource_too_and_with_a_mode_it_is_not_tried(self, client):
        await client.put("Observation/a", json={**sign("85354-9", component=[SYSTOLIC]), "id": "a"})
        assert [each[1:] for each in await said(client, f"Observation/a/$validate?profile={BASE}bp") if each[0] == "error"] == MISSING
        assert [each[1:] for each in await said(client, f"Observation/$validate?mode=create&profile={BASE}bp", HALF) if each[0] == "error"] == MISSING

    async def test_one_that_is_not_known_is_refused_with_those_that_are(self, client):
        answer = await client.post("Observation/$validate?profile=http://example.org/none", json=PRESSURE)
        text = answer.json()["issue"][0]["details"]["text"]
        assert answer.status_code == 400 and BASE + "vitalsigns" in text and BASE + "Observation" in text and "actualgroup" not in text


async def test_the_capability_statement_names_the_profiles_of_each_type(client):
    resources = {each["type"]: each for each in (await client.get("metadata")).json()["rest"][0]["resource"]}
    assert BASE + "bp" in resources["Observation"]["supportedProfile"] and "supportedProfile" not in resources["Account"]
    for each in resources.values():
        for url in each.get("supportedProfile", ()):
            assert (await client.get(f"{each['type']}/$validate?profile={url}")).json()["issue"][0]["code"] == "structure"  # it is known: there is nothing to judge
