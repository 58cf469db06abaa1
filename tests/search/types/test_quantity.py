"""Quantities: numbers with units. https://hl7.org/fhir/R4/search.html#quantity"""
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from app import errors
from app.fhir.ucum import converted
from app.search import types
from ..judge import CONTEXT, found

UCUM = "http://unitsofmeasure.org"
MILLIGRAMS = {"value": Decimal("5.4"), "unit": "milligram", "system": UCUM, "code": "mg"}


@pytest.mark.parametrize("text, expected", [
    ("5.4|http://unitsofmeasure.org|mg", True), ("5.4||mg", True), ("5.4||milligram", True), ("5.4", True), ("5.44", False), ("5", True), ("6", False),
    ("5.4|http://unitsofmeasure.org|g", False), ("0.0054|http://unitsofmeasure.org|g", True), ("5.4|http://elsewhere|mg", False), ("5.4|http://unitsofmeasure.org|", True), ("5.4||g", False),
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


def ucum(value: str, code: str, **more) -> tuple[dict, str]:
    return {"value": Decimal(value), "system": UCUM, "code": code, "unit": "as written", **more}, "Quantity"


@pytest.mark.parametrize("text, value, code, expected", [
    # 5.4 is [5.35, 5.45), whatever its unit is turned into
    ("5.4|mg", "0.0054", "g", True), ("5.4|mg", "0.00535", "g", True), ("5.4|mg", "0.00545", "g", False), ("5.4|mg", "5450", "ug", False), ("5.4|mg", "5449.9", "ug", True), ("5.40|mg", "5449.9", "ug", False), ("5.4|mg", "5.4", "mL", False),
    ("72.50|kg", "72500", "g", True), ("72.50|kg", "72494", "g", False), ("72.5|kg", "72494", "g", True), ("gt72.5|kg", "72.50", "kg", False), ("ge72.5|kg", "72500", "g", True), ("lt72.5|kg", "159.8", "[lb_av]", True), ("gt72.5|kg", "159.9", "[lb_av]", True),
    # scales with another zero: the ends of the range are moved, too
    ("37|Cel", "98.6", "[degF]", True), ("37|Cel", "310.15", "K", True), ("37.0|Cel", "98.5", "[degF]", False), ("37|Cel", "97.7", "[degF]", True), ("37|Cel", "99.5", "[degF]", False), ("98.6|[degF]", "37", "Cel", True), ("gt38|Cel", "100.5", "[degF]", True), ("gt38|Cel", "100.4", "[degF]", False),
    ("lt-10|Cel", "260", "K", True), ("ap37|Cel", "92", "[degF]", True), ("ap37|Cel", "91", "[degF]", False), ("ne37|Cel", "99.5", "[degF]", True), ("ne37|Cel", "98.6", "[degF]", False), ("sa37|Cel", "99", "[degF]", True), ("eb37|Cel", "98", "[degF]", True), ("le37|Cel", "98.6", "[degF]", True),
    # the same unit in other words, amounts of substance, annotations, arbitrary units, powers of ten
    ("120|mm[Hg]", "15.99864", "kPa", True), ("gt7|mmol/L", "7.1", "mmol/L", True), ("5.6|mmol/L", "0.0056", "mol/L", True), ("gt60|/min", "61", "{beats}/min", True), ("5|{score}", "5", "1", True), ("10|%", "0.1", "1", True), ("4.5|10*6/uL", "4.5", "10*12/L", True),
    ("5|[IU]/L", "5", "m[IU]/mL", True), ("5|[IU]/L", "5", "U/L", False), ("gt7.2|[pH]", "7.4", "[pH]", True), ("lt7.2|[pH]", "7.4", "[pH]", False), ("gt10|dB", "11", "{log}", True), ("gt2|h", "121", "min", True), ("1|wk", "7", "d", True),
    # no unit of UCUM's: as written
    ("5.4|lbs", "5.4", "lbs", True), ("5.4|lbs", "5.4", "mg", False), ("gt1|", "5", "lbs", True),
])
def test_a_unit_of_ucum_finds_what_is_written_in_any_that_measures_the_same(text, value, code, expected):
    number, _, unit = text.partition("|")
    assert found("quantity", f"{number}|{UCUM}|{unit}", ucum(value, code)) is expected


@pytest.mark.parametrize("text, expected", [
    ("5.4", True), ("5.4||mg", True), ("5.4||as written", True), ("0.0054||g", False), ("0.0054", False), (f"5.4|{UCUM}|", True), ("5.4|http://elsewhere|mg", False), (f"5.4|{UCUM}|as written", False),
])
def test_what_names_no_unit_of_ucum_is_found_as_it_is_written(text, expected):
    assert found("quantity", text, ucum("5.4", "mg")) is expected


@pytest.mark.parametrize("unit", [{"code": "g"}, {"system": "http://elsewhere", "code": "g"}, {"system": UCUM, "unit": "g"}, {"unit": "g"}])
def test_a_stored_unit_that_is_not_said_to_be_of_ucum_is_not_converted(unit):
    assert not found("quantity", f"5|{UCUM}|g", ({"value": 5, **unit}, "Quantity"))


@pytest.mark.parametrize("text, comparator, expected", [
    ("lt0.005|g", "<", True), ("gt0.003|g", "<", True), ("gt0.005|g", "<", False), ("ge0.005|g", "<", False), ("sa0.005|g", ">", True), ("sa0.005|g", ">=", False), ("eb0.005|g", "<", True), ("eb0.005|g", "<=", False), ("0.005|g", "<", False),
])
def test_a_stored_comparator_widens_the_converted_range(text, comparator, expected):
    number, _, unit = text.partition("|")
    assert found("quantity", f"{number}|{UCUM}|{unit}", ucum("5", "mg", comparator=comparator)) is expected


def test_a_quantity_without_a_number_is_found_by_none():
    nothing = ({"system": UCUM, "code": "mg", "comparator": "<"}, "Quantity")
    assert not any(found("quantity", text, nothing) for text in ("gt0", "lt5", "ne5", f"ge0|{UCUM}|mg"))
    assert found("quantity", "false", nothing, modifier="missing")


@pytest.mark.parametrize("kind", ["Age", "Duration", "Distance", "Count", "SimpleQuantity", "MoneyQuantity"])
def test_every_kind_of_quantity_is_converted(kind):
    assert found("quantity", f"2|{UCUM}|h", (ucum("120", "min")[0], kind))


def test_a_range_is_converted_at_both_ends():
    fever = {"low": ucum("100.4", "[degF]")[0], "high": ucum("104", "[degF]")[0]}
    assert found("quantity", f"gt39|{UCUM}|Cel", (fever, "Range")) and not found("quantity", f"gt40|{UCUM}|Cel", (fever, "Range"))
    assert found("quantity", f"sa37|{UCUM}|Cel", (fever, "Range")) and found("quantity", f"gt50|{UCUM}|Cel", ({"low": fever["low"]}, "Range"))


@pytest.mark.parametrize("data, text, expected", [
    ("10 12 9", "ge9|mV", True), ("10 12 9", "gt24|mV", False), ("10 12 9", "lt19|mV", True), ("10 12 9", "lt18|mV", False), ("10 12 9", "0.02|V", True), ("10 12 9", "0.021|V", False), ("E 10 E", "20|mV", True), ("L 10", "lt-5|mV", True), ("10 U", "gt500|mV", True), ("E", "gt0|mV", False), ("x 10", "20|mV", True),
])
def test_sampled_data_is_found_by_its_bounds(data, text, expected):
    """The description of Observation.value-quantity: just search on the bounds of the values in sampled data."""
    number, _, unit = text.partition("|")
    sampled = {"origin": {"value": 0, "system": UCUM, "code": "mV"}, "period": 10, "factor": 2, "dimensions": 1, "data": data}
    assert found("quantity", f"{number}|{UCUM}|{unit}", (sampled, "SampledData")) is expected


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=3), st.sampled_from([("mg", "g"), ("[lb_av]", "kg"), ("Cel", "[degF]"), ("mm[Hg]", "kPa"), ("umol/min", "U"), ("dB", "B"), ("[pH]", "[pH]")]))
def test_a_quantity_is_found_by_its_own_number_and_by_the_converted_one(value, units):
    stored, text = ucum(str(value), units[0]), f"{value}|{UCUM}|{units[0]}"
    assert found("quantity", text, stored) and found("quantity", f"ge{text}", stored) and found("quantity", f"le{text}", stored) and found("quantity", f"ap{text}", stored)
    assert not any(found("quantity", prefix + text, stored) for prefix in ("gt", "lt", "sa", "eb", "ne"))
    exact = converted(value, *units)
    other = f"{exact.numerator / Decimal(exact.denominator):.15f}"
    assert found("quantity", f"ap{other}|{UCUM}|{units[1]}", stored)


def test_a_quantity_has_a_row_as_written_and_one_that_is_converted():
    written, converted = types.rows("quantity", "Any.p", [ucum("5.4", "mg")], CONTEXT)
    assert (written.system, written.code, written.text, written.low) == (UCUM, "mg", "as written", 5.4)
    assert (converted.param, converted.code, converted.low, converted.high) == ("Any.p:ucum", "g", 0.0054, 0.0054)
