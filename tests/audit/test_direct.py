"""Access records that go straight into the store."""
from __future__ import annotations

import asyncio

import pytest

from app import errors
from app.audit import record
from app.audit.direct import Direct
from app.store.base import Event
from app.store.sqlite import SqliteStore
from tests.conftest import hospital


def access(step: int):
    return record.access(hospital("a"), at=step, events=(Event("R", "read", f"Patient/{step}"),), outcome="0", site="here")


async def test_what_waits_together_is_kept_in_order_before_any_answer():
    store = await SqliteStore.open(":memory:")
    direct = Direct(store)
    written = await asyncio.gather(*(direct.write(access(i)) for i in range(1200)))
    assert [a.sequence for a in written] == list(range(1200)) and await store.kept(direct.id) == 1199
    await direct.close()
    await store.close()


async def test_a_store_that_does_not_keep_them_is_a_503():
    class Gone:
        async def keep(self, accesses):
            raise ConnectionError("gone")
    with pytest.raises(errors.Unavailable):
        await Direct(Gone()).write(access(1))
