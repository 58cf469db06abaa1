"""Jobs are asked for, found, and done: by one process each, which another follows where it died."""
from __future__ import annotations

import asyncio
import contextlib
import logging

from app import errors, upkeep
from app.caller import Caller, system
from app.fhir import json
from app.jobs import reindex
from app.jobs.job import Gone, Job, Progress
from app.records import Change, Records, World
from app.search.query import Compare, Query, both, has
from app.store.base import Entry, Event
from app.workflow import job as tasks
from app.world import moment

KINDS = {"reindex": reindex.run}
"""Code of a job -> what does it."""
LEASE = 30_000_000
"""Microseconds without a word after which a job's process is taken for dead: more than its longest step takes."""
PERIOD = 1.0
"""Seconds between two looks for jobs that wait."""
log = logging.getLogger("yilian")


async def ask(world: World, caller: Caller, code: str, description: str, inputs: dict[str, str]) -> tuple[Entry, bool]:
    """The Task of a job, and whether it is a new one: at a time there is one of a kind. The operator alone asks for one. Errors: Forbidden."""
    if not caller.operator:
        raise errors.Forbidden(f"Only the operator of this server asks for a {code}.")
    await upkeep.tell(world, caller, Event("E", f"${code}"), query=description)
    mine = system("job", world.settings.organization, base=caller.base)
    task = tasks.task(code, "requested", description, {"base": caller.base, **inputs}, owner={"reference": f"Organization/{mine.organization}"})
    condition = f"code={tasks.JOBS}|{code}&status={','.join(tasks.OPEN)}"
    done, = await Records(world, mine).commit([Change("create", "Task", resource=task, condition=condition)])
    return done.entry, done.outcome == "created"


async def waiting(world: World) -> list[Entry]:
    """The Tasks of jobs that no process does."""
    where = both(has("Task.code", Compare("system", "eq", tasks.JOBS), Compare("code", "in", tuple(KINDS))), has("Task.status", Compare("code", "in", tasks.OPEN)))
    found = await world.store.search(Query(("Task",), where), at=await world.store.newest(), now=moment(), limit=100)
    return [f.entry for f in found if is_free(f.entry)]


def is_free(entry: Entry) -> bool:
    """No process does the job of this Task."""
    return json.loads(entry.text)["status"] != "in-progress" or moment() - entry.updated > LEASE


async def do(world: World, entry: Entry, progress: Progress = lambda done, total: None) -> None:
    """Does a job to its end. Where this process is stopped, or the store fails, another goes on with it."""
    job = Job(world, entry, progress)
    try:
        await job.take()
        await KINDS[tasks.kind(job.task)](world, job)
    except Gone:
        pass
    except asyncio.CancelledError:
        with contextlib.suppress(Gone, errors.Failure):
            await asyncio.shield(job.leave())
        raise
    except errors.Unavailable:
        raise
    except Exception as error:
        log.exception("job Task/%s", entry.id)
        with contextlib.suppress(Gone):
            await job.end("failed", str(error)[:200] or type(error).__name__)


async def serve(world: World) -> None:
    """Does jobs as long as this process serves."""
    while True:
        await asyncio.sleep(PERIOD)
        try:
            for entry in await waiting(world):
                await do(world, entry)
        except Exception as error:
            log.warning("jobs: %s", error)
