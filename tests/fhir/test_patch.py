"""Patches, by hand from RFC 6902 and from http://hl7.org/fhir/R4/fhirpatch.html with the cases that HL7 publishes for it."""
import copy

import pytest

from app.errors import Failure, Invalid, TooLarge, Unprocessable
from app.fhir import json
from app.fhir.patch import fhirpath_patch, json_patch


def part(name: str, key: str = "", value=None, **more) -> dict:
    return {"name": name, **({key: value} if key else {}), **more}


def operation(type: str, path: str, *parts: dict) -> dict:
    return {"name": "operation", "part": [part("type", "valueCode", type), part("path", "valueString", path), *parts]}


def patched(resource: dict, *operations: dict) -> dict:
    """The result of a FHIRPath Patch on a Patient; the input and the patch stay as they were."""
    resource = {"resourceType": "Patient", **resource}
    patch = {"resourceType": "Parameters", "parameter": list(operations)}
    before = copy.deepcopy((resource, patch))
    try:
        result = fhirpath_patch(resource, patch)
    finally:
        assert (resource, patch) == before
    assert result.pop("resourceType") == "Patient"
    return result


def refused(resource: dict, *operations: dict) -> str:
    with pytest.raises(Failure) as raised:
        patched(resource, *operations)
    assert raised.value.status in (400, 422) and raised.value.issues[0].expression.startswith("Parameters.parameter[")
    return str(raised.value)


CONTACT = {"contact": [{"name": {"text": "a name"}, "gender": "male"}]}
IDENTIFIERS = [{"system": "http://example.org", "value": f"value {i}"} for i in (1, 2, 3, 4)]


def test_no_operations_change_nothing():
    assert patched({"birthDate": "1920-01-01"}) == {"birthDate": "1920-01-01"}


def test_a_primitive_is_replaced_deleted_and_added():
    date = part("value", "valueDate", "1930-01-01")
    assert patched({"birthDate": "1920-01-01"}, operation("replace", "Patient.birthDate", date)) == {"birthDate": "1930-01-01"}
    assert patched({"birthDate": "1920-01-01"}, operation("delete", "Patient.birthDate")) == {}
    assert patched({}, operation("add", "Patient", part("name", "valueString", "birthDate"), date)) == {"birthDate": "1930-01-01"}


def test_a_nested_primitive_is_replaced():
    assert patched(CONTACT, operation("replace", "Patient.contact[0].gender", part("value", "valueCode", "female")))["contact"][0]["gender"] == "female"
    assert patched(CONTACT, operation("replace", "Patient.contact[0].name.text", part("value", "valueString", "the name")))["contact"][0]["name"] == {"text": "the name"}


def test_an_element_that_is_empty_after_a_delete_goes_too():
    assert patched(CONTACT, operation("delete", "Patient.contact[0].gender")) == {"contact": [{"name": {"text": "a name"}}]}
    assert patched(CONTACT, operation("delete", "Patient.contact[0].name.text")) == {"contact": [{"gender": "male"}]}
    assert patched({"contact": [{"name": {"text": "x"}}]}, operation("delete", "Patient.contact.name.text")) == {}


def test_a_nested_primitive_is_added():
    given = {"contact": [{"name": {"text": "a name"}}]}
    assert patched(given, operation("add", "Patient.contact[0]", part("name", "valueString", "gender"), part("value", "valueCode", "male"))) == CONTACT


def test_a_complex_element_is_added_replaced_with_its_id_and_deleted():
    married, single = {"text": "married"}, {"id": "2", "text": "not married"}
    assert patched({}, operation("add", "Patient", part("name", "valueString", "maritalStatus"), part("value", "valueCodeableConcept", married))) == {"maritalStatus": married}
    assert patched({"maritalStatus": {"id": "1", "text": "married"}}, operation("replace", "Patient.maritalStatus", part("value", "valueCodeableConcept", single))) == {"maritalStatus": single}
    assert patched({"maritalStatus": married}, operation("delete", "Patient.maritalStatus")) == {}


def test_an_anonymous_element_is_built_of_parts():
    value = part("value", part=[part("name", "valueHumanName", {"text": "a name"}),
                                part("relationship", "valueCodeableConcept", {"text": "one"}), part("relationship", "valueCodeableConcept", {"text": "two"})])
    result = patched({}, operation("add", "Patient", part("name", "valueString", "contact"), value))
    assert result == {"contact": [{"name": {"text": "a name"}, "relationship": [{"text": "one"}, {"text": "two"}]}]}
    assert patched(result, operation("delete", "Patient.contact[0]")) == {}


def test_parts_build_named_types_too_and_nest():
    name = part("value", part=[part("family", "valueString", "Wu"), part("period", part=[part("start", "valueDateTime", "2020")])])
    assert patched({}, operation("add", "Patient", part("name", "valueString", "name"), name)) == {"name": [{"family": "Wu", "period": {"start": "2020"}}]}


def test_add_appends_to_a_list_and_makes_one():
    value = part("value", "valueIdentifier", IDENTIFIERS[2])
    assert patched({"identifier": IDENTIFIERS[:2]}, operation("add", "Patient", part("name", "valueString", "identifier"), value)) == {"identifier": IDENTIFIERS[:3]}
    assert patched({}, operation("add", "Patient", part("name", "valueString", "identifier"), value)) == {"identifier": [IDENTIFIERS[2]]}


@pytest.mark.parametrize("index, order", [(0, [3, 0, 1]), (1, [0, 3, 1]), (2, [0, 1, 3])])
def test_insert_puts_an_element_at_an_index(index, order):
    done = patched({"identifier": IDENTIFIERS[:2]}, operation("insert", "Patient.identifier", part("index", "valueInteger", index), part("value", "valueIdentifier", IDENTIFIERS[3])))
    assert done["identifier"] == [IDENTIFIERS[i] for i in order]


@pytest.mark.parametrize("moves, order", [
    ([(3, 1)], [0, 3, 1, 2]), ([(3, 0)], [3, 0, 1, 2]), ([(3, 2)], [0, 1, 3, 2]), ([(0, 3)], [1, 2, 3, 0]),
    ([(1, 0), (2, 1)], [1, 2, 0, 3]), ([(3, 0), (3, 1), (3, 2)], [3, 2, 1, 0]), ([(2, 2)], [0, 1, 2, 3]),
])
def test_move_reorders_a_list(moves, order):
    done = patched({"identifier": IDENTIFIERS}, *[operation("move", "Patient.identifier", part("source", "valueInteger", s), part("destination", "valueInteger", d)) for s, d in moves])
    assert done["identifier"] == [IDENTIFIERS[i] for i in order]


def test_operations_follow_each_other():
    done = patched({"identifier": IDENTIFIERS[:1]}, operation("delete", "Patient.identifier[0]"),
                   operation("add", "Patient", part("name", "valueString", "identifier"), part("value", "valueIdentifier", IDENTIFIERS[1])),
                   operation("replace", "Patient.identifier[0].value", part("value", "valueString", "x")))
    assert done == {"identifier": [{"system": "http://example.org", "value": "x"}]}


def test_a_path_may_select():
    done = patched({"identifier": IDENTIFIERS}, operation("replace", "Patient.identifier.where(value = 'value 3').system", part("value", "valueUri", "urn:x")))
    assert [i["system"] for i in done["identifier"]] == ["http://example.org", "http://example.org", "urn:x", "http://example.org"]


def test_delete_of_nothing_is_fine():
    assert patched({"active": True}, operation("delete", "Patient.birthDate")) == {"active": True}


def test_a_choice_takes_any_of_its_types():
    assert patched({}, operation("add", "Patient", part("name", "valueString", "deceased"), part("value", "valueBoolean", False))) == {"deceasedBoolean": False}
    done = patched({"deceasedBoolean": True, "active": True}, operation("replace", "Patient.deceased", part("value", "valueDateTime", "2020")))
    assert list(done.items()) == [("deceasedDateTime", "2020"), ("active", True)]
    assert "one of boolean, dateTime" in refused({}, operation("add", "Patient", part("name", "valueString", "deceased"), part("value", "valueString", "yes")))


def test_lists_of_primitives_stay_aligned_with_what_stands_beside_them():
    given = {"name": [{"given": ["A", "B"], "_given": [None, {"id": "b"}]}]}
    value = part("value", "valueString", "C")
    path = "Patient.name.given"
    assert patched(given, operation("insert", path, value, part("index", "valueInteger", 0)))["name"][0] == {"given": ["C", "A", "B"], "_given": [None, None, {"id": "b"}]}
    assert patched(given, operation("move", path, part("source", "valueInteger", 1), part("destination", "valueInteger", 0)))["name"][0] == {"given": ["B", "A"], "_given": [{"id": "b"}, None]}
    assert patched(given, operation("delete", f"{path}[1]"))["name"][0] == {"given": ["A"]}
    assert patched(given, operation("delete", f"{path}[0]"))["name"][0] == {"given": ["B"], "_given": [{"id": "b"}]}
    assert patched(given, operation("replace", f"{path}[1]", value))["name"][0] == {"given": ["A", "C"]}
    assert patched(given, operation("add", "Patient.name", part("name", "valueString", "given"), value))["name"][0] == {"given": ["A", "B", "C"], "_given": [None, {"id": "b"}, None]}


def test_an_extension_is_added_to_a_primitive_and_deleted():
    extension = {"url": "http://example.org/e", "valueString": "x"}
    value = part("value", part=[part("url", "valueUri", "http://example.org/e"), part("value", "valueString", "x")])  # R4 has no valueExtension
    added = patched({"birthDate": "1974"}, operation("add", "Patient.birthDate", part("name", "valueString", "extension"), value))
    assert added == {"birthDate": "1974", "_birthDate": {"extension": [extension]}}
    assert patched(added, operation("delete", "Patient.birthDate.extension('http://example.org/e')")) == {"birthDate": "1974"}
    assert patched(added, operation("delete", "Patient.birthDate")) == {}


def test_a_contained_resource_is_added_and_changed():
    contained = {"resourceType": "Organization", "id": "o", "name": "A"}
    added = patched({}, operation("add", "Patient", part("name", "valueString", "contained"), part("value", resource=contained)))
    assert added == {"contained": [contained]}
    assert patched(added, operation("replace", "Patient.contained[0].name", part("value", "valueString", "B")))["contained"][0]["name"] == "B"


def test_numbers_keep_their_text():
    resource = json.loads(b'{"resourceType":"Observation","valueQuantity":{"value":1.50}}')
    patch = json.loads(b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Observation"},'
                       b'{"name":"name","valueString":"component"},{"name":"value","part":[{"name":"value","valueQuantity":{"value":2e1}}]}]}]}')
    assert json.dumps(fhirpath_patch(resource, patch)) == b'{"resourceType":"Observation","valueQuantity":{"value":1.50},"component":[{"valueQuantity":{"value":2e1}}]}'


BIRTH = part("value", "valueDate", "2001")


@pytest.mark.parametrize("bad", [
    operation("add", "Patient.name.period", part("name", "valueString", "end"), part("value", "valueDateTime", "2021")),
    operation("replace", "Patient.birthDate", BIRTH),
    operation("replace", "Patient.identifier", part("value", "valueIdentifier", {})),
    operation("replace", "Patient", part("value", "valueString", "x")),
    operation("delete", "Patient"),
    operation("delete", "Patient.identifier"),
    operation("delete", "'a' | 'b'.first()"),
    operation("replace", "Patient.identifier.count()", part("value", "valueInteger", 1)),
    operation("replace", "Patient.identifier[0].value.value", part("value", "valueString", "x")),
    operation("add", "Patient", part("name", "valueString", "colour"), BIRTH),
    operation("add", "Patient", part("name", "valueString", "active"), part("value", "valueBoolean", True)),
    operation("add", "Patient", part("name", "valueString", "birthDate"), part("value", "valueInteger", 1)),
    operation("add", "Patient", part("name", "valueString", "birthDate"), part("value", part=[part("x", "valueString", "y")])),
    operation("add", "Patient", part("name", "valueString", "birthDate")),
    operation("add", "Patient", part("name", "valueString", "birthDate"), part("value")),
    operation("add", "Patient", part("name", "valueString", "birthDate"), part("value", "valueDate", "2001", valueString="x")),
    operation("add", "Patient", part("name", "valueString", "name"), part("value", "valueHumanName", "x")),
    operation("add", "Patient", part("name", "valueString", "contact"), part("value", part=[part("colour", "valueString", "y")])),
    operation("add", "Patient", part("name", "valueString", "id"), part("value", "valueId", "b")),
    operation("replace", "Patient.id", part("value", "valueId", "b")),
    operation("delete", "Patient.id"),
    operation("insert", "Patient.identifier", part("value", "valueIdentifier", {"value": "5"})),
    operation("insert", "Patient.identifier", part("value", "valueIdentifier", {"value": "5"}), part("index", "valueInteger", 5)),
    operation("insert", "Patient.identifier", part("value", "valueIdentifier", {"value": "5"}), part("index", "valueInteger", -1)),
    operation("insert", "Patient.identifier", part("value", "valueIdentifier", {"value": "5"}), part("index", "valueString", "1")),
    operation("insert", "Patient.identifier", part("value", "valueString", "5"), part("index", "valueInteger", 1)),
    operation("insert", "Patient.name", part("value", "valueHumanName", {"text": "x"}), part("index", "valueInteger", 0)),
    operation("insert", "Patient.active", part("value", "valueBoolean", True), part("index", "valueInteger", 0)),
    operation("insert", "Patient.identifier[0]", part("value", "valueIdentifier", {"value": "5"}), part("index", "valueInteger", 0)),
    operation("move", "Patient.identifier", part("source", "valueInteger", 4), part("destination", "valueInteger", 0)),
    operation("move", "Patient.identifier", part("source", "valueInteger", 0), part("destination", "valueInteger", 4)),
    operation("move", "Patient.identifier.value", part("source", "valueInteger", 0), part("destination", "valueInteger", 1)),
    operation("move", "Patient.identifier", part("source", "valueInteger", 0)),
    operation("delete", "Patient.birthDate", BIRTH),
    operation("delete", "Patient.birthDate", part("path", "valueString", "Patient.birthDate")),
    operation("delete", "Patient.("),
    operation("delete", ""),
    operation("jump", "Patient"),
    operation("delete", "Patient.managingOrganization.resolve()"),
    {"name": "operation"}, {"name": "operation", "part": "x"}, {"name": "operation", "part": [7]}, {"name": "other", "part": []}, {}, 7,
])
def test_what_cannot_be_applied_is_refused_with_its_index(bad):
    given = {"id": "a", "active": True, "identifier": IDENTIFIERS, "managingOrganization": {"reference": "Organization/1"}}
    assert "operation 1" in refused(given, operation("delete", "Patient.birthDate"), bad)


@pytest.mark.parametrize("path", [
    "Patient" + ".select($this.combine($this))" * 60,
    "Patient.repeat(%resource.descendants())" + ".combine(%resource.descendants())" * 200,
    "(" * 5000 + "Patient" + ")" * 5000,
    "Patient" + ".descendants()" * 1400,
    "Patient.identifier.where('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$'))" + ".where('x'.matches('(x?){50}x{50}'))" * 20,
    "Patient.aggregate('x', 'y')" + ".select($this & $this)" * 60,
])
def test_a_hostile_path_is_refused_or_answered_soon(path):
    with pytest.raises(Failure):
        patched({"identifier": IDENTIFIERS}, operation("replace", path, BIRTH))


def test_a_patch_is_a_parameters_resource_of_bounded_length():
    with pytest.raises(Invalid):
        fhirpath_patch({"resourceType": "Patient"}, {"resourceType": "Patient"})
    with pytest.raises(Invalid):
        fhirpath_patch({"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": {}})
    with pytest.raises(TooLarge):
        fhirpath_patch({"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": [{}] * 1001})


PATIENT = {"resourceType": "Patient", "id": "a", "name": [{"family": "A", "given": ["x", "y"]}], "active": True}


def test_json_patch_has_the_six_operations_and_changes_no_input():
    before = copy.deepcopy(PATIENT)
    done = json_patch(PATIENT, [
        {"op": "test", "path": "/name/0/family", "value": "A"}, {"op": "add", "path": "/gender", "value": "male"}, {"op": "replace", "path": "/active", "value": False},
        {"op": "copy", "from": "/name/0", "path": "/name/-"}, {"op": "move", "from": "/name/0/given/0", "path": "/name/0/given/1"}, {"op": "remove", "path": "/name/1/family"}])
    assert done == {"resourceType": "Patient", "id": "a", "name": [{"family": "A", "given": ["y", "x"]}, {"given": ["x", "y"]}], "active": False, "gender": "male"}
    assert PATIENT == before


def test_json_patch_keeps_the_text_of_numbers():
    resource = json.loads(b'{"resourceType":"Observation","valueQuantity":{"value":1.50},"component":[{"valueQuantity":{"value":1e2}}]}')
    done = json_patch(resource, json.parse(b'[{"op":"copy","from":"/component/0","path":"/component/-"},{"op":"add","path":"/component/0/valueQuantity/value","value":2.0},'
                                           b'{"op":"test","path":"/valueQuantity/value","value":1.5}]'))
    assert json.dumps(done) == b'{"resourceType":"Observation","valueQuantity":{"value":1.50},"component":[{"valueQuantity":{"value":2.0}},{"valueQuantity":{"value":1e2}}]}'


def test_json_patch_leaves_no_empty_list_behind_what_it_removes():
    assert json_patch(PATIENT, [{"op": "remove", "path": "/name/0"}]) == {"resourceType": "Patient", "id": "a", "active": True}
    assert json_patch(PATIENT, [{"op": "remove", "path": "/name/0"}, {"op": "add", "path": "/name/0", "value": {"family": "B"}}])["name"] == [{"family": "B"}]
    assert json_patch(PATIENT, [{"op": "add", "path": "/telecom", "value": []}])["telecom"] == []


@pytest.mark.parametrize("operation", [
    {"op": "test", "path": "/active", "value": 1}, {"op": "test", "path": "/active", "value": False}, {"op": "test", "path": "/nothing", "value": None},
    {"op": "remove", "path": "/nothing"}, {"op": "remove", "path": ""}, {"op": "remove", "path": "/name/7"}, {"op": "remove", "path": "/name/00"}, {"op": "remove", "path": "/name/x"},
    {"op": "replace", "path": "/gender", "value": "male"}, {"op": "replace", "path": "/id", "value": "b"}, {"op": "replace", "path": "/resourceType", "value": "Group"},
    {"op": "replace", "path": "", "value": 7}, {"op": "replace", "path": "", "value": [PATIENT]}, {"op": "remove", "path": "/id"},
    {"op": "add", "path": "/name/3", "value": {}}, {"op": "add", "path": "/a/b", "value": 1}, {"op": "add", "path": "/active/b", "value": 1}, {"op": "add", "path": "/name/" + "9" * 5000, "value": 1},
    {"op": "move", "from": "/name", "path": "/name/0"}, {"op": "move", "from": "/nothing", "path": "/x"}, {"op": "copy", "from": "/nothing", "path": "/x"}, {"op": "copy", "from": "/active/x", "path": "/x"},
])
def test_a_json_patch_that_cannot_be_applied_is_unprocessable(operation):
    with pytest.raises(Unprocessable):
        json_patch(PATIENT, [operation])


@pytest.mark.parametrize("operation", [
    {}, 7, None, "add", [], {"op": "jump", "path": "/a"}, {"op": "add", "path": "/a"}, {"op": "test", "path": "/active"}, {"op": "add", "value": 1}, {"op": 7, "path": "/a"},
    {"op": "add", "path": "a", "value": 1}, {"op": "add", "path": 7, "value": 1}, {"op": "add", "path": "/~2", "value": 1}, {"op": "copy", "path": "/a"}, {"op": "move", "path": "/a"},
])
def test_what_is_no_json_patch_is_invalid_and_names_its_index(operation):
    with pytest.raises(Invalid) as raised:
        json_patch(PATIENT, [{"op": "test", "path": "/id", "value": "a"}, operation])
    assert "operation 1" in str(raised.value) and raised.value.issues[0].expression == "[1]"


@pytest.mark.parametrize("operations", [
    [{"op": "copy", "from": "/name", "path": "/name/-"}] * 60, [{"op": "copy", "from": "", "path": "/x"}] * 200, [{"op": "add", "path": "/x", "value": 1}] * 5001,
    [{"op": "add", "path": "/x", "value": {"a": {}}}, *[{"op": "move", "from": "/x", "path": "/y"}, {"op": "add", "path": "/x", "value": {}}, {"op": "move", "from": "/y", "path": "/x/z"}] * 400],
])
def test_a_json_patch_cannot_grow_a_resource_without_bound(operations):
    with pytest.raises(Failure) as raised:
        json_patch(PATIENT, operations)
    assert raised.value.status in (413, 422)
