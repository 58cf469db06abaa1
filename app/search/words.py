"""Running text in the form in which it is looked into, and the pieces by which a store finds it.

A text in words is folded, with a space on each side of a word, two between texts: ` bone 高血压 mmol `. Where no spaces are written (Chinese,
Japanese, Korean) a whole run stands as one word. What is sought says by its own spaces where words begin and end.
"""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import filterfalse

_RUNS = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"
BREAK = "\0"
"""Parts one text from the next: what is sought stands in one of them."""
_WORD = re.compile(rf"[{_RUNS}]+|[^\W_{_RUNS}]+|{BREAK}")
_PIECED = re.compile(rf"[{_RUNS}]+|[^\W_{_RUNS}]+")
_RUN = re.compile(f"[{_RUNS}]")
_SIMPLE = re.compile("[\0-\x7f、。一-鿿]*")
"""What folding leaves as it is, but for its case."""
LONGEST = 32
"""Characters of a word by which it is found."""
MOST = 10
"""Pieces that are asked for of what is sought."""
SLICE = 3
"""Characters of a slice."""


def fold(text: str) -> str:
    """The text without case, compatible characters alike (full-width as half-width), no combining marks."""
    if _SIMPLE.fullmatch(text):
        return text.lower()
    spread = unicodedata.normalize("NFKD", text.casefold()).casefold()
    return unicodedata.normalize("NFC", "".join(filterfalse(unicodedata.combining, spread)))


def words(text: str) -> str:
    """A text in words; empty where it has none."""
    found = _WORD.findall(fold(text))
    return f" {' '.join(found)} ".replace(f" {BREAK} ", "  ") if found else ""


def sought(text: str) -> str:
    """What a text in words contains where these words stand in it one after the other: whole words, or a part of a run."""
    found = words(text)
    start = 1 if _RUN.match(found[1:2]) else 0
    end = len(found) - 1 if _RUN.match(found[-2:-1]) else len(found)
    return found[start:end]


def pieces(words: str) -> set[str]:
    """The pieces of a text, letters and digits all: each word, and each two characters of a run (the last one alone too)."""
    found: set[str] = set()
    for piece in words.split():
        if piece.isascii() or not _RUN.match(piece):
            found.add(piece[:LONGEST])
        else:
            found.update([piece[i:i + 2] for i in range(len(piece))])
    return found


def needed(sought: str) -> tuple[list[str], list[str]]:
    """(pieces, beginnings of pieces) that every text has which contains what is sought; as many as are worth asking for."""
    whole, begun = [], []
    for match in _PIECED.finditer(sought):
        piece = match[0]
        if _RUN.match(piece):
            whole += [piece[i:i + 2] for i in range(len(piece) - 1)]
            begun += [piece] if len(piece) == 1 else []
        elif match.start() > 0:
            (begun if match.end() == len(sought) else whole).append(piece[:LONGEST])
    return list(dict.fromkeys(whole))[:MOST], begun[:MOST]


def sliced(texts: Iterable[str]) -> str:
    """Normal texts in words of which any part is found: runs as they are, and of other words the three characters from each place on."""
    found = [piece for text in texts for run in _PIECED.findall(text) for piece in ((run,) if _RUN.match(run) else [run[i:i + SLICE] for i in range(len(run))])]
    return f" {' '.join(dict.fromkeys(found))} " if found else ""


def slices(text: str) -> list[str]:
    """What a sliced text contains where this normal text is a part of one of its texts."""
    found: list[str] = []
    for run in _PIECED.findall(text):
        found += [run] if _RUN.match(run) else [f" {run[i:i + SLICE]} " for i in range(len(run) - SLICE + 1)] or [f" {run}"]
    return found
