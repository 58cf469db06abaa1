"""Imports killed at random moments: store and reports as of one that nobody disturbed. `python -m scripts.kills` does it 200 times."""
from __future__ import annotations

import pytest

from scripts.kills import compare
from tests.store.conftest import NO_TRANSACTIONS


@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
def test_a_killed_import_leaves_what_an_undisturbed_one_leaves(kind, request):
    store = "sqlite:"
    if kind == "mongo":
        if not request.getfixturevalue("transactions"):
            pytest.skip(NO_TRANSACTIONS)
        store = request.getfixturevalue("mongo_url")
    assert compare(store, 5, 1000) >= 5
