"""Small mappings and exports for tests."""
from __future__ import annotations

from pathlib import Path

from app.mapping import compiler, rules
from app.mapping.cases import SECRET
from app.mapping.identity import Ids

SITE = "site: h\norganization: h\nsystems: {mrn: 'urn:h:mrn', idcard: 'urn:oid:2.16.156.10011.1.3'}\n"
HEAD = """mapping: people
version: 1.0.0
source: {kind: csv, encoding: gb18030, null: ["-", 无], zone: Asia/Shanghai}
columns: {expect: [号, 名, 值], ignore: [备注]}
resources:
"""
PATIENT = """  patient:
    type: Patient
    key: [mrn, = 号]
    identifier: [{system: $mrn, value: = 号}]
    name: [{text: = 名 | required}]
    birthDate: = 值 | date('yyyyMMdd')
"""


def write(folder: Path, resources: str = PATIENT, head: str = HEAD, tables: dict[str, str] | None = None) -> Path:
    """Writes a hospital's folder; gives the mapping's path."""
    home = folder / "mappings" / "h"
    (home / "tables").mkdir(parents=True, exist_ok=True)
    (home / "site.yaml").write_text(SITE, encoding="utf-8")
    for name, text in (tables or {}).items():
        (home / "tables" / f"{name}.csv").write_text(text, encoding="utf-8")
    path = home / "people.yaml"
    path.write_text(head + resources, encoding="utf-8")
    return path


def compiled(folder: Path, resources: str = PATIENT, **more) -> rules.Mapping:
    return compiler.compile(write(folder, resources, **more))


def row(*values: str | None) -> rules.Row:
    return rules.Row(list(values), Ids(SECRET, "h-"))


def export(path: Path, *lines: str, header: str = "号,名,值,备注") -> Path:
    """A GB18030 export; a line may hold characters of Latin-1 between \\x80 and \\xff as raw bytes when it is bytes already."""
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode("gb18030")) + b"\r\n" for line in (header, *lines)))
    return path
