"""Which AuditEvent search parameter is answered by which columns of an access record and its events.

A search is parsed once for all types (app.search.parse); here its tests on index rows become tests on columns, such that a record's
event is found exactly if its rendered AuditEvent would be. https://hl7.org/fhir/R4/auditevent.html#search
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from app import errors
from app.audit import packed, shapes
from app.audit.identity import parse_id
from app.search.match import compare as holds
from app.search.query import ALL, NONE, And, Back, Clause, Compare, Has, Link, Not, Or, Stamp, Test, both, either
from app.search.types.string import normal

LOG = "AuditEvent"
_VERSIONED = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})/_history/([1-9]\d{0,17})", re.ASCII)


class Answer(NamedTuple):
    """An index row that rendered events of some records have. `where` says which; each column is a text, the same for all of them, or
    a function from a comparison on the row to a clause on the record; None is empty."""

    where: Clause = ALL
    code: str | Callable[[Compare], Clause] | None = None
    system: str | None = None
    text: str | Callable[[Compare], Clause] | None = None
    low: Callable[[Compare], Clause] | None = None
    high: Callable[[Compare], Clause] | None = None


def column(name: str) -> Callable[[Compare], Clause]:
    """The row's column is this one; empty texts are none."""
    def answer(compare: Compare) -> Clause:
        if compare.how == "ne":
            return both(some(name), Not(equal(name, compare.value)))
        return Stamp((compare._replace(column=name),))
    return answer


def some(name: str) -> Clause:
    return Stamp((Compare(name, "some"),))


def equal(name: str, *values: str) -> Clause:
    return Stamp((Compare(name, "eq", values[0]) if len(values) == 1 else Compare(name, "in", values),))


def starts(name: str, text: str) -> Clause:
    return Stamp((Compare(name, "prefix", text),))


def contains(name: str, text: str) -> Clause:
    return Stamp((Compare(name, "contains", text),))


# columns that hold a text in two forms, see app.audit.packed

def _values(compare: Compare) -> tuple[str, ...]:
    """The values of an equality. Errors: Unsupported for another comparison."""
    if compare.how not in ("eq", "in"):
        raise errors.Unsupported(f"The log does not answer the comparison {compare.how!r} here.")
    return compare.value if compare.how == "in" else (compare.value,)


def _written(name: str, mark: str) -> Callable[[Compare], Clause]:
    return lambda compare: either(*(contains(name, packed.exactly(mark, v)) for v in _values(compare)))


def _first(name: str) -> Callable[[Compare], Clause]:
    """The normal form that the column begins with."""
    return lambda compare: Stamp((_part(compare)._replace(column=name),)) if compare.value else ALL


def _part(compare: Compare) -> Compare:
    """A comparison with a part of a text. Errors: Unsupported for another."""
    if compare.how not in ("prefix", "contains"):
        raise errors.Unsupported(f"The log does not answer the comparison {compare.how!r} here.")
    return compare


def _second(compare: Compare) -> Clause:
    """The normal form of the site, in `address`. Searched anywhere in it, it is also found in the client's: both are one parameter's."""
    return contains("address", packed.SECOND + compare.value if _part(compare).how == "prefix" else compare.value)


def _folded(compare: Compare) -> Clause:
    """A site, which is kept without case."""
    return equal("site", *_values(compare))


# references

def _version(compare: Compare) -> Clause:
    """`Type/id/_history/n`."""
    found = [_VERSIONED.fullmatch(v) for v in _values(compare)]
    return either(*(Stamp((Compare("entity", "eq", m[1]), Compare("version", "eq", int(m[2])))) for m in found if m))


def _of_others(compare: Compare) -> Clause:
    """What names no patient: a patient's own resource is found by the event's patient."""
    values = tuple(v for v in _values(compare) if not v.startswith((shapes.PATIENT, "#")))
    return equal("entity", *values) if values else NONE


def _of_patients(inner: Callable[[Compare], Clause]) -> Callable[[Compare], Clause]:
    """Only what names a patient."""
    def answer(compare: Compare) -> Clause:
        values = tuple(v for v in _values(compare) if v.startswith(shapes.PATIENT))
        return inner(Compare("code", "eq", values[0]) if len(values) == 1 else Compare("code", "in", values)) if values else NONE
    return answer


def _organization(compare: Compare) -> Clause:
    values = tuple(v.partition("/")[2] for v in _values(compare) if v.startswith("Organization/"))
    return both(some("organization"), equal("organization", *values)) if values else NONE


def _user(compares: tuple[Compare, ...]) -> Clause:
    """The person's identifier, `issuer|subject`, of which either part may be asked for alone."""
    asked = {c.column: c for c in compares}
    subjects = _values(asked["code"]) if "code" in asked else None
    if "system" not in asked:
        return some("user") if subjects is None else either(*(contains("agent_name", packed.exactly(packed.SUBJECT, s)) for s in subjects))
    issuer = asked["system"].value
    if subjects is None:
        return starts("user", issuer + "|") if issuer else both(some("user"), Not(contains("user", "|")))
    named = tuple(f"{issuer}|{s}" if issuer else s for s in subjects if issuer or "|" not in s)
    return both(some("user"), equal("user", *named)) if named else NONE


# kinds of events

def _shaped(shape: str) -> Clause:
    codes = tuple(code for code, kind in shapes.KINDS.items() if kind.shape == shape)
    return either(equal("subtype", *codes), OPERATION) if shape == shapes.OPERATION.shape else equal("subtype", *codes)


def _coded(where: Clause, coding: shapes.Coding) -> Answer:
    return Answer(where, coding.code, coding.system, normal(coding.display) if coding.display else None)


def _profiles() -> tuple[Answer, ...]:
    by_name: dict[str, list[str]] = {}
    for code, kind in shapes.KINDS.items():
        if kind.profile:
            by_name.setdefault(kind.profile, []).append(code)
    found = []
    for codes in by_name.values():
        for patient, known in ((True, KNOWN), (False, Not(KNOWN))):
            url = shapes.profile(shapes.KINDS[codes[0]], patient)
            found.append(Answer(both(equal("outcome", "0"), equal("subtype", *codes), known), url, None, url))
    return tuple(found)


OPERATION = starts("subtype", "$")
DATA, QUERY, JOURNAL = _shaped("data"), _shaped("query"), _shaped("journal")
KNOWN, ENTITY, REQUEST = some("patient"), some("entity"), some("request")
A_PATIENT = starts("entity", shapes.PATIENT)
_TOUCHED = Answer(KNOWN, _of_patients(column("patient")))
_ENTITIES = (Answer(ENTITY, _of_others), Answer(ENTITY, _version), _TOUCHED, Answer(REQUEST), Answer(DATA), Answer(JOURNAL))
_OTHER = both(QUERY, ENTITY, Not(A_PATIENT))

ANSWERS: dict[str, tuple[Answer, ...]] = {
    "action": (Answer(code=column("action"), system="http://hl7.org/fhir/audit-event-action"),),
    "address": (Answer(some("address"), _written("address", packed.NAME), None, _first("address")), Answer(ALL, _folded, None, _second)),
    "agent": (Answer(some("organization"), _organization), Answer()),
    "agent:identifier": (Answer(ALL, column("client"), ""), Answer(ALL, _folded, "")),
    "agent-name": (Answer(contains("agent_name", packed.NAME), _written("agent_name", packed.NAME), None, _first("agent_name")),),
    "agent-role": (),
    "altid": (),
    "date": (Answer(low=column("at"), high=column("at")),),
    "entity": _ENTITIES,
    "entity:identifier": (Answer(REQUEST, column("request"), ""), Answer(JOURNAL, column("journal"), "")),
    "entity-name": (),
    "entity-role": (_coded(DATA, shapes.IS_DATA), _coded(_OTHER, shapes.IS_DATA), _coded(QUERY, shapes.IS_QUERY), _coded(KNOWN, shapes.IS_PATIENT),
                    _coded(JOURNAL, shapes.IS_SECURITY)),
    "entity-type": (_coded(REQUEST, shapes.TRANSACTION), _coded(either(DATA, QUERY, JOURNAL), shapes.OBJECT), _coded(_OTHER, shapes.OTHER), _coded(KNOWN, shapes.PERSON)),
    "outcome": (Answer(code=column("outcome"), system="http://hl7.org/fhir/audit-event-outcome"),),
    "patient": (_TOUCHED, Answer(A_PATIENT, _of_patients(_version))),
    "policy": (Answer(some("policy"), column("policy"), None, column("policy")),),
    "site": (Answer(ALL, _folded, "", _second),),
    "source": (Answer(),),
    "source:identifier": (Answer(ALL, _folded, ""),),
    "subtype": (*(_coded(equal("subtype", code), kind.subtype) for code, kind in shapes.KINDS.items()), _coded(OPERATION, shapes.OPERATION.subtype),
                Answer(OPERATION, column("subtype"), shapes.OURS)),
    "type": tuple(_coded(equal("type", code), coding) for code, coding in shapes.TYPES.items()),
    "_profile": _profiles(),
    "_security": (), "_source": (), "_tag": (),
}
"""Code of a parameter (with `:identifier` for that modifier) -> the rows that rendered events have. None: it never finds one of the log."""
JOINED = {"agent:identifier": _user}
"""Parameters that also read two columns of a row at once from one column of the record."""


def translate(clause: Clause) -> Clause:
    """The clause on index rows of AuditEvent as one on columns of Access and Event (journal, sequence and ordinal too).

    Errors: Unsupported, by name, for whatever no column answers; chains are led to their ends before (app.page).
    """
    if isinstance(clause, And):
        return both(*map(translate, clause.parts))
    if isinstance(clause, Or):
        return either(*map(translate, clause.parts))
    if isinstance(clause, Not):
        return Not(translate(clause.part))
    if isinstance(clause, Has) and len(clause.tests) == 1:
        return _named(clause.tests[0])
    if isinstance(clause, Stamp):
        return both(*map(_stamp, clause.compares))
    raise errors.Unsupported(f"{_name(clause)}: access records are not searched by _has or lists; search by the id, with :identifier, or by a chain.", expression=_name(clause))


def _named(test: Test) -> Clause:
    """Errors: as _test, of the parameter's name."""
    try:
        return _test(test)
    except errors.Unsupported as failure:
        raise failure.at(test.param)


def _name(clause: Clause) -> str:
    return clause.param if isinstance(clause, (Link, Back)) else type(clause).__name__


def _test(test: Test) -> Clause:
    type, _, code = test.param.partition(".")
    if type != LOG or code.partition(":")[0] not in ANSWERS:
        raise errors.Unsupported(f"The log does not answer {test.param}.")
    found = [c for answer in ANSWERS.get(code, ()) if (c := _answered(answer, test.compares)) != NONE]
    if code in JOINED:
        found.append(JOINED[code](test.compares))
    return either(*found)


def _answered(answer: Answer, compares: tuple[Compare, ...]) -> Clause:
    parts = []
    for compare in compares:
        value = getattr(answer, compare.column)
        if callable(value):
            parts.append(value(compare))
        elif not holds(value, compare, 0):
            return NONE
    if NONE in parts:
        return NONE
    # an equality on a column says by itself that the column is not empty
    return both(*parts) if answer.where in (ENTITY, KNOWN, REQUEST, A_PATIENT) and any(_pins(p) for p in parts) else both(answer.where, *parts)


def _pins(clause: Clause) -> bool:
    return isinstance(clause, Stamp) and any(c.how in ("eq", "in") and c.value for c in clause.compares)


def _stamp(compare: Compare) -> Clause:
    if compare.column == "updated":
        return Stamp((compare._replace(column="at"),))
    if compare.column != "id":
        raise errors.Unsupported(f"The log does not answer {compare.column}.", expression=f"{LOG}.{compare.column}")
    slots = [slot for v in _values(compare) if (slot := parse_id(v))]
    return either(*(Stamp((Compare("journal", "eq", j), Compare("sequence", "eq", s), Compare("ordinal", "eq", o))) for j, s, o in slots))
