"""Runs a mapping over a file: chunk by chunk through the waist, as the site's own caller, exactly once. The only part of mapping that knows records.

Each chunk's resources, its rejects and the run's Task land in one commit: a run that is killed goes on after its last chunk.
"""
from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from app import errors
from app.caller import Caller, system
from app.fhir import json, validate
from app.mapping import ledger as ledgers
from app.mapping import references, report, tables
from app.mapping.identity import Ids, new_secret
from app.mapping.ledger import Held, Ledger, Rejected, Unmapped
from app.mapping.merge import CUSTODIAN, Source, State, decide, stored, written
from app.mapping.readers import reader
from app.mapping.readers.record import Record
from app.mapping.reject import Reject
from app.mapping.report import Import
from app.mapping.rules import Made, Mapping, Row, Site, Target
from app.records import Change, Records, World
from app.workflow import job as tasks

CHUNK = 500
"""Records of a chunk, where the store's commits take that many."""
PAGE = 200
"""Ids asked for in one search."""
KNOWN = 200_000
"""References whose targets are remembered to be there."""
HOLDS = 5
"""Chunks with held records that are read at once."""
TRIES = 5
Progress = Callable[[int, int, Ledger], None]
"""Told after each chunk: bytes done, bytes of the file, sums so far."""


class Busy(Exception):
    """Another run of the same import is under way, or the file changed while it was read."""


def caller(site: Site) -> Caller:
    """The site's own caller: what it writes belongs to its organisation."""
    return system("feed", site.organization, prefix=site.prefix)


async def run(world: World, mapping: Mapping, path: Path, *, name: str = "", out: Path | None = None, dry: bool = False, max_rejects: str = "",
              again: bool = False, progress: Progress | None = None) -> Import:
    """Imports a file; a run of the same file and mapping goes on where it stopped, and a finished one is told from its ledger.

    name: under which the file is told, where it is not its own. out: folder for the reports. dry: nothing is written, the store is only read. max_rejects: `500` or `1%`, beyond which it stops.
    again: map a finished file once more (what is unchanged makes no version).
    Errors: Reject where the file as a whole cannot be read; OSError; Busy; errors.Failure of the waist.
    """
    began, digest = time.monotonic(), await asyncio.to_thread(sha256, path)
    ids = Ids(await world.store.value("import-secret", new_secret), mapping.site.prefix)
    job = _Run(world, mapping, path, name or path.name, digest, ids, dry)
    await job.open(again)
    if not dry:
        await job.publish()
    resumed, already = job.ledger.row if job.ledger.records else 0, job.ledger.state == "done"
    if not already:
        await job.all(max_rejects, progress)
        if await asyncio.to_thread(sha256, path) != digest:
            raise Busy(f"{job.name} changed while it was read; import it again.")
    await job.release()
    rejects, unmapped = await job.told()
    done = report.result(mapping, job.name, digest, _all_unchanged(job.ledger) if already else job.ledger, rejects, unmapped,
                         task="" if dry else f"Task/{job.id}", seconds=time.monotonic() - began, resumed=resumed, already=already, dry=dry,
                         new_columns=job.reader.new)
    if out:
        await asyncio.to_thread(report.write, out, done, job.reader)
    return done


def sha256(path: Path) -> str:
    """The file's hash in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _all_unchanged(ledger: Ledger) -> Ledger:
    """A finished run told once more: this time it wrote nothing."""
    told = ledger.copy()
    told.resources = {type: {"created": 0, "updated": 0, "unchanged": sum(by.values())} for type, by in ledger.resources.items()}
    return told


@dataclass(slots=True)
class Chunk:
    """A chunk in the making: the ledger after it, where it comes from, states by `Type/id`, what lookups find, and what it has to tell."""
    ledger: Ledger
    source: Source
    states: dict[str, State]
    found: dict[str, set[str]]
    held: list[Held] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    met: list[tuple[int, str, str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Mapped:
    """A record after the rules: its resources, or why there are none."""
    record: object
    made: list[Made]
    row: Row | None = None
    reject: Reject | None = None
    skipped: str = ""


def _held(held: Held) -> Mapped:
    row = Row([], None)
    row.targets = held.targets
    return Mapped(Record(held.row, held.place, held.length, []), held.made, row)


class _Run:
    def __init__(self, world: World, mapping: Mapping, path: Path, name: str, digest: str, ids: Ids, dry: bool):
        self.records, self.mapping, self.name, self.digest, self.ids, self.dry = Records(world, caller(mapping.site)), mapping, name, digest, ids, dry
        self.reader = reader(path, mapping)
        self.id = ids("Task", f"{mapping.site.name}/import", (digest, mapping.hash))
        self.ledger, self.version = Ledger(row=self.reader.first), None
        self.source = Source(mapping.name, digest[:12], 0)
        self.unread = [(at, name) for at, name in enumerate((*mapping.columns, *self.reader.new)) if name in mapping.unread or at >= len(mapping.columns)]
        self.seen: dict[str, State] = {}
        self.there: dict[str, None] = {}
        self.held: list[Held] = []
        self.rejected: list[Rejected] = []
        self.unmapped: list[Unmapped] = []
        self.columns = {template.name: next(iter(mapping.keys[template.name].columns), "") for template in mapping.templates}
        limit = min(world.settings.bundle_limit, world.store.entries_limit)
        self.chunk = max(1, min(CHUNK, (limit - 2) // max(1, len(mapping.templates))))

    async def publish(self) -> None:
        """The code tables that the mapping reads, as ConceptMaps of the site: $translate answers from the rows that the import uses."""
        site = self.mapping.site.name
        maps = [tables.concept_map(table, site, self.ids("ConceptMap", f"{site}/table", (name,))) for name, table in sorted(self.mapping.tables.items())]
        await self.records.commit([Change("update", "ConceptMap", each["id"], resource=each) for each in maps])

    async def open(self, again: bool) -> None:
        """Finds the ledger of an earlier run."""
        if self.dry:
            return
        held = (await self._fetch("Task", [self.id])).get(f"Task/{self.id}")
        if held is None:
            return
        self.version, ledger = held.version, ledgers.read_run(json.loads(held.text))
        self.ledger = Ledger(row=self.reader.first) if again and ledger.state == "done" else ledger
        if self.ledger.state == "stopped":
            self.ledger.state = "open"

    async def all(self, max_rejects: str, progress: Progress | None) -> None:
        """Every chunk that is left, until the end or too many rejects."""
        too_many = limit(max_rejects)
        records = self.reader.records(self.ledger.place, self.ledger.row)
        while self.ledger.state == "open":
            batch = await self._map(list(islice(records, self.chunk)))
            last = len(batch) < self.chunk
            await self._write(batch, "done" if last else "open", too_many)
            if progress:
                progress(self.reader.size if last else self.ledger.place, self.reader.size, self.ledger)

    async def _map(self, records: list) -> list[Mapped]:
        mapped = []
        for step, record in enumerate(records):
            mapped.append(self._apply(record))
            if step % 50 == 49:
                await asyncio.sleep(0)
        return mapped

    def _apply(self, record) -> Mapped:
        if record.reject:
            return Mapped(record, [], None, record.reject)
        row = Row(record.values, self.ids)
        if record.skip:
            return Mapped(record, [], row, skipped=record.skip)
        row.warnings += record.warnings
        try:
            skipped = self.mapping.skip(row)
            return Mapped(record, [] if skipped else self.mapping.apply(row), row, skipped=skipped)
        except Reject as reject:
            return Mapped(record, [], row, reject)

    async def _write(self, batch: list[Mapped], state: str, too_many: Callable[[Ledger], bool]) -> None:
        """Commits a chunk; when somebody else wrote meanwhile, once more; when the waist finds a resource invalid, with each validated."""
        checked = self.dry
        for _ in range(TRIES):
            chunk = await self._decide(batch, state, checked)
            if too_many(chunk.ledger):
                chunk.ledger.state = "stopped"
            try:
                return await self._commit(chunk)
            except errors.VersionMismatch:
                await self._mine()
            except (errors.Invalid, errors.Unprocessable):
                if checked:
                    raise
                checked = True
        raise errors.Unavailable("Others keep changing what this import writes; try again.")

    async def _mine(self) -> None:
        """Errors: Busy where the run's Task was written by another run."""
        held = (await self._fetch("Task", [self.id])).get(f"Task/{self.id}")
        if (held and held.version) != self.version:
            raise Busy("Another run of the same import is under way.")

    async def _decide(self, batch: list[Mapped], state: str, checked: bool) -> Chunk:
        """What the chunk will write, beside what is stored now."""
        ledger = self.ledger.copy()
        chunk = Chunk(ledger, self.source, await self._stored(batch), await self._found(batch))
        for mapped in batch:
            self._record(mapped, chunk, checked)
        if batch:
            last = batch[-1].record
            ledger.place, ledger.row = last.place + last.length, last.row + 1
        ledger.chunk, ledger.state = ledger.chunk + 1, state
        return chunk

    async def _stored(self, batch: list[Mapped]) -> dict[str, State]:
        """The states of all that the batch names; a dry run also remembers what it would have written."""
        wanted: dict[str, set[str]] = {}
        for mapped in batch:
            for made in mapped.made:
                wanted.setdefault(made.resource["resourceType"], set()).add(made.resource["id"])
        site, states = self.mapping.site.name, {}
        for type, names in wanted.items():
            fetched = await self._fetch(type, sorted(names))
            states.update({ref: stored(entry.text, entry.version, site) for ref, entry in fetched.items()})
        await self._look({target.reference for target in _targets(batch)} - states.keys())
        return {**states, **self.seen}

    async def _look(self, refs: Iterable[str]) -> None:
        """Remembers which of these are there."""
        if len(self.there) > KNOWN:
            self.there.clear()
        wanted: dict[str, list[str]] = {}
        for type, slash, id in (ref.partition("/") for ref in refs if "?" not in ref and ref not in self.there):
            wanted.setdefault(type, []).append(id)
        for type, names in wanted.items():
            self.there.update(dict.fromkeys(await self._fetch(type, sorted(names))))

    async def _found(self, batch: list[Mapped]) -> dict[str, set[str]]:
        """What each lookup of the batch finds among the site's own resources."""
        found: dict[str, set[str]] = {target.reference: set() for target in _targets(batch) if "?" in target.reference}
        by: dict[str, list[str]] = {}
        for type, _, value in (one.partition("?identifier=") for one in found):
            by.setdefault(type, []).append(_escaped(value))
        for type, values in by.items():
            for start in range(0, len(values), PAGE):
                async for entry in self._all(type, [("identifier", ",".join(values[start:start + PAGE])), ("_tag", f"{CUSTODIAN}|{self.mapping.site.organization}")]):
                    _notice(found, f"{type}/{entry.id}", json.loads(entry.text))
        for ref, state in self.seen.items() if found else ():
            _notice(found, ref, state.content)
        return found

    async def _all(self, type: str, pairs: list[tuple[str, str]], count: int = PAGE) -> AsyncIterator:
        """Every entry of a search."""
        page = await self.records.search((type,), [*pairs, ("_count", str(count))])
        while True:
            for entry in page.entries:
                yield entry
            if not page.next:
                return
            page = await self.records.search((type,), [], cursor=page.next)

    async def _fetch(self, type: str, names: list[str]) -> dict:
        """Entries by `Type/id`, of those that exist."""
        found = {}
        for start in range(0, len(names), PAGE):
            page = await self.records.search((type,), [("_id", ",".join(names[start:start + PAGE])), ("_count", str(PAGE))])
            found.update({f"{entry.type}/{entry.id}": entry for entry in page.entries})
        return found

    def _record(self, mapped: Mapped, chunk: Chunk, checked: bool) -> None:
        """One record into the chunk: all of its resources, or none and a reject."""
        record, ledger = mapped.record, chunk.ledger
        ledger.records += 1
        if mapped.row:
            chunk.met += [(record.row, *one) for one in mapped.row.unmapped]
            for name in (name for at, name in self.unread if mapped.row.values[at:at + 1] not in ([], [None])):
                ledger.unread[name] = ledger.unread.get(name, 0) + 1
        try:
            if mapped.reject:
                raise mapped.reject
            made = references.resolved(mapped.made, mapped.row.targets, ChainMap(chunk.states, self.there), chunk.found)
            states, outcomes = self._resources(made, chunk, record.row, checked)
        except Reject as reject:
            ledger.reject(reject.code)
            if reject.code == "dangling":
                chunk.held.append(Held(record.row, record.place, record.length, mapped.made, mapped.row.targets))
            chunk.rejected.append(Rejected(record.row, record.place, record.length, reject.code, reject.rule, reject.column, reject.message, mapped.row is not None))
            return
        ledger.accepted += 1
        for warning in mapped.row.warnings:
            ledger.note(warning)
        if mapped.skipped:
            ledger.note("skipped")
        elif self._repeats(mapped, chunk, outcomes):
            ledger.note("duplicate")
        for made, outcome in zip(mapped.made, outcomes):
            ledger.count(made.resource["resourceType"], "unchanged" if outcome == "stale" else outcome)
            if outcome == "stale":
                ledger.note("stale")
        chunk.states.update(states)
        for ref, state in states.items() if chunk.found else ():
            _notice(chunk.found, ref, state.content)

    def _resources(self, many: list[Made], chunk: Chunk, row: int, checked: bool) -> tuple[dict[str, State], list[str]]:
        source, states, outcomes = chunk.source._replace(row=row), {}, []
        for made in many:
            ref = f"{made.resource['resourceType']}/{made.resource['id']}"
            outcome, state = decide(made, states.get(ref) or chunk.states.get(ref), source._replace(newer=made.newer_by), self.columns.get(made.rule, ""))
            if checked and state.changed:
                _valid(state.content, made)
            states[ref] = state
            outcomes.append(outcome)
        return states, outcomes

    def _repeats(self, mapped: Mapped, chunk: Chunk, outcomes: list[str]) -> bool:
        """The record says nothing that an earlier row of this file has not said."""
        if not mapped.made or set(outcomes) != {"unchanged"}:
            return False
        held = [chunk.states[f"{made.resource['resourceType']}/{made.resource['id']}"].source for made in mapped.made]
        return all(source and source.file == chunk.source.file and source.row < mapped.record.row for source in held)

    async def _commit(self, chunk: Chunk) -> None:
        if not self.dry:
            await self._save(chunk)
            chunk.states.clear()
        self.seen, self.ledger = (chunk.states if self.dry else {}), chunk.ledger
        if self.dry:
            self.rejected += chunk.rejected
            self.held += chunk.held
            self.unmapped += ledgers.tally(chunk.met)

    async def _save(self, chunk: Chunk) -> None:
        changes = _changes(chunk)
        unmapped, organization = ledgers.tally(chunk.met), self.mapping.site.organization
        if chunk.rejected or unmapped:
            chunk.ledger.chunks.append(chunk.ledger.chunk)
            task = ledgers.chunk_task(self._chunk_id(chunk.ledger.chunk), organization, self.id, chunk.ledger.chunk, chunk.rejected, unmapped, chunk.held)
            changes.append(Change("update", "Task", task["id"], task, place=f"chunk {chunk.ledger.chunk}"))
        task = ledgers.run_task(self.id, organization, self.mapping, self.name, self.digest, chunk.ledger)
        changes.append(Change("update", "Task", self.id, task, place="run", **_guarded(self.version)))
        done = await self.records.commit(changes)
        self.version = done[-1].entry.version

    async def release(self) -> None:
        """Brings in the held records, of this run and of earlier ones of the organisation, whose targets have come, until no more can."""
        if self.dry:
            while self.held and await self._retry_dry():
                pass
            return
        held = [("code", f"{tasks.JOBS}|import-chunk"), ("status", "on-hold"), ("owner", f"Organization/{self.mapping.site.organization}")]
        moved = True
        while moved:
            moved = False
            async for entry in self._all("Task", held, HOLDS):
                moved = await self._retry_stored(entry) or moved

    async def _retry_dry(self) -> bool:
        held, rows = self.held, {one.row for one in self.held}
        chunk = await self._retry(held, self.ledger, self.source)
        self.rejected = sorted([one for one in self.rejected if one.row not in rows] + chunk.rejected)
        self.held, self.ledger, self.seen = chunk.held, chunk.ledger, chunk.states
        return len(chunk.held) < len(held)

    async def _retry_stored(self, entry) -> bool:
        """Tries the held records of a chunk once more; True where some came in or are refused now. A run that is under way keeps its own."""
        task = json.loads(entry.text)
        run = task["partOf"][0]["reference"].removeprefix("Task/")
        kept = (await self._fetch("Task", [run]))[f"Task/{run}"]
        parent, held = json.loads(kept.text), ledgers.read_held(task)
        ledger, told = ledgers.read_run(parent), tasks.told(parent, "input")
        if ledger.state == "open" and run != self.id or not told["mapping"].startswith(f"{self.mapping.site.name}/"):
            return False
        chunk = await self._retry(held, ledger, Source(told["mapping"].rpartition("|")[0], told["file-sha256"][:12], 0))
        if len(chunk.held) == len(held):
            return False
        rows, (rejects, unmapped) = {one.row for one in held}, ledgers.read_chunk(task)
        chunk.rejected += [one for one in rejects if one.row not in rows]
        number = int(task["description"].removeprefix("chunk "))
        again = ledgers.with_waived(ledgers.chunk_task(entry.id, self.mapping.site.organization, run, number, chunk.rejected, unmapped, chunk.held), ledgers.waived(task))
        try:
            done = await self.records.commit([*_changes(chunk), Change("update", "Task", entry.id, again, place="held", **_guarded(entry.version)),
                                              Change("update", "Task", run, ledgers.with_ledger(parent, chunk.ledger), place="run", **_guarded(kept.version))])
        except errors.VersionMismatch:  # another run brings them in
            return False
        if run == self.id:
            self.ledger, self.version = chunk.ledger, done[-1].entry.version
        return True

    async def _retry(self, held: list[Held], ledger: Ledger, source: Source) -> Chunk:
        batch, ledger = [_held(one) for one in held], ledger.copy()
        chunk = Chunk(ledger, source, await self._stored(batch), await self._found(batch))
        for mapped in batch:
            ledger.take_back("dangling")
            self._record(mapped, chunk, True)
        return chunk

    def _chunk_id(self, number: int) -> str:
        return self.ids("Task", f"{self.mapping.site.name}/import-chunk", (self.digest, self.mapping.hash, str(number)))

    async def told(self) -> tuple[list[Rejected], list[Unmapped]]:
        """Every reject and unmapped code of the run, from the Tasks of its chunks."""
        if self.dry:
            return self.rejected, self.unmapped
        names = [self._chunk_id(number) for number in self.ledger.chunks]
        held = await self._fetch("Task", names)
        rejects, unmapped = [], []
        for name in names:
            for all_of, some in zip((rejects, unmapped), ledgers.read_chunk(json.loads(held[f"Task/{name}"].text))):
                all_of += some
        return rejects, unmapped


def _targets(batch: list[Mapped]) -> Iterable[Target]:
    return (target for mapped in batch if mapped.row and mapped.made for target in mapped.row.targets)


def _escaped(value: str) -> str:
    """`system|value` as a search takes it: what separates within either is escaped."""
    system, _, number = value.partition("|")
    return "|".join(re.sub(r"([\\$,|])", r"\\\1", part) for part in (system, number))


def _notice(found: dict[str, set[str]], ref: str, resource: dict) -> None:
    for one in references.lookups(resource):
        if one in found:
            found[one].add(ref)


def _changes(chunk: Chunk) -> list[Change]:
    return [_change(ref, state) for ref, state in chunk.states.items() if state.changed]


def _change(ref: str, state: State) -> Change:
    type, _, id = ref.partition("/")
    return Change("update", type, id, written(state), place=f"row {state.source.row}: {ref}", **_guarded(state.version))


def _guarded(version: int | None) -> dict:
    """The condition under which a change holds: nothing is there, or still the version that was read."""
    return {"if_none_match": "*"} if version is None else {"if_match": (str(version),)}


def _valid(content: dict, made: Made) -> None:
    wrong = next((issue for issue in validate.validate(content) if issue.severity in ("error", "fatal")), None)
    if wrong:
        raise Reject("profile", f"{wrong.expression}: {wrong.text}", "", made.place)


def limit(text: str) -> Callable[[Ledger], bool]:
    """`500` or `1%` as a test on a ledger; ValueError for anything else."""
    number = text.removesuffix("%")
    if not text:
        return lambda ledger: False
    if not number.isdecimal():
        raise ValueError(f"--max-rejects is a number or a share such as 500 or 1%, not {text!r}")
    if text.endswith("%"):
        return lambda ledger: ledger.rejected * 100 > int(number) * ledger.records
    return lambda ledger: ledger.rejected > int(number)

