"""The cells of a roster (产权清册), each read on its own: room, owner, document, phone, area, share, note.

Pure: no file, no clock. Reads every reasonable spelling of a value and guesses none: where two readings are possible,
or a spreadsheet has destroyed what was typed, `Unreadable` says why.
"""

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from server.gateway.identity_number import (
    IdentityKind,
    NumberFault,
    check_number,
    check_phone,
    fold_number,
    fold_phone,
    infer_kind,
)
from server.gateway.spelling import EAST_ASIAN, fold, fold_dashes, fold_name, fold_tight

NAME_LENGTH_MAX = 100
"""The longest registered company names have about 80 characters; a person's never comes near."""
ROOM_LENGTH_MAX = 40
"""Building, unit and room as written on a deed; longer is a sentence in the wrong column."""
NOTE_LENGTH_MAX = 500
"""A remark, not a document."""
AREA_CM2_MAX = 2_000_000 * 10_000
"""Two square kilometres of floor: more than any one exclusive part in the world, well inside 2**53."""
SHARE_DENOMINATOR_MAX = 1_000_000
"""Deeds state shares in small fractions or percents; the bound keeps sums of shares small."""
CM2_IN_M2 = 10_000
EXACT_FLOAT_MAX = 10**15
"""Spreadsheets keep 15 significant digits; a number beyond has lost its last ones."""
FLOAT_NOISE_CM2 = Decimal("0.000001")
"""What binary fractions add to an area (103.41000000000001) is far smaller, what a person types far larger."""

Cell = str | int | float | bool | date | datetime | time | timedelta | None
"""What a sheet's cell may hold; from a CSV file always text."""


class LineFault(StrEnum):
    """What can be wrong with a line besides the faults of a number; the value is the sentence that people read."""

    ROOM_MISSING = "室号缺失"
    ROOM_SHAPE = "室号写法不对"
    ROOM_IS_DATE = "室号被表格软件改成了日期"
    BUILDING_MISSING = "楼号缺失"
    OWNER_MISSING = "姓名缺失"
    OWNER_SHAPE = "姓名含有不能用的字"
    OWNER_SEVERAL = "一格里有几个姓名，请一人一行"
    ID_KIND_UNKNOWN = "证件类型不认识"
    ID_KIND_MISSING = "证件类型缺失"
    ID_NUMBER_MISSING = "证件号码缺失"
    ID_NUMBER_ROUNDED = "证件号码被表格软件改成了数，末几位已丢失"
    AREA_MISSING = "面积缺失"
    AREA_NOT_A_NUMBER = "面积不是数"
    AREA_OUT_OF_RANGE = "面积超出范围"
    AREA_TOO_FINE = "面积小数位过多"
    SHARE_MISSING = "份额缺失"
    SHARE_SHAPE = "份额写法不对"
    SHARE_IS_DATE = "份额被表格软件改成了日期"
    SHARE_OUT_OF_RANGE = "份额超出范围"
    NOTE_TOO_LONG = "备注太长"
    # Faults that only the other lines show (roster_homes):
    AREA_DIFFERS = "同一室号面积不一致"
    OWNER_REPEATED = "同一业主在同一室号重复且内容不一致"
    OWNER_NAME_DIFFERS = "同一证件号码姓名不一致"
    SHARES_NOT_WHOLE = "份额之和不等于一"


Fault = LineFault | NumberFault


class Unreadable(Exception):
    """A cell cannot be read; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


_KIND_NAMES = {
    IdentityKind.RESIDENT: "身份证 居民身份证 二代身份证 中华人民共和国居民身份证 户口簿 户口本 港澳台居民居住证",
    IdentityKind.COMPANY: "统一社会信用代码 统一社会信用代码证 社会信用代码 营业执照 企业营业执照",
    IdentityKind.PASSPORT: "护照 普通护照 中国护照 外国护照",
    IdentityKind.HONG_KONG_MACAO: "港澳居民来往内地通行证 港澳来往内地通行证 港澳居民通行证 港澳通行证 回乡证",
    IdentityKind.TAIWAN: "台湾居民来往大陆通行证 台湾来往大陆通行证 台湾居民通行证 台湾通行证 台胞证",
    IdentityKind.FOREIGN_RESIDENT: "外国人永久居留身份证 外国人永久居留证 永久居留身份证 永久居留证",
}
_KIND_OF_NAME = {name: kind for kind, names in _KIND_NAMES.items() for name in names.split()}
_NOTHING = frozenset(["", "无", "没有", "暂无", "不详", "-", "--", "/", "N/A", "#N/A", "NULL", "NONE"])
"""What offices and programs write into a cell that they have nothing for."""
_NO_PHONE = _NOTHING | {"未留", "无手机"}
_NO_OWNER = _NOTHING | {"未知", "待定", "空置", "空", "NAN"}
_WHOLE_SHARE = frozenset(["全部", "全部份额", "单独所有", "单独", "独有"])
_AREA_UNIT = re.compile(r"(?:m2|m\^2|平方米|平米|平方|平)$", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}|[0-9]{1,3}(?:,[0-9]{3}){1,6})(?:\.[0-9]{1,20})?")
_SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]{2}", re.IGNORECASE)
_FRACTION = re.compile(r"([0-9]{1,12})/([0-9]{1,12})")
_DECIMAL_OR_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)(%?)")
_CHINESE_FRACTION = re.compile(r"([一二两三四五六七八九十])分之([一二两三四五六七八九十])")
_CHINESE_DIGITS = {sign: value for value, sign in enumerate("一二三四五六七八九十", start=1)} | {"两": 2}
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE_SPELLING = re.compile(
    r"(?:[0-9]{4}年)?[0-9]{1,2}月[0-9]{1,2}日"
    rf"|[0-9]{{1,2}}-(?:{_MONTHS})|(?:{_MONTHS})-[0-9]{{1,2}}"
    r"|(?:19|20)[0-9]{2}[-/][0-9]{1,2}[-/][0-9]{1,2}(?:0{1,2}:00(?::00)?)?",
    re.IGNORECASE,
)
_ROOM_SHAPE = re.compile(rf"[\w{EAST_ASIAN}\-/#()·.+&]+")
_BUILDING_IN_ROOM = re.compile(r"(.+?(?:号楼|号|栋|幢|座|楼))-?([^-].*)")
_NAME_SHAPE = re.compile(rf"[\w{EAST_ASIAN}(][\w{EAST_ASIAN}·()\-.,&' ]*")
_LETTER = re.compile(rf"[^\W\d_]|[{EAST_ASIAN}]")
_SEVERAL_NAMES = re.compile(
    rf"[、;/\n\r]|[{EAST_ASIAN}][,&][{EAST_ASIAN}]|^[{EAST_ASIAN}]{{2,3}}[和及与][{EAST_ASIAN}]{{2,3}}$"
)
_SPACED_NAMES = re.compile(rf"([{EAST_ASIAN}]{{2,3}})(?: +[{EAST_ASIAN}]{{2,3}})+")
_LONG_SURNAMES = frozenset(
    "欧阳 上官 司马 诸葛 司徒 皇甫 东方 夏侯 尉迟 公孙 慕容 令狐 宇文 长孙 端木 独孤 南宫 西门 百里 呼延 轩辕"
    " 太史 申屠 公冶 宗政 濮阳 淳于 单于 钟离 闾丘 鲜于 澹台 万俟 司空 赫连 纳兰 完颜 叶赫 拓跋 谷梁 闻人 公羊".split()
)
CELL_CHARACTERS_MAX = 1_000
_LONG_NUMBER = re.compile(r"[0-9]{7}")
_ERROR_VALUE = re.compile(r"#(?:N/A|REF!|VALUE!|NAME\?|NUM!|NULL!|DIV/0!)")
_POINT_ZERO = re.compile(r"(?<![0-9])([0-9]+)\.0")
"""How programs write whole numbers that they keep as fractions."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")


def cell_text(cell: Cell) -> str:
    """Return what a person sees in the cell: whole numbers without ".0", `="text"` and a leading apostrophe taken off.

    A spreadsheet that saves text which looks like a number writes it `="0012"` or `'0012` to keep its zeros. What is
    longer than any value may be is cut: it is refused all the same, and costs no more to look at.
    """
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT_FLOAT_MAX:
        return str(int(cell))
    text = str(cell)[:CELL_CHARACTERS_MAX].strip()
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return text[2:-1]
    return text.removeprefix("'")


def is_blank(cell: Cell) -> bool:
    """Tell whether a person sees nothing in the cell."""
    return not fold_tight(cell_text(cell))


def read_home(building_cell: Cell, unit_cell: Cell, room_cell: Cell, *, building_expected: bool) -> tuple[str, str]:
    """Return (building, room), the room with its building in front: ("1号", "1号-101").

    "1号" + "101", "1号" + "1号-101", "" + "1号-101" and "" + "1号101室" are spellings of one home. A sheet without a
    building column (`building_expected` false) may have rooms without a building, as estates of single houses do.
    """
    building, unit = _place_text(building_cell), _place_text(unit_cell)
    room = _place_text(room_cell).removesuffix("室")
    if not room:
        raise Unreadable(LineFault.ROOM_MISSING)
    if not building:
        building, room = _split_room(room)
    if not building and building_expected:
        raise Unreadable(LineFault.BUILDING_MISSING)
    for part in (building, unit):
        room = _without_prefix(room, part)
    home = "-".join(part for part in (building, unit, room) if part)
    if len(home) > ROOM_LENGTH_MAX or not _ROOM_SHAPE.fullmatch(home):
        raise Unreadable(LineFault.ROOM_SHAPE)
    return building, home


def read_owner(cell: Cell) -> str:
    """Return an owner's name in the spelling in which names are compared."""
    if is_blank(cell):
        raise Unreadable(LineFault.OWNER_MISSING)
    raw = cell_text(cell)
    name = fold_name(raw)
    if fold_dashes(name).upper() in _NO_OWNER:
        raise Unreadable(LineFault.OWNER_MISSING)
    if _SEVERAL_NAMES.search(name) or _SEVERAL_NAMES.search(raw) or _is_two_names(fold(raw)):
        raise Unreadable(LineFault.OWNER_SEVERAL)
    if _LONG_NUMBER.search(name):
        raise Unreadable(LineFault.OWNER_SHAPE)
    if len(name) > NAME_LENGTH_MAX or not _NAME_SHAPE.fullmatch(name) or not _LETTER.search(name):
        raise Unreadable(LineFault.OWNER_SHAPE)
    return name


def read_identity(kind_cell: Cell, number_cell: Cell, today: date) -> tuple[IdentityKind, str]:
    """Return the kind of document and its folded number.

    The check digit of a company's code is not asked for here: land registers hold placeholder codes for developers,
    and a wrong one takes nobody's vote. `roster_homes` gives notice of it.
    """
    if is_blank(number_cell):
        raise Unreadable(LineFault.ID_NUMBER_MISSING)
    text = fold_tight(cell_text(number_cell))
    number = fold_number(text)
    kind = _read_kind(kind_cell, number)
    fault = check_number(kind, number, today)
    if _SCIENTIFIC.fullmatch(text) or (fault and isinstance(number_cell, int) and number_cell >= EXACT_FLOAT_MAX):
        raise Unreadable(LineFault.ID_NUMBER_ROUNDED)
    if fault and fault is not NumberFault.COMPANY_CHECK_DIGIT:
        raise Unreadable(fault)
    return kind, number


def read_phone(cell: Cell) -> str:
    """Return a mobile number of 11 digits, or "" when the cell says that there is none."""
    text = fold_tight(cell_text(cell))
    if fold_dashes(text).upper() in _NO_PHONE:
        return ""
    phone = fold_phone(_POINT_ZERO.sub(r"\1", text))
    if fault := check_phone(phone):
        raise Unreadable(fault)
    return phone


def read_area(cell: Cell) -> int:
    """Return an area in cm2. Unit signs and thousands commas are read: "1,000.5 ㎡" is 10,005,000 cm2."""
    if is_blank(cell):
        raise Unreadable(LineFault.AREA_MISSING)
    text = _AREA_UNIT.sub("", fold_tight(cell_text(cell)))
    if isinstance(cell, bool) or not _PLAIN_NUMBER.fullmatch(text):
        raise Unreadable(LineFault.AREA_NOT_A_NUMBER)
    cm2 = Decimal(text.replace(",", "")) * CM2_IN_M2
    whole = int(cm2.to_integral_value())
    if abs(cm2 - whole) > FLOAT_NOISE_CM2:
        raise Unreadable(LineFault.AREA_TOO_FINE)
    if not 0 < whole <= AREA_CM2_MAX:
        raise Unreadable(LineFault.AREA_OUT_OF_RANGE)
    return whole


def read_share(cell: Cell) -> Fraction:
    """Return a share of a home, 0 < share <= 1: "1/2", "50%", 0.5, 二分之一, 全部.

    A date is refused although 1月2日 was surely typed as 1/2: what somebody owns is not guessed.
    """
    if is_blank(cell):
        raise Unreadable(LineFault.SHARE_MISSING)
    text = fold_tight(cell_text(cell))
    if _is_date(cell):
        raise Unreadable(LineFault.SHARE_IS_DATE)
    share = None if isinstance(cell, bool) else _parse_share(text)
    if share is None:
        raise Unreadable(LineFault.SHARE_SHAPE)
    if not 0 < share <= 1:
        raise Unreadable(LineFault.SHARE_OUT_OF_RANGE)
    return share


def read_note(cell: Cell) -> str:
    """Return a remark without control signs. Whoever writes it into a sheet again must guard against formulas."""
    note = _CONTROL.sub(" ", fold(cell_text(cell)))
    if len(note) > NOTE_LENGTH_MAX:
        raise Unreadable(LineFault.NOTE_TOO_LONG)
    return note


def _place_text(cell: Cell) -> str:
    if _is_date(cell):
        raise Unreadable(LineFault.ROOM_IS_DATE)
    text = fold_dashes(fold_tight(cell_text(cell))).upper()
    if _ERROR_VALUE.fullmatch(text):
        raise Unreadable(LineFault.ROOM_SHAPE)
    if whole := _POINT_ZERO.fullmatch(text):
        return whole[1]
    return re.sub("-+", "-", text).strip("-")


def _is_two_names(text: str) -> bool:
    """张三 李四 are two people; 张 三 is one, as is 欧阳 娜娜, whose surname has two characters."""
    match = _SPACED_NAMES.fullmatch(text)
    return match is not None and match[1] not in _LONG_SURNAMES


def _split_room(room: str) -> tuple[str, str]:
    if match := _BUILDING_IN_ROOM.fullmatch(room):
        return match[1], match[2]
    building, dash, rest = room.partition("-")
    return (building, rest) if dash else ("", room)


def _without_prefix(room: str, prefix: str) -> str:
    rest = room.removeprefix(prefix)
    if prefix.endswith("号") and rest != room:
        rest = rest.removeprefix("楼")  # 1号 and 1号楼 are one building
    # "101" in building "1" is not room "01": after a bare number a dash must follow.
    if prefix and rest != room and rest.strip("-") and (rest.startswith("-") or not prefix[-1].isdigit()):
        return rest.lstrip("-")
    return room


def _read_kind(cell: Cell, number: str) -> IdentityKind:
    name = fold_tight(cell_text(cell))
    if not name:
        kind = infer_kind(number)
        if kind is None:
            raise Unreadable(LineFault.ID_KIND_MISSING)
        return kind
    if name not in _KIND_OF_NAME:
        raise Unreadable(LineFault.ID_KIND_UNKNOWN)
    return _KIND_OF_NAME[name]


def _is_date(cell: Cell) -> bool:
    if isinstance(cell, date | time | timedelta):
        return True
    return isinstance(cell, str) and _DATE_SPELLING.fullmatch(fold_tight(cell_text(cell))) is not None


def _parse_share(text: str) -> Fraction | None:
    if text in _WHOLE_SHARE:
        return Fraction(1)
    if match := _CHINESE_FRACTION.fullmatch(text):
        return Fraction(_CHINESE_DIGITS[match[2]], _CHINESE_DIGITS[match[1]])
    if match := _FRACTION.fullmatch(text):
        numerator, denominator = int(match[1]), int(match[2])
        return Fraction(numerator, denominator) if 0 < denominator <= SHARE_DENOMINATOR_MAX else None
    if match := _DECIMAL_OR_PERCENT.fullmatch(text):
        share = Fraction(match[1]) / (100 if match[2] else 1)
        return share if share.denominator <= SHARE_DENOMINATOR_MAX else None
    return None
