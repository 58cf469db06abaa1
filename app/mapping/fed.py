"""Records that come once more, in a rejects.csv or in their own file under a changed mapping: which rejects they close, in the commit that brings them in."""
from __future__ import annotations

import re

from app.fhir import json
from app.mapping import ledger
from app.mapping.chunk import Chunk
from app.mapping.stored import Stored
from app.workflow import job

NAME = re.compile(r"[A-Za-z0-9.-]{1,64}/\d{1,18}", re.ASCII)
"""A reject as `yilian rejects list` names it: TASK/ROW."""


async def earlier(stored: Stored, mapping: str, digest: str, run: str) -> dict[int, str]:
    """Place -> name of each open reject of a file's other runs under this mapping (`site/name`), which was another then."""
    found: dict[int, str] = {}
    async for entry in stored.all("Task", [("code", f"{job.JOBS}|import"), ("identifier", f"{ledger.FILE}|{digest}")]):
        if entry.id != run and _mapping(json.loads(entry.text)) == mapping:
            async for one in stored.all("Task", [("part-of", f"Task/{entry.id}")]):
                found |= {each.place: f"{one.id}/{each.row}" for each in ledger.opened(json.loads(one.text))}
    return found


def back(chunk: Chunk) -> list[str]:
    """What the chunk's records say that they are fed back for."""
    return [*chunk.fed, *(one.of for one in chunk.rejected if one.of)]


def tasks(chunk: Chunk) -> list[str]:
    """The Tasks in it."""
    return sorted({name.partition("/")[0] for text in back(chunk) for name in text.split() if NAME.fullmatch(name)})


def runs(found: dict[str, dict]) -> list[str]:
    """The runs of those that are Tasks of chunks."""
    return sorted({_run(task) for task in found.values()} - {""})


def ours(found: dict[str, dict], runs: dict[str, dict], mapping: str) -> dict[str, dict]:
    """Those whose run is of this mapping (`site/name`)."""
    same = {id for id, task in runs.items() if _mapping(task) == mapping}
    return {id: task for id, task in found.items() if _run(task) in same}


def _mapping(task: dict) -> str:
    return job.told(task, "input").get("mapping", "").rpartition("|")[0]


def _run(task: dict) -> str:
    return task["partOf"][0]["reference"].removeprefix("Task/") if job.kind(task) == "import-chunk" else ""


def closed(chunk: Chunk, found: dict[str, dict], reason: str) -> dict[str, dict]:
    """The Tasks among `found` in which accepted records close their reject, as they are then.

    A record that is refused again stays open under the name of its first reject; where that is closed or not to be found, under its own.
    """
    open_ = {f"{id}/{one.row}" for id, task in found.items() for one in ledger.opened(task)}
    accepted = open_ & {name for text in chunk.fed for name in text.split()}
    chunk.rejected = [one._replace(of=" ".join(name for name in one.of.split() if name in open_ - accepted)) if one.of else one for one in chunk.rejected]
    rows: dict[str, list[str]] = {}
    for id, _, row in (name.partition("/") for name in accepted):
        rows.setdefault(id, []).append(row)
    if accepted:
        chunk.ledger.note("closed", len(accepted))
    return {id: ledger.with_waived(found[id], {**ledger.waived(found[id]), **dict.fromkeys(sorted(some), reason)}) for id, some in rows.items()}
