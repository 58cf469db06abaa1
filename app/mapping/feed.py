"""Runs a mapping over a file: chunk by chunk through the waist, as the site's own caller, exactly once. The only part of mapping that knows records.

Each chunk's resources, its rejects and the run's Task land in one commit: a run that is killed goes on after its last chunk.
"""
from __future__ import annotations

import asyncio
import gc
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from app import errors
from app.caller import Caller, system
from app.fhir import json
from app.mapping import ledger as ledgers
from app.mapping import fed, references, report, tables
from app.mapping.ahead import Ahead
from app.mapping.chunk import Chunk, keys
from app.mapping.identity import Ids, new_secret
from app.mapping.ledger import Held, Ledger, Rejected, Unmapped
from app.mapping.mapped import Mapped, again, batches
from app.mapping.merge import Source, State, prepared, written
from app.mapping.readers import reader
from app.mapping.report import Import
from app.mapping.rules import Mapping, Site
from app.mapping.stored import Stored
from app.records import Change, Records, World
from app.workflow import job as tasks

CHUNK = 2000
"""Resources of a chunk, where the store's commits take that many: each page of an index that they touch is written once."""
SLICE = 50
"""Records after which others in this process have their turn."""
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
              again: bool = False, progress: Progress | None = None, ahead: Ahead | None = None) -> Import:
    """Imports a file; a run of the same file and mapping goes on where it stopped, and a finished one is told from its ledger.

    name: under which the file is told, where it is not its own. out: folder for the reports. dry: nothing is written, the store is only read. max_rejects: `500` or `1%`, beyond which it stops.
    again: map a finished file once more (what is unchanged makes no version). ahead: a process that maps the file ahead.
    Errors: Reject where the file as a whole cannot be read; OSError; Busy; errors.Failure of the waist.
    """
    began, mark = time.monotonic(), _mark(path)
    digest = await asyncio.to_thread(sha256, path)
    ids = Ids(await world.store.value("import-secret", new_secret), mapping.site.prefix)
    job = _Run(world, mapping, path, name or path.name, digest, ids, dry, mark, ahead)
    await job.open(again)
    if not dry:
        await job.publish()
    resumed, already = job.ledger.row if job.ledger.records else 0, job.ledger.told
    if job.ledger.state != "done":
        await job.all(max_rejects, progress)
    await job.release()
    rejects, unmapped = await job.told()
    done = report.result(mapping, job.name, digest, _all_unchanged(job.ledger) if already else job.ledger, rejects, unmapped,
                         task="" if dry else f"Task/{job.id}", seconds=time.monotonic() - began, resumed=resumed, already=already, dry=dry,
                         new_columns=tuple(dict.fromkeys([*job.reader.new, *(name for name in job.ledger.unread if name not in mapping.columns)])), unpublished=tuple(job.unpublished))
    if out:
        await asyncio.to_thread(report.write, out, done, job.reader, mapping.tables)
    await job.end()
    return done


def seldom() -> None:
    """Has this process look for circles of garbage less often: an import makes many objects and hardly any circle."""
    gc.freeze()
    gc.set_threshold(300_000, 20, 50)


def sha256(path: Path) -> str:
    """The file's hash in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mark(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    held = path.stat()
    return held.st_ino, held.st_size, held.st_mtime_ns


def _all_unchanged(ledger: Ledger) -> Ledger:
    """A finished run told once more: this time it wrote nothing."""
    told = ledger.copy()
    told.resources = {type: {"created": 0, "updated": 0, "unchanged": sum(by.values())} for type, by in ledger.resources.items()}
    return told


class _Run:
    def __init__(self, world: World, mapping: Mapping, path: Path, name: str, digest: str, ids: Ids, dry: bool, mark: tuple, ahead: Ahead | None):
        self.records, self.mapping, self.name, self.digest, self.ids, self.dry = Records(world, caller(mapping.site)), mapping, name, digest, ids, dry
        self.reader = reader(path, mapping)
        self.id = ids("Task", f"{mapping.site.name}/import", (digest, mapping.hash))
        self.ledger, self.version = Ledger(row=self.reader.first), None
        self.source = Source(mapping.name, digest[:12], 0)
        self.path, self.mark, self.world, self.again = path, mark, world, False
        self.stored, self.keys = Stored(self.records.search, mapping.site), keys(mapping)
        self.seen: dict[str, State] = {}
        self.held: list[Held] = []
        self.rejected: list[Rejected] = []
        self.unmapped: list[Unmapped] = []
        self.unpublished: list[str] = []
        self.earlier: dict[int, str] = {}
        self.ahead = ahead

    @property
    def chunk(self) -> int:
        """Records of a chunk: what each writes, and closes, fits into a commit."""
        limit = min(CHUNK, self.world.settings.bundle_limit - 2, self.world.store.entries_limit - 2)
        return max(1, limit // max(1, len(self.mapping.templates) + (self.reader.fed or bool(self.earlier))))

    async def publish(self) -> None:
        """The code tables that the mapping reads, as ConceptMaps of the site: $translate answers from the rows that the import uses."""
        site = self.mapping.site.name
        for name, table in sorted(self.mapping.tables.items()):
            id = self.ids("ConceptMap", f"{site}/table", (name,))
            if await self.stored.has("ConceptMap", id, tables.version(table)):
                continue
            try:
                await self.records.commit([Change("update", "ConceptMap", id, tables.concept_map(table, site, id))])
            except (errors.TooLarge, errors.TooCostly):  # the import itself reads its file
                self.unpublished.append(name)

    async def open(self, again: bool) -> None:
        """Finds the ledger of an earlier run, and what other runs of this file left open."""
        if self.dry:
            return
        held = await self.stored.one("Task", self.id)
        if held is not None:
            self.version, ledger = held.version, ledgers.read_run(json.loads(held.text))
            self.again = again and ledger.state == "done"
            self.ledger = Ledger(row=self.reader.first) if self.again else ledger
        if self.ledger.state == "stopped":
            self.ledger.state = "open"
        if self.ledger.state == "open":
            self.earlier = await fed.earlier(self.stored, self.mapping.name, self.digest, self.id)

    async def all(self, max_rejects: str, progress: Progress | None) -> None:
        """Every chunk that is left, until the end or too many rejects."""
        too_many = limit(max_rejects)
        async for batch in self._batches():
            last, made = len(batch) < self.chunk, self.ledger.created
            await self._same(last)
            await self._write(batch, "done" if last else "open", too_many)
            if progress:
                progress(self.reader.size if last else self.ledger.place, self.reader.size, self.ledger)
            if self.ledger.state != "open":
                break
            if self.ahead:
                self.ahead.new = 2 * (self.ledger.created - made) >= len(batch)

    async def _batches(self) -> AsyncIterator[list[Mapped]]:
        """The records that are left, by the process that maps ahead; without one, or after its end, mapped here."""
        if self.ahead:
            who = self.records.caller
            store = (who.organization, self.world.zone, who.base, await self.world.store.recipe())
            self.ahead.begin(self.ids.secret, self.digest, self.ledger.place, self.ledger.row, self.chunk, store, not self.again)
            while (batch := await self.ahead.batch()) is not None:
                yield batch
        for batch in batches(self.reader.records(self.ledger.place, self.ledger.row), self.mapping, self.reader.new, self.ids, self.chunk):
            yield batch

    async def _same(self, last: bool) -> None:
        """Errors: Busy where the file is no longer the one that was hashed; what was read of it since the last chunk is not stored."""
        mark = _mark(self.path)
        if last or mark != self.mark:
            if await asyncio.to_thread(sha256, self.path) != self.digest:
                raise Busy(f"{self.name} changed while it was read; import it again.")
            self.mark = mark

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
        held = await self.stored.one("Task", self.id)
        if (held and held.version) != self.version:
            raise Busy("Another run of the same import is under way.")

    async def _decide(self, batch: list[Mapped], state: str, checked: bool) -> Chunk:
        """What the chunk will write, beside what is stored now."""
        chunk = await self._beside(batch, self.ledger.copy(), self.source)
        ledger = chunk.ledger
        for step, mapped in enumerate(batch):
            if self.earlier and not mapped.record.of:
                mapped.record = mapped.record._replace(of=self.earlier.get(mapped.record.place, ""))
            chunk.take(mapped, checked)
            if step % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        if batch:
            last = batch[-1].record
            ledger.place, ledger.row = last.place + last.length, last.row + 1
        ledger.chunk, ledger.state = ledger.chunk + 1, state
        return chunk

    async def _beside(self, batch: list[Mapped], ledger: Ledger, source: Source) -> Chunk:
        """A chunk before its first record; a dry run also remembers what it would have written."""
        states, found = await self.stored.states(batch), await self.stored.found(batch)
        for ref, state in self.seen.items() if found else ():
            references.notice(found, ref, state.content)
        return Chunk(ledger, source, {**states, **self.seen}, found, self.stored.there, self.keys)

    async def _commit(self, chunk: Chunk) -> None:
        if not self.dry:
            await self._save(chunk)
            self.stored.written = {ref for ref, state in chunk.states.items() if state.changed}
            chunk.states.clear()
        self.seen, self.ledger = (chunk.states if self.dry else {}), chunk.ledger
        if self.dry:
            self.rejected += chunk.rejected
            self.held += chunk.held
            self.unmapped += ledgers.tally(chunk.met)

    async def _save(self, chunk: Chunk) -> None:
        changes = [*_changes(chunk), *await self._closed(chunk, self.name, self.id)]
        unmapped, organization = ledgers.tally(chunk.met), self.mapping.site.organization
        if chunk.rejected or unmapped:
            chunk.ledger.chunks.append(chunk.ledger.chunk)
            task = ledgers.chunk_task(self._chunk_id(chunk.ledger.chunk), organization, self.id, chunk.ledger.chunk, chunk.rejected, unmapped, chunk.held)
            changes.append(Change("update", "Task", task["id"], task, place=f"chunk {chunk.ledger.chunk}"))
        await self._keep(chunk.ledger, changes)

    async def _closed(self, chunk: Chunk, name: str, run: str) -> list[Change]:
        """Closes what the new records of a chunk were fed back for, among the rejects of the same mapping. name, run: of the file that they stand in."""
        if not fed.back(chunk):
            return []
        held = await self.stored.fetch("Task", fed.tasks(chunk))
        found = {entry.id: json.loads(entry.text) for entry in held.values()}
        runs = {entry.id: json.loads(entry.text) for entry in (await self.stored.fetch("Task", fed.runs(found))).values()}
        closed = fed.closed(chunk, fed.ours(found, runs, chunk.source.mapping), f"came in with {name} (Task/{run})")
        return [Change("update", "Task", id, task, place="fed back", **_guarded(held[f"Task/{id}"].version)) for id, task in closed.items()]

    async def _keep(self, ledger: Ledger, changes: list[Change] = ()) -> None:
        """Commits changes with the ledger after them."""
        task = ledgers.run_task(self.id, self.mapping.site.organization, self.mapping, self.name, self.digest, ledger)
        done = await self.records.commit([*changes, Change("update", "Task", self.id, task, place="run", **_guarded(self.version))], also=self._written)
        self.version = done[-1].entry.version

    async def _written(self, tx) -> None:
        """What is left of a commit is the wait for the disk."""
        if self.ahead:
            asyncio.get_running_loop().call_soon(self._meanwhile)

    def _meanwhile(self) -> None:
        self.ahead.meanwhile()
        if self.ahead.apart:
            self.stored.begin(self.ahead.apart)

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
            async for entry in self.stored.all("Task", held, HOLDS):
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
        kept = await self.stored.one("Task", run)
        parent, held = json.loads(kept.text), ledgers.read_held(task)
        ledger, told = ledgers.read_run(parent), tasks.told(parent, "input")
        if ledger.state == "open" and run != self.id or not told["mapping"].startswith(f"{self.mapping.site.name}/"):
            return False
        chunk = await self._retry(held, ledger, Source(told["mapping"].rpartition("|")[0], told["file-sha256"][:12], 0))
        if len(chunk.held) == len(held):
            return False
        closed = await self._closed(chunk, told["file"], run)
        rows, (rejects, unmapped) = {one.row for one in held}, ledgers.read_chunk(task)
        chunk.rejected += [one for one in rejects if one.row not in rows]
        number = int(task["description"].removeprefix("chunk "))
        again = ledgers.with_waived(ledgers.chunk_task(entry.id, self.mapping.site.organization, run, number, chunk.rejected, unmapped, chunk.held), ledgers.waived(task))
        try:
            done = await self.records.commit([*_changes(chunk), *closed, Change("update", "Task", entry.id, again, place="held", **_guarded(entry.version)),
                                              Change("update", "Task", run, ledgers.with_ledger(parent, chunk.ledger), place="run", **_guarded(kept.version))])
        except errors.VersionMismatch:  # another run brings them in
            return False
        if run == self.id:
            self.ledger, self.version = chunk.ledger, done[-1].entry.version
        return True

    async def _retry(self, held: list[Held], ledger: Ledger, source: Source) -> Chunk:
        batch = [again(one) for one in held]
        chunk = await self._beside(batch, ledger.copy(), source)
        for mapped in batch:
            chunk.ledger.take_back("dangling")
            chunk.take(mapped, True)
        return chunk

    async def end(self) -> None:
        """Notes that the reports of the whole run are out."""
        if self.dry or self.ledger.told or self.ledger.state != "done":
            return
        self.ledger.told = True
        try:
            await self._keep(self.ledger)
        except errors.VersionMismatch:  # another run wrote it since: that one tells them once more
            pass

    def _chunk_id(self, number: int) -> str:
        return self.ids("Task", f"{self.mapping.site.name}/import-chunk", (self.digest, self.mapping.hash, str(number)))

    async def told(self) -> tuple[list[Rejected], list[Unmapped]]:
        """Every reject and unmapped code of the run, from the Tasks of its chunks."""
        if self.dry:
            return self.rejected, self.unmapped
        names = [self._chunk_id(number) for number in self.ledger.chunks]
        held = await self.stored.fetch("Task", names)
        rejects, unmapped = [], []
        for name in names:
            some, codes = ledgers.read_chunk(json.loads(held[f"Task/{name}"].text))
            rejects += ledgers.names(name, some)
            unmapped += codes
        return rejects, unmapped


def _changes(chunk: Chunk) -> list[Change]:
    return [_change(ref, state) for ref, state in chunk.states.items() if state.changed]


def _change(ref: str, state: State) -> Change:
    type, _, id = ref.partition("/")
    ready = prepared(state)
    return Change("update", type, id, None if ready else written(state), place=f"row {state.source.row}: {ref}", prepared=ready, **_guarded(state.version))


def _guarded(version: int | None) -> dict:
    """The condition under which a change holds: nothing is there, or still the version that was read."""
    return {"if_none_match": "*"} if version is None else {"if_match": (str(version),)}


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

