"""The indexer: every record of every journal reaches the store once, and no file goes before that."""
from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time

import pytest
import pytest_asyncio

from app import errors
from app.audit import indexer as indexing
from app.audit.frames import START, digest, frame
from app.audit.indexer import Indexer
from app.audit.journal import Journal
from app.search.query import ALL
from app.store.sqlite import SqliteStore
from tests.audit.making import made
from tests.audit.test_journal import ROOT, told, writer


@pytest_asyncio.fixture
async def store(tmp_path):
    store = await SqliteStore.open(str(tmp_path / "store.db"))
    yield store
    await store.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journals"


async def kept(store) -> list[tuple[str, int]]:
    """The slots in the store, each as often as it is there."""
    return [(s.access.journal, s.access.sequence) for s in await store.events(ALL, limit=100_000)]


def journals(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if ".journal" in p.name)


async def orphan(folder, count: int, **more) -> tuple[str, bytes]:
    """A journal whose writer is gone: its path and bytes."""
    journal = Journal(str(folder), "site", **more)
    for at in range(count):
        await journal.write(made(at=at))
    path = os.path.join(folder, journal.id + ".journal")
    await journal.close()
    return path, open(path, "rb").read()


async def test_what_was_written_is_in_the_store_after_catching_up(store, folder):
    journal, indexer = Journal(str(folder), "site"), Indexer(str(folder), store)
    access = await journal.write(made())
    await indexer.catch_up()
    found = await store.access(access.journal, access.sequence)
    assert (found.plain, found.events) == (access.plain, access.events)
    assert len(await kept(store)) == 2  # the opening is a record too
    await journal.close()


async def test_catching_up_goes_on_where_it_stopped_and_doubles_nothing(store, folder):
    journal, indexer = Journal(str(folder), "site"), Indexer(str(folder), store)
    for count in range(2, 6):
        await journal.write(made())
        await indexer.catch_up()
        await indexer.once()
        assert len(await kept(store)) == count
    await journal.close()


async def test_a_journal_that_is_being_written_stays_and_one_that_was_left_goes_after_it_is_moved(store, folder):
    journal, indexer = Journal(str(folder), "site"), Indexer(str(folder), store)
    await journal.write(made())
    await indexer.once()
    assert len(journals(folder)) == 1
    await journal.write(made())
    await journal.close()
    await indexer.once()
    assert journals(folder) == [] and len(await kept(store)) == 3


async def test_a_file_that_goes_while_files_are_listed_hides_no_other(store, folder, monkeypatch):
    journal, indexer, listed = Journal(str(folder), "site"), Indexer(str(folder), store), os.scandir
    access = await journal.write(made())

    @contextlib.contextmanager
    def going(path):
        for name in ("0.journal", "0.journal.new"):
            (folder / name).touch()
        with listed(path) as entries:
            found = list(entries)
        for name in ("0.journal", "0.journal.new"):
            (folder / name).unlink()
        yield found
    monkeypatch.setattr(indexing.os, "scandir", going)
    await indexer.catch_up()
    monkeypatch.undo()
    assert await store.access(access.journal, access.sequence) is not None
    await journal.close()


async def test_orphans_of_dead_writers_are_moved_and_removed(store, folder):
    for _ in range(3):
        await orphan(folder, 5)
    await Indexer(str(folder), store).once()
    assert journals(folder) == [] and len(await kept(store)) == 18


async def test_journals_that_changed_by_size_are_moved_whole(store, folder):
    journal, indexer = Journal(str(folder), "site", segment=3000), Indexer(str(folder), store)
    written = [await journal.write(made()) for _ in range(60)]
    await indexer.catch_up()
    assert {(a.journal, a.sequence) for a in written} <= set(await kept(store))
    assert len(journals(folder)) <= 1
    await journal.close()


async def test_a_move_without_any_note_of_positions_doubles_nothing(store, folder):
    journal = Journal(str(folder), "site")
    await journal.write(made())
    await Indexer(str(folder), store).once()
    for note in (b"", b"{", b"[]", b'{"x":[1]}', b'{"x":5}'):
        (folder / "indexer.lock").write_bytes(note)
        await Indexer(str(folder), store).once()
    assert len(await kept(store)) == 2
    await journal.close()


async def test_positions_do_not_count_for_a_store_that_has_not_what_lies_before_them(store, folder, tmp_path):
    journal = Journal(str(folder), "site")
    await journal.write(made())
    await Indexer(str(folder), store).once()
    older = await SqliteStore.open(str(tmp_path / "restored.db"))
    await Indexer(str(folder), older).once()
    assert len(await kept(older)) == 2
    await older.close()
    await journal.close()


async def test_a_torn_tail_at_every_byte_loses_only_what_nobody_was_told_of(store, folder):
    path, data = await orphan(folder, 2)
    last = len(data) - len(frame("00" * 8, 0, START, made(at=1).plain))
    os.unlink(path)
    for cut in range(last, len(data)):
        id = f"{cut:016x}"
        (folder / f"{id}.journal").write_bytes(data[:cut])
    await Indexer(str(folder), store).once()
    assert journals(folder) == [] and sorted(s for _, s in await kept(store)) == [0, 1]


async def test_an_unfinished_frame_of_a_living_writer_waits_for_its_end(store, folder):
    path, data = await orphan(folder, 2)
    with open(path, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(len(data) - 10)
        indexer = Indexer(str(folder), store)
        await indexer.catch_up()
        assert len(await kept(store)) == 2
        file.seek(0)
        file.write(data)
        await indexer.catch_up()
        assert len(await kept(store)) == 3
    await indexer.once()
    assert journals(folder) == []


async def test_damage_in_the_middle_is_reported_loudly_the_rest_is_moved_and_the_file_kept(store, folder, caplog):
    path, data = await orphan(folder, 5)
    broken = bytearray(data)
    broken[len(data) // 2] ^= 1
    open(path, "wb").write(broken)
    with caplog.at_level(logging.WARNING, "yilian"):
        await Indexer(str(folder), store).once()
    assert [r.levelno for r in caplog.records] == [logging.CRITICAL] and "damaged" in caplog.text
    assert len(await kept(store)) == 5
    assert journals(folder) == [os.path.basename(path) + ".damaged"]
    await Indexer(str(folder), store).once()
    assert len(await kept(store)) == 5


async def test_damage_in_a_journal_that_is_still_written_is_reported_once_and_the_file_kept_in_the_end(store, folder, caplog):
    journal, indexer = Journal(str(folder), "site"), Indexer(str(folder), store)
    for at in range(3):
        last = await journal.write(made(at=at))
    path = folder / f"{journal.id}.journal"
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size - 10)
        file.write(b"\0" * 5)
    await indexer.once()
    assert len(await kept(store)) == 3 and caplog.records == []  # its writer may be in the middle of it
    after = await journal.write(made(at=3))
    for _ in range(3):
        await indexer.once()
    assert {("damaged" in r.message, r.levelno) for r in caplog.records} == {(True, logging.CRITICAL)} and len(caplog.records) == 1
    assert sorted(s for _, s in await kept(store)) == [0, 1, 2, 4] and (last.sequence, after.sequence) == (3, 4)
    await journal.close()
    await indexer.once()
    assert journals(folder) == [path.name + ".damaged"] and len(await kept(store)) == 4


async def test_a_whole_frame_that_is_no_record_is_reported_and_the_file_kept(store, folder, caplog):
    folder.mkdir()
    first = frame("00" * 8, 0, START, b'{"v":9}')
    (folder / f"{'00' * 8}.journal").write_bytes(first + frame("00" * 8, 1, digest(first), made().plain))
    await Indexer(str(folder), store).once()
    assert [r.levelno for r in caplog.records] == [logging.CRITICAL]
    assert await kept(store) == [("00" * 8, 1)] and journals(folder) == ["00" * 8 + ".journal.damaged"]


async def test_what_was_never_finished_opening_is_removed_when_it_is_old(store, folder):
    folder.mkdir()
    for name, age in (("a.journal.new", 0), ("b.journal.new", 1000)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    await Indexer(str(folder), store).once()
    assert journals(folder) == ["a.journal.new"]


async def test_a_store_that_keeps_nothing_now_loses_nothing(store, folder):
    path, _ = await orphan(folder, 3)

    class Locked:
        """A store at which another process holds the lock."""
        kept = store.kept

        async def keep(self, accesses):
            raise errors.Unavailable("locked")

    with pytest.raises(errors.Unavailable):
        await Indexer(str(folder), Locked()).catch_up()
    assert os.path.exists(path)
    await Indexer(str(folder), store).catch_up()
    assert len(await kept(store)) == 4


async def test_a_fault_that_nobody_thought_of_does_not_stop_the_moving(store, folder, caplog, monkeypatch):
    monkeypatch.setattr(indexing, "TURN", 0.01)
    await orphan(folder, 3)

    class Odd:
        """A store that fails once as no store should."""
        kept, turns = store.kept, 0

        async def keep(self, accesses):
            self.turns += 1
            if self.turns == 1:
                raise KeyError("odd")
            await store.keep(accesses)

    running = asyncio.create_task(Indexer(str(folder), Odd()).run())
    while journals(folder):
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(await kept(store)) == 4 and "cannot be moved" in caplog.text


async def test_a_query_does_not_wait_for_ever_for_a_process_that_keeps_the_lock(store, folder, monkeypatch):
    monkeypatch.setattr(indexing, "PATIENCE", 0.05)
    folder.mkdir()
    with open(folder / "indexer.lock", "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(errors.Unavailable, match="does not come to an end"):
            await Indexer(str(folder), store).catch_up()
    await Indexer(str(folder), store).catch_up()


MOVER = """
import asyncio, os, signal, sys
from app.audit.indexer import Indexer
from app.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(sys.argv[2])
    if sys.argv[3:]:
        setattr(os, sys.argv[3], lambda *a: os.kill(os.getpid(), signal.SIGKILL))
    await Indexer(sys.argv[1], store).once()
    await store.close()
asyncio.run(main())
"""


def move(folder, tmp_path, *dying: str) -> int:
    """Another process moves the journals, and is killed where it calls the function of os that `dying` names."""
    return subprocess.run([sys.executable, "-c", MOVER, str(folder), str(tmp_path / "store.db"), *dying], cwd=ROOT).returncode


async def test_an_indexer_killed_between_its_transaction_and_the_removal_doubles_nothing(store, folder, tmp_path):
    path, _ = await orphan(folder, 5)
    assert move(folder, tmp_path, "unlink") == -signal.SIGKILL
    assert os.path.exists(path) and len(await kept(store)) == 6
    await Indexer(str(folder), store).once()
    assert journals(folder) == [] and len(await kept(store)) == 6


async def test_an_indexer_killed_before_it_puts_a_damaged_file_aside_says_so_again_and_doubles_nothing(store, folder, tmp_path, caplog):
    path, data = await orphan(folder, 5)
    broken = bytearray(data)
    broken[len(data) // 2] ^= 1
    open(path, "wb").write(broken)
    assert move(folder, tmp_path, "rename") == -signal.SIGKILL
    await Indexer(str(folder), store).once()
    assert journals(folder) == [os.path.basename(path) + ".damaged"] and len(await kept(store)) == 5 and "damaged" in caplog.text


async def test_a_query_sees_what_another_process_moved_since_this_turn_of_the_event_loop_began_to_read(store, folder, tmp_path):
    journal, indexer = Journal(str(folder), "site"), Indexer(str(folder), store)
    access = await journal.write(made())
    await store.newest()  # opens this turn's snapshot
    assert move(folder, tmp_path) == 0
    await indexer.catch_up()
    assert await store.access(access.journal, access.sequence) is not None
    await journal.close()


async def test_large_backlogs_are_moved_in_several_transactions(store, folder, monkeypatch):
    monkeypatch.setattr(indexing, "TOGETHER", 7)
    await orphan(folder, 30)
    await Indexer(str(folder), store).once()
    assert len(await kept(store)) == 31 == len(set(await kept(store)))


async def test_the_loop_moves_by_itself_until_it_is_cancelled(store, folder):
    journal, indexer = Journal(str(folder), "site"), Indexer(str(folder), store)
    running = asyncio.create_task(indexer.run())
    access = await journal.write(made())
    while await store.access(access.journal, access.sequence) is None:
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await journal.close()


async def test_several_indexers_and_writers_of_one_folder_move_each_record_once(store, folder):
    writers = [Journal(str(folder), "site", segment=5000) for _ in range(3)]
    indexers = [Indexer(str(folder), store) for _ in range(3)]
    running = [asyncio.create_task(i.run()) for i in indexers]

    async def work(journal, indexer):
        for _ in range(30):
            access = await journal.write(made())
            await indexer.catch_up()
            assert await store.access(access.journal, access.sequence) is not None
        return journal
    await asyncio.gather(*(work(j, i) for j, i in zip(writers, indexers)))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for journal in writers:
        await journal.close()
    await indexers[0].once()
    found = await kept(store)
    assert len(found) == len(set(found)) >= 90 + 3 and journals(folder) == []


async def test_no_query_catches_up_while_another_process_holds_the_lock_and_all_do_after(store, folder):
    journal, indexer = Journal(str(folder), "site"), Indexer(str(folder), store)
    access = await journal.write(made())
    await indexer.once(wait=False)
    with open(folder / "indexer.lock", "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        access = await journal.write(made())
        waiting = asyncio.create_task(indexer.catch_up())
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await waiting
    assert await store.access(access.journal, access.sequence) is not None
    await journal.close()


async def test_the_notes_of_positions_forget_journals_that_are_gone(store, folder):
    await orphan(folder, 2)
    await Indexer(str(folder), store).once()
    assert json.loads((folder / "indexer.lock").read_bytes() or b"{}") == {}


BOTH = """
import asyncio, sys
from app.audit.indexer import Indexer
from app.audit.journal import Journal
from app.store.sqlite import SqliteStore
from tests.audit.making import made

async def main():
    store = await SqliteStore.open(sys.argv[2])
    journal, indexer = Journal(sys.argv[1], "site", segment=20_000), Indexer(sys.argv[1], store)
    running = asyncio.create_task(indexer.run())
    async def loop():
        while True:
            access = await journal.write(made())
            print(access.journal, access.sequence, flush=True)
            if access.sequence % 10 == 0:
                await indexer.catch_up()
                assert await store.access(access.journal, access.sequence) is not None
    await asyncio.gather(*(loop() for _ in range(4)))
asyncio.run(main())
"""


@pytest.mark.parametrize("program", ["writes alone", "writes and indexes"])
async def test_after_kill_9_of_two_processes_every_acknowledged_access_is_in_the_store_once(store, folder, tmp_path, program):
    if program == "writes alone":
        processes = [writer(folder), writer(folder)]
    else:
        processes = [subprocess.Popen([sys.executable, "-c", BOTH, str(folder), str(tmp_path / "store.db")], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    indexer = Indexer(str(folder), store)
    acknowledged = []
    for process in processes:
        read = asyncio.create_task(asyncio.to_thread(told, process, 150))
        while not read.done():
            await indexer.once(wait=False)
            await asyncio.sleep(0.01)
        acknowledged += read.result()
    assert all(p.returncode == -signal.SIGKILL for p in processes)
    await indexer.once()
    found = await kept(store)
    assert set(acknowledged) <= set(found) and len(found) == len(set(found))
    assert [n for n in journals(folder) if not n.endswith(".new")] == []
