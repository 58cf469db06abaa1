"""What the rendered AuditEvents say that is the same for all of a kind. https://profiles.ihe.net/ITI/BALP/

`events` writes it and `answers` decides searches by it, so the two cannot disagree.
"""
from __future__ import annotations

from typing import NamedTuple

BALP = "https://profiles.ihe.net/ITI/BALP/"
TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PROVENANCE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
OURS = "https://yilian.example/fhir/CodeSystem/audit-subtype"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
JTI = "urn:ietf:params:oauth:jti:"
PATIENT = "Patient/"
NO_ID = "no id yet"
"""What stands for a resource that a refused create or condition would have named."""


class Coding(NamedTuple):
    system: str
    code: str
    display: str = ""

    def render(self) -> dict:
        return {"system": self.system, "code": self.code, **({"display": self.display} if self.display else {})}


class Kind(NamedTuple):
    """A subtype of events. shape: of its entities, `data`, `query` or `journal`; profile: BALP's name of it, or empty where it has none."""

    subtype: Coding
    shape: str
    profile: str = ""


def _rest(code: str, shape: str, profile: str = "") -> Kind:
    return Kind(Coding(INTERACTION, code, code), shape, profile)


KINDS = {kind.subtype.code: kind for kind in (
    _rest("create", "data", "Create"), _rest("read", "data", "Read"), _rest("vread", "data", "Read"), _rest("update", "data", "Update"),
    _rest("patch", "data", "Update"), _rest("delete", "data", "Delete"),
    _rest("search", "query", "Query"), _rest("search-type", "query", "Query"), _rest("search-system", "query", "Query"),
    _rest("history", "query"), _rest("history-instance", "query"), _rest("history-type", "query"), _rest("history-system", "query"),
    _rest("capabilities", "query"), _rest("batch", "query"), _rest("transaction", "query"), _rest("operation", "query"),
    Kind(Coding(OURS, "journal-open", "A journal of accesses was opened"), "journal"))}
"""Code of Event.subtype -> its kind. A code that begins with `$` is an operation's name."""
OPERATION = KINDS["operation"]

TYPES = {coding.code: coding for coding in (
    Coding(TYPE, "rest", "RESTful Operation"), Coding(DCM, "110100", "Application Activity"), Coding(DCM, "110106", "Export"), Coding(DCM, "110107", "Import"),
    Coding(DCM, "110113", "Security Alert"), Coding(DCM, "110114", "User Authentication"))}
"""Code of Access.type -> what AuditEvent.type says."""

PERSON, OBJECT, OTHER = Coding(ENTITY, "1", "Person"), Coding(ENTITY, "2", "System Object"), Coding(ENTITY, "4", "Other")
"""BALP tells an event's entities by these: the query, or the data, is the one System Object."""
TRANSACTION = Coding(BALP + "CodeSystem/BasicAuditEntityType", "XrequestId")
IS_PATIENT, IS_DATA, IS_QUERY, IS_SECURITY = (Coding(ROLE, "1", "Patient"), Coding(ROLE, "4", "Domain Resource"), Coding(ROLE, "24", "Query"),
                                              Coding(ROLE, "13", "Security Resource"))

APPLICATION, DESTINATION, SOURCE = Coding(DCM, "110150", "Application"), Coding(DCM, "110152", "Destination Role ID"), Coding(DCM, "110153", "Source Role ID")
CUSTODIAN = Coding(PROVENANCE, "custodian", "Custodian")
PROVIDER = Coding("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", "healthcare provider")
AUTHOR, RECIPIENT = Coding(PARTICIPATION, "AUT", "author (originator)"), Coding(PARTICIPATION, "IRCP", "information recipient")
AGENTS = {"C": (SOURCE, DESTINATION, AUTHOR), "R": (DESTINATION, SOURCE, RECIPIENT), "U": (SOURCE, DESTINATION, AUTHOR), "D": (APPLICATION, CUSTODIAN, AUTHOR),
          "E": (SOURCE, DESTINATION, RECIPIENT)}
"""Action -> what client, server and user are: data flow from the server in a read, and to it in all else."""


def kind(subtype: str) -> Kind:
    """Errors: KeyError for a code of no kind."""
    return OPERATION if subtype[:1] == "$" else KINDS[subtype]


def profile(kind: Kind, patient: bool) -> str:
    """The canonical url of the BALP profile, or empty."""
    return f"{BALP}StructureDefinition/IHE.BasicAudit.{'Patient' if patient else ''}{kind.profile}" if kind.profile else ""
