"""Texts in words, and their pieces: what is sought is in a text only if all its pieces are."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.search import content, words
from app.search.words import BREAK, needed, pieces, sliced, slices, sought


@pytest.mark.parametrize("text, form", [
    ("Bone-marrow, HbA1c 7.2%", " bone marrow hba1c 7 2 "), ("患者高血压（Ⅱ级）", " 患者高血压 ii 级 "), ("Ｂ超检查", " b 超检查 "), ("Überweisung ÉVE", " uberweisung eve "), ("a_b", " a b "), ("", ""), ("...", ""),
    (f"bone{BREAK}marrow", " bone  marrow "), ("𠮷野家", " 𠮷野家 "), ("カルテ 검사", " カルテ 검사 "), ("a\tb\nc", " a b c "),
])
def test_a_text_in_words(text, form):
    assert words.words(text) == form


@pytest.mark.parametrize("text, form", [("bone", " bone "), ("Bone marrow", " bone marrow "), ("高血压", "高血压"), ("B超", " b 超"), ("超声B", "超声 b "), ("三年 血脂", "三年 血脂"), ("!", "")])
def test_what_is_sought(text, form):
    assert sought(text) == form


def test_pieces():
    assert pieces(" bone  高血压 b ") == {"bone", "高血", "血压", "压", "b"}
    assert pieces(" " + "x" * 40 + " ") == {"x" * 32}
    assert needed(" bone marrow ") == (["bone", "marrow"], []) and needed("高血压") == (["高血", "血压"], []) and needed("高") == ([], ["高"]) and needed(" ang") == ([], ["ang"])
    assert needed("ang ") == ([], []) and needed(" b 超") == (["b"], ["超"])


CHARACTERS = st.text(st.sampled_from("ab超检查é. -Ａ_"), max_size=12)


@given(CHARACTERS, CHARACTERS)
@settings(deadline=None)
def test_a_text_that_contains_what_is_sought_has_its_pieces(text, part):
    text, part = words.words(text), sought(part)
    whole, begun = needed(part)
    if part in text:
        assert set(whole) <= pieces(text) and all(any(piece.startswith(start) for piece in pieces(text)) for start in begun)


@given(st.lists(st.text(st.sampled_from("ab超检查 "), max_size=10), max_size=3), st.integers(0, 9), st.integers(1, 6))
@settings(deadline=None)
def test_any_part_of_a_text_is_in_its_slices(texts, at, length):
    for text in texts:
        assert all(piece in sliced(texts) for piece in slices(text[at:at + length]))


def test_a_long_text_has_several_rows_that_lose_no_word(monkeypatch):
    monkeypatch.setattr(content, "LONGEST", 10)
    text = words.words("bone marrow liver 高血压糖尿病肝硬化患者 spleen")
    found = list(content.parts(text))
    assert max(map(len, found)) <= 10 and set().union(*map(pieces, found)) >= pieces(text)


@pytest.mark.parametrize("div, text", [
    ("<div>高<b>血</b>压</div>", " 高血压 "), ("<div><p>bone</p><p>marrow</p></div>", " bone marrow "), ("<div>a<br/>b</div>", " a b "), ("<div>a &amp; b&lt;c&#20013;</div>", " a b c 中 "),
    ('<div title="hidden">x<!-- y --><a href="z">w</a></div>', " xw "), ("<div><blockquote>a</blockquote>b</div>", " a b "),
])
def test_the_text_of_a_narrative(div, text):
    assert words.words(content.narrative(div)) == text
