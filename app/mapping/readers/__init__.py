"""Readers: each turns a file of one kind into records with their place in it. READERS names them by the kind that a mapping's source declares."""
from __future__ import annotations

from pathlib import Path

from app.mapping.readers import csv, dbf, excel, fixed, json, xml

READERS = {"csv": csv.Reader, "fixed": fixed.Reader, "dbf": dbf.Reader, "excel": excel.Reader, "ndjson": json.Lines, "json": json.Document, "xml": xml.Reader}


def reader(path: Path, mapping):
    """The reader of a file under a mapping: that of its source's kind, or the one of CSV for a rejects.csv that comes back. Errors: Reject."""
    back = mapping.source.kind != "csv" and path.suffix.lower() == ".csv"
    return (csv.Reader if back else READERS[mapping.source.kind])(path, mapping)
