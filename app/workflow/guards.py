"""Which change may follow which: one state table a type, asked by commit for every change from every door. Pure.

A guard gets the resource before (None: a create) and after (None: a delete), the caller and the moment; it returns None to let
the change pass or a sentence that refuses it.
"""
from __future__ import annotations

from app.caller import Caller
from app.workflow import job


def task(before: dict | None, after: dict | None, caller: Caller, now: int) -> str | None:
    """A job's Task is the server's own record of it: only the server's callers write it, whatever a client is named. Others may cancel some."""
    if caller.system or job.kind(before) is None and job.kind(after) is None or job.cancels(before, after):
        return None
    return "This Task is the record of a job of the server; only the server changes it" + (
        ", but for a status that becomes cancelled." if job.kind(before) in job.CANCELLABLE else ".")


GUARDS = {"Task": task}
"""Type -> its state table."""


def refusal(type: str, before: dict | None, after: dict | None, caller: Caller, now: int) -> str | None:
    """Why this change may not be made, or None."""
    guard = GUARDS.get(type)
    return guard(before, after, caller, now) if guard else None
