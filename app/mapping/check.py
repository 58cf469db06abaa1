"""What is wrong with a mapping, all of it: beside what compiling refuses, values of other types than R4's, required children that are missing, columns that nothing reads."""
from __future__ import annotations

from pathlib import Path

from app.fhir import definitions
from app.mapping import expression as tree
from app.mapping.compiler import TEXT, Compiler, kinds
from app.mapping.document import Map, Mistake, Text
from app.mapping.rules import CHANGES, DIRECTIVES, Part, Template
from app.mapping.shape import NUMBERS, Shape

KINDS = {"boolean": {"boolean"}, **dict.fromkeys(NUMBERS, {"integer"}), "decimal": {"integer", "decimal"}, "date": {"string", "date"},
         "dateTime": {"string", "date", "dateTime", "instant"}, "instant": {"string", "dateTime", "instant"}}
"""Primitive type of an element -> the types that an expression may give for it; any other takes text."""
QUANTITIES = {"Quantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"}


def faults(path: Path) -> list[Mistake]:
    """Every fault of a mapping in a site's folder, in the order of its lines as far as they are of one file."""
    try:
        checker = _Checker(path, path.parent)
        checker.all()
    except Mistake as mistake:
        return [mistake]
    return sorted(checker.found, key=_line)


def _line(mistake: Mistake) -> tuple[str, int]:
    file, _, line = mistake.place.rpartition(":")
    return file, int(line) if line.isdecimal() else 0


class _Checker(Compiler):
    def __init__(self, *given):
        super().__init__(*given)
        self.found: list[Mistake] = []
        self.whole = True

    def all(self) -> None:
        """Compiles what can be, one resource and one element after the other."""
        resources = self.document.get("resources", Map())
        for name, node in resources.items():
            self.attempt(lambda: self.keys.__setitem__(str(name), self.key(node)))
        for name, node in resources.items():
            self.attempt(lambda: self.template(str(name), node))
        if not self.found:
            self.attempt(self.mapping)
            self.found = list({(each.place, each.text): each for each in self.found}.values())
            self.found += [Mistake(column.place, f"no rule reads the column '{column}'; name it under columns: ignore: if it may be passed over")
                           for column in (*self.document["columns"]["expect"], *self.document["columns"].get("optional", ())) if column not in self.read]

    def attempt(self, work) -> None:
        try:
            work()
        except Mistake as mistake:
            self.found.append(mistake)

    def template(self, name: str, node: Map) -> Template:
        self.whole = node.get("write", "upsert") not in CHANGES
        made = super().template(name, node)
        self.required({name for name in node if name not in DIRECTIVES}, made.type, made.type, node.place)
        return made

    def element(self, node, about: Shape, name: Text) -> Part:
        try:
            return super().element(node, about, name)
        except Mistake as mistake:
            self.found.append(mistake)
            return Part(lambda row: None, False)

    def value(self, node, about: Shape, many: bool = False) -> Part:
        made = super().value(node, about, many)
        if isinstance(node, Text) and node.startswith("="):
            for kind in sorted(kinds(tree.expression(node[1:], node.place)) - _fitting(about)):
                self.found.append(Mistake(node.place, f"{about.path} is a {about.type}, and {node[1:].strip()} gives a {kind}"))
        elif isinstance(node, Map) and not about.primitive and not (set(node) == {"when"} and isinstance(node["when"], list)):
            self.required(node, about.type, about.path, node.place)
        return made

    def required(self, names, type: str, path: str, place: str) -> None:
        """Of a resource that a rule makes, or of an object in it, R4's required children stand there."""
        there = {name.lstrip(".") for name in names}
        missing = [name for name, element in definitions.elements(type).items() if element.min and not element.choice and name not in there]
        missing += [f"{name}[x]" for name, (least, choices) in definitions.choices(type).items() if least and not there & set(choices)]
        if missing and self.whole:
            self.found.append(Mistake(place, f"{path} needs {', '.join(missing)}"))


def _fitting(about: Shape) -> set[str]:
    if about.type in QUANTITIES:
        return {"Quantity"}
    if not about.primitive:
        return TEXT if about.type == "xhtml" or about.type.startswith("http:") else {about.type}
    return KINDS.get(about.type, TEXT)
