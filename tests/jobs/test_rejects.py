"""Rejects of imports: listed until they are waived, and the reason stays in the ledger."""
from __future__ import annotations

import pytest

from app.fhir import json
from app.jobs import rejects
from app.mapping import feed
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
