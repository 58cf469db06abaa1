"""Profiles and extensions that are stored on the server: they count for whoever sees them, and for nobody else."""
from __future__ import annotations

import pytest

from app import errors
from app.change import Change
from app.fhir import json
from app.records import Records
from app.sharing import rules
from app.store.base import Event
from tests.conftest import hospital, operator
from tests.fhir.profile.making import BASE, HERE, defined

NAMED = defined("named", "Patient", {"id": "Patient.name", "min": 1})
LONG = defined("long", "Patient", {"id": "Patient.name.text", "min": 1}, base=HERE + "named")
NICK = defined("nick", "Extension", {"id": "Extension.url", "fixedUri": HERE + "nick"}, {"id": "Extension.value[x]", "min": 1, "type": [{"code": "string"}]},
               context=[{"type": "element", "expression": "Patient"}])
PATIENT = {"resourceType": "Patient", "meta": {"profile": [HERE + "named"]}}


def creates(*resources: dict) -> list[Change]:
    return [Change("create", one["resourceType"], resource=json.loads(json.dumps(one))) for one in resources]


async def refused(records: Records, resource: dict) -> list[tuple[str, str]]:
    try:
        await records.commit(creates(resource))
    except errors.Unprocessable as failure:
        return [(issue.code, issue.expression) for issue in failure.issues]
    return []


async def test_a_stored_profile_and_what_it_is_derived_from_hold_for_its_claims(world):
    records = Records(world, hospital("hexi"))
    assert await refused(records, PATIENT) == []  # not known yet
    await records.commit(creates(NAMED, LONG, NICK))
    assert await refused(records, PATIENT) == [("required", "Patient.name")]
    assert await refused(records, PATIENT | {"meta": {"profile": [HERE + "long"]}, "name": [{"family": "a"}]}) == [("required", "Patient.name[0].text")]
    assert await refused(records, PATIENT | {"name": [{"text": "a"}]}) == []
    assert await refused(records, {"resourceType": "Patient", "extension": [{"url": HERE + "nick", "valueInteger": 5}]}) == [("structure", "Patient.extension[0].value")]


async def test_a_patch_and_a_rewritten_resource_are_held_to_it_too(world):
    records = Records(world, hospital("hexi"))
    await records.commit(creates(NAMED))
    done = await records.commit(creates(PATIENT | {"name": [{"text": "a"}]}))
    patch = Change("patch", "Patient", done[0].entry.id, patch=lambda before: {key: value for key, value in before.items() if key != "name"})
    with pytest.raises(errors.Unprocessable):
        await records.commit([patch])


async def test_anothers_definition_refuses_no_write_and_is_asked_for_by_its_name(world):
    await Records(world, hospital("hexi")).commit(creates(NAMED, NICK))
    other = Records(world, hospital("tibet"))
    assert await refused(other, PATIENT) == await refused(other, {"resourceType": "Patient", "extension": [{"url": HERE + "nick", "valueInteger": 5}]}) == []
    assert ("error", "required") in [(i.severity, i.code) for i in await other.judge(PATIENT, "Patient")]
    await Records(world, operator()).commit(creates(LONG | {"baseDefinition": BASE + "Patient"}))
    assert await refused(other, PATIENT | {"meta": {"profile": [HERE + "long"]}, "name": [{"family": "a"}]}) == [("required", "Patient.name[0].text")]


async def test_what_a_caller_does_not_see_is_as_if_it_were_not_there(world, monkeypatch):
    await Records(world, hospital("hexi")).commit(creates(NAMED))
    monkeypatch.setattr(rules, "DIRECTORY", ("Organization",))
    other = Records(world, hospital("tibet"))
    found = [(issue.severity, issue.code) for issue in await other.judge(PATIENT, "Patient")]
    assert ("warning", "not-found") in found and ("error", "required") not in found
    with pytest.raises(errors.Unsupported) as hidden:
        await other.judge(PATIENT, "Patient", (HERE + "named",))
    with pytest.raises(errors.Unsupported) as absent:
        await other.judge(PATIENT, "Patient", (HERE + "other",))
    assert str(hidden.value).replace("named", "other") == str(absent.value)


async def test_it_is_judged_by_when_it_is_asked_for(world):
    records = Records(world, hospital("hexi"))
    await records.commit(creates(NAMED))
    bare = {"resourceType": "Patient"}
    assert [(i.code, i.expression) for i in await records.judge(bare, "Patient", (HERE + "named",)) if i.severity == "error"] == [("required", "Patient.name")]
    assert isinstance(await records.rehearse(creates(PATIENT)[0], Event("E", "$validate", "")), errors.Unprocessable)


async def test_a_definition_of_the_standards_own_is_not_replaced(world):
    records = Records(world, hospital("hexi"))
    await records.commit(creates(NICK | {"url": BASE + "patient-birthPlace", "context": NICK["context"]}))
    assert await refused(records, {"resourceType": "Patient", "extension": [{"url": BASE + "patient-birthPlace", "valueString": "a"}]}) == [("structure", "Patient.extension[0].value")]


async def test_a_resource_of_very_many_extensions_is_no_failure(world):
    many = {"resourceType": "Patient", "extension": [{"url": f"http://example.org/{n}", "valueString": "a"} for n in range(120)]}
    assert await refused(Records(world, hospital("hexi")), many) == []
