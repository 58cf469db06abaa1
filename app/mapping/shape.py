"""What R4 says of the place where a mapping's value stands: its children, whether it repeats, and the type of a constant. https://hl7.org/fhir/R4/json.html"""
from __future__ import annotations

import re
from typing import NamedTuple

from app.fhir import bindings, definitions
from app.fhir.json import Number
from app.mapping.document import Mistake

NUMBERS = {"integer": r"-?\d+", "positiveInt": r"[1-9]\d*", "unsignedInt": r"\d+", "decimal": r"-?(0|[1-9]\d*)(\.\d+)?"}


class Shape(NamedTuple):
    """A place in a resource: `type` as in definitions, `many` where a list stands, `codes` that it may hold (None: any)."""

    type: str
    path: str
    many: bool = False
    codes: frozenset[str] | None = None

    @property
    def primitive(self) -> bool:
        return definitions.kind(self.type) == "primitive-type"

    def child(self, name: str, place: str) -> "Shape":
        """The element of that name. Errors: Mistake for one that R4 does not have here."""
        known = {} if self.primitive else definitions.elements(self.type)
        if name not in known:
            wanted = definitions.choices(self.type).get(name) if not self.primitive else None
            more = f"; it is one of {', '.join(wanted[1][:6])}, ..." if wanted else ""
            raise Mistake(place, f"{self.path} has no element '{name}'{more}")
        element = known[name]
        values = bindings.required(element) if element.type == "code" else None
        return Shape(element.type, f"{self.path}.{name}", element.max != 1, values and values.codes)

    def listed(self, place: str) -> "Shape":
        """The same place for one item of its list. Errors: Mistake where R4 has no list."""
        if not self.many:
            raise Mistake(place, f"{self.path} is one value, not a list")
        return self._replace(many=False)

    def single(self, place: str) -> "Shape":
        """Itself. Errors: Mistake where R4 has a list."""
        if self.many:
            raise Mistake(place, f"{self.path} is a list; write [ ] around its value, or '- ' before it")
        return self

    def constant(self, text: str, place: str):
        """A written constant as JSON has it: a number or boolean where the type says so. Errors: Mistake."""
        if not self.primitive and self.type not in ("xhtml", "http://hl7.org/fhirpath/System.String"):
            raise Mistake(place, f"{self.path} is a {self.type}, not the text '{text}'")
        if self.type == "boolean":
            if text not in ("true", "false"):
                raise Mistake(place, f"{self.path} is true or false")
            return text == "true"
        if self.type in NUMBERS:
            if not re.fullmatch(NUMBERS[self.type], text):
                raise Mistake(place, f"{self.path} is a number")
            return Number(text) if "." in text else int(text)
        if self.codes and text not in self.codes:
            raise Mistake(place, f"'{text}' is no code of {self.path}: {', '.join(sorted(self.codes)[:12])}")
        return text


def shape(type: str, place: str) -> Shape:
    """The shape of a resource type. Errors: Mistake."""
    if not definitions.is_resource(type):
        raise Mistake(place, f"R4 has no resource type '{type}'")
    return Shape(type, type)
