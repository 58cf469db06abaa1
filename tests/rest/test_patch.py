"""patch: JSON Patch and FHIRPath Patch, also by condition. http://hl7.org/fhir/R4/http.html#patch, http://hl7.org/fhir/R4/fhirpatch.html"""
import pytest

from tests.rest.conftest import issue, patient

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def operation(**parts) -> dict:
    """One operation of a FHIRPath Patch: `value` as (name of value[x], value)."""
    return {"name": "operation", "part": [{"name": name, **({"valueCode": part} if name == "type" else {part[0]: part[1]} if isinstance(part, tuple) else
            {"valueInteger": part} if isinstance(part, int) else {"valueString": part})} for name, part in parts.items()]}


def fhirpath(*operations) -> dict:
    return {"resourceType": "Parameters", "parameter": list(operations)}


async def test_a_json_patch_makes_the_next_version(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    done = await client.patch("Patient/a", json=[{"op": "replace", "path": "/gender", "value": "female"}, {"op": "add", "path": "/birthDate", "value": "2001"}],
                              headers=JSON_PATCH)
    assert done.status_code == 200 and done.headers["etag"] == 'W/"2"'
    assert done.json()["gender"] == "female" and done.json()["birthDate"] == "2001"


async def test_numbers_that_a_json_patch_does_not_touch_stay_as_written(client):
    body = '{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"value":72.50}}'
    await client.put("Observation/o", content=body)
    done = await client.patch("Observation/o", content='[{"op":"add","path":"/valueQuantity/unit","value":"kg"}]', headers=JSON_PATCH)
    assert done.status_code == 200 and '"value":72.50' in done.text


@pytest.mark.parametrize("content, status", [
    ('[{"op":"test","path":"/gender","value":"female"}]', 422),
    ('[{"op":"remove","path":"/nothing"}]', 422),
    ('[{"op":"replace","path":"/gender","value":"blue"}]', 400),
    ('[{"op":"replace","path":"/id","value":"b"}]', 422),
    ('[{"op":"jump","path":"/gender"}]', 400),
    ('[{"op":"add"}]', 400),
    ('[7]', 400),
    ('{"op":"add","path":"/gender","value":"male"}', 400),
    ('[', 400),
    ('', 400),
])
async def test_a_json_patch_that_cannot_be_applied_changes_nothing(client, content, status):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    done = await client.patch("Patient/a", content=content, headers=JSON_PATCH)
    assert done.status_code == status, done.text
    assert issue(done) and (await client.get("Patient/a")).headers["etag"] == 'W/"1"'


async def test_a_fhirpath_patch_adds_replaces_inserts_moves_and_deletes(client):
    await client.put("Patient/a", json=patient(id="a", gender="male", name=[{"family": "One", "given": ["A", "B"]}], birthDate="2001"))
    done = await client.patch("Patient/a", json=fhirpath(
        operation(type="replace", path="Patient.gender", value=("valueCode", "female")),
        operation(type="add", path="Patient", name="active", value=("valueBoolean", True)),
        operation(type="delete", path="Patient.birthDate"),
        operation(type="insert", path="Patient.name[0].given", value=("valueString", "C"), index=0),
        operation(type="move", path="Patient.name[0].given", source=2, destination=0),
    ))
    assert done.status_code == 200, done.text
    changed = done.json()
    assert changed["gender"] == "female" and changed["active"] is True and "birthDate" not in changed
    assert changed["name"][0]["given"] == ["B", "C", "A"]


@pytest.mark.parametrize("bad", [
    fhirpath(operation(type="replace", path="Patient.birthDate", value=("valueDate", "2001"))),
    fhirpath(operation(type="jump", path="Patient")),
    fhirpath(operation(type="delete", path="Patient.name.(")),
    fhirpath(operation(type="add", path="Patient", name="colour", value=("valueString", "red"))),
    fhirpath(operation(type="replace", path="Patient.gender", value=("valueCode", "blue"))),
    fhirpath({"name": "operation"}),
    {"resourceType": "Patient", "id": "a"},
])
async def test_a_fhirpath_patch_that_cannot_be_applied_changes_nothing(client, bad):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    done = await client.patch("Patient/a", json=bad)
    assert done.status_code in (400, 422), done.text
    assert issue(done) and (await client.get("Patient/a")).headers["etag"] == 'W/"1"'


async def test_a_patch_minds_if_match(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    change = [{"op": "remove", "path": "/gender"}]
    assert (await client.patch("Patient/a", json=change, headers={**JSON_PATCH, "If-Match": 'W/"2"'})).status_code == 412
    assert (await client.patch("Patient/a", json=change, headers={**JSON_PATCH, "If-Match": 'W/"1"'})).status_code == 200


async def test_a_patch_of_what_is_not_there_is_404_and_of_what_was_deleted_410(client):
    change = [{"op": "remove", "path": "/gender"}]
    assert (await client.patch("Patient/a", json=change, headers=JSON_PATCH)).status_code == 404
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    await client.delete("Patient/a")
    assert (await client.patch("Patient/a", json=change, headers=JSON_PATCH)).status_code == 410


@pytest.mark.parametrize("media", ["application/xml-patch+xml", "application/fhir+xml", "text/plain", "application/merge-patch+json"])
async def test_another_kind_of_patch_is_415_and_says_which_are_read(client, media):
    await client.put("Patient/a", json=patient(id="a"))
    done = await client.patch("Patient/a", content="x", headers={"Content-Type": media})
    assert done.status_code == 415 and "application/json-patch+json" in done.headers["accept-patch"]


async def test_a_conditional_patch_changes_its_one_match(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    done = await client.patch("Patient?identifier=1", json=[{"op": "add", "path": "/gender", "value": "male"}], headers=JSON_PATCH)
    assert done.status_code == 200 and done.json()["id"] == "a" and done.json()["gender"] == "male"


async def test_a_conditional_patch_without_match_is_404_and_with_several_412(client):
    change = [{"op": "add", "path": "/gender", "value": "male"}]
    assert (await client.patch("Patient?identifier=1", json=change, headers=JSON_PATCH)).status_code == 404
    for id in "ab":
        await client.put(f"Patient/{id}", json=patient(id=id, identifier=[{"value": "1"}]))
    assert (await client.patch("Patient?identifier=1", json=change, headers=JSON_PATCH)).status_code == 412
    assert (await client.patch("Patient", json=change, headers=JSON_PATCH)).status_code == 400


async def test_a_patch_that_changes_nothing_makes_no_version(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    done = await client.patch("Patient/a", json=[{"op": "test", "path": "/gender", "value": "male"}], headers=JSON_PATCH)
    assert done.status_code == 200 and done.headers["etag"] == 'W/"1"'


def told(div: str, status: str = "generated") -> dict:
    return {"text": {"status": status, "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}}


@pytest.mark.parametrize("operations, left", [
    ([{"op": "replace", "path": "/gender", "value": "female"}], None),
    ([{"op": "replace", "path": "/gender", "value": "female"}, {"op": "replace", "path": "/text", "value": told("female")["text"]}], told("female")["text"]),
    ([{"op": "add", "path": "/meta/tag/-", "value": {"code": "seen"}}], told("male")["text"]),
    ([{"op": "replace", "path": "/gender", "value": "male"}], told("male")["text"]),
])
async def test_a_narrative_does_not_outlive_what_it_was_made_from(client, operations, left):
    await client.put("Patient/a", json=patient(id="a", gender="male", **told("male")))
    answer = await client.patch("Patient/a", json=operations, headers={"Content-Type": "application/json-patch+json"})
    assert answer.status_code == 200 and answer.json().get("text") == left


async def test_a_narrative_that_says_more_than_the_data_is_patched_with_them(client):
    await client.put("Patient/a", json=patient(id="a", gender="male", **told("prefers mornings", "additional")))
    answer = await client.patch("Patient/a", json=[{"op": "replace", "path": "/gender", "value": "female"}], headers={"Content-Type": "application/json-patch+json"})
    assert answer.status_code == 422 and issue(answer)["expression"] == ["Patient.text"]


async def test_if_none_match_says_nothing_of_a_patch_or_delete(client):
    await client.put("Patient/a", json=patient(id="a"))
    for answer in (await client.patch("Patient/a", json=[], headers={"Content-Type": "application/json-patch+json", "If-None-Match": "*"}), await client.delete("Patient/a", headers={"If-None-Match": "*"})):
        assert answer.status_code == 400 and "If-None-Match" in issue(answer)["diagnostics"]


async def test_the_parameters_of_a_patch_are_validated(client):
    await client.put("Patient/a", json=patient(id="a"))
    answer = await client.patch("Patient/a", json={"resourceType": "Parameters", "parameters": []})
    assert answer.status_code == 400 and issue(answer)["expression"] == ["Parameters.parameters"]
