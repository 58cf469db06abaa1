"""string parameters: the normal form in which texts are compared, rows of names and addresses. https://hl7.org/fhir/R4/search.html#string"""
from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from app import errors
from app.search.context import Context
from app.search.query import Compare, Row, Test
from app.search.types.text import plain
from app.search.words import fold

MODIFIERS = ("exact", "contains")
PREFIXES = ()
NAME = ("text", "family", "prefix", "given", "suffix")
ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country")
_WORD = re.compile(r"[\s\-‐-―]+")


@lru_cache(maxsize=50_000)
def normal(text: str) -> str:
    """The form in which texts are compared: folded, no punctuation, single spaces. A text of nothing but punctuation keeps it."""
    folded = fold(text)
    kept = "".join(c for c in folded if c.isalnum() or c.isspace() or unicodedata.category(c)[0] != "P") if not folded.isalnum() else folded
    return " ".join(kept.split()) or " ".join(folded.split())


def _plain(add, param: str, group: int, value, context: Context) -> None:
    if value:
        add(Row(param, group, None, value, normal(value)))


def _parts(add, param: str, group: int, value: dict, keys: tuple[str, ...]) -> None:
    for key in keys:
        part = value.get(key)
        if part.__class__ is str:
            add(Row(param, group, None, part, normal(part)))
        elif part.__class__ is list:
            for item in part:
                if item:
                    add(Row(param, group, None, item, normal(item)))


def _name(add, param: str, group: int, value: dict, context: Context) -> None:
    """A row for each part, for each word of a family name, and for a Chinese name as it is written where only its parts are given."""
    _parts(add, param, group, value, NAME)
    family = value.get("family")
    if family:
        _words(add, param, group, family)
        if name := whole(value):
            add(Row(param, group, None, None, normal(name)))


def whole(name: dict) -> str:
    """A Chinese name as it is written, where only its parts are given; else empty."""
    family = name.get("family")
    return family + "".join(g for g in name.get("given", ()) if g) if family and not name.get("text") and "\u3400" <= family[0] else ""


def _words(add, param: str, group: int, family: str) -> None:
    words = _WORD.split(family)
    for word in words[1:]:
        if word:
            add(Row(param, group, None, None, normal(word)))


def family(add, param: str, group: int, value, context: Context) -> None:
    """HumanName.family by itself: its later words too (Carreno Quinones is found by either)."""
    _plain(add, param, group, value, context)
    if value:
        _words(add, param, group, value)


def _address(add, param: str, group: int, value: dict, context: Context) -> None:
    _parts(add, param, group, value, ADDRESS)


def _concept(add, param: str, group: int, value: dict, context: Context) -> None:
    for text in (value.get("text"), *(c.get("display") for c in value.get("coding", ()))):
        _plain(add, param, group, text, context)


READERS = {**dict.fromkeys(("string", "markdown", "code", "id", "uri", "url", "canonical", "xhtml"), _plain),
           "HumanName": _name, "Address": _address, "CodeableConcept": _concept}
"""FHIR type -> what adds its rows. A row's code is the text as written (none for a word or a whole made of parts), its text the normal form."""


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """`starts with` on the normal form; `:contains` anywhere in it; `:exact` the text as written."""
    text = plain(value)
    if modifier == "exact" and text:
        return [(Test(param.name, (Compare("code", "eq", text),)),)]
    return [(Test(param.name, (Compare("text", "contains" if modifier else "prefix", sought(text)),)),)]


def sought(text: str) -> str:
    """The normal form of a text searched for. Errors: Invalid where nothing is left of it (spaces, accents alone): all texts would begin so."""
    form = normal(text)
    if not form:
        raise errors.Invalid(f"The text to search for, {text!r}, is empty: there is nothing in it that counts.")
    return form
