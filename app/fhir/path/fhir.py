"""The functions and variables that FHIR adds to FHIRPath. http://hl7.org/fhir/R4/fhirpath.html#functions"""
from __future__ import annotations

from app.fhir import narrative, reference
from app.fhir.path.evaluation import Evaluation, single
from app.fhir.path.node import Node, boolean, constant, is_a, member, properties
from app.fhir.path.syntax import BadExpression
from app.fhir.path.values import KINDS

CONSTANTS = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}


def variable(run: Evaluation, name: str) -> list[Node]:
    """`%name`. BadExpression for one that nobody defined."""
    if name == "context":
        return [run.context]
    if name in run.env:
        found = run.env[name]
        return found if found.__class__ is list else [found if isinstance(found, Node) else _constant(found)]
    if name in ("resource", "rootResource"):
        return [run.context.resource if name == "resource" else run.context.root]
    if name in CONSTANTS:
        return [constant("String", CONSTANTS[name])]
    if name.startswith(("vs-", "ext-")):
        return [constant("String", f"http://hl7.org/fhir/{'ValueSet' if name[0] == 'v' else 'StructureDefinition'}/{name.partition('-')[2]}")]
    raise BadExpression(f"%{name} is not defined")


def _constant(value) -> Node:
    if value.__class__ is dict:
        return Node(value, value.get("resourceType", "Element"))
    return constant("Boolean" if value.__class__ is bool else "Integer" if value.__class__ is int else "String" if value.__class__ is str else "Decimal", value)


def _extension(run: Evaluation, nodes: list, url: list) -> list:
    wanted = single(url, "String")
    return [node for node in member(nodes, "extension") if node.value.__class__ is dict and node.value.get("url") == wanted]


def _has_extension(run: Evaluation, nodes: list, url: list) -> list:
    return boolean(bool(_extension(run, nodes, url)))


def _has_value(run: Evaluation, nodes: list) -> list:
    return boolean(len(nodes) == 1 and nodes[0].type in KINDS and nodes[0].value is not None and nodes[0].value.__class__ is not dict)


def _get_value(run: Evaluation, nodes: list) -> list:
    return [Node(nodes[0].value, f"System.{KINDS[nodes[0].type]}", nodes[0], "value", "value")] if _has_value(run, nodes)[0].value else []


def resolve(run: Evaluation, nodes: list) -> list:
    """What references point to: a contained or bundled resource, what `env['resolve']` answers, or else a node that has a type and no value."""
    out = []
    for node in nodes:
        run.spend(1)
        if (found := _resolved(run, node)) is not None:
            out.append(found)
    return out


def _resolved(run: Evaluation, node: Node) -> Node | None:
    text = reference_text(node)
    if text is None:
        return Node(None, type) if (type := _stated_type(node)) else None
    if text.startswith("#"):
        return _contained(node, text[1:])
    if (resolver := run.env.get("resolve")) is not None and (found := resolver(text)) is not None:
        type, resource = found
        return Node(resource, type)
    type = reference.type_of(text) or _stated_type(node)
    return Node(None, type) if type else None


def reference_text(node: Node) -> str | None:
    """The literal reference of a Reference, canonical, uri or string node."""
    text = node.value.get("reference") if node.value.__class__ is dict else node.value
    return text if text.__class__ is str and text else None


def _stated_type(node: Node) -> str | None:
    found = node.value.get("type") if node.value.__class__ is dict and node.type == "Reference" else None
    return found.rpartition("/")[2] if found.__class__ is str else None


def _contained(node: Node, id: str) -> Node | None:
    root = node.root
    if not id:
        return root
    for child in member([root], "contained"):
        if child.value.__class__ is dict and child.value.get("id") == id:
            return child
    return None


def referred_type(run: Evaluation, node: Node) -> str | None:
    """The type of what a reference points to, without building the node where the text tells it."""
    text = reference_text(node)
    if text is not None and text[0] != "#" and (type := reference.type_of(text)) is not None:
        return type
    found = _resolved(run, node)
    return found.type if found is not None else None


def _asked(name: str):
    """A function that only a terminology or the profiles can answer: `env[name](node, argument)` -> True, False or None."""
    def ask(run: Evaluation, nodes: list, argument: list) -> list:
        answer = run.env.get(name)
        if answer is None:
            raise BadExpression(f"{name}() cannot be answered here")
        if len(nodes) != 1:
            return []
        found = single(argument, "String") if name in ("memberOf", "conformsTo") else argument[0] if argument else None
        return [] if found is None else boolean(answer(nodes[0], found))
    return ask


def _html_checks(run: Evaluation, nodes: list) -> list:
    return boolean(all(node.value.__class__ is str and not narrative.problem(node.value) for node in nodes))


def typed(name: str):
    """`is`, `as` and `ofType` with the name of a type: a function of nodes."""
    if name == "is":
        def check(nodes: list, wanted: str) -> list:
            if len(nodes) > 1:
                raise BadExpression(f"`is` of {len(nodes)} items")
            return boolean(is_a(nodes[0].type, wanted)) if nodes else []
        return check

    def keep(nodes: list, wanted: str) -> list:
        return [node for node in nodes if node.type == wanted or is_a(node.type, wanted)]
    return keep


def _check_modifiers(run: Evaluation, nodes: list, *known: list) -> list:
    """Its input, if that has no modifier extension but those named. Errors: BadExpression."""
    urls = {single(url, "String") for url in known}
    for extension in member(nodes, "modifierExtension"):
        if extension.value.__class__ is not dict or extension.value.get("url") not in urls:
            raise BadExpression(f"{extension.path} is a modifier that is not known here")
    return nodes


def _slice(run: Evaluation, nodes: list, structure: list, name: list) -> list:
    """The nodes that are in a profile's slice; `env['slice'](node, structure, name)` -> True or False."""
    answer = run.env.get("slice")
    if answer is None:
        raise BadExpression("slice() cannot be answered here")
    url, wanted = single(structure, "String"), single(name, "String")
    return [node for node in nodes if answer(node, url, wanted)] if url and wanted else []


def _element_definition(run: Evaluation, nodes: list) -> list:
    """What the base definitions say of an element: path, cardinality, type."""
    out = []
    for node in nodes:
        if node.parent is not None and (element := properties(node.parent.type).get(node.key)) is not None:
            definition = {"path": f"{node.parent.type}.{element.name}", "min": element.min, "max": "*" if element.max < 0 else str(element.max), "type": [{"code": element.type}]}
            out.append(Node(definition, "ElementDefinition"))
    return out


FHIR = {"extension": (1, 1, _extension), "hasExtension": (1, 1, _has_extension), "hasValue": (0, 0, _has_value), "getValue": (0, 0, _get_value),
        "resolve": (0, 0, resolve), "htmlChecks": (0, 0, _html_checks), "checkModifiers": (0, 100, _check_modifiers),
        "slice": (2, 2, _slice), "elementDefinition": (0, 0, _element_definition),
        **{name: (1, 1, _asked(name)) for name in ("memberOf", "conformsTo", "subsumes", "subsumedBy")}}
