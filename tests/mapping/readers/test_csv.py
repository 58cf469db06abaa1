from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mapping.readers.csv import LINES, Reader
from app.mapping.readers.record import LONGEST
from app.mapping.reject import Reject
from tests.mapping.making import HEAD, compiled, export


def read(tmp_path, *lines, **more):
    return list(Reader(export(tmp_path / "in.csv", *lines, **more), compiled(tmp_path)).records())


def told(record):
    return record.row, record.reject.code, record.reject.column


def test_records_know_their_row_and_bytes(tmp_path):
    records = read(tmp_path, "1,王䶮,19850315,", '2,"a,""b""\r\nc",-,x')
    raw = (tmp_path / "in.csv").read_bytes()
    assert [(r.row, r.values) for r in records] == [(2, ["1", "王䶮", "19850315"]), (3, ["2", 'a,"b"\r\nc', None])]
    assert raw[records[1].place:records[1].place + records[1].length] == '2,"a,""b""\r\nc",-,x\r\n'.encode("gb18030")
    assert records[0].place + records[0].length == records[1].place and records[1].place + records[1].length == len(raw)


def test_reading_goes_on_from_a_byte(tmp_path):
    records = read(tmp_path, "1,a,,", "2,b,,", "3,c,,")
    again = Reader(tmp_path / "in.csv", compiled(tmp_path)).records(records[1].place, records[1].row)
    assert list(again) == records[1:]


def test_columns_come_in_the_mappings_order_and_new_ones_after_them(tmp_path):
    path = export(tmp_path / "in.csv", "x,19850315,1,王,y", header="备注,值,号,名,新列")
    reader = Reader(path, compiled(tmp_path))
    assert next(reader.records()).values == ["1", "王", "19850315", "y"] and reader.new == ("新列",)


def test_appended_columns_of_a_reject_file_are_no_new_ones(tmp_path):
    path = export(tmp_path / "in.csv", "1,王,19850315,,7,bad-date", header="号,名,值,备注,_row,_code")
    assert Reader(path, compiled(tmp_path)).new == ()


def test_null_tokens_and_blank_lines_are_nothing(tmp_path):
    assert [r.values for r in read(tmp_path, "-,无, ,", "", "1, a ,,")] == [[None, None, None], ["1", "a", None]]


@pytest.mark.parametrize(("header", "code", "column"), [
    ("号,名,备注", "column-missing", "值"), ("号,名,值,名", "csv-structure", "名"), ('号,"名,值', "csv-structure", ""),
])
def test_a_file_with_another_header_is_refused_as_a_whole(tmp_path, header, code, column):
    with pytest.raises(Reject) as refused:
        read(tmp_path, "1,a,,", header=header)
    assert (refused.value.code, refused.value.column) == (code, column)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"")
    with pytest.raises(Reject, match="empty"):
        Reader(tmp_path / "in.csv", compiled(tmp_path))


def test_bytes_that_are_not_gb18030_cost_their_record_and_are_placed(tmp_path):
    records = read(tmp_path, "1,a,,", "2,王".encode("gb18030") + b"\x80,,", "3,\xcd\xff,,".encode("latin-1"), "4,㐱𠅤,,")
    assert [told(r) for r in records if r.reject] == [(3, "encoding", "名"), (4, "encoding", "名")]
    assert "0x80 at offset 4" in records[1].reject.message
    assert records[3].values[1] == "㐱𠅤"


def test_latin_1_names_under_a_gb18030_site_are_refused_and_swallow_no_comma(tmp_path):
    """A last letter with an accent and the comma behind it are no character of GB18030; nothing is tried until something fits."""
    records = read(tmp_path, "1,José,19800101,".encode("latin-1"), "2,Zoë,19800101,".encode("latin-1"), "3,王,19800101,")
    assert [told(r) for r in records if r.reject] == [(2, "encoding", "名"), (3, "encoding", "名")]
    assert records[2].values[:3] == ["3", "王", "19800101"]


def test_a_stray_quote_costs_one_line_and_not_the_rows_after_it(tmp_path):
    records = read(tmp_path, "1,a,,", '2,"open,,', "3,c,,", '4,"d",,', "5,e,,")
    assert [r.row for r in records if not r.reject] == [2, 4, 5, 6]
    assert [told(r) for r in records if r.reject] == [(3, "csv-structure", "名")]


def test_a_quote_that_never_closes_costs_one_line(tmp_path):
    records = read(tmp_path, "1,a,,", '2,"open,,', *(f"{n},c,," for n in range(3, LINES + 20)))
    assert [told(r) for r in records if r.reject] == [(3, "csv-structure", "名")]
    assert len(records) == LINES + 19


def test_a_quote_inside_a_value_too_many_columns_and_nul_are_named(tmp_path):
    records = read(tmp_path, '1,a"b,,', "2,b,c,d,e", "3,b", "4,a\0b,,")
    assert [told(r) for r in records] == [(2, "csv-structure", "名"), (3, "csv-structure", ""), (4, "csv-structure", ""), (5, "csv-structure", "名")]


def test_an_endless_line_is_refused_for_its_size(tmp_path):
    records = read(tmp_path, "1,a,,", "2," + "x" * (2 * LONGEST) + ",,", "3,c,,")
    assert [(r.row, r.reject and r.reject.code) for r in records] == [(2, None), (3, "size"), (4, None)]


def test_a_byte_order_mark_and_a_missing_last_line_end_are_no_matter(tmp_path):
    head = "mapping: people\nversion: 1.0.0\nsource: {kind: csv, encoding: utf-8, zone: Asia/Shanghai}\ncolumns: {expect: [号, 名, 值], ignore: [备注]}\nresources:\n"
    (tmp_path / "in.csv").write_bytes("号,名,值,备注\n1,王,19850315,".encode("utf-8-sig"))
    records = list(Reader(tmp_path / "in.csv", compiled(tmp_path, head=head)).records())
    assert [r.values for r in records] == [["1", "王", "19850315"]]


def test_private_use_characters_come_to_their_present_places(tmp_path):
    record = read(tmp_path, "1,王".encode("gb18030") + b"\xfe\x51,,")[0]
    assert record.values[1] == "王\U00020087" and record.warnings == ("private-use",)


@given(st.lists(st.lists(st.text(st.characters(codec="gb18030", exclude_characters="\0\r\ue7c7\x1a"), max_size=8), min_size=4, max_size=4), max_size=8))
def test_what_a_csv_writer_writes_is_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("csv")
    with open(folder / "in.csv", "w", encoding="gb18030", newline="") as file:
        csv.writer(file).writerows([["号", "名", "值", "备注"], *rows])
    expected = [[None if (text := cell.strip()) in ("", "-", "无") else text for cell in row[:3]] for row in rows]
    records = list(Reader(folder / "in.csv", compiled(folder)).records())
    assert not [r for r in records if r.reject]
    moved = [[cell and cell for cell in r.values] for r in records]
    assert len(moved) == len(expected) and all(a == b for a, b in zip(moved, expected) if not any("\ue000" <= c <= "\uf8ff" for cell in b if cell for c in cell))


@given(st.binary(max_size=400))
def test_random_bytes_give_rejects_and_no_error(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("csv")
    (folder / "in.csv").write_bytes("号,名,值,备注\n".encode("gb18030") + noise)
    records = list(Reader(folder / "in.csv", compiled(folder)).records())
    assert all((r.values is None) == (r.reject is not None) for r in records)
    assert [r.row for r in records] == list(range(2, len(records) + 2))


def test_lines_above_the_names_are_passed_over_and_a_reject_file_has_none(tmp_path):
    mapping = compiled(tmp_path, head=HEAD.replace("encoding: gb18030", "encoding: gb18030, header: 3"))
    body = "号,名,值,备注\n1,王,19850315,\n2,李,x,\n"
    (tmp_path / "in.csv").write_text('某院 "报表"\n打印：2026\n' + body, encoding="gb18030")
    read = Reader(tmp_path / "in.csv", mapping)
    assert [(one.row, one.values) for one in read.records()] == [(4, ["1", "王", "19850315"]), (5, ["2", "李", "x"])] and read.first == 4
    assert read.heading().decode("gb18030") == "号,名,值,备注"
    (tmp_path / "back.csv").write_text(body, encoding="gb18030")
    assert [one.row for one in Reader(tmp_path / "back.csv", mapping).records()] == [2, 3]


@pytest.mark.parametrize("text, words", [("某院\n", "empty"), ("a\nb\nc\n", "no column")])
def test_a_file_without_its_line_of_names_is_refused(tmp_path, text, words):
    (tmp_path / "in.csv").write_text(text, encoding="gb18030")
    with pytest.raises(Reject, match=words):
        Reader(tmp_path / "in.csv", compiled(tmp_path, head=HEAD.replace("encoding: gb18030", "encoding: gb18030, header: 3")))


def test_line_ends_of_cr_alone_are_told(tmp_path):
    (tmp_path / "in.csv").write_bytes("号,名,值,备注\r1,王,,\r".encode("gb18030"))
    with pytest.raises(Reject, match="CR alone"):
        Reader(tmp_path / "in.csv", compiled(tmp_path))


def test_utf8_that_is_gb18030_by_chance_is_refused_and_gb18030_that_is_utf8_by_chance_is_not(tmp_path):
    utf8, gb = "2,李四,,".encode(), "3,陆隆,,".encode("gb18030")
    assert utf8.decode("gb18030") == "2,鏉庡洓,," and gb.decode("utf-8") == "3,½¡,,"
    first, second, third = read(tmp_path, "1,张三,,", utf8, gb)
    assert first.values[1] == "张三" and third.values[1] == "陆隆"
    assert (second.reject.code, second.reject.column) == ("encoding", "名") and "UTF-8" in second.reject.message


@pytest.mark.parametrize("later", ["2,5\x80,,", "2,b,,,,,", '2,"b",,'])
def test_what_follows_an_open_quote_is_not_what_its_record_is_blamed_for(tmp_path, later):
    path = export(tmp_path / "in.csv", '1,"李,,', "LATER", "3,c,,", '4,",d",,')
    path.write_bytes(path.read_bytes().replace(b"LATER", later.encode("latin-1")))
    first = list(Reader(path, compiled(tmp_path)).records())[0]
    assert told(first) == (2, "csv-structure", "名") and first.reject.message.startswith("a quoted value is not closed in its line")
