"""A mapping's own tests: `tests/<case>/in.csv` beside `expect.yaml`, with FHIRPath assertions and the rejects that must come out.

expect.yaml: `mapping` (the file's name without .yaml), `resources` (how many there are of each type), `assert` (row, resource, that) and
`rejects` (row, code, column); `refused` is the code of a file that is refused as a whole. http://hl7.org/fhirpath/N1/
"""
from __future__ import annotations

from pathlib import Path

from app import errors
from app.fhir import path as fhirpath
from app.fhir import validate
from app.mapping.compiler import compile
from app.mapping.document import Map, Mistake, Text, load, shown
from app.mapping.frame import CASE, framed
from app.mapping.identity import Ids
from app.mapping.readers import reader
from app.mapping.reject import Reject
from app.mapping.rules import CHANGES, Made, Mapping, Row

SECRET = "00" * 32
"""Ids of test runs are made under this, never those of a store."""


def cases(folder: Path) -> list[Path]:
    """The cases of a hospital's folder."""
    return sorted(path.parent for path in folder.glob("tests/*/expect.yaml"))


def named(case: Path) -> Path:
    """The mapping that a case is of. Errors: Mistake."""
    return case.parent.parent / f"{_expected(case)['mapping']}.yaml"


def _expected(case: Path) -> Map:
    expect = framed(load(case / "expect.yaml"), CASE)
    if "mapping" not in expect:
        raise Mistake(expect.place, "'mapping' is missing: the name of the mapping that the case is of")
    return expect


def differences(case: Path) -> list[str]:
    """What a case expects and does not get, as sentences; empty when all is as expected. Errors: Mistake."""
    expect = _expected(case)
    mapping = compile(named(case))
    source = next(iter(sorted(case.glob("in.*"))), None)
    if source is None:
        raise Mistake(shown(case), "the case has no in.* file")
    try:
        made, rejects = _run(mapping, source)
    except Reject as refused:
        return [] if expect.get("refused") == refused.code else [f"the file as a whole is refused: {refused}"]
    if "refused" in expect:
        return [f"the file was expected to be refused as a whole: {expect['refused']}"]
    return [*_counts(expect, made), *_rejects(expect, rejects), *_assertions(expect, made), *_invalid(made)]


def _run(mapping: Mapping, source: Path) -> tuple[dict[int, list[Made]], list[tuple[str, str, str]]]:
    """Resources by row, and (row, code, column) of each reject."""
    ids, made, rejects = Ids(SECRET, mapping.site.prefix), {}, []
    for record in reader(source, mapping).records():
        try:
            if record.reject:
                raise record.reject
            if record.skip:
                made[record.row] = []
                continue
            row = Row(record.values, ids)
            made[record.row] = [] if mapping.skip(row) else mapping.apply(row)
        except Reject as reject:
            rejects.append((str(record.row), reject.code, reject.column))
    return made, rejects


def _counts(expect: Map, made: dict[int, list[Made]]) -> list[str]:
    found: dict[str, int] = {}
    for one in (one for row in made.values() for one in row):
        found[one.resource["resourceType"]] = found.get(one.resource["resourceType"], 0) + 1
    wanted = {str(type): int(count) for type, count in expect.get("resources", {}).items()}
    return [] if found == wanted else [f"resources: expected {wanted}, got {found}"]


def _rejects(expect: Map, rejects: list[tuple[str, str, str]]) -> list[str]:
    wanted = [(str(one["row"]), str(one["code"]), str(one.get("column", ""))) for one in expect.get("rejects", [])]
    return [f"reject {one} is missing" for one in wanted if one not in rejects] + [
        f"reject {one} was not expected" for one in rejects if one not in wanted]


def _assertions(expect: Map, made: dict[int, list[Made]]) -> list[str]:
    told = []
    for one in expect.get("assert", []):
        found = next((each.resource for each in made.get(int(one["row"]), []) if each.rule == one["resource"]), None)
        if found is None:
            told.append(f"{one.place}: row {one['row']} gives no '{one['resource']}'")
        elif not _holds(one["that"], found):
            told.append(f"{one.place}: {one['that']} does not hold")
    return told


def _holds(that: Text, resource: dict) -> bool:
    try:
        return fhirpath.compile(str(that)).holds(resource) is True
    except errors.Invalid as error:
        raise Mistake(that.place, str(error)) from None


def _invalid(made: dict[int, list[Made]]) -> list[str]:
    return [f"row {row}, '{one.rule}': {issue.expression}: {issue.text}" for row, all_of in made.items() for one in all_of
            if one.write not in CHANGES for issue in validate.validate(one.resource)]
