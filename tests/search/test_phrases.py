"""Clauses in phrases."""
from __future__ import annotations

import pytest

from app.search import phrases
from app.search.query import ALL, NONE, NOW, And, Back, Compare, Granted, Has, Key, Link, Not, Or, Stamp, Test, has

CODE = has("O.code", Compare("code", "eq", "x"))


@pytest.mark.parametrize("clause, said", [
    (ALL, "everything"), (NONE, "nothing"), (CODE, "O.code code is x"), (has("O.code"), "O.code is there"), (Not(CODE), "not (O.code code is x)"),
    (And((CODE, Or((CODE, Stamp((Compare("updated", "gt", NOW),)))))), "O.code code is x and (O.code code is x or updated > now)"),
    (has("O.n", Compare("text", "prefix", "王"), Compare("code", "some")), "O.n text begins with 王 and code is there"),
    (Has((Test("O.c/1", (Compare("code", "eq", "a"),)), Test("O.c/2", (Compare("low", "ge", 5),)))), "O.c/1 code is a beside O.c/2 low >= 5"),
    (has("O.code", Compare("code", "in", tuple("abcdefg"))), "O.code code is one of a, b, c, d, e and 2 more"),
    (Or((CODE,) * 7), " or ".join(["O.code code is x"] * 5) + " or 2 more"),
    (Link("O.subject", ("Patient",), CODE), "O.subject names a Patient for which (O.code code is x)"), (Back("O.subject", "O", ALL), "a O names it in O.subject, for which (everything)"),
    (Granted((Compare("effect", "eq", "allow"),), (("patient", "about"),)), "a fact for which (effect is allow) agrees in patient"),
])
def test_a_clause_in_words(clause, said):
    assert phrases.said(clause) == said


def test_an_order_in_words():
    assert phrases.order((Key("O.date", "low", True), Key("", "id"))) == "O.date (last first), then id (first first)"
    assert phrases.order(()) == "newest first"
