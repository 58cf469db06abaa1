"""Which concept is above which, and what a code is. https://hl7.org/fhir/R4/codesystem.html#hierarchy"""
from __future__ import annotations

import pytest

from app.fhir.codesystem import System

NESTED = [{"code": "A", "concept": [{"code": "B", "concept": [{"code": "C"}]}, {"code": "D"}]}]


def system(concept, **more) -> System:
    return System({"url": "urn:x", "concept": concept, **more})


@pytest.mark.parametrize("meaning", [None, "is-a", "classified-with"])
def test_nesting_subsumes(meaning):
    held = system(NESTED, **({"hierarchyMeaning": meaning} if meaning else {}))
    assert held.below("B") == {"B", "C"} and held.above("C") == {"A", "B", "C"} and held.below("A") == set("ABCD") and held.above("A") == {"A"}


@pytest.mark.parametrize("meaning", ["part-of", "grouped-by"])
def test_parts_and_groups_do_not(meaning):
    held = system(NESTED, hierarchyMeaning=meaning)
    assert held.below("A") == {"A"} and set(held.concepts) == set("ABCD")


@pytest.mark.parametrize("code", ["parent", "subsumedBy"])
def test_a_property_gives_a_second_parent_and_a_circle_of_them_ends(code):
    held = system([*NESTED, {"code": "E", "property": [{"code": code, "valueCode": "D"}, {"code": code, "valueCode": "F"}]}, {"code": "F", "property": [{"code": code, "valueCode": "E"}]}])
    assert held.above("E") == {"E", "F", "D", "A"} and held.below("F") == {"F", "E"} and held.below("D") == {"D", "E", "F"}


def test_children_are_told_by_a_property_too_and_one_that_is_no_concept_is_left_out():
    held = system([{"code": "A", "property": [{"code": "child", "valueCode": "B"}, {"code": "child", "valueCode": "nowhere"}]}, {"code": "B"}])
    assert held.below("A") == {"A", "B"}


def test_case_counts_only_where_the_system_says_so():
    assert system(NESTED, caseSensitive=True).find("b") is None
    assert system(NESTED, caseSensitive=False).find("b")["code"] == system(NESTED).find("b")["code"] == "B"
