"""Regular expressions of mappings: compiled, and refused where they are none or could take for ever. https://docs.python.org/3/library/re.html"""
from __future__ import annotations

import re
from re import _constants as signs
from re import _parser as parser

from app.mapping.document import Mistake

REPEATS = (signs.MAX_REPEAT, signs.MIN_REPEAT)


def compiled(place: str, text: str) -> re.Pattern:
    """The pattern. Errors: Mistake for what is no regular expression, and for repeats within a repeat with nothing fixed between them, as in `(a+)+`."""
    try:
        if any(map(_explodes, parser.parse(text))):
            raise Mistake(place, f"'{text}' repeats what is repeated already, as in (a+)+, and could take for ever; leave one of the repeats out")
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise Mistake(place, f"'{text}' is no regular expression ({error})") from None


def _explodes(item) -> bool:
    return _endless(item) and _loose(item[1][2]) or any(map(_explodes, _inside(item[1])))


def _endless(item) -> bool:
    return item[0] in REPEATS and item[1][1] == signs.MAXREPEAT


def _loose(items) -> bool:
    """Nothing but repeats, one of them without end: what they match can be cut up in many ways."""
    bare = _bare(items)
    if len(bare) == 1 and bare[0][0] is signs.BRANCH:
        return any(map(_loose, bare[0][1][1]))
    return any(map(_endless, bare)) and all(one[0] in REPEATS for one in bare)


def _bare(items) -> list:
    """Items without the groups around them."""
    return [one for item in items for one in (_bare(item[1][3]) if item[0] is signs.SUBPATTERN else [item])]


def _inside(given):
    """The items of all patterns within what an item is given."""
    for one in given if isinstance(given, (tuple, list)) else ():
        if isinstance(one, parser.SubPattern):
            yield from one
        else:
            yield from _inside(one)
