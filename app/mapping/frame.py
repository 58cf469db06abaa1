"""What the files of a mapping's author are made of, and which part is a text, a list or a map: told by file and line before anything is compiled.

A frame is `str` for a text, `int` for a whole number, `[frame]` for a list, a dict for a map of these names (`str` for any other name); None stands for anything.
"""
from __future__ import annotations

from app.mapping.document import List, Map, Mistake, Text, place

RESOURCE = {"type": str, "key": [str], "write": str, "when": str, "newer_by": str, "must_match": [str], "once": [str], "snapshot": str, str: None}
MAPPING = {
    "extends": None, "mapping": str, "version": str, "title": str,
    "source": {"null": [str], "fields": None, str: str},
    "columns": {"expect": [str], "optional": [str], "names": {str: str}, "ignore": [str]},
    "skip": [{"when": str, "why": str}],
    "resources": {str: RESOURCE},
}
SITE = {"site": str, "title": str, "organization": str, "prefix": str, "systems": {str: str}}
CASE = {"mapping": str, "resources": {str: int}, "assert": [{"row": int, "resource": str, "that": str}], "rejects": [{"row": int, "code": str, "column": str}], "refused": str}
NEEDED = {"skip": ("when", "why"), "assert": ("row", "resource", "that"), "rejects": ("row", "code")}
"""Lists whose items have these names, all of them."""


def framed(node, frame, name: str = "the file") -> Map:
    """The node itself, if it and all in it are what the frame says. Errors: Mistake."""
    if frame in (str, int) and not isinstance(node, Text):
        raise Mistake(place(node), f"{name} is one value, not a list or a map")
    if frame is int and not (node.isascii() and node.isdecimal() and len(node) < 10):
        raise Mistake(place(node), f"{name} is a whole number, not '{node}'")
    if isinstance(frame, list):
        if not isinstance(node, List):
            raise Mistake(place(node), f"{name} is a list; write [ ] around it, or '- ' before each of its items")
        for item in node:
            framed(item, frame[0], f"an item of {name}")
            if missing := next((each for each in NEEDED.get(name, ()) if each not in item), None):
                raise Mistake(item.place, f"an item of {name} has no '{missing}'")
    if isinstance(frame, dict):
        if not isinstance(node, Map):
            raise Mistake(place(node), f"{name} holds names and values (name: value)")
        if str not in frame:
            node.only(frame)
        for key, value in node.items():
            framed(value, frame.get(key, frame.get(str)), str(key))
    return node
