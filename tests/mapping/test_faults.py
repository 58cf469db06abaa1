"""Faults of an import: full disks, files that change while they are read, servers that write meanwhile, hostile records. The ledger tells the truth."""
from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys

import openpyxl
import pytest

from app.fhir import json as fhir
from app.mapping import feed
from app.mapping.reject import Reject
from app.records import Change, Records
from app.settings import shipped
from tests.conftest import operator
from tests.mapping.making import HEAD, compiled, export
from tests.mapping.test_feed import names
from tests.test_records import patient

PEOPLE = tuple(f"{number},名{number},19800101," for number in range(1, 41))


def _limited(size: int):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_is_told_with_exit_code_3_and_a_later_run_completes(tmp_path):
    compiled(tmp_path)
    path = export(tmp_path / "v.csv", *(f"{number},名{number},19800101," for number in range(1, 5001)))
    words = [sys.executable, "-c", "from app.cli import main; main()", "import", str(tmp_path / "mappings/h/people.yaml"), str(path), "--store", f"sqlite:{tmp_path}/s.db",
             "--out", str(tmp_path / "out")]
    full = subprocess.run(words, cwd=shipped("profiles").parent, capture_output=True, text=True, preexec_fn=_limited(8 << 20))
    assert full.returncode == 3 and "nothing was done" in full.stderr and "Traceback" not in full.stderr and not (tmp_path / "out").exists()
    assert subprocess.run(words, cwd=shipped("profiles").parent, capture_output=True).returncode == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["records"], summary["accepted"], summary["resources"]["Patient"]) == (5000, 5000, {"created": 5000, "updated": 0, "unchanged": 0}) and summary["resumed"]


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(path.read_bytes() + b"41,\xcd\xf5"),
                                    lambda path: (path.with_suffix(".new").write_bytes(path.read_bytes().replace(b"1980", b"1990")), path.with_suffix(".new").replace(path))],
                         ids=["grows", "is replaced"])
@pytest.mark.parametrize("after", [1, 4], ids=["early", "before its last chunk"])
async def test_nothing_of_a_file_that_changes_is_stored_after_it_did(world, tmp_path, monkeypatch, change, after):
    monkeypatch.setattr(feed, "CHUNK", 9)
    mapping, path, chunks = compiled(tmp_path), export(tmp_path / "v.csv", *PEOPLE), []

    def told(done, size, ledger):
        chunks.append(ledger.records)
        if len(chunks) == after:
            change(path)
    with pytest.raises(feed.Busy, match="changed while it was read"):
        await feed.run(world, mapping, path, progress=told)
    assert len(await names(world)) == chunks[-1] == 9 * after
    path.write_bytes(path.read_bytes() + b",19800101,\r\n" if path.read_bytes().endswith(b"\xf5") else path.read_bytes())
    done = await feed.run(world, mapping, path)
    assert done.accepted == done.records >= 40 and len(await names(world)) == done.records


async def test_a_file_that_is_only_touched_is_read_to_its_end(sqlite_world, tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "CHUNK", 9)
    path = export(tmp_path / "v.csv", *PEOPLE)
    done = await feed.run(sqlite_world, compiled(tmp_path), path, progress=lambda *told: path.touch())
    assert done.accepted == 40


async def test_a_server_writes_meanwhile_and_neither_loses_anything(world, tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "CHUNK", 5)
    records, made = Records(world, operator()), []

    async def writing() -> None:
        while True:
            made.append((await records.commit([Change("create", "Patient", resource=patient())]))[0].entry.id)
            await asyncio.sleep(0)
    other = asyncio.create_task(writing())
    done = await feed.run(world, compiled(tmp_path), export(tmp_path / "v.csv", *PEOPLE))
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert (done.records, done.accepted, done.resources["Patient"]["created"]) == (40, 40, 40) and made
    assert (await records.search(("Patient",), [("_id", ",".join(made[:50])), ("_total", "accurate")])).total == len(made[:50])
    assert (await records.search(("Patient",), [("identifier", "urn:h:mrn|"), ("_total", "accurate")])).total == 40


async def test_what_a_server_edits_between_look_and_commit_is_no_lost_update(world, tmp_path, monkeypatch):
    mapping = compiled(tmp_path)
    await feed.run(world, mapping, export(tmp_path / "1.csv", "1,甲,19800101,"))
    kept, edits = feed._Run._decide, []

    async def decide(run, *args):
        chunk = await kept(run, *args)
        if not edits:
            edits.append(entry := (await Records(world, operator()).search(("Patient",), [])).entries[0])
            await Records(world, operator()).commit([Change("update", "Patient", entry.id, {**fhir.loads(entry.text), "gender": "male"})])
        return chunk
    monkeypatch.setattr(feed._Run, "_decide", decide)
    done = await feed.run(world, mapping, export(tmp_path / "2.csv", "1,乙,19800101,"))
    assert [one.code for one in done.rejects] == ["edited-elsewhere"] and await names(world) == [("甲", 2)]


async def test_hostile_records_are_rejects_and_the_others_come_in(world, tmp_path):
    path = export(tmp_path / "v.csv", "1,甲,19800101,", b"2," + b"x" * (2 << 20) + b",19800101,", b"3,\0,19800101,", "4,丁,19800101,")
    done = await feed.run(world, compiled(tmp_path), path, out=tmp_path / "out")
    assert [(one.row, one.code) for one in done.rejects] == [(3, "size"), (4, "csv-structure")] and [name for name, _ in await names(world)] == ["丁", "甲"]


def _far(path) -> None:
    """A workbook of some kilobytes whose last cell is the last that Excel has: 17 thousand million cells to its corner."""
    made = openpyxl.Workbook()
    made.active.append(("号", "名", "值", "备注"))
    made.active["XFD1048576"] = "1"
    made.save(path)


async def test_an_entity_bomb_and_a_bomb_in_a_workbook_are_refused(sqlite_world, tmp_path):
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 100}">' for n in range(10))
    (tmp_path / "v.xml").write_text(f"<!DOCTYPE a [{bomb}]><a><row><号>1</号><名>&e9;</名><值>19800101</值></row></a>", encoding="utf-8")
    _far(tmp_path / "v.xlsx")
    for kind, name in (("xml, rows: row", "v.xml"), ("excel, sheet: Sheet", "v.xlsx")):
        mapping = compiled(tmp_path / f"of-{kind[:3]}", head=HEAD.replace("kind: csv, encoding: gb18030", f"kind: {kind}"))
        try:
            done = await feed.run(sqlite_world, mapping, tmp_path / name)
            assert done.accepted == 0 and done.rejected == done.records > 0
        except Reject as refused:
            assert refused.code == {"v.xml": "csv-structure", "v.xlsx": "size"}[name]
    assert await names(sqlite_world) == []


async def test_a_run_that_ends_before_its_reports_are_out_is_told_as_it_was(world, tmp_path, monkeypatch):
    mapping, path = compiled(tmp_path), export(tmp_path / "v.csv", *PEOPLE)

    def full(*args):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(feed.report, "write", full)
    with pytest.raises(OSError, match="No space"):
        await feed.run(world, mapping, path, out=tmp_path / "out")
    monkeypatch.undo()
    done = await feed.run(world, mapping, path, out=tmp_path / "out")
    assert not done.already and done.resources["Patient"] == {"created": 40, "updated": 0, "unchanged": 0}
    assert (await feed.run(world, mapping, path)).resources["Patient"] == {"created": 0, "updated": 0, "unchanged": 40}
