"""XML rows: `source.rows` names the element that is a record; columns are paths below it: `name`, `birth/@date`, `diagnosis[2]/code`.

Read by lxml as a stream, without entities, network or DTDs. Names are compared without their namespaces. https://www.w3.org/TR/xml/
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from app.mapping.document import Map, Mistake
from app.mapping.readers.cells import Cells
from app.mapping.readers.nested import TreeReader
from app.mapping.reject import Reject

STEPS = 20_000
"""Elements that are looked at for the one that is a record."""


class Reader(TreeReader):
    """A place is the number of records before it. Where an element stands more than once, each is told with its number."""

    OPTIONS = ("rows",)

    @staticmethod
    def options(node: Map) -> dict:
        if not node.get("rows"):
            raise Mistake(node.place, "rows names the XML element that is a record")
        return {"rows": str(node["rows"])}

    def __init__(self, path, mapping):
        super().__init__(path, mapping)
        self._listed()

    def _listed(self) -> None:
        """Errors: Reject where no element has the record's name, and there is more than an empty frame: what it holds would be passed over unseen."""
        depth = deepest = 0
        try:
            with open(self.path, "rb") as file:
                for event, element in etree.iterparse(file, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False):
                    if event == "start" and isinstance(element.tag, str) and etree.QName(element).localname == self.source.options["rows"]:
                        return
                    depth += 1 if event == "start" else -1
                    deepest = max(deepest, depth)
                    if event == "end":
                        _forget(element)
        except etree.XMLSyntaxError:  # told as a record
            return
        if deepest > 2:
            raise Reject("csv-structure", f"no element of the document is called {self.source.options['rows']}; say under source: rows: which one is a record")

    def cells(self, place: int):
        at = -1
        try:
            with open(self.path, "rb") as file:
                stream = etree.iterparse(file, events=("end",), tag="{*}" + self.source.options["rows"], resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
                for at, (_, element) in enumerate(stream):
                    if at >= place:
                        yield self._cells(at, element)
                    _forget(element)
        except etree.XMLSyntaxError as error:
            yield Cells(at + 1, 1, [], Reject("csv-structure", f"the document is no XML from here on ({error.msg})"))

    def _cells(self, at: int, element) -> Cells:
        if any(node.tag is etree.Entity for node in element.iter()):
            return Cells(at, 1, [], Reject("csv-structure", "an entity stands in the record; entities are not resolved"))
        return self.spread(at, 1, leaves(element))


def leaves(element, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of the attributes and the elements without elements below."""
    for name, text in element.attrib.items():
        yield f"{path}@{etree.QName(name).localname}", text
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        text = "".join(element.itertext()).strip()
        if text and path:
            yield path[:-1], text
        return
    if aside := "".join([element.text or "", *(child.tail or "" for child in element)]).strip():
        yield f"{path}text()", aside
    counts, seen = Counter(etree.QName(child).localname for child in children), Counter()
    for child in children:
        name = etree.QName(child).localname
        seen[name] += 1
        yield from leaves(child, f"{path}{name}[{seen[name]}]/" if counts[name] > 1 else f"{path}{name}/")


def _forget(element) -> None:
    """Lets go of a record that is done and of those before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


def rows(sample: Path) -> str:
    """The element of an XML document that is a record: the outermost one that has content and stands more than once, else the first below the top. Errors: ValueError."""
    path, counts, full = [], Counter(), set()
    try:
        with open(sample, "rb") as file:
            for step, (event, element) in enumerate(etree.iterparse(file, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)):
                if event == "end":
                    path.pop()
                    element.clear()
                else:
                    full.add(tuple(path))
                    path.append(etree.QName(element).localname)
                    counts[tuple(path)] += 1
                    full |= {tuple(path)} if element.attrib else set()
                if step > STEPS:
                    break
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{sample.name} is no XML ({error.msg})") from None
    found = [one for one in counts if len(one) > 1 and one in full]
    if not found:
        raise ValueError(f"{sample.name} has no element below its first that could be a record.")
    return min(found, key=lambda one: (counts[one] == 1, len(one)))[-1]
