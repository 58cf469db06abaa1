"""Maps the records of a file in a process of its own, a chunk ahead of the run: what is new is there also judged and indexed, so that the run only looks
up, decides and writes. Chunks come as bytes of `marshal`, which costs a tenth of what pickled objects do.

The process is forked before anything else runs: it has the compiled mapping, and knows no store. Where it ends before its time, the run maps the rest itself.
"""
from __future__ import annotations

import asyncio
import marshal
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from app import errors
from app.mapping.content import Early, mark, split
from app.mapping.identity import Ids
from app.mapping.mapped import Mapped, batches
from app.mapping.merge import Source, State, written
from app.mapping.readers import reader
from app.mapping.readers.record import Record
from app.mapping.reject import Reject
from app.mapping.rules import CHANGES, Made, Mapping, Row, Target

LEAST = 1 << 20
"""Bytes of a file for which a process is worth its start."""


@contextmanager
def started(mapping: Mapping, path: Path, prepared: type):
    """Gives an Ahead for a file that is worth one, where the system can fork and has a second processor; else None.

    prepared: app.records.Prepared.
    """
    if path.stat().st_size < LEAST or "fork" not in multiprocessing.get_all_start_methods() or len(os.sched_getaffinity(0)) < 2:
        yield None
        return
    ahead = Ahead(mapping, path, prepared)
    try:
        yield ahead
    finally:
        ahead.close()


class Ahead:
    """The process, and the chunks that come from it. `new` tells it whether most resources of a file are new."""

    def __init__(self, mapping: Mapping, path: Path, prepared: type):
        context = multiprocessing.get_context("fork")
        self.mapping, self.prepared = mapping, prepared
        self.pipe, theirs = context.Pipe()
        self._new = context.RawValue("b", 1)
        self.process = context.Process(target=_work, args=(self.pipe, theirs, self._new, mapping, path, prepared), daemon=True)
        self.process.start()
        theirs.close()
        self.thread = ThreadPoolExecutor(1, "ahead")
        self.next: Future | None = None
        self.apart: list[Mapped] | None = None

    def begin(self, secret: bytes, digest: str, place: int, row: int, size: int, store: tuple, new: bool) -> None:
        """Starts the work. secret: of ids; digest: of the file; place, row: of its first record; size: records of a chunk; store: what `Prepared.of` needs to know of it."""
        self.new = new
        self.pipe.send_bytes(marshal.dumps((secret.hex(), digest, place, row, size, store)))
        self.next = self.thread.submit(self.pipe.recv_bytes)

    @property
    def new(self) -> bool:
        return bool(self._new.value)

    @new.setter
    def new(self, value: bool) -> None:
        self._new.value = value

    async def batch(self) -> list[Mapped] | None:
        """The next chunk; None where the process is no more."""
        if self.apart is None:
            with suppress(EOFError, OSError):
                self._take(await asyncio.wrap_future(self.next))
        batch, self.apart = self.apart, None
        return batch

    def meanwhile(self) -> None:
        """Takes the next chunk apart where it has come: there is time for it while a commit waits for the disk."""
        if self.apart is None and self.next and self.next.done() and not self.next.exception():
            self._take(self.next.result())

    def _take(self, data: bytes) -> None:
        self.next = self.thread.submit(self.pipe.recv_bytes)
        self.apart = [self._mapped(one) for one in marshal.loads(data)]

    def _mapped(self, told: tuple) -> Mapped:
        (row, place, length, of), readable, reject, skipped, unread, warnings, unmapped, targets, made = told
        mapped = Mapped(Record(row, place, length, [], of=of), [self._made(*one) for one in made], None, reject and Reject(*reject), skipped, unread)
        if readable:
            mapped.row = Row([], None)
            mapped.row.warnings, mapped.row.unmapped, mapped.row.targets = warnings, unmapped, [Target(*one) for one in targets]
        return mapped

    def _made(self, rule: int, ref: str, newer: str | None, empty: tuple[str, ...], head: bytes, rest: bytes, mark: str, prepared: tuple | None) -> Made:
        of = self.mapping.templates[rule]
        early = Early(ref, head, rest, mark, prepared and self.prepared.read(prepared))
        return Made(of.name, early, of.write, of.must_match, newer, of.place, empty, of.once)

    def close(self) -> None:
        """Ends the process."""
        self.pipe.close()
        self.process.kill()
        self.process.join()
        self.thread.shutdown(wait=True)


def _work(theirs, pipe, new, mapping: Mapping, path: Path, prepared: type) -> None:
    """What the process does: chunks until the file ends, or nobody takes them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    theirs.close()
    with suppress(EOFError, OSError, Reject):
        secret, digest, place, row, size, store = marshal.loads(pipe.recv_bytes())
        source, rules = reader(path, mapping), {template.name: at for at, template in enumerate(mapping.templates)}
        origin = Source(mapping.name, digest[:12], 0)
        for batch in batches(source.records(place, row), mapping, source.new, Ids(secret, mapping.site.prefix), size):
            pipe.send_bytes(_packed([_told(one, rules, origin, (lambda resource: prepared.of(resource, *store)) if new.value else None) for one in batch]))


def _packed(told: list) -> bytes:
    """Plain values as bytes; what is a subclass of str is one in the mapping's own text, and rare."""
    try:
        return marshal.dumps(told)
    except ValueError:
        return marshal.dumps(_bare(told))


def _bare(value):
    if isinstance(value, (list, tuple)):
        return type(value)(map(_bare, value))
    return str(value) if isinstance(value, str) else value


def _told(mapped: Mapped, rules: dict[str, int], origin: Source, prepare: Callable | None) -> tuple:
    """A record and what became of it, in plain values."""
    record, row, reject = mapped.record, mapped.row, mapped.reject
    fixed = row and not any("?" in target.reference for target in row.targets)
    made = [_early(one, rules[one.rule], origin._replace(row=record.row, newer=one.newer_by), prepare if fixed else None) for one in mapped.made]
    return ((record.row, record.place, record.length, record.of), row is not None, reject and (reject.code, reject.message, reject.column, reject.rule),
            mapped.skipped, mapped.unread, row.warnings if row else [], row.unmapped if row else [], [tuple(one) for one in row.targets] if row else [], made)


def _early(made: Made, rule: int, source: Source, prepare: Callable | None) -> tuple:
    prepared = None
    if prepare and made.write not in CHANGES:
        with suppress(errors.Failure):
            prepared = prepare(written(State(made.content, source)))
    return (rule, made.ref, made.newer_by, made.empty, *split(made.content), mark(made.content), prepared and prepared.plain())
