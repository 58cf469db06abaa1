"""A chunk of an import in the making: each record's resources beside what is stored, or its reject. Pure."""
from __future__ import annotations

from collections import ChainMap
from collections.abc import Container
from dataclasses import dataclass, field

from app.fhir import validate
from app.mapping import references
from app.mapping.ledger import Held, Ledger, Rejected
from app.mapping.mapped import Mapped
from app.mapping.merge import Source, State, decide, prepared
from app.mapping.reject import Reject
from app.mapping.rules import Made, Mapping


@dataclass(slots=True)
class Chunk:
    """The ledger after the chunk, where it comes from, states by `Type/id`, what lookups find, what else is there, the first column of each rule's key,
    and what it has to tell."""
    ledger: Ledger
    source: Source
    states: dict[str, State]
    found: dict[str, set[str]]
    there: Container[str]
    keys: dict[str, str]
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
            for name in mapped.unread:
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
            ledger.count(made.ref.partition("/")[0], "unchanged" if outcome == "stale" else outcome)
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
            ref = made.ref
            outcome, state = decide(made, states.get(ref) or self.states.get(ref), source._replace(newer=made.newer_by), self.keys.get(made.rule, ""))
            if checked and state.changed and prepared(state) is None:
                _valid(state.content, made)
            states[ref] = state
            outcomes.append(outcome)
        return states, outcomes

    def _repeats(self, mapped: Mapped, outcomes: list[str]) -> bool:
        """The record says nothing that an earlier row of this file has not said."""
        if not mapped.made or set(outcomes) != {"unchanged"}:
            return False
        held = [self.states[made.ref].source for made in mapped.made]
        return all(source and source.file == self.source.file and source.row < mapped.record.row for source in held)


def _valid(content: dict, made: Made) -> None:
    wrong = next((issue for issue in validate.validate(content) if issue.severity in ("error", "fatal")), None)
    if wrong:
        raise Reject("profile", f"{wrong.expression}: {wrong.text}", "", made.place)


def keys(mapping: Mapping) -> dict[str, str]:
    """The first column of each rule's key."""
    return {template.name: next(iter(mapping.keys[template.name].columns), "") for template in mapping.templates}
