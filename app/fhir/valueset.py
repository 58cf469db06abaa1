"""What a value set holds: its definition worked out to codes, system by system. https://hl7.org/fhir/R4/valueset.html#compositions"""
from __future__ import annotations

from collections.abc import Callable, Iterable

from app import errors
from app.fhir.codesystem import System
from app.fhir.path import regex
from app.fhir.path.syntax import BadExpression

BUDGET = 5_000_000
"""Steps of work, about one a code, that the value sets of one request may take."""
INACTIVE = ("inactive", "retired")


class Codes:
    """Codes of one system: those of `listed`, or where `but` is true all that the system may have but those."""

    __slots__ = ("listed", "but")

    def __init__(self, listed: Iterable[str] = (), but: bool = False):
        self.listed, self.but = frozenset(listed), but

    def __contains__(self, code: str) -> bool:
        return (code in self.listed) != self.but

    def __invert__(self) -> "Codes":
        return Codes(self.listed, not self.but)

    def __and__(self, other: "Codes") -> "Codes":
        if self.but and other.but:
            return Codes(self.listed | other.listed, True)
        if self.but or other.but:
            some, rest = (other, self) if self.but else (self, other)
            return Codes(some.listed - rest.listed)
        return Codes(self.listed & other.listed)

    def __or__(self, other: "Codes") -> "Codes":
        return ~(~self & ~other)

    def __eq__(self, other) -> bool:
        return (self.listed, self.but) == (other.listed, other.but)

    def __repr__(self):
        return f"{'all but ' if self.but else ''}{sorted(self.listed)}"


EVERY = Codes(but=True)
NOTHING = Codes()


class Terms:
    """Value sets, code systems and hierarchies of resources as one asker finds them, worked out once.

    value_set, code_system: canonical url (with `|version` perhaps) -> the ValueSet, or the System if its content is held; else None.
    related: (`Type/id`, `above` or `below`) -> it and what stands so to it in the hierarchy of its type.
    """

    def __init__(self, value_set: Callable[[str], dict | None], code_system: Callable[[str], System | None], budget: float = BUDGET,
                 related: Callable[[str, str], tuple[str, ...]] = lambda ref, way: (ref,)):
        self.value_set, self.code_system, self.budget, self.related = value_set, code_system, budget, related
        self._expanded: dict[str, dict[str, Codes]] = {}

    def expand(self, canonical: str, within: tuple[str, ...] = ()) -> dict[str, Codes]:
        """System -> its codes in the value set. `within`: those that import it.

        Errors: Invalid for a value set that is not known, that imports itself, or that needs content that is not held; TooCostly.
        """
        if canonical in within:
            raise errors.Invalid(f"The value set {canonical} imports itself.")
        if canonical not in self._expanded:
            found = self.value_set(canonical)
            if found is None:
                text = f"The value set {canonical} is not known here."
                raise errors.Invalid(text, issues=[errors.Issue("error", "not-found", text)])
            self._expanded[canonical] = self._work_out(found, canonical, (*within, canonical))
        return self._expanded[canonical]

    def system(self, canonical: str) -> System:
        """Errors: Invalid where its content is not held."""
        held = self.code_system(canonical)
        if held is None:
            text = f"The content of the code system {canonical} is not held here, so that what is above or below a code is not known."
            raise errors.Invalid(text, issues=[errors.Issue("error", "not-found", text)])
        return held

    def spend(self, steps: int) -> None:
        """Errors: TooCostly."""
        self.budget -= steps
        if self.budget < 0:
            raise errors.TooCostly("The value sets that are asked for take too much work to be worked out.")

    def _work_out(self, resource: dict, name: str, within: tuple[str, ...]) -> dict[str, Codes]:
        compose = resource.get("compose")
        if compose is None:
            return self._listed(resource.get("expansion", {}), name)
        inactive = compose.get("inactive") is not False
        found = self._union(self._rule(rule, inactive, within) for rule in compose.get("include", ()))
        for system, codes in self._union(self._rule(rule, True, within) for rule in compose.get("exclude", ())).items():
            if system in found:
                found[system] &= ~codes
        return {system: codes for system, codes in found.items() if codes != NOTHING}

    def _listed(self, expansion: dict, name: str) -> dict[str, Codes]:
        """Of a value set that says no more than its expansion, the codes of that, if it is whole."""
        codes: dict[str, set[str]] = {}
        fresh, number = list(expansion.get("contains", ())), 0
        while fresh:
            item = fresh.pop()
            number += 1
            fresh += item.get("contains", ())
            if "code" in item and not item.get("abstract"):
                codes.setdefault(item.get("system", ""), set()).add(item["code"])
        if not codes or number < int(expansion.get("total", 0)):
            raise errors.Invalid(f"The value set {name} does not say which codes it holds.")
        return {system: Codes(listed) for system, listed in codes.items()}

    def _union(self, parts: Iterable[dict[str, Codes]]) -> dict[str, Codes]:
        listed: dict[str, set[str]] = {}
        most: dict[str, Codes] = {}
        for part in parts:
            for system, codes in part.items():
                self.spend(1 + len(codes.listed))
                if codes.but:
                    most[system] = most.get(system, NOTHING) | codes
                else:
                    listed.setdefault(system, set()).update(codes.listed)
        return {system: most.get(system, NOTHING) | Codes(listed.get(system, ())) for system in {**listed, **most}}

    def _rule(self, rule: dict, inactive: bool, within: tuple[str, ...]) -> dict[str, Codes]:
        """What one include or exclude says: codes of a system, of value sets, or those of the system that are in one of the value sets."""
        imported = self._union(self.expand(url, within) for url in rule.get("valueSet", ()))
        if "system" not in rule:
            return imported
        codes = self._of_system(rule, inactive)
        return {rule["system"]: codes & imported.get(rule["system"], NOTHING) if "valueSet" in rule else codes}

    def _of_system(self, rule: dict, inactive: bool) -> Codes:
        filters = rule.get("filter", ())
        if "concept" in rule:
            self.spend(len(rule["concept"]))
            return Codes(c["code"] for c in rule["concept"])
        url = rule["system"] + (f"|{rule['version']}" if rule.get("version", "*") != "*" else "")
        held = self.code_system(url)
        if held is None and not filters:
            return EVERY
        if held is None:
            said = ", ".join(f"{f['property']} {f['op']} {f['value']}" for f in filters)
            raise errors.Invalid(f"Which codes of {url} meet {said!r} is not known here: its content is not held.")
        codes = set(held.concepts)
        for filter in filters:
            self.spend(len(held.concepts))
            codes = self._filtered(held, codes, filter)
        self.spend(len(codes))
        return Codes(codes if inactive else (c for c in codes if not _is_inactive(held.concepts[c])))

    def _filtered(self, system: System, codes: set[str], filter: dict) -> set[str]:
        """https://hl7.org/fhir/R4/valueset-filter-operator.html"""
        op, value, property = filter["op"], filter["value"], filter["property"]
        if op in HIERARCHY:
            return HIERARCHY[op](system, codes, value)
        meets = OPERATORS[op](self, value)
        return {code for code in codes if meets(_values(system, code, property))}

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the whole text is what a regular expression says. Errors: Invalid."""
        try:
            return regex.search(self, rf"\A(?:{pattern})\Z", text)
        except BadExpression as failure:
            raise errors.Invalid(f"A value set's filter: {failure}") from None


HIERARCHY = {
    "is-a": lambda system, codes, value: codes & system.below(value),
    "descendent-of": lambda system, codes, value: codes & system.below(value) - {value},
    "is-not-a": lambda system, codes, value: codes - system.below(value),
    "generalizes": lambda system, codes, value: codes & system.above(value),
}
"""Operators that ask where a concept stands."""
OPERATORS = {
    "=": lambda terms, sought: lambda values: sought in values,
    "in": lambda terms, sought: lambda values, one=_parts(sought): not one.isdisjoint(values),
    "not-in": lambda terms, sought: lambda values, one=_parts(sought): one.isdisjoint(values),
    "exists": lambda terms, sought: lambda values: bool(values) == (sought == "true"),
    "regex": lambda terms, sought: lambda values: any(terms.matches(sought, v) for v in values),
}
"""Operators that ask for a property's values."""


def _parts(listed: str) -> frozenset[str]:
    return frozenset(part.strip() for part in listed.split(","))


def _values(system: System, code: str, property: str) -> list[str]:
    """The values of a concept's property as text; its code, display, parents and children are properties too."""
    concept = system.concepts[code]
    if property in ("code", "concept"):
        return [code]
    if property == "display":
        return [concept["display"]] if "display" in concept else []
    if property in ("parent", "child"):
        return list((system.parents if property == "parent" else system.children).get(code, ()))
    return [_text(value) for p in concept.get("property", ()) if p["code"] == property for key, value in p.items() if key.startswith("value")]


def _text(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.get("code", "") if isinstance(value, dict) else str(value)


def _is_inactive(concept: dict) -> bool:
    return any(p["code"] == "inactive" and p.get("valueBoolean") is True or p["code"] == "status" and p.get("valueCode") in INACTIVE for p in concept.get("property", ()))
