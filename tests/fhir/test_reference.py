"""References, by hand from http://hl7.org/fhir/R4/references.html and the transaction rules of http://hl7.org/fhir/R4/http.html#trules."""
import copy

import pytest

from app.fhir import json
from app.fhir.reference import links, parse, rewrite, type_of, walk

UUID = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"


@pytest.mark.parametrize("text, parts", [
    ("Patient/1", {"type": "Patient", "id": "1"}),
    ("Patient/1/_history/2", {"type": "Patient", "id": "1", "version": "2"}),
    ("http://example.org/fhir/Patient/034AB16", {"type": "Patient", "id": "034AB16", "base": "http://example.org/fhir"}),
    ("https://example.org/a/b/Observation/1x2/_history/2", {"type": "Observation", "id": "1x2", "version": "2", "base": "https://example.org/a/b"}),
    ("http://here.example/fhir/Patient/1", {"type": "Patient", "id": "1"}),
    ("http://here.example/fhir/Patient?identifier=1", {"type": "Patient", "query": "identifier=1"}),
    ("Patient?identifier=http://a.example/x|12345", {"type": "Patient", "query": "identifier=http://a.example/x|12345"}),
    ("http://example.org/fhir/Patient?name=x", {"type": "Patient", "query": "name=x", "base": "http://example.org/fhir"}),
    ("Patient/1#part", {"type": "Patient", "id": "1", "fragment": "part"}),
    ("http://hl7.org/fhir/ValueSet/my-valueset|0.8", {"type": "ValueSet", "id": "my-valueset", "version": "0.8", "base": "http://hl7.org/fhir"}),
    ("http://hl7.org/fhir/ValueSet/my-valueset|0.8#vs1", {"type": "ValueSet", "id": "my-valueset", "version": "0.8", "base": "http://hl7.org/fhir", "fragment": "vs1"}),
    ("#med", {"fragment": "med"}), ("#", {}),
    (UUID, {"urn": UUID}), ("urn:oid:1.2.3", {"urn": "urn:oid:1.2.3"}), (UUID + "#x", {"urn": UUID, "fragment": "x"}),
    ("urn:other:1", {}), ("urn:uuid:1", {}), ("http://example.org/a/b", {}), ("Pateint/1", {}), ("Patient", {}), ("Patient/", {}), ("Patient/a b", {}), ("patient/1", {}),
    ("Patient/" + "a" * 65, {}), ("ftp://example.org/Patient/1", {}), ("/Patient/1", {}), ("", {}), ("http://here.example/fhir/http://other.example/Patient/1", {}),
])
def test_a_reference_is_taken_apart(text, parts):
    found = parse(text, "http://here.example/fhir/")
    assert {name: value for name in ("type", "id", "version", "base", "fragment", "query", "urn") if (value := getattr(found, name))} == parts
    assert found.text == text


def test_a_reference_is_local_without_a_base_or_under_our_own():
    assert parse("Patient/1").is_local and parse("http://h/fhir/Patient/1", "http://h/fhir").is_local
    assert not parse("http://h/fhir/Patient/1").is_local and not parse("http://h/fhir2/Patient/1", "http://h/fhir").is_local
    assert not parse(UUID).is_local and not parse("#x").is_local and parse("#x").is_contained


@pytest.mark.parametrize("text, type", [("Patient/1", "Patient"), ("http://x/Group/1/_history/2", "Group"), ("Patient?name=x", "Patient"), ("http://x/y?a=b", None), (UUID, None), ("#a", None), ("Foo/1", None)])
def test_a_reference_tells_its_type(text, type):
    assert type_of(text) == type


DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><a title="a > b" href="{0}">x</a> <img alt=\'\' src=\'{0}\'/> {0} <a name="n">y</a> <p title="href=&quot;{0}&quot;">z</p></div>'


def bundle(text: str) -> dict:
    """A resource with a reference wherever one may stand."""
    return {
        "resourceType": "Observation", "implicitRules": text, "text": {"status": "generated", "div": DIV.format(text)},
        "meta": {"source": text, "profile": [text]}, "language": text, "code": {"coding": [{"system": text, "code": text}], "text": text},
        "_status": {"extension": [{"url": "http://a.example", "valueUri": text}, {"url": "http://a.example", "valueReference": {"reference": text}}]},
        "extension": [{"url": "http://a.example", "valueUuid": text}, {"url": "http://a.example", "valueCanonical": text}, {"url": "http://a.example", "valueUrl": text}],
        "subject": {"reference": text, "display": text, "type": text}, "performer": [{"reference": "Practitioner/1"}, {"reference": text}],
        "contained": [{"resourceType": "PlanDefinition", "id": "p", "library": [text, "http://other.example"], "_library": [None, {"extension": [{"url": text, "valueCode": text}]}]}],
        "valueQuantity": {"value": json.Number("1.50"), "system": text},
    }


def test_everything_that_may_refer_is_found_with_its_path():
    found = [(path, value) for path, holder, key, value in walk(bundle(UUID)) if UUID in value]
    assert {path for path, _ in found} == {
        "Observation.implicitRules", "Observation.text.div", "Observation.meta.source", "Observation.meta.profile[0]", "Observation.code.coding[0].system",
        "Observation._status.extension[0].valueUri", "Observation._status.extension[1].valueReference.reference",
        "Observation.extension[0].valueUuid", "Observation.extension[1].valueCanonical", "Observation.extension[2].valueUrl",
        "Observation.subject.reference", "Observation.subject.type", "Observation.performer[1].reference", "Observation.contained[0].library[0]", "Observation.contained[0]._library[1].extension[0].url",
        "Observation.valueQuantity.system"}
    assert all(holder[key] == value for _, holder, key, value in walk(bundle(UUID)))


def test_references_uris_and_links_are_rewritten_but_no_canonicals_and_no_other_text():
    before = bundle(UUID)
    kept = copy.deepcopy(before)
    done = rewrite(before, {UUID: "Patient/1&2"}.get)
    assert before == kept
    expected = bundle("Patient/1&2")
    expected["text"]["div"] = DIV.format(UUID).replace(f'href="{UUID}"', 'href="Patient/1&amp;2"').replace(f"src='{UUID}'", "src='Patient/1&amp;2'")
    for path in (("meta", "profile", 0), ("language",), ("code", "coding", 0, "code"), ("code", "text"), ("extension", 1, "valueCanonical"), ("subject", "display"),
                 ("contained", 0, "library", 0), ("contained", 0, "_library", 1, "extension", 0, "valueCode")):
        holder, source = expected, before
        for step in path[:-1]:
            holder, source = holder[step], source[step]
        holder[path[-1]] = source[path[-1]]
    assert done == expected
    assert json.dumps(done).find(b'"value":1.50') > 0 and list(done) == list(before)


def test_uris_in_lists_and_in_contained_resources_are_rewritten():
    resource = {"resourceType": "Measure", "contained": [{"resourceType": "Library", "id": "x", "relatedArtifact": [{"type": "citation", "url": UUID}]}]}
    assert rewrite(resource, {UUID: "Library/1"}.get)["contained"][0]["relatedArtifact"][0]["url"] == "Library/1"
    communication = {"resourceType": "Communication", "instantiatesUri": ["http://a.example", UUID]}
    assert rewrite(communication, {UUID: "X/1"}.get)["instantiatesUri"] == ["http://a.example", "X/1"]


def test_a_conditional_reference_stands_in_reference_alone():
    text = "Patient?identifier=1"
    resource = {"resourceType": "Observation", "subject": {"reference": text}, "implicitRules": text, "text": {"div": f'<div><a href="{text}">x</a></div>'}}
    assert rewrite(resource, {text: "Patient/1"}.get) == {**resource, "subject": {"reference": "Patient/1"}}


def test_a_link_is_compared_without_its_escapes():
    resource = {"resourceType": "Patient", "text": {"div": '<div><a href="http://x.example/?a=1&amp;b=2">x</a><a href="http://x.example/a&amp;b">x</a></div>'}}
    assert rewrite(resource, {"http://x.example/a&b": "Patient/1"}.get)["text"]["div"] == '<div><a href="http://x.example/?a=1&amp;b=2">x</a><a href="Patient/1">x</a></div>'
    assert links(resource["text"]["div"]) == ["http://x.example/?a=1&b=2", "http://x.example/a&b"]


def test_what_has_nothing_to_rewrite_is_given_back_itself():
    resource = bundle(UUID)
    assert rewrite(resource, {}.get) is resource


def test_bundled_resources_are_walked_and_rewritten():
    resource = {"resourceType": "Bundle", "entry": [{"fullUrl": UUID, "resource": {"resourceType": "Observation", "subject": {"reference": UUID}}}]}
    assert [path for path, *_ in walk(resource)] == ["Bundle.entry[0].fullUrl", "Bundle.entry[0].resource.subject.reference"]
    other = {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Observation", "subject": {"reference": UUID}}}]}
    assert rewrite(other, {UUID: "Patient/1"}.get)["entry"][0] == {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Observation", "subject": {"reference": "Patient/1"}}}
    assert rewrite(resource, {UUID: "Patient/1"}.get) == resource, "within a bundle a fullUrl means its own entry"


@pytest.mark.parametrize("resource", [
    {}, {"resourceType": 7}, {"resourceType": "Nothing", "a": [{"b": "c"}]}, {"resourceType": "Patient", "name": "x", "contained": [7, None, {"resourceType": []}, {"resourceType": "X"}], "link": {"other": [[]]}},
    {"resourceType": "Patient", "_birthDate": 7, "": {}, "text": {"div": 7}, "generalPractitioner": {"reference": 7}, "implicitRules": [None, 7, UUID]},
])
def test_what_is_no_valid_resource_does_no_harm(resource):
    list(walk(resource))
    rewrite(resource, {}.get)


@pytest.mark.parametrize("div", ["<a " * 300_000, "<a \"" * 300_000, "<a href=" * 100_000, "<a href=\"" * 100_000, "<a " + "href " * 100_000, "<a " + " " * 300_000, "<a '" + "<a " * 100_000])
def test_a_hostile_narrative_takes_no_long_time(div):
    rewrite({"resourceType": "Patient", "text": {"div": div}}, {}.get)
