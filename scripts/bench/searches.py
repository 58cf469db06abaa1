"""Measures a table of searches on stores of growing size, so that what grows is seen: `python -m scripts.bench.searches 1000 10000`.

Each column is a number of patients (six resources each); each line the least microseconds of processor time of `store.search` for a page of
20 on the embedded store, parsing and HTTP left out. `--only TEXT` measures those whose name or address holds TEXT; `--keep FOLDER` keeps the stores.
"""
from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time

from app.caller import Caller
from app.search import index, parse, stamp
from app.search.query import Clause, Compare, Stamp
from app.sharing import policy
from app.store.base import Entry, Fact
from app.store.sqlite import SqliteStore, read
from app.store.sqlite import store as sqlite

ZONE, SHARED = "Asia/Shanghai", 50
SYSTEM, LOINC = "urn:oid:2.16.156.10011.1.13", "http://loinc.org"
NOW = 1_790_000_000_000_000
"""The moment of all requests: September 2026."""

SEARCHES = {
    "newest of a type": "Observation?",
    "an id": "Patient?_id=p7",
    "identifier": f"Patient?identifier={SYSTEM}|B7",
    "by patient": "Observation?patient=p7",
    "patient and code": "Observation?patient=p7&code=8867-4",
    "patient, code and date": "Observation?patient=p7&code=8867-4&date=ge2023",
    "a common code": "Observation?code=8867-4",
    "a common code with its system": f"Observation?code={LOINC}|8867-4",
    "a code of one in a thousand": "Observation?code=rare",
    "a code, an unusual status": "Observation?code=8867-4&status=preliminary",
    "an unusual status by date": "Observation?status=preliminary&_sort=-date",
    "code and value": "Observation?code=8867-4&value-quantity=gt118",
    "a value by itself": "Observation?value-quantity=gt118",
    "values between": "Observation?value-quantity=ge100&value-quantity=le101",
    "code with value": "Observation?code-value-quantity=8867-4$gt118",
    "any of three codes": "Observation?code=8867-4,8480-6,rare",
    "any of two unusual codes": "Observation?code=rare,rarer",
    "a system alone": "Observation?code=http://loinc.org|",
    "a system that few have": "Observation?code=urn:few|",
    "none of a code": "Observation?code:not=8867-4",
    "a parameter missing": "Observation?encounter:missing=true",
    "since a date": "Observation?date=ge2026-03",
    "before a date": "Observation?date=lt2022-03",
    "a day": "Observation?date=2024-05-17",
    "a month, code": "Observation?date=2024-05&code=8867-4",
    "between two dates": "Observation?date=ge2024-03-01&date=le2024-03-02",
    "between two dates, an unusual status": "Observation?date=ge2023&date=le2025&status=preliminary",
    "born between, gender": "Patient?birthdate=ge1970-03-01&birthdate=le1970-06-01&gender=female",
    "born between, an unusual gender": "Patient?birthdate=ge1940&birthdate=le2000&gender=other",
    "birthdate and gender": "Patient?birthdate=ge1990&gender=female",
    "periods on a day": "Encounter?date=ge2024-05-17&date=le2024-05-17",
    "periods on a day, unusual class": "Encounter?date=ge2024-05-17&date=le2024-05-17&class=EMER",
    "periods that nobody has": "Encounter?date=ge2031&date=le2032",
    "dates that nobody has": "Observation?date=ge2031&date=le2032&code=8867-4",
    "a name": "Patient?name=欧阳",
    "the beginning of a common name": "Patient?name=王",
    "a part of a name": "Patient?name:contains=明",
    "a part that few have": "Patient?name:contains=p7x",
    "sorted by date": "Observation?_sort=-date",
    "a code sorted by date": "Observation?code=8867-4&_sort=-date",
    "sorted by name": "Patient?_sort=name",
    "an unusual gender sorted by name": "Patient?gender=other&_sort=name",
    "sorted by what many have not": "Patient?_sort=-death-date",
    "sorted by date, then status": "Observation?_sort=-date,status",
    "sorted by gender, then birthdate": "Patient?_sort=gender,-birthdate",
    "sorted by what changed last": "Patient?_sort=-_lastUpdated",
    "what changed lately": "Encounter?_lastUpdated=gt2026-09-21T13:00:00Z",
    "chained": "Observation?patient.name=欧阳",
    "chained to many": "Observation?patient.gender=male",
    "chained with a code": "Observation?patient.birthdate=1970-03&code=8867-4",
    "two hops": "Observation?patient.organization.name=Hospital 1",
    "a reverse chain of few": "Patient?_has:Observation:patient:code=rare",
    "a reverse chain of many": "Patient?_has:Observation:patient:code=8867-4",
    "a reverse chain with a chain": "Patient?_has:Encounter:patient:_has:Observation:encounter:code=rare",
    "a reverse chain to one with many": "Organization?_has:Patient:organization:birthdate=2019-12-31",
    "one parent, few of its many": "Organization?name=Hospital 0&_has:Patient:organization:birthdate=2019-12",
    "all types by what changed": "?_sort=-_lastUpdated",
    "two types, newest": "?_type=Organization,Condition",
    "all types, an id": "?_id=p7",
}
"""Name -> what is asked."""
SCOPED = ("newest of a type", "a common code", "a code sorted by date", "since a date", "the beginning of a common name", "chained to many", "sorted by name",
          "a reverse chain of many", "sorted by gender, then birthdate", "between two dates", "born between, gender")
"""Those that are measured again in a scope of SHARED patients: by the patients' names, by facts, and by custodian."""


def scopes() -> dict[str, Clause]:
    return {"": parse.parse((), [], parse.Context()).query.where, "50 named": Stamp((Compare("about", "in", tuple(f"Patient/p{i * 7}" for i in range(SHARED))),)),
            "small hospital": policy.scope(Caller("small", "bench")), "guest of 50": policy.scope(Caller("guest", "bench"))}


def query(text: str, scope: Clause):
    type, _, said = text.partition("?")
    search = parse.parse((type,) if type else (), parse.pairs(said), parse.Context(ZONE, "", NOW))
    return policy.restrict(search.query, scope)


# a store of invented patients


def resources(i: int, chance: random.Random):
    """Patient i with an encounter, a condition and three observations."""
    day = f"{chance.randint(2022, 2026)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    subject, hospital = {"reference": f"Patient/p{i}"}, {"reference": f"Organization/o{min(9, int(chance.expovariate(0.7)))}"}
    family = chance.choice("王" if chance.random() < .1 else "李张刘陈杨赵黄周吴徐孙马朱胡郭何高林罗郑") if chance.random() < .999 else "欧阳"
    yield {"resourceType": "Patient", "id": f"p{i}", "identifier": [{"system": SYSTEM, "value": f"B{i}"}], "gender": "other" if chance.random() < .01 else chance.choice(("male", "female")),
           "name": [{"family": family, "given": [chance.choice("明丽伟芳强敏")], "text": f"{family}p{i}x"}], "managingOrganization": hospital,
           "birthDate": f"{chance.randint(1930, 2019)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}", **({"deceasedDateTime": day} if chance.random() < .02 else {})}
    end = {} if chance.random() < .02 else {"end": f"{day}T{chance.randint(12, 23)}:00:00+08:00"}
    yield {"resourceType": "Encounter", "id": f"e{i}", "status": "finished", "class": {"code": "EMER" if chance.random() < .02 else "AMB"}, "subject": subject,
           "period": {"start": f"{day}T{chance.randint(0, 11):02}:00:00+08:00", **end}}
    yield {"resourceType": "Condition", "id": f"c{i}", "subject": subject, "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": f"I{chance.randint(10, 99)}"}]},
           "onsetPeriod": {"start": day}, "recordedDate": day}
    for k in range(3):
        code = "rare" if chance.random() < .001 else "rarer" if chance.random() < .0002 else chance.choice(("8867-4", "8480-6", "8310-5", "2708-6"))
        yield {"resourceType": "Observation", "id": f"v{i}-{k}", "status": "preliminary" if chance.random() < .01 else "final", "subject": subject,
               **({"encounter": {"reference": f"Encounter/e{i}"}} if chance.random() < .9 else {}),
               "code": {"coding": [{"system": "urn:few" if chance.random() < .0005 else LOINC, "code": code}]},
               "effectiveDateTime": f"{day}T{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:00+08:00",
               "valueQuantity": {"value": chance.randint(60, 119), "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}}


async def fill(store: SqliteStore, patients: int) -> None:
    chance = random.Random(1)
    made = [({"resourceType": "Organization", "id": f"o{i}", "name": f"Hospital {i}"}, -1) for i in range(10)]
    for i in range(patients):
        made += [(resource, i) for resource in resources(i, chance)]
        if len(made) > 5000 or i == patients - 1:
            await store.commit(lambda tx, made=made: _write(tx, made, patients))
            made = []


async def _write(tx, made, patients: int) -> None:
    """Every so many-th patient is the small hospital's, and another is shared with the guest."""
    each = patients // SHARED
    for resource, i in made:
        marks = stamp.stamp(resource, ZONE)
        custodian = "small" if i % each == 3 else f"h{i % 7}"
        facts = [Fact("allow", "guest", f"Patient/p{i}")] if i % each == 5 and resource["resourceType"] == "Condition" else []
        await tx.write(Entry(resource["resourceType"], resource["id"], 1, b'{"resourceType":"Any"}', NOW - 10**9 * 3600 + (tx.number * 10_000 + i) * 1000, custodian, marks.about, marks.many, 0, marks.date,
                             hash=b"0" * 32), index.rows(resource, ZONE), facts)


async def opened(folder: str, patients: int) -> SqliteStore:
    path = os.path.join(folder, f"{patients}.db")
    new = not os.path.exists(path)
    store = await SqliteStore.open(path, zone=ZONE)
    if new:
        await fill(store, patients)
    return store


async def steps(store, asked, at: int) -> int:
    """The hundreds of steps of SQLite's machine that a page takes: a measure that does not depend on the hour."""
    taken = 0

    def step():
        nonlocal taken
        taken += 1
    store._end()
    store._read.set_progress_handler(step, 100)
    read.search(store._read, store._names, asked, at, NOW, 21, None)
    store._read.set_progress_handler(None, 0)
    return taken


async def cost(store, asked, at: int, count: bool) -> float:
    """The least microseconds of a few runs."""
    times, until = [], time.perf_counter() + 0.3
    while len(times) < 3 or (time.perf_counter() < until and len(times) < 50):
        began = time.process_time()
        await (store.count(asked, at=at, now=NOW) if count else store.search(asked, at=at, now=NOW, limit=21))
        times.append(time.process_time() - began)
        await asyncio.sleep(0)
    return min(times) * 1e6


async def main(args) -> None:
    sqlite.PATIENCE = float("inf")  # what takes long is not begun twice
    with tempfile.TemporaryDirectory() as folder:
        stores = [await opened(args.keep or folder, n) for n in args.patients]
        ats = [await store.newest() for store in stores]
        print(f"{'':14} {'':38}" + "".join(f"{n:>12,}" for n in args.patients))
        for whose, scope in scopes().items():
            for name, text in SEARCHES.items():
                if (whose and name not in SCOPED) or (args.only and args.only not in f"{whose} {name} {text}"):
                    continue
                figures = [await cost(store, query(text, scope), at, args.count) for store, at in zip(stores, ats)]
                print(f"{whose:14} {name:38}" + "".join(f"{f:12,.0f}" for f in figures) + f"   {text}", flush=True)
        for store in stores:
            await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patients", type=int, nargs="*", default=[1000, 10000])
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", default="", help="a folder in which the stores are kept, and found again")
    parser.add_argument("--count", action="store_true", help="count instead of searching")
    asyncio.run(main(parser.parse_args()))
