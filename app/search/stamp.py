"""The stamp of a resource: whom it concerns, its labels, its clinical date, and as what it is decided. http://hl7.org/fhir/R4/compartmentdefinition-patient.html"""
from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from app import errors
from app.fhir import reference
from app.search import parameters
from app.search.paths import Branch, Frame, ends, walk
from app.search.query import FIRST, LAST
from app.search.types import date
from app.search.types.reference import local

PATIENT = "Patient/"
UNNAMED = ""
"""A patient who has no id here and is referred to by an identifier or a name; others without one by what the reference says: elsewhere, a urn, a search."""
ABOUT = {
    "BiologicallyDerivedProduct": ("collection.source",),
    "Contract": ("subject", "author", "topic", "supportingInfo", "signer.party", "term.topic", "term.offer.party.reference", "term.offer.topic", "term.offer.answer.value",
                 "term.asset.typeReference", "term.asset.context.reference", "term.asset.valuedItem.entity", "term.asset.valuedItem.responsible",
                 "term.asset.valuedItem.recipient", "term.action.subject.reference", "term.action.requester", "term.action.performer"),
    "Device": ("patient",),
    "GuidanceResponse": ("subject",),
    "Linkage": ("item.resource",),
    "List": ("entry.item",),
    "MessageHeader": ("focus",),
    "PaymentNotice": ("request", "response"),
    "PaymentReconciliation": ("detail.request", "detail.response"),
    "Task": ("for", "focus", "basedOn", "requester", "owner", "reasonReference", "restriction.recipient", "input.value", "output.value"),
    "VerificationResult": ("target",),
}
"""Type -> elements that may name a patient and that no parameter of the Patient compartment reads."""
EXCEPTIONS = {
    "Binary": "its security context is its guard", "ImplementationGuide": "examples of definitions", "Parameters": "never stored", "Questionnaire": "answers that a definition offers",
    "StructureMap": "default values of a definition", "TestScript": "fixtures of a test",
}
"""Types outside the compartment with references that may name a patient, and why those do not count."""

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CODES = {CONFIDENTIALITY: ("U", "L", "M", "N", "R", "V"),
          SENSITIVITY: ("ETH", "PSY", "HIV", "SDV", "SUD", "BH", "STD", "MH", "SEX", "GDIS", "SICKLE", "SCA", "PREGNANT", "VIO", "TBOO", "SPI", "COGN", "DVD", "EMOTDIS", "PSYTHPN",
                        "ETHUD", "OPIOIDUD", "IDS", "MST", "CEL", "PRS", "EMP", "DEMO", "ADOL")}
LABELS = {code: 1 << bit for bit, code in enumerate([(system, code) for system, codes in _CODES.items() for code in codes])}
"""(system, code) of a security label -> its bit. New ones go to the end: bits are stored."""
OTHER = 1 << 61
"""The bit of any label that the table does not know."""
LABELLED = {"Composition": "confidentiality", "DocumentReference": "securityLabel"}
"""Elements beside meta.security that label a resource."""

DATES = ("date", "period", "occurrence", "effective", "effective-time", "onset-date", "started", "collected", "event-date", "start-date", "start", "identified",
         "whenhandedover", "datetime", "datewritten", "authored", "authored-on", "authoredon", "created", "sent", "issued", "recorded", "timestamp", "entered-date",
         "recorded-date")
"""Date parameters that tell when what a resource says was so; the first that a type has and a resource fills counts."""

DATED = {"AppointmentResponse": ("start",), "Coverage": ("period",), "DeviceUseStatement": ("timing", "recordedOn"), "SupplyDelivery": ("occurrence",)}
"""Type -> elements that tell it where the type has no date parameter."""


class Stamped(NamedTuple):
    """about: `Patient/id` of those whom it concerns. many: these are not one alone, whom a fact could name: it concerns several, or any without an id here
    (contained, bundled without one, of another server, by a urn, an identifier or a name). A purged version that concerned anyone keeps this. labels: bits. date: microseconds UTC, of its beginning.

    guard: `Type/id` as which it is decided, `-` for its custodian only, or empty.
    """

    about: tuple[str, ...] = ()
    many: bool = False
    labels: int = 0
    date: int | None = None
    guard: str = ""


def stamp(resource: dict, zone: str, base: str = "") -> Stamped:
    """The stamp of a valid resource, what it contains and what a Bundle holds included."""
    base = base.rstrip("/")
    parts = list(_parts(resource))
    about = tuple(dict.fromkeys(ref for part, held in parts for ref in _about(part, held, base)))
    labels = 0
    for part, _ in parts:
        labels |= _labels(part)
    bundle = resource["resourceType"] == "Bundle"
    named, others = tuple(ref for ref in about if ref.startswith(PATIENT)), {ref for ref in about if not ref.startswith(PATIENT)}
    unnamed = (bool(others - reference.entries(resource) if bundle else others) or any(part.get("resourceType") == "Patient" and (held or "id" not in part) for part, held in parts)
               or bundle and _elsewhere(resource, base))
    return Stamped(named, unnamed or len(named) > 1, labels, _date(resource, zone), _guard(resource, base))


def _elsewhere(bundle: dict, base: str) -> bool:
    """Whether a Bundle's entries that say to be of another server concern patients: theirs, whatever their ids. http://hl7.org/fhir/R4/bundle.html#references"""
    away = (each["resource"] for each in bundle.get("entry") or () if each and each.get("resource") and "://" in (each.get("fullUrl") or "") and local(each["fullUrl"], base) == each["fullUrl"])
    return any(_about(part, held, base) for resource in away for part, held in _parts(resource))


def _parts(resource: dict, held: bool = False) -> Iterator[tuple[dict, bool]]:
    """(resource, whether it is contained): it, what it contains, and the same of each entry of a Bundle."""
    yield resource, held
    for inner in resource.get("contained") or ():
        yield from _parts(inner, True)
    if resource.get("resourceType") == "Bundle":
        for entry in resource.get("entry") or ():
            if entry and entry.get("resource"):
                yield from _parts(entry["resource"])


def _about(resource: dict, held: bool, base: str) -> list[str]:
    """A patient concerns itself alone, not those that it is linked with."""
    type = resource.get("resourceType", "")
    if type == "Patient":
        return [PATIENT + resource["id"]] if "id" in resource and not held else []
    found: list[str] = []
    walk(_patients(type), resource, found.append, Frame("UTC", base, resource))
    return found


@lru_cache(maxsize=None)
def _patients(type: str) -> Branch:
    """The tree of elements that name a type's patients."""
    tree = Branch()
    codes = parameters.members("Patient").get(type, ())
    expressions = [parameters.definition(type, code).expression for code in codes] + [f"{type}.{path}" for path in ABOUT.get(type, ())]
    for expression in expressions:
        for end in ends(tree, type, expression):
            if end.type == "Reference":
                end.branch.readers.append((_patient if set(end.element.targets) == {"Patient"} else _perhaps, ""))
    return tree


def _patient(add, param, group, value: dict, frame: Frame) -> None:
    """Of an element that names patients alone: whoever has no id here is one."""
    text = local(value.get("reference") or "", frame.base)
    if text.startswith(PATIENT):
        add(PATIENT + text.split("/", 2)[1])
    elif not text.startswith("#"):
        add(text or UNNAMED)


def _perhaps(add, param, group, value: dict, frame: Frame) -> None:
    """Of an element that may name others too: whoever is told to be a patient is one."""
    text = value.get("reference") or ""
    if local(text, frame.base).startswith(PATIENT) or value.get("type") == "Patient" or "Patient" in text and reference.type_of(text) == "Patient":
        _patient(add, param, group, value, frame)


def _labels(resource: dict) -> int:
    found = 0
    for coding in (resource.get("meta") or {}).get("security") or ():
        found |= _bit(coding)
    extra = resource.get(LABELLED.get(resource.get("resourceType"), ""))
    if isinstance(extra, str):
        found |= LABELS.get((CONFIDENTIALITY, extra), OTHER)
    for concept in extra if isinstance(extra, list) else ():
        for coding in (concept or {}).get("coding") or ():
            found |= _bit(coding)
    return found


def _bit(coding: dict | None) -> int:
    return LABELS.get((coding.get("system"), coding.get("code")), OTHER) if coding else 0


def _date(resource: dict, zone: str) -> int | None:
    for tree in _dates(resource["resourceType"]):
        found: list[tuple[int, int]] = []
        walk(tree, resource, found.append, Frame(zone, "", resource))
        moments = [low if low != FIRST else high for low, high in found]
        if moments and min(moments) != LAST:
            return min(moments)
    return None


@lru_cache(maxsize=None)
def _dates(type: str) -> tuple[Branch, ...]:
    known = [parameters.definition(type, code) for code in DATES]
    expressions = [each.expression for each in known if each is not None and each.type == "date"] + [f"{type}.{path}" for path in DATED.get(type, ())]
    trees = []
    for expression in expressions:
        tree = Branch()
        for end in ends(tree, type, expression):
            if end.type in date.READERS:
                end.branch.readers.append((_span(end.type), ""))
        trees.append(tree)
    return tuple(trees)


def _span(type: str):
    def read(add, param, group, value, frame: Frame) -> None:
        try:
            add(date.bounds(value, type, frame.zone))
        except errors.Invalid:
            return
    return read


def _guard(resource: dict, base: str) -> str:
    """A Binary is decided as its security context, a Provenance as its one target here; without one, and in the log, by custodian alone."""
    type = resource["resourceType"]
    if type == "Binary":
        named = [resource.get("securityContext")]
    elif type == "Provenance":
        named = resource.get("target") or []
    else:
        return "-" if type == "AuditEvent" else ""
    refs = {_ref(reference, base) for reference in named}
    return refs.pop() if len(refs) == 1 else "-"


def _ref(reference: dict | None, base: str) -> str:
    text = local((reference or {}).get("reference") or "", base)
    parts = text.split("/")
    return "/".join(parts[:2]) if len(parts) in (2, 4) and parameters.is_type(parts[0]) else "-"
