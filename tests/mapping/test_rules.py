"""A mapping compiled: what it makes of a row, and each mistake told with its line."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.mapping import compiler
from app.mapping.document import Mistake
from app.mapping.reject import CODES, Reject
from tests.mapping.making import HEAD, PATIENT, compiled, row, write

START = "  p:\n    type: Patient\n    key: [mrn, = 号]\n"


def resource(folder, element: str, *values: str | None) -> dict:
    return compiled(folder, START + f"    {element}\n").apply(row(*values))[0].resource


def test_a_row_becomes_a_resource_of_the_rules_shape(tmp_path):
    made, = compiled(tmp_path).apply(row("7", "张三", "19800102"))
    assert made.rule == "patient" and made.write == "upsert"
    assert made.resource == {"resourceType": "Patient", "id": made.resource["id"], "identifier": [{"system": "urn:h:mrn", "value": "7"}],
                             "name": [{"text": "张三"}], "birthDate": "1980-01-02"}
    assert made.resource["id"].startswith("h-") and len(made.resource["id"]) == 34


def test_what_has_no_value_leaves_no_trace(tmp_path):
    assert "telecom" not in resource(tmp_path, "telecom: [{system: phone, value: = 值}]", "1", None, None)
    assert resource(tmp_path, "telecom: [{system: phone, value: = 值}]", "1", None, "5")["telecom"] == [{"system": "phone", "value": "5"}]


def test_the_first_that_is_not_empty_counts(tmp_path):
    assert resource(tmp_path, "language: = 名 // 值", "1", None, "zh")["language"] == "zh"


@pytest.mark.parametrize(("value", "active"), [("1", True), ("2", True), ("x", False), (None, None)])
def test_the_first_choice_whose_condition_holds_counts(tmp_path, value, active):
    text = "active: {when: [[\"值 in ['1', '2']\", true], [值 exists, false]]}"
    assert resource(tmp_path, text, "1", None, value).get("active") is active


def test_a_rule_is_left_out_where_its_condition_does_not_hold(tmp_path):
    text = PATIENT + "  o:\n    type: Observation\n    when: 值 matches '[0-9]{8}'\n    key: [o, = 号]\n    status: final\n    code: {text: x}\n    subject: = ref(patient)\n"
    mapping = compiled(tmp_path, text)
    assert [made.resource["resourceType"] for made in mapping.apply(row("1", "a", "19800102"))] == ["Patient", "Observation"]
    assert [made.resource["resourceType"] for made in mapping.apply(row("1", "a", None))] == ["Patient"]


def test_an_empty_key_rejects_with_its_column(tmp_path):
    with pytest.raises(Reject) as told:
        compiled(tmp_path).apply(row(None, "a", None))
    assert (told.value.code, told.value.column) == ("identity-missing", "号")


@pytest.mark.parametrize("values, column", [(("4.20106E+17", "张三", None), "号"), (("1", "4.2e+17", None), "名"), (("1", "x", "4E+17"), "值")])
def test_a_number_that_a_spreadsheet_has_rounded_is_no_identifier(tmp_path, values, column):
    text = START + "    identifier: [{value: = 名}]\n    link: [{other: {identifier: {value: = 值}}, type: seealso}]\n"
    with pytest.raises(Reject) as told:
        compiled(tmp_path, text).apply(row(*values))
    assert (told.value.code, told.value.column) == ("bad-identifier", column) and "people.yaml:" in told.value.rule
    assert compiled(tmp_path, text).apply(row("7", "BE+12", "4E+1"))[0].resource["identifier"] == [{"value": "BE+12"}]


@pytest.mark.parametrize("rule, said", [
    ("key: [mrn, = 号 | integer]", "what identifies a resource is text, and here it is a integer"), ("key: [mrn, = 5]", "what identifies a resource is text"),
    ("key: [mrn, = 号 | coding(one)]", "what identifies a resource is text, and here it is a Coding"), ("key: [mrn, = 号]\n    newer_by: = 值", "newer_by is a date or a time, and here it is a string"),
    ("key: [mrn, = 号]\n    language: = 名 | integer | trim", "what trim is given is text, and here it is a integer"), ("key: [mrn, = 号]\n    when: 号 | integer in [1, 2]", "what stands before 'in' is text"),
    ("key: [mrn, = 号]\n    when: 号 | number matches '1'", "what stands before 'matches' is text"), ("key: [mrn, = 号]\n    language: \"= concat(号 | integer, 名)\"", "concat: 'values' is text"),
    ("key: [mrn, = 号]\n    managingOrganization: = ref(p, 号 | integer)", "ref: 'key' is text"), ("key: [mrn, = 号]\n    identifier: [{value: = 号 | integer}]", "what identifies a resource is text"),
    ("key: [mrn, = 号]\n    must_match: [colour]", "Patient has no element 'colour'"), ("key: [mrn, = 号]\n    must_match: [name.text]", "Patient.name is a list"),
    ("key: [mrn, = 号]\n    must_match: [identifier|$none]", "site.yaml has no system 'none'")])
def test_a_rule_is_given_what_it_can_take(tmp_path, rule, said):
    table = "source_system,source_code,source_display,target_system,target_code,target_display,equivalence,comment,valid_from,valid_to\n"
    with pytest.raises(Mistake, match=re.escape(said)):
        compiled(tmp_path, f"  p:\n    type: Patient\n    {rule}\n", tables={"one": table})


@pytest.mark.parametrize("condition, holds", [("值 = 1", True), ("值 != 1", False), ("值 in [1, 2]", True), ("值 | integer = 1", True)])
def test_a_number_in_a_condition_is_compared_with_what_stands_before_it(tmp_path, condition, holds):
    made = compiled(tmp_path, START + f"    when: {condition}\n").apply(row("1", "a", "1"))
    assert bool(made) is holds


def test_must_match_knows_the_systems_of_the_site(tmp_path):
    assert compiled(tmp_path, PATIENT + "    must_match: [identifier|$idcard, birthDate]\n").templates[0].must_match == ("identifier|urn:oid:2.16.156.10011.1.3", "birthDate")


def test_a_column_that_no_rule_reads_is_named(tmp_path):
    assert compiled(tmp_path, START).unread == ("名", "值")


def test_another_rule_or_table_is_another_version_of_the_mapping(tmp_path):
    one, same, other = compiled(tmp_path / "1"), compiled(tmp_path / "2"), compiled(tmp_path / "3", START)
    assert one.hash == same.hash != other.hash


@pytest.mark.parametrize(("element", "words"), [
    ("colour: red", "no element 'colour'"),
    ("gender: blue", "no code of Patient.gender"),
    ("active: perhaps", "true or false"),
    ("name: {text: = 名}", "list"),
    ("birthDate: [= 值]", "not a list"),
    ("deceased: = 值", "deceasedBoolean"),
    ("language: = 没有", "no column '没有'"),
    ("language: = 名 | nothing", "no function 'nothing'"),
    ("managingOrganization: = ref(org)", "no resource 'org'"),
    ("identifier: [{system: $none, value: = 号}]", "no system 'none'"),
    ("active: {when: [[值 exists]]}", "choice"),
    ("maritalStatus: {coding: [= 值 | coding(none)]}", "no code table none.csv"),
])
def test_a_mistake_of_a_rule_is_told_with_its_line(tmp_path, element, words):
    with pytest.raises(Mistake) as told:
        compiled(tmp_path, START + f"    {element}\n")
    assert words in str(told.value) and told.value.place.endswith(f"people.yaml:{HEAD.count(chr(10)) + 4}")


@pytest.mark.parametrize(("old", "new", "words"), [
    ("kind: csv", "kind: paper", "cannot be read"), ("encoding: gb18030", "encoding: morse", "encoding 'morse'"), ("Asia/Shanghai", "Asia/None", "no time zone"),
    ("mapping: people\n", "", "'mapping' is missing"),
])
def test_a_mistake_of_the_head_is_told(tmp_path, old, new, words):
    with pytest.raises(Mistake, match=words):
        compiled(tmp_path, head=HEAD.replace(old, new))


@pytest.mark.parametrize("rule, said", [("write: status\n    intent: order", "tell a status"), ("write: append\n    status: active", "changes lists"),
                                        ("snapshot: yes\n    status: active", "true or false"), ("write: create\n    snapshot: true", "write is upsert"),
                                        ("once: [status]\n    intent: order", "'status' is none"), ("write: create\n    once: [status]\n    status: active", "write is upsert"),
                                        ("write: replace\n    status: active", "one of upsert, create, status, append")])
def test_a_write_mode_says_what_it_may_write(tmp_path, rule, said):
    with pytest.raises(Mistake, match=said):
        compiled(tmp_path, f"  one:\n    type: ServiceRequest\n    key: [o, = 号]\n    {rule}\n")


def test_a_snapshot_names_the_elements_that_a_record_leaves_empty(tmp_path):
    mapping = compiled(tmp_path, PATIENT.replace("    key", "    snapshot: true\n    key"))
    assert mapping.apply(row("1", "甲", None))[0].empty == ("birthDate",)


def test_what_stands_once_is_told_with_the_resource(tmp_path):
    assert compiled(tmp_path, PATIENT.replace("    key", "    once: [name]\n    key")).apply(row("1", "甲", None))[0].once == ("name",)


def test_the_docs_have_each_reject_code_and_no_other():
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", (Path(__file__).parent.parent.parent / "docs" / "mapping.md").read_text(encoding="utf-8"), re.M)
    assert {code: text for code, text in rows if code in CODES or "-" in code} == CODES


def test_another_site_and_zone_may_be_named(tmp_path):
    path = write(tmp_path, START + "    identifier: [{system: $mrn, value: = 号}]\n    deceasedDateTime: = 值 | datetime('yyyyMMddHHmm')\n")
    other = path.parent.parent / "o" / "site.yaml"
    other.parent.mkdir()
    other.write_text("site: o\norganization: org-o\nsystems: {mrn: 'urn:o:mrn'}\n", encoding="utf-8")
    mapping, own = compiler.compile(path, "o", "Europe/Berlin"), compiler.compile(path)
    made = mapping.apply(row("1", "甲", "202407010000"))[0].resource
    assert (made["identifier"][0]["system"], made["deceasedDateTime"], mapping.site.organization) == ("urn:o:mrn", "2024-07-01T00:00:00+02:00", "org-o")
    assert len({mapping.hash, own.hash, compiler.compile(path, "o").hash}) == 3


@pytest.mark.parametrize("site, zone, said", [("nowhere", "", "--site: there is no"), ("", "Mars/Base", "--zone: 'Mars/Base' is no time zone")])
def test_a_site_or_zone_that_is_not_is_told(tmp_path, site, zone, said):
    with pytest.raises(Mistake, match=said):
        compiler.compile(write(tmp_path), site, zone)
