"""Equality, equivalence and order of FHIRPath values. http://hl7.org/fhirpath/N1/#equality and #comparison"""
from __future__ import annotations

from decimal import Decimal

from app.fhir.path.quantity import EXACT, Quantity, in_one_unit, worth
from app.fhir.path.syntax import BadExpression
from app.fhir.path.values import Temporal, system

_NUMBERS = ("Integer", "Decimal")
_MOMENTS = ("Date", "DateTime")
_FOURTEEN_HOURS = 14 * 60


def order(left: tuple, right: tuple) -> int | None:
    """-1, 0 or 1 for two system values; None where it cannot be told (precision, zone, unit). BadExpression where the kinds have no order."""
    (a, x), (b, y) = left, right
    if a == b == "String" or a in _NUMBERS and b in _NUMBERS:
        return (x > y) - (x < y)
    if a in _MOMENTS and b in _MOMENTS or a == b == "Time":
        return _order_temporal(x, y)
    if a == "Quantity" and b in _NUMBERS:
        return order(left, ("Quantity", Quantity(Decimal(y), "1")))
    if b == "Quantity" and a in _NUMBERS:
        return order(("Quantity", Quantity(Decimal(x), "1")), right)
    if a == b == "Quantity":
        (measure, x), (other, y) = worth(x), worth(y)
        return (x > y) - (x < y) if measure == other else None
    raise BadExpression(f"{a} and {b} cannot be compared")


def _order_temporal(x: Temporal, y: Temporal) -> int | None:
    full = x.kind != "Time" and len(x.parts) > 4 and len(y.parts) > 4
    if full and (x.zone or y.zone or (x.zone is None) != (y.zone is None)):
        return _order_zoned(x, y)
    for p, q in zip(x.parts, y.parts):
        if p != q:
            return -1 if p < q else 1
    return 0 if len(x.parts) == len(y.parts) else None


def _order_zoned(x: Temporal, y: Temporal) -> int | None:
    p, q = x.minutes(), y.minutes()
    if (x.zone is None) != (y.zone is None) and abs(p - q) <= _FOURTEEN_HOURS:
        return None
    if p != q:
        return -1 if p < q else 1
    if len(x.parts) != len(y.parts):
        return None
    return 0 if len(x.parts) == 5 or x.parts[5] == y.parts[5] else -1 if x.parts[5] < y.parts[5] else 1


def same(left, right) -> bool | None:
    """`=` of two nodes; None where it cannot be told."""
    a, b = system(left), system(right)
    if a is None or b is None:
        return a is b and left.value == right.value and left.extra == right.extra and _like(left, right)
    (kind, x), (other, y) = a, b
    if kind == other and kind in ("String", "Boolean", "Integer", "Decimal"):
        return x == y
    if kind in ("Boolean", "String", "Time") or other in ("Boolean", "String", "Time"):
        if kind != other:
            return False
    elif (kind in _MOMENTS) != (other in _MOMENTS):
        return False
    found = order(a, b)
    return None if found is None else found == 0


def _like(left, right) -> bool:
    """Two complex values are compared by content; a resource never equals an element that happens to look alike."""
    return left.type == right.type or not (left.type.startswith("System.") or right.type.startswith("System."))


def all_same(left: list, right: list) -> bool | None:
    """`=` of two collections, in order. None where either is empty or an item cannot be told."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    unsure = False
    for a, b in zip(left, right):
        found = same(a, b)
        if found is False:
            return False
        unsure = unsure or found is None
    return None if unsure else True


def alike(left, right) -> bool:
    """`~` of two nodes: case and white space, precision and order do not matter."""
    a, b = system(left), system(right)
    if a is None or b is None:
        return a is b and _plain(left.value) == _plain(right.value)
    (kind, x), (other, y) = a, b
    if kind == other == "String":
        return " ".join(x.lower().split()) == " ".join(y.lower().split())
    if kind in _NUMBERS and other in _NUMBERS:
        return _rounded_same(Decimal(x), Decimal(y))
    if kind == other == "Quantity":
        values = in_one_unit(x, y)
        return values is not None and _rounded_same(*values)
    if kind == other == "Boolean":
        return x == y
    if kind in _MOMENTS and other in _MOMENTS or kind == other == "Time":
        return _order_temporal(x, y) == 0
    return False


def _rounded_same(x: Decimal, y: Decimal) -> bool:
    places = max(_exponent(x), _exponent(y))
    step = Decimal(1).scaleb(places, EXACT)
    return EXACT.quantize(x, step) == EXACT.quantize(y, step) if abs(x.adjusted()) < 30 and abs(y.adjusted()) < 30 else x == y


def _exponent(number: Decimal) -> int:
    """The place of the last digit that counts: trailing zeros do not."""
    return min(0, EXACT.normalize(number).as_tuple().exponent)


def _plain(value):
    """A complex value with what equivalence ignores taken out."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k != "id"}
    if isinstance(value, list):
        return sorted((_plain(v) for v in value), key=repr)
    return " ".join(value.lower().split()) if isinstance(value, str) else value


def all_alike(left: list, right: list) -> bool:
    if len(left) != len(right):
        return False
    rest = list(right)
    for a in left:
        for i, b in enumerate(rest):
            if alike(a, b):
                del rest[i]
                break
        else:
            return False
    return True


def key(node):
    """Something hashable that two nodes share exactly if they are equal (for distinct, union, intersect: linear, not quadratic)."""
    found = system(node)
    if found is None:
        return "", _frozen(node.value), _frozen(node.extra)
    kind, value = found
    if kind == "Quantity":
        return kind, worth(value)
    if value.__class__ is Temporal:
        zoned = value.zone is not None and len(value.parts) > 4
        return kind == "Time", len(value.parts), zoned and value.minutes(), value.parts[5:] if zoned else value.parts
    return "number" if kind in _NUMBERS else kind, value


def _frozen(value):
    if isinstance(value, dict):
        return frozenset((k, _frozen(v)) for k, v in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def distinct(nodes: list) -> list:
    """Without repeats, first ones kept."""
    if len(nodes) < 2:
        return nodes
    found = {}
    for node in nodes:
        found.setdefault(key(node), node)
    return list(found.values())


def keys(nodes: list) -> set:
    return {key(node) for node in nodes}
