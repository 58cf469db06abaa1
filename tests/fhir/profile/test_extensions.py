"""Extensions by their definitions. https://hl7.org/fhir/R4/defining-extensions.html, R4's own: https://hl7.org/fhir/R4/extensibility-registry.html"""
from __future__ import annotations

import pytest

from tests.fhir.profile.making import BASE, HERE, defined, judged

PATIENT = {"resourceType": "Patient"}
XT = BASE + "patient-"


def extended(*extensions: dict, **more) -> dict:
    return {**PATIENT, "extension": list(extensions), **more}


@pytest.mark.parametrize("resource, issues", [
    (extended({"url": XT + "birthPlace", "valueAddress": {"city": "西宁"}}), []), (extended({"url": XT + "birthPlace", "valueString": "西宁"}), [("structure", "Patient.extension[0].value")]),
    (extended({"url": XT + "birthPlace", "extension": [{"url": "a", "valueString": "b"}]}), [("structure", "Patient.extension[0].extension"), ("required", "Patient.extension[0].value")]),
    (extended({"url": XT + "birthTime", "valueDateTime": "2026-02-03"}), [("extension", "Patient.extension[0]")]),  # it belongs to the birth date
    ({**PATIENT, "birthDate": "2026-02-03", "_birthDate": {"extension": [{"url": XT + "birthTime", "valueDateTime": "2026-02-03T01:02:03Z"}]}}, []),
    ({**PATIENT, "birthDate": "2026-02-03", "_birthDate": {"extension": [{"url": XT + "birthTime", "valueString": "one"}]}}, [("structure", "Patient.birthDate.extension[0].value")]),
    (extended(), []), (extended({"url": "http://example.org/whatever", "valueString": "a"}), []), (extended({"url": "relative", "valueString": "a"}), []),
    # of several parts, each by its own url
    (extended({"url": XT + "nationality", "extension": [{"url": "code", "valueCodeableConcept": {"text": "CN"}}, {"url": "period", "valuePeriod": {"start": "2020"}}]}), []),
    (extended({"url": XT + "nationality", "extension": [{"url": "code", "valueString": "CN"}]}), [("structure", "Patient.extension[0].extension[0].value")]),
    (extended({"url": XT + "nationality", "extension": [{"url": "code", "valueCodeableConcept": {"text": "CN"}}] * 2}), [("structure", "Patient.extension[0].extension")]),
    # a required code
    ({**PATIENT, "name": [{"family": "张", "_family": {"extension": [{"url": BASE + "iso21090-EN-qualifier", "valueCode": "BR"}]}}]}, []),
    ({**PATIENT, "name": [{"family": "张", "_family": {"extension": [{"url": BASE + "iso21090-EN-qualifier", "valueCode": "??"}]}}]}, [("code-invalid", "Patient.name[0].family.extension[0].value")]),
    # where it may stand: of a type, anywhere
    ({**PATIENT, "name": [{"text": "a", "extension": [{"url": BASE + "language", "valueCode": "zh"}]}]}, []),
    ({**PATIENT, "name": [{"family": "a", "_family": {"extension": [{"url": BASE + "language", "valueCode": "zh"}]}}]}, [("extension", "Patient.name[0].family.extension[0]")]),
    ({**PATIENT, "name": [{"text": "a", "extension": [{"url": BASE + "language", "valueCode": "zh"}] * 2}]}, [("structure", "Patient.name[0].extension[1]")]),
    ({**PATIENT, "_gender": {"extension": [{"url": BASE + "data-absent-reason", "valueCode": "unknown"}]}}, []),
    ({"resourceType": "Organization", "name": "a", "extension": [{"url": XT + "birthPlace", "valueAddress": {"city": "a"}}]}, [("extension", "Organization.extension[0]")]),
    # in what is contained or bundled
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": extended({"url": XT + "birthPlace", "valueString": "a"})}]}, [("structure", "Bundle.entry[0].resource.extension[0].value")]),
    ({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "string", "extension": [
        {"url": BASE + "questionnaire-unit", "valueCoding": {"code": "g"}}]}]}]}, [("extension", "Questionnaire.item[0].item[0].extension[0]")]),
    ({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "2", "type": "integer", "extension": [{"url": BASE + "questionnaire-unit", "valueCoding": {"code": "g"}}]}]}, []),
])
def test_r4s_own_are_held_to_their_definitions(resource, issues):
    assert judged(resource, by=BASE + resource["resourceType"]) == issues


def test_what_is_not_known_is_right_but_a_modifier_and_a_name_that_r4_would_have_given_are_told():
    resource = extended({"url": "http://example.org/a", "valueString": "a"}, {"url": XT + "brithPlace", "valueString": "a"}, modifierExtension=[{"url": "http://example.org/m", "valueString": "a"}])
    assert judged(resource, by=BASE + "Patient") == []
    assert judged(resource, by=BASE + "Patient", severities=("warning", "information")) == [("extension", "Patient.extension[1]"), ("extension", "Patient.modifierExtension[0]")]


def own(*elements: dict, **more) -> dict:
    return defined("x", "Extension", {"id": "Extension", **({"isModifier": True} if more.pop("modifier", False) else {})}, {"id": "Extension.url", "fixedUri": HERE + "x"}, *elements, **more)


X = {"url": HERE + "x", "valueString": "a"}
CONTEXTS = [
    ("element", "Patient", extended(X), True), ("element", "DomainResource", extended(X), True), ("element", "Resource", extended(X), True), ("element", "Element", extended(X), True),
    ("element", "Observation", extended(X), False), ("element", "Patient.contact", {**PATIENT, "contact": [{"gender": "male", "extension": [X]}]}, True), ("element", "Patient.contact", extended(X), False),
    ("element", "HumanName", {**PATIENT, "name": [{"text": "a", "extension": [X]}]}, True), ("element", "Patient.name", {**PATIENT, "name": [{"text": "a", "extension": [X]}]}, True),
    ("element", "HumanName.family", {**PATIENT, "name": [{"family": "a", "_family": {"extension": [X]}}]}, True), ("element", "Patient.name.family", {**PATIENT, "name": [{"family": "a", "_family": {"extension": [X]}}]}, True),
    ("element", "http://example.org/p/q#Patient.name", {**PATIENT, "name": [{"text": "a", "extension": [X]}]}, True), ("element", "HumanName.given", {**PATIENT, "name": [{"family": "a", "_family": {"extension": [X]}}]}, False),
    ("element", "BackboneElement", {**PATIENT, "contact": [{"gender": "male", "extension": [X]}]}, True),
    ("element", "Patient.deceased[x]", {**PATIENT, "deceasedBoolean": True, "_deceasedBoolean": {"extension": [X]}}, True),
    ("extension", "http://example.org/outer", extended({"url": "http://example.org/outer", "extension": [X]}), True), ("extension", "http://example.org/outer", extended({"url": "http://example.org/other", "extension": [X]}), False),
    ("fhirpath", "Patient.name.where(use = 'official')", {**PATIENT, "name": [{"use": "official", "extension": [X]}]}, True),
    ("fhirpath", "Patient.name.where(use = 'official')", {**PATIENT, "name": [{"use": "usual", "extension": [X]}, {"use": "official"}]}, False),
]


@pytest.mark.parametrize("type, expression, resource, may", CONTEXTS)
def test_it_stands_where_its_context_says(type, expression, resource, may):
    found = judged(resource, own(context=[{"type": "element", "expression": "Account"}, {"type": type, "expression": expression}]), by=BASE + "Patient")
    assert [code for code, _ in found] == ([] if may else ["extension"])


def test_it_stands_where_its_context_holds():
    one = own(context=[{"type": "element", "expression": "Patient"}], contextInvariant=["active = true and %extension.value = 'a'"])
    assert judged(extended(X, active=True), one, by=BASE + "Patient") == []
    assert judged(extended(X, active=False), one, by=BASE + "Patient") == [("extension", "Patient.extension[0]")]


def test_a_modifier_is_a_modifier_and_nothing_else_is():
    assert judged({**PATIENT, "modifierExtension": [X]}, own(modifier=True), by=BASE + "Patient") == judged(extended(X), own(), by=BASE + "Patient") == []
    assert judged(extended(X), own(modifier=True), by=BASE + "Patient") == [("extension", "Patient.extension[0]")]
    assert judged({**PATIENT, "modifierExtension": [X]}, own(), by=BASE + "Patient") == [("extension", "Patient.modifierExtension[0]")]


def test_a_profile_is_no_extension():
    assert judged(extended({"url": BASE + "bp", "valueString": "a"}), by=BASE + "Patient") == [("extension", "Patient.extension[0]")]


def test_a_profile_may_demand_an_extension_of_a_definition():
    one = defined("p", "Patient", {"id": "Patient.extension:x", "min": 1, "max": "1", "type": [{"code": "Extension", "profile": [HERE + "x"]}]})
    assert judged(PATIENT, one, own()) == [("required", "Patient.extension")]
    assert judged(extended(X), one, own()) == judged(extended(X), one) == []  # known or not, its url tells it
    assert judged(extended(X, X), one, own()) == [("structure", "Patient.extension")]
