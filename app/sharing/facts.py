"""What each type grants or denies, as fact rows written in the same commit. A fact counts only where its writer holds the right it gives."""
from __future__ import annotations

from collections.abc import Iterator

from app.fhir import reference
from app.store.base import Fact


PRIVACY = "patient-privacy"
"""The code of Consent.scope whose consents are about records; others agree to a treatment, say."""
UNJUDGED = ("action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision")
"""What narrows a provision and is not judged yet: a permit with any of it gives nothing, a denial stands whole."""


def facts(resource: dict, custodian: str, period, base: str) -> list[Fact]:
    """The facts that a resource gives. `period` reads a FHIR Period as (low, high) in microseconds; `base` is this server's."""
    make = FACTS.get(resource["resourceType"])
    return make(resource, custodian, period, base) if make else []


def consent(resource: dict, custodian: str, period, base: str) -> list[Fact]:
    """An active privacy consent opens, or closes, its own custodian's records of the patient to the organisations that it names. A permit that an extension modifies opens nothing.

    A denial that names nobody, or anyone who is no organisation here, is for all; one within another rule stands as whole as any.
    """
    provision, patient = resource.get("provision") or {}, _ref(resource.get("patient"), base)
    if resource.get("status") != "active" or not _private(resource) or not patient.startswith("Patient/"):
        return []
    permitted = provision.get("type") == "permit" and not any(provision.get(name) for name in UNJUDGED) and not any(map(_modified, (resource, provision, *provision.get("actor", ()))))
    found = [("allow", grantee, provision.get("period")) for grantee in (_organizations(provision, base) if permitted else ())]
    return [Fact(effect, grantee, patient, None, custodian, *period(span)) for effect, grantee, span in (*found, *_denials(provision, base, None))]


def _denials(provision: dict, base: str, span: dict | None) -> Iterator[tuple[str, str | None, dict | None]]:
    """(effect, grantee, FHIR Period) of the denials of a rule and of those within it, which last as long as it where they do not say."""
    span = provision.get("period") or span
    if provision.get("type") == "deny":
        known = _organizations(provision, base)
        yield from (("deny", grantee, span) for grantee in (known if known and len(known) == len(provision["actor"]) else [None]))
    for inner in provision.get("provision") or ():
        yield from _denials(inner, base, span)


def _modified(element: dict) -> bool:
    """Whether it says that it may mean something else, to those who know how. http://hl7.org/fhir/R4/extensibility.html#modifierExtension"""
    return "modifierExtension" in element or "implicitRules" in element


def _private(resource: dict) -> bool:
    return any(coding.get("code") == PRIVACY for coding in (resource.get("scope") or {}).get("coding") or ())


def _organizations(provision: dict, base: str) -> list[str]:
    references = (_ref(actor.get("reference"), base) for actor in provision.get("actor") or ())
    return [ref.split("/")[1] for ref in references if ref.startswith("Organization/")]


def _ref(named: dict | None, base: str) -> str:
    """`Type/id` of a resource of this server, without its version; empty where it is none."""
    parts = reference.parse((named or {}).get("reference") or "", base)
    return f"{parts.type}/{parts.id}" if parts.is_local and parts.id else ""


FACTS = {"Consent": consent}
"""Type -> what it grants or denies."""
