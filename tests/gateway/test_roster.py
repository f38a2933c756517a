"""Rules of reading a roster file: server.gateway.roster and its parts, and the command line on top of them."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.workbook import Workbook

from server.gateway.identity_number import resident_check_digit
from server.gateway.roster import FILE_BYTES_MAX, read_roster
from server.gateway.roster_changes import ChangeKind, compare_rosters
from server.gateway.roster_file import FileFault, RosterError
from server.gateway.roster_homes import Roster

TODAY = date(2026, 1, 15)
SAMPLES = Path(__file__).parent / "samples"
SCRIPT = Path(__file__).parents[2] / "scripts" / "roster.py"
TITLES = ("楼号", "室号", "业主姓名", "证件类型", "证件号码", "手机号", "建筑面积", "产权份额", "备注")
Row = Sequence[object]


def person(serial: int) -> str:
    """A well-formed number; every serial another person."""
    first = f"31010119800101{serial:03d}"
    return first + resident_check_digit(first)


def owner(**changes: object) -> list[object]:
    """The row of one owner of one home, with changes by title."""
    row: dict[str, object] = {
        "楼号": "1号",
        "室号": "1号-101",
        "业主姓名": "张三",
        "证件类型": "身份证",
        "证件号码": person(1),
        "手机号": "13800138000",
        "建筑面积": "88.02",
        "产权份额": "1/1",
        "备注": "",
    }
    assert changes.keys() <= row.keys()
    return list((row | changes).values())


def to_csv(
    rows: Sequence[Row], titles: Row = TITLES, encoding: str = "utf-8", separator: str = ",", quoted: bool = False
) -> bytes:
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=separator, quoting=quoting).writerows([titles, *rows])
    return text.getvalue().encode(encoding)


def save(book: Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def to_xlsx(rows: Sequence[Row], titles: Row = TITLES) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [titles, *rows]:
        sheet.append(list(row))
    return save(book)


def read(*rows: Row, write: Callable[[Sequence[Row]], bytes] = to_csv) -> Roster:
    return read_roster(write(rows), TODAY)


def reasons(roster: Roster) -> dict[int, str]:
    return {bad.line: bad.reason for bad in roster.bad}


def refused(data: bytes) -> FileFault:
    with pytest.raises(RosterError) as caught:
        read_roster(data, TODAY)
    assert "{}" not in str(caught.value)
    return caught.value.fault


# ---------------------------------------------------------------- the estate's real file


@pytest.mark.parametrize("name", ["xiangshanyuan.csv", "xiangshanyuan.xlsx"])
def test_the_estates_file_reads_as_its_office_expects(name: str) -> None:
    roster = read_roster((SAMPLES / name).read_bytes(), TODAY)
    assert roster.summary() == json.loads((SAMPLES / "xiangshanyuan.expected.json").read_text())


def test_both_forms_of_the_estates_file_hold_the_same_lines() -> None:
    forms = [read_roster((SAMPLES / f"xiangshanyuan.{form}").read_bytes(), TODAY) for form in ("csv", "xlsx")]
    assert forms[0] == forms[1]
    assert compare_rosters(*forms) == ()


def test_odd_spellings_in_the_estates_file_are_read() -> None:
    lines = {line.line: line for line in read_roster((SAMPLES / "xiangshanyuan.csv").read_bytes(), TODAY).good}
    assert lines[316].phone == "19901370466"
    assert (lines[372].building, lines[372].room) == ("9号", "9号-305")
    assert lines[410].area_cm2 == 619_000
    assert lines[435].id_number == "310000193901122504"


# ---------------------------------------------------------------- spellings that are read

SPELLINGS = [
    ("楼号", "１号 ", "building", "1号"),
    ("楼号", "", "building", "1号"),
    ("室号", "1号－101", "room", "1号-101"),
    ("室号", "1号—101室", "room", "1号-101"),
    ("室号", "101", "room", "1号-101"),
    ("室号", "1号101", "room", "1号-101"),
    ("室号", "１０１\u00a0", "room", "1号-101"),
    ("室号", "1号-101a", "room", "1号-101A"),
    ("业主姓名", "\u3000张 三\u200b", "owner", "张三"),
    ("室号", "1号楼101室", "room", "1号-101"),
    ("室号", "101.0", "room", "1号-101"),
    ("业主姓名", "欧阳 娜娜", "owner", "欧阳娜娜"),
    ("业主姓名", "上海 示例 有限公司", "owner", "上海示例有限公司"),
    ("业主姓名", "李和平", "owner", "李和平"),
    ("业主姓名", "阿依古丽•买买提", "owner", "阿依古丽·买买提"),
    ("业主姓名", "𠮷田龘", "owner", "𠮷田龘"),
    ("业主姓名", "O'Neil, Mary-Jane", "owner", "O'Neil, Mary-Jane"),
    ("证件类型", "居民身份证", "id_kind", "resident_card"),
    ("证件类型", "", "id_kind", "resident_card"),
    ("证件号码", f" {person(1)[:6]} {person(1)[6:14]} {person(1)[14:]}", "id_number", person(1)),
    ("证件号码", f"'{person(1)}", "id_number", person(1)),
    ("手机号", "+86 138-0013-8000", "phone", "13800138000"),
    ("手机号", "１３８００１３８０００", "phone", "13800138000"),
    ("手机号", "138 0013 8000", "phone", "13800138000"),
    ("手机号", "13800138000.0", "phone", "13800138000"),
    ("手机号", "", "phone", ""),
    ("手机号", "无", "phone", ""),
    ("手机号", "－", "phone", ""),
    ("建筑面积", "88.02㎡", "area_cm2", 880_200),
    ("建筑面积", "88.02 m²", "area_cm2", 880_200),
    ("建筑面积", "８８．０２平方米", "area_cm2", 880_200),
    ("建筑面积", "88.02平米", "area_cm2", 880_200),
    ("建筑面积", "1,000.5", "area_cm2", 10_005_000),
    ("建筑面积", "12，345.67", "area_cm2", 123_456_700),
    ("建筑面积", "88", "area_cm2", 880_000),
    ("建筑面积", "88.0215", "area_cm2", 880_215),
    ("建筑面积", "103.41000000000001", "area_cm2", 1_034_100),
    ("产权份额", "１／１", "share_denominator", 1),
    ("产权份额", "2/2", "share_denominator", 1),
    ("产权份额", "100%", "share_denominator", 1),
    ("产权份额", "1", "share_denominator", 1),
    ("产权份额", "全部", "share_denominator", 1),
    ("备注", "两代\n同住", "note", "两代 同住"),
]


@pytest.mark.parametrize("write", [to_csv, to_xlsx])
@pytest.mark.parametrize(("title", "typed", "member", "value"), SPELLINGS)
def test_an_odd_spelling_is_read(
    title: str, typed: str, member: str, value: object, write: Callable[[Sequence[Row]], bytes]
) -> None:
    roster = read(owner(**{title: typed}), write=write)
    assert roster.bad == ()
    assert getattr(roster.good[0], member) == value


def test_company_code_without_a_kind_is_known_by_its_shape() -> None:
    roster = read(owner(业主姓名="上海示例有限公司", 证件类型="", 证件号码="91310000ma1fl0000n"))
    assert roster.good[0].id_kind == "company_code"
    assert roster.notices == ()


def test_wrong_check_sign_of_a_company_code_is_a_notice_and_no_fault() -> None:
    # The land register's file itself holds placeholder codes for the developer's unsold homes.
    roster = read(owner(业主姓名="上海示例有限公司", 证件类型="营业执照", 证件号码="91310000MA1FL00000"))
    assert roster.bad == ()
    assert [(notice.line, notice.reason) for notice in roster.notices] == [(2, "统一社会信用代码校验位不对")]


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("护照", "E12345678"),
        ("港澳居民来往内地通行证", "H12345678"),
        ("台胞证", "01234567"),
        ("外国人永久居留身份证", "USA110000123456"),
    ],
)
def test_other_documents_are_read(kind: str, number: str) -> None:
    assert read(owner(证件类型=kind, 证件号码=number)).good[0].id_number == number


def test_numbers_that_a_spreadsheet_made_of_text_are_read() -> None:
    roster = read(
        owner(室号=101, 手机号=13800138000, 建筑面积=88.02, 产权份额=0.5),
        owner(室号=101.0, 证件号码=person(2), 业主姓名="李四", 手机号=13800138001.0, 建筑面积=88.02, 产权份额="1/2"),
        write=to_xlsx,
    )
    assert roster.bad == ()
    assert {(line.room, line.area_cm2, line.share_denominator) for line in roster.good} == {("1号-101", 880_200, 2)}
    assert [line.phone for line in roster.good] == ["13800138000", "13800138001"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_encoding_and_separator_are_found_out_by_content(encoding: str, separator: str) -> None:
    roster = read_roster(to_csv([owner(业主姓名="张㐂")], encoding=encoding, separator=separator), TODAY)
    assert roster.good[0].owner == "张㐂"


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_every_cell_may_stand_in_quotes(separator: str) -> None:
    data = to_csv([owner(备注=f"两代{separator}同住\n一楼")], separator=separator, quoted=True)
    assert len(read_roster(data, TODAY).good) == 1


def test_characters_that_gb18030_gave_a_code_in_2005_are_the_same_as_in_unicode() -> None:
    data = to_csv([owner(业主姓名="张@")], encoding="gb18030").replace(b"@", b"\xfe\x59")
    assert read_roster(data, TODAY).good[0].owner == "张\u9fb4"


def test_columns_may_stand_in_any_order_under_other_names_with_others_between() -> None:
    titles = ["序号", "产权份额", "建筑面积（㎡）", "联系电话", "身份证号码*", "产权人", "房 号", "套内面积", "幢号"]
    roster = read_roster(to_csv([[1, "1/1", "88.02", "", person(1), "张三", "101", "70", "3幢"]], titles), TODAY)
    assert roster.bad == ()
    assert (roster.good[0].room, roster.good[0].area_cm2, roster.good[0].phone) == ("3幢-101", 880_200, "")


def test_unit_column_stands_between_building_and_room() -> None:
    titles = ["楼号", "单元", "室号", "姓名", "身份证号", "面积", "份额"]
    rows = [["1号", unit, "101", "张三", person(unit), "88", "1/1"] for unit in (1, 2)]
    assert [line.room for line in read_roster(to_csv(rows, titles), TODAY).good] == ["1号-1-101", "1号-2-101"]


@pytest.mark.parametrize("write", [to_csv, to_xlsx])
def test_lines_keep_their_sheet_rows_below_titles_and_blank_rows(
    write: Callable[[Sequence[Row], Sequence[object]], bytes],
) -> None:
    bad = owner(室号="1号-102", 证件号码="")
    total = ["合计", "", "", "", "", "", "176.04"]
    rows = [[], TITLES, owner(), [""], [" "] * 9, TITLES, bad, total, [""] * 9]
    roster = read_roster(write(rows, ["香山苑产权清册"]), TODAY)
    assert [line.line for line in roster.good] == [4]
    assert reasons(roster) == {8: "证件号码缺失"}


def test_text_that_csv_keeps_as_a_formula_is_read() -> None:
    assert read(owner(证件号码=f'="{person(1)}"')).good[0].id_number == person(1)


def test_short_rows_and_carriage_returns_are_read() -> None:
    data = to_csv([owner()[:8]]).replace(b"\r\n", b"\r")
    assert read_roster(data, TODAY).good[0].note == ""


def test_merged_cells_count_for_every_row_they_cover() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (TITLES, owner(产权份额="1/2"), owner(业主姓名="李四", 证件号码=person(2), 产权份额="1/2")):
        sheet.append(list(row))
    for column in "ABG":
        sheet.merge_cells(f"{column}2:{column}3")
    roster = read_roster(save(book), TODAY)
    assert roster.bad == ()
    assert (roster.homes, roster.owners, roster.total_area_cm2) == (1, 2, 880_200)


# ---------------------------------------------------------------- lines that are bad


@pytest.mark.parametrize(
    ("title", "typed", "reason"),
    [
        ("室号", "", "室号缺失"),
        ("室号", "1月10日", "室号被表格软件改成了日期"),
        ("室号", "1号-<script>", "室号写法不对"),
        ("业主姓名", " \u3000\u200b", "姓名缺失"),
        ("业主姓名", "=HYPERLINK(1)", "姓名含有不能用的字"),
        ("业主姓名", "张?", "姓名含有不能用的字"),
        ("业主姓名", "123", "姓名含有不能用的字"),
        ("室号", "#N/A", "室号写法不对"),
        ("室号", "#REF!", "室号写法不对"),
        ("业主姓名", "无", "姓名缺失"),
        ("业主姓名", "null", "姓名缺失"),
        ("业主姓名", "张三 13800138000", "姓名含有不能用的字"),
        ("业主姓名", "张三、李四", "一格里有几个姓名，请一人一行"),
        ("业主姓名", "张三 李四", "一格里有几个姓名，请一人一行"),
        ("业主姓名", "张三　李四　王小五", "一格里有几个姓名，请一人一行"),
        ("业主姓名", "张三和李四", "一格里有几个姓名，请一人一行"),
        ("业主姓名", "张三＆李四", "一格里有几个姓名，请一人一行"),
        ("证件类型", "驾驶证", "证件类型不认识"),
        ("证件号码", "", "证件号码缺失"),
        ("证件号码", "310101800101001", "十五位旧证件号码，请提供十八位新号码"),
        ("证件号码", person(1)[:17], "证件号码长度不对"),
        ("证件号码", person(1)[:10] + "1331" + person(1)[14:], "证件号码日期不对"),
        ("证件号码", person(1)[:17] + "Y", "证件号码含有不能用的字"),
        ("证件号码", "3.10101E+17", "证件号码被表格软件改成了数，末几位已丢失"),
        ("手机号", "1380013800", "手机号不对"),
        ("手机号", "13800138000/13900139000", "手机号不对"),
        ("建筑面积", "", "面积缺失"),
        ("建筑面积", "五十二", "面积不是数"),
        ("建筑面积", "约88", "面积不是数"),
        ("建筑面积", "1,00.5", "面积不是数"),
        ("建筑面积", "88,02", "面积不是数"),
        ("建筑面积", "NaN", "面积不是数"),
        ("建筑面积", "1e3", "面积不是数"),
        ("建筑面积", "0", "面积超出范围"),
        ("建筑面积", "-88.02", "面积超出范围"),
        ("建筑面积", "99999999", "面积超出范围"),
        ("建筑面积", "88.02157", "面积小数位过多"),
        ("产权份额", "", "份额缺失"),
        ("产权份额", "共同共有", "份额写法不对"),
        ("产权份额", "1/0", "份额写法不对"),
        ("产权份额", "1/99999999", "份额写法不对"),
        ("产权份额", "1月2日", "份额被表格软件改成了日期"),
        ("产权份额", "2-Jan", "份额被表格软件改成了日期"),
        ("产权份额", "0/1", "份额超出范围"),
        ("产权份额", "3/2", "份额超出范围"),
        ("产权份额", "1/2", "份额之和不等于一"),
        ("备注", "长" * 501, "备注太长"),
    ],
)
def test_a_bad_line_says_what_is_wrong(title: str, typed: str, reason: str) -> None:
    roster = read(owner(**{title: typed}))
    assert (roster.good, reasons(roster)) == ((), {2: reason})


@pytest.mark.parametrize(
    ("title", "value", "reason"),
    [
        ("室号", date(2026, 1, 10), "室号被表格软件改成了日期"),
        ("产权份额", date(2026, 1, 2), "份额被表格软件改成了日期"),
        ("产权份额", True, "份额写法不对"),
        ("建筑面积", True, "面积不是数"),
        ("建筑面积", date(2026, 1, 2), "面积不是数"),
        ("证件号码", 3.10101198001010e17, "证件号码被表格软件改成了数，末几位已丢失"),
        ("证件号码", 310101198001010000, "证件号码被表格软件改成了数，末几位已丢失"),
    ],
)
def test_what_a_spreadsheet_destroyed_is_not_guessed(title: str, value: object, reason: str) -> None:
    assert reasons(read(owner(**{title: value}), write=to_xlsx)) == {2: reason}


def test_a_blank_building_is_a_fault_only_where_the_sheet_has_that_column() -> None:
    assert reasons(read(owner(楼号="", 室号="101"))) == {2: "楼号缺失"}
    villa = to_csv([["88", "张三", person(1), "300", "1/1"]], ["室号", "姓名", "身份证号", "面积", "份额"])
    assert read_roster(villa, TODAY).good[0].room == "88"


def test_room_of_building_one_is_not_cut_when_it_begins_with_one() -> None:
    assert read(owner(楼号="1", 室号="101")).good[0].room == "1-101"
    assert read(owner(楼号="1", 室号="1-101")).good[0].room == "1-101"


def test_every_fault_of_a_line_is_told_the_first_column_first() -> None:
    bad = read(owner(业主姓名="", 建筑面积="无", 产权份额="")).bad[0]
    assert [fault.value for fault in bad.faults] == ["姓名缺失", "面积不是数", "份额缺失"]


# ---------------------------------------------------------------- homes


def test_a_repeated_line_is_counted_once_in_whatever_spelling() -> None:
    again = owner(室号="1号－101", 业主姓名=" 张三", 建筑面积="88.02㎡", 产权份额="1", 备注="补录")
    roster = read(owner(), again)
    assert (len(roster.good), roster.duplicates, roster.bad) == (1, (3,), ())


def test_an_owner_repeated_with_another_share_or_phone_is_a_contradiction() -> None:
    roster = read(owner(), owner(手机号="13900139000"), owner(产权份额="1/2"))
    assert reasons(roster) == dict.fromkeys((3, 4), "同一业主在同一室号重复且内容不一致")
    assert len(roster.good) == 1


def test_shares_of_a_home_must_make_one_exactly() -> None:
    thirds = [owner(证件号码=person(serial), 业主姓名=name, 产权份额="1/3") for serial, name in enumerate("甲乙丙")]
    assert len(read(*thirds).good) == 3
    assert reasons(read(*thirds[:2])) == dict.fromkeys((2, 3), "份额之和不等于一")
    rounded = [[*row[:7], "33.33%", ""] for row in thirds]
    assert set(reasons(read(*rounded)).values()) == {"份额之和不等于一"}


def test_a_home_is_not_taken_with_some_of_its_owners() -> None:
    other = owner(证件号码=person(2)[:17] + "0", 业主姓名="李四", 产权份额="1/2")
    assert person(2)[17] != "0"
    roster = read(owner(产权份额="1/2"), other)
    assert reasons(roster) == {2: "份额之和不等于一", 3: "证件号码校验位不对"}
    assert (roster.homes, roster.total_area_cm2) == (0, 0)


def test_the_commonest_area_of_a_home_stands_and_the_first_on_a_tie() -> None:
    rows = [owner(证件号码=person(serial), 业主姓名=name, 产权份额="1/2") for serial, name in enumerate("甲乙")]
    wrong = owner(证件号码=person(3), 业主姓名="丙", 产权份额="1/2", 建筑面积="1.00")
    assert reasons(read(wrong, *rows)) == {2: "同一室号面积不一致"}
    assert reasons(read(owner(), owner(证件号码=person(3), 业主姓名="丙", 建筑面积="1.00"))) == {
        3: "同一室号面积不一致"
    }


def test_one_number_with_two_names_is_a_contradiction() -> None:
    roster = read(owner(), owner(室号="1号-102"), owner(室号="1号-103", 业主姓名="李四"))
    assert reasons(roster) == {4: "同一证件号码姓名不一致"}
    assert (roster.homes, roster.owners) == (2, 1)


def test_total_area_is_rounded_to_two_decimals_only_at_the_end() -> None:
    rooms = [owner(室号=f"1号-{room}", 建筑面积="10.0025") for room in (101, 102)]
    assert read(*rooms).summary()["total_area"] == "20.01"


# ---------------------------------------------------------------- files that are refused


def repack(data: bytes, changes: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *changes}:
            new.writestr(name, changes[name] if name in changes else old.read(name))
    return file.getvalue()


def with_sheet(sheet: str) -> bytes:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    xml = f'<?xml version="1.0"?><worksheet {space}>{sheet}</worksheet>'
    return repack(to_xlsx([owner()]), {"xl/worksheets/sheet1.xml": xml.encode()})


def formula_book(*, note: str) -> bytes:
    return to_xlsx([owner(备注=note)])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", FileFault.EMPTY),
        (b" \r\n\t", FileFault.EMPTY),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), FileFault.OLD_EXCEL),
        (b"PK\x03\x04" + bytes(range(256)), FileFault.DAMAGED),
        (bytes(range(256)) * 40, FileFault.ENCODING),
        (b"\x7fELF\0\0\0\1", FileFault.NOT_A_SHEET),
        (b"<html><table><tr><td>1</td></tr></table></html>", FileFault.NO_HEADER),
        ("室号,业主姓名,证件号码,建筑面积\n".encode(), FileFault.COLUMN_MISSING),
        ("室号,姓名,业主,证件号码,建筑面积,产权份额\n".encode(), FileFault.COLUMN_TWICE),
        (to_csv([]), FileFault.NO_LINES),
        (to_csv([owner()]) + b'"1,2', FileFault.QUOTES),
        (to_csv([owner(备注="长" * 140_000)]), FileFault.QUOTES),
        (to_csv([owner()]) * 200_000, FileFault.TOO_LARGE),
        (formula_book(note="=1+1"), FileFault.FORMULA),
        (repack(to_xlsx([owner()]), {"xl/worksheets/sheet1.xml": bytes(65 << 20)}), FileFault.TOO_LARGE),
        (repack(to_xlsx([owner()]), {"xl/styles.xml": b" " * (9 << 20)}), FileFault.TOO_LARGE),
        (repack(to_xlsx([owner()]), {"xl/worksheets/sheet1.xml": b"<worksheet>"}), FileFault.DAMAGED),
        (repack(to_xlsx([owner()]), {f"a{n}": b"" for n in range(1_001)}), FileFault.TOO_LARGE),
        (with_sheet('<sheetData><row r="2000000000"><c r="A2000000000"/></row></sheetData>'), FileFault.NO_HEADER),
        (with_sheet(f"<sheetData><row>{'<c/>' * 2_100_000}</row></sheetData>"), FileFault.TOO_LARGE),
        (with_sheet(f"<sheetData a='' {'b=' * 2_100_000}/>"), FileFault.TOO_LARGE),
        (with_sheet('<dimension ref="A1:XFD1048576"/><sheetData/>'), FileFault.NO_HEADER),
        (
            with_sheet(f"<sheetData>{'<row>' + '<c/>' * 66 + '</row>' + '<row/>' * 2_000_000}</sheetData>"),
            FileFault.TOO_MANY_LINES,
        ),
        (b"a," * 100_000, FileFault.NO_HEADER),
        (to_csv([]) + b"\n" * 1_100_000, FileFault.TOO_MANY_LINES),
        (to_csv([owner(室号=str(room)) for room in range(30_001)]), FileFault.TOO_MANY_LINES),
    ],
    ids=lambda value: value.name if isinstance(value, FileFault) else "",
)
def test_a_file_that_is_no_roster_gets_one_clear_sentence(data: bytes, fault: FileFault) -> None:
    assert refused(data) is fault


def test_an_archive_that_is_no_workbook_is_no_sheet() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    assert refused(file.getvalue()) is FileFault.NOT_A_SHEET


@pytest.mark.parametrize("part", ["word/document.xml", "ppt/presentation.xml", "xl/workbook.bin"])
def test_a_document_that_is_no_workbook_is_no_sheet(part: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(part, b"")
    assert refused(file.getvalue()) is FileFault.NOT_A_SHEET


def test_columns_far_to_the_right_cost_nothing() -> None:
    assert len(read_roster(to_csv([owner()]) + b"," * 15_000_000, TODAY).good) == 1


def test_a_note_that_begins_like_a_sum_hides_no_line() -> None:
    assert reasons(read(owner(证件号码="", 备注="合计两人"))) == {2: "证件号码缺失"}


def test_entities_in_a_workbook_are_not_expanded() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    sheet = f"{bomb}]><worksheet><sheetData>&i;</sheetData></worksheet>"
    assert refused(repack(to_xlsx([owner()]), {"xl/worksheets/sheet1.xml": sheet.encode()})) is FileFault.DAMAGED


def test_a_sheet_that_claims_to_be_huge_is_read_as_far_as_it_is_filled() -> None:
    data = to_xlsx([owner()])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    huge = sheet.replace('<dimension ref="A1:I2"', '<dimension ref="A1:XFD1048576"')
    assert huge != sheet
    assert len(read_roster(repack(data, {"xl/worksheets/sheet1.xml": huge.encode()}), TODAY).good) == 1


def test_an_empty_result_of_a_formula_is_a_blank_cell_where_others_were_computed() -> None:
    data = formula_book(note="=1+1")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    computed = sheet.replace("<f>1+1</f><v />", "<f>1+1</f><v>2</v>").replace("<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>")
    assert computed != sheet
    assert read_roster(repack(data, {"xl/worksheets/sheet1.xml": computed.encode()}), TODAY).good[0].note == "2"


def test_two_sheets_that_look_like_rosters_are_refused_and_a_hidden_one_is_not_seen() -> None:
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx([owner()])))
    copy = book.copy_worksheet(book.worksheets[0])
    book.create_sheet("说明").append(["填表说明"])
    assert refused(save(book)) is FileFault.SEVERAL_SHEETS
    copy.sheet_state = "hidden"
    assert len(read_roster(save(book), TODAY).good) == 1


def test_a_file_above_the_limit_is_refused_before_it_is_read() -> None:
    assert refused(b"," * (FILE_BYTES_MAX + 1)) is FileFault.TOO_LARGE


WORKBOOK = to_xlsx([owner()])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_workbook_is_read_or_refused_and_never_crashes(data: st.DataObject) -> None:
    file = bytearray(WORKBOOK)
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(4, len(file) - 1))] = data.draw(st.integers(0, 255))
    del file[data.draw(st.integers(len(file) // 2, len(file))) :]
    try:
        roster = read_roster(bytes(file), TODAY)
    except RosterError:
        return
    assert len(roster.good) + len(roster.bad) + len(roster.duplicates) >= 1


cells = st.one_of(st.text(max_size=30), st.sampled_from([str(value) for value in owner()]))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(cells, min_size=9, max_size=9), max_size=8))
def test_every_line_is_good_or_repeated_or_bad_and_no_text_breaks_the_reader(rows: list[list[str]]) -> None:
    try:
        roster = read(owner(室号="9号-909"), *rows, write=lambda lines: to_csv(lines).replace(b"\0", b""))
    except RosterError:
        return
    numbers = [line.line for line in roster.good] + list(roster.duplicates) + [bad.line for bad in roster.bad]
    assert len(set(numbers)) == len(numbers) <= len(rows) + 1
    assert all(0 < line.share <= 1 and line.area_cm2 > 0 for line in roster.good)


# ---------------------------------------------------------------- changes and the command line


def test_changes_between_two_rosters_are_told_by_home_and_owner() -> None:
    old = read(owner(), owner(室号="1号-102"), owner(室号="1号-103"))
    new = read(
        owner(手机号="13900139000", 产权份额="1/2"),
        owner(证件号码=person(2), 业主姓名="李四", 产权份额="1/2"),
        owner(室号="1号-103", 建筑面积="90"),
        owner(室号="1号-104"),
    )
    assert [(change.kind, change.room) for change in compare_rosters(old, new)] == [
        (ChangeKind.SHARE_CHANGED, "1号-101"),
        (ChangeKind.PHONE_CHANGED, "1号-101"),
        (ChangeKind.OWNER_ADDED, "1号-101"),
        (ChangeKind.HOME_REMOVED, "1号-102"),
        (ChangeKind.OWNER_REMOVED, "1号-102"),
        (ChangeKind.AREA_CHANGED, "1号-103"),
        (ChangeKind.HOME_ADDED, "1号-104"),
        (ChangeKind.OWNER_ADDED, "1号-104"),
    ]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_check_prints_the_contracts_json_and_exits_1_for_a_bad_line() -> None:
    done = run("check", SAMPLES / "xiangshanyuan.xlsx", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == json.loads((SAMPLES / "xiangshanyuan.expected.json").read_text())


def test_check_exits_0_when_every_line_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_bytes(to_csv([owner(), owner()], encoding="gb18030"))
    done = run("check", tmp_path / "good.csv")
    assert done.returncode == 0
    assert "第 3 行：重复" in done.stdout


def test_check_names_what_is_wrong_with_a_file_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "junk.xlsx").write_bytes(b"PK\x03\x04junk")
    for path in (tmp_path / "junk.xlsx", tmp_path / "missing.csv", tmp_path):
        done = run("check", path, "--json")
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert json.loads(done.stdout).keys() == {"error"}


def test_diff_shows_changes_without_whole_document_numbers(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_bytes(to_csv([owner()]))
    (tmp_path / "new.xlsx").write_bytes(to_xlsx([owner(业主姓名="张叁", 建筑面积="90")]))
    done = run("diff", tmp_path / "old.csv", tmp_path / "new.xlsx")
    assert done.returncode == 0
    assert "面积 88.02 ㎡ → 90.00 ㎡" in done.stdout
    assert person(1)[:14] not in done.stdout
