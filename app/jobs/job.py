"""One job as the process sees it that does it: its Task, taken, told on the way, and ended."""
from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

from app import errors
from app.caller import system
from app.fhir import json as fhir
from app.records import Change, Records, World
from app.store.base import Entry
from app.workflow import job as tasks

TOLD = 5.0
"""Seconds between two times that a Task tells how far its job is."""
Progress = Callable[[int, int | None], None]
"""Told how much is done, and of how much, where that is known."""


class Gone(Exception):
    """The Task was written by somebody else: another process took the job over, or it was cancelled."""


class Job:
    """A job: `inputs` by name; `ledger`, what is kept of it from one process to the next (empty at first, plain JSON); `progress` hears of each step.

    Errors of what writes the Task: Gone.
    """

    def __init__(self, world: World, entry: Entry, progress: Progress):
        self.task, self.id, self.version, self.progress = fhir.loads(entry.text), entry.id, entry.version, progress
        self.inputs = tasks.told(self.task, "input")
        self.ledger: dict = json.loads(tasks.told(self.task).get("ledger", "{}"))
        self.records = Records(world, system("job", entry.custodian, base=self.inputs.get("base", "")))
        self.at = time.monotonic()

    async def take(self) -> None:
        """It is this process's from now on."""
        await self.beat()

    async def tell(self, done: int, total: int | None) -> None:
        """How far it is, in the Task every few seconds: as long as it says so, nobody else takes the job."""
        self.progress(done, total)
        if time.monotonic() - self.at >= TOLD:
            await self.beat(f"{done} of {total}" if total is not None else f"{done}")

    async def beat(self, text: str = "") -> None:
        """A sign of life, and the ledger, in the Task now."""
        await self._write("in-progress", text)

    async def leave(self) -> None:
        """Somebody else may go on at once."""
        await self._write("on-hold")

    async def end(self, status: str, text: str, also=None) -> None:
        """It is over: `completed` or `failed`. also: joins the commit, see Records.commit."""
        await self._write(status, text, also)

    async def _write(self, status: str, text: str = "", also=None) -> None:
        """A process that is stopped in the middle still learns what came of it."""
        writing = asyncio.create_task(self._commit(status, text, also))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise

    async def _commit(self, status: str, text: str, also) -> None:
        self.task |= {"status": status, "output": [{"type": {"text": "ledger"}, "valueString": json.dumps(self.ledger)}]} | ({"businessStatus": {"text": text}} if text else {})
        try:
            done, = await self.records.commit([Change("update", "Task", self.id, self.task, if_match=(str(self.version),))], also=also)
        except errors.VersionMismatch:
            raise Gone from None
        self.version, self.at = done.entry.version, time.monotonic()
