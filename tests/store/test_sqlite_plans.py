"""What the embedded store sends to SQLite: every statement of a search has an indexed bound, none reads a whole table."""
from __future__ import annotations

import re

import pytest
import pytest_asyncio

from app.search.query import ALL, And, Back, Compare, Granted, Has, Key, Link, Not, Or, Query, Row, Stamp, Test, conjuncts, has, narrowed
from app.store.base import Entry, Fact
from app.store.sqlite import SqliteStore
from app.store.sqlite.plan import FEW, plan
from scripts.bench import searches

CODE = has("Observation.code", Compare("system", "eq", "http://loinc.org"), Compare("code", "eq", "8867-4"))
SUBJECT = has("Observation.subject", Compare("code", "eq", "Patient/p1"))
DATE = (Compare("high", "ge", 100),)
SEARCHES = {
    "a type": Query(("Observation",)),
    "a token": Query(("Observation",), CODE),
    "a token of few": Query(("Observation",), has("Observation.identifier", Compare("code", "eq", "i7"))),
    "a reference": Query(("Observation",), SUBJECT),
    "a reference, a token and a date": Query(("Observation",), And((SUBJECT, CODE, has("Observation.date", *DATE)))),
    "a token in the order of a date": Query(("Observation",), CODE, (Key("Observation.date", "low", True),)),
    "a date in its order": Query(("Observation",), has("Observation.date", *DATE), (Key("Observation.date", "low", True, DATE),)),
    "an upper date": Query(("Observation",), has("Observation.date", Compare("low", "lt", 100)), (Key("Observation.date", "low", True, (Compare("low", "lt", 100),)),)),
    "the beginning of a name": Query(("Patient",), has("Patient.name", Compare("text", "prefix", "a"))),
    "a name in its order": Query(("Patient",), sort=(Key("Patient.name", "text"),)),
    "none of a token": Query(("Observation",), Not(CODE)),
    "one of two tokens": Query(("Observation",), Or((CODE, has("Observation.code", Compare("code", "eq", "x"))))),
    "a composite": Query(("Observation",), Has((Test("Observation.c/0", (Compare("code", "eq", "a"),)), Test("Observation.c/1", (Compare("low", "ge", 5),))))),
    "words": Query(("Observation",), has("Observation._content", Compare("words", "contains", " word7 "))),
    "a part of a run": Query(("Observation",), has("Observation._content", Compare("words", "contains", "高血压"))),
    "the beginning of a word": Query(("Observation",), And((CODE, has("Observation._content", Compare("words", "contains", " wo"))))),
    "a chain": Query(("Observation",), Link("Observation.subject", ("Patient",), has("Patient.name", Compare("text", "prefix", "a1")))),
    "a reverse chain": Query(("Patient",), Back("Observation.subject", "Observation", CODE)),
    "an id": Query(("Patient",), Stamp((Compare("id", "eq", "p1"),))),
    "a patient's entries": Query((), Stamp((Compare("about", "eq", "Patient/p1"),))),
    "what a fact grants": Query(("Observation",), And((SUBJECT, Granted((Compare("effect", "eq", "allow"), Compare("grantee", "eq", "b")), (("patient", "about"),))))),
}


@pytest_asyncio.fixture
async def store():
    store = await SqliteStore.open(":memory:")

    async def work(tx):
        for i in range(40):
            await tx.write(Entry("Patient", f"p{i}", 1, b"{}", updated=tx.now, custodian="a", about=(f"Patient/p{i}",)), [Row("Patient.name", code=f"A{i}", text=f"a{i}")], [])
        for i in range(600):
            await tx.write(Entry("Observation", f"o{i}", 1, b"{}", updated=tx.now, custodian="a", about=(f"Patient/p{i % 40}",)), [
                Row("Observation.code", system="http://loinc.org", code="8867-4"), Row("Observation.subject", code=f"Patient/p{i % 40}"), Row("Observation.identifier", code=f"i{i}"),
                Row("Observation.date", low=i, high=i), Row("Observation.c/0", i, None, "a"), Row("Observation.c/1", i, low=i, high=i),
                Row("Observation._content", words=f" word{i} 高血压{'一二三'[i % 3]} ")], [Fact("allow", "b", patient="Patient/p1")] if i == 0 else [])
    await store.commit(work)
    yield store
    await store.close()


def whole_tables(con, statements) -> list[str]:
    """Steps of the statements' plans that read a whole table or index."""
    found = []
    for text in statements:
        if not text.lower().startswith("select"):
            continue
        for *_, step in con.execute("explain query plan " + text):
            if re.match(r"SCAN (?!p\d* VIRTUAL TABLE INDEX \d+:M|main\.piece_config$|[cdw]([a-z]*\d+)?$|\(|CONSTANT)", step):
                found.append(f"{step}: {text[:200]}")
    return found


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("after", [False, True])
async def test_every_statement_of_a_search_is_bounded_by_an_index(store, name, after):
    statements: list[str] = []
    at = await store.newest()
    query = SEARCHES[name]
    place = (await store.search(query, at=at, now=0, limit=1))[0].place if after and await store.search(query, at=at, now=0, limit=1) else None
    store._end()
    store._read.set_trace_callback(statements.append)
    await store.search(query, at=at, now=0, limit=20, after=place)
    store._read.set_trace_callback(None)
    assert statements and not whole_tables(store._read, statements)


@pytest.fixture
async def spoken():
    """Stores of the invented patients that the measuring tool searches, the second of ten times as many."""
    stores = [await SqliteStore.open(":memory:", zone=searches.ZONE) for _ in range(2)]
    for store, patients in zip(stores, (100, 1000)):
        await searches.fill(store, patients)
    yield stores
    for store in stores:
        await store.close()


GROWS = {"a system that few have": "no index leads with a system", "a part that few have": "no index looks inside of texts", "values between": "a range of values beside another is probed"}
"""Searches of the table that grow with the data, and why (docs/decisions/0001-plans-by-counting.md)."""


async def test_the_table_of_searches_reads_no_whole_table_and_does_not_grow_with_the_data(spoken):
    """In steps of SQLite's machine; what drives and is sorted may grow to as many entries as are few, and to the root of what there is."""
    grown, scanned = {}, []
    for whose, scope in searches.scopes().items():
        for name, text in searches.SEARCHES.items():
            if whose and name not in searches.SCOPED:
                continue
            query, taken = searches.query(text, scope), []
            for store in spoken:
                at = await store.newest()
                statements = _watched(store)
                taken.append(await searches.steps(store, query, at))
                store._read.set_trace_callback(None)
                scanned += [step for step in whole_tables(store._read, statements) if not (text.startswith("?") and step.startswith("SCAN e USING COVERING INDEX entry_changed"))]
            if taken[1] > 600 + 4 * taken[0]:
                grown[whose, name] = taken
    assert not scanned
    assert {name for _, name in grown} <= set(GROWS), grown


@pytest.mark.parametrize("text, driver, order", [
    ("Observation?patient=p7&code=8867-4", "row_code", ""), ("Observation?code=8867-4&_sort=-date", "", "row_low"), ("Patient?name=王", "", "entry_type"), ("Observation?code=8867-4", "", "row_code"),
    ("Patient?_sort=name", "", "row_text"), ("Patient?_sort=-_lastUpdated", "", "entry_updated"), ("?_sort=-_lastUpdated", "", "entry_changed"), ("?_type=Patient", "", "entry_type"),
    ("Patient?_id=p7", "entry_version", ""), ("Encounter?date=ge2024-05&date=le2024-06", "row_span and row_low", ""), ("Encounter?date=gt2024-05", "row_span", ""), ("Observation?date=2024-05-17", "row_low", ""), ("Patient?name:contains=x", "", "entry_type"),
    ("Observation?patient.name=王", "row_text, then row_code and row_text", ""), ("Patient?_has:Observation:patient:code=x", "row_code, then entry_version", ""), ("Observation?code:not=x", "", "entry_type"),
    ("Observation?code=a,b", "row_code", ""), ("Observation?code=http://loinc.org|", "", "entry_type"), ("Patient?_lastUpdated=gt2026", "entry_updated", ""), ("Patient?_sort=gender,-birthdate", "", "row_code"),
])
def test_the_plan_names_the_index_that_drives_or_that_the_order_follows(text, driver, order):
    """A condition drives where it gives few; where all give many (no driver is expected), the order is followed."""
    query = searches.query(text, ALL)
    query = query._replace(where=narrowed(query.where, query.types))
    told = plan(query, tuple([1 if driver else FEW] * len(conjuncts(query.where))))
    assert (told.index, told.order, told.driver is not None) == (driver, order, bool(driver))
    assert set(told.probed) | {told.driver} - {None} == set(conjuncts(query.where))


def _watched(store) -> list[str]:
    statements: list[str] = []
    store._end()
    store._read.set_trace_callback(statements.append)
    return statements


@pytest.mark.parametrize("name", SEARCHES)
async def test_every_statement_of_a_count_is_bounded_by_an_index(store, name):
    at = await store.newest()
    statements = _watched(store)
    await store.count(SEARCHES[name], at=at, now=0)
    assert statements and not whole_tables(store._read, statements)


@pytest.mark.parametrize("types, id", [(("Observation",), "o1"), (("Observation",), None), ((), None), (("Observation", "Patient"), None)])
async def test_every_statement_of_a_history_is_bounded_by_an_index(store, types, id):
    at = await store.newest()
    statements = _watched(store)
    found = await store.history(Query(types, Stamp((Compare("custodian", "eq", "a"),))), at=at, now=0, limit=5, id=id, since=1, after=10**6)
    assert len(found) == (1 if id else 5)
    assert statements and not whole_tables(store._read, statements)


@pytest.mark.parametrize("asked", [(), (("patient", "Patient/p1"),), (("entity", "Patient/p1"),), (("user", "u"),), (("client", "c"),), (("number", 1),)])
@pytest.mark.parametrize("after", [None, (5, 5, 5)])
async def test_a_search_of_the_log_follows_an_index_in_its_order_and_sorts_nothing(store, asked, after):
    statements = _watched(store)
    await store.events(Stamp(tuple(Compare(column, "eq", value) for column, value in asked)), limit=5, after=after)
    steps = [step for text in statements if text.startswith("select") for *_, step in store._read.execute("explain query plan " + text)]
    assert steps and not [s for s in steps if "TEMP B-TREE" in s or s.startswith("SCAN") and (asked or after or "access_at" not in s)]


async def test_a_missing_index_is_noticed(store):
    store._commits.con.execute("drop index row_low")
    store._commits.con.execute("drop index row_span")
    store._commits.con.execute("create index row_span on row (span) where span is not null")
    store._commits.con.execute("create index row_low on row (low) where low is not null")
    statements = _watched(store)
    await store.search(SEARCHES["a date in its order"], at=await store.newest(), now=0, limit=5)
    plans = [step for text in statements if text.startswith("select") for *_, step in store._read.execute("explain query plan " + text)]
    assert any("TEMP B-TREE" in step for step in plans) or whole_tables(store._read, statements)
