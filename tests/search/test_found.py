"""What a search finds, by hand from the specification; both stores and `match` are asked alike. https://hl7.org/fhir/R4/search.html"""
from __future__ import annotations

import pytest

from app.fhir import json
from app.search import include, parse
from app.search.query import Query
from tests.search.shelf import BASE, search

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def patient(id: str, **more) -> dict:
    return {"resourceType": "Patient", "id": id, **more}


def observation(id: str, code: str, subject: str | None, **more) -> dict:
    found = {"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": LOINC, "code": code}]}, **more}
    return {**found, "subject": {"reference": subject}} if subject else found


def quantity(value, unit: str) -> dict:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


RESOURCES = [
    {"resourceType": "Organization", "id": "h1", "name": "上海市第一中医院", "partOf": {"reference": "Organization/union"}},
    {"resourceType": "Organization", "id": "union", "name": "中医医联体"},
    {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "王", "given": ["芳"]}]},
    patient("zhang", name=[{"text": "张伟"}], gender="male", birthDate="1980-05-01", managingOrganization={"reference": "Organization/h1"},
            generalPractitioner=[{"reference": "Practitioner/d1"}]),
    patient("li", name=[{"family": "李", "given": ["娜"]}], gender="female", birthDate="1990", managingOrganization={"reference": f"{BASE}/Organization/h1"}),
    patient("smith", name=[{"family": "Smith-Jones", "given": ["José"]}], birthDate="1990-06-15", deceasedBoolean=True),
    {"resourceType": "Device", "id": "dev", "deviceName": [{"name": "张力计", "type": "model-name"}]},
    observation("sodium", "2951-2", "Patient/zhang", effectiveDateTime="2025-03-10T08:00:00+08:00", valueQuantity=quantity(140, "mmol/L")),
    observation("potassium", "2823-3", "Patient/zhang", effectiveDateTime="2025-03-11", valueQuantity=quantity(json.Number("5.6"), "mmol/L")),
    observation("pressure", "85354-9", "Patient/li", effectivePeriod={"start": "2025-03-09", "end": "2025-03-12"}, component=[
        {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": quantity(120, "mm[Hg]")},
        {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "valueQuantity": quantity(58, "mm[Hg]")}]),
    observation("device", "1-1", "Device/dev", effectiveDateTime="2024"),
    observation("nobody", "1-2", None),
    {"resourceType": "DiagnosticReport", "id": "report", "status": "final", "code": {"text": "生化"}, "subject": {"reference": "Patient/zhang"},
     "result": [{"reference": "Observation/sodium"}, {"reference": "Observation/potassium"}]},
    {"resourceType": "AuditEvent", "id": "audit", "agent": [{"who": {"reference": "Practitioner/d1"}, "requestor": True}], "entity": [{"what": {"reference": "Observation/sodium"}}]},
    {"resourceType": "List", "id": "42", "status": "current", "mode": "working", "entry": [{"item": {"reference": "Patient/li"}}, {"item": {"reference": "Observation/sodium"}}]},
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", [
    ("Patient?name=张", "zhang"), ("Patient?name=张伟", "zhang"), ("Patient?family=李", "li"), ("Patient?name=李娜", "li"), ("Patient?name=jose", "smith"),
    ("Patient?family=jones", "smith"), ("Patient?family:exact=Smith-Jones", "smith"), ("Patient?family:exact=smith-jones", ""), ("Patient?name:contains=伟", "zhang"),
    ("Patient?gender=male", "zhang"), ("Patient?gender=http://hl7.org/fhir/administrative-gender|male", "zhang"), ("Patient?gender=|male", ""),
    ("Patient?gender:not=male", "smith li"), ("Patient?gender:missing=true", "smith"), ("Patient?gender:missing=false", "li zhang"), ("Patient?gender=male,female", "li zhang"),
    ("Patient?gender=male&gender=female", ""), ("Patient?deceased=true", "smith"), ("Patient?deceased=false", "li zhang"),
    ("Patient?birthdate=1990", "smith li"), ("Patient?birthdate=1990-06-15", "smith"), ("Patient?birthdate=gt1990-06-15", "li"), ("Patient?birthdate=lt1990", "zhang"),
    ("Patient?birthdate=ge1990-06-15", "smith li"), ("Patient?birthdate=ne1990", "zhang"), ("Patient?birthdate=sa1989", "smith li"), ("Patient?birthdate=eb1990", "zhang"),
    ("Patient?_id=li", "li"), ("Patient?_id=li,zhang", "li zhang"), ("Patient?_id:not=li", "smith zhang"), ("Patient?_lastUpdated=2026-01-01", "smith li zhang"), ("Patient?_lastUpdated=lt2026", ""),
    ("Patient?organization=h1", "li zhang"), ("Patient?organization=http://test/fhir/Organization/h1", "li zhang"), ("Patient?organization.name=上海", "li zhang"),
    ("Patient?organization.partof.name=中医", "li zhang"), ("Patient?general-practitioner:Practitioner.name=王芳", "zhang"),
    ("Patient?_has:Observation:patient:code=2951-2", "zhang"), ("Patient?_has:Observation:patient:code=2951-2,85354-9", "li zhang"),
    ("Patient?_has:Observation:patient:code=2951-2&_has:Observation:patient:code=2823-3", "zhang"),
    ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/d1", "zhang"), ("Patient?_has:Observation:patient:date=2025-03-11", "zhang"),
    ("Patient?_list=42", "li"), ("Observation?_list=42", "sodium"), ("Patient?_list=42&gender=male", ""),
    ("Observation?subject=zhang", "potassium sodium"), ("Observation?subject:Patient=zhang", "potassium sodium"), ("Observation?subject=Patient/zhang", "potassium sodium"),
    ("Observation?patient=dev", ""), ("Observation?subject=dev", "device"), ("Observation?subject:missing=true", "nobody"),
    ("Observation?subject.name=张", "potassium sodium"), ("Observation?subject:Patient.name=张", "potassium sodium"), ("Observation?subject:Device.device-name=张", "device"),
    ("Observation?subject.gender:not=female", "potassium sodium"), ("Observation?subject.organization.name=上海", "pressure potassium sodium"),
    ("Observation?code=http://loinc.org|2951-2", "sodium"), ("Observation?code:not=2951-2", "nobody device pressure potassium"),
    ("Observation?value-quantity=gt5.5|http://unitsofmeasure.org|mmol/L", "potassium sodium"), ("Observation?value-quantity=5.6", "potassium"), ("Observation?value-quantity=6", "potassium"),
    ("Observation?value-quantity=gt5500|http://unitsofmeasure.org|umol/L", "potassium sodium"), ("Observation?value-quantity=0.0056|http://unitsofmeasure.org|mol/L", "potassium"), ("Observation?value-quantity=gt5500||umol/L", ""),
    ("Observation?component-value-quantity=lt8|http://unitsofmeasure.org|kPa", "pressure"), ("Observation?component-value-quantity=gt17|http://unitsofmeasure.org|kPa", ""),
    ("Observation?component-code-value-quantity=http://loinc.org|8462-4$lt8|http://unitsofmeasure.org|kPa", "pressure"), ("Observation?component-code-value-quantity=http://loinc.org|8480-6$lt8|http://unitsofmeasure.org|kPa", ""),
    ("Observation?code-value-quantity=http://loinc.org|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L", "potassium"), ("Observation?code-value-quantity=2951-2$lt100", ""),
    ("Observation?component-code-value-quantity=http://loinc.org|8462-4$lt60", "pressure"), ("Observation?component-code-value-quantity=http://loinc.org|8480-6$lt60", ""),
    ("Observation?combo-code-value-quantity=8480-6$120,2951-2$140", "pressure sodium"),
    ("Observation?combo-code=8480-6,2951-2", "pressure sodium"), ("Observation?combo-code:not=8480-6", "nobody device potassium sodium"), ("Observation?combo-value-quantity=gt100", "pressure sodium"),
    ("Observation?combo-value-quantity:missing=true", "nobody device"), ("Observation?combo-value-quantity:missing=false", "pressure potassium sodium"),
    ("Observation?_filter=combo-code eq 8480-6", "pressure"), ("Observation?_filter=combo-value-quantity pr false", "nobody device"), ("DiagnosticReport?result.combo-code=2951-2", "report"),
    ("DiagnosticReport?result.code-value-quantity=http://loinc.org|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L", "report"), ("DiagnosticReport?result.subject.name=张伟", "report"),
    ("DiagnosticReport?code:text=生", "report"),
    # one date test: by date, newest first
    ("Observation?date=2025-03-10", "sodium"), ("Observation?date=2025-03", "potassium sodium pressure"), ("Observation?date=ge2025-03-11", "potassium pressure"),
    ("Observation?date=lt2025-03-11", "sodium pressure device"), ("Observation?date=le2025", "potassium sodium pressure device"), ("Observation?date=sa2025-03-10", "potassium"),
    ("Observation?date=ne2025-03-10", "device pressure potassium"), ("Observation?date:missing=true", "nobody"), ("Observation?date=lt2025,gt2025-03-11", "device pressure"),
    # orders
    ("Patient?_sort=birthdate", "zhang li smith"), ("Patient?_sort=-birthdate", "smith li zhang"), ("Patient?_sort=gender", "li zhang smith"), ("Patient?_sort=-gender", "zhang li smith"),
    ("Patient?_sort=family", "smith li zhang"), ("Observation?_sort=-date", "potassium sodium pressure device nobody"), ("Observation?_sort=date,code", "device pressure sodium potassium nobody"),
    ("Observation?_sort=combo-value-quantity", "potassium pressure sodium device nobody"), ("Observation?_sort=-combo-value-quantity", "sodium pressure potassium nobody device"),
    ("Patient?_sort=_id", "li smith zhang"), ("Patient?_sort=-_lastUpdated", "smith li zhang"),
    # all types
    ("?_id=h1,42", "42 h1"), ("?_type=Patient,Practitioner&name=王", "d1"), ("?_type=Patient,Practitioner&gender:not=male", "smith li d1"), ("?_list=42", "sodium li"),
])
async def test_a_search_finds_what_the_specification_says(shelf, text, ids):
    assert await shelf.find(search(text).query) == ids.split()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", [
    ("Observation?code=2951-2&_include=Observation:subject", "zhang"), ("Observation?_include=Observation:subject", "zhang li dev"), ("Observation?_include=Observation:subject:Device", "dev"),
    ("Observation?_include=Observation:subject:Patient", "zhang li"), ("Observation?code=2951-2&_include=Observation:*", "zhang"), ("Observation?code=2951-2&_include=*", "zhang"),
    ("Patient?_id=zhang&_revinclude=Observation:subject", "sodium potassium"), ("Patient?_id=zhang&_revinclude=DiagnosticReport:subject&_include=Patient:organization", "report h1"),
    ("Observation?code=2951-2&_revinclude=AuditEvent:entity", "audit"), ("Observation?code=2951-2&_revinclude=*", "report 42"), ("Organization?_id=h1&_include=Patient:organization", ""),
])
async def test_includes_bring_what_the_matches_point_to_or_what_points_to_them(shelf, text, ids):
    asked = search(text)
    matches = [shelf.current(asked.query.types[0], id)[0] for id in await shelf.find(asked.query)]
    found = {id for query in include.targets(asked.includes, matches) for id in await shelf.find(query)}
    assert found == set(ids.split())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name, id, types, ids", [
    ("Patient", "zhang", ("Observation",), "potassium sodium"), ("Patient", "zhang", ("DiagnosticReport",), "report"), ("Patient", "zhang", (), "report potassium sodium"),
    ("Practitioner", "d1", ("Patient",), "zhang"),
])
async def test_a_compartment_holds_what_its_parameters_name(shelf, name, id, types, ids):
    assert await shelf.find(Query(types, parse.compartment(name, id, types))) == ids.split()
