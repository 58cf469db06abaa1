"""Fixed-width exports: `source.fields` gives the width of each column in bytes, as old programs wrote GB18030."""
from __future__ import annotations

from app.mapping.document import List, Map, Mistake, place
from app.mapping.readers.cells import CellReader, Cells
from app.mapping.readers.lines import lines
from app.mapping.readers.text import decode
from app.mapping.reject import Reject


class Reader(CellReader):
    """One record a line; a line may be shorter where its last columns are empty. A file of one unbroken line has records of the full width."""

    OPTIONS = ("fields",)
    ENCODINGS = ("gb18030", "utf-8")

    @staticmethod
    def options(node: Map) -> dict:
        fields = node.get("fields")
        if not isinstance(fields, List) or not fields or not all(isinstance(f, Map) and len(f) == 1 and (width := str(next(iter(f.values())))).isdecimal() and int(width) for f in fields):
            raise Mistake(place(fields, node.place), "fields lists the columns with their widths in bytes: [{号: 10}, {姓名: 20}]")
        return {"fields": tuple((str(name), int(str(width))) for field in fields for name, width in field.items())}

    def __init__(self, path, mapping):
        super().__init__(path, mapping)
        self.encoding = mapping.source.encoding
        fields = self.source.options["fields"]
        self.header = [name for name, _ in fields]
        ends = [sum(width for _, width in fields[:at + 1]) for at in range(len(fields))]
        self.spans = list(zip([0, *ends], ends))
        self.width = ends[-1]
        self.size = path.stat().st_size
        self.fit()

    def cells(self, at):
        with open(self.path, "rb") as file:
            for line in lines(file, at):
                bare = line.raw.rstrip(b"\r\n\x1a")
                if line.raw and not bare.strip():
                    continue
                yield self._cells(line.byte, line.length, bare)

    def _cells(self, byte: int, length: int, raw: bytes) -> Cells:
        found: list[str] = []
        try:
            if not raw:
                raise Reject("size", "the line is longer than a record may be")
            if len(raw) > self.width:
                raise Reject("csv-structure", f"{len(raw)} bytes in a record of {self.width}")
            for name, (low, high) in zip(self.header, self.spans):
                found.append(decode(raw[low:high], self.encoding, lambda before, name=name: name))
        except Reject as reject:
            return Cells(byte, length, found, reject)
        return Cells(byte, length, found)
