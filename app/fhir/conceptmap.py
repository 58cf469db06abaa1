"""What a ConceptMap says of a code. https://hl7.org/fhir/R4/conceptmap.html#unmapped and https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""
from __future__ import annotations

from typing import NamedTuple

NO_MATCH = ("unmatched", "disjoint")
"""Equivalences that say that there is no translation."""
TURNED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
"""What an equivalence is when it is read from the target to the source; the others are the same both ways."""


class Asked(NamedTuple):
    """A question: value sets and target system are empty where it does not matter; `depends` are (element, CodeableConcept).

    reverse: which codes are mapped to this one; source and target then change places.
    """

    source: str = ""
    target: str = ""
    system: str = ""
    depends: tuple[tuple[str, dict], ...] = ()
    reverse: bool = False


class Match(NamedTuple):
    """`concept` is a Coding, or None where the map says that there is none; `products` are (element, Coding); `source` names the map."""

    equivalence: str
    concept: dict | None
    products: tuple[tuple[str, dict], ...]
    source: str


class Said(NamedTuple):
    """The matches, the maps to go on with (unmapped, other-map), and properties that would have to be known."""

    matches: list[Match]
    others: list[str]
    lacking: list[str]


def translate(map: dict, coding: dict, asked: Asked) -> Said:
    """What a map says of a coding that has a system and a code; groups without a system are taken for any."""
    said = Said([], [], [])
    near, far = ("target", "source") if asked.reverse else ("source", "target")
    if _is_set(map, near, asked.source) and _is_set(map, far, asked.target):
        for group in map.get("group", ()):
            if _is_of(group, near, coding) and asked.system in ("", group.get(far, asked.system)):
                (_reverse if asked.reverse else _forward)(group, coding, asked, name(map), said)
    return said


def name(map: dict) -> str:
    """The canonical of a map with its version, or its place here."""
    url, version = map.get("url"), map.get("version")
    return (f"{url}|{version}" if version else url) if url else f"ConceptMap/{map['id']}" if "id" in map else ""


def _is_set(map: dict, side: str, wanted: str) -> bool:
    """Whether a map is between the value sets that were named; a version counts where one is asked for."""
    given = map.get(f"{side}Canonical") or map.get(f"{side}Uri") or ""
    return not wanted or wanted in (given, given.partition("|")[0])


def _is_of(group: dict, side: str, coding: dict) -> bool:
    version = group.get(f"{side}Version")
    return group.get(side, coding["system"]) == coding["system"] and version in (None, coding.get("version", version))


def _forward(group: dict, coding: dict, asked: Asked, source: str, said: Said) -> None:
    elements = [element for element in group.get("element", ()) if element.get("code") == coding["code"]]
    for target in (target for element in elements for target in element.get("target", ())):
        if lacking := _lacking(target, asked):
            said.lacking.extend(lacking)
        else:
            said.matches.append(Match(target["equivalence"], _coding(group, "target", target), _products(target), source))
    if not elements and "unmapped" in group:
        _unmapped(group, coding, source, said)


def _unmapped(group: dict, coding: dict, source: str, said: Said) -> None:
    """Provided: the code itself; fixed: one code for all, of which no more is known than that it is meant to stand for them; other-map: another map."""
    rule = group["unmapped"]
    if rule["mode"] == "other-map":
        said.others.extend([rule["url"]] if "url" in rule else [])
    elif rule["mode"] == "provided":
        said.matches.append(Match("equal", _coding(group, "target", {key: coding[key] for key in ("code", "display") if key in coding}), (), source))
    else:
        said.matches.append(Match("relatedto", _coding(group, "target", rule), (), source))


def _reverse(group: dict, coding: dict, asked: Asked, source: str, said: Said) -> None:
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            if target.get("code") != coding["code"] or "code" not in element:
                continue
            if lacking := _lacking(target, asked):
                said.lacking.extend(lacking)
            else:
                said.matches.append(Match(TURNED.get(target["equivalence"], target["equivalence"]), _coding(group, "source", element), (), source))


def _coding(group: dict, side: str, concept: dict) -> dict | None:
    if "code" not in concept:
        return None
    said = {"system": group.get(side), "version": group.get(f"{side}Version"), "code": concept["code"], "display": concept.get("display")}
    return {key: value for key, value in said.items() if value is not None}


def _lacking(target: dict, asked: Asked) -> list[str]:
    """The properties on which a mapping depends, where what was given does not meet them."""
    return [need["property"] for need in target.get("dependsOn", ())
            if not any(element == need["property"] and _means(concept, need) for element, concept in asked.depends)]


def _means(concept: dict, need: dict) -> bool:
    return concept.get("text") == need["value"] or any(
        coding.get("code") == need["value"] and need.get("system") in (None, coding.get("system")) for coding in concept.get("coding", ()))


def _products(target: dict) -> tuple[tuple[str, dict], ...]:
    return tuple((each["property"], {key: value for key, value in (("system", each.get("system")), ("code", each["value"]), ("display", each.get("display"))) if value is not None})
                 for each in target.get("product", ()))
