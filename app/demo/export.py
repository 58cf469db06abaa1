"""The legacy export of the demonstration: outpatient visits as an old hospital system writes them, GB18030, with its habits and its faults.

`write(path)` writes the same bytes each time. What its columns mean stands in mappings/jiadingtcm/outpatient-visit.yaml alone; here is only
what the old system prints.
"""
from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from importlib import resources
from pathlib import Path
from random import Random
from typing import NamedTuple

import yaml

from app.demo import names

VISITS = 3000
SEED = 20260901
FIRST_DAY = date(2026, 3, 2)
REGIONS = {"310114": "上海市嘉定区", "310107": "上海市普陀区", "310105": "上海市长宁区", "320583": "江苏省昆山市", "320585": "江苏省太仓市"}


class Person(NamedTuple):
    number: str
    name: str
    sex: str
    born: date
    card: str
    nation: str
    phone: str
    address: str


def write(path: Path) -> None:
    """Writes the export, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content())
    part.replace(path)


def content() -> bytes:
    """The export's bytes: a header and VISITS rows, with the faults of `faults.yaml` put in at their rows."""
    chance, plan = Random(SEED), _plan("export.yaml")
    people = [_person(chance, step) for step in range(1100)]
    rows = [_visit(chance, plan, people, step) for step in range(VISITS)]
    header = plan["columns"]
    lines = [_line(header), *(_line([row[name] for name in header]) for row in rows)]
    for fault in plan["faults"]:
        lines[fault["row"] - 1] = _spoil(fault, dict(rows[fault["row"] - 2]), header, lines)
    return b"".join(lines)


def _plan(name: str) -> dict:
    return yaml.safe_load(resources.files("app.demo").joinpath(name).read_text(encoding="utf-8"))


def _line(values: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue().encode("gb18030")


def _person(chance: Random, step: int) -> Person:
    sex = chance.choice(("male", "female"))
    born = names.birth(chance, date(2021, 1, 1), date(1938, 1, 1))
    region = chance.choices(list(REGIONS), weights=(70, 12, 8, 6, 4))[0]
    nation, name = "汉族", names.name(chance, sex)
    if chance.random() < 0.03:
        nation, sex, name = chance.choice(names.MINORITY)
    card = names.card(chance, region, born, sex) if chance.random() < 0.9 else chance.choice(("-", "无", ""))
    phone = names.phone(chance) if chance.random() < 0.85 else chance.choice(("-", "无", ""))
    address = REGIONS[region] + names.street(chance) if chance.random() < 0.9 else "无"
    return Person(f"{8_100_000 + step * 7}", name, sex, born, card, nation, phone, address)


def _visit(chance: Random, plan: dict, people: list[Person], step: int) -> dict[str, str]:
    who = people[step] if step < len(people) else chance.choice(people)
    start = datetime.combine(FIRST_DAY + timedelta(days=step // 18), datetime.min.time()) + timedelta(hours=8, minutes=(step % 18) * 29 + chance.randrange(25))
    child = who.born > date(2012, 1, 1)
    case = chance.choice([c for c in plan["cases"] if c.get("who", "any") in ("any", who.sex, "child" if child else "adult")])
    department = "0103" if child else case["department"]
    doctor = chance.choice(plan["departments"][department]["doctors"])
    values = {
        "visit": f"MZ{start:%Y%m%d}{step % 18 + 1:04d}", "number": who.number, "name": who.name, "sex": {"male": "1", "female": "2"}[who.sex],
        "born": f"{who.born:%Y%m%d}", "card": who.card, "nation": who.nation, "phone": who.phone, "address": who.address,
        "start": f"{start:%Y-%m-%d %H:%M:%S}", "end": f"{start + timedelta(minutes=chance.randrange(12, 90)):%Y-%m-%d %H:%M:%S}",
        "class": chance.choices(("1", "4", "5", "6"), weights=(90, 4, 4, 2))[0], "department": department,
        "department_name": plan["departments"][department]["name"], "doctor": doctor["number"], "doctor_name": doctor["name"],
        "complaint": chance.choice(case["complaints"]).format(days=chance.randrange(2, 20)), "icd": case["icd"][0], "icd_name": case["icd"][1],
        "disease": case["disease"][0] if chance.random() < 0.9 else "-", "syndrome": "", "payer": chance.choice(plan["payers"]),
        "total": f"{chance.randrange(2500, 48000) / 100:.2f}",
    }
    syndrome = chance.choice(case["syndromes"])
    known = values["disease"] != "-"
    values |= {"disease_name": case["disease"][1] if known else "-", "syndrome": syndrome[0] if known else "-", "syndrome_name": syndrome[1] if known else "-"}
    return {column: values[field] for column, field in plan["fields"].items()}


def _spoil(fault: dict, row: dict[str, str], header: list[str], lines: list[bytes]) -> bytes:
    """The line that stands instead of a row; the keys of a fault are told in export.yaml."""
    if "again" in fault:
        row = dict(zip(header, next(csv.reader([lines[fault["again"] - 1].decode("gb18030")]))))
    raw = {name: text.encode("gb18030") for name, text in fault.get("raw", {}).items()}
    raw |= {name: text.encode("latin-1") for name, text in fault.get("bytes", {}).items()}
    names = header[:len(header) - fault.get("drop", 0)]
    line = _line([f"<{name}>" if name in raw else fault.get("set", {}).get(name, row[name]) for name in names])
    for name, instead in raw.items():
        line = line.replace(f"<{name}>".encode("gb18030"), instead)
    return line
