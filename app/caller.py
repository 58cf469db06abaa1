"""Who asks: the organisation, client and person behind a request, and why. The system itself is a caller too."""
from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller holds identities and grant ids, never rights: those are judged anew at every read, page and commit.

    organization: id of the Organization whose client this is (the custodian of what it creates)
    client:       id of the system that sent the request; user: the person behind it, as `issuer|subject`, or empty
    purpose:      v3-ActReason code (TREAT, ETREAT, BTG, HSYSADMIN, ...)
    scopes:       SMART scopes; empty means what the organisation itself may
    grants:       ids of grants (break-glass) that this request invokes
    system:       the server itself: set by `system` alone, no client can be it
    operator:     acts as the operator of an open, keyless store (loopback only): sees all
    prefix:       ids that it may choose itself start with this; None means that it may choose none
    address, request, base: where the request came from, its X-Request-Id, and the server base it spoke to
    """

    organization: str
    client: str
    user: str = ""
    purpose: str = "TREAT"
    scopes: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    operator: bool = False
    system: bool = False
    prefix: str | None = None
    address: str = ""
    request: str = ""
    token: str = ""
    base: str = ""

    def on(self, **changes) -> "Caller":
        """This caller on another request: `address`, `request` or `purpose` replaced."""
        return replace(self, **changes)


def system(client: str, organization: str, **more) -> Caller:
    """The server's own caller, such as `job` or `feed`: it acts for an organisation and gets no right beyond it."""
    return Caller(organization=organization, client=client, system=True, purpose=more.pop("purpose", "RECORDMGT"), **more)
