"""$validate. https://hl7.org/fhir/R4/resource-operation-validate.html"""
from __future__ import annotations

import pytest

from tests.rest.conftest import entry, patient, transaction

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
