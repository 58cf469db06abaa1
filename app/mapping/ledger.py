"""What a run of an import has done so far, as it is kept in the run's Task and in the Task of each chunk that has something to tell.

https://hl7.org/fhir/R4/task.html
"""
from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from app.fhir import json as fhir
from app.mapping.rules import Made, Target
from app.workflow import job

OUTCOMES = ("created", "updated", "unchanged")


class Rejected(NamedTuple):
    """A refused record: its place in the file, and why. The value itself stands only in the file."""
    row: int
    place: int
    length: int
    code: str
    rule: str
    column: str
    message: str
    whole: bool = True
    """The record could be read as a row of the file."""
    of: str = ""
    """The reject (TASK/ROW) that the record was fed back for: it stands open for this one too."""


class Held(NamedTuple):
    """A record whose references do not all have their targets yet: where it is, what it makes, and what it refers to."""
    row: int
    place: int
    length: int
    made: list[Made]
    targets: list[Target]
    of: str = ""


class Unmapped(NamedTuple):
    """A code that a table does not hold, how often this chunk met it and where first."""
    table: str
    code: str
    display: str
    count: int
    row: int


@dataclass(slots=True)
class Ledger:
    """Sums up to the end of the last chunk; `place` (in the reader's unit) and `row` are where the next one begins, `chunks` the numbers of those with a Task.

    told: a run that ended has handed out its reports; until then another call tells them as that run's own.
    state: `open`, `stopped` (too many rejects) or `done`. resources: type -> outcome -> count. notes: duplicate, stale, skipped and warnings.
    unread: column -> records with a value in it that no rule reads.
    """

    place: int = 0
    row: int = 2
    chunk: int = 0
    state: str = "open"
    records: int = 0
    accepted: int = 0
    rejects: dict[str, int] = field(default_factory=dict)
    resources: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    chunks: list[int] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)
    told: bool = False

    @property
    def rejected(self) -> int:
        return self.records - self.accepted

    @property
    def created(self) -> int:
        """Resources that it made."""
        return sum(by["created"] for by in self.resources.values())

    def note(self, code: str, times: int = 1) -> None:
        self.notes[code] = self.notes.get(code, 0) + times

    def count(self, type: str, outcome: str) -> None:
        by = self.resources.setdefault(type, dict.fromkeys(OUTCOMES, 0))
        by[outcome] += 1

    def reject(self, code: str) -> None:
        self.rejects[code] = self.rejects.get(code, 0) + 1

    def take_back(self, code: str) -> None:
        """A reject that is judged anew: it is as if its record had not been met."""
        self.records, self.rejects[code] = self.records - 1, self.rejects[code] - 1
        if not self.rejects[code]:
            del self.rejects[code]

    def copy(self) -> "Ledger":
        return Ledger(**json.loads(json.dumps(asdict(self))))


FILE = "https://yilian.example/fhir/sid/import-file"
"""System of the identifier of a run: the hash of its file."""
STATUS = {"open": "in-progress", "stopped": "on-hold", "done": "completed"}


def run_task(id: str, organization: str, mapping, name: str, digest: str, ledger: Ledger) -> dict:
    """The Task of a run."""
    inputs = {"mapping": f"{mapping.name}|{mapping.version}", "mapping-hash": mapping.hash, "file": name, "file-sha256": digest}
    return job.task("import", STATUS[ledger.state], f"{mapping.name} {mapping.version}: {name}", inputs, {"ledger": _text(asdict(ledger))},
                    id=id, identifier=[{"system": FILE, "value": digest}], owner={"reference": f"Organization/{organization}"})


def chunk_task(id: str, organization: str, run: str, number: int, rejected: list[Rejected], unmapped: list[Unmapped], held: list[Held]) -> dict:
    """The Task of a chunk: its rejects, unmapped codes and held records; on hold while there are any of these."""
    outputs = {label: _text(rows) for label, rows in (("rejects", sorted(rejected)), ("unmapped", unmapped)) if rows}
    if held:
        outputs["held"] = fhir.dumps([_plain(one) for one in held]).decode()
    return job.task("import-chunk", "on-hold" if held else "completed", f"chunk {number}", outputs=outputs, id=id,
                    partOf=[{"reference": f"Task/{run}"}], owner={"reference": f"Organization/{organization}"})


def with_ledger(task: dict, ledger: Ledger) -> dict:
    """A run's Task with another ledger."""
    return _with(task, "ledger", asdict(ledger))


def with_waived(task: dict, reasons: dict[str, str]) -> dict:
    """A chunk's Task with the reason for each row whose reject is waived; a record that is waived is held no longer."""
    if not reasons:
        return task
    told = _with(task, "waived", reasons)
    return told if read_held(told) else {**told, "status": "completed"}


def waived(task: dict) -> dict[str, str]:
    """Row -> reason, of a chunk's Task."""
    return json.loads(job.told(task).get("waived", "{}"))


def opened(task: dict) -> list[Rejected]:
    """The rejects in a chunk's Task that nobody has dealt with; of one that was fed back and refused again the first alone, and what is held."""
    if job.kind(task) != "import-chunk":
        return []
    done = waived(task)
    return [one for one in read_chunk(task)[0] if str(one.row) not in done and (not one.of or one.code == "dangling")]


def names(task: str, rejected: list[Rejected]) -> list[Rejected]:
    """Rejects of a chunk's Task with the names that close them, for a rejects.csv that comes back."""
    return [one._replace(of=f"{one.of} {task}/{one.row}".strip() if not one.of or one.code == "dangling" else one.of) for one in rejected]


def _with(task: dict, label: str, value) -> dict:
    told = [one for one in task["output"] if one["type"]["text"] != label]
    return {**task, "output": [*told, *job.task("", "", "", None, {label: _text(value)})["output"]]}


def read_run(task: dict) -> Ledger:
    """The ledger in a run's Task."""
    return Ledger(**json.loads(job.told(task)["ledger"]))


def read_chunk(task: dict) -> tuple[list[Rejected], list[Unmapped]]:
    """What a chunk's Task tells."""
    told = job.told(task)
    return [Rejected(*row) for row in json.loads(told.get("rejects", "[]"))], [Unmapped(*row) for row in json.loads(told.get("unmapped", "[]"))]


def read_held(task: dict) -> list[Held]:
    """The records that a chunk's Task holds, without those that are waived; numbers keep their text."""
    held, out = fhir.parse(job.told(task).get("held", "[]").encode()), waived(task)
    return [Held(int(row), int(place), int(length), [Made(*one) for one in made], [Target(*one) for one in targets], *of)
            for row, place, length, made, targets, *of in held if str(row) not in out]


def _plain(held: Held) -> list:
    """Named tuples as lists, for JSON."""
    return [held.row, held.place, held.length, [list(one._replace(content=one.resource)) for one in held.made], [list(one) for one in held.targets], held.of]


def tally(met: list[tuple[int, str, str, str]]) -> list[Unmapped]:
    """(row, table, code, display) of each encounter with an unmapped code, summed by table and code."""
    counts = Counter((table, code) for _, table, code, _ in met)
    first: dict[tuple[str, str], tuple[int, str]] = {}
    for row, table, code, display in met:
        first.setdefault((table, code), (row, display))
    return [Unmapped(table, code, first[table, code][1], number, first[table, code][0]) for (table, code), number in counts.items()]


def _text(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
