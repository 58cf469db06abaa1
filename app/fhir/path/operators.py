"""The operators of FHIRPath on collections that are already evaluated. http://hl7.org/fhirpath/N1/#operations"""
from __future__ import annotations

from decimal import Decimal

from app.fhir.path import quantity
from app.fhir.path.compare import all_alike, all_same, key, keys, order
from app.fhir.path.evaluation import LONGEST_STRING, Evaluation, one
from app.fhir.path.node import Node, boolean, constant
from app.fhir.path.quantity import EXACT, Quantity
from app.fhir.path.shift import shift
from app.fhir.path.syntax import BadExpression
from app.fhir.path.values import Temporal

_LIMIT = 2 ** 31


def _equal(run: Evaluation, left: list, right: list) -> list:
    run.weigh(min(left, right, key=len))
    return boolean(all_same(left, right))


def _unequal(run: Evaluation, left: list, right: list) -> list:
    run.weigh(min(left, right, key=len))
    found = all_same(left, right)
    return boolean(None if found is None else not found)


def _alike(run: Evaluation, left: list, right: list) -> list:
    run.weigh(left, len(right))
    run.weigh(right, len(left))
    return boolean(all_alike(left, right))


def _unlike(run: Evaluation, left: list, right: list) -> list:
    run.weigh(left, len(right))
    run.weigh(right, len(left))
    return boolean(not all_alike(left, right))


def _ordering(accepts):
    def compare(run: Evaluation, left: list, right: list) -> list:
        a, b = one(left), one(right)
        found = None if a is None or b is None else order(a, b)
        return boolean(None if found is None else accepts(found))
    return compare


def _within(run: Evaluation, left: list, right: list) -> list:
    run.weigh(right)
    return among(run, left, keys(right)) if left else []


def among(run: Evaluation, left: list, right: set) -> list:
    """Whether one item has one of the keys. BadExpression for more than one."""
    if len(left) > 1:
        raise BadExpression("the left of `in` is more than one item")
    run.weigh(left)
    return boolean(key(left[0]) in right)


def _contains(run: Evaluation, left: list, right: list) -> list:
    return _within(run, right, left)


def _join(run: Evaluation, left: list, right: list) -> list:
    """`&`: empty counts as the empty string."""
    return _string(run, _text(left) + _text(right))


def _text(nodes: list) -> str:
    found = one(nodes)
    if found is None:
        return ""
    if found[0] != "String":
        raise BadExpression(f"& joins strings, this is {found[0]}")
    return found[1]


def _string(run: Evaluation, text: str) -> list:
    run.spend(len(text) // 100)
    if len(text) > LONGEST_STRING:
        raise BadExpression(f"a string longer than {LONGEST_STRING} characters")
    return [constant("String", text)]


def number(value) -> list[Node]:
    """An Integer or a Decimal; empty where it overflows."""
    if value is None:
        return []
    if value.__class__ is int:
        return [constant("Integer", value)] if -_LIMIT <= value < _LIMIT else []
    return [constant("Decimal", value)] if value.is_finite() else []


def _arithmetic(compute):
    def calculate(run: Evaluation, left: list, right: list) -> list:
        a, b = one(left), one(right)
        return [] if a is None or b is None else compute(run, a, b)
    return calculate


def _numbers(a, b) -> bool:
    return a[0] in ("Integer", "Decimal") and b[0] in ("Integer", "Decimal")


def _integers(a, b) -> bool:
    return a[0] == b[0] == "Integer"


def _refuse(operator: str, a, b):
    raise BadExpression(f"{a[0]} {operator} {b[0]} is not defined")


def _add(run: Evaluation, a, b) -> list:
    if _integers(a, b):
        return number(a[1] + b[1])
    if _numbers(a, b):
        return number(EXACT.add(Decimal(a[1]), Decimal(b[1])))
    if a[0] == b[0] == "String":
        return _string(run, a[1] + b[1])
    return _moved(a, b, 1) if a[1].__class__ is Temporal else _sum(a, b, 1, "+")


def _subtract(run: Evaluation, a, b) -> list:
    if _integers(a, b):
        return number(a[1] - b[1])
    if _numbers(a, b):
        return number(EXACT.subtract(Decimal(a[1]), Decimal(b[1])))
    return _moved(a, b, -1) if a[1].__class__ is Temporal else _sum(a, b, -1, "-")


def _moved(a, b, sign: int) -> list:
    if b[0] != "Quantity":
        _refuse("+" if sign > 0 else "-", a, b)
    when = shift(a[1], b[1], sign)
    return [] if when is None else [constant(when.kind, when)]


def _sum(a, b, sign: int, operator: str) -> list:
    if not a[0] == b[0] == "Quantity":
        _refuse(operator, a, b)
    return _quantity(quantity.add(a[1], b[1], sign))


def _quantity(found: Quantity | None) -> list:
    return [constant("Quantity", found)] if found is not None and found.value.is_finite() else []


def _multiply(run: Evaluation, a, b) -> list:
    if _integers(a, b):
        return number(a[1] * b[1])
    if _numbers(a, b):
        return number(EXACT.multiply(Decimal(a[1]), Decimal(b[1])))
    return _quantity(quantity.multiply(_amount(a, "*", b), _amount(b, "*", a)))


def _amount(a, operator: str, b) -> Quantity:
    if a[0] == "Quantity":
        return a[1]
    return Quantity(Decimal(a[1]), "1") if a[0] in ("Integer", "Decimal") else _refuse(operator, a, b)


def _divide(run: Evaluation, a, b) -> list:
    if _numbers(a, b):
        return number(EXACT.divide(Decimal(a[1]), Decimal(b[1]))) if b[1] else []
    return _quantity(quantity.divide(_amount(a, "/", b), _amount(b, "/", a)))


def _div(run: Evaluation, a, b) -> list:
    if not _numbers(a, b):
        _refuse("div", a, b)
    if not b[1]:
        return []
    whole = EXACT.divide_int(Decimal(a[1]), Decimal(b[1]))
    return number(int(whole)) if whole.is_finite() else []


def _mod(run: Evaluation, a, b) -> list:
    if not _numbers(a, b):
        _refuse("mod", a, b)
    if not b[1]:
        return []
    rest = EXACT.remainder(Decimal(a[1]), Decimal(b[1]))
    return number(int(rest) if _integers(a, b) else rest)


def negated(nodes: list) -> list:
    found = one(nodes)
    if found is None:
        return []
    kind, value = found
    if kind == "Quantity":
        return _quantity(value._replace(value=-value.value))
    if kind not in ("Integer", "Decimal"):
        raise BadExpression(f"-{kind} is not defined")
    return number(-value if value.__class__ is int else EXACT.minus(value))


def and_(left: bool | None, right: bool | None) -> bool | None:
    return False if left is False or right is False else None if left is None or right is None else True


def or_(left: bool | None, right: bool | None) -> bool | None:
    return True if left or right else None if left is None or right is None else False


def xor(left: bool | None, right: bool | None) -> bool | None:
    return None if left is None or right is None else left is not right


def implies(left: bool | None, right: bool | None) -> bool | None:
    return right if left else True if left is False or right else None


LOGIC = {"and": and_, "or": or_, "xor": xor, "implies": implies}

OPERATORS = {
    "=": _equal, "!=": _unequal, "~": _alike, "!~": _unlike,
    "<": _ordering(lambda found: found < 0), "<=": _ordering(lambda found: found <= 0),
    ">": _ordering(lambda found: found > 0), ">=": _ordering(lambda found: found >= 0),
    "in": _within, "contains": _contains, "&": _join,
    **{operator: _arithmetic(compute) for operator, compute in
       {"+": _add, "-": _subtract, "*": _multiply, "/": _divide, "div": _div, "mod": _mod}.items()},
}
