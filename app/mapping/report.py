"""What an import hands to the engineer: rejects.csv to correct and feed again, rejects.raw, rejects.ndjson, unmapped.csv and summary.json."""
from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from app.errors import Issue, outcome
from app.mapping.ledger import Ledger, Rejected, Unmapped

COLUMNS = ("_row", "_byte", "_code", "_rule", "_column", "_message")


@dataclass(slots=True)
class Import:
    """What an import did: records = accepted + rejected, always.

    rejects: the refused records in file order; by_code counts them. resources: type -> created/updated/unchanged -> count.
    notes: counts of duplicate, stale and skipped records and of warnings. seconds: of this call.
    resumed: the row at which this call began (0: from the start); already: nothing was left to do; stopped: too many rejects.
    """

    mapping: str
    version: str
    file: str
    sha256: str
    records: int
    accepted: int
    rejected: int
    by_code: dict[str, int]
    resources: dict[str, dict[str, int]]
    notes: dict[str, int]
    rejects: list[Rejected]
    unmapped: list[Unmapped]
    task: str = ""
    seconds: float = 0.0
    resumed: int = 0
    already: bool = False
    stopped: bool = False
    dry: bool = False
    new_columns: tuple[str, ...] = ()

    def summary(self) -> dict:
        """All but the rejects themselves, for summary.json."""
        return {"mapping": self.mapping, "version": self.version, "file": self.file, "sha256": self.sha256, "dry": self.dry, "records": self.records,
                "accepted": self.accepted, "rejected": self.rejected, "rejects": self.by_code, "resources": self.resources, "notes": self.notes,
                "unmapped": sum(one.count for one in self.unmapped), "new_columns": list(self.new_columns), "task": self.task, "resumed": self.resumed,
                "already": self.already, "stopped": self.stopped, "seconds": round(self.seconds, 3)}


def result(mapping, name: str, digest: str, ledger: Ledger, rejects: list[Rejected], unmapped: list[Unmapped], **more) -> Import:
    """The Import that a ledger and its chunks tell."""
    return Import(mapping.name, mapping.version, name, digest, ledger.records, ledger.accepted, ledger.rejected, dict(ledger.rejects), ledger.resources,
                  ledger.notes, rejects, _summed(unmapped), stopped=ledger.state == "stopped", **more)


def write(folder: Path, done: Import, path: Path, head: tuple[int, int], mapping) -> None:
    """Writes the reports into a folder (made where absent). `head` is the place of the file's header."""
    folder.mkdir(parents=True, exist_ok=True)
    encoding, mark = mapping.source.encoding, mapping.source.delimiter
    with open(path, "rb") as source:
        (folder / "rejects.csv").write_bytes(b"".join(_csv(source, done.rejects, head, encoding, mark)))
        (folder / "rejects.raw").write_bytes(b"".join(_slice(source, one.byte, one.length) for one in done.rejects if not one.whole))
    (folder / "rejects.ndjson").write_text("".join(json.dumps(_outcome(one), ensure_ascii=False) + "\n" for one in done.rejects), encoding="utf-8")
    with open(folder / "unmapped.csv", "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(Unmapped._fields)
        lines.writerows(map(_guarded, done.unmapped))
    (folder / "summary.json").write_text(json.dumps(done.summary(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _csv(source, rejects: list[Rejected], head: tuple[int, int], encoding: str, mark: str):
    """The lines of rejects.csv: the source's bytes untouched, our columns after them; a record that is no row stands empty here."""
    ours = (mark + mark.join(COLUMNS)).encode()
    line = _slice(source, *head).rstrip(b"\r\n")
    first = line.removesuffix(ours)
    yield first + ours + b"\r\n"
    width = len(next(csv.reader([first.decode(encoding)], delimiter=mark)))
    for one in rejects:
        raw = _slice(source, one.byte, one.length).rstrip(b"\r\n") if one.whole else mark.encode() * (width - 1)
        theirs = raw if first == line or not one.whole else _cut(raw, width, encoding, mark)
        out = io.StringIO()
        csv.writer(out, delimiter=mark, lineterminator="\r\n").writerow(_guarded((one.row, one.byte, one.code, one.rule, one.column, one.message)))
        yield theirs + mark.encode() + out.getvalue().encode(encoding)


def _cut(raw: bytes, width: int, encoding: str, mark: str) -> bytes:
    """A rejected row that was fed again and is refused again, without what the earlier report appended."""
    out = io.StringIO()
    csv.writer(out, delimiter=mark, lineterminator="").writerow(next(csv.reader(io.StringIO(raw.decode(encoding), newline=""), delimiter=mark))[:width])
    return out.getvalue().encode(encoding)


def _slice(source, byte: int, length: int) -> bytes:
    source.seek(byte)
    return source.read(length)


def _guarded(cells) -> list:
    """Cells that a spreadsheet would take for a formula get a quote before them."""
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell for cell in cells]


def _outcome(one: Rejected) -> dict:
    place = f"row {one.row}, byte {one.byte}" + (f", column {one.column}" if one.column else "") + (f", rule {one.rule}" if one.rule else "")
    return outcome([Issue("error", "invalid" if one.code != "duplicate-key" else "duplicate", f"{one.code}: {one.message} ({place})")])


def _summed(unmapped: list[Unmapped]) -> list[Unmapped]:
    by: dict[tuple[str, str], Unmapped] = {}
    for one in unmapped:
        known = by.get((one.table, one.code))
        by[one.table, one.code] = known._replace(count=known.count + one.count, row=min(known.row, one.row)) if known else one
    return sorted(by.values(), key=lambda one: (one.table, -one.count, one.code))
