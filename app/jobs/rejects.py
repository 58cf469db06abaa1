"""The rejects of all imports that nobody has dealt with: listed from the ledgers of their chunks, and waived with a reason that stays there."""
from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from app.caller import Caller
from app.fhir import json
from app.mapping import ledger
from app.mapping.ledger import Rejected
from app.records import Change, Records, World
from app.workflow import job


class Open(NamedTuple):
    """A reject that is not waived; `id` (`TASK/ROW`) names it, and `mapping` and `file` say where it was met."""
    id: str
    mapping: str
    file: str
    reject: Rejected


async def listed(world: World, caller: Caller) -> list[Open]:
    """Every open reject that the caller may see."""
    records, runs, found, latest = Records(world, caller), {}, [], {}
    async for entry in _all(records, [("code", f"{job.JOBS}|import-chunk")]):
        task = json.loads(entry.text)
        for one in ledger.read_chunk(task)[0]:  # the newest first
            latest |= {name: one for name in one.of.split() if name not in latest}
        run = task["partOf"][0]["reference"].removeprefix("Task/")
        if run not in runs:
            runs[run] = job.told(json.loads((await _read(records, run)).text), "input")
        found += [Open(f"{entry.id}/{one.row}", runs[run]["mapping"], runs[run]["file"], one) for one in ledger.opened(task)]
    return [one._replace(reject=_as(one.reject, latest.get(one.id))) for one in found]


def _as(reject: Rejected, latest: Rejected | None) -> Rejected:
    """A reject with the reason for which its record was refused the last time."""
    return reject._replace(code=latest.code, rule=latest.rule, column=latest.column, message=latest.message) if latest else reject


async def waive(world: World, caller: Caller, names: list[str], reason: str) -> None:
    """Closes these in their ledgers, in the caller's own name, all or none. Errors: ValueError for one that is not open."""
    records, rows = Records(world, caller), {}
    for name in names:
        task, _, row = name.partition("/")
        rows.setdefault(task, []).append(row)
    changes = []
    for id, wanted in rows.items():
        entry = await _read(records, id)
        task = json.loads(entry.text) if entry else {}
        there = {str(one.row) for one in ledger.opened(task)}
        if (strange := next((row for row in wanted if row not in there), None)) is not None:
            raise ValueError(f"There is no open reject {id}/{strange}; `yilian rejects list` names them.")
        closed = ledger.with_waived(task, {**ledger.waived(task), **dict.fromkeys(wanted, reason)})
        changes.append(Change("update", "Task", id, closed, if_match=(str(entry.version),), place=id))
    await Records(world, replace(caller, system=True)).commit(changes)


async def _read(records: Records, id: str):
    page = await records.search(("Task",), [("_id", id)])
    return next((entry for entry in page.entries if entry.id == id), None)


async def _all(records: Records, pairs: list[tuple[str, str]]):
    """Every Task of a search."""
    page = await records.search(("Task",), [*pairs, ("_count", "50")])
    while True:
        for entry in page.entries:
            yield entry
        if not page.next:
            return
        page = await records.search(("Task",), [], cursor=page.next)
