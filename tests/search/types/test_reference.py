"""References and uris. https://hl7.org/fhir/R4/search.html#reference and #uri"""
import pytest

from app import errors
from ..judge import found

BOTH = ("Group", "Patient")


def reference(text: str, **more):
    return ({"reference": text, **more}, "Reference")


@pytest.mark.parametrize("stored, text, expected", [
    ("Patient/23", "23", True), ("Patient/23", "Patient/23", True), ("Patient/23", "http://test/fhir/Patient/23", True), ("http://test/fhir/Patient/23", "Patient/23", True),
    ("http://test/fhir/Patient/23", "http://test/fhir/Patient/23", True), ("http://other/fhir/Patient/23", "Patient/23", False),
    ("http://other/fhir/Patient/23", "http://other/fhir/Patient/23", True), ("Patient/23", "Group/23", False), ("Group/23", "23", True), ("Patient/23", "2", False),
    ("Patient/23/_history/2", "Patient/23", True), ("Patient/23/_history/2", "23", True), ("Patient/23/_history/2", "Patient/23/_history/2", True),
    ("Patient/23/_history/2", "Patient/23/_history/3", False), ("Patient/23", "Patient/23/_history/3", False), ("#p", "p", False),
    ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", True),
])
def test_a_reference_is_found_by_id_by_type_and_by_url(stored, text, expected):
    assert found("reference", text, reference(stored), targets=BOTH) is expected


def test_a_type_as_modifier_limits_what_an_id_means():
    assert found("reference", "23", reference("Patient/23"), modifier="Patient", targets=BOTH)
    assert found("reference", "Patient/23", reference("Patient/23"), modifier="Patient", targets=BOTH)
    assert not found("reference", "23", reference("Group/23"), modifier="Patient", targets=BOTH)
    with pytest.raises(errors.Invalid):
        found("reference", "Group/23", reference("Group/23"), modifier="Patient", targets=BOTH)
    with pytest.raises(errors.Unsupported):
        found("reference", "23", reference("Patient/23"), modifier="Device", targets=BOTH)


def test_identifier_searches_the_references_identifier_as_a_token():
    subject = ({"identifier": {"system": "http://acme.org/fhir/identifier/mrn", "value": "123456"}}, "Reference")
    assert found("reference", "http://acme.org/fhir/identifier/mrn|123456", subject, modifier="identifier", targets=BOTH)
    assert found("reference", "123456", subject, modifier="identifier", targets=BOTH)
    assert not found("reference", "|123456", subject, modifier="identifier", targets=BOTH)
    assert not found("reference", "123456", subject, targets=BOTH)


@pytest.mark.parametrize("value", [{"display": "张伟"}, {"identifier": {"value": "1"}}, {"reference": "#p"}, {"reference": "Patient/1"}])
def test_a_reference_without_a_literal_is_a_value_too(value):
    assert found("reference", "false", (value, "Reference"), modifier="missing", targets=BOTH)


@pytest.mark.parametrize("text", ["a b", "", "张", "x" * 65])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(errors.Invalid):
        found("reference", text, reference("Patient/1"), targets=BOTH)


def test_a_canonical_is_found_with_its_version_and_without():
    stored = ("http://acme.org/fhir/PlanDefinition/a|1.0", "canonical")
    assert found("reference", "http://acme.org/fhir/PlanDefinition/a", stored, targets=("PlanDefinition",))
    assert found("reference", "http://acme.org/fhir/PlanDefinition/a\\|1.0", stored, targets=("PlanDefinition",))
    assert found("reference", "http://acme.org/fhir/PlanDefinition/a|1.0", stored, targets=("PlanDefinition",))
    assert not found("reference", "http://acme.org/fhir/PlanDefinition/a|2.0", stored, targets=("PlanDefinition",))


def test_a_canonical_of_this_server_is_found_by_its_id_too():
    assert found("reference", "a", ("http://test/fhir/PlanDefinition/a|1.0", "canonical"), targets=("PlanDefinition",))


@pytest.mark.parametrize("stored, text, modifier, expected", [
    ("http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/ValueSet/123", "", True), ("http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/valueset/123", "", False),
    ("http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/ValueSet/12", "", False), ("urn:oid:1.2.3.4.5", "urn:oid:1.2.3.4.5", "", True),
    ("http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/", "below", True), ("http://acme.org/other/ValueSet/123", "http://acme.org/fhir/", "below", False),
    ("http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/ValueSet/123/_history/5", "above", True),
    ("http://acme.org/fhir", "http://acme.org/fhir/ValueSet/123/_history/5", "above", True),
    ("http://acme.org/fhir/ValueSet/1", "http://acme.org/fhir/ValueSet/123/_history/5", "above", False),
])
def test_a_uri_is_whole_unless_above_or_below_is_asked_for(stored, text, modifier, expected):
    assert found("uri", text, (stored, "uri"), modifier=modifier) is expected


def test_above_and_below_are_not_for_urns():
    with pytest.raises(errors.Invalid):
        found("uri", "urn:oid:1.2", ("urn:oid:1.2.3", "uri"), modifier="below")
