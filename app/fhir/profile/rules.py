"""What an ElementDefinition demands of one element: its types, values, limits, codes and constraints. https://hl7.org/fhir/R4/elementdefinition.html

A check is a function of a node and the run that is asked; it tells what is wrong.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

from app.fhir.bindings import SAYING, Bound, bound
from app.fhir.path import Node
from app.fhir.path.fhir import reference_text, referred_type
from app.fhir.path.node import is_a
from app.fhir.path.values import KINDS
from app.fhir.profile.tree import EXTENSIONS, Part
from app.fhir.profile.values import fits, same, shown

Check = Callable[[Node, "object"], None]


def checks(part: Part) -> tuple[Check, ...]:
    """What is asked of each element that a part is about; its types are those of the most special definition that names them."""
    types = part.types()
    narrow = part.name and any(part.given != type.get("code") or type.keys() & {"profile", "targetProfile", "aggregation"} for type in types)
    return (*([_types(types)] if narrow and "." not in part.given else []), *(check for said in part.said for key, value in said.items() for check in _checks(key, value)))


def _checks(key: str, value) -> Iterator[Check]:
    if key.startswith("fixed"):
        yield _held(value, same, "must be exactly")
    elif key.startswith("pattern"):
        yield _held(value, fits, "must have")
    elif key.startswith(("minValue", "maxValue")):
        yield _limit(key, value)
    elif key == "maxLength":
        yield _length(value)
    elif key == "binding" and value.get("strength") in ("required", "extensible") and (values := bound(value.get("valueSet", "").partition("|")[0])):
        yield _bound(values, value["strength"] == "required")
    elif key == "constraint":
        yield from (_rule(rule) for rule in value if rule.get("expression"))


def _held(wanted, holds, must: str) -> Check:
    text = f"{must} {shown(wanted)}"

    def check(node, run):
        if not holds(node.value, wanted):
            run.tell(node, "value", f"{node.name} {text}, not {shown(node.value) if node.value is not None else 'empty'}")
    return check


def _limit(key: str, limit) -> Check:
    """A Quantity beside a date or time is a span before now, which is not judged here."""
    low, type = key.startswith("min"), key[8:]
    type = type[:1].lower() + type[1:] if type != "Quantity" else type
    text = f"$this {'>=' if low else '<='} %limit"

    def check(node, run):
        if (type == "Quantity") == (KINDS.get(node.type) == "Quantity") and node.value is not None and run.breaks(text, node, key, limit=Node(limit, type)):
            run.tell(node, "value", f"{node.name} is {'at least' if low else 'at most'} {shown(limit)}, not {shown(node.value)}")
    return check


def _length(most: int) -> Check:
    def check(node, run):
        if isinstance(node.value, str) and len(node.value) > most:
            run.tell(node, "too-long", f"{node.name} has {most} characters at most, not {len(node.value)}")
    return check


def _bound(values: Bound, required: bool) -> Check:
    def check(node, run):
        if node.value is not None and not (isinstance(node.value, dict) and node.value.keys().isdisjoint(SAYING)) and not meets(node, values):
            code = node.value if isinstance(node.value, str) else next((code for _, code in _codings(node)), None)
            run.tell(node, "code-invalid", values.refusal(code).rstrip(".") if code else f"{node.name} has no code of {values.url}", "error" if required else "warning")
    return check


def meets(node: Node, values: Bound) -> bool:
    """A code, Coding, CodeableConcept or Quantity is of a value set."""
    if isinstance(node.value, dict):
        return any(values.holds(system, code) for system, code in _codings(node))
    return isinstance(node.value, str) and values.system(node.value) is not None


def _codings(node: Node) -> list[tuple[str, str]]:
    """(system, code) of what has a code."""
    listed = node.value.get("coding", ()) if node.type == "CodeableConcept" else (node.value,)
    found = [(each.get("system", ""), each.get("code")) for each in listed if isinstance(each, dict)]
    return [(system, code) for system, code in found if isinstance(system, str) and isinstance(code, str)]


def _rule(rule: dict) -> Check:
    key = rule.get("key", "A rule without a key")

    def check(node, run):
        if run.breaks(rule["expression"], node, key):
            run.tell(node, "invariant", f"{key}: {rule.get('human', rule['expression'])}", rule.get("severity", "error"))
    return check


def _types(types: list[dict]) -> Check:
    """One of the types, with one of its profiles."""
    def check(node, run):
        able = [type for type in types if _is(node, type.get("code", ""))]
        if not able:
            run.tell(node, "structure", f"{node.name} must be {' or '.join(type.get('code', '') for type in types)}, not {node.type}")
        elif node.type == "Reference":
            _target([url for type in able for url in type.get("targetProfile", ())], {how for type in able for how in type.get("aggregation", ())}, node, run)
        elif node.name not in EXTENSIONS and all(type.get("profile") for type in able):
            run.held(node, [url for type in able for url in type["profile"]])
    return check


def _is(node: Node, code: str) -> bool:
    return code.startswith("http://hl7.org/fhirpath/") or is_a(node.type, code)


def _target(targets: list[str], aggregation: set[str], node: Node, run) -> None:
    """What a Reference points to, as far as it can be told: the type by its text, a profile only of what stands in the same resource or bundle."""
    text = reference_text(node)
    if text and aggregation and ("contained" if text[0] == "#" else "referenced") not in aggregation and not ("bundled" in aggregation and text[0] != "#"):
        run.tell(node, "structure", f"{node.name} is {' or '.join(sorted(aggregation))} here, not {shown(text)}")
    type = referred_type(run.evaluation(node), node) if targets else None
    if type is None:
        return
    known = [(url, run.library.type(url)) for url in targets]
    able = [url for url, of in known if of is None or is_a(type, of)]
    if not able:
        run.tell(node, "structure", f"{node.name} refers to a {' or '.join(sorted({of for _, of in known}))}, not to a {type}")
    elif not any(run.library.profile(url) is None for url in able) and (found := run.target(node)) is not None:
        if not any(run.conforms(found, url) for url in able):
            run.tell(node, "structure", f"{node.name} refers to what is as one of {', '.join(able)} says, and {shown(text)} is not")
