"""What the log says of each access through the FHIR door, on both stores. https://profiles.ihe.net/ITI/BALP/content.html"""
from __future__ import annotations

from urllib.parse import parse_qsl, quote

import pytest

from app import errors
from app.audit.record import SECRET
from app.fhir import validate
from app.records import Change, Records
from app.search import parameters
from app.search.query import ALL
from tests.audit.conftest import named, query, told
from tests.conftest import hospital
from tests.rest.conftest import entry, patient, transaction

SAME = {"identifier": [{"system": "urn:x", "value": "same"}]}


async def made(client, **more) -> str:
    answer = await client.post("Patient", json=patient(**more))
    return f"Patient/{answer.json()['id']}"


async def test_a_conditional_delete_of_several_names_each_of_them(client):
    gone = {await made(client, **SAME) for _ in range(3)}
    assert (await client.delete("Patient?identifier=urn:x|same")).status_code == 204
    assert {ref for event in await told(client, action="D") for ref in named(event)} == gone | {f"{ref}/_history/2" for ref in gone}


async def test_a_read_of_what_was_deleted_is_told_as_refused_with_the_patient(client):
    ref = await made(client)
    await client.delete(ref)
    assert (await client.get(ref)).status_code == 410
    event, = await told(client, subtype="read")
    assert (event["outcome"], named(event)) == ("4", [f"{ref}/_history/2", ref]) and "deleted" in event["outcomeDesc"]


async def test_an_event_of_the_log_has_one_version(client):
    await made(client)
    event = (await told(client))[0]
    assert [(await client.get(f"AuditEvent/{event['id']}{v}")).status_code for v in ("", "/_history/1", "/_history/2", "/_history/0", "/_history/x")] == [200, 200, 404, 404, 404]


@pytest.mark.parametrize("method, address, content, status, subtype", [
    ("PUT", "Patient/p1", "{bad", 400, "update"), ("POST", "Patient", "{bad", 400, "create"), ("PATCH", "Patient/p1", "[]", 400, "patch"), ("GET", "Patient/p1?x=1", None, 400, "read"),
    ("HEAD", "Patient/p1", None, 404, "read"), ("GET", "Patient/p1/_history/3", None, 404, "vread"), ("DELETE", "AuditEvent/log.1.0", None, 405, "delete"),
    ("PUT", "AuditEvent/log.1.0", "{}", 405, "update"), ("PATCH", "AuditEvent/log.1.0", "[]", 405, "patch"), ("DELETE", "AuditEvent?type=rest", None, 405, "delete"),
    ("DELETE", "Patient/p1/_history", None, 405, "delete"), ("POST", "", "{}", 400, "transaction"), ("POST", "Patient/$nothing", "{}", 404, "$nothing"), ("GET", "Patient?_count=x", None, 400, "search-type"),
    ("GET", "_history?x=1", None, 400, "history-system"), ("POST", "Patient", '{"resourceType":"Patient","x":1}', 400, "create"), ("GET", "Patient/p1/Observation?x=1", None, 400, "search-type")])
async def test_whatever_is_refused_is_told_once(client, method, address, content, status, subtype):
    answer = await client.request(method, address, content=content)
    assert answer.status_code == status
    event, = await told(client)
    assert (event["outcome"], event["subtype"][-1]["code"]) == ("4", subtype) and validate.validate(event) == []


async def test_the_conditions_of_http_are_reads_like_others(client):
    ref = await made(client)
    assert (await client.get(ref, headers={"If-None-Match": 'W/"1"'})).status_code == 304
    assert (await client.head(ref)).status_code == 200
    assert [(e["outcome"], named(e)) for e in await told(client, subtype="read")] == [("0", [f"{ref}/_history/1", ref])] * 2


async def test_what_the_server_can_do_is_told_to_anybody_and_not_recorded(client):
    assert (await client.get("metadata")).status_code == 200 and (await client.get("metadata?x=1")).status_code in (200, 400)
    assert (await client.get("Nothing/1")).status_code == 404 and (await client.options("Patient")).status_code == 204
    assert await told(client) == []


async def test_each_entry_of_a_batch_is_told_for_itself(client):
    ref = await made(client)
    sent = transaction(entry("GET", ref), entry("GET", "Patient/none"), entry("DELETE", "AuditEvent/log.1.0"), entry("POST", "Patient", patient()), entry("GET", "Patient?x=1"), kind="batch")
    answer = await client.post("", json=sent)
    assert [e["response"]["status"][:3] for e in answer.json()["entry"]] == ["200", "404", "405", "201", "400"]
    assert sorted((e["subtype"][0]["code"], e["outcome"]) for e in await told(client)) == [
        ("batch", "4"), ("create", "0"), ("create", "0"), ("read", "0"), ("read", "4"), ("search-type", "4")]


async def test_a_refused_transaction_names_all_that_was_tried(client):
    sent = transaction(entry("POST", "Patient", patient()), entry("PUT", "Patient/q1", patient(id="q1")), entry("PUT", "Patient/q2", patient(id="q2"), ifMatch='W/"7"'))
    assert (await client.post("", json=sent)).status_code in (409, 412)
    events = await told(client)
    assert {(e["action"], e["outcome"]) for e in events} == {("C", "4"), ("U", "4")} and {r for e in events for r in named(e)} == {"Patient/q1", "Patient/q2"}


async def test_a_transaction_that_would_change_the_log_is_refused_and_told(client):
    for entries in ([entry("DELETE", "AuditEvent/log.1.0")], [entry("PUT", "AuditEvent/log.1.0", {"resourceType": "AuditEvent", "id": "log.1.0"})], [entry("DELETE", "AuditEvent?type=rest")]):
        answer = await client.post("", json=transaction(entry("POST", "Patient", patient()), *entries))
        assert answer.status_code == 405
    assert [(e["outcome"], e["subtype"][0]["code"]) for e in await told(client)] == [("4", "transaction")] * 3
    assert (await client.get("Patient?_summary=count")).json()["total"] == 0


@pytest.mark.parametrize("pairs", [
    [("name", "a&b=c+d;e%41 f#g")], [("name", "张" * 2700)], [("name", "\x01\t\r\n\x7f\u2028x")], [("name", "𠮷 王"), ("name", ""), ("gender", "male")], [("family:exact", "=?&/\\,$|")]], ids=repr)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_query_is_recorded_without_loss(client, pairs, method):
    form = "&".join(f"{quote(n, safe=':')}={quote(v, safe='')}" for n, v in pairs)
    answer = await (client.get(f"Patient?{form}") if method == "GET" else client.post("Patient/_search", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}))
    event, = await told(client, subtype="search-type")
    assert event["outcome"] == ("0" if answer.status_code == 200 else "4") and validate.validate(event) == []
    assert parse_qsl(query(event).removeprefix("Patient?"), keep_blank_values=True) == pairs


async def test_an_address_with_control_characters_is_recorded_as_a_resource_that_is_valid(client):
    assert (await client.get("Patient/%01%0aab%20%7f")).status_code == 404
    event, = await told(client)
    assert validate.validate(event) == []


@pytest.mark.parametrize("method, address, headers", [
    ("GET", "Patient?access_token=hush-123&name=x", {}), ("GET", "Patient?name=x&access%5Ftoken=hush-123", {}), ("GET", "Patient/p1?client_secret=hush-123", {}), ("DELETE", "Patient?password=hush-123", {}),
    ("POST", "Patient", {"If-None-Exist": "identifier=1&id_token=hush-123"}), ("GET", "Patient?name=x", {"Authorization": "Bearer hush-123"}),
    ("GET", "Patient?name=eyJhbGciOi.eyJpc3Mi.hush-123", {}), ("GET", "Patient/_history?Token=hush-123", {})])
async def test_no_secret_is_in_a_record(client, world, method, address, headers):
    await client.request(method, address, headers=headers, content='{"resourceType":"Patient"}' if method == "POST" else None)
    events = await told(client)
    page = await world.store.events(ALL, limit=100)
    assert events and all(b"hush-123" not in s.access.plain and b"aHVzaC0xMjM" not in s.access.plain for s in page)
    assert "hush-123" not in str(events) and all("hush-123" not in query(e) for e in events)


def test_no_parameter_of_r4_is_taken_for_a_secret():
    assert not [name for type in parameters.TYPES for name in parameters.of(type) if SECRET.search(name)]


async def test_a_search_in_a_compartment_names_whose_it_was(client):
    await client.get("Practitioner/7/Observation?status=final")
    await client.get("Patient/8/*")
    whole, one = await told(client)
    assert (query(one), named(one)) == ("Practitioner/7/Observation?status=final", ["Practitioner/7"])
    assert (query(whole), named(whole)) == ("Patient/8/*?", ["Patient/8"])


@pytest.mark.parametrize("address, patients", [
    ("Observation?patient=p1", ["p1"]), ("Observation?subject=Patient/p1", ["p1"]), ("Observation?patient=p1,p2", ["p1", "p2"]), ("Patient?_id=p1", ["p1"]), ("Patient?name=x", []),
    ("Observation?patient=http://test/fhir/Patient/p1", ["p1"]), ("Observation?patient=http://other/fhir/Patient/p1", []), ("Observation?encounter=Encounter/p1", []), ("AuditEvent?patient=p1", ["p1"])])
async def test_a_search_that_names_a_patient_is_one_about_that_patient_even_if_it_finds_nothing(client, address, patients):
    await client.get(address)
    events = [e["resource"] for e in (await client.get("AuditEvent?subtype=search-type")).json()["entry"]]
    assert [named(e) for e in events] == [[f"Patient/{p}"] for p in reversed(patients)] or [[]]
    assert {e["meta"]["profile"][0].rpartition(".")[2] for e in events} == {"PatientQuery" if patients else "Query"}


async def test_the_next_page_says_again_what_was_searched(client):
    for _ in range(3):
        await made(client, gender="male")
    first = (await client.get("Patient?gender=male&_count=1")).json()
    await client.get(next(link["url"] for link in first["link"] if link["relation"] == "next"))
    newest = next(e for e in await told(client, subtype="search-type"))
    assert query(newest) == "Patient?gender=male&_count=1&_cursor="


@pytest.mark.parametrize("sort", ["date", "-date", "_lastUpdated"])
async def test_the_pages_of_the_log_come_to_an_end_and_hold_each_event_once(client, sort):
    for _ in range(4):
        await made(client)
    whole = [e["resource"]["id"] for e in (await client.get(f"AuditEvent?_sort={sort}&_count=100&type=rest&action=C,E")).json()["entry"]]
    url, found, totals = f"AuditEvent?_sort={sort}&_count=1&type=rest&action=C,E&_total=accurate", [], set()
    while url and len(found) < 20:
        page = (await client.get(url)).json()
        found += [e["resource"]["id"] for e in page["entry"]]
        totals.add(page["total"])
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert len(found) == len(set(found)) == len(whole) + 1 and set(whole) < set(found) and totals == {len(found)}


async def test_the_log_has_no_order_but_by_date(client):
    for sort in ("_id", "action", "date,action"):
        assert (await client.get(f"AuditEvent?_sort={sort}")).status_code == 400


async def test_events_that_others_send_stand_beside_the_logs_own_in_the_order_of_their_time(client):
    sent = {"resourceType": "AuditEvent", "type": {"code": "rest"}, "action": "C", "agent": [{"requestor": True}], "source": {"observer": {"display": "x"}}}
    ids = {}
    for recorded in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"):
        await made(client)
        ids[recorded] = (await client.post("AuditEvent", json={**sent, "recorded": recorded})).json()["id"]
    url, found = "AuditEvent?action=C&_count=2", []
    while url:
        page = (await client.get(url)).json()
        found += [e["resource"] for e in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert [found[0]["id"], found[-1]["id"]] == [ids["2099-01-01T00:00:00Z"], ids["2020-01-01T00:00:00Z"]]
    assert len(found) == 6 and sorted((e["recorded"] for e in found[1:-1]), reverse=True) == [e["recorded"] for e in found[1:-1]]


async def test_an_organisation_sees_the_events_of_its_own_clients_and_the_operator_all(world):
    a, b = Records(world, hospital("a")), Records(world, hospital("b"))
    [done] = await a.commit([Change("create", "Patient", resource=patient())])
    with pytest.raises(errors.Absent):
        await b.read("Patient", done.entry.id)
    assert {e.custodian for e in (await a.search(("AuditEvent",), [])).entries} == {"a"}
    theirs = await b.search(("AuditEvent",), [("_total", "accurate")])
    assert {e.custodian for e in theirs.entries} == {"b"} and theirs.total == len(theirs.entries)
    event = (await a.search(("AuditEvent",), [("action", "C")])).entries[0]
    assert (await a.read("AuditEvent", event.id)).id == event.id
    with pytest.raises(errors.Absent):
        await b.read("AuditEvent", event.id)
    assert not (await b.search(("AuditEvent",), [("_id", event.id)])).entries


async def test_a_search_and_a_read_of_the_log_are_in_the_log(client):
    await made(client)
    event = (await client.get("AuditEvent?action=C")).json()["entry"][0]["resource"]
    await client.get(f"AuditEvent/{event['id']}")
    newest = [e["resource"] for e in (await client.get("AuditEvent?type=rest&action=E,R")).json()["entry"]]
    assert named(newest[0]) == [f"AuditEvent/{event['id']}/_history/1"] and query(newest[1]) == "AuditEvent?action=C"
