"""Compiles which elements of R4's types are SimpleQuantities into app/fhir/quantities.json, with that profile's invariants.

https://hl7.org/fhir/R4/datatypes.html#quantity. The definitions are those of scripts.compile_r4. Run: python -m scripts.compile_quantities
"""
from __future__ import annotations

import json

from scripts.compile_r4 import SD, TARGET as R4
from scripts.compile_r4 import package

TARGET = R4.with_name("quantities.json")
PROFILE = "SimpleQuantity"


def compiled() -> str:
    """{"invariants": [[key, severity, human, expression], ...], "elements": [path, ...]}"""
    structures = package()["StructureDefinition"]
    root = next(s for s in structures if s["id"] == PROFILE)["differential"]["element"][0]
    rules = [[c["key"], c["severity"], c["human"], c["expression"]] for c in root["constraint"]]
    elements = {e["path"] for s in structures if s.get("derivation") != "constraint" and s["kind"] != "logical" for e in s["snapshot"]["element"]
                for t in e.get("type", ()) if SD + PROFILE in t.get("profile", ())}
    return json.dumps({"invariants": rules, "elements": sorted(elements)}, indent=0, sort_keys=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(compiled())
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
