"""Makes stamps, index rows and facts anew, of all types or some: chunk by chunk, while the store serves. What is written meanwhile keeps its own."""
from __future__ import annotations

import asyncio

from app import errors
from app.change import remade
from app.jobs.job import Job
from app.records import World
from app.search import own
from app.search.param import Own
from app.search.query import Compare, Not, Query, Stamp
from app.store.base import ALIVE, Made, Walked
from app.world import moment

CHUNK = 100
"""Versions of one commit: it keeps other writers waiting."""


async def run(world: World, job: Job) -> None:
    """Walks through all that was there when it began: what came later was written as it should be."""
    types, store, ledger = [t for t in job.inputs.get("types", "").split(",") if t], world.store, job.ledger
    if not ledger:
        defined = own.waiting(await store.recipe(), types)
        until = await store.quiet()
        ledger.update(step=0, after=0, until=until, done=0, total=None, defined=defined)
        await job.beat()
        ledger["total"] = await _total(world, job, types)
    for type in (types or [""])[ledger["step"]:]:
        while chunk := await store.walk(type, after=ledger["after"], until=ledger["until"], limit=CHUNK):
            await _remake(world, job, chunk)
            ledger["after"] = chunk[-1].entry.number
            ledger["done"] += sum(1 for walked in chunk if walked.entry.died == ALIVE and not walked.entry.deleted and walked.entry.id != job.id)
            await job.tell(ledger["done"], ledger["total"])
        ledger.update(step=ledger["step"] + 1, after=0)
    if not types:
        await store.indexed()
    await job.end("completed", f"{ledger['done']} resources", also=lambda tx: _serve(tx, ledger["defined"]))


async def _total(world: World, job: Job, types: list[str]) -> int | None:
    """How many resources there are, beside the job's own; None where it takes too long to count them."""
    try:
        return await world.store.count(Query(tuple(types), Not(Stamp((Compare("id", "eq", job.id),)))), at=await world.store.newest(), now=moment())
    except errors.TooCostly:
        return None


async def _serve(tx, defined: dict[str, int]) -> None:
    """Search parameters that waited for this have all their rows."""
    before = await tx.recipe()
    if (after := own.ready(before, defined)) != before:
        await tx.set_recipe(after)


async def _remake(world: World, job: Job, chunk: list[Walked]) -> None:
    done = False
    while not done:
        recipe, made = await world.store.recipe(), []
        for step, walked in enumerate(chunk):
            made.append(await _made(world, job, walked, own.read(recipe)))
            if step % 20 == 19:
                await asyncio.sleep(0)
        done = await world.store.reindexed(made, recipe)


async def _made(world: World, job: Job, walked: Walked, known: Own) -> Made:
    entry, text = walked.entry, walked.entry.text
    if entry.deleted:
        before = await world.store.get(entry.type, entry.id, version=entry.version - 1)
        text = before.text if before else None
    return remade(entry, text, walked.rowed, world.zone, job.inputs.get("base", ""), known)
