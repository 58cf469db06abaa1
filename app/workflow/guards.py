"""Which change may follow which: one state table a type, asked by commit for every change from every door. Pure.

A guard gets the resource before (None: a create) and after (None: a delete), the caller and the moment; it returns None to let
the change pass or a sentence that refuses it.
"""
from __future__ import annotations

from app.caller import Caller

JOBS = "https://yilian.example/fhir/CodeSystem/job"
"""System of Task.code for the server's own jobs."""
SYSTEM_CLIENTS = frozenset({"job", "feed"})


def task(before: dict | None, after: dict | None, caller: Caller, now: int) -> str | None:
    """A job's Task is the server's own record of it: only the server's callers write it."""
    if (_is_job(before) or _is_job(after)) and caller.client not in SYSTEM_CLIENTS:
        return "This Task is the record of a job of the server; only the server changes it."
    return None


def _is_job(resource: dict | None) -> bool:
    return any(isinstance(c, dict) and c.get("system") == JOBS for c in (((resource or {}).get("code") or {}).get("coding") or ()))


GUARDS = {"Task": task}
"""Type -> its state table."""


def refusal(type: str, before: dict | None, after: dict | None, caller: Caller, now: int) -> str | None:
    """Why this change may not be made, or None."""
    guard = GUARDS.get(type)
    return guard(before, after, caller, now) if guard else None
