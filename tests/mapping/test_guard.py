"""A change that a state table refuses is refused when it comes with an import too."""
from __future__ import annotations

import pytest

from app import errors
from app.demo import export
from app.mapping import compiler, feed
from app.records import Records
from app.workflow import guards
from tests.conftest import operator
from tests.demo.test_demonstration import MAPPING


async def test_an_import_writes_nothing_that_a_state_table_refuses(sqlite_world, tmp_path, monkeypatch):
    monkeypatch.setitem(guards.GUARDS, "Encounter", lambda before, after, caller, now: "No visits today.")
    export.write(tmp_path / "visits.csv")
    with pytest.raises(errors.Unprocessable, match="No visits today"):
        await feed.run(sqlite_world, compiler.compile(MAPPING), tmp_path / "visits.csv")
    records = Records(sqlite_world, operator())
    assert [(await records.search((type,), [("_summary", "count")])).total for type in ("Encounter", "Patient")] == [0, 0]
