"""Dates: ranges, prefixes and zones. https://hl7.org/fhir/R4/search.html#date and #prefix"""
from datetime import datetime, timezone

import pytest

from app import errors
from app.search.context import Context
from app.search.query import FIRST, LAST
from app.search.types import date
from ..judge import CONTEXT, found

UTC = "UTC"


def micro(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * 1_000_000


@pytest.mark.parametrize("text, low, high", [
    ("2013", "2013-01-01T00:00:00", "2014-01-01T00:00:00"),
    ("2013-02", "2013-02-01T00:00:00", "2013-03-01T00:00:00"),
    ("2013-12", "2013-12-01T00:00:00", "2014-01-01T00:00:00"),
    ("2013-01-14", "2013-01-14T00:00:00", "2013-01-15T00:00:00"),
    ("2013-01-14T10:00", "2013-01-14T10:00:00", "2013-01-14T10:01:00"),
    ("2013-01-14T10:00:30", "2013-01-14T10:00:30", "2013-01-14T10:00:31"),
    ("2013-01-14T10:00:30Z", "2013-01-14T10:00:30", "2013-01-14T10:00:31"),
    ("2013-01-14T10:00:30+08:00", "2013-01-14T02:00:30", "2013-01-14T02:00:31"),
    ("2013-01-14T10:00:30-05:30", "2013-01-14T15:30:30", "2013-01-14T15:30:31"),
])
def test_a_date_covers_what_its_precision_implies(text, low, high):
    assert date.span(text, UTC) == (micro(low), micro(high) - 1)


def test_a_fraction_of_a_second_is_as_wide_as_its_last_digit():
    start = micro("2013-01-14T10:00:30")
    assert date.span("2013-01-14T10:00:30.5Z", UTC) == (start + 500_000, start + 599_999)
    assert date.span("2013-01-14T10:00:30.239Z", UTC) == (start + 239_000, start + 239_999)
    assert date.span("2013-01-14T10:00:30.123456789Z", UTC) == (start + 123_456, start + 123_456)


def test_a_date_without_a_zone_is_in_the_stores_zone():
    assert date.span("2013-01-14", "Asia/Shanghai") == (micro("2013-01-13T16:00:00"), micro("2013-01-14T16:00:00") - 1)


def test_a_day_on_which_the_clocks_change_has_its_own_length():
    low, high = date.span("2024-03-31", "Europe/Berlin")
    assert high - low + 1 == 23 * 3600 * 1_000_000


def test_the_ends_of_the_calendar_are_dates():
    assert date.span("0001", "Asia/Shanghai")[0] < date.span("9999", "Asia/Shanghai")[0] < date.span("9999-12-31", "America/New_York")[1] < LAST


def test_a_leap_second_belongs_to_its_minute():
    low, high = date.span("2016-12-31T23:59:60Z", UTC)
    assert low == high == micro("2017-01-01T00:00:00") - 1


@pytest.mark.parametrize("text", ["", "x", "13", "2013-1-1", "2013-13", "2013-02-30", "2013-01-14T10", "2013-01-14T25:00Z", "2013-01-14T10:60Z", "2013-01-14T10:00:61Z",
                                  "2013-01-14T10:00:00+15:00", "2013-01-14Z", "0000", "２０１３"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(errors.Invalid):
        date.span(text, UTC)


def test_a_period_may_be_open():
    start = date.span("2013-01-21", UTC)[0]
    assert date.bounds({"start": "2013-01-21"}, "Period", UTC) == (start, LAST)
    assert date.bounds({"end": "2013-01-21"}, "Period", UTC) == (FIRST, date.span("2013-01-21", UTC)[1])


def test_of_a_timing_the_outer_limits_count():
    timing = {"event": ["2013-02-01", "2013-01-05"], "repeat": {"boundsPeriod": {"start": "2013-01-10", "end": "2013-03-24"}}}
    assert date.bounds(timing, "Timing", UTC) == (date.span("2013-01-05", UTC)[0], date.span("2013-03-24", UTC)[1])


def test_a_timing_or_period_that_says_no_date_has_no_row():
    assert not found("date", "false", ({"repeat": {"frequency": 1}}, "Timing"), ({}, "Period"), modifier="missing")


DAY, HOUR, MARCH = ("2013-01-14", "dateTime"), ("2013-01-14T10:00:00+08:00", "dateTime"), ({"start": "2013-01-21"}, "Period")
NEXT, CLOSED, MONTH = ("2013-01-15T00:00:00+08:00", "instant"), ({"start": "2013-01-13", "end": "2013-01-15"}, "Period"), ("2013-01", "dateTime")


@pytest.mark.parametrize("text, element, expected", [
    # the specification's own table
    ("eq2013-01-14", ("2013-01-14T00:00:00+08:00", "dateTime"), True), ("eq2013-01-14", HOUR, True), ("eq2013-01-14", NEXT, False),
    ("ne2013-01-14", NEXT, True), ("ne2013-01-14", ("2013-01-14T00:00:00+08:00", "dateTime"), False), ("ne2013-01-14", HOUR, False),
    ("lt2013-01-14T10:00", DAY, True), ("gt2013-01-14T10:00", DAY, True),
    ("ge2013-03-14", MARCH, True), ("le2013-03-14", MARCH, True),
    ("sa2013-03-14", ({"start": "2013-03-15"}, "Period"), True), ("sa2013-03-14", MARCH, False), ("sa2013-03-14", ({"start": "2013-03-14"}, "Period"), False),
    ("eb2013-03-14", ({"end": "2013-03-13"}, "Period"), True), ("eb2013-03-14", ({"end": "2013-03-14"}, "Period"), False),
    # no prefix is eq
    ("2013-01-14", HOUR, True), ("2013-01-14", DAY, True), ("2013", DAY, True), ("2013-01-14", MONTH, False), ("2013-01-14", CLOSED, False),
    ("2013-01-14T10:00", DAY, False), ("2013-01-14T10:00:00+08:00", HOUR, True), ("2013-01-14T02:00:00Z", HOUR, True),
    # equal days are neither greater nor less, and both ge and le
    ("gt2013-01-14", DAY, False), ("lt2013-01-14", DAY, False), ("ge2013-01-14", DAY, True), ("le2013-01-14", DAY, True),
    ("gt2013-01-14", HOUR, False), ("lt2013-01-14", HOUR, False), ("ge2013-01-14", HOUR, True), ("le2013-01-14", HOUR, True),
    # a wider resource reaches above and below
    ("gt2013-01-14", CLOSED, True), ("lt2013-01-14", CLOSED, True), ("ge2013-01-14", CLOSED, True), ("le2013-01-14", CLOSED, True), ("ne2013-01-14", CLOSED, True),
    ("sa2013-01-14", CLOSED, False), ("eb2013-01-14", CLOSED, False),
    # it starts before the day and ends on it: below, but neither above nor contained
    ("ge2013-01-14", ({"start": "2013-01-13", "end": "2013-01-14"}, "Period"), False), ("le2013-01-14", ({"start": "2013-01-13", "end": "2013-01-14"}, "Period"), True),
    ("le2013-01-14", ({"start": "2013-01-14", "end": "2013-01-15"}, "Period"), False), ("ge2013-01-14", ({"start": "2013-01-14", "end": "2013-01-15"}, "Period"), True),
    ("sa2013-01-13", DAY, True), ("eb2013-01-15", DAY, True), ("eb2013-01-14", DAY, False),
])
def test_prefixes_compare_ranges_as_the_table_says(text, element, expected):
    assert found("date", text, element) is expected


@pytest.mark.parametrize("element, expected", [("2013-01-01", True), ("2013-12-31", True), ("2012-06-01", True), ("2010-01-01", False), ("2015-02-01", False)])
def test_ap_reaches_a_tenth_of_the_way_to_now(element, expected):
    now = CONTEXT._replace(now=date.span("2023-12-31", "Asia/Shanghai")[1])  # ten years after: a year to each side
    assert found("date", "ap2013", (element, "date"), context=now) is expected


def test_each_value_of_a_list_has_its_own_prefix():
    assert found("date", "lt2010,gt2012", ("2013-01-01", "date"))
    assert found("date", "lt2010,gt2012", ("2009-01-01", "date"))
    assert not found("date", "lt2010,gt2012", ("2011-01-01", "date"))


def test_a_plus_sign_that_arrives_as_a_space_is_understood():
    assert found("date", "ge2013-01-14T10:00:00 08:00", HOUR)


def test_a_prefix_that_is_none_is_refused_by_name():
    with pytest.raises(errors.Unsupported, match="'gq'"):
        found("date", "gq2013", DAY)


def test_zones_matter_only_where_none_is_given():
    day_in_utc = Context(zone="UTC")
    assert not found("date", "2013-01-14", ("2013-01-14T02:00:00+08:00", "dateTime"), context=day_in_utc)
    assert found("date", "2013-01-13", ("2013-01-14T02:00:00+08:00", "dateTime"), context=day_in_utc)
