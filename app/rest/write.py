"""The interactions that write, each as one change of a commit: create, update, patch, delete, also by condition.

https://hl7.org/fhir/R4/http.html#create, #update, #patch, #delete
"""
from __future__ import annotations

import re

from app.errors import Invalid, Malformed, Unsupported
from app.fhir import json, patch as patches, validate
from app.records import Change, Done
from app.rest import binary, body, negotiation
from app.rest.call import Answer, Call, located, modified, tag, versions

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""https://hl7.org/fhir/R4/datatypes.html#id"""
STATUS = {"created": 201, "updated": 200, "unchanged": 200, "found": 200}
SAID = {"created": "was created", "updated": "was updated", "unchanged": "was as it is already", "found": "is there already: nothing was created"}


async def write(call: Call) -> Answer:
    """One interaction that writes, alone."""
    call.view
    change = CHANGES[call.method](call)
    done, = await call.records.commit([change])
    return written(call, done)


def create(call: Call) -> Change:
    call.only()
    header = call.headers.get("if-none-exist")
    return Change("create", call.target.type, resource=document(call), condition=None if header is None else _condition(call, header))


def update(call: Call) -> Change:
    """By id, or without one by the address's search parameters."""
    nothing = call.headers.get("if-none-match")
    if nothing is not None and versions(nothing) != ("*",):
        raise Unsupported("On an update If-None-Match can only be *.")
    return Change("update", call.target.type, **_which(call), resource=document(call), if_match=versions(call.headers.get("if-match")),
                  if_none_match="*" if nothing else "")


def patch(call: Call) -> Change:
    _only_updates(call)
    return Change("patch", call.target.type, **_which(call), patch=_patch(call), if_match=versions(call.headers.get("if-match")))


def delete(call: Call) -> Change:
    """One resource by id, or all that the address's search parameters find."""
    _only_updates(call)
    which = _which(call)
    return Change("delete", call.target.type, **which, many="condition" in which, if_match=versions(call.headers.get("if-match")))


def _only_updates(call: Call) -> None:
    """Errors: Unsupported for If-None-Match, which says nothing of a change to what is there."""
    if "if-none-match" in call.headers:
        raise Unsupported(f"If-None-Match goes with reads and updates, not with {call.method}.")


CHANGES = {"POST": create, "PUT": update, "PATCH": patch, "DELETE": delete}


def _which(call: Call) -> dict[str, str]:
    """What the address names: an id or a condition."""
    if not call.target.id:
        return {"condition": call.criteria()}
    call.only()
    if not ID.fullmatch(call.target.id):
        raise Invalid(f"{call.target.id!r} is no id: 1 to 64 of A-Z, a-z, 0-9, - and . are.", expression=f"{call.target.type}.id")
    return {"id": call.target.id}


def _condition(call: Call, header: str) -> str:
    """The search text of If-None-Exist, with or without `Type?` before it. Errors: Invalid for an empty or unreadable one."""
    text = header.strip().removeprefix(call.target.type).removeprefix("?")
    if not text or not body.pairs(text.encode("utf-8", "replace")):
        raise Invalid("If-None-Exist needs search parameters, such as identifier=system|value.")
    return text


def document(call: Call) -> dict:
    """The resource that a write brings. Errors: WrongMedia, Malformed."""
    if isinstance(call.body, dict):
        return call.body
    if call.target.type == "Binary":
        return binary.resource(call)
    negotiation.content(call.headers.get("content-type"), *negotiation.JSON)
    if not call.body:
        raise Malformed(f"{call.method} needs a resource in its body.")
    return body.resource(call.body)


def _patch(call: Call):
    """The patch as a function from resource to resource. A bundle's entry brings it as Parameters, or as a Binary that holds JSON Patch."""
    if isinstance(call.body, dict):
        if call.body.get("resourceType") == "Binary":
            return _json_patch(json.parse(binary.patch(call.body)))
        return _fhirpath_patch(call.body)
    media = negotiation.content(call.headers.get("content-type"), negotiation.PATCH, *negotiation.JSON)
    if not call.body:
        raise Malformed("PATCH needs a patch in its body.")
    return _json_patch(json.parse(call.body)) if media == negotiation.PATCH else _fhirpath_patch(body.resource(call.body))


def _json_patch(operations):
    if not isinstance(operations, list):
        raise Malformed("A JSON Patch is an array of operations.")
    return lambda resource: patches.json_patch(resource, operations)


def _fhirpath_patch(parameters: dict):
    if parameters.get("resourceType") != "Parameters":
        raise Invalid("A patch is a Parameters resource (FHIRPath Patch) or a JSON Patch.", expression="resourceType")
    issues = validate.validate(parameters)
    if issues:
        raise Invalid(issues=issues)
    return lambda resource: patches.fhirpath_patch(resource, parameters)


def written(call: Call, done: Done) -> Answer:
    """The answer to a change."""
    if done.outcome == "deleted":
        return _deleted(call, done)
    entry = done.entry
    created = done.outcome == "created"
    headers = {"ETag": tag(entry), "Last-Modified": modified(entry)}
    headers["Location" if created or call.method == "POST" else "Content-Location"] = located(entry, call.base)
    return Answer(STATUS[done.outcome], entry=entry, headers=headers, written=True, text=f"{entry.ref} {SAID[done.outcome]} (version {entry.version}).")


def _deleted(call: Call, done: Done) -> Answer:
    what = f"{call.target.type}/{call.target.id}" if call.target.id else f"{done.count} of type {call.target.type}"
    text = f"Deleted: {what}." if done.count else "Nothing was there to delete."
    headers = {"ETag": tag(done.entry)} if done.entry is not None and call.target.id else {}
    return Answer(204, headers=headers, written=True, text=text)
