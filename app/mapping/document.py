"""YAML read for mappings: every scalar stays text (`01` is not 1, `no` is not false) and knows its file and line. https://yaml.org/spec/1.1/"""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType

import yaml

from app.settings import shipped

DEEPEST = 40
"""Levels of nesting that a mapping may have."""


class Mistake(Exception):
    """A mapping that cannot be used: `place` is `file:line`, `text` says what is wrong there and what to do."""

    def __init__(self, place: str, text: str):
        self.place, self.text = place, text
        super().__init__(f"{place}: {text}" if place else text)


class Text(str):
    """A scalar and where it stands. An empty scalar is the empty text."""

    __slots__ = ("place",)


class List(list):
    """A sequence and where it stands."""

    __slots__ = ("place",)


class Map(dict):
    """A mapping and where it stands; its keys are Text."""

    __slots__ = ("place",)

    def only(self, known) -> "Map":
        """Itself, when all its keys are known ones; Mistake names the first that is not."""
        for key in self:
            if key not in known:
                raise Mistake(key.place, f"'{key}' is not known here; known are {', '.join(known)}")
        return self

    def need(self, name: str):
        """The value of a name that must be there. Errors: Mistake."""
        if name not in self:
            raise Mistake(self.place, f"'{name}' is missing")
        return self[name]


def place(node, otherwise: str = "") -> str:
    """Where a node stands, as `file:line`."""
    return getattr(node, "place", otherwise)


def load(path: Path) -> Map:
    """The one document of a file, which must be a mapping. Errors: Mistake (absent, not UTF-8, not YAML, aliases, duplicate keys)."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Mistake(str(path), f"the file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Mistake(str(path), "the file is not UTF-8") from None
    return parse(text, shown(path))


def extended(path: Path, known) -> tuple[Map, tuple[Path, ...]]:
    """A mapping merged over all that it `extends` (FOLDER/NAME beside the folder of its own, else among the shipped ones, the later over the earlier), and the files of it. Errors: Mistake."""
    whole, files = Map(), tuple(_lineage(path, known, ()))
    for _, document in files:
        whole = merged(whole, document)
    whole.pop("extends", None)
    return whole, tuple(file for file, _ in files)


def _lineage(path: Path, known, above: tuple[Path, ...]) -> Iterator[tuple[Path, Map]]:
    """A mapping after those that it builds on."""
    document = load(path).only(known)
    names = document.get("extends", List())
    for name in names if isinstance(names, List) else [names]:
        if not isinstance(name, Text) or not re.fullmatch(r"[\w-]+/[\w-]+", name):
            raise Mistake(place(name), f"'{name}' is no FOLDER/NAME of a mapping")
        near, base = path.parent.parent / f"{name}.yaml", shipped("mappings") / f"{name}.yaml"
        base = near if near.is_file() or not base.is_file() else base
        if base in (*above, path):
            raise Mistake(name.place, f"{name} builds on itself")
        yield from _lineage(base, known, (*above, path))
    yield path, document


def merged(base: Map, over: Map) -> Map:
    """`base` with what `over` says: maps are merged name by name, `name+` adds to a list, an empty value takes away, all else stands instead. Errors: Mistake."""
    made = Map(base)
    made.place = over.place
    for key, value in over.items():
        name = Text(key.removesuffix("+"))
        name.place, old = key.place, made.get(name)
        if name != key:
            made[name] = _added(key, old, value)
        elif value == "":
            made.pop(key, None)
        else:
            made[key] = merged(old if isinstance(old, Map) else Map(), value) if isinstance(value, Map) else value
    return made


def _added(key: Text, old, value) -> List:
    if not isinstance(value, List) or not isinstance(old, (List, NoneType)):
        raise Mistake(key.place, f"'{key}' adds to a list, and '{key[:-1]}' is no list")
    made = List([*(old or []), *value])
    made.place = value.place
    return made


def shown(path: Path) -> str:
    """A path as messages name it: its last three parts say which mapping, and nothing of the machine."""
    return "/".join(path.parts[-3:])


def parse(text: str, name: str) -> Map:
    """As `load`, from text; `name` stands for the file in messages."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise Mistake(f"{name}:{event.start_mark.line + 1}", "aliases (*name) are not used in mappings")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Mistake(f"{name}:{mark.line + 1}" if mark else name, f"not YAML: {error.problem or error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise Mistake(name, f"not YAML: {error}") from None
    document = _build(node, name, 0) if node else None
    if not isinstance(document, Map):
        raise Mistake(f"{name}:1", "the file holds no mapping (name: value)")
    return document


def _build(node, name: str, depth: int):
    where = f"{name}:{node.start_mark.line + 1}"
    if depth > DEEPEST:
        raise Mistake(where, f"nested deeper than {DEEPEST} levels")
    if isinstance(node, yaml.ScalarNode):
        made = Text(node.value)
    elif isinstance(node, yaml.SequenceNode):
        made = List(_build(child, name, depth + 1) for child in node.value)
    else:
        made = _map(node, name, depth)
    made.place = where
    return made


def _map(node, name: str, depth: int) -> Map:
    made = Map()
    for key, value in node.value:
        where = f"{name}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise Mistake(where, "a name must be plain text")
        text = Text(key.value)
        text.place = where
        if text in made:
            raise Mistake(where, f"'{text}' stands here twice")
        made[text] = _build(value, name, depth + 1)
    return made
