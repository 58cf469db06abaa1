"""update, as create, by condition and by version. http://hl7.org/fhir/R4/http.html#update"""
import asyncio

import pytest

from tests.rest.conftest import issue, patient


async def test_an_update_makes_the_next_version(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    changed = await client.put("Patient/a", json=patient(id="a", gender="female"))
    assert changed.status_code == 200
    assert changed.headers["etag"] == 'W/"2"' and changed.json()["meta"]["versionId"] == "2"
    assert changed.headers["content-location"].endswith("/Patient/a/_history/2")


async def test_an_update_of_nothing_creates_with_the_clients_id(client):
    made = await client.put("Patient/a", json=patient(id="a"))
    assert made.status_code == 201
    assert made.headers["location"] == "http://test/fhir/Patient/a/_history/1"


async def test_an_update_brings_a_deleted_resource_back(client):
    await client.put("Patient/a", json=patient(id="a"))
    await client.delete("Patient/a")
    back = await client.put("Patient/a", json=patient(id="a"))
    assert back.status_code == 201 and back.headers["etag"] == 'W/"3"'
    assert (await client.get("Patient/a")).status_code == 200


async def test_an_unchanged_update_makes_no_version(client):
    await client.put("Patient/a", json=patient(id="a"))
    again = await client.put("Patient/a", json=patient(id="a", meta={"versionId": "9", "lastUpdated": "2001-01-01T00:00:00Z"}))
    assert again.status_code == 200 and again.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("body", [{}, {"id": "b"}, {"id": 7}, {"id": ""}])
async def test_an_update_without_the_id_of_its_address_is_400(client, body):
    changed = await client.put("Patient/a", json=patient(**body))
    assert changed.status_code == 400
    assert (await client.get("Patient/a")).status_code == 404


@pytest.mark.parametrize("id", ["a_b", "a b", "x" * 65, "患者"])
async def test_a_bad_id_is_400(client, id):
    assert (await client.put(f"Patient/{id}", json=patient(id=id))).status_code == 400


async def test_if_match_with_the_current_version_updates(client):
    await client.put("Patient/a", json=patient(id="a"))
    changed = await client.put("Patient/a", json=patient(id="a", gender="male"), headers={"If-Match": 'W/"1"'})
    assert changed.status_code == 200


@pytest.mark.parametrize("header", ['W/"2"', 'W/"0"', 'W/"x"', '"7"'])
async def test_if_match_with_another_version_is_412(client, header):
    await client.put("Patient/a", json=patient(id="a"))
    changed = await client.put("Patient/a", json=patient(id="a", gender="male"), headers={"If-Match": header})
    assert changed.status_code == 412 and issue(changed)["code"] == "conflict"
    assert "gender" not in (await client.get("Patient/a")).json()


async def test_if_match_may_name_several_versions_or_any(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert (await client.put("Patient/a", json=patient(id="a", gender="male"), headers={"If-Match": 'W/"9", W/"1"'})).status_code == 200
    assert (await client.put("Patient/a", json=patient(id="a", gender="female"), headers={"If-Match": "*"})).status_code == 200
    assert (await client.put("Patient/b", json=patient(id="b"), headers={"If-Match": "*"})).status_code == 412


async def test_if_match_on_what_is_not_there_is_412(client):
    assert (await client.put("Patient/a", json=patient(id="a"), headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await client.get("Patient/a")).status_code == 404


async def test_if_none_match_star_creates_only(client):
    star = {"If-None-Match": "*"}
    assert (await client.put("Patient/a", json=patient(id="a"), headers=star)).status_code == 201
    assert (await client.put("Patient/a", json=patient(id="a", gender="male"), headers=star)).status_code == 412
    assert (await client.put("Patient/a", json=patient(id="a"), headers={"If-None-Match": 'W/"1"'})).status_code == 400


async def test_of_parallel_updates_of_one_version_one_wins(client):
    await client.put("Patient/a", json=patient(id="a"))
    changes = [client.put("Patient/a", json=patient(id="a", birthDate=f"200{n}-01-01"), headers={"If-Match": 'W/"1"'}) for n in range(6)]
    statuses = sorted(r.status_code for r in await asyncio.gather(*changes))
    assert statuses == [200, 412, 412, 412, 412, 412]


async def test_of_parallel_conditional_creates_one_makes_the_resource(client):
    header = {"If-None-Exist": "identifier=urn:s|1"}
    body = patient(identifier=[{"system": "urn:s", "value": "1"}])
    statuses = sorted(r.status_code for r in await asyncio.gather(*(client.post("Patient", json=body, headers=header) for _ in range(8))))
    assert statuses == [200] * 7 + [201]


async def test_a_conditional_update_without_match_and_id_creates(client):
    made = await client.put("Patient?identifier=urn:s|1", json=patient(identifier=[{"system": "urn:s", "value": "1"}]))
    assert made.status_code == 201 and made.headers["location"]


async def test_a_conditional_update_without_match_uses_the_id_given(client):
    made = await client.put("Patient?identifier=urn:s|1", json=patient(id="a", identifier=[{"system": "urn:s", "value": "1"}]))
    assert made.status_code == 201 and made.json()["id"] == "a"


async def test_a_conditional_update_changes_its_one_match(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"system": "urn:s", "value": "1"}]))
    for body in (patient(gender="male"), patient(id="a", gender="female")):
        changed = await client.put("Patient?identifier=urn:s|1", json={**body, "identifier": [{"system": "urn:s", "value": "1"}]})
        assert changed.status_code == 200 and changed.json()["id"] == "a"
    assert changed.headers["etag"] == 'W/"3"'


async def test_a_conditional_update_whose_id_is_not_the_matchs_is_400(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    assert (await client.put("Patient?identifier=1", json=patient(id="b"))).status_code == 400


async def test_a_conditional_update_with_several_matches_is_412(client):
    for id in "ab":
        await client.put(f"Patient/{id}", json=patient(id=id, identifier=[{"value": "1"}]))
    changed = await client.put("Patient?identifier=1", json=patient())
    assert changed.status_code == 412 and issue(changed)["code"] == "multiple-matches"


async def test_a_conditional_update_minds_if_match(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    body = patient(identifier=[{"value": "1"}], gender="male")
    assert (await client.put("Patient?identifier=1", json=body, headers={"If-Match": 'W/"4"'})).status_code == 412
    assert (await client.put("Patient?identifier=1", json=body, headers={"If-Match": 'W/"1"'})).status_code == 200


@pytest.mark.parametrize("query", ["", "?_format=json", "?colour=red", "?_count=3"])
async def test_a_conditional_update_needs_criteria_that_are_known(client, query):
    assert (await client.put(f"Patient{query}", json=patient())).status_code == 400


async def test_a_condition_with_chinese_and_signs_is_read_as_written(client):
    name = [{"family": "王&李=a+b c"}]
    assert (await client.put("Patient", params={"family:exact": "王&李=a+b c"}, json=patient(name=name))).status_code == 201
    assert (await client.put("Patient", params={"family:exact": "王&李=a+b c"}, json=patient(name=name, gender="male"))).status_code == 200


@pytest.mark.parametrize("more", [{}, {"id": "b"}])
async def test_a_conditional_update_with_if_match_creates_nothing(client, more):
    answer = await client.put("Patient?identifier=9", json=patient(**more), headers={"If-Match": 'W/"1"'})
    assert answer.status_code == 412 and (await client.get("Patient")).json()["total"] == 0


@pytest.mark.parametrize("name", ["_count=1", "_sort=_id", "_include=Patient:organization", "_summary=true", "_total=none"])
async def test_a_condition_only_selects(client, name):
    """One who deletes with _count=1 means one; all that match would go."""
    for id in "ab":
        await client.put(f"Patient/{id}", json=patient(id=id, gender="male"))
    made = [await client.delete(f"Patient?gender=male&{name}")] if name != "_summary=true" else []
    made += [await client.post("Patient", json=patient(), headers={"If-None-Exist": f"gender=other&{name}"})]
    for answer in made:
        assert answer.status_code == 400 and issue(answer)["expression"] == [name.partition("=")[0]]
    assert (await client.get("Patient")).json()["total"] == 2


async def test_a_part_of_a_resource_does_not_replace_the_whole(client):
    await client.put("Patient/a", json=patient(id="a", gender="male", birthDate="2001-02-03"))
    part = (await client.get("Patient/a?_elements=gender")).json()
    answer = await client.put("Patient/a", json={**part, "gender": "female"})
    assert answer.status_code == 422 and issue(answer)["expression"] == ["Patient.meta.tag"]
    assert (await client.get("Patient/a")).json()["birthDate"] == "2001-02-03"
    assert (await client.post("Patient", json=part)).status_code == 201
