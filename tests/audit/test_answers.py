"""A search of the log finds an event exactly if indexing its rendered AuditEvent would find it. https://hl7.org/fhir/R4/auditevent.html#search"""
from __future__ import annotations

from dataclasses import replace

from urllib.parse import quote

import pytest
import pytest_asyncio

from app import errors
from app.audit.answers import ANSWERS, translate
from app.audit.events import render
from app.caller import system
from app.search import index, match, parameters, parse
from app.search.query import Compare, Has, Test
from app.search.types import supported
from app.store.base import Entry, Event
from app.store.sqlite import SqliteStore
from tests.audit.making import DOCTOR, NOON, made
from tests.search.judge import CONTEXT, Nobody

NURSE = replace(DOCTOR, user="u-203", client="Client-CHC-17", address="fe80::1", request="", token="", purpose="ETREAT")
OTHER = replace(DOCTOR, user="https://idp.other|u-203", organization="other", address="pc-17.chc.example", token="9e3d", request="req-72")
SEARCH = Event("E", "search-type", "", 0, "Patient/9")
RECORDS = [
    made(), made(DOCTOR, SEARCH, SEARCH._replace(patient="Patient/10"), at=NOON + 1, query="Observation?patient=9"), made(NURSE, at=NOON + 1_000_000, name="李医生"),
    made(NURSE, Event("R", "vread", "Patient/9", 3), at=NOON + 60_000_000), made(OTHER, Event("R", "read", "Patient/9", 1, "Patient/10"), at=NOON + 3_600_000_000, name="Lee, Ann"),
    made(DOCTOR, Event("C", "create"), at=NOON + 86_400_000_000, outcome="4", reason="Not permitted."), made(OTHER, Event("U", "update", "Organization/o-1", 2), at=NOON + 2),
    made(DOCTOR, Event("U", "patch", "ImagingStudy/5", 3, "Patient/9"), at=NOON + 3), made(DOCTOR, Event("D", "delete", "Patient/10", 4), at=NOON + 4),
    made(OTHER, Event("E", "history-instance", "Patient/9"), at=NOON + 5), made(OTHER, Event("E", "search-type", "Encounter/7", 0, "Patient/9"), at=NOON + 6),
    made(DOCTOR, Event("E", "search-type", "Patient/9", 0, "Patient/10"), at=NOON + 7), made(DOCTOR, Event("E", "$everything", "Patient/9"), at=NOON + 8),
    made(system("feed", "chc-17"), Event("C", "create", "Observation/x.1", 1, "Patient/11"), at=NOON - 1), made(system("journal", "", purpose=""), Event("E", "journal-open"), at=NOON - 2, type="110100"),
    made(replace(DOCTOR, client="", organization="", user=""), Event("E", "search-system"), at=NOON + 9, outcome="8", site="http://Server.example/fhir", type="110114"),
    made(DOCTOR, Event("R", "read", "Nothing/a b"), at=NOON + 10, outcome="4"), made(replace(DOCTOR, user="|"), Event("E", "capabilities"), at=NOON + 11, outcome="12")]
TYPE, DCM = "http://terminology.hl7.org/CodeSystem/audit-event-type", "http://dicom.nema.org/resources/ontology/DCM"
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
ASKED = """
action=R|action=U,D|action:not=R|action=http://hl7.org/fhir/audit-event-action%7CR|action=urn:x%7CR|action:missing=true
address=10.1.7.9|address=10.1|address=1017|address=7.9|address:contains=7.9|address:exact=10.1.7.9|address:exact=10.1.7|address:exact=1017.9|address=fhir|address:exact=fhir.alliance.example
address:exact=fhirallianceexample|address=PC-17|address:exact=PC-17.chc.example|address:exact=pc-17.chc.example|address:contains=example|address=http|address:exact=http://server.example/fhir
address:contains=db|address:missing=false|address=fe80|address=10.1.7.9,fe80
agent=Organization/chc-17|agent=Organization/other,Organization/chc-17|agent:Organization=other|agent=other|agent=http://test/fhir/Organization/other|agent=Practitioner/1|agent:missing=true
agent:identifier=https://idp.chc17.example%7Cu-203|agent:identifier=u-203|agent:identifier=%7Cu-203|agent:identifier=https://idp.other%7C|agent:identifier=client-chc-17|agent:identifier=Client-CHC-17
agent:identifier=fhir.alliance.example|agent:identifier=%7Cclient-chc-17|agent:identifier=%7Cjournal|agent:identifier=anonymous|agent:identifier=u-20|agent:identifier=u-203,feed|agent:identifier=https://idp.chc17.example%7Cu-203,https://idp.chc17.example%7Cu-9
agent:identifier=https://idp.chc17.example%7Cu-203,https://idp.other%7Cu-203|agent:identifier=203
agent-name=李|agent-name=李医生|agent-name:exact=李医生|agent-name:exact=李|agent-name:contains=医|agent-name=lee|agent-name=lee ann|agent-name:exact=Lee\\, Ann|agent-name:exact=lee ann
agent-name:contains=ann|agent-name:contains=203|agent-name=u|agent-name:missing=true|agent-name:missing=false|agent-name:contains=d
agent-role=x|agent-role:not=x|agent-role:missing=true|altid=u-203|altid:missing=true|altid:missing=false
date=2025-03-01|date=ge2025-03-01T12:00:01|date=lt2025-03-01T12:00:00.123457|date=ne2025-03-01|date=2025-03-01T04:00:00.123456Z|date=sa2025-03-01|date=eb2025-03-01T12:01|date=ap2025-03-01
date=gt2025-03-01T12:00:00.123456&date=le2025-03-01T12:00:00.12346|date:missing=false|date=2024,2025
entity=ImagingStudy/5|entity=ImagingStudy/5/_history/2|entity=ImagingStudy/5/_history/3|entity=ImagingStudy/5/_history/02|entity=5|entity=Patient/9|entity=Patient/10,Patient/11|entity:Patient=9
entity=Encounter/7|entity=http://test/fhir/Patient/9|entity=Nothing/a b|entity:missing=true|entity:missing=false|entity:identifier=req-71|entity:identifier=%7Creq-72|entity:identifier=urn:x%7Creq-71|entity=Patient/9/_history/3
entity-name=x|entity-name:missing=true|entity-role=24|entity-role=4|entity-role=1|entity-role=13|entity-role=http://terminology.hl7.org/CodeSystem/object-role%7C1|entity-role:not=1
entity-role:text=patient|entity-role:text=domain|entity-role:missing=true|entity-type=1|entity-type=2|entity-type=XrequestId|entity-type:not=1|entity-type:text=system obj|entity-type=urn:x%7C
entity-type=http://terminology.hl7.org/CodeSystem/audit-entity-type%7C2|entity-type:not=2,XrequestId
outcome=0|outcome=4,8|outcome:not=0|outcome=http://hl7.org/fhir/audit-event-outcome%7C12|outcome=16
patient=Patient/9|patient=9|patient=Patient/10|patient=Patient/9/_history/3|patient=Patient/9/_history/1|patient=10,11|patient:Patient=9|patient=ImagingStudy/5|patient:missing=true|patient:missing=false|patient:identifier=9
policy=urn:ietf:params:oauth:jti:8f2c|policy=urn:ietf:params:oauth:jti:8|policy:missing=true|policy=urn:ietf:params:oauth:jti:8f2c,urn:ietf:params:oauth:jti:9e3d|policy:below=http://x|policy:above=http://x/y
site=fhir.alliance.example|site=FHIR.alliance.Example|site=http://server.example/fhir|site:not=fhir.alliance.example|site=fhir|site:missing=true|site=fhir.alliance.example,x
source=Device/1|source:identifier=fhir.alliance.example|source:identifier=%7Cfhir.alliance.example|source:identifier=urn:x%7C|source:missing=true
subtype=read|subtype=read,vread|subtype=search-type|subtype=http://hl7.org/fhir/restful-interaction%7Ccreate|subtype=$everything|subtype=operation|subtype=journal-open|subtype:not=read|subtype:text=read
subtype:in=http://hl7.org/fhir/ValueSet/audit-event-sub-type|subtype:not-in=http://hl7.org/fhir/ValueSet/type-restful-interaction|action:in=http://hl7.org/fhir/ValueSet/audit-event-action
outcome:below=http://hl7.org/fhir/audit-event-outcome%7C4|outcome:not-in=http://hl7.org/fhir/ValueSet/audit-event-outcome|entity-role:in=http://hl7.org/fhir/ValueSet/object-role|entity-type:in=http://hl7.org/fhir/ValueSet/audit-entity-type
subtype:text=a journal|subtype=https://yilian.example/fhir/CodeSystem/audit-subtype%7C|subtype:missing=true
type=rest|type=http://terminology.hl7.org/CodeSystem/audit-event-type%7Crest|type=110100|type=http://dicom.nema.org/resources/ontology/DCM%7C|type:not=rest|type:text=restful|type=110100,110114
_profile=https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead|_profile=https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Create
_profile:below=https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.P|_profile:missing=true|_profile:below=https://profiles.ihe.net
_id=log.1.0|_id=log.2.1,log.3.0,x|_id:not=log.1.0|_id=unknown|_lastUpdated=2025-03-01|_lastUpdated=gt2025-03-01T12:30|_tag=x|_tag:not=x|_security:missing=true|_source=http://x
patient=Patient/9&action=E&outcome=0|entity=ImagingStudy/5&date=ge2025-03-01&agent:identifier=u-203|subtype=read&patient:missing=true
"""
TARGETS = {"entity": "Patient", "patient": "Patient"}
VALUES = {"reference": "Organization/other", "date": "2025-03-01", "uri": "http://x/y"}
SET = "http://hl7.org/fhir/ValueSet/audit-event-type"
MODIFIED = {("token", "in"): SET, ("token", "not-in"): SET, **{("token", m): f"{TYPE}%7Crest" for m in ("above", "below")}, **{("reference", m): "Encounter/7" for m in ("above", "below")}}
EACH = [f"{code}{m and ':' + m.replace('[type]', TARGETS.get(code, 'Organization'))}={MODIFIED.get((param.type, m)) or m == 'missing' and 'false' or TARGETS.get(code, '') and 'Patient/9' or VALUES.get(param.type, 'x')}"
        for code, param in parameters.of("AuditEvent").items() if param.type != "special" for m in ("", *supported(param).modifiers)]
"""Every parameter with every modifier."""
QUERIES = list(dict.fromkeys([*(q for line in ASKED.strip().splitlines() for q in line.split("|")), *EACH]))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(tmp_path_factory):
    """A store that holds RECORDS, and each event's rendered AuditEvent as an entry with its index rows."""
    store = await SqliteStore.open(str(tmp_path_factory.mktemp("log") / "store.db"))
    for number, access in enumerate(RECORDS, 1):
        access.journal, access.sequence = "log", number
    await store.keep(RECORDS)
    resources = [(render(access, n), access.at) for access in RECORDS for n in range(len(access.events))]
    yield store, [(Entry("AuditEvent", r["id"], 1, b"", updated=at), index.rows(r, CONTEXT.zone, CONTEXT.base)) for r, at in resources]
    await store.close()


def parsed(text: str):
    return parse.parse(("AuditEvent",), parse.pairs(text.replace("+", "%2B")), CONTEXT).query


async def both(log, text: str) -> tuple[set, set]:
    """The ids that the columns find, and those that the rendered AuditEvents' index rows find."""
    store, entries = log
    query = parsed(text)
    seen = await store.events(translate(query.where), limit=1000)
    assert await store.count_events(translate(query.where)) == len(seen)
    return ({f"log.{s.access.sequence}.{s.ordinal}" for s in seen}, {e.id for e, rows in entries if match.match(query, e, rows, Nobody(), CONTEXT.now)})


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.asyncio(loop_scope="module")
async def test_columns_find_what_the_rendered_events_would(log, text):
    columns, rendered = await both(log, text)
    assert columns == rendered


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", [
    ("patient=Patient/11", {"log.14.0"}), ("entity=ImagingStudy/5/_history/3", {"log.8.0"}), ("type=110100", {"log.15.0"}), ("outcome=4", {"log.6.0", "log.17.0"}),
    ("agent:identifier=https://idp.other|u-203&action=U", {"log.7.0"}), ("agent-name=李", {"log.3.0"}), ("address:exact=pc-17.chc.example&action=R", {"log.5.0"}),
    ("subtype=$everything", {"log.13.0"}), ("policy=urn:ietf:params:oauth:jti:9e3d&subtype=read", {"log.5.0"}), ("_profile=" + BALP + "PatientDelete", {"log.9.0"})])
async def test_what_an_auditor_asks_is_found(log, text, ids):
    assert (await both(log, text))[0] == ids


def test_each_search_parameter_of_auditevent_is_answered_or_refused_by_name():
    served = {code for code in parameters.of("AuditEvent")}
    assert served - {"_id", "_lastUpdated", "_list", "_filter"} == {code for code in ANSWERS if ":" not in code}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text", ["action eq R and outcome eq 0", "action ne r", "patient pr true and not(patient re Patient/11)", "date ge 2020 and agent-name sw 李", "policy pr true", "outcome ne 0 or entity re ImagingStudy/5",
                                  "agent-name co 李", "_lastUpdated pr true", "type eq 110100 or (action eq U and outcome eq 0)", "policy sw urn:", "policy ne urn:ietf:params:oauth:jti:9e3d"])
async def test_a_filter_finds_the_events_whose_audit_events_it_would(log, text):
    columns, rendered = await both(log, f"_filter={quote(text)}")
    assert columns == rendered and columns


@pytest.mark.parametrize("text", ["agent-name eq x", "agent-name ew x", "address gt 1", "site ne x", "_list eq 1", "patient.name eq x"])
def test_what_the_log_cannot_tell_is_refused_in_filters_too(text):
    with pytest.raises(errors.Unsupported):
        translate(parsed(f"_filter={quote(text)}").where)


@pytest.mark.parametrize("text, name", [("patient.name=x", "AuditEvent.patient"), ("agent:Practitioner.name=x", "AuditEvent.agent"), ("_list=1", "List.item"),
                                        ("_has:Provenance:target:agent=x", "Provenance.target")])
def test_chains_and_lists_are_refused_by_name(text, name):
    with pytest.raises(errors.Unsupported, match=name):
        translate(parsed(text).where)


def test_a_parameter_of_another_type_is_refused_by_name():
    with pytest.raises(errors.Unsupported, match="Patient.name"):
        translate(Has((Test("Patient.name", (Compare("text", "prefix", "x"),)),)))
