"""Which representation is sent, and which bodies are read. http://hl7.org/fhir/R4/http.html#mime-type, RFC 7231 section 5.3"""
import pytest

from app.errors import NotAcceptable, WrongMedia
from app.rest import negotiation
from app.rest.negotiation import FHIR


@pytest.mark.parametrize("accept, sent", [
    (None, FHIR),
    ("", FHIR),
    ("*/*", FHIR),
    ("application/*", FHIR),
    ("application/fhir+json", FHIR),
    ("APPLICATION/FHIR+JSON", FHIR),
    ("application/json", "application/json"),
    ("text/json", "text/json"),
    ("text/*", "text/json"),
    ("application/json+fhir", "application/json+fhir"),
    ("application/json, text/plain, */*", "application/json"),
    ("application/fhir+xml;q=1.0, application/fhir+json;q=0.5", FHIR),
    ("application/fhir+json;q=0.5, application/json;q=0.9", "application/json"),
    ("application/json;q=0.5, application/fhir+json;q=0.5", FHIR),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FHIR),
    ("application/fhir+json;q=0, */*", "application/json"),
    ("application/fhir+json; charset=utf-8", FHIR),
    ("application/fhir+json; charset=\"UTF-8\"", FHIR),
    ("application/fhir+json; fhirVersion=4.0", FHIR),
    ("application/fhir+json; fhirVersion=3.0, application/fhir+json; fhirVersion=4.0", FHIR),
    ("application/fhir+json;q=2", FHIR),
])
def test_the_best_of_what_is_accepted_is_sent(accept, sent):
    assert negotiation.representation(accept, None) == sent


@pytest.mark.parametrize("accept", [
    "application/fhir+xml", "application/xml", "text/html", "image/png", "application/fhir+json;q=0", "*/*;q=0", "application/fhir+json; charset=gb18030",
    "application/fhir+json; fhirVersion=3.0", "application/fhir+turtle", "nonsense", ";;;", "application/", "application/fhir+json;q=x",
])
def test_what_cannot_be_sent_is_not_acceptable(accept):
    with pytest.raises(NotAcceptable):
        negotiation.representation(accept, None)


@pytest.mark.parametrize("format, sent", [
    ("json", FHIR), ("application/fhir+json", FHIR), ("application/fhir json", FHIR), ("application/json", "application/json"), ("text/json", "text/json"),
    ("application/fhir+json;fhirVersion=4.0", FHIR),
])
def test_format_overrides_accept(format, sent):
    assert negotiation.representation("application/fhir+xml", format) == sent


@pytest.mark.parametrize("format", ["xml", "text/xml", "application/fhir+xml", "ttl", "text/turtle", "html", "text/html", "", "json/x/y", "JSONx",
                                    "application/fhir+json;fhirVersion=3.0"])
def test_an_unknown_format_is_not_acceptable(format):
    with pytest.raises(NotAcceptable):
        negotiation.representation("application/fhir+json", format)


@pytest.mark.parametrize("header", ["application/fhir+json", "application/json", "text/json", "application/json+fhir", "application/fhir+json;charset=UTF-8",
                                    "Application/JSON ; charset = utf-8", "application/fhir+json; fhirVersion=4.0"])
def test_a_body_in_json_and_utf8_is_read(header):
    assert negotiation.content(header, *negotiation.JSON) in negotiation.JSON


@pytest.mark.parametrize("header", [None, "", "application/fhir+xml", "text/plain", "application/fhir+json; charset=gbk", "application/fhir+json; fhirVersion=3.0",
                                    "application", "multipart/form-data; boundary=x", "*/*"])
def test_another_body_is_refused_with_what_is_read(header):
    with pytest.raises(WrongMedia) as refused:
        negotiation.content(header, *negotiation.JSON)
    assert refused.value.headers["Accept-Post"].startswith("application/fhir+json")


def test_a_refused_patch_says_which_patches_are_read():
    with pytest.raises(WrongMedia) as refused:
        negotiation.content("application/xml-patch+xml", negotiation.PATCH, *negotiation.JSON)
    assert refused.value.headers["Accept-Patch"].startswith("application/json-patch+json")


@pytest.mark.parametrize("header, wanted", [
    (None, False), ("", False), ("gzip", True), ("GZIP", True), ("gzip;q=0", False), ("identity", False), ("br, gzip;q=0.5", True), ("*", True),
    ("*;q=0", False), ("gzip;q=0, *", False),
])
def test_an_answer_is_compressed_only_where_gzip_is_taken(header, wanted):
    assert negotiation.gzip_wanted(header) is wanted


@pytest.mark.parametrize("accept, format, own", [
    (None, None, True), ("*/*", None, True), ("image/png", None, True), ("application/json", None, True), ("application/fhir+json", None, False),
    ("application/fhir+json;q=0.5, image/png", None, True), ("application/fhir+json, image/png;q=0.5", None, False), ("*/*", "json", False),
])
def test_a_binary_goes_out_as_itself_unless_fhir_is_asked_for(accept, format, own):
    assert negotiation.native(accept, format) is own
