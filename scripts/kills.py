"""Kills imports at random moments and holds what is left beside an uninterrupted one: `python -m scripts.kills [--kills 200] [--store URL]`.

Each run of the command is killed (SIGKILL) again and again until one comes to its end; then the resources of its store and its reports must
equal those of a run that nobody disturbed. MongoDB needs transactions for that: a store without them keeps half of a killed commit.
"""
from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from app.caller import Caller
from app.main import open_world
from app.records import Records
from app.settings import Settings

SITE = "site: k\norganization: k\nsystems: {order: 'urn:k:order'}\n"
MAPPING = """mapping: orders
version: 1.0.0
source: {kind: csv, encoding: gb18030, zone: Asia/Shanghai}
columns: {expect: [号, 名, 时, 类, 前], ignore: []}
resources:
  order:
    type: ServiceRequest
    key: [order, = 号]
    identifier: [{system: $order, value: = 号}]
    status: active
    intent: order
    priority: = 类 | code(kind)
    subject: {display: = 名 | required}
    authoredOn: = 时 | date('yyyyMMdd')
    replaces: ["= ref(order, 前)"]
"""
TABLE = """source_system,source_code,source_display,target_system,target_code,target_display,equivalence,comment,valid_from,valid_to
urn:k:kind,1,平,http://hl7.org/fhir/request-priority,routine,Routine,equivalent,,,
urn:k:kind,2,急,http://hl7.org/fhir/request-priority,urgent,Urgent,equivalent,,,
"""
CHUNK = 48
"""Changes of a commit: a run has many moments between two."""
TIMED = ("seconds", "resumed", "already", "task")
ID = re.compile(rb"k-[a-z2-7]{32}(?=/)")
"""A Task in a reference to a reject; ids are each store's own."""


def prepare(folder: Path, rows: int) -> tuple[Path, Path]:
    """A mapping and an export with rejects, unmapped codes, repeated rows, and references to later rows and to none."""
    home = folder / "mappings" / "k"
    (home / "tables").mkdir(parents=True)
    (home / "site.yaml").write_text(SITE, encoding="utf-8")
    (home / "orders.yaml").write_text(MAPPING, encoding="utf-8")
    (home / "tables" / "kind.csv").write_text(TABLE, encoding="utf-8")
    lines = ["号,名,时,类,前"]
    for n in range(rows):
        before = n + 200 if n % 50 == 7 else "X" if n % 300 == 11 else ""
        lines.append(f"{n - 1 if n % 90 == 5 else n},{'' if n % 70 == 3 else f'病人{n}'},{'20261301' if n % 110 == 9 else '20260101'},{'9' if n % 130 == 4 else n % 2 + 1},{before}")
    path = folder / "orders.csv"
    path.write_bytes("\r\n".join([*lines, ""]).encode("gb18030"))
    return home / "orders.yaml", path


def start(mapping: Path, path: Path, store: str, out: Path) -> subprocess.Popen:
    words = [sys.executable, "-c", "from app.mapping import ahead; ahead.LEAST = 0; from app.cli import main; main()", "import", str(mapping), str(path), "--store", store, "--out", str(out)]
    return subprocess.Popen(words, env={**os.environ, "YILIAN_BUNDLE_LIMIT": str(CHUNK)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent.parent)


def kill(mapping: Path, path: Path, store: str, out: Path, longest: float) -> int:
    """Runs until one run ends by itself; each other is killed within `longest` seconds. Gives how many were killed."""
    killed = 0
    while True:
        if (out / "summary.json").exists() and not _summary(out)["already"]:  # of a run that may have been killed after its end
            shutil.copytree(out, _before(out), dirs_exist_ok=True)
        process = start(mapping, path, store, out)
        try:
            code = process.wait(random.uniform(0.3, longest))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed, longest = killed + 1, longest * 1.02  # so that it ends even where little is done in a life
            continue
        if code not in (0, 1):
            raise SystemExit(f"a run after {killed} kills ended with {code}")
        return killed


def _summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


def _before(out: Path) -> Path:
    return out.with_suffix(".before")


async def kept(store: str) -> list:
    """Every resource that the import wrote, without ids, which are each store's own."""
    found = []
    async with open_world(Settings.read(store=store, open=True)) as world:
        records = Records(world, Caller("operator", "kills", purpose="HSYSADMIN", operator=True))
        for type in ("ServiceRequest", "ConceptMap"):
            page = await records.search((type,), [("_count", "1000")])
            while True:
                found += [_plain(json.loads(entry.text)) for entry in page.entries]
                if not page.next:
                    break
                page = await records.search((type,), [], cursor=page.next)
    return sorted(json.dumps(one, sort_keys=True) for one in found)


def _plain(resource: dict) -> dict:
    source = resource["meta"].get("source", "").split("/")
    rest = {name: value for name, value in resource.items() if name not in ("id", "meta", "replaces")}
    return {**rest, "version": resource["meta"]["versionId"], "row": source[2:3], "replaces": len(resource.get("replaces", ()))}


def reports(out: Path) -> dict:
    """The files of the run's report, without ids; those that it had written before, where its last call found it done."""
    summary = _summary(out)
    if summary["already"]:
        return reports(_before(out))
    return {"summary": {name: value for name, value in summary.items() if name not in TIMED}, **{path.name: ID.sub(b"", path.read_bytes()) for path in out.iterdir() if not path.name.startswith("summary.json")}}


def another(store: str, folder: Path) -> str:
    """A fresh store of the same kind."""
    if store.startswith("mongodb"):
        return urlsplit(store)._replace(path=f"/yilian_test_{uuid.uuid4().hex[:12]}").geturl()
    return f"sqlite:{folder}/{uuid.uuid4().hex}.db"


def compare(store: str, kills: int, rows: int) -> int:
    """Kills until so many are done; returns how many. Errors: AssertionError says what differs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mapping, path = prepare(folder, rows)
        right, began = another(store, folder), time.monotonic()
        assert start(mapping, path, right, folder / "right").wait() == 1
        took, done, expected = time.monotonic() - began, 0, (asyncio.run(kept(right)), reports(folder / "right"))
        while done < kills:
            tried, out = another(store, folder), folder / uuid.uuid4().hex
            done += kill(mapping, path, tried, out, took * 1.05)
            found = asyncio.run(kept(tried)), reports(out)
            assert found[0] == expected[0], f"after {done} kills the stores differ: {len(found[0])} resources, not {len(expected[0])}"
            assert found[1] == expected[1], f"after {done} kills the reports differ: {found[1]['summary']}, not {expected[1]['summary']}"
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--store", default="sqlite:", help="mongodb://HOST: each run in a database of its own; embedded stores by default")
    args = parser.parse_args()
    print(f"{compare(args.store, args.kills, args.rows)} kills: stores and reports as without")


if __name__ == "__main__":
    main()
