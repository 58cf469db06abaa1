"""The cases that stand beside the shipped mappings."""
from __future__ import annotations

import shutil

import pytest

from app.mapping import cases
from app.mapping.document import load
from app.settings import shipped

CASES = [case for hospital in sorted(shipped("mappings").iterdir()) if hospital.is_dir() for case in cases.cases(hospital)]


def test_each_mapping_has_a_case():
    mappings = {f"{site.parent.name}/{path.stem}" for site in shipped("mappings").glob("*/site.yaml") for path in site.parent.glob("*.yaml") if path != site}
    tried = {f"{case.parent.parent.name}/{load(case / 'expect.yaml')['mapping']}" for case in CASES}
    assert mappings and mappings == tried


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.parent.name}/{case.name}")
def test_a_case_gives_what_it_expects(case):
    assert cases.differences(case) == []


def test_a_case_tells_what_it_does_not_get(tmp_path):
    case = _copied(next(case for case in CASES if case.name == "first-visit"), tmp_path)
    expect = case / "expect.yaml"
    expect.write_text(expect.read_text().replace("Patient: 3", "Patient: 4").replace("'male'", "'female'") + "rejects:\n  - {row: 9, code: bad-date, column: x}\n")
    told = cases.differences(case)
    assert len(told) == 3 and told[0].startswith("resources: expected") and "reject ('9', 'bad-date', 'x') is missing" in told[1] and "does not hold" in told[2]


def _copied(case, folder):
    shutil.copytree(case.parent.parent.parent, folder / "mappings")
    return folder / "mappings" / case.parent.parent.name / "tests" / case.name
