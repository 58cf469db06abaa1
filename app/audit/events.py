"""Access records as IHE BALP AuditEvents, one for each patient touched. https://profiles.ihe.net/ITI/BALP/content.html

BALP has no pattern for history, operations, batches and the log's own life; those events have its shape of a query and claim no profile.
"""
from __future__ import annotations

import ipaddress
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from app.audit import shapes
from app.audit.identity import event_id, parse_id
from app.audit.record import clean, fields
from app.audit.shapes import Coding, Kind
from app.store.base import Access, Event

__all__ = ["parse_id", "render"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def render(access: Access, ordinal: int) -> dict:
    """The AuditEvent of one of the record's events. Errors: IndexError for an ordinal that it has not."""
    event, said = access.events[ordinal], fields(access.plain)
    kind = shapes.kind(event.subtype)
    recorded = (EPOCH + timedelta(microseconds=access.at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    resource = {"resourceType": "AuditEvent", "id": event_id(access.journal, access.sequence, ordinal), "meta": _meta(kind, event, access.outcome, recorded),
                "type": shapes.TYPES[access.type].render(), "subtype": _subtypes(kind, event), "action": event.action, "recorded": recorded, "outcome": access.outcome}
    if said.get("w"):
        resource["outcomeDesc"] = said["w"]
    if access.purpose:
        resource["purposeOfEvent"] = [_purpose(access.purpose)]
    resource["agent"] = list(_agents(access, event, said))
    resource["source"] = {"site": access.site, "observer": {"identifier": {"value": access.site}},
                          "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4", "display": "Application Server"}]}
    resource["entity"] = list(_entities(access, event, kind, said))
    return resource


def _meta(kind: Kind, event: Event, outcome: str, recorded: str) -> dict:
    """BALP's profiles are of what went well (they fix the outcome); a refusal keeps the shape alone."""
    profile = shapes.profile(kind, bool(event.patient)) if outcome == "0" else ""
    return {"versionId": "1", "lastUpdated": recorded, **({"profile": [profile]} if profile else {})}


def _subtypes(kind: Kind, event: Event) -> list[dict]:
    return [kind.subtype.render(), *([{"system": shapes.OURS, "code": event.subtype}] if event.subtype[:1] == "$" else [])]


def _purpose(code: str) -> dict:
    return {"coding": [{"system": shapes.REASON, "code": code}]}


# agents

def _agents(access: Access, event: Event, said: dict):
    """Client, server, the person, the organisation; the token's id stands with the person, or with the client where there is none."""
    client, server, user = shapes.AGENTS[event.action]
    policy = {"policy": [access.policy]} if access.policy else {}
    yield {**_agent(client, {"identifier": {"value": access.client}}, not access.user), **({} if access.user else policy),
           "network": _network(said.get("a") or access.site)}
    yield {**_agent(server, {"identifier": {"value": access.site}}, False), "network": _network(access.site)}
    if access.user:
        issuer, bar, subject = access.user.partition("|")
        yield {**_agent(user, {"identifier": {"system": issuer, "value": subject} if bar else {"value": issuer}}, True), **({"name": said["n"]} if said.get("n") else {}),
               **policy, **({"purposeOfUse": [_purpose(access.purpose)]} if access.purpose else {})}
    if access.organization:
        yield _agent(shapes.PROVIDER, {"reference": f"Organization/{access.organization}"}, False)


def _agent(coding: Coding, who: dict, requestor: bool) -> dict:
    return {"type": {"coding": [coding.render()]}, "who": who, "requestor": requestor}


@lru_cache(maxsize=1000)
def _network(address: str) -> dict:
    """An address and what it is: 1 machine name, 2 IP address, 5 URI."""
    if "://" in address:
        return {"address": address, "type": "5"}
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return {"address": address, "type": "1"}
    return {"address": address, "type": "2"}


# entities

def _entities(access: Access, event: Event, kind: Kind, said: dict):
    if access.request:
        yield {"what": {"identifier": {"value": access.request}}, "type": shapes.TRANSACTION.render()}
    yield from SHAPES[kind.shape](access, event, said)
    if event.patient:
        yield _entity(shapes.PERSON, shapes.IS_PATIENT, {"reference": event.patient})


def _entity(type: Coding, role: Coding, what: dict) -> dict:
    return {"what": what, "type": type.render(), "role": role.render()}


def _what(event: Event) -> dict:
    text = f"{event.entity}/_history/{event.version}" if event.version else event.entity
    return {"display": text[1:]} if text[:1] == "#" else {"reference": text} if text else {"display": shapes.NO_ID}


def _data(access: Access, event: Event, said: dict):
    """The resource; of a conditional interaction that was refused, its condition as description."""
    yield {**_entity(shapes.OBJECT, shapes.IS_DATA, _what(event)), **_words(said)}


def _query(access: Access, event: Event, said: dict):
    """The query, and what it was asked of: a compartment, or the resource of a history."""
    yield {"type": shapes.OBJECT.render(), "role": shapes.IS_QUERY.render(), "query": b64encode((said.get("q") or "?").encode("utf-8", "replace")).decode(),
           **({"description": said["b"]} if said.get("b") else {})}
    if event.entity and event.entity != event.patient:
        yield _entity(shapes.OTHER, shapes.IS_DATA, _what(event))


def _journal(access: Access, event: Event, said: dict):
    yield {**_entity(shapes.OBJECT, shapes.IS_SECURITY, {"identifier": {"value": access.journal}}), **_words(said)}


def _words(said: dict) -> dict:
    """What was asked, where the shape has no query."""
    words = clean(said.get("q", ""))
    return {"description": words} if words else {}


SHAPES = {"data": _data, "query": _query, "journal": _journal}
"""Shape of a kind -> its entities, beside the request and the patient."""
