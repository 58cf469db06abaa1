"""Tokens. https://hl7.org/fhir/R4/search.html#token"""
import pytest

from app import errors
from ..judge import found

CODE = ({"coding": [{"system": "http://loinc.org", "code": "2951-2", "display": "Sodium"}, {"code": "NA"}], "text": "Sodium in serum"}, "CodeableConcept")
MRN = ({"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}], "text": "住院号"}, "system": "http://acme.org/patient", "value": "2345"}, "Identifier")


@pytest.mark.parametrize("text, expected", [
    ("2951-2", True), ("http://loinc.org|2951-2", True), ("|2951-2", False), ("http://loinc.org|", True), ("http://snomed.info/sct|2951-2", False),
    ("NA", True), ("|NA", True), ("http://loinc.org|NA", False), ("na", False), ("2951", False), ("x,NA", True), ("http://loinc.org|x,http://loinc.org|2951-2", True),
])
def test_a_code_is_found_with_and_without_its_system(text, expected):
    assert found("token", text, CODE) is expected


@pytest.mark.parametrize("text, expected", [("Sodium", True), ("sodium in", True), ("serum", False), ("potassium", False)])
def test_text_searches_text_and_displays_as_a_string(text, expected):
    assert found("token", text, CODE, modifier="text") is expected


def test_not_finds_what_has_no_such_value_and_what_has_none():
    assert not found("token", "NA", CODE, modifier="not")
    assert found("token", "K", CODE, modifier="not")
    assert found("token", "K", modifier="not", kinds=("CodeableConcept",))
    assert not found("token", "K,NA", CODE, modifier="not")


@pytest.mark.parametrize("text, modifier, expected", [
    ("2345", "", True), ("http://acme.org/patient|2345", "", True), ("http://acme.org/other|2345", "", False), ("住院", "text", True),
    ("http://terminology.hl7.org/CodeSystem/v2-0203|MR|2345", "of-type", True), ("http://terminology.hl7.org/CodeSystem/v2-0203|MR|9", "of-type", False),
    ("http://terminology.hl7.org/CodeSystem/v2-0203|SS|2345", "of-type", False),
])
def test_an_identifier_is_found_by_system_and_by_type(text, modifier, expected):
    assert found("token", text, MRN, modifier=modifier) is expected


def test_all_three_parts_of_an_of_type_search_must_be_there():
    with pytest.raises(errors.Invalid):
        found("token", "|MR|2345", MRN, modifier="of-type")


def test_booleans_contacts_and_uris_have_no_system():
    assert found("token", "true", (True, "boolean"))
    assert not found("token", "true", (False, "boolean"))
    assert found("token", "021-62751234", ({"system": "phone", "value": "021-62751234"}, "ContactPoint"))
    with pytest.raises(errors.Invalid):
        found("token", "|true", (True, "boolean"))


def test_a_token_on_a_string_does_not_heed_case():
    assert found("token", "ABC", ("aBc", "string"))
    assert not found("token", "ab", ("aBc", "string"))


def test_a_concept_with_text_alone_has_a_value():
    assert found("token", "false", ({"text": "头痛"}, "CodeableConcept"), modifier="missing")
    assert found("token", "头", ({"text": "头痛"}, "CodeableConcept"), modifier="text")


@pytest.mark.parametrize("text", ["|", "a|b|c", "", "a,"])
def test_what_is_no_token_is_refused(text):
    with pytest.raises(errors.Invalid):
        found("token", text, CODE)


@pytest.mark.parametrize("modifier", ["in", "not-in", "above", "below"])
def test_modifiers_that_come_later_are_refused_by_name(modifier):
    with pytest.raises(errors.Unsupported, match=f":{modifier}"):
        found("token", "http://example.org/ValueSet/a", CODE, modifier=modifier)


def test_more_values_than_a_list_may_have_are_refused():
    assert found("token", ",".join(["NA"] * 500), CODE)
    with pytest.raises(errors.TooCostly):
        found("token", ",".join(["NA"] * 501), CODE)
