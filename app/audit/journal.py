"""The journal of accesses that one worker writes: an access is durable before its answer leaves, and those that wait share one sync.

A file is one journal: it has an id of its own, its first record is its opening, and that opening's `previous` is the hash of the last frame
which the journal before it delivered. A file is called `.new` until its first records are durable.

After a failed write or sync the file is never used again, for what the disk then holds is not known. Those that waited get Unavailable.
Their accesses stand in the next journal, after its opening, with outcome 8 and the reason (CARRIED at most; the opening says how many more
there were). What of the failed file can be read is moved to the store too: an access that was answered 503 may stand in the log, and even
twice, as attempted and as failed; one that was answered otherwise always stands there. A full disk is such a failure, and the first write
after there is room again opens a journal.
"""
from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app import errors
from app.audit import record
from app.audit.frames import START, SUFFIX, digest, frame, read
from app.audit.indexer import Indexer
from app.caller import Caller
from app.store.base import Access, Event

__all__ = ["Indexer", "Journal", "read"]
SEGMENT = 8 * 1024 * 1024
"""Bytes after which the next journal is opened."""
CARRIED = 1000
"""Undelivered accesses that the next journal opens with."""
NEW = ".new"
log = logging.getLogger("yilian")


class Journal:
    """Writes access records. One process, one event loop; other processes write journals of their own in the same folder.

    site: this server's name; opener: path -> a new unbuffered binary file; sync: makes a file descriptor's data durable.
    """

    def __init__(self, folder: str, site: str, *, opener: Callable = lambda path: open(path, "xb", buffering=0), sync: Callable[[int], None] = os.fdatasync,
                 segment: int = SEGMENT):
        self.folder, self.site, self._opener, self._sync, self._segment = folder, site, opener, sync, segment
        self._waiting: list[tuple[Access, asyncio.Future]] = []
        self._task: asyncio.Task | None = None
        self._thread = ThreadPoolExecutor(1, "journal")
        self._file = None
        self._path = self.id = ""
        self._size = 0
        self._next, self._previous = 0, START
        self._carried: list[Access] = []
        self._lost = 0
        self._closed = False

    async def write(self, access: Access) -> Access:
        """Gives the access its slot and returns it once it is durable. Errors: Unavailable when that failed: nothing may be answered."""
        if self._closed:
            raise errors.Unavailable("This server is stopping.")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((access, done))
        if self._task is None:
            self._task = asyncio.create_task(self._empty())
        await done
        return access

    async def close(self) -> None:
        """Finishes what was accepted; then the journal takes nothing more."""
        self._closed = True
        while self._task is not None:
            await asyncio.wait([self._task])
        self._leave()
        self._thread.shutdown(wait=True)

    async def _empty(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                _tell(batch, await self._deliver([access for access, _ in batch]))
        finally:
            self._task = None

    async def _deliver(self, batch: list[Access]) -> errors.Unavailable | None:
        """Writes and syncs a batch, in order; returns the failure where there is one."""
        try:
            if self._file is not None and self._size >= self._segment:
                self._leave()
            self.id = self.id or secrets.token_hex(8)
            records = batch if self._file is not None else [self._opening(), *self._carried, *batch]
            data, following, previous = self._frames(records)
            await asyncio.get_running_loop().run_in_executor(self._thread, self._put, data)
        except Exception as error:
            log.error("journal %s: %s accesses could not be recorded: %s", self.id, len(batch), error)
            self._fail(batch, error)
            return errors.Unavailable("The access cannot be recorded, so nothing was answered.")
        if records is not batch:
            self._carried, self._lost = [], 0
        self._size, self._next, self._previous = self._size + len(data), following, previous
        return None

    def _frames(self, records: list[Access]) -> tuple[bytes, int, bytes]:
        """The frames of the records, which get their slots; the sequence and the hash that follow them."""
        sequence, previous, frames = self._next, self._previous, []
        for access in records:
            access.journal, access.sequence = self.id, sequence
            made = frame(self.id, sequence, previous, access.plain)
            sequence, previous = sequence + 1, digest(made)
            frames.append(made)
        return b"".join(frames), sequence, previous

    def _opening(self) -> Access:
        lost = f"; {self._lost} more accesses were answered 503 and are not recorded" if self._lost else ""
        return record.access(Caller("", "journal", purpose=""), at=time.time_ns() // 1000, events=(Event("E", "journal-open"),), outcome="0", site=self.site,
                             type="110100", query=f"follows {self._previous.hex()}; {len(self._carried)} accesses that were not delivered{lost}")

    # what runs in the thread

    def _put(self, data: bytes) -> None:
        if self._file is None:
            self._open()
        _write(self._file, data)
        self._sync(self._file.fileno())
        if self._path.endswith(NEW):
            self._publish()

    def _open(self) -> None:
        """A new file under a lock that tells others that its writer lives."""
        os.makedirs(self.folder, exist_ok=True)
        self._path = os.path.join(self.folder, self.id + SUFFIX + NEW)
        self._file = self._opener(self._path)
        fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _publish(self) -> None:
        """The file's name, durable too; before the first of this process that of the folder, which may be new."""
        path = self._path.removesuffix(NEW)
        if self._previous == START:
            with contextlib.suppress(PermissionError):  # what may not be read was there before
                _durable(os.path.dirname(os.path.abspath(self.folder)))
        os.rename(self._path, path)
        self._path = path
        _durable(self.folder)

    # the end of a file

    def _leave(self) -> None:
        """Ends the file; the next write opens another."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file, self._path, self.id, self._size, self._next = None, "", "", 0, 0

    def _fail(self, batch: list[Access], error: Exception) -> None:
        """Leaves the file for good and keeps what it did not deliver for the next; one in which nothing was ever delivered goes."""
        if self._path.endswith(NEW):
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        room = CARRIED - len(self._carried)
        self._carried += [record.again(access, outcome="8", reason=f"Answered 503: it could not be recorded ({error}).") for access in batch[:max(room, 0)]]
        self._lost += max(len(batch) - max(room, 0), 0)
        self._leave()


def _durable(folder: str) -> None:
    """The names in a folder. Errors: OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file, data: bytes) -> None:
    """All of it: a file near a full disk may take less at once. Errors: OSError."""
    rest = memoryview(data)
    while rest:
        taken = file.write(rest)
        if not taken:
            raise OSError("the file takes no more")
        rest = rest[taken:]


def _tell(batch, failure: errors.Unavailable | None) -> None:
    for _, done in batch:
        if not done.done():
            done.set_result(None) if failure is None else done.set_exception(errors.Unavailable(str(failure)))
