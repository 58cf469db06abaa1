"""What the div of a narrative may hold, and when one goes. https://hl7.org/fhir/R4/narrative.html#xhtml"""
from __future__ import annotations

import re
from html.parser import HTMLParser

from app.errors import Unprocessable

ELEMENTS = frozenset("a abbr acronym b big blockquote br caption center cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p pre q samp small"
                     " span strike strong sub sup table tbody td tfoot th thead tr tt u ul var del s".split())
ATTRIBUTES = frozenset("abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset cite class colspan compact coords dir frame"
                       " headers height href hreflang hspace id lang longdesc name nowrap rel rev rowspan rules scope shape span src start style summary tabindex title type valign value"
                       " vspace width xml:lang xmlns".split())
_ENTITY = re.compile(r"&(?!(?:#\d+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);)")


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.problem, self.open, self.text = "", [], False

    def handle_starttag(self, tag, attrs):
        self._look(tag, attrs)
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
    try:
        reader.feed(div)
    except AssertionError:  # how the parser speaks of a marked section that HTML does not know
        return "a narrative has no marked sections (<![...)"
    if reader.rawdata.startswith("<"):  # to close the parser now would look for the end of each < that follows
        return reader.problem or f"what begins with {reader.rawdata[:9]!r} has no end"
    reader.close()
    if reader.problem:
        return reader.problem
    if reader.open:
        return f"<{reader.open[-1]}> is not closed"
    if not reader.text:
        return "the narrative holds neither text nor an image"
    return "an & stands only in &amp; &lt; &gt; &quot; &apos; and numbered characters; XML has no others" if _ENTITY.search(div) else ""


def still_true(before: dict, after: dict) -> dict:
    """The patched resource without a narrative that the patch left behind: one generated from the data that were there before.

    https://hl7.org/fhir/R4/http.html#patch. Errors: Unprocessable for a narrative that says more than the data do.
    """
    text = after.get("text")
    if text is None or text != before.get("text") or _data(before) == _data(after):
        return after
    if text.get("status") == "additional":
        raise Unprocessable("The narrative says more than the data, and might be wrong after this patch: patch it too.", expression=f"{after['resourceType']}.text")
    return {key: value for key, value in after.items() if key != "text"}


def _data(resource: dict) -> dict:
    return {key: value for key, value in resource.items() if key not in ("text", "meta")}
