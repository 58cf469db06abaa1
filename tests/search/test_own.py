"""Search parameters of a store's own: which definitions are accepted, and what rows they give. http://hl7.org/fhir/R4/searchparameter.html"""
from __future__ import annotations

import pytest

from app import errors
from app.fhir import definitions
from app.search import index, own, parameters, parse, yields
from app.search.context import Context
from tests.rest import examples

ZONE = "Asia/Shanghai"


def parameter(code: str = "nickname", type: str = "string", expression: str = "Patient.name.where(use='nickname').given", base=("Patient",), **more) -> dict:
    return {"resourceType": "SearchParameter", "url": f"http://example.org/SearchParameter/{code}", "name": "A", "description": "a", "status": "active", "code": code,
            "base": list(base), "type": type, "expression": expression, **more}


def defined(*resources: dict, ready: bool = True) -> str:
    """The recipe of a store that has these."""
    recipe = ""
    for step, resource in enumerate(resources):
        recipe = own.put(recipe, f"p{step}", resource, 1)
    return own.ready(recipe, {f"p{step}": 1 for step in range(len(resources))}) if ready else recipe


def rows(recipe: str, name: str, resource: dict) -> list:
    return [row for row in index.rows(resource, ZONE, "http://test/fhir", own.read(recipe)) if row.param == name]


def refused(resource: dict, recipe: str = "") -> list[tuple[str, str]]:
    with pytest.raises(errors.Unprocessable) as caught:
        own.put(recipe, "new", resource, 1)
    assert caught.value.status == 422
    return [(issue.expression.removeprefix("SearchParameter."), issue.text) for issue in caught.value.issues]


# which are accepted

@pytest.mark.parametrize("resource, element, said", [
    (parameter(code="a:b"), "code", "cannot stand in a search"), (parameter(code="_mine"), "code", "cannot stand"), (parameter(code="a.b"), "code", "cannot stand"),
    (parameter(code="x" * 65), "code", "cannot stand"), (parameter(code="name"), "code", "R4 has Patient.name (http://hl7.org/fhir/SearchParameter/Patient-name)"),
    (parameter(code="_id"), "code", "R4 has Patient._id"), (parameter(code="phonetic", base=("Organization", "Patient"), expression="name"), "code", "R4 has Organization.phonetic"),
    (parameter(base=("AuditEvent",), expression="AuditEvent.action", type="token"), "base", "Nothing is searched of AuditEvent"),
    (parameter(base=("Parameters",), expression="Parameters.id", type="token"), "base", "Nothing is searched of Parameters"),
    (parameter(type="special"), "type", "meaning of its own"), (parameter(xpathUsage="phonetic"), "xpathUsage", "not phonetic"),
    ({k: v for k, v in parameter().items() if k != "expression"}, "expression", "nothing to index"), (parameter(expression="Patient.name."), "expression", "no FHIRPath"),
    (parameter(expression="Patient.nam"), "expression", "On Patient the expression finds no element that a string parameter is made of"),
    (parameter(expression="Observation.code.text"), "expression", "On Patient the expression finds no element"),
    (parameter(type="date"), "expression", "date parameter is made of, which are Period, Timing, date, dateTime, instant"),
    (parameter(type="number", expression="Patient.name.exists()"), "expression", "number parameter is made of"),
    (parameter(base=("Patient", "Practitioner")), "expression", "On Practitioner the expression finds no element"),
    (parameter(expression="Patient.name | " * 400 + "Patient.name"), "expression", "more than 4000 characters"),
    (parameter(type="composite"), "component", "A composite has components"),
    (parameter(component=[{"definition": "http://hl7.org/fhir/SearchParameter/Patient-name", "expression": "family"}]), "component", "A composite has components"),
    (parameter(type="composite", expression="Patient.name", component=[{"definition": "http://example.org/none", "expression": "family"}]), "component[0].definition", "neither R4's nor"),
    (parameter(type="composite", base=("Observation",), expression="Observation", component=[{"definition": "http://hl7.org/fhir/SearchParameter/Observation-code-value-quantity", "expression": "code"}]),
     "component[0].definition", "is a composite parameter"),
    (parameter(type="composite", expression="Patient.name.skip(1)", component=[{"definition": "http://hl7.org/fhir/SearchParameter/individual-family", "expression": "family"}]),
     "expression", "plain paths"),
    (parameter(url="http://hl7.org/fhir/SearchParameter/Patient-name", code="name", expression="Patient.name.family"), "url", "served as R4 defines it"),
    *((parameter(expression=odd), "expression", "") for odd in ("Patient.extension()", "Patient.extension('a', 'b').value", "Patient.extension.where(hasExtension()).url", "``", "Patient.``", "%vs-", "Patient.name.as(``)", "'\\ud800'")),
])
def test_what_cannot_be_served_is_refused_with_the_element_that_is_wrong(resource, element, said):
    wrong = refused(resource)
    assert any(at == element and said in text for at, text in wrong), wrong


def test_all_that_is_wrong_is_told_at_once():
    assert {at for at, _ in refused(parameter(code="a:b", expression="Patient.nam", xpathUsage="distance"))} == {"code", "expression", "xpathUsage"}


def test_the_specifications_own_examples_are_judged_as_they_read():
    """example-extension is for Patient, but reads a DocumentReference; example-reference and example define what R4 has."""
    extension = parameter("part-agree", "reference", "DocumentReference.extension('http://example.org/fhir/StructureDefinition/participation-agreement')", target=["DocumentReference"])
    assert [at for at, _ in refused(extension)] == ["expression"]
    recipe = defined({**extension, "base": ["DocumentReference"]})
    bearer = {"resourceType": "DocumentReference", "extension": [{"url": "http://example.org/fhir/StructureDefinition/participation-agreement", "valueReference": {"reference": "DocumentReference/a"}}]}
    assert [r.code for r in rows(recipe, "DocumentReference.part-agree", bearer)] == ["DocumentReference/a"]
    assert [at for at, _ in refused(parameter("subject", "reference", "Condition.subject", base=("Condition",), target=["Organization"]))] == ["code"]


@pytest.mark.parametrize("status", ["draft", "retired", "unknown"])
def test_only_an_active_one_is_in_force_and_others_are_not_judged(status):
    assert own.put("", "a", parameter(status=status, expression="Patient.nam"), 1) == ""
    assert own.put(defined(parameter()), "p0", parameter(status=status), 2) == ""


def test_two_of_one_url_or_one_name_are_refused_and_one_may_take_its_own_place():
    recipe = defined(parameter(base=("Patient", "Person"), expression="name.given"))
    assert refused(parameter("other", url="http://example.org/SearchParameter/nickname"), recipe) == [("url", "SearchParameter/p0 has this url.")]
    assert refused(parameter(url="http://example.org/b", base=("Person",), expression="Person.name.text"), recipe) == [("code", "SearchParameter/p0 is Person.nickname already.")]
    assert "nickname" in own.read(own.put(recipe, "new", parameter(url="http://example.org/b", base=("Practitioner",), expression="Practitioner.name.text"), 1))["Practitioner"]
    assert own.put(recipe, "p0", parameter(), 2) != recipe


def test_r4s_own_definitions_are_accepted_and_change_nothing():
    for known in definitions.parameters("Observation").values():
        assert own.put("", "a", parameter(known.code, known.type, known.expression, known.base, url=known.url), 1) == ""


# when they are ready

def test_a_definition_awaits_a_reindex_again_only_when_its_meaning_changes():
    recipe = defined(parameter(), ready=False)
    assert own.waiting(recipe, []) == own.waiting(recipe, ["Patient", "Group"]) == {"p0": 1} and own.waiting(recipe, ["Group"]) == {}
    served = own.ready(recipe, {"p0": 1})
    assert own.waiting(served, []) == {} and own.put(served, "p0", parameter(description="b", name="B"), 2) == served
    changed = own.put(served, "p0", parameter(expression="Patient.name.given"), 2)
    assert own.waiting(changed, []) == {"p0": 2} and own.ready(changed, {"p0": 1}) == changed
    assert own.put(changed, "p0", None, 3) == ""


def test_one_that_waits_is_refused_by_name_and_so_is_one_that_came_after_the_search_began():
    search = [("nickname", "阿")]
    with pytest.raises(errors.Unsupported, match="Patient.nickname awaits a reindex"):
        parse.parse(("Patient",), search, Context(own=own.read(defined(parameter(), ready=False)), now=5))
    with pytest.raises(errors.Unsupported, match="defined after this search began"):
        parse.parse(("Patient",), search, Context(own=own.read(defined(parameter())), now=0))
    for asked in (search, [("_sort", "-nickname")]):
        parse.parse(("Patient",), asked, Context(own=own.read(defined(parameter())), now=5))
    with pytest.raises(errors.Unsupported, match="near it are nickname"):
        parse.parse(("Patient",), [("nicknam", "阿")], Context(own=own.read(defined(parameter())), now=5))


# rows

def test_every_parameter_of_r4_under_another_name_gives_the_same_rows():
    seen = 0
    for type in ("Patient", "Observation", "Encounter", "MedicationRequest", "ImagingStudy", "ServiceRequest", "DocumentReference", "ValueSet", "RiskAssessment", "Questionnaire", "Bundle"):
        for code, param in parameters.of(type).items():
            known, found = parameters.definition(type, code), examples.found_by(type, param) if code not in parameters.STAMPED else None
            if known is None or not known.expression or param.type == "special" or found is None:
                continue
            recipe = defined(parameter("mine", known.type, known.expression, known.base, target=known.targets, component=[{"definition": url, "expression": e} for url, e in known.components]))
            mine = [row._replace(param=row.param.replace(f"{type}.mine", f"{type}.{code}"), group=bool(row.group)) for row in index.rows(found[0], ZONE, "", own.read(recipe)) if f"{type}.mine" in row.param]
            names = {one.name for one in param.of or (param,)}
            rows = [(row.param.partition("/")[0].partition(":")[0], row) for row in index.rows(found[0], ZONE)]
            theirs = [row._replace(param=row.param.replace(name, f"{type}.{code}"), group=bool(row.group)) for name, row in rows if name in names]
            assert sorted(mine, key=repr) == sorted(theirs, key=repr) and theirs, param.name
            assert own.read(recipe)[type]["mine"].param._replace(name="", code="", url="", components=()) == param._replace(name="", code="", url="", components=(), of=())
            seen += 1
    assert seen > 150


@pytest.mark.parametrize("type, expression, resource, found", [
    ("string", "Patient.name.where(use = 'nickname' or use = 'old').given", {"name": [{"use": "old", "given": ["阿毛"]}, {"use": "usual", "given": ["b"]}]}, ["阿毛"]),
    ("token", "Patient.name.where(given.count() > 1).exists()", {"name": [{"given": ["a", "b"]}]}, ["true"]),
    ("token", "Patient.contact.exists()", {"contact": []}, ["false"]),
    ("string", "Patient.name.first().given.first() & '!'", {"name": [{"given": ["a", "b"]}]}, ["a!"]),
    ("string", "Patient.name.family.substring(1)", {"name": [{"family": "ab"}, {"family": "cd"}]}, []),
    ("token", "iif(Patient.active, Patient.gender, Patient.language)", {"active": True, "gender": "female", "language": "zh"}, ["female"]),
    ("uri", "(Patient.extension.url | Patient.meta.profile).last()", {"extension": [{"url": "urn:a"}], "meta": {"profile": ["urn:b"]}}, ["urn:b"]),
])
def test_an_expression_that_is_no_plain_path_is_evaluated(type, expression, resource, found):
    recipe = defined(parameter("mine", type, expression))
    assert [r.code for r in rows(recipe, "Patient.mine", {"resourceType": "Patient", "id": "a", **resource}) if r.code is not None] == found


def test_numbers_that_are_computed_are_found():
    recipe = defined(parameter("names", "number", "Patient.name.count()"))
    assert [(r.low, r.high) for r in rows(recipe, "Patient.names", {"resourceType": "Patient", "name": [{}, {}]})] == [(2.0, 2.0)]


@pytest.mark.parametrize("expression", ["Patient.extension(url).url", "Patient.extension.where(hasExtension(url)).url", "Patient.extension.where(hasExtension('urn:a' & '')).url", "Patient.extension('urn:' & 'a').url"])
def test_an_extension_whose_url_is_computed_is_evaluated(expression):
    known = defined(parameter("mine", "uri", expression))
    assert rows(known, "Patient.mine", {"resourceType": "Patient", "extension": [{"url": "urn:b"}]}) == []


def test_more_text_than_can_be_indexed_gives_no_rows():
    recipe = defined(parameter("mine", "string", "Patient.name.given.select($this & 'x'.replace('x', '" + "y" * 1000 + "'))"))
    assert len(rows(recipe, "Patient.mine", {"resourceType": "Patient", "name": [{"given": ["a", "b"]}]})) == 2
    assert rows(recipe, "Patient.mine", {"resourceType": "Patient", "name": [{"given": [f"g{i}" for i in range(500)]}]}) == []


def test_an_expression_that_takes_too_much_work_gives_no_rows_and_holds_nobody_up():
    recipe = defined(parameter("mine", "token", "Patient.name.given.where(%resource.name.given.where(%resource.name.given.where($this = 'x').empty()).count() > 1).exists()"))
    assert rows(recipe, "Patient.mine", {"resourceType": "Patient", "name": [{"given": [f"g{i}" for i in range(300)]}]}) == []


def test_a_base_that_is_abstract_is_all_types_that_derive_from_it():
    known = own.read(defined(parameter("secret", "token", "DomainResource.meta.security.display", base=("DomainResource",)), parameter("lang", "token", "Resource.language", base=("Resource",))))
    assert "secret" in known["Patient"] and "secret" not in known["Bundle"] and "lang" in known["Bundle"] and "AuditEvent" not in known
    assert parse.parse((), [("lang", "zh")], Context(own=known, now=5)).query.where


def test_a_composite_of_parts_of_ones_own_is_met_within_one_element():
    part = parameter("contact-gender", "token", "Patient.contact.gender")
    both = parameter("contact-who", "composite", "Patient.contact", component=[{"definition": part["url"], "expression": "gender"}, {"definition": "http://hl7.org/fhir/SearchParameter/Patient-name", "expression": "name"}])
    assert [at for at, _ in refused(both)] == ["component[0].definition"]
    recipe = defined(part, both)
    person = {"resourceType": "Patient", "contact": [{"gender": "male", "name": {"family": "a"}}, {"gender": "female", "name": {"family": "b"}}]}
    found = [(r.param, r.group, r.code) for r in index.rows(person, ZONE, "", own.read(recipe)) if r.param.startswith("Patient.contact-who") and r.code]
    assert found == [("Patient.contact-who/0", 1, "male"), ("Patient.contact-who/1", 1, "a"), ("Patient.contact-who/0", 2, "female"), ("Patient.contact-who/1", 2, "b")]
    assert own.read(own.put(recipe, "p0", None, 2))["Patient"]["contact-who"].ready


def test_references_are_chained_and_included():
    known = own.read(defined(parameter("guardian", "reference", "Patient.contact.organization", target=["Organization"])))
    asked = parse.parse(("Patient",), [("guardian.name", "华山"), ("_include", "Patient:guardian")], Context(own=known, now=5))
    assert asked.includes[0].code == "guardian" and "Patient.guardian" in repr(asked.query.where)
    back = parse.parse(("Organization",), [("_has:Patient:guardian:gender", "female"), ("_revinclude", "Patient:guardian")], Context(own=known, now=5))
    assert "Patient.guardian" in repr(back.query.where)


@pytest.mark.parametrize("expression, kinds", [
    ("Patient.name.family", {"string"}), ("Patient.name | Patient.contact.name", {"HumanName"}), ("Patient.deceased.exists() and Patient.deceased != false", {"System.Boolean"}),
    ("Patient.nam.where(a = 1)", set()), ("(Patient.deceased as dateTime)", {"dateTime"}), ("Patient.name[0].given.first()", {"string"}), ("Patient.extension('a')", {"Extension"}),
    ("'a'", {"System.String"}), ("iif(true, 1, 2)", None), ("Observation.value", set()), ("Patient.birthDate + 1 year", None)])
def test_what_an_expression_gives_is_known_without_a_run(expression, kinds):
    assert yields.yields("Patient", expression) == kinds


def test_the_base_parameters_cost_nothing_more_where_there_are_none():
    assert own.read("") is own.NOTHING and parameters.of("Patient", own.NOTHING) is parameters.of("Patient")
