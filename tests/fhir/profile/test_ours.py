"""This project's own profiles (profiles/), with right and wrong Chinese identifiers and names. GB 11643-1999, ICAO 9303, DICOM PS3.5 section 9"""
from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from app.fhir import json, profile
from app.fhir.validate import validate
from app.mapping.chinese import CHECKS, WEIGHTS, card_check
from app.settings import shipped

OURS = "https://yilian.example/fhir/StructureDefinition/"
CARD, PASSPORT, HEALTH_CARD = "urn:oid:2.16.156.10011.1.3", "http://hl7.org/fhir/sid/passport-", "urn:oid:2.16.156.10011.1.19"
RECORD = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}, "system": "urn:h:mrn", "value": "1"}


def told(resource: dict, name: str, severities=("error",)) -> list[tuple[str, str]]:
    """(rule or code, place) of what the profile says."""
    found = profile.check(json.loads(json.dumps(resource)), (OURS + name,))
    return [(i.text.partition(":")[0] if i.code == "invariant" else i.code, i.expression) for i in found if i.severity in severities]


def patient(*identifiers: dict, **more) -> dict:
    return {"resourceType": "Patient", "identifier": list(identifiers) or [RECORD], "name": [{"text": "张三"}], "gender": "male"} | more


def card(value: str) -> dict:
    return {"system": CARD, "value": value}


def passport(value: str, country: str = "CHN", **more) -> dict:
    return {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PPN"}]}, "system": PASSPORT + country, "value": value} | more


@pytest.mark.parametrize("path", sorted(shipped("profiles").glob("*.json")), ids=lambda path: path.stem)
def test_each_file_is_a_right_resource_under_its_url(path):
    resource = json.loads(path.read_bytes())
    assert [i.text for i in validate(resource)] == []
    assert resource["url"] == f"https://yilian.example/fhir/{resource['resourceType']}/{resource['id']}" and path.stem == f"{resource['resourceType']}-{resource['id']}"


def test_each_rule_has_a_message_and_can_be_judged():
    names = [url for url in profile.known().urls() if url.startswith(OURS)]
    assert {profile.known().type(url) for url in names} >= {"Patient", "Encounter", "ServiceRequest", "ImagingStudy"}
    keys = [rule["key"] for url in names for said in profile.known().structure(url)["differential"]["element"] for rule in said.get("constraint", ())]
    assert len(keys) == len(set(keys)) > 12


@pytest.mark.parametrize("value, issues", [
    ("11010519491231002X", []), ("440524188001010014", []), ("310104201806011230", []), ("630102198503152041", []),
    ("110105194912310021", ["card-3"]), ("310104201806011231", ["card-3"]), ("310104201806012130", ["card-3"]), ("310104201806011239", ["card-3"]),
    ("630102198502302041", ["card-2", "card-3"]), ("630102199913152041", ["card-2", "card-3"]), ("11010519491231002x", ["card-1"]), ("630102850315204", ["card-1"]), ("6301021985031520411", ["card-1"]),
    ("63010219850315204１", ["card-1"]), ("A30102198503152041", ["card-1"]), (" 630102198503152041", ["card-1"])])
def test_a_resident_identity_number_holds_a_date_and_the_check_character_of_gb_11643(value, issues):
    assert [rule for rule, _ in told(patient(RECORD, card(value)), "alliance-patient")] == issues
    assert all(place == "Patient.identifier[1].value" for _, place in told(patient(RECORD, card(value)), "alliance-patient"))


@given(st.text("0123456789", min_size=6, max_size=6), st.dates(), st.text("0123456789", min_size=3, max_size=3), st.sampled_from("0123456789X"))
def test_the_check_character_is_that_of_the_standards_weights(region, born, sequence, last):
    first = f"{region}{born:%Y%m%d}".zfill(14) + sequence
    right = CHECKS[sum(weight * int(digit) for weight, digit in zip(WEIGHTS, first)) % 11]
    assert right == card_check(first)
    assert ([rule for rule, _ in told(patient(card(first + last)), "alliance-patient") if rule == "card-3"] == []) is (last == right)


IDENTIFIERS = [
    (passport("E12345678"), []), (passport("EA1234567"), []), (passport("G12345678"), []), (passport("12345"), ["passport-3"]), (passport("E1234567"), ["passport-3"]), (passport("e12345678"), ["passport-2", "passport-3"]),
    (passport("C01X00T47", "D"), ["passport-1"]), (passport("C01X00T47", "DEU"), []), (passport("C01 X00T4", "DEU"), ["passport-2"]), (passport("1234", "DEU"), ["passport-2"]),
    ({key: each for key, each in passport("E12345678").items() if key != "system"}, ["required"]),
    ({"system": HEALTH_CARD, "value": "310104201806011230"}, []), ({"system": HEALTH_CARD, "value": "A 1"}, ["health-card-1"]), ({"system": HEALTH_CARD}, ["required"]),
    ({"type": RECORD["type"], "value": "7"}, ["required"]), ({"system": "urn:other", "value": "7"}, []), ({"value": "7"}, []),
    ({"system": "urn:oid:2.16.840.1.113883.2.23.1.19.1", "value": "310104201806011230"}, ["card-6"]),
    ({"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NNCHN"}]}, "value": "310104201806011230"}, ["card-6"]),
    ({"system": "urn:x", "_value": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}}, []),
]


@pytest.mark.parametrize("identifier, issues", IDENTIFIERS)
def test_other_numbers_are_told_apart_by_type_or_system(identifier, issues):
    assert [rule for rule, _ in told(patient(identifier), "alliance-patient")] == issues


def test_a_patient_has_a_number_a_name_and_a_sex_and_one_identity_number_at_most():
    assert told({"resourceType": "Patient"}, "alliance-patient") == [("required", "Patient.identifier"), ("required", "Patient.name"), ("required", "Patient.gender")]
    assert told(patient(card("310104201806011230"), card("630102198503152041")), "alliance-patient") == [("structure", "Patient.identifier")]
    newborn = patient(name=[{"use": "temp", "text": "卓玛·央金之女"}], gender="female", birthDate="2026-02-03", multipleBirthBoolean=False)
    assert told(newborn, "alliance-patient", ("error", "warning")) == []


@pytest.mark.parametrize("name, errors, warnings", [
    ({"text": "张三", "family": "张", "given": ["三"]}, [], []), ({"text": "欧阳明", "family": "欧阳", "given": ["明"]}, [], []), ({"text": "𠅤明", "family": "𠅤", "given": ["明"]}, [], []),
    ({"text": "张三", "family": "张", "given": ["四"]}, [], ["name-3"]), ({"text": "张　三"}, ["name-1"], []), ({"text": "张 三"}, ["name-1"], []), ({"text": "John Smith", "family": "Smith", "given": ["John"]}, [], []),
    ({"text": "扎西·才让"}, [], []), ({"text": "扎西•才让"}, ["name-2"], []), ({"text": "扎西．才让"}, ["name-2"], []), ({"family": "张"}, ["required"], []),
])
def test_a_name_is_written_in_one_way(name, errors, warnings):
    assert [rule for rule, _ in told(patient(name=[name]), "alliance-patient")] == errors
    assert [rule for rule, _ in told(patient(name=[name]), "alliance-patient", ("warning",))] == warnings


@pytest.mark.parametrize("more, warnings", [
    ({"birthDate": "2018-06-01"}, []), ({"birthDate": "2018"}, []), ({}, []), ({"birthDate": "2018-06-02"}, ["card-4"]), ({"gender": "female"}, ["card-5"]), ({"gender": "unknown"}, []),
    ({"gender": "other", "birthDate": "2018-01-06"}, ["card-4"])])
def test_what_contradicts_the_identity_number_is_a_finding_and_no_refusal(more, warnings):
    resource = patient(card("310104201806011230"), **more)
    assert told(resource, "alliance-patient") == [] and [rule for rule, _ in told(resource, "alliance-patient", ("warning",))] == warnings


VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "subject": {"reference": "Patient/a"},
         "period": {"start": "2026-02-03T08:00:00+08:00", "end": "2026-02-03T09:00:00+08:00"}, "serviceProvider": {"reference": "Organization/h"}}
ORDER = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}], "subject": {"reference": "Patient/a"},
         "authoredOn": "2026-02-03", "requester": {"reference": "Practitioner/d"}, "identifier": [{"system": "urn:h:referral", "value": "ZZ1"}], "performer": [{"reference": "Organization/b"}],
         "reasonCode": [{"text": "肺结节"}]}
DCM = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}
INSTANCE = {"uid": "1.2.840.3", "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}}
ACCESSION = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}, "system": "urn:h:accession", "value": "A000251"}
STUDY = {"resourceType": "ImagingStudy", "status": "available", "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.113619.2.5"}, ACCESSION], "subject": {"reference": "Patient/a"},
         "series": [{"uid": "1.2.840.1", "modality": DCM, "instance": [INSTANCE]}]}


def uid(value: str) -> dict:
    return {"identifier": [{"system": "urn:dicom:uid", "value": value}]}


@pytest.mark.parametrize("name, resource, issues", [
    ("alliance-encounter", VISIT, []), ("alliance-encounter", VISIT | {"status": "in-progress", "period": {"start": "2026-02-03"}}, []),
    ("alliance-encounter", VISIT | {"period": {"start": "2026-02-03"}}, [("encounter-1", "Encounter")]),
    ("alliance-encounter", VISIT | {"class": {"system": "urn:h:visit", "code": "1"}}, [("code-invalid", "Encounter.class")]),
    ("alliance-encounter", VISIT | {"class": {"display": "门诊"}}, [("code-invalid", "Encounter.class"), ("required", "Encounter.class.system"), ("required", "Encounter.class.code")]),
    ("alliance-encounter", VISIT | {"subject": {"reference": "Group/a"}}, [("structure", "Encounter.subject")]),
    ("alliance-encounter", {"resourceType": "Encounter", "status": "planned", "class": VISIT["class"]}, [("required", "Encounter.subject"), ("required", "Encounter.period"), ("required", "Encounter.serviceProvider")]),
    ("alliance-service-request", ORDER, []),
    ("alliance-service-request", {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": {"reference": "Device/a"}},
     [("required", "ServiceRequest.category"), ("structure", "ServiceRequest.subject"), ("required", "ServiceRequest.authoredOn"), ("required", "ServiceRequest.requester")]),
    ("alliance-referral", ORDER, []),
    ("alliance-referral", {key: value for key, value in ORDER.items() if key not in ("identifier", "performer", "reasonCode", "requester")},
     [("referral-1", "ServiceRequest"), ("required", "ServiceRequest.requester"), ("required", "ServiceRequest.identifier"), ("required", "ServiceRequest.performer")]),
    ("alliance-referral", ORDER | {"category": [{"text": "转诊"}]}, [("required", "ServiceRequest.category")]),
    ("alliance-referral", ORDER | {"performer": [{"reference": "Patient/a"}]}, [("structure", "ServiceRequest.performer[0]")]),
    ("alliance-imaging-study", STUDY, []), ("alliance-imaging-study", STUDY | uid("urn:oid:2.25." + "9" * 39), []), ("alliance-imaging-study", STUDY | uid("urn:oid:1." + "9" * 63), [("uid-1", "ImagingStudy.identifier[0].value")]),
    ("alliance-imaging-study", STUDY | uid("1.2.3"), [("uid-1", "ImagingStudy.identifier[0].value")]), ("alliance-imaging-study", STUDY | uid("urn:oid:1.02.3"), [("uid-1", "ImagingStudy.identifier[0].value")]),
    ("alliance-imaging-study", STUDY | {"identifier": [ACCESSION]}, [("required", "ImagingStudy.identifier")]),
    ("alliance-imaging-study", STUDY | {"identifier": [*STUDY["identifier"][:1], {"type": ACCESSION["type"], "value": "A" * 17}]},
     [("required", "ImagingStudy.identifier[1].system"), ("too-long", "ImagingStudy.identifier[1].value")]),
    ("alliance-imaging-study", STUDY | {"series": [{"uid": "a-1", "modality": {"code": "CT"}, "instance": [INSTANCE | {"uid": "1.2."}, INSTANCE | {"sopClass": {"system": "urn:x", "code": "CT"}}]}]},
     [("uid-2", "ImagingStudy.series[0].uid"), ("required", "ImagingStudy.series[0].modality.system"), ("uid-3", "ImagingStudy.series[0].instance[0].uid"), ("sop-1", "ImagingStudy.series[0].instance[1].sopClass")]),
])
def test_visits_requests_and_studies(name, resource, issues):
    assert told(resource, name) == issues


def test_an_ethnic_group_is_a_code_or_a_name_and_stands_at_a_person():
    for value, issues in (({"valueString": "藏族"}, []), ({"valueCodeableConcept": {"text": "藏族"}}, []), ({"valueInteger": 4}, [("structure", "Patient.extension[0].value")])):
        assert told(patient(extension=[{"url": OURS + "ethnic-group", **value}]), "alliance-patient") == issues
    assert told(VISIT | {"extension": [{"url": OURS + "ethnic-group", "valueString": "藏族"}]}, "alliance-encounter") == [("extension", "Encounter.extension[0]")]
