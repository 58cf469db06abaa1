"""Rendered AuditEvents against IHE BALP 1.1.5 and R4. https://profiles.ihe.net/ITI/BALP/content.html"""
from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import replace

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from app.audit import shapes
from app.audit.events import parse_id, render
from app.caller import system
from app.fhir import definitions, path, validate
from app.store.base import Event
from tests.audit.making import DOCTOR, READ, made

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
SEARCH = Event("E", "search-type", "", 0, "Patient/9")
ALL_KINDS = [Event(action, code, entity, version, patient)
             for code, kind in shapes.KINDS.items() if kind.shape != "journal" for action in ({"create": "C", "read": "R", "vread": "R", "update": "U", "patch": "U", "delete": "D"}.get(code, "E"),)
             for entity, version, patient in (("", 0, ""), ("Observation/1", 3, "Patient/1"), ("Patient/1", 0, ""), ("Patient/1", 2, "Patient/2"))]


def event(*events, caller=DOCTOR, ordinal=0, **more) -> dict:
    return render(made(caller, *events, slot=("log", 5), **more), ordinal)


def agents(resource) -> list[str]:
    return [a["type"]["coding"][0]["code"] for a in resource["agent"]]


@pytest.mark.parametrize("happened", [*ALL_KINDS, Event("E", "$everything", "Patient/1"), Event("E", "journal-open")], ids=str)
@pytest.mark.parametrize("caller", [DOCTOR, replace(DOCTOR, user="", token="", request="", address=""), system("feed", "")], ids=["doctor", "client", "system"])
def test_every_rendered_event_is_valid_and_meets_the_invariants_of_r4(happened, caller):
    kind = "110100" if happened.subtype == "journal-open" else "rest"
    for more in ({}, {"query": "name=张&_count=1", "reason": "Not permitted.", "outcome": "4", "name": "李医生"}):
        resource = event(happened, caller=caller, type=kind, **more)
        assert validate.validate(resource) == []
        for entity in resource["entity"]:
            for key, _, human, expression in definitions.invariants("AuditEvent.entity"):
                assert [n.value for n in path.compile(expression)(entity, type_name="AuditEvent.entity")] == [True], (key, human)


def test_a_read_has_the_shape_of_the_profile_patient_read():
    resource = event(READ)
    assert resource["meta"]["profile"] == [BALP + "PatientRead"]
    assert (resource["type"]["system"], resource["type"]["code"]) == ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")
    assert [(s["system"], s["code"]) for s in resource["subtype"]] == [("http://hl7.org/fhir/restful-interaction", "read")]
    assert (resource["action"], resource["outcome"], resource["recorded"]) == ("R", "0", "2025-03-01T04:00:00.123456Z")
    client, server, user, organization = resource["agent"]
    assert client["type"]["coding"][0]["code"] == "110152" and client["who"]["identifier"]["value"] == "client-chc-17"
    assert client["network"] == {"address": "10.1.7.9", "type": "2"} and client["requestor"] is False
    assert server["type"]["coding"][0]["code"] == "110153" and server["network"] == {"address": "fhir.alliance.example", "type": "1"}
    assert user["type"]["coding"][0]["code"] == "IRCP" and user["who"]["identifier"] == {"system": "https://idp.chc17.example", "value": "u-203"}
    assert user["requestor"] is True and user["policy"] == ["urn:ietf:params:oauth:jti:8f2c"] and "network" not in user
    assert user["purposeOfUse"][0]["coding"][0] == {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
    assert organization["who"] == {"reference": "Organization/chc-17"}
    transaction, data, patient = resource["entity"]
    assert transaction["type"]["code"] == "XrequestId" and transaction["what"] == {"identifier": {"value": "req-71"}}
    assert (data["type"]["code"], data["role"]["code"], data["what"]) == ("2", "4", {"reference": "ImagingStudy/5/_history/2"})
    assert (patient["type"]["code"], patient["role"]["code"], patient["what"]) == ("1", "1", {"reference": "Patient/9"})


CLIENT_AND_SERVER = {"Create": ("110153", "110152"), "Read": ("110152", "110153"), "Update": ("110153", "110152"), "Delete": ("110150", "custodian"), "Query": ("110153", "110152")}
USERS = {"Create": ("AUT", "INF", "CST"), "Update": ("AUT", "INF", "CST"), "Delete": ("AUT", "INF", "CST"), "Read": ("IRCP",), "Query": ("IRCP",)}
SAID = {"Create": ("C", {"create"}), "Read": ("R", {"read", "vread"}), "Update": ("U", {"update", "patch"}), "Delete": ("D", {"delete"}), "Query": ("E", {"search", "search-type", "search-system"})}


def one(items, code: str) -> dict:
    """The only one of a slice that a type tells."""
    found, = [i for i in items if (i["type"].get("coding") or [i["type"]])[0]["code"] == code]
    return found


def conforms(resource: dict) -> None:
    """Holds the resource against the profile that it claims: the slices of BALP 1.1, each told by the type of its agent or entity."""
    name = resource["meta"]["profile"][0].removeprefix(BALP)
    base = name.removeprefix("Patient")
    action, subtypes = SAID[base]
    assert (resource["type"]["code"], resource["action"], resource["outcome"]) == ("rest", action, "0") and len(subtypes & {s["code"] for s in resource["subtype"]}) == 1
    client, server = (one(resource["agent"], code) for code in CLIENT_AND_SERVER[base])
    assert all(a["who"] and a["network"]["address"] and "media" not in a for a in (client, server))
    for user in [a for a in resource["agent"] if a["type"]["coding"][0]["code"] in USERS[base]]:
        assert user["requestor"] is True and user["who"] and "network" not in user and "media" not in user
    entities = {e["type"]["code"]: e for e in resource["entity"]}
    if base == "Query":
        query = one(resource["entity"], "2")
        assert query["role"]["code"] == "24" and query["query"] and not {"what", "lifecycle", "detail"} & query.keys()
    else:
        data = one(resource["entity"], "2")
        assert data["role"]["code"] in ("4", "3", "20") and data["what"]
    if name != base:
        assert re.fullmatch(r"Patient/[A-Za-z0-9.-]+", one(resource["entity"], "1")["what"]["reference"]) and entities["1"]["role"]["code"] == "1"
    if "XrequestId" in entities:
        assert entities["XrequestId"]["what"]["identifier"]["value"]


@pytest.mark.parametrize("happened", [*ALL_KINDS, Event("E", "search-type", "Practitioner/7"), Event("E", "search-type", "Practitioner/7", 0, "Patient/1"), Event("E", "search-type", "Patient/1", 0, "Patient/2")], ids=str)
@pytest.mark.parametrize("caller", [DOCTOR, replace(DOCTOR, user="", token="", request="", address=""), system("feed", "")], ids=["doctor", "client", "system"])
def test_an_event_that_claims_a_profile_of_balp_conforms_to_it(happened, caller):
    resource = event(happened, caller=caller, query="name=张")
    assert ("profile" in resource["meta"]) == bool(shapes.KINDS[happened.subtype].profile)
    if "profile" in resource["meta"]:
        conforms(resource)


@pytest.mark.parametrize("happened", [*ALL_KINDS, Event("E", "$everything", "Patient/1"), Event("E", "journal-open")], ids=str)
def test_a_second_opinion_takes_each_rendered_event(happened):
    resource = event(happened, query="name=张&_count=1", reason="Not permitted.", outcome="4", name="李医生", type="110100" if happened.subtype == "journal-open" else "rest")
    assert json.loads(AuditEvent.model_validate(resource).model_dump_json())["agent"] == resource["agent"]


def test_client_and_server_change_roles_between_read_and_write():
    assert agents(event(READ))[:3] == ["110152", "110153", "IRCP"]
    assert agents(event(Event("C", "create", "Observation/1", 1)))[:3] == ["110153", "110152", "AUT"]
    assert agents(event(Event("U", "patch", "Observation/1", 2)))[:3] == ["110153", "110152", "AUT"]
    assert agents(event(Event("D", "delete", "Observation/1", 2)))[:3] == ["110150", "custodian", "AUT"]
    assert agents(event(SEARCH))[:3] == ["110153", "110152", "IRCP"]


def test_a_search_carries_its_query_in_base64_and_nothing_of_its_results_but_the_patient():
    resource = event(SEARCH, query="Observation?code=8480-6&name=张")
    _, query, patient = resource["entity"]
    assert resource["meta"]["profile"] == [BALP + "PatientQuery"] and resource["action"] == "E"
    assert b64decode(query["query"]).decode() == "Observation?code=8480-6&name=张"
    assert (query["type"]["code"], query["role"]["code"]) == ("2", "24") and not {"what", "name", "lifecycle", "detail"} & set(query)
    assert patient["what"] == {"reference": "Patient/9"}


def test_a_search_that_touches_three_patients_is_three_events():
    found = made(DOCTOR, *(SEARCH._replace(patient=f"Patient/{n}") for n in "789"), slot=("log", 5), query="Observation?")
    resources = [render(found, n) for n in range(3)]
    assert [r["entity"][-1]["what"]["reference"] for r in resources] == ["Patient/7", "Patient/8", "Patient/9"]
    assert [r["id"] for r in resources] == ["log.5.0", "log.5.1", "log.5.2"]
    with pytest.raises(IndexError):
        render(found, 3)


def test_a_search_without_a_patient_has_the_profile_query():
    assert event(Event("E", "search-type"), query="Organization?")["meta"]["profile"] == [BALP + "Query"]


@pytest.mark.parametrize("subtype", ["history-instance", "history-type", "batch", "$everything"])
def test_what_balp_has_no_pattern_for_claims_no_profile(subtype):
    assert "profile" not in event(Event("E", subtype, "Patient/1"), query="_count=1")["meta"]


def test_an_operation_is_told_by_its_name_beside_the_code_operation():
    assert [s["code"] for s in event(Event("E", "$everything", "Patient/1"))["subtype"]] == ["operation", "$everything"]


def test_a_refusal_keeps_the_shape_and_says_why():
    resource = event(Event("C", "create"), outcome="4", reason="Not permitted.", query="identifier=urn:x|7")
    assert (resource["outcome"], resource["outcomeDesc"], "profile" in resource["meta"]) == ("4", "Not permitted.", False)
    assert resource["entity"][1]["what"] == {"display": "no id yet"} and resource["entity"][1]["description"] == "identifier=urn:x|7"


def test_without_a_person_the_client_asks_and_bears_the_tokens_id():
    client = event(READ, caller=replace(DOCTOR, user=""))["agent"][0]
    assert client["requestor"] is True and client["policy"] == ["urn:ietf:params:oauth:jti:8f2c"]


def test_the_systems_own_accesses_come_from_the_server_itself():
    assert event(READ, caller=system("job", "a"))["agent"][0]["network"] == {"address": "fhir.alliance.example", "type": "1"}


@pytest.mark.parametrize("id", ["log.5.0", "0123456789abcdef.18446.12", f"{'a' * 32}.9223372036854775807.999999999"])
def test_an_id_is_the_slot_and_the_place_of_the_event(id):
    journal, sequence, ordinal = parse_id(id)
    assert f"{journal}.{sequence}.{ordinal}" == id and len(id) <= 64


@pytest.mark.parametrize("id", ["", "5", "log.5", "log.5.0.0", "log.05.0", "log.-1.0", "log.5.x", "5d3c-7.1.2", "LOG.1.0", "log.99999999999999999999.0", "log.9223372036854775808.0", "log.１.0"])
def test_other_ids_are_none_of_the_log(id):
    assert parse_id(id) is None
