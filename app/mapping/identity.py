"""Ids of imported resources: a keyed hash of their business key, so that the same row always gives the same id and nobody can guess a number back.

BLAKE2b as in https://www.rfc-editor.org/rfc/rfc7693, base32 as in https://www.rfc-editor.org/rfc/rfc4648#section-6 in lower case.
"""
from __future__ import annotations

import secrets
import unicodedata
from base64 import b32encode
from functools import lru_cache
from hashlib import blake2b

LENGTH = 32
"""Characters of an id, before the organisation's prefix."""


def new_secret() -> str:
    """A secret for a new store: 32 random bytes in hex. It never leaves the store; another one would give every resource another id."""
    return secrets.token_hex(32)


class Ids:
    """Gives ids under one secret: `ids(type, namespace, parts)` is `prefix` and 32 characters, the same for the same arguments.

    parts are business values (a visit number); they are compared without regard to width, case, outer spaces and leading zeros.
    """

    def __init__(self, secret: str, prefix: str = ""):
        self.secret, self.prefix = bytes.fromhex(secret), prefix
        self.of = lru_cache(maxsize=100_000)(self._of)

    def __call__(self, type: str, namespace: str, parts: tuple[str, ...]) -> str:
        return self.of(type, namespace, parts)

    def _of(self, type: str, namespace: str, parts: tuple[str, ...]) -> str:
        digest = blake2b(b"".join(map(_framed, (type, namespace, *map(normal, parts)))), key=self.secret, digest_size=20)
        return self.prefix + b32encode(digest.digest()).decode().lower()


def normal(part: str) -> str:
    """A key part as it is compared: NFKC, no outer spaces, one case, and no leading zeros where it is a number."""
    text = unicodedata.normalize("NFKC", part).strip().casefold()
    return (text.lstrip("0") or "0") if text.isdecimal() else text


def _framed(part: str) -> bytes:
    """A part after its length, so that ("12", "3") is not ("1", "23")."""
    raw = part.encode()
    return len(raw).to_bytes(4, "big") + raw
