"""_filter: the grammar, each operation on each type, the examples of the page, places of errors, bounds. http://hl7.org/fhir/R4/search_filter.html"""
from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import errors
from app.search import filter, parameters, parse
from app.search.operations import ALL, MEANINGS
from app.search.query import Clause
from tests.search.shelf import BASE, CONTEXT, search

LOINC, UCUM, SNOMED = "http://loinc.org", "http://unitsofmeasure.org", "http://snomed.info/sct"


def patient(id: str, family: str, *given: str, **more) -> dict:
    return {"resourceType": "Patient", "id": id, "name": [{"family": family, "given": list(given)}], **more}


def observation(id: str, code: str, subject: str, **more) -> dict:
    return {"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": LOINC, "code": code}]}, "subject": {"reference": subject}, **more}


def quantity(value, unit: str) -> dict:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def document(id: str, *relations: tuple[str, str]) -> dict:
    return {"resourceType": "DocumentReference", "id": id, "status": "current", "content": [{"attachment": {"title": id}}],
            "relatesTo": [{"code": code, "target": {"reference": f"DocumentReference/{target}"}} for code, target in relations]}


def characteristic(code: str, value: str) -> dict:
    return {"code": {"coding": [{"system": SNOMED, "code": code}]}, "valueCodeableConcept": {"coding": [{"code": value}]}, "exclude": False}


RESOURCES = [
    {"resourceType": "Organization", "id": "h1", "name": "华山医院 (Huashan)"},
    patient("petra", "Petersen", "Petra", gender="female", birthDate="2014-10-10", managingOrganization={"reference": "Organization/h1"}),
    patient("peter", "Zimmer", "Peter", "Karl", gender="male", birthDate="2014-10-09", active=True),
    patient("snippet", "Carreno-Quinones", "Snippet", gender="other", birthDate="2015"),
    patient("wang", "王", "小明", gender="unknown"),
    patient("nobody", "X", identifier=[{"system": "urn:ids", "value": "AbC-1"}, {"value": "abc-2"}]),
    observation("sodium", "2951-2", "Patient/petra", effectiveDateTime="2025-03-10T08:00:00+08:00", valueQuantity=quantity(140, "mmol/L")),
    observation("potassium", "2823-3", "Patient/peter", effectiveDateTime="2025-03", valueQuantity=quantity(5, "mmol/L")),
    observation("glucose", "1234-5", f"{BASE}/Patient/wang", effectivePeriod={"start": "2025-03-05", "end": "2025-04-05"}, hasMember=[{"reference": "Observation/4"}]),
    observation("4", "x", "Device/d", status="amended"),
    document("a", ("replaces", "b"), ("appends", "c")), document("b", ("appends", "a"), ("replaces", "c")), document("c"),
    {"resourceType": "Group", "id": "diabetics", "type": "person", "actual": True, "characteristic": [characteristic("1", "yes"), characteristic("2", "no")]},
    {"resourceType": "Group", "id": "others", "type": "person", "actual": True, "characteristic": [characteristic("1", "no"), characteristic("2", "yes")]},
    {"resourceType": "RiskAssessment", "id": "risk", "status": "final", "subject": {"reference": "Patient/wang"}, "prediction": [{"probabilityDecimal": 0.5}, {"probabilityDecimal": 20}]},
    {"resourceType": "ValueSet", "id": "v", "url": "http://example.org/vs/a", "status": "active"},
    {"resourceType": "List", "id": "42", "status": "current", "mode": "working", "entry": [{"item": {"reference": "Patient/wang"}}]},
]


def filtered(type: str, text: str) -> parse.Search:
    return search(f"{type}?_filter={quote(text)}")


def refusal(type: str, text: str) -> errors.Invalid:
    with pytest.raises(errors.Invalid) as caught:
        filtered(type, text)
    return caught.value


FOUND = [
    # the examples of the page
    ("Patient", 'name co "pet"', "peter petra snippet"), ("Patient", 'given eq "peter" and birthdate ge 2014-10-10', ""), ("Patient", 'given eq "peter" and birthdate ge 2014-10-09', "peter"),
    ("Observation", "code eq http://loinc.org|1234-5", "glucose"), ("Observation", "code eq loinc|1234-5", "glucose"), ("Observation", 'subject.name co "pet"', "potassium sodium"),
    ("Observation", "has-member pr true", "glucose"), ("Observation", "has-member re Observation/4", "glucose"),
    ("DocumentReference", 'relatesTo[code eq "replaces"].target pr true', "a b"), ("DocumentReference", "relatesTo[code eq replaces].target re DocumentReference/b", "a"),
    ("DocumentReference", "relatesTo[code eq appends].target re b", ""), ("DocumentReference", "relatesTo[code eq appends or code eq replaces].target re b", "a"),
    ("DocumentReference", "relatesTo[target re c].code eq appends", "a"), ("DocumentReference", "relatesTo[target re c].code ne appends", "b"),
    ("Group", "characteristic[code eq snomed|1].value eq yes", "diabetics"), ("Group", "characteristic[code eq 1 and value eq yes].code eq snomed|1", "diabetics"),
    ("Group", "not(characteristic[code eq 1].value eq yes)", "others"),
    # logic: left to right, without precedence
    ("Patient", "gender eq male or gender eq female and birthdate ge 2014-10-10", "petra"), ("Patient", "gender eq male or (gender eq female and birthdate ge 2014-10-10)", "peter petra"),
    ("Patient", "birthdate ge 2014-10-10 and gender eq female or gender eq male", "peter petra"), ("Patient", "birthdate lt 2000 and gender eq female or gender eq male", "peter"),
    ("Patient", "not(gender eq male)", "nobody petra snippet wang"), ("Patient", "not (gender eq male or gender eq female) and gender pr true", "snippet wang"),
    ("Patient", "not(not(gender eq male))", "peter"), ("Patient", "((gender eq male))", "peter"), ("Patient", " gender  eq\tmale\n", "peter"), ("Patient", "(gender eq male)or(gender eq female)", "peter petra"),
    ("Patient", "gender eq male or not(active pr false)", "peter"),
    # text: not heeding case
    ("Patient", "given eq PETER", "peter"), ("Patient", 'given eq "pet"', ""), ("Patient", "family eq quinones", "snippet"), ("Patient", "name eq 王小明", "wang"), ("Patient", "given sw pet", "peter petra"),
    ("Patient", "given ew ER", "peter"), ("Patient", "given ew tra", "petra"), ("Patient", "given ew 明", "wang"), ("Patient", "given ne karl", "peter petra snippet wang"), ("Patient", "given ne snippet", "peter petra wang"),
    ("Patient", "family gt peters", "petra peter nobody wang"), ("Patient", "family gt petersen", "peter nobody wang"), ("Patient", "family ge petersen", "nobody peter petra wang"),
    ("Patient", "family lt petersen", "snippet"), ("Patient", "family le petersen", "petra snippet"), ("Organization", 'name ew "(huashan)"', "h1"), ("Organization", r'name eq "华山医院 (huashan)"', "h1"),
    ("Organization", r'name sw "\u534e\u5c71"', "h1"), ("Patient", "family pr true and given pr false", "nobody"),
    # dates
    ("Patient", "birthdate eq 2014-10-10", "petra"), ("Patient", "birthdate eq 2014", "peter petra"), ("Patient", "birthdate ne 2014", "snippet"), ("Patient", "birthdate gt 2014-10-10", "snippet"),
    ("Patient", "birthdate sa 2014-10-10", "snippet"), ("Patient", "birthdate eb 2014-10-10", "peter"), ("Patient", "birthdate le 2014-10-10", "peter petra"), ("Patient", "birthdate ap 2014-10", "peter petra snippet"),
    ("Observation", "date po 2025-03-20", "glucose potassium"), ("Observation", "date po 2025-04", "glucose"), ("Observation", "date co 2025-03-10", "glucose potassium"), ("Observation", "date co 2025-03", "potassium"),
    ("Observation", "date eq 2025-03-10T00:00:00Z", "sodium"), ("Observation", "date eq 2025-03-10T08:00:00+08:00", "sodium"), ("Observation", "date pr false", "4"),
    # numbers and quantities
    ("RiskAssessment", "probability gt 1", "risk"), ("RiskAssessment", "probability eq 0.5", "risk"), ("RiskAssessment", "probability lt 0.5", ""), ("RiskAssessment", "probability ne 0.5", "risk"),
    ("Observation", "value-quantity gt 100", "sodium"), ("Observation", "value-quantity le 5|ucum|mmol/L", "potassium"), ("Observation", 'value-quantity eq "140|http://unitsofmeasure.org|mmol/L"', "sodium"),
    ("Observation", "value-quantity eq 140||mmol/L", "sodium"), ("Observation", "value-quantity ne 140", "potassium"), ("Observation", "value-quantity gt 1|ucum|mg", ""),
    # tokens
    ("Patient", "gender eq MALE", "peter"), ("Patient", "identifier eq urn:ids|AbC-1", "nobody"), ("Patient", "identifier eq |ABC-2", "nobody"), ("Patient", "identifier eq urn:ids|abc-2", ""), ("Patient", "identifier ne urn:ids|AbC-1", "nobody"),
    ("Patient", "gender ne male", "petra snippet wang"), ("Patient", "active eq true", "peter"), ("Observation", "status ne final", "4"), ("Observation", "code ne loinc|2951-2", "4 glucose potassium"),
    ("Observation", "code-value-quantity eq loinc|2951-2$gt100|ucum|mmol/L", "sodium"),
    # references, uris, what all have
    ("Observation", "subject re Patient/petra", "sodium"), ("Observation", "subject re petra", "sodium"), ("Observation", f"subject re {BASE}/Patient/wang", "glucose"), ("Observation", "subject re Patient/nobody", ""),
    ("ValueSet", "url eq http://example.org/vs/a", "v"), ("ValueSet", "url sw http://example.org/", "v"), ("ValueSet", "url ew /a", "v"), ("ValueSet", "url co vs", "v"), ("ValueSet", "url ne http://example.org/vs/a", ""),
    ("Patient", "_id eq wang", "wang"), ("Patient", "_id ne wang", "nobody peter petra snippet"), ("Patient", "_lastUpdated ge 2026 and _id eq wang", "wang"), ("Patient", "_lastUpdated gt 2026-01-01", ""),
    ("Patient", "_list eq 42", "wang"), ("Patient", "_id pr true and gender eq male", "peter"), ("Patient", "_id pr false", ""), ("", "_id eq wang or _id eq 42", "42 wang"), ("", "not(_lastUpdated ge 2026)", ""),
    # paths
    ("Observation", "subject:Patient.gender eq female", "sodium"), ("Observation", "patient[gender eq male].name sw zim", "potassium"), ("Observation", "patient[gender eq male].name sw pet", "potassium"),
    ("Observation", "patient[gender eq female].name sw zim", ""), ("Observation", "patient[not(gender eq female)].family pr true", "glucose potassium"), ("Observation", "patient.gender pr true", "glucose potassium sodium"),
    ("Observation", "patient.organization.name co huashan", "sodium"), ("Observation", "patient.organization.name pr false", "4 glucose potassium"), ("Observation", "patient.gender ne male", "glucose sodium"),
    ("Patient", "_has:Observation:patient:code eq loinc|2951-2", "petra"), ("Patient", "_has:Observation:patient[code eq loinc|2951-2].date ge 2025", "petra"), ("Patient", "_has:Observation:patient[code eq x].date ge 2025", ""),
    ("Patient", "_has:Observation:patient:value-quantity lt 10", "peter"), ("Organization", "_has:Patient:organization:_has:Observation:patient:status eq final", "h1"),
    ("Patient", "_has:Observation:patient:has-member.status eq amended", "wang"), ("Patient", "_has:Observation:patient:code pr false", "nobody snippet"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("type, text, ids", FOUND)
async def test_a_filter_finds_what_the_page_says(shelf, type, text, ids):
    assert sorted(await shelf.find(filtered(type, text).query)) == sorted(ids.split())


@pytest.mark.asyncio(loop_scope="module")
async def test_filters_are_anded_with_each_other_and_with_what_else_is_asked(shelf):
    asked = search("Patient?_filter=gender%20eq%20male%20or%20gender%20eq%20female&_filter=birthdate%20ge%202014-10-10&_sort=-birthdate")
    assert await shelf.find(asked.query) == ["petra"]
    assert asked.understood[:2] == (("_filter", "gender eq male or gender eq female"), ("_filter", "birthdate ge 2014-10-10"))
    assert await shelf.find(search("Patient?birthdate=2014&_filter=given%20sw%20pet").query) == ["petra", "peter"]


@pytest.mark.parametrize("type, text, place, told", [
    ("Patient", "", 1, "name of a parameter"), ("Patient", "gender", 7, "operation"), ("Patient", "gender eq", 10, "value"), ("Patient", "gender eq ", 11, "value"), ("Patient", "gender eq male and", 16, "or the end"),
    ("Patient", "gender eq male gender eq x", 16, "'gender eq x'"), ("Patient", "(gender eq male", 16, "`)`"), ("Patient", "gender eq male)", 15, "')'"), ("Patient", "gender[active eq true]", 23, "`.`"),
    ("Patient", 'name eq "pet', 9, "string as JSON"), ("Patient", r'name eq "\ud800"', 9, "string as JSON"), ("Patient", r'name eq "\u0000"', 9, "NUL"), ("Patient", "not gender eq male", 5, "operation"),
    ("Patient", "gender eq male xor gender eq x", 16, "xor"), ("Patient", "gender = male", 8, "operation"), ("Patient", "organization. name eq x", 14, "name of a parameter"), ("Patient", "()", 2, "name of a parameter"), ("Patient", 'name eq ""', 1, "empty"), ("Patient", 'name sw " "', 1, "empty"),
    ("Patient", "gender eq male and nmae eq x", 20, "'nmae'"), ("Patient", "gender xx male", 1, "'xx'"), ("Patient", "gender eq male or gender co a", 19, "co is not defined"), ("Patient", "gender pr yes", 1, "pr is true or false"),
    ("Patient", "birthdate eq gt2010", 1, "'gt2010' is no date"), ("Patient", "birthdate eq 2010-13", 1, "2010-13"), ("Observation", "subject eq Patient/1", 1, "it has re, pr"), ("Observation", "subject.nmae eq x", 1, "nmae"),
    ("Observation", "related[type eq has-component].target re Observation/4", 1, "'related'"), ("Observation", "patient[nmae eq x].name eq y", 9, "'nmae'"), ("Patient", "name:exact eq x", 1, "name:exact"), ("Patient", "gender.x eq y", 1, "token"),
    ("RiskAssessment", "probability co 5", 1, "precision"), ("Group", "characteristic.value eq x", 1, "characteristic[code eq ...].value"), ("Group", "characteristic[not(code eq x)].value eq y", 1, "one element"),
    ("Group", "characteristic[code pr false].value eq y", 1, "one element"), ("Group", "characteristic[code eq x].members eq y", 1, "code and value"), ("Patient", "_has:Observation eq x", 1, "_has:Type"), ("Patient", "_has:Observation:patient eq x", 1, "_has:Type"),
    ("Patient", "_lastUpdated co 2020", 1, "_lastUpdated"), ("Patient", "_filter eq x", 1, "_filter"), ("Patient", "_query eq x", 1, "named queries"), ("", "gender eq male", 1, "needs a type"), ("Patient", "_sort eq x", 1, "_sort"),
])
def test_what_is_no_filter_is_refused_with_its_place(type, text, place, told):
    failure = refusal(type, text)
    assert failure.issues[0].expression == "_filter" and told in str(failure)
    assert f"character {place} of the filter" in str(failure).replace("At", "at")


def test_a_lenient_search_ignores_a_filter_that_asks_what_is_not_known_and_no_other():
    lenient = CONTEXT._replace(strict=False)
    assert search("Patient?_filter=nmae%20eq%20x&active=true", lenient).ignored == ("_filter",)
    with pytest.raises(errors.Invalid):
        search("Patient?_filter=gender%20eq", lenient)


@pytest.mark.parametrize("text", ["Patient?_filter:x=gender%20eq%20male", "Observation?subject._filter=gender%20eq%20male", "Patient?_has:Observation:patient:_filter=x"])
def test_a_filter_stands_alone(text):
    with pytest.raises(errors.Unsupported):
        search(text)


BOUNDS = [
    "(" * 600 + "gender eq male" + ")" * 600, "not(" * 600 + "gender eq male" + ")" * 600, "organization[" * 100 + "name eq x" + "].name eq x" * 100, " or ".join(["gender eq male"] * 501),
    " and ".join(["gender eq male or gender eq female"] * 200), "link." * 7 + "name eq x", "x" * 10_001, "not(" * 20 + "gender eq male" + ")" * 20, '"' * 10_001,
]


@pytest.mark.parametrize("text", BOUNDS, ids=range(len(BOUNDS)))
def test_a_filter_that_asks_too_much_is_refused_with_the_reason(text):
    assert isinstance(refusal("Patient", text), errors.TooCostly)


def test_the_tests_of_a_filter_are_counted_wherever_a_chain_leads():
    inner = " or ".join(["_id eq x"] * 100)
    assert isinstance(refusal("Task", f"focus[{inner}]._id eq x"), errors.TooCostly)
    assert isinstance(refusal("Group", f"characteristic[{' or '.join(['code eq x'] * 30)}].value eq x and characteristic[" + " and ".join(f"({' or '.join(['value eq 1'] * 8)})" for _ in range(4)) + "].code eq x"), errors.TooCostly)


@pytest.mark.parametrize("text", ["(" * 19 + "gender eq male" + ")" * 19, " or ".join(["gender eq male"] * 500), "gender eq male and (" * 9 + "gender eq male" + ")" * 9])
def test_a_filter_within_the_bounds_is_read(text):
    assert filtered("Patient", text).query.where


def test_every_operation_has_a_meaning_for_some_type():
    assert {how for meanings in MEANINGS.values() for how in meanings} | {"pr", "ni"} == set(ALL)


def test_no_operation_on_any_parameter_of_any_type_is_an_error_of_ours():
    for type in parameters.TYPES:
        for name in parameters.of(type):
            for how in ALL:
                for value in ("1", "a|b", "Patient/1", "2020-02", "true", "|", "$", "\\"):
                    try:
                        assert isinstance(filter.clause(f"{name} {how} {value}", (type,), CONTEXT), Clause)
                    except errors.Invalid as failure:
                        assert failure.issues[0].expression == "_filter"


WORDS = st.sampled_from(("and", "or", "not", "(", ")", "[", "]", ".", '"', "name", "eq", "pr", "true", "organization", "_has:Observation:patient:code", " ", "x", "\\", "co"))


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=20).map(" ".join) | st.lists(WORDS, max_size=20).map("".join) | st.text(max_size=40))
def test_any_text_is_a_filter_or_is_refused(text):
    try:
        filter.clause(text, ("Patient",), CONTEXT)
    except errors.Invalid:
        pass
