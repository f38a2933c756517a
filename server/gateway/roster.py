"""Reading a roster (产权清册) that an office brings: .xlsx or .csv, found out by content, never half-applied.

`read_roster` either gives every line of the file its place (good, duplicate, bad with its reason) or refuses the file
with one sentence. It stores nothing and knows no ledger; who may import is the API's business. It takes seconds
for ten thousand lines: the API runs it in a thread.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain, islice

from server.gateway.roster_cells import Cell, is_blank
from server.gateway.roster_csv import SEPARATORS, decode_text, read_csv_rows
from server.gateway.roster_file import LINES_MAX, FileFault, RosterError
from server.gateway.roster_header import HEADER_ROWS_MAX, Header, find_header, required_titles
from server.gateway.roster_homes import Roster, check_homes
from server.gateway.roster_line import BadLine, Column, RosterLine, read_line
from server.gateway.spelling import fold_tight

MIB = 1024 * 1024
FILE_BYTES_MAX = 16 * MIB
"""30,000 lines are 3 MiB as CSV, 2 MiB as .xlsx; notes and pictures may add to that."""

_OLD_EXCEL_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""OLE 2 container: .xls, and .xlsx under a password."""
_ZIP_MARK = b"PK\x03\x04"
"""The beginning of an .xlsx file."""
_TOTALS = ("合计", "总计", "小计")

Rows = Iterable[Sequence[Cell]]


def read_roster(data: bytes, today: date) -> Roster:
    """Read a roster file.

    Args:
        data: the whole file, at most FILE_BYTES_MAX.
        today: decides which birth dates lie in the future.

    Raises: RosterError, one sentence for people, when the file as a whole cannot be read as a roster.
    """
    if not data.strip():
        raise RosterError(FileFault.EMPTY)
    if len(data) > FILE_BYTES_MAX:
        raise RosterError(FileFault.TOO_LARGE, f"{FILE_BYTES_MAX // MIB} MB")
    if data.startswith(_OLD_EXCEL_MARK):
        raise RosterError(FileFault.OLD_EXCEL)
    header, rows = _open_workbook(data) if data.startswith(_ZIP_MARK) else _open_text(data)
    return check_homes(_read_lines(header, rows, today))


def _open_workbook(data: bytes) -> tuple[Header, Rows]:
    from server.gateway.roster_xlsx import (
        read_sheets,
    )  # half a second of imports that a starting node need not wait for

    found: list[tuple[str, Header, Rows]] = []
    for sheet in read_sheets(data):
        rows = sheet.rows()
        head = list(islice(rows, HEADER_ROWS_MAX))
        if header := find_header(head):
            found.append((sheet.title, header, chain(head, rows)))
    if not found:
        raise RosterError(FileFault.NO_HEADER, required_titles())
    if len(found) > 1:
        raise RosterError(FileFault.SEVERAL_SHEETS, "、".join(title for title, _, _ in found))
    _, header, lines = found[0]
    return header, lines


def _open_text(data: bytes) -> tuple[Header, Rows]:
    text = decode_text(data)
    faults: dict[str, RosterError] = {}
    for separator in SEPARATORS:
        try:
            head = list(islice(read_csv_rows(text, separator), HEADER_ROWS_MAX))
        except RosterError as fault:
            # Quotes pair only under the separator that the file was written with.
            faults[separator] = fault
            continue
        if header := find_header(head):
            return header, read_csv_rows(text, separator)
    raise faults.get(SEPARATORS[0]) or RosterError(FileFault.NO_HEADER, required_titles())


def _read_lines(header: Header, rows: Rows, today: date) -> Iterator[RosterLine | BadLine]:
    lines = _owner_lines(header, rows)
    first = next(lines, None)
    if first is None:
        raise RosterError(FileFault.NO_LINES)
    for count, (line, cells) in enumerate(chain([first], lines), start=1):
        if count > LINES_MAX:
            raise RosterError(FileFault.TOO_MANY_LINES, str(LINES_MAX))
        yield read_line(cells, line, today)


def _owner_lines(header: Header, rows: Rows) -> Iterator[tuple[int, dict[Column, Cell]]]:
    """Yield the lines below the heading, without blank rows, sums, and the heading repeated for printing."""
    titles: Mapping[Column, Cell] = {}
    for line, row in enumerate(rows, start=1):
        cells = header.pick(row)
        if line == header.row:
            titles = cells
        elif line > header.row and not (_is_empty(cells) or cells == titles or _is_total(cells)):
            yield line, cells


def _is_empty(cells: Mapping[Column, Cell]) -> bool:
    return all(is_blank(cell) for cell in cells.values())


def _is_total(cells: Mapping[Column, Cell]) -> bool:
    if not is_blank(cells[Column.ID_NUMBER]):
        return False
    told = [cell for column, cell in cells.items() if column is not Column.NOTE]
    return any(isinstance(cell, str) and fold_tight(cell).startswith(_TOTALS) for cell in told)
