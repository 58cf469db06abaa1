"""A sample of an export, looked at: its kind, how it is written, and what its columns hold. All but the kind is guessed."""
from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from app.mapping.chinese import check
from app.mapping.compiler import compile
from app.mapping.readers import json as json_reader
from app.mapping.readers import excel, reader
from app.mapping.readers import xml as xml_reader
from app.mapping.readers.csv import ordered
from app.mapping.readers.record import LONGEST, nameless
from app.mapping.reject import Reject

KINDS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".dbf": "dbf", ".xlsx": "excel", ".xls": "excel", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".xml": "xml"}
ENCODED, TREES = ("csv", "dbf"), ("ndjson", "json", "xml")
SAMPLE = 2_000
"""Records that are looked at."""
TOP = 10
"""Lines or rows among which the names of the columns are looked for."""
FEW, SHORT = 20, 8
"""Different values that a code column has at most, and how long they are."""
MOMENTS = {"yyyy-MM-dd HH:mm:ss": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "yyyy-MM-dd HH:mm": r"\d{4}-\d\d-\d\d \d\d:\d\d", "yyyyMMddHHmmss": r"(19|20)\d{12}",
           "yyyy-MM-ddTHH:mm:ss": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "yyyy/M/d H:mm:ss": r"\d{4}/\d\d?/\d\d? \d\d?:\d\d:\d\d", "yyyy/M/d H:mm": r"\d{4}/\d\d?/\d\d? \d\d?:\d\d"}
DATES = {"yyyy-MM-dd": r"\d{4}-\d\d-\d\d", "yyyyMMdd": r"(19|20)\d\d[01]\d[0-3]\d", "yyyy/M/d": r"\d{4}/\d\d?/\d\d?"}
NAMED = (("name", r"姓名|患者姓名|病人姓名|^name$|patient.?name"), ("gender", r"性别|^sex$|gender"), ("birthDate", r"出生|生日|birth"), ("telecom", r"电话|手机|phone|mobile"),
         ("address", r"住址|地址|address"), ("key", r"患者编号|病案号|患者号|病人|patient.?(id|no)|mrn|病历号"))
"""Element of a Patient, and what a column for it is called."""
SITE = "site: draft\norganization: draft\n"


class Column(NamedTuple):
    """A column: `kind` is text, code, date, datetime, number or card; `form` of a date; `codes` of a code column; whether no value stands in it twice, and none is empty."""
    name: str
    kind: str
    form: str = ""
    codes: tuple[str, ...] = ()
    unique: bool = False


def source(sample: Path) -> tuple[str, str]:
    """What stands under `source:` for a file, as text, and what is to be said of an encoding in it that is guessed.

    Errors: ValueError for a kind of file that it does not know; Reject for one that cannot be read.
    """
    kind, guess = KINDS.get(sample.suffix.lower()), ""
    if not kind:
        raise ValueError(f"{sample.name}: a mapping is drafted from {', '.join(sorted(KINDS))}; write one for other files by hand.")
    told = [f"kind: {kind}"]
    if kind in ENCODED:
        encoding, others = guessed(sample, kind)
        guess = "the encoding is a guess: ask who made the export" + (f"; {others} records of the sample are not of it" if others else "")
        told.append(f"encoding: {encoding}")
        told += _written(sample, encoding) if kind == "csv" else []
    elif kind == "excel":
        told += _header(excel.top(sample, TOP))
    elif kind in ROWS:
        told += [f"rows: {json.dumps(rows, ensure_ascii=False)}"] if (rows := ROWS[kind](sample)) else []
    return f"{{{', '.join(told)}, null: ['-', 无], zone: Asia/Shanghai}}", guess


def guessed(sample: Path, kind: str) -> tuple[str, int]:
    """By its mark, or by its zero bytes, UTF-16; else UTF-8 or GB18030, as which more of its records can be read; and how many then cannot.

    Errors: ValueError where most cannot as either.
    """
    with open(sample, "rb") as file:
        raw = file.read(1 << 22)
    if kind == "csv" and (raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b",\0" in raw and b"\n\0" in raw and _reads(raw[:len(raw) // 2 * 2], "utf-16-le")):
        return "utf-16", 0
    counts = {encoding: _refused(sample, f"{{kind: {kind}, encoding: {encoding}, zone: UTC}}") for encoding in ("utf-8", "gb18030")}
    encoding, (refused, number) = min(counts.items(), key=lambda each: each[1][0] / max(1, each[1][1]))
    if refused * 2 > number:
        raise ValueError(f"Most of {sample.name} is neither UTF-8 nor GB18030; save it as one of them, or write the mapping by hand.")
    return encoding, refused


def _refused(sample: Path, source: str) -> tuple[int, int]:
    """How many of the first records are not of the source's encoding, and how many there are; of a header that is not, all."""
    try:
        records = list(islice(_opened(sample, source, ()).records(), SAMPLE))
    except Reject as reject:
        if reject.code != "encoding":
            raise
        return 1, 1
    return sum(record.reject is not None and record.reject.code == "encoding" for record in records), len(records)


def _reads(raw: bytes, encoding: str) -> bool:
    try:
        return bool(raw.decode(encoding)) or True
    except UnicodeDecodeError:
        return False


def _written(sample: Path, encoding: str) -> list[str]:
    """The delimiter of a CSV file, by how many of its first lines have it and how often; and where its names stand."""
    with open(sample, encoding=ordered(sample, encoding), errors="replace") as file:
        head = [line for line in (file.readline(LONGEST) for _ in range(TOP)) if line]
    mark = max(",\t;|", key=lambda mark: (sum(mark in line for line in head), sum(line.count(mark) for line in head)))
    return ([] if mark == "," else [f"delimiter: {'tab' if mark == chr(9) else repr(mark)}"]) + _header([line.split(mark) for line in head])


def _header(rows: list[list[str]]) -> list[str]:
    """Where the names of the columns stand: in the first row that is nearly as full as the fullest. What is above are titles."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    at = next((at for at, number in enumerate(filled) if number * 5 >= max(filled) * 4), 0)
    return [f"header: {at + 1}"] if at and filled[0] * 2 <= max(filled) else []


ROWS = {"json": json_reader.rows, "xml": xml_reader.rows}
"""Kind -> what finds where the records are."""


def columns(sample: Path, source: str) -> list[Column]:
    """The columns of the sample with what their values look like. Errors: ValueError where there is none, or no record; Reject for a file that cannot be read."""
    names, values, records = _read(sample, source, ())
    if not values and records:  # a tree: its paths are known once it was read
        names, values, records = _read(sample, source, names)
    if not any(values):
        raise ValueError(f"{sample.name} has no records to draft a mapping from.")
    return [_column(name, found, records) for name, found in zip(names, values) if name]


def _read(sample: Path, source: str, expect: tuple[str, ...]) -> tuple[tuple[str, ...], list[list[str]], int]:
    """Names of the columns, their values, and how many records were read, by a mapping that expects these columns."""
    read = _opened(sample, source, expect)
    bare = {nameless(at) for at, name in enumerate(read.header) if not name}
    values: list[list[str]] = [[] for _ in expect or read.new]
    number, refused = 0, None
    for number, record in zip(range(1, SAMPLE + 1), read.records()):
        refused = refused or record.reject
        for column, value in zip(values, record.values or ()):
            if value is not None:
                column.append(value)
    if refused and not any(values) and (values or not read.new):
        raise ValueError(f"{sample.name} has no record that can be read; the first that cannot: {refused}.")
    return expect or tuple("" if name in bare else name for name in read.new), values, number


def _opened(sample: Path, source: str, expect: tuple[str, ...]):
    """The sample's reader, by a mapping that expects these columns."""
    with TemporaryDirectory(prefix="yilian-") as folder:
        home = Path(folder) / "draft"
        home.mkdir()
        (home / "site.yaml").write_text(SITE, encoding="utf-8")
        (home / "draft.yaml").write_text(f"mapping: draft\nversion: 0.0.0\nsource: {source}\ncolumns: {{expect: {json.dumps(expect)}}}\nresources:\n"
                                         "  one: {type: Basic, key: [row, \"= concat('x')\"]}\n", encoding="utf-8")
        return reader(sample, compile(home / "draft.yaml"))


def _column(name: str, values: list[str], records: int) -> Column:
    unique = len(set(values)) == len(values) == records
    for kind, forms in (("datetime", MOMENTS), ("date", DATES)):
        for form, pattern in forms.items():
            if values and all(re.fullmatch(pattern, value) for value in values):
                return Column(name, kind, form, (), unique)
    if values and sum(not check(value) for value in values) * 10 >= len(values) * 9:
        return Column(name, "card", "", (), unique)
    counts = Counter(values)
    short = values and len(counts) <= FEW and max(map(len, counts)) <= SHORT and not any(re.search(pattern, name, re.IGNORECASE) for element, pattern in NAMED if element != "gender")
    if short and (len(values) >= 3 * len(counts) or re.search(dict(NAMED)["gender"], name, re.IGNORECASE)):
        return Column(name, "code", "", tuple(sorted(counts)))
    if values and all(re.fullmatch(r"-?(0|[1-9]\d{0,8})(\.\d+)?", value) for value in values):
        return Column(name, "number", "", (), unique)
    return Column(name, "text", "", (), unique)
