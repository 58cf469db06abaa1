"""Structure of resources. https://hl7.org/fhir/R4/validation.html, datatypes.html, json.html, narrative.html"""
from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from app.fhir import definitions, json
from app.fhir.validate import structure, validate


def found(resource) -> list[tuple[str, str]]:
    """(code, expression) of each issue."""
    return [(i.code, i.expression) for i in validate(resource)]


def patient(**more) -> dict:
    return {"resourceType": "Patient", **more}


def contains(*resources) -> dict:
    return patient(contained=[*resources], managingOrganization={"reference": "#o"})


def observation(**more) -> dict:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


def document(subject: str) -> dict:
    """A bundle that holds a Patient (urn:uuid:a), an Observation of what is named, and a Medication (urn:uuid:b)."""
    held = ("urn:uuid:a", patient()), ("urn:uuid:c", observation(subject={"reference": subject})), ("urn:uuid:b", {"resourceType": "Medication"})
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": url, "resource": resource} for url, resource in held]}


def valued(key: str, text: str) -> dict:
    return json.loads(b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"' + key.encode() + b'":' + text.encode() + b"}")


def test_a_right_resource_has_no_issues():
    assert found(patient(id="p", active=True, name=[{"use": "official", "family": "欧阳", "given": ["明"]}], gender="female", birthDate="1990-02-28", deceasedBoolean=False,
                         contact=[{"relationship": [{"text": "母亲"}], "name": {"text": "李华"}}], multipleBirthInteger=2)) == []


@pytest.mark.parametrize("resource, issues", [
    ({}, [("structure", "Resource")]), ({"resourceType": "Patinet"}, [("structure", "Resource")]), ({"resourceType": 7}, [("structure", "Resource")]),
    ({"resourceType": "DomainResource"}, [("structure", "Resource")]),
    (patient(nmae=[]), [("structure", "Patient.nmae")]), (patient(name={"family": "x"}), [("structure", "Patient.name")]), (patient(name=[]), [("structure", "Patient.name")]),
    (patient(active=[True]), [("structure", "Patient.active")]), (patient(active="true"), [("value", "Patient.active")]), (patient(active=None), [("structure", "Patient.active")]),
    (patient(name=[{}]), [("structure", "Patient.name[0]")]), (patient(name=["x"]), [("structure", "Patient.name[0]")]), (patient(name=[{"family": ""}]), [("value", "Patient.name[0].family")]),
    (patient(name=[{"given": ["a", None]}]), [("structure", "Patient.name[0].given[1]")]),
    (patient(gender="m"), [("code-invalid", "Patient.gender")]), (patient(deceasedBoolean=True, deceasedDateTime="2020"), [("structure", "Patient.deceased")]),
    (patient(link=[{"type": "seealso"}]), [("required", "Patient.link[0].other")]), (patient(contact=[{"name": {"familly": "x"}}]), [("structure", "Patient.contact[0].name.familly")]),
    ({"resourceType": "Observation"}, [("required", "Observation.status"), ("required", "Observation.code")]),
    (observation(subject={"reference": "Medication/1"}), [("structure", "Observation.subject")]), (observation(subject={"reference": "http://x/fhir/Medication/1/_history/2"}), [("structure", "Observation.subject")]),
    (observation(subject={"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}), []), (observation(subject={"reference": "Patient?identifier=1"}), []),
    ({"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"reference": "Patient/1"}}, [("required", "MedicationRequest.medication[x]")]),
    (contains({"resourceType": "Organization", "id": "o", "name": 5}), [("value", "Patient.contained[0].name")]),
    (contains({"resourceType": "Organization", "id": "o", "name": "x"}), []), (contains({"resourceType": "Organization", "name": "x"}), [("required", "Patient.contained[0].id"), ("invariant", "Patient.managingOrganization")]),
    (contains({"resourceType": "Organization", "id": "o", "name": "x"}, {"resourceType": "Organization", "id": "o", "name": "y"}), [("duplicate", "Patient.contained[1].id")]),
    (contains({"resourceType": "Organization", "id": "o", "name": "x", "contained": [{"resourceType": "Location", "id": "l", "partOf": {"reference": "#"}}]}), [("invariant", "Patient")]),
    (contains({"resourceType": "Location", "id": "o", "name": "x"}), [("structure", "Patient.managingOrganization")]),
    (observation(subject={"reference": "#"}), []), (observation(subject={"reference": "Patient/1", "type": "Patient"}), []), (observation(subject={"type": "Medication"}), [("structure", "Observation.subject")]),
    (observation(subject={"reference": "Patient/1", "type": "http://hl7.org/fhir/StructureDefinition/Patient"}), []), (observation(subject={"reference": "Patient/1", "type": "Group"}), [("structure", "Observation.subject.type")]),
    (observation(focus=[{"reference": "Patient/1", "type": "Group"}]), [("structure", "Observation.focus[0].type")]), (observation(focus=[{"reference": "http://x.example/documents/7", "type": "Group"}]), []),
    (document("urn:uuid:a"), []), (document("urn:uuid:b"), [("structure", "Bundle.entry[1].resource.subject")]),
    (patient(extension=[{"url": "urn:x", "valueString": "a", "extension": [{"url": "urn:y", "valueString": "b"}]}]), [("invariant", "Patient.extension[0]")]),
    (patient(extension=[{"valueString": "a"}]), [("required", "Patient.extension[0].url")]), (patient(extension=[{"url": "urn:x"}]), [("invariant", "Patient.extension[0]")]),
])
def test_each_issue_has_its_code_and_place(resource, issues):
    assert found(resource) == issues


@pytest.mark.parametrize("resource, text", [
    ({"resourceType": "Observation", "code": {"text": "x"}}, "status is missing; Observation must have it: one of amended, cancelled, corrected, entered-in-error, final, preliminary, registered, unknown."),
    ({"resourceType": "Observation", "status": "final"}, 'code is missing; Observation must have it: an object (CodeableConcept) such as {"coding": [{"system": "http://loinc.org", "code": "718-7"}], "text": "..."}.'),
    (patient(link=[{"type": "seealso"}]), "other is missing; Patient.link must have it: a Reference to a Patient or RelatedPerson."),
    ({"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"reference": "Patient/1"}},
     "medication[x] is missing; MedicationRequest must have it: one of medicationCodeableConcept, medicationReference."),
    ({"resourceType": "Composition", "status": "final", "type": {"text": "x"}, "date": "2026", "title": "x"}, "author is missing; Composition must have it: a list, each a Reference to a "
     "Device or Organization or Patient or Practitioner or PractitionerRole or RelatedPerson."),
    (patient(managingOrganization="Organization/1"), """'Organization/1' stands where an object (Reference) belongs, such as {"reference": "Patient/1"}."""),
    (patient(nmae=[]), "Patient has no element 'nmae'; did you mean 'name'?"), (patient(name={"text": "x"}), "name is a list, even of one."), (patient(birthDate=["2000"]), "birthDate holds one value, not a list."),
    (patient(gender="M"), "'M' is no code of http://hl7.org/fhir/ValueSet/administrative-gender; it may be female, male, other, unknown."),
    (patient(birthDate="1990/1/2"), "'1990/1/2' is not a date that there is: YYYY, YYYY-MM or YYYY-MM-DD, such as 2026-02-03."),
    (observation(issued="2026-02-03T08:30:00"), "'2026-02-03T08:30:00' is not a date and time with seconds and a zone, such as 2026-02-03T08:30:00+08:00."),
    (observation(subject={"reference": "Medication/1"}), "A Medication cannot be referred to here; a Device or Group or Location or Patient can."),
    (patient(contact=[{"gender": "male"}]), "pat-1: SHALL at least contain a contact's details or a reference to an organization"),
])
def test_a_message_says_what_is_wrong_and_what_would_be_right(resource, text):
    assert [i.text for i in validate(resource)] == [text]


def test_all_issues_are_told_at_once():
    assert len(found(patient(active="x", gender="y", birthDate="z", nope=1))) == 4


@pytest.mark.parametrize("key, good, bad", [
    ("valueInteger", ["0", "-2147483648", "2147483647"], ["2147483648", "1.0", '"1"', "true", "1e2"]),
    ("valueDateTime", ['"2026"', '"2026-02"', '"2024-02-29"', '"2026-02-03T04:05:06Z"', '"2026-02-03T23:59:60.123+08:00"'],
     ['"2026-13"', '"2026-02-30"', '"2023-02-29"', '"2026-02-03T04:05"', '"2026-02-03T04:05:06"', '"26"', '"2026-2-3"', "2026", '"2026-02-03T24:00:00Z"']),
    ("valueTime", ['"08:30:00"'], ['"8:30:00"', '"08:30"', '"24:00:00"']),
    ("valueBoolean", ["true", "false"], ['"true"', "0", "{}"]), ("valueString", ['"a"'], ['""', '" "', "5", "[]"]),
    ("issued", ['"2026-02-03T04:05:06.7Z"'], ['"2026-02-03"', '"2026-02-30T04:05:06Z"']), ("id", ['"a-1.B"'], ['"a_1"', '"' + "a" * 65 + '"', '""']),
    ("language", ['"zh-CN"'], ['"zh CN "']), ("implicitRules", ['"urn:x"'], ['"a b"']),
    ("valueQuantity", ['{"value":1.10}', '{"value":1e2}', '{"value":-0}'], ['{"value":"1"}', "5"]),
])
def test_primitives_keep_their_formats_and_limits(key, good, bad):
    for text in good:
        assert found(valued(key, text)) == [], text
    for text in bad:
        assert [c for c, _ in found(valued(key, text))] in (["value"], ["structure"]), text


@pytest.mark.parametrize("data, good", [("QUJD", True), ("QUI=", True), ("QQ==", True), ("QU JD\n", True), ("QUJ", False), ("Q===", False), ("QU=D", False), ("é", False)])
def test_base64_is_whole(data, good):
    assert (found({"resourceType": "Binary", "contentType": "text/plain", "data": data}) == []) is good


class TestPrimitiveExtensions:
    extension = {"extension": [{"url": "urn:x", "valueString": "a"}]}

    def test_a_value_may_be_missing_where_an_extension_stands(self):
        assert found(observation(_status=self.extension)) == [] and found({"resourceType": "Observation", "_status": self.extension, "code": {"text": "x"}}) == []

    def test_null_keeps_the_places_of_a_list(self):
        assert found(patient(name=[{"given": ["a", None], "_given": [None, self.extension]}])) == []

    @pytest.mark.parametrize("name", [{"_family": {"id": "x"}}, {"given": ["a", None], "_given": [None, {"id": "x"}]}, {"given": ["a"], "_given": [None, {"id": "x"}]}, {"given": ["a"], "_given": {"id": "x"}}, {"family": "a", "_family": [{"id": "x"}]}, {"_given": [None]}])
    def test_lists_that_do_not_fit_are_refused(self, name):
        assert [c for c, _ in found(patient(name=[name]))][:1] == ["structure"]


@pytest.mark.parametrize("div, good", [
    ('<div xmlns="http://www.w3.org/1999/xhtml"><p>张 &amp; <b>x</b></p></div>', True), ("<div><img src='#a'/></div>", True), ("<div> </div>", False), ("<p>x</p>", False),
    ("<div><script>1</script></div>", False), ("<div onclick='x'>a</div>", False), ("<div><a href='javascript:x'>a</a></div>", False), ("<div>a", False), ("<div>a</div><div>b</div>", False),
    ("<div>a & b</div>", False), ("<div><p>a</div>", False), ("<div>a&nbsp;b</div>", False), ("<div>a&#160;b&lt;</div>", True), ("<div>a<br>b</div>", False), ("<div>a<br/>b</div>", True)])
def test_a_narrative_is_one_div_without_anything_active(div, good):
    assert (found(patient(text={"status": "generated", "div": div})) == []) is good


@pytest.mark.parametrize("end", ["", "</div>", ">"])
@pytest.mark.parametrize("part", ["<!--", "<?", "</", "<![CDATA[", "<![x]", "<![if x]", "<!DOCTYPE", "<!", "<a b='"])
def test_a_narrative_of_unfinished_parts_is_refused_at_once(part, end):
    start = time.perf_counter()
    assert found(patient(text={"status": "generated", "div": "<div>x" + part * 50_000 + end})) == [("value", "Patient.text.div")]
    assert time.perf_counter() - start < 2


def test_a_bundles_entries_are_validated_in_their_place():
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}, {"resource": patient(gender="x")}]}
    assert found(bundle) == [("code-invalid", "Bundle.entry[1].resource.gender")]


@pytest.mark.parametrize("url, id, good", [
    ("https://h.example/fhir/Patient/1", "1", True), ("https://h.example/fhir/Patient/2", "1", False), ("https://h.example/fhir/Group/1", "1", False), ("https://h.example/fhir/Patient/1", None, True), ("https://h.example/fhir/Group/1", None, False),
    ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "1", True), ("https://h.example/people/2", "1", True)])
def test_a_full_url_agrees_with_the_resource_of_its_entry(url, id, good):
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": url, "resource": patient(**{"id": id} if id else {})}]}
    assert found(bundle) == ([] if good else [("value", "Bundle.entry[0].fullUrl")])


def test_required_codings_are_held_against_their_value_set():
    resource = {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}, "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "alive"}]}}
    assert found(resource) == [("code-invalid", "AllergyIntolerance.clinicalStatus.coding[0].code")]


@pytest.mark.parametrize("type", definitions.ENDPOINT_TYPES)
def test_every_type_compiles(type):
    assert all(i.code == "required" for i in structure({"resourceType": type, "id": "x"})), structure({"resourceType": type, "id": "x"})
    assert {i.code for i in validate({"resourceType": type, "id": "x"}, warnings=True)} <= {"required", "invariant"}


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5), lambda v: st.lists(v, max_size=3) | st.dictionaries(
    st.sampled_from(["id", "name", "extension", "contained", "resourceType", "entry", "resource", "url", "text", "div", "_name", "coding", "code", "subject", "reference", "identifier"]) | st.text(max_size=3), v, max_size=4), max_leaves=25)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.sampled_from(definitions.RESOURCE_TYPES), st.dictionaries(st.sampled_from(["id", "name", "extension", "contained", "entry", "text", "identifier", "code", "status", "subject", "_status", "meta"]), json_values))
def test_any_json_is_judged_without_an_exception(type, content):
    validate({"resourceType": type, **content}, warnings=True)


def test_deep_nesting_ends():
    deep = {"url": "u", "valueString": "x"}
    for _ in range(500):
        deep = {"url": "u", "extension": [deep]}
    assert any("deeper" in i.text for i in validate(patient(extension=[deep])))
