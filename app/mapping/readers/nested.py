"""Records that are trees and not rows (JSON, XML): the mapping's columns are paths into them, and what no path names is told as new."""
from __future__ import annotations

from app.mapping.readers.cells import CellReader, Cells
from app.mapping.readers.record import Columns
from app.mapping.reject import Reject

MOST_NEW = 200
"""Unknown paths that are told."""


class TreeReader(CellReader):
    """A reader whose header is the mapping's: `leaves` of a record, held against it.

    A path that stands twice in a record is refused, never told by its first.
    """

    def __init__(self, path, mapping):
        super().__init__(path, mapping)
        self.header = [*mapping.columns, *mapping.ignored]
        self.at = {name: step for step, name in enumerate(self.header)}
        self.seen: dict[str, None] = {}
        self.order = Columns(tuple(range(len(mapping.columns))), ()).order

    @property
    def new(self) -> tuple[str, ...]:
        return tuple(self.seen)

    def spread(self, place: int, length: int, leaves) -> Cells:
        """Cells of the (path, text) pairs of a record."""
        found: list[str] = [""] * len(self.header)
        others: list[str] = []
        try:
            for path, text in leaves:
                step = self.at.get(path)
                if step is None:
                    if text and (path in self.seen or len(self.seen) < MOST_NEW):
                        self.seen[path] = None
                        others.append(path)
                elif found[step]:
                    raise Reject("csv-structure", "the path stands twice in the record; say which one is meant", path)
                else:
                    found[step] = text
        except Reject as reject:
            return Cells(place, length, [], reject)
        return Cells(place, length, found, unread=tuple(others))
