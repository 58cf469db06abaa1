"""$validate. https://hl7.org/fhir/R4/resource-operation-validate.html"""
from __future__ import annotations

import pytest

from tests.rest.conftest import entry, patient, serving, transaction

DONE = {"resourceType": "Observation", "status": "final", "code": {"text": "a"}}


def parameters(**given) -> dict:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **({"resource": v} if isinstance(v, dict) else {"valueUri" if name == "profile" else "valueCode": v})}
                                                        for name, v in given.items()]}


async def said(client, url: str, sent: dict | None = None) -> list[tuple]:
    answer = await (client.post(url, json=sent) if sent is not None else client.get(url))
    assert answer.status_code == 200 and answer.json()["resourceType"] == "OperationOutcome", answer.text
    return [(i["severity"], i["code"], *i.get("expression", ())) for i in answer.json()["issue"]]


async def test_what_is_right_is_told_so_and_nothing_is_written(client):
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'}
    assert await said(client, "Observation/$validate", {**DONE, "text": text}) == [("information", "informational")]
    assert await said(client, "Observation/$validate", parameters(resource={**DONE, "text": text}, mode="create")) == [("information", "informational")]
    assert (await client.get("Observation?_summary=count")).json()["total"] == 0
    assert (await client.get("_history")).json().get("entry") is None


async def test_structure_invariants_and_best_practice_are_told_at_once(client):
    found = await said(client, "Observation/$validate", {"resourceType": "Observation", "code": {"text": "a"}, "valueString": "a", "dataAbsentReason": {"text": "b"},
                                                         "extension": [{"url": "urn:e"}]})
    assert found == [("error", "required", "Observation.status"), ("warning", "invariant", "Observation"), ("error", "invariant", "Observation"),
                     ("error", "invariant", "Observation.extension[0]")]
    assert await said(client, "Observation/$validate", patient()) == [("error", "structure", "Patient")]


async def test_a_stored_resource_is_judged_by_its_address(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert await said(client, "Patient/a/$validate") == [("warning", "invariant", "Patient")]
    assert (await client.get("Patient/none/$validate")).status_code == 404


async def test_a_mode_tells_what_would_refuse_the_change_and_leaves_it_undone(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert ("error", "value", "Patient.id") in [(s, "value", *e) for s, _, *e in await said(client, "Patient/a/$validate", parameters(resource=patient(id="b"), mode="update"))]
    assert {s for s, *_ in await said(client, "Patient/a/$validate", parameters(resource=patient(id="a", gender="male"), mode="update"))} == {"warning"}
    assert await said(client, "Patient/a/$validate?mode=delete") == [("information", "informational")]
    assert (await client.get("Patient/a")).json()["meta"]["versionId"] == "1"
    assert len((await client.get("Patient/a/_history")).json()["entry"]) == 1


async def test_a_create_is_tried_with_what_only_the_server_knows(client):
    """A reference to what is not here, where references are enforced."""
    async with serving(enforce_references=True) as strict:
        found = await said(strict, "Observation/$validate?mode=create", {**DONE, "subject": {"reference": "Patient/none"}})
        assert ("error", "processing", "Observation.subject.reference") in found and len(await said(strict, "Observation/$validate", {**DONE, "subject": {"reference": "Patient/none"}})) == 1


async def test_an_update_is_tried_against_the_version_that_it_names(client):
    await client.put("Patient/a", json=patient(id="a"))
    for version, codes in (("1", {"invariant"}), ("2", {"invariant", "conflict"})):
        answer = await client.post("Patient/a/$validate?mode=update", json=patient(id="a", gender="male"), headers={"If-Match": f'W/"{version}"'})
        assert answer.status_code == 200 and {i["code"] for i in answer.json()["issue"]} == codes
    assert (await client.post("Patient/a/$validate?mode=delete", headers={"If-Match": 'W/"2"'})).json()["issue"][0]["code"] == "conflict"


async def test_a_delete_does_not_look_at_what_is_sent(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert await said(client, "Patient/a/$validate", parameters(mode="delete", resource=patient(id="b", gender="nonsense"))) == [("information", "informational")]
    assert await said(client, "Patient/a/$validate?mode=delete", {"resourceType": "Parameters"}) == [("information", "informational")]
    assert [code for _, code, *_ in await said(client, "AuditEvent/a/$validate?mode=delete")] == ["not-supported"]


async def test_the_mode_profile_judges_what_is_stored_by_the_profile_that_is_named(client):
    url = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
    made = (await client.post("Observation", json=DONE)).json()
    found = await said(client, f"Observation/{made['id']}/$validate?mode=profile&profile={url}")
    assert "error" in {severity for severity, *_ in found}
    assert found == await said(client, f"Observation/{made['id']}/$validate", parameters(mode="profile", profile=url)) == await said(client, f"Observation/{made['id']}/$validate?profile={url}")
    for wrong in (f"Observation/$validate?mode=profile&profile={url}", f"Observation/{made['id']}/$validate?mode=profile", f"Observation/{made['id']}/$validate?mode=profile&profile=http://example.org/p"):
        assert (await client.get(wrong)).status_code == 400, wrong
    assert (await client.post(f"Observation/{made['id']}/$validate?mode=profile&profile={url}", json=DONE)).status_code == 400


@pytest.mark.parametrize("url, sent, status", [
    ("Patient/$validate", None, 400), ("Patient/$validate?mode=nonsense", patient(), 400), ("Patient/$validate?mode=update", patient(id="a"), 400),
    ("Patient/$validate?profile=http://example.org/p", patient(), 400), ("$validate", patient(), 404), ("Patient/$validate?other=1", patient(), 400),
    ("Patient/$validate", parameters(mode="create"), 400), ("Patient/$validate", {"resourceType": "Parameters", "parameter": [{"name": "x", "valueCode": "a"}]}, 400),
    ("Patient/$validate", {"resourceType": "Parameters", "parameter": [{"valueCode": "a"}]}, 400), ("Patient/$validate", {"resourceType": "Parameters", "parameter": "a"}, 400),
])
async def test_what_cannot_be_judged_is_refused(client, url, sent, status):
    answer = await (client.post(url, json=sent) if sent is not None else client.get(url))
    assert answer.status_code == status and answer.json()["resourceType"] == "OperationOutcome", answer.text


async def test_a_batch_may_ask_and_the_log_tells_it(client):
    answer = (await client.post("", json=transaction(entry("POST", "Observation/$validate", DONE), kind="batch"))).json()
    assert answer["entry"][0]["response"]["status"].startswith("200")
    told = [e["resource"]["subtype"][0]["code"] for e in (await client.get("AuditEvent?action=E")).json()["entry"]]
    assert told.count("operation") == 1
