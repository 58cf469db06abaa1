"""From a request to a Caller. Until clients have keys only an open store serves: loopback, acting as one operator organisation."""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache

from starlette.requests import Request

from app import errors
from app.caller import Caller
from app.settings import Settings

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def identify(request: Request, headers: Mapping[str, str], settings: Settings, named: str) -> Caller:
    """The caller of a request; `named` is its id, `headers` are by lower-case name. Errors: Unauthenticated where the store is not open, or the request comes from elsewhere."""
    client = request.scope.get("client")
    address = client[0] if client else "127.0.0.1"
    if not settings.open or not is_loopback(address):
        raise errors.Unauthenticated("Clients have no keys yet: only an open store serves, and only this machine.", headers={"WWW-Authenticate": "Bearer"})
    return Caller(organization=settings.organization, client="open", operator=True, prefix="", address=address,
                  request=named, base=base(request, headers, settings))


def base(request: Request, headers: Mapping[str, str], settings: Settings) -> str:
    """The FHIR base that the client speaks to: the one set, or that of its own request."""
    return (settings.base.rstrip("/") or f"{request.scope['scheme']}://{_host(headers['host'] if 'host' in headers else request.url.netloc)}") + "/fhir"


@lru_cache(1024)
def _host(named: str) -> str:
    """The host that the client named, as in links. Errors: Invalid for what cannot stand there."""
    if not _HOST.fullmatch(named):
        raise errors.Invalid("The Host header names one host, with or without a port.")
    return named


@lru_cache(1024)
def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in ("localhost", "testclient")
