"""What a roster file can be refused for as a whole, before any line of it is looked at. Pure."""

from enum import StrEnum

LINES_MAX = 30_000
"""An estate with one owners' assembly has 20,000 homes at the very most, and most have one owner each."""
ROWS_MAX = 1_048_576
"""What a sheet of .xlsx can have; formatted empty rows below the content may reach down to it."""
COLUMNS_MAX = 64
"""A roster has ten columns; offices add some of their own."""


class FileFault(StrEnum):
    """Why a whole file is refused; the value is the sentence that people read, `{}` where a detail stands."""

    EMPTY = "文件是空的"
    TOO_LARGE = "文件太大（最多 {}）"
    OLD_EXCEL = "这是旧版 .xls 或加了密码的表格，请另存为不加密的 .xlsx"
    NOT_A_SHEET = "这不是 .xlsx 或 .csv 表格"
    DAMAGED = "表格文件已损坏，读不出来"
    ENCODING = "文字编码不是 UTF-8 也不是 GB18030"
    QUOTES = "CSV 引号不成对（第 {} 行附近）"
    NO_HEADER = "找不到表头，需要有：{}"
    COLUMN_MISSING = "缺少列：{}"
    COLUMN_TWICE = "有两列都是：{}"
    SEVERAL_SHEETS = "有几张工作表都像清册，请只留一张：{}"
    FORMULA = "单元格 {} 是没有算出值的公式，请在表格软件里粘贴为值后再存"
    TOO_MANY_LINES = "行数太多（最多 {} 行）"
    NO_LINES = "表头下面没有内容"


class RosterError(Exception):
    """A file is not a roster that can be read. `fault` is the kind, `detail` what it names; the text is a sentence."""

    def __init__(self, fault: FileFault, detail: str = "") -> None:
        super().__init__(fault.value.format(detail))
        self.fault = fault
        self.detail = detail
