"""Every prefix on every precision, zone and period: what is found is what a naive reading of the page's own words says.

http://hl7.org/fhir/R4/search.html#prefix and #date. The evaluator here shares nothing with the search: calendar intervals of Python's datetime.
"""
from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest

from tests.search.shelf import CONTEXT, search

SHANGHAI = timezone(timedelta(hours=8))
"""The store's zone, of dates that carry none."""
EVER, NEVER = datetime(1, 1, 3, tzinfo=timezone.utc), datetime(9999, 12, 29, tzinfo=timezone.utc)


def interval(text: str) -> tuple[datetime, datetime]:
    """[start, end) of a date as precise as it is written."""
    if "T" not in text:
        parts = [int(p) for p in text.split("-")]
        start = datetime(*(parts + [1, 1])[:3], tzinfo=SHANGHAI)
        if len(parts) == 1:
            return start, start.replace(year=start.year + 1)
        if len(parts) == 2:
            return start, (start + timedelta(days=32)).replace(day=1)
        return start, start + timedelta(days=1)
    day, time = text.split("T")
    zone = next((z for z in ("Z", "+", "-") if z in time), "")
    clock = time.split(zone)[0] if zone else time
    moment = datetime.fromisoformat(f"{day}T{clock}{time[len(clock):].replace('Z', '+00:00') or '+08:00'}")
    width = {5: timedelta(minutes=1), 8: timedelta(seconds=1), 10: timedelta(milliseconds=100), 12: timedelta(milliseconds=1)}[len(clock)]
    return moment, moment + width


def covered(element: dict) -> tuple[datetime, datetime]:
    """[start, end) of what a resource says."""
    kind, value = next(iter(element.items()))
    if kind == "effectivePeriod":
        return interval(value["start"])[0] if "start" in value else EVER, interval(value["end"])[1] if "end" in value else NEVER
    start, end = interval(value)
    return (start, start + timedelta(microseconds=1)) if kind == "effectiveInstant" else (start, end)


def contains(outer, inner) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def overlaps(one, other) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def widened(value, now: datetime):
    """`ap`: ten percent of the gap between now and the date."""
    gap = max(value[0] - now, now - (value[1] - timedelta(microseconds=1)), timedelta()) // timedelta(microseconds=1)
    return value[0] - timedelta(microseconds=gap // 10), value[1] + timedelta(microseconds=gap // 10)


def meant(prefix: str, value, target, now: datetime) -> bool:
    """The page's sentence for the prefix, of the search value's range and the target value's."""
    above, below = (value[1], NEVER), (EVER, value[0])
    return {
        "eq": contains(value, target),  # the range of the search value fully contains the range of the target value
        "ne": not contains(value, target),  # ... does not fully contain ...
        "gt": overlaps(above, target),  # the range above the search value intersects (i.e. overlaps) with the range of the target value
        "lt": overlaps(below, target),  # the range below the search value intersects ...
        "ge": overlaps(above, target) or contains(value, target),  # ... or the range of the search value fully contains the range of the target value
        "le": overlaps(below, target) or contains(value, target),
        "sa": not overlaps(value, target) and contains(above, target),  # does not overlap, and the range above the search value contains the range of the target value
        "eb": not overlaps(value, target) and contains(below, target),
        "ap": overlaps(widened(value, now), target),  # the range of the search value overlaps with the range of the target value
    }[prefix]


WRITTEN = ["2012", "2013", "2013-01", "2013-02", "2013-01-13", "2013-01-14", "2013-01-15", "2013-01-14T00:00Z", "2013-01-14T10:00+08:00", "2013-01-14T10:00:00+08:00", "2013-01-14T10:00:59+08:00",
           "2013-01-14T02:00:00Z", "2013-01-13T16:00:00Z", "2013-01-14T15:59:59.999Z", "2013-01-14T10:00:00.500+08:00", "2013-01-13T21:00:00-05:00", "2012-02-29", "2013-12-31", "2020-01-01T00:00:00+08:00"]
PERIODS = [("2013-01-13", "2013-01-15"), ("2013-01-14", "2013-01-14"), ("2013-01-14T09:00:00+08:00", "2013-01-14T11:00:00+08:00"), ("2013-01-14T10:00:00+08:00", "2013-01-14T10:00:00+08:00"), ("2013", "2013-01"),
           ("2012-12", "2013-03"), ("2013-01-14", None), (None, "2013-01-14"), ("2013-01-21", None), (None, "2012"), ("2013-01-15T00:00:00+08:00", None), (None, "2013-01-13T23:59:59+08:00")]
ELEMENTS = [*({"effectiveDateTime": text} for text in WRITTEN if "T" not in text or text.count(":") > (2 if "+" in text or "-05" in text else 1)),
            *({"effectiveInstant": text} for text in ("2013-01-14T10:00:00+08:00", "2013-01-13T16:00:00Z", "2013-01-14T15:59:59.999Z", "2013-01-14T16:00:00Z", "2013-01-14T10:00:00.500+08:00")),
            *({"effectivePeriod": {k: v for k, v in (("start", start), ("end", end)) if v}} for start, end in PERIODS)]
RESOURCES = [{"resourceType": "Observation", "id": str(number), "status": "final", "code": {"text": "x"}, **element} for number, element in enumerate(ELEMENTS)]
SOUGHT = [*WRITTEN, "2013-01-14T10:00", "2013-01-14T00:00", "2013-01-14T10:00:00", "2013-01-14T10:00:00.5+08:00", "2013-01-21", "2013-01-12T16:00:00Z"]
NOW = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=CONTEXT.now)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("prefix", ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
async def test_a_prefix_finds_what_the_page_says_of_ranges(shelf, prefix):
    for text in SOUGHT:
        found = set(await shelf.find(search(f"Observation?date={prefix}{quote(text)}").query))
        expected = {str(number) for number, element in enumerate(ELEMENTS) if meant(prefix or "eq", interval(text), covered(element), NOW)}
        assert found == expected, (prefix, text, {str(ELEMENTS[int(n)]) for n in found ^ expected})


@pytest.mark.asyncio(loop_scope="module")
async def test_two_dates_bound_a_range_and_a_list_unites_them(shelf):
    for low, high in (("2013-01-14", "2013-01-14"), ("2013-01", "2013-02"), ("2012", "2013-01-13T16:00:00Z")):
        value = [interval(t) for t in (low, high)]
        both = {str(n) for n, e in enumerate(ELEMENTS) if meant("ge", value[0], covered(e), NOW) and meant("le", value[1], covered(e), NOW)}
        assert set(await shelf.find(search(f"Observation?date=ge{low}&date=le{high}").query)) == both
        either = {str(n) for n, e in enumerate(ELEMENTS) if meant("sa", value[1], covered(e), NOW) or meant("eb", value[0], covered(e), NOW)}
        assert set(await shelf.find(search(f"Observation?date=sa{high},eb{low}").query)) == either


def test_the_table_is_a_table():
    """Each prefix finds something and not all, so that none of the expectations is empty of meaning."""
    for prefix in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"):
        counts = [sum(meant(prefix, interval(text), covered(element), NOW) for element in ELEMENTS) for text in SOUGHT]
        assert 0 < sum(counts) < len(SOUGHT) * len(ELEMENTS)
    assert len(ELEMENTS) * len(SOUGHT) * 9 > 7_000
