"""The CapabilityStatement is true, line by line. http://hl7.org/fhir/R4/http.html#capabilities"""
import asyncio
import hashlib
import re

import pytest

from app.fhir import definitions, validate
from app.fhir.codesystem import System
from app.fhir.terminology import code_system
from app.search import index, parameters
from app.search.types.reference import parents
from tests.rest import examples
from tests.rest.conftest import entry, serving, transaction

MODIFIERS = {
    "missing": ("false", "true"), "text": ("Alp", "Zul"), "of-type": ("urn:types|T|a", "urn:types|T|z"),
    "identifier": ("urn:s|a", "urn:s|z"), "below": ("http://example.org/a", "http://example.org/z"), "above": ("http://example.org/a/b/c", "http://example.org/z/c"),
}
"""Modifier -> values that find, and do not find, what examples make. The others' come from the parameter's own values."""
DATES = {"eq": ("2001", "1990"), "ne": ("1990", "2001"), "gt": ("1999", "2010"), "lt": ("2010", "1999"), "ge": ("1999", "2010"), "le": ("2010", "1999"),
         "sa": ("1999", "2010"), "eb": ("2010", "1999"), "ap": ("2001", "1950")}
NUMBERS = {"eq": ("5", "7"), "ne": ("7", "5"), "gt": ("4", "6"), "lt": ("6", "4"), "ge": ("5", "6"), "le": ("5", "4"), "sa": ("4", "6"), "eb": ("6", "4"), "ap": ("5", "50")}
PREFIXES = {"date": DATES, "number": NUMBERS, "quantity": NUMBERS}


def words(said: dict, what: str) -> list[str]:
    """The modifiers or prefixes that a parameter's documentation lists."""
    found = re.search(rf"{what}: ([^.]*)\.", said.get("documentation", ""))
    return [word.strip().lstrip(":") for word in found[1].split(",")] if found else []


def questions(said: dict, found: tuple[dict, str, str]) -> list[tuple[str, str, str]]:
    """(name with modifier, value that finds, value that does not) for each thing that is said of a parameter."""
    _, yes, no = found
    asked = [(said["name"], yes, no)]
    for modifier in words(said, "Modifiers"):
        if said["type"] == "token" and modifier in TERMS:
            continue
        if said["type"] == "reference" and modifier in ("above", "below"):
            if (type := yes.partition("/")[0]) in parents() or ":" in type:  # each stands above and below itself
                asked.append((f"{said['name']}:{modifier}", yes, no))
        elif modifier == "not":
            asked.append((f"{said['name']}:not", no, yes))
        elif modifier == "[type]":
            type, _, id = yes.partition("/")
            asked.append((f"{said['name']}:{type}", id, "x2"))
        elif modifier in ("exact", "contains"):
            asked.append((f"{said['name']}:{modifier}", yes if modifier == "exact" else yes[1:4], yes.swapcase() if modifier == "exact" else "zzz"))
        else:
            asked.append((f"{said['name']}:{modifier}", *MODIFIERS[modifier]))
    if said["type"] != "composite":
        asked += [(said["name"], prefix + hit, prefix + miss) for prefix in words(said, "Prefixes") for hit, miss in [PREFIXES[said["type"]][prefix]]]
    return asked


async def terms(client, type: str, said: dict, resource: dict) -> list[tuple[str, str, str]]:
    """As questions, for modifiers that ask for value sets and code systems: sets of its code and of another, codes that are its own and that are not."""
    row = next((r for r in index.rows(resource, "UTC") if r.param == f"{type}.{said['name']}" and r.code), None)
    kinds = parameters.find(type, said["name"]).kinds
    if said["type"] != "token" or row is None or not {*words(said, "Modifiers")} & TERMS or not row.system and kinds != {"code"}:  # Device.din reads extensions of all types
        return []
    system, held = row.system or "urn:s", CODES if row.system in ("", "urn:s") else code_system(row.system)
    sets = [await _set(client, system, code) for code in (row.code, row.code + "-not")]
    other = held and next((code for code in held.concepts if code not in held.above(row.code) | held.below(row.code)), None)
    asked = [("in", *sets), ("not-in", *reversed(sets)), *([(m, f"{system}|{row.code}", f"{system}|{other}") for m in ("above", "below")] if other else [])]
    return [(f"{said['name']}:{modifier}", yes, no) for modifier, yes, no in asked]


async def _set(client, system: str, code: str) -> str:
    id = hashlib.sha256(f"{system}|{code}".encode()).hexdigest()
    made = await client.put(f"ValueSet/{id}", json={"resourceType": "ValueSet", "id": id, "status": "active", "compose": {"include": [{"system": system, "concept": [{"code": code}]}]}})
    assert made.status_code in (200, 201)
    return f"ValueSet/{id}"


TERMS = {"in", "not-in", "above", "below"}
S = {"resourceType": "CodeSystem", "url": "urn:s", "status": "active", "content": "complete", "caseSensitive": True, "concept": [{"code": "a"}, {"code": "alpha"}, {"code": "z"}]}
CODES = System(S)


@pytest.fixture(scope="module")
def statement():
    """What a server says; it does not depend on its data."""
    async def asked():
        async with serving() as client:
            return (await client.get("metadata")).json()

    return asyncio.run(asked())


def rest(statement) -> dict:
    return statement["rest"][0]


def test_it_is_valid_and_says_what_this_server_is(statement):
    assert validate.validate(statement) == []
    assert statement["fhirVersion"] == "4.0.1" and statement["kind"] == "instance" and statement["status"] == "active"
    assert "application/fhir+json" in statement["format"] and "application/fhir+xml" not in statement["format"]
    assert "application/json-patch+json" in statement["patchFormat"]
    assert statement["implementation"]["url"] == "http://test/fhir"


def test_no_example_stands_for_a_parameter(statement):
    urls = {param["definition"] for each in rest(statement)["resource"] for param in each["searchParam"] if "definition" in param}
    assert "http://hl7.org/fhir/SearchParameter/Resource-id" in urls and not any("example" in url for url in urls)


def test_it_lists_every_type_of_r4_but_parameters(statement):
    types = [r["type"] for r in rest(statement)["resource"]]
    assert sorted(types) == sorted(definitions.ENDPOINT_TYPES) and len(types) == 145 and "Parameters" not in types


def test_the_log_is_said_to_be_written_once(statement):
    log = next(r for r in rest(statement)["resource"] if r["type"] == "AuditEvent")
    assert {i["code"] for i in log["interaction"]} == {"read", "vread", "create", "search-type"}
    assert log["readHistory"] is False and log["updateCreate"] is False and log["conditionalUpdate"] is False and log["conditionalDelete"] == "not-supported"


def test_a_binary_is_said_not_to_be_patched(statement):
    binary = next(r for r in rest(statement)["resource"] if r["type"] == "Binary")
    assert "patch" not in {i["code"] for i in binary["interaction"]}


def test_the_system_and_compartments_are_said(statement):
    assert {i["code"] for i in rest(statement)["interaction"]} == {"transaction", "batch", "search-system", "history-system"}
    assert len(rest(statement)["compartment"]) == 5 and "http://hl7.org/fhir/CompartmentDefinition/patient" in rest(statement)["compartment"]
    assert "http://hl7.org/fhir/CompartmentDefinition/relatedPerson" in rest(statement)["compartment"]


async def test_every_interaction_that_is_said_of_a_type_is_done(client, statement):
    """A minimal resource of each type is created, read, updated, patched, found, and deleted, as far as it is said."""
    for said in rest(statement)["resource"]:
        type, codes = said["type"], {i["code"] for i in said["interaction"]}
        made = await client.post(type, json=examples.keeping(type, examples.minimal(type)))
        assert made.status_code == 201, (type, made.text)
        body = made.json()
        address = f"{type}/{body['id']}"
        read = {"Accept": "application/fhir+json"}
        assert (await client.get(address, headers=read)).status_code == (await client.get(f"{address}/_history/1", headers=read)).status_code == 200
        assert (await client.get(f"{type}?_id={body['id']}")).json()["total"] == 1
        body["language"] = "zh"
        assert (await client.put(address, json=body)).status_code == (200 if "update" in codes else 405)
        patched = await client.patch(address, json=[{"op": "add", "path": "/language", "value": "en"}], headers={"Content-Type": "application/json-patch+json"})
        assert patched.status_code == (200 if "patch" in codes else 405)
        for level, history in (("history-instance", f"{address}/_history"), ("history-type", f"{type}/_history")):
            assert (await client.get(history)).status_code == (200 if level in codes else 405)
        assert (await client.delete(address)).status_code == (204 if "delete" in codes else 405)


async def test_every_parameter_and_modifier_that_is_said_finds_and_does_not_find(client, statement):
    """For each type: a resource a parameter, and for each modifier and prefix a search that finds it and one that does not."""
    wrong, seen = [], {}
    await client.post("CodeSystem", json=S)
    for said in rest(statement)["resource"]:
        type = said["type"]
        assert {p["name"] for p in said["searchParam"]} == set(parameters.of(type))
        params = [p for p in said["searchParam"] if p["name"] not in parameters.STAMPED]
        found = [examples.found_by(type, parameters.find(type, p["name"])) for p in params]
        assert None not in found, (type, [p["name"] for p, f in zip(params, found) if f is None])
        made = (await client.post("", json=transaction(*(entry("POST", type, f[0]) for f in found)))).json()
        ids = [e["response"]["location"].split("/")[1] for e in made["entry"]]
        asked = [(id, *question) for p, f, id in zip(params, found, ids) for question in _sample([*questions(p, f), *await terms(client, type, p, f[0])], p["type"], seen)]
        wrong += filter(None, await asyncio.gather(*(_wrong(client, type, *each) for each in asked)))
    assert not wrong, "\n".join(map(str, wrong))


async def _wrong(client, type: str, id: str, name: str, yes: str, no: str):
    """What a search gave where it did not find by `yes`, or found by `no`."""
    totals = [await _total(client, type, id, name, value) for value in (yes, no)]
    return None if totals == [1, 0] else (type, name, yes, no, totals)


def _sample(asked, kind: str, seen: dict) -> list:
    """The plain question always; each modifier and prefix for every 8th parameter that has it, the first ones all."""
    kept = asked[:1]
    for name, yes, no in asked[1:]:
        key = (kind, name.partition(":")[2] if ":" in name else yes[:2])
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= 8 or seen[key] % 8 == 0:
            kept.append((name, yes, no))
    return kept


async def _total(client, type: str, id: str, name: str, value: str):
    answer = await client.get(type, params={"_id": id, name: value, "_summary": "count"})
    return answer.json()["total"] if answer.status_code == 200 else answer.text


async def test_parameters_of_every_resource_find_too(client):
    made = (await client.put("Patient/a", json={"resourceType": "Patient", "id": "a"})).json()
    await client.put("List/l", json={"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": [{"item": {"reference": "Patient/a"}}]})
    for query, total in (("_id=a", 1), ("_id=b", 0), ("_id:not=b", 1), ("_id:not=a", 0), (f"_lastUpdated=ge{made['meta']['lastUpdated'][:10]}", 1), ("_lastUpdated=lt2001", 0),
                         ("_lastUpdated:missing=true", 0), ("_lastUpdated:missing=false", 1), ("_list=l", 1), ("_list=m", 0)):
        assert (await client.get(f"Patient?{query}")).json()["total"] == total, query


async def test_a_modifier_that_is_not_said_is_refused(client, statement):
    """One parameter of each kind with each modifier that it is not said to have."""
    for type, name in (("Patient", "gender"), ("Patient", "birthdate"), ("Patient", "name"), ("Patient", "organization"), ("Observation", "value-quantity"), ("ValueSet", "url"),
                       ("RiskAssessment", "probability"), ("Observation", "code-value-quantity")):
        said = next(p for r in rest(statement)["resource"] if r["type"] == type for p in r["searchParam"] if p["name"] == name)
        for modifier in {*MODIFIERS, "exact", "contains", "not", "in", "not-in"} - set(words(said, "Modifiers")):
            assert (await client.get(f"{type}?{name}:{modifier}=a")).status_code == 400, (name, modifier)


async def test_includes_that_are_said_are_understood(client, statement):
    for said in rest(statement)["resource"]:
        includes = said.get("searchInclude", [])
        if includes:
            assert (await client.get(said["type"], params=[("_include", i) for i in includes])).status_code == 200
        for at in range(0, len(said.get("searchRevInclude", [])), 190):
            assert (await client.get(said["type"], params=[("_revinclude", i) for i in said["searchRevInclude"][at:at + 190]])).status_code == 200


async def test_an_include_brings_what_is_said(client):
    await client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    await client.put("Encounter/e", json={"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": "Patient/p"}})
    for type, query in (("Encounter", "_include=Encounter:subject"), ("Encounter", "_include=*"), ("Encounter", "_include=Encounter:*"), ("Patient", "_revinclude=Encounter:subject"),
                        ("Patient", "_revinclude=*")):
        assert len((await client.get(f"{type}?{query}")).json()["entry"]) == 2, query


async def test_the_statement_has_an_etag_that_is_minded(client):
    said = await client.get("metadata")
    assert said.headers["etag"].startswith('W/"')
    assert (await client.get("metadata", headers={"If-None-Match": said.headers["etag"]})).status_code == 304
    assert (await client.get("metadata", headers={"If-None-Match": 'W/"1"'})).status_code == 200
    async with serving(enforce_references=True) as other:
        assert (await other.get("metadata")).headers["etag"] != said.headers["etag"]


async def test_enforced_references_and_the_transactions_limit_are_said():
    async with serving(enforce_references=True, bundle_limit=77) as client:
        said = (await client.get("metadata")).json()["rest"][0]
        assert "enforced" in said["resource"][0]["referencePolicy"] and "77" in said["documentation"]


async def test_modes(client):
    assert (await client.get("metadata?mode=full")).json()["resourceType"] == "CapabilityStatement"
    normative = (await client.get("metadata?mode=normative")).json()
    assert {r["type"] for r in normative["rest"][0]["resource"]} >= {"Patient", "Observation"} and "conditionalCreate" not in normative["rest"][0]["resource"][0]
    assert validate.validate(normative) == []
    terminology = (await client.get("metadata?mode=terminology")).json()
    assert terminology["resourceType"] == "TerminologyCapabilities"
    assert validate.validate(terminology) == []
    assert (await client.get("metadata?mode=all")).status_code == 400


async def test_the_statement_is_viewed_in_part(client):
    assert "rest" not in (await client.get("metadata?_elements=software")).json()
    summary = (await client.get("metadata?_summary=true")).json()
    assert summary["fhirVersion"] == "4.0.1" and any(t["code"] == "SUBSETTED" for t in summary["meta"]["tag"])
    assert '\n  "resourceType"' in (await client.get("metadata?_pretty=true")).text
    assert (await client.get("metadata?colour=red")).status_code == 400
