from __future__ import annotations

import pytest

from app.mapping import cases, check
from app.mapping.document import Mistake, parse
from tests.mapping.making import export, write


def test_scalars_stay_text_that_yaml_would_change():
    assert parse("a: 01\nb: no\nc: 1.0\nd: ~\ne: =", "m.yaml") == {"a": "01", "b": "no", "c": "1.0", "d": "~", "e": "="}


def test_every_node_knows_its_line():
    document = parse("a: 1\nb:\n  - x\n  - {c: y}\n", "m.yaml")
    assert document["a"].place == "m.yaml:1"
    assert document["b"][1]["c"].place == "m.yaml:4"
    assert next(iter(document["b"][1])).place == "m.yaml:4"


@pytest.mark.parametrize(("text", "place", "words"), [
    ("a: 1\na: 2\n", "m.yaml:2", "twice"),
    ("a: &x 1\nb: *x\n", "m.yaml:2", "aliases"),
    ("a: [1\nb: 2\n", "m.yaml:2", "not YAML"),
    ("- a\n- b\n", "m.yaml:1", "no mapping"),
    ("", "m.yaml:1", "no mapping"),
    ("? [a, b]\n: c\n", "m.yaml:1", "plain text"),
    ("a: " + "[" * 60 + "]" * 60, "m.yaml:1", "deeper"),
])
def test_a_mistake_names_file_and_line(text, place, words):
    with pytest.raises(Mistake) as told:
        parse(text, "m.yaml")
    assert told.value.place == place and words in str(told.value)


def test_very_deep_yaml_is_a_mistake_and_no_crash():
    with pytest.raises(Mistake):
        parse("a: " + "[" * 1000, "m.yaml")


OF_A_CASE = "mapping: people\nresources: {Patient: 1}\nassert: [{row: 2, resource: patient, that: id exists}]\n"


@pytest.mark.parametrize("file, old, new, told", [
    ("people.yaml", "kind: csv", "kind: [csv]", "people.yaml:3: kind is one value, not a list or a map"),
    ("people.yaml", 'null: ["-", 无]', "null: 无值", "people.yaml:3: null is a list; write [ ] around it"),
    ("people.yaml", "ignore: [备注]", "ignore: [[备注]]", "people.yaml:4: an item of ignore is one value"),
    ("people.yaml", "columns: {expect: [号, 名, 值], ignore: [备注]}", "columns: x", "people.yaml:4: columns holds names and values"),
    ("people.yaml", "resources:\n", "skip: [{when: 号 exists}]\nresources:\n", "people.yaml:5: an item of skip has no 'why'"),
    ("people.yaml", "key: [mrn, = 号]", "key: [mrn, {a: b}]", "people.yaml:8: an item of key is one value"),
    ("people.yaml", "type: Patient", "type: Patient\n    when: [号 exists]", "people.yaml:8: when is one value"),
    ("people.yaml", "type: Patient", "type: Patient\n    active: {when: [[[], true]]}", "people.yaml:8: each choice is [condition, value]"),
    ("people.yaml", "type: Patient", "type: Patient\n    when: 号 matches '('", "people.yaml:8: '(' is no regular expression"),
    ("people.yaml", "type: Patient", "type: Patient\n    when: 号 matches '(a+)+'", "people.yaml:8: '(a+)+' repeats what is repeated already"),
    ("people.yaml", "= 值 | date('yyyyMMdd')", "= 值 | extract('^(\\d|\\s*)+$')", "could take for ever"),
    ("people.yaml", "type: Patient", "type: Patient\n    when: " + "(" * 30 + "号 exists" + ")" * 30, "conditions nested deeper than 10 levels"),
    ("people.yaml", "= 名 | required", "= " + "(" * 3000 + "名" + ")" * 3000, "nested deeper than 40 levels"),
    ("people.yaml", "= 号}]", "= 号 | split('-', 1)}]", "stands in double quotes"), ("people.yaml", "= 值 | date('yyyyMMdd')", "= 值 | split('', 1)", "split takes a separator"), ("people.yaml", "= 名 | required", "= 名 | pad(99999999999)", "pad fills up to at most 1000 characters"),
    ("people.yaml", "mapping: people", "mapping: ../../x", "people.yaml:1: '../../x' is no name of a mapping"), ("people.yaml", "mapping: people", "mapping: ..", "is no name of a mapping"),
    ("site.yaml", "organization: h", "organization: h h", "site.yaml:2: 'h h' is no id of an Organization"), ("site.yaml", "site: h", "site: a/b", "site.yaml:1: 'a/b' is no name of a site"),
    ("site.yaml", "site: h", "site: h\nprefix: a_b", "site.yaml:2: 'a_b' is no prefix of ids"), ("site.yaml", "systems: {mrn: 'urn:h:mrn', idcard: 'urn:oid:2.16.156.10011.1.3'}", "systems: []", "systems holds names and values"),
    ("expect.yaml", "Patient: 1", "Patient: one", "expect.yaml:2: Patient is a whole number, not 'one'"), ("expect.yaml", "row: 2, ", "", "expect.yaml:3: an item of assert has no 'row'"),
    ("expect.yaml", "that: id exists", "that: 'id ='", "expect.yaml:3: FHIRPath: "), ("expect.yaml", "mapping: people\n", "", "expect.yaml:1: 'mapping' is missing"),
])
def test_a_part_of_another_kind_is_told_by_its_line(tmp_path, file, old, new, told):
    path = write(tmp_path)
    case = path.parent / "tests" / "one"
    case.mkdir(parents=True)
    (case / "expect.yaml").write_text(OF_A_CASE, encoding="utf-8")
    export(case / "in.csv", "1,张三,19800101,")
    wrong = next(path.parent.rglob(file))
    text = wrong.read_text(encoding="utf-8")
    assert old in text
    wrong.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Mistake) as raised:
        cases.differences(case)
    assert told in str(raised.value)
    if file != "expect.yaml":
        assert any(told in str(one) for one in check.faults(path))
