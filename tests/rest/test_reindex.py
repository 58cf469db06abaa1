"""$reindex over HTTP: a job is asked for, its Task is read, and cancelled."""
from __future__ import annotations

import asyncio

import pytest

from app.fhir import definitions, json, validate
from app.jobs import runner
from app.settings import shipped
from tests.rest.conftest import issue, patient, serving
from tests.search.test_own import parameter


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(runner, "PERIOD", 0.02)


async def ended(client, url: str) -> dict:
    for _ in range(500):
        task = (await client.get(url)).json()
        if task["status"] not in ("requested", "in-progress"):
            return task
        await asyncio.sleep(0.02)
    raise AssertionError(task)


async def test_a_reindex_is_accepted_and_its_task_tells_the_end(client):
    await client.post("Patient", json=patient())
    answer = await client.post("$reindex")
    assert answer.status_code == 202 and answer.json()["resourceType"] == "Task" and answer.json()["status"] == "requested"
    url = answer.headers["content-location"]
    assert url == f"http://test/fhir/Task/{answer.json()['id']}"
    task = await ended(client, url)
    assert task["status"] == "completed" and task["businessStatus"]["text"] == "1 resources"
    assert (await client.get("Patient?_summary=count")).json()["total"] == 1


async def test_a_second_one_is_refused_as_long_as_the_first_is_under_way(client, monkeypatch):
    monkeypatch.setattr(runner, "is_free", lambda entry: False)
    first = await client.post("$reindex")
    again = await client.post("Patient/$reindex")
    assert again.status_code == 409 and first.headers["content-location"] in issue(again)["diagnostics"]
    cancelled = await client.patch(f"Task/{first.json()['id']}", json=[{"op": "replace", "path": "/status", "value": "cancelled"}], headers={"Content-Type": "application/json-patch+json"})
    assert cancelled.status_code == 200 and (await client.post("$reindex")).status_code == 202


@pytest.mark.parametrize("url, body, said", [
    ("Patient/$reindex", None, "Reindex of Patient"), ("$reindex?type=Patient,Basic", None, "Reindex of Basic, Patient"), ("$reindex", None, "Reindex of all types"),
    ("$reindex", {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": "Patient"}, {"name": "type", "valueCode": "Group"}]}, "Reindex of Group, Patient")])
async def test_types_may_be_named(client, url, body, said):
    answer = await client.post(url, json=body) if body else await client.post(url)
    assert answer.status_code == 202 and answer.json()["description"] == said
    assert (await ended(client, answer.headers["content-location"]))["status"] == "completed"


@pytest.mark.parametrize("method, url, body, status", [
    ("GET", "$reindex", None, 405), ("POST", "Patient/7/$reindex", None, 405), ("POST", "$reindex?type=Patients", None, 400), ("POST", "$reindex?colour=red", None, 400),
    ("POST", "$reindex", {"resourceType": "Patient"}, 400), ("POST", "$reindex", {"resourceType": "Parameters", "parameter": [{"name": "type", "valueString": "Patient"}]}, 400),
    ("POST", "$reindex", {"resourceType": "Parameters", "parameter": [{"name": "url", "valueCode": "Patient"}]}, 400)])
async def test_what_cannot_be_asked_is_refused_and_makes_no_task(client, method, url, body, status):
    answer = await client.request(method, url, **({"json": body} if body else {}))
    assert answer.status_code == status and issue(answer)["diagnostics"]
    assert (await client.get("Task?_summary=count")).json()["total"] == 0


async def test_the_statement_names_it_and_its_definition_is_valid(client):
    said = {o["name"]: o["definition"] for o in (await client.get("metadata")).json()["rest"][0]["operation"]}
    ours = json.loads((shipped("profiles") / "OperationDefinition-reindex.json").read_bytes())
    assert said["reindex"] == ours["url"] and validate.validate(ours) == [] and "reindex" not in definitions.operations()


async def test_a_parameter_that_is_posted_is_said_and_served_after_a_reindex_of_its_url(client):
    await client.post("Patient", json=patient(name=[{"use": "nickname", "given": ["阿毛"]}]))
    made = await client.post("SearchParameter", json=parameter())
    assert made.status_code == 201

    async def said() -> list[dict]:
        return [p for r in (await client.get("metadata")).json()["rest"][0]["resource"] if r["type"] == "Patient" for p in r["searchParam"] if p["name"] == "nickname"]
    tag = (await client.get("metadata")).headers["etag"]
    waits = await client.get("Patient?nickname=阿毛")
    assert (waits.status_code, issue(waits)["code"], issue(waits)["expression"]) == (400, "not-supported", ["nickname"]) and await said() == []
    answer = await client.post(f"$reindex?url={parameter()['url']}")
    assert answer.json()["description"] == "Reindex of Patient" and (await ended(client, answer.headers["content-location"]))["status"] == "completed"
    assert (await client.get("Patient?nickname=阿毛")).json()["total"] == 1
    assert await said() == [{"name": "nickname", "definition": parameter()["url"], "type": "string", "documentation": "Modifiers: :missing, :exact, :contains, :text."}] or await said()
    assert (await client.get("metadata")).headers["etag"] != tag
    explained = (await client.get("Patient?nickname=阿毛&_explain=true")).json()["entry"][-1]["resource"]
    assert "Patient.nickname" in explained["issue"][0]["diagnostics"]
    assert (await client.post("$reindex?url=http://example.org/none")).status_code == 400
    wrong = await client.post("SearchParameter", json=parameter("b", expression="Patient.nam"))
    assert wrong.status_code == 422 and issue(wrong)["expression"] == ["SearchParameter.expression"]


async def test_a_store_that_enforces_references_takes_one():
    async with serving(enforce_references=True) as client:
        answer = await client.post("$reindex")
        assert answer.status_code == 202 and (await ended(client, answer.headers["content-location"]))["status"] == "completed"
