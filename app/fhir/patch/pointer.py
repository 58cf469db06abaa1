"""JSON Patch. https://www.rfc-editor.org/rfc/rfc6902 and http://hl7.org/fhir/R4/http.html#patch"""
from __future__ import annotations

from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchException
from jsonpointer import JsonPointer, JsonPointerException

from app.errors import Invalid, TooLarge, Unprocessable
from app.fhir.json import DEPTH

MOST_OPERATIONS = 5_000
MOST_COPIED = 200_000
"""Values (and hundreds of characters) that all `copy` operations of a patch may make: each can double the resource."""


def json_patch(resource: dict, operations: list) -> dict:
    """The resource after all operations. Errors: Invalid for what is no JSON Patch, Unprocessable for one that cannot be
    applied (a failed `test` too), each with the operation's index in its text and expression."""
    if not isinstance(operations, list):
        raise Invalid("A JSON Patch is an array of operations.")
    if len(operations) > MOST_OPERATIONS:
        raise TooLarge(f"A patch of more than {MOST_OPERATIONS} operations.")
    document, left = copied(resource), MOST_COPIED
    for index, operation in enumerate(operations):
        document, left = _apply(document, operation, index, left)
    if document.__class__ is not dict or document.get("resourceType") != resource.get("resourceType") or document.get("id") != resource.get("id"):
        raise Unprocessable("A patch changes neither the type nor the id of a resource.")
    if deeper_than(document, DEPTH):
        raise Unprocessable(f"The patched resource is nested deeper than {DEPTH} levels.")
    return document if any(_has_empty(o.get("value")) for o in operations) else _pruned(document)


def _apply(document, operation, index: int, left: int):
    """(the document after one operation, what may still be copied)."""
    where, name = f"[{index}]", f"operation {index}"
    try:
        step = JsonPatch([operation])
    except (JsonPatchException, JsonPointerException, TypeError, ValueError, AttributeError) as error:
        raise Invalid(f"In {name}: {_said(error)}.", expression=where) from None
    try:
        if operation["op"] == "copy":
            left -= size(JsonPointer(operation["from"]).resolve(document))
            if left < 0:
                raise TooLarge(f"In {name}: the patch copies too much.", expression=where)
        return step.apply(document, in_place=True), left
    except InvalidJsonPatch as error:
        raise Invalid(f"In {name}: {_said(error)}.", expression=where) from None
    except RecursionError:
        raise Unprocessable(f"In {name}: the resource would be nested deeper than {DEPTH} levels.", expression=where) from None
    except KeyError:
        raise Invalid(f"In {name}: `from` is missing.", expression=where) from None
    except (JsonPatchException, JsonPointerException, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Unprocessable(f"{name} ({operation['op']} {str(operation['path'])[:200]}) cannot be applied: {_said(error)}.", expression=where) from None


def _said(error: Exception) -> str:
    return str(error)[:300].rstrip(".") or type(error).__name__


def copied(value):
    """A copy that shares no dict and no list with its original (numbers keep their text)."""
    if value.__class__ is dict:
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if value.__class__ is list else value


def size(value) -> int:
    """Values in a JSON value, long strings counted by the hundred characters."""
    total, stack = 0, [value]
    while stack:
        value = stack.pop()
        total += 1
        if value.__class__ is dict:
            stack += value.values()
        elif value.__class__ is list:
            stack += value
        elif value.__class__ is str:
            total += len(value) // 100
    return total


def deeper_than(value, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [item for holder in level if holder.__class__ in (dict, list) for item in (holder.values() if holder.__class__ is dict else holder)]
        if not level:
            return False
    return True


def _has_empty(value) -> bool:
    if value.__class__ not in (dict, list):
        return False
    return not value or any(map(_has_empty, value.values() if value.__class__ is dict else value))


def _pruned(value):
    """Without the lists and objects that removals left empty: FHIR has no empty ones. What a client wrote as empty is left for validation to name."""
    if value.__class__ is dict:
        return {key: item for key, item in ((k, _pruned(v)) for k, v in value.items()) if item.__class__ not in (dict, list) or item}
    if value.__class__ is list:
        return [item for item in map(_pruned, value) if item.__class__ not in (dict, list) or item]
    return value
