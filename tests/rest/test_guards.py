"""A change that a state table refuses is refused at every way in that HTTP has."""
from __future__ import annotations

import pytest

from app import errors
from app.caller import Caller, system
from app.records import Change, Records
from app.workflow.job import JOBS
from tests.rest.conftest import entry, issue, transaction

JOB = {"resourceType": "Task", "id": "job", "status": "in-progress", "intent": "order", "code": {"coding": [{"system": JOBS, "code": "import"}]}}
OVER = {**JOB, "status": "completed"}
NEW = {key: value for key, value in JOB.items() if key != "id"}
PATCH = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
    {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Task.status"}, {"name": "value", "valueCode": "completed"}]}]}
WAYS = [("POST", "Task", NEW), ("PUT", "Task/job", OVER), ("PUT", "Task?_id=job", OVER), ("PATCH", "Task/job", PATCH), ("PATCH", "Task?_id=job", PATCH),
        ("DELETE", "Task/job", None), ("DELETE", "Task?_id=job", None)]


@pytest.mark.parametrize("method, url, body", WAYS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("kind", ["alone", "batch", "transaction"])
async def test_a_jobs_task_is_the_servers_to_change(client, kind, method, url, body):
    world = client._transport.app.state.world
    await Records(world, system("job", "operator", prefix="")).commit([Change("update", "Task", "job", JOB)])
    if kind == "alone":
        answer = await client.request(method, url, json=body)
        assert (answer.status_code, issue(answer)["code"]) == (422, "processing")
    else:
        answer = await client.post("", json=transaction(entry("POST", "Patient", {"resourceType": "Patient"}), entry(method, url, body), kind=kind))
        told = answer.json()["entry"][1]["response"]["outcome"] if kind == "batch" else answer.json()
        assert told["issue"][0]["code"] == "processing" and answer.status_code == (200 if kind == "batch" else 422)
        assert (await client.get("Patient?_summary=count")).json()["total"] == (1 if kind == "batch" else 0)
    assert (await client.get("Task/job")).json()["meta"]["versionId"] == "1"
    assert (await client.get("Task?_summary=count")).json()["total"] == 1


@pytest.mark.parametrize("named", ["job", "feed"])
async def test_no_client_is_the_server_by_its_name(client, named):
    records = Records(client._transport.app.state.world, Caller("operator", named, operator=True, prefix=""))
    with pytest.raises(errors.Unprocessable, match="only the server changes it"):
        await records.commit([Change("update", "Task", "job", JOB)])
