"""Slices: how they are told apart, and what is asked of them. https://hl7.org/fhir/R4/profiling.html#slicing"""
from __future__ import annotations

import pytest

from app.fhir import json, profile
from app.fhir.path import BadExpression
from app.fhir.profile.slices import steps
from tests.fhir.profile.making import BASE, HERE, defined, judged, sliced

DONE = {"resourceType": "Observation", "status": "final", "code": {"text": "a"}}


def patient(*telecom: str) -> dict:
    """`phone-home` is a ContactPoint of that system and use."""
    made = [{key: part for key, part in zip(("system", "use"), each.split("-")) if part} | {"value": "1"} for each in telecom]
    return {"resourceType": "Patient", **({"telecom": made} if made else {})}


class TestContactDetails:
    """The example of https://hl7.org/fhir/R4/profiling-examples.html: one phone at home, one at work at most, one e-mail at most whose use is not said, and nothing else."""

    contact = defined(
        "contact", "Patient", sliced("Patient.telecom", ("value", "system"), ("value", "use"), rules="closed"),
        {"id": "Patient.telecom:home", "min": 1, "max": "1"}, {"id": "Patient.telecom:home.system", "fixedCode": "phone"}, {"id": "Patient.telecom:home.use", "fixedCode": "home"},
        {"id": "Patient.telecom:work", "min": 0, "max": "1"}, {"id": "Patient.telecom:work.system", "fixedCode": "phone"}, {"id": "Patient.telecom:work.use", "fixedCode": "work"})

    @pytest.mark.parametrize("telecom, issues", [
        (("phone-home",), []), (("phone-work", "phone-home"), []), ((), [("required", "Patient.telecom")]), (("phone-work",), [("required", "Patient.telecom")]),
        (("phone-home", "phone-home"), [("structure", "Patient.telecom")]), (("phone-home", "email-home"), [("structure", "Patient.telecom[1]")]),
        (("phone-home", "phone"), [("structure", "Patient.telecom[1]")])])
    def test_it_is_judged(self, telecom, issues):
        assert judged(patient(*telecom), self.contact) == issues


def by_system(*names: str, **more) -> dict:
    return defined("p", "Patient", sliced("Patient.telecom", ("value", "system"), **more), *(
        each for name in names for each in ({"id": f"Patient.telecom:{name}"}, {"id": f"Patient.telecom:{name}.system", "fixedCode": name})))


@pytest.mark.parametrize("rules, ordered, telecom, issues", [
    ("open", False, ("email", "fax", "phone"), []), ("closed", False, ("email", "phone"), []), ("closed", False, ("email", "fax", "phone"), [("structure", "Patient.telecom[1]")]),
    ("openAtEnd", False, ("email", "phone", "fax"), []), ("openAtEnd", False, ("fax", "phone"), [("structure", "Patient.telecom[1]")]),
    ("open", True, ("phone", "fax", "phone", "email"), []), ("open", True, ("email", "phone"), [("structure", "Patient.telecom[1]")]),
    ("closed", True, ("phone", "email", "phone"), [("structure", "Patient.telecom[2]")]), ("openAtEnd", True, ("phone", "email", "fax"), []),
])
def test_rules_and_order(rules, ordered, telecom, issues):
    assert judged(patient(*telecom), by_system("phone", "email", rules=rules, ordered=ordered)) == issues


def component(value: str = "", **more) -> dict:
    return {"code": {"coding": [{"system": "urn:s", "code": value}] if value else [], "text": value}, **more}


def observed(*components: dict, **more) -> dict:
    return {**DONE, "component": list(components), **more}


KINDS = [
    # value: by a fixed value, by a pattern, of the element or of one above it, by a required binding, through slices below
    (("value", "code.coding.code"), [{"id": "Observation.component:a.code.coding.code", "fixedCode": "a"}], component("a"), component("b")),
    (("value", "code"), [{"id": "Observation.component:a.code", "fixedCodeableConcept": {"coding": [{"system": "urn:s", "code": "a"}], "text": "a"}}], component("a"), component("b")),
    (("value", "code.coding.code"), [{"id": "Observation.component:a.code", "patternCodeableConcept": {"coding": [{"code": "a"}]}}], component("a"), component("b")),
    (("value", "code.coding"), [{"id": "Observation.component:a.code.coding:x", "min": 1}, {"id": "Observation.component:a.code.coding:x", "patternCoding": {"code": "a"}}], component("a"), component("b")),
    (("value", "interpretation"), [{"id": "Observation.component:a.interpretation", "binding": {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"}}],
     component("a", interpretation=[{"coding": [{"system": "http://hl7.org/fhir/administrative-gender", "code": "male"}]}]), component("a")),
    (("value", "$this"), [{"id": "Observation.component:a", "patternBackboneElement": {"valueInteger": 5}}], component("a", valueInteger=5), component("a", valueInteger=6)),
    (("value", "extension('urn:kind').value"), [{"id": "Observation.component:a.extension:k", "type": [{"code": "Extension", "profile": ["urn:kind"]}]},
                                                {"id": "Observation.component:a.extension:k.value[x]", "fixedCode": "a"}],
     component("a", extension=[{"url": "urn:kind", "valueCode": "a"}]), component("a", extension=[{"url": "urn:other", "valueCode": "a"}])),
    # pattern
    (("pattern", "code"), [{"id": "Observation.component:a.code", "patternCodeableConcept": {"coding": [{"system": "urn:s", "code": "a"}]}}], component("a"), component("b")),
    (("pattern", "code"), [{"id": "Observation.component:a.code", "patternCodeableConcept": {"text": "a"}}], component("a"), component()),
    # exists
    (("exists", "value"), [{"id": "Observation.component:a.value[x]", "min": 1}], component("a", valueQuantity={"value": 1}), component("a")),
    (("exists", "dataAbsentReason"), [{"id": "Observation.component:a.dataAbsentReason", "max": "0"}], component("a"), component("a", dataAbsentReason={"text": "b"})),
    # type
    (("type", "value"), [{"id": "Observation.component:a.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}]}], component("a", valueString="b"), component("a", valueBoolean=True)),
    (("type", "value[x]"), [{"id": "Observation.component:a.value[x]", "type": [{"code": "Quantity"}]}], component("a", valueQuantity={"value": 1}), component("a")),
]


@pytest.mark.parametrize("discriminator, elements, of, other", KINDS, ids=lambda x: "-".join(x) if isinstance(x, tuple) else None)
def test_each_kind_of_discriminator_tells_its_slice(discriminator, elements, of, other):
    one = defined("p", "Observation", sliced("Observation.component", discriminator, rules="closed"), {"id": "Observation.component:a", "min": 1, "max": "1"}, *elements)
    assert judged(observed(of), one) == []
    assert judged(observed(other), one) == [("required", "Observation.component"), ("structure", "Observation.component[0]")]
    assert judged(observed(of, of), one) == [("structure", "Observation.component")]


class TestResolve:
    """The Bundle of a document, and references that are told apart by what they lead to."""

    def test_the_type_of_what_a_reference_leads_to(self):
        one = defined("p", "Observation", sliced("Observation.performer", ("type", "resolve()"), rules="closed"),
                      {"id": "Observation.performer:who", "min": 1, "max": "1", "type": [{"code": "Reference", "targetProfile": [BASE + "Practitioner"]}]})
        assert judged({**DONE, "performer": [{"reference": "Practitioner/1"}]}, one) == []
        assert judged({**DONE, "performer": [{"reference": "Organization/1"}]}, one) == [("required", "Observation.performer"), ("structure", "Observation.performer[0]")]

    named = defined("named", "Practitioner", {"id": "Practitioner.name", "min": 1})
    by_profile = defined("p", "Observation", sliced("Observation.performer", ("profile", "resolve()"), rules="closed"),
                         {"id": "Observation.performer:who", "min": 1, "type": [{"code": "Reference", "targetProfile": [HERE + "named"]}]})
    by_value = defined("p", "Observation", sliced("Observation.performer", ("value", "resolve().active"), rules="closed"), {"id": "Observation.performer:who", "min": 1, "type": [
        {"code": "Reference", "targetProfile": [HERE + "active"]}]})
    active = defined("active", "Practitioner", {"id": "Practitioner.active", "fixedBoolean": True})

    @pytest.mark.parametrize("one, other, right, wrong", [(by_profile, named, {"name": [{"text": "a"}]}, {}), (by_value, active, {"active": True}, {"active": False})])
    def test_what_it_is_where_it_is_here_and_nothing_where_it_is_not(self, one, other, right, wrong):
        def contained(**more):
            return {**DONE, "contained": [{"resourceType": "Practitioner", "id": "x", **more}], "performer": [{"reference": "#x"}]}
        assert judged(contained(**right), one, other) == []
        assert judged(contained(**wrong), one, other) == [("required", "Observation.performer"), ("structure", "Observation.performer[0]")]
        far = {**DONE, "performer": [{"reference": "Practitioner/1"}]}
        assert judged(far, one, other) == [] and judged(far, one, other, severities=("information",)) == [("incomplete", "Observation.performer[0]")]

    def test_entries_of_a_bundle_by_profile(self):
        one = defined("doc", "Bundle", sliced("Bundle.entry", ("profile", "resource")), {"id": "Bundle.entry:p", "min": 1, "max": "1"},
                      {"id": "Bundle.entry:p.resource", "type": [{"code": "Practitioner", "profile": [HERE + "named"]}]})
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": DONE}, {"resource": {"resourceType": "Practitioner", "name": [{"text": "a"}]}}]}
        assert judged(bundle, one, self.named) == []
        del bundle["entry"][1]["resource"]["name"]
        assert judged(bundle, one, self.named) == [("required", "Bundle.entry")]


class TestChoices:
    """https://hl7.org/fhir/R4/profiling.html: a choice is sliced by type without a word, and the shorter spelling says the same."""

    @pytest.mark.parametrize("id", ["Observation.value[x]:valueQuantity", "Observation.valueQuantity"])
    def test_a_slice_of_a_type_is_asked_where_it_is_and_shuts_out_no_other(self, id):
        one = defined("p", "Observation", {"id": id}, {"id": f"{id}.unit", "min": 1})
        assert judged({**DONE, "valueQuantity": {"value": 1}}, one) == [("required", "Observation.value.unit")]
        assert judged({**DONE, "valueString": "a"}, one) == judged(DONE, one) == judged({**DONE, "valueQuantity": {"value": 1, "unit": "g"}}, one) == []

    def test_it_may_have_to_be_there_or_must_not(self):
        assert judged(DONE, defined("p", "Observation", {"id": "Observation.valueQuantity", "min": 1})) == [("required", "Observation.value")]
        assert judged({**DONE, "valueQuantity": {"value": 1}}, defined("p", "Observation", {"id": "Observation.valueQuantity", "max": "0"})) == [("structure", "Observation.value")]

    def test_closed_it_shuts_out_others(self):
        one = defined("p", "Observation", {"id": "Observation.value[x]", "slicing": {"rules": "closed"}}, {"id": "Observation.value[x]:valueQuantity", "type": [{"code": "Quantity"}]})
        assert judged({**DONE, "valueString": "a"}, one) == [("structure", "Observation.value")] and judged({**DONE, "valueQuantity": {"value": 1}}, one) == []


class TestSlicesOfSlices:
    phones = defined("phones", "Patient", sliced("Patient.telecom", ("value", "system")), {"id": "Patient.telecom:phone", "min": 1}, {"id": "Patient.telecom:phone.system", "fixedCode": "phone"})
    homes = defined("homes", "Patient", sliced("Patient.telecom:phone", ("value", "use"), rules="closed"), {"id": "Patient.telecom:phone/home", "min": 1, "max": "1"},
                    {"id": "Patient.telecom:phone/home.use", "fixedCode": "home"}, {"id": "Patient.telecom:phone/work", "min": 0, "max": "*"}, {"id": "Patient.telecom:phone/work.use", "fixedCode": "work"},
                    base=HERE + "phones")

    @pytest.mark.parametrize("telecom, issues", [
        (("phone-home", "email-temp"), []), (("phone-work", "phone-work"), [("required", "Patient.telecom")]), (("phone-home", "phone-temp"), [("structure", "Patient.telecom[1]")]),
        (("email-home",), [("required", "Patient.telecom"), ("required", "Patient.telecom")])])
    def test_a_derived_profile_slices_a_slice(self, telecom, issues):
        assert judged(patient(*telecom), self.homes, self.phones) == issues

    def test_a_derived_profile_says_more_of_a_slice_that_it_does_not_define(self):
        one = defined("valued", "Patient", {"id": "Patient.telecom:phone.period", "min": 1}, base=HERE + "phones")
        assert judged(patient("phone-home", "email"), one, self.phones) == [("required", "Patient.telecom[0].period")]


def test_the_default_slice_is_what_is_in_no_other():
    one = by_system("phone")
    one["differential"]["element"] += [{"id": "Patient.telecom:@default", "path": "Patient.telecom", "max": "1"}, {"id": "Patient.telecom:@default.use", "path": "Patient.telecom.use", "min": 1}]
    assert judged(patient("phone", "email-home"), one) == []
    assert judged(patient("phone", "email", "fax-home"), one) == [("structure", "Patient.telecom"), ("required", "Patient.telecom[1].use")]


def test_slices_that_nothing_tells_apart_are_said_to_be_so():
    for one in (defined("p", "Patient", sliced("Patient.telecom", ("value", "rank")), {"id": "Patient.telecom:a", "min": 1}), defined("p", "Patient", {"id": "Patient.telecom:a", "min": 1}),
                defined("p", "Patient", sliced("Patient.telecom", ("value", "rank.where(true)"), rules="closed"), {"id": "Patient.telecom:a", "min": 1})):
        assert judged(patient("phone"), one) == [] and judged(patient("phone"), one, severities=("information",)) == [("incomplete", "Patient.telecom[0]")]


class TestDefinitionsOfOthers:
    """A StructureDefinition that passes for structure may be nonsense; it is passed over, or told, and no failure."""

    absent = {"extension": [{"url": BASE + "data-absent-reason", "valueCode": "unknown"}]}

    @pytest.mark.parametrize("elements", [
        [{"id": "Patient", "type": [{"code": "Patient", "profile": [HERE + "p"]}]}, sliced("Patient.link", ("value", "type")), {"id": "Patient.link:a", "min": 1, "type": [{"code": "BackboneElement", "profile": [HERE + "p"]}]}],
        [{"id": "Patient.name:" + "/".join("abc" * 1000), "min": 1}], [{"id": "Patient" + ".name" * 5000, "min": 1}], [{"path": "Patient.name", "id": "Patient..", "max": "x"}],
        [{"id": "Patient.link", "slicing": {"discriminator": [{"_type": absent, "_path": absent}], "_rules": absent}}, {"id": "Patient.link:a"}],
        [{"id": "Patient.link.type", "binding": {"_strength": absent, "valueSet": "urn:x"}, "type": [{"_code": absent}], "constraint": [{"_key": absent, "_human": absent, "expression": "false"}]}],
        [{"id": "Patient.link.other", "type": [{"code": "Reference", "targetProfile": [None], "_targetProfile": [absent]}]}, {"id": "Patient.link", "type": [{"code": "Patient", "profile": [None]}]}],
        [sliced("Patient.link", ("profile", "other.resolve()")), {"id": "Patient.link:a", "min": 1}, {"id": "Patient.link:a.other", "type": [{"code": "Reference", "targetProfile": [None, HERE + "p"]}]}],
    ])
    def test_it_ends(self, elements):
        judged({"resourceType": "Patient", "link": [{"type": "seealso", "other": {"reference": "#"}}]}, defined("p", "Patient", *elements))


@pytest.mark.parametrize("path, found", [
    ("$this", []), ("code.coding", [("element", "code"), ("element", "coding")]), ("$this.resolve()", [("resolve", "")]), ("value[x]", [("element", "value")]),
    ("extension('urn:a.b').value", [("extension", "urn:a.b"), ("element", "value")]), ("value.ofType(Quantity)", [("element", "value"), ("ofType", "Quantity")])])
def test_the_path_of_a_discriminator(path, found):
    assert steps(path) == found


@pytest.mark.parametrize("path", ["a.where(b)", "a..b", "a b", "%x", "a.first()"])
def test_anything_else_is_no_such_path(path):
    with pytest.raises(BadExpression):
        steps(path)


def test_a_message_names_the_slice():
    found = profile.check(json.loads(json.dumps(patient("fax"))), (HERE + "contact",), profile.Library([TestContactDetails.contact], profile.known()))
    assert [i.text for i in found] == ["telecom:home is missing; there must be 1. (http://example.org/p/contact)",
                                       "It belongs to no slice of Patient.telecom, and no others may be there: home, work. (http://example.org/p/contact)"]
