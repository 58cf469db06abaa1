"""The journal of accesses: durable before the answer, written by one worker alone, moved into the store by the indexer.

A frame is: magic, length of the payload, CRC-32 of what follows, sequence, journal, SHA-256 of the frame before, payload (an access
record). A file that failed once is never written again: those who wait get a 503, and the next journal begins with what was not
delivered, in its old slots, so that a record that reached both files counts once. An access that was answered 503 may therefore stand in
the log; one that was answered stands there always.
"""
from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from app import errors
from app.audit import codes, record
from app.caller import Caller
from app.store.base import Access, Event, Store

SEGMENT = 16 * 1024 * 1024
"""Bytes after which a journal goes on in a new file."""
UNDELIVERED = 10_000
"""Records of a failed file that the next one begins with, at most."""
MOVE = 2000
"""Records that the indexer moves in one transaction."""
TURN = 0.5
"""Seconds between two turns of the indexer."""
_HEAD = struct.Struct("<4sII")
_REST = struct.Struct("<Q12s32s")
_MAGIC = b"YLJ1"
log = logging.getLogger("yilian.journal")


class Frame(NamedTuple):
    """One frame as read: its slot, its payload, the hash it claims for the frame before, its own hash, and where it ends."""

    journal: str
    sequence: int
    payload: bytes
    previous: bytes
    hash: bytes
    end: int


def frame(journal: str, sequence: int, previous: bytes, payload: bytes) -> bytes:
    rest = _REST.pack(sequence, journal.encode(), previous) + payload
    return _HEAD.pack(_MAGIC, len(payload), zlib.crc32(rest)) + rest


def read(path: str | Path, start: int = 0) -> Iterator[Frame]:
    """The frames of a file from a byte on. It ends at a torn tail (a frame that the file does not hold whole, or whose check fails with
    nothing readable behind it). Damage in the middle is told loudly, and reading goes on at the next frame that is whole."""
    data = Path(path).read_bytes()[start:]
    place = 0
    while place < len(data):
        found = _frame(data, place)
        if found is None:
            place = _next(data, place + 1)
            if place < 0:
                return
            log.error("%s is damaged before byte %d: records there are lost; reading goes on", path, start + place)
            continue
        yield found._replace(end=start + found.end)
        place = found.end


def _frame(data: bytes, place: int) -> Frame | None:
    body = place + _HEAD.size
    if body + _REST.size > len(data) or data[place:place + 4] != _MAGIC:
        return None
    _, length, check = _HEAD.unpack_from(data, place)
    end = body + _REST.size + length
    if end > len(data) or zlib.crc32(data[body:end]) != check:
        return None
    sequence, journal, previous = _REST.unpack_from(data, body)
    return Frame(journal.rstrip(b"\0").decode(), sequence, data[body + _REST.size:end], previous, hashlib.sha256(data[place:end]).digest(), end)


def _next(data: bytes, place: int) -> int:
    """Where the next whole frame begins; -1 for none."""
    while (place := data.find(_MAGIC, place)) >= 0:
        if _frame(data, place) is not None:
            return place
        place += 1
    return -1


class Journal:
    """One worker's journal. `write` returns when the record is on the disk; what waits beside each other shares one wait.

    opener and sync are the seam to the disk: opener(path) gives an unbuffered file, sync(fd) makes its bytes durable.
    """

    def __init__(self, folder: str, site: str, *, opener=lambda path: open(path, "xb", buffering=0), sync=os.fdatasync):
        self.folder, self.site, self.opener, self.sync = Path(folder), site, opener, sync
        self.file = None
        self.waiting: list[tuple[Access, asyncio.Future]] = []
        self.undelivered: list[tuple[str, int, bytes]] = []
        self.task: asyncio.Task | None = None
        self.thread = ThreadPoolExecutor(1, "journal")

    async def write(self, access: Access) -> Access:
        """Gives the record its slot; returns when it is durable. Errors: Unavailable where it cannot be written."""
        done = asyncio.get_running_loop().create_future()
        self.waiting.append((access, done))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._empty())
        return await done

    async def close(self) -> None:
        """Finishes what waits; nothing is written afterwards."""
        while self.task is not None and not self.task.done():
            await asyncio.wait([self.task])
        self.thread.shutdown(wait=True)
        if self.file is not None:
            self.file.close()
            self.file = None

    async def _empty(self) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting, []
            try:
                await asyncio.get_running_loop().run_in_executor(self.thread, self._write, [access for access, _ in batch])
            except OSError as error:
                log.error("the journal cannot be written: %s", error)
                failure = errors.Unavailable("Accesses cannot be recorded now, so nothing is answered.", retry_after=5)
                self._tell(batch, failure)
            except BaseException as error:
                self._tell(batch, error)
                raise
            else:
                self._tell(batch)

    @staticmethod
    def _tell(batch, error: BaseException | None = None) -> None:
        for access, done in batch:
            if not done.done():
                done.set_result(access) if error is None else done.set_exception(error)

    def _write(self, accesses: list[Access]) -> None:
        """In the thread: frames for all, one write, one wait for the disk."""
        slots: list[tuple[str, int, bytes]] = []
        try:
            if self.file is None:
                self._open()
            elif self.size > SEGMENT:
                self._segment()
            for access in accesses:
                access.journal, access.sequence = self.id, self._slot()
                slots.append((access.journal, access.sequence, access.plain))
            self._put(slots)
        except BaseException:
            self._abandon(slots)
            raise

    def _slot(self) -> int:
        self.sequence += 1
        return self.sequence

    def _put(self, slots: list[tuple[str, int, bytes]]) -> None:
        parts = []
        for journal, sequence, payload in slots:
            made = frame(journal, sequence, self.previous, payload)
            self.previous = hashlib.sha256(made).digest()
            parts.append(made)
        data = memoryview(b"".join(parts))
        self.size += len(data)
        while data:
            data = data[self.file.write(data):]
        self.sync(self.file.fileno())

    def _open(self) -> None:
        """A new journal: its opening is its first record, and what the last one did not deliver follows."""
        self.id, self.sequence, self.part, self.previous = os.urandom(6).hex(), -1, -1, bytes(32)
        self._segment()
        opening = record.access(Caller("", ""), at=time.time_ns() // 1000, events=(Event("E", codes.APPLICATION_START),), outcome="0", site=self.site, type=codes.APPLICATION_ACTIVITY)
        self._put([(self.id, self._slot(), opening.plain), *self.undelivered])
        self.undelivered = []

    def _segment(self) -> None:
        """The journal goes on in a new file. The lock on it says that its writer lives."""
        self.part += 1
        file = self.opener(str(self.folder / f"{self.id}.{self.part:06}.journal"))
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        if self.file is not None:
            self.file.close()
        self.file, self.size = file, 0
        self._sync_folder()

    def _sync_folder(self) -> None:
        """The file's name must be as durable as its bytes."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _abandon(self, slots: list) -> None:
        self.undelivered = (self.undelivered + slots)[-UNDELIVERED:]
        if self.file is not None:
            with contextlib.suppress(OSError):
                self.file.close()
            self.file = None


class Direct:
    """Records go straight into the store, many at once: for stores on other machines, where a local file would be lost with this one."""

    def __init__(self, store: Store):
        self.store, self.id, self.sequence = store, os.urandom(6).hex(), -1
        self.waiting: list[tuple[Access, asyncio.Future]] = []
        self.task: asyncio.Task | None = None

    async def write(self, access: Access) -> Access:
        """As Journal.write."""
        self.sequence += 1
        access.journal, access.sequence = self.id, self.sequence
        done = asyncio.get_running_loop().create_future()
        self.waiting.append((access, done))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._empty())
        return await done

    async def close(self) -> None:
        while self.task is not None and not self.task.done():
            await asyncio.wait([self.task])

    async def _empty(self) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting[:500], self.waiting[500:]
            try:
                await self.store.keep([access for access, _ in batch])
            except Exception as error:
                failure = error if isinstance(error, errors.Failure) else errors.Unavailable("Accesses cannot be recorded now, so nothing is answered.", retry_after=5)
                Journal._tell(batch, failure)
            else:
                Journal._tell(batch)


class Indexer:
    """Moves all journals of a folder into the store, those of dead workers too. One moves at a time, whichever process it is in."""

    def __init__(self, folder: str, store: Store):
        self.folder, self.store = Path(folder), store
        self.places: dict[str, int] = {}
        self.turn = asyncio.Lock()
        self.lock = open(self.folder / "indexer.lock", "w")

    async def run(self) -> None:
        """Turn after turn, until cancelled."""
        while True:
            try:
                await self.once()
            except (errors.Failure, OSError) as failure:
                log.warning("journals wait: %s", failure)
            await asyncio.sleep(TURN)

    async def catch_up(self) -> None:
        """Returns when all that was durable at the call is in the store. Errors: Unavailable where that takes too long."""
        await self.once(patience=10.0)

    async def once(self, patience: float = 0.0) -> None:
        """One turn. Without patience it leaves the turn to a process that has it."""
        async with self.turn:
            limit = time.monotonic() + patience
            while not self._mine():
                if patience == 0.0:
                    return
                if time.monotonic() > limit:
                    raise errors.Unavailable("The log is behind: journals are being moved by another process.")
                await asyncio.sleep(0.01)
            try:
                for path in sorted(self.folder.glob("*.journal")):
                    await self._move(path)
            finally:
                fcntl.flock(self.lock, fcntl.LOCK_UN)

    def _mine(self) -> bool:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    async def _move(self, path: Path) -> None:
        """What is new in a file; the file goes when it is all in the store and nobody writes it."""
        name = path.name
        done = self._finished(path)  # before reading: what is written later is not missed
        try:
            if path.stat().st_size > self.places.get(name, 0):
                batch: list[Access] = []
                for found in read(path, self.places.get(name, 0)):
                    batch.append(self._decode(path, found))
                    if len(batch) >= MOVE:
                        await self._keep(name, batch, found.end)
                        batch = []
                if batch:
                    await self._keep(name, batch, found.end)
        except FileNotFoundError:
            self.places.pop(name, None)
            return
        if done:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > self.places.get(name, 0):
                    log.warning("%s ends in %d bytes that were never made durable; they are let go", path, path.stat().st_size - self.places.get(name, 0))
                path.unlink()
            self.places.pop(name, None)

    async def _keep(self, name: str, batch: list[Access | None], end: int) -> None:
        await self.store.keep([access for access in batch if access is not None])
        self.places[name] = end

    @staticmethod
    def _decode(path: Path, found: Frame) -> Access | None:
        try:
            return record.decode(found.payload, found.journal, found.sequence)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            log.error("%s: record %d cannot be read: %s", path, found.sequence, error)
            return None

    @staticmethod
    def _finished(path: Path) -> bool:
        """Nobody holds the file's lock: its writer has gone on to another, or is dead."""
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        except (BlockingIOError, FileNotFoundError):
            return False
