"""The FHIR door: one thin route under /fhir. It reads a request, does what the table of interactions says, and answers.

https://hl7.org/fhir/R4/http.html
"""
from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

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
    app.router.routes.append(Door())


class Door(BaseRoute):
    """All of /fhir, and no other address."""

    def matches(self, scope):
        path = _path(scope)
        mine = scope["type"] == "http" and (path == ROOT or path.startswith(ROOT + "/"))
        return (Match.FULL if mine else Match.NONE), {}

    def url_path_for(self, name, /, **_):
        raise LookupError(name)

    async def handle(self, scope, receive, send) -> None:
        answer = await _answer(Request(scope, receive))
        await answer(scope, receive, send)


def _path(scope) -> str:
    return scope["path"].removeprefix(scope.get("root_path", ""))


async def _answer(request: Request) -> Response:
    """The answer to a request, whatever happens."""
    named = respond.request_id(request.headers)
    try:
        return await _served(request, named)
    except Failure as failure:
        return await respond.failure(failure, request.headers, request.method, named)
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception as error:
        return await respond.failure(respond.unexpected(error, named), request.headers, request.method, named)


async def _served(request: Request, named: str) -> Response:
    target = interactions.target(_address(request))
    if request.method == "OPTIONS":
        return _options(request, target, named)
    interactions.allowed(target, request.method)
    pairs = body.pairs(request.scope["query_string"])
    media = _media(request, target, pairs)
    settings = request.app.state.settings
    caller = _caller(request, target, named)
    call = Call(Records(request.app.state.world, caller), request.method, target, pairs, request.headers, caller.base, prefer=prefer(request.headers.get("prefer")))
    if request.method in BODIED:
        call.body = await body.read(request.stream(), request.headers.get("content-length"), request.headers.get("content-encoding"), settings.body_limit)
        if target.shape.endswith("s"):
            call.pairs = [*pairs, *_form(call)]
    return await respond.response(await interactions.perform(call), call, media)


def _caller(request: Request, target: Target, named: str) -> Caller:
    """Who asks. What the server can do is told to anybody. Errors: Unauthenticated."""
    settings = request.app.state.settings
    if target.shape == "m":
        return Caller(organization="", client="anybody", request=named, base=base(request, settings))
    return identify(request, settings).on(request=named)


def _address(request: Request) -> str:
    """The path below the base. Errors: Invalid for NUL and for what is not UTF-8."""
    path = _path(request.scope)[len(ROOT) + 1:]
    if "\0" in path or "\ufffd" in path:
        raise Invalid("The address is not UTF-8, or holds the NUL character.")
    return path


def _media(request: Request, target: Target, pairs: list[tuple[str, str]]) -> str:
    """The media type of the answer. A Binary is read in whichever it has, so that its own is not refused here."""
    accept, format = request.headers.get("accept"), single(pairs, "_format")
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


def _options(request: Request, target: Target, named: str) -> Response:
    """What is possible at an address; the answer to a browser's preflight too (https://fetch.spec.whatwg.org/#cors-preflight-request)."""
    allow = interactions.allow(target)
    headers = {**respond.CORS, **respond.PREFLIGHT, "Allow": allow, "Access-Control-Allow-Methods": allow, "X-Request-Id": named}
    return Response(status_code=204, headers=headers)
