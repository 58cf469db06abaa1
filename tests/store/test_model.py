"""Random histories and random queries: each store finds what app.search.match finds, in its order, page by page, then and later.

`match` shares its rows with the stores, so it proves only that they agree; what must be found is written by hand in test_search_contract.
"""
from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.search import match
from app.search.query import NOW as MOMENT, And, Back, Compare, Granted, Has, Key, Link, Newest, Not, Or, Query, Row, Stamp, Test
from app.store.base import Fact
from tests.store.writing import NOW, entry

TYPES, IDS, PARAMS = ("A", "B", "C"), ("1", "2", "3"), ("p", "q/1", "q/2", "r")
REFS = tuple(f"{t}/{i}" for t in TYPES for i in IDS)
CODES = st.sampled_from((*REFS, "x", "X", "y"))
SYSTEMS = st.sampled_from(("", "s", "t"))
TEXTS = st.sampled_from(("", "ab", "abc", "b.c", "王", "王小明", "%_", "A"))
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from((-1.5, 0.5, 2.0)))
WORDS = st.sampled_from((" ab ", " ab  abc ", "王小 ab", " 王小明 ", "小", "", " b.c", "ab"))
OWNERS = st.sampled_from(("huashan", "renji"))



def made(type, *parts):
    return st.tuples(*parts).map(lambda values: type(*values))


ranges = st.none() | st.tuples(NUMBERS, NUMBERS).map(sorted)
rows = st.lists(st.tuples(st.sampled_from(PARAMS), st.integers(0, 2), st.none() | SYSTEMS, st.none() | CODES, st.none() | TEXTS, ranges, st.none() | WORDS)
                .map(lambda v: Row(*v[:5], *(v[5] or (None, None)), v[6])), max_size=5)
facts = st.lists(made(Fact, st.sampled_from(("allow", "deny")), st.none() | OWNERS, st.none() | st.sampled_from(REFS), st.none() | st.sampled_from(REFS), st.none() | OWNERS,
                           st.integers(NOW - 1, NOW + 1), st.integers(NOW, NOW + 2), st.integers(0, 3)), max_size=2)
stamps = st.fixed_dictionaries({"custodian": OWNERS, "about": st.lists(st.sampled_from(REFS), max_size=2, unique=True).map(tuple), "labels": st.integers(0, 7),
                                "date": st.none() | st.integers(-2, 2), "updated": st.integers(NOW, NOW + 3)})
writes = st.tuples(st.sampled_from(TYPES), st.sampled_from(IDS), st.booleans() | st.just(True), stamps, rows, facts)
commits = st.lists(st.lists(writes, min_size=1, max_size=3, unique_by=lambda w: w[:2]), min_size=1, max_size=6)


def text_compares(column, values):
    return st.one_of(made(Compare, st.just(column), st.sampled_from(("eq", "ne", "prefix", "suffix", "contains", "lt", "le", "gt", "ge")), values),
                     made(Compare, st.just(column), st.just("in"), st.lists(values, max_size=3).map(tuple)), some_or_none(column))


def number_compares(column, values=NUMBERS):
    return st.one_of(made(Compare, st.just(column), st.sampled_from(("eq", "lt", "le", "gt", "ge")), values), some_or_none(column))


def some_or_none(column):
    return made(Compare, st.just(column), st.sampled_from(("some", "none")), st.none())


row_compares = st.one_of(text_compares("code", CODES), text_compares("text", TEXTS), number_compares("low"), number_compares("high"),
                         made(Compare, st.just("words"), st.just("contains"), WORDS), some_or_none("words"),
                         made(Compare, st.just("point"), st.just("within"), st.tuples(NUMBERS, NUMBERS, st.sampled_from((1, -1)), st.integers(-9, 9))),
                         made(Compare, st.just("system"), st.sampled_from(("eq", "ne")), SYSTEMS | st.just("unknown")), some_or_none("system"))
def one_of(params):
    return made(Test, st.sampled_from(params), st.lists(row_compares, max_size=2).map(tuple))


stamp_compares = st.one_of(
    made(Compare, st.just("custodian"), st.just("eq"), OWNERS), made(Compare, st.just("id"), st.just("in"), st.lists(st.sampled_from(IDS), max_size=2).map(tuple)),
    made(Compare, st.just("about"), st.sampled_from(("eq", "prefix")), st.sampled_from(REFS)), made(Compare, st.just("labels"), st.just("lacks"), st.integers(0, 7)),
    number_compares("date", st.integers(-2, 2)), number_compares("version", st.integers(1, 3)), made(Compare, st.just("updated"), st.sampled_from(("le", "gt")), st.just(MOMENT)))
fact_compares = st.one_of(
    made(Compare, st.just("effect"), st.just("eq"), st.sampled_from(("allow", "deny"))), made(Compare, st.just("grantee"), st.just("eq"), OWNERS), some_or_none("grantee"),
    made(Compare, st.just("low"), st.just("le"), st.just(MOMENT)), made(Compare, st.just("high"), st.just("gt"), st.just(MOMENT)),
    made(Compare, st.just("labels"), st.just("lacks"), st.integers(0, 3)))
PAIRS = (("patient", "about"), ("resource", "ref"), ("custodian", "custodian"))
leaves = st.one_of(
    made(Has, st.tuples(one_of(PARAMS)) | st.tuples(one_of(("q/1", "q/2")), one_of(("q/1", "q/2")))), made(Stamp, st.lists(stamp_compares, max_size=2).map(tuple)),
    made(Granted, st.lists(fact_compares, max_size=2).map(tuple), st.lists(st.sampled_from(PAIRS), max_size=3, unique=True).map(tuple)))
clauses = st.recursive(leaves, lambda inner: st.one_of(
    made(And, st.lists(inner, max_size=3).map(tuple)), made(Or, st.lists(inner, max_size=3).map(tuple)), made(Not, inner), made(Newest, inner),
    made(Link, st.sampled_from(PARAMS), st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True).map(tuple), inner),
    made(Back, st.sampled_from(PARAMS), st.sampled_from(TYPES), inner)), max_leaves=5)
keys = st.one_of(made(Key, st.sampled_from(PARAMS), st.sampled_from(("low", "high")), st.booleans(), st.lists(row_compares, max_size=1).map(tuple)),
                 made(Key, st.sampled_from(PARAMS), st.sampled_from(("text", "code")), st.booleans()), made(Key, st.just(""), st.sampled_from(("updated", "id", "date")), st.booleans()))
queries = made(Query, st.lists(st.sampled_from(TYPES), max_size=2, unique=True).map(tuple), clauses, st.lists(keys, max_size=2).map(tuple))


class Model:
    """What is in the store, as `match` looks at it: current versions with their rows, and the facts."""

    def __init__(self):
        self.there: dict[str, tuple] = {}
        self.given: dict[str, list[Fact]] = {}
        self.last = self

    def snapshot(self, facts) -> "Model":
        made = Model()
        made.last = self
        made.there, made.given = dict(self.there), facts
        return made

    def current(self, type, id):
        found = self.there.get(f"{type}/{id}")
        return None if found is None or found[0].deleted else found

    def newest(self, type, id):
        return *self.last.there[f"{type}/{id}"], self.last

    def referring(self, param, type, ref):
        return [(e, rows) for e, rows in self.there.values() if e.type == type and not e.deleted and any(r.param == param and r.code == ref for r in rows)]

    def facts(self):
        return [f for facts in self.given.values() for f in facts]

    def search(self, query) -> list[str]:
        found = [(e, rows) for e, rows in self.there.values() if match.match(query, e, rows, self, NOW)]
        return [e.ref for e, _ in match.order(query, found, NOW)]


async def _commit(store, model: Model, batch) -> None:
    made = []

    async def work(tx):
        made.clear()
        for type, id, alive, stamp, rows, facts in batch:
            before = await tx.get(type, id)
            stamp = {**stamp, **({} if alive else {"text": None, "deleted": True})}
            made.append((entry(type, id, before.version + 1 if before else 1, **stamp), rows if alive else [], facts if alive else []))
            await tx.write(*made[-1])

    await store.commit(work)
    for written, rows, facts in made:
        model.there[written.ref] = (written, rows)
        model.given[written.ref] = facts


async def _compare(store, model: Model, query: Query, at: int) -> None:
    expected = model.search(query)
    found = await store.search(query, at=at, now=NOW, limit=100)
    assert [f.entry.ref for f in found] == expected
    assert await store.count(query, at=at, now=NOW) == len(expected)
    seen, after = [], None
    while page := await store.search(query, at=at, now=NOW, limit=2, after=after):
        seen += [f.entry.ref for f in page]
        after = page[-1].place
    assert seen == expected


@given(history=commits, asked=st.lists(queries, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_histories_and_queries(opening, history, asked):
    asyncio.run(_run(opening, history, asked))


async def _run(opening, history, asked) -> None:
    model, snapshots = Model(), []
    async with opening() as store:
        for batch in history:
            await _commit(store, model, batch)
            snapshots.append((await store.newest(), model.snapshot(model.given)))
        for step, query in enumerate(asked):
            at, then = snapshots[-1 - step % len(snapshots)]
            await _compare(store, then, query, at)
