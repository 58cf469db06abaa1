"""Code systems of AuditEvents as IHE BALP writes them. https://profiles.ihe.net/ITI/BALP"""
from __future__ import annotations

BALP = "https://profiles.ihe.net/ITI/BALP"
BALP_ENTITY = f"{BALP}/CodeSystem/BasicAuditEntityType"
USER_AGENT = f"{BALP}/CodeSystem/UserAgentTypes"
ACTION = "http://hl7.org/fhir/audit-event-action"
OUTCOME = "http://hl7.org/fhir/audit-event-outcome"
TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

APPLICATION_ACTIVITY, APPLICATION_START = "110100", "110120"
QUERIES = ("search-type", "search-system")
"""Subtypes whose record says what was asked and not what was found."""
