"""Compiles the profiles and extension definitions of HL7's R4 package (CC0) into app/fhir/profile/r4.json.gz. https://hl7.org/fhir/R4/profilelist.html

What a judge of instances does not read (definitions, mappings, snapshots) is left out. Run: python -m scripts.compile_profiles
"""
from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

from scripts.compile_r4 import package

TARGET = Path(__file__).parent.parent / "app" / "fhir" / "profile" / "r4.json.gz"
KEPT = ("id", "min", "max", "maxLength", "slicing", "contentReference", "isModifier")
PREFIXES = ("fixed", "pattern", "minValue", "maxValue", "_fixed", "_pattern")
MEANT_OTHERWISE = {("allergyintolerance-substanceExposureRisk", "inv-1")}
"""Rules of the package that nothing can keep: this one asks an Extension for an element `substanceExposureRisk`."""


def compiled() -> bytes:
    """The compact file's bytes; the same for the same package."""
    found = package()
    structures = sorted((s for s in found["StructureDefinition"] if s.get("derivation") == "constraint"), key=lambda s: s["url"])
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9, filename="") as out:
        out.write(json.dumps([structure(s) for s in structures], ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode())
    return buffer.getvalue()


def structure(found: dict) -> dict:
    kept = {key: found[key] for key in ("url", "version", "name", "type", "kind", "derivation", "baseDefinition", "context", "contextInvariant") if key in found}
    whole = {e["id"]: e for e in found.get("snapshot", {}).get("element", ())}
    elements = []
    for each in found["differential"]["element"]:
        elements += _closing(each, whole, elements)
        elements.append(element(each, found["id"]))
    return {**kept, "differential": {"element": elements}}


def element(found: dict, structure: str) -> dict:
    kept = {key: value for key, value in found.items() if key in KEPT or key.startswith(PREFIXES)}
    if found.get("type"):
        kept["type"] = [{key: value for key, value in type.items() if key in ("code", "profile", "targetProfile", "aggregation")} for type in found["type"]]
    if found.get("binding", {}).get("valueSet"):
        kept["binding"] = {"strength": found["binding"]["strength"], "valueSet": found["binding"]["valueSet"].split("|")[0]}
    rules = [{key: rule[key] for key in ("key", "severity", "human", "expression")} for rule in found.get("constraint", ()) if (structure, rule["key"]) not in MEANT_OTHERWISE]
    return {**kept, **({"constraint": rules} if rules else {})}


def _closing(found: dict, whole: dict, before: list[dict]) -> list[dict]:
    """What the snapshot says of a choice of which the differential names one type (`Observation.valueQuantity`): no other type may stand there."""
    if found["id"] in whole:
        return []
    choice = next((e for id, e in whole.items() if id.endswith("[x]") and "slicing" in e and re.fullmatch(re.escape(id[:-3]) + "[A-Z][A-Za-z0-9]+", found["id"])), None)
    if choice is None or any(e["id"] == choice["id"] for e in before):
        return []
    return [{"id": choice["id"], "slicing": choice["slicing"], "type": [{"code": t["code"]} for t in choice["type"]]}]


if __name__ == "__main__":
    TARGET.write_bytes(compiled())
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
