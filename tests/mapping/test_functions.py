"""Each named function of mappings, tried through a mapping: what it gives, and the code of what it rejects."""
from __future__ import annotations

from pathlib import Path

import pytest

from app.fhir import json
from app.mapping import compiler, expression, reference
from app.mapping.document import Mistake
from app.mapping.functions import FUNCTIONS
from app.mapping.reject import Reject
from tests.mapping.making import compiled, row, write

TABLE = {"t": "source_system,source_code,source_display,target_system,target_code,target_display,equivalence,comment,valid_from,valid_to\n"
              "urn:s,1,男,urn:t,male,Male,equivalent,,,\n"}
CARD = "310104201806011230"


def made(folder, element: str, *values: str | None):
    """The Observation that a mapping with this element makes of a row (号, 名, 值)."""
    mapping = compiled(folder, f"  one:\n    type: Observation\n    key: [o, = 号]\n    status: final\n    code: {{text: x}}\n    {element}\n", tables=TABLE)
    return json.loads(json.dumps(mapping.apply(row(*values))[0].resource))


@pytest.mark.parametrize(("element", "name", "value", "key", "expected"), [
    ("valueString: = 值 | required", None, "x", "valueString", "x"),
    ("valueString: = 值 | default('none')", None, None, "valueString", "none"),
    ("text: {status: generated, div: = 值 | div}", None, "一 <二\n三", "text", {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>一 &lt;二<br/>三</p></div>"}),
    ("valueString: = 值 | squeeze", None, "　张　三 a  b ", "valueString", "张三a b"), ("valueString: = 值 | squeeze", None, "Ann  Lee", "valueString", "Ann Lee"),
    ("valueString: = 值 | trim", None, "　a b ", "valueString", "a b"),
    ("valueString: = 值 | narrow", None, "２０２６-０１Ａ（甲）　x。", "valueString", "2026-01A(甲) x。"),
    ("effectiveDateTime: = 值 | narrow | date", None, "２０２６－０１-０２", "effectiveDateTime", "2026-01-02"),
    ("valueString: = 值 | upper", None, "11x", "valueString", "11X"),
    ("valueString: = 值 | pad(4)", None, "42", "valueString", "0042"),
    ("valueString: = 值 | prefix('A')", None, "1", "valueString", "A1"),
    ("valueString: = 值 | split('-', 2)", None, "a-b", "valueString", "b"),
    ("valueString: = 值 | split('-', 3)", None, "a-b", "valueString", None),
    ("valueString: = 值 | extract('[0-9]+')", None, "第12次", "valueString", "12"),
    ("valueString: = concat(名, 值, separator='/')", "a", "b", "valueString", "a/b"),
    ("valueString: = concat(名, 值, separator='/')", None, "b", "valueString", "b"),
    ("valueInteger: = 值 | integer", None, "-7", "valueInteger", -7),
    ("valueBoolean: = 值 | bool('是', '否')", None, "否", "valueBoolean", False),
    ("effectiveDateTime: = 值 | date('yyyyMMdd')", None, "20240229", "effectiveDateTime", "2024-02-29"),
    ("effectiveDateTime: = 值 | date('yyyyMMdd', 'yyyy/M/d')", None, "2024/2/9", "effectiveDateTime", "2024-02-09"),
    ("effectiveDateTime: = 值 | datetime('yyyy-MM-dd HH:mm', 'yyyy/M/d H:mm')", None, "2024/2/9 8:05", "effectiveDateTime", "2024-02-09T08:05:00+08:00"),
    ("effectiveDateTime: = 值 | datetime('yyyyMMddHHmmss', 'yyyyMMdd')", None, "20240229", "effectiveDateTime", "2024-02-29"),
    ("effectiveDateTime: = 值 | datetime('yyyyMMddHHmmss')", None, "20240229083000", "effectiveDateTime", "2024-02-29T08:30:00+08:00"),
    ("issued: = 值 | instant('yyyyMMddHHmmss')", None, "20240229083000", "issued", "2024-02-29T08:30:00+08:00"),
    ("valueString: = 值 | code(t)", None, "1", "valueString", "male"),
    ("valueString: = 值 | check_idcard", None, CARD, "valueString", CARD),
    ("effectiveDateTime: = 值 | idcard_birth", None, CARD, "effectiveDateTime", "2018-06-01"),
    ("valueString: = 值 | idcard_sex", None, CARD, "valueString", "male"),
    ("valueString: = 值 | ucum", None, "10*3/uL", "valueString", "10*3/uL"), ("valueString: = 值 | ucum", None, "{score}", "valueString", "{score}"),
    ("valueString: = 值 | ucum", None, "次/分", "valueString", None), ("valueString: = 值 | ucum", None, "mmHg", "valueString", None),
    ("valueString: = 值 | mask(4)", None, "13800001234", "valueString", "*******1234"),
])
def test_a_function_gives(tmp_path, element, name, value, key, expected):
    assert made(tmp_path, element, "1", name, value).get(key) == expected


def test_numbers_and_quantities_keep_their_text(tmp_path):
    one = json.dumps(made(tmp_path, "valueQuantity: = 值 | quantity('kg')", "1", None, "72.50"))
    assert b'"value":72.50' in one and b'"unit":"kg"' in one and b'"system":"http://unitsofmeasure.org"' in one
    assert b'"value":3.10' in json.dumps(made(tmp_path, "valueQuantity: {value: = 值 | number}", "1", None, "3.10"))
    assert b'"value":1.0E-4}' in json.dumps(made(tmp_path, "valueQuantity: {value: = 值 | number}", "1", None, "1.0E-4"))
    assert b'"value":3.10}' in json.dumps(made(tmp_path, "valueQuantity: {value: \"= 值 | number(',')\"}", "1", None, "3,10"))
    assert b'"value":3.10,' in json.dumps(made(tmp_path, "valueQuantity: = 值 | quantity('kg', mark=',')", "1", None, "3,10"))


def test_a_coding_in_a_list_stands_beside_its_source_and_an_unknown_one_is_kept(tmp_path):
    element = "category: [{coding: [\"= 值 | coding(t, display=名)\"]}]"
    target, source = made(tmp_path, element, "1", "男", "1")["category"][0]["coding"]
    assert target == {"system": "urn:t", "code": "male", "display": "Male"} and source == {"system": "urn:s", "code": "1", "display": "男"}
    assert made(tmp_path, element, "1", "未知", "9")["category"][0]["coding"] == [{"system": "urn:s", "code": "9", "display": "未知"}]


def test_a_ref_names_the_resource_of_the_same_row_or_of_another_key(tmp_path):
    patient = "  p:\n    type: Patient\n    key: [mrn, = 号]\n"
    observation = "  o:\n    type: Observation\n    key: [o, = 号]\n    status: final\n    code: {text: x}\n    subject: = ref(p)\n    focus: [\"= ref(p, 值)\"]\n"
    of, other = compiled(tmp_path, patient + observation).apply(row("1", None, "2")), compiled(tmp_path, patient).apply(row("2", None, None))
    assert of[1].resource["subject"]["reference"] == f"Patient/{of[0].resource['id']}"
    assert of[1].resource["focus"][0]["reference"] == f"Patient/{other[0].resource['id']}"


@pytest.mark.parametrize(("element", "value", "code"), [
    ("valueString: = 值 | required", None, "required"),
    ("valueQuantity: = 值 | quantity('kg')", "1,5", "bad-number"),
    *(("valueQuantity: {value: = 值 | number}", value, "bad-number") for value in ("1２", "1e", "E5", "1e99999", "NaN", "+1", "9" * 1001)),
    ("valueInteger: = 值 | integer", "1.0", "bad-number"), ("valueQuantity: {value: \"= 值 | number(',')\"}", "1.5", "bad-number"), ("valueQuantity: {value: \"= 值 | number(',')\"}", "1,5,0", "bad-number"),
    ("valueBoolean: = 值 | bool('是', '否')", "?", "bad-value"),
    ("effectiveDateTime: = 值 | date('yyyyMMdd')", "20230229", "bad-date"),
    ("effectiveDateTime: = 值 | date('yyyyMMdd', 'yyyy-M-d')", "2023-2-29", "bad-date"),
    ("valueString: = 值 | code(t)", "9", "unmapped-code"),
    ("valueString: = 值 | check_idcard", CARD[:-1] + "1", "bad-identifier"),
])
def test_a_function_rejects_with_its_code_and_column(tmp_path, element, value, code):
    with pytest.raises(Reject) as told:
        made(tmp_path, element, "1", None, value)
    assert (told.value.code, told.value.column) == (code, "值") and "people.yaml:" in told.value.rule


@pytest.mark.parametrize("expression", ["值 | nothing", "值 | pad", "值 | pad(x)", "值 | date('MM')", "值 | instant('yyyyMMdd')", "值 | extract('[')", "值 | code(none)", "值 | lookup(Patent, 'urn:x')", "值 | code(t, unmapped=maybe)", "值 | quantity('次/分')", "没有 | trim"])
def test_a_wrong_call_of_a_function_is_a_mistake_of_the_mapping(tmp_path, expression):
    with pytest.raises(Mistake):
        made(tmp_path, f"valueString: \"= {expression}\"", "1", None, "1")


def test_lookup_names_a_search_that_the_run_resolves(tmp_path):
    mapping = compiled(tmp_path, "  visit:\n    type: Encounter\n    key: [visit, = 号]\n    subject: = 值 | lookup(Patient, $mrn, missing=logical)\n")
    one = row("1", "甲", "7")
    assert mapping.apply(one)[0].resource["subject"] == {"reference": "Patient?identifier=urn:h:mrn|7"}
    assert [(target.reference, target.column, target.missing) for target in one.targets] == [("Patient?identifier=urn:h:mrn|7", "值", "logical")]


def test_each_function_is_in_the_docs_and_tested_here():
    root = Path(__file__).parent.parent.parent
    docs, tests = (root / "docs" / "mapping.md").read_text(encoding="utf-8"), Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FUNCTIONS if f"`{name}" not in docs] == []
    assert [name for name in FUNCTIONS if f"| {name}" not in tests and f"= {name}(" not in tests] == []


@pytest.mark.parametrize("text, value, gives", [(*one, ) for some in reference.EXAMPLES.values() for one in some])
def test_an_example_of_the_page_on_functions_gives_what_stands_there(tmp_path, text, value, gives):
    table = TABLE["t"].replace("urn:t,male,Male", "http://hl7.org/fhir/administrative-gender,male,")
    made = compiler.Compiler(write(tmp_path, tables={"sex": table}), tmp_path / "mappings" / "h")
    step = made.run(expression.expression(text, "here"), "here")
    try:
        found = step(row("1", None, value.strip() or None))
        assert gives == ("nothing" if found is None else json.dumps(found).decode())
    except Reject as reject:
        assert gives == reject.code


def test_each_function_but_references_has_an_example():
    assert FUNCTIONS.keys() - reference.EXAMPLES.keys() == {"ref", "lookup"}
