"""Whole exports of the shipped sites come in by one command, in whatever order their files are called, and nothing dangles."""
from __future__ import annotations

import json
import shutil

import openpyxl
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.fhir import json as fhir
from app.mapping import compiler, feed
from app.records import Records
from app.settings import shipped
from tests.conftest import operator

EXPORTS = {
    "hospital-a": {"a-jcbg.csv": "examination-reports", "b-jcsq.csv": "examination-requests", "c-mzcf.csv": "prescriptions", "d-mzzd.csv": "diagnoses", "e-mzjz.csv": "visits"},
    "synthea": {f"{case}.csv": case for case in ("allergies", "careplans", "conditions", "devices", "encounters", "immunizations", "medications", "observations", "organizations", "patients", "payers",
                                                 "procedures", "providers", "supplies")} | {"imaging_studies.csv": "imaging", "payer_transitions.csv": "coverage"},
    "hospital-b": {"2026回转单.xlsx": "transfers-back", "2026转出单.xlsx": "transfers-out", "2026首页.xlsx": "front-pages"},
}
REJECTED = {"hospital-a": {"identity-missing": 1, "unmapped-code": 2, "bad-number": 1, "required": 1}, "synthea": {"unmapped-code": 2, "bad-date": 1, "identity-missing": 1, "required": 1, "bad-number": 1}, "hospital-b": {"required": 1, "bad-date": 1}}


@pytest.mark.parametrize("site", EXPORTS)
def test_the_files_of_a_site_come_in_together(tmp_path, site):
    folder = tmp_path / "export"
    folder.mkdir()
    for name, case in EXPORTS[site].items():
        shutil.copy(shipped("mappings") / site / "tests" / case / f"in.{name.rpartition('.')[2]}", folder / name)
    done = CliRunner().invoke(app, ["import", site, str(folder), "--store", f"sqlite:{tmp_path}/store.db", "--out", str(tmp_path / "report")])
    assert done.exit_code == 1, done.output
    told = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "report").rglob("summary.json")]
    assert len(told) == len(EXPORTS[site]) and all(one["records"] == one["accepted"] + one["rejected"] for one in told)
    counts: dict[str, int] = {}
    for code, number in (pair for one in told for pair in one["rejects"].items()):
        counts[code] = counts.get(code, 0) + number
    assert counts == REJECTED[site]
    again = CliRunner().invoke(app, ["import", site, str(folder), "--store", f"sqlite:{tmp_path}/store.db", "--out", str(tmp_path / "again"), "--again"])
    assert again.exit_code == 1 and "created" not in again.output and "updated" not in again.output, again.output


OLDER = {"patients": "patients-older", "conditions": "conditions-older", "procedures": "procedures-older", "allergies": "allergies-older", "observations": "observations-older",
         "payer_transitions": "coverage-older", "encounters": "encounters", "organizations": "organizations", "providers": "providers", "payers": "payers"}


def test_an_older_export_of_synthea_comes_in_and_its_bills_are_passed_over_and_told(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    for name, case in OLDER.items():
        shutil.copy(shipped("mappings") / "synthea" / "tests" / case / "in.csv", folder / f"{name}.csv")
    for name in ("claims", "claims_transactions"):
        (folder / f"{name}.csv").write_text("Id,PATIENTID\nc1,11111111-2222-4333-8444-000000000001\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["import", "synthea", str(folder), "--store", f"sqlite:{tmp_path}/store.db", "--out", str(tmp_path / "report")])
    assert done.exit_code == 1, done.output
    told = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "report").rglob("summary.json")}
    assert set(told) == {f"{name}.csv" for name in OLDER}
    assert {name: one["rejects"] for name, one in told.items() if one["rejects"]} == {"organizations.csv": {"required": 1}, "encounters.csv": {"unmapped-code": 1}}
    assert all(f"{name}.csv: no mapping of synthea is for a file of this name; it was passed over" in done.output for name in ("claims", "claims_transactions"))


async def transfer(world) -> tuple:
    """Of form ZC202601001: the Task's status and how many outputs it has, the status and the reason of its request."""
    task, request = [fhir.loads((await Records(world, operator()).search((type,), [("identifier", "ZC202601001")])).entries[0].text) for type in ("Task", "ServiceRequest")]
    return task["status"], len(task.get("output", [])), request["status"], request["reasonCode"][0]["text"]


async def test_a_transfer_form_is_under_way_until_the_form_back_closes_it_and_the_same_form_again_does_not_open_it(sqlite_world, tmp_path):
    home = shipped("mappings") / "hospital-b"
    out, back = compiler.compile(home / "transfer-out.yaml"), compiler.compile(home / "transfer-back.yaml")
    await feed.run(sqlite_world, out, home / "tests" / "transfers-out" / "in.xlsx")
    assert await transfer(sqlite_world) == ("in-progress", 0, "active", "需介入治疗")
    await feed.run(sqlite_world, back, home / "tests" / "transfers-back" / "in.xlsx")
    assert await transfer(sqlite_world) == ("completed", 1, "completed", "需介入治疗")
    book = openpyxl.load_workbook(home / "tests" / "transfers-out" / "in.xlsx")
    cell = next(cell for cell in book.active[2] if cell.value == "需介入治疗")
    cell.value = "需介入治疗（更正）"
    book.save(tmp_path / "corrected.xlsx")
    await feed.run(sqlite_world, out, tmp_path / "corrected.xlsx")
    assert await transfer(sqlite_world) == ("completed", 1, "completed", "需介入治疗（更正）")


async def test_a_form_back_that_came_first_closes_its_form_once_that_is_here(sqlite_world):
    home = shipped("mappings") / "hospital-b"
    first = await feed.run(sqlite_world, compiler.compile(home / "transfer-back.yaml"), home / "tests" / "transfers-back" / "in.xlsx")
    assert first.by_code == {"dangling": 2, "bad-date": 1}
    await feed.run(sqlite_world, compiler.compile(home / "transfer-out.yaml"), home / "tests" / "transfers-out" / "in.xlsx")
    assert await transfer(sqlite_world) == ("completed", 1, "completed", "需介入治疗")
