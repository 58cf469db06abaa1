"""A process that maps ahead: what is stored and told is what it would be without, also where the process dies or another hand wrote meanwhile."""
from __future__ import annotations

import os
import re
import signal
import sqlite3
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest

from app.fhir import json
from app.main import open_world
from app.mapping import ahead, compiler, feed
from app.mapping.cases import SECRET
from app.records import Change, Prepared, Records
from app.settings import Settings
from scripts.kills import prepare
from tests.conftest import operator
from tests.mapping.making import HEAD, compiled, export

ROWS = 700
NOTES = """  note:
    type: Observation
    key: [note, = 号]
    meta: {tag: [{code: = 值}], security: [{system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: R}]}
    identifier: [{system: $mrn, value: = 号}]
    status: final
    code: {coding: [{system: "urn:h:item", code: = 号 | upper}], text: = 名}
    valueQuantity: {value: = 值 | number, unit: mm}
    effectiveDateTime: = 备注 | datetime('yyyyMMdd')
"""
WIDE = HEAD.replace("expect: [号, 名, 值], ignore: [备注]", "expect: [号, 名, 值, 备注]")


@contextmanager
def mapped_ahead(mapping, path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "LEAST", 0)
        with ahead.started(mapping, path, Prepared) as one:
            assert one is not None
            yield one


async def stored(folder, mapping, path, *, early: bool, before=None, during=None, **more):
    """What a run on a fresh store tells, and all that its tables hold of the site's resources."""
    with (mapped_ahead(mapping, path) if early else nullcontext()) as one:
        async with open_world(Settings(store=f"sqlite:{folder}/store.db", journals=str(folder / "journals"), open=True, bundle_limit=120)) as world:
            await world.store.value("import-secret", lambda: SECRET)
            if before:
                await before(world)
            done = await feed.run(world, mapping, path, ahead=one, progress=during and (lambda *_: during(one)), **more)
    con = sqlite3.connect(folder / "store.db")
    entries = con.execute("select n.text, e.id, version, about, many, labels, date, guard, deleted, method, cast(b.text as text) from entry e join name n on n.id=e.type"
                          " join body b using (number) where n.text<>'Task'").fetchall()
    rows = con.execute("select e.id, p.text, s.text, r.grp, r.code, r.text, low, high, span, words from row r join entry e on e.number=r.entry join name n on n.id=e.type"
                       " join name p on p.id=r.param left join name s on s.id=r.system where n.text<>'Task'").fetchall()
    con.close()
    timeless = [(*entry[:-1], re.sub(r'"lastUpdated":"[^"]+"', "", entry[-1])) for entry in entries]
    return replace(done, seconds=0), sorted(timeless), sorted(rows, key=repr)


async def both(tmp_path, mapping, path, **more):
    one = await stored(_made(tmp_path / "early"), mapping, path, early=True, **more)
    other = await stored(_made(tmp_path / "late"), mapping, path, early=False, **{name: value for name, value in more.items() if name != "during"})
    assert one == other
    return one


def _made(folder):
    folder.mkdir()
    return folder


async def test_rejects_holds_unmapped_codes_and_resources_are_the_same_as_without(tmp_path):
    mapping, path = prepare(tmp_path, ROWS)
    done, entries, _ = await both(tmp_path, compiler.compile(mapping), path)
    assert done.records == ROWS and len(done.by_code) > 2 and done.unmapped and len(entries) > ROWS / 2


async def test_index_stamp_and_text_are_those_that_the_commit_makes(tmp_path):
    path = export(tmp_path / "n.csv", *(f"{n},注{n},{n}.50,202601{n % 28 + 1:02}" for n in range(300)), "x,注,五,20260101", "y,注,1.0,")
    done, entries, rows = await both(tmp_path, compiled(tmp_path, NOTES, head=WIDE), path)
    assert (done.accepted, done.by_code) == (301, {"bad-number": 1}) and {entry[5] for entry in entries} == {1 << 4}
    assert '"value":12.50' in next(entry[-1] for entry in entries if "注12\"" in entry[-1]) and len(rows) > 3000


async def test_the_run_maps_the_rest_itself_where_the_process_is_killed(tmp_path):
    mapping, path = prepare(tmp_path, ROWS)
    killed = []

    def kill(one):
        if one and not killed:
            killed.append(os.kill(one.process.pid, signal.SIGKILL))
    done, *_ = await both(tmp_path, compiler.compile(mapping), path, during=kill)
    assert killed and done.records == ROWS


async def test_what_is_there_already_is_compared_and_changed_as_ever(tmp_path):
    mapping = compiled(tmp_path, NOTES, head=WIDE)
    first = export(tmp_path / "a.csv", *(f"{n},注{n},{n}.5,20260101" for n in range(200)))
    second = export(tmp_path / "b.csv", *(f"{n},注{n},{n + n % 3}.5,20260101" for n in range(220)))

    async def before(world):
        await feed.run(world, mapping, first)
        page = await Records(world, operator()).search(("Observation",), [("identifier", "urn:h:mrn|4")])
        other = json.loads(page.entries[0].text) | {"status": "amended"}
        await Records(world, operator()).commit([Change("update", "Observation", other["id"], other)])
    done, *_ = await both(tmp_path, mapping, second, before=before)
    assert done.by_code == {"edited-elsewhere": 1} and done.resources["Observation"] == {"created": 20, "updated": 132, "unchanged": 67}


async def test_a_search_parameter_of_the_store_has_its_rows_too(tmp_path):
    async def before(world):
        own = {"resourceType": "SearchParameter", "id": "unit", "url": "urn:h:unit", "name": "Unit", "status": "active", "description": "the unit of the value",
               "code": "unit", "base": ["Observation"], "type": "string", "expression": "(Observation.value as Quantity).unit"}
        await Records(world, operator()).commit([Change("update", "SearchParameter", "unit", own)])
    path = export(tmp_path / "n.csv", *(f"{n},注{n},{n}.5,20260101" for n in range(150)))
    _, _, rows = await both(tmp_path, compiled(tmp_path, NOTES, head=WIDE), path, before=before)
    assert sum(row[1] == "Observation.unit" for row in rows) == 150


async def test_a_record_of_the_chunk_before_is_seen_though_the_store_was_asked_meanwhile(tmp_path):
    """What a chunk names is looked for while the one before it is still being written."""
    rows = [f"{n if n % 3 else max(0, n - 118)},注,{n % 7 if n % 5 == 0 else 1}.5,20260101" for n in range(600)]
    mapping, path = compiled(tmp_path, NOTES, head=WIDE), export(tmp_path / "n.csv", *rows)
    tries, decide = [], feed._Run._decide

    async def counted(self, *args):
        tries.append(self.ledger.chunk)
        return await decide(self, *args)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed._Run, "_decide", counted)
        done, entries, _ = await both(tmp_path, mapping, path)
    assert done.by_code["duplicate-key"] > 20 and done.notes["duplicate"] > 20
    assert len(tries) == 2 * len(set(tries))  # none was decided twice: nothing that was written meanwhile was missed
