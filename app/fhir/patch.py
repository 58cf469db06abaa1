"""JSON Patch and FHIRPath Patch. https://hl7.org/fhir/R4/http.html#patch, https://hl7.org/fhir/R4/fhirpatch.html, RFC 6902"""
from __future__ import annotations

import copy

import jsonpatch
import jsonpointer

from app.errors import Invalid, Unprocessable
from app.fhir import definitions, path

MOST = 1000
"""Operations of one patch."""
_KINDS = ("add", "insert", "delete", "replace", "move")


def json_patch(resource: dict, operations: list) -> dict:
    """The resource after RFC 6902 operations; the one given is left as it is. Errors: Invalid for what is no patch, Unprocessable for one that does not fit."""
    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations):
        raise Invalid("A JSON Patch is a list of operations.")
    if len(operations) > MOST:
        raise Invalid(f"A patch has {MOST} operations at most.")
    made = resource
    for step, operation in enumerate(operations):
        try:
            made = jsonpatch.JsonPatch([operation]).apply(made)
        except jsonpatch.InvalidJsonPatch as error:
            raise Invalid(f"Operation {step}: {error}", expression=f"[{step}]") from None
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise Unprocessable(f"Operation {step} ({operation.get('op')} {operation.get('path')}) cannot be applied: {error}", expression=f"[{step}]") from None
    if not isinstance(made, dict):
        raise Unprocessable("The patch leaves no resource.")
    return made


def fhirpath_patch(resource: dict, parameters: dict) -> dict:
    """The resource after the operations of a Parameters resource; the one given is left as it is. Errors: Invalid, Unprocessable, by operation."""
    operations = parameters.get("parameter")
    if parameters.get("resourceType") != "Parameters" or not isinstance(operations, list) or not operations:
        raise Invalid("A FHIRPath Patch is a Parameters resource with operations.", expression="Parameters.parameter")
    if len(operations) > MOST:
        raise Invalid(f"A patch has {MOST} operations at most.", expression="Parameters.parameter")
    made = copy.deepcopy(resource)
    for step, operation in enumerate(operations):
        where = f"Parameters.parameter[{step}]"
        if not isinstance(operation, dict) or operation.get("name") != "operation":
            raise Invalid("A parameter of a patch is named operation.", expression=where)
        _apply(made, _Operation(operation, where))
    return made


class _Operation:
    """One operation: its parts by name. Errors: Invalid with the place of what is missing or wrong."""

    def __init__(self, operation: dict, where: str):
        self.where, self.parts = where, {}
        for part in operation.get("part") or ():
            if not isinstance(part, dict) or not isinstance(part.get("name"), str):
                raise Invalid("A part has a name.", expression=where)
            self.parts[part["name"]] = part
        self.kind = self.text("type", "valueCode", "valueString")
        if self.kind not in _KINDS:
            raise Invalid(f"The type of an operation is one of {', '.join(_KINDS)}, not {self.kind!r}.", expression=where)
        self.path = self.text("path", "valueString")

    def text(self, name: str, *keys: str) -> str:
        value = next((self.parts.get(name, {}).get(k) for k in keys if k in self.parts.get(name, {})), None)
        if not isinstance(value, str):
            raise Invalid(f"The operation has no {name}.", expression=self.where)
        return value

    def number(self, name: str) -> int:
        value = self.parts.get(name, {}).get("valueInteger")
        if type(value) is not int or value < 0:
            raise Invalid(f"The operation has no {name}, a whole number.", expression=self.where)
        return value

    def value(self, element_type: str):
        """(value, type or '' where it is anonymous) of the part `value`."""
        part = self.parts.get("value")
        if part is None:
            raise Invalid("The operation has no value.", expression=self.where)
        return _value(part, element_type, self.where)

    def fail(self, text: str) -> Unprocessable:
        return Unprocessable(f"{self.kind} {self.path}: {text}", expression=self.where)


def _value(part: dict, element_type: str, where: str):
    key = next((k for k in part if k.startswith("value") and k != "value"), None)
    if key is not None:
        return part[key], key[5:]
    if "resource" in part:
        return part["resource"], "Resource"
    made: dict = {}
    for inner in part.get("part") or ():
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            raise Invalid("A part has a name.", expression=where)
        name = inner["name"]
        known = _properties(element_type)
        value, type = _value(inner, getattr(known.get(name), "type", ""), where)
        key = _key(known, name, type)
        element = known.get(key)
        if element is not None and element.max != 1:
            made.setdefault(key, []).append(value)
        else:
            made[key] = value
    if not made:
        raise Invalid("The value is empty.", expression=where)
    return made, ""


def _properties(type: str) -> dict:
    try:
        return definitions.elements(type)
    except KeyError:
        return {}


def _key(known: dict, name: str, type: str) -> str:
    """The JSON property of an element: the choice's own for its type."""
    return name if name in known or not type else name + type[0].upper() + type[1:]


def _apply(resource: dict, operation: _Operation) -> None:
    expression = path.compile(operation.path)
    nodes = expression(resource)
    if operation.kind == "delete":
        if len(nodes) > 1:
            raise operation.fail("the path finds more than one element; delete takes one.")
        for node in nodes:
            _remove(node, operation)
        return
    if operation.kind in ("add", "replace"):
        if len(nodes) != 1:
            raise operation.fail(f"the path finds {'nothing' if not nodes else 'more than one element'}; it must find one.")
        (_add if operation.kind == "add" else _replace)(nodes[0], operation)
        return
    _arrange(nodes, operation)


def _add(node, operation: _Operation) -> None:
    if not isinstance(node.value, dict):
        raise operation.fail("only an element with children takes another.")
    name, known = operation.text("name", "valueString"), _properties(node.type)
    element = known.get(name)
    value, type = operation.value(element.type if element else "")
    key = _key(known, name, type)
    element = known.get(key)
    if element is None:
        raise operation.fail(f"{node.type} has no element {name}{f' of type {type}' if type else ''}.")
    if element.max != 1:
        node.value.setdefault(key, []).append(value)
        return
    if key in node.value or (element.choice and any(e.choice == element.choice and k in node.value for k, e in known.items())):
        raise operation.fail(f"{name} is there already; replace changes it.")
    node.value[key] = value


def _replace(node, operation: _Operation) -> None:
    if node.parent is None:
        raise operation.fail("the resource itself cannot be replaced.")
    known = _properties(node.parent.type)
    value, type = operation.value(node.type)
    key = _key(known, node.name, type) if getattr(known.get(node.key), "choice", "") else node.key
    if key not in known:
        raise operation.fail(f"{node.name} cannot be a {type}.")
    holder = node.parent.value
    if node.index is not None:
        holder[node.key][node.index] = value
    elif key == node.key:
        holder[key] = value
    else:
        items = [(key, value) if k == node.key else (k, v) for k, v in holder.items() if k != "_" + node.key]
        holder.clear()
        holder.update(items)


def _remove(node, operation: _Operation) -> None:
    if node.parent is None:
        raise operation.fail("the resource itself cannot be deleted by a patch.")
    holder = node.parent.value
    for key in (node.key, "_" + node.key):
        if key not in holder:
            continue
        if node.index is None:
            del holder[key]
        elif isinstance(holder[key], list) and node.index < len(holder[key]):
            del holder[key][node.index]
            if not holder[key]:
                del holder[key]


def _arrange(nodes: list, operation: _Operation) -> None:
    """insert and move: the path finds the elements of one list."""
    if not nodes or any(n.index is None or n.key != nodes[0].key or n.parent.value is not nodes[0].parent.value for n in nodes):
        raise operation.fail("the path must find the elements of one list.")
    held = nodes[0].parent.value[nodes[0].key]
    if operation.kind == "insert":
        value, _ = operation.value(nodes[0].type)
        place = operation.number("index")
        if place > len(held):
            raise operation.fail(f"there are {len(held)} elements; the index {place} is beyond their end.")
        held.insert(place, value)
        return
    source, destination = operation.number("source"), operation.number("destination")
    if max(source, destination) >= len(held):
        raise operation.fail(f"there are {len(held)} elements; {source} to {destination} is beyond their end.")
    held.insert(destination, held.pop(source))
