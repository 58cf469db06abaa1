"""_text and _content: words of the narrative, and of the whole resource. https://hl7.org/fhir/R4/search.html#content

`(bone OR liver) and metastases`, `"bone marrow"`, `血压 NOT 高血压`: all words must occur, AND may be written between them; NOT takes away.
"""
from __future__ import annotations

import re

from app import errors
from app.search.query import Clause, Compare, Not, both, either, has
from app.search.types.string import normal
from app.search.types.text import plain
from app.search.words import slices, sought

CODES = ("_text", "_content")
WORDLESS = frozenset(("AuditEvent",))
"""Types without rows of words: most of the log is access records, which have columns instead."""
NARRATIVE = "text"
"""The system of the rows that are of the narrative."""
MOST_SLICES = 10
"""Slices of one text that are looked for: the rarest of them drives a search."""
MOST_WORDS = 50
"""Words and phrases of one value."""
_TOKEN = re.compile(r'\s*(?:(?P<phrase>"[^"]*")|(?P<mark>[()])|(?P<word>[^\s()"]+))')


def clause(param, value: str) -> Clause:
    """What one value asks for. Errors: Invalid, TooCostly."""
    narrative = (Compare("system", "eq", NARRATIVE),) if param.code == "_text" else ()
    return _Expression(plain(value), lambda text: has(_param(param), *narrative, Compare("words", "contains", text))).clause()


def _param(param) -> str:
    """Rows of both are of one parameter: the narrative is content too."""
    return param.name.partition(".")[0] + "._content"


def sliced(type: str) -> str:
    """The parameter of the rows of all strings of a type in slices."""
    return type + ".string:contains"


def anywhere(param, value: str) -> list[Clause]:
    """What follows from a string's containing a value, and has an index."""
    type = param.name.partition(".")[0]
    found = () if type in WORDLESS else slices(normal(plain(value)))[:MOST_SLICES]
    return [has(sliced(type), Compare("words", "contains", text)) for text in found]


class _Expression:
    """What is asked, read from the left: or, and, not, words in the order of what binds less."""

    def __init__(self, text: str, contains):
        self.text, self.contains, self.at = text.rstrip(), contains, 0
        self.tokens = []
        while self.at < len(self.text):
            self.tokens.append(self._token())
        if len(self.tokens) > 4 * MOST_WORDS:
            raise errors.TooCostly(f"More than {MOST_WORDS} words in one search.")
        self.at = 0

    def _token(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            raise errors.Invalid(f"A quotation mark is not closed in {self.text!r}.")
        self.at = match.end()
        word = match["word"]
        return match["phrase"] or match["mark"] or (word.upper() if word.upper() in ("AND", "OR") else word)

    def clause(self) -> Clause:
        found = self._or()
        if self.at < len(self.tokens):
            raise errors.Invalid(f"{self.tokens[self.at]!r} closes nothing in {self.text!r}.")
        return found

    def _next(self, *tokens: str) -> bool:
        """Whether one of these comes next; it is passed."""
        there = self.at < len(self.tokens) and self.tokens[self.at] in tokens
        self.at += there
        return there

    def _or(self) -> Clause:
        found = [self._and()]
        while self._next("OR"):
            found.append(self._and())
        return either(*found)

    def _and(self) -> Clause:
        found, without = [], []
        while True:
            (without if self._next("NOT") else found).append(self._term())
            if not self._next("AND") and (self.at == len(self.tokens) or self.tokens[self.at] in ("OR", ")")):
                break
        if not found:
            raise errors.Invalid(f"NOT takes away from what else is sought: write a word beside it in {self.text!r}.")
        return both(*found, *map(Not, without))

    def _term(self) -> Clause:
        if self._next("("):
            found = self._or()
            if not self._next(")"):
                raise errors.Invalid(f"A bracket is not closed in {self.text!r}.")
            return found
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        text = sought(token)
        if not text or token in ("AND", "OR", "NOT"):
            raise errors.Invalid(f"There is no word to look for at {token or 'the end'!r} of {self.text!r}.")
        self.at += 1
        return self.contains(text)
