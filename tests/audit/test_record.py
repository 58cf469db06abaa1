"""The access record as compact JSON and its columns."""
from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.audit import record
from app.caller import Caller, system
from app.store.base import Event
from tests.audit.making import DOCTOR, NOON, READ, made


def test_a_read_of_one_patients_study_takes_less_than_300_bytes():
    assert 150 < len(made().plain) < 300


def test_a_record_says_which_version_of_its_layout_it_has():
    assert json.loads(made().plain)["v"] == 1


def test_a_record_of_another_version_is_refused():
    with pytest.raises(ValueError):
        record.decode(b'{"v":2}')


@pytest.mark.parametrize("access", [
    made(), made(DOCTOR, READ, READ._replace(patient="Patient/10")), made(system("job", "a"), Event("E", "search-type"), query="Patient?name=张", reason=""),
    made(DOCTOR, Event("C", "create"), outcome="4", reason="Not permitted.", name="李医生"), made(Caller("", ""), Event("E", "$everything", "Patient/1")),
    made(DOCTOR, Event("R", "read", "Patient/\ud800"), outcome="4", query="a\ud800b")])
def test_decode_is_the_inverse_of_access(access):
    assert record.decode(access.plain) == access


def test_the_columns_are_what_the_caller_and_the_request_say():
    access = made(outcome="4", query="x=1", reason="no")
    assert (access.at, access.outcome, access.organization, access.client, access.user) == (NOON, "4", "chc-17", "client-chc-17", "https://idp.chc17.example|u-203")
    assert (access.policy, access.purpose, access.request, access.type, access.site) == ("urn:ietf:params:oauth:jti:8f2c", "TREAT", "req-71", "rest", "fhir.alliance.example")
    assert access.events == (READ,)


def test_an_event_on_a_patients_own_resource_concerns_that_patient():
    assert made(DOCTOR, Event("R", "read", "Patient/1")).events[0].patient == "Patient/1"
    assert made(DOCTOR, Event("R", "read", "Patient/1", 3, "Patient/2")).events[0].patient == "Patient/2"


def test_what_a_fhir_string_cannot_hold_is_left_out():
    access = made(replace(DOCTOR, request=" a\r\nb\0 ", client="\t"))
    assert (access.request, access.client) == ("a b", "anonymous")


def test_a_very_long_query_is_cut_and_its_hash_kept():
    fields = record.fields(made(query="x" * 50_000).plain)
    assert len(fields["q"]) < 20_200 and "sha256 of all 50000 characters" in fields["q"]


def test_an_access_without_events_or_with_an_unknown_outcome_is_refused():
    with pytest.raises(ValueError):
        record.access(DOCTOR, at=NOON, events=(), outcome="0", site="s")
    with pytest.raises(ValueError):
        record.access(DOCTOR, at=NOON, events=(READ,), outcome="1", site="s")


def test_the_same_access_again_differs_in_outcome_and_reason_alone():
    access = made(query="x=1")
    failed = record.again(access, outcome="8", reason="the disk is full")
    assert (failed.outcome, failed.events, failed.user) == ("8", access.events, access.user)
    assert {**record.fields(failed.plain), "o": "0", "w": None} == {**record.fields(access.plain), "w": None}


def test_every_key_of_a_record_is_explained():
    everything = made(replace(DOCTOR, purpose="ETREAT"), Event("C", "create"), query="q", reason="w", name="n", type="110113")
    assert set(record.fields(everything.plain)) == set(record.KEYS)
