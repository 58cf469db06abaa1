"""Compiles R4's value sets and code systems (CC0), and those of scripts/terminology, into app/fhir/terminology.json.gz.

A line is a resource's JSON: a CodeSystem whose content is complete, without definitions; a ValueSet with its compose. The last line
is the list of their types and urls. Run: python -m scripts.compile_terminology
"""
from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

from scripts.compile_r4 import package

TARGET = Path(__file__).parent.parent / "app" / "fhir" / "terminology.json.gz"
OURS = Path(__file__).parent / "terminology"
"""What the package names and does not hold."""


def compiled() -> bytes:
    """The compact file's bytes; the same for the same package."""
    found = package()
    ours = [json.loads(path.read_text()) for path in sorted(OURS.glob("*.json"))]
    named = {(r["resourceType"], r["url"]): r for r in [*found["CodeSystem"], *found["ValueSet"], *ours]}
    kept = {key: small for key, resource in sorted(named.items()) if (small := KEPT[key[0]](resource))}
    lines = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in [*kept.values(), list(kept)]]
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9, filename="") as out:
        out.write("\n".join(lines).encode())
    return buffer.getvalue()


def code_system(resource: dict) -> dict | None:
    if resource["content"] != "complete" or not resource.get("concept") or "example" in resource["url"].rpartition("/")[2].split("-")[:1]:
        return None
    kept = {key: resource[key] for key in ("url", "version", "caseSensitive", "hierarchyMeaning") if key in resource}
    return {**kept, "concept": [_concept(c) for c in resource["concept"]]}


def _concept(concept: dict) -> dict:
    kept = {key: concept[key] for key in ("code", "display", "property") if key in concept}
    return {**kept, "concept": [_concept(c) for c in concept["concept"]]} if concept.get("concept") else kept


def value_set(resource: dict) -> dict | None:
    """Without displays and designations; examples are no definitions."""
    if resource["url"].rpartition("/")[2].startswith("example-"):
        return None
    compose = {key: value for key, value in resource["compose"].items() if key in ("inactive", "include", "exclude")}
    for side in ("include", "exclude"):
        if side in compose:
            compose[side] = [_rule(rule) for rule in compose[side]]
    return {**{key: resource[key] for key in ("url", "version") if key in resource}, "compose": compose}


def _rule(rule: dict) -> dict:
    kept = {key: rule[key] for key in ("system", "version", "filter", "valueSet") if key in rule}
    return {**kept, "concept": [{"code": c["code"]} for c in rule["concept"]]} if rule.get("concept") else kept


KEPT = {"CodeSystem": code_system, "ValueSet": value_set}


if __name__ == "__main__":
    TARGET.write_bytes(compiled())
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
