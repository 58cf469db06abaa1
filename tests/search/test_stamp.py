"""Stamps: whom a resource concerns, labels, date, guard. http://hl7.org/fhir/R4/compartmentdefinition-patient.html"""
from __future__ import annotations

import pytest

from app.fhir import definitions
from app.search import parameters, stamp
from app.search.types import date

ZONE, BASE = "Asia/Shanghai", "http://test/fhir"
CONFIDENTIALITY, SENSITIVITY = stamp.CONFIDENTIALITY, stamp.SENSITIVITY


def about(**resource) -> tuple[str, ...]:
    return stamp.stamp(resource, ZONE, BASE).about


def named(id: str) -> dict:
    return {"reference": f"Patient/{id}"}


@pytest.mark.parametrize("resource, expected", [
    ({"resourceType": "Patient", "id": "a", "link": [{"other": {"reference": "Patient/b"}}]}, ("Patient/a",)),
    ({"resourceType": "Observation", "subject": named("a")}, ("Patient/a",)),
    ({"resourceType": "Observation", "subject": {"reference": "Group/a"}}, ()),
    ({"resourceType": "Observation", "subject": {"reference": f"{BASE}/Patient/a"}}, ("Patient/a",)),
    ({"resourceType": "Observation", "subject": {"reference": "Patient/a/_history/3"}}, ("Patient/a",)),
    ({"resourceType": "Observation", "subject": named("a"), "performer": [named("b"), named("a")]}, ("Patient/a", "Patient/b")),
    ({"resourceType": "Group", "member": [{"entity": named("a")}, {"entity": named("b")}]}, ("Patient/a", "Patient/b")),
    ({"resourceType": "Task", "for": named("a"), "focus": {"reference": "ServiceRequest/1"}}, ("Patient/a",)),
    ({"resourceType": "Task", "input": [{"valueReference": named("a")}, {"valueString": "x"}]}, ("Patient/a",)),
    ({"resourceType": "Contract", "subject": [named("a")]}, ("Patient/a",)),
    ({"resourceType": "Device", "patient": named("a")}, ("Patient/a",)),
    ({"resourceType": "GuidanceResponse", "subject": named("a")}, ("Patient/a",)),
    ({"resourceType": "List", "entry": [{"item": named("a")}]}, ("Patient/a",)),
    ({"resourceType": "Organization", "name": "x"}, ()),
])
def test_a_resource_concerns_the_patients_that_it_names(resource, expected):
    found = stamp.stamp(resource, ZONE, BASE)
    assert found.about == expected
    assert found.many is (len(expected) > 1)


@pytest.mark.parametrize("subject", [
    {"reference": "http://other/fhir/Patient/a"}, {"reference": "Patient?identifier=1"}, {"reference": "urn:uuid:0f0e0d0c-0b0a-4908-8706-050403020100", "type": "Patient"},
    {"identifier": {"value": "1"}, "type": "Patient"}, {"reference": "#p"}])
@pytest.mark.parametrize("others, expected", [([], ()), ([named("b")], ("Patient/b",))])
def test_a_patient_without_an_id_here_makes_them_many(subject, others, expected):
    found = stamp.stamp({"resourceType": "Observation", "contained": [{"resourceType": "Patient", "id": "p"}] if "#p" in subject.values() else [], "subject": subject,
                         "performer": others}, ZONE, BASE)
    assert (found.about, found.many) == (expected, True)


@pytest.mark.parametrize("who", [{"identifier": {"value": "1"}}, {"display": "张三"}, {"reference": "urn:uuid:0f0e0d0c-0b0a-4908-8706-050403020100"}, {"reference": "http://other/people/1"}])
@pytest.mark.parametrize("resource, many", [
    (lambda who: {"resourceType": "Claim", "patient": who, "payee": {"party": named("b")}}, True), (lambda who: {"resourceType": "RelatedPerson", "patient": who}, True),
    (lambda who: {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Observation", "subject": named("b")}}, {"resource": {"resourceType": "Immunization", "patient": who}}]}, True),
    (lambda who: {"resourceType": "Observation", "subject": named("b"), "performer": [who]}, False)])
def test_where_only_patients_are_named_whoever_has_no_id_here_is_one(who, resource, many):
    found = stamp.stamp(resource(who), ZONE, BASE)
    assert found.many is many and found.about in ((), ("Patient/b",))


URN = "urn:uuid:0f0e0d0c-0b0a-4908-8706-050403020100"


@pytest.mark.parametrize("full, subject, many", [
    (URN, URN, False), (URN, "urn:uuid:0f0e0d0c-0b0a-4908-8706-050403020199", True), (f"{BASE}/Patient/a", "Patient/a", False), (f"{BASE}/Patient/a", f"{BASE}/Patient/a", False),
    ("http://other/fhir/Patient/a", "http://other/fhir/Patient/a", True), ("http://other/fhir/Patient/a", "Patient/a", True)])
def test_a_patient_in_a_bundle_is_the_one_here_unless_the_entry_is_of_another_server(full, subject, many):
    """What refers to an entry of the Bundle concerns whom that one does."""
    entries = [{"fullUrl": full, "resource": {"resourceType": "Patient", "id": "a"}}, {"fullUrl": URN[:-1] + "7", "resource": {"resourceType": "Immunization", "patient": {"reference": subject}}}]
    found = stamp.stamp({"resourceType": "Bundle", "entry": entries}, ZONE, BASE)
    assert (found.about, found.many) == (("Patient/a",), many)


def test_what_a_bundle_holds_and_what_a_resource_contains_concern_their_patients_too():
    assert about(resourceType="Bundle", entry=[{"resource": {"resourceType": "Patient", "id": "a"}}, {"resource": {"resourceType": "Observation", "subject": named("b")}}]) == ("Patient/a", "Patient/b")
    assert about(resourceType="Composition", contained=[{"resourceType": "Patient", "id": "p"}, {"resourceType": "Observation", "id": "o", "subject": named("c")}]) == ("Patient/c",)


def test_every_reference_to_patients_outside_the_compartment_is_in_the_table_or_a_stated_exception():
    """By the definitions: elements of types that are not in the Patient compartment, whose targets are Patient or anything."""
    inside = definitions.compartment("Patient")
    for type in definitions.RESOURCE_TYPES:
        found = set(references(type, type)) if type not in inside and type != "Patient" else set()
        if type in stamp.EXCEPTIONS:
            assert found and type not in stamp.ABOUT
        else:
            assert found == set(stamp.ABOUT.get(type, ())) or type in inside, type


def references(type: str, path: str):
    """Paths of the elements of a resource's own parts that are references which may name a Patient."""
    for element in definitions.elements(path).values():
        if element.type == "Reference" and (not element.targets or set(element.targets) & {"Patient", "Resource"}):
            yield element.path.partition(".")[2]
        if element.type.startswith(type + ".") and element.type.count(".") == path.count(".") + 1:
            yield from references(type, element.type)


def coding(system: str, code: str) -> dict:
    return {"system": system, "code": code}


def test_labels_are_bits_of_the_whole_resource():
    hiv, restricted = stamp.LABELS[SENSITIVITY, "HIV"], stamp.LABELS[CONFIDENTIALITY, "R"]
    inner = {"resourceType": "Observation", "meta": {"security": [coding(SENSITIVITY, "HIV")]}}
    assert stamp.stamp({"resourceType": "Patient", "meta": {"security": [coding(CONFIDENTIALITY, "R")]}}, ZONE).labels == restricted
    assert stamp.stamp({"resourceType": "Composition", "contained": [inner]}, ZONE).labels == hiv
    assert stamp.stamp({"resourceType": "Bundle", "entry": [{"resource": inner}], "meta": {"security": [coding(CONFIDENTIALITY, "R")]}}, ZONE).labels == hiv | restricted
    assert stamp.stamp({"resourceType": "Composition", "confidentiality": "R"}, ZONE).labels == restricted
    assert stamp.stamp({"resourceType": "DocumentReference", "securityLabel": [{"coding": [coding(SENSITIVITY, "HIV")]}]}, ZONE).labels == hiv
    assert stamp.stamp({"resourceType": "Patient", "meta": {"security": [coding("http://example.org/labels", "x")]}}, ZONE).labels == stamp.OTHER


def test_the_bits_of_labels_are_distinct_and_stay_as_they_are():
    assert len(set(stamp.LABELS.values()) | {stamp.OTHER}) == len(stamp.LABELS) + 1
    assert [stamp.LABELS[CONFIDENTIALITY, c] for c in "ULMNRV"] == [1, 2, 4, 8, 16, 32]
    assert stamp.LABELS[SENSITIVITY, "ETH"] == 64
    assert max(stamp.LABELS.values()) < stamp.OTHER < 2**62


@pytest.mark.parametrize("resource, text", [
    ({"resourceType": "Observation", "effectiveDateTime": "2025-03-10T08:00:00+08:00", "issued": "2025-03-11T08:00:00+08:00"}, "2025-03-10T08:00:00+08:00"),
    ({"resourceType": "Encounter", "period": {"start": "2025-03-10"}}, "2025-03-10"), ({"resourceType": "Encounter", "period": {"end": "2025-03-10"}}, None),
    ({"resourceType": "ImagingStudy", "started": "2025-03-10"}, "2025-03-10"), ({"resourceType": "Condition", "onsetDateTime": "2025-03-10", "recordedDate": "2025-04-10"}, "2025-03-10"),
    ({"resourceType": "Condition", "recordedDate": "2025-04-10"}, "2025-04-10"), ({"resourceType": "ServiceRequest", "authoredOn": "2025-03-10"}, "2025-03-10"),
    ({"resourceType": "MedicationRequest", "authoredOn": "2025-03-10"}, "2025-03-10"), ({"resourceType": "Task", "authoredOn": "2025-03-10"}, "2025-03-10"),
])
def test_the_clinical_date_is_that_of_the_types_own_parameter(resource, text):
    low = stamp.stamp(resource, ZONE).date
    if text:
        assert low == date.span(text, ZONE)[0]
    else:
        assert low == date.span("2025-03-10", ZONE)[1]


def test_what_has_no_clinical_date_has_none():
    assert stamp.stamp({"resourceType": "Patient", "birthDate": "1990-01-01"}, ZONE).date is None
    assert stamp.stamp({"resourceType": "Observation"}, ZONE).date is None


def test_each_clinical_type_has_a_date_parameter():
    without = {type for type in definitions.compartment("Patient") if not stamp._dates(type)}
    assert without == {"BodyStructure", "EnrollmentRequest", "Group", "MolecularSequence", "Patient", "Person", "RelatedPerson"}


@pytest.mark.parametrize("resource, guard", [
    ({"resourceType": "Binary", "securityContext": {"reference": "DocumentReference/1"}}, "DocumentReference/1"), ({"resourceType": "Binary"}, "-"),
    ({"resourceType": "Binary", "securityContext": {"reference": f"{BASE}/Patient/1"}}, "Patient/1"), ({"resourceType": "Binary", "securityContext": {"reference": "http://other/fhir/Patient/1"}}, "-"),
    ({"resourceType": "Provenance", "target": [{"reference": "Observation/1/_history/2"}]}, "Observation/1"),
    ({"resourceType": "Provenance", "target": [{"reference": "Observation/1"}, {"reference": "Observation/2"}]}, "-"), ({"resourceType": "Patient", "id": "1"}, ""),
])
def test_a_binary_and_a_provenance_are_decided_as_what_they_belong_to(resource, guard):
    assert stamp.stamp(resource, ZONE, BASE).guard == guard


def test_every_compartment_parameter_can_be_compiled():
    for type in parameters.members("Patient"):
        assert stamp._patients(type)
