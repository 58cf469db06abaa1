"""A code system whose content is held, as look-ups: its concepts, and which is above which. https://hl7.org/fhir/R4/codesystem.html"""
from __future__ import annotations

from collections import defaultdict
from difflib import get_close_matches

SUBSUMING = (None, "is-a", "classified-with")
"""Meanings of a hierarchy in which what is said of a concept holds for those below it; an unsaid one is taken for one of these."""
UPWARD, DOWNWARD = ("parent", "subsumedBy"), ("child",)
"""Properties that say the same as nesting does. https://hl7.org/fhir/R4/codesystem-concept-properties.html"""


class System:
    """A CodeSystem with all its content. concepts: code -> concept; cased: whether case makes a difference (where it is not said, it
    makes none: accept codes in any case, says the standard)."""

    __slots__ = ("url", "version", "cased", "concepts", "parents", "children", "_folded")

    def __init__(self, resource: dict):
        self.url, self.version, self.cased = resource["url"], resource.get("version", ""), resource.get("caseSensitive") is True
        self.concepts: dict[str, dict] = {}
        self.parents, self.children = defaultdict(set), defaultdict(set)
        self._collect(resource["concept"], None, resource.get("hierarchyMeaning") in SUBSUMING)
        self._folded = None if self.cased else {code.casefold(): code for code in self.concepts}

    def _collect(self, concepts: list[dict], parent: str | None, nested: bool) -> None:
        for concept in concepts:
            code = concept["code"]
            self.concepts[code] = concept
            if parent is not None and nested:
                self._relate(parent, code)
            for property in concept.get("property", ()):
                if property["code"] in UPWARD and "valueCode" in property:
                    self._relate(property["valueCode"], code)
                elif property["code"] in DOWNWARD and "valueCode" in property:
                    self._relate(code, property["valueCode"])
            self._collect(concept.get("concept", ()), code, nested)

    def _relate(self, above: str, below: str) -> None:
        self.parents[below].add(above)
        self.children[above].add(below)

    def find(self, code: str) -> dict | None:
        """The concept of a code, written in any case where case makes no difference."""
        concept = self.concepts.get(code)
        if concept is None and self._folded is not None:
            concept = self.concepts.get(self._folded.get(code.casefold()))
        return concept

    def refusal(self, code: str) -> str:
        """What to say of what is none of its codes."""
        return f"{code!r} is no code of {self.url}{near(code, self.concepts)}."

    def above(self, code: str) -> set[str]:
        """The code and all that subsume it."""
        return self._closure(code, self.parents)

    def below(self, code: str) -> set[str]:
        """The code and all that it subsumes."""
        return self._closure(code, self.children)

    def _closure(self, code: str, step: dict[str, set[str]]) -> set[str]:
        found, fresh = {code}, [code]
        while fresh:
            fresh = [other for each in fresh for other in step.get(each, ()) if other not in found]
            found.update(fresh)
        return found & self.concepts.keys()


def near(code: str, codes) -> str:
    """The end of a message: which of the codes look like this one."""
    alike = [other for other in codes if other[:1].casefold() == code[:1].casefold()]
    found = get_close_matches(code[:100], alike, 3) if len(alike) < 500 else ()
    return f"; near it are {', '.join(found)}" if found else ""


def spellings(code: str) -> tuple[str, ...]:
    """The ways in which a code is usually written where case makes no difference."""
    return tuple(dict.fromkeys((code, code.lower(), code.upper())))
