"""Rejects of imports: listed until they are waived, and the reason stays in the ledger."""
from __future__ import annotations

from dataclasses import replace

import pytest

from app.fhir import json
from app.jobs import rejects
from app.mapping import feed
from app.records import Records
from tests.conftest import operator
from tests.mapping.making import HEAD, PATIENT, compiled, export


async def test_rejects_are_open_until_they_are_waived_with_a_reason(world, tmp_path):
    mapping, path = compiled(tmp_path), export(tmp_path / "v.csv", "1,张三,19800101,", "2,李四,19801301,", "3,,19800101,")
    await feed.run(world, mapping, path)
    first, second = await rejects.listed(world, operator())
    assert [(one.mapping, one.file, one.reject.row, one.reject.code) for one in (first, second)] == [
        ("h/people|1.0.0", "v.csv", 3, "bad-date"), ("h/people|1.0.0", "v.csv", 4, "required")]
    await rejects.waive(world, operator(), [first.id], "测试病人")
    assert await rejects.listed(world, operator()) == [second]
    task = json.loads((await world.store.get("Task", first.id.partition("/")[0])).text)
    assert [one["valueString"] for one in task["output"] if one["type"]["text"] == "waived"] == ['{"3":"测试病人"}']
    assert (await feed.run(world, mapping, path)).rejected == 2


@pytest.mark.parametrize("name", ["nothing/3", "x", "{task}/9", "{task}/"])
async def test_what_is_no_open_reject_is_not_waived(sqlite_world, tmp_path, name):
    await feed.run(sqlite_world, compiled(tmp_path), export(tmp_path / "v.csv", "1,张三,x,"))
    known, = await rejects.listed(sqlite_world, operator())
    task = known.id.partition("/")[0]
    with pytest.raises(ValueError, match="no open reject"):
        await rejects.waive(sqlite_world, operator(), [known.id, name.format(task=task)], "x")
    assert await rejects.listed(sqlite_world, operator()) == [known]


async def test_a_held_record_that_is_waived_does_not_come_in_when_its_target_does(world, tmp_path):
    order = "  order:\n    type: ServiceRequest\n    key: [order, = 号]\n    status: active\n    intent: order\n    subject: {display: = 名}\n    replaces: [\"= ref(order, 值)\"]\n"
    mapping = compiled(tmp_path, order)
    await feed.run(world, mapping, export(tmp_path / "1.csv", "1,甲,9,", "2,乙,9,"))
    first, second = await rejects.listed(world, operator())
    await rejects.waive(world, operator(), [first.id], "作废")
    await feed.run(world, mapping, export(tmp_path / "2.csv", "9,丙,,"))
    page = await Records(world, operator()).search(("ServiceRequest",), [])
    assert sorted(json.loads(entry.text)["subject"]["display"] for entry in page.entries) == ["丙", "乙"]
    task = json.loads((await world.store.get("Task", first.id.partition("/")[0])).text)
    assert task["status"] == "completed" and (await feed.run(world, mapping, tmp_path / "1.csv")).rejected == 1


async def test_a_waiver_is_recorded_in_the_name_of_who_gave_it(world, tmp_path):
    await feed.run(world, compiled(tmp_path), export(tmp_path / "v.csv", "1,张三,x,"))
    one, = await rejects.listed(world, operator())
    await rejects.waive(world, replace(operator(), client="rejects", user="urn:h:staff|007"), [one.id], "x")
    page = await Records(world, operator()).search(("AuditEvent",), [("entity", f"Task/{one.id.partition('/')[0]}"), ("action", "U")])
    told = json.loads(page.entries[0].text)
    assert [agent["who"]["identifier"]["value"] for agent in told["agent"] if "identifier" in agent["who"]][::2] == ["rejects", "007"]


def _back(folder, *changes: tuple[bytes, bytes]):
    """The folder's rejects.csv, corrected, beside it."""
    raw = (folder / "rejects.csv").read_bytes()
    for old, new in changes:
        assert old in raw
        raw = raw.replace(old, new)
    path = folder.with_suffix(".csv")
    path.write_bytes(raw)
    return path


async def _open(world) -> list[tuple[str, int]]:
    return [(one.file, one.reject.row) for one in await rejects.listed(world, operator())]


async def test_a_corrected_record_that_comes_in_closes_the_reject_of_its_first_file(world, tmp_path):
    mapping = compiled(tmp_path)
    first = await feed.run(world, mapping, export(tmp_path / "v.csv", "1,张三,19800101,", "2,李四,19801301,", "3,,19800101,"), out=tmp_path / "one")
    name = (await rejects.listed(world, operator()))[0].id
    done = await feed.run(world, mapping, _back(tmp_path / "one", (b"19801301", b"19801231")), out=tmp_path / "two")
    assert (done.accepted, done.rejected, done.notes["closed"]) == (1, 1, 1)
    assert await _open(world) == [("v.csv", 4)], "the one that is refused again is open once, under its first name"
    task = json.loads((await world.store.get("Task", name.partition("/")[0])).text)
    assert [one["valueString"] for one in task["output"] if one["type"]["text"] == "waived"] == [f'{{"3":"came in with one.csv ({done.task})"}}']
    before = await world.store.newest()
    assert (await feed.run(world, mapping, tmp_path / "one.csv")).already and await world.store.newest() == before
    done = await feed.run(world, mapping, _back(tmp_path / "two", (b"3,,", "3,王五,".encode("gb18030"))), out=tmp_path / "three")
    assert (done.accepted, done.notes["closed"]) == (1, 1) and await _open(world) == [] and first.rejected == 2


@pytest.mark.parametrize("reference", ["", "nothing", "no-such/3", "{other}", "a,b/1 ../1", "{run}/3"])
async def test_a_reference_that_names_no_open_reject_of_the_mapping_closes_none(world, tmp_path, reference):
    mapping = compiled(tmp_path)
    done = await feed.run(world, mapping, export(tmp_path / "v.csv", "2,李四,19801301,"))
    named = await rejects.listed(world, operator())
    other = mapping if "other" not in reference else compiled(tmp_path, head=HEAD.replace("mapping: people", "mapping: others"))
    cell = reference.format(other=named[0].id, run=done.task.removeprefix("Task/"))
    path = export(tmp_path / "w.csv", f'2,李四,19801231,,"{cell}"', f'3,王五,x,,"{cell}"', header="号,名,值,备注,_reject")
    done = await feed.run(world, other, path)
    assert (done.accepted, done.rejected) == (1, 1) and "closed" not in done.notes
    assert sorted(await _open(world)) == [("v.csv", 2), ("w.csv", 3)]


async def test_without_the_reference_a_corrected_record_comes_in_and_closes_nothing(world, tmp_path):
    mapping = compiled(tmp_path)
    await feed.run(world, mapping, export(tmp_path / "v.csv", "2,李四,19801301,"))
    assert (await feed.run(world, mapping, export(tmp_path / "w.csv", "2,李四,19801231,"))).accepted == 1
    assert await _open(world) == [("v.csv", 2)]


ORDER = "  order:\n    type: ServiceRequest\n    key: [order, = 号]\n    status: active\n    intent: order\n    subject: {display: = 名 | required}\n    replaces: [\"= ref(order, 值)\"]\n"


async def test_a_corrected_record_that_is_held_closes_its_first_reject_when_it_comes_in(world, tmp_path):
    mapping = compiled(tmp_path, ORDER)
    await feed.run(world, mapping, export(tmp_path / "v.csv", "1,,9,"), out=tmp_path / "one")
    await feed.run(world, mapping, _back(tmp_path / "one", (b"1,,9", "1,甲,9".encode("gb18030"))))
    assert sorted(await _open(world)) == [("one.csv", 2), ("v.csv", 2)], "what is held is told by itself"
    await feed.run(world, mapping, export(tmp_path / "w.csv", "9,丙,,"))
    assert await _open(world) == []


async def test_a_held_record_that_comes_in_corrected_is_held_no_longer(world, tmp_path):
    mapping = compiled(tmp_path, ORDER)
    await feed.run(world, mapping, export(tmp_path / "v.csv", "1,甲,9,"), out=tmp_path / "one")
    await feed.run(world, mapping, _back(tmp_path / "one", ("1,甲,9".encode("gb18030"), "1,甲,".encode("gb18030"))))
    assert await _open(world) == []
    await feed.run(world, mapping, export(tmp_path / "w.csv", "9,丙,,"))
    page = await Records(world, operator()).search(("ServiceRequest",), [])
    assert [json.loads(entry.text).get("replaces") for entry in page.entries] == [None, None]


async def test_a_source_with_columns_of_its_own_that_begin_so_keeps_them(world, tmp_path):
    mapping = compiled(tmp_path, head=HEAD.replace("expect: [号", "expect: [_id, 号"), resources=PATIENT.replace("[mrn, = 号]", "[mrn, = _id]"))
    await feed.run(world, mapping, export(tmp_path / "v.csv", "a,2,李四,19801301,x", header="_id,号,名,值,_v"), out=tmp_path / "one")
    done = await feed.run(world, mapping, _back(tmp_path / "one", (b"19801301", b"19801231")), out=tmp_path / "two")
    assert done.accepted == 1 and done.new_columns == ("_v",) and await _open(world) == []
    assert (tmp_path / "two" / "rejects.csv").read_bytes().decode("gb18030").startswith("_id,号,名,值,_v,_row,")


async def test_a_file_that_comes_once_more_under_a_mended_mapping_closes_its_own_rejects(world, tmp_path):
    path = export(tmp_path / "v.csv", "1,张三,19800101,", "2,李四,1980-01-31,", "3,王五,x,", "4,,19800101,")
    await feed.run(world, compiled(tmp_path), path)
    waived = (await rejects.listed(world, operator()))[2]
    await rejects.waive(world, operator(), [waived.id], "x")
    mended = compiled(tmp_path, PATIENT.replace("date('yyyyMMdd')", "date('yyyyMMdd', 'yyyy-MM-dd')"))
    done = await feed.run(world, mended, path, out=tmp_path / "two")
    assert (done.accepted, done.rejected, done.notes["closed"]) == (2, 2, 1)
    assert sorted(await _open(world)) == [("v.csv", 4), ("v.csv", 5)], "row 4 once, under its first name; row 5, which was waived, is refused anew"
    assert "yyyy-MM-dd" in next(one for one in await rejects.listed(world, operator()) if one.reject.row == 4).reject.message, "why it was refused the last time"
    done = await feed.run(world, mended, _back(tmp_path / "two", (b"3,", b"3,"), (b",x,", b",19900101,"), (b"4,,", "4,赵六,".encode("gb18030"))))
    assert done.notes["closed"] == 2 and await _open(world) == []
