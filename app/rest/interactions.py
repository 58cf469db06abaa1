"""The table of interactions: it serves requests and the entries of bundles, and the CapabilityStatement is made from it.

https://hl7.org/fhir/R4/http.html#summary
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from app.audit import asked
from app.errors import Absent, Failure, NotAllowed
from app.fhir import definitions
from app.records import Event
from app.rest import capability, read, transaction, write
from app.rest.call import Answer, Call, Target
from app.rest.operations import OPERATIONS


class Interaction(NamedTuple):
    """code: of http://hl7.org/fhir/restful-interaction, or what a CapabilityStatement calls it otherwise
    level: `instance`, `type` or `system`; shape: of the address; method: GET serves HEAD too
    """

    code: str
    level: str
    shape: str
    method: str
    answer: Callable[[Call], Awaitable[Answer]]


async def capabilities(call: Call) -> Answer:
    return await capability.capabilities(call, INTERACTIONS, NEVER)


async def submit(call: Call) -> Answer:
    return await transaction.submit(call, target, allowed, perform)


async def operate(call: Call) -> Answer:
    """An operation by its name. Errors: Absent for one that this server has not."""
    found = OPERATIONS.get(call.target.operation)
    if found is None:
        known = ", ".join(f"${name}" for name in sorted(OPERATIONS)) or "none"
        raise Absent(f"There is no operation ${call.target.operation} here; known: {known}.")
    return await found(call)


INTERACTIONS = (
    Interaction("read", "instance", "Ti", "GET", read.read),
    Interaction("vread", "instance", "Tihv", "GET", read.vread),
    Interaction("update", "instance", "Ti", "PUT", write.write),
    Interaction("patch", "instance", "Ti", "PATCH", write.write),
    Interaction("delete", "instance", "Ti", "DELETE", write.write),
    Interaction("history-instance", "instance", "Tih", "GET", read.history),
    Interaction("history-type", "type", "Th", "GET", read.history),
    Interaction("create", "type", "T", "POST", write.write),
    Interaction("search-type", "type", "T", "GET", read.search),
    Interaction("search-type", "type", "Ts", "POST", read.search),
    Interaction("conditional-update", "type", "T", "PUT", write.write),
    Interaction("conditional-patch", "type", "T", "PATCH", write.write),
    Interaction("conditional-delete", "type", "T", "DELETE", write.write),
    Interaction("search-compartment", "instance", "Ti*", "GET", read.search),
    Interaction("search-compartment", "instance", "Ti*s", "POST", read.search),
    Interaction("search-compartment", "instance", "TiT", "GET", read.search),
    Interaction("search-compartment", "instance", "TiTs", "POST", read.search),
    Interaction("transaction", "system", "", "POST", submit),
    Interaction("batch", "system", "", "POST", submit),
    Interaction("search-system", "system", "", "GET", read.search),
    Interaction("search-system", "system", "s", "POST", read.search),
    Interaction("history-system", "system", "h", "GET", read.history),
    Interaction("capabilities", "system", "m", "GET", capabilities),
    *(Interaction("operation", level, shape, method, operate) for level, shape in (("system", "$"), ("type", "T$"), ("instance", "Ti$")) for method in ("GET", "POST")),
)
SHAPES: dict[str, dict[str, Interaction]] = {}
"""By the address's shape, then by method. T a type, i an id, v a version, h _history, s _search, m metadata, $ an operation, * itself."""
for _row in INTERACTIONS:
    SHAPES.setdefault(_row.shape, {}).setdefault(_row.method, _row)

NEVER = {
    "AuditEvent": frozenset({"update", "patch", "delete", "conditional-update", "conditional-patch", "conditional-delete", "history-instance", "history-type"}),
    "Binary": frozenset({"patch", "conditional-patch"}),
}
"""Interactions that a type never has: the log is written once, and content is not patched (https://hl7.org/fhir/R4/binary.html#rest)."""
_LITERALS = {(0, "metadata"): "m", (2, "*"): "*", **{(place, "_history"): "h" for place in (0, 1, 2)}, **{(place, "_search"): "s" for place in (0, 1, 3)}}


def target(path: str) -> Target:
    """What a path below the base names (no leading slash, one at the end is nothing). Errors: Absent for what is no FHIR address."""
    parts = path.removesuffix("/").split("/") if path and path != "/" else []
    if len(parts) == 2 and _type(parts[0]) and parts[1] and parts[1][0] not in "_$*":
        return Target("Ti", parts[0], parts[1])
    letters = [_letter(place, part) for place, part in enumerate(parts)]
    shape = "".join(letters)
    if shape not in SHAPES:
        raise _unknown(path, parts)
    named = dict(zip(letters, parts)) if len(set(letters)) == len(letters) else {"T": parts[0], "i": parts[1]}
    other = parts[2] if shape.startswith("TiT") else ""
    return Target(shape, named.get("T", ""), named.get("i", ""), named.get("v", ""), other, named.get("$", "")[1:])


def _letter(place: int, part: str) -> str:
    if part.startswith("$") and len(part) > 1:
        return "$"
    if (place, part) in _LITERALS:
        return _LITERALS[place, part]
    if place in (0, 2):
        return "T" if _type(part) else "?"
    return ("", "i", "", "v")[place] if place < 4 and part and part[0] not in "_$*" else "?"


def _type(name: str) -> bool:
    return name in definitions.TYPES


def _unknown(path: str, parts: list[str]) -> Absent:
    if parts and not _type(parts[0]) and parts[0][:1] not in ("_", "$") and parts[0] != "metadata":
        return Absent(f"{parts[0]!r} is no resource type of R4 that is served here.")
    return Absent(f"{path!r} is no address of the FHIR API.")


def allowed(target: Target, method: str) -> Interaction:
    """The interaction of a method at an address. Errors: NotAllowed with Allow."""
    found = SHAPES[target.shape].get("GET" if method == "HEAD" else method)
    if found is None or found.code in NEVER.get(target.other or target.type, ()):
        raise NotAllowed(f"{method} is not possible at {target.path or 'the base'}.", headers={"Allow": allow(target)})
    return found


def allow(target: Target) -> str:
    """The value of Allow for an address."""
    never = NEVER.get(target.other or target.type, frozenset())
    methods = [row.method for row in SHAPES[target.shape].values() if row.code not in never]
    return ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])


async def perform(call: Call) -> Answer:
    """Does what a call asks. Errors: NotAllowed, and all of the interaction; each refusal has left its record."""
    try:
        return await allowed(call.target, call.method).answer(call)
    except Failure as failure:
        if call.target.shape != "m":
            await call.records.refused(failure, event(call.target, call.method), asked.text(call.pairs))
        raise


def event(target: Target, method: str) -> Event:
    """What the log says was tried with a method at an address."""
    row = SHAPES[target.shape].get("GET" if method == "HEAD" else method)
    code = _SAID.get(row.code, row.code.removeprefix("conditional-")) if row else _TRIED.get(method, "read")
    entity = f"{target.type}/{target.id}" if target.id else ""
    return Event(_ACTIONS.get(code, "E"), f"${target.operation}" if target.operation else code, entity)


_SAID = {"search-compartment": "search-type"}
_TRIED = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
"""What a method is taken for at an address where it is never possible."""
_ACTIONS = {"create": "C", "read": "R", "vread": "R", "update": "U", "patch": "U", "delete": "D"}
