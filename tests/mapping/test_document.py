from __future__ import annotations

import pytest

from app.mapping.document import Mistake, parse


def test_scalars_stay_text_that_yaml_would_change():
    assert parse("a: 01\nb: no\nc: 1.0\nd: ~\ne: =", "m.yaml") == {"a": "01", "b": "no", "c": "1.0", "d": "~", "e": "="}


def test_every_node_knows_its_line():
    document = parse("a: 1\nb:\n  - x\n  - {c: y}\n", "m.yaml")
    assert document["a"].place == "m.yaml:1"
    assert document["b"][1]["c"].place == "m.yaml:4"
    assert next(iter(document["b"][1])).place == "m.yaml:4"


@pytest.mark.parametrize(("text", "place", "words"), [
    ("a: 1\na: 2\n", "m.yaml:2", "twice"),
    ("a: &x 1\nb: *x\n", "m.yaml:2", "aliases"),
    ("a: [1\nb: 2\n", "m.yaml:2", "not YAML"),
    ("- a\n- b\n", "m.yaml:1", "no mapping"),
    ("", "m.yaml:1", "no mapping"),
    ("? [a, b]\n: c\n", "m.yaml:1", "plain text"),
    ("a: " + "[" * 60 + "]" * 60, "m.yaml:1", "deeper"),
])
def test_a_mistake_names_file_and_line(text, place, words):
    with pytest.raises(Mistake) as told:
        parse(text, "m.yaml")
    assert told.value.place == place and words in str(told.value)


def test_very_deep_yaml_is_a_mistake_and_no_crash():
    with pytest.raises(Mistake):
        parse("a: " + "[" * 1000, "m.yaml")
