"""What addresses, headers and views mean. http://hl7.org/fhir/R4/http.html"""
import pytest

from app.errors import Absent, Invalid, NotAllowed
from app.rest import call, interactions
from app.rest.call import Target


@pytest.mark.parametrize("path, target", [
    ("", Target("")), ("/", Target("")), ("metadata", Target("m")), ("_history", Target("h")), ("_search", Target("s")), ("$op", Target("$", operation="op")),
    ("Patient", Target("T", "Patient")), ("Patient/", Target("T", "Patient")), ("Patient/_search", Target("Ts", "Patient")), ("Patient/_history", Target("Th", "Patient")),
    ("Patient/$op", Target("T$", "Patient", operation="op")), ("Patient/1", Target("Ti", "Patient", "1")), ("Patient/metadata", Target("Ti", "Patient", "metadata")),
    ("Patient/Patient", Target("Ti", "Patient", "Patient")), ("Patient/1/_history", Target("Tih", "Patient", "1")), ("Patient/1/_history/2", Target("Tihv", "Patient", "1", "2")),
    ("Patient/1/$op", Target("Ti$", "Patient", "1", operation="op")), ("Patient/1/*", Target("Ti*", "Patient", "1")), ("Patient/1/*/_search", Target("Ti*s", "Patient", "1")),
    ("Patient/1/Observation", Target("TiT", "Patient", "1", other="Observation")), ("Patient/1/Patient/_search", Target("TiTs", "Patient", "1", other="Patient")),
    ("Patient/metadata/_history/1", Target("Tihv", "Patient", "metadata", "1")),
])
def test_an_address_names_its_parts(path, target):
    assert interactions.target(path) == target


@pytest.mark.parametrize("path", ["x", "Patient/1/x", "Patient//1", "//", "Patient/1/_history/1/1", "Patient/_x", "*", "Patient/*", "Patient/1/Observation/1", "_history/_history", "$", "Parameters/1"])
def test_other_addresses_are_absent(path):
    with pytest.raises(Absent):
        interactions.target(path)


def test_every_shape_has_a_path_for_links():
    assert interactions.target("Patient/1/*/_search").path == "Patient/1/*"
    assert interactions.target("Patient/1/Observation/_search").path == "Patient/1/Observation"
    assert interactions.target("Patient/1/_history").path == "Patient/1/_history"
    assert interactions.target("_search").path == "" and interactions.target("_history").path == "_history"


def test_what_a_type_never_has_is_not_allowed_anywhere():
    for path, method in (("AuditEvent/1", "PUT"), ("AuditEvent", "DELETE"), ("Binary/1", "PATCH"), ("metadata", "POST"), ("Patient/1", "BREW")):
        with pytest.raises(NotAllowed) as refused:
            interactions.allowed(interactions.target(path), method)
        assert method not in refused.value.headers["Allow"].split(", ")
    assert interactions.allowed(interactions.target("Patient/1"), "HEAD").code == "read"


@pytest.mark.parametrize("header, expected", [
    (None, ("", True)), ("", ("", True)), ("return=minimal", ("minimal", True)), ("Return=representation", ("representation", True)), ("return=OperationOutcome", ("OperationOutcome", True)),
    ("return=operationoutcome", ("", True)), ("handling=lenient", ("", False)), ("handling=strict", ("", True)), ("respond-async, return=minimal; x=1", ("minimal", True)),
    ("return=minimal, return=representation", ("minimal", True)), ('handling="lenient"; return = "minimal"', ("minimal", False)), ("=;,=", ("", True)),
])
def test_known_preferences_are_kept(header, expected):
    assert tuple(call.prefer(header))[:2] == expected


@pytest.mark.parametrize("header, expected", [(None, ()), ('W/"3"', ("3",)), ('"3"', ("3",)), ("3", ("3",)), ("*", ("*",)), ('W/"1", W/"2"', ("1", "2")), ('W/"a b"', ("a b",))])
def test_entity_tags_name_versions(header, expected):
    assert call.versions(header) == expected


@pytest.mark.parametrize("header", ["", " ", ",", " , "])
def test_an_empty_entity_tag_is_refused(header):
    with pytest.raises(Invalid):
        call.versions(header)


def test_a_view_is_what_is_asked():
    assert call.view([]).plain and call.view([("_summary", "false"), ("_pretty", "false"), ("_elements", "")]).plain
    assert call.view([("_elements", "name, id,,text")]).elements == ("name", "id", "text")
    assert call.view([("_summary", "text")]).summary == "text" and call.view([("_pretty", "true")]).pretty
