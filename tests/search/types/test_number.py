"""Numbers. https://hl7.org/fhir/R4/search.html#number"""
from decimal import Decimal

import pytest

from app import errors
from ..judge import found


@pytest.mark.parametrize("text, value, expected", [
    ("100", "99.5", True), ("100", "100.49", True), ("100", "100.5", False), ("100", "99.49", False),
    ("100.00", "99.995", True), ("100.00", "100.005", False), ("100.00", "100", True), ("100.00", "100.01", False),
    ("1e2", "95", True), ("1e2", "104.9", True), ("1e2", "105", False), ("1e2", "94.9", False),
    ("1.00e2", "99.5", True), ("1.00e2", "100.5", False),
    ("lt100", "99.9", True), ("lt100", "100", False), ("le100", "100", True), ("le100", "100.1", False),
    ("gt100", "100.1", True), ("gt100", "100", False), ("ge100", "100", True), ("ge100", "99.9", False),
    ("ne100", "100.4", False), ("ne100", "100.5", True), ("ne100", "99", True),
    ("sa100", "100", False), ("sa100", "100.1", True), ("eb100", "99.9", True), ("eb100", "100", False),
    ("ap100", "91", True), ("ap100", "110", True), ("ap100", "89", False), ("ap100", "111", False),
    ("-5", "-5", True), ("-5", "5", False), ("gt-5", "-4", True), ("0.8", "0.8", True), ("8e-1", "0.8", True), ("0", "0.4", True),
    ("72.50000000000000000000", "72.5", True), ("72.50000000000000000000", "72.51", False), ("ne72.50000000000000000000", "72.5", False),
])
def test_a_number_has_the_precision_that_it_is_written_with(text, value, expected):
    assert found("number", text, (Decimal(value), "decimal")) is expected


@pytest.mark.parametrize("text, value, expected", [("2", 2, True), ("2", 3, False), ("2.0", 2, True), ("2.1", 2, False), ("gt1", 2, True)])
def test_whole_numbers_are_exact(text, value, expected):
    assert found("number", text, (value, "positiveInt")) is expected


@pytest.mark.parametrize("text, value", [("1E 2", 100), (" 5", 5), ("gt1e 1", 11)])
def test_a_plus_sign_that_nobody_encoded_is_one(text, value):
    assert found("number", text, (value, "integer"))


@pytest.mark.parametrize("text", ["", "abc", "1 2", " ", "1.2.3", "1e", "0x10", "NaN", "١", "1" * 61])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(errors.Invalid):
        found("number", text, (1, "integer"))


def test_numbers_beyond_all_bounds_stay_comparable():
    assert found("number", "gt5", (Decimal("1e9999"), "decimal"))
    assert found("number", "lt5", (Decimal("-1e9999"), "decimal"))
    assert not found("number", "eq1e9999", (Decimal("5"), "decimal"))
