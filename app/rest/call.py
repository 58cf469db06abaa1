"""One interaction as it is asked for, by an HTTP request or by an entry of a bundle, and the answer to it.

https://hl7.org/fhir/R4/http.html
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import cached_property, lru_cache
from typing import NamedTuple
from urllib.parse import urlencode

from app.errors import Invalid, Unsupported
from app.records import Entry, Records
from app.search import parameters

GENERAL = frozenset({"_format", "_pretty", "_summary", "_elements"})
"""Parameters of every interaction that returns a resource."""
SUMMARIES = ("true", "text", "data", "count", "false")


class Target(NamedTuple):
    """What an address names. `shape` has a letter or literal a segment (see interactions.SHAPES); parts that it lacks are empty."""

    shape: str
    type: str = ""
    id: str = ""
    version: str = ""
    other: str = ""
    operation: str = ""

    @property
    def path(self) -> str:
        """The address below the base, as in links."""
        return "/".join(part for part in self._parts() if part)

    def _parts(self) -> tuple[str, ...]:
        tail = {"Th": "_history", "Tih": "_history", "h": "_history", "m": "metadata", "Ti*": "*", "Ti*s": "*"}.get(self.shape, "")
        return (self.type, self.id, self.other, tail)


class Prefer(NamedTuple):
    """`returns`: minimal, representation, OperationOutcome or empty; `strict`: whether unknown search parameters are refused."""

    returns: str = ""
    strict: bool = True
    applied: tuple[str, ...] = ()


USUAL = Prefer()


@dataclass(slots=True)
class View:
    """How an answer is to look: `summary` (true, text, data, count or empty), `elements`, pretty printed."""

    summary: str = ""
    elements: tuple[str, ...] = ()
    pretty: bool = False

    @property
    def plain(self) -> bool:
        return not (self.summary or self.elements or self.pretty)


@dataclass
class Call:
    """An interaction: `headers` by lower-case name; `body` is what came: bytes of an HTTP request, or the resource of an entry."""

    records: Records
    method: str
    target: Target
    pairs: list[tuple[str, str]]
    headers: Mapping[str, str]
    base: str
    body: bytes | dict | None = None
    prefer: Prefer = field(default_factory=Prefer)
    place: str = ""
    url: str = ""

    @cached_property
    def view(self) -> View:
        """Errors: Invalid for a bad value, Unsupported for an element that is none."""
        type = self.target.other or ("" if "*" in self.target.shape else self.target.type)
        return view(self.pairs, (type,) if type else ())

    def criteria(self) -> str:
        """The search text of a conditional interaction. Errors: Invalid where there is none."""
        text = urlencode([pair for pair in self.pairs if pair[0] not in GENERAL])
        if not text:
            raise Invalid(f"{self.method} on {self.target.type} without an id needs search parameters that tell which resource is meant.")
        return text

    def only(self, *names: str) -> None:
        """Refuses parameters that are neither general nor named. Errors: Unsupported, naming them."""
        unknown = sorted({name for name, _ in self.pairs} - GENERAL - set(names))
        if unknown:
            raise Unsupported(f"Unknown here: the parameter{'s' * (len(unknown) > 1)} {', '.join(unknown)}.", expression=unknown[0])

    def on(self, **changes) -> "Call":
        """This call with some parts replaced."""
        return replace(self, **changes)


@dataclass(slots=True)
class Answer:
    """What an interaction gave: a stored version, or a resource made for the occasion, or its JSON, or the content of a Binary (`media`).

    written: the result of a change, which Prefer may leave out or replace by an outcome that says `text`
    """

    status: int = 200
    entry: Entry | None = None
    resource: dict | None = None
    json: bytes | None = None
    content: bytes | None = None
    media: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    written: bool = False
    text: str = ""


def view(pairs: list[tuple[str, str]], types: tuple[str, ...] = ()) -> View:
    """What _summary, _elements and _pretty ask for, of resources of the types (none: any). Errors: Invalid for a bad or repeated one; Unsupported."""
    if not pairs:
        return View()
    given = {name: single(pairs, name) for name in ("_summary", "_elements", "_pretty")}
    summary, elements, pretty = given["_summary"] or "false", given["_elements"] or "", given["_pretty"] or "false"
    if summary not in SUMMARIES:
        raise Invalid(f"_summary is one of {', '.join(SUMMARIES)}, not {summary!r}.", expression="_summary")
    if pretty not in ("true", "false"):
        raise Invalid(f"_pretty is true or false, not {pretty!r}.", expression="_pretty")
    names = tuple(name.strip() for name in elements.split(",") if name.strip())
    if names and summary != "false":
        raise Invalid("_summary and _elements cannot be asked for together.", expression="_elements")
    for name in names:
        if not parameters.has_element(types, name):
            raise Unsupported(f"There is no element {name!r}.", expression="_elements")
    return View("" if summary == "false" else summary, names, pretty == "true")


def single(pairs: list[tuple[str, str]], name: str) -> str | None:
    """The value of a parameter that stands once at most. Errors: Invalid."""
    values = [value for given, value in pairs if given == name]
    if len(values) > 1:
        raise Invalid(f"{name} must not be repeated.", expression=name)
    return values[0] if values else None


def prefer(header: str | None) -> Prefer:
    """The preferences of a Prefer header that are known; others are ignored, as RFC 7240 says."""
    if not header:
        return USUAL
    returns, strict, applied = "", True, []
    for part in re.split(r"[,;]", header or ""):
        name, _, value = (piece.strip().strip('"') for piece in part.partition("="))
        if name.lower() == "return" and value in ("minimal", "representation", "OperationOutcome") and not returns:
            returns = value
            applied.append(f"return={value}")
        elif name.lower() == "handling" and value in ("strict", "lenient"):
            strict = value == "strict"
            applied.append(f"handling={value}")
    return Prefer(returns, strict, tuple(applied))


def versions(header: str | None) -> tuple[str, ...]:
    """The versions that an If-Match or If-None-Match names: `W/"3"`, `"3"`, a list, or `*`. Errors: Invalid for an empty one."""
    if header is None:
        return ()
    found = tuple(re.sub(r'^(?:W/)?"(.*)"$', r"\1", part.strip()) for part in header.split(",") if part.strip())
    if not found:
        raise Invalid('An entity tag is written W/"1".')
    return found


def tag(entry: Entry) -> str:
    return f'W/"{entry.version}"'


def modified(entry: Entry) -> str:
    """The time of a version as an HTTP date (whole seconds)."""
    return _date(entry.updated // 1_000_000)


@lru_cache(10_000)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def located(entry: Entry, base: str) -> str:
    """The address of a version."""
    return f"{base}/{entry.type}/{entry.id}/_history/{entry.version}"
