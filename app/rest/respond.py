"""Answers: stored bytes as they are where nothing was asked, views of them where it was, headers, entries of bundles, and every failure.

https://hl7.org/fhir/R4/http.html#return
"""
from __future__ import annotations

import asyncio
import gzip
import logging
import os
from collections.abc import Mapping
from http import HTTPStatus

from app.errors import Failure, Issue, outcome
from app.fhir import bundle, json, summary
from app.rest import negotiation
from app.rest.call import Answer, Call, Prefer, View

log = logging.getLogger("yilian.rest")
SMALL, LARGE = 1024, 256 * 1024
"""Bytes below which nothing is compressed, and above which compressing leaves the event loop."""
LONGEST = 200
"""Characters of a request id that is kept."""
COMMON = {"Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding, Prefer, Authorization, Origin"}
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, Content-Location, ETag, Last-Modified, Allow, Accept-Patch, Accept-Post, Preference-Applied, Retry-After, "
                                     "X-Request-Id, X-Correlation-Id, X-Security-Context",
}
ALWAYS = [(name.lower().encode(), value.encode()) for name, value in {**COMMON, **CORS}.items()]
"""Headers of every answer."""
PREFLIGHT = {
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, "
                                    "X-Request-Id, X-Correlation-Id, X-Security-Context",
    "Access-Control-Max-Age": "3600",
}
WHOLE = ("Bundle", "OperationOutcome")
"""What is sent without a view of its own: a bundle's entries have theirs."""


# bodies


def seen(text: bytes, view: View) -> bytes:
    """A stored resource as the view wants it; its bytes as they are where nothing is asked."""
    if not (view.summary or view.elements):
        return text
    return json.dumps(_seen(json.loads(text), view))


def _seen(resource: dict, view: View) -> dict:
    if view.elements:
        return summary.elements(resource, view.elements)
    return summary.summary(resource, view.summary)


def _body(answer: Answer, view: View, prefer: Prefer) -> bytes | None:
    """The JSON of an answer; None for none."""
    if answer.written and prefer.returns == "OperationOutcome":
        return json.dumps(_said(answer))
    if answer.written and prefer.returns == "minimal":
        return None
    if answer.json is not None:
        return answer.json
    if answer.entry is not None:
        return seen(answer.entry.text, view)
    if answer.resource is None:
        return None
    whole = view.plain or answer.resource.get("resourceType") in WHOLE
    return json.dumps(answer.resource if whole else _seen(answer.resource, view) if view.summary or view.elements else answer.resource)


def _said(answer: Answer) -> dict:
    return outcome((Issue("information", "informational", answer.text),))


# answers to requests


class Reply:
    """An HTTP answer, ready to be sent (an ASGI application)."""

    __slots__ = ("status", "headers", "body")

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b""):
        self.status, self.headers, self.body = status, headers, body

    async def __call__(self, scope, receive, send) -> None:
        headers = [*ALWAYS, *((name.lower().encode(), value.encode()) for name, value in self.headers.items())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


async def response(answer: Answer, call: Call, media: str) -> Reply:
    """An answer as HTTP: in `media` where it is a resource, compressed where the client takes that."""
    status, headers = answer.status, dict(answer.headers)
    if answer.media:
        content, media = answer.content, answer.media
    else:
        content = None if status == 304 else _body(answer, call.view, call.prefer)
        if content is not None and call.view.pretty:
            content = json.pretty(json.loads(content))
        if answer.written:
            status = 200 if status == 204 and content is not None else status
            if call.prefer.returns:
                headers["Preference-Applied"] = f"return={call.prefer.returns}"
        media = f"{media}; charset=utf-8"
    return await _response(status, content, media, headers, call.headers, call.method, call.records.caller.request)


async def failure(failed: Failure, headers: Mapping[str, str], method: str, request: str) -> Reply:
    """A failure as HTTP: its status, its headers and its OperationOutcome."""
    return await _response(failed.status, json.dumps(failed.outcome()), f"{negotiation.FHIR}; charset=utf-8", dict(failed.headers), headers, method, request)


async def _response(status: int, content: bytes | None, media: str, headers: dict[str, str], asked: Mapping[str, str], method: str, request: str) -> Reply:
    headers["X-Request-Id"] = request
    correlation = asked.get("x-correlation-id")
    if correlation:
        headers["X-Correlation-Id"] = correlation
    if content is not None:
        headers["Content-Type"] = media
        if len(content) > SMALL and negotiation.gzip_wanted(asked.get("accept-encoding")):
            content = await _compressed(content)
            headers["Content-Encoding"] = "gzip"
    if content is not None or status not in (204, 304):
        headers["Content-Length"] = str(len(content or b""))
    return Reply(status, headers, b"" if method == "HEAD" or content is None else content)


async def _compressed(content: bytes) -> bytes:
    if len(content) > LARGE:
        return await asyncio.to_thread(gzip.compress, content, 5, mtime=0)
    return gzip.compress(content, 5, mtime=0)


def unexpected(error: Exception, request: str) -> Failure:
    """The failure that stands for a fault of ours: told without its particulars, and logged with them."""
    log.error("request %s failed", request, exc_info=error)
    return Failure(f"Something went wrong here; it is logged with the request id {request}.")


def request_id(headers: Mapping[str, str]) -> str:
    """The client's X-Request-Id where it is no longer than an id should be, or a new one."""
    given = headers.get("x-request-id", "")
    return given if 0 < len(given) <= LONGEST else os.urandom(12).hex()


# entries of bundles


def failed(failure: Failure) -> Answer:
    """A failure as the answer of one entry."""
    return Answer(failure.status, resource=failure.outcome())


def entry(asked: Call | None, answer: Answer, prefer: Prefer, view: View) -> bytes:
    """The entry of a response Bundle. `asked` is None where the entry could not be read; `view` is the whole request's."""
    said = {"status": f"{answer.status} {HTTPStatus(answer.status).phrase}"}
    if answer.headers.get("Location") or answer.headers.get("Content-Location"):
        said["location"] = (answer.headers.get("Location") or answer.headers["Content-Location"]).removeprefix(f"{asked.base}/")
    if "ETag" in answer.headers:
        said["etag"] = answer.headers["ETag"]
    if answer.entry is not None:
        said["lastModified"] = bundle.instant(answer.entry.updated)
    body = None
    if answer.status >= 400:
        said["outcome"] = answer.resource
    elif answer.written and prefer.returns == "OperationOutcome":
        said["outcome"] = _said(answer)
    elif answer.status != 304 and asked.method != "HEAD":
        body = _body(answer, view if answer.written else asked.view, prefer)
    url = f"{asked.base}/{answer.entry.ref}" if answer.entry is not None else ""
    return bundle.entry(url=url, text=body, response=said)
