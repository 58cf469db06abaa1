"""What the quick look calls right, the whole validation finds nothing wrong with: https://hl7.org/fhir/R4/validation.html"""
from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fhir import definitions, json, sure, validate
from tests.fhir.test_invariants import BROKEN, DONE, KEPT, full
from tests.rest import examples

RIGHT = [*KEPT, DONE, *(examples.keeping(type, examples.minimal(type)) for type in definitions.RESOURCE_TYPES), *(full(type, 1) for type in definitions.RESOURCE_TYPES), {"resourceType": "Patient", "id": "a", "birthDate": "1990-02-03", "gender": "female", "name": [{"family": "虚", "given": ["构"]}],
                                  "managingOrganization": {"reference": "Organization/o"}, "identifier": [{"system": "urn:x", "value": "1", "period": {"start": "2020", "end": "2021"}}]}]
ODD = [None, "", " ", "x", "#x", "Patient/1", "Device/1", "2020-02-30", 0, -1, True, [], {}, [None], [[]], {"id": "a"}, {"reference": "Patient/1"}, {"reference": "#x"}, {"system": "urn:x", "code": "y"},
       {"coding": [{"system": "http://hl7.org/fhir/administrative-gender", "code": "x"}]}, {"start": "2021", "end": "2020"}, {"text": "x"}, [{"text": "x"}], {"value": 1, "code": "g"}]


def _right(resource) -> bool:
    return sure.resource(resource)[0]


@pytest.mark.parametrize("resource, key, place", BROKEN, ids=[f"{key}-{n}" for n, (_, key, _) in enumerate(BROKEN)])
def test_what_breaks_an_invariant_is_not_sure(resource, key, place):
    assert not _right(json.loads(json.dumps(resource)))


def test_most_of_what_is_right_is_sure():
    """A quick look that is sure of nothing would be right too."""
    known = [json.loads(json.dumps(each)) for each in RIGHT]
    valid = [each for each in known if not validate.by_r4(each)]
    alone = [each for each in valid if "contained" not in each and each["resourceType"] not in ("Bundle", "Parameters")]
    assert len(valid) > 100 and sum(map(_right, alone)) > 0.9 * len(alone)


def _places(value, above=()):
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*above, key)
        yield from _places(item, (*above, key))


@settings(max_examples=1500)
@given(st.data())
def test_what_is_sure_is_right_however_it_is_changed(data):
    resource = json.loads(json.dumps(data.draw(st.sampled_from(RIGHT))))
    for _ in range(data.draw(st.integers(1, 2))):
        places = list(_places(resource))
        *above, key = data.draw(st.sampled_from(places))
        holder = resource
        for step in above:
            holder = holder[step]
        how = data.draw(st.sampled_from(("odd", "away", "twice", "beside", "other")))
        if how == "odd":
            holder[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
        elif how == "away":
            del holder[key]
        elif how == "twice" and isinstance(holder[key], list):
            holder[key] = holder[key] * 2
        elif how == "beside" and isinstance(key, str):
            holder["_" + key] = {"id": "a"}
        elif how == "other" and isinstance(key, str):
            *there, name = data.draw(st.sampled_from([place for place in places if isinstance(place[-1], str)]))
            value = resource
            for step in (*there, name):
                value = value[step] if isinstance(value, dict) and step in value or isinstance(value, list) and step < len(value) else None
                if value is None:
                    break
            holder[name] = copy.deepcopy(value)
        if not resource:
            break
    if _right(resource):
        assert validate.by_r4(resource) == []


@pytest.mark.parametrize("depth, right", [(59, True), (60, False)])
def test_nesting_is_counted_as_the_whole_validation_counts_it(depth, right):
    item = {"linkId": "0", "type": "string"}
    for n in range(1, depth):
        item = {"linkId": str(n), "type": "group", "item": [item]}
    form = {"resourceType": "Questionnaire", "status": "draft", "item": [item]}
    assert (_right(form), validate.by_r4(form) == []) == (right, right)


def test_claims_and_extensions_are_told():
    assert sure.resource(DONE) == (True, False)
    for more in ({"meta": {"profile": ["urn:x"]}}, {"extension": [{"url": "urn:x", "valueString": "a"}]}, {"subject": {"display": "a", "extension": [{"url": "urn:x", "valueString": "a"}]}}):
        assert sure.resource({**DONE, **more}) == (True, True)


@pytest.mark.parametrize("resource", [None, [], {}, {"resourceType": None}, {"resourceType": []}, {"resourceType": "Foo"}, {"resourceType": "Resource"}])
def test_what_is_no_resource_is_not_sure(resource):
    assert sure.resource(resource) == (False, False) and sure.resource(DONE, "Patient") == (False, False)
