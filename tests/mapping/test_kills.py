"""Imports killed at random moments: store and reports as of one that nobody disturbed. `python -m scripts.kills` does it 200 times."""
from __future__ import annotations

import pytest

from scripts.kills import compare


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("mongo", marks=pytest.mark.transactions)])
def test_a_killed_import_leaves_what_an_undisturbed_one_leaves(kind, request):
    store = request.getfixturevalue("mongo_url") if kind == "mongo" else "sqlite:"
    assert compare(store, 5, 1000) >= 5
