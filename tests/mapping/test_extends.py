"""Mappings that build on others: merged element by element, their columns renamed or absent, and each mistake told with the file and line that it stands in."""
from __future__ import annotations

import pytest

from app.mapping import compiler, rules
from app.mapping.document import Mistake, merged, parse
from app.mapping.readers import reader
from app.settings import shipped
from tests.mapping.making import HEAD, export, row, write

COMMON = """columns: {optional: [电话, 值]}
resources:
  patient:
    type: Patient
    key: [mrn, = 号]
    name: [{use: official, text: = 名 | required}]
    telecom: [{system: phone, value: = 电话}]
    gender: unknown
"""
OWN = """extends: common/patient
mapping: people
version: 1.0.0
source: {kind: csv, encoding: gb18030, zone: Asia/Shanghai}
columns: {expect: [号, 名]}
"""


def together(folder, own: str = OWN, common: str = COMMON):
    (folder / "mappings" / "common").mkdir(parents=True, exist_ok=True)
    (folder / "mappings" / "common" / "patient.yaml").write_text(common, encoding="utf-8")
    return write(folder, "", head=own)


def test_maps_are_merged_lists_added_to_and_empty_values_taken_away():
    base = parse("a: {x: 1, y: [1], z: {p: 1, q: 2}}\nb: 1\nc: [1]", "base.yaml")
    over = parse("a: {y: [2], z: {q: 3}, w: 4}\nb:\nc+: [2]\nd+: [5]", "over.yaml")
    assert merged(base, over) == {"a": {"x": "1", "y": ["2"], "z": {"p": "1", "q": "3"}, "w": "4"}, "c": ["1", "2"], "d": ["5"]}
    assert base["c"] == ["1"] and merged(base, over)["a"]["z"]["p"].place == "base.yaml:1" and merged(base, over)["c"][1].place == "over.yaml:3"


def test_a_mapping_takes_the_rules_of_another_and_overrides_some(tmp_path):
    mapping = compiler.compile(together(tmp_path, OWN + "resources: {patient: {gender: other, active: true, telecom: }}\n"))
    resource = mapping.apply(row("7", "张三", None, None))[0].resource
    assert {key: value for key, value in resource.items() if key != "id"} == {
        "resourceType": "Patient", "name": [{"use": "official", "text": "张三"}], "gender": "other", "active": True}


def test_what_a_mapping_is_built_on_is_part_of_its_version(tmp_path):
    one, other = compiler.compile(together(tmp_path / "1")), compiler.compile(together(tmp_path / "2", common=COMMON.replace("unknown", "other")))
    assert one.hash != other.hash and one.name == "h/people"


@pytest.mark.parametrize(("own", "common", "place", "words"), [
    (OWN, COMMON.replace("gender", "colour"), "patient.yaml:8", "no element 'colour'"),
    (OWN + "resources: {patient: {colour: red}}\n", COMMON, "people.yaml:6", "no element 'colour'"),
    (OWN.replace("common/patient", "common/none"), COMMON, "common/none.yaml", "cannot be read"),
    (OWN.replace("common/patient", "../../etc/passwd"), COMMON, "people.yaml:1", "FOLDER/NAME"),
    (OWN, "extends: common/patient\n" + COMMON, "patient.yaml:1", "builds on itself"),
    (OWN.replace("mapping: people\n", ""), "mapping: other\n" + COMMON, "people.yaml:1", "'mapping' is missing"),
    (OWN + "resources: {patient+: [x]}\n", COMMON, "people.yaml:6", "is no list"),
    (OWN.replace("号, 名]", "号, 名], names: {无: x}"), COMMON, "people.yaml:5", "no column '无'"),
])
def test_a_mistake_is_told_where_it_stands(tmp_path, own, common, place, words):
    with pytest.raises(Mistake) as told:
        compiler.compile(together(tmp_path, own, common))
    assert words in str(told.value) and told.value.place.endswith(place)


def test_a_column_has_its_name_in_the_file_and_another_in_the_rules(tmp_path):
    mapping = compiler.compile(together(tmp_path, OWN.replace("号, 名]", "号, 名], names: {号: BAH, 名: XM}")))
    found = list(reader(export(tmp_path / "in.csv", "7,张三", header="XM,BAH"), mapping).records())
    assert mapping.columns[:2] == ("BAH", "XM") and found[0].values[:2] == ["张三", "7"]
    with pytest.raises(rules.Reject) as told:
        mapping.apply(row("7", None, None, None))
    assert told.value.column == "XM"


def test_an_optional_column_may_be_absent_and_an_expected_one_may_not(tmp_path):
    mapping = compiler.compile(together(tmp_path))
    absent = list(reader(export(tmp_path / "a.csv", "7,张三", header="号,名"), mapping).records())
    there = reader(export(tmp_path / "b.csv", "120,7,张三", header="电话,号,名"), mapping)
    assert absent[0].values == ["7", "张三", None, None]
    assert [found.values for found in there.records()] == [["7", "张三", "120", None]] and there.new == ()
    with pytest.raises(rules.Reject, match="no column 名"):
        reader(export(tmp_path / "c.csv", "7", header="号"), mapping)


def test_a_reference_to_a_mapping_that_builds_on_another(tmp_path):
    path = together(tmp_path)
    visit = "  visit:\n    type: Encounter\n    key: [visit, = 号]\n    status: finished\n    class: {code: AMB}\n    subject: = ref(people.patient, 名)\n"
    (path.parent / "visits.yaml").write_text(HEAD.replace("people", "visits") + visit, encoding="utf-8")
    patient, visits = compiler.compile(path).apply(row("7", "张三", None, None))[0].resource, compiler.compile(path.parent / "visits.yaml")
    assert visits.apply(row("1", "7", None))[0].resource["subject"] == {"reference": f"Patient/{patient['id']}"}
    assert visits.needs == {("Patient", "h/mrn")} and visits.gives == {("Encounter", "h/visit")}


def test_mappings_come_after_those_whose_resources_they_refer_to():
    found = [compiler.compile(path) for path in sorted(shipped("mappings").glob("synthea/*.yaml")) if path.name != "site.yaml"]
    names = [one.name.removeprefix("synthea/") for one in rules.ordered(found)]
    assert sorted(names) == [one.name.removeprefix("synthea/") for one in found]
    assert max(map(names.index, ("patients", "providers", "organizations"))) < names.index("encounters") < min(map(names.index, ("observations", "allergies", "conditions")))


def test_mappings_in_a_circle_keep_their_order(tmp_path):
    visit = "  {0}:\n    type: Encounter\n    key: [{0}, = 号]\n    status: finished\n    class: {{code: AMB}}\n    partOf: = ref({1}.{1}, 名)\n"
    paths = [write(tmp_path, "").parent / f"{name}.yaml" for name in ("a", "b")]
    for path, (own, other) in zip(paths, (("a", "b"), ("b", "a"))):
        path.write_text(HEAD.replace("people", own) + visit.format(own, other), encoding="utf-8")
    assert [one.name for one in rules.ordered([compiler.compile(path) for path in paths])] == ["h/a", "h/b"]
