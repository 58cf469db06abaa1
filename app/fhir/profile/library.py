"""Profiles by their canonical urls: this project's own (profiles/), those of HL7's R4 package, and what a caller brings. https://hl7.org/fhir/R4/references.html#canonical

Loaded at the first question; each is compiled when it is first asked for.
"""
from __future__ import annotations

import gzip
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path

from app.errors import Unsupported
from app.fhir import definitions, json
from app.fhir.profile.tree import BASE, Part, build, lineage
from app.settings import shipped

_FILE = Path(__file__).with_name("r4.json.gz")


class Profile:
    """A StructureDefinition that constrains a type. root: its tree; gap: the url of what it is derived from, where that is not known."""

    def __init__(self, structure: dict, library: "Library"):
        self.structure, self.library, self.url, self.type = structure, library, structure["url"], structure["type"]
        self._line, self.gap = lineage(structure, library.structure)

    @cached_property
    def root(self) -> Part:
        return build(self._line)

    @property
    def modifier(self) -> bool:
        """Of an extension: it is a modifierExtension."""
        return any(said.get("isModifier") for said in self.root.said)


class Library:
    """The profiles that are known: those given, then those of `below`. A given one never takes the place of one below."""

    def __init__(self, structures: Iterable[dict], below: "Library | None" = None):
        self.below = below
        self._own: dict[str, dict] = {}
        self._made: dict[str, Profile] = {}
        for each in structures:
            self.add(each["url"], each)

    def add(self, url: str, structure: dict) -> None:
        """One more, if it is a profile."""
        if structure.get("derivation") == "constraint" and structure.get("kind") != "logical" and {"url", "type"} <= structure.keys():
            self._own[url] = structure

    def structure(self, url: str | None) -> dict | None:
        """The definition that a canonical url (`url|version` too) means, None for an unknown one and for R4's own types."""
        bare, _, version = (url or "").partition("|")
        found = (self.below.structure(bare) if self.below else None) or self._own.get(bare)
        return found if found is not None and version in ("", found.get("version")) else None

    def profile(self, url: str | None) -> Profile | None:
        found = self.structure(url)
        if found is None:
            return None
        bare = url.partition("|")[0]
        if found is not self._own.get(bare):
            return self.below.profile(url)
        if bare not in self._made:
            self._made[bare] = Profile(found, self)
        return self._made[bare]

    def type(self, url: str | None) -> str | None:
        """The type of what a canonical url is a profile of, R4's own types included."""
        name = (url or "").partition("|")[0].removeprefix(BASE)
        if definitions.kind(name):
            return name
        found = self.structure(url)
        return found["type"] if found else None

    def need(self, url: str, type: str) -> None:
        """Errors: Unsupported for a profile that is not known, with those of the type that are."""
        if self.type(url) is None:
            raise Unsupported(f"The profile {url!r} is not known here; for a {type} there are: {', '.join([BASE + type, *self.of(type)])}.", expression="profile")

    def of(self, type: str) -> list[str]:
        """The urls of the profiles of a type."""
        return [url for url in self.urls() if self.type(url) == type]

    def urls(self) -> list[str]:
        return [*(self.below.urls() if self.below else ()), *self._own]


@lru_cache(1)
def known() -> Library:
    """What the server knows by itself."""
    files = sorted(shipped("profiles").glob("StructureDefinition-*.json"))
    return Library([*(json.loads(file.read_bytes()) for file in files), *json.parse(gzip.decompress(_FILE.read_bytes()))])
