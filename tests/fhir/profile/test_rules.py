"""What a profile may demand of an element. https://hl7.org/fhir/R4/elementdefinition.html"""
from __future__ import annotations

import pytest

from app.fhir import json
from app.fhir.profile.values import fits, same
from tests.fhir.profile.making import BASE, HERE, defined, judged

PATIENT = {"resourceType": "Patient"}
DONE = {"resourceType": "Observation", "status": "final", "code": {"text": "a"}}


def n(text: str):
    return json.parse(text.encode())


@pytest.mark.parametrize("value, wanted, is_same, is_fit", [
    ('"a"', '"a"', True, True), ('"A"', '"a"', False, False), ("1", "1", True, True), ("true", "true", True, True), ("true", "1", False, False), ("1.0", "1.00", False, False),
    ('{"a":1,"b":2}', '{"b":2,"a":1}', True, True), ('{"a":1,"b":2}', '{"a":1}', False, True), ('{"a":1}', '{"a":1,"b":2}', False, False),
    ('{"l":[1,2]}', '{"l":[1,2]}', True, True), ('{"l":[2,1]}', '{"l":[1,2]}', False, True), ('{"l":[1,2,3]}', '{"l":[1]}', False, True), ('{"l":[1]}', '{"l":[1,2]}', False, False),
    ('{"coding":[{"system":"s","code":"c","display":"d"},{"code":"x"}]}', '{"coding":[{"system":"s","code":"c"}]}', False, True),
    ('{"coding":[{"system":"s"},{"code":"c"}]}', '{"coding":[{"system":"s","code":"c"}]}', False, False), ("null", '"a"', False, False), ('"a"', '{"a":1}', False, False), ('"a"', '["a"]', False, False),
])
def test_a_fixed_value_is_all_that_is_there_and_a_pattern_is_a_part_of_it(value, wanted, is_same, is_fit):
    assert (same(n(value), n(wanted)), fits(n(value), n(wanted))) == (is_same, is_fit)


NAMED = {"name": [{"family": "张", "given": ["三", "四"]}]}
RULES = [
    # cardinality
    ("Patient", {"id": "Patient.name", "min": 1}, PATIENT, [("required", "Patient.name")]),
    ("Patient", {"id": "Patient.name", "min": 2}, {**PATIENT, **NAMED}, [("required", "Patient.name")]),
    ("Patient", {"id": "Patient.name", "min": 1, "max": "1"}, {**PATIENT, **NAMED}, []),
    ("Patient", {"id": "Patient.name", "max": "1"}, {**PATIENT, "name": [{"text": "a"}, {"text": "b"}]}, [("structure", "Patient.name")]),
    ("Patient", {"id": "Patient.animal", "max": "0"}, PATIENT, []), ("Patient", {"id": "Patient.photo", "max": "0"}, {**PATIENT, "photo": [{"url": "urn:x"}]}, [("structure", "Patient.photo")]),
    ("Patient", {"id": "Patient.name.given", "max": "1"}, {**PATIENT, **NAMED}, [("structure", "Patient.name[0].given")]),
    ("Patient", {"id": "Patient.contact.name", "min": 1}, {**PATIENT, "contact": [{"name": {"text": "a"}}, {"gender": "male"}]}, [("required", "Patient.contact[1].name")]),
    ("Patient", {"id": "Patient.contact.name", "min": 1}, PATIENT, []),
    ("Patient", {"id": "Patient.deceased[x]", "min": 1}, PATIENT, [("required", "Patient.deceased")]), ("Patient", {"id": "Patient.deceased[x]", "min": 1}, {**PATIENT, "deceasedBoolean": False}, []),
    ("Patient", {"id": "Patient.birthDate", "min": 1}, {**PATIENT, "_birthDate": {"extension": [{"url": "urn:x", "valueString": "a"}]}}, []),
    ("Patient", {"id": "Patient.birthDate.extension", "min": 1}, {**PATIENT, "birthDate": "2020"}, [("required", "Patient.birthDate.extension")]),
    ("Patient", {"id": "Patient.birthDate.extension", "min": 1}, {**PATIENT, "birthDate": "2020", "_birthDate": {"extension": [{"url": "urn:x", "valueString": "a"}]}}, []),
    # fixed and pattern
    ("Patient", {"id": "Patient.gender", "fixedCode": "male"}, {**PATIENT, "gender": "female"}, [("value", "Patient.gender")]), ("Patient", {"id": "Patient.gender", "fixedCode": "male"}, PATIENT, []),
    ("Patient", {"id": "Patient.active", "fixedBoolean": True}, {**PATIENT, "active": False}, [("value", "Patient.active")]),
    ("Patient", {"id": "Patient.maritalStatus", "patternCodeableConcept": {"coding": [{"code": "M"}]}}, {**PATIENT, "maritalStatus": {"coding": [{"system": "s", "code": "M"}]}}, []),
    ("Patient", {"id": "Patient.maritalStatus", "fixedCodeableConcept": {"coding": [{"code": "M"}]}}, {**PATIENT, "maritalStatus": {"coding": [{"system": "s", "code": "M"}]}}, [("value", "Patient.maritalStatus")]),
    ("Patient", {"id": "Patient.name.given", "patternString": "三"}, {**PATIENT, **NAMED}, [("value", "Patient.name[0].given[1]")]),
    # limits
    ("Patient", {"id": "Patient.multipleBirth[x]", "minValueInteger": 1, "maxValueInteger": 9}, {**PATIENT, "multipleBirthInteger": 10}, [("value", "Patient.multipleBirth")]),
    ("Patient", {"id": "Patient.multipleBirth[x]", "minValueInteger": 1, "maxValueInteger": 9}, {**PATIENT, "multipleBirthInteger": 9}, []),
    ("Patient", {"id": "Patient.multipleBirth[x]", "minValueInteger": 1}, {**PATIENT, "multipleBirthInteger": 0}, [("value", "Patient.multipleBirth")]),
    ("Patient", {"id": "Patient.birthDate", "minValueDate": "1900-01-01"}, {**PATIENT, "birthDate": "1899-12-31"}, [("value", "Patient.birthDate")]),
    ("Patient", {"id": "Patient.birthDate", "minValueDate": "1900-01-01"}, {**PATIENT, "birthDate": "1900-01-01"}, []),
    ("Patient", {"id": "Patient.birthDate", "minValueDate": "1900-06-01"}, {**PATIENT, "birthDate": "1900"}, []),  # it may be after
    ("Observation", {"id": "Observation.value[x]", "maxValueQuantity": {"value": 250, "code": "cm", "system": "http://unitsofmeasure.org"}},
     {**DONE, "valueQuantity": {"value": 251, "code": "cm", "system": "http://unitsofmeasure.org"}}, [("value", "Observation.value")]),
    ("Observation", {"id": "Observation.value[x]", "maxValueQuantity": {"value": 250, "code": "cm", "system": "http://unitsofmeasure.org"}}, {**DONE, "valueString": "a"}, []),
    ("Observation", {"id": "Observation.value[x]:valueQuantity.value", "minValueDecimal": n("0.5")}, {**DONE, "valueQuantity": {"value": n("0.49")}}, [("value", "Observation.value.value")]),
    ("Patient", {"id": "Patient.name.family", "maxLength": 2}, {**PATIENT, "name": [{"family": "欧阳"}, {"family": "a张三"}]}, [("too-long", "Patient.name[1].family")]),
    # bindings
    ("Patient", {"id": "Patient.maritalStatus", "binding": {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"}},
     {**PATIENT, "maritalStatus": {"coding": [{"system": "http://hl7.org/fhir/administrative-gender", "code": "male"}]}}, []),
    ("Patient", {"id": "Patient.maritalStatus", "binding": {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"}},
     {**PATIENT, "maritalStatus": {"coding": [{"system": "urn:x", "code": "male"}]}}, [("code-invalid", "Patient.maritalStatus")]),
    ("Patient", {"id": "Patient.maritalStatus", "binding": {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"}}, {**PATIENT, "maritalStatus": {"text": "a"}},
     [("code-invalid", "Patient.maritalStatus")]),
    ("Patient", {"id": "Patient.language", "binding": {"strength": "required", "valueSet": "http://example.org/unknown"}}, {**PATIENT, "language": "x"}, []),
    # types
    ("Observation", {"id": "Observation.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}]}, {**DONE, "valueBoolean": True}, [("structure", "Observation.value")]),
    ("Observation", {"id": "Observation.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}]}, {**DONE, "valueString": "a"}, []),
    ("Observation", {"id": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [BASE + "Patient"]}]}, {**DONE, "subject": {"reference": "Group/1"}}, [("structure", "Observation.subject")]),
    ("Observation", {"id": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [BASE + "Patient"]}]}, {**DONE, "subject": {"type": "Device"}}, [("structure", "Observation.subject")]),
    ("Observation", {"id": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [BASE + "Patient"]}]}, {**DONE, "subject": {"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}}, []),
    ("Observation", {"id": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [BASE + "Resource"]}]}, {**DONE, "subject": {"reference": "Group/1"}}, []),
    ("Observation", {"id": "Observation.subject", "type": [{"code": "Reference", "aggregation": ["contained"]}]}, {**DONE, "subject": {"reference": "Patient/1"}}, [("structure", "Observation.subject")]),
    ("Observation", {"id": "Observation.subject", "type": [{"code": "Reference", "aggregation": ["referenced"]}]},
     {**DONE, "contained": [{**PATIENT, "id": "p"}], "subject": {"reference": "#p"}}, [("structure", "Observation.subject")]),
    ("Observation", {"id": "Observation.value[x]", "type": [{"code": "Quantity", "profile": [BASE + "SimpleQuantity"]}]}, {**DONE, "valueQuantity": {"value": 1, "comparator": "<"}},
     [("invariant", "Observation.value"), ("structure", "Observation.value.comparator")]),
    ("Observation", {"id": "Observation.value[x]", "type": [{"code": "Quantity", "profile": [BASE + "SimpleQuantity", BASE + "MoneyQuantity"]}]}, {**DONE, "valueQuantity": {"value": 1, "comparator": "<"}},
     [("structure", "Observation.value")]),
    ("Observation", {"id": "Observation.contained", "type": [{"code": "Patient"}]}, {**DONE, "contained": [{"resourceType": "Group", "id": "g", "type": "person", "actual": True}]}, [("structure", "Observation.contained[0]")]),
    # constraints
    ("Patient", {"id": "Patient", "constraint": [{"key": "p-1", "severity": "error", "human": "a", "expression": "name.exists() or identifier.exists()"}]}, PATIENT, [("invariant", "Patient")]),
    ("Patient", {"id": "Patient.name", "constraint": [{"key": "p-1", "severity": "error", "human": "a", "expression": "text.exists() or %resource.active"}]}, {**PATIENT, **NAMED, "active": False},
     [("invariant", "Patient.name[0]")]),
    ("Patient", {"id": "Patient", "constraint": [{"key": "p-1", "severity": "warning", "human": "a", "expression": "false"}]}, PATIENT, []),
    ("Patient", {"id": "Patient", "constraint": [{"key": "p-1", "severity": "error", "human": "a", "expression": "nonsense("}]}, PATIENT, []),
    ("Patient", {"id": "Patient", "constraint": [{"key": "p-1", "severity": "error", "human": "a", "expression": "contact.all(conformsTo('http://hl7.org/fhir/StructureDefinition/Patient'))"}]},
     {**PATIENT, "contact": [{"gender": "male"}]}, [("invariant", "Patient")]),
    # a place that another place of the definition speaks for
    ("Questionnaire", {"id": "Questionnaire.item.text", "min": 1}, {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group", "text": "a", "item": [
        {"linkId": "2", "type": "group", "text": "b", "item": [{"linkId": "3", "type": "string"}]}]}]}, [("required", "Questionnaire.item[0].item[0].item[0].text")]),
    ("Observation", {"id": "Observation.referenceRange.text", "min": 1}, {**DONE, "component": [{"code": {"text": "a"}, "referenceRange": [{"low": {"value": 1}}]}]},
     [("required", "Observation.component[0].referenceRange[0].text")]),
]


@pytest.mark.parametrize("type, element, resource, issues", RULES, ids=lambda x: x.get("id") if isinstance(x, dict) else None)
def test_each_rule_tells_what_breaks_it_and_where(type, element, resource, issues):
    assert judged(resource, defined("p", type, element)) == issues


@pytest.mark.parametrize("text, element, resource", [
    ("name is missing; there must be at least 1. (http://example.org/p/p)", {"id": "Patient.name", "min": 1}, PATIENT),
    ('gender must be exactly "male", not "female". (http://example.org/p/p)', {"id": "Patient.gender", "fixedCode": "male"}, {**PATIENT, "gender": "female"}),
    ("name may be there 1 times, not 2. (http://example.org/p/p)", {"id": "Patient.name", "max": "1"}, {**PATIENT, "name": [{"text": "a"}, {"text": "b"}]}),
])
def test_a_message_says_what_would_be_right_and_by_which_profile(text, element, resource):
    from app.fhir import profile
    assert [i.text for i in profile.check(resource, (HERE + "p",), profile.Library([defined("p", "Patient", element)], profile.known()))] == [text]


class TestDerivedProfiles:
    named = defined("named", "Patient", {"id": "Patient.name", "min": 1}, {"id": "Patient.gender", "min": 1})

    def test_it_holds_what_it_is_derived_from(self):
        one = defined("one", "Patient", {"id": "Patient.name", "max": "1"}, base=HERE + "named")
        assert judged(PATIENT, one, self.named) == [("required", "Patient.name"), ("required", "Patient.gender")]
        assert judged({**PATIENT, "gender": "male", "name": [{"text": "a"}, {"text": "b"}]}, one, self.named) == [("structure", "Patient.name")]

    def test_a_snapshot_alone_serves(self):
        whole = defined("whole", "Patient") | {"snapshot": {"element": [{"id": "Patient", "path": "Patient", "constraint": [
            {"key": "dom-9", "severity": "error", "human": "a", "expression": "false", "source": BASE + "DomainResource"}]}, {"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "*"}]}}
        del whole["differential"]
        assert judged(PATIENT, whole) == [("required", "Patient.name")]

    def test_one_that_is_derived_from_what_is_not_known_says_so_or_has_a_snapshot(self):
        lone = defined("lone", "Patient", {"id": "Patient.gender", "min": 1}, base="http://example.org/gone")
        assert judged(PATIENT, lone, severities=("warning", "error")) == [("not-found", "Patient"), ("required", "Patient.gender")]
        whole = lone | {"snapshot": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "*"}]}}
        assert judged(PATIENT, whole, severities=("warning", "error")) == [("required", "Patient.name")]

    def test_profiles_that_are_derived_from_each_other_end(self):
        a, b = defined("a", "Patient", {"id": "Patient.name", "min": 1}, base=HERE + "b"), defined("b", "Patient", {"id": "Patient.gender", "min": 1}, base=HERE + "a")
        assert set(judged(PATIENT, a, b)) == {("required", "Patient.name"), ("required", "Patient.gender")}


class TestWhatReferencesLeadTo:
    named = defined("named", "Patient", {"id": "Patient.name", "min": 1})
    study = defined("o", "Observation", {"id": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [HERE + "named"]}]})

    @pytest.mark.parametrize("contained, issues", [({"name": [{"text": "a"}]}, []), ({}, [("structure", "Observation.subject")])])
    def test_a_contained_resource_is_held_to_the_profile_of_the_reference(self, contained, issues):
        assert judged({**DONE, "contained": [{**PATIENT, "id": "p", **contained}], "subject": {"reference": "#p"}}, self.study, self.named) == issues

    def test_what_is_not_here_is_held_to_the_type_alone(self):
        assert judged({**DONE, "subject": {"reference": "Patient/1"}}, self.study, self.named) == []
        assert judged({**DONE, "subject": {"reference": "Device/1"}}, self.study, self.named) == [("structure", "Observation.subject")]

    def test_in_a_bundle_its_own_entries_are_meant(self):
        resource = {**DONE, "meta": {"profile": [HERE + "o"]}, "subject": {"reference": "Patient/1"}}
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "http://x.org/Patient/1", "resource": {**PATIENT, "id": "1"}}, {"resource": resource}]}
        assert judged(bundle, self.study, self.named, by=BASE + "Bundle") == [("structure", "Bundle.entry[1].resource.subject")]

    def test_resources_that_refer_to_each_other_end(self):
        linked = defined("linked", "Patient", {"id": "Patient.link.other", "type": [{"code": "Reference", "targetProfile": [HERE + "linked"]}]}, {"id": "Patient.name", "min": 1})
        resource = {**PATIENT, "name": [{"text": "a"}], "link": [{"type": "seealso", "other": {"reference": "#"}}]}
        assert judged(resource, linked) == [] and judged({**resource, "name": []}, linked)[0] == ("structure", "Patient.link[0].other")


def test_a_profile_of_another_type_is_told():
    assert judged(PATIENT, defined("o", "Observation")) == [("structure", "Patient")]
    assert judged(PATIENT, by=BASE + "Observation") == [("structure", "Patient")]


def test_what_is_contained_or_bundled_is_held_to_what_it_claims():
    named = defined("named", "Patient", {"id": "Patient.name", "min": 1})
    claims = {**PATIENT, "id": "p", "meta": {"profile": [HERE + "named"]}}
    assert judged({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {**DONE, "contained": [claims]}}]}, named, by=BASE + "Bundle") == [
        ("required", "Bundle.entry[0].resource.contained[0].name")]
    assert judged({**PATIENT, "meta": {"profile": ["http://example.org/none", HERE + "named|7"]}}, named, by=BASE + "Patient", severities=("warning", "error")) == [("not-found", "Patient.meta.profile")] * 2
