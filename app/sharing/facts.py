"""What each type grants or denies, as fact rows written in the same commit. A fact counts only where its writer holds the right it gives."""
from __future__ import annotations

from app.store.base import Fact


def facts(resource: dict, custodian: str, period) -> list[Fact]:
    """The facts that a resource gives. `period` reads a FHIR Period as (low, high) in microseconds."""
    make = FACTS.get(resource["resourceType"])
    return make(resource, custodian, period) if make else []


def consent(resource: dict, custodian: str, period) -> list[Fact]:
    """An active privacy consent opens, or closes, its own custodian's records of the patient to the organisations that it names."""
    if resource.get("status") != "active":
        return []
    provision = resource.get("provision") or {}
    low, high = period(provision.get("period"))
    patient = (resource.get("patient") or {}).get("reference")
    return [Fact("allow" if provision.get("type") == "permit" else "deny", grantee, patient, None, custodian, low, high)
            for grantee in _organizations(provision) if patient and provision.get("type")]


def _organizations(provision: dict) -> list[str]:
    references = ((actor.get("reference") or {}).get("reference") or "" for actor in provision.get("actor") or ())
    return [text.split("/", 1)[1] for text in references if text.startswith("Organization/")]


FACTS = {"Consent": consent}
"""Type -> what it grants or denies."""
