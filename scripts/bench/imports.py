"""Measures an import on the embedded store, a server answering meanwhile: `python -m scripts.bench import [--rows N] [--stored N]`.

Rows of 24 columns, each of which makes one Observation, are imported by the command itself into a store that holds others already, with
synchronous=FULL, validation, index, access records and lineage; then the finished file is mapped once more (`--again`), where nothing changes.
Rows a second by the clock and by the processor time of the import, its largest memory, and one run in this process that tells where the time
of a row goes. Others on the machine cost clock time, and little processor time.
"""
from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.fhir import validate
from app.main import open_world
from app.mapping import chunk, compiler, feed, rules
from app.records import Records
from app.search import index, stamp
from app.settings import Settings
from app.store.sqlite.commit import Tx
from scripts.bench.load import request, run

COLUMNS = ("检验号", "病历号", "就诊号", "项目", "项目名称", "结果", "单位", "时间", "下限", "上限", "标志", "标本", "仪器", "科室", "床号",
           "医生", "审核者", "审核时间", "费用", "医保", "批次", "机构", "备注", "版本")
SITE = "site: bench\norganization: bench\nsystems: {lab: 'urn:bench:lab', mrn: 'urn:bench:mrn', item: 'urn:bench:item'}\n"
MAPPING = f"""mapping: results
version: 1.0.0
source: {{kind: csv, encoding: gb18030, zone: Asia/Shanghai}}
columns: {{expect: [{", ".join(COLUMNS)}], ignore: []}}
resources:
  result:
    type: Observation
    key: [lab, = 检验号]
    identifier: [{{system: $lab, value: = 检验号}}]
    status: final
    code: {{coding: [{{system: $item, code: = 项目, display: = 项目名称}}], text: = 项目名称}}
    subject: {{display: = 病历号, identifier: {{system: $mrn, value: = 病历号}}}}
    effectiveDateTime: = 时间 | datetime('yyyyMMddHHmmss')
    issued: = 审核时间 | instant('yyyyMMddHHmmss')
    performer: [{{display: = 医生}}]
    valueQuantity: {{value: = 结果 | number, unit: = 单位}}
    referenceRange: [{{low: {{value: = 下限 | number}}, high: {{value: = 上限 | number}}}}]
    note: [{{text: = 备注}}]
    device: {{display: = 仪器}}
    specimen: {{display: = 标本}}
"""


def export(path: Path, first: int, rows: int) -> Path:
    """A GB18030 export of invented results, numbered from `first`."""
    with open(path, "w", encoding="gb18030", newline="\r\n") as file:
        file.write(",".join(COLUMNS) + "\n")
        for n in range(first, first + rows):
            file.write(f"L{n:08},M{n // 20:07},V{n // 5:07},XM{n % 40:03},虚构项目{n % 40},{3 + n % 70}.{n % 10},mmol/L,202603{n % 28 + 1:02}0830{n % 60:02},3.5,72.0,N,血清,"
                       f"仪器{n % 7},内科{n % 9},{n % 50},医生{n % 90},医生{n % 30},202603{n % 28 + 1:02}1015{n % 60:02},{n % 300}.50,是,B{n % 1000},总院,例行检查第{n % 500}次,1\n")
    return path


class Imported(dict):
    """What one run of the command cost: seconds, processor seconds, and its largest memory in MB."""


def command(mapping: Path, path: Path, store: str, *more: str) -> Imported:
    """Runs `yilian import` in a process of its own. Errors: SystemExit where it fails."""
    began = time.perf_counter()
    words = [sys.executable, "-c", "from app.cli import main; main()", "import", str(mapping), str(path), "--store", store, "--out", str(path.parent / "report"), *more]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the import ended with {process.returncode}")
    return Imported(seconds=time.perf_counter() - began, busy=used.ru_utime + used.ru_stime, memory=used.ru_maxrss / 1024)


def tell(name: str, rows: int, cost: Imported, target: str = "") -> None:
    print(f"{name:34}{rows / cost['seconds']:10,.0f} rows/s{rows / cost['busy']:10,.0f} rows/s of processor time   {cost['memory']:5,.0f} MB   {cost['seconds']:7.1f} s   {target}", flush=True)


class Stages:
    """Seconds spent in functions by the name of their stage, without those that they call in turn."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self.inner = [0.0]

    def spent(self, stage: str, began: float) -> None:
        took = time.thread_time() - began
        self.seconds[stage] = self.seconds.get(stage, 0.0) + took - self.inner.pop()
        self.inner[-1] += took

    @contextmanager
    def within(self, stage: str):
        began = time.thread_time()
        self.inner.append(0.0)
        try:
            yield
        finally:
            self.spent(stage, began)

    def timed(self, stage: str, work: Callable) -> Callable:
        def run(*args, **named):
            with self.within(stage):
                return work(*args, **named)
        return run

    def steps(self, stage: str, work: Callable[..., Iterator]) -> Callable:
        def run(*args, **named):
            found = iter(work(*args, **named))
            while True:
                with self.within(stage):
                    one = next(found, found)
                if one is found:
                    return
                yield one
        return run

    def awaited(self, stage: str, work: Callable) -> Callable:
        """Of a coroutine that waits for nothing outside of this thread."""
        async def run(*args, **named):
            with self.within(stage):
                return await work(*args, **named)
        return run


async def stages(settings: Settings, mapping: rules.Mapping, path: Path, **more) -> dict[str, float]:
    """Seconds of this thread by stage of one run in this process."""
    watch, held = Stages(), []

    def put(owner, name: str, wrap: Callable, stage: str) -> None:
        held.append((owner, name, getattr(owner, name)))
        setattr(owner, name, wrap(stage, getattr(owner, name)))
    readers = type(feed.reader(path, mapping))
    for owner, name, wrap, stage in ((readers, "records", watch.steps, "read"), (rules.Mapping, "apply", watch.timed, "map"), (validate, "validate", watch.timed, "validate"),
                                     (index, "rows", watch.timed, "index"), (stamp, "stamp", watch.timed, "index"), (chunk, "decide", watch.timed, "merge"),
                                     (Records, "search", watch.awaited, "look up what is stored"), (Tx, "write", watch.awaited, "write rows")):
        put(owner, name, wrap, stage)
    try:
        async with open_world(settings) as world:
            feed.seldom()
            began = time.thread_time()
            await feed.run(world, mapping, path, **more)
            return {**watch.seconds, "the rest": time.thread_time() - began - sum(watch.seconds.values())}
    finally:
        for owner, name, work in held:
            setattr(owner, name, work)


@contextmanager
def reading(store: str, folder: str, connections: int):
    """A server of the store that is read from meanwhile; gives its port, or None where nobody reads."""
    from scripts.bench.__main__ import free_port, server
    if not connections:
        yield None
        return
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "critical", "--no-access-log", "--loop", "uvloop", "--factory", "app.main:create_app"]
    with server(words, port, "/fhir/metadata", {"YILIAN_STORE": store, "YILIAN_OPEN": "yes", "YILIAN_JOURNALS": os.path.join(folder, "journals")}):
        yield port


async def beside(port: int | None, work: Callable, connections: int):
    """What `work` gives, run in a thread while a light load is read: 50 searches a second at most from each connection."""
    job = asyncio.get_running_loop().run_in_executor(None, work)
    answers: list[float] = []
    while port and not job.done():
        told = await run(port, [request("GET", "/fhir/Observation?identifier=urn:bench:lab%7CL00000007")], connections=connections, seconds=0.05)
        answers += told.times
        await asyncio.sleep(max(0.0, len(told.times) / (50 * connections) - 0.05))
    answers.sort()
    if answers:
        print(f"{'':34}the server answered {len(answers):,} searches meanwhile, p50 {answers[len(answers) // 2] * 1e3:.1f} ms, p99 {answers[len(answers) * 99 // 100] * 1e3:.1f} ms")
    return await job


async def measure(args) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, store = Path(folder) / "mappings" / "bench", f"sqlite:{folder}/store.db"
        home.mkdir(parents=True)
        (home / "site.yaml").write_text(SITE, encoding="utf-8")
        mapping = home / "results.yaml"
        mapping.write_text(MAPPING, encoding="utf-8")
        if args.stored:
            tell(f"filling with {args.stored:,}", args.stored, command(mapping, export(Path(folder) / "before.csv", 50_000_000, args.stored), store))
        path = export(Path(folder) / "rows.csv", 0, args.rows)
        with reading(store, folder, args.connections) as port:
            tell(f"{args.rows:,} new rows", args.rows, await beside(port, lambda: command(mapping, path, store), args.connections), "target 4,000 at 100k, 3,000 at 1M; 300 MB")
            tell("the same, unchanged", args.rows, await beside(port, lambda: command(mapping, path, store, "--again"), args.connections), "target 15,000")
        few = min(args.rows, 20_000)
        part, compiled = export(Path(folder) / "part.csv", 90_000_000, few), compiler.compile(mapping)
        for name, more in (("new", {}), ("unchanged", {"again": True})):
            spent = await stages(Settings.read(store=store, open=True), compiled, part, **more)
            print(f"where a row goes ({name}), us: " + ", ".join(f"{stage} {seconds / few * 1e6:.0f}" for stage, seconds in spent.items()) + f"; all {sum(spent.values()) / few * 1e6:.0f}", flush=True)


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench import", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--stored", type=int, default=100_000, help="resources that the store holds before")
    parser.add_argument("--connections", type=int, default=2, help="that read from a server meanwhile; 0: no server")
    asyncio.run(measure(parser.parse_args(words)))
