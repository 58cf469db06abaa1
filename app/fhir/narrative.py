"""What the div of a narrative may hold. https://hl7.org/fhir/R4/narrative.html#xhtml"""
from __future__ import annotations

import re
from html.parser import HTMLParser

ELEMENTS = frozenset("a abbr acronym b big blockquote br caption center cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p pre q samp small"
                     " span strike strong sub sup table tbody td tfoot th thead tr tt u ul var del s".split())
ATTRIBUTES = frozenset("abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset cite class colspan compact coords dir frame"
                       " headers height href hreflang hspace id lang longdesc name nowrap rel rev rowspan rules scope shape span src start style summary tabindex title type valign value"
                       " vspace width xml:lang xmlns".split())
_ENTITY = re.compile(r"&(?!(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);)")


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.problem, self.open, self.text = "", [], False

    def handle_starttag(self, tag, attrs):
        self._look(tag, attrs)
        if tag not in ("br", "img", "hr", "col"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._look(tag, attrs)

    def _look(self, tag, attrs):
        if not self.open and (tag != "div" or self.text):
            self.problem = self.problem or "the narrative is one div and nothing beside it"
        if tag not in ELEMENTS:
            self.problem = self.problem or f"<{tag}> is not allowed in a narrative"
        for name, value in attrs:
            if name not in ATTRIBUTES or (name in ("href", "src") and (value or "").strip().lower().startswith(("javascript:", "vbscript:"))):
                self.problem = self.problem or f"{name}= on <{tag}> is not allowed in a narrative"
        self.text = self.text or tag == "img"

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problem = self.problem or f"</{tag}> closes nothing that is open"

    def handle_data(self, data):
        self.text = self.text or bool(data.strip())

    def handle_decl(self, decl):
        self.problem = self.problem or "a narrative has no document type"

    def handle_pi(self, data):
        self.problem = self.problem or "a narrative has no processing instructions"

    unknown_decl = handle_decl


def problem(div: str) -> str:
    """Empty where the div is allowed; else what is wrong with it."""
    if not div.lstrip().startswith("<div"):
        return "the narrative starts with <div"
    reader = _Reader()
    reader.feed(div)
    reader.close()
    if reader.problem:
        return reader.problem
    if reader.open:
        return f"<{reader.open[-1]}> is not closed"
    if not reader.text:
        return "the narrative holds neither text nor an image"
    return "a lone & must be written as &amp;" if _ENTITY.search(div) else ""
