"""UCUM by hand from https://ucum.org/ucum, and its own table of examples whole."""
from __future__ import annotations

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import ucumvert
from hypothesis import given, strategies as st

from app.fhir import ucum

EXAMPLES = [row[1] for row in csv.reader((Path(ucumvert.__file__).parent / "vendor" / "ucum_examples.tsv").open(), delimiter="\t")][1:]


@pytest.mark.parametrize("code, base, factor", [
    ("m", "m", "1"), ("kg", "g", "1000"), ("mg/dL", "g.m-3", "10"), ("kg.m/s2", "g.m.s-2", "1000"), ("kg.m.s-2", "g.m.s-2", "1000"), ("N", "g.m.s-2", "1000"), ("/min", "s-1", "1/60"),
    ("mm[Hg]", "g.m-1.s-2", "133322"), ("m[H2O]", "g.m-1.s-2", "9806650"), ("10*3/uL", "m-3", "1000000000000"), ("10^3/uL", "m-3", "1000000000000"), ("%", "1", "1/100"), ("[ppm]", "1", "1/1000000"),
    ("1", "1", "1"), ("{score}", "1", "1"), ("{beats}/min", "s-1", "1/60"), ("g{creat}", "g", "1"), ("mL/min/{1.73_m2}", "m3.s-1", "1/60000000"), ("100/{cells}", "1", "100"), ("g/(8.h)", "g.s-1", "1/28800"),
    ("h", "s", "3600"), ("d", "s", "86400"), ("wk", "s", "604800"), ("a", "s", "31557600"), ("mo", "s", "2629800"), ("mo_g", "s", "2629746"), ("[in_i]", "m", "127/5000"), ("[lb_av]", "g", "45359237/100000"), ("[foz_us]", "m3", "473176473/16000000000000"),
    ("[IU]/L", "[iU].m-3", "1000"), ("m[IU]/mL", "[iU].m-3", "1000"), ("[arb'U]", "[arb'U]", "1"), ("[pH]", "[pH]", "1"), ("[hp'_C]", "[hp'_C]", "1"), ("U/L", "m-3.s-1", "30110703800000000000/3"), ("W/(m2.Cel)", "Cel-1.g.s-3", "1000"), ("dar", "m2", "10"), ("cd", "cd", "1"),
])
def test_a_unit_is_worth_so_many_of_the_canonical_one(code, base, factor):
    found = ucum.unit(code)
    assert found.base == base and ucum.is_valid(base)
    assert found.factor == Fraction(factor) and found.into is None


@pytest.mark.parametrize("value, code, wanted, expected", [
    ("37", "Cel", "[degF]", "98.6"), ("98.6", "[degF]", "Cel", "37"), ("-40", "Cel", "[degF]", "-40"), ("37", "Cel", "K", "310.15"), ("80", "[degRe]", "Cel", "100"), ("500", "mCel", "Cel", "0.5"), ("72.50", "kg", "g", "72500"),
    ("20", "dB", "1", "100"), ("2", "B", "10*2", "1"), ("40", "dB[SPL]", "mPa", "2"), ("6", "B[V]", "V", "1000"), ("3", "bit_s", "1", "8"), ("100", "%[slope]", "deg", "45"), ("3", "[m/s2/Hz^(1/2)]", "m2/s3", "9"), ("1", "Np", "Np", "1"),
    ("5.4", "mg", "g", "0.0054"), ("1", "[oz_av]", "g", "28.349523125"), ("60", "km/h", "m/s", "50/3"), ("760", "mm[Hg]", "kPa", "101.32472"), ("1", "[IU]", "m[IU]", "1000"),
])
def test_a_value_is_converted(value, code, wanted, expected):
    found = ucum.converted(Decimal(value), code, wanted)
    assert found == Fraction(expected) or abs(float(found) - float(Fraction(expected))) < 1e-9 * abs(float(Fraction(expected)))


@pytest.mark.parametrize("code, other", [("mg", "mL"), ("[IU]", "mg"), ("[IU]", "[arb'U]"), ("[pH]", "mol/L"), ("Cel", "J"), ("m", "parsec"), ("lbs", "lbs"), ("K/W", "Cel/W")])
def test_what_is_not_commensurable_is_not_converted(code, other):
    assert not ucum.commensurable(code, other) and ucum.converted(1, code, other) is None


@pytest.mark.parametrize("code", ["", " mg", "m/", "/", "mcg", "lbs", "mmHg", "[mmHg]", "g/12h", "ug(8.h)", "10+3/uL", "iU", "m m", "mg/dL ", "µg", "°C", "2mg", "{a", "{锭}", "()", "m**2", "m^2", "Mg[Hg]x", "k[in_i]", "m0", "m" * 65, "m." * 31 + "m", "(" * 20 + "m" + ")" * 20, "10*100", "10*99999999", "m-100"])
def test_what_is_no_unit_or_beyond_all_use_is_refused(code):
    assert not ucum.is_valid(code) and ucum.canonical(1, code) is None


def test_every_example_of_the_table_is_a_unit():
    """848 of them. Torr stands in the table and not in UCUM's definitions."""
    assert len(EXAMPLES) > 800 and [code for code in EXAMPLES if not ucum.is_valid(code)] == ["Torr"]
    assert {code for code in EXAMPLES if ucum.is_valid(code) and not ucum.is_valid(ucum.unit(code).base)} == set()


def test_every_unit_of_the_definitions_is_read_and_every_special_one_has_its_curve():
    definitions = ucum._definitions()
    assert len(definitions) > 300 and all(ucum.unit(code) for code in definitions)
    special = {code for code, element in definitions.items() if element.get("isSpecial") == "yes"}
    assert special - {code for code in special if ucum.unit(code).into} == {"[pH]", "[hp'_X]", "[hp'_C]", "[hp'_M]", "[hp'_Q]"}


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-10 ** 9, max_value=10 ** 9, places=4), st.sampled_from([code for code in EXAMPLES if ucum.unit(code) and not ucum.unit(code).into] + ["Cel", "[degF]", "[degRe]"]))
def test_a_value_comes_back_exactly(value, code):
    found, base = ucum.canonical(value, code)
    assert ucum.converted(found, base, code) == Fraction(value)


@given(st.text(alphabet="mgkLdl[]{}()./*10^'+-%IUuHpCelx字\x00 ", max_size=30))
def test_random_text_is_a_unit_or_none(text):
    found = ucum.unit(text)
    assert found is None or ucum.is_valid(found.base)


def test_a_value_beyond_a_logarithm_counts_as_the_greatest():
    assert ucum.canonical(Decimal("1e9999"), "dB")[0] == ucum.canonical(10 ** 6, "B")[0]
    assert ucum.converted(-1, "1", "B") is None
