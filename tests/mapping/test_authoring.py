"""`yilian map`: what authors of mappings ask. The tutorial of docs/mapping.md is followed as it stands there."""
from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.fhir import json
from app.jobs import trace as traces
from app.main import open_world
from app.mapping import check, compiler, draft, explain, feed, reference
from app.records import Records
from app.settings import Settings, shipped
from tests.conftest import operator
from tests.mapping.making import HEAD, PATIENT, export, write
from tests.mapping.readers.making import dbf

DOCS = Path(__file__).parent.parent.parent / "docs"


def faults(folder, resources: str, head: str = HEAD) -> list[str]:
    return [re.sub(r"^.*?/(?=people)", "", str(one)) for one in check.faults(write(folder, resources, head))]


def yilian(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("wrong, told", [
    ("    colour: red", "Patient has no element 'colour'"), ("    active: = 值", "Patient.active is a boolean, and 值 gives a string"),
    ("    multipleBirthInteger: = 值 | number", "Patient.multipleBirthInteger is a integer, and 值 | number gives a decimal"),
    ("    deceasedDateTime: = 值 | quantity('a')", "Patient.deceasedDateTime is a dateTime, and 值 | quantity('a') gives a Quantity"),
    ("    managingOrganization: = 值", "Patient.managingOrganization is a Reference, and 值 gives a string"), ("    gender: = 值 | code(none)", "no code table none.csv"),
    ("    communication:\n      - preferred: = 值 | bool('1', '0')", "Patient.communication needs language"), ("    link:\n      - {other: = ref(patient), type: = 值 // 名 | number}", "Patient.link.type is a code, and 值 // 名 | number gives a decimal"),
    ("    gender: = 值 | colour", "no function 'colour'"), ("    gender: = 色", "no column '色' is expected"), ("    gender: red", "'red' is no code of Patient.gender")])
def test_a_fault_is_told_by_file_and_line(tmp_path, wrong, told):
    found = faults(tmp_path, PATIENT + wrong + "\n")
    assert len(found) == 1 and found[0].startswith(f"people.yaml:{12 + wrong.count(chr(10))}: ") and told in found[0]


def test_all_faults_are_told_and_columns_that_nothing_reads(tmp_path):
    found = faults(tmp_path, "  a:\n    type: Observation\n    key: [x, = 号]\n    status: red\n    colour: x\n  b:\n    type: Patient\n    key: [x]\n")
    assert [one.partition(": ")[0] for one in found] == ["people.yaml:7", "people.yaml:9", "people.yaml:10", "people.yaml:13"]
    assert "Observation needs code" in found[0]
    assert faults(tmp_path, "  a:\n    type: Basic\n    key: [x, = 号]\n    code: {text: = 名}\n") == ["people.yaml:4: no rule reads the column '值'; name it under columns: ignore: if it may be passed over"]


def test_a_site_elsewhere_builds_on_what_ships(tmp_path):
    head = HEAD.replace("mapping: people", "extends: common/patient\nmapping: people").replace("{expect: [号, 名, 值], ignore: [备注]}", "{expect: [病案号, 姓名, 性别]}")
    path = write(tmp_path, "  patient:\n    key: [mrn, = 病案号]\n", head)
    assert [fault for fault in check.faults(path) if "no rule reads" not in str(fault)] == []
    assert "gbt2261-1-sex" in compiler.compile(path).tables


def test_a_mode_that_only_changes_needs_no_whole_resource(tmp_path):
    assert faults(tmp_path, "  a:\n    type: Encounter\n    key: [x, = 号]\n    write: status\n    status: = 名 | concat(值)\n".replace("= 名 | concat(值)", "= 名 // 值")) == []


def test_what_ships_has_no_fault_and_its_cases_are_as_expected():
    assert yilian("map", "check") == (0, f"{sum(1 for site in shipped('mappings').glob('*/site.yaml') for each in site.parent.glob('*.yaml')) - len(list(shipped('mappings').glob('*/site.yaml')))} mappings, 0 faults\n")
    code, text = yilian("map", "test", "hospital-a")
    assert code == 0 and "hospital-a/visits: as expected" in text and text.endswith("0 with differences\n")


def test_a_case_that_differs_ends_with_1(tmp_path):
    path = write(tmp_path)
    case = path.parent / "tests" / "one"
    case.mkdir(parents=True)
    export(case / "in.csv", "1,张,19800101,")
    (case / "expect.yaml").write_text("mapping: people\nresources: {Patient: 2}\n", encoding="utf-8")
    code, text = yilian("map", "test", str(path))
    assert code == 1 and "expected {'Patient': 2}, got {'Patient': 1}" in text and "1 cases, 1 with differences" in text


def test_a_record_is_explained_from_value_to_element(tmp_path):
    path, source = write(tmp_path, PATIENT + "    gender: {when: [[值 = '19800101', male], [else, unknown]]}\n    active: 'true'\n"), export(tmp_path / "in.csv", "1,张,19800101,", "2,,19800101,", "3,李,19801301,", '4,"李,x')
    told = list(explain.explained(path, source, 2))
    assert told[0].startswith("patient (Patient)") and "  key mrn: 号 → \"1\"   people.yaml:8" in told
    assert "  birthDate: 值 → \"19800101\" | date → \"1980-01-01\"   people.yaml:11" in told
    assert "  gender: 值 = '19800101' holds" in told and '"gender":"male"' in told[-1]
    assert list(explain.explained(path, source, 3))[-1] == "The record is rejected: required: a value is required here (名)"
    assert any("birthDate: 值 → \"19801301\" | date → bad-date" in line for line in explain.explained(path, source, 4))
    assert list(explain.explained(path, source, 5))[0].startswith("The record is rejected: csv-structure")
    with pytest.raises(ValueError, match="no record in row 9"):
        list(explain.explained(path, source, 9))


@pytest.mark.parametrize("words, told", [
    (("explain", "hospital-a", "x.csv", "--row", "2"), "several mappings"), (("explain", "nowhere/x", "x.csv", "--row", "2"), "There is no mapping nowhere/x"),
    (("explain", "hospital-a/outpatient-visit", "nofile.csv", "--row", "2"), "is no file"), (("trace", "Patient"), "TYPE/ID"), (("trace", "Patient/1", "--store", "sqlite:no.db"), "store that holds it"),
    (("new", "nofile.csv", "--site", "x"), "takes a sample file")])
def test_a_wrong_call_says_what_to_do(words, told):
    code, text = yilian("map", *words)
    assert code == 2 and told in text


def test_a_draft_passes_the_check_and_holds_no_patients_values(tmp_path):
    lines = [f"{n:04},赵{n},{'男' if n % 3 else '女'},19{50 + n % 40}0{1 + n % 9}15,{'12'[n % 2]},2026-03-0{1 + n % 9} 08:00:00,13800{n:06}" for n in range(60)]
    sample = export(tmp_path / "in.csv", *lines, header="患者编号,姓名,性别,出生日期,就诊类别,就诊时间,电话")
    made = draft.drafted(sample, "new", "people", tmp_path / "new")
    assert set(made) == {"people.yaml", "tables/people-sex.csv", "site.yaml"}
    for name, text in made.items():
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_text(text, encoding="utf-8")
    assert check.faults(tmp_path / "new" / "people.yaml") == []
    text = made["people.yaml"]
    assert "encoding: gb18030" in text and "is a guess" in text and "date('yyyyMMdd')" in text and "datetime('yyyy-MM-dd HH:mm:ss')" in text and "2 codes (1, 2)" in text
    assert "赵" not in text and "13800" not in text and ",男," in made["tables/people-sex.csv"]


def test_drafts_come_from_other_kinds_of_files_and_overwrite_nothing(tmp_path):
    (tmp_path / "in.tsv").write_bytes("id\tname\n1\tx\n".encode("utf-16"))
    assert 'utf-16, delimiter: tab' in draft.drafted(tmp_path / "in.tsv", "n", "x", tmp_path)["x.yaml"]
    words = ("map", "new", str(tmp_path / "in.tsv"), "--site", "n", "--out", str(tmp_path / "sites"))
    assert yilian(*words)[0] == 0 and yilian(*words)[0] == 2
    (tmp_path / "in.doc").write_bytes(b"x")
    assert yilian("map", "new", str(tmp_path / "in.doc"), "--site", "n")[0] == 2


def test_the_page_on_functions_is_that_of_the_code():
    assert (DOCS / "mapping-functions.md").read_text(encoding="utf-8") == reference.page()


def test_the_tutorial_does_what_it_says(tmp_path, monkeypatch):
    """Its files are written, its commands run one after the other; each ends with the code that stands behind `#`, else 0. The file that no longer comes in at row 5 is traced."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "mapping.md").read_text(encoding="utf-8").partition("## From a strange CSV")[2].partition("\n## ")[0]
    ran, told = [], ""
    for name, kind, block in re.findall(r"(?:`([\w./-]+)`:\n\n)?```(\w*)\n(.*?)```", text, re.DOTALL):
        if name:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(block.encode("gb18030" if name == "visits.csv" else "utf-8"))
        for line in block.splitlines() if kind == "sh" else ():
            command, _, code = line.partition(" # ")
            given, told = yilian(*shlex.split(command)[1:])
            assert given == int(code or 0), (line, told)
            ran.append((command, told))
    assert len(ran) == 7 and "row 5 unmapped-code 性别" in ran[-2][1] and "Encounter 3 (3 created)" in ran[-2][1] and "row 5 unmapped-code" in told
    id = re.search(r"Patient/clinic-\w+", dict(ran)["yilian map explain mappings/clinic/visits.yaml visits.csv --row 2"])[0]
    assert yilian("map", "trace", id, "--store", "sqlite:clinic.db")[0] == 3  # ids are made under the store's own secret
    asyncio.run(_traced(tmp_path))


async def _traced(folder: Path) -> None:
    """Every patient of the tutorial's store leads back to its row; the trace is recorded."""
    async with open_world(Settings(store=f"sqlite:{folder}/clinic.db", open=True)) as world:
        records = Records(world, operator())
        patients = (await records.search(("Patient",), [])).entries
        found = {(await traces.traced(world, operator(), "Patient", each.id))[-1] for each in patients}
        assert {(one.mapping, one.file, one.row) for one in found} == {("clinic/visits", "visits.csv", "2"), ("clinic/visits", "visits.csv", "3")}
        assert {json.loads(each.text)["name"][0]["text"] for each in patients} == {"钱一", "孙二"}
        log = (await records.search(("AuditEvent",), [("subtype", "history-instance")])).entries
        assert {f"Patient/{each.id}" for each in patients} <= {e["what"]["reference"].partition("/_history")[0] for one in log for e in json.loads(one.text).get("entity", []) if "reference" in e.get("what", {})}


LAB = "检验号,病人号,项目,结果,时间\n" + "".join(f"L{n},P{n % 3},血糖{n},{n}.5,2026-01-0{1 + n % 9} 08:00\n" for n in range(30))


def _kept(folder, made: dict[str, str]):
    """The draft on disk."""
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return next(path for path in folder.glob("*.yaml") if path.name != "site.yaml")


@pytest.mark.parametrize("type", ["AuditEvent", "AllergyIntolerance", "Claim", "Condition", "DiagnosticReport", "Encounter", "Immunization", "MedicationRequest", "Observation", "PaymentNotice", "Provenance", "ServiceRequest"])
def test_a_draft_of_any_type_passes_the_check(tmp_path, type):
    (tmp_path / "lab.csv").write_text(LAB, encoding="utf-8")
    path = _kept(tmp_path / "n", draft.drafted(tmp_path / "lab.csv", "n", "lab", tmp_path / "n", type))
    assert check.faults(path) == [] and f"type: {type}" in path.read_text(encoding="utf-8")


def test_a_draft_guesses_whom_a_resource_is_about_when_and_how_much(tmp_path):
    (tmp_path / "lab.csv").write_text(LAB, encoding="utf-8")
    text = draft.drafted(tmp_path / "lab.csv", "n", "lab", tmp_path / "n", "Observation")["lab.yaml"]
    for line in ('key: [observation, "= 检验号"]', 'subject: "= 病人号 | lookup(Patient, $mrn)"', "effectiveDateTime: \"= 时间 | datetime('yyyy-MM-dd HH:mm')\"", "valueQuantity: \"= 结果 | quantity('1')\""):
        assert line in text


TREES = {"in.ndjson": '{"号":"1","人":{"姓名":"张三"},"项":[{"码":"a"}]}\n{"号":"2","人":{"姓名":"李四"}}\n',
         "in.json": '{"total":2,"data":{"visits":[{"号":"1","人":{"姓名":"张三"},"项":[{"码":"a"}]},{"号":"2","人":{"姓名":"李四"}}]}}',
         "top.json": '[{"号":"1","人":{"姓名":"张三"},"项":[{"码":"a"}]},{"号":"2","人":{"姓名":"李四"}}]',
         "in.xml": '<a xmlns="urn:x"><head><date>1</date></head><rows><row 号="1"><人><姓名>张三</姓名></人><项><码>a</码></项></row><row 号="2"><人><姓名>李四</姓名></人></row></rows></a>'}
ROWS = {"in.ndjson": "kind: ndjson, null", "in.json": 'kind: json, rows: "data.visits"', "top.json": "kind: json, null", "in.xml": 'kind: xml, rows: "row"'}


@pytest.mark.parametrize("name", TREES)
async def test_a_draft_comes_from_trees_and_imports_them(sqlite_world, tmp_path, name):
    (tmp_path / name).write_text(TREES[name], encoding="utf-8")
    path = _kept(tmp_path / "n", draft.drafted(tmp_path / name, "n", "visits", tmp_path / "n"))
    assert check.faults(path) == [] and ROWS[name] in path.read_text(encoding="utf-8") and "码" in path.read_text(encoding="utf-8")
    done = await feed.run(sqlite_world, compiler.compile(path), tmp_path / name)
    assert (done.records, done.accepted, done.unread) == (2, 2, {})
    page = await Records(sqlite_world, operator()).search(("Patient",), [])
    assert sorted((one["identifier"][0]["value"], one["name"][0]["text"]) for one in (json.loads(entry.text) for entry in page.entries)) == [("1", "张三"), ("2", "李四")]


def test_a_few_records_of_another_encoding_leave_the_guess_as_it_is(tmp_path):
    (tmp_path / "in.csv").write_bytes("号,名\n".encode("gb18030") + b"".join(f"{n},李䶮\n".encode("gb18030") for n in range(9)) + b"9,5\x80\n")
    text = draft.drafted(tmp_path / "in.csv", "n", "x", tmp_path / "n")["x.yaml"]
    assert "encoding: gb18030" in text and "1 records of the sample are not of it" in text
    (tmp_path / "in.csv").write_bytes("号,名\n".encode("gb18030") + b"9,5\x80\n" * 9)
    with pytest.raises(ValueError, match="Most of in.csv is neither UTF-8 nor GB18030"):
        draft.drafted(tmp_path / "in.csv", "n", "x", tmp_path / "n")


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_a_draft_comes_from_a_table_whose_numbers_are_bytes(tmp_path, encoding):
    fields = [("号", "C", 10), ("姓名", "C", 20), ("次", "I", 4), ("性别", "C", 4), ("出生", "D", 8)]
    path = dbf(tmp_path / "in.dbf", fields, [(f"{n}", "孙二", (n * 999).to_bytes(4, "little"), "男", "19800102") for n in range(200)], version=0x30, encoding=encoding)
    text = draft.drafted(path, "n", "x", tmp_path / "n")["x.yaml"]
    assert f"encoding: {encoding}" in text and "not of it" not in text and "date('yyyyMMdd')" in text


def test_a_draft_finds_the_names_below_titles(tmp_path):
    titles, names, rows = ["某院 2026年3月"], ["编号", "姓名", "性别", "日期"], [[f"{n}", "甲", "男", "2026-03-01"] for n in range(30)]
    book = openpyxl.Workbook()
    for row in (titles, ["制表", "信息科"], names, *rows):
        book.active.append(row)
    book.save(tmp_path / "in.xlsx")
    (tmp_path / "in.tsv").write_text("\n".join("\t".join(row) for row in (["某院，2026,3"], names, *rows)), encoding="utf-8")
    for name, told in (("in.xlsx", "kind: excel, header: 3"), ("in.tsv", "delimiter: tab, header: 2")):
        text = draft.drafted(tmp_path / name, "n", "x", tmp_path / name)["x.yaml"]
        assert told in text and '"编号", "姓名", "性别"' in text and "性别" in text


def test_utf16_without_a_mark_is_guessed(tmp_path):
    (tmp_path / "in.csv").write_bytes("编号,姓名\n1,张三\n2,李上\n".encode("utf-16-le"))
    path = _kept(tmp_path / "n", draft.drafted(tmp_path / "in.csv", "n", "x", tmp_path / "n"))
    assert "encoding: utf-16" in path.read_text(encoding="utf-8") and '"姓名"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name, text", [("a.json", '{"a":1}'), ("b.json", '{"a":'), ("c.json", '{"a":1}\n{"a":2}'), ("d.xml", "<a>"), ("e.xml", "<a>x</a>"), ("f.xml", "x"), ("g.ndjson", ""), ("h.json", ""), ("i.ndjson", "x\n"), ("j.xml", ""), ("k.ndjson", '{"a":1,"a":2}'), ("l.csv", "a,b\n1\n"),
                                        ("m.xml", '<!DOCTYPE x [<!ENTITY e "b">]><x><y><z>&e;</z></y></x>')])
def test_what_no_draft_comes_from_says_why(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    code, told = yilian("map", "new", str(tmp_path / name), "--site", "n", "--out", str(tmp_path / "sites"))
    assert code == 2 and name in told.replace("\n", "") and not (tmp_path / "sites").exists()


@pytest.mark.parametrize("words, told", [(("--name", "../y"), "is no name of a mapping"), (("--name", "a b"), "is no name of a mapping"), (("--name", "site"), "is no name of a mapping"),
                                         (("--type", "Pet"), "no resource type 'Pet'"), (("--site", "../x"), "--site is made of")])
def test_a_draft_stays_in_its_folder(tmp_path, words, told):
    (tmp_path / "lab.csv").write_text(LAB, encoding="utf-8")
    code, text = yilian("map", "new", str(tmp_path / "lab.csv"), "--site", "n", "--out", str(tmp_path / "sites"), *words)
    assert code == 2 and told in text and not (tmp_path / "sites").exists()


def test_a_draft_of_names_that_hold_quotes_and_line_ends_passes_the_check(tmp_path):
    (tmp_path / "in.csv").write_text('"患者编号","a ""b""","c\nd","e: #f"\n1,2,3,4\n', encoding="utf-8", newline="")
    assert check.faults(_kept(tmp_path / "n", draft.drafted(tmp_path / "in.csv", "n", "x", tmp_path / "n"))) == []
    assert check.faults(_kept(tmp_path / "m", draft.drafted(tmp_path / "in.csv", "m", "x", tmp_path / "m", "Observation"))) == []
