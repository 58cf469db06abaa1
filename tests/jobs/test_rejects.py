"""Rejects of imports: listed until they are waived, and the reason stays in the ledger."""
from __future__ import annotations

from dataclasses import replace

import pytest

from app.fhir import json
from app.jobs import rejects
from app.mapping import feed
from app.records import Records
from tests.conftest import operator
from tests.mapping.making import compiled, export


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
