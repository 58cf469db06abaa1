from __future__ import annotations

import pytest

from app.mapping.document import Mistake
from app.mapping.expression import Call, Compare, Exists, First, Logic, Path, Pipe, Value, condition, expression, paths


def test_a_pipe_binds_closer_than_the_first_that_is_not_empty():
    tree = expression("出生日期 | date('yyyyMMdd') // 身份证号 | idcard_birth", "m:1")
    assert tree == First((Pipe(Path("出生日期"), (Call("date", (Value("yyyyMMdd"),)),)), Pipe(Path("身份证号"), (Call("idcard_birth"),))))


def test_parentheses_group():
    assert expression("(离院 // 就诊) | datetime", "m:1") == Pipe(First((Path("离院"), Path("就诊"))), (Call("datetime"),))


def test_names_with_spaces_or_signs_are_quoted():
    assert expression('"总费用 (元)" | number', "m:1") == Pipe(Path("总费用 (元)"), (Call("number"),))


def test_paths_of_messages_are_names():
    assert expression("PID-3[5=MR].1 // PID-3[1].1", "m:1") == First((Path("PID-3[5=MR].1"), Path("PID-3[1].1")))


def test_arguments_may_be_named_and_expressions():
    assert expression("码 | coding(icd10-local, display=名 // 别名)", "m:1").calls == (
        Call("coding", (Path("icd10-local"),), (("display", First((Path("名"), Path("别名")))),)),)


def test_a_text_holds_its_quote_doubled():
    assert expression("'it''s'", "m:1") == Value("it's")


def test_conditions_have_not_before_and_before_or():
    assert condition("not a exists and b = '1' or c in ['2', '3']", "m:1") == Logic("or", (
        Logic("and", (Logic("not", (Exists(Path("a")),)), Compare(Path("b"), "=", Value("1")))), Compare(Path("c"), "in", Value(("2", "3")))))


def test_parentheses_in_a_condition_group_conditions_or_values():
    assert condition("(a exists or b exists) and c != '1'", "m:1").how == "and"
    assert condition("(a // b) exists", "m:1") == Exists(First((Path("a"), Path("b"))))


def test_paths_read_are_listed_in_order():
    assert paths(expression("a | default('x') // concat(b, 'y', c)", "m:1")) == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "|", "a |", "a | 'x'", "a //", "(a", "a)", "f(a", "f(a b)", "a b", "a ? b", "'open", "[a]"])
def test_what_is_no_expression_is_told_with_its_place(text):
    with pytest.raises(Mistake) as told:
        expression(text, "m.yaml:7")
    assert told.value.place == "m.yaml:7"


@pytest.mark.parametrize("text", ["", "a", "a =", "a exists b", "and a exists", "a in", "not"])
def test_what_is_no_condition_is_told_with_its_place(text):
    with pytest.raises(Mistake) as told:
        condition(text, "m.yaml:7")
    assert told.value.place == "m.yaml:7"
