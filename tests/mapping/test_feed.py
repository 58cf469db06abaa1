"""A mapping run over a file, on both stores: exactly once, whole records, a report to correct and feed again."""
from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time

import openpyxl
import pytest

from app.fhir import json as fhir
from app.mapping import feed
from app.mapping.readers.record import OURS as COLUMNS
from app.records import Change, Records
from app.settings import shipped
from tests.conftest import operator
from tests.mapping.making import HEAD, PATIENT, compiled, export
from tests.mapping.readers.making import dbf

BAD = ("1,张三,19800101,", "2,李四,19801301,", "3,,19800101,")


async def names(world) -> list[tuple[str, int]]:
    page = await Records(world, operator()).search(("Patient",), [("_count", "50")])
    return sorted((fhir.loads(entry.text)["name"][0]["text"], entry.version) for entry in page.entries)


def rows(folder) -> list[list[str]]:
    return list(csv.reader(io.StringIO((folder / "rejects.csv").read_bytes().decode("gb18030"), newline="")))


async def test_a_record_is_stored_whole_or_told_with_row_column_code_and_rule(world, tmp_path):
    done = await feed.run(world, compiled(tmp_path), export(tmp_path / "v.csv", *BAD), out=tmp_path / "out")
    assert (done.records, done.accepted, done.rejected, done.by_code) == (3, 1, 2, {"bad-date": 1, "required": 1})
    assert await names(world) == [("张三", 1)]
    head, *told = rows(tmp_path / "out")
    assert head == ["号", "名", "值", "备注", *COLUMNS]
    assert [(one[0], one[4], one[6], one[8]) for one in told] == [("2", "3", "bad-date", "值"), ("3", "4", "required", "名")]
    assert all("people.yaml:" in one[7] for one in told)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["rejects"] == done.by_code and summary["resources"]["Patient"] == {"created": 1, "updated": 0, "unchanged": 0}


async def test_a_second_run_writes_nothing_new(world, tmp_path):
    mapping, path = compiled(tmp_path), export(tmp_path / "v.csv", *BAD)
    await feed.run(world, mapping, path)
    before = await world.store.newest()
    done = await feed.run(world, mapping, path)
    assert done.already and done.resources["Patient"] == {"created": 0, "updated": 0, "unchanged": 1} and await world.store.newest() == before
    assert (await feed.run(world, mapping, path, again=True)).resources["Patient"]["unchanged"] == 1 and await names(world) == [("张三", 1)]


async def test_a_corrected_reject_is_fed_again_and_what_stays_wrong_is_told_once(world, tmp_path):
    mapping = compiled(tmp_path)
    await feed.run(world, mapping, export(tmp_path / "v.csv", *BAD), out=tmp_path / "out")
    corrected = tmp_path / "corrected.csv"
    corrected.write_bytes((tmp_path / "out" / "rejects.csv").read_bytes().replace(b"19801301", b"19801231"))
    done = await feed.run(world, mapping, corrected, out=tmp_path / "again")
    assert (done.accepted, done.rejected) == (1, 1) and await names(world) == [("张三", 1), ("李四", 1)]
    head, told = rows(tmp_path / "again")
    assert head == ["号", "名", "值", "备注", *COLUMNS] and told[:4] == ["3", "", "19800101", ""] and told[4] == "3" and told[6] == "required"


async def test_a_row_that_breaks_a_profile_it_claims_is_a_reject_and_the_others_are_stored(world, tmp_path):
    claims = PATIENT + '    gender: male\n    meta: {profile: ["https://yilian.example/fhir/StructureDefinition/alliance-patient"]}\n'
    done = await feed.run(world, compiled(tmp_path, claims), export(tmp_path / "v.csv", "1,张三,19800101,", "2,李 四,19800101,"))
    assert [(one.row, one.code) for one in done.rejects] == [(3, "profile")] and "name-1" in done.rejects[0].message
    assert await names(world) == [("张三", 1)]


async def test_a_newer_file_updates_and_what_somebody_else_changed_is_a_reject(world, tmp_path):
    mapping = compiled(tmp_path)
    await feed.run(world, mapping, export(tmp_path / "1.csv", "1,张三,19800101,"))
    assert (await feed.run(world, mapping, export(tmp_path / "2.csv", "1,张三丰,19800101,"))).resources["Patient"]["updated"] == 1
    records = Records(world, feed.caller(mapping.site))
    entry = (await records.search(("Patient",), [])).entries[0]
    await records.commit([Change("update", "Patient", entry.id, {**fhir.loads(entry.text), "gender": "male"})])
    done = await feed.run(world, mapping, export(tmp_path / "3.csv", "1,张,19800101,"))
    assert [one.code for one in done.rejects] == ["edited-elsewhere"] and await names(world) == [("张三丰", 3)]


async def test_too_many_rejects_stop_a_run_and_it_goes_on_without_a_limit(world, tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "CHUNK", 2)
    mapping, path = compiled(tmp_path), export(tmp_path / "v.csv", *BAD, "4,王五,19800101,", "5,赵六,19800101,")
    stopped = await feed.run(world, mapping, path, max_rejects="1")
    assert stopped.stopped and stopped.records == 4 and [name for name, _ in await names(world)] == ["张三", "王五"]
    done = await feed.run(world, mapping, path)
    assert (done.records, done.rejected, done.stopped, done.resumed) == (5, 2, False, 6) and len(await names(world)) == 3


def _stored(path) -> int:
    """How many resources are in a store that another process writes."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
            return con.execute("select count(*) from entry where id like 'h-%'").fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


def test_a_run_that_is_killed_goes_on_exactly_once(tmp_path):
    mapping, path = tmp_path / "mappings" / "h" / "people.yaml", tmp_path / "v.csv"
    compiled(tmp_path)
    export(path, *(f"{number},名{number},19800101," for number in range(1, 8001)), "x,,19800101,")
    words = [sys.executable, "-c", "from app.cli import main; main()", "import", str(mapping), str(path), "--store", f"sqlite:{tmp_path}/s.db", "--out", str(tmp_path / "out")]
    here = shipped("profiles").parent
    process = subprocess.Popen(words, cwd=here, stderr=subprocess.DEVNULL)
    while process.poll() is None and not _stored(tmp_path / "s.db"):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < _stored(tmp_path / "s.db") < 8000
    assert subprocess.run(words, cwd=here, capture_output=True).returncode == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["records"], summary["accepted"], summary["resources"]["Patient"]) == (8001, 8000, {"created": 8000, "updated": 0, "unchanged": 0})


def test_a_run_of_corrected_rejects_that_is_killed_closes_each_exactly_once(tmp_path):
    mapping, path = tmp_path / "mappings" / "h" / "people.yaml", tmp_path / "v.csv"
    compiled(tmp_path)
    export(path, *(f"{number},名{number},1980-01-01," for number in range(1, 2501)))
    words = [sys.executable, "-c", "from app.cli import main; main()", "import", str(mapping), str(path), "--store", f"sqlite:{tmp_path}/s.db", "--out", str(tmp_path / "out")]
    here = shipped("profiles").parent
    assert subprocess.run(words, cwd=here, capture_output=True).returncode == 1
    corrected = tmp_path / "corrected.csv"
    corrected.write_bytes((tmp_path / "out" / "rejects.csv").read_bytes().replace(b"1980-01-01", b"19800101"))
    words[5] = str(corrected)
    before = _stored(tmp_path / "s.db")
    process = subprocess.Popen(words, cwd=here, stderr=subprocess.DEVNULL)
    while process.poll() is None and _stored(tmp_path / "s.db") == before:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    listed = [sys.executable, "-c", "from app.cli import main; main()", "rejects", "list", "--store", f"sqlite:{tmp_path}/s.db"]
    left = subprocess.run(listed, cwd=here, capture_output=True, text=True).stdout.splitlines()
    with contextlib.closing(sqlite3.connect(f"file:{tmp_path}/s.db?mode=ro", uri=True)) as con:
        here_now = con.execute("select count(*) from entry join name on name.id = entry.type where name.text = 'Patient'").fetchone()[0]
    assert 0 < here_now < 2500 and len(left) == 2500 - here_now, "what has come in is closed, and nothing else"
    assert subprocess.run(words, cwd=here, capture_output=True).returncode == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["accepted"], summary["closed"]) == (2500, 2500)
    assert subprocess.run(listed, cwd=here, capture_output=True, text=True).stdout == ""


KINDS = {"excel": "kind: excel, sheet: Sheet", "dbf": "kind: dbf, encoding: gb18030", "ndjson": "kind: ndjson", "xml": "kind: xml, rows: row",
         "fixed": "kind: fixed, encoding: gb18030, fields: [{号: 2}, {名: 8}, {值: 8}, {备注: 4}]"}
PEOPLE = (("1", "张三", "19800101", "甲"), ("2", "李四", "19801301", "-乙"), ("3", "王五", "19900101", ""))


def _write(kind: str, path) -> None:
    names = ("号", "名", "值", "备注")
    if kind == "excel":
        book = openpyxl.Workbook()
        for row in (names, *PEOPLE):
            book.active.append(row)
        book.save(path)
    elif kind == "dbf":
        dbf(path, list(zip(names, "CCCC", (2, 8, 8, 4))), PEOPLE)
    elif kind == "ndjson":
        path.write_text("".join(json.dumps(dict(zip(names, row)), ensure_ascii=False) + "\n" for row in PEOPLE), encoding="utf-8")
    elif kind == "xml":
        path.write_text("<a>" + "".join("<row>" + "".join(f"<{n}>{v}</{n}>" for n, v in zip(names, row)) + "</row>" for row in PEOPLE) + "</a>", encoding="utf-8")
    else:
        path.write_bytes(b"".join(b"".join(v.encode("gb18030").ljust(w) for v, w in zip(row, (2, 8, 8, 4))) + b"\r\n" for row in PEOPLE))


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_of_source_is_imported_and_its_rejects_come_back_as_csv(world, tmp_path, kind):
    mapping, path = compiled(tmp_path, head=HEAD.replace('kind: csv, encoding: gb18030', KINDS[kind])), tmp_path / f"v.{kind}"
    _write(kind, path)
    done = await feed.run(world, mapping, path, out=tmp_path / "out")
    assert (done.records, done.accepted, done.by_code) == (3, 2, {"bad-date": 1}) and await names(world) == [("张三", 1), ("王五", 1)]
    raw = (tmp_path / "out" / "rejects.csv").read_bytes()
    encoding = mapping.source.encoding or "utf-8-sig"
    head, row = list(csv.reader(io.StringIO(raw.decode(encoding), newline="")))
    assert head == ["号", "名", "值", "备注", *COLUMNS] and [cell.strip() for cell in row[:4]] == ["2", "李四", "19801301", "-乙"]
    (tmp_path / "fixed.csv").write_bytes(raw.replace(b"19801301", b"19801231"))
    again = await feed.run(world, mapping, tmp_path / "fixed.csv", out=tmp_path / "again")
    assert (again.records, again.accepted, again.notes["closed"]) == (1, 1, 1) and ("李四", 1) in await names(world)


async def test_a_killed_run_of_each_kind_goes_on_at_its_place(world, tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "CHUNK", 1)
    for kind, source in KINDS.items():
        folder = tmp_path / kind
        mapping, path = compiled(folder, head=HEAD.replace('kind: csv, encoding: gb18030', source)), folder / f"v.{kind}"
        _write(kind, path)
        stopped = await feed.run(world, mapping, path, max_rejects="0")
        assert stopped.stopped and stopped.records == 2, kind
        done = await feed.run(world, mapping, path)
        assert (done.records, done.accepted, done.rejected) == (3, 2, 1) and done.resumed, kind


async def test_status_and_append_change_what_another_file_brought(world, tmp_path):
    order = """  order:
    type: ServiceRequest
    key: [order, = 号]
    status: active
    intent: order
    subject: {display: = 名}
    note: [{text: = 值}]
"""
    change = "  order:\n    type: ServiceRequest\n    key: [order, = 号]\n    write: status\n    status: = 名\n  more:\n    type: ServiceRequest\n    key: [order, = 号]\n    write: append\n    note: [{text: = 值}]\n"
    await feed.run(world, compiled(tmp_path / "a", order), export(tmp_path / "o.csv", "1,甲,一,"))
    done = await feed.run(world, compiled(tmp_path / "b", change), export(tmp_path / "c.csv", "1,completed,二,", "2,completed,,", "1,nonsense,二,"))
    assert [(one.row, one.code) for one in done.rejects] == [(3, "absent"), (4, "duplicate-key")]
    entry, = (await Records(world, operator()).search(("ServiceRequest",), [])).entries
    kept = fhir.loads(entry.text)
    assert (kept["status"], kept["subject"], [one["text"] for one in kept["note"]]) == ("completed", {"display": "甲"}, ["一", "二"])


@pytest.mark.parametrize("kind, text", [("ndjson", '{"号":"1","名":"甲","人":{"电话":"x"}}\n{"号":"2","名":"乙","人":{"电话":"","址":"y"}}\n'),
                                        ("xml", '<a><r><号>1</号><名>甲</名><人><电话>x</电话></人></r><r><号>2</号><名>乙</名><人><址>y</址></人></r></a>')])
async def test_values_of_trees_that_no_rule_names_are_counted_by_path(sqlite_world, tmp_path, kind, text):
    mark = "/" if kind == "xml" else "."
    source = f"source: {{kind: {kind}{', rows: r' * (kind == 'xml')}, zone: Asia/Shanghai}}\n"
    mapping = compiled(tmp_path, PATIENT.replace("    birthDate: = 值 | date('yyyyMMdd')\n", ""), head=re.sub("source:.*\n", source, HEAD).replace(", 值", ""))
    (tmp_path / f"in.{kind}").write_text(text, encoding="utf-8")
    for already in (False, True):
        done = await feed.run(sqlite_world, mapping, tmp_path / f"in.{kind}", out=tmp_path / "out")
        assert (done.unread, done.new_columns, done.already) == ({f"人{mark}电话": 1, f"人{mark}址": 1}, (f"人{mark}电话", f"人{mark}址"), already)


async def test_values_below_no_name_are_counted(sqlite_world, tmp_path):
    path = export(tmp_path / "v.csv", "1,甲,19800102,,,", "2,乙,19800102,x,,y", header="号,名,值,,备注,")
    assert (await feed.run(sqlite_world, compiled(tmp_path), path)).unread == {"(column 4)": 1, "(column 6)": 1}
    mapping = compiled(tmp_path, head=HEAD.replace("ignore: [备注]", "ignore: [备注, (column 4), (column 6)]"))
    assert (await feed.run(sqlite_world, mapping, path)).unread == {}


async def test_values_that_no_rule_reads_are_counted_by_column(sqlite_world, tmp_path):
    mapping = compiled(tmp_path, PATIENT.replace("    birthDate: = 值 | date('yyyyMMdd')\n", ""))
    path = export(tmp_path / "v.csv", "1,甲,x,y,z", "2,乙,x,,z", "3,丙,,,", header="号,名,值,备注,新")
    done = await feed.run(sqlite_world, mapping, path, out=tmp_path / "out")
    assert done.unread == {"值": 2, "新": 2} and (tmp_path / "out" / "unread.csv").read_text(encoding="utf-8") == "column,records\n值,2\n新,2\n"
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["unread"] == (await feed.run(sqlite_world, mapping, path)).unread


async def test_codes_that_a_table_lacks_come_as_lines_to_complete_and_append(sqlite_world, tmp_path):
    table = "source_system,source_code,source_display,target_system,target_code,target_display,equivalence,comment,valid_from,valid_to\n"
    rules = PATIENT.replace("    birthDate: = 值 | date('yyyyMMdd')\n", "    gender: = 值 | code(sex)\n")
    path = export(tmp_path / "in.csv", "1,甲,男,", "2,乙,+,", "3,丙,女,", "4,丁,+,")
    done = await feed.run(sqlite_world, compiled(tmp_path, rules, tables={"sex": table + "urn:sex,男,男,urn:b,male,,equivalent,,,\n"}), path, out=tmp_path / "out")
    head, *lines = (tmp_path / "out" / "unmapped-sex.csv").read_text(encoding="utf-8").splitlines()
    assert done.by_code == {"unmapped-code": 3} and head + "\n" == table and lines == ["urn:sex,'+,,,,,,,,", "urn:sex,女,,,,,,,,"]
    more = "".join(line.replace(",,,,,,,,", ",,urn:b,female,,equivalent,,,") + "\n" for line in lines)
    mapping = compiled(tmp_path, rules, tables={"sex": table + "urn:sex,男,男,urn:b,male,,equivalent,,,\n" + more})
    done = await feed.run(sqlite_world, mapping, path, out=tmp_path / "out")
    assert (done.accepted, done.rejected) == (4, 0) and not (tmp_path / "out" / "unmapped-sex.csv").exists()


@pytest.mark.parametrize("mark, encoding", [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"", "utf-16-le"), (b"\xef\xbb\xbf", "utf-8"), (b"", "utf-8")])
async def test_rejects_keep_the_mark_and_the_byte_order_of_their_source_and_come_back(sqlite_world, tmp_path, mark, encoding):
    mapping = compiled(tmp_path, head=HEAD.replace("gb18030", encoding[:6] if "16" in encoding else encoding))
    (tmp_path / "in.csv").write_bytes(mark + '"号",名,值\r\n1,甲,x\r\n'.encode(encoding))
    await feed.run(sqlite_world, mapping, tmp_path / "in.csv", out=tmp_path / "out")
    raw = (tmp_path / "out" / "rejects.csv").read_bytes()
    assert raw.startswith(mark + '"号"'.encode(encoding)) or not mark and raw.startswith('\ufeff"号"'.encode("utf-16-le"))
    (tmp_path / "back.csv").write_bytes(raw.decode(encoding).replace("甲,x", "甲,19800102").encode(encoding))
    done = await feed.run(sqlite_world, mapping, tmp_path / "back.csv")
    assert (done.accepted, done.rejected, done.notes) == (1, 0, {"closed": 1})
