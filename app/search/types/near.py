"""Location.near: positions within a distance of a point. https://hl7.org/fhir/R4/location.html#search

A position is a point of the plane onto which the earth, as a sphere, is drawn from the south pole (stereographic): circles stay circles,
so that a distance is one exact comparison of two numbers, over the date line and the north pole too.
"""
from __future__ import annotations

import re
from fractions import Fraction
from math import cos, pi, radians, sin, tan

from app import errors
from app.fhir import ucum
from app.search.context import Context
from app.search.query import Compare, Row, Test
from app.search.types.text import plain, split

MODIFIERS = ()
PREFIXES = ()
RADIUS = 6_371_008.8
"""Metres: the mean radius of the earth. Distances on the ellipsoid differ by up to 0.6 %."""
DISTANCE = 10_000.0
"""Metres that are near where no distance is given."""
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?", re.ASCII)


def point(latitude: float, longitude: float) -> tuple[float, float]:
    """A position in degrees in the plane."""
    reach = tan(pi / 4 - radians(latitude) / 2)
    return reach * cos(radians(longitude)), reach * sin(radians(longitude))


def circle(latitude: float, longitude: float, angle: float) -> tuple[float, float, float]:
    """(centre, centre, radius) in the plane of the positions within an angle (radians) of one, which do not reach the south pole."""
    away = pi / 2 - radians(latitude)
    near, far = tan((away - angle) / 2), tan((away + angle) / 2)
    reach = (near + far) / 2
    return reach * cos(radians(longitude)), reach * sin(radians(longitude)), (far - near) / 2


def _position(add, param: str, group: int, value: dict, context: Context) -> None:
    latitude, longitude = _degrees(value.get("latitude"), 90), _degrees(value.get("longitude"), 180)
    if latitude is not None and longitude is not None:
        add(Row(param, group, None, None, None, *point(latitude, longitude)))


def _degrees(value, most: int) -> float | None:
    return float(value) if value is not None and -most <= value <= most else None


READERS = {"Location.position": _position}
"""FHIR type -> what adds its row, whose low and high are the coordinates of the position in the plane."""


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """`latitude|longitude`, then perhaps `|distance`, then perhaps `|unit` (kilometres)."""
    parts = [plain(p) for p in split(value, "|")]
    if not 2 <= len(parts) <= 4:
        raise errors.Invalid(f"{value!r} is not latitude|longitude|distance|unit, the last two perhaps left out.")
    latitude, longitude = _given("latitude", parts[0], 90), _given("longitude", parts[1], 180)
    angle = _distance(*parts[2:]) / RADIUS
    if angle >= pi:
        return [(Test(param.name),)]
    if angle < pi / 2 + radians(latitude):
        u, v, radius = circle(latitude, longitude, angle)
        square = (Compare("low", "ge", u - radius), Compare("low", "le", u + radius), Compare("high", "ge", v - radius), Compare("high", "le", v + radius))
        return [(Test(param.name, (*square, Compare("point", "within", (u, v, 1, radius * radius)))),)]
    u, v, radius = circle(-latitude, longitude + 180, pi - angle)  # the south pole is within: all but what is nearer to the other side
    return [(Test(param.name, (Compare("point", "within", (u, v, -1, -radius * radius)),)),)]


def _given(name: str, text: str, most: int) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else None
    if number is None or abs(number) > most:
        raise errors.Invalid(f"{text!r} is no {name}: a decimal number of degrees from -{most} to {most}. near is latitude|longitude|distance|unit.")
    return number


def _distance(distance: str = "", unit: str = "") -> float:
    """Metres."""
    if not distance:
        return DISTANCE
    if not _NUMBER.fullmatch(distance) or float(distance) < 0:
        raise errors.Invalid(f"{distance!r} is no distance: a decimal number from 0.")
    metres = ucum.converted(Fraction(distance), unit or "km", "m")
    if metres is None:
        raise errors.Invalid(f"{unit!r} is no unit of distance: one of UCUM's, such as km, m, [mi_i], [mi_us], [nmi_i].")
    return float(min(metres, 10 ** 9))
