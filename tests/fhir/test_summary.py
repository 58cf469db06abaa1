"""_summary and _elements. https://hl7.org/fhir/R4/search.html#summary"""
from __future__ import annotations

from app.fhir import summary
from app.fhir.validate import validate

PATIENT = {"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}, "text": {"status": "generated", "div": "<div>x</div>"}, "active": True, "name": [{"family": "张"}],
           "photo": [{"title": "x"}], "communication": [{"language": {"text": "zh"}}], "birthDate": "1990", "_birthDate": {"id": "b"}}
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def tagged(resource) -> bool:
    return any(SUBSETTED.items() <= t.items() for t in resource["meta"].get("tag", ()))


def test_true_keeps_the_summary_elements():
    made = summary.summary(PATIENT, "true")
    assert set(made) == {"resourceType", "id", "meta", "active", "name", "birthDate", "_birthDate"} and tagged(made) and not validate(made)


def test_text_keeps_text_id_meta_and_what_is_mandatory():
    assert set(summary.summary(PATIENT, "text")) == {"resourceType", "id", "meta", "text"}
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, "text": {"status": "empty", "div": "<div>x</div>"}, "note": [{"text": "n"}]}
    assert set(summary.summary(observation, "text")) == {"resourceType", "id", "meta", "status", "code", "text"}


def test_data_leaves_out_the_text():
    made = summary.summary(PATIENT, "data")
    assert set(made) == set(PATIENT) - {"text"} and tagged(made)


def test_false_leaves_the_resource_as_it_is():
    assert summary.summary(PATIENT, "false") is PATIENT


def test_elements_keeps_what_is_named_and_mandatory():
    assert set(summary.elements(PATIENT, ("name",))) == {"resourceType", "id", "meta", "name", "active"}  # active is a modifier
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, "valueInteger": 5, "note": [{"text": "n"}]}
    assert set(summary.elements(observation, ("value",))) == {"resourceType", "id", "meta", "status", "code", "valueInteger"}
    assert set(summary.elements(observation, ("Patient.note",))) == {"resourceType", "id", "meta", "status", "code"}


def test_nothing_is_changed_in_place():
    before = dict(PATIENT["meta"])
    summary.summary(PATIENT, "true")
    assert PATIENT["meta"] == before
