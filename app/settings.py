"""The settings of one server process, read once from the environment (YILIAN_...)."""
from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """store: `sqlite:PATH`, `sqlite::memory:` or `mongodb://...`. journals: folder of an embedded store's access journals.

    base: public address of the server, without `/fhir`; empty takes it from each request's Host
    zone: of dates without one; it is fixed when a store is created
    body_limit, bundle_limit: bytes of a request's body, entries of a transaction
    page, page_limit: entries of a page where none, or too many, are asked for
    enforce_references: refuse references to resources of this server that the caller cannot see
    without_transactions: for tests on a server that has none; never in production
    """

    store: str = "sqlite:data/yilian.db"
    journals: str = ""
    base: str = ""
    zone: str = "Asia/Shanghai"
    open: bool = False
    organization: str = "operator"
    enforce_references: bool = False
    body_limit: int = 64 * 1024 * 1024
    bundle_limit: int = 10_000
    page: int = 20
    page_limit: int = 1000
    without_transactions: bool = False

    @classmethod
    def read(cls, environ=os.environ, **given) -> "Settings":
        """The environment's settings (`YILIAN_PAGE=50`), with those given taking precedence; ValueError names a bad one."""
        return cls(**{**{f.name: _typed(f, environ[f"YILIAN_{f.name.upper()}"]) for f in fields(cls) if f"YILIAN_{f.name.upper()}" in environ},
                      **{k: v for k, v in given.items() if v is not None}})


def _typed(field, text: str):
    if field.type == "bool":
        if text.lower() not in ("0", "1", "true", "false", "yes", "no"):
            raise ValueError(f"YILIAN_{field.name.upper()} is yes or no, not {text!r}")
        return text.lower() in ("1", "true", "yes")
    if field.type == "int":
        if not text.isdigit():
            raise ValueError(f"YILIAN_{field.name.upper()} is a whole number, not {text!r}")
        return int(text)
    return text


def shipped(name: str) -> Path:
    """The folder `mappings` or `profiles`: of this checkout, or inside the installed wheel."""
    inside = Path(__file__).with_name("data") / name
    return inside if inside.is_dir() else Path(__file__).parent.parent / name
