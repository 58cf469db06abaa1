"""Excel workbooks, xls and xlsx, by calamine: one sheet, its cells as text. https://github.com/dimastbk/python-calamine

A sheet is held in memory as a whole. Numbers beyond 15 digits are refused: Excel has lost their last ones before anybody could read them.
"""
from __future__ import annotations

from datetime import date, datetime, time, timedelta

from python_calamine import CalamineError, CalamineWorkbook

from app.mapping.document import Map, Mistake
from app.mapping.readers.cells import CellReader, Cells
from app.mapping.reject import Reject

EXACT = 10**15
LARGEST = 300 << 20
"""Bytes of a workbook that is taken into memory."""


class Reader(CellReader):
    """Rows keep the numbers that Excel shows. Dates are told as yyyy-MM-dd, moments as yyyy-MM-dd HH:mm:ss, times as HH:mm:ss, numbers without `.0`."""

    OPTIONS = ("sheet", "header")

    @staticmethod
    def options(node: Map) -> dict:
        header = node.get("header", "1")
        if not header.isdecimal() or not 0 < int(header) < 1000:
            raise Mistake(header.place, "header is the number of the row that holds the names of the columns")
        return {"sheet": str(node.get("sheet", "")), "header": int(header)}

    def __init__(self, path, mapping):
        super().__init__(path, mapping)
        if path.stat().st_size > LARGEST:
            raise Reject("size", f"a workbook has at most {LARGEST >> 20} MB; save the sheet as CSV")
        self.rows = _rows(path, self.source.options["sheet"])
        at = self.source.options["header"]
        if len(self.rows) < at:
            raise Reject("csv-structure", f"the sheet has no row {at}, where its header should stand")
        self.header = [_text(cell).strip() for cell in self.rows[at - 1]]
        while self.header and not self.header[-1]:
            self.header.pop()
        self.first, self.size = at + 1, len(self.rows)
        self.fit()

    def cells(self, place: int):
        for at in range(place or self.first - 1, len(self.rows)):
            row = self.rows[at]
            if any(cell != "" for cell in row):
                yield self._cells(at, row)

    def _cells(self, at: int, row: list) -> Cells:
        """`place` is the number of rows before it."""
        found: list[str] = []
        try:
            for name, cell in zip(self.header, row):
                if cell.__class__ in (int, float) and abs(cell) >= EXACT:
                    raise Reject("bad-number", "a number of more than 15 digits, whose last ones Excel has lost; make the column text before it is filled", name)
                found.append(_text(cell))
            if any(cell != "" for cell in row[len(self.header):]):
                raise Reject("csv-structure", "a value right of the last column that has a name")
        except Reject as reject:
            return Cells(at, 1, found, reject)
        return Cells(at, 1, found + [""] * (len(self.header) - len(found)))


def _rows(path, sheet: str) -> list[list]:
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            if sheet and sheet not in book.sheet_names:
                raise Reject("column-missing", f"the workbook has no sheet '{sheet}'; it has {', '.join(book.sheet_names)}")
            found = book.get_sheet_by_name(sheet or book.sheet_names[0])
            return found.to_python(skip_empty_area=False)
    except (CalamineError, IndexError) as error:
        raise Reject("csv-structure", f"the file is no Excel workbook that can be read ({error})") from None


def _text(cell) -> str:
    if cell.__class__ is str:
        return cell
    if cell.__class__ is float:
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, (date, time)):
        return cell.isoformat() if isinstance(cell, date) else cell.strftime("%H:%M:%S")
    if isinstance(cell, timedelta):
        seconds = round(cell.total_seconds())
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return str(cell)
