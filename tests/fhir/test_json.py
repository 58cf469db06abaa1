"""Lossless and strict JSON. https://hl7.org/fhir/R4/json.html"""
from __future__ import annotations

import copy
import pickle
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from app import errors
from app.fhir import json


@pytest.mark.parametrize("text", ["72.50", "1e2", "1E+2", "-0", "-0.0", "0.10", "100000000000000000000", "3.14000", "1", "-7", "0"])
def test_a_number_comes_back_as_it_was_written(text):
    body = b'{"a":[' + text.encode() + b"]}"
    assert json.dumps(json.loads(body)) == body


@pytest.mark.parametrize("text", ["张伟", "䶮", "\U00020bb7", "👩‍⚕️", "é", "\\u0022", "a\\nb", "\u2028"])
def test_text_comes_back(text):
    body = f'{{"a":"{text}"}}'.encode()
    assert json.loads(json.dumps(json.loads(body))) == json.loads(body)


def test_a_four_byte_gb18030_character_is_sent_as_itself():
    assert json.dumps({"a": "\U00020bb7"}) == '{"a":"\U00020bb7"}'.encode()


def test_the_order_of_properties_stays():
    assert list(json.loads(b'{"b":1,"a":2,"c":3}')) == ["b", "a", "c"]


@pytest.mark.parametrize("body, said", [
    (b'{"a":1,"a":2}', "'a' stands twice"), (b'{"x":{"a":1,"a":1}}', "'a' stands twice"), (b"\xff{}", "not UTF-8: byte 0"), (b'{"a":"\xe5\xbc"}', "not UTF-8: byte 6"),
    (b'{"a":NaN}', "NaN"), (b'{"a":-Infinity}', "-Infinity"), (b"[1]", "no object"), (b"7", "no object"), (b"", "line 1, column 1"), (b'{"a":}', "line 1, column 6"),
    (b'{"a":1}x', "Extra data"), (b'{"a":"\\ud800"}', "surrogate"), (b'{"a":"\\u0000"}', "U+0000"), (b'{"\\udfff":1}', "surrogate"), (b'{"a":01}', "not JSON"), (b'{"a":1.}', "not JSON"),
    (b'{"a":"\x01"}', "control character"), (b'{"a":1e99999}', "beyond")])
def test_what_is_no_resource_is_refused_with_the_place(body, said):
    with pytest.raises(errors.Malformed) as caught:
        json.loads(body)
    assert said in str(caught.value) and caught.value.status == 400


@pytest.mark.parametrize("body, said", [
    (b'{"entry":[{},{"resource":{"a":1,"a":2}}]}', "(At entry[1].resource.)"), (b'{"a":{"b":[1,NaN]}}', "(At a.b[1].)"), (b'{"a":{"b":1e99999}}', "(At a.b.)"), (b'{"a":1,"a":2}', "in one object."), (b'{"a":[{"b":1,"b":2},7', "in one object."),
    (b'{"a":[{"b":1,"b":2},' + b"[" * 200_000, "in one object."), (b'{"a":' * 90 + b'{"b":1,"b":2}' + b"}" * 90, "(At a" + ".a" * 89 + ".)"),
    (b'{"\\ud800":[{"b":1,"b":2}]}', "(At \\ud800[0].)"), (b'{"' + b"a" * 9_000 + b'":NaN}', "aaa....)")])
def test_what_json_itself_allows_is_refused_with_its_path_where_the_rest_can_be_read(body, said):
    with pytest.raises(errors.Malformed) as caught:
        json.loads(body)
    assert str(caught.value).endswith(said)


@pytest.mark.parametrize("depth", [101, 5_000, 200_000])
@pytest.mark.parametrize("unit", [(b'{"a":', b"}"), (b"[", b"]")])
def test_a_nesting_bomb_is_refused(depth, unit):
    with pytest.raises(errors.Malformed, match="deeper than 100"):
        json.loads(b'{"x":' + unit[0] * depth + b"1" + unit[1] * depth + b"}")


def test_a_hundred_levels_are_allowed():
    assert json.loads(b'{"a":' * 100 + b"1" + b"}" * 100)


def test_flat_lists_of_any_length_are_no_nesting():
    assert json.loads(b'{"a":[' + b",".join([b'{"b":["]\\"}"]}'] * 5000) + b"]}")


@pytest.mark.parametrize("body", [b"[" * 101 + b'"' + b'\\"' * 200_000, b'"' * 101, b"[}" * 200_000, b"{" * 200_000])
def test_what_never_ends_is_refused_without_delay(body):
    with pytest.raises(errors.Malformed):
        json.loads(body)


def test_a_refused_character_is_told_with_its_place():
    with pytest.raises(errors.Malformed, match=r"^name\[1\].family holds U\+0000"):
        json.loads(b'{"name":[{"family":"x"},{"family":"a\\u0000b"}]}')


def test_an_escaped_pair_of_surrogates_is_one_character():
    assert json.loads(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_numbers_that_we_made_are_written_too():
    assert json.dumps([Decimal("1.50"), 2**63, 1.5]) == b"[1.50,9223372036854775808,1.5]"
    with pytest.raises(TypeError):
        json.dumps(Decimal("NaN"))


def test_a_number_survives_copying_and_pickling():
    number = json.loads(b'{"a":1.50}')["a"]
    assert [copied.text for copied in (copy.copy(number), copy.deepcopy(number), pickle.loads(pickle.dumps(number)))] == ["1.50"] * 3


def test_pretty_keeps_the_numbers():
    assert json.pretty(json.loads(b'{"a":1e2}')) == b'{\n  "a": 1e2\n}'


def test_many_brackets_in_a_string_are_no_nesting():
    assert json.loads(b'{"a":"' + b"[" * 5000 + b'"}') == {"a": "[" * 5000}


def test_a_byte_order_mark_is_passed_over():
    assert json.loads(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(data):
    try:
        json.loads(data)
    except errors.Malformed:
        pass


values = st.recursive(st.none() | st.booleans() | st.integers(-10**17, 10**17) | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")),
                      lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")), inner, max_size=4), max_leaves=20)


@given(st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=5), values, max_size=4))
def test_what_is_written_is_read_back(value):
    assert json.loads(json.dumps(value)) == value
