"""The server's own jobs as Tasks: how one is written and read, and which change of one others than the server may make. Pure.

https://hl7.org/fhir/R4/task.html
"""
from __future__ import annotations

JOBS = "https://yilian.example/fhir/CodeSystem/job"
"""System of Task.code for the server's own jobs."""
OPEN = ("requested", "in-progress", "on-hold")
"""Statuses of a job that is not over."""
CANCELLABLE = frozenset({"reindex"})
"""Jobs that may be cancelled by who answers for their Task."""


def task(code: str, status: str, description: str, inputs: dict[str, str] | None = None, outputs: dict[str, str] | None = None, **more) -> dict:
    """The Task of a job: inputs and outputs are texts by name, empty ones left out; more: other elements."""
    made = {"resourceType": "Task", **more, "status": status, "intent": "order", "code": {"coding": [{"system": JOBS, "code": code}]}, "description": description}
    return {**made, **{key: found for key, texts in (("input", inputs), ("output", outputs)) if (found := _named(texts or {}))}}


def _named(texts: dict[str, str]) -> list[dict]:
    return [{"type": {"text": name}, "valueString": text} for name, text in texts.items() if text]


def told(task: dict, where: str = "output") -> dict[str, str]:
    """The outputs (or inputs) of a job's Task by name."""
    return {each["type"]["text"]: each["valueString"] for each in task.get(where, ())}


def kind(task: dict | None) -> str | None:
    """The code of the job whose Task this is; None where it is no job's."""
    codings = ((task or {}).get("code") or {}).get("coding") or ()
    return next((c.get("code", "") for c in codings if isinstance(c, dict) and c.get("system") == JOBS), None)


def cancels(before: dict | None, after: dict | None) -> bool:
    """The change ends a job that is under way, and does nothing else."""
    if not before or not after or kind(before) not in CANCELLABLE or before.get("status") not in OPEN:
        return False
    return _content(after) == _content({**before, "status": "cancelled"})


def _content(task: dict) -> dict:
    return {name: value for name, value in task.items() if name != "meta"}
