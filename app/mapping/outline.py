"""The outline of a resource of any type over the columns of a sample: what R4 requires of it, its identifier, whom it is about, when and how much. Guessed, and valid by `check`."""
from __future__ import annotations

import re

from app.fhir import bindings, definitions
from app.mapping.sample import NAMED, Column
from app.mapping.shape import NUMBERS

CODES = ("unknown", "final", "completed", "active", "order")
"""Codes that a draft takes where it may; else the first of the value set."""
DATED = ("effectiveDateTime", "authoredOn", "recordedDate", "performedDateTime", "occurrenceDateTime", "issued", "started", "date", "created", "period")
"""Elements that tell when, the first that a type has."""
TEXTS = ("string", "markdown", "uri", "url", "canonical", "id", "oid", "uuid", "xhtml")
WITHIN = {"CodeableConcept": "text", "Coding": "code", "Identifier": "value", "Annotation": "text", "Attachment": "title", "HumanName": "text", "Address": "text"}
"""Type -> its child that takes a text."""


def path(name: str) -> str:
    """A column's name as an expression has it."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f'"{name}"'


class Outline:
    """`used` are the columns that its rules read. columns: those that a rule can name. mrn: the system of the patients' numbers."""

    def __init__(self, type: str, columns: list[Column], system: str, mrn: str):
        self.type, self.columns, self.mrn = type, columns, mrn
        self.person = next((c for c in columns if re.search(dict(NAMED)["key"], c.name, re.IGNORECASE)), None)
        self.key = next((c for c in columns if c.unique and c is not self.person and c.kind in ("text", "number")), columns[0])
        self.used = [self.key]
        self.elements = definitions.elements(type)
        self.rules = {"identifier": self.many("identifier", {"system": system, "value": f"= {path(self.key.name)}"})} if "identifier" in self.elements else {}
        self.rules |= {name: rule for name, rule in self.required(type).items() if name not in self.rules}
        self.more()

    def more(self) -> None:
        """What is not required, and seldom missing."""
        about = next((name for name in ("subject", "patient") if name in self.elements and "Patient" in self.elements[name].targets and name not in self.rules), None)
        if about and self.person:
            self.rules[about] = self.many(about, self.reference("Patient"))
        when = next((name for name in DATED if name in self.elements), None)
        column = self.free("datetime") or self.free("date")
        if when and column and when not in self.rules and self.elements[when].type in ("dateTime", "date", "instant", "Period"):
            self.rules[when] = self.many(when, self.one(self.elements[when]))
        if "valueQuantity" in self.elements and (column := self.free("number")):
            self.rules["valueQuantity"] = f"= {self.read(column)} | quantity('1')"

    def many(self, name: str, rule):
        return rule if self.elements[name].max == 1 else [rule]

    def free(self, *kinds: str) -> Column | None:
        return next((c for c in self.columns if c.kind in kinds and c not in self.used and c is not self.person), None)

    def read(self, column: Column | None) -> str:
        """The path of a column, the key's where there is none."""
        column = column or self.key
        self.used += [column] if column not in self.used else []
        return path(column.name)

    def required(self, type: str) -> dict:
        """The children that R4 requires of a type. Errors: ValueError for what cannot be drafted."""
        made = {}
        for name, element in definitions.elements(type).items():
            if element.min and not element.choice:
                rule = self.one(element)
                made[name] = rule if element.max == 1 else [rule]
        for least, names in definitions.choices(type).values():
            if least:
                name = next((one for suffix in ("String", "CodeableConcept", "DateTime", "Reference") for one in names if one.endswith(suffix)), names[0])
                made[name] = self.one(definitions.elements(type)[name])
        return made

    def one(self, element):
        """One value of an element."""
        type = element.type
        if type == "code":
            codes = sorted(getattr(bindings.required(element), "codes", None) or ())
            return next((code for code in CODES if code in codes), codes[0]) if codes else f"= {self.read(self.free('code', 'text'))}"
        if type == "Reference":
            return self.reference(next((one for one in ("Patient", *element.targets) if one in element.targets and one != "Resource"), "Patient"))
        if type in WITHIN:
            return {WITHIN[type]: f"= {self.read(self.free('text', 'code'))}"}
        if type in ("dateTime", "date", "instant"):
            return self.moment(type)
        if type == "Period":
            return {"start": self.moment("dateTime")}
        if type == "boolean":
            return f"= {self.read(self.free('code'))} | bool('1', '0')"
        if type in (*NUMBERS, "Quantity"):
            return f"= {self.read(self.free('number'))} | " + {"decimal": "number", "Quantity": "quantity('1')"}.get(type, "integer")
        if type == "Money":
            return {"value": f"= {self.read(self.free('number'))} | number"}
        if type in TEXTS:
            return f"= {self.read(self.free('text'))}"
        if definitions.kind(type) == "primitive-type" or definitions.is_resource(type) or not (made := self.required(type)):
            raise ValueError(f"{self.type} needs {element.path}, for which nothing can be drafted; write the mapping by hand, or draft another type.")
        return made

    def moment(self, type: str) -> str:
        column = self.free("datetime") or self.free("date") if type != "instant" else self.free("datetime")
        function = type.lower()
        return f"= {self.read(column)} | {function}('{column.form}')" if column else f"= {self.read(None)} | {function}"

    def reference(self, type: str) -> str:
        return f"= {self.read(self.person if type == 'Patient' else None)} | lookup({type}, {self.mrn})"
