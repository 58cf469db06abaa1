"""The judge: what clauses and orders mean, one by one."""
from __future__ import annotations

import pytest

from app.search.match import compare, holds, match, order
from app.search.query import ALL, NONE, NOW, And, Back, Compare, Granted, Has, Key, Link, Not, Or, Query, Row, Stamp, Test, has
from app.store.base import Entry, Fact


class Snapshot:
    """Entries with their rows, and facts."""

    def __init__(self, *items, facts=()):
        self.items, self._facts = items, facts

    def current(self, type, id):
        return next((i for i in self.items if (i[0].type, i[0].id) == (type, id)), None)

    def referring(self, param, type, ref):
        return [i for i in self.items if i[0].type == type and any(r.param == param and r.code == ref for r in i[1])]

    def facts(self):
        return self._facts


def entry(type: str, id: str, number: int = 0, **stamp) -> Entry:
    return Entry(type, id, 1, b"", number=number, **stamp)


PATIENT = (entry("Patient", "p", 1, about=("Patient/p",), custodian="h1"), [Row("Patient.gender", 0, "s", "male"), Row("Patient.name", 0, None, "Eve", "eve")])
OBSERVATION = (entry("Observation", "o", 2, about=("Patient/p", "Patient/q"), many=True, labels=5, date=7), [
    Row("Observation.subject", 0, None, "Patient/p"), Row("Observation.date", low=10, high=20), Row("c/0", 1, code="a"), Row("c/1", 1, low=1.0, high=1.0), Row("c/0", 2, code="b"), Row("c/1", 2, low=2.0, high=2.0)])
SNAPSHOT = Snapshot(PATIENT, OBSERVATION, facts=(Fact("allow", grantee="h2", patient="Patient/q", low=0, high=100), Fact("deny", grantee="h3"), Fact("allow", grantee="h4", resource="Observation/o")))


@pytest.mark.parametrize("value, how, sought, expected", [
    ("a", "eq", "a", True), ("a", "eq", "A", False), ("a", "in", ("b", "a"), True), ("张伟", "prefix", "张", True), ("eve", "prefix", "ve", False), ("", "prefix", "", True), ("eve", "contains", "ve", True),
    (1, "lt", 2, True), (2, "lt", 2, False), (2, "le", 2, True), (2, "gt", 1, True), (2, "gt", 2, False), (2, "ge", 2, True), (5, "lacks", 2, True), (5, "lacks", 4, False), (5, "lacks", 6, False),
    (None, "none", None, True), (1, "none", None, False), (1, "some", None, True), (None, "some", None, False), (None, "eq", None, False), (None, "lt", 1, False), (None, "lacks", 1, False),
    ("\U00020bb7", "gt", "\uffff", True),
])
def test_a_comparison(value, how, sought, expected):
    assert compare(value, Compare("code", how, sought), 0) is expected


def test_now_stands_for_the_moment_of_the_request():
    assert compare(5, Compare("low", "le", NOW), 5)
    assert not compare(6, Compare("low", "le", NOW), 5)


@pytest.mark.parametrize("clause, expected", [
    (ALL, True), (NONE, False), (Not(NONE), True), (And((ALL, NONE)), False), (Or((NONE, ALL)), True),
    (has("Observation.date"), True), (has("Observation.date", Compare("low", "ge", 10), Compare("high", "le", 20)), True), (has("Observation.date", Compare("low", "gt", 10)), False), (has("Observation.code"), False),
    (has("Observation.subject", Compare("system", "none")), True),
    # components of one element, not of two
    (Has((Test("c/0", (Compare("code", "eq", "a"),)), Test("c/1", (Compare("low", "eq", 1.0),)))), True), (Has((Test("c/0", (Compare("code", "eq", "a"),)), Test("c/1", (Compare("low", "eq", 2.0),)))), False),
    (Stamp((Compare("type", "eq", "Observation"), Compare("id", "in", ("o",)))), True), (Stamp((Compare("date", "lt", 7),)), False), (Stamp((Compare("labels", "lacks", 2),)), True), (Stamp((Compare("many", "eq", True),)), True),
    (Stamp((Compare("about", "eq", "Patient/q"),)), True), (Stamp((Compare("about", "in", ("Patient/x",)),)), False),
    (Link("Observation.subject", ("Patient",), has("Patient.gender", Compare("code", "eq", "male"))), True), (Link("Observation.subject", ("Group",), ALL), False), (Link("Observation.subject", (), ALL), True),
    (Link("Observation.subject", ("Patient",), has("Patient.gender", Compare("code", "eq", "female"))), False), (Link("Observation.date", ("Patient",), ALL), False),
    (Granted((Compare("effect", "eq", "allow"), Compare("grantee", "eq", "h2")), (("patient", "about"),)), True), (Granted((Compare("grantee", "eq", "h2"), Compare("high", "lt", NOW)), (("patient", "about"),)), False),
    (Granted((Compare("grantee", "eq", "h4"),), (("resource", "ref"), ("patient", "about"))), True), (Granted((Compare("grantee", "eq", "h3"),), (("custodian", "custodian"),)), True),
    (Granted((Compare("grantee", "eq", "h9"),), ()), False),
])
def test_a_clause_on_an_observation(clause, expected):
    assert holds(clause, *OBSERVATION, SNAPSHOT, 50) is expected


def test_a_fact_about_another_patient_grants_nothing():
    assert not holds(Granted((Compare("grantee", "eq", "h2"),), (("patient", "about"),)), *PATIENT, SNAPSHOT, 50)


def test_a_reverse_chain_asks_those_that_refer():
    assert holds(Back("Observation.subject", "Observation", has("Observation.date")), *PATIENT, SNAPSHOT, 0)
    assert not holds(Back("Observation.subject", "Observation", NONE), *PATIENT, SNAPSHOT, 0)
    assert not holds(Back("Observation.subject", "Condition", ALL), *PATIENT, SNAPSHOT, 0)


def test_the_type_and_a_delete_are_judged_first():
    assert match(Query(("Patient",)), *PATIENT, SNAPSHOT, 0)
    assert match(Query(()), *PATIENT, SNAPSHOT, 0)
    assert not match(Query(("Observation",)), *PATIENT, SNAPSHOT, 0)
    assert not match(Query(("Patient",)), entry("Patient", "p", deleted=True), [], SNAPSHOT, 0)


def dated(number: int, *lows: int):
    return (entry("Observation", f"o{number}", number, updated=-number), [Row("Observation.date", low=low, high=low) for low in lows])


@pytest.mark.parametrize("keys, ids", [
    ((), "o4 o3 o2 o1"), ((Key("Observation.date", "low"),), "o1 o2 o3 o4"), ((Key("Observation.date", "low", True),), "o1 o3 o2 o4"),
    ((Key("Observation.date", "low", True, (Compare("low", "lt", 9),)),), "o3 o2 o1 o4"), ((Key("", "updated"),), "o4 o3 o2 o1"), ((Key("", "id"),), "o1 o2 o3 o4"),
    ((Key("Observation.date", "low"), Key("", "id")), "o1 o2 o3 o4"), ((Key("Observation.date", "low"), Key("", "id", True)), "o1 o3 o2 o4"),
])
def test_an_order_takes_the_first_row_of_each_and_puts_those_without_last(keys, ids):
    items = [dated(1, 1, 9), dated(2, 5), dated(3, 5), dated(4)]
    assert [e.id for e, _ in order(Query((), ALL, keys), items)] == ids.split()
