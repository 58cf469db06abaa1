"""What the values of a mapping do with a record: the compiler binds all but the row."""
from __future__ import annotations

import re
from collections.abc import Callable

from app.mapping.reject import Reject
from app.mapping.rules import Row

ROUNDED = re.compile(r"\d(\.\d+)?[Ee]\+\d\d+")
"""4.2E+17"""


def nothing(row: Row) -> None:
    return None


def piped(source: Callable, steps: tuple, column: str, place: str, row: Row):
    value = source(row)
    try:
        for step, on_nothing in steps:
            if value is not None or on_nothing:
                value = step(value, row)
                if value == "":
                    value = None
    except Reject as reject:
        raise reject.at(column, place)
    return value


def first(options: tuple, row: Row):
    for option in options:
        if (value := option(row)) is not None:
            return value
    return None


def together(parts: tuple, some: bool, when: Callable | None, row: Row) -> dict | None:
    """An object whose expressions all gave nothing is left out, its constants too."""
    if when and not when(row):
        return None
    made = {}
    for name, run, dynamic in parts:
        if (value := run(row)) is not None:
            made[name] = value
            some = some or dynamic
    return made if some and made else None


def listed(runs: tuple, row: Row) -> list | None:
    made = []
    for run in runs:
        value = run(row)
        if isinstance(value, list):
            made += value
        elif value is not None:
            made.append(value)
    return made or None


def identifying(run: Callable, column: str, place: str, row: Row):
    """A value that tells things apart, and is not what a spreadsheet has rounded a long number to."""
    value = run(row)
    if value.__class__ is str and "+" in value and ROUNDED.fullmatch(value):
        raise Reject("bad-identifier", "a long number as a spreadsheet rounds it; make the column text, fill it anew and export it again", column, place)
    return value


def chosen(pairs: tuple, row: Row):
    return next((run(row) for test, run in pairs if test is None or test(row)), None)
