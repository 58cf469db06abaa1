"""Codes against the code systems that are held and the value sets to which elements are bound. https://hl7.org/fhir/R4/terminologies.html#4.1.5"""
from __future__ import annotations

from functools import lru_cache

from app import errors
from app.errors import Issue
from app.fhir.codesystem import near
from app.fhir.definitions import Element
from app.fhir.grammars import GRAMMARS
from app.fhir.terminology import PACKAGE, code_system, value_set
from app.fhir.valueset import Codes

FORMATS = {"CapabilityStatement.format": frozenset({"xml", "json", "ttl"}), "Signature.targetFormat": frozenset({"xml", "json", "ttl"})}
"""Elements that the standard lets say the names of its own formats beside their value set."""


class Bound:
    """A value set of the package as validation and the index ask it."""

    def __init__(self, url: str, sets: dict[str, Codes]):
        self.url, self.sets = url, dict(sorted(sets.items()))
        self._systems = {code: system for system, codes in self.sets.items() if not codes.but for code in codes.listed}
        self._open = [system for system, codes in self.sets.items() if codes.but]

    @property
    def codes(self) -> frozenset[str] | None:
        """All its codes; None where they are not listed."""
        return None if self._open else frozenset(self._systems)

    def system(self, code: str) -> str | None:
        """The code system of a code that stands by itself; None where it is not in the set."""
        found = self._systems.get(code)
        return next((s for s in self._open if self.holds(s, code)), None) if found is None else found

    def holds(self, system: str, code: str) -> bool:
        codes = self.sets.get(system)
        if codes is None:
            return False
        if code in codes:
            return not codes.but or system not in GRAMMARS or GRAMMARS[system].holds(code)
        known = code_system(system)
        concept = known and known.find(code)
        return bool(concept) and concept["code"] in codes

    def refusal(self, code: str) -> str:
        """What to say of a code that is not in it."""
        if self._open and self._open[0] in GRAMMARS:
            return f"{code!r} is not {GRAMMARS[self._open[0]].meaning}."
        if len(self._systems) <= 30:
            return f"{code!r} is no code of {self.url}; it may be {', '.join(sorted(self._systems))}."
        return f"{code!r} is no code of {self.url}{near(code, self._systems)}."


def bound(canonical: str) -> Bound | None:
    """None for a value set that the package cannot decide."""
    return _bound(canonical) if value_set(canonical) else None


@lru_cache(None)
def _bound(value_set: str) -> Bound | None:
    try:
        return Bound(value_set, PACKAGE.expand(value_set))
    except errors.Invalid:
        return None


def required(element: Element | None) -> Bound | None:
    """The value set outside which an element may say nothing: it is required, or the most that it may be extended to."""
    if element is None or element.binding is None:
        return None
    strength, values, *most = element.binding
    return bound(values) if strength == "required" else bound(most[0]) if most else None


def code(element: Element):
    """The check of a value of type code, (value, path, issues); None where there is nothing to check."""
    values, formats = required(element), FORMATS.get(element.path, ())
    if values is None:
        return None

    def check(value: str, path: str, issues) -> None:
        if values.system(value) is None and value not in formats:
            issues.append(Issue("error", "code-invalid", values.refusal(value), path))
    return check


def coded(element: Element):
    """The check of a Coding or CodeableConcept whose structure is right, (value, path, issues)."""
    listed = element.type == "CodeableConcept"
    must = required(element)
    should = bound(element.binding[1]) if element.binding and element.binding[0] == "extensible" else None

    def check(value: dict, path: str, issues) -> None:
        if not listed and not known(value, path, issues) or not must and not should or value.keys().isdisjoint(SAYING):
            return
        codings = value.get("coding", ()) if listed else (value,)
        if must and not any(must.holds(c.get("system", ""), c.get("code", "")) for c in codings):
            issues.append(Issue("error", "code-invalid", _outside(must, codings), path))
        elif not must and codings and issues.warnings is not None and not any(should.holds(c.get("system", ""), c.get("code", "")) for c in codings):
            issues.warnings.append(Issue("warning", "code-invalid", f"{_outside(should, codings)} Another is right only where none of these fits.", path))
    return check


def _outside(values: Bound, codings) -> str:
    said = next((c["code"] for c in codings if "code" in c), None)
    return values.refusal(said) if said is not None else f"No code is given; it is one of {values.url}."


SAYING = frozenset({"coding", "text", "code", "system", "display"})
"""Elements without which a coded element says nothing; its extensions may tell why."""


def known(coding: dict, path: str, issues) -> bool:
    """Whether a code of a system whose content is held, in the version that is held, is one of its codes; the issues tell if not, and of another display."""
    system, code = coding.get("system"), coding.get("code")
    held = code_system(system) if system and code else None
    if held is None or coding.get("version", held.version) != held.version:
        return True
    concept = held.find(code)
    if concept is None:
        issues.append(Issue("error", "code-invalid", held.refusal(code), f"{path}.code"))
    elif issues.warnings is not None and _another(coding.get("display"), concept.get("display")):
        issues.warnings.append(Issue("information", "code-invalid", f"{system} calls {concept['code']} {concept['display']!r}, not {coding['display']!r}.", f"{path}.display"))
    return concept is not None


def _another(said: str | None, right: str | None) -> bool:
    """Whether a display is another than the system's; one in another script is taken for a translation."""
    return bool(said and right) and said.isascii() and said.split() != right.split() and said.casefold().split() != right.casefold().split()
