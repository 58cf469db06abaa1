"""A mapping drafted from a sample of an export. What it says of encoding, types and codes is guessed, and said to be; no value of a record is in it but those of code columns."""
from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from app.fhir import definitions
from app.mapping import sample as samples
from app.mapping.document import load
from app.mapping.outline import Outline, path
from app.mapping.rules import DIRECTIVES
from app.mapping.sample import NAMED, Column
from app.mapping.tables import COLUMNS

LINES = (("name", "name: [{{text: {}}}]"), ("gender", "gender: {}"), ("birthDate", "birthDate: {}"), ("telecom", "telecom: [{{system: phone, value: {}}}]"), ("address", "address: [{{text: {}}}]"))
"""Element of a Patient, and the line that makes it."""
MRN = "https://yilian.example/fhir/sid/{}/mrn"


def drafted(sample: Path, site: str, name: str, folder: Path, type: str = "Patient") -> dict[str, str]:
    """File (below the site's folder) -> its text: the mapping, a table for each code column that it reads, and site.yaml where `folder` has none.

    type: of the resource that a record makes. Errors: ValueError for a kind of file or a type that it does not know, or a file that has no columns or records;
    Reject for one that cannot be read; Mistake for a site.yaml that cannot.
    """
    if not definitions.is_resource(type):
        raise ValueError(f"R4 has no resource type '{type}'; --type is one such as Patient, Encounter, Observation.")
    source, guess = samples.source(sample)
    columns = samples.columns(sample, source)
    known = [c for c in columns if '"' not in c.name]
    if not known:
        raise ValueError(f"{sample.name}: no column has a name that a rule could read.")
    mine = {} if (folder / "site.yaml").is_file() else {"site.yaml": f"site: {site}\norganization: {site}\nprefix: {site}-\nsystems:\n  mrn: {MRN.format(site)}\n"}
    mrn = "$mrn" if mine or "mrn" in load(folder / "site.yaml").get("systems", {}) else f"'{MRN.format(site)}'"
    tables: dict[str, str] = {}
    if type == "Patient":
        used, key, lines, tables = _patient(site, name, known, mrn)
    else:
        outline = Outline(type, known, f"https://yilian.example/fhir/sid/{site}/{name}", mrn)
        used, key, lines = outline.used, outline.key, [f"{'.' if element in DIRECTIVES else ''}{element}: {_quoted(rule)}" for element, rule in outline.rules.items()]
    resource = type[0].lower() + type[1:]
    rest = [c for c in columns if c not in used]
    text = "\n".join([
        f"# Drafted from a sample ({sample.suffix.lower()}). What stands here is guessed; read every line before data comes in.",
        f"mapping: {name}", "version: 0.1.0",
        f"source: {source}" + (f"   # {guess}" if guess else ""),
        "columns:", f"  expect: [{', '.join(_quoted(c.name) for c in used)}]",
        f"  ignore: [{', '.join(_quoted(c.name) for c in rest)}]   # nothing reads these yet: move to expect: what a rule reads",
        "resources:", f"  {resource}:", f"    type: {type}",
        f"    key: [{'mrn' if type == 'Patient' else resource}, {_rule(key)}]   # what identifies it: check that it is unique and stays",
        *(f"    {line}" for line in lines),
        *(f"# {_line(c.name)}: {_told(c)}" for c in rest), ""])
    return {f"{name}.yaml": text, **tables, **mine}


def _patient(site: str, name: str, columns: list[Column], mrn: str) -> tuple[list[Column], Column, list[str], dict[str, str]]:
    """The columns that it reads, that of its key, the lines of its elements, and its tables."""
    found = {element: next((c for c in columns if re.search(pattern, c.name, re.IGNORECASE)), None) for element, pattern in NAMED}
    key = found["key"] or columns[0]
    lines, used, tables = [], [key], {}
    for element, line in LINES:
        column = found[element]
        if column is None or column in used or element == "birthDate" and column.kind not in ("date", "datetime"):
            continue
        more = {"gender": f" | code({name}-sex)", "birthDate": f" | date('{column.form}')"}.get(element, "")
        if element == "gender":
            tables[f"tables/{name}-sex.csv"] = _table(f"https://yilian.example/fhir/CodeSystem/{site}-sex", column.codes)
        lines.append(line.format(_rule(column, more)))
        used.append(column)
    cards = [c for c in columns if c.kind == "card" and c not in used][:1]
    identifiers = [f"{{system: {mrn}, value: {_rule(key)}}}", *(f"{{system: 'urn:oid:2.16.156.10011.1.3', value: {_rule(c, ' | check_idcard')}}}" for c in cards)]
    return used + cards, key, [f"identifier: [{', '.join(identifiers)}]", *lines], tables


def _told(column: Column) -> str:
    """What a column that no rule reads yet looks like, and how a rule would read it."""
    rule = _line(path(column.name))
    if '"' in column.name:
        return "no rule can read a name with a quote in it; say under columns: names: what the rules call it"
    if column.kind in ("date", "datetime"):
        return f"= {rule} | {column.kind}('{column.form}')"
    if column.kind == "code":
        return f"{len(column.codes)} codes ({_line(', '.join(column.codes))}): = {rule} | coding(TABLE)"
    return {"number": f"= {rule} | number", "card": f"= {rule} | check_idcard"}.get(column.kind, f"= {rule}")


def _table(system: str, codes: tuple[str, ...]) -> str:
    """A code table to fill in: its targets are empty."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *((system, code, "", "", "", "", "unmatched", "", "", "") for code in codes)])
    return out.getvalue()


def _rule(column: Column, more: str = "") -> str:
    return _quoted(f"= {path(column.name)}{more}")


def _quoted(value) -> str:
    """A text, list or map as YAML has it on one line."""
    return json.dumps(value, ensure_ascii=False)


def _line(text: str) -> str:
    """A text on one line, as a comment needs it."""
    return " ".join(text.split())
