"""What every store finds, expected results written by hand: comparisons, groups, negation, chains, facts, order, paging.

https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal

import pytest

from app import errors
from app.search import types
from app.search.context import Context
from app.search.param import Param
from app.search.query import ALL, FIRST, LAST, NONE, NOW as MOMENT, And, Back, Compare, Granted, Has, Key, Link, Newest, Not, Or, Query, Row, Stamp, Test, has
from app.store.base import Fact, Made
from tests.store.writing import NOW, delete, entry, ids, put


def c(column, how, value=None) -> Compare:
    return Compare(column, how, value)


def stamp(*compares) -> Stamp:
    return Stamp(tuple(Compare(*x) for x in compares))


# comparisons on rows

ROWS = {
    "a": Row("T.x", system="s", code="one", text="wang xiao", low=10, high=20),
    "b": Row("T.x", system="", code="two", text="wang da", low=15.5, high=15.5),
    "c": Row("T.x", system="S", code="One", text="王小明𠮷", low=FIRST, high=10),
    "d": Row("T.x", code="two", text="li_%.*", low=20, high=LAST),
    "e": Row("T.x"),
    "f": Row("T.y", system="s", code="one", text="wang xiao", low=10, high=20),
}


@pytest.mark.parametrize("compares, expected", [
    ([], "abcde"),
    ([c("code", "eq", "one")], "a"),
    ([c("code", "eq", "two")], "bd"),
    ([c("code", "eq", "nothing")], ""),
    ([c("system", "eq", "s")], "a"),
    ([c("system", "eq", "")], "b"),
    ([c("system", "none")], "de"),
    ([c("system", "some")], "abc"),
    ([c("system", "eq", "s"), c("code", "eq", "two")], ""),
    ([c("system", "eq", ""), c("code", "eq", "two")], "b"),
    ([c("code", "in", ("one", "One", "three"))], "ac"),
    ([c("code", "in", ())], ""),
    ([c("system", "in", ("s", ""))], "ab"),
    ([c("code", "none")], "e"),
    ([c("code", "some")], "abcd"),
    ([c("code", "lt", "one")], "c"),
    ([c("code", "gt", "One"), c("code", "lt", "two"), c("system", "eq", "s")], "a"),
    ([c("code", "gt", "one"), c("system", "none")], "d"),
    ([c("text", "eq", "wang da")], "b"),
    ([c("text", "prefix", "wang")], "ab"),
    ([c("text", "prefix", "wang x")], "a"),
    ([c("text", "prefix", "Wang")], ""),
    ([c("text", "prefix", "王小")], "c"),
    ([c("text", "prefix", "王小明𠮷")], "c"),
    ([c("text", "prefix", "")], "abcd"),
    ([c("text", "prefix", "li_%")], "d"),
    ([c("text", "prefix", "_")], ""),
    ([c("text", "contains", "ng d")], "b"),
    ([c("text", "contains", "小明")], "c"),
    ([c("text", "contains", "𠮷")], "c"),
    ([c("text", "contains", "_%.*")], "d"),
    ([c("text", "contains", ".")], "d"),
    ([c("text", "contains", "w.ng")], ""),
    ([c("text", "suffix", "da")], "b"),
    ([c("text", "suffix", "明𠮷")], "c"),
    ([c("text", "suffix", "li_%.*")], "d"),
    ([c("text", "suffix", "more than wang xiao")], ""),
    ([c("text", "suffix", "")], "abcd"),
    ([c("text", "suffix", "wang")], ""),
    ([c("code", "ne", "one")], "bcd"),
    ([c("code", "ne", "one"), c("code", "ne", "two")], "c"),
    ([c("system", "ne", "s")], "bc"),
    ([c("system", "ne", "never seen")], "abc"),
    ([c("low", "ne", 15.5), c("code", "some")], "acd"),
    ([c("text", "ne", "wang da"), c("code", "eq", "two")], "d"),
    ([c("text", "lt", "wang da")], "d"),
    ([c("text", "ge", "wang da")], "abc"),
    ([c("low", "eq", 10)], "a"),
    ([c("low", "eq", 15.5)], "b"),
    ([c("low", "lt", 15)], "ac"),
    ([c("low", "le", 15.5)], "abc"),
    ([c("low", "gt", 15.5)], "d"),
    ([c("low", "ge", 15.5)], "bd"),
    ([c("high", "gt", 20)], "d"),
    ([c("high", "ge", 20)], "ad"),
    ([c("low", "le", 16), c("high", "ge", 15)], "ab"),
    ([c("low", "ge", 10), c("low", "lt", 20)], "ab"),
    ([c("low", "eq", FIRST)], "c"),
    ([c("high", "eq", LAST)], "d"),
    ([c("low", "none")], "e"),
    ([c("low", "some")], "abcd"),
    ([c("low", "lt", MOMENT), c("code", "eq", "two")], "bd"),
    ([c("low", "gt", MOMENT)], ""),
])
async def test_a_comparison_on_a_row(store, compares, expected):
    for id, row in ROWS.items():
        await put(store, "T", id, row)
    assert sorted(await ids(store, "T", has("T.x", *compares))) == list(expected)
    assert sorted(await ids(store, "T", Not(has("T.x", *compares)))) == sorted(set("abcdef") - set(expected))
    assert await store.count(Query(("T",), has("T.x", *compares)), at=await store.newest(), now=NOW) == len(expected)


FAR = 253_402_271_999_999_999
"""The end of the year 9999, in microseconds: a whole number that no real is equal to."""


@pytest.mark.parametrize("compares, expected", [
    ([c("high", "ge", FAR)], "ab"), ([c("high", "eq", FAR)], "ab"), ([c("high", "gt", FAR - 1), c("low", "le", FAR)], "ab"), ([c("high", "gt", FAR)], ""), ([c("low", "lt", FAR), c("high", "ge", FAR - 9)], "ab"),
])
async def test_short_ranges_far_from_now_are_found_by_where_they_end(store, compares, expected):
    for id, low in (("a", FAR - 1), ("b", FAR - 9), ("c", FAR - 99)):
        await put(store, "T", id, Row("T.x", low=low, high=low + 9 if id == "c" else FAR))
    assert sorted(await ids(store, "T", has("T.x", *compares))) == list(expected)


WORDS = {"a": " bone marrow  高血压 ", "b": " marrow bone  血压高 ", "c": " bonemarrow  高 ", "d": " b 超检查𠮷 hba1c ", "e": ""}


@pytest.mark.parametrize("sought, expected", [
    (" bone ", "ab"), (" bone marrow ", "a"), (" marrow bone ", "b"), (" bone", "abc"), ("marrow ", "abc"), ("one", "abc"), (" on", ""), (" marrow 高", ""), ("  ", "ab c".replace(" ", "")),
    ("高", "abc"), ("血压", "ab"), ("高血压", "a"), ("血压高", "b"), ("压高血", ""), ("压", "ab"), (" 血", "b"), ("压 ", "a"), ("𠮷", "d"), ("检查𠮷", "d"), (" b 超", "d"), ("超检查𠮷 hba", "d"),
    ("c.", ""), ("", "abcde"), ("\0", ""),
])
async def test_what_is_looked_for_in_words(store, sought, expected):
    for id, words in WORDS.items():
        await put(store, "T", id, Row("T.x", system="s" if id == "a" else "", words=words), Row("T.y", words=" bone 血压高血压 "))
    await put(store, "T", "f", Row("T.x", text=" bone 血压 "))
    found = has("T.x", c("words", "contains", sought))
    assert sorted(await ids(store, "T", found)) == list(expected)
    assert sorted(await ids(store, "T", Not(found))) == sorted(set("abcdef") - set(expected))
    assert sorted(await ids(store, "T", has("T.x", c("words", "contains", sought), c("system", "eq", "s")))) == sorted({"a"} & set(expected))
    assert sorted(await ids(store, "T", Or((found, has("T.x", c("words", "none")))))) == sorted({*expected, "f"})
    assert await store.count(Query(("T",), And((found, has("T.y")))), at=await store.newest(), now=NOW) == len(expected)


async def test_words_of_other_versions_are_not_found_and_those_that_are_swept_leave_nothing(store):
    old = await put(store, "T", "1", Row("T.x", words=" bone 高血压 "), Row("T.x", words=" bone ", system="s"))
    before = await store.newest()
    await put(store, "T", "1", Row("T.x", words=" liver 高血脂 "))
    for at, there in ((before, True), (None, False)):
        for sought in (" bone ", "血压", "高血压"):
            assert bool(await ids(store, "T", has("T.x", c("words", "contains", sought)), at=at)) is there
    assert await ids(store, "T", has("T.x", c("words", "contains", "高血"))) == ["1"]
    await store.sweep(NOW + 100)
    assert await store.reindexed([Made(await store.get("T", "1"), [Row("T.x", words=" spleen "), Row("T.x", code="a")], [])], "")
    assert await ids(store, "T", has("T.x", c("words", "contains", " spleen "))) == ["1"]
    assert await ids(store, "T", has("T.x", c("words", "contains", " liver "))) == []
    assert await pieces_kept(store) == {"spleen"}
    await delete(store, "T", "1")
    assert await store.purge("T", "1", 2) and await store.purge("T", "1", 1) and not old.purged
    assert await pieces_kept(store) == set()


async def pieces_kept(store) -> set[str]:
    """The pieces that are in a store, of whichever kind."""
    if hasattr(store, "db"):
        return {p.split(" ", 1)[1] for name in ("entries", "rows") for p in await store.db[name].distinct("pieces")}
    con = sqlite3.connect(store.path)
    con.execute("create virtual table temp.kept using fts5vocab (main, piece, row)")
    return {term.partition("x")[2] for term, in con.execute("select term from kept")}


@pytest.mark.parametrize("circle, expected", [
    ((0, 0, 1, 25), "ab"), ((0, 0, 1, 24.9), "b"), ((3, 4, 1, 0), "a"), ((0.5, 0.5, 1, 100), "abc"), ((0, 0, -1, -25), "ac"), ((0, 0, -1, -25.1), "c"), ((0, 0, 1, -1), ""), ((0, 0, -1, 0), "abc"),
])
async def test_a_point_within_a_circle_or_outside_of_it(store, circle, expected):
    for id, low, high in (("a", 3.0, 4.0), ("b", -0.5, 0.25), ("c", 6.0, -6.0), ("d", 0.0, None), ("e", None, 0.0)):
        await put(store, "T", id, Row("T.x", 1, low=low, high=high), Row("T.x/1", 1, code=id), Row("T.y", low=0.0, high=0.0))
    assert sorted(await ids(store, "T", has("T.x", c("point", "within", circle)))) == list(expected)
    assert sorted(await ids(store, "T", Not(has("T.x", c("point", "within", circle))))) == sorted(set("abcde") - set(expected))
    assert sorted(await ids(store, "T", has("T.x", c("low", "ge", 0), c("point", "within", circle)))) == sorted(set(expected) - {"b"})
    assert sorted(await ids(store, "T", Has((Test("T.x/1", (c("code", "in", ("a", "b")),)), Test("T.x", (c("point", "within", circle),)))))) == sorted(set(expected) - {"c"})


@pytest.mark.parametrize("text, expected", [
    ("5.4|http://unitsofmeasure.org|mg", "ab"), ("5400|http://unitsofmeasure.org|ug", "ab"), ("5.4||mg", "a"), ("gt5|http://unitsofmeasure.org|mg", "abc"), ("gt1e30|http://unitsofmeasure.org|kg", "c"), ("lt5.4|http://unitsofmeasure.org|mg", ""), ("ge5|http://unitsofmeasure.org|mL", ""),
    ("37|http://unitsofmeasure.org|Cel", "d"), ("gt98|http://unitsofmeasure.org|[degF]", "d"),
])
async def test_a_quantity_is_found_in_any_unit_that_measures_the_same(store, text, expected):
    quantities = {"a": {"value": Decimal("5.4"), "code": "mg"}, "b": {"value": Decimal("0.0054"), "code": "g"}, "c": {"value": 6, "comparator": ">=", "code": "mg"}, "d": {"value": Decimal("310.15"), "code": "K"}}
    for id, quantity in quantities.items():
        await put(store, "T", id, *types.rows("quantity", "T.q", [({"system": "http://unitsofmeasure.org", **quantity}, "Quantity")], Context()))
    assert sorted(await ids(store, "T", types.test(Param("T.q", "q", "quantity"), "", text, Context()))) == list(expected)


async def test_all_comparisons_of_a_test_hold_on_one_row(store):
    await put(store, "T", "same", Row("T.x", system="s", code="1"), Row("T.x", system="t", code="2"))
    await put(store, "T", "apart", Row("T.x", system="s", code="2"), Row("T.x", system="t", code="1"))
    assert await ids(store, "T", has("T.x", c("system", "eq", "s"), c("code", "eq", "1"))) == ["same"]


async def test_an_entry_with_several_matching_rows_is_found_and_counted_once(store):
    await put(store, "T", "1", *(Row("T.x", i, code="1", text=f"a{i}", low=i, high=i) for i in range(5)))
    for where in (has("T.x"), has("T.x", c("code", "eq", "1")), has("T.x", c("text", "prefix", "a")), has("T.x", c("low", "ge", 1))):
        for sort in ((), (Key("T.x", "low"),), (Key("T.x", "low", True),)):
            assert await ids(store, "T", where, sort=sort) == ["1"]
        assert await store.count(Query(("T",), where), at=await store.newest(), now=NOW) == 1


async def test_the_parts_of_a_composite_must_match_in_one_group(store):
    code, value = Row("T.cv/1", system="s", code="bp"), Row("T.cv/2", low=120, high=120)
    await put(store, "T", "together", code._replace(group=1), value._replace(group=1), code._replace(group=2, code="hr"), value._replace(group=2, low=70, high=70))
    await put(store, "T", "crossed", code._replace(group=1), value._replace(group=1, low=70, high=70), code._replace(group=2, code="hr"), value._replace(group=2))
    both = Has((Test("T.cv/1", (c("code", "eq", "bp"),)), Test("T.cv/2", (c("low", "ge", 100),))))
    assert await ids(store, "T", both) == ["together"]
    assert await ids(store, "T", Not(both)) == ["crossed"]
    for compares, expected in (((c("low", "lt", 100),), ["crossed"]), ((c("high", "some"),), ["crossed", "together"]), ((c("text", "none"),), ["crossed", "together"]),
                               ((c("low", "in", (120, 5)),), ["together"]), ((c("low", "ne", 120),), ["crossed"]), ((c("code", "ne", "x"),), [])):
        assert await ids(store, "T", Has((Test("T.cv/1", (c("system", "eq", "s"), c("code", "eq", "bp"))), Test("T.cv/2", compares)))) == expected


async def test_three_parts_of_a_group_with_texts(store):
    await put(store, "T", "1", Row("T.m/1", 3, code="a"), Row("T.m/2", 3, text="b $c"), Row("T.m/3", 3, low=1, high=1))
    await put(store, "T", "2", Row("T.m/1", 3, code="a"), Row("T.m/2", 3, text="b $c"), Row("T.m/3", 4, low=1, high=1))
    for compare in (c("text", "prefix", "b $"), c("text", "contains", "$c"), c("text", "suffix", " $c"), c("text", "ne", "$c"), c("text", "eq", "b $c"), c("text", "ge", "$a")):
        assert await ids(store, "T", Has((Test("T.m/1", (c("code", "eq", "a"),)), Test("T.m/2", (compare,)), Test("T.m/3")))) == ["1"]


# and, or, not


async def test_and_or_not(store):
    for id, codes in (("1", "ab"), ("2", "b"), ("3", "c"), ("4", "")):
        await put(store, "T", id, *(Row("T.x", i, code=x) for i, x in enumerate(codes)))
    a, b, d = (has("T.x", c("code", "eq", x)) for x in "abd")
    assert await ids(store, "T", ALL) == ["4", "3", "2", "1"]
    assert await ids(store, "T", NONE) == []
    assert await ids(store, "T", And((a, b))) == ["1"]
    assert await ids(store, "T", Or((a, b))) == ["2", "1"]
    assert await ids(store, "T", Or((b, d))) == ["2", "1"]
    assert await ids(store, "T", And((b, Not(a)))) == ["2"]
    assert await ids(store, "T", Not(Or((a, b)))) == ["4", "3"]
    assert await ids(store, "T", Not(Not(a))) == ["1"]
    assert await ids(store, "T", Not(ALL)) == []
    assert await ids(store, "T", Not(NONE)) == ["4", "3", "2", "1"]
    assert await ids(store, "T", Or((And((a, NONE)), And((Not(d), b))))) == ["2", "1"]


async def test_types_are_one_several_or_any(store):
    for type in ("A", "B", "C"):
        await put(store, type, "1", Row("x", code="1"))
    at = await store.newest()
    for types, expected in ((("A",), "A"), (("A", "C"), "CA"), ((), "CBA"), (("X",), ""), (("X", "B"), "B")):
        for where in (ALL, has("x", c("code", "eq", "1"))):
            assert [f.entry.type for f in await store.search(Query(types, where), at=at, now=NOW, limit=9)] == list(expected)
            assert await store.count(Query(types, where), at=at, now=NOW) == len(expected)


# the stamp


@pytest.mark.parametrize("where, expected", [
    (stamp(("custodian", "eq", "huashan")), "13"),
    (stamp(("custodian", "in", ("huashan", "renji"))), "123"),
    (stamp(("custodian", "eq", "nobody")), ""),
    (stamp(("id", "eq", "2")), "2"),
    (stamp(("id", "in", ("2", "4", "x"))), "24"),
    (stamp(("type", "eq", "T")), "1234"),
    (stamp(("version", "ge", 2)), "4"),
    (stamp(("updated", "gt", NOW + 2)), "34"),
    (stamp(("updated", "ge", NOW + 1), ("updated", "lt", NOW + 3)), "12"),
    (stamp(("updated", "le", MOMENT)), ""),
    (stamp(("about", "eq", "Patient/1")), "12"),
    (stamp(("about", "in", ("Patient/2", "Patient/3"))), "23"),
    (stamp(("about", "prefix", "Patient/")), "123"),
    (Not(stamp(("about", "eq", "Patient/1"))), "34"),
    (stamp(("about", "eq", "Patient/1"), ("about", "eq", "Patient/2")), "2"),
    (stamp(("labels", "lacks", 1)), "24"),
    (stamp(("labels", "lacks", 2)), "134"),
    (stamp(("labels", "lacks", 6)), "14"),
    (stamp(("labels", "lacks", 0)), "1234"),
    (stamp(("many", "eq", True)), "2"),
    (stamp(("date", "none")), "24"),
    (stamp(("date", "some")), "13"),
    (stamp(("date", "le", -5)), "1"),
    (stamp(("guard", "eq", "-")), "3"),
    (stamp(("guard", "eq", "")), "124"),
    (stamp(("writer", "eq", "w1")), "1"),
    (stamp(), "1234"),
])
async def test_a_stamp(store, where, expected):
    await put(store, "T", "4")
    await put(store, "T", "1", custodian="huashan", about=("Patient/1",), labels=1, date=-5, writer="w1", updated=NOW + 1)
    await put(store, "T", "2", custodian="renji", about=("Patient/1", "Patient/2"), labels=6, many=True, updated=NOW + 2)
    await put(store, "T", "3", custodian="huashan", about=("Patient/3",), labels=5, date=7, guard="-", updated=NOW + 3)
    await put(store, "T", "4", updated=NOW + 4)
    assert sorted(await ids(store, "T", where)) == list(expected)


async def test_an_entry_is_found_by_its_number(store):
    made = [await put(store, "T", str(i)) for i in range(4)]
    assert await ids(store, "T", stamp(("number", "eq", made[1].number))) == ["1"]
    assert await ids(store, "T", stamp(("number", "in", tuple(m.number for m in made[1:3])))) == ["2", "1"]
    assert await ids(store, "T", stamp(("number", "lt", made[2].number))) == ["1", "0"]


# chains


async def _family(store):
    await put(store, "Org", "o1", Row("Org.name", text="huashan"))
    await put(store, "Org", "o2", Row("Org.name", text="renji"))
    await put(store, "Patient", "p1", Row("Patient.name", text="wang"), Row("Patient.org", code="Org/o1"))
    await put(store, "Patient", "p2", Row("Patient.name", text="li"), Row("Patient.org", code="Org/o2"))
    await put(store, "Group", "p1", Row("Group.name", text="wang"))
    await put(store, "Obs", "1", Row("Obs.subject", code="Patient/p1"), Row("Obs.code", code="bp"))
    await put(store, "Obs", "2", Row("Obs.subject", code="Patient/p2"), Row("Obs.code", code="bp"))
    await put(store, "Obs", "3", Row("Obs.subject", code="Group/p1"), Row("Obs.code", code="hr"))
    await put(store, "Obs", "4", Row("Obs.subject", code="Patient/absent"))
    await put(store, "Obs", "5", Row("Obs.subject", code="http://elsewhere/Patient/p1"))
    await put(store, "Obs", "6", Row("Obs.subject", 0, code="Patient/p2"), Row("Obs.subject", 1, code="Patient/p1"), Row("Obs.code", code="hr"))


WANG = has("Patient.name", c("text", "eq", "wang"))


async def test_a_chain_follows_references_of_the_types_asked_for(store):
    await _family(store)
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient",), WANG)) == ["6", "1"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient",), ALL)) == ["6", "2", "1"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Group",), ALL)) == ["3"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient", "Group"), Or((WANG, has("Group.name", c("text", "eq", "wang")))))) == ["6", "3", "1"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Nothing",), ALL)) == []
    assert await ids(store, "Obs", Link("Obs.nothing", ("Patient",), ALL)) == []
    assert await ids(store, "Obs", Not(Link("Obs.subject", ("Patient",), WANG))) == ["5", "4", "3", "2"]
    assert await ids(store, "Obs", And((Link("Obs.subject", ("Patient",), WANG), has("Obs.code", c("code", "eq", "bp"))))) == ["1"]


async def test_a_chain_of_two(store):
    await _family(store)
    huashan = Link("Patient.org", ("Org",), has("Org.name", c("text", "prefix", "hua")))
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient",), huashan)) == ["6", "1"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient",), Not(huashan))) == ["6", "2"]


async def test_a_reverse_chain(store):
    await _family(store)
    bp, hr = (has("Obs.code", c("code", "eq", x)) for x in ("bp", "hr"))
    assert await ids(store, "Patient", Back("Obs.subject", "Obs", bp)) == ["p2", "p1"]
    assert await ids(store, "Patient", And((Back("Obs.subject", "Obs", hr), WANG))) == ["p1"]
    assert await ids(store, ("Patient", "Group"), Back("Obs.subject", "Obs", hr)) == ["p1", "p2", "p1"]
    assert await ids(store, "Patient", Not(Back("Obs.subject", "Obs", ALL))) == []
    assert await ids(store, "Org", Back("Patient.org", "Patient", Back("Obs.subject", "Obs", bp))) == ["o2", "o1"]
    assert await ids(store, "Org", Back("Patient.org", "Patient", And((WANG, Back("Obs.subject", "Obs", bp))))) == ["o1"]
    assert await ids(store, "Group", Back("Obs.subject", "Obs", stamp(("id", "eq", "3")))) == ["p1"]
    assert await ids(store, "Group", Back("Obs.nothing", "Obs", ALL)) == []


async def test_chains_see_the_same_snapshot(store):
    await _family(store)
    before = await store.newest()
    await delete(store, "Patient", "p1")
    await put(store, "Obs", "2", Row("Obs.code", code="bp"))
    after = await store.newest()
    chain, reverse = Link("Obs.subject", ("Patient",), ALL), Back("Obs.subject", "Obs", ALL)
    assert [await ids(store, "Obs", chain, at=at) for at in (before, after)] == [["6", "2", "1"], ["6"]]
    assert [await ids(store, "Patient", reverse, at=at) for at in (before, after)] == [["p2", "p1"], ["p2"]]
    assert await ids(store, "Patient", And((reverse, Back("Obs.subject", "Obs", stamp(("id", "eq", "2"))))), at=after) == []


async def test_what_the_newest_version_is_asked_holds_of_an_earlier_one(store):
    await _family(store)
    before = await store.newest()
    await put(store, "Org", "o1", Row("Org.name", text="ruijin"))
    await put(store, "Patient", "p2", Row("Patient.name", text="wang"), Row("Patient.org", code="Org/o2"))
    await delete(store, "Obs", "1", custodian="b")
    today = [Newest(WANG), Newest(Not(WANG)), Newest(Link("Patient.org", ("Org",), has("Org.name", c("text", "eq", "huashan"))))]
    assert [await ids(store, "Patient", where, at=before) for where in today] == [["p2", "p1"], [], []]
    assert await ids(store, "Patient", And((Not(WANG), Newest(WANG))), at=before) == ["p2"]
    assert await ids(store, "Obs", Newest(stamp(("custodian", "eq", "b"))), at=before) == ["1"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient",), And((Not(WANG), Newest(WANG)))), at=before) == ["6", "2"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient",), Not(Newest(WANG))), at=before) == []


async def test_chains_with_many_targets(store):
    async def many(tx):
        for i in range(20):
            await tx.write(entry("Patient", f"m{i}"), [Row("Patient.gender", code="male")], [])
            await tx.write(entry("Obs", f"o{i}"), [Row("Obs.subject", code=f"Patient/m{i}"), Row("Obs.code", code="even" if i % 2 == 0 else "odd")], [])

    await store.commit(many)
    await put(store, "Patient", "woman", Row("Patient.gender", code="female"))
    await put(store, "Obs", "hers", Row("Obs.subject", code="Patient/woman"), Row("Obs.code", code="even"))
    male = Link("Obs.subject", ("Patient",), has("Patient.gender", c("code", "eq", "male")))
    even = has("Obs.code", c("code", "eq", "even"))
    at = await store.newest()
    assert await ids(store, "Obs", And((male, even)), limit=3) == ["o18", "o16", "o14"]
    assert await store.count(Query(("Obs",), And((male, even))), at=at, now=NOW) == 10
    assert await ids(store, "Obs", Not(male)) == ["hers"]
    assert await ids(store, "Obs", And((Not(male), even)), sort=[Key("Obs.code", "code")]) == ["hers"]
    watched = Back("Obs.subject", "Obs", even)
    assert await ids(store, "Patient", watched, limit=2) == ["woman", "m18"]
    assert await store.count(Query(("Patient",), watched), at=at, now=NOW) == 11
    assert await store.count(Query(("Patient",), Back("Obs.subject", "Obs", male)), at=at, now=NOW) == 20
    first = await store.search(Query(("Obs",), male), at=at, now=NOW, limit=13)
    rest = await store.search(Query(("Obs",), male), at=at, now=NOW, limit=13, after=first[-1].place)
    assert [f.entry.id for f in first + rest] == [f"o{i}" for i in reversed(range(20))]


# facts


ALLOWED = Granted((c("effect", "eq", "allow"), c("grantee", "eq", "renji"), c("low", "le", MOMENT), c("high", "gt", MOMENT)),
                  (("patient", "about"), ("resource", "ref"), ("custodian", "custodian")))


async def _shared(store):
    for id, custodian, about in (("1", "huashan", ("Patient/a",)), ("2", "huashan", ("Patient/b",)), ("3", "ruijin", ("Patient/a", "Patient/c")), ("4", "ruijin", ())):
        await put(store, "Obs", id, custodian=custodian, about=about)


@pytest.mark.parametrize("facts, expected", [
    ([], ""),
    ([Fact("allow", "renji", patient="Patient/a")], "13"),
    ([Fact("allow", "renji", patient="Patient/a", custodian="huashan")], "1"),
    ([Fact("allow", "renji", patient="Patient/a"), Fact("allow", "renji", custodian="huashan")], "123"),
    ([Fact("allow", "renji", custodian="ruijin")], "34"),
    ([Fact("allow", "renji", resource="Obs/4")], "4"),
    ([Fact("allow", "renji", resource="Obs/4", patient="Patient/a")], ""),
    ([Fact("allow", "renji", resource="Obs/3", patient="Patient/a", custodian="ruijin")], "3"),
    ([Fact("allow", "renji")], "1234"),
    ([Fact("allow", "someone")], ""),
    ([Fact("allow")], ""),
    ([Fact("deny", "renji")], ""),
    ([Fact("allow", "renji", low=NOW + 1)], ""),
    ([Fact("allow", "renji", low=NOW)], "1234"),
    ([Fact("allow", "renji", high=NOW)], ""),
    ([Fact("allow", "renji", high=NOW + 1)], "1234"),
])
async def test_what_facts_grant(store, facts, expected):
    await _shared(store)
    await put(store, "Consent", "c", facts=facts)
    assert sorted(await ids(store, "Obs", ALLOWED)) == list(expected)
    assert sorted(await ids(store, "Obs", Not(ALLOWED))) == sorted(set("1234") - set(expected))
    assert await store.count(Query(("Obs",), ALLOWED), at=await store.newest(), now=NOW) == len(expected)


async def test_facts_begin_and_end_without_a_write(store):
    await _shared(store)
    await put(store, "Consent", "c", facts=[Fact("allow", "renji", patient="Patient/b", low=NOW + 10, high=NOW + 20)])
    assert [await ids(store, "Obs", ALLOWED, now=NOW + t) for t in (9, 10, 19, 20)] == [[], ["2"], ["2"], []]


async def test_facts_are_those_of_the_newest_commit_whatever_the_data(store):
    await _shared(store)
    await put(store, "Consent", "c", facts=[Fact("allow", "renji", patient="Patient/b")])
    at = await store.newest()
    await put(store, "Obs", "2", custodian="huashan", about=("Patient/x",))
    assert await ids(store, "Obs", ALLOWED, at=at) == ["2"]
    await put(store, "Consent", "c", facts=[])
    assert await ids(store, "Obs", ALLOWED, at=at) == []


async def test_facts_cover_labels_and_columns_are_empty_or_not(store):
    await _shared(store)
    await put(store, "Consent", "c", facts=[Fact("allow", "a", labels=5), Fact("allow", "b", kind="k", patient="Patient/b")])
    assert await ids(store, "Obs", Granted((c("labels", "lacks", 2), c("grantee", "eq", "a")), ())) == ["4", "3", "2", "1"]
    assert await ids(store, "Obs", Granted((c("labels", "lacks", 4), c("grantee", "eq", "a")), ())) == []
    assert await ids(store, "Obs", Granted((c("kind", "some"),), (("patient", "about"),))) == ["2"]
    assert await ids(store, "Obs", Granted((c("kind", "none"), c("effect", "eq", "allow")), (("patient", "about"),))) == ["4", "3", "2", "1"]


async def test_a_scope_of_facts_joins_a_search_and_a_chain(store):
    await put(store, "Patient", "a", Row("Patient.name", text="wang"), about=("Patient/a",))
    await put(store, "Patient", "b", Row("Patient.name", text="wang"), about=("Patient/b",))
    for id in ("a", "b"):
        await put(store, "Obs", id, Row("Obs.subject", code=f"Patient/{id}"), Row("Obs.code", code="bp"), about=(f"Patient/{id}",))
    await put(store, "Consent", "c", facts=[Fact("allow", "renji", patient="Patient/b")])
    scope = Or((stamp(("custodian", "eq", "renji")), ALLOWED))
    assert await ids(store, "Obs", And((has("Obs.code", c("code", "eq", "bp")), scope))) == ["b"]
    assert await ids(store, "Obs", Link("Obs.subject", ("Patient",), And((WANG, scope)))) == ["b"]


async def test_facts_for_very_many_patients(store):
    for i in range(5):
        await put(store, "Obs", str(i), custodian="huashan", about=(f"Patient/{i}",))
    await put(store, "Consent", "c", facts=[Fact("allow", "renji", patient=f"Patient/{i}") for i in range(0, 2_200, 2)])
    assert await ids(store, "Obs", ALLOWED) == ["4", "2", "0"]
    assert await ids(store, "Obs", Not(ALLOWED)) == ["3", "1"]
    assert await store.count(Query(("Obs",), Or((ALLOWED, stamp(("id", "eq", "1"))))), at=await store.newest(), now=NOW) == 4
    assert await store.meets(await store.get("Obs", "2"), ALLOWED, now=NOW)
    assert not await store.meets(await store.get("Obs", "3"), ALLOWED, now=NOW)


# order


async def test_without_keys_the_newest_comes_first(store):
    for id in ("1", "2", "3", "1"):
        await put(store, "T", id)
    assert await ids(store, "T") == ["1", "3", "2"]


async def _dated(store):
    await put(store, "T", "1", Row("T.d", low=5, high=6), Row("T.n", text="b", code="B"), Row("T.e", low=4, high=4))
    await put(store, "T", "2", Row("T.d", low=3, high=9), Row("T.d", low=8, high=8), Row("T.n", text="a", code="b"))
    await put(store, "T", "3", Row("T.n", text="b", code="a"), Row("T.e", low=1, high=1))
    await put(store, "T", "4", Row("T.d", low=5, high=7), Row("T.n", text="王", code="é"))
    await put(store, "T", "5")


@pytest.mark.parametrize("sort, expected", [
    ([Key("T.d", "low")], "21435"),
    ([Key("T.d", "low", True)], "24153"),
    ([Key("T.d", "high")], "14235"),
    ([Key("T.d", "high", True)], "24153"),
    ([Key("T.n", "text")], "21345"),
    ([Key("T.n", "text", True)], "43125"),
    ([Key("T.n", "code")], "13245"),
    ([Key("T.n", "text"), Key("T.d", "low")], "21345"),
    ([Key("T.n", "text", True), Key("T.d", "low", True)], "41325"),
    ([Key("T.d", "low"), Key("T.n", "text", True)], "24135"),
    ([Key("T.x", "low")], "12345"),
    ([Key("", "updated")], "12345"),
    ([Key("", "updated", True)], "54321"),
    ([Key("", "id")], "12345"),
    ([Key("T.d", "low"), Key("", "id")], "21435"),
    ([Key("T.d", "low", False, (Compare("low", "ge", 5),))], "14235"),
    ([Key("T.d", "low", True, (Compare("low", "lt", 8),))], "41253"),
    ([Key("T.d", "low", False, (Compare("low", "gt", MOMENT),))], "12345"),
    ([Key("T.d", "low", also=("T.e",))], "32145"),
    ([Key("T.d", "low", True, also=("T.e",))], "24135"),
    ([Key("T.n", "text"), Key("T.d", "low", also=("T.e",))], "23145"),
    ([Key("T.d", "low", also=("T.e", "T.x")), Key("", "id")], "32145"),
])
async def test_sorting_by_the_first_row_in_the_keys_direction_missing_last(store, sort, expected):
    await _dated(store)
    for n in "12345":
        await put(store, "S", n, updated=NOW + 10)
    updated = [Key("", "updated")]
    if sort[0][:2] == updated[0][:2]:
        for n in "12345":
            before = await store.get("T", n)
            again = entry("T", n, before.version + 1, updated=NOW + 100 + int(n))
            await store.commit(lambda tx, again=again: tx.write(again, []))
    assert "".join(await ids(store, "T", sort=sort)) == expected
    after, seen = None, []
    at = await store.newest()
    while found := await store.search(Query(("T",), ALL, tuple(sort)), at=at, now=NOW, limit=2, after=after):
        seen += [f.entry.id for f in found]
        after = found[-1].place
    assert "".join(seen) == expected


async def test_sorted_searches_with_a_condition(store):
    await _dated(store)
    where = has("T.n", c("text", "eq", "b"))
    assert await ids(store, "T", where, sort=[Key("T.n", "code")]) == ["1", "3"]
    assert await ids(store, "T", where, sort=[Key("T.d", "low")]) == ["1", "3"]
    dated = (c("high", "ge", 7),)
    assert await ids(store, "T", has("T.d", *dated), sort=[Key("T.d", "low", False, dated)]) == ["2", "4"]
    assert await ids(store, "T", has("T.d", *dated), sort=[Key("T.d", "low", True, dated)]) == ["2", "4"]


@pytest.mark.parametrize("descending, expected", [(False, "0246135"), (True, "5316420")])
async def test_ties_go_in_the_direction_of_the_key_and_pages_do_not_repeat(store, descending, expected):
    for i in range(7):
        await put(store, "T", str(i), Row("T.d", low=i % 2, high=i % 2))
    sort = (Key("T.d", "low", descending),)
    after, seen, at = None, [], await store.newest()
    while found := await store.search(Query(("T",), ALL, sort), at=at, now=NOW, limit=3, after=after):
        seen += [f.entry.id for f in found]
        after = found[-1].place
        await put(store, "T", seen[-1], Row("T.d", low=5, high=5))
    assert "".join(seen) == expected


@pytest.mark.parametrize("types, key", [
    ("Unknown", Key("T.x", "text", True)),
    ("Unknown", Key("T.unknown", "low")),
    ("T", Key("T.x", "low", compares=(c("system", "eq", "unknown"),))),
    ("T", Key("T.x", "code", compares=(c("code", "in", ()),))),
])
@pytest.mark.parametrize("where", [ALL, NONE, has("T.x"), has("T.unknown"), has("T.x", c("system", "eq", "unknown"))])
async def test_what_the_store_has_never_seen_sorts_as_what_has_no_value(store, types, key, where):
    await put(store, "T", "1", Row("T.x", code="1", text="a", low=1, high=1))
    assert await ids(store, types, where, sort=[key]) == (["1"] if types == "T" and where in (ALL, has("T.x")) else [])


async def test_a_place_is_made_of_plain_values(store):
    await _dated(store)
    [found] = await store.search(Query(("T",), stamp(("id", "eq", "4")), (Key("T.n", "text"), Key("T.d", "low"), Key("T.x", "low"))), at=await store.newest(), now=NOW, limit=1)
    assert found.place == ("王", 5, None, found.entry.number)
    assert type(found.place) is tuple


async def test_a_limit_of_none_finds_nothing(store):
    await put(store, "T", "1")
    assert await ids(store, "T", limit=0) == []


# very many alternatives


def _many(number: int) -> Or:
    return Or(tuple(has("T.c", c("code", "eq", str(i))) for i in range(number)))


async def test_very_many_alternatives_are_a_search_like_any_other(sqlite_opening):
    async with sqlite_opening() as store:
        await put(store, "T", "1", Row("T.c", code="2999"))
        await put(store, "T", "2", Row("T.c", code="3000"))
        assert await ids(store, "T", _many(3_000)) == ["1"]
        assert await ids(store, "T", Not(_many(3_000))) == ["2"]
        assert await ids(store, "T", And(tuple(has("T.c", c("code", "ge", str(2_000 + i))) for i in range(1_200)))) == []
        assert await store.count(Query(("T",), _many(3_000)), at=await store.newest(), now=NOW) == 1


async def test_more_values_than_the_store_takes_are_refused_as_too_costly_and_alone(sqlite_opening):
    values = has("T.c", c("code", "in", tuple(map(str, range(300_000)))))
    async with sqlite_opening() as store:
        await put(store, "T", "0", Row("T.c", code="x"))
        with pytest.raises(errors.TooCostly, match="more conditions or values"):
            await ids(store, "T", values)
        refused, made = await asyncio.gather(store.commit(lambda tx: tx.search(Query(("T",), values), limit=1)), put(store, "T", "1"), return_exceptions=True)
        assert isinstance(refused, errors.TooCostly)
        assert made.version == 1 and await ids(store, "T") == ["1", "0"]


@pytest.mark.parametrize("hop", [lambda inner: Link("Obs.next", ("Obs",), inner), lambda inner: Back("Obs.next", "Obs", inner)])
async def test_six_hops_of_a_chain_with_a_scope_at_each_are_followed(store, hop):
    for i in range(8):
        await put(store, "Obs", str(i), Row("Obs.next", code=f"Obs/{(i + 1) % 8}"), Row("Obs.text", text=f"text {i}"), custodian="renji" if i else "huashan", about=("Patient/a",))
    await put(store, "Consent", "c", facts=[Fact("allow", "renji", patient="Patient/a")])
    scope = And((Or((stamp(("custodian", "eq", "renji")), ALLOWED)), Not(Granted((c("effect", "eq", "deny"), c("grantee", "eq", "renji")), (("patient", "about"),)))))
    where = And((has("Obs.text", c("text", "contains", "3")), scope))
    for _ in range(6):
        where = And((hop(where), scope))
    assert await ids(store, "Obs", where) == (["5"] if isinstance(hop(ALL), Link) else ["1"])


async def test_clauses_within_clauses_as_deep_as_a_filter_goes(store):
    await put(store, "T", "1", Row("T.c", code="a"))
    deep = has("T.c", c("code", "eq", "a"))
    for step in range(20):
        deep = Not(deep) if step % 2 else And((Or((deep, has("T.c", c("code", "eq", f"x{step}")))), Not(has("T.c", c("code", "eq", f"y{step}")))))
    assert await ids(store, "T", deep) == ["1"]


async def test_a_search_that_takes_too_long_is_refused_and_others_go_on(sqlite_opening, monkeypatch):
    async with sqlite_opening() as store:
        for i in range(200):
            await put(store, "T", str(i), *(Row("T.c", j, text=f"{i} {j}") for j in range(20)))
        slow = And(tuple(Not(has("T.c", c("text", "contains", f"{i} x"))) for i in range(100)))
        for where, limit in (("app.store.sqlite.store", "PATIENCE"), ("app.store.sqlite.store", "SECONDS"), ("app.store.sqlite.commit", "SECONDS")):
            monkeypatch.setattr(f"{where}.{limit}", 0.0)
        with pytest.raises(errors.TooCostly, match="too long"):
            await ids(store, "T", slow)
        refused, made = await asyncio.gather(store.commit(lambda tx: tx.search(Query(("T",), slow), limit=1)), put(store, "T", "other"), return_exceptions=True)
        assert isinstance(refused, errors.TooCostly) and made.version == 1
