"""What every store does, by hand: versions, snapshots, claims, the log, maintenance. Searches are in test_search_contract."""
from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from app.search.query import ALL, NONE, And, Compare, Granted, Newest, Not, Or, Query, Row, Stamp, has
from app.store.base import ALIVE, Event, Fact, Made
from tests.store.writing import NOW, access, delete, entry, ids, put

PATIENT = Row("Patient.name", text="wang", code="Wang")


# versions


async def test_a_version_comes_back_as_it_was_written(store):
    text = '{"resourceType":"Patient","id":"p1","name":[{"text":"王小明𠮷"}],"n":1e2}'.encode()
    made = await put(store, "Patient", "p1", PATIENT, text=text, custodian="huashan", about=("Patient/p1", "Patient/p2"), many=True, labels=5,
                     date=NOW - 7, guard="Binary/b", writer="w", method="PUT")
    found = await store.get("Patient", "p1")
    assert found == made
    assert (found.text, found.about, found.many, found.labels, found.date, found.guard, found.writer, found.method) == (
        text, ("Patient/p1", "Patient/p2"), True, 5, NOW - 7, "Binary/b", "w", "PUT")
    assert (found.version, found.died, found.deleted, found.purged, found.hash) == (1, ALIVE, False, False, hashlib.sha256(text).digest())
    assert found.number > 0 and found.born > 0


async def test_what_was_never_written_is_not_there(store):
    await put(store, "Patient", "p1")
    assert await store.get("Patient", "p2") is None
    assert await store.get("Basic", "p1") is None
    assert await store.get("Patient", "p1", version=2) is None


async def test_the_newest_version_is_got_and_older_ones_by_their_number(store):
    first = await put(store, "Patient", "p1", text=b"1")
    second = await put(store, "Patient", "p1", text=b"2")
    assert (await store.get("Patient", "p1")).text == b"2"
    old = await store.get("Patient", "p1", version=1)
    assert (old.text, old.born, old.died) == (b"1", first.born, second.born)
    assert second.number > first.number and second.born > first.born


async def test_a_delete_is_a_version_without_text(store):
    await put(store, "Patient", "p1", PATIENT)
    await delete(store, "Patient", "p1", custodian="huashan")
    gone = await store.get("Patient", "p1")
    assert (gone.deleted, gone.text, gone.version, gone.method, gone.custodian) == (True, None, 2, "DELETE", "huashan")
    assert await ids(store, "Patient") == []
    assert await store.count(Query(("Patient",)), at=await store.newest(), now=NOW) == 0
    assert await ids(store, "Patient", Not(has("Patient.name"))) == []


async def test_a_deleted_resource_can_come_back(store):
    await put(store, "Patient", "p1", PATIENT)
    await delete(store, "Patient", "p1")
    await put(store, "Patient", "p1", PATIENT)
    assert (await store.get("Patient", "p1")).version == 3
    assert await ids(store, "Patient", has("Patient.name")) == ["p1"]


async def test_a_large_text_comes_back_whole(store):
    text = b'{"data":"' + b"abcdefghij" * 1_000_000 + b'"}'
    await put(store, "Binary", "b1", text=text)
    assert (await store.get("Binary", "b1")).text == text
    assert (await store.search(Query(("Binary",)), at=await store.newest(), now=NOW, limit=5))[0].entry.text == text


async def test_a_resource_with_very_many_rows_is_found_by_each_of_them(store):
    rows = [Row("List.item", i, code=f"Patient/{i}") for i in range(5_000)] + [Row("List.code", code="x", system="s")]
    await put(store, "Patient", "4999")
    await put(store, "List", "l1", *rows)
    await put(store, "List", "l2", Row("List.item", code="Patient/1"))
    for code, expected in (("Patient/0", ["l1"]), ("Patient/1", ["l2", "l1"]), ("Patient/2500", ["l1"]), ("Patient/4999", ["l1"]), ("Patient/5000", [])):
        assert await ids(store, "List", has("List.item", Compare("code", "eq", code))) == expected
    assert await ids(store, "List", And((has("List.item", Compare("code", "eq", "Patient/4999")), has("List.code", Compare("code", "eq", "x"))))) == ["l1"]
    assert await ids(store, "List", Not(has("List.item", Compare("code", "eq", "Patient/4999")))) == ["l2"]


# commits


async def test_a_commit_is_whole_or_nothing_when_its_work_fails(store):
    await put(store, "Patient", "p1", text=b"1")

    async def work(tx):
        await tx.write(entry("Patient", "p1", 2), [], [])
        await tx.write(entry("Patient", "p2"), [], [])
        assert await tx.claim("id", "o", "k", NOW * 2)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.commit(work)
    assert (await store.get("Patient", "p1")).version == 1
    assert await store.get("Patient", "p2") is None

    async def again(tx):
        return await tx.claim("id", "o", "k", NOW * 2)

    assert await store.commit(again)


async def test_a_commit_sees_what_it_has_written(store):
    async def work(tx):
        await tx.write(entry("Patient", "p1"), [PATIENT], [])
        assert (await tx.get("Patient", "p1")).version == 1
        assert await tx.get("Patient", "p2") is None
        found = await tx.search(Query(("Patient",), has("Patient.name", Compare("text", "prefix", "wa"))), limit=5)
        assert [f.entry.id for f in found] == ["p1"]
        assert await tx.meets(found[0].entry, Stamp((Compare("id", "eq", "p1"),)))
        await tx.write(entry("Patient", "p1", 2), [], [])
        assert (await tx.get("Patient", "p1")).version == 2
        assert await tx.search(Query(("Patient",), has("Patient.name")), limit=5) == []
        return "done"

    assert await store.commit(work) == "done"
    assert (await store.get("Patient", "p1")).version == 2
    assert await ids(store, "Patient", has("Patient.name")) == []
    assert await ids(store, "Patient") == ["p1"]


async def test_entries_of_one_commit_appear_together(store):
    async def work(tx):
        for i in range(600):
            await tx.write(entry("Patient", f"p{i}"), [], [])

    before = await store.newest()
    await store.commit(work)
    after = await store.newest()
    assert await store.count(Query(("Patient",)), at=before, now=NOW) == 0
    assert await store.count(Query(("Patient",)), at=after, now=NOW) == 600
    assert len({(await store.get("Patient", f"p{i}")).born for i in (0, 300, 599)}) == 1


async def test_of_eight_parallel_updates_each_is_a_version(store):
    await put(store, "Patient", "p1")
    await asyncio.gather(*(put(store, "Patient", "p1") for _ in range(8)))
    assert (await store.get("Patient", "p1")).version == 9
    assert await ids(store, "Patient") == ["p1"]


async def test_of_two_parallel_updates_of_version_one_the_second_sees_version_two(store):
    await put(store, "Patient", "p1")

    async def update(tx):
        current = await tx.get("Patient", "p1")
        if current.version != 1:
            return "mismatch"
        await asyncio.sleep(0)
        await tx.write(entry("Patient", "p1", 2), [], [])
        return "updated"

    assert sorted(await asyncio.gather(store.commit(update), store.commit(update))) == ["mismatch", "updated"]


# as of a commit


async def test_a_search_as_of_a_commit_finds_what_was_current_then(store):
    await put(store, "Patient", "p1", Row("Patient.gender", code="male"))
    first = await store.newest()
    await put(store, "Patient", "p1", Row("Patient.gender", code="female"))
    await put(store, "Patient", "p2", Row("Patient.gender", code="male"))
    second = await store.newest()
    await delete(store, "Patient", "p1")
    third = await store.newest()
    male, female = (has("Patient.gender", Compare("code", "eq", g)) for g in ("male", "female"))
    assert [await ids(store, "Patient", male, at=at) for at in (first, second, third)] == [["p1"], ["p2"], ["p2"]]
    assert [await ids(store, "Patient", female, at=at) for at in (first, second, third)] == [[], ["p1"], []]
    assert [await store.count(Query(("Patient",)), at=at, now=NOW) for at in (first, second, third)] == [1, 2, 1]


async def test_pages_as_of_a_commit_stay_while_others_write(store):
    for i in range(10):
        await put(store, "Patient", f"p{i}", Row("Patient.gender", code="male"))
    at, after, seen = await store.newest(), None, []
    for step in range(5):
        found = await store.search(Query(("Patient",), has("Patient.gender", Compare("code", "eq", "male"))), at=at, now=NOW, limit=2, after=after)
        seen += [f.entry.id for f in found]
        after = found[-1].place
        await put(store, "Patient", f"new{step}", Row("Patient.gender", code="male"))
        await put(store, "Patient", f"p{step}", Row("Patient.gender", code="female"))
        await delete(store, "Patient", f"p{9 - step}")
    assert seen == [f"p{i}" for i in reversed(range(10))]


async def test_the_newest_commit_never_goes_back(store):
    numbers = [await store.newest()]
    for i in range(5):
        made = await put(store, "Patient", f"p{i}")
        numbers.append(await store.newest())
        assert numbers[-1] >= made.born
    assert numbers == sorted(numbers)


# history


async def versions(store, type="", **more) -> list[tuple[str, int]]:
    more = {"at": await store.newest(), "now": NOW, "limit": 100, "where": ALL, **more}
    query = Query((type,) if type else (), more.pop("where"))
    return [(e.id, e.version) for e in await store.history(query, **more)]


async def _three(store):
    await put(store, "Patient", "p1", updated=NOW + 10)
    await put(store, "Patient", "p2", updated=NOW + 20)
    await put(store, "Basic", "b1", updated=NOW + 30)
    await put(store, "Patient", "p1", updated=NOW + 40)
    await delete(store, "Patient", "p1", updated=NOW + 50)


async def test_history_is_newest_first_of_a_resource_a_type_or_all(store):
    await _three(store)
    assert await versions(store, "Patient", id="p1") == [("p1", 3), ("p1", 2), ("p1", 1)]
    assert await versions(store, "Patient") == [("p1", 3), ("p1", 2), ("p2", 1), ("p1", 1)]
    assert await versions(store) == [("p1", 3), ("p1", 2), ("b1", 1), ("p2", 1), ("p1", 1)]


async def test_history_goes_on_after_a_number(store):
    await _three(store)
    at, after, seen = await store.newest(), None, []
    while found := await store.history(Query(()), at=at, now=NOW, limit=2, after=after):
        seen += [(e.id, e.version) for e in found]
        after = found[-1].number
    assert seen == [("p1", 3), ("p1", 2), ("b1", 1), ("p2", 1), ("p1", 1)]


async def test_history_as_of_a_commit_leaves_out_later_versions(store):
    await put(store, "Patient", "p1")
    at = await store.newest()
    await put(store, "Patient", "p1")
    assert await versions(store, "Patient", at=at) == [("p1", 1)]


async def test_history_since_until_and_at_a_time(store):
    await _three(store)
    assert await versions(store, since=NOW + 30) == [("p1", 3), ("p1", 2), ("b1", 1)]
    assert await versions(store, until=NOW + 20) == [("p2", 1), ("p1", 1)]
    assert await versions(store, since=NOW + 20, until=NOW + 30) == [("b1", 1), ("p2", 1)]
    assert await versions(store, moment=(NOW + 45, NOW + 45)) == [("p1", 2), ("b1", 1), ("p2", 1)]
    assert await versions(store, moment=(NOW + 15, NOW + 15)) == [("p1", 1)]
    assert await versions(store, moment=(NOW + 15, NOW + 25)) == [("p2", 1), ("p1", 1)]
    assert await versions(store, moment=(NOW + 5, NOW + 5)) == []


async def test_history_asks_the_old_version_and_the_newest_where_that_is_asked_for(store):
    await put(store, "Patient", "p1", custodian="a")
    await put(store, "Patient", "p1", custodian="b")
    await put(store, "Patient", "p2", custodian="a")
    await put(store, "Patient", "p2", custodian="a")
    of = [Stamp((Compare("custodian", "eq", c),)) for c in "ab"]
    assert await versions(store, where=of[0]) == [("p2", 2), ("p2", 1), ("p1", 1)]
    of = [And((clause, Newest(clause))) for clause in (*of, Or(tuple(of)))]
    assert await versions(store, where=of[0]) == [("p2", 2), ("p2", 1)]
    assert await versions(store, where=of[1]) == [("p1", 2)]
    assert await versions(store, where=of[2]) == [("p2", 2), ("p2", 1), ("p1", 2), ("p1", 1)]
    assert await versions(store, where=of[0], limit=1) == [("p2", 2)]


async def test_history_of_versions_that_meet_a_test_themselves(store):
    for _ in range(3):
        for id in ("1", "2"):
            await put(store, "T", id)
    named = Or((Stamp((Compare("type", "eq", "T"), Compare("id", "eq", "1"), Compare("version", "eq", 2))), Stamp((Compare("type", "eq", "T"), Compare("id", "in", ("2",))))))
    for type in ("T", ""):
        assert await versions(store, type, own=named) == [("2", 3), ("2", 2), ("1", 2), ("2", 1)]
    assert await versions(store, "T", id="1", own=named) == [("1", 2)]
    assert await versions(store, "T", own=named, limit=2) == [("2", 3), ("2", 2)]
    assert await versions(store, "U", own=named) == await versions(store, "T", own=NONE) == []


async def test_history_under_facts(store):
    await put(store, "Patient", "p1", about=("Patient/p1",))
    await delete(store, "Patient", "p1", about=("Patient/p1",))
    await put(store, "Patient", "p2", about=("Patient/p2",))
    await put(store, "Consent", "c1", facts=[Fact("allow", "renji", patient="Patient/p1")])
    granted = Granted((Compare("effect", "eq", "allow"), Compare("grantee", "eq", "renji")), (("patient", "about"),))
    assert await versions(store, "Patient", where=granted) == [("p1", 2), ("p1", 1)]


# single decisions


async def test_a_clause_is_asked_of_one_version_current_or_not(store):
    first = await put(store, "Patient", "p1", custodian="a")
    await put(store, "Patient", "p1", custodian="b")
    gone = await delete(store, "Patient", "p1", custodian="c")
    for made, custodian in ((first, "a"), (gone, "c")):
        assert await store.meets(made, Stamp((Compare("custodian", "eq", custodian),)), now=NOW)
        assert not await store.meets(made, Stamp((Compare("custodian", "eq", "b"),)), now=NOW)


# claims


async def claim(store, *names, until=NOW * 2) -> bool:
    return await store.commit(lambda tx: tx.claim(*names, until))


async def test_a_claim_is_taken_once_for_each_owner_kind_and_key(store):
    assert await claim(store, "if-none-exist", "huashan", "k")
    assert not await claim(store, "if-none-exist", "huashan", "k")
    assert await claim(store, "if-none-exist", "renji", "k")
    assert await claim(store, "token", "huashan", "k")
    assert await claim(store, "if-none-exist", "huashan", "k2")


async def test_a_claim_is_taken_over_once_expired(store):
    assert await claim(store, "hold", "o", "k", until=NOW)
    assert await claim(store, "hold", "o", "k")
    assert not await claim(store, "hold", "o", "k")


async def test_a_sweep_takes_ended_claims_and_leaves_those_in_force(store):
    assert await claim(store, "condition", "o", "ended", until=NOW) and await claim(store, "hold", "o", "held")
    await store.sweep(NOW + 1)
    count = await store.db.claims.count_documents({}) if hasattr(store, "db") else store._commits.con.execute("select count(*) from claim").fetchone()[0]
    assert count == 1 and not await claim(store, "hold", "o", "held")


async def test_of_eight_parallel_claims_one_wins(store):
    assert sorted(await asyncio.gather(*(claim(store, "hold", "o", "k") for _ in range(8)))) == [False] * 7 + [True]


async def test_of_eight_parallel_conditional_creates_one_makes_the_resource(store):
    row = Row("Patient.identifier", system="s", code="1")
    query = Query(("Patient",), has("Patient.identifier", Compare("system", "eq", "s"), Compare("code", "eq", "1")))

    async def create(id):
        async def work(tx):
            if found := await tx.search(query, limit=2):
                return found[0].entry.id
            await tx.claim("condition", "o", "identifier=s|1", tx.now)
            await tx.write(entry("Patient", id), [row], [])
            return id
        return await store.commit(work)

    made = await asyncio.gather(*(create(f"p{i}") for i in range(8)))
    assert len(set(made)) == 1
    assert await ids(store, "Patient") == made[:1]


# facts


async def test_facts_are_those_of_the_current_version(store):
    allow = Fact("allow", "renji", patient="Patient/p1", low=1, high=2, labels=3, purpose="TREAT", kind="k", code="c", since=4, until=5, level=6)
    await put(store, "Consent", "c1", facts=[allow, Fact("deny", resource="Basic/1")])
    assert await store.facts("Consent/c1") == [allow, Fact("deny", resource="Basic/1")]
    await put(store, "Consent", "c1", facts=[Fact("deny")])
    assert await store.facts("Consent/c1") == [Fact("deny")]
    await delete(store, "Consent", "c1")
    assert await store.facts("Consent/c1") == []
    assert await store.facts("Consent/c2") == []


# the log


async def test_an_access_record_comes_back_as_it_was_kept(store):
    made = access(7, Event("R", "read", "Patient/p1", 2, "Patient/p1"), user="https://idp|li", address="10.0.0.7")
    await store.keep([made])
    found = await store.access("j1", 7)
    assert found.number > 0
    made.number = found.number
    assert found == made
    assert await store.access("j1", 8) is None
    assert await store.access("j2", 7) is None


async def test_keeping_a_record_again_does_nothing(store):
    records = [access(i, Event("R", "read")) for i in range(3)]
    await store.keep(records)
    await store.keep([access(i, Event("R", "read")) for i in range(5)])
    assert await store.count_events(ALL) == 5
    assert await store.kept("j1") == 4
    assert await store.kept("j2") == -1


async def test_a_record_lands_with_its_commit_or_not_at_all(store):
    async def work(tx):
        await tx.write(entry("Patient", "p1"), [], [])
        await tx.record(access(0, Event("C", "create", "Patient/p1", 1), journal=""))

    async def fails(tx):
        await work(tx)
        raise ValueError

    with pytest.raises(ValueError):
        await store.commit(fails)
    assert await store.count_events(ALL) == 0
    await store.commit(work)
    [seen] = await store.events(ALL, limit=5)
    assert (seen.access.journal, seen.access.sequence, seen.ordinal) == ("log", seen.access.number, 0)
    assert seen.access.events == (Event("C", "create", "Patient/p1", 1),)
    assert await store.access("log", seen.access.number) == seen.access


async def _log(store):
    await store.keep([
        access(1, Event("R", "read", "Patient/p1", 1, "Patient/p1"), at=NOW + 1),
        access(2, Event("E", "search", "", 0, "Patient/p1"), Event("E", "search", "", 0, "Patient/p2"), at=NOW + 3, client="lis"),
        access(3, Event("U", "update", "Patient/p2", 2, "Patient/p2"), at=NOW + 2, user="u|li", outcome="4")])


async def told(store, where=ALL, **more):
    return [(s.access.sequence, s.ordinal) for s in await store.events(where, **{"limit": 100, **more})]


async def test_events_come_newest_first_each_with_its_ordinal(store):
    await _log(store)
    assert await told(store) == [(2, 1), (2, 0), (3, 0), (1, 0)]
    assert await told(store, ascending=True) == [(1, 0), (3, 0), (2, 0), (2, 1)]
    assert await told(store, limit=2) == [(2, 1), (2, 0)]


async def test_events_go_on_after_a_place(store):
    await _log(store)
    for ascending, expected in ((False, [(2, 1), (2, 0), (3, 0), (1, 0)]), (True, [(1, 0), (3, 0), (2, 0), (2, 1)])):
        after, seen = None, []
        while found := await store.events(ALL, limit=1, after=after, ascending=ascending):
            seen += [(s.access.sequence, s.ordinal) for s in found]
            after = found[-1].place
        assert seen == expected


async def test_events_up_to_a_moment_leave_out_later_ones(store):
    await _log(store)
    before = await told(store)
    await store.keep([access(9, Event("R", "read"), at=NOW + 1_000_000)])
    assert await told(store, where=Stamp((Compare("at", "le", NOW + 999_999),))) == before and len(await told(store)) == len(before) + 1


@pytest.mark.parametrize("where, expected", [
    (Stamp((Compare("patient", "eq", "Patient/p1"),)), [(2, 0), (1, 0)]),
    (Stamp((Compare("patient", "eq", "Patient/p2"), Compare("action", "eq", "E"))), [(2, 1)]),
    (Stamp((Compare("entity", "eq", "Patient/p2"),)), [(3, 0)]),
    (Stamp((Compare("entity", "prefix", "Patient/"),)), [(3, 0), (1, 0)]),
    (Stamp((Compare("entity", "none"),)), [(2, 1), (2, 0)]),
    (Stamp((Compare("user", "some"),)), [(3, 0)]),
    (Stamp((Compare("client", "eq", "lis"),)), [(2, 1), (2, 0)]),
    (Stamp((Compare("at", "ge", NOW + 2), Compare("at", "lt", NOW + 3))), [(3, 0)]),
    (Stamp((Compare("subtype", "in", ("read", "update")),)), [(3, 0), (1, 0)]),
    (Stamp((Compare("version", "gt", 1),)), [(3, 0)]),
    (Stamp((Compare("ordinal", "eq", 1),)), [(2, 1)]),
    (Stamp((Compare("outcome", "eq", "4"),)), [(3, 0)]),
    (Not(Stamp((Compare("patient", "eq", "Patient/p1"),))), [(2, 1), (3, 0)]),
    (Or((Stamp((Compare("action", "eq", "R"),)), Stamp((Compare("ordinal", "eq", 1),)))), [(2, 1), (1, 0)]),
    (And((Stamp((Compare("organization", "eq", "huashan"),)), Not(Stamp((Compare("client", "eq", "lis"),))))), [(3, 0), (1, 0)]),
    (Or(()), []),
])
async def test_events_are_found_by_columns_of_record_and_event(store, where, expected):
    await _log(store)
    assert await told(store, where) == expected
    assert await store.count_events(where) == len(expected)


async def test_an_event_is_found_by_its_record_and_ordinal(store):
    await _log(store)
    [seen] = await store.events(Stamp((Compare("client", "eq", "lis"), Compare("ordinal", "eq", 1))), limit=1)
    found = await store.events(Stamp((Compare("number", "eq", seen.access.number), Compare("ordinal", "eq", 1))), limit=2)
    assert [f.ordinal for f in found] == [1]


# values, maintenance


async def test_a_value_is_made_once(store):
    assert await store.value("secret") is None
    assert await store.value("secret", lambda: "first") == "first"
    assert await store.value("secret", lambda: "second") == "first"
    assert await store.value("secret") == "first"
    assert await store.value("zone") == "Asia/Shanghai" == store.zone


async def test_the_walk_of_a_reindex_takes_versions_by_number_and_tells_those_with_rows(store):
    for id in ("p1", "p2", "p3"):
        await put(store, "Patient", id, Row("Patient.gender", code="male"))
    await put(store, "Group", "g1")
    await put(store, "Patient", "p1", updated=NOW - 50)
    await delete(store, "Patient", "p2")
    await store.purge("Patient", "p2", 1)
    await store.sweep(NOW)
    await put(store, "Patient", "p3", Row("Patient.gender", code="male"))
    first = await store.walk(after=0, until=ALIVE, limit=1)
    rest = await store.walk(after=first[-1].entry.number, until=ALIVE, limit=9)
    assert [(w.entry.id, w.entry.version, w.entry.deleted, w.rowed) for w in first + rest] == [
        ("p1", 1, False, False), ("p3", 1, False, True), ("g1", 1, False, True), ("p1", 2, False, True), ("p2", 2, True, True), ("p3", 2, False, True)]
    assert await store.quiet() == rest[-1].entry.number and await store.walk(after=0, until=first[0].entry.number, limit=9) == first
    assert [w.entry.id for w in await store.walk("Group", after=0, until=ALIVE, limit=9)] == ["g1"] and await store.walk("Basic", after=0, until=ALIVE, limit=9) == []


def fresh(entry, *rows: Row, facts=(), **stamp) -> Made:
    return Made(replace(entry, **stamp), list(rows), list(facts))


async def test_reindexing_replaces_stamp_rows_and_facts_of_a_current_version(store):
    old = await put(store, "Patient", "p1", Row("Patient.gender", code="male"), Row("Patient.name", text="a"), facts=[Fact("allow", "a")], about=("Patient/p1",), date=5)
    made = fresh(old, Row("Patient.gender", code="female"), Row("Patient.name", text="a"), facts=[Fact("allow", "b")], about=("Patient/p2",), many=True, labels=5, date=None, guard="-")
    assert await store.reindexed([made], "")
    assert await ids(store, "Patient", has("Patient.gender", Compare("code", "eq", "male"))) == []
    assert await ids(store, "Patient", has("Patient.gender", Compare("code", "eq", "female"))) == ["p1"]
    assert await ids(store, "Patient", has("Patient.name", Compare("text", "eq", "a"))) == ["p1"]
    assert await store.facts("Patient/p1") == [Fact("allow", "b")]
    for clause, found in ((Compare("about", "eq", "Patient/p1"), []), (Compare("about", "eq", "Patient/p2"), ["p1"]), (Compare("labels", "lacks", 4), []), (Compare("date", "some"), [])):
        assert await ids(store, "Patient", Stamp((clause,))) == found, clause
    now = await store.get("Patient", "p1")
    assert (now.about, now.many, now.labels, now.date, now.guard, now.text, now.version) == (("Patient/p2",), True, 5, None, "-", old.text, 1)


async def test_reindexing_a_version_that_was_superseded_leaves_the_current_one_alone(store):
    old = await put(store, "Patient", "p1", Row("Patient.gender", code="male"), facts=[Fact("allow", "a")])
    at = await store.newest()
    await put(store, "Patient", "p1", Row("Patient.gender", code="other"), facts=[Fact("allow", "b")])
    assert await store.reindexed([fresh(old, Row("Patient.gender", code="female"), facts=[Fact("allow", "c")], about=("Patient/p1",))], "")
    assert await ids(store, "Patient", has("Patient.gender", Compare("code", "eq", "other"))) == ["p1"]
    assert await ids(store, "Patient", has("Patient.gender", Compare("code", "eq", "female")), at=at) == ["p1"]
    assert await store.facts("Patient/p1") == [Fact("allow", "b")]
    assert [(await store.get("Patient", "p1", version=v)).about for v in (1, 2)] == [("Patient/p1",), ()]


async def test_reindexing_gives_nothing_back_to_what_was_purged(store):
    old = await put(store, "Patient", "p1", Row("Patient.gender", code="male"))
    await put(store, "Patient", "p1")
    await store.purge("Patient", "p1", 1)
    assert await store.reindexed([fresh(old, Row("Patient.gender", code="male"), about=("Patient/p1",))], "")
    gone = await store.get("Patient", "p1", version=1)
    assert (gone.about, gone.text) == ((), None) and [w.entry.version for w in await store.walk(after=0, until=ALIVE, limit=9)] == [2]


async def define(store, text: str) -> None:
    async def work(tx):
        await tx.record(access(len(text)))
        await tx.set_recipe(text)
        assert await tx.recipe() == text
    await store.commit(work)


async def test_a_recipe_is_there_for_all_who_come_after_and_stops_a_reindex_by_another(store):
    assert await store.recipe() == ""
    old = await put(store, "Patient", "p1", Row("Patient.gender", code="male"))
    await define(store, "first")
    assert await store.recipe() == "first"
    assert not await store.reindexed([fresh(old, Row("Patient.gender", code="other"))], "")
    assert await ids(store, "Patient", has("Patient.gender", Compare("code", "eq", "other"))) == []
    assert await store.reindexed([fresh(old, Row("Patient.gender", code="other"))], "first")
    assert await ids(store, "Patient", has("Patient.gender", Compare("code", "eq", "other"))) == ["p1"]


async def test_a_recipe_of_a_commit_that_fails_never_was(store):
    async def work(tx):
        await tx.record(access(1))
        await tx.set_recipe("never")
        raise LookupError
    with pytest.raises(LookupError):
        await store.commit(work)
    assert await store.recipe() == ""


async def test_a_purge_takes_text_and_rows_and_leaves_hash_and_order(store):
    first = await put(store, "Patient", "p1", PATIENT, text=b"secret", about=("Patient/p1",))
    at = await store.newest()
    await put(store, "Patient", "p1")
    assert await store.purge("Patient", "p1", 1)
    old = await store.get("Patient", "p1", version=1)
    assert (old.text, old.purged, old.about) == (None, True, ())
    assert (old.hash, old.number, old.born) == (first.hash, first.number, first.born)
    assert await ids(store, "Patient", has("Patient.name"), at=at) == await ids(store, "Patient", at=at) == []
    assert await store.count(Query(("Patient",)), at=at, now=NOW) == 0
    assert [e.version for e in await store.history(Query(("Patient",)), at=await store.newest(), now=NOW, limit=5)] == [2, 1]


async def test_only_superseded_versions_and_deletes_are_purged(store):
    await put(store, "Patient", "p1")
    assert not await store.purge("Patient", "p1", 1)
    assert not await store.purge("Patient", "p1", 2)
    await delete(store, "Patient", "p1")
    assert await store.purge("Patient", "p1", 2)
    assert await store.purge("Patient", "p1", 1)
    await put(store, "Patient", "p1")
    assert await ids(store, "Patient") == ["p1"]


async def test_a_large_text_is_purged_whole(store):
    await put(store, "Binary", "b1", text=b"x" * 10_000_000)
    await put(store, "Binary", "b1")
    assert await store.purge("Binary", "b1", 1)
    assert (await store.get("Binary", "b1", version=1)).text is None


async def test_a_sweep_drops_rows_of_versions_that_died_before_a_time(store):
    await put(store, "Patient", "p1", PATIENT, PATIENT, updated=NOW)
    at = await store.newest()
    await put(store, "Patient", "p1", PATIENT, updated=NOW + 100)
    assert await store.sweep(NOW + 100) == 0
    assert await ids(store, "Patient", has("Patient.name"), at=at) == ["p1"]
    assert await store.sweep(NOW + 101) == 2
    assert await store.sweep(NOW + 101) == 0
    assert await ids(store, "Patient", has("Patient.name"), at=at) == []
    assert await ids(store, "Patient", has("Patient.name")) == ["p1"]
    assert (await store.get("Patient", "p1", version=1)).text is not None
