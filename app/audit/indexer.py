"""Moves the journals of all workers of one folder, living and dead, to the store; a file goes only after its last record is there.

One at a time, under a lock on the folder. A position of a file counts only while the store agrees that it has what lies before it.
"""
from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import time
from typing import NamedTuple

from app import errors
from app.audit import record
from app.audit.frames import SUFFIX, Damage, Frame, read
from app.store.base import Access

TURN = 0.5
"""Seconds between two turns: with the time of a move it keeps the backlog under two seconds."""
TOGETHER = 1000
"""Records of one transaction."""
SLICE = 100
"""Records decoded before others have their turn."""
WAIT = 0.005
PATIENCE = 20.0
"""Seconds that a query waits for its turn."""
ABANDONED = 60
"""Seconds after which a file that was never finished opening is removed: nothing in it was acknowledged."""
DAMAGED = ".damaged"
log = logging.getLogger("yilian")


class Position(NamedTuple):
    """Up to where a journal was moved: the byte, the next sequence, the hash of the last frame. `damaged`: not all of it could be."""

    offset: int = 0
    sequence: int = 0
    previous: str = ""
    damaged: bool = False


class Indexer:
    """Each worker has one; whichever holds the lock moves for all. `store` keeps accesses and tells which it has."""

    def __init__(self, folder: str, store):
        self.folder, self.store = folder, store
        self._lock_path = os.path.join(folder, "indexer.lock")
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        """Moves what is there, turn by turn, until it is cancelled. What fails is tried again at the next turn."""
        while True:
            try:
                await self.once(wait=False)
            except (errors.Failure, OSError) as failure:
                log.warning("journals cannot be moved now: %s", failure)
            except Exception:
                log.exception("journals cannot be moved")
            await asyncio.sleep(TURN)

    async def once(self, *, wait: bool = True) -> None:
        """Moves all that the journals hold now. wait: else nothing is done while another moves. Errors: Unavailable, OSError."""
        async with self._turn(wait) as mine:
            if mine is not None:
                await self._move(mine)

    async def catch_up(self) -> None:
        """Returns once all that any journal held when it was called is in the store. Errors: Unavailable."""
        sizes = self._sizes()
        try:
            async with self._turn(True) as mine:
                if any(_offset(mine, name) < size for name, size in sizes.items()):
                    await self._move(mine, sizes)
        except OSError as error:
            raise errors.Unavailable(f"The journals of accesses cannot be read now ({error}).") from error
        await asyncio.sleep(0)  # a read that began in this turn of the event loop does not see what another process moved since

    def _sizes(self) -> dict[str, int]:
        return {entry.name: found.st_size for entry, found in self._files(SUFFIX)}

    def _files(self, suffix: str):
        """(entry, its stat) of the files there whose names end so; others remove and rename them meanwhile."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(suffix):
                    with contextlib.suppress(FileNotFoundError):
                        yield entry, entry.stat()

    # the turn

    @contextlib.asynccontextmanager
    async def _turn(self, wait: bool):
        """The positions of journals, for as long as the lock is held; None where another holds it and there is no waiting."""
        if not wait and self._busy.locked():
            yield None
            return
        async with self._busy:
            os.makedirs(self.folder, exist_ok=True)
            with open(self._lock_path, "a+b", buffering=0) as lock:
                limit = time.monotonic() + PATIENCE
                while not _locked(lock, fcntl.LOCK_EX):
                    if not wait:
                        yield None
                        return
                    if time.monotonic() > limit:
                        raise errors.Unavailable("Another process moves the journals of accesses and does not come to an end.", retry_after=5)
                    await asyncio.sleep(WAIT)
                positions = _noted(lock)
                before = dict(positions)
                try:
                    yield positions
                finally:
                    if positions != before:
                        _note(lock, positions)

    # moving

    async def _move(self, positions: dict[str, Position], sizes: dict[str, int] | None = None) -> None:
        for name, size in (sizes or self._sizes()).items():
            with contextlib.suppress(FileNotFoundError):
                await self._file(name, size, positions)
        for name in set(positions) - set(self._sizes()):
            del positions[name]
        self._tidy()

    async def _file(self, name: str, size: int, positions: dict[str, Position]) -> None:
        """Moves what a journal holds beyond its position, and removes it where its writer will add nothing more."""
        path = os.path.join(self.folder, name)
        position = await self._agreed(name, positions.get(name, Position()))
        ended = _ended(path)  # asked before it is read: what is read then is all that there will be
        if position.offset < os.path.getsize(path):
            async for position in self._records(path, position, ended):
                positions[name] = position
        if ended:
            os.rename(path, path + DAMAGED) if position.damaged else os.unlink(path)

    async def _agreed(self, name: str, position: Position) -> Position:
        """The position, or the beginning if the store has not what lies before it (it is another, or older)."""
        if position.sequence and not position.damaged and await self.store.kept(name.removesuffix(SUFFIX)) < position.sequence - 1:
            return Position()
        return position

    async def _records(self, path: str, position: Position, ended: bool):
        """Keeps the journal's records, so many at a time; yields each position that is reached."""
        batch: list[Access] = []
        for step, item in enumerate(read(path, position.offset, position.sequence, bytes.fromhex(position.previous) or None), 1):
            if isinstance(item, Damage):
                if not ended and (item.torn or item.end == os.path.getsize(path)):
                    break  # its writer may be in the middle of it
                _report(path, item)
                position = position._replace(offset=item.end, damaged=position.damaged or not item.torn)
                continue
            access = _access(path, item)
            if access is None:
                position = position._replace(damaged=True)
            else:
                batch.append(access)
            position = Position(item.end, item.sequence + 1, item.hash.hex(), position.damaged)
            if len(batch) >= TOGETHER:
                await self.store.keep(batch)
                batch = []
                yield position
            elif step % SLICE == 0:
                await asyncio.sleep(0)
        if batch:
            await self.store.keep(batch)
        yield position

    def _tidy(self) -> None:
        """Removes what was never finished opening."""
        for entry, found in self._files(SUFFIX + ".new"):
            with contextlib.suppress(FileNotFoundError):
                if found.st_mtime < time.time() - ABANDONED and _ended(entry.path):
                    os.unlink(entry.path)


def _access(path: str, item: Frame) -> Access | None:
    """The record of a frame, in its slot; None, and a report, where it cannot be read."""
    try:
        access = record.decode(item.payload)
    except (ValueError, KeyError, TypeError) as error:
        log.critical("journal %s: record %s is whole but cannot be read (%s); the file is kept", path, item.sequence, error)
        return None
    access.journal, access.sequence = item.journal, item.sequence
    return access


def _report(path: str, damage: Damage) -> None:
    if damage.torn:
        log.warning("journal %s: an unfinished write of %s bytes at its end, which nobody was told of, is left out", path, damage.end - damage.start)
    else:
        log.critical("journal %s is damaged from byte %s to %s (%s): accesses are lost; what is readable is moved and the file kept",
                     path, damage.start, damage.end, damage.what)


def _ended(path: str) -> bool:
    """Whether the file's writer is gone or has left it: it holds a lock as long as it may write."""
    with open(path, "rb") as file:
        return _locked(file, fcntl.LOCK_SH)


def _locked(file, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _offset(positions: dict[str, Position], name: str) -> int:
    return positions.get(name, Position()).offset


def _noted(lock) -> dict[str, Position]:
    """The positions that the last holder of the lock left; none where they cannot be read."""
    lock.seek(0)
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return {name: Position(*values) for name, values in json.loads(lock.read()).items()}
    return {}


def _note(lock, positions: dict[str, Position]) -> None:
    with contextlib.suppress(OSError):  # a hint: without it a journal is read from its beginning, and nothing is doubled
        lock.truncate(0)
        lock.write(json.dumps(positions).encode())
