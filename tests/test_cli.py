"""The command `yilian` told wrongly: one sentence that says what to do, the right exit code, and no trace."""
from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest

from app import cli
from app.cli import app
from app.demo import export
from app.jobs import job as jobs
from app.jobs import runner
from app.main import open_world
from app.records import Change, Records
from app.settings import Settings, shipped
from tests.conftest import operator
from tests.mapping import making

MAPPING = "jiadingtcm/outpatient-visit"


def start(folder, *words: str, **environ: str) -> subprocess.Popen:
    code = "from app.cli import main; main()"
    path = str(shipped("profiles").parent)
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "COLUMNS": "200", **environ})


def yilian(folder, *words: str, **environ: str) -> tuple[int, str]:
    process = start(folder, *words, **environ)
    text, _ = process.communicate(timeout=120)
    assert "Traceback" not in text, text
    return process.returncode, text


@pytest.fixture
def port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_each_command_and_setting_stands_in_the_docs():
    text = (Path(__file__).parent.parent / "docs" / "running.md").read_text(encoding="utf-8")
    commands = [one.name or one.callback.__name__ for one in app.registered_commands]
    assert len(commands) == 5 and [name for name in commands if f"`yilian {name}" not in text] == []
    assert [one.name for one in fields(Settings) if f"`YILIAN_{one.name.upper()}`" not in text] == []


@pytest.mark.parametrize("words", [[], ["serve"], ["import"], ["demo"], ["reindex"], ["purge"]], ids=" ".join)
def test_help_is_everywhere(tmp_path, words):
    code, text = yilian(tmp_path, *words, "--help")
    assert code == 0 and "Usage: " in text


@pytest.mark.parametrize(("words", "code", "said"), [
    (["serve"], 2, "Add --open"),
    (["serve", "--open", "--host", "0.0.0.0"], 2, "Use --host 127.0.0.1"),
    (["serve", "--open", "--workers", "0"], 2, "--workers"),
    (["serve", "--open", "--workers", "2", "--store", "sqlite::memory:"], 2, "each worker would have its own"),
    (["demo", "--store", "sqlite::memory:"], 2, "gone before it is served"),
    (["serve", "--open", "--port", "99999"], 2, "--port"),
    (["serve", "--open", "--store", "foo:bar"], 2, "sqlite:PATH or mongodb://HOST/NAME"),
    (["serve", "--open", "--store", "mongodb://host"], 2, "sqlite:PATH or mongodb://HOST/NAME"),
    (["serve", "--open", "--store", "sqlite:."], 2, "name a file in it"),
    (["serve", "--open", "--store", "sqlite:/proc/none/y.db"], 3, "/proc/none: No such file or directory. Run it again"),
    (["serve", "--open", "--store", "mongodb://127.0.0.1:1/yilian"], 3, "cannot be reached"),
    (["reindex", "--store", "sqlite:none.db"], 2, "There is no store at none.db"),
    (["purge", "Patient/7", "--store", "sqlite:none.db", "--reason", "a"], 2, "There is no store at none.db"),
    (["purge", "Patient/7"], 2, "--reason"),
    (["import", "nobody/nothing", "cols.csv"], 2, "there are hospital-a/diagnosis"),
    (["import", MAPPING, "none.csv"], 2, "none.csv is no file and no folder."),
    (["import", MAPPING, "/dev/null"], 2, "/dev/null is no file and no folder."),
    (["import", MAPPING, "empty.csv"], 2, "the file is empty. empty.csv was not imported"),
    (["import", MAPPING, "cols.csv"], 2, "the header has no column 就诊流水号"),
    (["import", MAPPING, "utf16.csv"], 2, "save it as gb18030, or name its own encoding"),
    (["import", MAPPING, "cols.csv", "--max-rejects", "many"], 2, "500 or 1%"),
    (["import", "bad.yaml", "cols.csv"], 2, "bad.yaml:1: not YAML"),
    (["import", MAPPING, "hollow"], 2, "hollow: no file to import is in it."),
])
def test_a_wrong_call_is_told_in_one_sentence(tmp_path, words, code, said):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "cols.csv").write_text("a,b\n1,2\n")
    (tmp_path / "utf16.csv").write_bytes("就诊流水号\n".encode("utf-16"))
    (tmp_path / "bad.yaml").write_text("a: [")
    got, text = yilian(tmp_path, *words)
    assert got == code and said in text
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(("name", "value", "said"), [
    ("YILIAN_ZONE", "Mars/North", "such as Asia/Shanghai, not 'Mars/North'"), ("YILIAN_PAGE", "many", "YILIAN_PAGE is a whole number"),
    ("YILIAN_ENFORCE_REFERENCES", "maybe", "YILIAN_ENFORCE_REFERENCES is yes or no"), ("YILIAN_STORE", "foo", "sqlite:PATH")])
def test_a_wrong_setting_is_told_and_makes_no_store(tmp_path, port, name, value, said):
    code, text = yilian(tmp_path, "serve", "--open", "--port", str(port), **{name: value})
    assert code == 2 and said in text and not (tmp_path / "data" / "yilian.db").exists()


def test_a_port_in_use_is_told(tmp_path, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        code, text = yilian(tmp_path, "serve", "--open", "--store", "sqlite:s.db", "--port", str(port))
    assert code == 3 and f"Port {port} is in use" in text


def test_a_dry_run_makes_no_store_and_tells_each_reject_or_how_many_more(tmp_path):
    export.write(tmp_path / "visits.csv")
    code, text = yilian(tmp_path, "import", MAPPING, "visits.csv", "--dry-run", "--store", "sqlite:s.db")
    assert code == 1 and "(dry run: nothing written)" in text and not list(tmp_path.glob("s.db*"))
    assert "\n  row 118 bad-date 出生日期: not a date of the form yyyyMMdd\n" in text and "\n  row 1203 csv-structure: " in text
    assert re.search(r"\n  and \d more\n  correct the rows in import-report/rejects.csv and import that file\n", text)


def test_an_import_that_stops_says_so_and_goes_on_when_it_may(tmp_path):
    export.write(tmp_path / "visits.csv")
    call = ["import", MAPPING, "visits.csv", "--store", "sqlite:s.db"]
    code, text = yilian(tmp_path, *call, "--max-rejects", "5")
    assert code == 3 and "Stopped: too many rejects." in text
    code, text = yilian(tmp_path, *call)
    assert code == 1 and "3,000 records" in text and "went on at row" in text
    code, text = yilian(tmp_path, *call)
    assert code == 1 and "(done before)" in text and "created" not in text


@pytest.mark.skipif(not shutil.which("curl"), reason="the printed requests are for curl")
def test_the_demonstration_prints_four_requests_that_find_something_and_stops_cleanly(tmp_path, port):
    process = start(tmp_path, "demo", "--port", str(port))
    _until_served(port, process)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert "Traceback" not in text and "5,703 of them new" in text
    again = start(tmp_path, "demo", "--port", str(port))
    try:
        _until_served(port, again)
        lines = [line.strip() for line in text.splitlines() if line.startswith("  curl ")]
        assert len(lines) == 4
        for line in lines:
            bundle = json.loads(subprocess.run(shlex.split(line) + ["-s"], capture_output=True, check=True).stdout)
            assert bundle["resourceType"] == "Bundle" and bundle["entry"], line
    finally:
        again.send_signal(signal.SIGINT)
        text, _ = again.communicate(timeout=60)
    assert ", 0 of them new" in text and "(done before)" in text


def _until_served(port: int, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/fhir/metadata", timeout=5).read()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(process.stdout.read())


def stored(folder, work):
    """What `work` does with the records of the store s.db of a folder."""
    async def within():
        async with open_world(Settings(store=f"sqlite:{folder}/s.db", open=True)) as world:
            return await work(Records(world, operator()))
    return asyncio.run(within())


def test_a_purge_takes_what_is_not_current_once_it_is_told_so_and_is_in_the_log(tmp_path):
    async def thrice(records):
        for family in ("一", "二", "三"):
            await records.commit([Change("update", "Patient", "p", {"resourceType": "Patient", "id": "p", "name": [{"family": family}]})])

    async def texts(records):
        return [records.store and (await records.store.get("Patient", "p", version=v)).text is not None for v in (1, 2, 3)]

    async def log(records):
        return len((await records.search(("AuditEvent",), [("action", "D"), ("entity", "Patient/p")])).entries)
    stored(tmp_path, thrice)
    words = ["purge", "Patient/p", "--store", "sqlite:s.db", "--reason", "asked for by the patient"]
    assert yilian(tmp_path, *words) == (2, "This would remove Patient/p, version 1, 2, for good. Add --yes.\n") and stored(tmp_path, texts) == [True] * 3
    assert yilian(tmp_path, *words, "--version", "3", "--yes")[0] == 2
    assert yilian(tmp_path, *words, "--version", "2", "--yes") == (0, "Removed: Patient/p, version 2.\n")
    assert yilian(tmp_path, *words, "--yes") == (0, "Removed: Patient/p, version 1.\n")
    assert stored(tmp_path, texts) == [False, False, True] and stored(tmp_path, log) == 2
    assert yilian(tmp_path, "purge", "Patient", "--store", "sqlite:s.db", "--reason", "a")[0] == 2


def test_a_reindex_is_done_as_a_job_and_told_in_one_line(tmp_path):
    async def one(records):
        await records.commit([Change("create", "Patient", resource={"resourceType": "Patient"})])
    stored(tmp_path, one)
    code, text = yilian(tmp_path, "reindex", "--store", "sqlite:s.db")
    assert code == 0 and re.fullmatch(r"Task/\S+ completed: 1 resources\.\n", text)


def test_a_reindex_that_was_left_undone_is_ended_and_then_all_is_indexed(tmp_path):
    async def one(records):
        await records.commit([Change("create", "Patient", resource={"resourceType": "Patient"})])
        await runner.ask(records.world, operator(), "reindex", "a", {"types": "Group"})

    async def told(records):
        return sorted((json.loads(e.text)["description"], json.loads(e.text)["businessStatus"]["text"]) for e in (await records.search(("Task",), [("status", "completed")])).entries)
    stored(tmp_path, one)
    assert yilian(tmp_path, "reindex", "--store", "sqlite:s.db")[0] == 0
    assert stored(tmp_path, told) == [("Reindex of all types", "2 resources"), ("a", "0 resources")]


def test_a_reindex_that_another_process_does_is_told(tmp_path):
    async def under_way(records):
        await jobs.Job(records.world, (await runner.ask(records.world, operator(), "reindex", "a", {}))[0], print).take()
    stored(tmp_path, under_way)
    code, text = yilian(tmp_path, "reindex", "--store", "sqlite:s.db")
    assert code == 3 and "Another process makes the index anew: Task/" in text

def test_a_folder_and_a_zip_of_a_site_go_to_the_mappings_that_are_for_their_files(tmp_path):
    home = tmp_path / "h"
    home.mkdir()
    (home / "site.yaml").write_text("site: h\norganization: h\nsystems: {}\n", encoding="utf-8")
    for name in ("people", "places"):
        (home / f"{name}.yaml").write_text(f"mapping: {name}\nversion: 1.0.0\nsource: {{kind: csv, encoding: utf-8, zone: Asia/Shanghai, files: '{name}*.csv'}}\ncolumns: {{expect: [a]}}\n"
                                           f"resources: {{one: {{type: {'Patient' if name == 'people' else 'Location'}, key: [{name}, = a]}}}}\n", encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir()
    for name, text in {"people-1.csv": "a\n1\n2\n", "places.csv": "a\n1\n", "people-broken.csv": "b\n", "notes.txt": "?"}.items():
        (data / name).write_text(text)
    with zipfile.ZipFile(data / "more.zip", "w") as archive:
        archive.writestr("people-2.csv", "a\n3\n")
        archive.writestr("nested.zip", "")
    code, text = yilian(tmp_path, "import", str(home / "people.yaml"), "data", "--store", "sqlite:s.db")
    assert code == 2 and "people-1.csv: 2 records" in text and "more.zip/people-2.csv: 1 records" in text and "places.csv: no mapping" in text
    assert "more.zip/nested.zip was not imported: mend or unpack it" in text
    assert "people-broken.csv was not imported" in text
    assert json.loads((tmp_path / "import-report" / "people" / "more.zip" / "people-2.csv" / "summary.json").read_text())["accepted"] == 1


def test_a_name_means_a_mapping_here_before_a_shipped_one(tmp_path):
    making.write(tmp_path)
    making.export(tmp_path / "v.csv", "1,张三,19800102,")
    for name in ("h/people", "h"):
        assert yilian(tmp_path, "import", name, "v.csv", "--dry-run")[0] == 0
    assert yilian(tmp_path, "map", "check") == (0, "1 mappings, 0 faults\n")
    assert yilian(tmp_path, "map", "check", "jiadingtcm") == (0, "1 mappings, 0 faults\n")
    export.write(tmp_path / "visits.csv")
    code, text = yilian(tmp_path, "import", MAPPING, "visits.csv", "--site", "h", "--dry-run")
    assert code == 2 and "site.yaml has no system" in text  # the site was found
    code, text = yilian(tmp_path, "import", MAPPING, "visits.csv", "--site", "i", "--dry-run")
    assert code == 2 and "there is no" in text


def test_held_records_are_not_to_be_corrected(tmp_path):
    making.write(tmp_path, making.PATIENT + "  visit:\n    type: Observation\n    key: [visit, = 号]\n    status: final\n    code: {text: x}\n    subject: \"= 名 | lookup(Patient, 'urn:other')\"\n")
    making.export(tmp_path / "v.csv", "1,张三,19800102,")
    code, text = yilian(tmp_path, "import", "h/people", "v.csv", "--dry-run")
    assert code == 1 and "1 of them wait for what they refer to" in text and "correct the rows" not in text


def test_open_rejects_are_listed_and_waived(tmp_path):
    assert yilian(tmp_path, "rejects", "list", "--store", "sqlite:s.db")[0] == 2
    making.write(tmp_path)
    making.export(tmp_path / "v.csv", "1,张三,x,")
    assert yilian(tmp_path, "import", "mappings/h/people.yaml", "v.csv", "--store", "sqlite:s.db")[0] == 1
    code, text = yilian(tmp_path, "rejects", "list", "--store", "sqlite:s.db")
    assert code == 0 and "v.csv row 2 bad-date 值: " in text
    assert yilian(tmp_path, "rejects", "waive", text.split()[0], "--reason", "测试", "--store", "sqlite:s.db")[0] == 0
    assert yilian(tmp_path, "rejects", "list", "--store", "sqlite:s.db") == (0, "")


def test_files_of_one_name_from_several_folders_have_a_report_each(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text("a\n" + folder, encoding="gb18030")
    mapping = tmp_path / "m" / "h" / "x.yaml"
    mapping.parent.mkdir(parents=True)
    (mapping.parent / "site.yaml").write_text("site: h\norganization: h\n", encoding="utf-8")
    mapping.write_text("mapping: x\nversion: 1.0.0\nsource: {kind: csv, encoding: gb18030, zone: Asia/Shanghai}\ncolumns: {expect: [a]}\n"
                       "resources:\n  one: {type: Patient, key: [n, = a], multipleBirthInteger: = a | integer}\n", encoding="utf-8")
    assert yilian(tmp_path, "import", str(mapping), "a/x.csv", "b/x.csv", "--dry-run")[0] == 1
    assert [(tmp_path / "import-report" / "x" / name / "rejects.csv").read_text(encoding="gb18030").splitlines()[1][0] for name in ("x.csv", "x.csv.2")] == ["a", "b"]


def test_without_a_terminal_a_line_tells_how_far_how_fast_and_how_long(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(cli.time, "monotonic", lambda: clock[0])
    tell, pace = cli._plain(0.0), cli._pace()
    for clock[0], done, records in ((1.0, 100, 1000), (6.0, 300, 3000), (11.0, 500, 5000)):
        tell(done, 1000, f"a.csv: {records:,} records{pace(records)}")
    assert capsys.readouterr().err == "a.csv: 5,000 records, 400 a second (50 %, 0:12 left)\n"
    assert cli._left(0, 0, 5) == "" and pace(1000) == ""
