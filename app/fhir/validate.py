"""What a resource must be: structure by the definitions (elements, cardinality, formats, choices, required bindings), then the invariants and the profiles. All issues at once.

https://hl7.org/fhir/R4/validation.html. Each type is compiled once into a table of checks; the invariants are judged in `invariants`, profiles in `profile`.
"""
from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from app.errors import Issue
from app.fhir import bindings, definitions, invariants, narrative, primitive, profile, reference, sure

MOST = 200
"""Issues that one validation reports; a resource with more is wrong enough."""
_LIKE = {
    "Reference": '{"reference": "Patient/1"}', "CodeableConcept": '{"coding": [{"system": "http://loinc.org", "code": "718-7"}], "text": "..."}', "Coding": '{"system": "http://loinc.org", "code": "718-7"}',
    "Identifier": '{"system": "https://...", "value": "..."}', "HumanName": '{"family": "...", "given": ["..."]}', "Quantity": '{"value": 5.4, "unit": "mmol/L"}', "Period": '{"start": "2026-02-03", "end": "2026-02-04"}',
    "Address": '{"text": "..."}', "ContactPoint": '{"system": "phone", "value": "..."}', "Annotation": '{"text": "..."}', "Narrative": '{"status": "generated", "div": "<div ...>...</div>"}',
    "Money": '{"value": 12.50, "currency": "CNY"}', "Attachment": '{"contentType": "application/pdf", "url": "https://..."}', "Extension": '{"url": "https://...", "valueString": "..."}',
}
"""How a usual type is written, for messages."""


def validate(resource: dict, type: str | None = None, *, warnings: bool = False, profiles: tuple[str, ...] = (), library: profile.Library | None = None) -> list[Issue]:
    """All that is wrong with a resource: by R4 and, where its structure is right, by the profiles that it claims, those asked for by url, and the
    definitions of its extensions; what is no error only with `warnings`. Errors: TooCostly."""
    right, more = sure.resource(resource, type) if not warnings else (False, True)
    issues = [] if right else by_r4(resource, type, warnings=warnings)
    if (more or profiles or not right) and not any(issue.code == "structure" for issue in issues):
        told = {(issue.code, issue.expression) for issue in issues}
        issues += [i for i in profile.check(resource, profiles, library) if (warnings or i.severity == "error") and (i.code, i.expression) not in told]
    return _most(issues)


def by_r4(resource: dict, type: str | None = None, *, warnings: bool = False) -> list[Issue]:
    """What R4 itself says: of the structure and, where that is right, by the invariants; those of best practice only with `warnings`. Errors: TooCostly."""
    issues = structure(resource, type, warnings=warnings)
    if not any(issue.code == "structure" for issue in issues):
        issues += invariants.check(resource, warnings=warnings)
    return _most(issues)


def _most(issues: list[Issue]) -> list[Issue]:
    """Where there are too many, errors before others."""
    return issues if len(issues) <= MOST else sorted(issues, key=lambda issue: issue.severity != "error")[:MOST]


def structure(resource: dict, type: str | None = None, *, warnings: bool = False) -> list[Issue]:
    """The issues of a resource's structure, errors first. Never raises on what JSON can say.

    Each issue has a code of http://hl7.org/fhir/issue-type and a FHIRPath expression of the place.
    """
    issues = _Found(warnings)
    _resource(resource, type or "", "", issues, 0)
    return (issues + (issues.warnings or []))[:MOST]


class _Found(list):
    """The errors, beside them the warnings where they are asked for, and the types of what references may name where the validation is:
    contained resources by `#id`, entries by their fullUrl."""

    def __init__(self, warnings: bool):
        super().__init__()
        self.warnings: list[Issue] | None = [] if warnings else None
        self.contained: dict[str, str] = {}
        self.entries: dict[str, str] = {}


def _types(listed, name) -> dict[str, str]:
    """Name -> type of the resources in a list, as far as they are ones; name: of (item) -> (name, resource)."""
    pairs = [name(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else ()
    return {name: each["resourceType"] for name, each in pairs if isinstance(name, str) and isinstance(each, dict) and isinstance(each.get("resourceType"), str)}


def _resource(value, wanted: str, path: str, issues: list[Issue], depth: int) -> None:
    if not isinstance(value, dict):
        issues.append(Issue("error", "structure", "A resource is a JSON object.", path or wanted or "Resource"))
        return
    type = value.get("resourceType")
    if not isinstance(type, str) or not definitions.is_resource(type):
        near = get_close_matches(type, definitions.RESOURCE_TYPES, 1) if isinstance(type, str) else ()
        issues.append(Issue("error", "structure", f"{type!r} is no resource type of R4{f'; {near[0]} is' if near else ''}." if type is not None else "resourceType is missing.", path or "Resource"))
        return
    if wanted and type != wanted:
        issues.append(Issue("error", "structure", f"The resource is a {type}, not a {wanted}.", path or type))
    around = issues.contained, issues.entries
    if not path.rpartition(".")[2].startswith("contained["):
        issues.contained = _types(value.get("contained"), lambda each: (f"#{each.get('id')}", each))
    if type == "Bundle":
        issues.entries = _types(value.get("entry"), lambda each: (each.get("fullUrl"), each.get("resource")))
    _object(value, type, path or type, issues, depth + 1)
    if type == "Bundle":
        _addresses(value.get("entry"), path or type, issues)
    issues.contained, issues.entries = around


def _addresses(entries, path: str, issues: list[Issue]) -> None:
    """The fullUrl of an entry that ends in a type and an id agrees with the resource in it. https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl"""
    for step, entry in enumerate(entries if isinstance(entries, list) else ()):
        url, resource = (entry.get("fullUrl"), entry.get("resource")) if isinstance(entry, dict) else (None, None)
        named = reference.parse(url) if isinstance(url, str) and isinstance(resource, dict) else None
        if named is None or not named.id:
            continue
        said, own = f"{named.type}/{named.id}", f"{resource.get('resourceType')}/{resource.get('id', named.id)}"
        if said != own:
            issues.append(Issue("error", "value", f"The fullUrl ends in {said}, but the resource is {own}: let them agree, or let the fullUrl be a urn:uuid.", f"{path}.entry[{step}].fullUrl"))


def _object(value, type: str, path: str, issues: list[Issue], depth: int) -> None:
    """An object of a complex type or an anonymous part."""
    if not isinstance(value, dict):
        issues.append(Issue("error", "structure", f"{primitive._shown(value)} stands where an object ({type}) belongs{f', such as {_LIKE[type]}' if type in _LIKE else ''}.", path))
        return
    if depth > sure.DEPTH or len(issues) >= MOST:
        if depth > sure.DEPTH:
            issues.append(Issue("error", "structure", f"It is nested deeper than {sure.DEPTH} elements.", path))
        return
    table, required, choices = _compiled(type)
    if not value or (len(value) == 1 and "id" in value and type != "Element" and not definitions.is_resource(type)):
        issues.append(Issue("error", "structure", "An element has a value or children; leave out what is empty.", path))
        return
    for key, item in value.items():
        check = table.get(key)
        if check is not None:
            check(item, value, key, path, issues, depth)
        elif key != "resourceType" or "." in type or not definitions.is_resource(type):
            _unknown(key, type, path, issues)
    for name, keys in required:
        if not any(k in value or "_" + k in value for k in keys):
            issues.append(Issue("error", "required", f"{name} is missing; {type} must have it: {_wanted(type, keys)}.", f"{path}.{name}"))
    for name, keys in choices:
        there = [k for k in keys if k in value or "_" + k in value]
        if len(there) > 1:
            issues.append(Issue("error", "structure", f"Only one of {', '.join(there)} may stand here: {name}[x] is a choice.", f"{path}.{name}"))


def _wanted(type: str, keys: tuple[str, ...]) -> str:
    """What would be right where nothing stands."""
    if len(keys) > 1:
        return f"one of {', '.join(keys)}"
    element = definitions.elements(type)[keys[0]]
    values = bindings.required(element) if element.type == "code" else None
    codes = values.codes if values and values.codes else ()
    if 0 < len(codes) <= 30:
        meant = f"one of {', '.join(sorted(codes))}"
    elif element.targets and "Resource" not in element.targets:
        meant = f"a {element.type} to a {' or '.join(element.targets)}"
    elif element.type in primitive._CHECKS:
        meant = primitive.meant(element.type)
    else:
        meant = f"an object{'' if '.' in element.type else f' ({element.type})'}{f' such as {_LIKE[element.type]}' if element.type in _LIKE else ''}"
    return meant if element.max == 1 else f"a list, each {meant}"


def _unknown(key: str, type: str, path: str, issues: list[Issue]) -> None:
    if key == "fhir_comments":
        text = "fhir_comments are not part of R4."
    else:
        near = get_close_matches(key.lstrip("_"), definitions.elements(type), 1)
        text = f"{type} has no element {key!r}" + (f"; did you mean {near[0]!r}?" if near else ".")
    issues.append(Issue("error", "structure", text, f"{path}.{key}" if re.fullmatch(r"_?[A-Za-z]\w*", key) else path))


@lru_cache(None)
def _compiled(type: str):
    """(JSON property -> check, required elements, choices) of a type."""
    known = definitions.elements(type)
    table, required = {}, []
    for key, element in known.items():
        single = _single(element)
        table[key] = _listed(single, element) if element.max != 1 else _one(single, element)
        if key == "contained":
            table[key] = _contained(table[key])
        if definitions.kind(element.type) == "primitive-type":
            table["_" + key] = _beside(element)
        if element.min > 0:
            required.append((element.name, (key,)))
    choices = definitions.choices(type)
    required += [(f"{name}[x]", keys) for name, (low, keys) in choices.items() if low > 0]
    return table, required, [(name, keys) for name, (_, keys) in choices.items() if len(keys) > 1]


def _one(single, element):
    name = element.name

    def check(item, parent, key, path, issues, depth):
        if isinstance(item, list):
            issues.append(Issue("error", "structure", f"{key} holds one value, not a list.", f"{path}.{name}"))
        elif item is None:
            issues.append(Issue("error", "structure", f"{key} is null; leave out what is empty.", f"{path}.{name}"))
        else:
            single(item, f"{path}.{name}", issues, depth)
    return check


def _listed(single, element):
    name, most, primitive_ = element.name, element.max, definitions.kind(element.type) == "primitive-type"

    def check(item, parent, key, path, issues, depth):
        if not isinstance(item, list):
            issues.append(Issue("error", "structure", f"{key} is a list, even of one.", f"{path}.{name}"))
            return
        if not item:
            issues.append(Issue("error", "structure", f"{key} is an empty list; leave it out.", f"{path}.{name}"))
        if 0 <= most < len(item):
            issues.append(Issue("error", "structure", f"{key} may hold {most} at most, not {len(item)}.", f"{path}.{name}"))
        beside = parent.get("_" + key) if primitive_ else None
        for step, each in enumerate(item):
            if each is None and isinstance(beside, list) and step < len(beside) and beside[step] is not None:
                continue
            if each is None:
                issues.append(Issue("error", "structure", f"{key} holds null where nothing stands beside it in _{key}.", f"{path}.{name}[{step}]"))
            else:
                single(each, f"{path}.{name}[{step}]", issues, depth)
    return check


def _contained(listed):
    """Each has an id, by which it is referred to. https://hl7.org/fhir/R4/references.html#contained"""
    def check(item, parent, key, path, issues, depth):
        listed(item, parent, key, path, issues, depth)
        seen: set[str] = set()
        for step, each in enumerate(item if isinstance(item, list) else ()):
            id = each.get("id") if isinstance(each, dict) else ""
            if id is None:
                issues.append(Issue("error", "required", "A contained resource has an id, by which it is referred to.", f"{path}.contained[{step}].id"))
            elif isinstance(id, str) and id:
                if id in seen:
                    issues.append(Issue("error", "duplicate", f"Two contained resources have the id {id!r}; give each its own.", f"{path}.contained[{step}].id"))
                seen.add(id)
    return check


def _beside(element):
    """`_name`: ids and extensions of a primitive."""
    name, many = element.name, element.max != 1

    def check(item, parent, key, path, issues, depth):
        items = item if many and isinstance(item, list) else [item]
        if many != isinstance(item, list):
            issues.append(Issue("error", "structure", f"{key} is {'a list' if many else 'one object'}, as {key[1:]} is.", f"{path}.{name}"))
            return
        if many and isinstance(parent.get(key[1:]), list) and len(parent[key[1:]]) != len(item):
            issues.append(Issue("error", "structure", f"{key} and {key[1:]} have different lengths; null fills the gaps.", f"{path}.{name}"))
        if not items or all(each is None for each in items):
            issues.append(Issue("error", "structure", f"{key} is empty; leave it out.", f"{path}.{name}"))
        for step, each in enumerate(items):
            if each is not None:
                place = f"{path}.{name}[{step}]" if many else f"{path}.{name}"
                _object(each, "Element", place, issues, depth + 1)
                value = parent.get(key[1:])
                value = value if not many else value[step] if isinstance(value, list) and step < len(value) else None
                if value is None and isinstance(each, dict) and "id" in each and "extension" not in each:
                    issues.append(Issue("error", "structure", f"{key} has an id and neither a value in {key[1:]} nor an extension that says why.", place))
    return check


def _single(element):
    """The check of one value of an element: (value, path, issues, depth)."""
    type = element.type
    kind = definitions.kind(type)
    if kind == "primitive-type":
        return _primitive(type, element)
    if type == "Resource":
        return lambda value, path, issues, depth: _resource(value, "", path, issues, depth)
    if type == "Reference":
        return _reference(frozenset() if "Resource" in element.targets else frozenset(element.targets))
    if type in ("Coding", "CodeableConcept"):
        return _coded(type, bindings.coded(element))
    return lambda value, path, issues, depth: _object(value, type, path, issues, depth + 1)


def _primitive(type: str, element):
    good, check = primitive._CHECKS[type], primitive.check
    allowed = bindings.code(element) if type == "code" else None

    def single(value, path, issues, depth):
        if not good(value):
            issues.append(Issue("error", "value", check(type, value), path))
        elif allowed:
            allowed(value, path, issues)

    def div(value, path, issues, depth):
        wrong = narrative.problem(value) if good(value) else check(type, value)
        if wrong:
            issues.append(Issue("error", "value", wrong, path))
    return div if type == "xhtml" else single


def _reference(targets: frozenset[str]):
    """https://hl7.org/fhir/R4/references.html#Reference; without targets, to any type."""
    def single(value, path, issues, depth):
        _object(value, "Reference", path, issues, depth + 1)
        if not isinstance(value, dict):
            return
        said, stated = value.get("reference"), value.get("type")
        stated = stated.removeprefix(reference.BASE) if isinstance(stated, str) else None
        named = issues.contained.get(said) or issues.entries.get(said) or reference.named(said) if isinstance(said, str) else None
        type = named or stated
        if targets and type not in targets and type is not None and definitions.is_resource(type):
            issues.append(Issue("error", "structure", f"A {type} cannot be referred to here; a {' or '.join(sorted(targets))} can.", path))
        if named and stated and named != stated:
            issues.append(Issue("error", "structure", f"The reference is to a {named}, but its type says {stated}: leave the type out, or let it say {named}.", f"{path}.type"))
    return single


def _coded(type: str, check):
    def single(value, path, issues, depth):
        before = len(issues)
        _object(value, type, path, issues, depth + 1)
        if before == len(issues) < MOST:
            check(value, path, issues)
    return single
