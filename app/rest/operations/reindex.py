"""$reindex: makes the index anew, of all types or some, as a job whose Task tells how far it is. Ours: profiles/OperationDefinition-reindex.json"""
from __future__ import annotations

from app.errors import Conflict, Invalid, NotAllowed
from app.fhir import definitions, validate as checks
from app.jobs import runner
from app.rest import body, negotiation
from app.rest.call import Answer, Call
from app.search import own


TAKES = {"type": "valueCode", "url": "valueCanonical"}


async def reindex(call: Call) -> Answer:
    """202 and the Task of the job. Errors: Conflict where one is under way; Invalid for what is no type."""
    if call.method != "POST" or call.target.id:
        raise NotAllowed("$reindex is asked for by POST, of the server or of a type.", headers={"Allow": "POST"})
    call.only("type", "url")
    given = [(name, v) for name, value in call.pairs if name in TAKES for v in value.split(",")] + _sent(call)
    types = sorted({*([call.target.type] if call.target.type else ()), *[type for name, value in given for type in await _types(call, name, value)]})
    task, fresh = await runner.ask(call.records.world, call.records.caller, "reindex", f"Reindex of {', '.join(types) or 'all types'}", {"types": ",".join(types)})
    if not fresh:
        raise Conflict(f"A reindex is under way: {call.base}/{task.ref}. Ask again when it is over.")
    return Answer(202, entry=task, headers={"Content-Location": f"{call.base}/{task.ref}"})


async def _types(call: Call, name: str, value: str) -> tuple[str, ...]:
    """The types that a parameter names, itself or as those of a SearchParameter in force. Errors: Invalid."""
    types = (value,) if name == "type" else own.of_url(await call.records.world.store.recipe(), value)
    if not types or not definitions.TYPES.issuperset(types):
        raise Invalid(f"{value!r} is no {'resource type' if name == 'type' else 'url of an active SearchParameter here that R4 has not'}.", expression=name)
    return types


def _sent(call: Call) -> list[tuple[str, str]]:
    """(`type` or `url`, value) of each parameter of a Parameters resource. Errors: Invalid for anything else."""
    if not call.body:
        return []
    negotiation.content(call.headers.get("content-type"), *negotiation.JSON)
    sent = call.body if isinstance(call.body, dict) else body.resource(call.body)
    if issues := checks.validate(sent):
        raise Invalid(issues=issues)
    given = sent.get("parameter", ())
    if sent["resourceType"] != "Parameters" or any(TAKES.get(each["name"]) not in each for each in given):
        raise Invalid("$reindex takes Parameters with the code `type` and the canonical `url`, as often as wanted.", expression="Parameters.parameter")
    return [(each["name"], each[TAKES[each["name"]]]) for each in given]
