"""$validate: whether a resource is right, and whether a create, update or delete of it would be done. https://hl7.org/fhir/R4/resource-operation-validate.html"""
from __future__ import annotations

from app.errors import Absent, Invalid, Issue, Malformed, Unsupported, outcome
from app.fhir import json, validate as checks
from app.records import Change, Event
from app.rest import body, negotiation, write
from app.rest.call import Answer, Call, single

MODES = ("create", "update", "delete", "profile")
FINE = Issue("information", "informational", "Nothing is wrong.")


async def validate(call: Call) -> Answer:
    """An OperationOutcome, 200 whatever it says. Errors: what cannot be judged: no resource, an unknown mode, an unknown profile."""
    type, id = call.target.type, call.target.id
    if not type:
        raise Absent("$validate stands at a type or a resource: Patient/$validate, Patient/7/$validate.")
    call.only("mode", "profile")
    given = _parameters(call)
    mode, resource = given.get("mode"), given.get("resource")
    if mode is not None and mode not in MODES:
        raise Unsupported(f"The modes are {', '.join(MODES)}, not {mode!r}.", expression="mode")
    if mode in ("update", "delete", "profile") and not id:
        raise Invalid(f"The mode {mode} is about one resource: {type}/[id]/$validate.", expression="mode")
    if mode == "profile" and (resource is not None or not given.get("profile")):
        raise Invalid(f"The mode profile judges the stored {type}/{id} by the profile that is named, and takes no other resource.", expression="mode")
    profiles = (given["profile"],) if given.get("profile") else ()
    if resource is None and mode != "delete":
        if not id or mode in ("create", "update"):
            raise Malformed("There is no resource to judge.")
        resource = json.loads((await call.records.read(type, id)).text)
        return _said(await call.records.judge(resource, type, profiles))
    issues = await call.records.judge(resource, type, profiles) if mode != "delete" else []
    change = _change(call, mode, resource) if not any(i.severity in ("error", "fatal") for i in issues) else None
    refusal = await call.records.rehearse(change, Event("E", "$validate", f"{type}/{id}" if id else ""))
    return _said([*issues, *(refusal.issues if refusal else ())])


def _parameters(call: Call) -> dict:
    """What was asked, by name: in the address, in a Parameters resource, or the resource itself. Errors: Invalid for an unknown one."""
    given = {name: single(call.pairs, name) for name in ("mode", "profile")}
    sent = _sent(call)
    if sent is None or sent.get("resourceType") != "Parameters":
        return given | ({"resource": sent} if sent is not None else {})
    if issues := checks.structure({name: [{**p, "resource": {"resourceType": "Basic", "code": {"text": "a"}}} if isinstance(p, dict) and "resource" in p else p for p in value]
                                   if name == "parameter" and isinstance(value, list) else value for name, value in sent.items()}):
        raise Invalid(issues=issues)
    for step, each in enumerate(sent.get("parameter") or ()):
        value = each.get("resource") if each["name"] == "resource" else each.get("valueCode") or each.get("valueUri") or each.get("valueCanonical") or each.get("valueString")
        if each["name"] not in ("resource", "mode", "profile") or value is None:
            raise Invalid(f"$validate takes a resource, a mode and a profile, not {each['name']!r} so.", expression=f"Parameters.parameter[{step}]")
        given[each["name"]] = value
    return given


def _sent(call: Call) -> dict | None:
    if not call.body or isinstance(call.body, dict):
        return call.body or None
    negotiation.content(call.headers.get("content-type"), *negotiation.JSON)
    return body.resource(call.body)


def _change(call: Call, mode: str | None, resource: dict | None) -> Change | None:
    """What is tried; If-Match holds as it would for the change itself."""
    type, matching = call.target.type, write.versions(call.headers.get("if-match"))
    if mode == "delete":
        return Change("delete", type, call.target.id, if_match=matching)
    return Change(mode, type, call.target.id if mode == "update" else None, resource=resource, if_match=matching if mode == "update" else ()) if mode else None


def _said(issues: list[Issue]) -> Answer:
    return Answer(resource=outcome(issues or [FINE]))
