"""Strings, names and addresses. https://hl7.org/fhir/R4/search.html#string"""
import pytest

from app import errors
from app.search.types.string import normal
from ..judge import found


@pytest.mark.parametrize("text, form", [
    ("Eve", "eve"), ("ÉVE", "eve"), ("  a \t b\u3000c ", "a b c"), ("O'Brien, Jr.", "obrien jr"), ("Ｗａｎｇ１", "wang1"), ("Straße", "strasse"), ("张伟", "张伟"),
    ("각", "각"), ("ﬁ", "fi"), ("Ⅳ", "iv"), ("阿卜杜拉·买买提", "阿卜杜拉买买提"), ("---", "---"), ("𠮷野", "𠮷野"), ("İ", "i"), ("C++", "c++"),
])
def test_the_normal_form_heeds_neither_case_nor_marks_nor_width(text, form):
    assert normal(text) == form


EVELYN = ({"family": "Lynch", "given": ["Evelyn", "Maria"], "prefix": ["Dr."]}, "HumanName")


@pytest.mark.parametrize("text, modifier, expected", [
    ("eve", "", True), ("EVELYN", "", True), ("lyn", "", True), ("velyn", "", False), ("maria", "", True), ("dr", "", True),
    ("vel", "contains", True), ("xyz", "contains", False), ("Evelyn", "exact", True), ("evelyn", "exact", False), ("Eve", "exact", False),
])
def test_a_string_starts_with_the_value_unless_a_modifier_says_else(text, modifier, expected):
    assert found("string", text, EVELYN, modifier=modifier) is expected


def test_accents_and_punctuation_do_not_count_but_for_exact():
    name = ({"family": "Müller-Lüdenscheidt", "given": ["René"]}, "HumanName")
    assert found("string", "muller", name)
    assert found("string", "Rene", name)
    assert found("string", "rené", name)
    assert not found("string", "Rene", name, modifier="exact")


def test_the_parts_of_a_family_name_are_found_by_themselves():
    name = ({"family": "Carreno Quinones"}, "HumanName")
    assert found("string", "Carreno", name)
    assert found("string", "Quinones", name)
    assert found("string", "carreno quin", name)
    assert not found("string", "Quinones", name, modifier="exact")


def test_a_chinese_name_is_found_by_its_family_name_and_as_a_whole():
    assert found("string", "张", ({"text": "张伟"}, "HumanName"))
    parts = ({"family": "张", "given": ["伟"]}, "HumanName")
    assert found("string", "张", parts)
    assert found("string", "伟", parts)
    assert found("string", "张伟", parts)
    assert not found("string", "李", parts)


def test_an_address_is_found_by_each_of_its_texts_but_not_by_its_use():
    address = ({"use": "home", "line": ["延安西路1882号", None], "city": "上海", "district": "长宁区", "postalCode": "200336", "country": "CN"}, "Address")
    assert all(found("string", text, address) for text in ("延安西路", "上海", "长宁", "2003", "cn"))
    assert not found("string", "home", address)


def test_commas_escaped_belong_to_the_value():
    assert found("string", "a\\,b", ("a,b", "string"), modifier="exact")
    assert not found("string", "a,b", ("a,b", "string"), modifier="exact")
    assert found("string", "a\\\\b", ("a\\b", "string"), modifier="exact")


def test_a_backslash_that_escapes_nothing_is_refused():
    with pytest.raises(errors.Invalid):
        found("string", "xx\\xx", ("x", "string"))
    with pytest.raises(errors.Invalid):
        found("string", "xx\\", ("x", "string"))


def test_missing_looks_for_any_value():
    assert found("string", "true", modifier="missing", kinds=("string",))
    assert found("string", "false", ("a", "string"), modifier="missing")
    with pytest.raises(errors.Invalid):
        found("string", "yes", ("a", "string"), modifier="missing")


def test_an_unknown_modifier_is_refused_with_those_known():
    with pytest.raises(errors.Unsupported, match=":missing, :exact, :contains"):
        found("string", "a", ("a", "string"), modifier="above")


@pytest.mark.parametrize("text", ["", " ", "\u3000", "\u0301", "\t\u0301 "])
@pytest.mark.parametrize("modifier", ["", "contains"])
def test_a_text_of_which_nothing_counts_is_refused_and_does_not_find_all(text, modifier):
    with pytest.raises(errors.Invalid, match="empty"):
        found("string", text, ({"family": "Lynch"}, "HumanName"), modifier=modifier)
    assert not found("string", " ", ({"family": "Lynch"}, "HumanName"), modifier="exact")
