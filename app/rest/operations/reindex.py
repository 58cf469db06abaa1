"""$reindex: makes the index anew, of all types or some, as a job whose Task tells how far it is. Ours: profiles/OperationDefinition-reindex.json"""
from __future__ import annotations

from app.errors import Conflict, Invalid, NotAllowed
from app.fhir import definitions, validate as checks
from app.jobs import runner
from app.rest import body, negotiation
from app.rest.call import Answer, Call


async def reindex(call: Call) -> Answer:
    """202 and the Task of the job. Errors: Conflict where one is under way; Invalid for what is no type."""
    if call.method != "POST" or call.target.id:
        raise NotAllowed("$reindex is asked for by POST, of the server or of a type.", headers={"Allow": "POST"})
    call.only("type")
    named = [call.target.type] if call.target.type else [v for name, value in call.pairs if name == "type" for v in value.split(",")] + _sent(call)
    for type in named:
        if type not in definitions.TYPES:
            raise Invalid(f"{type!r} is no resource type.", expression="type")
    types = sorted(set(named))
    task, fresh = await runner.ask(call.records.world, call.records.caller, "reindex", f"Reindex of {', '.join(types) or 'all types'}", {"types": ",".join(types)})
    if not fresh:
        raise Conflict(f"A reindex is under way: {call.base}/{task.ref}. Ask again when it is over.")
    return Answer(202, entry=task, headers={"Content-Location": f"{call.base}/{task.ref}"})


def _sent(call: Call) -> list[str]:
    """The types that a Parameters resource names. Errors: Invalid for anything else."""
    if not call.body:
        return []
    negotiation.content(call.headers.get("content-type"), *negotiation.JSON)
    sent = call.body if isinstance(call.body, dict) else body.resource(call.body)
    if issues := checks.validate(sent):
        raise Invalid(issues=issues)
    given = sent.get("parameter", ())
    if sent["resourceType"] != "Parameters" or any(each["name"] != "type" or "valueCode" not in each for each in given):
        raise Invalid("$reindex takes Parameters with the code `type`, as often as wanted.", expression="Parameters.parameter")
    return [each["valueCode"] for each in given]
