"""The codes that AuditEvents are written with: R4, DICOM and IHE BALP. https://profiles.ihe.net/ITI/BALP"""
from __future__ import annotations

from typing import NamedTuple

BALP = "https://profiles.ihe.net/ITI/BALP"
BALP_ENTITY = f"{BALP}/CodeSystem/BasicAuditEntityType"
ACTION = "http://hl7.org/fhir/audit-event-action"
OUTCOME = "http://hl7.org/fhir/audit-event-outcome"
TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
OPERATION = "https://yilian.example/fhir/CodeSystem/operation"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
TOKEN = "urn:ietf:params:oauth:jti:"


class Code(NamedTuple):
    """A code with its system and display."""

    system: str
    code: str
    display: str = ""

    def coding(self) -> dict:
        return self._asdict() if self.display else {"system": self.system, "code": self.code}

    def concept(self) -> dict:
        return {"coding": [self.coding()]}


REST, ACTIVITY, START, STOP = "rest", "110100", "110120", "110121"
TYPES = {REST: Code(TYPE, REST, "RESTful Operation"), ACTIVITY: Code(DCM, ACTIVITY, "Application Activity")}
"""`type` of an access record -> the event's type."""
INTERACTIONS = ("create", "read", "vread", "update", "patch", "delete", "search", "search-type", "search-system", "history", "history-instance",
                "history-type", "history-system", "capabilities", "transaction", "batch", "operation")
SUBTYPES = {**{name: Code(INTERACTION, name, name) for name in INTERACTIONS},
            START: Code(DCM, START, "Application Start"), STOP: Code(DCM, STOP, "Application Stop")}
"""`subtype` of an event -> its code; any other is the name of an operation."""
AN_OPERATION = SUBTYPES["operation"]
SEARCHES = ("search", "search-type", "search-system")
ACTIONS = ("C", "R", "U", "D", "E")
OUTCOMES = ("0", "4", "8", "12")

SENDER, RECEIVER = Code(DCM, "110153", "Source Role ID"), Code(DCM, "110152", "Destination Role ID")
APPLICATION, CUSTODIAN = Code(DCM, "110150", "Application"), Code(PARTICIPANT, "custodian", "Custodian")
PROVIDER = Code(ROLE_CLASS, "PROV", "healthcare provider")
RECIPIENT, AUTHOR = Code(PARTICIPATION, "IRCP", "information recipient"), Code(PARTICIPATION, "AUT", "author (originator)")
SERVER = Code(SOURCE_TYPE, "4", "Application Server")

PERSON, OBJECT = Code(ENTITY_TYPE, "1", "Person"), Code(ENTITY_TYPE, "2", "System Object")
REQUEST = Code(BALP_ENTITY, "XrequestId", "X-Request-Id")
PATIENT_ROLE, DATA_ROLE, QUERY_ROLE = Code(OBJECT_ROLE, "1", "Patient"), Code(OBJECT_ROLE, "4", "Domain Resource"), Code(OBJECT_ROLE, "24", "Query")


def subtypes(subtype: str) -> tuple[Code, ...]:
    """The codes of an event's subtype: one of SUBTYPES, or that it was an operation, and which."""
    known = SUBTYPES.get(subtype)
    return (known,) if known else (AN_OPERATION, Code(OPERATION, subtype))


def profile(action: str, patient: bool) -> str:
    """The BALP profile of a REST event that went well."""
    name = {"C": "Create", "R": "Read", "U": "Update", "D": "Delete", "E": "Query"}[action]
    return f"{BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' if patient else ''}{name}"
