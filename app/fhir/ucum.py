"""UCUM: whether a code is a unit, and what a value in it is worth in base units, exactly. https://ucum.org/ucum

ucumvert reads the grammar and carries UCUM's own table of units. The arithmetic is here because its numbers are floats, and because the
units that it hands to pint are pint's, not UCUM's: there a mole is a dimension and a bel in a product an error.
"""
from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple

from lark import Transformer
from lark.exceptions import LarkError
from ucumvert.parser import get_ucum_parser
from ucumvert.xml_util import root

URL = "http://unitsofmeasure.org"
LONGEST, MOST_PARTS, HIGHEST_POWER = 64, 12, 99
"""Of a code: characters, parts and brackets (the parser takes under ten milliseconds for these), and powers within it."""
_POWER_OF_NUMBER = re.compile(r"(?<![^./(}])\d+[+-]")

Number = Decimal | Fraction | int
Curve = Callable[[Fraction], Fraction]


class Unit(NamedTuple):
    """base: the canonical unit, a product of base units (`g.m-3`, `1` for none). factor: how many of it one unit is.

    into, back: of a unit whose scale has another zero or is no straight line: from its value to one that `factor` applies to, and back.
    """

    base: str
    factor: Fraction
    into: Curve | None = None
    back: Curve | None = None

    def worth(self, value: Number) -> Fraction:
        """A value in this unit, in the canonical one."""
        exact = Fraction(value)
        return self.factor * (self.into(exact) if self.into else exact)


@lru_cache(maxsize=4096)
def unit(code: str) -> Unit | None:
    """The unit of a case-sensitive code; None if it is none, or one beyond all use (see the limits above).

    Annotations say nothing about a unit (`{score}` is 1). Each arbitrary unit (`[IU]`), and each scale that runs against the quantity that it
    stands for (`[pH]`), is a base unit of its own; so is a special unit in a product (the `Cel` of `W/Cel`), which UCUM gives no meaning.
    """
    usual = code and len(code) <= LONGEST and sum(map(code.count, "./(")) <= MOST_PARTS and not _POWER_OF_NUMBER.search(code)
    amount = _amount(code) if usual else None
    if amount is None:
        return None
    special = _specials().get(amount.powers[0][0]) if len(amount.powers) == 1 and amount.powers[0][1] == 1 else None
    if special is None:
        return Unit(_text(amount.powers), amount.factor)
    curve, proper = special
    into, back = _CURVES[curve]
    return Unit(_text(proper.powers), proper.factor, lambda value: into(value * amount.factor), lambda value: back(value) / amount.factor)


def is_valid(code: str) -> bool:
    return unit(code) is not None


def canonical(value: Number, code: str) -> tuple[Fraction, str] | None:
    """(the value in the canonical unit, that unit); None for what is no unit."""
    found = unit(code)
    return None if found is None else (found.worth(value), found.base)


def converted(value: Number, code: str, wanted: str) -> Fraction | None:
    """The value in another unit; None if they are not commensurable, or there is no such value (the logarithm of nothing)."""
    if not commensurable(code, wanted):
        return None
    target = unit(wanted)
    exact = unit(code).worth(value) / target.factor
    try:
        return target.back(exact) if target.back else exact
    except ValueError:
        return None


def commensurable(code: str, other: str) -> bool:
    a, b = unit(code), unit(other)
    return a is not None and b is not None and a.base == b.base


class _Amount(NamedTuple):
    factor: Fraction
    powers: tuple[tuple[str, int], ...] = ()

    def times(self, other: "_Amount", sign: int = 1) -> "_Amount":
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, 0) + sign * power
        return _Amount(self.factor * other.factor ** sign, tuple(sorted((name, power) for name, power in powers.items() if power)))

    def to(self, power: int) -> "_Amount":
        if abs(power) > HIGHEST_POWER:
            raise ValueError(power)
        return _Amount(self.factor ** power, tuple((name, by * power) for name, by in self.powers))


_ONE = _Amount(Fraction(1))


class _Reading(Transformer):
    """The parser's tree, from the leaves up, to an amount of base units; a rule with one part is not in the tree."""

    def ANNOTATION(self, text):
        return _ONE

    def main_term(self, parts):
        return parts[0] if len(parts) == 1 else _ONE.times(parts[1], -1)

    def term(self, parts):
        left, operator, right = parts
        return left.times(right, 1 if operator == "." else -1)

    def component(self, parts):
        return parts[0]

    def annotatable(self, parts):
        return parts[0].to(int(parts[1])) if len(parts) == 2 else parts[0]

    def simple_unit(self, parts):
        *prefix, atom = map(str, parts)
        amount = _Amount(Fraction(atom)) if atom.isdecimal() else _atom(atom)
        return amount._replace(factor=amount.factor * _prefixes()[prefix[0]]) if prefix else amount


_PARSER, _READING = get_ucum_parser(), _Reading()


def _amount(code: str) -> _Amount | None:
    try:
        return _READING.transform(_PARSER.parse(code))
    except LarkError:  # what a rule raises comes wrapped in one, too
        return None


@cache
def _prefixes() -> dict[str, Fraction]:
    return {prefix.get("Code"): Fraction(prefix.find("{*}value").get("value")) for prefix in root.iterfind("{*}prefix")}


@cache
def _definitions() -> dict:
    return {element.get("Code"): element for element in root.iterfind("{*}unit")}


@cache
def _specials() -> dict[str, tuple[str, _Amount]]:
    """Special unit -> (its curve, what the curve's value counts in)."""
    functions = {code: element.find("{*}value/{*}function") for code, element in _definitions().items() if element.get("isSpecial") == "yes"}
    return {code: (function.get("name"), _defined(function)) for code, function in functions.items() if function.get("name") in _CURVES}


@cache
def _atom(code: str) -> _Amount:
    definition = _definitions().get(code)
    if definition is None or definition.get("isSpecial") == "yes":
        return _Amount(Fraction(1), ((code, 1),))
    found = _defined(definition.find("{*}value"))
    return _Amount(Fraction(1), ((code, 1),)) if definition.get("isArbitrary") == "yes" and not found.powers else found


def _defined(value) -> _Amount:
    amount = _amount(value.get("Unit"))
    return amount._replace(factor=amount.factor * Fraction(value.get("value")))


def _text(powers: tuple) -> str:
    return ".".join(f"{name}{power if power != 1 else ''}" for name, power in powers) or "1"


def _shifted(by: str) -> tuple[Curve, Curve]:
    return lambda value: value + Fraction(by), lambda value: value - Fraction(by)


_GREATEST = Fraction(10 ** 300)


def _float(function: Callable[[float], float]) -> Curve:
    """A curve that only floats can follow; what is beyond them counts as the greatest."""
    def curve(value: Fraction) -> Fraction:
        try:
            return Fraction(function(float(max(-_GREATEST, min(_GREATEST, value)))))
        except OverflowError:
            return _GREATEST
    return curve


_CURVES: dict[str, tuple[Curve, Curve]] = {
    "Cel": _shifted("273.15"), "degF": _shifted("459.67"), "degRe": _shifted("218.52"),
    "lg": (_float(lambda x: math.pow(10, x)), _float(math.log10)), "lgTimes2": (_float(lambda x: math.pow(10, x / 2)), _float(lambda y: 2 * math.log10(y))),
    "ln": (_float(math.exp), _float(math.log)), "ld": (_float(lambda x: math.pow(2, x)), _float(math.log2)), "sqrt": (_float(lambda x: x * x), _float(math.sqrt)),
    "tanTimes100": (_float(lambda x: math.atan(x / 100)), _float(lambda y: 100 * math.tan(y))),
    "100tan": (_float(lambda x: math.degrees(math.atan(x / 100))), _float(lambda y: 100 * math.tan(math.radians(y)))),
}
"""Function of a special unit -> (from its value to that of its proper unit, and back)."""
