"""Why a roster, or a line of it, cannot be taken, in the reader's language. The gateway's faults are Chinese sentences.

A test proves that every fault has its English sentence. It must not know how a roster is read.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.api.language import LANGUAGE_ZH
from server.gateway.identity_number import NumberFault
from server.gateway.roster_cells import LineFault
from server.gateway.roster_file import FileFault, RosterError

LINE_WORDS: Mapping[str, str] = {
    LineFault.ROOM_MISSING: "the home is missing",
    LineFault.ROOM_SHAPE: "the home is not written as a home",
    LineFault.ROOM_IS_DATE: "the spreadsheet turned the home into a date",
    LineFault.BUILDING_MISSING: "the building is missing",
    LineFault.OWNER_MISSING: "the name is missing",
    LineFault.OWNER_SHAPE: "the name has signs that no name has",
    LineFault.OWNER_SEVERAL: "several names in one cell; one line a person",
    LineFault.ID_KIND_UNKNOWN: "the kind of document is not known",
    LineFault.ID_KIND_MISSING: "the kind of document is missing",
    LineFault.ID_NUMBER_MISSING: "the document number is missing",
    LineFault.ID_NUMBER_ROUNDED: "the spreadsheet rounded the document number; its last digits are lost",
    LineFault.AREA_MISSING: "the area is missing",
    LineFault.AREA_NOT_A_NUMBER: "the area is not a number",
    LineFault.AREA_OUT_OF_RANGE: "the area is out of range",
    LineFault.AREA_TOO_FINE: "the area has too many decimals",
    LineFault.SHARE_MISSING: "the share is missing",
    LineFault.SHARE_SHAPE: "the share is not written as a share",
    LineFault.SHARE_IS_DATE: "the spreadsheet turned the share into a date",
    LineFault.SHARE_OUT_OF_RANGE: "the share is out of range",
    LineFault.NOTE_TOO_LONG: "the remark is too long",
    LineFault.AREA_DIFFERS: "lines of one home state different areas",
    LineFault.OWNER_REPEATED: "the same owner stands twice in one home with different content",
    LineFault.OWNER_NAME_DIFFERS: "one document number with different names",
    LineFault.SHARES_NOT_WHOLE: "the shares of the home do not add up to one",
    NumberFault.LEGACY: "an old document number of 15 digits; the one of 18 is needed",
    NumberFault.LENGTH: "the document number has the wrong length",
    NumberFault.SIGNS: "the document number has signs that it cannot have",
    NumberFault.DATE: "the date in the document number is wrong",
    NumberFault.CHECK_DIGIT: "the check digit of the document number is wrong",
    NumberFault.SHAPE: "the document number is not of its form",
    NumberFault.COMPANY_LENGTH: "the unified social credit code has the wrong length",
    NumberFault.COMPANY_SIGNS: "the unified social credit code has signs that it cannot have",
    NumberFault.COMPANY_CHECK_DIGIT: "the check digit of the unified social credit code is wrong",
    NumberFault.PHONE: "the mobile number is wrong",
}
FILE_WORDS: Mapping[FileFault, str] = {
    FileFault.EMPTY: "the file is empty",
    FileFault.TOO_LARGE: "the file is too large (at most {})",
    FileFault.OLD_EXCEL: "an old .xls or an encrypted sheet; save it as .xlsx without a password",
    FileFault.NOT_A_SHEET: "not an .xlsx or .csv sheet",
    FileFault.DAMAGED: "the file is damaged",
    FileFault.ENCODING: "the text is neither UTF-8 nor GB18030",
    FileFault.QUOTES: "a quotation mark of the CSV is not closed (near line {})",
    FileFault.NO_HEADER: "no header row; it needs {}",
    FileFault.COLUMN_MISSING: "a column is missing: {}",
    FileFault.COLUMN_TWICE: "two columns are both {}",
    FileFault.SEVERAL_SHEETS: "several sheets look like rosters, keep one of {}",
    FileFault.FORMULA: "cell {} is a formula without a value; paste values and save again",
    FileFault.TOO_MANY_LINES: "too many rows (at most {})",
    FileFault.NO_LINES: "nothing stands below the header",
}


def word_line(reason: str, language: str) -> str:
    """The reason of a line; one that is not in the table stays as it is."""
    return reason if language == LANGUAGE_ZH else LINE_WORDS.get(reason, reason)


def word_file(error: RosterError, language: str) -> str:
    """The reason of a whole file."""
    return str(error) if language == LANGUAGE_ZH else FILE_WORDS[error.fault].format(error.detail)
