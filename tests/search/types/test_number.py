"""Numbers and quantities. https://hl7.org/fhir/R4/search.html#number and #quantity"""
import pytest

from app import errors
from ..judge import found
from decimal import Decimal

UCUM = "http://unitsofmeasure.org"


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
])
def test_a_number_has_the_precision_that_it_is_written_with(text, value, expected):
    assert found("number", text, (Decimal(value), "decimal")) is expected


@pytest.mark.parametrize("text, value, expected", [("2", 2, True), ("2", 3, False), ("2.0", 2, True), ("2.1", 2, False), ("gt1", 2, True)])
def test_whole_numbers_are_exact(text, value, expected):
    assert found("number", text, (value, "positiveInt")) is expected


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "1e", "0x10", "NaN", "١", "1" * 61])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(errors.Invalid):
        found("number", text, (1, "integer"))


def test_numbers_beyond_all_bounds_stay_comparable():
    assert found("number", "gt5", (Decimal("1e9999"), "decimal"))
    assert found("number", "lt5", (Decimal("-1e9999"), "decimal"))
    assert not found("number", "eq1e9999", (Decimal("5"), "decimal"))


MILLIGRAMS = {"value": Decimal("5.4"), "unit": "milligram", "system": UCUM, "code": "mg"}


@pytest.mark.parametrize("text, expected", [
    ("5.4|http://unitsofmeasure.org|mg", True), ("5.4||mg", True), ("5.4||milligram", True), ("5.4", True), ("5.44", False), ("5", True), ("6", False),
    ("5.4|http://unitsofmeasure.org|g", False), ("5.4|http://elsewhere|mg", False), ("5.4|http://unitsofmeasure.org|", True), ("5.4||g", False),
    ("5.4|http://unitsofmeasure.org|milligram", False),
    ("le5.4|http://unitsofmeasure.org|mg", True), ("lt5.4|http://unitsofmeasure.org|mg", False), ("ap5.8|http://unitsofmeasure.org|mg", True), ("ne5.4", False), ("gt5||mg", True),
])
def test_a_quantity_is_found_by_number_and_unit(text, expected):
    assert found("quantity", text, (MILLIGRAMS, "Quantity")) is expected


def test_a_quantity_in_exponential_form_is_as_precise_as_its_digits():
    grams = {"value": Decimal("0.0054"), "system": UCUM, "code": "g"}
    assert found("quantity", "5.40e-3|http://unitsofmeasure.org|g", (grams, "Quantity"))
    assert not found("quantity", "5.40e-3|http://unitsofmeasure.org|g", ({**grams, "value": Decimal("0.005406")}, "Quantity"))


@pytest.mark.parametrize("text, comparator, expected", [
    ("lt5", "<", True), ("gt3", "<", True), ("gt5", "<", False), ("ge5", "<", False), ("sa5", ">", True), ("gt5", ">", True), ("lt5", ">", False), ("5", "<", False),
    ("sa5", ">=", False), ("gt100", ">=", True), ("eb5", "<", True), ("eb5", "<=", False), ("ne5", "<", True),
])
def test_a_stored_comparator_widens_the_range(text, comparator, expected):
    assert found("quantity", text, ({"value": 5, "comparator": comparator}, "Quantity")) is expected


def test_money_has_its_currency_as_code():
    money = ({"value": Decimal("12.50"), "currency": "CNY"}, "Money")
    assert found("quantity", "12.50|urn:iso:std:iso:4217|CNY", money)
    assert found("quantity", "12.5||CNY", money)
    assert not found("quantity", "12.50||USD", money)


def test_a_range_is_found_where_it_reaches():
    years = ({"low": {"value": 18, "unit": "a"}, "high": {"value": 65, "unit": "a"}}, "Range")
    assert found("quantity", "gt60", years)
    assert not found("quantity", "gt65", years)
    assert not found("quantity", "30", years)
    assert found("quantity", "lt200", ({"low": {"value": 18}}, "Range"))


@pytest.mark.parametrize("text", ["5.4|mg", "|mg", "x||mg", "5||m|g"])
def test_a_quantity_that_is_not_written_as_one_is_refused(text):
    with pytest.raises(errors.Invalid):
        found("quantity", text, (MILLIGRAMS, "Quantity"))
