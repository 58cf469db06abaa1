"""Whether a narrative's div is what FHIR allows: well formed, basic formatting only, not empty. http://hl7.org/fhir/R4/narrative.html#xhtml"""
from __future__ import annotations

from functools import lru_cache
from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"
_ELEMENTS = set("""a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre
    q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var address bdo center del font ins kbd s strike u""".split())
_ATTRIBUTES = set("""abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset cite class color colspan
    compact coords dir face frame headers height href hreflang hspace id lang longdesc name noshade nowrap rel rev rowspan rules scope shape
    size span src start style summary tabindex title type valign value vspace width xml:lang xml:space xmlns""".split())
_SCHEMES = ("javascript:", "vbscript:", "data:text")


class _Refused(Exception):
    pass


@lru_cache(maxsize=256)
def is_narrative(text: str) -> bool:
    """Whether the text is one div with allowed elements and attributes and with some content."""
    content, depth = [False], [0]

    def start(name, attributes):
        depth[0] += 1
        if name not in _ELEMENTS or depth[0] == 1 and name != "div" or depth[0] > 200 or not all(map(_allowed, attributes.items())):
            raise _Refused
        content[0] = content[0] or name == "img"

    def end(name):
        depth[0] -= 1

    def characters(data):
        content[0] = content[0] or bool(data.strip())

    def refuse(*_):
        raise _Refused

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, UnicodeError, _Refused):
        return False
    return content[0]


def _allowed(attribute) -> bool:
    name, value = attribute
    if name == "xmlns" and value != XHTML:
        return False
    return name in _ATTRIBUTES and not value.strip().lower().startswith(_SCHEMES)
