"""Excel workbooks, xls and xlsx, by calamine: one sheet, its cells as text. https://github.com/dimastbk/python-calamine

A sheet is held in memory as a whole. Numbers beyond 15 digits are refused: Excel has lost their last ones before anybody could read them.
"""
from __future__ import annotations

import re
import zlib
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from pathlib import PurePosixPath
from zipfile import BadZipFile, ZipFile, is_zipfile

from lxml import etree
from python_calamine import CalamineError, CalamineWorkbook

from app.mapping.document import Map
from app.mapping.readers.cells import CellReader, Cells
from app.mapping.readers.record import line_of_names
from app.mapping.reject import Reject

EXACT = 10**15
LARGEST = 300 << 20
"""Bytes of a workbook that is taken into memory."""
CELLS, UNPACKED = 30_000_000, 2 << 30
"""Cells of a sheet, the empty ones before its last included, and bytes of its XML."""
PIECE, CELL = 1 << 20, 40
"""Bytes that are looked through at once; more than the beginning of a cell has."""
_WRONG = re.compile(rb'<c [^<>]*?\bt="e"[^<>]*>')
_AT = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
"""A cell that shows an error, and where it is: calamine tells it as empty."""
_CELL = re.compile(rb'<c(?: [a-z]+="[^"]{0,12}")*? r="([A-Z]{1,3})([0-9]{1,7})"')


class Reader(CellReader):
    """Rows keep the numbers that Excel shows. Dates are told as yyyy-MM-dd, moments as yyyy-MM-dd HH:mm:ss, times as HH:mm:ss, numbers without `.0`."""

    OPTIONS = ("sheet", "header")

    @staticmethod
    def options(node: Map) -> dict:
        return {"sheet": str(node.get("sheet", "")), "header": line_of_names(node)}

    def __init__(self, path, mapping):
        super().__init__(path, mapping)
        if path.stat().st_size > LARGEST:
            raise Reject("size", f"a workbook has at most {LARGEST >> 20} MB; save the sheet as CSV")
        wrong = _bounded(path)
        self.rows, name = _rows(path, self.source.options["sheet"])
        self.wrong = wrong[_part(path, name)] if any(wrong.values()) else {}
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
            if any(cell != "" for cell in row) or at in self.wrong:
                yield self._cells(at, row)

    def _cells(self, at: int, row: list) -> Cells:
        """`place` is the number of rows before it."""
        found, wrong = [], self.wrong.get(at, ())
        try:
            for column, (name, cell) in enumerate(zip(self.header, row)):
                if column in wrong and name in self.mapping.columns:
                    raise Reject("bad-value", "the cell shows an error of Excel, such as #N/A; mend its formula, or fill it by hand", name)
                if cell.__class__ in (int, float) and abs(cell) >= EXACT:
                    raise Reject("bad-number", "a number of more than 15 digits, whose last ones Excel has lost; make the column text before it is filled", name)
                found.append(_text(cell))
            if any(cell != "" for cell in row[len(self.header):]):
                raise Reject("csv-structure", "a value right of the last column that has a name")
        except Reject as reject:
            return Cells(at, 1, found, reject)
        return Cells(at, 1, found + [""] * (len(self.header) - len(found)))


def _bounded(path) -> dict[str, dict[int, set[int]]]:
    """Of each part of an xlsx, the cells that show an error: row -> columns, from 0.

    A sheet is held as a rectangle to its farthest cell, so a few bytes could ask for more memory than there is. Errors: Reject `size`.
    """
    wrong: dict[str, dict[int, set[int]]] = defaultdict(dict)
    if not is_zipfile(path):
        return wrong
    try:
        with ZipFile(path) as book:
            for name in book.namelist():
                if name.endswith(".xml"):
                    with book.open(name) as sheet:
                        wrong[name] = _measured(sheet)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Reject("csv-structure", f"the file is no Excel workbook that can be read ({error}); open it in Excel and save it as xlsx") from None
    return wrong


def _measured(sheet) -> dict[int, set[int]]:
    wide, high, read, rest, wrong = 0, 0, 0, b"", defaultdict(set)
    while piece := sheet.read(PIECE):
        read, columns, rest = read + len(piece), set(), rest[-CELL:] + piece
        for found in _WRONG.findall(rest) if b't="e"' in rest else ():
            if at := _AT.search(found):
                wrong[int(at[2]) - 1].add(_number(at[1]) - 1)
        for column, row in _CELL.findall(rest):
            columns.add(column)
            high = max(high, int(row))
        wide = max([wide, *map(_number, columns)])
        if wide * high > CELLS or read > UNPACKED:
            raise Reject("size", f"a sheet has at most {CELLS:,} cells and unpacks to at most {UNPACKED >> 20} MB; this one reaches to column {wide:,} and row {high:,}: save it as CSV")
    return wrong


def _part(path, sheet: str) -> str:
    """The part of an xlsx in which a sheet stands; nothing where it does not say so. https://www.ecma-international.org/publications-and-standards/standards/ecma-376/"""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        with ZipFile(path) as book:
            sheets, parts = (etree.fromstring(book.read(name), parser) for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels"))
    except (KeyError, etree.XMLSyntaxError):
        return ""
    ids = [value for one in sheets.iter("{*}sheet") if one.get("name") == sheet for name, value in one.attrib.items() if etree.QName(name).localname == "id"]
    targets = [one.get("Target", "") for one in parts if one.get("Id") in ids]
    return str(PurePosixPath("/xl", targets[0])).lstrip("/") if targets else ""


def _number(column: bytes) -> int:
    """A is 1, Z 26, AA 27."""
    number = 0
    for letter in column:
        number = number * 26 + letter - 64
    return number


def _workbook(path) -> CalamineWorkbook:
    """The workbook by its name's suffix, else by what it is: an xlsx is often called xls."""
    try:
        return CalamineWorkbook.from_path(str(path))
    except CalamineError:
        with open(path, "rb") as file:
            return CalamineWorkbook.from_filelike(file)


def _rows(path, sheet: str) -> tuple[list[list], str]:
    """The rows of a sheet (else of the first), and its name."""
    try:
        with _workbook(path) as book:
            if sheet and sheet not in book.sheet_names:
                raise Reject("column-missing", f"the workbook has no sheet '{sheet}'; it has {', '.join(book.sheet_names)}")
            found = book.get_sheet_by_name(sheet or book.sheet_names[0])
            return found.to_python(skip_empty_area=False), found.name
    except (CalamineError, IndexError) as error:
        raise Reject("csv-structure", f"the file is no Excel workbook that can be read ({error}); open it in Excel and save it as xlsx") from None


def top(path, number: int) -> list[list[str]]:
    """The first rows of the first sheet, as text. Errors: Reject."""
    _bounded(path)
    return [[_text(cell).strip() for cell in row] for row in _rows(path, "")[0][:number]]


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
