"""The examples of the search page, section by section, on resources of which each section says whether they are found. http://hl7.org/fhir/R4/search.html"""
from __future__ import annotations

import pytest

from app import errors
from app.fhir import json
from app.search import include
from tests.search.shelf import search

LOINC, UCUM, SNOMED, V2 = "http://loinc.org", "http://unitsofmeasure.org", "http://snomed.info/sct", "http://terminology.hl7.org/CodeSystem/v2-0203"


def ref(text: str) -> dict:
    return {"reference": text}


def coded(system: str | None, code: str, **more) -> dict:
    return {"coding": [{**({"system": system} if system else {}), "code": code}], **more}


def patient(id: str, *given: str, **more) -> dict:
    return {"resourceType": "Patient", "id": id, **({"name": [{"given": list(given)}]} if given else {}), **more}


def observation(id: str, code: dict, **more) -> dict:
    return {"resourceType": "Observation", "id": id, "status": "final", "code": code, **more}


def measured(id: str, value: str, unit: str = "mg", **more) -> dict:
    return observation(id, {"text": "measured"}, valueQuantity={"value": json.Number(value), "unit": unit, "system": UCUM, "code": unit, **more})


def condition(id: str, code: dict) -> dict:
    return {"resourceType": "Condition", "id": id, "subject": ref("Patient/23"), "code": code}


def risk(id: str, probability: str) -> dict:
    return {"resourceType": "RiskAssessment", "id": id, "status": "final", "subject": ref("Patient/23"), "prediction": [{"probabilityDecimal": json.Number(probability)}]}


def canonical(type: str, id: str, url: str, **more) -> dict:
    return {"resourceType": type, "id": id, "status": "active", "url": url, **more}


RESOURCES = [
    patient("23", "Eve", gender="female", identifier=[{"system": "http://acme.org/patient", "value": "2345"}], active=True, generalPractitioner=[ref("Practitioner/joe")], managingOrganization=ref("Organization/mn"),
            meta={"tag": [{"system": "http://acme.org/codes", "code": "needs-review"}], "profile": ["http://hl7.org/fhir/StructureDefinition/bp"], "security": [{"system": "http://s", "code": "R"}]}),
    patient("evelyn", "Evelyn", gender="other", identifier=[{"type": coded(V2, "MR"), "system": "urn:h", "value": "446053"}], generalPractitioner=[ref("Practitioner/joe"), ref("Practitioner/bob")]),
    patient("severine", "Severine", gender="male", identifier=[{"value": "2345"}], active=False, generalPractitioner=[ref("Practitioner/bob")]),
    patient("capital", "EVE", identifier=[{"type": coded(V2, "MC"), "value": "446053"}]), patient("peter", "Peter", "Jane,Joe", gender="male"),
    {"resourceType": "Practitioner", "id": "joe", "name": [{"text": "Joe"}], "address": [{"state": "CA"}]}, {"resourceType": "Practitioner", "id": "bob", "name": [{"text": "Bob"}], "address": [{"state": "MN"}]},
    {"resourceType": "Organization", "id": "mn", "name": "a$b|c\\d"},
    measured("mg", "5.4"), measured("mg-low", "5.34"), measured("mg-edge", "5.35"), measured("mg-over", "5.45"), measured("g", "0.0054", "g"), measured("kg", "5.4", "kg"), measured("below", "10", comparator="<"),
    risk("99.49", "99.49"), risk("99.5", "99.5"), risk("100", "100"), risk("100.00", "100.00"), risk("100.004", "100.004"), risk("100.49", "100.49"), risk("100.5", "100.5"), risk("95", "95"), risk("104.9", "104.9"), risk("105", "105"),
    condition("acme", coded("http://acme.org/conditions/codes", "ha125")), condition("other", coded("http://other.org", "ha125", text="Headache, severe")), condition("none", coded(None, "ha125")),
    canonical("ValueSet", "vs", "http://acme.org/fhir/ValueSet/123"), canonical("ValueSet", "vs5", "http://acme.org/fhir/ValueSet/123/_history/5"), canonical("ValueSet", "vs2", "http://acme.org/fhir2/x"),
    canonical("ValueSet", "oid", "urn:oid:1.2.3.4.5"),
    observation("here", coded(LOINC, "1234-5"), subject=ref("Patient/23")), observation("there", coded(LOINC, "1234-5"), subject=ref("http://acme.org/fhir/Patient/23")), observation("group", coded(LOINC, "x"), subject=ref("Group/102")),
    observation("logical", coded(LOINC, "y"), subject={"identifier": {"system": "http://acme.org/fhir/identifier/mrn", "value": "123456"}}), observation("peters", coded(LOINC, "z"), subject=ref("Patient/peter"), hasMember=[ref("Observation/here")]),
    {"resourceType": "Group", "id": "102", "type": "person", "actual": True, "member": [{"entity": ref("Patient/23")}], "characteristic": [{"code": coded(None, "gender"), "valueCodeableConcept": coded(None, "mixed"), "exclude": False}]},
    {"resourceType": "Group", "id": "103", "type": "person", "actual": True, "member": [{"entity": ref("Patient/peter")}], "characteristic": [
        {"code": coded(None, "gender"), "valueCodeableConcept": coded(None, "female"), "exclude": False}, {"code": coded(None, "age"), "valueCodeableConcept": coded(None, "mixed"), "exclude": False}]},
    {"resourceType": "Encounter", "id": "long", "status": "finished", "class": {"code": "AMB"}, "subject": ref("Patient/23"), "length": {"value": 30, "unit": "min", "system": UCUM, "code": "min"}},
    {"resourceType": "Encounter", "id": "short", "status": "finished", "class": {"code": "AMB"}, "subject": ref("Patient/peter"), "length": {"value": 10, "unit": "min", "system": UCUM, "code": "min"}},
    {"resourceType": "AuditEvent", "id": "seen", "agent": [{"who": ref("Practitioner/bob"), "requestor": True}], "entity": [{"what": ref("Observation/here")}]},
    {"resourceType": "List", "id": "42", "status": "current", "mode": "working", "entry": [{"item": ref("Patient/23")}, {"item": ref("Condition/acme")}]},
    {"resourceType": "Medication", "id": "m", "manufacturer": ref("Organization/mn")},
    {"resourceType": "MedicationRequest", "id": "r1", "status": "active", "intent": "order", "subject": ref("Patient/23"), "medicationReference": ref("Medication/m"), "requester": ref("Practitioner/joe")},
    {"resourceType": "MedicationRequest", "id": "r2", "status": "stopped", "intent": "order", "subject": ref("Patient/gone"), "medicationReference": ref("http://acme.org/fhir/Medication/m")},
    {"resourceType": "Provenance", "id": "p", "target": [ref("MedicationRequest/r1")], "recorded": "2025-01-01T00:00:00Z", "agent": [{"who": ref("Practitioner/joe")}]},
]

EXAMPLES = {
    "parameters of all resources": [
        ("Patient?_id=23", "23"), ("Patient?_lastUpdated=gt2010-10-01", "23 capital evelyn peter severine"), ("Patient?_tag=http://acme.org/codes|needs-review", "23"), ("Patient?_tag=needs-review", "23"),
        ("Patient?_profile=http://hl7.org/fhir/StructureDefinition/bp", "23"), ("Patient?_security=http://s|R", "23"), ("Patient?_security:not=R", "capital evelyn peter severine"), ("Patient?_tag:missing=true", "capital evelyn peter severine")],
    "modifiers": [("Patient?gender:missing=true", "capital"), ("Patient?gender:missing=false", "23 evelyn peter severine")],
    "number": [
        ("RiskAssessment?probability=gt100.5", "104.9 105"), ("RiskAssessment?probability=100", "100 100.00 100.004 100.49 99.5"), ("RiskAssessment?probability=100.00", "100 100.00 100.004"),
        ("RiskAssessment?probability=1e2", "100 100.00 100.004 100.49 100.5 104.9 95 99.49 99.5"), ("RiskAssessment?probability=lt100", "95 99.49 99.5"), ("RiskAssessment?probability=le100", "100 100.00 95 99.49 99.5"),
        ("RiskAssessment?probability=gt100", "100.004 100.49 100.5 104.9 105"), ("RiskAssessment?probability=ge100", "100 100.00 100.004 100.49 100.5 104.9 105"), ("RiskAssessment?probability=ne100", "100.5 104.9 105 95 99.49"),
        ("RiskAssessment?probability=ap100", "100 100.00 100.004 100.49 100.5 104.9 105 95 99.49 99.5"), ("RiskAssessment?probability=sa104.9", "105"), ("RiskAssessment?probability=eb99.49", "95")],
    "string": [("Patient?given=eve", "23 capital evelyn"), ("Patient?given:contains=eve", "23 capital evelyn severine"), ("Patient?given:exact=Eve", "23"), ("Patient?given=EVÉ", "23 capital evelyn")],
    "uri": [
        ("ValueSet?url=http://acme.org/fhir/ValueSet/123", "vs"), ("ValueSet?url:below=http://acme.org/fhir/", "vs vs5"), ("ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", "vs vs5"),
        ("ValueSet?url=urn:oid:1.2.3.4.5", "oid"), ("ValueSet?url=http://acme.org/fhir/valueset/123", "")],
    "token": [
        ("Patient?identifier=http://acme.org/patient|2345", "23"), ("Patient?identifier=2345", "23 severine"), ("Patient?identifier=|2345", "severine"), ("Patient?identifier=http://acme.org/patient|", "23"), ("Patient?gender=male", "peter severine"),
        ("Patient?gender:not=male", "23 capital evelyn"), ("Patient?gender:not=male,female", "capital evelyn"), ("Patient?active=true", "23"), ("Condition?code=http://acme.org/conditions/codes|ha125", "acme"), ("Condition?code=ha125", "acme none other"),
        ("Condition?code=|ha125", "none"), ("Condition?code:text=headache", "other"), (f"Patient?identifier:of-type={V2}|MR|446053", "evelyn"), (f"Patient?identifier:of-type={V2}|MC|446053", "capital")],
    "quantity": [
        (f"Observation?value-quantity=5.4|{UCUM}|mg", "g mg mg-edge"), (f"Observation?value-quantity=5.40e-3|{UCUM}|g", "g mg"), ("Observation?value-quantity=5.4||mg", "mg mg-edge"), ("Observation?value-quantity=5.4", "kg mg mg-edge"),
        (f"Observation?value-quantity=le5.4|{UCUM}|mg", "below g mg mg-edge mg-low"), (f"Observation?value-quantity=ap5.4|{UCUM}|mg", "below g mg mg-edge mg-low mg-over"), (f"Observation?value-quantity=gt5.4|{UCUM}|mg", "below kg mg-over"),
        (f"Observation?value-quantity=ne5.4|{UCUM}|mg", "below kg mg-low mg-over"), (f"Observation?value-quantity=sa5.4|{UCUM}|mg", "kg mg-over"), ("Encounter?length=gt20", "long"), (f"Encounter?length=gt0.25|{UCUM}|h", "long")],
    "reference": [
        ("Observation?subject=Patient/23", "here"), ("Observation?subject:Patient=23", "here"), ("Observation?subject=23", "here"), ("Observation?subject=http://acme.org/fhir/Patient/23", "there"), ("Observation?subject=http://test/fhir/Patient/23", "here"),
        ("Observation?subject:identifier=http://acme.org/fhir/identifier/mrn|123456", "logical"), ("Observation?patient=23", "here"), ("Observation?subject=102", "group"), ("Observation?subject:Group=102", "group")],
    "chains": [
        ("Observation?subject.name=peter", "peters"), ("Observation?subject:Patient.name=peter", "peters"), ("Patient?general-practitioner.name=Joe", "23 evelyn"),
        # each chain is evaluated by itself: of two practitioners one may be named so, the other live there
        ("Patient?general-practitioner.name=Joe&general-practitioner.address-state=MN", "evelyn"), ("Observation?has-member.subject.given=eve", "peters")],
    "reverse chains": [
        ("Patient?_has:Observation:patient:code=1234-5", "23"), ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=bob", "23"), ("Patient?_has:Group:member:_id=102", "23"), ("Encounter?patient._has:Group:member:_id=102", "long"),
        ("Patient?_has:Group:member:_id=102,103", "23 peter"), ("Patient?_has:Group:member:_id=102&_has:Group:member:_id=103", "")],
    "composite": [
        ("Group?characteristic-value=gender$mixed", "102"), (f"Observation?code-value-quantity={LOINC}|1234-5$gt1", ""), ("Group?characteristic-value=gender$mixed,gender$female", "102 103"), ("Group?characteristic-value=age$mixed", "103")],
    "escaping": [
        (r"Patient?given=Jane\,Joe", "peter"), ("Patient?given=Jane,Joe", "peter"), (r"Patient?given:exact=Jane\,Joe", "peter"), ("Patient?given:exact=Jane,Joe", ""), (r"Organization?name:exact=a\$b\|c\\d", "mn"), (r"Organization?name:exact=a$b|c\\d", "mn")],
    "and, or": [("Patient?given=eve&gender=female", "23"), ("Patient?given=eve,peter", "23 capital evelyn peter"), ("Patient?given=peter&given=jane", "peter"), ("Patient?given=peter&given=eve", "")],
    "lists and types": [("Patient?_list=42", "23"), ("?_list=42", "23 acme"), ("?_type=Patient,Condition&_list=42", "23 acme"), ("?_type=Condition&_list=42", "acme"), ("?_type=Patient,Practitioner&name=joe", "joe")],
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", [pair for pairs in EXAMPLES.values() for pair in pairs])
async def test_an_example_of_the_page_finds_what_it_says(shelf, text, ids):
    assert await shelf.ids(text) == sorted(ids.split())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", [
    ("MedicationRequest?_include=MedicationRequest:patient", "23"), ("MedicationRequest?_include=MedicationRequest:medication", "m"), ("MedicationRequest?_revinclude=Provenance:target", "p"),
    ("MedicationRequest?_include=MedicationRequest:requester:Practitioner", "joe"), ("MedicationRequest?_include=MedicationRequest:requester:Organization", ""), ("MedicationRequest?_include=MedicationRequest:*", "23 joe m"),
    ("MedicationRequest?_include=MedicationRequest:patient&_revinclude=Provenance:target", "23 p"), ("MedicationRequest?status=stopped&_include=MedicationRequest:patient", "")])
async def test_includes_bring_what_the_page_says(shelf, text, ids):
    asked = search(text)
    matches = [shelf.current("MedicationRequest", id)[0] for id in await shelf.find(asked.query)]
    assert {id for query in include.targets(asked.includes, matches) for id in await shelf.find(query)} == set(ids.split())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", [
    ("MedicationRequest?_sort=status", "r1 r2"), ("MedicationRequest?_sort=-status", "r2 r1"), ("Patient?_sort=gender,-given", "23 severine peter evelyn capital"), ("Patient?_sort=given", "23 capital evelyn peter severine"),
    ("RiskAssessment?probability=gt100.2&_sort=-probability", "105 104.9 100.5 100.49")])
async def test_sorts_order_as_the_page_says(shelf, text, ids):
    assert await shelf.find(search(text).query) == ids.split()


@pytest.mark.parametrize("text, code", [
    ("Patient?gender:in=http://acme.org/none", "not-found"), ("Observation?_sort=nothing", "not-supported"), ("Patient?name:fancy=x", "not-supported"), ("Patient?birthdate=lt2013-13", "invalid"), ("Condition?code:of-type=x", "not-supported"),
    ("Patient?_list=$current-problems", "not-supported"), ("Patient?_query=current-high-risk&ward=1", "not-supported")])
def test_what_cannot_be_answered_is_an_error_by_name(text, code):
    with pytest.raises(errors.Invalid) as caught:
        search(text)
    assert caught.value.issues[0].code == code
