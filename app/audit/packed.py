"""Columns of texts that are searched in their normal form and as written: both stand in one column, apart.

`normal 0x1F normal 0x1E LETTERS 0x1E`: normal forms have neither control characters nor capital ASCII letters, and what is written
exactly stands in such letters alone, so no search of one finds the other. https://hl7.org/fhir/R4/search.html#string
"""
from __future__ import annotations

from functools import lru_cache

from app.search.types.string import normal

SECOND, NAME, SUBJECT = "\x1f", "\x1e", "\x1d"
_LETTERS = str.maketrans("0123456789abcdef", "ABCDEFGHIJKLMNOP")


def exactly(mark: str, text: str) -> str:
    """The text as a piece that the column contains only where it was written exactly so."""
    return f"{mark}{text.encode('utf-8', 'replace').hex().translate(_LETTERS)}{mark}"


@lru_cache(maxsize=10_000)
def addresses(client: str, site: str) -> str:
    """Column `address`: of the client, and of this server."""
    return f"{normal(client)}{SECOND}{normal(site)}{exactly(NAME, client) if client else ''}"


@lru_cache(maxsize=10_000)
def agent(name: str, user: str) -> str:
    """Column `agent_name`: the name of the person, and the subject of `issuer|subject`, which is also sought without its issuer."""
    return (f"{normal(name)}{exactly(NAME, name)}" if name else "") + (exactly(SUBJECT, user.partition("|")[2] or user) if user else "")
