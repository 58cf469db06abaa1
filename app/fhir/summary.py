"""Parts of a resource: _summary and _elements. https://hl7.org/fhir/R4/search.html#summary"""
from __future__ import annotations

from app.fhir import definitions

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED", "display": "Resource encoded in summary mode"}
KINDS = ("true", "text", "data", "count", "false")
_ALWAYS = ("resourceType", "id", "meta")


def summary(resource: dict, kind: str) -> dict:
    """The resource as `_summary=kind` wants it (true, text, data; anything else leaves it whole), tagged SUBSETTED."""
    type = resource.get("resourceType")
    if kind not in ("true", "text", "data") or not definitions.is_resource(type):
        return resource
    if kind == "data":
        kept = {key: value for key, value in resource.items() if key != "text"}
    elif kind == "text":
        kept = _only(resource, type, lambda key, element: key in ("text", *_ALWAYS) or element.min > 0)
    else:
        kept = _summary(resource, type)
    return _tagged(kept)


def elements(resource: dict, names: tuple[str, ...]) -> dict:
    """The named top-level elements and those that are mandatory. `Type.name` counts for that type alone; choices go by their base name."""
    type = resource.get("resourceType")
    if not definitions.is_resource(type):
        return resource
    wanted = {name.removeprefix(f"{type}.").partition(".")[0] for name in names}
    return _tagged(_only(resource, type, lambda key, element: key in _ALWAYS or element.min > 0 or element.modifier or element.name in wanted or key in wanted))


def is_part(resource: dict) -> bool:
    """Whether a valid resource says that it is only a part of one."""
    tags = (resource.get("meta") or {}).get("tag") or ()
    return any((tag.get("system"), tag.get("code")) == (SUBSETTED["system"], SUBSETTED["code"]) for tag in tags)


def _only(resource: dict, type: str, keep) -> dict:
    known = definitions.elements(type)
    return {key: value for key, value in resource.items() if key == "resourceType" or (element := known.get(key.lstrip("_"))) is not None and keep(key.lstrip("_"), element)}


def _summary(value: dict, type: str) -> dict:
    """Elements marked as part of the summary, or mandatory, at every depth of anonymous parts."""
    known, kept = definitions.elements(type), {}
    for key, item in value.items():
        element = known.get(key.lstrip("_"))
        if key == "resourceType" or key in _ALWAYS:
            kept[key] = item
        elif element is not None and (element.summary or element.min > 0):
            kept[key] = _deeper(item, element.type) if "." in element.type else item
    return kept


def _deeper(item, type: str):
    if isinstance(item, list):
        return [_deeper(each, type) for each in item]
    return _summary(item, type) if isinstance(item, dict) else item


def _tagged(resource: dict) -> dict:
    meta = dict(resource.get("meta") or {})
    meta["tag"] = [*(meta.get("tag") or ()), SUBSETTED]
    first = {key: resource[key] for key in ("resourceType", "id") if key in resource}
    return {**first, "meta": meta, **{key: value for key, value in resource.items() if key not in first and key != "meta"}}
