"""Access records straight into the store, many at once: for a store on other machines, where a journal here would be lost with this one."""
from __future__ import annotations

import asyncio
import logging
import secrets

from app import errors
from app.store.base import Access, Store

TOGETHER = 500
"""Records of one insertion."""
log = logging.getLogger("yilian")


class Direct:
    """Does what a Journal does: `write` returns when the record is durable, here by the store's own word; an Indexer has nothing left to do."""

    def __init__(self, store: Store):
        self._store, self.id, self._next = store, secrets.token_hex(6), 0
        self._waiting: list[tuple[Access, asyncio.Future]] = []
        self._task: asyncio.Task | None = None

    async def write(self, access: Access) -> Access:
        """Gives the record its slot; returns when it is kept. Errors: Unavailable where it cannot be."""
        access.journal, access.sequence = self.id, self._next
        self._next += 1
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((access, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._empty())
        return await done

    async def run(self) -> None:
        """Nothing waits to be moved."""

    once = catch_up = run

    async def close(self) -> None:
        """Finishes what waits."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _empty(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            failed = False
            try:
                await self._store.keep([access for access, _ in batch])
            except Exception as error:
                log.error("accesses cannot be recorded: %s", error)
                failed = True
            for access, done in batch:
                if not done.done():
                    done.set_exception(errors.Unavailable("Accesses cannot be recorded now, so nothing is answered.", retry_after=5)) if failed else done.set_result(access)
