"""Loads the demonstration alliance: each hospital's resources through the waist, as that hospital's own caller. Loading twice writes nothing new."""
from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from importlib import resources
from random import Random

from app import errors
from app.caller import Caller, system
from app.demo.registry import plan, registry
from app.demo.stories import stories
from app.fhir import json as fhir
from app.records import Change, Records, World
from app.workflow import job

SEED = 20261125
CHUNK = 400
OUTCOMES = ("created", "updated", "unchanged")
DATA = ("alliance.yaml", "cases.yaml", "alliance.py", "registry.py", "people.py", "stories.py", "names.py")
Report = Callable[[int, int], None]
"""Told as it goes: resources done, resources in all."""


def build() -> dict[str, list[dict]]:
    """Resources by the organisation that writes them; the same at each call."""
    held, chance = plan("alliance.yaml"), Random(SEED)
    by: dict[str, list[dict]] = {member["id"]: [] for member in held["members"]}
    for owner, resource in (*registry(held, chance), *stories(held, plan("cases.yaml")["cases"], chance)):
        by[owner].append(resource)
    return by


def caller(organization: str, resource: dict | None = None) -> Caller:
    """A hospital's own system, which chooses ids under the hospital's prefix; its own Organization it enters under its own id."""
    own = resource is not None and resource["id"] == organization
    return Caller(organization, f"{organization}-emr", purpose="TREAT", prefix=organization if own else f"{organization}-")


async def load(world: World, report: Report | None = None, *, again: bool = False) -> dict[str, dict[str, int]]:
    """Writes what is not there; type -> created/updated/unchanged -> count. What an earlier load of the same data wrote is told from its Task.

    again: compare each resource, as if the Task were not there. Errors: errors.Failure of the waist.
    """
    records, digest = Records(world, system("job", world.settings.organization, prefix="")), await asyncio.to_thread(_digest)
    held = await _held(records)
    if held and held["digest"] == digest and not again:
        return {type: dict.fromkeys(OUTCOMES, 0) | {"unchanged": count} for type, count in held["resources"].items()}
    by, counts, done = build(), {}, 0
    total = sum(map(len, by.values()))
    for organization, made in by.items():
        for first, step in _steps(made):
            outcomes = await Records(world, caller(organization, first)).commit(
                [Change("update", one["resourceType"], one["id"], one, place=f"{one['resourceType']}/{one['id']}") for one in step])
            for one, outcome in zip(step, outcomes):
                counts.setdefault(one["resourceType"], Counter(dict.fromkeys(OUTCOMES, 0)))[outcome.outcome] += 1
            done += len(step)
            if report:
                report(done, total)
    told = {type: dict(by_outcome) for type, by_outcome in sorted(counts.items())}
    await records.commit([Change("update", "Task", TASK, _task(digest, told))])
    return told


TASK = "demonstration-load"


def _steps(made: list[dict]):
    """(the Organization itself or None, resources of one commit)."""
    yield made[0], made[:1]
    for start in range(1, len(made), CHUNK):
        yield None, made[start:start + CHUNK]


def _digest() -> str:
    """The hash of all that decides what is loaded."""
    folder = resources.files("app.demo")
    return hashlib.sha256(b"".join(folder.joinpath(name).read_bytes() for name in DATA)).hexdigest()


async def _held(records: Records) -> dict | None:
    try:
        entry = await records.read("Task", TASK)
    except (errors.Absent, errors.Deleted):
        return None
    return json.loads(fhir.loads(entry.text)["output"][0]["valueString"])


def _task(digest: str, told: dict) -> dict:
    sums = {type: sum(by.values()) for type, by in told.items()}
    return job.task("demonstration", "completed", "The demonstration alliance was loaded.", outputs={"ledger": json.dumps({"digest": digest, "resources": sums})}, id=TASK)
