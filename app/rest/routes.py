"""The FHIR door: one thin route under /fhir. It reads a request, does what the table of interactions says, and answers.

https://hl7.org/fhir/R4/http.html
"""
from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp

from app.auth.identify import base, identify
from app.caller import Caller
from app.errors import Failure, Invalid
from app.records import Records
from app.rest import body, interactions, negotiation, respond
from app.rest.call import Call, Target, prefer, single

ROOT = "/fhir"
BODIED = ("POST", "PUT", "PATCH")


def mount(app: FastAPI) -> None:
    """Opens the door on an application whose `state` has `settings`, and `world` once it runs."""
    inner = app.build_middleware_stack
    app.build_middleware_stack = lambda: _door(inner())


def _door(others: ASGIApp) -> ASGIApp:
    """All of /fhir, before the middleware that FastAPI puts around its own routes and that each answer would pay for. The rest is for `others`."""

    async def door(scope, receive, send) -> None:
        path = _path(scope) if scope["type"] == "http" else ""
        if not path.startswith(ROOT + "/") and path != ROOT:
            return await others(scope, receive, send)
        answer = await _answer(Request(scope, receive))
        await answer(scope, receive, send)

    return door


def _path(scope) -> str:
    return scope["path"].removeprefix(scope.get("root_path", ""))


async def _answer(request: Request) -> respond.Reply:
    """The answer to a request, whatever happens."""
    headers = _headers(request.scope["headers"])
    named = respond.request_id(headers)
    try:
        return await _served(request, headers, named)
    except Failure as failure:
        return await respond.failure(failure, headers, request.method, named)
    except ClientDisconnect:
        return respond.Reply(400, {})
    except Exception as error:
        return await respond.failure(respond.unexpected(error, named), headers, request.method, named)


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name, repeated ones joined (RFC 7230, 3.2.2). Text beyond ASCII is read as UTF-8 where it is that."""
    found: dict[str, str] = {}
    for name, value in raw:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        key = name.decode("latin-1").lower()
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _served(request: Request, headers: dict[str, str], named: str) -> respond.Reply:
    target = interactions.target(_address(request))
    method = request.method
    if method == "OPTIONS":
        return _options(target, named)
    records = Records(request.app.state.world, _caller(request, headers, target, named))
    if target.shape == "m":
        return await _done(request, target, headers, records)
    try:
        return await _done(request, target, headers, records)
    except ClientDisconnect:
        raise
    except Exception as error:
        failure = error if isinstance(error, Failure) else respond.unexpected(error, named)
        await records.refused(failure, interactions.event(target, method), request.scope["query_string"].decode("utf-8", "replace"))
        raise failure


async def _done(request: Request, target: Target, headers: dict[str, str], records: Records) -> respond.Reply:
    method = request.method
    interactions.allowed(target, method)
    pairs = body.pairs(request.scope["query_string"])
    media = _media(headers, target, pairs)
    call = Call(records, method, target, pairs, headers, records.caller.base, prefer=prefer(headers.get("prefer")))
    if method in BODIED:
        limit = request.app.state.settings.body_limit
        call.body = await body.read(request.stream(), headers.get("content-length"), headers.get("content-encoding"), limit)
        if target.shape.endswith("s"):
            call.pairs = [*pairs, *_form(call)]
            media = _media(headers, target, call.pairs)
    return await respond.response(await interactions.perform(call), call, media)


def _caller(request: Request, headers: dict[str, str], target: Target, named: str) -> Caller:
    """Who asks. What the server can do is told to anybody. Errors: Unauthenticated."""
    settings = request.app.state.settings
    if target.shape == "m":
        return Caller(organization="", client="anybody", request=named, base=base(request, headers, settings))
    return identify(request, headers, settings, named)


def _address(request: Request) -> str:
    """The path below the base. Errors: Invalid for NUL and for what is not UTF-8."""
    path = _path(request.scope)[len(ROOT) + 1:]
    if "\0" in path or "\ufffd" in path:
        raise Invalid("The address is not UTF-8, or holds the NUL character.")
    return path


def _media(headers: dict[str, str], target: Target, pairs: list[tuple[str, str]]) -> str:
    """The media type of the answer. A Binary is read in whichever it has, so that its own is not refused here."""
    accept, format = headers.get("accept"), single(pairs, "_format")
    if target.type == "Binary" and target.shape in ("Ti", "Tihv") and format is None and negotiation.native(accept, None):
        try:
            return negotiation.representation(accept, None)
        except Failure:
            return negotiation.FHIR
    return negotiation.representation(accept, format)


def _form(call: Call) -> list[tuple[str, str]]:
    """The parameters of a search by POST. Errors: WrongMedia for a body that is no form."""
    if not call.body and "content-type" not in call.headers:
        return []
    negotiation.content(call.headers.get("content-type"), negotiation.FORM)
    return body.pairs(call.body)


def _options(target: Target, named: str) -> respond.Reply:
    """What is possible at an address; the answer to a browser's preflight too (https://fetch.spec.whatwg.org/#cors-preflight-request)."""
    allow = interactions.allow(target)
    return respond.Reply(204, {**respond.PREFLIGHT, "Allow": allow, "Access-Control-Allow-Methods": allow, "X-Request-Id": named})
