"""What an import hands to the engineer: rejects.csv to correct and feed again, rejects.raw, rejects.ndjson, unmapped.csv and summary.json."""
from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from app.errors import Issue, outcome
from app.mapping.ledger import Ledger, Rejected, Unmapped
from app.mapping.readers.record import OURS
from app.mapping.tables import COLUMNS, Table

COUNTED = ("stale", "duplicate", "skipped", "closed")
"""Notes that the summary counts by themselves; the others are warnings."""
DANGLING = ("rule", "column", "records", "row")


@dataclass(slots=True)
class Import:
    """What an import did: records = accepted + rejected, always.

    rejects: the refused records in file order; by_code counts them. resources: type -> created/updated/unchanged -> count.
    notes: counts of duplicate, stale and skipped records, of rejects of earlier files that were closed, and of warnings. seconds: of this call.
    unpublished: code tables that are too large for the store to hold as a ConceptMap.
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
    unread: dict[str, int] = field(default_factory=dict)
    unpublished: tuple[str, ...] = ()

    @property
    def held(self) -> int:
        """Records that wait for what they refer to."""
        return self.by_code.get("dangling", 0)

    @property
    def dangling(self) -> list[tuple[str, str, int, int]]:
        """What dangles at the end of the run: the rule and column of the reference, how many records wait for it, and the first of them."""
        rows: dict[tuple[str, str], list[int]] = {}
        for one in self.rejects:
            if one.code == "dangling":
                rows.setdefault((one.rule, one.column), []).append(one.row)
        return [(*where, len(found), min(found)) for where, found in rows.items()]

    def summary(self) -> dict:
        """All but the rejects themselves, for summary.json."""
        return {"mapping": self.mapping, "version": self.version, "file": self.file, "sha256": self.sha256, "dry": self.dry, "records": self.records,
                "accepted": self.accepted, "rejected": self.rejected, "rejects": self.by_code, "resources": self.resources, "held": self.held,
                **{name: self.notes.get(name, 0) for name in COUNTED}, "warnings": {name: count for name, count in self.notes.items() if name not in COUNTED},
                "unmapped": sum(one.count for one in self.unmapped), "unread": self.unread, "new_columns": list(self.new_columns), "unpublished": list(self.unpublished), "task": self.task, "resumed": self.resumed,
                "dangling": [dict(zip(DANGLING, one)) for one in self.dangling], "already": self.already, "stopped": self.stopped, "seconds": round(self.seconds, 3)}


def result(mapping, name: str, digest: str, ledger: Ledger, rejects: list[Rejected], unmapped: list[Unmapped], **more) -> Import:
    """The Import that a ledger and its chunks tell."""
    return Import(mapping.name, mapping.version, name, digest, ledger.records, ledger.accepted, ledger.rejected, dict(ledger.rejects), ledger.resources,
                  ledger.notes, rejects, _summed(unmapped), stopped=ledger.state == "stopped", unread=dict(ledger.unread), **more)


def write(folder: Path, done: Import, reader, tables: dict[str, Table]) -> None:
    """Writes the reports into a folder (made where absent); where there is a summary, all of them are whole.

    tables: the code tables of the mapping; for each that lacks codes there is a file of lines to complete and append to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary, part = folder / "summary.json", folder / "summary.json.part"
    summary.unlink(missing_ok=True)
    (folder / "rejects.csv").write_bytes(b"".join(_csv(done.rejects, reader)))
    (folder / "rejects.raw").write_bytes(b"".join(reader.raw({one.place: one.length for one in done.rejects if not one.whole})))
    (folder / "rejects.ndjson").write_text("".join(json.dumps(_outcome(one), ensure_ascii=False) + "\n" for one in done.rejects), encoding="utf-8")
    _table(folder / "unmapped.csv", Unmapped._fields, done.unmapped)
    for old in folder.glob("unmapped-*.csv"):
        old.unlink()
    for name, lacking in groupby(done.unmapped, key=lambda one: one.table):
        rest = [""] * (len(COLUMNS) - 3)
        _table(folder / f"unmapped-{name}.csv", COLUMNS, ((tables[name].system, one.code, one.display, *rest) for one in lacking))
    _table(folder / "unread.csv", ("column", "records"), done.unread.items())
    _table(folder / "dangling.csv", DANGLING, done.dangling)
    part.write_text(json.dumps(done.summary(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    part.replace(summary)


def _table(path: Path, names: tuple[str, ...], rows: Iterable) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(names)
        lines.writerows(map(_guarded, rows))


def _csv(rejects: list[Rejected], reader):
    """The lines of rejects.csv: the source's record untouched, our columns after it; a record that is no row stands empty here."""
    mark, encoding = reader.mark, reader.encoding.removesuffix("-sig")
    heading = reader.heading()
    width = len(next(csv.reader([heading.decode(reader.encoding).removeprefix("\ufeff")], delimiter=mark)))
    yield heading + (mark + mark.join(OURS) + "\r\n").encode(encoding)
    held = reader.lines({one.place: one.length for one in rejects if one.whole}) if rejects else {}
    for one in rejects:
        out = io.StringIO()
        csv.writer(out, delimiter=mark, lineterminator="\r\n").writerow(_guarded((one.row, one.place, one.code, one.rule, one.column, one.message, one.of)))
        yield held.get(one.place, (mark * (width - 1)).encode(encoding)) + (mark + out.getvalue()).encode(encoding)


def _guarded(cells) -> list:
    """Cells that a spreadsheet would take for a formula get a quote before them."""
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell for cell in cells]


def _outcome(one: Rejected) -> dict:
    place = f"row {one.row}, place {one.place}" + (f", column {one.column}" if one.column else "") + (f", rule {one.rule}" if one.rule else "")
    return outcome([Issue("error", "invalid" if one.code != "duplicate-key" else "duplicate", f"{one.code}: {one.message} ({place})")])


def _summed(unmapped: list[Unmapped]) -> list[Unmapped]:
    by: dict[tuple[str, str], Unmapped] = {}
    for one in unmapped:
        known = by.get((one.table, one.code))
        by[one.table, one.code] = known._replace(count=known.count + one.count, row=min(known.row, one.row)) if known else one
    return sorted(by.values(), key=lambda one: (one.table, -one.count, one.code))
