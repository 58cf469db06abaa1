"""Frames of a journal file: what is read again of one that is whole, torn or damaged."""
from __future__ import annotations

from random import Random

import pytest

from app.audit.frames import MARK, START, Damage, Frame, digest, frame, read

JOURNAL = "0123456789abcdef"
PAYLOADS = [b'{"v":1}', "张".encode() * 20, b"x" * 300]


def frames(payloads=PAYLOADS) -> list[bytes]:
    made, previous = [], START
    for sequence, payload in enumerate(payloads):
        made.append(frame(JOURNAL, sequence, previous, payload))
        previous = digest(made[-1])
    return made


@pytest.fixture
def written(tmp_path):
    """(path, function that writes bytes there and reads them as frames and damage)."""
    path = tmp_path / "j.journal"

    def reading(data: bytes, **more):
        path.write_bytes(data)
        items = list(read(str(path), **more))
        return [i for i in items if isinstance(i, Frame)], [i for i in items if isinstance(i, Damage)]
    return reading


def test_what_was_written_is_read_in_order_and_each_frame_names_the_one_before(written):
    found, damage = written(b"".join(frames()))
    assert ([f.payload for f in found], [f.sequence for f in found], damage) == (PAYLOADS, [0, 1, 2], [])
    assert found[0].previous == START and [f.previous for f in found[1:]] == [f.hash for f in found[:-1]]
    assert {f.journal for f in found} == {JOURNAL}


def test_an_empty_file_has_no_frames(written):
    assert written(b"") == ([], [])


def test_reading_goes_on_from_the_end_of_a_frame(written):
    whole = frames()
    found, _ = written(b"".join(whole))
    rest, damage = written(b"".join(whole), start=found[0].end, sequence=1, previous=found[0].hash)
    assert (rest, damage) == (found[1:], [])


def test_a_tail_torn_at_any_byte_of_the_last_frame_ends_the_reading_there(written):
    whole = frames()
    kept = b"".join(whole[:-1])
    for cut in range(1, len(whole[-1])):
        found, damage = written(kept + whole[-1][:cut])
        assert [f.payload for f in found] == PAYLOADS[:-1]
        assert [(d.start, d.end, d.torn) for d in damage] == [(len(kept), len(kept) + cut, True)], cut


def test_room_that_was_never_filled_is_a_torn_tail(written):
    found, damage = written(b"".join(frames()) + bytes(500))
    assert len(found) == 3 and [d.torn for d in damage] == [True]


def test_a_flipped_bit_anywhere_is_reported_and_the_rest_is_read(written):
    whole = frames()
    data = b"".join(whole)
    for bit in range(len(data) * 8):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        hit = 0 if bit // 8 < len(whole[0]) else 1 if bit // 8 < len(whole[0] + whole[1]) else 2
        found, damage = written(bytes(broken))
        assert [f.sequence for f in found] == [s for s in range(3) if s != hit], bit
        assert [d.torn for d in damage] == [False], bit
        assert damage[0].start == sum(map(len, whole[:hit])) and damage[0].end == sum(map(len, whole[:hit + 1])), bit


def test_a_frame_that_was_taken_out_is_reported(written):
    whole = frames()
    found, damage = written(whole[0] + whole[2])
    assert [f.sequence for f in found] == [0, 2] and len(damage) == 1 and "does not follow" in damage[0].what and not damage[0].torn


def test_a_frame_that_was_put_in_place_of_another_is_reported(written):
    whole = frames()
    other = frame(JOURNAL, 1, digest(whole[0]), b"other")
    found, damage = written(whole[0] + other + whole[2])
    assert len(found) == 3 and len(damage) == 1 and not damage[0].torn


def test_a_first_frame_that_is_missing_is_reported_where_the_reader_knows_what_comes(written):
    assert len(written(b"".join(frames()[1:]), sequence=0)[1]) == 1


def test_a_payload_that_holds_a_mark_is_no_frame(written):
    found, damage = written(b"".join(frames([MARK * 40, b"y"])))
    assert len(found) == 2 and damage == []


def test_bytes_that_are_no_frames_at_all_are_damage(written):
    found, damage = written(b"not a journal" * 20)
    assert found == [] and [d.torn for d in damage] == [False]


def spoiled(random: Random, data: bytes) -> bytes:
    """The file after an accident: bytes turned, zeroed, lost, doubled or put in."""
    at, length = random.randrange(len(data)), random.choice([1, 1, 4, 40, 200])
    part = data[at:at + length]
    return data[:at] + random.choice([bytes(b ^ random.randrange(1, 256) for b in part), bytes(len(part)), b"", part + part, random.randbytes(length) + part]) + data[at + length:]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_to_a_file_no_frame_is_missing_silently_and_none_is_made_up(written, seed):
    random = Random(seed)
    payloads = [random.randbytes(random.choice([0, 1, 40, 400])) + random.choice([b"", MARK, MARK + bytes(60)]) for _ in range(8)]
    whole = frames(payloads)
    data = b"".join(whole)
    boundaries = {sum(map(len, whole[:n])) for n in range(9)}
    for _ in range(300):
        broken = spoiled(random, data)
        found, damage = written(broken)
        if broken == data or data.startswith(broken) and len(broken) in boundaries:
            continue  # nothing happened, or its end is gone so cleanly that the file itself cannot tell
        assert {(f.sequence, f.payload) for f in found} <= set(enumerate(payloads))
        missing = set(range(8)) - {f.sequence for f in found}
        assert damage, "an accident that nobody is told of"
        if missing - {7}:
            assert any(not d.torn for d in damage) or missing == set(range(min(missing), 8))
