"""A chunk of an import in the making: each record's resources beside what is stored, or its reject. Pure."""
from __future__ import annotations

from collections import ChainMap
from collections.abc import Container
from dataclasses import dataclass, field

from app.fhir import validate
from app.mapping import references
from app.mapping.ledger import Held, Ledger, Rejected
from app.mapping.mapped import Mapped
from app.mapping.merge import Source, State, decide
from app.mapping.reject import Reject
from app.mapping.rules import Made, Mapping


@dataclass(slots=True)
class Chunk:
    """The ledger after the chunk, where it comes from, states by `Type/id`, what lookups find, what else is there, and what it has to tell."""
    ledger: Ledger
    source: Source
    states: dict[str, State]
    found: dict[str, set[str]]
    there: Container[str]
    rules: "Columns"
    held: list[Held] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    met: list[tuple[int, str, str, str]] = field(default_factory=list)
    fed: list[str] = field(default_factory=list)
    """The rejects that accepted records were fed back for."""

    def take(self, mapped: Mapped, checked: bool) -> None:
        """One record into the chunk: all of its resources, or none and a reject. checked: each that changes is validated here."""
        record, ledger = mapped.record, self.ledger
        ledger.records += 1
        if mapped.row:
            self.met += [(record.row, *one) for one in mapped.row.unmapped]
            for name in self.rules.unread_in(mapped.row.values):
                ledger.unread[name] = ledger.unread.get(name, 0) + 1
        try:
            if mapped.reject:
                raise mapped.reject
            made = references.resolved(mapped.made, mapped.row.targets, ChainMap(self.states, self.there), self.found)
            states, outcomes = self._resources(made, record.row, checked)
        except Reject as reject:
            return self._refuse(mapped, reject)
        ledger.accepted += 1
        if record.of:
            self.fed.append(record.of)
        for warning in mapped.row.warnings:
            ledger.note(warning)
        if mapped.skipped:
            ledger.note("skipped")
        elif self._repeats(mapped, outcomes):
            ledger.note("duplicate")
        for made, outcome in zip(mapped.made, outcomes):
            ledger.count(made.resource["resourceType"], "unchanged" if outcome == "stale" else outcome)
            if outcome == "stale":
                ledger.note("stale")
        self.states.update(states)
        for ref, state in states.items() if self.found else ():
            references.notice(self.found, ref, state.content)

    def _refuse(self, mapped: Mapped, reject: Reject) -> None:
        record = mapped.record
        self.ledger.reject(reject.code)
        if reject.code == "dangling":
            self.held.append(Held(record.row, record.place, record.length, mapped.made, mapped.row.targets, record.of))
        self.rejected.append(Rejected(record.row, record.place, record.length, reject.code, reject.rule, reject.column, reject.message, mapped.row is not None, record.of))

    def _resources(self, many: list[Made], row: int, checked: bool) -> tuple[dict[str, State], list[str]]:
        source, states, outcomes = self.source._replace(row=row), {}, []
        for made in many:
            ref = f"{made.resource['resourceType']}/{made.resource['id']}"
            outcome, state = decide(made, states.get(ref) or self.states.get(ref), source._replace(newer=made.newer_by), self.rules.keys.get(made.rule, ""))
            if checked and state.changed:
                _valid(state.content, made)
            states[ref] = state
            outcomes.append(outcome)
        return states, outcomes

    def _repeats(self, mapped: Mapped, outcomes: list[str]) -> bool:
        """The record says nothing that an earlier row of this file has not said."""
        if not mapped.made or set(outcomes) != {"unchanged"}:
            return False
        held = [self.states[f"{made.resource['resourceType']}/{made.resource['id']}"].source for made in mapped.made]
        return all(source and source.file == self.source.file and source.row < mapped.record.row for source in held)


class Columns:
    """Which columns nothing reads, by their place in a record, and the first column of each rule's key."""

    def __init__(self, mapping: Mapping, new: tuple[str, ...]):
        self.keys = {template.name: next(iter(mapping.keys[template.name].columns), "") for template in mapping.templates}
        self._unread = [(at, name) for at, name in enumerate((*mapping.columns, *new)) if name in mapping.unread or at >= len(mapping.columns)]

    def unread_in(self, values: list[str | None]) -> list[str]:
        """The columns that nothing reads and that hold a value here."""
        return [name for at, name in self._unread if at < len(values) and values[at] is not None]


def _valid(content: dict, made: Made) -> None:
    wrong = next((issue for issue in validate.validate(content) if issue.severity in ("error", "fatal")), None)
    if wrong:
        raise Reject("profile", f"{wrong.expression}: {wrong.text}", "", made.place)
