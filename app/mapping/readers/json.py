"""JSON: one object a line (NDJSON), or a list of objects in one document. Columns are dotted paths: `patient.name`, `codes.0.code`.

http://ndjson.org, https://www.rfc-editor.org/rfc/rfc8259. Numbers keep their text; a list is streamed by ijson, never held.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ijson

from app import errors
from app.fhir import json as strict
from app.mapping.document import Map
from app.mapping.readers.cells import Cells
from app.mapping.readers.lines import lines
from app.mapping.readers.nested import TreeReader
from app.mapping.reject import Reject


def leaves(value, path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, text) of all that is no object or list."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for step, item in enumerate(value):
            yield from leaves(item, f"{path}.{step}")
    elif value is not None:
        yield path, value if isinstance(value, str) else _shown(value)


def _shown(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, strict.Number) else str(value)


class Lines(TreeReader):
    """NDJSON: a line that is no object is refused by itself."""

    def __init__(self, path, mapping):
        super().__init__(path, mapping)
        self.encoding, self.size = "utf-8", path.stat().st_size

    def cells(self, place: int):
        with open(self.path, "rb") as file:
            for line in lines(file, place):
                if not line.raw or line.raw.strip():
                    yield self._cells(line)

    def _cells(self, line) -> Cells:
        try:
            if not line.raw:
                raise Reject("size", "the line is longer than a record may be")
            return self.spread(line.byte, line.length, leaves(strict.loads(line.raw)))
        except errors.Malformed as failure:
            reject = Reject("encoding" if "UTF-8" in str(failure) else "csv-structure", str(failure).replace("The body", "the line"))
        except Reject as found:
            reject = found
        return Cells(line.byte, line.length, [], reject)


class Document(TreeReader):
    """A list of objects, at the top or where `rows` says: `data.visits`. A place is the number of records before it."""

    OPTIONS = ("rows",)

    @staticmethod
    def options(node: Map) -> dict:
        rows = str(node.get("rows", ""))
        return {"rows": f"{rows}.item" if rows else "item"}

    def __init__(self, path, mapping):
        super().__init__(path, mapping)
        self.encoding = "utf-8"
        with open(path, "rb") as file:
            if file.read(3) == b"\xef\xbb\xbf":
                raise Reject("encoding", "a JSON document begins without a byte order mark; save it as UTF-8 without one")
        self._listed()

    def _listed(self) -> None:
        """Errors: Reject where the document has no list in the place of its records: what it holds would be passed over unseen."""
        where = self.source.options["rows"].removesuffix("item").removesuffix(".")
        with open(self.path, "rb") as file:
            try:
                if any((path, event) == (where, "start_array") for path, event, _ in ijson.parse(file)):
                    return
            except (ijson.JSONError, UnicodeDecodeError, RecursionError):  # told as a record
                return
        raise Reject("csv-structure", f"the document has no list {f'at {where}' if where else 'at its top'}; say under source: rows: where its records stand, such as data.visits")

    def cells(self, place: int):
        at = 0
        with open(self.path, "rb") as file:
            try:
                for at, value in enumerate(ijson.items(file, self.source.options["rows"])):
                    if at >= place:
                        yield self._cells(at, value)
                at += 1
            except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
                yield Cells(at + 1, 1, [], Reject("csv-structure", f"the document is no JSON from here on ({str(error).splitlines()[0][:200]})"))

    def _cells(self, at: int, value) -> Cells:
        if not isinstance(value, dict):
            return Cells(at, 1, [], Reject("csv-structure", "a record is a JSON object"))
        return self.spread(at, 1, leaves(value))


def rows(sample: Path) -> str:
    """Where the list of objects stands in a JSON document: `data.visits`, or nothing where it is at the top. Errors: ValueError."""
    try:
        with open(sample, "rb") as file:
            before = ("", "")
            for path, event, _ in ijson.parse(file):
                if event == "start_map" and before == (path.removesuffix(".item").removesuffix("item"), "start_array"):
                    return before[0]
                before = path, event
    except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{sample.name} is no JSON ({str(error).splitlines()[0][:100]}); a file of one object a line is called .ndjson.") from None
    raise ValueError(f"{sample.name} holds no list of objects to draft a mapping from.")
