"""Chains are evaluated inside contained resources. https://hl7.org/fhir/R4/search.html#contained"""
from __future__ import annotations

import time

import pytest

from app.search import index
from app.search.criteria import INSIDE
from app.search.query import Row
from tests.search.shelf import ZONE

SYSTEM = "urn:tests"


def observation(id: str, subject: str | None = None, contained=(), **more) -> dict:
    made = {"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": SYSTEM, "code": "bp"}]}, **more}
    return {**made, **({"contained": list(contained)} if contained else {}), **({"subject": {"reference": subject}} if subject else {})}


def person(id: str, family: str, type: str = "Patient", **more) -> dict:
    return {"resourceType": type, "id": id, "name": [{"family": family, "use": "official"}], **more}


RENJI = {"resourceType": "Organization", "id": "o", "name": "仁济"}
RESOURCES = [
    {**RENJI, "id": "renji"}, person("zhang", "张", gender="male", managingOrganization={"reference": "Organization/renji"}),
    observation("out", "Patient/zhang"),
    observation("in", "#p", [person("p", "张", gender="female", birthDate="1980-05-01", managingOrganization={"reference": "Organization/renji"})]),
    observation("nested", "#p", [person("p", "王", managingOrganization={"reference": "#o"}), RENJI]),
    observation("two", None, [person("a", "李", "Practitioner", gender="male"), person("b", "赵", "Practitioner", gender="female"), person("unused", "张", "Practitioner")],
                performer=[{"reference": "#a"}, {"reference": "#b"}]),
    observation("nowhere", "#p"), observation("none"),
    {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": {"text": "x"}, "contained": [observation("1", valueQuantity={"value": 120, "system": SYSTEM, "code": "mm"}),
     observation("2", valueQuantity={"value": 80, "system": SYSTEM, "code": "kPa"})], "result": [{"reference": "#1"}, {"reference": "#2"}]},
]


@pytest.mark.parametrize("text, expected", [
    ("Observation?subject:Patient.family=张", "in out"), ("Observation?subject.family=王", "nested"), ("Observation?patient.gender=female", "in"), ("Observation?patient.gender:not=female", "nested out"),
    ("Observation?subject:Patient.birthdate=ge1980&subject:Patient.birthdate=lt1981", "in"), ("Observation?subject:Patient.family:missing=false", "in nested out"),
    ("Observation?subject:Patient.organization.name=仁济", "in nested out"), ("Observation?subject:Patient.organization=Organization/renji", "in out"),
    ("Observation?performer:Practitioner.family=李,赵", "two"), ("Observation?performer:Practitioner.family=张", ""), ("Observation?subject:Patient._id=p", ""), ("Observation?subject:Patient._id=zhang", "out"),
    (f"DiagnosticReport?result.code-value-quantity={SYSTEM}|bp$120|{SYSTEM}|mm", "r"), (f"DiagnosticReport?result.code-value-quantity={SYSTEM}|bp$120|{SYSTEM}|kPa", ""),
    ('Observation?_filter=subject.family eq "张" and subject.gender eq female', "in"), ("Patient?family=张", "zhang"), ("Observation?_has:DiagnosticReport:result:status=final", "")])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_chain_goes_on_in_what_is_contained(shelf, text, expected):
    assert await shelf.ids(text) == expected.split()


def test_what_refers_to_one_another_ends():
    circle = observation("x", "#p", [person("p", "张", link=[{"other": {"reference": "#q"}, "type": "seealso"}]), person("q", "王", link=[{"other": {"reference": "#p"}, "type": "seealso"}])])
    rows = index.rows(circle, ZONE)
    assert Row("Observation.subject>Patient.link>Patient") in rows and max(row.param.count(">") for row in rows) == INSIDE
    assert not any(row.param.endswith(":contained") for row in rows)


def test_a_thicket_costs_what_it_holds():
    """Sixty that refer to each other by six parameters: each way is walked once, not each path (which are millions)."""
    others = [{"reference": f"#{i}"} for i in range(60)]
    links = dict.fromkeys(("hasMember", "derivedFrom", "focus", "basedOn", "partOf", "performer"), others)
    began = time.process_time()
    rows = index.rows(observation("x", None, [observation(str(i), **links) for i in range(60)], **links), ZONE)
    assert len(rows) < 5_000 and time.process_time() - began < 5
    assert Row("Observation.has-member>Observation.focus>Observation.derived-from>Observation.status", 0, "http://hl7.org/fhir/observation-status", "final") in rows
