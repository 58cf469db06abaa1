"""The journal: nothing is acknowledged before it is durable, whatever the disk does."""
from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app import errors
from app.audit import record
from app.audit.frames import START, Frame, read
from app.audit.journal import CARRIED, Journal
from tests.audit.making import made

ROOT = Path(__file__).parents[2]


def frames(folder) -> list[Frame]:
    """All frames of a folder's journals; a damaged one fails the test."""
    items = [item for path in sorted(Path(folder).glob("*.journal"), key=lambda p: p.stat().st_mtime_ns) for item in read(str(path))]
    assert all(isinstance(item, Frame) for item in items)
    return items


def slots(folder) -> set[tuple[str, int]]:
    return {(f.journal, f.sequence) for f in frames(folder)}


class Disk:
    """Files that fail as they are told: `write` and `sync` say what each call raises or does; `calls` is what happened in order, `synced` how much of each path is durable."""

    def __init__(self):
        self.calls: list[str] = []
        self.synced: dict[str, int] = {}
        self.write = self.sync = lambda: None

    def open(self, path):
        self.calls.append("open")
        return File(open(path, "xb", buffering=0), self)

    def fdatasync(self, descriptor):
        self.calls.append("sync")
        self.sync()
        os.fdatasync(descriptor)
        self.synced[os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(".new")] = os.fstat(descriptor).st_size

    def journal(self, folder, **more) -> Journal:
        return Journal(str(folder), "site", opener=self.open, sync=self.fdatasync, **more)


class File:
    def __init__(self, file, disk):
        self.file, self.disk, self.fileno, self.close = file, disk, file.fileno, file.close

    def write(self, data):
        self.disk.calls.append("write")
        taken = self.disk.write()
        return self.file.write(data if taken is None else data[:taken])


def failing(code: int):
    def fail():
        raise OSError(code, os.strerror(code))
    return fail


async def refused(coroutine) -> errors.Unavailable:
    with pytest.raises(errors.Unavailable) as caught:
        await coroutine
    assert caught.value.status == 503
    return caught.value


async def test_an_access_gets_its_slot_after_the_opening(tmp_path):
    journal = Journal(str(tmp_path), "site")
    first, second = await journal.write(made()), await journal.write(made())
    await journal.close()
    opening, *rest = frames(tmp_path)
    assert (first.sequence, second.sequence, first.journal) == (1, 2, second.journal)
    assert record.decode(opening.payload).events[0].subtype == "journal-open" and opening.previous == START and opening.sequence == 0
    assert [f.payload for f in rest] == [first.plain, second.plain]


async def test_those_that_wait_together_share_one_write_and_one_sync_in_order(tmp_path):
    disk = Disk()
    journal = disk.journal(tmp_path)
    written = await asyncio.gather(*(journal.write(made(at=n)) for n in range(100)))
    assert disk.calls == ["open", "write", "sync"]
    assert [a.sequence for a in written] == list(range(1, 101))
    await journal.close()
    assert [record.decode(f.payload).at for f in frames(tmp_path)[1:]] == list(range(100))


async def test_write_does_not_return_before_its_sync(tmp_path):
    disk, released = Disk(), threading.Event()
    journal = disk.journal(tmp_path)
    await journal.write(made())
    disk.sync = released.wait
    waiting = asyncio.create_task(journal.write(made()))
    while disk.calls.count("sync") < 2:
        await asyncio.sleep(0.001)
    late = asyncio.create_task(journal.write(made()))
    await asyncio.sleep(0.05)
    assert not waiting.done() and not late.done()
    assert len(frames(tmp_path)) == 3  # the bytes are in the file, and still it has not returned
    released.set()
    await asyncio.gather(waiting, late)
    assert disk.calls == ["open", "write", "sync", "write", "sync", "write", "sync"]
    await journal.close()


async def test_after_a_failed_sync_the_file_is_never_used_again_and_the_next_journal_opens_with_what_was_not_delivered(tmp_path):
    disk = Disk()
    journal = disk.journal(tmp_path)
    good = await journal.write(made(at=1))
    disk.sync = failing(errno.EIO)
    await refused(journal.write(made(at=2)))
    disk.sync = lambda: None
    after = await journal.write(made(at=3))
    await journal.close()
    assert after.journal != good.journal and disk.calls.count("open") == 2
    second = [f for f in frames(tmp_path) if f.journal == after.journal]
    opening, carried, last = [record.decode(f.payload) for f in second]
    assert opening.events[0].subtype == "journal-open" and "1 accesses that were not delivered" in record.fields(opening.plain)["q"]
    assert (carried.at, carried.outcome, last.at, last.outcome) == (2, "8", 3, "0") and "503" in record.fields(carried.plain)["w"]
    delivered = [f for f in frames(tmp_path) if (f.journal, f.sequence) == (good.journal, good.sequence)]
    assert second[0].previous == delivered[0].hash


async def test_all_that_shared_a_failed_sync_are_refused(tmp_path):
    disk = Disk()
    disk.sync = failing(errno.EIO)
    journal = disk.journal(tmp_path)
    results = await asyncio.gather(*(journal.write(made()) for _ in range(10)), return_exceptions=True)
    assert all(isinstance(r, errors.Unavailable) for r in results)
    await journal.close()


async def test_a_full_disk_refuses_and_recovers_when_there_is_room_again(tmp_path):
    disk = Disk()
    journal = disk.journal(tmp_path)
    good = await journal.write(made(at=1))
    disk.write = failing(errno.ENOSPC)
    for at in range(2, 7):
        await refused(journal.write(made(at=at)))
    assert len(list(tmp_path.iterdir())) == 1  # attempts leave nothing behind
    disk.write = lambda: None
    after = await journal.write(made(at=7))
    await journal.close()
    assert {(good.journal, good.sequence), (after.journal, after.sequence)} <= slots(tmp_path)
    assert [record.decode(f.payload).at for f in frames(tmp_path) if f.journal == after.journal][1:] == [2, 3, 4, 5, 6, 7]


async def test_a_write_that_a_full_disk_cut_short_is_a_torn_tail_and_all_acknowledged_stands(tmp_path):
    disk = Disk()
    journal = disk.journal(tmp_path)
    good = await journal.write(made(at=1))
    answers = iter([100])

    def short():
        for taken in answers:
            return taken
        raise OSError(errno.ENOSPC, "No space left on device")
    disk.write = short
    await refused(journal.write(made(at=2)))
    disk.write = lambda: None
    after = await journal.write(made(at=3))
    await journal.close()
    items = [item for path in tmp_path.glob("*.journal") for item in read(str(path))]
    assert {(good.journal, good.sequence), (after.journal, after.sequence)} <= {(i.journal, i.sequence) for i in items if isinstance(i, Frame)}
    assert [i.torn for i in items if not isinstance(i, Frame)] == [True]


async def test_a_write_that_takes_less_at_once_is_finished(tmp_path):
    disk = Disk()
    disk.write = lambda: 7
    journal = disk.journal(tmp_path)
    await journal.write(made())
    await journal.close()
    assert len(frames(tmp_path)) == 2


async def test_what_an_outage_leaves_undelivered_is_bounded_and_the_rest_is_counted(tmp_path):
    disk = Disk()
    disk.write = failing(errno.ENOSPC)
    journal = disk.journal(tmp_path)
    await asyncio.gather(*(journal.write(made()) for _ in range(CARRIED + 5)), return_exceptions=True)
    disk.write = lambda: None
    await journal.write(made())
    await journal.close()
    opening, *rest = frames(tmp_path)
    assert len(rest) == CARRIED + 1 and "5 more accesses were answered 503" in record.fields(opening.payload)["q"]


@pytest.mark.parametrize("step", ["open", "rename", "mkdir"])
async def test_a_disk_too_full_to_begin_a_journal_refuses_and_recovers(tmp_path, monkeypatch, step):
    disk, folder = Disk(), tmp_path / "journals"
    journal = disk.journal(folder)
    full = failing(errno.ENOSPC)
    with monkeypatch.context() as patch:
        if step == "open":
            journal._opener = lambda path: full()
        else:
            patch.setattr(os, {"rename": "rename", "mkdir": "makedirs"}[step], lambda *a, **more: full())
        for at in range(3):
            await refused(journal.write(made(at=at)))
        assert not folder.exists() or list(folder.iterdir()) == []
    journal._opener = disk.open
    after = await journal.write(made(at=3))
    await journal.close()
    assert [record.decode(f.payload).at for f in frames(folder)][1:] == [0, 1, 2, 3] and after.sequence == 4


async def test_a_name_that_may_not_be_durable_refuses_and_the_next_journal_says_all_again(tmp_path, monkeypatch):
    disk, fsync = Disk(), os.fsync
    journal = disk.journal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: failing(errno.EIO)())
        await refused(journal.write(made(at=1)))
    assert os.fsync is fsync
    after = await journal.write(made(at=2))
    await journal.close()
    assert [record.decode(f.payload).at for f in frames(tmp_path) if f.journal == after.journal][1:] == [1, 2]


async def test_the_name_of_a_folder_that_is_new_is_durable_too(tmp_path, monkeypatch):
    folders, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (folders.append(os.readlink(f"/proc/self/fd/{descriptor}")), fsync(descriptor)))
    journal = Journal(str(tmp_path / "journals"), "site", segment=1)
    await journal.write(made())
    assert folders == [str(tmp_path), str(tmp_path / "journals")]
    await journal.write(made())
    await journal.close()
    assert folders == [str(tmp_path), *[str(tmp_path / "journals")] * 2]


async def test_a_folder_that_cannot_be_written_refuses(tmp_path):
    (tmp_path / "file").write_text("")
    journal = Journal(str(tmp_path / "file" / "folder"), "site")
    await refused(journal.write(made()))
    await journal.close()


async def test_journals_change_by_size_and_each_opens_with_the_hash_of_the_last(tmp_path):
    journal = Journal(str(tmp_path), "site", segment=2000)
    written = [await journal.write(made()) for _ in range(40)]
    await journal.close()
    found = frames(tmp_path)
    assert {(a.journal, a.sequence) for a in written} <= {(f.journal, f.sequence) for f in found}
    by_hash = {f.hash: f for f in found}
    openings = [f for f in found if f.sequence == 0]
    assert len(openings) > 4 and sum(f.previous == START for f in openings) == 1
    assert all(f.previous in by_hash for f in openings if f.previous != START)


async def test_a_closed_journal_has_finished_what_it_took_and_takes_nothing_more(tmp_path):
    journal = Journal(str(tmp_path), "site")
    waiting = [asyncio.create_task(journal.write(made())) for _ in range(20)]
    await asyncio.sleep(0)
    await journal.close()
    assert all((await asyncio.gather(*waiting)))
    await refused(journal.write(made()))


async def test_one_that_is_cancelled_while_it_waits_does_not_disturb_the_others(tmp_path):
    journal = Journal(str(tmp_path), "site")
    gone, stays = asyncio.create_task(journal.write(made())), asyncio.create_task(journal.write(made()))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).sequence == 2
    await journal.close()


WRITER = """
import asyncio, sys
from app.audit.journal import Journal
from tests.audit.making import made

async def main():
    journal = Journal(sys.argv[1], "site", segment=20_000)
    async def loop():
        while True:
            access = await journal.write(made())
            print(access.journal, access.sequence, flush=True)
    await asyncio.gather(*(loop() for _ in range(8)))
asyncio.run(main())
"""


def writer(folder) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen, lines: int) -> list[tuple[str, int]]:
    """The slots that the writer acknowledged up to a kill after so many of them, and any that were still in the pipe."""
    acknowledged = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.read().splitlines(True)
    process.wait()
    process.stdout.close()
    return [(journal, int(sequence)) for journal, sequence in (line.split() for line in acknowledged if line.endswith("\n"))]


def test_after_kill_9_of_a_writer_every_acknowledged_slot_is_there(tmp_path):
    for round in range(3):
        acknowledged = told(writer(tmp_path), 200 + 57 * round)
        items = [item for path in tmp_path.glob("*.journal") for item in read(str(path))]
        assert set(acknowledged) <= {(i.journal, i.sequence) for i in items if isinstance(i, Frame)}
        assert all(i.torn for i in items if not isinstance(i, Frame))
