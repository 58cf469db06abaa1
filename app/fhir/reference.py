"""References: what their text says, where they stand in a resource, and putting others in their place. http://hl7.org/fhir/R4/references.html and http://hl7.org/fhir/R4/http.html#trules"""
from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.fhir import definitions

_ID = r"[A-Za-z0-9\-.]{1,64}"
_LITERAL = re.compile(rf"(?:(?P<base>https?://[^\s?#|]+?)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>{_ID})(?:/_history/(?P<version>{_ID}))?(?P<tail>[|#].*)?", re.DOTALL)
_CONDITIONAL = re.compile(r"(?:(?P<base>https?://[^\s?#|]+?)/)?(?P<type>[A-Z][A-Za-z]+)\?(?P<query>[^\s#]+)")
_URN = re.compile(r"urn:(?:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|oid:[0-2](?:\.(?:0|[1-9]\d*))+)")


@dataclass(frozen=True, slots=True)
class Reference:
    """The parts of a reference's text; each is '' where it has none.

    `type`, `id`, `version` of a literal reference to a resource; `base` is the absolute server base, '' for a relative
    one (and for one under our own base); `fragment` is what stands after '#' (a contained resource's id); `query` of a
    conditional reference (`Patient?identifier=1`); `urn` is the whole text of a urn:uuid or urn:oid.
    """

    text: str
    type: str = ""
    id: str = ""
    version: str = ""
    base: str = ""
    fragment: str = ""
    query: str = ""
    urn: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it names a resource (or a search for one) on this server."""
        return not self.base and bool(self.type)

    @property
    def is_contained(self) -> bool:
        return self.text.startswith("#")


def parse(text: str, base: str | None = None) -> Reference:
    """The parts of a reference. A text that is none of the known forms (some other URL) gives a Reference with nothing but its text.

    `base`: our own server's base URL; what stands under it is local.
    """
    if text.startswith("#"):
        return Reference(text, fragment=text[1:])
    if text[:4].lower() == "urn:":
        plain, _, fragment = text.partition("#")
        return Reference(text, urn=plain, fragment=fragment) if _URN.fullmatch(plain) else Reference(text)
    rest, own = text, False
    if base and text.startswith(base.rstrip("/") + "/"):
        rest, own = text[len(base.rstrip("/")) + 1:], True
    for pattern in (_LITERAL, _CONDITIONAL):
        match = pattern.fullmatch(rest)
        if match is not None and definitions.is_resource(match["type"]) and not (own and match["base"]):
            return _matched(text, match.groupdict(""))
    return Reference(text)


def _matched(text: str, parts: dict) -> Reference:
    tail = parts.get("tail", "")
    fragment = tail.partition("#")[2]
    version = tail[1:].partition("#")[0] if tail.startswith("|") else parts.get("version", "")
    return Reference(text, parts["type"], parts.get("id", ""), version, parts["base"], fragment, parts.get("query", ""))


_TYPE = re.compile(rf"(?:https?://\S*/)?([A-Z][A-Za-z]+)(?:/{_ID}(?:/_history/{_ID})?(?:[|#]\S*)?|\?\S+)")


def type_of(text: str) -> str | None:
    """The resource type that a reference's text names, or None (a urn, a fragment, any other URL)."""
    match = _TYPE.fullmatch(text)
    return match[1] if match is not None and definitions.is_resource(match[1]) else None


BASE = "http://hl7.org/fhir/StructureDefinition/"
_SIMPLE = re.compile(rf"([A-Z][A-Za-z]+)/{_ID}")
_ENDING = re.compile(rf"(?:^|/)([A-Z][A-Za-z]+)/{_ID}(?:/_history/{_ID})?$")


def named(text: str) -> str | None:
    """The resource type of what a reference names, where its text tells: by `Type/id`, at the end of any URL too, or by `Type?query`."""
    match = _SIMPLE.fullmatch(text)
    if match is not None:
        type = match[1]
    elif "?" in text:
        type = text.partition("?")[0]
    else:
        match = _ENDING.search(text) if not text.startswith("urn:") else None
        type = match[1] if match else None
    return type if type is not None and definitions.is_resource(type) else None


def is_conditional(text: str) -> bool:
    """Whether a reference's text is a search that is relative to the base: `Type?query`, even one that cannot be parsed."""
    type, mark, _ = text.partition("?")
    return bool(mark) and definitions.is_resource(type)


# ---- where references stand

_URI_TYPES = frozenset(("uri", "url", "canonical", "oid", "uuid"))
_REWRITTEN = _URI_TYPES - {"canonical"}
_NARRATIVE = re.compile(r"""(<(?:a|img)\b(?:[^<>"']|"[^"]*"|'[^']*')*?\s(?:href|src)\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)


def walk(resource: dict) -> Iterator[tuple[str, dict | list, str | int, str]]:
    """(path, holder, key, value) of everything in a resource that may refer to another.

    That is each Reference.reference, each element of type uri, url, canonical, oid or uuid, and each narrative div
    that has a link (its value is the whole div; see `links`). `holder[key]` is the value; in a list of primitives the
    holder is the list and the key an index. Contained and bundled resources are walked too.
    """
    root = _actual("Resource", resource)
    stack = [(root, root, resource)]
    while stack:
        type, path, value = stack.pop()
        below = []
        for key, child in value.items():
            kind = _kind(type, key)
            if kind is None or child is None:
                continue
            name = f"{path}.{key}"
            if child.__class__ is list:
                for index, item in enumerate(child):
                    if item.__class__ is dict:
                        below.append((_actual(kind, item), f"{name}[{index}]", item))
                    elif item.__class__ is str and _may_refer(kind, item):
                        yield f"{name}[{index}]", child, index, item
            elif child.__class__ is dict:
                below.append((_actual(kind, child), name, child))
            elif child.__class__ is str and (kind == "reference" or _may_refer(kind, child)):
                yield name, value, key, child
        stack += reversed(below)


def _actual(kind: str, value: dict) -> str:
    if kind != "Resource":
        return kind
    type = value.get("resourceType")
    return type if type.__class__ is str else kind


def _may_refer(kind: str, value: str) -> bool:
    return kind in _URI_TYPES or kind == "reference" or kind == "xhtml" and _NARRATIVE.search(value) is not None


_KINDS: dict[str, dict[str, str]] = {}


def _kinds(type: str) -> dict[str, str]:
    """JSON property -> type, of those properties of a type that are complex or may refer; 'reference' for Reference.reference."""
    found = _KINDS.get(type)
    if found is None:
        try:
            found = {key: element.type for key, element in definitions.elements(type).items()
                     if element.type[:1].isupper() or element.type in _URI_TYPES or element.type == "xhtml"}
        except KeyError:
            return {}
        if type == "Reference":
            found["reference"] = "reference"
        _KINDS[type] = found
    return found


def _kind(type: str, key: str) -> str | None:
    """As `_kinds`, and 'Element' for what stands beside a primitive (`_birthDate`)."""
    return "Element" if key[:1] == "_" else _kinds(type).get(key)


def links(div: str) -> list[str]:
    """The targets of a narrative's links and images (a href, img src), as text without XML escapes."""
    return [html.unescape(match[2][1:-1]) for match in _NARRATIVE.finditer(div)]


def rewrite(resource: dict, mapping: Callable[[str], str | None]) -> dict:
    """The resource with every reference for which `mapping` gives another text replaced; None leaves one as it is.

    As the transaction rules say, these are Reference.reference, elements of type uri, url, oid and uuid, and narrative
    links, but not canonicals; a conditional reference (with a '?') is one only in Reference.reference. The input is not changed; parts where nothing changes are shared with the result, and if nothing changes at all the
    result is the input itself. A transaction passes a mapping from its entries' fullUrls and conditional references.
    """
    return _rewritten(_actual("Resource", resource), resource, mapping)


def _rewritten(type: str, value: dict, mapping) -> dict:
    changed, kinds = None, _KINDS.get(type) or _kinds(type)
    if type == "Bundle":
        mapping = _outside(value, mapping)
    for key, child in value.items():
        kind = kinds.get(key)
        if kind is None:
            if key[:1] != "_":
                continue
            kind = "Element"
        if child.__class__ is str:
            new = _renamed(kind, child, mapping)
        elif child.__class__ is dict:
            new = _rewritten(_actual(kind, child) if kind == "Resource" else kind, child, mapping)
        elif child.__class__ is list:
            new = _relisted(kind, child, mapping)
        else:
            continue
        if new is not child:
            if changed is None:
                changed = dict(value)
            changed[key] = new
    return value if changed is None else changed


def entries(bundle: dict) -> set[str]:
    """What the references within a bundle may call its entries: their fullUrls, and `Type/id` of those that end so (http://hl7.org/fhir/R4/bundle.html#references)."""
    given = bundle.get("entry")
    urls = {e["fullUrl"] for e in given if isinstance(e, dict) and isinstance(e.get("fullUrl"), str)} if isinstance(given, list) else set()
    return urls | {f"{found.type}/{found.id}" for found in map(parse, urls) if found.id}


def _outside(bundle: dict, mapping):
    """The mapping without a bundle's own entries: within it, those are what its references mean."""
    own = entries(bundle)
    return lambda text: None if text in own else mapping(text)


def _relisted(kind: str, items: list, mapping) -> list:
    changed = None
    for index, item in enumerate(items):
        if item.__class__ is dict:
            new = _rewritten(_actual(kind, item) if kind == "Resource" else kind, item, mapping)
        elif item.__class__ is str:
            new = _renamed(kind, item, mapping)
        else:
            continue
        if new is not item:
            if changed is None:
                changed = list(items)
            changed[index] = new
    return items if changed is None else changed


def _renamed(kind: str, text: str, mapping) -> str:
    if kind == "reference" or kind in _REWRITTEN and not is_conditional(text):
        other = mapping(text)
        return text if other is None or other == text else other
    return _relinked(text, mapping) if kind == "xhtml" else text


def _relinked(div: str, mapping) -> str:
    def link(match):
        quote, target = match[2][0], match[2][1:-1]
        other = mapping(html.unescape(target)) if not is_conditional(target) else None
        return match[0] if other is None else f"{match[1]}{quote}{html.escape(other, quote=True)}{quote}"
    new = _NARRATIVE.sub(link, div)
    return div if new == div else new
