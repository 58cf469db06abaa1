"""Profiles for tests, and what they say of a resource."""
from __future__ import annotations

from app.fhir import json, profile

BASE = "http://hl7.org/fhir/StructureDefinition/"
HERE = "http://example.org/p/"


def defined(name: str, type: str, *elements: dict, base: str | None = None, **more) -> dict:
    """A StructureDefinition with a differential; an element is {id, ...}, its path made from the id."""
    said = [{"path": ".".join(part.partition(":")[0] for part in each["id"].split(".")), **each} for each in elements]
    return {"resourceType": "StructureDefinition", "url": HERE + name, "name": name, "status": "draft", "kind": "complex-type" if type == "Extension" else "resource", "abstract": False, "type": type,
            "derivation": "constraint", "baseDefinition": base or BASE + type, "differential": {"element": said}, **more}


def judged(resource: dict, *structures: dict, by: str | None = None, severities: tuple = ("error",)) -> list[tuple[str, str]]:
    """(code, place) of what the first structure (or the profile of that url) and the definitions of extensions say of a resource."""
    library = profile.Library(json.loads(json.dumps({"all": structures}))["all"], profile.known())
    found = profile.check(json.loads(json.dumps(resource)), (by or structures[0]["url"],) if by or structures[0]["type"] != "Extension" else (), library)
    return [(i.code, i.expression) for i in found if i.severity in severities]


def sliced(path: str, *discriminators: tuple[str, str], **more) -> dict:
    return {"id": path, "slicing": {"discriminator": [{"type": type, "path": at} for type, at in discriminators], "rules": "open", **more}}
