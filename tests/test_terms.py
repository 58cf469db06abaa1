"""Searches by value sets and code systems that are stored, as their callers see them. https://hl7.org/fhir/R4/search.html#token"""
from __future__ import annotations

import pytest

from app import errors, terms
from app.records import Change, Records
from app.sharing import rules
from tests.conftest import hospital
from tests.test_records import patient, put

ICD = "http://hl7.org/fhir/sid/icd-10"
LUNG = "http://a.example/ValueSet/lung"
V3 = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
A = hospital("a")


def code_system(concept, id="a-icd", url=ICD, content="complete", **more) -> dict:
    return {"resourceType": "CodeSystem", "id": id, "url": url, "status": "active", "content": content, "concept": concept, **more}


def value_set(*include, id="a-lung", url=LUNG, **more) -> dict:
    return {"resourceType": "ValueSet", "id": id, "url": url, "status": "active", "compose": {"include": list(include)}, **more}


def is_a(code: str) -> dict:
    return {"system": ICD, "filter": [{"property": "concept", "op": "is-a", "value": code}]}


def condition(id: str, code: str | None) -> dict:
    coded = {"code": {"coding": [{"system": ICD, "code": code}]}} if code else {}
    return {"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/a-p"}, **coded}


@pytest.fixture
async def cancer(world):
    """Conditions, the code system of their codes, and a value set of some of them."""
    for resource in (patient("a-p"), patient("a-q"), code_system([{"code": "C34", "concept": [{"code": "C34.1"}, {"code": "C34.2"}]}, {"code": "C50"}]), value_set(is_a("C34")),
                     condition("a-c1", "C34.1"), condition("a-c2", "C50"), condition("a-c3", "C34"), condition("a-c4", None)):
        await put(world, A, resource)
    return Records(world, A)


async def found(records, pairs, type="Condition") -> list[str]:
    return sorted(e.id for e in (await records.search((type,), pairs)).entries)


class TestStored:
    @pytest.mark.parametrize("named", [LUNG, "ValueSet/a-lung", "http://test/fhir/ValueSet/a-lung"])
    async def test_a_value_set_is_named_by_its_url_or_by_a_reference(self, cancer, named):
        assert await found(cancer, [("code:in", named)]) == ["a-c1", "a-c3"]
        assert await found(cancer, [("code:not-in", named)]) == ["a-c2", "a-c4"]

    async def test_below_and_above_follow_a_stored_code_system(self, cancer):
        assert await found(cancer, [("code:below", f"{ICD}|C34")]) == ["a-c1", "a-c3"]
        assert await found(cancer, [("code:above", f"{ICD}|C34.1")]) == ["a-c1", "a-c3"]
        assert await found(cancer, [("code:above", f"{ICD}|C34")]) == ["a-c3"]

    async def test_chains_and_reverse_chains_ask_for_them_too(self, cancer):
        assert await found(cancer, [("_has:Condition:subject:code:in", LUNG)], "Patient") == ["a-p"]
        assert await found(cancer, [("_has:Condition:subject:code:below", f"{ICD}|C50")], "Patient") == ["a-p"]
        await put(cancer.world, A, {"resourceType": "Encounter", "id": "a-e", "status": "finished", "class": {"system": V3, "code": "ACUTE"}, "diagnosis": [{"condition": {"reference": "Condition/a-c1"}}]})
        assert await found(cancer, [("diagnosis:Condition.code:in", LUNG)], "Encounter") == ["a-e"]
        assert await found(cancer, [("class:below", f"{V3}|IMP"), ("class:in", "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")], "Encounter") == ["a-e"]

    async def test_value_sets_import_each_other_wherever_they_are(self, cancer):
        gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
        await put(cancer.world, A, value_set({"valueSet": [LUNG]}, {"valueSet": [gender]}, id="a-more", url="http://a.example/ValueSet/more"))
        assert await found(cancer, [("code:in", "http://a.example/ValueSet/more")]) == ["a-c1", "a-c3"]
        await put(cancer.world, A, patient("a-m", gender="male"))
        assert await found(cancer, [("gender:in", "http://a.example/ValueSet/more")], "Patient") == ["a-m"]

    async def test_a_version_is_minded_and_the_active_and_highest_one_taken_without(self, cancer):
        for version, code, status in (("1.9", "C50", "active"), ("1.10", "C34.1", "active"), ("2", "C34", "draft")):
            await put(cancer.world, A, value_set({"system": ICD, "concept": [{"code": code}]}, id=f"a-v{version}", url="http://a.example/ValueSet/v", version=version, status=status))
        for named, expected in (("", ["a-c1"]), ("|1.9", ["a-c2"]), ("|2", ["a-c3"])):
            assert await found(cancer, [("code:in", f"http://a.example/ValueSet/v{named}")]) == expected
        with pytest.raises(errors.Invalid, match="not known here"):
            await found(cancer, [("code:in", "http://a.example/ValueSet/v|3")])

    async def test_what_the_standard_defines_is_not_redefined_by_what_is_stored(self, cancer):
        gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
        await put(cancer.world, A, value_set({"system": "http://hl7.org/fhir/administrative-gender", "concept": [{"code": "male"}]}, id="a-g", url=gender, version="9"))
        await put(cancer.world, A, patient("a-f", gender="female"))
        assert await found(cancer, [("gender:in", gender)], "Patient") == ["a-f"] and await found(cancer, [("gender:in", gender + "|9")], "Patient") == []

    async def test_all_pages_read_the_value_set_of_the_first(self, cancer):
        first = await cancer.search(("Condition",), [("code:in", LUNG), ("_count", "1")])
        await put(cancer.world, A, value_set(is_a("C50")))
        await put(cancer.world, A, condition("a-c5", "C34.2"))
        second = await cancer.search(("Condition",), [], cursor=first.next)
        assert [e.id for e in (*first.entries, *second.entries)] == ["a-c3", "a-c1"] and second.next is None

    async def test_a_condition_of_a_change_reads_them_in_its_transaction(self, cancer):
        [done] = await cancer.commit([Change("create", "Condition", resource=condition("x", "C34"), condition=f"code:in={LUNG}&_id=a-c1")])
        assert done.outcome == "found" and done.entry.id == "a-c1"


class TestRefused:
    async def reasons(self, records, name, value) -> tuple:
        with pytest.raises(errors.Invalid) as caught:
            await records.search(("Condition",), [(name, value)])
        return str(caught.value), [(i.code, i.expression) for i in caught.value.issues]

    async def test_one_that_is_unknown_deleted_or_hidden_is_answered_alike(self, cancer, monkeypatch):
        absent = await self.reasons(cancer, "code:in", "http://a.example/ValueSet/none")
        assert absent == ("The value set http://a.example/ValueSet/none is not known here.", [("not-found", "code:in")])
        b = Records(cancer.world, hospital("b"))
        assert await found(b, [("code:in", LUNG)]) == []
        monkeypatch.setattr(rules, "DIRECTORY", ("Organization",))
        hidden = await self.reasons(Records(cancer.world, hospital("b")), "code:in", LUNG)
        assert hidden == (absent[0].replace("http://a.example/ValueSet/none", LUNG), absent[1])
        await cancer.commit([Change("delete", "ValueSet", "a-lung")])
        assert await self.reasons(cancer, "code:in", LUNG) == hidden

    async def test_a_code_system_that_is_not_wholly_held_or_hidden_is_answered_alike(self, cancer, monkeypatch):
        monkeypatch.setattr(rules, "DIRECTORY", ("Organization",))
        hidden = await self.reasons(Records(cancer.world, hospital("b")), "code:below", f"{ICD}|C34")
        await put(cancer.world, A, code_system([{"code": "C34"}], content="fragment"))
        assert await self.reasons(cancer, "code:below", f"{ICD}|C34") == hidden and "not held" in hidden[0]

    async def test_a_circle_of_stored_sets_and_too_many_of_them(self, cancer, monkeypatch):
        await put(cancer.world, A, value_set({"valueSet": ["http://a.example/ValueSet/round"]}, id="a-r", url="http://a.example/ValueSet/round"))
        assert "imports itself" in (await self.reasons(cancer, "code:in", "http://a.example/ValueSet/round"))[0]
        monkeypatch.setattr(terms, "MOST", 1)
        assert (await self.reasons(cancer, "code:in", LUNG))[1] == [("too-costly", "")]

    async def test_a_large_one(self, cancer, monkeypatch):
        monkeypatch.setattr(terms, "LARGEST", 100)
        assert (await self.reasons(cancer, "code:in", LUNG))[1] == [("too-costly", "")]


class TestHierarchies:
    """https://hl7.org/fhir/R4/search.html#recursive"""

    @pytest.fixture
    async def houses(self, world):
        """A building with wards, rooms of one ward, and a location of another hospital's below it."""
        for caller, id, above in ((A, "a-house", ""), (A, "a-ward", "a-house"), (A, "a-ward2", "a-house"), (A, "a-room", "a-ward"), (hospital("b"), "b-desk", "a-room")):
            await put(world, caller, {"resourceType": "Location", "id": id, **({"partOf": {"reference": f"Location/{above}"}} if above else {})})
        for id in ("a-house", "a-ward", "a-room", "b-desk", "a-absent"):
            await put(world, A, {"resourceType": "Procedure", "id": f"a-in-{id}", "status": "completed", "subject": {"reference": "Patient/a-p"}, "location": {"reference": f"Location/{id}"}})
        return Records(world, A)

    @pytest.mark.parametrize("pairs, expected", [
        ([("location:below", "a-ward")], ["a-in-a-room", "a-in-a-ward", "a-in-b-desk"]), ([("location:below", "Location/a-house")], ["a-in-a-house", "a-in-a-room", "a-in-a-ward", "a-in-b-desk"]),
        ([("location:above", "http://test/fhir/Location/a-room")], ["a-in-a-house", "a-in-a-room", "a-in-a-ward"]), ([("location:above", "a-house")], ["a-in-a-house"]),
        ([("location:below", "a-absent,a-room")], ["a-in-a-absent", "a-in-a-room", "a-in-b-desk"]), ([("location:below", "a-nothing")], []),
        ([("subject:Patient._has:Procedure:subject:location:below", "a-ward")], [])])
    async def test_below_and_above_go_through_what_is_part_of_what(self, houses, pairs, expected):
        assert await found(houses, pairs, "Procedure") == expected

    async def test_they_are_asked_in_chains_and_of_the_locations_themselves(self, houses):
        assert await found(houses, [("partof:below", "a-ward")], "Location") == ["a-room", "b-desk"]
        assert await found(houses, [("_has:Procedure:location:location:below", "a-ward")], "Location") == ["a-room", "a-ward", "b-desk"]

    async def test_they_do_not_go_through_what_the_caller_may_not_see(self, world, houses, monkeypatch):
        monkeypatch.setattr(rules, "DIRECTORY", ("Organization",))
        b = Records(world, hospital("b"))
        await put(world, hospital("b"), {"resourceType": "Procedure", "id": "b-1", "status": "completed", "subject": {"reference": "Patient/b-p"}, "location": {"reference": "Location/b-desk"}})
        assert await found(b, [("location:below", "a-room")], "Procedure") == ["b-1"]
        assert await found(b, [("location:below", "a-ward")], "Procedure") == []
        assert await found(Records(world, A), [("location:above", "b-desk")], "Procedure") == ["a-in-b-desk"]

    async def test_circles_end_and_long_ways_are_refused(self, world, houses, monkeypatch):
        await put(world, A, {"resourceType": "Location", "id": "a-house", "partOf": {"reference": "Location/a-room"}})
        assert await found(houses, [("location:above", "a-ward")], "Procedure") == ["a-in-a-house", "a-in-a-room", "a-in-a-ward"]
        for bound in ("RELATED", "ROUNDS"):
            with monkeypatch.context() as patch:
                patch.setattr(terms, bound, 2)
                with pytest.raises(errors.TooCostly):
                    await found(houses, [("location:below", "a-house")], "Procedure")

    @pytest.mark.parametrize("pair", [("subject:below", "a-p"), ("location:above", "Patient/a-p"), ("location:below", "a b")])
    async def test_what_has_no_hierarchy_is_refused(self, houses, pair):
        with pytest.raises(errors.Failure) as caught:
            await houses.search(("Procedure",), [pair])
        assert caught.value.status == 400 and caught.value.issues[0].expression == pair[0]

    @pytest.mark.parametrize("modifier, value, expected", [
        ("", "|1", ["a-1"]), (":below", "|1", ["a-1", "a-1.2", "a-1.2.3"]), (":below", "|1.2", ["a-1.2", "a-1.2.3"]), (":below", "", ["a-1", "a-1.2", "a-1.2.3", "a-11"]),
        (":above", "|1.2.3", ["a-1", "a-1.2", "a-1.2.3"]), (":above", "|1.2.4", ["a-1", "a-1.2"])])
    async def test_a_version_of_a_canonical_url_stands_below_its_beginnings(self, world, modifier, value, expected):
        for version in ("1", "1.2", "1.2.3", "11"):
            await put(world, A, {"resourceType": "CarePlan", "id": f"a-{version}", "status": "active", "intent": "plan", "subject": {"reference": "Patient/a-p"},
                                 "instantiatesCanonical": [f"http://a.example/PlanDefinition/p|{version}"]})
        assert await found(Records(world, A), [(f"instantiates-canonical{modifier}", f"http://a.example/PlanDefinition/p{value}")], "CarePlan") == expected
