"""Whole exports of the shipped sites come in by one command, in whatever order their files are called, and nothing dangles."""
from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.settings import shipped

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
