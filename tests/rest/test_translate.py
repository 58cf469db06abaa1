"""$translate over HTTP on both stores. https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""
from __future__ import annotations

import pytest
import pytest_asyncio

from tests.rest.conftest import issue, serving

SEX, GENDER = "urn:oid:2.16.156.10011.2.3.3.4", "http://hl7.org/fhir/administrative-gender"


@pytest_asyncio.fixture
async def client(settings):
    async with serving(**settings) as client:
        yield client


def concept_map(id: str, *elements, unmapped: dict | None = None, **more) -> dict:
    group = {"source": SEX, "target": GENDER, "element": list(elements) or [to("1", "male", display="男")], **({"unmapped": unmapped} if unmapped else {})}
    return {"resourceType": "ConceptMap", "id": id, "url": f"urn:map:{id}", "status": "active", "group": [group], **more}


def to(code: str, target: str = "", equivalence: str = "equivalent", display: str = "", **more) -> dict:
    return {"code": code, **({"display": display} if display else {}), "target": [{**({"code": target} if target else {}), "equivalence": equivalence, **more}]}


async def stored(client, *maps) -> None:
    for each in maps:
        answer = await client.put(f"ConceptMap/{each['id']}", json=each)
        assert answer.status_code == 201, answer.text


def said(answer) -> tuple[bool, list[tuple]]:
    """The result, and (equivalence, system, code, source) of each match."""
    assert answer.status_code == 200, answer.text
    given = answer.json()["parameter"]
    matches = [{part["name"]: next(value for key, value in part.items() if key != "name") for part in each["part"]} for each in given if each["name"] == "match"]
    return given[0]["valueBoolean"], [(m["equivalence"], m.get("concept", {}).get("system"), m.get("concept", {}).get("code"), m.get("source")) for m in matches]


def message(answer) -> str:
    return next(each["valueString"] for each in answer.json()["parameter"] if each["name"] == "message")


def parameters(**named) -> dict:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in named.items()]}


MALE = ("equivalent", GENDER, "male", "urn:map:a")


async def test_a_code_is_translated_by_address_by_url_and_by_its_system(client):
    await stored(client, concept_map("a"))
    for url in ("ConceptMap/a/$translate?", "ConceptMap/$translate?url=urn:map:a&", "ConceptMap/$translate?"):
        assert said(await client.get(f"{url}code=1&system={SEX}")) == (True, [MALE])
    answer = await client.get(f"ConceptMap/a/$translate?code=7&system={SEX}")
    assert said(answer) == (False, []) and "No map" in message(answer)
    assert said(await client.get("ConceptMap/$translate?code=1&system=urn:unknown")) == (False, [])


async def test_post_takes_codings_and_concepts(client):
    await stored(client, concept_map("a"))
    coding = {"system": SEX, "code": "1"}
    for sent in (parameters(coding={"valueCoding": coding}), parameters(code={"valueCode": "1"}, system={"valueUri": SEX}),
                 parameters(codeableConcept={"valueCodeableConcept": {"coding": [{"code": "x"}, coding, {"system": "urn:other", "code": "1"}]}})):
        assert said(await client.post("ConceptMap/$translate", json=sent)) == (True, [MALE])
    sent = parameters(coding={"valueCoding": coding}, conceptMap={"resource": concept_map("b", to("1", "other"))})
    assert said(await client.post("ConceptMap/$translate", json=sent)) == (True, [("equivalent", GENDER, "other", "urn:map:b")])


async def test_what_says_that_there_is_none_is_no_result(client):
    await stored(client, concept_map("a", to("9", equivalence="unmatched"), to("1", "female", "disjoint")))
    assert said(await client.get(f"ConceptMap/$translate?code=9&system={SEX}")) == (False, [("unmatched", None, None, "urn:map:a")])
    assert said(await client.get(f"ConceptMap/$translate?code=1&system={SEX}")) == (False, [("disjoint", GENDER, "female", "urn:map:a")])


async def test_in_reverse_all_that_lead_to_a_code_are_told(client):
    await stored(client, concept_map("a", to("0", "unknown", "wider"), to("9", "unknown"), to("1", "male")))
    assert said(await client.get(f"ConceptMap/$translate?code=unknown&system={GENDER}&reverse=true")) == (
        True, [("narrower", SEX, "0", "urn:map:a"), ("equivalent", SEX, "9", "urn:map:a")])
    assert said(await client.get(f"ConceptMap/$translate?code=unknown&system={GENDER}&reverse=true&targetsystem=urn:no")) == (False, [])


async def test_value_sets_and_systems_choose_maps(client):
    await stored(client, concept_map("a", sourceUri="urn:vs:s", targetCanonical="urn:vs:t|2"))
    ask = f"ConceptMap/$translate?code=1&system={SEX}"
    for more in ("&target=urn:vs:t", "&target=urn:vs:t|2", "&source=urn:vs:s", f"&targetsystem={GENDER}"):
        assert said(await client.get(ask + more)) == (True, [MALE])
    for more in ("&target=urn:vs:x", "&target=urn:vs:t|3", "&source=urn:vs:t", "&targetsystem=urn:x"):
        assert said(await client.get(ask + more)) == (False, [])


async def test_the_versions_of_a_map_and_of_a_system(client):
    old = concept_map("old", to("1", "other"), url="urn:map:a", version="1")
    new = concept_map("new", to("1", "male"), url="urn:map:a", version="10")
    new["group"][0]["sourceVersion"] = "2003"
    await stored(client, old, new, concept_map("gone", to("1", "unknown"), status="retired"))
    ask = f"ConceptMap/$translate?code=1&system={SEX}"
    assert said(await client.get(ask)) == said(await client.get(ask + "&url=urn:map:a")) == (True, [("equivalent", GENDER, "male", "urn:map:a|10")])
    assert said(await client.get(ask + "&url=urn:map:a&conceptMapVersion=1")) == (True, [("equivalent", GENDER, "other", "urn:map:a|1")])
    assert said(await client.get(ask + "&version=1990&url=urn:map:a")) == (False, [])


@pytest.mark.parametrize("rule, expected", [
    ({"mode": "provided"}, ("equal", GENDER, "7", "urn:map:a")), ({"mode": "fixed", "code": "unknown"}, ("relatedto", GENDER, "unknown", "urn:map:a")),
    ({"mode": "other-map", "url": "urn:map:b"}, ("equivalent", GENDER, "other", "urn:map:b"))])
async def test_codes_that_are_not_in_the_map(client, rule, expected):
    await stored(client, concept_map("a", unmapped=rule), concept_map("b", to("7", "other"), unmapped={"mode": "other-map", "url": "urn:map:a"}))
    assert said(await client.get(f"ConceptMap/a/$translate?code=7&system={SEX}")) == (True, [expected])
    assert said(await client.get(f"ConceptMap/a/$translate?code=1&system={SEX}")) == (True, [MALE])


async def test_other_maps_that_lead_in_a_circle_or_nowhere_end(client):
    await stored(client, concept_map("a", unmapped={"mode": "other-map", "url": "urn:map:b"}), concept_map("b", unmapped={"mode": "other-map", "url": "urn:map:a"}),
                 concept_map("c", unmapped={"mode": "other-map", "url": "urn:map:none"}))
    assert said(await client.get(f"ConceptMap/a/$translate?code=7&system={SEX}")) == (False, [])
    assert "urn:map:none" in message(await client.get(f"ConceptMap/c/$translate?code=7&system={SEX}"))


async def test_mappings_that_depend_on_more(client):
    await stored(client, concept_map("a", to("1", "male", dependsOn=[{"property": "urn:age", "value": "adult"}], product=[{"property": "urn:title", "value": "Mr"}])))
    ask = parameters(coding={"valueCoding": {"system": SEX, "code": "1"}})
    answer = await client.post("ConceptMap/$translate", json=ask)
    assert said(answer) == (False, []) and "urn:age" in message(answer)
    ask["parameter"].append({"name": "dependency", "part": [{"name": "element", "valueUri": "urn:age"}, {"name": "concept", "valueCodeableConcept": {"coding": [{"code": "adult"}]}}]})
    answer = await client.post("ConceptMap/$translate", json=ask)
    assert said(answer) == (True, [MALE])
    assert {"name": "product", "part": [{"name": "element", "valueUri": "urn:title"}, {"name": "concept", "valueCoding": {"code": "Mr"}}]} in answer.json()["parameter"][-1]["part"]


@pytest.mark.parametrize("url, body, status", [
    ("ConceptMap/$translate", None, 400), (f"ConceptMap/$translate?system={SEX}", None, 400), ("ConceptMap/$translate?code=1", None, 400),
    (f"ConceptMap/$translate?code=1&system={SEX}&colour=red", None, 400), (f"ConceptMap/$translate?code=1&system={SEX}&reverse=yes", None, 400),
    (f"ConceptMap/$translate?code=1&code=2&system={SEX}", None, 400), (f"ConceptMap/$translate?code=&system={SEX}", None, 400),
    (f"ConceptMap/$translate?code=1&system={SEX}&conceptMapVersion=1", None, 400), (f"ConceptMap/$translate?code=1&system={SEX}&url=urn:none", None, 404),
    (f"ConceptMap/none/$translate?code=1&system={SEX}", None, 404), (f"ConceptMap/none/$translate?code=1&system={SEX}&url=urn:x", None, 400),
    (f"$translate?code=1&system={SEX}", None, 404), (f"ValueSet/$translate?code=1&system={SEX}", None, 404),
    ("ConceptMap/$translate", {"resourceType": "Patient"}, 400), ("ConceptMap/$translate", parameters(coding={"valueString": "1"}), 400),
    ("ConceptMap/$translate", parameters(coding={"valueCoding": {"code": "1"}}), 400), ("ConceptMap/$translate", parameters(dependency={"part": [{"name": "x"}]}), 400),
    ("ConceptMap/$translate", parameters(code={"valueCode": "1"}, coding={"valueCoding": {"system": SEX, "code": "1"}}), 400)])
async def test_what_is_no_question_is_refused(client, url, body, status):
    answer = await (client.post(url, json=body) if body else client.get(url))
    assert answer.status_code == status and issue(answer)["severity"] == "error"


async def test_each_translation_is_in_the_log(client):
    await stored(client, concept_map("a"))
    sent, ask = parameters(coding={"valueCoding": {"system": SEX, "code": "1"}}, conceptMap={"resource": concept_map("b")}), f"ConceptMap/$translate?code=1&system={SEX}"
    before = 0
    for method, url, body in (("GET", ask, None), ("GET", f"{ask}&url=urn:none", None), ("POST", "ConceptMap/$translate", sent), ("GET", "ConceptMap/$translate", None)):
        await client.request(method, url, json=body)
        now = (await client.get("AuditEvent?subtype=operation&_summary=count")).json()["total"]
        assert now > before
        before = now
