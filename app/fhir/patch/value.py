"""The values of a FHIRPath Patch: one value[x], a resource, or an anonymous element built of parts. http://hl7.org/fhir/R4/fhirpatch.html"""
from __future__ import annotations

from app.errors import Invalid, Unprocessable
from app.fhir import definitions
from app.fhir.definitions import Element
from app.fhir.patch.pointer import copied
from app.fhir.path import Node
from app.fhir.path.node import is_a, properties

DEEPEST = 30


def property_of(holder: Node, name: str, part: dict) -> tuple[str, Element]:
    """(JSON property, Element) for an element's name below a node, and for a choice the one that the part's type asks for."""
    known = properties(holder.type if holder.value.__class__ is dict else "Element")
    return _choose(known, holder.type, name, part)


def _choose(known: dict, kind: str, name: str, part: dict) -> tuple[str, Element]:
    plain = name.removesuffix("[x]")
    found = {key: element for key, element in known.items() if plain in (element.name, key)}
    if not found:
        raise Unprocessable(f"{kind} has no element {name!r}")
    given = _given(part)
    for key, element in found.items():
        if given == element.type or len(found) == 1 and (given is None or _fits(given, element.type)):
            return key, element
    for key, element in found.items():
        if given is not None and _fits(given, element.type):
            return key, element
    raise Unprocessable(f"{plain} takes {_types(found)}, not {given or 'parts'}")


def _types(found: dict) -> str:
    names = [element.type for element in found.values()]
    return names[0] if len(names) == 1 else f"one of {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


def _given(part: dict) -> str | None:
    """The type that a part's value[x] says; None for a resource or parts."""
    keys = {key.lstrip("_") for key in part if key.lstrip("_").startswith("value")}
    if len(keys) + ("part" in part) + ("resource" in part) != 1:
        raise Invalid(f"{part.get('name')!r} has one value")
    if not keys:
        return None
    key = keys.pop()
    element = definitions.elements("Parameters.parameter").get(key)
    if element is None:
        raise Invalid(f"{key} is no value[x]")
    return element.type


def _fits(given: str, wanted: str) -> bool:
    """Types that are written alike fit: a string where a code belongs (what it says is for validation to judge), an xhtml as string."""
    return is_a(given, wanted) or is_a(wanted, given) or wanted == "xhtml" and given == "string"


def value_of(part: dict, element: Element, key: str, depth: int = 0) -> tuple[object, object]:
    """(value, what stands beside it as `_name`) that a part has for an element."""
    if depth > DEEPEST:
        raise Unprocessable(f"parts are nested deeper than {DEEPEST}")
    given = _given(part)
    if "resource" in part:
        if element.type != "Resource" or not isinstance(part["resource"], dict):
            raise Unprocessable(f"{key} takes {element.type}, not a resource")
        return copied(part["resource"]), None
    if given is None:
        return _built(part["part"], element.type, depth), None
    if not _fits(given, element.type):
        raise Unprocessable(f"{key} takes {element.type}, not {given}")
    name = f"value{given[0].upper()}{given[1:]}"
    value, beside = part.get(name), part.get(f"_{name}")
    if value is None and beside is None or (value.__class__ is dict) != given[:1].isupper() and value is not None:
        raise Invalid(f"{name} is not a {given}")
    return copied(value), copied(beside)


def _built(parts, type: str, depth: int) -> dict:
    """An object of a type from parts named as its elements; a name may repeat where the element does."""
    if not isinstance(parts, list) or not parts or type[:1].islower():
        raise Unprocessable(f"a {type} is not built of parts")
    built: dict = {}
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise Invalid("each part has a name")
        key, element = _choose(properties(type), type, part["name"], part)
        put(built, key, element, *value_of(part, element, key, depth + 1))
    return built


def put(holder: dict, key: str, element: Element, value, beside) -> None:
    """Sets an element, or adds to it where it repeats; Unprocessable if it is there and does not repeat."""
    if element.max == 1:
        for other in properties_of_choice(element, key):
            if other in holder or f"_{other}" in holder:
                raise Unprocessable(f"{element.name} is there already and does not repeat")
        if value is not None:
            holder[key] = value
        if beside is not None:
            holder[f"_{key}"] = beside
        return
    there, extras = holder.get(key) or [], holder.get(f"_{key}")
    length = max(len(there), len(extras or ()))
    if value is not None or key in holder:
        holder[key] = [*there, *[None] * (length - len(there)), value]
    if beside is not None or extras:
        holder[f"_{key}"] = [*(extras or ()), *[None] * (length - len(extras or ())), beside]


def properties_of_choice(element: Element, key: str) -> tuple[str, ...]:
    """All JSON properties of which only one may stand: those of the choice, or the one itself."""
    if not element.choice:
        return (key,)
    return definitions.choices(element.path.rpartition(".")[0])[element.choice][1]
