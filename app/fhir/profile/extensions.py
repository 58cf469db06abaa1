"""Extensions held against their definitions: value, number, context, modifier or not. https://hl7.org/fhir/R4/defining-extensions.html

An extension whose definition is not known is right: whoever does not know it passes over it. Of a modifier that cannot be done; it is a warning.
"""
from __future__ import annotations

from app.fhir import definitions
from app.fhir.path import Node
from app.fhir.path.node import member, properties
from app.fhir.profile.tree import BASE, EXTENSIONS

Trail = tuple[tuple[str, "int | None"], ...]


def places(resource: dict) -> tuple[list[Trail], list[Trail]]:
    """(resources that claim profiles, objects that have extensions): the steps (property, index) to each from the resource."""
    claims: list[Trail] = []
    extended: list[Trail] = []
    _walk(resource, (), claims, extended)
    return claims, extended


def _walk(value: dict, trail: Trail, claims: list, extended: list) -> None:
    if "resourceType" in value and isinstance(meta := value.get("meta"), dict) and isinstance(meta.get("profile"), list):
        claims.append(trail)
    if "extension" in value or "modifierExtension" in value:
        extended.append(trail)
    for key, item in value.items():
        if item.__class__ is dict:
            _walk(item, (*trail, (key, None)), claims, extended)
        elif item.__class__ is list:
            for index, each in enumerate(item):
                if each.__class__ is dict:
                    _walk(each, (*trail, (key, index)), claims, extended)


def at(root: Node, trail: Trail) -> Node | None:
    """The element at a trail; None where the definitions have none."""
    node = root
    for key, index in trail:
        holder, bare = node.value if node.value.__class__ is dict else node.extra, key.removeprefix("_")
        element = properties(node.type if holder is node.value else "Element").get(bare)
        if element is None:
            return None
        value, extra = (_item(holder.get(name), index) for name in (bare, "_" + bare))
        type = value.get("resourceType") if element.type == "Resource" and value.__class__ is dict else element.type
        node = Node(value, type, node, bare, element.name, index, extra)
    return node


def _item(value, index: int | None):
    return value[index] if value.__class__ is list and index is not None and index < len(value) else value if index is None else None


def judge(parent: Node, run) -> None:
    """Each extension of an element."""
    times: dict[str, int] = {}
    for node in (each for name in EXTENSIONS for each in member([parent], name)):
        url = node.value.get("url") if node.value.__class__ is dict else None
        if not isinstance(url, str):
            continue
        run.profile = profile = run.library.profile(url)
        if profile is not None:
            times[url] = times.get(url, 0) + 1
            _defined(node, parent, profile, times[url], run)
        elif node.name == "modifierExtension":
            run.tell(node, "extension", f"{url} is not known here; whoever does not know what it means must not use what it modifies", "warning")
        elif url.startswith(BASE):
            run.tell(node, "extension", f"{url} is not one of R4's extensions", "warning")


def _defined(node: Node, parent: Node, profile, time: int, run) -> None:
    if profile.type != "Extension":
        run.tell(node, "extension", f"It is defined as a profile of {profile.type}, not as an extension")
        return
    if profile.modifier != (node.name == "modifierExtension"):
        run.tell(node, "extension", f"It is a {'modifierExtension' if profile.modifier else 'plain extension'} and stands among the others")
    if profile.root.high is not None and time > profile.root.high:
        run.tell(node, "structure", f"It may be there {profile.root.high} times, not {time}")
    contexts = profile.structure.get("context", ())
    if contexts and not any(_may(parent, each, run) for each in contexts):
        run.tell(node, "extension", f"It may not stand at {_elements(parent)[0]}; it may at {', '.join(each.get('expression', '') for each in contexts)}")
    for rule in profile.structure.get("contextInvariant", ()):
        if rule and run.breaks(rule, parent, "Where it may stand", extension=node):
            run.tell(node, "extension", f"It may stand only where {rule}")
    run.judge(node, profile)


def _may(parent: Node, context: dict, run) -> bool:
    kind, expression = context.get("type"), context.get("expression", "")
    if kind == "extension":
        return parent.type == "Extension" and parent.value.get("url") == expression
    if kind == "fhirpath":
        found = run.ask(expression, parent.resource, "Where it may stand")
        return found is None or any(each.path == parent.path for each in found)
    return expression.rpartition("#")[2] in _elements(parent)


def _elements(node: Node) -> list[str]:
    """What a context may call an element: by its place in its type, by its place in the resource, by its types; anything is an Element."""
    names, each = [], node
    while each.parent is not None and not (each.value.__class__ is dict and "resourceType" in each.value):
        names.append(each.name)
        each = each.parent
    whole = ".".join([each.type, *reversed(names)])
    own = [f"{node.parent.type}.{node.name}"] if names else []
    return [*own, whole, *(f"{name}[x]" for name in (*own, whole)), *definitions.ancestors(node.type), "Element"]
