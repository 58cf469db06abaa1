"""Code systems that are grammars and no lists: whether a code is one of theirs. https://hl7.org/fhir/R4/terminologies-systems.html"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from app.fhir import ucum


class Grammar(NamedTuple):
    """meaning: what its codes are, for a message; holds: whether a text is one."""

    meaning: str
    holds: Callable[[str], bool]


_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
MIME = re.compile(rf'{_NAME}/{_NAME}(?: ?; ?{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"))*')
"""RFC 6838, section 4.2, for the type; RFC 2045, section 5.1, for its parameters."""
IRREGULAR = "en-GB-oed i-ami i-bnn i-default i-enochian i-hak i-klingon i-lux i-mingo i-navajo i-pwn i-tao i-tay i-tsu sgn-BE-FR sgn-BE-NL sgn-CH-DE"
LANGUAGE = re.compile(rf"""(?:[a-z]{{2,3}}(?:-[a-z]{{3}}){{0,3}}|[a-z]{{4,8}})    # language, and what extends it
    (?:-[a-z]{{4}})?(?:-(?:[a-z]{{2}}|\d{{3}}))?                                   # script, region
    (?:-(?:[a-z0-9]{{5,8}}|\d[a-z0-9]{{3}}))*                                      # variants
    (?:-[a-wyz0-9](?:-[a-z0-9]{{2,8}})+)*(?:-x(?:-[a-z0-9]{{1,8}})+)?              # extensions, private use
    |x(?:-[a-z0-9]{{1,8}})+|{IRREGULAR.replace(" ", "|")}""", re.VERBOSE | re.IGNORECASE | re.ASCII)
"""RFC 5646, section 2.1: what is well-formed; regular grandfathered tags are."""

GRAMMARS = {
    "urn:ietf:bcp:13": Grammar("a MIME type: type/subtype, with parameters perhaps (text/plain; charset=utf-8)", lambda code: MIME.fullmatch(code) is not None),
    "urn:ietf:bcp:47": Grammar("a language tag: zh, zh-CN, zh-Hans-CN", lambda code: LANGUAGE.fullmatch(code) is not None),
    ucum.URL: Grammar("a UCUM unit: mmol/L, 10*9/L, mm[Hg]", lambda code: ucum.unit(code) is not None),
}
"""Code system -> its grammar."""
