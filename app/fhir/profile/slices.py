"""Which slice an element belongs to: discriminators. https://hl7.org/fhir/R4/profiling.html#discriminator

Each slice becomes a function of a node and the run: True, False, or None where it cannot be told (what a reference leads to is not here).
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from app.fhir.bindings import bound
from app.fhir.path import BadExpression, compile
from app.fhir.path.node import is_a
from app.fhir.profile.rules import meets
from app.fhir.profile.tree import DEFAULT, EXTENSIONS, Part
from app.fhir.profile.values import fits, inside, same

_STEP = re.compile(r"""\$this|resolve\(\)|(extension)\((['"])(.+?)\2\)|(ofType)\((\w+)\)|(\w+)(?:\[x\])?""")
Pick = Callable[..., "bool | None"]


def picks(part: Part, library) -> list[tuple[Part, Pick]]:
    """(slice, what belongs to it) of a part, compiled once; the default slice is not among them."""
    if part.picks is None:
        by = part.slicing["discriminator"]
        part.picks = [(slice, _pick(slice, by, library)) for name, slice in part.slices.items() if name != DEFAULT]
    return part.picks


def _pick(slice: Part, discriminators: list[dict], library) -> Pick:
    """All discriminators say so; without any, and by one that is no path, nothing can be told."""
    try:
        made = [_one(slice, each["type"], each["path"].replace("[x]", ""), library) for each in discriminators]
    except (BadExpression, KeyError):
        made = []

    def pick(node, run):
        answers = [one(node, run) for one in made]
        return None if not answers or None in answers and False not in answers else all(answers)
    return pick


def _one(slice: Part, type: str, path: str, library) -> Pick:
    """One discriminator. What is beyond a reference that leads elsewhere is not known, but for its type."""
    says, whole, (before, beyond, rest) = _MAKE[type](slice, steps(path), library), compile(path), path.partition("resolve()")
    to = compile(before + beyond) if rest else None

    def one(node, run):
        if to is not None and any(found.value is None for found in run.find(to, node)):
            return None
        return says(run.find(whole, node), run)
    return one


def steps(path: str) -> list[tuple[str, str]]:
    """(kind, name) of each step: `element`, `extension`, `ofType`, `resolve`. Errors: BadExpression."""
    found, at = [], 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or match.end() < len(path) and path[match.end()] != ".":
            raise BadExpression(f"{path!r} is no path of a discriminator", at)
        if match[0] != "$this":
            found.append(("extension", match[3]) if match[1] else ("ofType", match[5]) if match[4] else ("resolve", "") if match[0] == "resolve()" else ("element", match[6]))
        at = match.end() + 1
    return found


def _demands(part: Part, path: list[tuple[str, str]], library) -> Iterator[tuple]:
    """(how it is held against a value, what is demanded) of the value at a path, as a slice's own definitions and those of its types fix it."""
    names = [name for _, name in path]
    for said in part.said:
        for key, value in said.items():
            how = same if key.startswith("fixed") else fits if key.startswith("pattern") else None
            if how and all(kind == "element" for kind, _ in path):
                yield from ((how, each) for each in inside(value, names))
        binding = said.get("binding", {})
        if not path and binding.get("strength") == "required" and (values := bound(binding.get("valueSet", "").partition("|")[0])):
            yield meets, values
    if path == [("element", "url")] and part.name in EXTENSIONS:
        yield from ((same, url) for type in part.types() for url in type.get("profile", ()))
    for below, rest in _below(part, path, library):
        yield from _demands(below, rest, library)


def _below(part: Part, path: list[tuple[str, str]], library) -> Iterator[tuple[Part, list]]:
    """What the next step of a path leads to in a profile's tree: an element with its slices that must be there, and in the profiles of its types."""
    if not path:
        return
    (kind, name), rest = path[0], path[1:]
    if kind == "element" and name in part.children:
        yield from ((each, rest) for each in _required(part.children[name]))
    elif kind == "extension" and "extension" in part.children:
        yield from ((each, rest) for each in part.children["extension"].slices.values() if any(name in type.get("profile", ()) for type in each.types()))
    elif kind == "ofType":
        yield part, rest
    urls = [url for type in part.types() for url in type.get("targetProfile" if kind == "resolve" else "profile", ())]
    if part.name and len(urls) == 1 and (profile := library.profile(urls[0])) is not None:
        yield profile.root, rest if kind == "resolve" else path


def _required(part: Part) -> Iterator[Part]:
    yield part
    for slice in part.slices.values():
        if slice.low:
            yield from _required(slice)


def _valued(slice: Part, path, library) -> Pick:
    """Each value that is demanded is that of some node at the path."""
    demands = list(_demands(slice, path, library))

    def pick(nodes, run):
        if not demands:
            return None
        return all(any(how(node if how is meets else node.value, wanted) for node in nodes) for how, wanted in demands)
    return pick


def _existing(slice: Part, path, library) -> Pick:
    there = _ends(slice, path, library)
    wanted = next((True if part.low else False for part in there if part.low or part.high == 0), None)
    return lambda nodes, run: None if wanted is None else bool(nodes) is wanted


def _typed(slice: Part, path, library) -> Pick:
    resolved = path[-1:] == [("resolve", "")]
    there = _ends(slice, path[:-1] if resolved else path, library)
    if resolved:
        types = {type for part in there for each in part.types() for url in each.get("targetProfile", ()) if (type := library.type(url))}
    else:
        types = {each.get("code", "") for part in there for each in part.types()} or {part.type for part in there if part.type}

    def pick(nodes, run):
        return any(is_a(node.type, type) for node in nodes for type in types) if types else None
    return pick


def _profiled(slice: Part, path, library) -> Pick:
    resolved = path[-1:] == [("resolve", "")]
    urls = [url for part in _ends(slice, path[:-1] if resolved else path, library) for each in part.types() for url in each.get("targetProfile" if resolved else "profile", ())]

    def pick(nodes, run):
        answers = [False if (type := library.type(url)) and not is_a(node.type, type) else None if node.value is None else run.conforms(node, url) for node in nodes for url in urls]
        return True if True in answers else None if None in answers or not urls else False
    return pick


def _ends(slice: Part, path, library) -> list[Part]:
    if not path:
        return [slice]
    return [end for below, rest in _below(slice, path, library) for end in _ends(below, rest, library)]


_MAKE = {"value": _valued, "pattern": _valued, "exists": _existing, "type": _typed, "profile": _profiled}
