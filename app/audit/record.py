"""The access record: who, for whom, why, what and with which outcome, in some 250 bytes; what its columns answer is in ANSWERS.

A record is versioned JSON (`plain`) from which all columns and the AuditEvents follow. Version 1 has the keys of KEYS, empty ones left out.
"""
from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from operator import itemgetter
from urllib.parse import unquote

import orjson

from app.audit import packed
from app.audit.answers import ANSWERS, translate
from app.audit.shapes import JTI, PATIENT
from app.caller import Caller
from app.store.base import Access, Event

__all__ = ["ANSWERS", "KEYS", "access", "again", "clean", "decode", "fields", "translate"]
VERSION = 1
KEYS = {"v": "version", "at": "microseconds UTC", "e": "events: action, subtype, entity, version, patient", "o": "outcome: 0, 4, 8 or 12", "t": "type, where it is not rest",
        "g": "organization", "c": "client", "u": "user, issuer|subject", "n": "name of the user", "a": "address of the client", "s": "site: this server", "p": "purpose, v3-ActReason",
        "r": "X-Request-Id", "j": "jti of the token", "b": "base that the client spoke to", "q": "query as asked", "w": "reason: why it was refused, or of an emergency"}
OUTCOMES = ("0", "4", "8", "12")
SECRET = re.compile(r"token|secret|passw|assertion|verifier|authorization|api_?key|credential", re.IGNORECASE)
"""Names of parameters whose values no record holds."""
_BEARER = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?i:bearer)[ +]+\S{8,}")
HIDDEN = "***"
LONGEST = 20_000
"""Characters of a query that a record holds; a longer one is cut, and its SHA-256 kept."""
ANONYMOUS = "anonymous"


def access(caller: Caller, *, at: int, events: tuple[Event, ...], outcome: str, site: str, query: str = "", reason: str = "", name: str = "", type: str = "rest") -> Access:
    """The record of one request. It has no slot yet: a journal gives it one, or the commit that it is written in.

    at: microseconds UTC; events: at least one; outcome: `0` success, `4` the client's fault, `8` the server's, `12` unusable;
    site: this server's name; query: what was asked, as text; reason: of a refusal; name: of the person. Errors: ValueError.
    """
    if outcome not in OUTCOMES or not events:
        raise ValueError(f"an access has an outcome of {OUTCOMES} and at least one event")
    made = {"v": VERSION, "at": at, "e": [_posting(*e) for e in events]}
    for key, value in (("o", outcome), ("t", "" if type == "rest" else type), ("g", caller.organization), ("c", clean(caller.client) or ANONYMOUS), ("u", _user(caller.user)),
                       ("n", clean(name)), ("a", clean(caller.address)), ("s", _site(site)), ("p", caller.purpose), ("r", clean(caller.request)),
                       ("j", caller.token and "".join(clean(caller.token).split())), ("b", caller.base), ("q", _short(_hidden(query))), ("w", _hidden(clean(reason)))):
        if value:
            made[key] = value
    return _columns(made, _encode(made))


def decode(plain: bytes) -> Access:
    """The record that `plain` holds, without its slot. Errors: ValueError for a version that is not known, or what is no record."""
    return _columns(fields(plain), plain)


def fields(plain: bytes) -> dict:
    """The keys of KEYS. Errors: ValueError."""
    made = orjson.loads(plain)
    if not isinstance(made, dict) or made.get("v") != VERSION:
        raise ValueError("no access record of a version that is known")
    return made


def again(record: Access, *, outcome: str, reason: str) -> Access:
    """The same access with another outcome and reason, without a slot."""
    made = {**fields(record.plain), "o": outcome, "w": clean(reason)}
    return _columns(made, _encode(made))


_MUST = itemgetter("at", "o", "c", "s")


def _columns(made: dict, plain: bytes) -> Access:
    at, outcome, client, site = _MUST(made)
    get = made.get
    user, token = get("u", ""), get("j")
    return Access("", 0, at, outcome, get("g", ""), client, user, packed.agent(user and get("n", ""), user), packed.addresses(get("a", ""), site), site,
                  JTI + token if token else "", get("p", ""), get("r", ""), get("t", "rest"), tuple([Event(*e) for e in made["e"]]), plain)


def _posting(action: str, subtype: str, entity: str, version: int, patient: str) -> list:
    """An event without its empty end. What is done to a patient's own resource concerns that patient; where an event is about another one
    (whom that resource mentions), a `#` says that its entity is told in words: so the column `patient` alone answers who was touched."""
    entity, patient = clean(entity), clean(patient)
    if entity[:8] == PATIENT and entity != patient:
        patient, entity = patient or entity, f"#{entity}" if patient else entity
    return [action, subtype, entity, version, patient] if patient else [action, subtype, entity, version] if version else [action, subtype, entity]


def _encode(made: dict) -> bytes:
    try:
        return orjson.dumps(made)
    except TypeError:  # half a surrogate pair in a text: JSON in UTF-8 cannot hold it
        whole = {key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value for key, value in made.items()}
        whole["e"] = [[v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in e] for e in made["e"]]
        made.update(whole)
        return orjson.dumps(made)


def clean(text: str) -> str:
    """What a FHIR string can hold: no control characters, nothing but text between its ends."""
    if text.isprintable() and text.strip() == text:
        return text
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@lru_cache(maxsize=100)
def _site(site: str) -> str:
    """Sites are compared without case."""
    return clean(site).casefold() or "unknown"


def _user(user: str) -> str:
    return user and clean(user).strip("|")


def _hidden(text: str) -> str:
    """A query, or words about one, without the secrets that stand in it."""
    parts = re.split(r"([&?;])", text) if SECRET.search(unquote(text)) else [text]
    named = [(part, unquote(part.partition("=")[0])) for part in parts]
    return _BEARER.sub(HIDDEN, "".join(f"{name}={HIDDEN}" if "=" in part and SECRET.search(name) else part for part, name in named))


def _short(query: str) -> str:
    if len(query) <= LONGEST:
        return query
    return f"{query[:LONGEST]}... (sha256 of all {len(query)} characters: {hashlib.sha256(query.encode('utf-8', 'replace')).hexdigest()})"
