"""Binary: content that comes and goes in its own media type, or as a resource where FHIR is asked for by name.

https://hl7.org/fhir/R4/binary.html#rest
"""
from __future__ import annotations

import base64
import binascii

from app.errors import Invalid, Malformed, NotAcceptable
from app.fhir import json
from app.rest import negotiation
from app.rest.call import Answer, Call, single

CONTEXT = "X-Security-Context"
OCTETS = "application/octet-stream"


def resource(call: Call) -> dict:
    """The Binary that a write brings: itself as FHIR JSON, or any other content with its Content-Type and X-Security-Context."""
    header = (call.headers.get("content-type") or OCTETS).strip()
    found = negotiation.media(header)
    if found is not None and found.type in negotiation.JSON:
        parsed = _parsed(call, found.type)
        if parsed is not None:
            negotiation.content(header, *negotiation.JSON)
            return parsed
    made = {"resourceType": "Binary", **({"id": call.target.id} if call.target.id else {}), "contentType": " ".join(header.split())}
    context = call.headers.get(CONTEXT.lower())
    if context:
        made["securityContext"] = {"reference": context}
    if call.body:
        made["data"] = base64.b64encode(call.body).decode()
    return made


def _parsed(call: Call, type: str) -> dict | None:
    """The Binary resource in a JSON body; None for other JSON, which is content like any other."""
    try:
        found = json.loads(call.body)
    except Invalid:
        if type == negotiation.FHIR:
            raise
        return None
    return found if isinstance(found, dict) and found.get("resourceType") == "Binary" else None


def native(call: Call, answer: Answer) -> Answer:
    """The answer of a read as the content itself, unless the client asked for FHIR. Errors: NotAcceptable."""
    accept, format = call.headers.get("accept"), single(call.pairs, "_format")
    if not negotiation.native(accept, format):
        return answer
    stored = json.loads(answer.entry.text)
    media = _safe(stored.get("contentType")) or OCTETS
    if accept and not any(range.weight and range.matches(media.partition(";")[0].strip().lower()) for range in negotiation.ranges(accept)):
        return _as_resource(answer, accept, media)
    answer.content, answer.media, answer.entry = _octets(stored.get("data")), media, None
    reference = _safe((stored.get("securityContext") or {}).get("reference"))
    if reference:
        answer.headers[CONTEXT] = reference
    answer.headers |= {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    return answer


def _as_resource(answer: Answer, accept: str, media: str) -> Answer:
    try:
        negotiation.representation(accept, None)
    except NotAcceptable:
        raise NotAcceptable(f"This content is {media}; it can be sent so or as {negotiation.FHIR}.") from None
    return answer


def _octets(data: str | None) -> bytes:
    return base64.b64decode(data or "")


def _safe(text: str | None) -> str:
    """The text where it can stand in a header; otherwise nothing."""
    return text if text and text.isascii() and text.isprintable() else ""


def patch(resource: dict) -> bytes:
    """The patch document that a bundle entry's Binary holds, and that it is one. Errors: Invalid, Malformed."""
    if resource.get("contentType") != negotiation.PATCH:
        raise Invalid(f"A Binary that patches has the contentType {negotiation.PATCH}.", expression="resource.contentType")
    try:
        return base64.b64decode(resource.get("data") or "", validate=False)
    except (binascii.Error, ValueError, TypeError):
        raise Malformed("The data of the Binary is not base64.", expression="resource.data") from None
