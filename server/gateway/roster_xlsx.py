"""Rows of an .xlsx roster from bytes, bounded before and while the spreadsheet library (openpyxl) unpacks it.

A workbook is a ZIP of XML: it may claim any size and hold any number of cells. What the archive claims is added up
first (the ZIP reader never yields more than an entry claims), the sheet's own claim of its dimensions is thrown away,
and only the first columns are read.
"""

import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from server.gateway.roster_cells import Cell
from server.gateway.roster_file import COLUMNS_MAX, LINES_MAX, ROWS_MAX, FileFault, RosterError

MIB = 1024 * 1024
UNPACKED_BYTES_MAX = 64 * MIB
"""30,000 lines of ten cells are some 25 MiB of XML."""
PART_BYTES_MAX = 8 * MIB
"""Parts other than sheets and their texts (styles, themes), which the library builds into objects as a whole."""
TAGS_MAX = 2_000_000
"""Of all parts together; 30,000 lines of ten cells have 1.8 million at most. Each costs the parser some hundred bytes,
where a packed file spends a thousandth of one."""
ATTRIBUTES_MAX = 1_200_000
"""As many as three a cell."""
TAG_BYTES_MAX = 64 * 1024
"""No tag of a sheet is longer than some hundred bytes; a parser holds all attributes of one at once."""
PARTS_MAX = 1_000
"""A workbook has a dozen parts, with pictures some hundreds."""
SHEETS_MAX = 20
"""Each visible sheet is searched for a heading."""
MERGES_MAX = 50_000
"""As many as lines: each home's cells may be merged over its owners."""

_CONTENT_TYPES = "[Content_Types].xml"
_WORKBOOK = re.compile(r"xl/workbook[0-9]*\.xml", re.IGNORECASE)
"""A document, a presentation and a binary workbook (.xlsb) have content types, too, but not this part."""
_TEXT_PARTS = re.compile(r"(?!xl/media/).+\.(?:xml|rels)", re.IGNORECASE)
_LARGE_PARTS = re.compile(r"xl/(?:worksheets/[^/]+|sharedStrings)\.xml|xl/media/.+", re.IGNORECASE)
_LONG_TAG = re.compile(rb"<[^<>]{%d}" % TAG_BYTES_MAX)
_ROW_MARK = re.compile(rb"<(?:\w{1,20}:)?row[\s/>]")
_FORMULA_MARK = re.compile(rb"<(?:\w{1,20}:)?f[\s/>]")
_MERGE = re.compile(rb'<(?:\w{1,20}:)?mergeCell\s[^>]{0,99}?ref="([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})"')
_LIBRARY_FAULTS = (
    # What openpyxl and the libraries below it were seen to raise for damaged workbooks; it promises nothing.
    InvalidFileException,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    ParseError,
    UnicodeError,
    ArithmeticError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)


@dataclass(frozen=True, slots=True)
class _Merge:
    """A merged area: rows counted from 1, columns from 0, both ends inside."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A visible worksheet of a workbook held in memory."""

    title: str
    _data: bytes
    _index: int
    _merges: tuple[_Merge, ...]
    _has_formulas: bool

    def rows(self) -> Iterator[tuple[Cell, ...]]:
        """Yield the rows from row 1 on, values for formulas, merged areas filled with their first cell's value.

        Raises: RosterError for a damaged sheet, too many rows, and a formula whose value was never computed.
        """
        with _reading():
            if self._has_formulas:
                _check_formulas(self._data, self._index)
            yield from _fill_merged(_iterate(self._data, self._index, values=True), self._merges)


def read_sheets(data: bytes) -> list[Sheet]:
    """Return the visible worksheets of a workbook.

    Raises: RosterError when the bytes are no workbook, are damaged, encrypted, or unpack to more than the limits.
    """
    with _reading(), zipfile.ZipFile(io.BytesIO(data)) as archive:
        _check_archive(archive)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            visible = [(index, sheet) for index, sheet in enumerate(book.worksheets) if sheet.sheet_state == "visible"]
            return [_describe(archive, data, index, sheet) for index, sheet in visible[:SHEETS_MAX]]
        finally:
            book.close()


@contextmanager
def _reading() -> Iterator[None]:
    """Turn whatever the libraries raise for a damaged file into one RosterError, and silence their remarks."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="openpyxl")
            yield
    except _LIBRARY_FAULTS as fault:
        raise RosterError(FileFault.DAMAGED) from fault


def _check_archive(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    names = {part.filename for part in parts}
    if _CONTENT_TYPES not in names or not any(_WORKBOOK.fullmatch(name) for name in names):
        raise RosterError(FileFault.NOT_A_SHEET)
    if any(part.flag_bits & 1 for part in parts):
        raise RosterError(FileFault.OLD_EXCEL)
    largest = max(part.file_size for part in parts if not _LARGE_PARTS.fullmatch(part.filename))
    total = sum(part.file_size for part in parts)
    if len(parts) > PARTS_MAX or total > UNPACKED_BYTES_MAX or largest > PART_BYTES_MAX:
        raise RosterError(FileFault.TOO_LARGE, f"解压后 {UNPACKED_BYTES_MAX // MIB} MB")
    _check_texts(archive, [part for part in parts if _TEXT_PARTS.fullmatch(part.filename)])


def _check_texts(archive: zipfile.ZipFile, parts: Sequence[zipfile.ZipInfo]) -> None:
    tags = attributes = 0
    for part in parts:
        xml = archive.read(part)
        tags += xml.count(b"<")
        attributes += xml.count(b"=")
        if tags > TAGS_MAX and len(_ROW_MARK.findall(xml)) > LINES_MAX:
            raise RosterError(FileFault.TOO_MANY_LINES, str(LINES_MAX))
        if tags > TAGS_MAX or attributes > ATTRIBUTES_MAX or _LONG_TAG.search(xml):
            raise RosterError(FileFault.TOO_LARGE, f"{TAGS_MAX} 个标记")


def _describe(archive: zipfile.ZipFile, data: bytes, index: int, sheet: object) -> Sheet:
    # The library's read-only sheet does not tell its merged areas; the part's name is the only way to them.
    xml = archive.read(str(getattr(sheet, "_worksheet_path", "")).lstrip("/"))
    return Sheet(
        str(getattr(sheet, "title", "")), data, index, _find_merges(xml), _FORMULA_MARK.search(xml) is not None
    )


def _find_merges(xml: bytes) -> tuple[_Merge, ...]:
    merges: list[_Merge] = []
    for match in _MERGE.finditer(xml):
        if len(merges) == MERGES_MAX:
            raise RosterError(FileFault.TOO_LARGE, f"{MERGES_MAX} 处合并单元格")
        left, top, right, bottom = (part.decode() for part in match.groups())
        last_column = min(column_index_from_string(right), COLUMNS_MAX) - 1
        merges.append(_Merge(int(top), int(bottom), column_index_from_string(left) - 1, last_column))
    return tuple(sorted(merges, key=lambda merge: merge.first_row))


def _iterate(data: bytes, index: int, *, values: bool) -> Iterator[tuple[Cell, ...]]:
    """Yield rows of cell values, or, where `values` is false, of formulas."""
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=values, keep_links=False)
    try:
        sheet = book.worksheets[index]
        sheet.reset_dimensions()
        for row, cells in enumerate(sheet.iter_rows(max_col=COLUMNS_MAX, values_only=True), start=1):
            if row > ROWS_MAX:
                raise RosterError(FileFault.TOO_MANY_LINES, str(LINES_MAX))
            # In either mode the library gives plain values; its type names cells of other modes too.
            yield cast("tuple[Cell, ...]", cells)
    finally:
        book.close()


def _check_formulas(data: bytes, index: int) -> None:
    """Refuse a sheet none of whose formulas has a value: a program wrote it and no spreadsheet ever computed it.

    Where others have values, an empty one is the formula's result (`=IF(A2="","",A2)`).
    """
    uncomputed = ""
    pairs = zip(_iterate(data, index, values=True), _iterate(data, index, values=False), strict=True)
    for row, (values, sources) in enumerate(pairs, start=1):
        for column, (value, source) in enumerate(zip(values, sources, strict=True), start=1):
            if value == source:
                continue
            if value is not None:
                return
            uncomputed = uncomputed or f"{get_column_letter(column)}{row}"
    if uncomputed:
        raise RosterError(FileFault.FORMULA, uncomputed)


def _fill_merged(rows: Iterator[tuple[Cell, ...]], merges: Sequence[_Merge]) -> Iterator[tuple[Cell, ...]]:
    """Give every cell of a merged area the value of its first; a row that holds nothing of its own stays blank."""
    waiting = list(reversed(merges))
    active: list[tuple[_Merge, Cell]] = []
    for row, cells in enumerate(rows, start=1):
        active = [(merge, value) for merge, value in active if merge.last_row >= row]
        while waiting and waiting[-1].first_row <= row:
            merge = waiting.pop()
            value = cells[merge.first_column] if merge.first_column < len(cells) else None
            active.append((merge, value))
        yield _overlay(cells, active) if active and any(cell is not None for cell in cells) else cells


def _overlay(cells: tuple[Cell, ...], active: Sequence[tuple[_Merge, Cell]]) -> tuple[Cell, ...]:
    filled = list(cells)
    for merge, value in active:
        for column in range(merge.first_column, min(merge.last_column + 1, len(filled))):
            filled[column] = value if filled[column] is None else filled[column]
    return tuple(filled)
