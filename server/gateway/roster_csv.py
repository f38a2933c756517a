"""Rows of a CSV roster from bytes: the encoding and the separator are found out by content. Pure."""

import codecs
import csv
import io
from collections.abc import Iterator

from server.gateway.roster_file import COLUMNS_MAX, LINES_MAX, ROWS_MAX, FileFault, RosterError

SEPARATORS = (",", "\t", ";")
"""Comma; tab, as "Unicode text" of spreadsheets; semicolon, as spreadsheets of some locales write CSV."""
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_GB18030_2005 = str.maketrans(
    # Characters that GB 18030-2000, which Python decodes, put into the private area and GB 18030-2005 gave their code.
    # They occur in names.
    {
        0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE832: 0x9FB8, 0xE843: 0x9FB9,
        0xE854: 0x9FBA, 0xE864: 0x9FBB, 0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC, 0xE831: 0x215D7,
        0xE83B: 0x2298F, 0xE855: 0x241FE,
    }
)  # fmt: skip


def decode_text(data: bytes) -> str:
    """Return the text of a file in UTF-8 (with or without mark), UTF-16 (with mark) or GB 18030.

    UTF-8 is tried before GB 18030: Chinese text in GB 18030 is practically never valid UTF-8, the reverse often is.

    Raises: RosterError when it is none of them, or holds NUL as no text does.
    """
    try:
        text = _decode(data)
    except UnicodeDecodeError:
        raise RosterError(FileFault.ENCODING) from None
    if "\0" in text:
        raise RosterError(FileFault.NOT_A_SHEET)
    return text


def read_csv_rows(text: str, separator: str) -> Iterator[list[str]]:
    """Yield the rows, blank ones included, so that counting them gives the sheet's row numbers; their first columns.

    Raises: RosterError when quotes do not pair, a cell is longer than 131,072 signs (the csv module's limit), or there
    are more rows than any sheet has: empty ones cost time, too.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row, cells in enumerate(reader, start=1):
            if row > ROWS_MAX:
                raise RosterError(FileFault.TOO_MANY_LINES, str(LINES_MAX))
            yield cells[:COLUMNS_MAX]
    except csv.Error:
        raise RosterError(FileFault.QUOTES, str(reader.line_num)) from None


def _decode(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        return data.decode("utf-8-sig")
    if data.startswith(_UTF_16_MARKS):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("gb18030").translate(_GB18030_2005)
