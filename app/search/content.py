"""The rows of running text of a resource: its narrative, what else it says in words, and its names and addresses for `:contains`."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import unescape

from app.fhir import definitions
from app.search import words
from app.search.query import Row
from app.search.types.content import NARRATIVE, WORDLESS, sliced
from app.search.types.string import whole

SAID = frozenset(("string", "markdown", "code", "xhtml"))
"""Primitive types whose values are words."""
UNSAID = frozenset(("id", "meta", "Reference.reference", "Narrative.status"))
"""Elements that say nothing to readers."""
LONGEST = 100_000
"""Characters of one row; a longer text has several."""
_INLINE = re.compile(r"</?(?:a|abbr|acronym|b|big|cite|code|dfn|em|font|i|kbd|q|samp|small|span|strike|strong|sub|sup|tt|u|var|del|s|ins)(?:\s[^>]*)?>|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def rows(resource: dict, strings: list[str]) -> list[Row]:
    """Rows of `Type._content`, of the narrative with the system NARRATIVE, and one in which `:contains` finds any part of its `strings`
    (in their normal form)."""
    type, div = resource["resourceType"], (resource.get("text") or {}).get("div")
    if type in WORDLESS:
        return []
    said: list[str] = []
    _gather(said.append, {key: value for key, value in resource.items() if key != "text"}, type)
    return [*_rows(sliced(type), None, words.sliced(strings)), *_rows(f"{type}._content", "", words.words(words.BREAK.join(dict.fromkeys(said)))),
            *(_rows(f"{type}._content", NARRATIVE, words.words(narrative(div))) if div else ())]


def _rows(param: str, system: str | None, text: str) -> list[Row]:
    return [Row(param, 0, system, words=part) for part in parts(text)]


def parts(text: str) -> Iterator[str]:
    """A text in words, cut where it is longer than a row may be."""
    while len(text) > LONGEST:
        at = text.rfind(" ", 1, LONGEST) + 1 or LONGEST
        yield text[:at]
        text = text[at - 1:]
    if text:
        yield text


def narrative(div: str) -> str:
    """The text of XHTML: elements within a line part no words."""
    return unescape(_TAG.sub(" ", _INLINE.sub("", div)))


def _gather(add: Callable[[str], None], value: dict, type: str) -> None:
    """Adds what an element and all under it say."""
    known = _said(value.get("resourceType", type))
    if type == "HumanName" and (name := whole(value)):
        add(name)
    for key, below in value.items():
        kind = known.get(key)
        if kind is None:
            continue
        for item in below if below.__class__ is list else (below,):
            if item.__class__ is dict:
                _gather(add, item, kind)
            elif item:
                add(narrative(item) if kind == "xhtml" else item)


@lru_cache(None)
def _said(type: str) -> dict[str, str]:
    """JSON property -> FHIR type of a type's elements that are words or hold some."""
    return {key: element.type for key, element in definitions.elements(type).items()
            if not UNSAID.intersection((key, f"{type}.{key}")) and (element.type in SAID or definitions.kind(element.type) != "primitive-type")}
