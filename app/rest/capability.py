"""The CapabilityStatement, made from the tables that serve: interactions, parameters, modifiers, operations, limits.

https://hl7.org/fhir/R4/http.html#capabilities and https://hl7.org/fhir/R4/capabilitystatement.html
"""
from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from app.errors import Invalid
from app.fhir import definitions, json, profile
from app.rest import negotiation
from app.rest.call import Answer, Call, single, versions
from app.rest.operations import OPERATIONS
from app.search import own, parameters
from app.search.param import Own
from app.search.types import supported

DATE = "2026-11-25"
"""When what is said here was last changed by hand."""
LOG = "AuditEvent"
"""The type that neither includes nor is included."""
TYPE_CODES = ("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type")
SYSTEM_CODES = ("transaction", "batch", "search-system", "history-system")
"""http://hl7.org/fhir/ValueSet/type-restful-interaction and system-restful-interaction: what the statement has codes for."""
NORMATIVE = ("Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationOutcome", "Patient", "StructureDefinition", "ValueSet")
"""Resource types that are normative in R4."""
TRIAL = ("conditionalCreate", "conditionalRead", "conditionalUpdate", "conditionalDelete", "referencePolicy", "searchInclude", "searchRevInclude", "searchParam")
"""Elements of rest.resource that are for trial use in R4, or that say what is."""
MODES = ("full", "normative", "terminology")
URL = "https://yilian.example/fhir/CapabilityStatement/server"


async def capabilities(call: Call, interactions, never) -> Answer:
    """What this server does; `mode` as the standard says. Its ETag is a hash of what is said."""
    call.only("mode")
    mode = single(call.pairs, "mode") or "full"
    if mode not in MODES:
        raise Invalid(f"mode is one of {', '.join(MODES)}, not {mode!r}.", expression="mode")
    if call.view.summary == "count":
        raise Invalid("_summary=count counts what a search found.", expression="_summary")
    settings = call.records.world.settings
    limit = min(settings.bundle_limit, call.records.world.store.entries_limit)
    made, tag = _made(mode, interactions, tuple(never.items()), settings.open, settings.enforce_references, limit, await call.records.world.store.recipe())
    headers = {"ETag": f'W/"{tag}"'}
    if any(named in ("*", tag) for named in versions(call.headers.get("if-none-match"))):
        return Answer(304, headers=headers)
    return Answer(resource={**made, "implementation": {"description": "Yilian", "url": call.base}}, headers=headers)


@lru_cache(8)
def _made(mode: str, interactions, never, chosen: bool, enforced: bool, limit: int, recipe: str) -> tuple[dict, str]:
    if mode == "terminology":
        made = terminology()
    else:
        made = statement(interactions, dict(never), chosen_ids=chosen, enforced=enforced, limit=limit, known=own.read(recipe))
        made = _normative(made) if mode == "normative" else made
    return made, hashlib.sha256(json.dumps(made)).hexdigest()[:16]


def statement(interactions, never, *, chosen_ids: bool, enforced: bool, limit: int, known: Own) -> dict:
    """The CapabilityStatement without its implementation. chosen_ids: a client may choose ids; enforced: references must resolve;
    limit: entries of a transaction; known: the store's own search parameters."""
    codes, pointing = [row.code for row in interactions], _pointing(known)
    rest = {
        "mode": "server",
        "documentation": f"Unknown parameters, modifiers and elements are refused; Prefer: handling=lenient ignores unknown search parameters. A transaction takes {limit} entries. "
                         "A resource is kept as it was sent; its id where it is created, versionId, lastUpdated and the custodian's tag are the server's to say. "
                         "If-Match is minded wherever it is sent and required nowhere. A patch that changes data but not their generated narrative drops the narrative.",
        "security": {"cors": True, "description": "TLS is the matter of the proxy in front. Until clients have keys only an open server on loopback serves."},
        "resource": [_resource(type, codes, never.get(type, ()), chosen_ids, enforced, known, pointing) for type in definitions.ENDPOINT_TYPES],
        "interaction": [{"code": code} for code in SYSTEM_CODES if code in codes],
        "searchParam": [_param(p) for p in _common()],
        "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{name[0].lower()}{name[1:]}" for name in definitions.COMPARTMENTS],
    }
    if OPERATIONS:
        rest["operation"] = [{"name": name, "definition": _operation(name)} for name in OPERATIONS]
    return {
        "resourceType": "CapabilityStatement", "id": "server", "url": URL, "version": _version(), "name": "Yilian", "title": "Yilian, a FHIR server for medical alliances",
        "status": "active", "date": DATE, "kind": "instance", "software": {"name": "Yilian", "version": _version()}, "fhirVersion": "4.0.1",
        "format": ["json", *negotiation.JSON], "patchFormat": [negotiation.PATCH, *negotiation.JSON], "rest": [rest],
    }


def _operation(name: str) -> str:
    """The url of an operation's definition: R4's, or our own."""
    known = definitions.operations().get(name)
    return known.url if known else f"https://yilian.example/fhir/OperationDefinition/{name}"


def _resource(type: str, codes: list[str], never, chosen_ids: bool, enforced: bool, known: Own, pointing: dict[str, list[str]]) -> dict:
    served = [code for code in codes if code not in never]
    made = {
        "type": type, "profile": profile.BASE + type, **({"supportedProfile": profiles} if (profiles := profile.known().of(type)) else {}),
        "interaction": [{"code": code} for code in TYPE_CODES if code in served],
        "versioning": "versioned-update" if "update" in served else "versioned", "readHistory": "history-instance" in served,
        "updateCreate": chosen_ids and "update" in served, "conditionalCreate": "create" in served, "conditionalRead": "full-support",
        "conditionalUpdate": "conditional-update" in served, "conditionalDelete": "multiple" if "conditional-delete" in served else "not-supported",
        "referencePolicy": ["literal", "logical", *(["enforced"] if enforced else [])],
    }
    includes, reverse = _includes(type, known, pointing)
    if includes:
        made["searchInclude"] = includes
    if reverse:
        made["searchRevInclude"] = reverse
    made["searchParam"] = [_param(p) for p in parameters.of(type, known).values()]
    return made


def _common() -> list:
    """The parameters of a search of all types."""
    return [p for code, p in parameters.of("Patient").items() if code in parameters.COMMON]


def _pointing(known: Own) -> dict[str, list[str]]:
    """Type -> `Source:parameter` of the references that may point to it."""
    found: dict[str, list[str]] = {}
    for source in filter(LOG.__ne__, definitions.ENDPOINT_TYPES):
        for param in parameters.of(source, known).values():
            for target in param.targets if _follows(param) else ():
                found.setdefault(target, []).append(f"{source}:{param.code}")
    return found


def _follows(param) -> bool:
    """Whether includes can follow it."""
    return param.type == "reference" and not param.inner


def _includes(type: str, known: Own, pointing: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    if type == LOG:
        return [], []
    forward = [f"{type}:{p.code}" for p in parameters.of(type, known).values() if _follows(p)]
    reverse = pointing.get(type, [])
    return (["*", f"{type}:*", *forward] if forward else []), (["*", *reverse] if reverse else [])


def _param(param) -> dict:
    """A parameter with the modifiers and prefixes that are served, in words: R4 has no element for them."""
    modifiers, prefixes = supported(param)
    said = [f"Modifiers: {', '.join(f':{m}' for m in modifiers)}." if modifiers else "", f"Prefixes: {', '.join(prefixes)}." if prefixes else ""]
    made = {"name": param.code, **({"definition": param.url} if param.url else {}), "type": param.type}
    text = " ".join(part for part in said if part)
    return {**made, "documentation": text} if text else made


def _normative(made: dict) -> dict:
    """Only what is normative in R4."""
    rest = {key: value for key, value in made["rest"][0].items() if key not in ("searchParam", "compartment", "operation")}
    rest["resource"] = [{key: value for key, value in each.items() if key not in TRIAL} for each in rest["resource"] if each["type"] in NORMATIVE]
    return {**made, "rest": [rest]}


def terminology() -> dict:
    """TerminologyCapabilities: what of a terminology service there is here."""
    return {"resourceType": "TerminologyCapabilities", "id": "server", "status": "active", "date": DATE, "kind": "instance", "name": "YilianTerminology",
            "description": "CodeSystem, ValueSet and ConceptMap are stored and searched as resources; $translate answers from the maps that are stored.",
            "software": {"name": "Yilian", "version": _version()}, "translation": {"needsMap": False}}


def _version() -> str:
    try:
        return version("yilian")
    except PackageNotFoundError:
        return "0.1.0"
