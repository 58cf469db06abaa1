"""Each kind of source: what its records are, where they stand, and what costs one record and what the file."""
from __future__ import annotations

import json
import struct
from datetime import date, datetime, time

import openpyxl
import pytest

from app.mapping.document import Mistake
from app.mapping.readers import reader
from app.mapping.readers.record import LONGEST
from app.mapping.reject import Reject
from tests.mapping.readers.making import JULIAN, dbf, mapping, records, values

CSV16 = "kind: csv, encoding: utf-16"
FIXED = "kind: fixed, encoding: gb18030, fields: [{号: 4}, {名: 8}, {值: 6}]"
DBF = "kind: dbf, encoding: gb18030"
EXCEL = "kind: excel"
XML = "kind: xml, rows: 行"


# UTF-16

@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_of_either_order_where_halves_of_characters_look_like_line_ends(tmp_path, encoding):
    path, mark = tmp_path / "in.csv", {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding]
    path.write_bytes(mark + "号,名,值\r\n1,上海\u0a4a\u0a0a\u0d0d𠀊,\"x\r\ny\"\r\n\r\n2,乙,\n".encode(encoding))
    found = records(path, CSV16)
    assert [r.values for r in found] == [["1", "上海\u0a4a\u0a0a\u0d0d𠀊", "x\r\ny"], ["2", "乙", None]]
    raw = path.read_bytes()
    assert raw[found[1].place:found[1].place + found[1].length].decode(encoding) == "2,乙,\n"
    assert list(reader(path, mapping(CSV16)).records(found[1].place, 3)) == found[1:]


def test_half_a_character_at_the_end_of_utf16_is_a_reject(tmp_path):
    (tmp_path / "in.csv").write_bytes("号,名,值\n1,a,b\n2,c,d".encode("utf-16") + b"\x0a")
    assert values(tmp_path / "in.csv", CSV16) == [["1", "a", "b"], ("encoding", "值")]


# fixed width

def test_fixed_width_counts_bytes_of_gb18030(tmp_path):
    path = tmp_path / "in.txt"
    path.write_bytes("1   王小明  3.50  \r\n2   㐱      \r\n\r\n3\r\n\x1a".encode("gb18030"))
    assert values(path, FIXED) == [["1", "王小明", "3.50"], ["2", "㐱", None], ["3", None, None]]


def test_a_fixed_record_of_the_wrong_width_or_encoding_costs_itself(tmp_path):
    path = tmp_path / "in.txt"
    path.write_bytes(b"1   a       b     too long\n" + "2   ".encode() + b"\x80       x\n" + "3   王王王王王\n".encode("gb18030") + b"4   ok\n")
    assert values(path, FIXED) == [("csv-structure", ""), ("encoding", "名"), ["3", "王王王王", "王"], ["4", "ok", None]]


def test_a_character_cut_by_a_column_is_a_reject(tmp_path):
    (tmp_path / "in.txt").write_bytes("1   a王王王王\n".encode("gb18030"))
    assert values(tmp_path / "in.txt", FIXED) == [("encoding", "名")]


# DBF

def test_dbf_of_every_type(tmp_path):
    fields = [("号", "C", 6), ("名", "C", 10), ("值", "N", 8), ("日", "D", 8), ("是", "L", 1), ("整", "I", 4), ("双", "B", 8), ("钱", "Y", 8), ("时", "T", 8)]
    row = ["1", "王䶮", "   72.50", "20260102", "T", struct.pack("<i", -7), struct.pack("<d", 0.1), struct.pack("<q", -123456),
           struct.pack("<II", JULIAN, (8 * 3600 + 5 * 60 + 9) * 1000)]
    empty = ["2", "", "", "", "?", struct.pack("<i", 0), struct.pack("<d", 2.0), struct.pack("<q", 0), bytes(8)]
    path = dbf(tmp_path / "in.dbf", fields, [row, empty], version=0x30)
    assert values(path, DBF, columns=tuple(name for name, _, _ in fields)) == [
        ["1", "王䶮", "72.50", "20260102", "T", "-7", "0.1", "-12.3456", "2026-01-02 08:05:09"], ["2", None, None, None, None, "0", "2", "0.0000", None]]


@pytest.mark.parametrize("encoding, name, told", [("utf-8", "入院日期", "入院日"), ("gb18030", "A入院日期时间", "A入院日期"), ("gb18030", "入院日期时间", "入院日期时")])
def test_a_dbf_column_whose_name_was_cut_within_a_character_has_what_is_whole_of_it(tmp_path, encoding, name, told):
    path = dbf(tmp_path / "in.dbf", [(name.encode(encoding)[:10].decode("latin-1"), "C", 3)], [], encoding="latin-1")
    assert reader(path, mapping(f"kind: dbf, encoding: {encoding}", columns=())).header == [told]


def test_deleted_dbf_records_are_passed_over_with_the_reason(tmp_path):
    path = dbf(tmp_path / "in.dbf", [("号", "C", 3), ("名", "C", 3), ("值", "C", 3)], [["1", "a", ""], ["2", "b", ""], ["3", "c", ""]], deleted=(1,))
    found = records(path, DBF)
    assert [(r.row, r.values, r.skip) for r in found] == [(1, ["1", "a", None], ""), (2, None, "deleted in the DBF table"), (3, ["3", "c", None], "")]
    assert list(reader(path, mapping(DBF)).records(found[2].place, 3)) == found[2:]


@pytest.mark.parametrize("kind", ["fpt", "dbt4", "dbt3"])
def test_memos_of_each_kind(tmp_path, kind):
    text = ("主诉：头痛。" * 60).encode("gb18030")
    if kind == "fpt":
        memo = struct.pack(">I2xH", 3, 64).ljust(512, b"\0") + struct.pack(">II", 1, len(text)) + text
        block, name = 8, "in.fpt"
    elif kind == "dbt4":
        memo = bytes(20) + struct.pack("<H", 512) + bytes(490) + b"\xff\xff\x08\0" + struct.pack("<I", len(text) + 8) + text
        block, name = 1, "IN.DBT"
    else:
        memo, block, name = bytes(512) + text + b"\x1a\x1a", 1, "in.dbt"
    (tmp_path / name).write_bytes(memo)
    number = struct.pack("<i", block) if kind == "fpt" else str(block).rjust(10).encode()
    path = dbf(tmp_path / "in.dbf", [("号", "C", 3), ("名", "M", len(number)), ("值", "C", 1)], [["1", number, ""], ["2", bytes(4) if kind == "fpt" else "", ""],
                                                                                                  ["3", struct.pack("<i", 999) if kind == "fpt" else "       999", ""]],
               version=0x30 if kind == "fpt" else 0x8B if kind == "dbt4" else 0x83)
    assert values(path, DBF) == [["1", text.decode("gb18030"), None], ["2", None, None], ("bad-value", "名")]


def test_a_memo_without_its_file_and_a_table_cut_short_are_rejects(tmp_path):
    path = dbf(tmp_path / "in.dbf", [("号", "C", 3), ("名", "M", 10), ("值", "C", 1)], [["1", "         1", ""], ["2", "", ""]], end=b"")
    path.write_bytes(path.read_bytes()[:-5])
    assert values(path, DBF) == [("bad-value", "名"), ("csv-structure", "")]


def test_records_that_the_header_promises_and_the_file_lacks_are_told(tmp_path):
    path = dbf(tmp_path / "in.dbf", [("号", "C", 3), ("名", "C", 3), ("值", "C", 3)], [["1", "a", ""]] * 3)
    path.write_bytes(path.read_bytes()[:-(10 + 1)])
    assert values(path, DBF)[-1] == ("csv-structure", "") and len(records(path, DBF)) == 3


@pytest.mark.parametrize("data", [b"", b"\x03" * 20, b"\x03" + bytes(31) + b"\r", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_dbf_is_refused_as_a_whole(tmp_path, data):
    (tmp_path / "in.dbf").write_bytes(data)
    with pytest.raises(Reject, match="DBF"):
        records(tmp_path / "in.dbf", DBF)


# Excel

def sheet(path, *rows):
    book = openpyxl.Workbook()
    book.active.title = "门诊"
    for row in rows:
        book.active.append(row)
    book.create_sheet("别的").append(["x"])
    book.save(path)
    return path


def test_excel_cells_as_text(tmp_path):
    path = sheet(tmp_path / "in.xlsx", ["某院报表"], ["号", "名", "值", "备注"], [1, " 王 ", 0.1, True], [], ["007", datetime(2026, 1, 2, 3, 4, 5), date(2026, 1, 2), time(8, 5)])
    found = records(path, "kind: excel, header: 2, sheet: 门诊", columns=("号", "名", "值", "备注"))
    assert [(r.values) for r in found] == [["1", "王", "0.1", "TRUE"], ["007", "2026-01-02 03:04:05", "2026-01-02", "08:05:00"]]


def test_a_number_that_excel_has_cut_is_refused(tmp_path):
    path = sheet(tmp_path / "in.xlsx", ["号", "名", "值"], ["320102198503150017", "a", 123456789012345], [320102198503150017, "b", None])
    assert values(path, EXCEL) == [["320102198503150017", "a", "123456789012345"], ("bad-number", "号")]


def test_a_value_beside_the_header_is_a_reject(tmp_path):
    assert values(sheet(tmp_path / "in.xlsx", ["号", "名", "值"], ["1", "a", "b", None, "?"], ["2", "c"]), EXCEL) == [("csv-structure", ""), ["2", "c", None]]


def test_a_cell_that_shows_an_error_is_refused_where_a_rule_may_read_it(tmp_path):
    book = openpyxl.Workbook()
    book.active.title, other = "甲", book.create_sheet("乙&丙")
    book.active.append(["#N/A"])
    for row in (["号", "名", "值", "备注"], ["1", "a", "#N/A", None], ["2", "b", "c", "#DIV/0!"], ["#REF!", None, None, None], ["3", "d", "e", None]):
        other.append(row)
    book.save(tmp_path / "in.xlsx")
    assert values(tmp_path / "in.xlsx", "kind: excel, sheet: 乙&丙") == [("bad-value", "值"), ["2", "b", "c"], ("bad-value", "号"), ["3", "d", "e"]]


def test_a_workbook_is_read_by_what_it_is(tmp_path):
    sheet(tmp_path / "in.xlsx", ["号", "名", "值"], ["1", "a", "b"]).rename(tmp_path / "in.xls")
    assert values(tmp_path / "in.xls", EXCEL) == [["1", "a", "b"]]


@pytest.mark.parametrize(("source", "text"), [("kind: excel, sheet: 住院", "门诊"), ("kind: excel, header: 9", "row 9")])
def test_a_sheet_or_header_that_is_not_there_is_told(tmp_path, source, text):
    with pytest.raises(Reject, match=text):
        records(sheet(tmp_path / "in.xlsx", ["号", "名", "值"]), source)


def test_what_is_no_workbook_is_refused(tmp_path):
    (tmp_path / "in.xlsx").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(Reject, match="no Excel workbook"):
        records(tmp_path / "in.xlsx", EXCEL)


# JSON

PATHS = ("号", "人.名", "值.0.数")


def test_ndjson_by_dotted_paths(tmp_path):
    path = tmp_path / "in.ndjson"
    path.write_text('{"号": 1, "人": {"名": "王"}, "值": [{"数": 72.50}], "新": "x"}\n\n[1]\n{"号": "2", "号": 3}\n{"号": true, "人": null}\nno\n', encoding="utf-8")
    read = reader(path, mapping("kind: ndjson", columns=PATHS))
    found = list(read.records())
    assert [r.values or r.reject.code for r in found] == [["1", "王", "72.50"], "csv-structure", "csv-structure", ["true", None, None], "csv-structure"]
    assert read.new == ("新",) and list(read.records(found[3].place, 4))[0] == found[3]
    assert "stands twice" in found[2].reject.message


def test_a_json_document_is_streamed(tmp_path):
    path = tmp_path / "in.json"
    path.write_text('{"头": {"号": "x"}, "数据": {"行": [{"号": 1.50}, 7, {"号": "2", "人": {"名": "乙"}}]}}', encoding="utf-8")
    found = records(path, "kind: json, rows: 数据.行", columns=PATHS)
    assert [r.values or r.reject.code for r in found] == [["1.50", None, None], "csv-structure", ["2", "乙", None]]
    assert list(reader(path, mapping("kind: json, rows: 数据.行", columns=PATHS)).records(2, 3)) == found[2:]


def test_a_json_document_cut_short_gives_what_came_before_and_a_reject(tmp_path):
    (tmp_path / "in.json").write_text('[{"号": 1}, {"号": 2}, {"号"', encoding="utf-8")
    found = records(tmp_path / "in.json", "kind: json", columns=PATHS)
    assert [r.values and r.values[0] or r.reject.code for r in found] == ["1", "2", "csv-structure"]
    assert [(r.row, r.place) for r in found] == [(1, 0), (2, 1), (3, 2)]


# XML

def test_xml_rows_with_attributes_repeats_and_namespaces(tmp_path):
    path = tmp_path / "in.xml"
    path.write_text('<?xml version="1.0" encoding="GB18030"?><表 xmlns="urn:x"><行 号="1"><名>王<!-- --></名><诊><码>A</码></诊><诊><码>B</码></诊></行>'
                    '<行 号="2"><名>乙</名><诊><码>C</码></诊></行></表>', encoding="gb18030")
    read = reader(path, mapping(XML, columns=("@号", "名", "诊/码", "诊[1]/码", "诊[2]/码"), ignored=()))
    assert [r.values for r in read.records()] == [["1", "王", None, "A", "B"], ["2", "乙", "C", None, None]]


@pytest.mark.parametrize("text", ['<!DOCTYPE a [<!ENTITY b "' + "x" * 50 + '">]><表><行><名>&b;</名></行><行><名>c</名></行></表>',
                                  '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><表><行><名>&b;</名></行><行><名>c</名></行></表>'])
def test_entities_are_not_resolved_and_cost_their_record(tmp_path, text):
    (tmp_path / "in.xml").write_text(text, encoding="utf-8")
    assert values(tmp_path / "in.xml", XML, columns=("名",)) == [("csv-structure", ""), ["c"]]


def test_an_entity_bomb_costs_nothing(tmp_path):
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 100}">' for n in range(10))
    (tmp_path / "in.xml").write_text(f"<!DOCTYPE a [{bomb}]><表><行><名>&e9;</名></行></表>", encoding="utf-8")
    assert values(tmp_path / "in.xml", XML, columns=("名",)) == [("csv-structure", "")]


def test_xml_cut_short_and_text_beside_elements(tmp_path):
    (tmp_path / "in.xml").write_text("<表><行><名>a</名>aside</行><行><名>b</名></行><行><名>", encoding="utf-8")
    read = reader(tmp_path / "in.xml", mapping(XML, columns=("名",)))
    assert [r.values or r.reject.code for r in read.records()] == [["a"], ["b"], "csv-structure"] and read.new == ("text()",)


# all of them

@pytest.mark.parametrize(("name", "source", "data"), [
    ("in.csv", "kind: csv, encoding: utf-8", "号,名,值\n" + "1," + "x" * LONGEST + ",\n2,b,\n"),
    ("in.txt", "kind: fixed, encoding: utf-8, fields: [{号: 2}, {名: 2}, {值: 1}]", "1 " + "x" * LONGEST + "\n2 b\n"),
    ("in.ndjson", "kind: ndjson", json.dumps({"号": "1", "名": "x" * LONGEST}) + '\n{"号": "2", "名": "b"}\n'),
    ("in.json", "kind: json", json.dumps([{"号": "1", "名": "x" * LONGEST + "x"}, {"号": "2", "名": "b"}])),
    ("in.xml", XML, "<表><行><号>1</号><名>" + "x" * LONGEST + "</名></行><行><号>2</号><名>b</名></行></表>"),
])
def test_a_record_beyond_the_limit_costs_itself(tmp_path, name, source, data):
    (tmp_path / name).write_text(data, encoding="utf-8")
    assert values(tmp_path / name, source) == [("size", ""), ["2", "b", None]]


def test_a_nul_is_a_reject_and_private_use_a_warning(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps([{"号": "1", "名": "a\0b"}, {"号": "2", "名": "\ue78d"}]), encoding="utf-8")
    found = records(tmp_path / "in.json", "kind: json")
    assert (found[0].reject.code, found[0].reject.column) == ("bad-value", "名")
    assert found[1].values[1] == "\ufe10" and found[1].warnings == ("private-use",)


@pytest.mark.parametrize("source", ["kind: fixed, encoding: gb18030", "kind: fixed, encoding: gb18030, fields: [{号: 0}]", "kind: xml", "kind: excel, header: x",
                                    "kind: excel, encoding: utf-8", "kind: dbf", "kind: csv, encoding: latin-1", "kind: pdf", "kind: csv, encoding: utf-8, delimiter: ab",
                                    "kind: csv, encoding: utf-8, sheet: x"])
def test_a_source_that_says_too_little_or_too_much_is_a_mistake(source):
    with pytest.raises(Mistake, match="m.yaml:1"):
        mapping(source)


@pytest.mark.parametrize("name, source, text, told", [
    ("in.json", "kind: json, rows: data.visit", '{"data":{"visits":[{"号":"1"}]}}', "no list at data.visit"), ("in.json", "kind: json, rows: data", '{"data":{"号":"1"}}', "no list at data"),
    ("in.json", "kind: json", '{"号":"1"}', "no list at its top"), ("in.xml", XML, "<a><列><号>1</号></列></a>", "no element of the document is called 行")])
def test_a_document_without_the_place_of_its_records_is_refused(tmp_path, name, source, text, told):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(Reject, match=told) as refused:
        reader(tmp_path / name, mapping(source))
    assert refused.value.code == "csv-structure"


@pytest.mark.parametrize("name, source, text", [("in.json", "kind: json, rows: data.visit", '{"data":{"visit":[]}}'), ("in.json", "kind: json", "[]"), ("in.xml", XML, "<a><多/></a>")])
def test_a_document_of_no_records_is_read(tmp_path, name, source, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert values(tmp_path / name, source) == []
