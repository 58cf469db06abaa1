"""A mapping drafted from a sample of an export. What it says of encoding, types and codes is guessed, and said to be; no value of a record is in it but those of code columns."""
from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from app.mapping.chinese import check
from app.mapping.identity import Ids
from app.mapping.readers import reader
from app.mapping.rules import compile
from app.mapping.tables import COLUMNS

KINDS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".dbf": "dbf", ".xlsx": "excel", ".xls": "excel"}
ENCODED = ("csv", "dbf")
SAMPLE = 2_000
"""Records that are looked at."""
FEW, SHORT = 20, 8
"""Different values that a code column has at most, and how long they are."""
MOMENTS = {"yyyy-MM-dd HH:mm:ss": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "yyyy-MM-dd HH:mm": r"\d{4}-\d\d-\d\d \d\d:\d\d", "yyyyMMddHHmmss": r"(19|20)\d{12}",
           "yyyy/M/d H:mm:ss": r"\d{4}/\d\d?/\d\d? \d\d?:\d\d:\d\d", "yyyy/M/d H:mm": r"\d{4}/\d\d?/\d\d? \d\d?:\d\d"}
DATES = {"yyyy-MM-dd": r"\d{4}-\d\d-\d\d", "yyyyMMdd": r"(19|20)\d\d[01]\d[0-3]\d", "yyyy/M/d": r"\d{4}/\d\d?/\d\d?"}
NAMED = (("name", r"姓名|患者姓名|病人姓名|^name$|patient.?name"), ("gender", r"性别|^sex$|gender"), ("birthDate", r"出生|birth"), ("telecom", r"电话|手机|phone|mobile"),
         ("address", r"住址|地址|address"), ("key", r"患者编号|病案号|患者号|病人|patient.?(id|no)|mrn|病历号"))
"""Element of a Patient, and what a column for it is called."""


class Column(NamedTuple):
    """A column: `kind` is text, code, date, datetime, number or card; `form` of a date; `codes` of a code column."""
    name: str
    kind: str
    form: str = ""
    codes: tuple[str, ...] = ()


def drafted(sample: Path, site: str, name: str, folder: Path) -> dict[str, str]:
    """File (below the site's folder) -> its text: the mapping, a table for each code column that it reads, and site.yaml where `folder` has none.

    Errors: ValueError for a kind of file that it does not know, or that has no columns or records; Reject for one that cannot be read.
    """
    kind = KINDS.get(sample.suffix.lower())
    if not kind:
        raise ValueError(f"{sample.name}: a mapping is drafted from {', '.join(sorted(KINDS))}; write one for other files by hand.")
    encoding = guessed(sample) if kind in ENCODED else ""
    source = f"{{kind: {kind}{encoding and f', encoding: {encoding}'}{_delimiter(sample, encoding) if kind == 'csv' else ''}, null: ['-', 无], zone: Asia/Shanghai}}"
    columns = _columns(sample, source)
    mine = {} if (folder / "site.yaml").is_file() else {"site.yaml": _site(site)}
    text, tables = _mapping(sample, site, name, source, bool(encoding), columns)
    return {f"{name}.yaml": text, **tables, **mine}


def guessed(sample: Path) -> str:
    """By its mark, else UTF-8 where all is, else GB18030 where all is. Errors: ValueError."""
    with open(sample, "rb") as file:
        raw = file.read(1 << 22)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    for encoding in ("utf-8", "gb18030"):
        try:
            raw[:raw.rfind(b"\n") + 1 or None].decode(encoding)
            return encoding
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{sample.name} is neither UTF-8 nor GB18030 throughout; say under source: what it is.")


def _delimiter(sample: Path, encoding: str) -> str:
    with open(sample, encoding=encoding, errors="replace") as file:
        head = file.readline()
    mark = max("\t,;|", key=head.count)
    return "" if mark == "," or mark not in head else f", delimiter: {'tab' if mark == chr(9) else repr(mark)}"


def _columns(sample: Path, source: str) -> list[Column]:
    """The columns of the sample with what their values look like, by a mapping that expects none."""
    with TemporaryDirectory(prefix="yilian-") as folder:
        home = Path(folder) / "draft"
        home.mkdir()
        (home / "site.yaml").write_text(_site("draft"), encoding="utf-8")
        (home / "draft.yaml").write_text(f"mapping: draft\nversion: 0.0.0\nsource: {source}\ncolumns: {{expect: []}}\nresources:\n  one: {{type: Basic, key: [row, \"= concat('x')\"]}}\n",
                                         encoding="utf-8")
        read = reader(sample, compile(home / "draft.yaml"))
        values: list[list[str]] = [[] for _ in read.new]
        for number, record in enumerate(read.records()):
            if number == SAMPLE:
                break
            for column, value in zip(values, record.values or ()):
                if value is not None:
                    column.append(value)
    if not any(values):
        raise ValueError(f"{sample.name} has no records to draft a mapping from.")
    return [_column(name, found) for name, found in zip(read.new, values) if name]


def _column(name: str, values: list[str]) -> Column:
    for kind, forms in (("datetime", MOMENTS), ("date", DATES)):
        for form, pattern in forms.items():
            if values and all(re.fullmatch(pattern, value) for value in values):
                return Column(name, kind, form)
    if values and sum(not check(value) for value in values) * 10 >= len(values) * 9:
        return Column(name, "card")
    counts = Counter(values)
    short = values and len(counts) <= FEW and max(map(len, counts)) <= SHORT and not any(re.search(pattern, name, re.IGNORECASE) for element, pattern in NAMED if element != "gender")
    if short and (len(values) >= 3 * len(counts) or re.search(dict(NAMED)["gender"], name, re.IGNORECASE)):
        return Column(name, "code", "", tuple(sorted(counts)))
    if values and all(re.fullmatch(r"-?(0|[1-9]\d{0,8})(\.\d+)?", value) for value in values):
        return Column(name, "number")
    return Column(name, "text")


def _mapping(sample: Path, site: str, name: str, source: str, guess: bool, columns: list[Column]) -> tuple[str, dict[str, str]]:
    """The text of the mapping, and its tables."""
    found = {element: next((c for c in columns if re.search(pattern, c.name, re.IGNORECASE)), None) for element, pattern in NAMED}
    key = found["key"] or columns[0]
    lines, used, tables = [], [key], {}
    for element, line in (("name", "name: [{{text: {}}}]"), ("gender", "gender: {}"), ("birthDate", "birthDate: {}"), ("telecom", "telecom: [{{system: phone, value: {}}}]"), ("address", "address: [{{text: {}}}]")):
        column = found[element]
        if column is None or column in used or element == "birthDate" and column.kind not in ("date", "datetime"):
            continue
        rule = _path(column.name)
        if element == "gender":
            tables[f"tables/{name}-sex.csv"] = _table(f"https://yilian.example/fhir/CodeSystem/{site}-sex", column.codes, "http://hl7.org/fhir/administrative-gender")
            rule += f" | code({name}-sex)"
        if element == "birthDate":
            rule += f" | date('{column.form}')"
        lines.append("    " + line.format(json.dumps("= " + rule, ensure_ascii=False)))
        used.append(column)
    cards = [c for c in columns if c.kind == "card" and c not in used]
    identifiers = [f"{{system: $mrn, value: {json.dumps('= ' + _path(key.name), ensure_ascii=False)}}}",
                   *(f"{{system: 'urn:oid:2.16.156.10011.1.3', value: {json.dumps('= ' + _path(c.name) + ' | check_idcard', ensure_ascii=False)}}}" for c in cards[:1])]
    used += cards[:1]
    rest = [c for c in columns if c not in used]
    return "\n".join([
        f"# Drafted from a sample ({sample.suffix.lower()}). What stands here is guessed; read every line before data comes in.",
        f"mapping: {name}", "version: 0.1.0",
        f"source: {source}" + ("   # the encoding is a guess: ask who made the export" if guess else ""),
        "columns:", f"  expect: [{', '.join(_name(c.name) for c in used)}]",
        f"  ignore: [{', '.join(_name(c.name) for c in rest)}]   # nothing reads these yet: move to expect: what a rule reads",
        "resources:", "  patient:", "    type: Patient",
        f"    key: [mrn, {json.dumps('= ' + _path(key.name), ensure_ascii=False)}]   # what identifies a patient: check that it is unique and stays",
        f"    identifier: [{', '.join(identifiers)}]", *lines,
        *(f"# {c.name}: {_told(c)}" for c in rest), ""]), tables


def _told(column: Column) -> str:
    """What a column that no rule reads yet looks like, and how a rule would read it."""
    rule = _path(column.name)
    if column.kind in ("date", "datetime"):
        return f"= {rule} | {column.kind}('{column.form}')"
    if column.kind == "code":
        return f"{len(column.codes)} codes ({', '.join(column.codes)}): = {rule} | coding(TABLE)"
    return {"number": f"= {rule} | number", "card": f"= {rule} | check_idcard"}.get(column.kind, f"= {rule}")


def _table(system: str, codes: tuple[str, ...], target: str) -> str:
    """A code table to fill in: its targets are empty."""
    return "\n".join([",".join(COLUMNS), *(f"{system},{code},,,,,unmatched,,," for code in codes if not set(code) & set(',"\n')), ""])


def _path(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f'"{name}"'


def _name(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _site(site: str) -> str:
    return f"site: {site}\norganization: {site}\nprefix: {site}-\nsystems:\n  mrn: https://yilian.example/fhir/sid/{site}/mrn\n"
