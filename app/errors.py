"""The tree of failures: each knows its HTTP status and its issue code, and renders itself as an OperationOutcome.

Failure                  500 exception
|- Invalid               400 invalid        the request or its body is not what the standard says
|  |- Malformed          400 structure      not JSON, or JSON that is no resource
|  |- Unsupported        400 not-supported  a parameter, modifier or element that this server does not know
|  `- TooCostly          400 too-costly     a search whose answer cannot be bounded
|- Unauthenticated       401 login          no or no valid token
|- Forbidden             403 forbidden      a decision against the caller
|- Absent                404 not-found      absent, or hidden: one answer for both
|- NotAllowed            405 not-supported  an interaction that this type never has
|- NotAcceptable         406 not-supported  no representation that the client accepts
|- Conflict              409 conflict       the state of the store speaks against the change
|- Deleted               410 deleted        it was here
|- VersionMismatch       412 conflict       If-Match does not name the current version
|  `- Ambiguous          412 multiple-matches
|- TooLarge              413 too-long
|  `- HeadTooLarge       431 too-long
|- WrongMedia            415 not-supported
|- Unprocessable         422 processing     well formed, but the rules refuse it
|- TooMany               429 throttled
`- Unavailable           503 transient      nothing was done; try again (busy, disk full, log not writable)

https://hl7.org/fhir/R4/operationoutcome.html
"""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: `severity` and `code` from FHIR's value sets, `text` for a person, `expression` a FHIRPath."""

    severity: str
    code: str
    text: str
    expression: str = ""

    def render(self) -> dict:
        issue = {"severity": self.severity, "code": self.code, "details": {"text": self.text}, "diagnostics": self.text}
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


class Failure(Exception):
    """What every refusal is. `issues` holds all that is wrong; `headers` go with the answer (Retry-After, ETag).

    recorded: the log has it already
    """

    status = 500
    code = "exception"

    def __init__(self, text: str = "", *, expression: str = "", issues: tuple[Issue, ...] | list[Issue] = (), headers: dict[str, str] | None = None):
        self.issues = tuple(issues) or (Issue("error", self.code, text or type(self).__doc__ or self.code, expression),)
        self.headers, self.recorded = headers or {}, False
        super().__init__(text or self.issues[0].text)

    def at(self, expression: str) -> "Failure":
        """The same failure, told from further out: `expression` (a bundle entry, say) is put before each issue's own; a resource's own path
        (`Patient.name`) becomes that of the entry's resource."""
        self.issues = tuple(Issue(i.severity, i.code, i.text, _below(expression, i.expression)) for i in self.issues)
        return self

    def outcome(self) -> dict:
        return outcome(self.issues)


def _below(outer: str, inner: str) -> str:
    first, _, rest = inner.partition(".")
    if first[:1].isupper():
        return f"{outer}.resource.{rest}" if rest else f"{outer}.resource"
    return f"{outer}.{inner}" if inner and first[:1] != "[" else outer + inner


def outcome(issues) -> dict:
    """An OperationOutcome of the given issues (at least one)."""
    return {"resourceType": "OperationOutcome", "issue": [i.render() for i in issues]}


class Invalid(Failure):
    """The request is not valid."""
    status, code = 400, "invalid"


class Malformed(Invalid):
    """The body is not a resource in JSON."""
    code = "structure"


class Unsupported(Invalid):
    """The request asks for something that this server does not know."""
    code = "not-supported"


class TooCostly(Invalid):
    """The answer cannot be bounded."""
    code = "too-costly"


class Unauthenticated(Failure):
    """No valid token."""
    status, code = 401, "login"


class Forbidden(Failure):
    """Not permitted."""
    status, code = 403, "forbidden"


class Absent(Failure):
    """Not known here."""
    status, code = 404, "not-found"


class NotAllowed(Failure):
    """This interaction is never possible here."""
    status, code = 405, "not-supported"


class NotAcceptable(Failure):
    """Only application/fhir+json can be sent."""
    status, code = 406, "not-supported"


class Conflict(Failure):
    """The state of the store speaks against this change."""
    status, code = 409, "conflict"


class Deleted(Failure):
    """Deleted."""
    status, code = 410, "deleted"


class VersionMismatch(Failure):
    """The version named is not the current one."""
    status, code = 412, "conflict"


class Ambiguous(VersionMismatch):
    """The condition matches more than one resource."""
    code = "multiple-matches"


class TooLarge(Failure):
    """The body is too large."""
    status, code = 413, "too-long"


class HeadTooLarge(TooLarge):
    """The headers are too large."""
    status = 431


class WrongMedia(Failure):
    """Only FHIR in JSON can be read."""
    status, code = 415, "not-supported"


class Unprocessable(Failure):
    """The rules refuse this resource."""
    status, code = 422, "processing"


class TooMany(Failure):
    """Too many requests."""
    status, code = 429, "throttled"


class Unavailable(Failure):
    """Nothing was done. Try again."""
    status, code = 503, "transient"

    def __init__(self, text: str = "", *, retry_after: int = 1, **more):
        super().__init__(text, headers={"Retry-After": str(retry_after), **more.pop("headers", {})}, **more)
