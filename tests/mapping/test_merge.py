"""A mapped resource beside the stored one: created, updated, unchanged, stale, or a reason to refuse."""
from __future__ import annotations

import pytest

from app.fhir import json
from app.mapping.content import CUSTODIAN
from app.mapping.merge import Source, State, decide, same, stored, written
from app.mapping.reject import Reject
from app.mapping.rules import Made

ONE = Source("h/people", "a" * 12, 2)
LATER, NEXT_FILE = ONE._replace(row=3), ONE._replace(file="b" * 12)


def made(newer: str | None = None, write: str = "upsert", must_match=(), once=(), **elements) -> Made:
    return Made("patient", {"resourceType": "Patient", "id": "h-1", **elements}, write, must_match, newer, "people.yaml:9", once=once)


def after(first: Made, source: Source = ONE) -> State:
    """The state that a store gives back after it was written."""
    state = decide(first, None, source._replace(newer=first.newer_by), "号")[1]
    return stored(json.dumps(written(state)), 1, "h")


def test_what_is_not_there_is_created_and_its_source_is_said():
    outcome, state = decide(made(gender="male"), None, ONE, "号")
    assert outcome == "created" and state.changed
    assert written(state)["meta"]["source"].startswith("urn:fhir-import:h/people#" + "a" * 12 + "/2/")


def test_the_same_again_is_unchanged_whatever_the_server_put_into_meta():
    text = written(decide(made(gender="male"), None, ONE, "号")[1])
    text["meta"] |= {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z", "tag": [{"system": "https://yilian.example/fhir/CodeSystem/custodian", "code": "h"}]}
    assert decide(made(gender="male"), stored(json.dumps(text), 1, "h"), NEXT_FILE, "号")[0] == "unchanged"


def test_an_update_keeps_elements_that_the_mapping_does_not_own():
    outcome, state = decide(made(gender="male"), after(made(active=True)), NEXT_FILE, "号")
    assert outcome == "updated" and state.content["active"] is True and state.content["gender"] == "male" and state.version == 1


def test_an_older_state_is_stale_and_an_equally_old_one_arrives():
    held = after(made("2026-02-01T08:00:00+08:00", gender="male"))
    assert decide(made("2026-01-01T08:00:00+08:00", gender="female"), held, NEXT_FILE, "号")[0] == "stale"
    assert decide(made("2026-02-01T08:00:00+08:00", gender="female"), held, NEXT_FILE, "号")[0] == "updated"


def test_a_rule_that_only_creates_never_changes():
    assert decide(made(write="create", gender="female"), after(made(gender="male")), NEXT_FILE, "号")[0] == "unchanged"


def test_what_stands_once_is_given_to_the_new_and_left_to_the_old():
    assert decide(made(once=("active",), active=True), None, ONE, "号")[1].content["active"] is True
    held = after(made(active=False, gender="male"))
    assert decide(made(once=("active",), active=True, gender="male"), held, LATER, "号")[0] == "unchanged"
    outcome, state = decide(made(once=("active",), active=True, gender="female"), held, NEXT_FILE, "号")
    assert (outcome, state.content["active"], state.content["gender"]) == ("updated", False, "female")
    assert decide(made(once=("active",), active=True), after(made(gender="male")), NEXT_FILE, "号")[1].content["active"] is True


@pytest.mark.parametrize(("now", "source", "code"), [
    (made(gender="female"), LATER, "duplicate-key"),
    (made(must_match=("birthDate",), birthDate="1981-01-01"), NEXT_FILE, "identity-collision"),
    (made(must_match=("identifier|urn:x",), identifier=[{"system": "urn:x", "value": "2"}]), NEXT_FILE, "identity-collision"),
])
def test_what_contradicts_is_refused(now, source, code):
    held = after(made(gender="male", birthDate="1980-01-01", identifier=[{"system": "urn:x", "value": "1"}]))
    with pytest.raises(Reject) as told:
        decide(now, held, source, "号")
    assert (told.value.code, told.value.column, told.value.rule) == (code, "号", "people.yaml:9")


def test_what_somebody_else_or_another_site_wrote_is_refused():
    text = {**written(decide(made(gender="male"), None, ONE, "号")[1]), "gender": "other"}
    for held in (stored(json.dumps(text), 2, "h"), stored(json.dumps(written(decide(made(gender="male"), None, ONE, "号")[1])), 1, "k")):
        with pytest.raises(Reject, match="edited-elsewhere"):
            decide(made(gender="female"), held, NEXT_FILE, "号")


def test_a_status_changes_what_is_stored_and_nothing_else():
    outcome, state = decide(made(write="status", status="revoked"), after(made(status="active", intent="order")), NEXT_FILE, "号")
    assert outcome == "updated" and (state.content["status"], state.content["intent"]) == ("revoked", "order")


@pytest.mark.parametrize("write", ["status", "append"])
def test_what_only_changes_makes_nothing_new(write):
    with pytest.raises(Reject) as refused:
        decide(made(write=write), None, ONE, "号")
    assert (refused.value.code, refused.value.column) == ("absent", "号")


def test_an_append_adds_what_the_list_has_not_yet_and_rows_of_one_file_follow_each_other():
    first = after(made(note=[{"text": "甲"}]))
    outcome, state = decide(made(write="append", note=[{"text": "乙"}, {"text": "甲"}, {"text": "乙"}]), first, LATER, "号")
    assert outcome == "updated" and state.content["note"] == [{"text": "甲"}, {"text": "乙"}]
    assert decide(made(write="append", note=[{"text": "乙"}]), state, LATER._replace(row=4), "号")[0] == "unchanged"


def test_an_empty_cell_deletes_under_a_snapshot_alone():
    kept = after(made(gender="male", birthDate="1980-01-01"))
    assert decide(made(gender="male"), kept, NEXT_FILE, "号")[0] == "unchanged"
    outcome, state = decide(made(gender="male")._replace(empty=("birthDate", "name")), kept, NEXT_FILE, "号")
    assert outcome == "updated" and "birthDate" not in state.content and state.content["gender"] == "male"


@pytest.mark.parametrize("change, equal", [({}, True), ({"birthDate": "1980-01-02"}, False), ({"meta": {"profile": ["urn:x"]}}, False), ({"gender": None}, False)])
def test_what_is_stored_as_the_rules_give_it_is_known_without_reading_it_whole(change, equal):
    resource = {"resourceType": "Patient", "id": "h-1", "gender": "male", "name": [{"text": "张三"}], "birthDate": "1980-01-01"}
    kept = written(State(resource, Source("h/people", "0" * 12, 2), None, True))
    kept["meta"] |= {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z", "tag": [{"system": CUSTODIAN, "code": "h"}]}
    text = json.dumps({"resourceType": "Patient", "id": "h-1", "meta": kept["meta"], **{key: kept[key] for key in ("gender", "name", "birthDate")}})
    other = {key: value for key, value in {**resource, **change}.items() if value is not None}
    found = same(other, text, 1, "h")
    assert (found == stored(text, 1, "h")) if equal else found is None
