"""The access record: one compact line a request, and which AuditEvent search parameter each of its columns answers.

https://hl7.org/fhir/R4/auditevent.html#search. `events.render` makes AuditEvents of records; the tables here say the same in columns.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from app import errors
from app.audit import codes
from app.caller import Caller
from app.search.query import ALL, NONE, And, Clause, Compare, Has, Not, Or, Stamp, both, either
from app.store.base import Access, Event

VERSION = 1
_COLUMNS = ("at", "outcome", "organization", "client", "user", "agent_name", "address", "site", "policy", "purpose", "request", "type")


def access(caller: Caller, *, at: int, events: tuple[Event, ...], outcome: str, site: str, query: str = "", reason: str = "", type: str = "rest") -> Access:
    """The record of one request: who (caller), what (events, one a patient and resource), how it ended.

    at: microseconds UTC; outcome: `0` done, `4` refused, `8` failed here; site: this server's name; query: the search as asked; reason: of a refusal.
    The journal gives it its slot.
    """
    made = Access("", 0, at, outcome, caller.organization, caller.client, caller.user, "", caller.address, site,
                  f"urn:ietf:params:oauth:jti:{caller.token}" if caller.token else "", caller.purpose, caller.request, type, events, b"")
    made.plain = json.dumps([VERSION, *(getattr(made, c) for c in _COLUMNS), events, caller.base, query, reason], ensure_ascii=False, separators=(",", ":")).encode()
    return made


def decode(plain: bytes, journal: str, sequence: int) -> Access:
    """The record that `plain` holds, in its slot. Errors: ValueError for a version that this server does not know."""
    version, *values = json.loads(plain)
    if version != VERSION:
        raise ValueError(f"access record of version {version}")
    return Access(journal, sequence, *values[:len(_COLUMNS)], tuple(Event(*e) for e in values[len(_COLUMNS)]), plain)


def details(access: Access) -> tuple[str, str, str]:
    """(base, query, reason): what is told but not searched."""
    return tuple(json.loads(access.plain)[-3:])


def event_id(access: Access, ordinal: int) -> str:
    """The id of an AuditEvent that is rendered from a record."""
    return f"{access.journal}.{access.sequence}.{ordinal}"


def parse_id(id: str) -> tuple[str, int, int] | None:
    """(journal, sequence, ordinal) of a rendered event's id; None for the id of anything else."""
    parts = id.split(".")
    if len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal() and len(parts[1]) < 19 and len(parts[2]) < 10:
        return parts[0], int(parts[1]), int(parts[2])
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """One index row that a rendered event has: its system, and its value from `column` or the constant `code`, where `when` holds.

    `ask` turns what is sought into the column's form; None where it can never be there.
    """

    column: str = ""
    code: str = ""
    system: str = ""
    when: Clause = ALL
    ask: Callable[[str], str | None] = str


def _is(column: str, *values) -> Clause:
    return Stamp((Compare(column, "in", values),))


def _organization(reference: str) -> str | None:
    return reference.removeprefix("Organization/") if reference.startswith("Organization/") else None


_REST, _OTHER = _is("type", "rest"), Not(_is("type", "rest"))
_QUERY = _is("subtype", *codes.QUERIES)
_PATIENT = Stamp((Compare("patient", "some"),))
_ENTITY = And((Stamp((Compare("entity", "some"),)), Not(_QUERY)))

ANSWERS: dict[str, tuple[Answer, ...]] = {
    "action": (Answer("action", system=codes.ACTION),),
    "outcome": (Answer("outcome", system=codes.OUTCOME),),
    "type": (Answer("type", system=codes.TYPE, when=_REST), Answer("type", system=codes.DCM, when=_OTHER)),
    "subtype": (Answer("subtype", system=codes.INTERACTION, when=_REST), Answer("subtype", system=codes.DCM, when=_OTHER)),
    "date": (Answer("at"),),
    "patient": (Answer("patient"), Answer("entity", when=And((_ENTITY, Stamp((Compare("entity", "prefix", "Patient/"),)))))),
    "entity": (Answer("patient"), Answer("entity", when=_ENTITY)),
    "entity-type": (Answer(code="2", system=codes.ENTITY_TYPE, when=Or((_ENTITY, _QUERY))), Answer(code="1", system=codes.ENTITY_TYPE, when=_PATIENT),
                    Answer(code="XrequestId", system=codes.BALP_ENTITY, when=Stamp((Compare("request", "some"),)))),
    "entity-role": (Answer(code="4", system=codes.OBJECT_ROLE, when=_ENTITY), Answer(code="24", system=codes.OBJECT_ROLE, when=_QUERY),
                    Answer(code="1", system=codes.OBJECT_ROLE, when=_PATIENT)),
    "entity-name": (), "altid": (), "agent-role": (),
    "entity:identifier": (Answer("request"),),
    "agent": (Answer("organization", ask=_organization),),
    "agent:identifier": (Answer("client"), Answer("site"), Answer("user")),
    "agent-name": (Answer("agent_name"),),
    "address": (Answer("address"), Answer("site")),
    "policy": (Answer("policy"),),
    "site": (Answer("site"),),
    "source": (), "source:identifier": (Answer("site"),),
}
"""AuditEvent search parameter -> the rows that answer it. What stands here is what a search of the log can ask."""
_STAMPS = {"updated": "at", "number": "number"}


def translate(clause: Clause) -> Clause:
    """A parsed clause on AuditEvents as one on the columns of Access and Event. Errors: Unsupported for what they cannot answer."""
    if isinstance(clause, And):
        return both(*(translate(p) for p in clause.parts))
    if isinstance(clause, Or):
        return either(*(translate(p) for p in clause.parts))
    if isinstance(clause, Not):
        return Not(translate(clause.part))
    if isinstance(clause, Stamp):
        return both(*(_stamp(c) for c in clause.compares))
    if isinstance(clause, Has) and len(clause.tests) == 1:
        name = clause.tests[0].param.removeprefix("AuditEvent.")
        if name in ANSWERS:
            return either(*(_answered(a, clause.tests[0].compares, name) for a in ANSWERS[name]))
        raise errors.Unsupported(f"The log cannot be searched by {name}.", expression=name)
    raise errors.Unsupported("The log is searched by its own parameters, without chains.")


def _stamp(compare: Compare) -> Clause:
    if compare.column == "id":
        values = compare.value if compare.how == "in" else (compare.value,)
        return either(*(And((_is("journal", journal), _is("sequence", sequence), _is("ordinal", ordinal)))
                        for journal, sequence, ordinal in filter(None, map(parse_id, values))))
    if compare.column == "type":
        return ALL if compare.value == "AuditEvent" or (compare.how == "in" and "AuditEvent" in compare.value) else NONE
    if compare.column in _STAMPS:
        return Stamp((compare._replace(column=_STAMPS[compare.column]),))
    raise errors.Unsupported(f"The log cannot be searched by {compare.column}.")


def _answered(answer: Answer, compares: tuple[Compare, ...], name: str) -> Clause:
    """The clause that the answer's row is there and meets all comparisons."""
    parts = [answer.when]
    if answer.column == "user" and name == "agent:identifier":  # the column holds issuer|subject
        return both(answer.when, *_user(compares))
    for compare in compares:
        parts.append(_compared(answer, compare))
    if answer.column and answer.column != "at":
        parts.append(Stamp((Compare(answer.column, "some"),)))
    return NONE if NONE in parts else both(*parts)


def _compared(answer: Answer, compare: Compare) -> Clause:
    if compare.column == "system":
        return ALL if _meets(answer.system, compare) else NONE
    if not answer.column:
        return ALL if compare.column == "code" and _meets(answer.code, compare) else NONE
    if compare.how in ("none", "some"):
        return Stamp((Compare(answer.column, compare.how),))
    value = compare.value
    if isinstance(value, str):
        value = answer.ask(value)
        return NONE if value is None else Stamp((Compare(answer.column, compare.how, value),))
    if isinstance(value, tuple):
        value = tuple(v for v in map(answer.ask, value) if v is not None)
        return Stamp((Compare(answer.column, compare.how, value),)) if value else NONE
    return Stamp((Compare(answer.column, compare.how, value),))


def _user(compares: tuple[Compare, ...]) -> list[Clause]:
    sought = {c.column: c for c in compares}
    system, code = sought.get("system"), sought.get("code")
    if system is not None and code is not None and system.how == code.how == "eq":
        return [_is("user", f"{system.value}|{code.value}")]
    if system is not None and system.how == "eq":
        return [Stamp((Compare("user", "prefix", f"{system.value}|"),))]
    if code is not None and code.how == "eq":
        return [Stamp((Compare("user", "contains", f"|{code.value}"),))]
    return [Stamp((Compare("user", "some"),))]


def _meets(value: str, compare: Compare) -> bool:
    how, sought = compare.how, compare.value
    return {"eq": lambda: value == sought, "in": lambda: value in sought, "prefix": lambda: value.startswith(sought), "contains": lambda: sought in value,
            "some": lambda: value != "", "none": lambda: value == ""}.get(how, lambda: False)()
