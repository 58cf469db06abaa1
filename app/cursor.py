"""Page links: opaque and encrypted, for searches hold names; bound to the caller for whom they were made."""
from __future__ import annotations

import base64
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app import errors

LIFETIME = 3600 * 1_000_000
"""Microseconds that a page link works: for so long superseded index rows are kept."""


def key() -> str:
    """A new secret, as text for the store."""
    return base64.b64encode(AESGCM.generate_key(256)).decode()


def seal(secret: str, binding: str, content: dict) -> str:
    """`content` as an opaque text that only `binding` can open."""
    nonce = os.urandom(12)
    sealed = AESGCM(base64.b64decode(secret)).encrypt(nonce, json.dumps(content, separators=(",", ":")).encode(), binding.encode())
    return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")


def unseal(secret: str, binding: str, text: str, now: int) -> dict:
    """The content of a page link. Errors: Invalid for one that was not made here for this caller; Deleted for one that is too old."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        content = json.loads(AESGCM(base64.b64decode(secret)).decrypt(raw[:12], raw[12:], binding.encode()))
    except (ValueError, InvalidTag):
        raise errors.Invalid("This page link is not valid; start from the search's first page.", expression="_cursor") from None
    if now - content["now"] > LIFETIME:
        raise errors.Deleted("This page link is too old; start from the search's first page.", expression="_cursor")
    return content
