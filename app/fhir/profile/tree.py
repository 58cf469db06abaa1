"""What a profile says, as a tree of elements and slices: its differential laid upon those of the profiles that it is derived from. https://hl7.org/fhir/R4/profiling.html

What the resource type itself demands is judged elsewhere (app.fhir.validate), so no snapshot is needed; where there is nothing else, one serves.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

from app.fhir import definitions
from app.fhir.path.node import fields, properties

BASE = "http://hl7.org/fhir/StructureDefinition/"
DEEPEST = 60
"""Steps of an id that are minded; no resource is nested deeper."""
DEFAULT = "@default"
"""The slice of what is in no other."""
EXTENSIONS = ("extension", "modifierExtension")
URL, TYPE = {"type": "value", "path": "url"}, {"type": "type", "path": "$this"}
"""By which extensions and choices are sliced where nothing is said."""


class Part:
    """An element of a profile, or one slice of it.

    name: the element's (`value` of a choice); label: its id in the profile; given: the type that the definition gives what stands there, '' for a choice; type: as the profile narrows it
    said: the ElementDefinitions that speak of it, of the most general profile first
    children: name -> Part; slices: name -> Part, in order
    low, high: how many there must be, None for any number; slicing: how its slices are told apart
    """

    __slots__ = ("name", "label", "given", "type", "said", "children", "slices", "low", "high", "slicing", "plan", "picks")

    def __init__(self, name: str, label: str, type: str):
        self.name, self.label, self.given, self.type = name, label, type, type
        self.said: list[dict] = []
        self.children: dict[str, Part] = {}
        self.slices: dict[str, Part] = {}
        self.low, self.high, self.slicing = 0, None, {}
        self.plan = self.picks = None

    def types(self) -> list[dict]:
        """The types that the most special of its definitions allows, [] where none speaks of them."""
        return next((each["type"] for each in reversed(self.said) if each.get("type")), [])

    def find(self, id: str) -> "Part":
        """The part below this one that an id's segments name (`identifier:mrn`, `value[x]`, `valueQuantity`, `identifier:a/b`)."""
        name, _, slice = id.partition(":")
        bare = name.removesuffix("[x]")
        element = properties(self.type).get(bare)
        if element is not None and element.choice:
            bare, slice, name = element.choice, slice or bare, f"{element.choice}[x]"
        found = self.children.get(bare)
        if found is None:
            kinds = fields(self.type, bare)
            found = self.children[bare] = Part(bare, f"{self.label}.{name}", next(iter(kinds.values())) if len(kinds) == 1 else "")
            found.slicing = {"discriminator": [URL] if bare in EXTENSIONS else [TYPE] if name != bare else [], "rules": "open"}
        steps = slice.split("/") if slice else []
        for depth, step in enumerate(steps):
            if step not in found.slices:
                found.slices[step] = Part(bare, f"{self.label}.{name}:{'/'.join(steps[:depth + 1])}", fields(self.type, bare).get(step) or found.type)
                found.slices[step].slicing = {"discriminator": [], "rules": "open"}
            found = found.slices[step]
        return found

    def say(self, said: dict) -> None:
        self.said.append(said)
        self.low = max(self.low, said.get("min", 0))
        if said.get("max", "*").isdecimal():
            self.high = min(int(said["max"]), self.high if self.high is not None else int(said["max"]))
        self.slicing |= said.get("slicing", {})
        codes = [type.get("code", "") for type in said.get("type", ())]
        if len(codes) == 1 and self.type in ("", "Resource", "DomainResource") and definitions.kind(codes[0]):
            self.type = codes[0]


def build(line: list[dict]) -> Part:
    """The tree of a StructureDefinition; `line` holds it and those that it is derived from."""
    root = Part("", line[0]["type"], line[0]["type"])
    for each in reversed(line):
        for said in _elements(each):
            part, id = root, said.get("id", "")
            if id.count(".") + id.count("/") <= DEEPEST:
                for step in id.split(".")[1:]:
                    part = part.find(step)
                part.say(said)
    for part in list(_all(root)):
        for name, child in part.children.items():
            _spare(child, *_usual(part.type, name))
    _refer(root)
    return root


def _usual(type: str, name: str) -> tuple[int, int]:
    """(min, max) that the type itself gives an element; -1 for any number."""
    element = next((each for each in properties(type).values() if each.name == name), None)
    if element is None:
        return 0, -1
    return definitions.choices(type)[name][0] if element.choice else element.min, element.max


def _spare(part: Part, low: int, high: int) -> None:
    """What the type demands anyway is not asked again."""
    part.low = part.low if part.low > low else 0
    part.high = None if part.high is not None and -1 < high <= part.high else part.high


def lineage(structure: dict, known: Callable[[str], dict | None]) -> tuple[list[dict], str]:
    """A profile and those that it is derived from, up to R4's own type or one that says all in a snapshot; and the url of one that is not known."""
    line = [structure]
    while "differential" in line[-1]:
        base = line[-1].get("baseDefinition", "")
        found = known(base)
        if found is None or any(found is each for each in line):
            if definitions.kind(base.removeprefix(BASE)):
                return line, ""
            if "snapshot" not in line[-1]:
                return line, base
            line[-1] = {key: value for key, value in line[-1].items() if key != "differential"}
            return line, ""
        line.append(found)
    return line, ""


def _elements(structure: dict) -> list[dict]:
    """The elements of the differential, else of the snapshot, there without the invariants of R4's types, which are judged with these."""
    if "differential" in structure:
        return structure["differential"].get("element", [])
    listed = structure.get("snapshot", {}).get("element", [])
    return [{**each, "constraint": [rule for rule in each["constraint"] if not definitions.kind(rule.get("source", "").removeprefix(BASE))]} if "constraint" in each else each for each in listed]


def _refer(root: Part) -> None:
    """What stands somewhere because another place of the type's definition says so (Questionnaire.item.item) is held to what is said of that place."""
    for path, there in _references(root.type):
        if _at(root, there) is not None:
            part = root
            for name in path.split(".")[1:]:
                part = part.find(name)
    for part in list(_all(root)):
        for name, element in properties(part.type).items():
            there = _at(root, element.type) if "." in element.type and element.type != f"{part.type}.{element.name}" else None
            if there is not None and name not in part.children:
                part.children[name] = here = Part(name, there.label, element.type)
                here.said = [{key: value for key, value in said.items() if key not in ("min", "max", "slicing")} for said in there.said]
                here.children = there.children


def _references(type: str) -> Iterator[tuple[str, str]]:
    """(place, the place that speaks for an element of it) of a resource type."""
    for name, element in properties(type).items():
        if element.type == f"{type}.{name}":
            yield from _references(element.type)
        elif "." in element.type:
            yield type, element.type


def _all(part: Part) -> Iterator[Part]:
    yield part
    for below in [*part.children.values(), *part.slices.values()]:
        yield from _all(below)


def _at(root: Part, path: str) -> Part | None:
    part = root
    for name in path.split(".")[1:]:
        part = part.children.get(name) if part is not None else None
    return part
