"""Chains from access records lead where those of the rendered AuditEvents would. https://hl7.org/fhir/R4/search.html#chaining"""
from __future__ import annotations

import pytest

from app import errors, page
from app.fhir import json
from app.records import Change, Records
from app.search import index, match, parse
from app.store.base import Entry
from tests.conftest import hospital, operator
from tests.search.judge import CONTEXT

PATIENTS = [{"resourceType": "Patient", "id": f"a-{n}", "identifier": [{"system": "urn:s", "value": str(n)}], "name": [{"family": family}], "managingOrganization": {"reference": "Organization/a-o"}}
            for n, family in ((1, "Li"), (2, "Wang"), (3, "Li"))]
HELD = [{"resourceType": "Organization", "id": "a-o", "name": "Alpha", "identifier": [{"system": "urn:o", "value": "o"}]}, *PATIENTS,
        {"resourceType": "Observation", "id": "a-b", "status": "final", "code": {"text": "a"}, "subject": {"reference": "Patient/a-2"}}]
CHAINS = ["patient.identifier=urn:s|1", "patient.identifier=1,2", "patient.name=li", "patient:Patient.name=wang", "patient.name=nobody", "patient.organization.name=alpha", "patient.organization.name=beta",
          "entity.identifier=urn:s|3", "entity:Patient.name=li", "entity:Observation.subject.name=wang", "entity:Observation.subject=Patient/a-2", "patient.name=li&action=R", "patient.identifier=1&outcome=0",
          "entity:Organization.name=alpha", "agent:Organization.name=alpha", "agent:Practitioner.name=x", "patient.identifier:missing=true", "patient._id=a-1"]


class Held:
    """What chains of the judge look at: the newest version of each resource."""

    def __init__(self, resources):
        self.resources = {(r["resourceType"], r["id"]): r for r in resources}

    def current(self, type, id):
        found = self.resources.get((type, id))
        return (Entry(type, id, 1, b"", 0), index.rows(found, CONTEXT.zone, CONTEXT.base)) if found else None

    def facts(self):
        return ()


async def filled(world):
    records = Records(world, hospital("a"))
    for resource in HELD:
        await records.commit([change(resource)])
    for patient in PATIENTS[:2]:
        await records.read("Patient", patient["id"])
    await Records(world, hospital("b")).search(("Patient",), [("name", "x")])


def change(resource: dict) -> Change:
    return Change("update", resource["resourceType"], resource["id"], resource=resource)


async def found(world, caller, text: str) -> list[dict]:
    entries = (await Records(world, caller).search(("AuditEvent",), [*parse.pairs(text), ("_count", "500")])).entries
    return [json.loads(e.text) for e in entries]


async def test_a_chain_finds_the_events_whose_own_references_lead_there(world):
    await filled(world)
    everything = await found(world, operator(), "date=gt2001")
    for text in CHAINS:
        query = parse.parse(("AuditEvent",), parse.pairs(text), CONTEXT).query
        wanted = {e["id"] for e in everything if match.match(query, Entry("AuditEvent", e["id"], 1, b"", 0), index.rows(e, CONTEXT.zone, CONTEXT.base), Held(HELD), CONTEXT.now)}
        known = {e["id"] for e in everything}
        assert {e["id"] for e in await found(world, operator(), text)} & known == wanted, text
        assert wanted or text in ("patient.name=nobody", "patient.organization.name=beta", "agent:Organization.name=alpha", "agent:Practitioner.name=x", "patient.identifier:missing=true"), text


async def test_a_chain_leads_to_nothing_that_the_caller_does_not_see(world):
    await filled(world)
    b = hospital("b")
    with pytest.raises(errors.Absent):
        await Records(world, b).read("Patient", "a-1")
    assert await found(world, b, "entity=Patient/a-1") != [] and await found(world, b, "entity:Patient.identifier=1") == await found(world, b, "entity:Patient.identifier=nothing") == []


async def test_a_chain_that_leads_too_far_is_refused(world, monkeypatch):
    await filled(world)
    monkeypatch.setattr(page, "LED", 2)
    with pytest.raises(errors.TooCostly, match="AuditEvent.patient"):
        await found(world, operator(), "patient.identifier=urn:s|")
    with pytest.raises(errors.Unsupported, match="Provenance.target"):
        await found(world, operator(), "_has:Provenance:target:agent=x")
