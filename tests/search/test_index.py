"""Index rows of whole resources. https://hl7.org/fhir/R4/searchparameter-registry.html"""
from __future__ import annotations

import pytest

from app.fhir import definitions, json
from app.search import index, parameters, types
from app.search.query import Row

ZONE, BASE = "Asia/Shanghai", "http://test/fhir"


def rows(resource: dict, code: str) -> list[tuple]:
    """(system, code, text) of the rows of a parameter."""
    name = f"{resource['resourceType']}.{code}"
    return [(r.system, r.code, r.text) for r in index.rows(resource, ZONE, BASE) if r.param == name]


def test_a_required_code_has_the_system_of_its_value_set():
    assert rows({"resourceType": "Patient", "gender": "male"}, "gender") == [("http://hl7.org/fhir/administrative-gender", "male", None)]
    assert rows({"resourceType": "Patient", "gender": "no such code"}, "gender") == [("", "no such code", None)]


def test_a_parameter_reads_only_the_elements_of_its_expression():
    telecom = [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@example.org"}]
    patient = {"resourceType": "Patient", "telecom": telecom}
    assert rows(patient, "phone") == [("", "1", None)]
    assert rows(patient, "email") == [("", "a@example.org", None)]
    assert rows(patient, "telecom") == [("", "1", None), ("", "a@example.org", None)]


def test_where_resolve_is_patient_is_told_from_the_reference():
    def codes(subject):
        return [code for _, code, _ in rows({"resourceType": "Observation", "subject": subject}, "patient")]
    assert codes({"reference": "Patient/1"}) == ["Patient/1"]
    assert codes({"reference": f"{BASE}/Patient/1"}) == ["Patient/1"]
    assert codes({"reference": "http://other/fhir/Patient/1"}) == ["http://other/fhir/Patient/1"]
    assert codes({"reference": "Group/1"}) == []
    assert codes({"identifier": {"value": "1"}, "type": "Patient"}) == [None]
    assert codes({"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "type": "Patient"}) == ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"]


def test_a_contained_resource_is_no_target_but_counts_as_a_value():
    observation = {"resourceType": "Observation", "contained": [{"resourceType": "Patient", "id": "p"}], "subject": {"reference": "#p"}}
    assert rows(observation, "patient") == [(None, None, None)]


def test_a_composite_keeps_the_components_of_one_element_in_one_group():
    def part(code, value):
        return {"code": {"coding": [{"system": "s", "code": code}], "text": "t"}, "valueQuantity": {"value": value, "unit": "u"}}
    found = index.rows({"resourceType": "Observation", "component": [part("a", 1), part("b", 2), {"code": {"coding": [{"code": "c"}]}}]}, ZONE)
    groups: dict[int, list] = {}
    for row in found:
        if row.param.startswith("Observation.component-code-value-quantity/"):
            groups.setdefault(row.group, []).append((row.param[-1], row.code, row.low))
    assert list(groups.values()) == [[("0", "a", None), ("1", None, 1.0)], [("0", "b", None), ("1", None, 2.0)]]
    assert 0 not in groups


def test_a_composite_may_reach_to_the_resource():
    sequence = {"resourceType": "MolecularSequence", "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}, "windowStart": 1, "windowEnd": 9}, "variant": [{"start": 3, "end": 4}]}
    found = [(r.param, r.code, r.low) for r in index.rows(sequence, ZONE) if r.param.startswith("MolecularSequence.chromosome-variant-coordinate/")]
    assert found == [("MolecularSequence.chromosome-variant-coordinate/0", "1", None), ("MolecularSequence.chromosome-variant-coordinate/1", None, 3.0),
                     ("MolecularSequence.chromosome-variant-coordinate/2", None, 4.0)]


def test_the_parts_of_a_composite_that_the_definitions_name_the_wrong_way_round_are_read_by_their_expressions():
    document = {"resourceType": "DocumentReference", "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/1"}}]}
    assert rows(document, "relationship/0") == [("http://hl7.org/fhir/document-relationship-type", "replaces", None)]
    assert rows(document, "relationship/1") == [(None, "DocumentReference/1", None)]


def test_the_first_entry_of_a_document_is_its_composition():
    bundle = {"resourceType": "Bundle", "type": "document", "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}, {"resource": {"resourceType": "Composition", "id": "d"}}]}
    assert rows(bundle, "composition") == [(None, "Composition/c", None)]
    assert rows(bundle, "message") == []


def test_an_extension_is_searched_by_its_value():
    url = "http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName"
    assert rows({"resourceType": "Patient", "extension": [{"url": url, "valueString": "王"}, {"url": "http://example.org/x", "valueString": "李"}]}, "mothersMaidenName") == [(None, "王", "王")]


def test_deceased_is_true_for_a_date_and_false_for_nothing():
    assert rows({"resourceType": "Patient", "deceasedDateTime": "2020"}, "deceased") == [("", "true", None)]
    assert rows({"resourceType": "Patient", "deceasedBoolean": False}, "deceased") == [("", "false", None)]
    assert rows({"resourceType": "Patient"}, "deceased") == [("", "false", None)]


def test_rows_are_not_repeated():
    patient = {"resourceType": "Patient", "identifier": [{"value": "1"}, {"value": "1"}]}
    assert index.rows(patient, ZONE).count(Row("Patient.identifier", 0, "", "1")) == 1


@pytest.mark.parametrize("resource", [
    {"resourceType": "Patient"},
    {"resourceType": "Patient", "name": [{}, {"given": [None, "a"], "_given": [{"id": "x"}, None]}], "_birthDate": {"extension": [{"url": "u", "valueCode": "unknown"}]}},
    {"resourceType": "Patient", "identifier": [{"type": {"text": "x"}}, {"type": {"coding": [{}]}, "value": "1"}], "communication": [{"language": {}}], "telecom": [{"system": "phone"}]},
    {"resourceType": "Observation", "valueQuantity": {"comparator": "<"}, "effectiveTiming": {}, "subject": {}, "code": {}, "component": [{"valuePeriod": {}}]},
    {"resourceType": "Observation", "effectiveDateTime": "2023-02-30", "valueQuantity": {"value": json.Number("1e99999")}},
    {"resourceType": "Location", "position": {"latitude": json.Number("1e99999"), "longitude": 10**400}}, {"resourceType": "Bundle", "entry": [{}]}, {"resourceType": "Bundle", "entry": []}, {"resourceType": "RiskAssessment", "prediction": [{"probabilityRange": {"low": {"unit": "x"}}}]},
    {"resourceType": "Encounter", "period": {"start": "2024-05-02", "end": "2024-05-01"}, "length": {"unit": "h"}},
])
def test_odd_content_does_not_fail(resource):
    assert isinstance(index.rows(resource, ZONE, BASE), list)


def test_every_base_parameter_is_served_or_refused_for_a_known_reason():
    refused = {(type, code) for type in parameters.TYPES for code in definitions.parameters(type) if code not in parameters.of(type)}
    assert {code for _, code in refused} == {"_query", "age", "birthOrderBoolean", "_text", "_content"}
    assert {pair for pair in refused if pair[1] in ("_text", "_content")} == {("AuditEvent", "_text"), ("AuditEvent", "_content")}
    assert {pair for pair in refused if pair[1] in ("age", "birthOrderBoolean")} == {("Patient", "age"), ("Patient", "birthOrderBoolean")}


def test_every_served_parameter_can_have_rows():
    for type in parameters.TYPES:
        for param in parameters.of(type).values():
            assert param.code in (*parameters.STAMPED, "_text", "_content") or param.components or param.kinds, param.name
            assert param.type != "reference" or param.targets, param.name


def test_only_these_data_types_are_left_out_by_their_parameters():
    """The specification gives search no meaning on them: a string that stands for a date, an age without a birth date, a sampled curve, an attachment."""
    from app.search.paths import Branch, Unfit, ends
    left = set()
    for type in parameters.TYPES:
        for code, param in parameters.of(type).items():
            if not param.kinds or code in parameters.STAMPED:
                continue
            try:
                left |= {(param.type, end.type) for end in ends(Branch(), type, definitions.parameters(type)[code].expression)
                         if end.type not in types.TYPES[param.type].READERS and not param.name.startswith(("Observation.gene", "Observation.dna", "Observation.amino", "Device.din",
                                                                                                            "DiagnosticReport.assessed", "Patient.mothers"))}
            except Unfit:
                assert (param.name, param.kinds) == ("Patient.deceased", {"boolean"})
    assert left == {("date", "string"), ("date", "Age"), ("date", "Range"), ("reference", "Attachment")}
