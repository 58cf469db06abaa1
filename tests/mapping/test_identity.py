from __future__ import annotations

import re
from base64 import b32encode
from hashlib import blake2b

from app.mapping.identity import Ids, new_secret, normal

SECRET = "ab" * 32


def test_an_id_is_the_keyed_hash_of_its_length_prefixed_parts():
    framed = b"\x00\x00\x00\x07Patient" + b"\x00\x00\x00\x05h/mrn" + b"\x00\x00\x00\x02a7"
    wanted = b32encode(blake2b(framed, key=bytes.fromhex(SECRET), digest_size=20).digest()).decode().lower()
    assert Ids(SECRET, "h-")("Patient", "h/mrn", ("A7",)) == "h-" + wanted
    assert re.fullmatch(r"h-[a-z2-7]{32}", "h-" + wanted)


def test_parts_do_not_run_into_each_other():
    ids = Ids(SECRET)
    assert ids("T", "n", ("12", "3")) != ids("T", "n", ("1", "23"))
    assert ids("T", "n", ("12",)) != ids("T", "n1", ("2",))


def test_another_secret_type_or_namespace_gives_another_id():
    ids = Ids(SECRET)
    assert len({ids("Patient", "a", ("1",)), ids("Encounter", "a", ("1",)), ids("Patient", "b", ("1",)), Ids("cd" * 32)("Patient", "a", ("1",))}) == 4


def test_width_case_spaces_and_leading_zeros_make_no_difference():
    assert normal(" ００４２ ") == normal("42") == "42"
    assert normal("Ab") == normal("ＡＢ") == "ab"
    assert normal("000") == "0"
    assert normal("A042") == "a042"


def test_a_new_secret_is_32_random_bytes():
    assert len(bytes.fromhex(new_secret())) == 32 and new_secret() != new_secret()
