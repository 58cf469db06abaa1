"""Code tables: CSV files of ten columns that say which code of ours stands for which code of theirs. https://hl7.org/fhir/R4/conceptmap.html"""
from __future__ import annotations

import csv
import io
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from app.mapping.document import Mistake, shown

COLUMNS = ("source_system", "source_code", "source_display", "target_system", "target_code", "target_display", "equivalence", "comment",
           "valid_from", "valid_to")
EQUIVALENCE = ("relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact", "unmatched", "disjoint")
"""https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html"""
UNLIKE = ("narrower", "inexact")
"""What needs a comment in a ConceptMap (cmd-1)."""
GUARDED = ("'=", "'+", "'-", "'@")
"""What stands before a code that a spreadsheet would take for a formula, in a report or by hand; the code is what follows the quote."""
CANONICAL = "https://yilian.example/fhir"


class Concept(NamedTuple):
    """One row: a source code and its target; a target code is empty where the row says `unmatched`."""
    source_system: str
    source_code: str
    source_display: str
    target_system: str
    target_code: str
    target_display: str
    equivalence: str = "equivalent"
    comment: str = ""
    valid_from: str = ""
    valid_to: str = ""


class Table(NamedTuple):
    """A code table: `rows` in file order, `by_code` the same by source code, `hash` of its bytes."""
    name: str
    system: str
    by_code: dict[str, Concept]
    rows: tuple[Concept, ...]
    hash: str


def load(path: Path) -> Table:
    """The table in a file. Errors: Mistake names the line (absent, not UTF-8, other columns, a code twice, an unknown equivalence)."""
    try:
        raw = path.read_bytes()
        lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise Mistake(shown(path), f"the code table cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise Mistake(shown(path), f"not a CSV file in UTF-8 ({error})") from None
    if not lines or tuple(lines[0]) != COLUMNS:
        raise Mistake(f"{shown(path)}:1", f"the columns of a code table are {','.join(COLUMNS)}")
    return _table(path, lines[1:], sha256(raw).hexdigest())


def _table(path: Path, lines: list[list[str]], digest: str) -> Table:
    by_code: dict[str, Concept] = {}
    for number, line in enumerate(lines, 2):
        if not any(line):
            continue
        place = f"{shown(path)}:{number}"
        if len(line) != len(COLUMNS):
            raise Mistake(place, f"{len(line)} columns instead of {len(COLUMNS)}")
        concept = Concept(*(cell[1:] if cell[:2] in GUARDED else cell for cell in map(str.strip, line)))
        _check(concept, place)
        if concept.source_code in by_code:
            raise Mistake(place, f"code '{concept.source_code}' stands here twice")
        by_code[concept.source_code] = concept
    rows = tuple(by_code.values())
    return Table(path.stem, rows[0].source_system if rows else "", by_code, rows, digest)


def _check(concept: Concept, place: str) -> None:
    if not concept.source_code:
        raise Mistake(place, "source_code is empty")
    if concept.equivalence not in EQUIVALENCE:
        raise Mistake(place, f"equivalence '{concept.equivalence}' is none of {', '.join(EQUIVALENCE)}")
    if not concept.target_code and concept.equivalence not in ("unmatched", "disjoint"):
        raise Mistake(place, "target_code is empty; say 'unmatched' where there is none")


def version(table: Table) -> str:
    """The version of its ConceptMap: a hash of its file."""
    return table.hash[:12]


def concept_map(table: Table, site: str, id: str) -> dict:
    """A table of a site as a ConceptMap: its rows, a group for each pair of systems; the version is the hash of the file."""
    systems = lambda row: (row.source_system, row.target_system)
    groups = [{"source": source, "target": target, "element": [_element(row) for row in rows]} for (source, target), rows in groupby(sorted(table.rows, key=systems), systems)]
    return {"resourceType": "ConceptMap", "id": id, "url": f"{CANONICAL}/ConceptMap/{site}-{table.name}", "identifier": {"system": f"{CANONICAL}/sid/code-table", "value": f"{site}/{table.name}"},
            "version": version(table), "title": table.name, "status": "active", **({"group": [_filled(group) for group in groups]} if groups else {})}


def _element(row: Concept) -> dict:
    valid = f"valid {row.valid_from}..{row.valid_to}" if row.valid_from or row.valid_to else ""
    comment = "; ".join(filter(None, (row.comment, valid))) or ("not said why" if row.equivalence in UNLIKE else "")
    target = {"code": row.target_code, "display": row.target_display, "equivalence": row.equivalence, "comment": comment}
    return _filled({"code": row.source_code, "display": row.source_display, "target": [_filled(target)]})


def _filled(element: dict) -> dict:
    return {name: value for name, value in element.items() if value}
