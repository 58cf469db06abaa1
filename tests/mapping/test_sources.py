"""What the paths of an import mean: folders, archives, and archives that mean harm."""
from __future__ import annotations

import gzip
import zipfile

import pytest

from app.mapping import sources
from app.mapping.sources import files


def told(*paths):
    return [(one.name, str(one.refused) if one.refused else one.path.read_bytes()) for one in files(list(paths))]


def refused(path) -> str:
    (_, why), = told(path)
    return str(why)


def test_a_folder_is_its_files_in_the_order_of_their_names_and_hidden_ones_are_none(tmp_path):
    for name in ("乙.csv", "甲/b.csv", "甲/a.csv", ".DS_Store", ".git/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [name for name, _ in told(tmp_path)] == ["乙.csv", "甲/a.csv", "甲/b.csv"]


def test_members_of_a_zip_are_files_with_names_in_utf8_and_in_gbk(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("数据/门诊.csv", "a")
        archive.writestr("__MACOSX/._门诊.csv", "no")
        archive.writestr("b.csv", "b" * 100)
    old = "门诊".encode("gb18030").ljust(5, b"1")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.writestr("abcde", "c")
    (tmp_path / "y.zip").write_bytes((tmp_path / "y.zip").read_bytes().replace(b"abcde", old))
    assert told(path, tmp_path / "y.zip") == [("x.zip/b.csv", b"b" * 100), ("x.zip/数据/门诊.csv", b"a"), ("y.zip/门诊1", b"c")]


def test_gz_is_unpacked_and_gone_afterwards(tmp_path):
    (tmp_path / "v.csv.gz").write_bytes(gzip.compress(b"abc"))
    reading = files([tmp_path / "v.csv.gz"])
    one = next(reading)
    assert (one.name, one.path.name, one.path.read_bytes()) == ("v.csv.gz", "v.csv", b"abc")
    assert next(reading, None) is None and not one.path.exists()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MUCH", 1 << 20)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(bytes(8 << 20)))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(8 << 20))
    for name in ("bomb.csv.gz", "bomb.zip"):
        assert refused(tmp_path / name).startswith("size: it unpacks to more than")


def test_a_name_in_an_archive_cannot_leave_its_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../../evil.csv", "a")
    assert [one.path.parent.name.startswith("yilian-") for one in files([tmp_path / "x.zip"])] == [True]


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(50)])
@pytest.mark.parametrize("name", ["x.zip", "x.csv.gz"])
def test_a_broken_archive_is_refused_in_a_sentence(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    if name.endswith(".gz") and not data:
        assert told(tmp_path / name) == [("x.csv.gz", b"")]
        return
    assert "archive cannot be read" in refused(tmp_path / name)


def test_a_damaged_member_and_an_archive_within_an_archive_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", "abcdefgh")
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes().replace(b"abcdefgh", b"abcdefgx"))
    assert "cannot be read" in refused(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.writestr("b.zip", "PK")
        archive.writestr("c.csv", "c")
    assert told(tmp_path / "y.zip") == [("y.zip/b.zip", "csv-structure: it is an archive within an archive; unpack it first"), ("y.zip/c.csv", b"c")]


def test_the_lower_rank_of_a_name_comes_first_in_folders_and_archives(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / "in" / name).touch()
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name in ("a.csv", "b.csv", "c.csv"):
            archive.writestr(name, "")
    rank = {"c.csv": 0, "a.csv": 1}.get
    for path in (tmp_path / "in", tmp_path / "in.zip"):
        assert [file.path.name for file in sources.files([path], lambda name: rank(name, 9))] == ["c.csv", "a.csv", "b.csv"]
