"""The waist: what only a decision of the design makes pass. https://hl7.org/fhir/R4/http.html"""
from __future__ import annotations

import asyncio
import hashlib

import pytest

from app import errors
from app import page as pages
from app.fhir import json
from app.records import Change, Event, Records
from app.search.query import ALL, Query
from app.workflow.job import JOBS
from tests.conftest import hospital, operator
from tests.search.test_own import parameter


def patient(id=None, family="张", **more) -> dict:
    made = {"resourceType": "Patient", "name": [{"family": family}], **more}
    return {**made, "id": id} if id else made


async def put(world, caller, resource):
    [done] = await Records(world, caller).commit([Change("update", resource["resourceType"], resource["id"], resource)])
    return done


async def add(world, caller, resource):
    [done] = await Records(world, caller).commit([Change("create", resource["resourceType"], resource=resource)])
    return done.entry


async def failure_of(coroutine) -> tuple:
    with pytest.raises(errors.Failure) as caught:
        await coroutine
    failure = caught.value
    return type(failure), failure.status, [i.code for i in failure.issues], str(failure)


async def all_pages(records, types, pairs):
    found, cursor = [], None
    while True:
        page = await records.search(types, [] if cursor else pairs, cursor=cursor)
        found += [e.id for e in page.entries]
        cursor = page.next
        if not cursor:
            return found


class TestTwoCallers:
    """A hidden and an absent id are answered alike."""

    async def test_a_read_of_a_hidden_and_of_an_absent_id_fail_alike(self, world):
        await put(world, hospital("a"), patient("a-1"))
        there = await failure_of(Records(world, hospital("b")).read("Patient", "a-1"))
        absent = await failure_of(Records(world, hospital("b")).read("Patient", "a-2"))
        assert there[:3] == absent[:3] == (errors.Absent, 404, ["not-found"])
        assert there[3].replace("a-1", "a-2") == absent[3]

    async def test_vread_and_history_of_a_hidden_id_fail_as_an_absent_one_does(self, world):
        await put(world, hospital("a"), patient("a-1"))
        b = Records(world, hospital("b"))
        for ask in (lambda id: b.read("Patient", id, "1"), lambda id: b.versions("Patient", id)):
            there, absent = await failure_of(ask("a-1")), await failure_of(ask("a-2"))
            assert there[:3] == absent[:3] and there[3].replace("a-1", "a-2") == absent[3]

    async def test_a_put_to_a_hidden_and_to_an_absent_foreign_id_fail_alike(self, world):
        await put(world, hospital("a"), patient("a-1"))
        there = await failure_of(put(world, hospital("b"), patient("a-1")))
        absent = await failure_of(put(world, hospital("b"), patient("a-2")))
        assert there == absent and there[1] == 403

    @pytest.mark.parametrize("more", [{"if_match": ("1",)}, {"if_none_match": "*"}, {"condition": "family=nobody"}])
    async def test_no_condition_on_a_put_tells_a_hidden_from_an_absent_id(self, world, more):
        await put(world, hospital("a"), patient("a-1"))
        ask = lambda id: Records(world, hospital("b")).commit([Change("update", "Patient", None if "condition" in more else id, patient(id), **more)])
        there, absent = await failure_of(ask("a-1")), await failure_of(ask("a-2"))
        assert there == absent and there[1] in (403, 412)

    async def test_an_id_is_chosen_under_the_own_prefix_alone(self, world):
        assert (await put(world, hospital("b"), patient("b-1"))).outcome == "created"
        assert (await failure_of(put(world, hospital("b"), patient("c-1"))))[1] == 403

    async def test_a_delete_of_a_hidden_id_does_nothing_and_says_what_a_delete_of_an_absent_one_says(self, world):
        await put(world, hospital("a"), patient("a-1"))
        b = Records(world, hospital("b"))
        [there] = await b.commit([Change("delete", "Patient", "a-1")])
        [absent] = await b.commit([Change("delete", "Patient", "a-2")])
        assert (there.outcome, there.entry, there.count) == (absent.outcome, absent.entry, absent.count) == ("deleted", None, 0)
        assert (await Records(world, hospital("a")).read("Patient", "a-1")).version == 1

    async def test_a_deleted_resource_stays_hidden_from_another(self, world):
        await put(world, hospital("a"), patient("a-1"))
        await Records(world, hospital("a")).commit([Change("delete", "Patient", "a-1")])
        assert (await failure_of(Records(world, hospital("b")).read("Patient", "a-1")))[0] is errors.Absent
        assert (await failure_of(Records(world, hospital("a")).read("Patient", "a-1")))[0] is errors.Deleted

    async def test_totals_pages_chains_and_reverse_chains_do_not_tell_of_hidden_resources(self, world):
        await put(world, hospital("a"), patient("a-1", "欧阳"))
        await put(world, hospital("b"), patient("b-1", "欧阳"))
        a_observation = {"resourceType": "Observation", "id": "a-o", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/b-1"}}
        await put(world, hospital("a"), a_observation)
        await put(world, hospital("b"), {**a_observation, "id": "b-o", "subject": {"reference": "Patient/a-1"}})
        b = Records(world, hospital("b"))
        page = await b.search(("Patient",), [("family", "欧阳"), ("_total", "accurate")])
        assert ([e.id for e in page.entries], page.total, page.next) == (["b-1"], 1, None)
        assert (await b.search(("Observation",), [("subject:Patient.family", "欧阳")])).entries == []
        assert (await b.search(("Patient",), [("_has:Observation:subject:status", "final")])).entries == []
        page = await b.search(("Observation",), [("_include", "Observation:subject")])
        assert ([e.id for e in page.entries], page.included) == (["b-o"], [])
        assert [e.id for e in (await b.versions()).entries if e.type != "AuditEvent"] == ["b-o", "b-1"]

    async def test_a_conditional_create_matches_only_what_the_caller_sees(self, world):
        await put(world, hospital("a"), patient("a-1", identifier=[{"system": "urn:x", "value": "7"}]))
        [done] = await Records(world, hospital("b")).commit([Change("create", "Patient", resource=patient(identifier=[{"system": "urn:x", "value": "7"}]), condition="identifier=urn:x|7")])
        assert done.outcome == "created" and done.entry.custodian == "b"

    async def test_the_registry_is_read_by_every_member_and_changed_by_its_custodian_alone(self, world):
        await put(world, hospital("a"), {"resourceType": "Organization", "id": "a-org", "name": "甲院"})
        assert (await Records(world, hospital("b")).read("Organization", "a-org")).custodian == "a"
        assert (await failure_of(put(world, hospital("b"), {"resourceType": "Organization", "id": "a-org", "name": "乙院"})))[1] == 403

    async def test_a_consent_opens_the_record_while_it_is_active(self, world):
        a, b = hospital("a"), Records(world, hospital("b"))
        await put(world, a, patient("a-1"))
        consent = {"resourceType": "Consent", "id": "a-c", "status": "active", "patient": {"reference": "Patient/a-1"},
                   "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
                   "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "policyRule": {"text": "opt-in"},
                   "provision": {"type": "permit", "actor": [{"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
                                                            "reference": {"reference": "Organization/b"}}]}}
        await put(world, a, consent)
        assert (await b.read("Patient", "a-1")).id == "a-1"
        await put(world, a, {**consent, "status": "inactive"})
        assert (await failure_of(b.read("Patient", "a-1")))[0] is errors.Absent

    async def test_a_consent_of_one_hospital_does_not_open_the_records_of_another(self, world):
        await put(world, hospital("c"), patient("c-1"))
        await put(world, hospital("a"), {
            "resourceType": "Consent", "id": "a-c", "status": "active", "patient": {"reference": "Patient/c-1"}, "policyRule": {"text": "opt-in"},
            "scope": {"text": "privacy"}, "category": [{"text": "privacy"}],
            "provision": {"type": "permit", "actor": [{"role": {"text": "recipient"}, "reference": {"reference": "Organization/b"}}]}})
        assert (await failure_of(Records(world, hospital("b")).read("Patient", "c-1")))[0] is errors.Absent


    async def test_a_search_parameter_that_not_all_may_read_does_not_come_into_force(self, world):
        resource = parameter("nick", extension=[{"url": "http://x", "valueReference": {"reference": "#p"}}], contained=[{"resourceType": "Patient", "id": "p"}])
        refused = await failure_of(add(world, hospital("a"), resource))
        assert refused[:3] == (errors.Unprocessable, 422, ["processing"])
        assert (await failure_of(Records(world, hospital("a")).search(("Patient",), [("nick", "x")])))[1] == 400


class TestTheCustodian:
    async def test_it_is_the_writers_organisation_whatever_the_client_says(self, world):
        claim = [{"system": "https://yilian.example/fhir/CodeSystem/custodian", "code": "b"}]
        entry = await add(world, hospital("a"), {**patient(), "meta": {"tag": claim}})
        assert entry.custodian == "a" and json.loads(entry.text)["meta"]["tag"] == [{"system": claim[0]["system"], "code": "a"}]

    async def test_it_stays_when_the_operator_changes_the_resource(self, world):
        await put(world, hospital("a"), patient("a-1"))
        assert (await put(world, operator(), patient("a-1", "李"))).entry.custodian == "a"


class TestPages:
    async def test_a_page_is_as_of_the_first_pages_commit_while_others_create_update_and_delete(self, world):
        records = Records(world, operator())
        ids = [(await add(world, operator(), patient(family=f"家{i:02}"))).id for i in range(12)]
        page = await records.search(("Patient",), [("_count", "5")])
        seen = [e.id for e in page.entries]
        await put(world, operator(), patient(ids[0], "改"))
        await records.commit([Change("delete", "Patient", ids[1])])
        await add(world, operator(), patient(family="新"))
        while page.next:
            page = await records.search(("Patient",), [], cursor=page.next)
            seen += [e.id for e in page.entries]
        assert seen == ids[::-1]

    async def test_what_was_hidden_since_is_on_no_later_page(self, world):
        """A version that everybody could read when the first page was asked for: today's concerns a patient."""
        for n in range(4):
            await put(world, hospital("a"), {"resourceType": "Schedule", "id": f"a-{n}", "actor": [{"reference": "Location/a-l"}]})
        b = Records(world, hospital("b"))
        first = await b.search(("Schedule",), [("_count", "1"), ("_total", "accurate"), ("_include", "Schedule:actor")])
        history = await b.versions("Schedule", pairs=[("_count", "1")])
        await put(world, hospital("a"), {"resourceType": "Schedule", "id": "a-1", "actor": [{"reference": "Patient/a-p"}]})
        seen, page = [e.id for e in first.entries], first
        while page.next:
            page = await b.search(("Schedule",), [], cursor=page.next)
            seen += [e.id for e in page.entries]
            assert page.total in (None, 3)
        assert seen == ["a-3", "a-2", "a-0"]
        seen = [e.id for e in history.entries]
        while history.next:
            history = await b.versions("Schedule", cursor=history.next)
            seen += [e.id for e in history.entries]
        assert seen == ["a-3", "a-2", "a-0"]

    @pytest.mark.parametrize("sort", ["birthdate", "-birthdate", "name", "-name", "_lastUpdated"])
    async def test_sorted_pages_give_each_resource_once(self, world, sort):
        ids = {(await add(world, operator(), patient(family=f"家{i % 4}", **({"birthDate": f"19{50 + i % 5}"} if i % 3 else {})))).id for i in range(17)}
        found = await all_pages(Records(world, operator()), ("Patient",), [("_sort", sort), ("_count", "4")])
        assert len(found) == 17 and set(found) == ids

    async def test_a_page_link_belongs_to_its_caller(self, world):
        for i in range(3):
            await put(world, hospital("a"), patient(f"a-{i}"))
        link = (await Records(world, hospital("a")).search(("Patient",), [("_count", "1")])).next
        assert (await failure_of(Records(world, hospital("b")).search(("Patient",), [], cursor=link)))[1] == 400

    async def test_a_page_link_is_opaque(self, world):
        for i in range(3):
            await add(world, operator(), patient(family="司马"))
        link = (await Records(world, operator()).search(("Patient",), [("family", "司马"), ("_count", "1")])).next
        assert "family" not in link and "Patient" not in link


class TestGuards:
    """A change that a state table refuses is refused from every door of the waist."""

    def job(self, id="a-job") -> dict:
        return {"resourceType": "Task", "id": id, "status": "in-progress", "intent": "order", "code": {"coding": [{"system": JOBS, "code": "import"}]}}

    async def test_a_jobs_task_is_not_created_updated_patched_or_deleted_by_a_client(self, world):
        feed = hospital("a").on()
        from app.caller import system
        await put(world, system("feed", "a", prefix="a-", base="http://test/fhir"), self.job())
        records = Records(world, feed)
        refused = [Change("create", "Task", resource={k: v for k, v in self.job().items() if k != "id"}),
                   Change("update", "Task", "a-job", {**self.job(), "status": "completed"}),
                   Change("update", "Task", resource={**self.job(), "status": "completed"}, condition="_id=a-job"),
                   Change("patch", "Task", "a-job", patch=lambda task: {**task, "status": "completed"}),
                   Change("delete", "Task", "a-job"), Change("delete", "Task", condition="_id=a-job"), Change("delete", "Task", condition="_id=a-job", many=True)]
        for change in refused:
            assert (await failure_of(records.commit([change])))[1] == 422, change
            assert (await failure_of(records.commit([Change("create", "Patient", resource=patient()), change])))[1] == 422, change
        assert (await records.read("Task", "a-job")).version == 1
        assert (await records.search(("Patient",), [])).total == 0

    async def test_the_log_is_never_changed(self, world):
        event = {"resourceType": "AuditEvent", "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z", "agent": [{"requestor": True}], "source": {"observer": {"display": "x"}}}
        entry = await add(world, operator(), event)
        for change in (Change("update", "AuditEvent", entry.id, {**event, "id": entry.id}), Change("delete", "AuditEvent", entry.id),
                       Change("patch", "AuditEvent", entry.id, patch=dict), Change("delete", "AuditEvent", condition="type=rest", many=True)):
            assert (await failure_of(Records(world, operator()).commit([change])))[:2] == (errors.NotAllowed, 405)


class TestClaims:
    async def test_a_claim_is_taken_over_only_after_it_expires(self, world):
        moments = []

        async def claim(tx, wait):
            moments.append(tx.now)
            return await tx.claim("hold", "a", "bed-1", tx.now + wait)
        assert await world.store.commit(lambda tx: claim(tx, 200_000))
        assert not await world.store.commit(lambda tx: claim(tx, 200_000))
        await asyncio.sleep(0.25)
        assert await world.store.commit(lambda tx: claim(tx, 200_000))

    async def test_the_claims_of_two_organisations_do_not_meet(self, world):
        async def claim(tx, owner):
            return await tx.claim("hold", owner, "bed-1", tx.now + 10**9)
        assert await world.store.commit(lambda tx: claim(tx, "a")) and await world.store.commit(lambda tx: claim(tx, "b"))

    async def test_of_eight_parallel_conditional_creates_one_makes_the_resource(self, world):
        made = patient(identifier=[{"system": "urn:x", "value": "8"}])
        done = await asyncio.gather(*(Records(world, operator()).commit([Change("create", "Patient", resource=made, condition="identifier=urn:x|8")]) for _ in range(8)))
        assert sorted(d.outcome for [d] in done) == ["created"] + ["found"] * 7
        assert len({d.entry.id for [d] in done}) == 1

    async def test_of_two_parallel_updates_with_the_same_if_match_one_is_refused(self, world):
        entry = await add(world, operator(), patient())
        ways = [Records(world, operator()).commit([Change("update", "Patient", entry.id, patient(entry.id, name), if_match=("1",))]) for name in "李王"]
        results = await asyncio.gather(*ways, return_exceptions=True)
        assert sorted(getattr(r, "status", 200) for r in results) == [200, 412]


    async def test_a_condition_is_one_however_it_is_spelt_and_its_claim_holds_nobody_up(self, sqlite_world):
        made = patient(identifier=[{"system": "urn:x", "value": "9"}], gender="male")
        records = Records(sqlite_world, operator())
        for condition in ("identifier=urn:x|9&gender=male", "gender=male&identifier=urn%3Ax%7C9"):
            [done] = await records.commit([Change("create", "Patient", resource=made, condition=condition)])
            assert done.outcome == "created"
            await records.commit([Change("delete", "Patient", done.entry.id)])
        assert sqlite_world.store._commits.con.execute("select owner, until from claim").fetchall() == [("operator", 0)]


class TestIncludes:
    async def test_what_one_match_brings_is_never_cut_silently(self, world, monkeypatch):
        monkeypatch.setattr(pages, "INCLUDED", 3)
        await put(world, operator(), patient("p"))
        for i in range(4):
            assert len((await Records(world, operator()).search(("Patient",), [("_revinclude", "Observation:subject")])).included) == i
            await put(world, operator(), {"resourceType": "Observation", "id": f"o{i}", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/p"}})
        assert (await failure_of(Records(world, operator()).search(("Patient",), [("_revinclude", "Observation:subject")])))[2] == ["too-costly"]

    async def test_a_chain_of_includes_without_end_is_refused(self, world, monkeypatch):
        monkeypatch.setattr(pages, "ROUNDS", 3)
        for i in range(5):
            await put(world, operator(), {"resourceType": "Organization", "id": f"o{i}", "name": "x", **({"partOf": {"reference": f"Organization/o{i - 1}"}} if i else {})})
        up = lambda id: Records(world, operator()).search(("Organization",), [("_id", id), ("_include:iterate", "Organization:partof")])
        assert [e.id for e in (await up("o2")).included] == ["o1", "o0"]
        assert (await failure_of(up("o4")))[2] == ["too-costly"]


class TestPurge:
    async def test_text_and_rows_go_hash_and_order_stay(self, world):
        first = await add(world, operator(), patient(family="旧"))
        await put(world, operator(), patient(first.id, "新"))
        assert await world.store.purge("Patient", first.id, 1)
        kept = await world.store.get("Patient", first.id, version=1)
        assert (kept.text, kept.purged, kept.hash, kept.number) == (None, True, hashlib.sha256(first.text).digest(), first.number)
        assert (await failure_of(Records(world, operator()).read("Patient", first.id, "1")))[1] == 410
        assert [e.version for e in (await Records(world, operator()).versions("Patient", first.id)).entries] == [2, 1]

    async def test_of_a_version_that_concerned_a_patient_others_learn_no_more_than_before(self, world):
        schedule = {"resourceType": "Schedule", "id": "a-1"}
        for actor in ("Patient/a-p", "Location/a-l"):
            await put(world, hospital("a"), {**schedule, "actor": [{"reference": actor}]})
        b = Records(world, hospital("b"))
        before = await failure_of(b.read("Schedule", "a-1", "1"))
        assert await world.store.purge("Schedule", "a-1", 1)
        assert await failure_of(b.read("Schedule", "a-1", "1")) == before and before[0] is errors.Absent
        assert [e.version for e in (await b.versions("Schedule", "a-1")).entries] == [2]

    async def test_a_current_version_is_not_purged(self, world):
        entry = await add(world, operator(), patient())
        assert not await world.store.purge("Patient", entry.id, 1)


class TestVersions:
    async def test_an_unchanged_update_makes_no_version(self, world):
        await put(world, operator(), patient("p"))
        assert (await put(world, operator(), patient("p"))).outcome == "unchanged"
        assert (await put(world, operator(), patient("p", "李"))).entry.version == 2

    async def test_a_number_written_otherwise_is_a_change(self, world):
        made = lambda text: json.loads(b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"value":' + text + b"}}")
        await put(world, operator(), made(b"72.5"))
        assert (await put(world, operator(), made(b"72.50"))).outcome == "updated"
        assert b'"value":72.50' in (await Records(world, operator()).read("Observation", "o")).text

    async def test_a_delete_inherits_the_stamp_and_an_update_brings_the_resource_back(self, world):
        first = await add(world, hospital("a"), patient())
        [gone] = await Records(world, hospital("a")).commit([Change("delete", "Patient", first.id)])
        assert (gone.entry.custodian, gone.entry.about, gone.entry.version) == ("a", (f"Patient/{first.id}",), 2)
        done = await put(world, hospital("a"), patient(first.id))
        assert (done.outcome, done.entry.version) == ("created", 3)


class TestTransaction:
    async def test_one_failing_change_leaves_no_trace_and_is_named(self, world):
        changes = [Change("create", "Patient", resource=patient(), place="Bundle.entry[0]"), Change("patch", "Patient", "nobody", patch=dict, place="Bundle.entry[1]")]
        with pytest.raises(errors.Absent) as caught:
            await Records(world, operator()).commit(changes)
        assert caught.value.issues[0].expression.startswith("Bundle.entry[1]")
        assert (await Records(world, operator()).search(("Patient",), [])).total == 0

    async def test_references_among_the_entries_and_conditional_ones_become_ids(self, world):
        known = await add(world, operator(), {"resourceType": "Organization", "name": "甲", "identifier": [{"system": "urn:x", "value": "o1"}]})
        url = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
        done = await Records(world, operator()).commit([
            Change("create", "Patient", resource={**patient(), "managingOrganization": {"reference": "Organization?identifier=urn:x|o1"}}, url=url),
            Change("create", "Observation", resource={"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": url}})])
        assert json.loads(done[0].entry.text)["managingOrganization"]["reference"] == f"Organization/{known.id}"
        assert json.loads(done[1].entry.text)["subject"]["reference"] == f"Patient/{done[0].entry.id}"

    @pytest.mark.parametrize("order", [1, -1])
    async def test_conditions_are_held_after_the_deletes_and_conditional_references_after_all(self, world, order):
        key = {"identifier": [{"system": "urn:x", "value": "p1"}]}
        await put(world, operator(), patient("a", **key))
        changes = [Change("create", "Patient", resource=patient(**key), condition="identifier=urn:x|p1"), Change("delete", "Patient", "a"), Change(
            "create", "Observation", resource={"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient?identifier=urn:x|p1"}})]
        made, gone, told = (await Records(world, operator()).commit(changes[::order]))[::order]
        assert (made.outcome, gone.outcome) == ("created", "deleted") and made.entry.id != "a"
        assert json.loads(told.entry.text)["subject"]["reference"] == made.entry.ref


class TestTheAccessRecord:
    async def events(self, world, pairs=()):
        page = await Records(world, operator()).search(("AuditEvent",), list(pairs))
        return [json.loads(e.text) for e in page.entries]

    async def test_every_verb_leaves_one(self, world):
        entry = await add(world, hospital("a"), patient())
        a = Records(world, hospital("a"))
        await a.read("Patient", entry.id)
        await a.search(("Patient",), [("family", "张")])
        await a.versions("Patient", entry.id)
        with pytest.raises(errors.Absent):
            await a.read("Patient", "nobody")
        found = await self.events(world, [("patient", f"Patient/{entry.id}")])
        assert [e["action"] for e in found] == ["E", "E", "R", "C"]
        refused = await self.events(world, [("entity", "Patient/nobody")])
        assert [(e["action"], e["outcome"]) for e in refused] == [("R", "4")]

    async def test_who_asks_the_log_is_in_the_log(self, world):
        await self.events(world)
        assert "search-type" in [e["subtype"][0]["code"] for e in await self.events(world)]

    @pytest.mark.parametrize("name, value, number", [("type", "rest", 2), ("type", "http://dicom.nema.org/resources/ontology/DCM|110100", 0), ("action", "C", 1), ("subtype", "read", 1),
                                                     ("outcome", "0", 2), ("outcome", "4", 0), ("agent", "Organization/a", 2), ("entity-role", "24", 0)])
    async def test_the_log_is_searched_by_its_columns(self, world, name, value, number):
        entry = await add(world, hospital("a"), patient())
        await Records(world, hospital("a")).read("Patient", entry.id)
        assert len(await self.events(world, [(name, value), ("patient", f"Patient/{entry.id}")])) == number


class TestIncludesByVersionAndUrl:
    """https://hl7.org/fhir/R4/search.html#versions: the version that is referred to. Canonical urls: what has the url, in the version that is named."""

    @staticmethod
    async def brought(world, caller, type: str, *pairs) -> list[tuple]:
        page = await Records(world, caller).search((type,), list(pairs))
        return sorted((e.ref, e.version) for e in page.included)

    async def referring(self, world, id: str, ref: str, by: str = "a"):
        await put(world, hospital(by), {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}, "subject": {"reference": ref}})

    async def test_a_version_is_included_in_place_of_the_current_one(self, world):
        for family in ("张", "王", "李"):
            await put(world, hospital("a"), patient("a-1", family))
        await self.referring(world, "a-o", "Patient/a-1/_history/2")
        subject = ("_include", "Observation:subject")
        assert await self.brought(world, hospital("a"), "Observation", subject) == [("Patient/a-1", 2)]
        assert await self.brought(world, hospital("a"), "Observation", ("_include", "*")) == [("Patient/a-1", 2)]
        assert await self.brought(world, hospital("a"), "Observation", ("_include", "Observation:subject:Device")) == []
        await self.referring(world, "a-p", "Patient/a-1")
        assert await self.brought(world, hospital("a"), "Observation", subject) == [("Patient/a-1", 2), ("Patient/a-1", 3)]
        assert await self.brought(world, hospital("a"), "Observation", ("_id", "a-p"), subject) == [("Patient/a-1", 3)]
        await self.referring(world, "a-q", "http://test/fhir/Patient/a-1/_history/3")
        assert await self.brought(world, hospital("a"), "Observation", ("_id", "a-q"), subject) == [("Patient/a-1", 3)]

    async def test_where_the_version_is_not_there_the_current_one_is_included(self, world):
        await put(world, hospital("a"), patient("a-1"))
        for version in ("7", "x", "99999999999999999999"):
            await self.referring(world, "a-o", f"Patient/a-1/_history/{version}")
            assert await self.brought(world, hospital("a"), "Observation", ("_include", "Observation:subject")) == [("Patient/a-1", 1)]

    async def test_a_version_is_included_after_a_delete(self, world):
        await put(world, hospital("a"), patient("a-1"))
        await self.referring(world, "a-o", "Patient/a-1/_history/1")
        await Records(world, hospital("a")).commit([Change("delete", "Patient", "a-1")])
        assert await self.brought(world, hospital("a"), "Observation", ("_include", "Observation:subject")) == [("Patient/a-1", 1)]

    async def test_a_hidden_version_is_not_included(self, world):
        await put(world, hospital("a"), patient("a-1"))
        await self.referring(world, "b-o", "Patient/a-1/_history/1", by="b")
        assert await self.brought(world, hospital("b"), "Observation", ("_include", "Observation:subject")) == []
        assert await self.brought(world, operator(), "Observation", ("_include", "Observation:subject")) == [("Patient/a-1", 1)]

    async def test_canonical_urls_are_followed_both_ways(self, world):
        url, a = "http://example.org/q", hospital("a")
        for id, version in (("a-q1", "1"), ("a-q2", "2"), ("a-x", None)):
            await put(world, a, {"resourceType": "Questionnaire", "id": id, "status": "active", "url": url if version else "http://example.org/x", **({"version": version} if version else {})})
        for id, named in (("a-r1", f"{url}|1"), ("a-r", url), ("a-r0", f"{url}|9")):
            await put(world, a, {"resourceType": "QuestionnaireResponse", "id": id, "status": "completed", "questionnaire": named})
        include = ("_include", "QuestionnaireResponse:questionnaire")
        assert await self.brought(world, a, "QuestionnaireResponse", ("_id", "a-r1"), include) == [("Questionnaire/a-q1", 1)]
        assert await self.brought(world, a, "QuestionnaireResponse", ("_id", "a-r"), include) == [("Questionnaire/a-q1", 1), ("Questionnaire/a-q2", 1)]
        assert await self.brought(world, a, "QuestionnaireResponse", ("_id", "a-r0"), include) == []
        assert await self.brought(world, a, "QuestionnaireResponse", include) == [("Questionnaire/a-q1", 1), ("Questionnaire/a-q2", 1)]
        back = ("_revinclude", "QuestionnaireResponse:questionnaire")
        assert [ref for ref, _ in await self.brought(world, a, "Questionnaire", ("_id", "a-q1"), back)] == ["QuestionnaireResponse/a-r", "QuestionnaireResponse/a-r0", "QuestionnaireResponse/a-r1"]
        assert await self.brought(world, a, "Questionnaire", ("_id", "a-x"), back) == []

    async def test_more_look_ups_than_a_page_may_cost_make_fewer_matches_on_it(self, world, monkeypatch):
        monkeypatch.setattr(pages, "LOOKUPS", 5)
        for i in range(9):
            await put(world, hospital("a"), patient(f"a-{i}"))
            await self.referring(world, f"a-o{i}", f"Patient/a-{i}")
        records, seen, cursor = Records(world, hospital("a")), [], None
        while True:
            page = await records.search(("Observation",), [] if cursor else [("_include", "Observation:subject")], cursor=cursor)
            assert len(page.entries) <= 5 and {e.id for e in page.included} == {e.id.replace("o", "") for e in page.entries}
            seen += [e.id for e in page.entries]
            if not (cursor := page.next):
                break
        assert sorted(seen) == [f"a-o{i}" for i in range(9)]
        assert (await failure_of(records.search(("Patient",), [("_revinclude", "*")])))[2] == ["too-costly"]

    async def test_what_an_include_finds_among_the_matches_hides_nothing(self, world, monkeypatch):
        """The newest that are found may all be matches: the others are not cut for them."""
        monkeypatch.setattr(pages, "INCLUDED", 3)
        for i in range(6):
            await put(world, hospital("a"), patient(f"a-{i}", **({"link": [{"other": {"reference": f"Patient/a-{j}"}, "type": "seealso"} for j in range(i)]} if i else {})))
        ask = lambda ids: Records(world, hospital("a")).search(("Patient",), [("_id", ids), ("_include", "Patient:link")])
        assert (await failure_of(ask("a-5,a-4,a-3,a-2")))[2] == ["too-costly"]
        assert sorted(e.id for e in (await ask("a-3")).included) == ["a-0", "a-1", "a-2"]


async def test_what_an_operation_finds_is_what_the_caller_sees(world):
    east, west = Records(world, hospital("east")), Records(world, hospital("west"))
    await east.commit([Change("create", "Basic", resource={"resourceType": "Basic", "code": {"text": "a"}}), Change("create", "ConceptMap", resource={"resourceType": "ConceptMap", "status": "active"})])
    ask = lambda records, type: records.find(Query((type,), ALL), 5, Event("E", "$translate"))
    assert [len(await ask(records, type)) for records in (east, west) for type in ("Basic", "ConceptMap")] == [1, 1, 0, 1]
