"""The value sets and code systems of R4's package, and a few that it names but does not hold. https://hl7.org/fhir/R4/terminologies.html

Compiled by scripts/compile_terminology.py into terminology.json.gz, a resource a line; each is read when it is asked for.
"""
from __future__ import annotations

import gzip
import math
from functools import lru_cache
from pathlib import Path

import orjson

from app.fhir.codesystem import System
from app.fhir.valueset import Terms

_FILE = Path(__file__).with_name("terminology.json.gz")


@lru_cache(1)
def _lines() -> dict[tuple[str, str], bytes]:
    """(type, url) -> the resource's JSON."""
    lines = gzip.decompress(_FILE.read_bytes()).splitlines()
    return {(type, url): lines[at] for at, (type, url) in enumerate(orjson.loads(lines[-1]))}


def value_set(canonical: str) -> dict | None:
    """A ValueSet by its canonical url; None if the package has it not, or in another version."""
    url, _, version = canonical.partition("|")
    found = _value_set(url) if ("ValueSet", url) in _lines() else None
    return found if found and version in ("", found.get("version", "")) else None


def code_system(canonical: str) -> System | None:
    """A code system by its canonical url, if the package holds all of its content."""
    url, _, version = canonical.partition("|")
    found = _code_system(url) if ("CodeSystem", url) in _lines() else None
    return found if found and version in ("", found.version) else None


@lru_cache(None)
def _value_set(url: str) -> dict:
    return orjson.loads(_lines()["ValueSet", url])


@lru_cache(None)
def _code_system(url: str) -> System:
    return System(orjson.loads(_lines()["CodeSystem", url]))


PACKAGE = Terms(value_set, code_system, math.inf)
"""What can be told without a store."""
