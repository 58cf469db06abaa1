"""Positions near a point, judged beside distances on the sphere. https://hl7.org/fhir/R4/location.html#search"""
from math import acos, cos, radians, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import errors
from app.search.types.near import RADIUS

from ..judge import found

SHANGHAI, BEIJING, SUVA, APIA = (31.2304, 121.4737), (39.9042, 116.4074), (-18.1416, 178.4419), (-13.8333, -171.7667)


def near(text: str, latitude, longitude) -> bool:
    return found("special", text, ({"latitude": latitude, "longitude": longitude}, "Location.position"))


def metres(one, other) -> float:
    (a, b), (c, d) = map(radians, one), map(radians, other)
    return RADIUS * acos(max(-1.0, min(1.0, sin(a) * sin(c) + cos(a) * cos(c) * cos(b - d))))


@pytest.mark.parametrize("text, position, expected", [
    ("31.2304|121.4737|1068|km", BEIJING, True), ("31.2304|121.4737|1066|km", BEIJING, False), ("31.2304|121.4737|1068", BEIJING, True), ("31.2304|121.4737|1.068e3", BEIJING, True),
    ("31.2304|121.4737|1066000|m", BEIJING, False), ("31.2304|121.4737|664|[mi_us]", BEIJING, True), ("31.2304|121.4737|662|[mi_us]", BEIJING, False), ("31.2304|121.4737|1.068|Mm", BEIJING, True), ("31.2304|121.4737|1e900|km", BEIJING, True),
    ("31.2304|121.4737|577|[nmi_i]", BEIJING, True), ("31.2304|121.4737|575|[nmi_i]", BEIJING, False),
    # without a distance, ten kilometres
    ("31.2304|121.4737", (31.31, 121.4737), True), ("31.2304|121.4737", (31.33, 121.4737), False), ("31.2304|121.4737||", (31.31, 121.4737), True),
    # a distance of nothing finds the place itself
    ("31.2304|121.4737|0", SHANGHAI, True), ("31.2304|121.4737|0", (31.2305, 121.4737), False), ("31.23040|+121.4737|0.5|m", SHANGHAI, True),
    # over the date line: Suva and Apia are 1141 km apart
    ("-18.1416|178.4419|1160|km", APIA, True), ("-18.1416|178.4419|1120|km", APIA, False), ("0|180|1", (0, -180), True), ("0|-179.99|3", (0, 179.99), True), ("0|-179.99|2", (0, 179.99), False),
    # over the poles
    ("89.9|0|23", (89.9, 180), True), ("89.9|0|22", (89.9, 180), False), ("90|0|1", (90, 77), True), ("-89.9|0|23", (-89.9, 180), True), ("-89.9|0|22", (-89.9, 180), False),
    ("-90|0|1", (-90, 77), True), ("-90|0|1112", (-80, -100), True), ("-90|0|1111", (-80, -100), False), ("-90|0|10", (31, 121), False),
    # all of the earth, and all but the other side
    ("31|121|20016", (-31, -59), True), ("31|121|20010", (-31, -59), False), ("31|121|20010", (-31, -59.2), True), ("0|0|1", None, False),
    # an or list, across which distances differ
    ("0|0|1,31.2304|121.4737|1,39.9042|116.4074|1", BEIJING, True), ("0|0|1,31.2304|121.4737|1", BEIJING, False),
])
def test_a_position_is_near(text, position, expected):
    assert near(text, *(position or (None, None))) is expected


degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(degrees, degrees, st.floats(0, 20_100))
@settings(deadline=None)
def test_near_is_a_circle_on_the_sphere(centre, position, distance):
    apart = metres(centre, position) / 1000
    if abs(apart - distance) > 0.01 + 1e-7 * apart:
        assert near(f"{centre[0]:.12f}|{centre[1]:.12f}|{distance:.9f}", *position) is (apart <= distance)


@pytest.mark.parametrize("position", [{"latitude": 91, "longitude": 0}, {"latitude": 0, "longitude": 181}, {"latitude": 0}, {"longitude": 0}, {}])
def test_a_position_that_is_none_has_no_row(position):
    assert not found("special", "0|0|30000", (position, "Location.position"))


def test_a_missing_position():
    assert found("special", "true", modifier="missing") and not found("special", "true", ({"latitude": 1, "longitude": 1}, "Location.position"), modifier="missing")


@pytest.mark.parametrize("text, said", [
    ("31", "latitude|longitude"), ("1|2|3|km|5", "latitude|longitude"), ("91|0", "latitude"), ("-91|0", "latitude"), ("0|181", "longitude"), ("x|0", "latitude"), ("nan|0", "latitude"),
    ("|", "latitude"), ("0|", "longitude"), ("0|0|-1", "distance"), ("0|0|inf", "distance"), ("0|0|1|mile", "[mi_us]"), ("0|0|1|kg", "[mi_us]"), ("0|0|१", "distance"),
])
def test_what_is_no_place_is_told(text, said):
    with pytest.raises(errors.Invalid) as failure:
        near(text, 0, 0)
    assert said in str(failure.value)


def test_near_has_no_modifier_but_missing():
    with pytest.raises(errors.Unsupported):
        found("special", "0|0", ({"latitude": 1, "longitude": 1}, "Location.position"), modifier="not")
