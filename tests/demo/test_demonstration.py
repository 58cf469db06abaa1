"""The demonstration: an alliance and a legacy export, loaded once, found again unchanged."""
from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime

import pytest

from app.demo import alliance, export
from app.fhir import json as fhir
from app.fhir.validate import validate
from app.mapping import compiler, feed
from app.records import Records
from app.settings import shipped
from tests.conftest import hospital, operator

MAPPING = shipped("mappings") / "jiadingtcm" / "outpatient-visit.yaml"
REJECTS = [
    (118, "bad-date", "出生日期"), (231, "bad-date", "就诊时间"), (342, "identity-missing", "就诊流水号"), (417, "identity-missing", "病案号"), (555, "required", "姓名"),
    (678, "unmapped-code", "就诊类型"), (789, "unmapped-code", "性别"), (901, "encoding", "主诉"), (1024, "encoding", "姓名"), (1203, "csv-structure", ""), (1377, "csv-structure", ""),
    (1500, "csv-structure", "主诉"), (1666, "csv-structure", "主诉"), (1801, "bad-identifier", "证件号码"), (1950, "bad-identifier", "证件号码"),
    (2100, "identity-collision", "病案号"), (2345, "duplicate-key", "就诊流水号"), (2500, "csv-structure", "主诉")]


@pytest.fixture(scope="module")
def built():
    return alliance.build()


@pytest.fixture
def world(sqlite_world):
    return sqlite_world


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "visits.csv"
    export.write(path)
    return path


def test_every_resource_of_the_alliance_is_valid_r4(built):
    issues = [(r["resourceType"], r["id"], i.text) for listed in built.values() for r in listed for i in validate(fhir.loads(fhir.dumps(r)))]
    assert issues == []


def test_the_core_types_and_the_vital_signs_claim_their_profiles(built):
    for one in (r for listed in built.values() for r in listed):
        if one["resourceType"] in ("Patient", "Encounter", "ServiceRequest", "ImagingStudy"):
            assert one["meta"]["profile"][0].startswith("https://yilian.example/fhir/StructureDefinition/alliance-"), one["id"]
        elif one["resourceType"] == "Observation" and one["category"][0]["coding"][0]["code"] == "vital-signs":
            assert one["meta"]["profile"][0].startswith("http://hl7.org/fhir/StructureDefinition/"), one["id"]


def test_it_is_built_from_the_places_of_the_seeds(built):
    networks = [r for listed in built.values() for r in listed if r["resourceType"] == "OrganizationAffiliation"]
    assert len({a["network"][0]["reference"] for a in networks}) == 10  # four area alliances, the specialised one, cancer, paediatrics, three of Qinghai
    patients = [r for listed in built.values() for r in listed if r["resourceType"] == "Patient"]
    assert 200 <= len(patients) <= 999
    assert {r["resourceType"] for listed in built.values() for r in listed} >= {
        "Organization", "OrganizationAffiliation", "Location", "HealthcareService", "Practitioner", "PractitionerRole", "Endpoint", "Patient", "Encounter",
        "ServiceRequest", "ImagingStudy", "Condition", "Observation", "DiagnosticReport"}


def test_what_happens_in_an_encounter_happens_while_it_lasts_and_after_its_order(built):
    held = {f"{r['resourceType']}/{r['id']}": r for listed in built.values() for r in listed}
    wrong, asked = [], 0
    for name, one in held.items():
        moment = next((datetime.fromisoformat(one[key]) for key in ("effectiveDateTime", "started", "authoredOn", "recordedDate") if key in one), None)
        period = held[one["encounter"]["reference"]]["period"] if "encounter" in one else {}
        starts = [period["start"]] if period else []
        starts += [held[order["reference"]]["authoredOn"] for order in one.get("basedOn", [])]
        asked += len(starts)
        if moment and (any(moment < datetime.fromisoformat(start) for start in starts) or "end" in period and moment > datetime.fromisoformat(period["end"])):
            wrong.append(name)
        if moment and one.get("issued") and datetime.fromisoformat(one["issued"]) < moment:
            wrong.append(name)
    assert asked > 3000 and wrong == []


def test_every_reference_is_to_a_resource_of_the_alliance(built):
    held = {f"{r['resourceType']}/{r['id']}" for listed in built.values() for r in listed}
    named = re.findall(r'"reference": "([^"]+)"', json.dumps([json.loads(fhir.dumps(r)) for listed in built.values() for r in listed]))
    assert len(named) > 5000 and set(named) <= held


async def test_each_resource_is_its_hospitals_and_a_second_load_writes_nothing(world, built):
    first = await alliance.load(world)
    number = sum(map(len, built.values()))
    assert sum(by["created"] for by in first.values()) == number
    records = Records(world, operator())
    for owner, listed in list(built.items())[:5]:
        for resource in listed[:3]:
            assert (await records.read(resource["resourceType"], resource["id"])).custodian == owner
    before = await world.store.newest()
    again = await alliance.load(world)
    assert sum(by["created"] + by["updated"] for by in again.values()) == 0 and await world.store.newest() == before
    full = await alliance.load(world, again=True)
    assert sum(by["created"] + by["updated"] for by in full.values()) == 0


async def test_the_export_comes_in_with_its_faults_as_rejects_and_a_second_import_writes_nothing(world, source, tmp_path):
    mapping = compiler.compile(MAPPING)
    done = await feed.run(world, mapping, source, out=tmp_path / "report")
    assert [(r.row, r.code, r.column) for r in done.rejects] == REJECTS
    assert (done.records, done.accepted, done.rejected) == (3000, 3000 - len(REJECTS), len(REJECTS))
    records = Records(world, operator())
    for type in ("Patient", "Encounter", "Condition"):
        counted = await records.search((type,), [("_summary", "count")])
        assert counted.total == done.resources[type]["created"]
    again = await feed.run(world, mapping, source, again=True)
    assert all(by["created"] == by["updated"] == 0 for by in again.resources.values())
    for type in ("Patient", "Encounter", "Condition"):
        assert all(e.version <= 2 for e in (await records.search((type,), [("_count", "50")])).entries)
    assert (await Records(world, hospital("hexi")).search(("Encounter",), [("_total", "accurate")])).total == 0
    with open(tmp_path / "report" / "rejects.csv", "rb") as file:
        text = file.read().decode("gb18030", "replace")
    head = next(csv.reader(io.StringIO(text)))
    assert head[-7:] == ["_row", "_place", "_code", "_rule", "_column", "_message", "_reject"]
    outcomes = [json.loads(line) for line in (tmp_path / "report" / "rejects.ndjson").read_text(encoding="utf-8").splitlines()]
    assert len(outcomes) == len(REJECTS) and all(o["resourceType"] == "OperationOutcome" for o in outcomes)


async def test_an_import_that_is_cut_off_goes_on_exactly_once(world, source):
    mapping = compiler.compile(MAPPING)

    class Cut(Exception):
        pass

    def cut(done, size, ledger):
        if ledger.records >= 1200:
            raise Cut
    with pytest.raises(Cut):
        await feed.run(world, mapping, source, progress=cut)
    held = (await Records(world, operator()).search(("Encounter",), [("_summary", "count")])).total
    assert 0 < held < 2000
    done = await feed.run(world, mapping, source)
    assert done.resumed > 1 and (done.records, done.rejected) == (3000, len(REJECTS))
    assert (await Records(world, operator()).search(("Encounter",), [("_summary", "count")])).total == done.resources["Encounter"]["created"]


async def test_a_dry_run_writes_nothing(world, source):
    done = await feed.run(world, compiler.compile(MAPPING), source, dry=True)
    assert done.dry and [r.row for r in done.rejects if r.code != "identity-collision"] == [r[0] for r in REJECTS if r[1] != "identity-collision"]
    assert (await Records(world, operator()).search(("Patient",), [("_summary", "count")])).total == 0
