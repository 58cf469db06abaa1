"""A place in a resource that a patch changes: an element, or the list that it stands in. http://hl7.org/fhir/R4/fhirpatch.html

A primitive's list and the list of what stands beside it (`given`, `_given`) are changed together, so that they stay aligned.
"""
from __future__ import annotations

from app.errors import Unprocessable
from app.fhir.definitions import Element
from app.fhir.patch.value import put
from app.fhir.path import Node
from app.fhir.path.node import properties


class Place:
    """`holder[key]`, or an item of it where `index` is not None; `node` is the element that holds it."""

    __slots__ = ("node", "holder", "key", "index", "element")

    def __init__(self, node: Node, holder: dict, key: str, index: int | None, element: Element | None):
        self.node, self.holder, self.key, self.index, self.element = node, holder, key, index, element

    @classmethod
    def of(cls, node: Node) -> "Place":
        """The place of an element. Unprocessable for the resource itself."""
        if node.parent is None:
            raise Unprocessable("the path leads to the resource itself")
        return cls(node.parent, _object(node.parent), node.key, node.index, properties(node.parent.type).get(node.key))

    @classmethod
    def below(cls, node: Node, key: str, element: Element) -> "Place":
        return cls(node, _object(node, make=True), key, None, element)

    def add(self, value, beside) -> None:
        put(self.holder, self.key, self.element, value, beside)

    def replace(self, key: str, value, beside) -> None:
        """Puts another value in its place; `key` differs from its own where a choice takes another type."""
        if self.index is not None:
            self._set(self.key, self.index, value)
            self._set(f"_{self.key}", self.index, beside)
            return
        new = {}
        for name, item in list(self.holder.items()):
            if name not in (self.key, f"_{self.key}"):
                new[name] = item
            elif not {key, f"_{key}"} & new.keys():
                new.update({n: v for n, v in ((key, value), (f"_{key}", beside)) if v is not None})
        self.holder.clear()
        self.holder.update(new)

    def _set(self, key: str, index: int, value) -> None:
        """Sets an item of one of the two lists; a list that holds nothing goes."""
        if key not in self.holder and value is None:
            return
        items = self.holder.get(key) or []
        items = [*items, *[None] * (index + 1 - len(items))]
        items[index] = value
        self._keep(key, items)

    def _keep(self, key: str, items: list) -> None:
        if any(item is not None for item in items):
            self.holder[key] = items
        else:
            self.holder.pop(key, None)

    def _lists(self) -> list[tuple[str, list]]:
        """(property, items) of the lists, brought to one length."""
        found = [(key, self.holder[key]) for key in (self.key, f"_{self.key}") if isinstance(self.holder.get(key), list)]
        length = max((len(items) for _, items in found), default=0)
        return [(key, [*items, *[None] * (length - len(items))]) for key, items in found]

    def delete(self) -> None:
        """Takes the element out, and those around it that are empty then."""
        if self.index is None:
            self.holder.pop(self.key, None)
            self.holder.pop(f"_{self.key}", None)
        else:
            for key, items in self._lists():
                del items[self.index]
                self._keep(key, items)
        if not self.holder and self.node.parent is not None:
            Place.of(self.node)._empty()

    def _empty(self) -> None:
        """An object became empty: a complex element goes; of a primitive only what stood beside it."""
        if self.key not in self.holder or _is_object(self):
            self.delete()
        elif self.index is None:
            self.holder.pop(f"_{self.key}", None)
        else:
            self._set(f"_{self.key}", self.index, None)

    def insert(self, index: int, value, beside) -> None:
        lists = dict(self._lists())
        length = max(map(len, lists.values()))
        if not 0 <= index <= length:
            raise Unprocessable(f"there are {length} elements; the index to insert at is 0 to {length}, not {index}")
        for key, item in ((self.key, value), (f"_{self.key}", beside)):
            items = lists.get(key) or [None] * length
            self._keep(key, [*items[:index], item, *items[index:]])

    def move(self, source: int, destination: int) -> None:
        for key, items in self._lists():
            if not (0 <= source < len(items) and 0 <= destination < len(items)):
                raise Unprocessable(f"there are {len(items)} elements; source and destination are 0 to {len(items) - 1}")
            items.insert(destination, items.pop(source))
            self.holder[key] = items


def _is_object(place: Place) -> bool:
    value = place.holder[place.key]
    return (value[place.index] if place.index is not None and isinstance(value, list) else value).__class__ is dict


def _object(node: Node, make: bool = False) -> dict:
    """What holds a node's children: the value of a complex one; of a primitive the object beside it, made if there is none."""
    if node.value.__class__ is dict:
        return node.value
    if node.extra is None and make:
        node.extra = {}
        place = Place.of(node)
        if place.index is None:
            place.holder[f"_{place.key}"] = node.extra
        else:
            place._set(f"_{place.key}", place.index, node.extra)
    return node.extra


def collection(nodes: list[Node], text: str) -> Place:
    """The list that the nodes are. Unprocessable if they are nothing, no list, or not the whole of one."""
    if not nodes:
        raise Unprocessable(f"{text} matches nothing; a list is needed")
    place = Place.of(nodes[0])
    if any(node.parent is not nodes[0].parent and node.parent.value is not nodes[0].parent.value or node.key != place.key for node in nodes):
        raise Unprocessable(f"{text} matches elements of several lists; one list is needed")
    if place.index is None:
        raise Unprocessable(f"{text} is no list")
    if len(nodes) != sum(item is not None for item in _slots(place)):
        raise Unprocessable(f"{text} is only a part of a list; the whole list is needed")
    place.index = None
    return place


def _slots(place: Place) -> list:
    lists = [items for _, items in place._lists()]
    return [next((item for item in slot if item is not None), None) for slot in zip(*lists)] if lists else []
