"""The files that the paths of an import mean: folders in the order of their names, members of zip archives, gz unpacked. Archives have limits.

Each member is unpacked into a temporary folder, one at a time, since a run must know a file's hash before it reads it and may begin in its middle.
"""
from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from app.mapping.reject import Reject

RATIO = 200
"""How many times larger than its archive a file may come out, where that is much."""
MUCH = 64 << 20
MOST = 64 << 30
"""Bytes that one file may come out as."""
PIECE = 1 << 20


class File(NamedTuple):
    """A file to read, and the name under which it is told: below the folder that was given, that of its archive before its own. refused: why it cannot be read."""

    path: Path
    name: str
    refused: Reject | None = None


def files(paths: list[Path], rank: Callable[[str], int] = lambda name: 0) -> Iterator[File]:
    """All files, hidden ones left out; one of an archive is gone when the next is asked for. Of a folder or an archive the lower rank of a name comes first.

    What unpacks beyond reason is refused (`size`), and so is an archive that is broken, locked or nested (`csv-structure`); the others come. Errors: OSError.
    """
    for path in paths:
        held = [found for found in path.rglob("*") if found.is_file() and not _hidden(found.relative_to(path).parts)] if path.is_dir() else [path]
        for one in sorted(held, key=lambda found: (rank(found.name), found)):
            name = one.relative_to(path).as_posix() if one != path else path.name
            yield from UNPACKED[one.suffix.lower()](one, name, rank) if one.suffix.lower() in UNPACKED else [File(one, name)]


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts)


def _zipped(path: Path, name: str, rank: Callable[[str], int]) -> Iterator[File]:
    try:
        # names without the flag of UTF-8 are in the code page of the machine that packed them
        with zipfile.ZipFile(path, metadata_encoding="gb18030") as archive:
            for member in sorted(archive.infolist(), key=lambda member: (rank(PurePosixPath(member.filename).name), member.filename)):
                parts = PurePosixPath(member.filename).parts
                if member.is_dir() or _hidden(parts):
                    continue
                if member.flag_bits & 1:
                    yield File(path, f"{name}/{member.filename}", Reject("csv-structure", "it is locked with a password; unpack it first"))
                    continue
                with archive.open(member) as packed:
                    yield from _unpacked(packed, parts[-1], f"{name}/{member.filename}", member.compress_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        yield File(path, name, Reject("csv-structure", f"the archive cannot be read ({error})"))


def _gzipped(path: Path, name: str, rank: Callable[[str], int]) -> Iterator[File]:
    try:
        with gzip.open(path) as packed:
            yield from _unpacked(packed, path.stem, name, path.stat().st_size)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        yield File(path, name, Reject("csv-structure", f"the archive cannot be read ({error})"))


UNPACKED = {".zip": _zipped, ".gz": _gzipped}
"""Suffix -> what gives the files of such an archive."""


def _unpacked(packed: BinaryIO, name: str, told: str, size: int) -> Iterator[File]:
    if Path(name).suffix.lower() in UNPACKED:
        yield File(Path(name), told, Reject("csv-structure", "it is an archive within an archive; unpack it first"))
        return
    with TemporaryDirectory(prefix="yilian-") as folder:
        target, written, most = Path(folder) / name, 0, min(MOST, max(MUCH, RATIO * size))
        with open(target, "wb") as file:
            while piece := packed.read(PIECE):
                written += len(piece)
                if written > most:
                    break
                file.write(piece)
        refused = Reject("size", f"it unpacks to more than {most >> 20} MB, {RATIO} times what it is packed to") if written > most else None
        yield File(target, told, refused)
