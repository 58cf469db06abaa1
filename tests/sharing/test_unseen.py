"""What others hold changes no answer: a hospital asks, another stores what it may not see, and the same questions have the same answers.

Totals, pages, order, chains, `_has`, includes, lists, value sets, hierarchies, histories, versions, failures, changes that are refused or find nothing.
"""
from __future__ import annotations

import pytest

from app import errors
from app.records import Change, Records
from app.search import parse
from tests.conftest import hospital
from tests.sharing.test_sharing import consent, observation
from tests.test_records import add, patient, put

INNER = [{"resourceType": "Patient", "id": "x", "name": [{"family": "张"}], "managingOrganization": {"reference": "#"}}]
"""Contained, it makes a part of the registry concern a patient: then it is not published."""


def ref(text: str) -> dict:
    return {"reference": text}


def encounter(id: str, whose: str, **more) -> dict:
    return {"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "AMB"}, "subject": ref(whose), **more}


def listed(id: str, *refs: str) -> dict:
    return {"resourceType": "List", "id": id, "status": "current", "mode": "working", "entry": [{"item": ref(text)} for text in refs]}


def provenance(id: str, target: str) -> dict:
    return {"resourceType": "Provenance", "id": id, "target": [ref(target)], "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": ref("Practitioner/b-dr")}]}


SEEN = [
    patient("b-1", "王", managingOrganization=ref("Organization/a-top"), generalPractitioner=[ref("Practitioner/b-dr")]),
    observation("b-o1", focus=[ref("Patient/b-1")], encounter=ref("Encounter/a-e"), device=ref("Device/a-d")), observation("b-o2", subject=ref("Patient/b-1"), performer=[ref("Patient/a-1")], hasMember=[ref("Observation/a-o1")]),
    encounter("b-e", "Patient/b-1", partOf=ref("Encounter/a-e"), location=[{"location": ref("Location/a-loc")}]), {"resourceType": "Organization", "id": "b-org", "name": "乙", "partOf": ref("Organization/a-mid")},
    listed("b-l", "Patient/a-1", "Patient/b-1"), provenance("b-p", "Patient/a-1"), {"resourceType": "Practitioner", "id": "b-dr", "name": [{"family": "周"}]},
    {"resourceType": "DocumentReference", "id": "b-d", "status": "current", "subject": ref("Patient/b-1"), "content": [{"attachment": {"url": "x"}}], "context": {"related": [ref("Observation/a-o1/_history/1")]}},
]
UNSEEN = [
    patient("a-1", gender="male", birthDate="1980-01-01", identifier=[{"system": "urn:s", "value": "9"}], generalPractitioner=[ref("Practitioner/b-dr")], managingOrganization=ref("Organization/b-org"),
            link=[{"other": ref("Patient/b-1"), "type": "seealso"}]), patient("a-2", managingOrganization=ref("Organization/b-org")),
    observation("a-o1", subject=ref("Patient/b-1"), encounter=ref("Encounter/b-e"), hasMember=[ref("Observation/b-o1")], derivedFrom=[ref("Observation/b-o2")]), observation("a-o2", focus=[ref("Patient/b-1")]),
    encounter("a-e", "Patient/a-1", partOf=ref("Encounter/b-e")), listed("a-l", "Patient/b-1", "Observation/b-o1"), provenance("a-p", "Patient/a-1"),
    {"resourceType": "Organization", "id": "a-mid", "name": "隐", "contained": INNER, "partOf": ref("Organization/a-top")}, {"resourceType": "Location", "id": "a-loc", "name": "l", "contained": INNER, "position": {"longitude": 121, "latitude": 31}},
    {"resourceType": "ValueSet", "id": "a-vs", "url": "urn:vs", "status": "active", "contained": INNER, "compose": {"include": [{"system": "urn:c", "concept": [{"code": "x"}]}]}},
    {"resourceType": "CodeSystem", "id": "a-cs", "url": "urn:cs", "status": "active", "content": "complete", "contained": INNER, "concept": [{"code": "x", "concept": [{"code": "y"}]}]},
    {"resourceType": "Device", "id": "a-d", "patient": ref("Patient/a-1"), "deviceName": [{"name": "z", "type": "model-name"}]}, {"resourceType": "Group", "id": "a-g", "type": "person", "actual": True, "member": [{"entity": ref("Patient/b-1")}]},
    {"resourceType": "DiagnosticReport", "id": "a-r", "status": "final", "code": {"text": "x"}, "subject": ref("Patient/b-1"), "result": [ref("Observation/b-o1")]},
    {"resourceType": "Binary", "id": "a-b", "contentType": "text/plain", "data": "eA==", "securityContext": ref("Patient/a-1")}, consent("a-c", whose="Patient/a-1", to=["Organization/c"]),
]
SEARCHES = """
Patient Patient?_summary=count Patient?_count=0 Patient?_sort=birthdate&_total=accurate Patient?_sort=-family Observation?_sort=-patient Observation?_sort=encounter,-_id Patient?_content=张 Patient?name:contains=张 Patient?gender=male&_explain=true
Observation?subject.name=张 Observation?patient.gender:not=male Observation?patient.gender:missing=true Observation?patient.gender:missing=false Observation?patient.identifier=urn:s|9 Observation?patient._id=a-1 Observation?patient._id:not=b-1
Observation?patient._lastUpdated=gt2000 Observation?performer.family=张 Observation?encounter.patient.name=张 Observation?device.device-name=z Observation?has-member.status=final Observation?has-member._id=a-o1 Provenance?target.name=张 Provenance?patient.name=张
Patient?_has:Observation:patient:_id=a-o1 Patient?_has:Observation:focus:status=final Patient?_has:Group:member:type=person Patient?_has:List:item:_id=a-l Patient?_has:Patient:link:family=张 Patient?_has:Observation:patient:_has:Observation:has-member:status=final
Patient?_has:Observation:patient:_has:Observation:derived-from:status=final Observation?_has:DiagnosticReport:result:status=final Patient?_has:AuditEvent:agent:type=rest Organization?_has:Patient:organization:family=张 Practitioner?_has:Patient:general-practitioner:gender=male
Patient?_list=a-l Patient?_list=b-l ?_list=b-l ?_list=a-l Patient?_include=*&_include:iterate=*&_revinclude=*&_revinclude:iterate=* Observation?_include=*&_include:iterate=*&_revinclude=*&_revinclude:iterate=* Encounter?_include:iterate=Encounter:part-of&_include=Encounter:location
DocumentReference?_include=DocumentReference:related Organization?_include:iterate=Organization:partof&_revinclude:iterate=Organization:partof Organization?partof:above=Organization/a-top Organization?partof:below=Organization/a-top Organization?partof:below=a-mid
Organization?partof:above=b-org Encounter?part-of:below=Encounter/b-e Encounter?part-of:above=Encounter/a-e Encounter?location.near=31|121 Encounter?location.near:missing=false Encounter?location:above=a-loc Location?near=31|121 Observation?code:in=urn:vs
Observation?code:not-in=ValueSet/a-vs Observation?code:below=urn:cs|x ValueSet?url=urn:vs Patient?_filter=not(_has:Observation:patient._id+eq+a-o1) Observation?_filter=patient[family+eq+"张"].gender+pr+true Observation?_filter=patient.family+pr+false
?_type=Patient,Observation,Encounter,List,Group,Organization,Binary,Provenance ?_id=a-1,b-1 ?_tag=https://yilian.example/fhir/CodeSystem/custodian|a Binary Group?member=b-1 DiagnosticReport?result=b-o1 AuditEvent?patient.name=张&_count=0 AuditEvent?agent=Patient/b-1&_count=0
""".split()


def told(failure: errors.Failure) -> tuple:
    return type(failure), failure.status, failure.headers, [(i.code, i.text, i.expression) for i in failure.issues]


async def answer(coroutine):
    try:
        return await coroutine
    except errors.Failure as failure:
        return told(failure)


async def search(records: Records, text: str, **more) -> list:
    """Every page, to the last."""
    type, _, query = text.partition("?")
    found, cursor = [], None
    while True:
        page = await records.search((type,) if type else (), [] if cursor else parse.pairs(query), cursor=cursor, **more)
        found.append(([e.ref for e in page.entries], [e.ref for e in page.included], page.total, page.plan))
        cursor = page.next
        if cursor is None:
            return found


async def answers(world) -> dict:
    """What the hospital `b` is told, and is able to do."""
    b = Records(world, hospital("b"))
    found = {text: await answer(search(b, text)) for text in SEARCHES}
    found |= {f"{text} one by one": await answer(search(b, text + ("&" if "?" in text else "?") + "_count=1&_total=accurate")) for text in SEARCHES if "_sort" in text or "_revinclude" in text}
    found |= {f"{whose}/*": await answer(search(b, "", compartment=tuple(whose.split("/")))) for whose in ("Patient/a-1", "Patient/b-1", "Encounter/a-e", "Device/a-d")}
    for type, pairs in (("", []), ("Patient", []), ("Observation", [("_at", "2030")]), ("Patient", [("_list", "a-l")]), ("Patient", [("_list", "b-l")])):
        found[f"{type}/_history {pairs}"] = [(e.ref, e.version) for e in (await b.versions(type, pairs=pairs)).entries]
    for resource in UNSEEN:
        type, id = resource["resourceType"], resource["id"]
        calls = [b.read(type, id), b.read(type, id, "1"), b.read(type, id, "7"), b.versions(type, id), *(b.commit([change]) for change in (
            Change("update", type, id, resource), Change("update", type, id, resource, if_match=("1",)), Change("update", type, id, resource, if_none_match="*"), Change("patch", type, id, patch=dict), Change("delete", type, id),
            Change("delete", type, id, if_match=("1",)), Change("delete", type, condition=f"_id={id}"), Change("patch", type, condition=f"_id={id}", patch=dict), Change("update", type, id, resource, condition="_id=" + id)))]
        found[f"{type}/{id}"] = [await answer(call) for call in calls]
    return found


async def test_what_others_hold_changes_no_answer(world):
    for resource in SEEN:
        await put(world, hospital("b"), resource)
    await put(world, hospital("a"), {"resourceType": "Organization", "id": "a-top", "name": "甲"})
    before = await answers(world)
    for resource in UNSEEN:
        await put(world, hospital("a"), resource)
    await put(world, hospital("a"), patient("a-1", gender="female"))
    for change in (Change("delete", "Patient", "a-2"), Change("update", "Patient", "a-2", patient("a-2", managingOrganization=ref("Organization/b-org")))):
        await Records(world, hospital("a")).commit([change])
    await add(world, hospital("a"), {"resourceType": "AuditEvent", "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z", "agent": [{"requestor": True, "who": ref("Patient/b-1")}], "source": {"observer": {"display": "x"}}})
    assert {e.id for e in (await Records(world, hospital("a")).versions("Patient")).entries} == {"a-1", "a-2"}
    after = await answers(world)
    assert {text: (before[text], after[text]) for text in before if before[text] != after[text]} == {}


@pytest.mark.parametrize("text", ["Observation?subject.name=王", "Patient?_has:Observation:focus:status=final", "Organization?partof.name=甲", "?_list=b-l"])
async def test_what_is_seen_is_found(world, text):
    """The same questions do find: what is silent for want of rows would be silent above too."""
    for resource in SEEN:
        await put(world, hospital("b"), resource)
    await put(world, hospital("b"), {"resourceType": "Organization", "id": "b-org", "name": "乙", "partOf": ref("Organization/a-top")})
    await put(world, hospital("a"), {"resourceType": "Organization", "id": "a-top", "name": "甲"})
    assert (await search(Records(world, hospital("b")), text))[0][0]
