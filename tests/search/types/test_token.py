"""Tokens. https://hl7.org/fhir/R4/search.html#token"""
import pytest

from app import errors
from app.fhir.codesystem import System
from app.fhir.valueset import Terms
from ..judge import CONTEXT, found

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


ICD = System({"url": "urn:icd", "caseSensitive": True, "concept": [{"code": "C34", "concept": [{"code": "C34.1"}, {"code": "C34.2"}]}, {"code": "C35"}]})
ANY_CASE = System({"url": "urn:any", "concept": [{"code": "Ab"}]})
SETS = {"lung": {"compose": {"include": [{"system": "urn:icd", "filter": [{"property": "concept", "op": "is-a", "value": "C34"}]}]}},
        "icd": {"compose": {"include": [{"system": "urn:icd"}]}}, "any": {"compose": {"include": [{"system": "urn:any"}]}},
        "unheld": {"compose": {"include": [{"system": "urn:unheld"}], "exclude": [{"system": "urn:unheld", "concept": [{"code": "b"}, {"code": "d"}]}]}},
        "two": {"compose": {"include": [{"system": "urn:icd", "concept": [{"code": "C35"}]}, {"system": "urn:unheld"}]}},
        "nothing": {"compose": {"include": [{"system": "urn:unheld", "concept": [{"code": "a"}]}], "exclude": [{"system": "urn:unheld"}]}}, "a|1.0": {"compose": {"include": [{"system": "urn:a"}]}}}
TERMS = CONTEXT._replace(terms=Terms(SETS.get, {"urn:icd": ICD, "urn:any": ANY_CASE}.get))


def coding(code, system="urn:icd") -> tuple:
    return {"coding": [{"system": "urn:other", "code": "x"}, {"system": system, **({"code": code} if code else {})}]}, "CodeableConcept"


@pytest.mark.parametrize("name, value, expected", [
    ("lung", coding("C34.1"), True), ("lung", coding("C34"), True), ("lung", coding("C35"), False), ("lung", coding("C34.1", "urn:icd2"), False), ("lung", coding("c34.1"), False),
    ("icd", coding("C35"), True), ("icd", coding("C36"), False), ("two", coding("C35"), True), ("two", coding("any", "urn:unheld"), True), ("two", coding(None, "urn:unheld"), False),
    ("any", coding("aB", "urn:any"), False), ("any", coding("AB", "urn:any"), True), ("any", coding("ab", "urn:any"), True), ("lung,any", coding("ab", "urn:any"), True),
    *(("unheld", coding(code, "urn:unheld"), code not in ("b", "d")) for code in ("a", "b", "c", "d", "e", "bb", "B", "编码")), ("unheld", coding("a", "urn:icd"), False),
    ("nothing", coding("a", "urn:unheld"), False), ("a|1.0", coding("z", "urn:a"), True), ("a\\|1.0", coding("z", "urn:a"), True), ("lung", ({"text": "肺癌"}, "CodeableConcept"), False),
    ("lung", ({"system": "urn:icd", "code": "C34.2"}, "Coding"), True),
])
def test_in_finds_the_codings_of_a_value_set_and_not_in_what_has_none_of_them(name, value, expected):
    assert found("token", name, value, modifier="in", context=TERMS) is expected
    assert found("token", name, value, modifier="not-in", context=TERMS) is not expected


def test_a_code_that_stands_alone_is_of_the_system_of_its_element_or_taken_for_one_of_the_set():
    assert found("token", "lung", ("C34", "code"), modifier="in", context=TERMS) and not found("token", "lung", ("C35", "code"), modifier="in", context=TERMS)
    assert not found("token", "lung", ({"code": "C34"}, "Coding"), modifier="in", context=TERMS)


def test_not_in_finds_what_has_no_coding_at_all():
    assert found("token", "lung", modifier="not-in", context=TERMS, kinds=("CodeableConcept",))
    assert not found("token", "lung", modifier="in", context=TERMS, kinds=("CodeableConcept",))


@pytest.mark.parametrize("text, code, below, above", [
    ("urn:icd|C34", "C34", True, True), ("urn:icd|C34", "C34.1", True, False), ("urn:icd|C34.1", "C34", False, True), ("urn:icd|C34.1", "C34.2", False, False),
    ("urn:icd|C35", "C34", False, False), ("urn:icd|C35,urn:icd|C34", "C34.2", True, False),
])
def test_below_finds_what_a_code_subsumes_and_above_what_subsumes_it(text, code, below, above):
    assert found("token", text, coding(code), modifier="below", context=TERMS) is below
    assert found("token", text, coding(code), modifier="above", context=TERMS) is above


@pytest.mark.parametrize("modifier, text, said", [
    ("in", "http://example.org/ValueSet/unknown", "not known here"), ("not-in", "http://example.org/ValueSet/unknown", "not known here"), ("in", "", "empty"), ("below", "http://snomed.info/sct|1", "not held"),
    ("above", "urn:icd|C99", "no code of urn:icd"), ("below", "urn:icd|C34.3", "near it are"), ("below", "C34", "both given"), ("below", "|C34", "both given"), ("above", "urn:icd|", "both given"),
])
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_not_known_is_refused_even_where_a_request_is_lenient(modifier, text, said, strict):
    with pytest.raises(errors.Invalid, match=said) as caught:
        found("token", text, CODE, modifier=modifier, context=TERMS._replace(strict=strict))
    assert not isinstance(caught.value, errors.Unsupported)


@pytest.mark.parametrize("kind", ["Identifier", "ContactPoint", "boolean", "string"])
@pytest.mark.parametrize("modifier", ["in", "not-in", "above", "below"])
def test_what_is_no_code_is_in_no_value_set(kind, modifier):
    with pytest.raises(errors.Unsupported, match=f":{modifier}"):
        found("token", "lung", modifier=modifier, context=TERMS, kinds=(kind,))


def test_a_set_of_more_codes_than_a_comparison_may_name_is_refused():
    many = Terms({"many": {"compose": {"include": [{"system": "urn:x", "concept": [{"code": str(i)} for i in range(20_001)]}]}}}.get, lambda url: None)
    with pytest.raises(errors.TooCostly):
        found("token", "many", CODE, modifier="in", context=CONTEXT._replace(terms=many))


def test_more_values_than_a_list_may_have_are_refused():
    assert found("token", ",".join(["NA"] * 500), CODE)
    with pytest.raises(errors.TooCostly):
        found("token", ",".join(["NA"] * 501), CODE)


@pytest.mark.parametrize("text", ["", " ", "\u0301"])
def test_a_display_of_which_nothing_counts_is_refused_and_does_not_find_all(text):
    with pytest.raises(errors.Invalid, match="empty"):
        found("token", text, CODE, modifier="text")
