"""An element with its type and its place, and the steps from one to the next by the definitions. http://hl7.org/fhir/R4/fhirpath.html#types"""
from __future__ import annotations

from app.fhir import definitions
from app.fhir.path.values import KINDS

_ANY = ("Resource", "DomainResource")


class Node:
    """One item of a FHIRPath collection.

    `value` is the JSON value (None where only the type or an extension is known), `type` the FHIR type ('Quantity',
    'code', 'Patient.contact' for an anonymous one) or 'System.String' and so on; `key` the JSON property, `name` the
    element's name ('value' where key is 'valueQuantity'), `index` its place in a list or None, `extra` the object
    beside a primitive (`_birthDate`), `parent` the node that it is part of.
    """

    __slots__ = ("value", "type", "parent", "key", "name", "index", "extra")

    def __init__(self, value, type, parent=None, key="", name="", index=None, extra=None):
        self.value, self.type, self.parent, self.key, self.name, self.index, self.extra = value, type, parent, key, name, index, extra

    @property
    def path(self) -> str:
        """Where it stands, as FHIRPath: `Patient.name[0].family`."""
        steps, node = [], self
        while node.parent is not None:
            steps.append(node.name if node.index is None else f"{node.name}[{node.index}]")
            node = node.parent
        steps.append(node.type)
        return ".".join(reversed(steps))

    @property
    def resource(self) -> "Node":
        """The nearest resource that it is part of (itself, if it is one); the outermost node where there is none."""
        node = self
        while node.parent is not None and not is_resource(node):
            node = node.parent
        return node

    @property
    def root(self) -> "Node":
        """The resource that contains its resource, or that resource itself. An entry of a Bundle is contained in nothing."""
        node = self.resource
        return node.parent.resource if node.name == "contained" and node.parent is not None else node

    def __repr__(self) -> str:
        return f"Node({self.path}: {self.type} = {self.value!r})"


def is_resource(node: Node) -> bool:
    return node.value.__class__ is dict and "resourceType" in node.value


def constant(kind: str, value) -> Node:
    return Node(value, f"System.{kind}")


TRUE, FALSE = [constant("Boolean", True)], [constant("Boolean", False)]


def boolean(value: bool | None) -> list[Node]:
    return [] if value is None else TRUE if value else FALSE


_FIELDS: dict = {("System.TypeInfo", name): {name: "System.String"} for name in ("namespace", "name", "baseType")}


def fields(type: str, name: str) -> dict:
    """JSON property -> type, for what an element name stands for in a type: one entry, or one for each type of a choice; none if unknown."""
    found = _FIELDS.get((type, name))
    if found is None:
        found = {key: element.type for key, element in properties(type).items() if element.name == name}
        if found or len(_FIELDS) < 50_000:
            _FIELDS[type, name] = found
    return found


def properties(type: str) -> dict:
    """JSON property -> Element of a type, a resource or an anonymous element's path; empty for a primitive or an unknown type."""
    try:
        return definitions.elements(type)
    except KeyError:
        return {}


def member(nodes: list[Node], name: str, out: list[Node] | None = None) -> list[Node]:
    """The children of that name of all nodes, in order."""
    out = [] if out is None else out
    for node in nodes:
        value = node.value
        if value.__class__ is not dict or (found := _FIELDS.get((node.type, name)) or fields(node.type, name)) == {}:
            if node.type in KINDS:
                _primitive_member(node, name, out)
            continue
        if len(found) > 3:
            for key in value:
                if (type := found.get(key if key[0] != "_" else key[1:])) is not None and (key[0] != "_" or key[1:] not in value):
                    _children(node, value, key.removeprefix("_"), type, name, out)
        else:
            for key, type in found.items():
                child = value.get(key)
                if child.__class__ is str and "_" + key not in value:
                    out.append(Node(child, type, node, key, name))
                elif child is not None or "_" + key in value:
                    _children(node, value, key, type, name, out)
    return out


def _children(node: Node, value: dict, key: str, type: str, name: str, out: list[Node]) -> None:
    child, extra = value.get(key), value.get("_" + key) if type[0].islower() or type.startswith("System.") else None
    if child.__class__ is not list and extra.__class__ is not list:
        if child is not None or extra is not None:
            out.append(Node(child, _actual(type, child), node, key, name, None, extra))
        return
    children = child if child.__class__ is list else [child] if child is not None else []
    extras = extra if extra.__class__ is list else [extra]
    for index in range(max(len(children), len(extras) if extra is not None else 0)):
        item = children[index] if index < len(children) else None
        beside = extras[index] if index < len(extras) else None
        if item is not None or beside is not None:
            out.append(Node(item, _actual(type, item), node, key, name, index, beside))


def _actual(type: str, value) -> str:
    return value.get("resourceType", type) if type in _ANY and value.__class__ is dict and value.get("resourceType").__class__ is str else type


def _primitive_member(node: Node, name: str, out: list[Node]) -> None:
    extra = node.extra
    if name == "value" and node.value is not None and node.value.__class__ is not dict:
        out.append(Node(node.value, f"System.{KINDS[node.type]}", node, "value", name))
    elif extra.__class__ is dict and name in ("id", "extension"):
        _children(node, extra, name, "string" if name == "id" else "Extension", name, out)


def children(node: Node) -> list[Node]:
    """All child elements, in the order in which they are written. Extensions and ids of a primitive are its children."""
    out: list[Node] = []
    value = node.value
    if value.__class__ is not dict:
        if node.extra is not None:
            _primitive_member(node, "id", out)
            _primitive_member(node, "extension", out)
        return out
    known = properties(node.type)
    for key in value:
        plain = key.removeprefix("_")
        element = known.get(plain)
        if element is not None and key != "resourceType" and (plain is key or plain not in value):
            _children(node, value, plain, element.type, element.name, out)
    return out


def is_a(type: str, wanted: str) -> bool:
    """Whether a type is another one or a kind of it. `wanted` may be qualified: FHIR.Patient, System.String."""
    if type == wanted:
        return True
    space, dot, plain = wanted.partition(".")
    if dot and space == "System":
        return False
    if dot and space == "FHIR":
        wanted = plain
    if type.startswith("System."):
        return not dot and type == f"System.{wanted}"
    # An unqualified System type, as in `answer is Boolean`, is met by FHIR's primitive of that kind.
    return wanted in definitions.ancestors(type) or type == wanted or not dot and type[0].islower() and KINDS.get(type) == wanted
