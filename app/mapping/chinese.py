"""Numbers that carry a check: the resident identity card (GB 11643-1999), the unified social credit code (GB 32100-2015), the organisation code (GB 11714)."""
from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"
CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
ORGANIZATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def card_check(first: str) -> str:
    """The check character of an identity card's first 17 digits."""
    return CHECKS[sum(weight * int(digit) for weight, digit in zip(WEIGHTS, first)) % 11]


def card(number: str) -> str:
    """The number in its normal form: 18 characters with a capital X; an old one of 15 digits gets its century and check character."""
    text = number.strip().upper()
    if re.fullmatch(r"[0-9]{15}", text):
        long = text[:6] + "19" + text[6:]
        return long + card_check(long)
    return text


@lru_cache(maxsize=4096)
def check(number: str) -> str:
    """What is wrong with an identity card's number, as a sentence; empty when nothing is."""
    text = card(number)
    if not re.fullmatch(r"[0-9]{17}[0-9X]", text):
        return "not an identity card's number (17 digits and a check character)"
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return "the identity card's number holds no date"
    return "" if card_check(text[:17]) == text[17] else "the identity card's check character is wrong"


def birth(number: str) -> str | None:
    """The birth date that an identity card's number holds, as yyyy-MM-dd; None for a wrong number."""
    text = card(number)
    return None if check(number) else f"{text[6:10]}-{text[10:12]}-{text[12:14]}"


def credit_check(first: str) -> str:
    """The check character of a unified social credit code's first 17 characters."""
    return CREDIT[-sum(weight * CREDIT.index(sign) for weight, sign in zip(CREDIT_WEIGHTS, first)) % 31]


def organization_check(first: str) -> str:
    """The check character of an organisation code's first 8 characters (digits count as themselves, letters from A = 10)."""
    rest = 11 - sum(weight * int(sign, 36) for weight, sign in zip(ORGANIZATION_WEIGHTS, first)) % 11
    return {10: "X", 11: "0"}.get(rest, str(rest))
