"""Who may see what, by two hospitals: what a consent opens and closes, what a guard decides, what the directory holds."""
from __future__ import annotations

import pytest

from app import errors
from app.fhir import json
from app.records import Change, Records
from app.world import moment
from tests.conftest import hospital, operator
from tests.test_records import failure_of, patient, put


def consent(id="a-c", type="permit", to=("Organization/b",), whose="Patient/a-1", scope="patient-privacy", status="active", **more) -> dict:
    provision = {"type": type, **more}
    if to:
        provision["actor"] = [{"role": {"text": "recipient"}, "reference": {"reference": ref}} for ref in to]
    return {"resourceType": "Consent", "id": id, "status": status, "patient": {"reference": whose}, "policyRule": {"text": "x"}, "category": [{"text": "privacy"}],
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": scope}]}, "provision": provision}


def observation(id="a-o", **more) -> dict:
    return {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/a-1"}, **more}


async def seen(world, ref: str, by: str = "b") -> bool:
    """Whether a hospital reads it; its search and history say the same."""
    records, (type, id) = Records(world, hospital(by)), ref.split("/")
    found = (await records.search((type,), [("_id", id)])).total == 1
    assert {e.id for e in (await records.versions(type)).entries if e.id == id} == ({id} if found else set())
    try:
        await records.read(type, id)
    except errors.Absent:
        assert not found
        return False
    assert found
    return True


class TestConsent:
    @pytest.fixture(autouse=True)
    async def records_of_a(self, world):
        await put(world, hospital("a"), patient("a-1"))

    @pytest.mark.parametrize("to, whose", [("http://test/fhir/Organization/b", "Patient/a-1"), ("Organization/b", "http://test/fhir/Patient/a-1"),
                                           ("Organization/b/_history/1", "Patient/a-1/_history/1")])
    async def test_it_names_patient_and_organisation_as_references_do(self, world, to, whose):
        await put(world, hospital("a"), consent(to=[to], whose=whose))
        assert await seen(world, "Patient/a-1")

    async def test_a_denial_takes_away_what_a_permit_gave(self, world):
        await put(world, hospital("a"), consent())
        await put(world, hospital("a"), consent("a-d", "deny", to=["http://test/fhir/Organization/b"]))
        assert not await seen(world, "Patient/a-1") and await seen(world, "Patient/a-1", by="a")

    async def test_a_denial_that_names_nobody_is_for_all(self, world):
        await put(world, hospital("a"), consent())
        await put(world, hospital("a"), consent("a-d", "deny", to=[]))
        assert not await seen(world, "Patient/a-1") and await seen(world, "Patient/a-1", by="a")

    @pytest.mark.parametrize("actor", [{"reference": "Practitioner/b-dr"}, {"reference": "http://elsewhere/fhir/Organization/b"}, {"identifier": {"value": "b"}}, {"display": "乙院"}])
    async def test_a_denial_that_names_whom_nobody_here_knows_is_for_all(self, world, actor):
        await put(world, hospital("a"), consent())
        denial = consent("a-d", "deny", to=["Organization/c"])
        denial["provision"]["actor"].append({"role": {"text": "recipient"}, "reference": actor})
        await put(world, hospital("a"), denial)
        assert not await seen(world, "Patient/a-1") and await seen(world, "Patient/a-1", by="a")

    @pytest.mark.parametrize("actors, visible", [(["b"], False), ([], False), (["c"], True)])
    @pytest.mark.parametrize("root", [None, "permit"])
    async def test_a_denial_within_a_rule_stands_whole(self, world, root, actors, visible):
        """R4 has the type in nested rules alone; http://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.type"""
        await put(world, hospital("a"), consent())
        inner = {"type": "deny", "class": [{"code": "DocumentReference"}], "actor": [{"role": {"text": "recipient"}, "reference": {"reference": f"Organization/{id}"}} for id in actors]}
        denial = consent("a-d", root, provision=[{key: value for key, value in inner.items() if value}])
        denial["provision"] = {key: value for key, value in denial["provision"].items() if value}
        await put(world, hospital("a"), denial)
        assert await seen(world, "Patient/a-1") is visible

    async def test_a_denial_within_a_rule_lasts_as_long_as_that(self, world):
        await put(world, hospital("a"), consent())
        await put(world, hospital("a"), consent("a-d", "permit", period={"end": "2020-01-01"}, provision=[{"type": "deny"}]))
        assert await seen(world, "Patient/a-1")

    @pytest.mark.parametrize("more", [{"scope": "treatment"}, {"status": "draft"}, {"purpose": [{"code": "HRESCH"}]}, {"class": [{"code": "DocumentReference"}]},
                                      {"provision": [{"type": "deny"}]}, {"period": {"end": "2020-01-01"}}])
    async def test_what_says_less_than_all_of_the_record_to_all_at_that_hospital_opens_nothing(self, world, more):
        await put(world, hospital("a"), consent(**more))
        assert not await seen(world, "Patient/a-1")

    @pytest.mark.parametrize("place", ["root", "provision", "actor", "rules"])
    async def test_what_says_by_an_extension_that_it_means_something_else_opens_nothing(self, world, place):
        """http://hl7.org/fhir/R4/extensibility.html#modifierExtension"""
        made, other = consent(), {"modifierExtension": [{"url": "urn:not", "valueBoolean": True}]}
        {"root": made, "provision": made["provision"], "actor": made["provision"]["actor"][0], "rules": made}[place].update({"implicitRules": "urn:rules"} if place == "rules" else other)
        await put(world, hospital("a"), made)
        assert not await seen(world, "Patient/a-1")
        made["provision"]["type"] = "deny"
        await put(world, hospital("a"), {**made, "id": "a-d"})
        await put(world, hospital("a"), consent())
        assert not await seen(world, "Patient/a-1")

    async def test_what_concerns_another_patient_too_is_not_opened(self, world):
        await put(world, hospital("a"), consent())
        members = [{"entity": {"reference": f"Patient/a-{i}"}} for i in (1, 2)]
        await put(world, hospital("a"), {"resourceType": "Group", "id": "a-g", "type": "person", "actual": True, "member": members})
        await put(world, hospital("a"), {"resourceType": "Group", "id": "a-h", "type": "person", "actual": True, "member": members[:1]})
        assert not await seen(world, "Group/a-g") and await seen(world, "Group/a-h")

    async def test_the_next_page_is_judged_by_the_consents_of_its_own_moment(self, world):
        await put(world, hospital("a"), consent())
        for i in range(4):
            await put(world, hospital("a"), observation(f"a-o{i}"))
        b = Records(world, hospital("b"))
        first = await b.search(("Observation",), [("_count", "2")])
        await put(world, hospital("a"), consent(status="inactive"))
        page = await b.search(("Observation",), [], cursor=first.next)
        assert len(first.entries) == 2 and (page.entries, page.next) == ([], None)

    async def test_an_old_version_needs_its_own_permission_and_the_newest_ones(self, world):
        await put(world, hospital("a"), consent())
        b = Records(world, hospital("b"))
        for whose, versions in (("a-2", []), ("a-1", [2]), ("a-1", [3, 2]), ("a-2", [])):
            await put(world, hospital("a"), observation(subject={"reference": f"Patient/{whose}"}, note=[{"text": f"for {versions}"}]))
            assert [e.version for e in (await b.versions("Observation")).entries] == versions
            for version in (1, 2):
                if version in versions:
                    assert (await b.read("Observation", "a-o", str(version))).version == version
                else:
                    assert (await failure_of(b.read("Observation", "a-o", str(version))))[0] is errors.Absent

    async def test_the_log_that_a_hospital_sent_is_not_opened_with_the_record(self, world):
        await put(world, hospital("a"), consent())
        event = {"resourceType": "AuditEvent", "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z", "agent": [{"requestor": True, "who": {"reference": "Patient/a-1"}}],
                 "source": {"observer": {"display": "x"}}}
        [done] = await Records(world, hospital("a")).commit([Change("create", "AuditEvent", resource=event)])
        assert done.entry.about == ("Patient/a-1",)
        assert (await failure_of(Records(world, hospital("b")).read("AuditEvent", done.entry.id)))[0] is errors.Absent


class TestGuards:
    """A Binary is decided as its security context, a Provenance as its target."""

    def guarded(self, target: str) -> list[dict]:
        return [{"resourceType": "Binary", "id": "a-b", "contentType": "text/plain", "data": "eA==", "securityContext": {"reference": target}},
                {"resourceType": "Provenance", "id": "a-p", "target": [{"reference": target}], "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"display": "x"}}]}]

    async def test_they_are_seen_by_whom_the_resource_is_seen(self, world):
        a = hospital("a")
        for made in (patient("a-1"), observation(), *self.guarded("Observation/a-o")):
            await put(world, a, made)
        assert [await seen(world, ref) for ref in ("Observation/a-o", "Binary/a-b", "Provenance/a-p")] == [False] * 3
        await put(world, a, consent())
        assert [await seen(world, ref) for ref in ("Observation/a-o", "Binary/a-b", "Provenance/a-p")] == [True] * 3
        await Records(world, a).commit([Change("delete", "Binary", "a-b")])
        assert (await failure_of(Records(world, hospital("b")).read("Binary", "a-b")))[0] is errors.Deleted
        await put(world, a, consent("a-d", "deny"))
        assert [await seen(world, ref) for ref in ("Observation/a-o", "Provenance/a-p")] == [False] * 2
        assert (await failure_of(Records(world, hospital("b")).read("Binary", "a-b")))[0] is errors.Absent

    async def test_their_old_versions_are_decided_so_for_good(self, world):
        a, b = hospital("a"), Records(world, hospital("b"))
        for made in (patient("a-1"), consent(), observation()):
            await put(world, a, made)
        for text in ("eA==", "eQ=="):
            binary, provenance = self.guarded("Observation/a-o")
            await put(world, a, {**binary, "data": text})
            await put(world, a, {**provenance, "agent": [{"who": {"display": text}}]})
        await world.store.sweep(moment() + 1_000_000_000)
        for type, id in (("Binary", "a-b"), ("Provenance", "a-p")):
            assert [e.version for e in (await b.versions(type, id)).entries] == [2, 1]
            assert (await b.read(type, id, "1")).version == 1

    async def test_one_that_also_concerns_another_patient_is_not_seen_with_what_it_belongs_to(self, world):
        for made in (patient("a-1"), consent(), observation()):
            await put(world, hospital("a"), made)
        provenance = self.guarded("Observation/a-o")[1]
        await put(world, hospital("a"), provenance)
        assert await seen(world, "Provenance/a-p")
        await put(world, hospital("a"), {**provenance, "contained": [{"resourceType": "Patient", "id": "m", "name": [{"family": "母"}]}], "agent": [{"who": {"reference": "#m"}}]})
        assert not await seen(world, "Provenance/a-p") and await seen(world, "Provenance/a-p", by="a")

    async def test_a_guard_that_is_hidden_missing_or_none_hides_alike(self, world):
        await put(world, hospital("a"), patient("a-1"))
        for target in ("Patient/a-1", "Patient/a-9", "http://elsewhere/fhir/Patient/1"):
            for made in self.guarded(target):
                await put(world, hospital("a"), made)
            assert not await seen(world, "Binary/a-b") and not await seen(world, "Provenance/a-p") and await seen(world, "Binary/a-b", by="a")


async def test_a_schedule_of_a_patient_is_no_part_of_the_directory(world):
    made = {"resourceType": "Schedule", "id": "a-s", "actor": [{"reference": "Practitioner/a-dr"}]}
    await put(world, hospital("a"), made)
    assert await seen(world, "Schedule/a-s")
    await put(world, hospital("a"), {**made, "actor": [{"reference": "Patient/a-1"}]})
    assert not await seen(world, "Schedule/a-s")


async def test_contained_and_bundled_parts_concern_their_patients_too(world):
    a = hospital("a")
    await put(world, a, consent())
    await put(world, a, {"resourceType": "Organization", "id": "a-org", "name": "甲院", "contained": [{**observation("o"), "subject": {"reference": "Patient/a-2"}, "focus": [{"reference": "#"}]}]})
    await put(world, a, {"resourceType": "Bundle", "id": "a-bu", "type": "collection", "entry": [{"resource": observation("1")}, {"resource": patient("a-2")}]})
    await put(world, a, {"resourceType": "Bundle", "id": "a-bv", "type": "collection", "entry": [{"resource": observation("1")}, {"resource": patient()}]})
    await put(world, a, observation("a-o", contained=[{"resourceType": "Patient", "id": "m", "name": [{"family": "母"}]}], focus=[{"reference": "#m"}]))
    await put(world, a, {"resourceType": "Bundle", "id": "a-bw", "type": "collection", "entry": [{"resource": observation("1")}]})
    assert not any([await seen(world, ref) for ref in ("Organization/a-org", "Bundle/a-bu", "Bundle/a-bv", "Observation/a-o")]) and await seen(world, "Bundle/a-bw")
    assert json.loads((await Records(world, a).read("Bundle", "a-bu")).text)["id"] == "a-bu"


@pytest.mark.parametrize("filter, there", [("patient.family eq 张", False), ("patient.family pr false", True), ("patient[family eq 张].gender pr true", False), ("not(patient.family pr true)", True)])
async def test_what_is_hidden_is_not_there_for_a_filter(world, filter, there):
    await put(world, hospital("a"), patient("a-1", gender="male"))
    await put(world, hospital("b"), observation("b-o"))
    assert [e.id for e in (await Records(world, hospital("b")).search(("Observation",), [("_filter", filter)])).entries] == (["b-o"] if there else [])
    backs = await Records(world, hospital("a")).search(("Patient",), [("_filter", "_has:Observation:patient[status eq final]._id pr true")])
    assert backs.entries == []


async def test_a_plan_tells_nothing_of_what_is_hidden(world):
    """The patients of `a` make another plan cheaper; `b` is told the same as without them, each caller the plan of what it may see."""
    async def hold(name, number, **more):
        made = [patient(f"{name}-{i}", **more) for i in range(number)]
        await Records(world, hospital(name)).commit([Change("update", "Patient", p["id"], p) for p in made])

    async def told(caller) -> list[str]:
        return (await Records(world, caller).search(("Patient",), [("gender", "male"), ("birthdate", "ge1961"), ("_sort", "name"), ("_explain", "true")])).plan
    await hold("b", 3, gender="male", birthDate="1960-05-05")
    before = await told(hospital("b"))
    await hold("a", world.store.few or 3, gender="female", birthDate="1990-05-05")
    assert await told(hospital("b")) == before
    assert any(each.startswith("Driven by: ") for each in before) and any(each.startswith("Only what you may see") for each in before)
    assert not any(each.startswith("Only") for each in await told(operator()))
    if world.store.few:
        assert "Driven by: Patient.gender code is male; index row_code." not in before and "Driven by: Patient.gender code is male; index row_code." in await told(operator())
