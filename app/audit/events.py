"""AuditEvents rendered from access records, in the shape of IHE BALP. https://profiles.ihe.net/ITI/BALP/content.html"""
from __future__ import annotations

import base64
from datetime import datetime, timezone

from app.audit import codes, record
from app.store.base import Access, Event

parse_id = record.parse_id
PROFILES = {"C": "Create", "R": "Read", "U": "Update", "D": "Delete", "E": "Query"}
CLIENT = {"C": (codes.DCM, "110153"), "R": (codes.DCM, "110152"), "U": (codes.DCM, "110153"), "D": (codes.DCM, "110150"), "E": (codes.DCM, "110153")}
SERVER = {"C": (codes.DCM, "110152"), "R": (codes.DCM, "110153"), "U": (codes.DCM, "110152"), "D": (codes.PARTICIPANT, "custodian"), "E": (codes.DCM, "110152")}
"""Who sends and who receives: the roles of client and server turn with the action."""


def render(access: Access, ordinal: int) -> dict:
    """The AuditEvent of one of the record's events (one a patient); the record stays what is stored."""
    event = access.events[ordinal] if access.events else Event("E", codes.APPLICATION_START)
    rest = access.type == "rest"
    base, query, reason = record.details(access)
    at = _instant(access.at)
    made = {"resourceType": "AuditEvent", "id": record.event_id(access, ordinal), "meta": {"versionId": "1", "lastUpdated": at}}
    if rest and (profile := _profile(event)):
        made["meta"]["profile"] = [f"{codes.BALP}/StructureDefinition/IHE.BasicAudit.{profile}"]
    made |= {"type": {"system": codes.TYPE if rest else codes.DCM, "code": access.type},
             "subtype": [{"system": codes.INTERACTION if rest else codes.DCM, "code": event.subtype}],
             "action": event.action, "recorded": at, "outcome": access.outcome}
    if reason:
        made["outcomeDesc"] = reason
    if access.purpose:
        made["purposeOfEvent"] = [{"coding": [{"system": codes.ACT_REASON, "code": access.purpose}]}]
    made["agent"] = _agents(access, event, base)
    made["source"] = {"site": access.site, "observer": {"identifier": {"value": access.site}}}
    if entities := _entities(access, event, query):
        made["entity"] = entities
    return made


def _profile(event: Event) -> str:
    """BALP has no pattern for histories: those carry no profile."""
    if event.action == "E" and event.subtype not in codes.QUERIES:
        return ""
    return ("Patient" if event.patient else "") + PROFILES[event.action]


def _agents(access: Access, event: Event, base: str) -> list[dict]:
    server = {"type": _coded(*SERVER[event.action]), "who": {"identifier": {"value": access.site}}, "requestor": False, "network": {"address": access.site, "type": "1"}}
    if not access.client:
        return [{**server, "requestor": True}]
    client = {"type": _coded(*CLIENT[event.action]), "who": {"identifier": {"value": access.client}}, "requestor": not access.user}
    if access.address:
        client["network"] = {"address": access.address, "type": "2"}
    organization = {"type": _coded(codes.ROLE_CLASS, "PROV"), "who": {"reference": f"Organization/{access.organization}"}, "requestor": False}
    agents = [client, server, *([organization] if access.organization else [])]
    token = {"policy": [access.policy]} if access.policy else {}
    if access.user:
        issuer, _, subject = access.user.rpartition("|")
        role = (codes.PARTICIPATION, "IRCP" if event.action in "RE" else "AUT")
        agents.append({"type": _coded(*role), "who": {"identifier": {**({"system": issuer} if issuer else {}), "value": subject}},
                       **({"name": access.agent_name} if access.agent_name else {}), "requestor": True, **token,
                       "purposeOfUse": [{"coding": [{"system": codes.ACT_REASON, "code": access.purpose}]}]})
    else:
        client.update(token)
    return agents


def _entities(access: Access, event: Event, query: str) -> list[dict]:
    entities = []
    if access.request:
        entities.append({"what": {"identifier": {"value": access.request}}, "type": {"system": codes.BALP_ENTITY, "code": "XrequestId"}})
    if event.subtype in codes.QUERIES:
        entities.append({"type": {"system": codes.ENTITY_TYPE, "code": "2"}, "role": {"system": codes.OBJECT_ROLE, "code": "24"},
                         "query": base64.b64encode(query.encode() or b"?").decode()})
    elif event.entity:
        version = f"/_history/{event.version}" if event.version else ""
        entities.append({"what": {"reference": event.entity + version}, "type": {"system": codes.ENTITY_TYPE, "code": "2"}, "role": {"system": codes.OBJECT_ROLE, "code": "4"}})
    if event.patient:
        entities.append({"what": {"reference": event.patient}, "type": {"system": codes.ENTITY_TYPE, "code": "1"}, "role": {"system": codes.OBJECT_ROLE, "code": "1"}})
    return entities


def _coded(system: str, code: str) -> dict:
    return {"coding": [{"system": system, "code": code}]}


def _instant(at: int) -> str:
    """With microseconds, so that an event's place in time is the record's."""
    return datetime.fromtimestamp(at // 1_000_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{at % 1_000_000:06d}Z"
