"""Random records and random searches: columns find, count, order and page what the rendered AuditEvents' own index rows say, on both stores."""
from __future__ import annotations

from random import Random

import pytest

from app import errors
from app.audit import shapes
from app.audit.answers import translate
from app.audit.events import render
from app.caller import Caller
from app.fhir import validate
from app.search import index, match, parse
from app.store.base import Access, Entry, Event
from tests.audit.making import NOON, made
from tests.search.judge import CONTEXT, Nobody

ACTIONS = {"create": "C", "read": "R", "vread": "R", "update": "U", "patch": "U", "delete": "D"}
REFS = ["Patient/1", "Patient/2", "Patient/A-b.c", "Observation/1", "Observation/2", "Organization/o", "ImagingStudy/5", "Nothing/a b", "Patient/ 1", "", "", "AuditEvent/log.1.0"]
NAMES = ["", "李医生", "李 四", "Lee, Ann", "lee ann", "Ann|Lee", "Ünal Ö", "𠮷田", "a\\b", "O'Neil"]
USERS = ["", "u-203", "https://idp.a|u-203", "https://idp.b|u-203", "https://idp.a|", "|u-1", "https://idp.a|a|b", "u,1"]
ADDRESSES = ["", "10.1.7.9", "10.1.7.90", "fe80::1", "PC-17.chc.example", "pc-17.chc.example"]
SITES = ["fhir.alliance.example", "http://Server.example/fhir", "站点.example"]
CLIENTS = ["", "client-1", "Client-1", "client-10", "客户端"]


def some_record(random: Random, step: int) -> Access:
    pick = random.choice
    caller = Caller(pick(["", "a", "b", "chc-17"]), pick(CLIENTS), user=pick(USERS), purpose=pick(["TREAT", "ETREAT", ""]), address=pick(ADDRESSES), request=pick(["", "r-1", "r-2", f"r-{step}"]),
                    token=pick(["", "8f2c", "8f2c9"]), base=pick(["http://test/fhir", ""]))
    happened = [some_event(random) for _ in range(pick([1, 1, 1, 2, 5]))]
    return made(caller, *happened, at=NOON + random.choice([0, 1, 1000, 1_000_000, 3_600_000_000, 86_400_000_000]) * random.randint(-3, 3), outcome=pick(["0", "0", "0", "4", "8", "12"]),
                site=pick(SITES), query=pick(["", "name=张&x=1", "\x01"]), reason=pick(["", "Not permitted."]), name=pick(NAMES), type=pick(["rest"] * 5 + ["110100", "110114"]), slot=(pick(["log", "0f"]), step))


def some_event(random: Random) -> Event:
    subtype = random.choice([*shapes.KINDS, "$everything", "$match"])
    if subtype == "journal-open":
        return Event("E", subtype)
    entity = random.choice(REFS)
    version = random.choice([0, 0, 1, 2, 12]) if subtype in ACTIONS and entity and " " not in entity else 0  # what is there has a version, and an id that is one
    return Event(ACTIONS.get(subtype, "E"), subtype, entity, version, random.choice(["", "", "Patient/1", "Patient/2", "Patient/3"]))


def values(resources: list[dict]) -> dict[str, list[str]]:
    """What may be asked for: texts that stand in the resources and their parts, by parameter."""
    found: dict[str, set[str]] = {}

    def add(code: str, *texts) -> None:
        found.setdefault(code, set()).update(t for t in texts if t)

    for r in resources:
        add("action", r["action"], f"http://hl7.org/fhir/audit-event-action|{r['action']}")
        add("outcome", r["outcome"])
        add("date", r["recorded"], r["recorded"][:10], r["recorded"][:7], "ge" + r["recorded"], "lt" + r["recorded"], "ap" + r["recorded"][:10])
        add("_lastUpdated", "gt" + r["recorded"], "le" + r["recorded"])
        add("_id", r["id"], r["id"] + "0")
        add("site", escaped(r["source"]["site"]))
        add("source:identifier", escaped(r["source"]["observer"]["identifier"]["value"]))
        for agent in r["agent"]:
            who = agent["who"]
            add("agent", who.get("reference"))
            if "identifier" in who:
                system, value = who["identifier"].get("system", ""), who["identifier"].get("value", "")
                add("agent:identifier", escaped(value), *([f"{escaped(system)}|{escaped(value)}", f"{escaped(system)}|"] if system else [f"|{escaped(value)}"]))
            for code, text in (("agent-name", agent.get("name")), ("address", agent.get("network", {}).get("address"))):
                if text:
                    for modifier in ("", ":exact", ":contains"):
                        add(code + modifier, escaped(text), escaped(text[:2]), escaped(text[1:4]), escaped(text.swapcase()))
            add("policy", *agent.get("policy", ()))
        for entity in r["entity"]:
            reference = entity.get("what", {}).get("reference")
            for code in ("entity", "patient"):
                add(code, reference, reference and reference.partition("/_history")[0])
            add("entity:identifier", entity.get("what", {}).get("identifier", {}).get("value"))
            add("entity-type", entity["type"]["code"], f"{entity['type']['system']}|{entity['type']['code']}")
            add("entity-role", entity.get("role", {}).get("code"))
        for coding in [*r["subtype"], r["type"]]:
            for code in ("subtype", "type"):
                add(code, coding["code"], f"{coding['system']}|{coding['code']}", f"{coding['system']}|")
        add("_profile", *r["meta"].get("profile", ()))
    for code in ("action", "outcome", "subtype", "type", "entity-type", "entity-role", "site"):
        add(code + ":not", *[v for v in found[code]])
    for code in ("agent", "agent-name", "agent-role", "address", "altid", "entity", "entity-name", "entity-role", "entity-type", "patient", "policy", "site", "subtype", "_profile"):
        add(code + ":missing", "true", "false")
    add("agent-role", "x")
    add("altid", "u-203")
    add("entity-name", "x")
    add("source", "Device/1")
    return {code: sorted(texts) for code, texts in found.items()}


def escaped(text: str) -> str:
    return "".join("\\" + c if c in "\\,|$" else c for c in text)


def some_query(random: Random, known: dict[str, list[str]]) -> list[tuple[str, str]]:
    pairs = []
    for code in random.sample(sorted(known), random.choice([1, 1, 2, 3])):
        several = not code.endswith(":missing") and random.random() < 0.2
        pairs.append((code, ",".join(random.choices(known[code], k=2)) if several else random.choice(known[code])))
    return pairs


@pytest.mark.parametrize("seed", range(4))
async def test_columns_find_count_order_and_page_what_the_rendered_events_would(world, seed):
    random = Random(seed)
    records = [some_record(random, step) for step in range(1, 61)]
    await world.store.keep(records)
    kept = {(r.journal, r.sequence): r for r in records}
    rendered = [(record, n, render(record, n)) for record in kept.values() for n in range(len(record.events))]
    assert [i for _, _, r in rendered for i in validate.validate(r)] == []
    entries = [(record, n, Entry("AuditEvent", r["id"], 1, b"", updated=record.at), index.rows(r, CONTEXT.zone, CONTEXT.base)) for record, n, r in rendered]
    known, tried, hits = values([r for _, _, r in rendered]), 0, 0
    for _ in range(250):
        pairs = some_query(random, known)
        try:
            parsed = parse.parse(("AuditEvent",), pairs, CONTEXT).query
        except errors.Invalid:
            continue
        where = translate(parsed.where)
        expected = {(record.at, record.number, n): e.id for record, n, e, rows in entries if match.match(parsed, e, rows, Nobody(), CONTEXT.now)}
        for ascending in (False, True):
            found, after = [], None
            while page := await world.store.events(where, limit=random.choice([7, 100]), after=after, ascending=ascending):
                found += page
                after = page[-1].place
            assert [s.place for s in found] == sorted(expected, reverse=not ascending), pairs
        assert await world.store.count_events(where) == len(expected), pairs
        tried, hits = tried + 1, hits + bool(expected)
    assert tried > 150 and hits > tried / 3
