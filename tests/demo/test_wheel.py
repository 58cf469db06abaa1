"""The wheel, installed elsewhere, brings all that it needs: definitions, profiles, mappings, the demonstration's plans."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TRY = """
import app, httpx, asyncio
from app.cli import main
from app.main import create_app, open_world
from app.mapping import compiler
from app.demo import alliance
from app.fhir import profile
from app.settings import Settings, shipped
assert app.__file__.startswith({site!r}), app.__file__
assert compiler.compile(shipped("mappings") / "jiadingtcm" / "outpatient-visit.yaml").templates and list(shipped("profiles").glob("*.json"))
assert profile.known().structure("https://yilian.example/fhir/StructureDefinition/alliance-patient") and len(profile.known().urls()) > 440
assert sum(map(len, alliance.build().values())) > 5000

async def serves():
    settings = Settings(store="sqlite:s.db", open=True)
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            made = await client.post("/fhir/Patient", json={{"resourceType": "Patient"}}, headers={{"Content-Type": "application/fhir+json"}})
            assert made.status_code == 201, made.text
            assert (await client.get("/fhir/metadata")).json()["resourceType"] == "CapabilityStatement"
asyncio.run(serves())
"""


@pytest.mark.slow
def test_the_wheel_installed_elsewhere_serves(tmp_path):
    _run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT), cwd=tmp_path)
    wheel, site = next((tmp_path / "dist").glob("yilian-*.whl")), tmp_path / "site"
    _run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel), cwd=tmp_path)
    _run("-c", TRY.format(site=str(site)), cwd=tmp_path, env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"})


def _run(*words: str, **more) -> None:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout + done.stderr
