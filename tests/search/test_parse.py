"""Parameters to queries: names, chains, results, bounds. https://hl7.org/fhir/R4/search.html"""
from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import errors
from app.search import parameters, parse
from app.search.context import Context
from app.search.include import Include
from app.search.query import ALL, NONE, And, Back, Compare, Has, Key, Link, Not, Or, Stamp, Test
from app.search.types import date

CONTEXT = Context("Asia/Shanghai", "http://test/fhir", date.span("2026-01-01", "Asia/Shanghai")[0])
LENIENT = CONTEXT._replace(strict=False)


def search(text: str, context: Context = CONTEXT) -> parse.Search:
    type, _, query = text.partition("?")
    return parse.parse((type,) if type else (), parse.pairs(query), context)


def refusal(text: str, context: Context = CONTEXT) -> errors.Invalid:
    with pytest.raises(errors.Invalid) as caught:
        search(text, context)
    return caught.value


def code(param: str, *codes: str) -> Has:
    return Has((Test(param, (Compare("code", "eq", codes[0]) if len(codes) == 1 else Compare("code", "in", codes),)),))


def test_no_parameters_ask_for_all_in_no_particular_order():
    assert search("Patient?").query == (("Patient",), ALL, ())


def test_parameters_are_joined_by_and_and_values_by_or():
    assert search("Patient?gender=male,female&active=true").query.where == And((code("Patient.gender", "male", "female"), code("Patient.active", "true")))
    assert search("Patient?gender=male&gender=female").query.where == And((code("Patient.gender", "male"), code("Patient.gender", "female")))


def test_missing_is_the_absence_of_rows():
    there = Has((Test("Patient.gender"),))
    assert search("Patient?gender:missing=false").query.where == there
    assert search("Patient?gender:missing=true").query.where == Not(there)
    assert search("Patient?_id:missing=true").query.where == NONE
    assert search("Patient?_id:missing=false").query.where == ALL


def test_chains_are_links_and_reverse_chains_are_backs():
    """Each chain also into what is contained, by the rows that this has under the name of the parameter."""
    name = lambda way="": Has((Test(f"{way}Organization.name", (Compare("text", "prefix", "x"),)),))
    to_organization = lambda way="": (Link(f"{way}Patient.organization", ("Organization",), name()), name(f"{way}Patient.organization>"))
    assert search("Observation?subject:Patient.organization.name=x").query.where == Or((
        Link("Observation.subject", ("Patient",), Or(to_organization())), *to_organization("Observation.subject>")))
    assert search("Patient?_has:Observation:patient:code=1").query.where == Back("Observation.patient", "Observation", code("Observation.code", "1"))
    assert search("Patient?_has:Observation:patient:_has:AuditEvent:entity:action=R").query.where == Back(
        "Observation.patient", "Observation", Back("AuditEvent.entity", "AuditEvent", code("AuditEvent.action", "R")))
    assert search("Encounter?patient._has:Group:member:_id=1").query.where == Link("Encounter.patient", ("Patient",), Back("Group.member", "Group", Stamp((Compare("id", "eq", "1"),))))
    assert search("Patient?_has:Observation:patient:encounter.status=planned").query.where == Back(
        "Observation.patient", "Observation", Or((Link("Observation.encounter", ("Encounter",), code("Encounter.status", "planned")), code("Observation.encounter>Encounter.status", "planned"))))


def test_an_untyped_chain_follows_each_type_that_has_the_parameter():
    where = search("Observation?subject.name=x").query.where
    assert isinstance(where, Or)
    assert [(link.types, link.clause.tests[0].param) for link in where.parts if isinstance(link, Link)] == [(("Location",), "Location.name"), (("Patient",), "Patient.name")]


def test_a_date_that_bounds_orders_the_answer_by_it_the_newest_first():
    low, high = date.span("2025-03", "Asia/Shanghai")
    compares = (Compare("low", "ge", low), Compare("low", "le", high), Compare("high", "le", high))
    assert search("Observation?date=2025-03").query.sort == (Key("Observation.date", "low", True, compares),)
    assert search("Observation?date=ge2025-03").query.sort == (Key("Observation.date", "low", True, (Compare("high", "ge", low),)),)
    assert Has((Test("Observation.date", (Compare("high", "ge", low),)),)) in search("Observation?date=ge2025-03").query.where.parts
    assert search("Observation?date=2025-03&_lastUpdated=gt2020").query.sort != ()


def test_two_bounds_of_one_date_order_by_it_and_are_one_test_also_where_there_are_several_dates():
    low, high = date.span("2024", "Asia/Shanghai")[0], date.span("2025", "Asia/Shanghai")[0]
    compares = (Compare("high", "ge", low), Compare("low", "lt", high))
    query = search("Observation?date=ge2024&date=lt2025").query
    assert query.sort == (Key("Observation.date", "low", True, compares),)
    assert query.where.parts[-1] == Or((Has((Test("Observation.date", compares),)), Has((Test("Observation.date:hull", compares),))))


@pytest.mark.parametrize("text", ["Observation?date=ne2025", "Observation?date=ge2024&date=ne2025", "Observation?date=2024,2025", "Observation?date:missing=true",
                                  "Observation?_lastUpdated=2025", "Observation?subject:Patient.birthdate=1990", "Observation?code=1"])
def test_other_searches_have_no_order_of_their_own(text):
    assert search(text).query.sort == ()


def test_an_order_asked_for_is_kept():
    assert search("Observation?date=2025-03&_sort=code").query.sort == (Key("Observation.code", "code"),)
    assert search("Patient?_sort=-birthdate,name,_id").query.sort == (
        Key("Patient.birthdate", "low", True), Key("Patient.name", "text", False, (Compare("code", "some"),)), Key("", "id"))
    assert search("Patient?_sort=-_lastUpdated").query.sort == (Key("", "updated", True),)


def test_what_shapes_the_answer_is_read():
    asked = search("Patient?_count=0&_total=accurate&_summary=true&_elements=name,gender&_format=json&_pretty=true")
    assert (asked.count, asked.total, asked.summary, asked.elements, asked.query.where) == (0, "accurate", "true", ("name", "gender"), ALL)
    assert asked.understood[-1] == ("_pretty", "true")


def test_includes_are_read_in_both_directions():
    asked = search("Observation?_include=Observation:subject:Patient&_include:iterate=Patient:organization&_revinclude=Provenance:target&_include=*&_include=Observation:*")
    assert asked.includes == (Include("Observation", "subject", "Patient"), Include("Patient", "organization", "", False, True), Include("Provenance", "target", "", True),
                              Include("", "*"), Include("Observation", "*"))


def test_a_search_of_all_types_takes_what_all_types_have():
    assert search("?_id=1").query == ((), Stamp((Compare("id", "eq", "1"),)), ())
    tagged = search("?_tag=a").query.where
    assert isinstance(tagged, Or) and code("Patient._tag", "a") in tagged.parts and code("AuditEvent._tag", "a") in tagged.parts
    assert refusal("?name=x").code == "not-supported"
    assert search("?_type=Patient,Practitioner&name=x").query.types == ("Patient", "Practitioner")
    assert refusal("?_type=Patient,Observation&name=x").code == "not-supported"


def test_not_among_several_types_is_not_in_each():
    assert search("?_type=Patient,Practitioner&gender:not=male").query.where == And((Not(code("Patient.gender", "male")), Not(code("Practitioner.gender", "male"))))


@pytest.mark.parametrize("text, code, expression, told", [
    ("Patient?nmae=x", "not-supported", "nmae", "name"), ("Patient?name:below=x", "not-supported", "name:below", ":exact"), ("Patient?birthdate=gg1990", "not-supported", "birthdate", "'gg'"),
    ("Patient?birthdate=yesterday", "invalid", "birthdate", "yesterday"), ("Patient?organization:Group=1", "not-supported", "organization:Group", "Group"),
    ("Patient?_text=NOT x", "invalid", "_text", "beside"), ("Patient?_text=(x", "invalid", "_text", "bracket"), ("Patient?_text=x)", "invalid", "_text", "closes nothing"),
    ("Patient?_content=\"x", "invalid", "_content", "quotation"), ("Patient?_content=x and or y", "invalid", "_content", "no word"), ("Patient?_content=...", "invalid", "_content", "no word"),
    ("Patient?_content=x OR NOT y", "invalid", "_content", "beside"), ("Patient?_content=()", "invalid", "_content", "no word"), ("Patient?_content=x or", "invalid", "_content", "the end"),
    ("Patient?_content:exact=x", "not-supported", "_content:exact", "none"), ("Patient?_sort=_content", "not-supported", "_sort", "no order"), ("Bundle?_text=x", "not-supported", "_text", "_text"), ("Patient?_filter=x", "invalid", "_filter", "operation"),
    ("Patient?_query=x", "not-supported", "_query", "_query"), ("Location?near=1|200", "invalid", "near", "longitude"), ("Location?_sort=near", "not-supported", "_sort", "no order"), ("Patient?_contained=both", "not-supported", "_contained", "are not found"), ("Patient?_contained:x=false", "not-supported", "_contained:x", "modifiers"), ("Patient?_containedType=contained", "not-supported", "_containedType", "container"), ("Patient?_list=$current-allergies", "not-supported", "_list", "List"),
    ("Patient?name.x=1", "not-supported", "name.x", "string"), ("Patient?organization.nonsense=1", "not-supported", "organization.nonsense", "nonsense"),
    ("Patient?organization:Patient.name=1", "invalid", "organization:Patient.name", "Organization"), ("Observation?subject.nonsense=1", "not-supported", "subject.nonsense", "nonsense"),
    ("Patient?_has:Observation:encounter:code=1", "invalid", "_has:Observation:encounter:code", "does not point to Patient"), ("Patient?_has:Nothing:x:y=1", "invalid", "_has:Nothing:x:y", "Nothing"),
    ("Patient?_has:Observation:code:code=1", "not-supported", "_has:Observation:code:code", "token"), ("Patient?_has=1", "not-supported", "_has", "_has"), ("Patient?_has:Observation:patient=1", "invalid", "_has:Observation:patient", "_has:"),
    ("Patient?_count=-1", "invalid", "_count", "-1"), ("Patient?_count=ten", "invalid", "_count", "ten"), ("Patient?_count=1&_count=2", "invalid", "_count", "twice"), ("Patient?_total=yes", "invalid", "_total", "yes"),
    ("Patient?_summary=all", "invalid", "_summary", "all"), ("Patient?_elements=nmae", "not-supported", "_elements", "nmae"), ("Patient?_sort=nmae", "not-supported", "_sort", "nmae"),
    ("Observation?_sort=code-value-quantity", "not-supported", "_sort", "no order"), ("Patient?_include=Patient", "invalid", "_include", "Type:parameter"),
    ("Patient?_include=Patient:name", "invalid", "_include", "string"), ("Patient?_include=Patient:organization:Device", "invalid", "_include", "Organization"),
    ("Patient?_include:recurse=Patient:link", "not-supported", "_include:recurse", ":iterate"), ("Patient?_type=Patient", "not-supported", "_type", "_type"), ("?_type=Patients", "invalid", "_type", "Patients"),
    ("Patient?name=", "invalid", "name", "empty"), ("Patient?name=a%00", "invalid", "name", "NUL"), ("Patient?active=|true", "invalid", "active", "|"), ("Observation?code-value-quantity:missing=true", "not-supported", "code-value-quantity:missing", ":missing"),
    ("ActivityDefinition?depends-on.name=x", "not-supported", "depends-on.name", "canonical"), ("Patient?_sort:x=name", "not-supported", "_sort:x", "modifiers"), ("Patient?_id:exact=1", "not-supported", "_id:exact", ":exact"),
    ("Patient?gender:of-type=a|b|c", "not-supported", "gender:of-type", ":not"), ("Patient?name:=x", "not-supported", "name:", "no modifier"),
    ("Patient?organization:.name=x", "not-supported", "organization:.name", "no modifier"), ("Patient?_count:=1", "not-supported", "_count:", "no modifier"), ("Patient?name=%20", "invalid", "name", "empty"), ("ActivityDefinition?depends-on:identifier=1", "not-supported", "depends-on:identifier", ":missing"),
])
def test_what_is_not_understood_is_refused_by_its_name(text, code, expression, told):
    failure = refusal(text)
    assert [(i.code, i.expression) for i in failure.issues] == [(code, expression)]
    assert told in str(failure)


def test_a_lenient_search_ignores_what_it_does_not_know_but_no_bad_value():
    asked = search("Patient?nmae=x&gender=male&name:below=y&_query=z", LENIENT)
    assert asked.ignored == ("nmae", "name:below", "_query")
    assert asked.query.where == code("Patient.gender", "male")
    assert asked.understood == (("gender", "male"),)
    assert refusal("Patient?birthdate=yesterday", LENIENT).code == "invalid"


@pytest.mark.parametrize("text", [
    "Patient?gender=" + ",".join(["x"] * 501), "Patient?name=" + "x" * 4097, "Patient?link:Patient." + "link:Patient." * 6 + "name=x", "Patient?birthdate=" + ",".join(f"ge{year}" for year in range(1000, 1300)),
    "Task?focus.focus.focus.focus.focus.focus.status=x", "Patient?" + "&".join(["gender=x"] * 201), "Observation?combo-code-value-quantity=" + ",".join(f"{i}$ge{i}||mg" for i in range(200)),
    # each parameter within its bounds, all together not
    "Patient?" + "&".join("family=" + ",".join(f"{i}.{j}" for j in range(500)) for i in range(100)), "?" + "&".join(f"_tag=a{i}" for i in range(199)), "?_tag=" + ",".join(f"a{i}" for i in range(500)),
    "Task?" + "&".join(f"focus.focus._id={i}" for i in range(20)), "Patient?name:contains=" + ",".join(f"a{i}" for i in range(21)), "Observation?" + "&".join(f"subject:Patient.name:contains=a{i}" for i in range(21)),
    "Patient?_filter=" + "%20or%20".join(f"name%20ew%20a{i}" for i in range(21)), "Patient?_sort=" + ",".join(["family"] * 9), "Patient?" + "x" * 1_001 + "=1", "Patient?" + "&".join("_id=" + "x" * 4_000 for _ in range(70)),
    "Task?" + "&".join(f"_filter=focus._id%20eq%20x{i}%20or%20focus._id%20eq%20y" for i in range(50)),
])
def test_a_search_that_asks_too_much_is_refused_with_the_reason(text):
    with pytest.raises(errors.TooCostly):
        search(text)


def test_what_asks_too_much_is_refused_soon():
    """However little it takes to ask it."""
    began = time.process_time()
    for text in ("Task?" + "&".join("focus.focus.focus.nothing=x" for _ in range(199)), "?" + "&".join("_tag=" + "a," * 499 + "a" for _ in range(199)), "Patient?family=" + "," * 200_000,
                 "Patient?" + "&".join("_filter=" + "(" * 2_000 for _ in range(50))):
        with pytest.raises(errors.Invalid):
            search(text)
    assert time.process_time() - began < 2


def test_six_hops_are_still_followed():
    assert search("Patient?" + "link:Patient." * 6 + "name=x").query.where


def test_pairs_are_decoded_as_utf_8():
    assert parse.pairs("name=%E5%BC%A0&a=b+c&d=%2B&e=") == [("name", "张"), ("a", "b c"), ("d", "+"), ("e", "")]
    with pytest.raises(errors.Invalid):
        parse.pairs("name=%ff")


def test_a_compartment_is_what_its_definition_says():
    assert parse.compartment("Patient", "1", ("Observation",)) == Or((code("Observation.subject", "Patient/1"), code("Observation.performer", "Patient/1")))
    assert parse.compartment("Encounter", "1", ("Encounter",)) == Stamp((Compare("type", "eq", "Encounter"), Compare("id", "eq", "1")))
    with pytest.raises(errors.Invalid):
        parse.compartment("Patient", "1", ("Organization",))
    with pytest.raises(errors.Invalid):
        parse.compartment("Organization", "1", ("Patient",))


VALUES = ("1", "a|b", "x$y", "2020-02", "ge5||mg", "Patient/1", "http://example.org/a|1", "true", "张", "\\", "-", "$", "|", "a\\,b")


def test_no_value_of_any_parameter_of_any_type_is_an_error_of_ours():
    """Whatever is asked: a query, or a refusal that names the parameter."""
    for type in parameters.TYPES:
        for name in parameters.of(type):
            for value in VALUES:
                for modifier in ("", ":missing", ":not", ":text", ":exact"):
                    try:
                        parse.parse((type,), [(name + modifier, value)], CONTEXT)
                    except errors.Invalid as failure:
                        assert failure.issues[0].expression == name + modifier


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(("name", "birthdate", "identifier", "organization", "_sort", "_include", "_has:Observation:patient:value-quantity", "_id", "_elements", "link.name")), st.text(max_size=40))
def test_any_text_is_a_value_or_is_refused(name, value):
    try:
        parse.parse(("Patient",), [(name, value)], CONTEXT)
    except errors.Invalid:
        pass


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_name_or_is_refused(name):
    try:
        parse.parse(("Patient",), [(name, "1")], CONTEXT)
    except errors.Invalid:
        pass
