"""What value sets hold, from the standard's rules of composition. https://hl7.org/fhir/R4/valueset.html#compositions"""
from __future__ import annotations

import pytest

from app import errors
from app.fhir.codesystem import System
from app.fhir.valueset import EVERY, NOTHING, Codes, Terms

ANIMALS = System({"url": "urn:animals", "version": "2", "caseSensitive": True, "concept": [
    {"code": "animal", "concept": [
        {"code": "mammal", "display": "Mammal", "property": [{"code": "legs", "valueInteger": 4}], "concept": [
            {"code": "cat", "property": [{"code": "legs", "valueInteger": 4}, {"code": "pet", "valueBoolean": True}]},
            {"code": "whale", "property": [{"code": "legs", "valueInteger": 0}, {"code": "parent", "valueCode": "swimmer"}]}]},
        {"code": "swimmer", "property": [{"code": "child", "valueCode": "trout"}]},
        {"code": "trout"},
        {"code": "dodo", "property": [{"code": "status", "valueCode": "retired"}]}]}]})
ALL = {"animal", "mammal", "cat", "whale", "swimmer", "trout", "dodo"}


def terms(**sets) -> Terms:
    """The sets by their names, and the code system of animals."""
    return Terms(sets.get, lambda url: ANIMALS if url in ("urn:animals", "urn:animals|2") else None)


def composed(*include, exclude=(), **more) -> dict:
    return {"resourceType": "ValueSet", "compose": {"include": list(include), "exclude": list(exclude), **more}}


def expanded(*include, exclude=(), sets=None, **more) -> dict[str, Codes]:
    return terms(this=composed(*include, exclude=exclude, **more), **(sets or {})).expand("this")


def animals(*filters, **more) -> dict:
    return {"system": "urn:animals", **({"filter": [dict(zip(("property", "op", "value"), f)) for f in filters]} if filters else {}), **more}


def listed(system: str, *codes: str) -> dict:
    return {"system": system, "concept": [{"code": code} for code in codes]}


def test_listed_codes_need_no_content():
    assert expanded(listed("urn:x", "1", "2"), listed("urn:y", "1")) == {"urn:x": Codes("12"), "urn:y": Codes("1")}


def test_a_whole_system_is_its_codes_where_they_are_held_and_every_code_where_not():
    assert expanded(animals(), {"system": "urn:unheld"}) == {"urn:animals": Codes(ALL), "urn:unheld": EVERY}
    assert expanded(animals(version="2")) == {"urn:animals": Codes(ALL)} and expanded(animals(version="1")) == {"urn:animals": EVERY}


@pytest.mark.parametrize("filters, codes", [
    ([("concept", "is-a", "mammal")], {"mammal", "cat", "whale"}), ([("concept", "descendent-of", "mammal")], {"cat", "whale"}),
    ([("concept", "is-a", "swimmer")], {"swimmer", "whale", "trout"}), ([("concept", "is-not-a", "mammal")], ALL - {"mammal", "cat", "whale"}),
    ([("concept", "generalizes", "whale")], {"whale", "mammal", "swimmer", "animal"}), ([("concept", "is-a", "nothing")], set()),
    ([("legs", "=", "4")], {"mammal", "cat"}), ([("legs", "in", "0, 4")], {"mammal", "cat", "whale"}), ([("legs", "not-in", "4")], ALL - {"mammal", "cat"}),
    ([("legs", "exists", "false")], ALL - {"mammal", "cat", "whale"}), ([("pet", "=", "true")], {"cat"}), ([("display", "=", "Mammal")], {"mammal"}),
    ([("parent", "=", "swimmer")], {"whale", "trout"}), ([("child", "exists", "true")], {"animal", "mammal", "swimmer"}),
    ([("code", "regex", "[a-d].*")], {"animal", "cat", "dodo"}), ([("code", "regex", "a")], set()), ([("concept", "in", "cat,trout")], {"cat", "trout"}),
    ([("concept", "is-a", "mammal"), ("legs", "=", "4")], {"mammal", "cat"}),
])
def test_filters_select_by_hierarchy_and_by_properties(filters, codes):
    assert expanded(animals(*filters)).get("urn:animals", NOTHING) == Codes(codes)


def test_a_filter_on_content_that_is_not_held_is_refused():
    with pytest.raises(errors.Invalid, match="concept is-a 404684003"):
        expanded({"system": "http://snomed.info/sct", "filter": [{"property": "concept", "op": "is-a", "value": "404684003"}]})


@pytest.mark.parametrize("pattern", ["(", "a" * 2000])
def test_a_filter_that_is_no_regular_expression_or_a_long_one_is_refused(pattern):
    with pytest.raises(errors.Invalid):
        expanded(animals(("code", "regex", pattern)))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x"])
def test_a_regular_expression_takes_no_exponential_time(pattern):
    long = System({"url": "urn:long", "concept": [{"code": "a" * 500 + "c"}]})
    assert Terms({"this": composed({"system": "urn:long", "filter": [{"property": "code", "op": "regex", "value": pattern}]})}.get, lambda url: long).expand("this") == {}


def test_what_is_excluded_is_taken_away_from_lists_and_from_whole_systems():
    assert expanded(animals(), exclude=[animals(("concept", "is-a", "mammal")), listed("urn:other", "x")]) == {"urn:animals": Codes(ALL - {"mammal", "cat", "whale"})}
    assert expanded({"system": "urn:unheld"}, exclude=[listed("urn:unheld", "a")]) == {"urn:unheld": Codes("a", but=True)}
    assert expanded(listed("urn:unheld", "a", "b"), exclude=[{"system": "urn:unheld"}]) == {}


def test_inactive_codes_are_left_out_where_the_set_says_so():
    assert expanded(animals(), inactive=False) == {"urn:animals": Codes(ALL - {"dodo"})}
    assert expanded(animals(), inactive=True) == {"urn:animals": Codes(ALL)}


class TestImports:
    pets, fish = composed(listed("urn:animals", "cat", "dog")), composed(listed("urn:animals", "trout"), listed("urn:other", "x"))

    def test_sets_are_united_and_bounded_by_a_system_beside_them(self):
        sets = {"pets": self.pets, "fish": self.fish}
        assert expanded({"valueSet": ["pets", "fish"]}, sets=sets) == {"urn:animals": Codes(("cat", "dog", "trout")), "urn:other": Codes("x")}
        assert expanded(animals(valueSet=["pets", "fish"]), sets=sets) == {"urn:animals": Codes(("cat", "trout"))}
        assert expanded({"valueSet": ["fish"]}, exclude=[{"valueSet": ["fish"]}], sets=sets) == {}

    def test_an_unknown_set_is_refused_as_not_found(self):
        with pytest.raises(errors.Invalid, match="nowhere") as caught:
            expanded({"valueSet": ["nowhere"]})
        assert [i.code for i in caught.value.issues] == ["not-found"]

    def test_a_circle_is_refused_and_a_set_imported_twice_is_not(self):
        with pytest.raises(errors.Invalid, match="imports itself"):
            expanded({"valueSet": ["a"]}, sets={"a": composed({"valueSet": ["b"]}), "b": composed({"valueSet": ["this"]})})
        assert expanded({"valueSet": ["a", "b"]}, sets={"a": composed({"valueSet": ["b"]}), "b": self.pets}) == {"urn:animals": Codes(("cat", "dog"))}

    def test_doubling_again_and_again_is_no_work(self):
        sets = {f"s{i}": composed({"valueSet": [f"s{i + 1}"] * 2}) for i in range(100)}
        assert expanded({"valueSet": ["s0"]}, sets={**sets, "s100": self.pets}) == {"urn:animals": Codes(("cat", "dog"))}


def test_too_much_work_is_refused():
    known = terms(this=composed(*[animals(("concept", "is-a", "animal"))] * 1000))
    known.budget = 1000
    with pytest.raises(errors.TooCostly):
        known.expand("this")


class TestExpansions:
    def test_a_set_that_is_only_expanded_holds_what_its_expansion_says(self):
        contains = [{"system": "urn:x", "code": "a", "abstract": True, "contains": [{"system": "urn:x", "code": "b"}]}, {"display": "title", "contains": [{"system": "urn:y", "code": "c"}]}]
        assert terms(this={"expansion": {"total": 4, "contains": contains}}).expand("this") == {"urn:x": Codes("b"), "urn:y": Codes("c")}

    @pytest.mark.parametrize("set", [{}, {"expansion": {}}, {"expansion": {"total": 2, "contains": [{"system": "urn:x", "code": "a"}]}}])
    def test_one_that_does_not_say_all_of_it_is_refused(self, set):
        with pytest.raises(errors.Invalid, match="does not say"):
            terms(this=set).expand("this")


class TestCodes:
    sets = [NOTHING, EVERY, Codes("ab"), Codes("bc"), Codes("ab", True), Codes("bc", True)]

    @pytest.mark.parametrize("one", sets)
    @pytest.mark.parametrize("other", sets)
    def test_they_are_united_met_and_turned_round_as_sets_are(self, one, other):
        for code in "abcd":
            assert (code in one | other) == (code in one or code in other) and (code in one & other) == (code in one and code in other) and (code in ~one) != (code in one)
