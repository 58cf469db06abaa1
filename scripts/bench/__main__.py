"""Measures a server of this checkout beside a bare Starlette route, in one run: `python -m scripts.bench [--seconds N] [--workers N]`;
`python -m scripts.bench import` measures an import (see scripts/bench/imports.py).

Each line is answers a second, the middle and slow answers in milliseconds, the processor time of the server for one answer in
microseconds (all its work between, also what it does behind answers), and the ratio to the bare route. Absolute figures belong to the
machine and the hour; ratios last, and processor time where others share the machine.
"""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

import uvloop

from scripts.bench import imports
from scripts.bench.load import request, run

BARE = """
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = b"x" * 1300
app = Starlette(routes=[Route("/bare", lambda request: Response(body, media_type="application/fhir+json"))])
"""


def patient(i: int) -> dict:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:oid:2.16.156.10011.1.13", "value": f"B{i:07}"}],
            "name": [{"use": "official", "family": "测", "given": [f"试{i}"], "text": f"测试{i}"}], "gender": "female" if i % 2 else "male",
            "birthDate": f"19{i % 90 + 10}-0{i % 9 + 1}-1{i % 9}", "telecom": [{"system": "phone", "value": f"1390000{i:04}"}],
            "address": [{"city": "上海", "district": "徐汇区", "line": [f"虚构路{i}号"]}]}


def observation(i: int, subject: str) -> dict:
    return {"resourceType": "Observation", "status": "final", "subject": {"reference": subject}, "effectiveDateTime": f"2026-0{i % 9 + 1}-1{i % 9}T08:30:00+08:00",
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "Vital Signs"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": ("8867-4", "8480-6", "8310-5", "2708-6")[i % 4], "display": "vital sign"}], "text": "生命体征"},
            "valueQuantity": {"value": 60 + i % 60, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}}


def bundle(i: int, entries: int) -> dict:
    url = f"urn:uuid:{uuid.uuid4()}"
    first = {"fullUrl": url, "resource": patient(i), "request": {"method": "POST", "url": "Patient"}}
    rest = [{"resource": observation(k, url), "request": {"method": "POST", "url": "Observation"}} for k in range(entries - 1)]
    return {"resourceType": "Bundle", "type": "transaction", "entry": [first, *rest]}


@contextlib.contextmanager
def server(command: list[str], port: int, path: str, environ: dict):
    process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).read()
                break
        else:
            raise SystemExit(f"{' '.join(command)} does not answer")
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def busy(pid: int) -> float:
    """Seconds of processor time that a process and its children have used; 0 where the system does not tell it so."""
    try:
        with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/task/{pid}/children") as children:
            used = stat.read().rsplit(")", 1)[1].split()
            return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK") + sum(busy(int(child)) for child in children.read().split())
    except OSError:
        return 0.0


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def post(port: int, path: str, body: dict) -> dict:
    data = json.dumps(body).encode()
    call = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/fhir+json"})
    return json.load(urllib.request.urlopen(call, timeout=120))


async def measure(name: str, pid: int, port: int, requests, args, bare: float | None, times: int = 1) -> float:
    before = busy(pid)
    result = await run(port, requests, seconds=args.seconds, connections=args.connections)
    rate = result.rate * times
    each = (busy(pid) - before) / max(1, len(result.times)) / times * 1e6
    bad = {s: n for s, n in result.statuses.items() if s >= 400}
    ratio = f"{rate / bare:6.2f}" if bare else "  1.00"
    print(f"{name:34}{rate:10,.0f} /s   p50 {result.percentile(.5) * 1e3:7.2f} ms   p99 {result.percentile(.99) * 1e3:7.2f} ms   {each:7.0f} us   {ratio}" + (f"   {bad}" if bad else ""), flush=True)
    return rate


async def main(args) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "bare.py"), "w") as f:
            f.write(BARE)
        port = free_port()
        uvicorn = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "critical", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
        with server([*uvicorn, "--app-dir", folder, "bare:app"], port, "/bare", {}) as pid:
            bare = await measure("bare Starlette route, 1.3 kB", pid, port, [request("GET", "/bare")], args, None)
        store = args.store or f"sqlite:{folder}/store.db"
        environ = {"YILIAN_STORE": store, "YILIAN_OPEN": "yes", "YILIAN_JOURNALS": os.path.join(folder, "journals")}
        port = uvicorn[4] = free_port()
        uvicorn[4] = str(port)
        with server([*uvicorn, "--factory", "app.main:create_app", "--workers", str(args.workers)], port, "/fhir/metadata", environ) as pid:
            ids = [e["response"]["location"].split("/_history")[0].split("/fhir/")[-1] for i in range(args.patients) for e in post(port, "/fhir", bundle(i, 20))["entry"][:1]]
            await measure("read, audited", pid, port, [request("GET", f"/fhir/{i}") for i in ids], args, bare)
            await measure("search by identifier", pid, port, [request("GET", f"/fhir/Patient?identifier=B{i:07}") for i in range(args.patients)], args, bare)
            await measure("search by patient (20)", pid, port, [request("GET", f"/fhir/Observation?patient={i}") for i in ids], args, bare)
            await measure("search by patient + code + date", pid, port, [request("GET", f"/fhir/Observation?patient={i}&code=8867-4&date=ge2026-03") for i in ids], args, bare)
            await measure("create", pid, port, (request("POST", "/fhir/Patient", json.dumps(patient(i)).encode()) for i in itertools.count(1_000_000)), args, bare)
            await measure("transaction of 50 (resources)", pid, port, (request("POST", "/fhir", json.dumps(bundle(i, 50)).encode()) for i in itertools.count(2_000_000)), args, bare, 50)


if __name__ == "__main__":
    if sys.argv[1:2] == ["import"]:
        imports.main(sys.argv[2:])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--store", default="", help="sqlite:PATH or mongodb://...; a temporary file by default")
    uvloop.install()
    asyncio.run(main(parser.parse_args()))
