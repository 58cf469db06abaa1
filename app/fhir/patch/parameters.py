"""FHIRPath Patch: the operations of a Parameters resource, applied one after another. http://hl7.org/fhir/R4/fhirpatch.html"""
from __future__ import annotations

from app.errors import Failure, Invalid, TooLarge, Unprocessable
from app.fhir.json import DEPTH
from app.fhir.patch.pointer import copied, deeper_than
from app.fhir.patch.place import Place, collection
from app.fhir.patch.value import property_of, value_of
from app.fhir.path import BadExpression, Evaluation, Node, compile

MOST_OPERATIONS = 1_000
BUDGET = 1_000_000


def fhirpath_patch(resource: dict, parameters: dict) -> dict:
    """The resource after all operations. Errors: Invalid for what is no FHIRPath Patch, Unprocessable for one that cannot
    be applied; the text and the expression name the operation by its index."""
    listed = parameters.get("parameter", [])
    if parameters.get("resourceType") != "Parameters" or not isinstance(listed, list):
        raise Invalid("A FHIRPath Patch is a Parameters resource.", expression="Parameters")
    if len(listed) > MOST_OPERATIONS:
        raise TooLarge(f"A patch of more than {MOST_OPERATIONS} operations.")
    result, budget = copied(resource), BUDGET
    for index, parameter in enumerate(listed):
        try:
            budget = _apply(result, parameter, budget)
            if result.get("id") != resource.get("id"):
                raise Unprocessable("a patch does not change the id of a resource")
        except Failure as failure:
            kind = Invalid if isinstance(failure, BadExpression) else type(failure)
            raise kind(f"In operation {index}: {failure}", expression=f"Parameters.parameter[{index}]") from None
    if deeper_than(result, DEPTH):
        raise Unprocessable(f"The patched resource is nested deeper than {DEPTH} levels.")
    return result


def _apply(resource: dict, parameter, budget: int) -> int:
    """Applies one operation in place; what is left of the budget."""
    parts = _parts(parameter)
    type = _plain(parts.pop("type", None), "type", str)
    if type not in OPERATIONS:
        raise Invalid(f"there is no operation {type!r}; there are {', '.join(OPERATIONS)}")
    needed, function = OPERATIONS[type]
    for name in parts:
        if name not in needed:
            raise Invalid(f"{type} takes {', '.join(needed)}, not {name!r}")
    for name in needed:
        if name not in parts:
            raise Invalid(f"{type} needs {name!r}")
    expression = compile(_plain(parts.pop("path"), "path", str))
    evaluation = Evaluation(Node(resource, resource["resourceType"]), {}, budget)
    nodes = expression.run(evaluation)
    for node in nodes:
        _owned(node, evaluation.context)
    function(nodes, expression.text, **parts)
    return evaluation.budget


def _parts(parameter) -> dict[str, dict]:
    """Part name -> part of an operation."""
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise Invalid("each parameter is named `operation`")
    found: dict[str, dict] = {}
    for part in parameter.get("part") or ():
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            raise Invalid("each part has a name")
        if name in found:
            raise Invalid(f"{name!r} stands twice")
        found[name] = part
    return found


def _plain(part: dict | None, name: str, wanted: type):
    """The string or integer of a part."""
    if part is None:
        raise Invalid(f"{name!r} is missing")
    values = [value for key, value in part.items() if key.startswith("value")]
    if len(values) != 1 or values[0].__class__ is not wanted:
        raise Invalid(f"{name!r} is one {'string' if wanted is str else 'whole number'}")
    return values[0]


def _owned(node: Node, root: Node) -> None:
    """A patch changes the elements of its own resource only: no computed value, nothing that another resource holds."""
    outermost = node
    while outermost.parent is not None:
        outermost = outermost.parent
    if outermost is not root or node.type.startswith("System."):
        raise Unprocessable("the path leads to something that is no element of this resource")


def _one(nodes: list[Node], text: str) -> Node:
    if len(nodes) != 1:
        raise Unprocessable(f"{text} matches {f'{len(nodes)} elements' if nodes else 'nothing'}; one element is needed")
    return nodes[0]


def _add(nodes: list[Node], text: str, *, name: dict, value: dict) -> None:
    holder = _one(nodes, text)
    key, element = property_of(holder, _plain(name, "name", str), value)
    Place.below(holder, key, element).add(*value_of(value, element, key))


def _insert(nodes: list[Node], text: str, *, value: dict, index: dict) -> None:
    place = collection(nodes, text)
    place.insert(_plain(index, "index", int), *value_of(value, place.element, place.key))


def _delete(nodes: list[Node], text: str) -> None:
    if len(nodes) > 1:
        raise Unprocessable(f"{text} matches {len(nodes)} elements; only one is deleted at a time")
    for node in nodes:
        Place.of(node).delete()


def _replace(nodes: list[Node], text: str, *, value: dict) -> None:
    node = _one(nodes, text)
    place = Place.of(node)
    key, element = property_of(node.parent, node.name, value)
    place.replace(key, *value_of(value, element, key))


def _move(nodes: list[Node], text: str, *, source: dict, destination: dict) -> None:
    collection(nodes, text).move(_plain(source, "source", int), _plain(destination, "destination", int))


OPERATIONS = {"add": (("path", "name", "value"), _add), "insert": (("path", "value", "index"), _insert), "delete": (("path",), _delete),
              "replace": (("path", "value"), _replace), "move": (("path", "source", "destination"), _move)}
