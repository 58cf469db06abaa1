"""Codes of elements: required, extensible and most permitted value sets, and code systems that are held. https://hl7.org/fhir/R4/terminologies.html#4.1.5"""
from __future__ import annotations

import pytest

from app.fhir import definitions
from app.fhir.bindings import bound, required
from app.fhir.validate import MOST, validate

MARITAL = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"


def told(resource: dict) -> list[tuple[str, str, str]]:
    """(severity, code, place) of what $validate says of codes."""
    return [(i.severity, i.code, i.expression) for i in validate(resource, warnings=True) if i.code == "code-invalid"]


def patient(**more) -> dict:
    return {"resourceType": "Patient", "name": [{"family": "张"}], **more}


def allergy(**status) -> dict:
    return {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}, "clinicalStatus": status}


def coding(code, system=MARITAL, **more) -> dict:
    return {"coding": [{"system": system, "code": code, **more}]}


WRONG = ("error", "code-invalid")


class TestCodeSystems:
    @pytest.mark.parametrize("coded, places", [
        (coding("M"), []), (coding("Z"), ["Patient.maritalStatus.coding[0].code"]), (coding("Z", version="2018-08-12"), ["Patient.maritalStatus.coding[0].code"]),
        (coding("Z", version="1999"), []), (coding("Z", "urn:ours"), []), (coding("3", "http://snomed.info/sct"), []), ({"coding": [{"system": MARITAL}], "text": "x"}, []),
        ({"coding": [{"code": "Z"}]}, []), ({"coding": [{"system": "urn:ours", "code": "1"}, {"system": MARITAL, "code": "Q"}]}, ["Patient.maritalStatus.coding[1].code"]),
    ])
    def test_a_code_of_a_system_that_is_held_is_one_of_its_codes(self, coded, places):
        assert [i for i in told(patient(maritalStatus=coded)) if i[0] == "error"] == [(*WRONG, place) for place in places]

    def test_it_is_so_wherever_a_coding_stands(self):
        extension = {"url": "http://a.example/x", "valueCoding": coding("Z")["coding"][0]}
        inner = {"resourceType": "Basic", "id": "b", "code": coding("Z")}
        assert told(patient(extension=[extension], contained=[inner], meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "secret"}]})) == [
            (*WRONG, f"Patient.{place}") for place in ("extension[0].value.code", "contained[0].code.coding[0].code", "meta.security[0].code")]

    def test_case_counts_only_where_the_system_says_so(self):
        assert told(patient(identifier=[{"type": coding("mr", "http://terminology.hl7.org/CodeSystem/v2-0203"), "value": "1"}])) == []
        assert told(patient(maritalStatus=coding("m"))) != []

    def test_the_message_says_what_would_be_right(self):
        [issue] = [i for i in validate(patient(maritalStatus=coding("MM")))]
        assert issue.text == f"'MM' is no code of {MARITAL}; near it are M."

    @pytest.mark.parametrize("display, said", [("Married", False), ("married ", False), ("已婚", False), ("Wed", True), (None, False)])
    def test_another_display_is_told_and_is_no_error(self, display, said):
        resource = patient(maritalStatus=coding("M", **({"display": display} if display else {})))
        assert told(resource) == ([("information", "code-invalid", "Patient.maritalStatus.coding[0].display")] if said else []) and validate(resource) == []


class TestRequired:
    @pytest.mark.parametrize("status, issues", [
        (coding("active", CLINICAL), []), ({"coding": [{"system": "http://snomed.info/sct", "code": "1"}, {"system": CLINICAL, "code": "active"}]}, []),
        (coding("alive", CLINICAL), [(*WRONG, "AllergyIntolerance.clinicalStatus.coding[0].code")]), (coding("active", "urn:ours"), [(*WRONG, "AllergyIntolerance.clinicalStatus")]),
        (coding("Active", CLINICAL), [(*WRONG, "AllergyIntolerance.clinicalStatus.coding[0].code")]), ({"text": "active"}, [(*WRONG, "AllergyIntolerance.clinicalStatus")]),
        ({"coding": [{"code": "active"}]}, [(*WRONG, "AllergyIntolerance.clinicalStatus")]), ({"extension": [{"url": "http://a.example/why", "valueCode": "unknown"}]}, []),
    ])
    def test_one_coding_is_of_the_value_set(self, status, issues):
        assert told(allergy(**status)) == issues

    def test_the_message_lists_a_short_value_set(self):
        [issue] = [i for i in validate(allergy(**coding("active", "urn:ours"))) if i.code == "code-invalid"]
        assert issue.text == "'active' is no code of http://hl7.org/fhir/ValueSet/allergyintolerance-clinical; it may be active, inactive, resolved."

    def test_every_required_value_set_can_be_decided(self):
        seen, fresh = set(), list(definitions.RESOURCE_TYPES)
        while fresh:
            for element in definitions.elements(fresh.pop()).values():
                if element.binding and (element.binding[0] == "required" or len(element.binding) > 2) and element.type in ("code", "Coding", "CodeableConcept"):
                    assert required(element) is not None, element
                if element.type not in seen:
                    seen.add(element.type)
                    fresh.append(element.type)


class TestExtensible:
    encounter = {"resourceType": "Encounter", "status": "finished"}

    def test_a_code_from_elsewhere_is_a_warning(self):
        resource = {**self.encounter, "class": {"system": "urn:ours", "code": "住院"}}
        assert told(resource) == [("warning", "code-invalid", "Encounter.class")] and validate(resource) == []
        assert told({**self.encounter, "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}}) == []

    def test_text_alone_is_not(self):
        assert told(patient(maritalStatus={"text": "已婚"})) == []

    def test_warnings_leave_no_error_out(self):
        resource = patient(contact=[{"relationship": [coding("x", "urn:ours")] * (MOST + 10)}], gender="m", birthDate="x")
        assert {i.code for i in validate(resource, warnings=True) if i.severity == "error"} == {"code-invalid", "value", "invariant"} and len(validate(resource, warnings=True)) == MOST


class TestRules:
    """The value sets that no list of the package decides: each has a rule."""

    @pytest.mark.parametrize("resource, right", [
        ({"resourceType": "Binary", "contentType": "text/csv; charset=gb18030"}, True), ({"resourceType": "Binary", "contentType": "csv"}, False),
        ({"resourceType": "Binary", "contentType": "json"}, False),
        (patient(language="zh-Hans-CN"), True), (patient(language="zh_CN"), False),
        (patient(communication=[{"language": coding("zh-CN", "urn:ietf:bcp:47")}]), True), (patient(communication=[{"language": coding("Chinese", "urn:ietf:bcp:47")}]), True),
        (patient(communication=[{"language": coding("zh CN", "urn:ietf:bcp:47")}]), False), (patient(communication=[{"language": coding("zh", "urn:ours")}]), False),
        *(({"resourceType": "ChargeItem", "status": "billable", "code": {"text": "x"}, "subject": {"reference": "Patient/1"}, "priceOverride": {"value": 1, "currency": c}}, ok)
          for c, ok in (("CNY", True), ("RMB", False), ("cny", False), ("ZWL", True), ("XXX", True), ("元", False))),
        *(({"resourceType": "ResearchElementDefinition", "status": "draft", "type": "population", "characteristic": [{"definitionExpression": {"language": "text/cql", "expression": "x"}, "unitOfMeasure": coding(c, system)}]}, ok)
          for c, system, ok in (("mmol/L", "http://unitsofmeasure.org", True), ("mmHg", "http://unitsofmeasure.org", False), ("mmol/L", "urn:ours", False))),
        ({"resourceType": "ResearchElementDefinition", "status": "draft", "type": "population", "characteristic": [{"definitionExpression": {"language": "cql", "expression": "x"}}]}, False),
        *(({"resourceType": "MolecularSequence", "coordinateSystem": 0, "structureVariant": [{"variantType": coding(c, "http://loinc.org")}]}, ok) for c, ok in (("LA6692-3", True), ("LA6692-4", False))),
    ])
    def test_a_rule_decides(self, resource, right):
        issues = validate(resource)
        assert [i.code for i in issues] == ([] if right else ["code-invalid"]), issues

    @pytest.mark.parametrize("format", ["json", "xml", "ttl", "application/fhir+json"])
    def test_the_standards_own_names_of_formats_may_stand_where_it_says_so(self, format):
        statement = {"resourceType": "CapabilityStatement", "status": "active", "date": "2026", "kind": "requirements", "fhirVersion": "4.0.1", "description": "x", "format": [format], "rest": [{"mode": "server"}]}
        assert validate(statement) == [] and [i.expression for i in validate({**statement, "patchFormat": ["json"]})] == ["CapabilityStatement.patchFormat[0]"]

    def test_a_code_by_itself_has_the_system_of_its_set(self):
        assert bound("http://hl7.org/fhir/ValueSet/mimetypes").system("text/plain") == "urn:ietf:bcp:13"
        assert bound("http://hl7.org/fhir/ValueSet/currencies").system("CNY") == "urn:iso:std:iso:4217" and bound("http://hl7.org/fhir/ValueSet/currencies").system("RMB") is None


def test_currencies_are_told_with_what_is_near():
    assert bound("http://hl7.org/fhir/ValueSet/currencies").refusal("CNH").startswith("'CNH' is no code of http://hl7.org/fhir/ValueSet/currencies; near it are CN")
