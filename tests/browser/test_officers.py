"""What an officer does on his screens: a changed roster comes into force, a role is given, a document is attested."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPhone
from tests.browser.estate import Estate
from tests.browser.phone import PHONE, PHONE_ELDER, TABLET, Phone

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(300)]
HEADER = ("幢号", "室号", "业主姓名", "证件类型", "证件号码", "手机号", "建筑面积", "产权份额")
KINDS = {
    "resident_card": "身份证",
    "company_code": "统一社会信用代码",
    "passport": "护照",
    "hong_kong_macao_permit": "港澳居民来往内地通行证",
    "taiwan_permit": "台湾居民来往大陆通行证",
    "foreign_resident_card": "外国人永久居留身份证",
}
CLERK, CLERK_DOCUMENT = "周倩", "110101199003078515"


def write_roster(path: Path, lines: Iterable[Any], *bad: tuple[str, ...]) -> Path:
    """A roster as an office would save it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for line in lines:
            area = f"{line.area_cm2 // 10_000}.{line.area_cm2 % 10_000 // 100:02d}"
            share = f"{line.share_numerator}/{line.share_denominator}"
            kind = KINDS[str(line.id_kind)]
            writer.writerow((line.building, line.room, line.owner, kind, line.id_number, line.phone, area, share))
        writer.writerows(bad)
    return path


def choose_file(phone: Phone, button: str, path: Path) -> None:
    """Choose a file of this computer."""
    with phone.page.expect_file_chooser() as chooser:
        phone.tap(button)
    chooser.value.set_files(path)


def standing(estate: Estate, organisation: str, node: int) -> Any:
    return estate.ask(estate.officer(organisation), "/api/v1/roll/standing", node)


def test_changed_roster_is_seen_published_confirmed_and_only_then_used(
    estate: Estate, new_phone: NewPhone, tmp_path: Path
) -> None:
    lines = list(estate._demo.roster.good)
    last = estate._demo.owners()[-1]
    changed = [replace(line, area_cm2=line.area_cm2 + 10_000) if line is last else line for line in lines]
    bad = (last.building, "9-999", "无名氏", "身份证", "110101199003078516", "", "80.00", "1")
    flawed = write_roster(tmp_path / "flawed.csv", changed, bad)
    clean = write_roster(tmp_path / "clean.csv", changed)
    before = standing(estate, "street", _node(estate, "street"))["in_use"]

    street = new_phone(estate.officer("street"), TABLET, node=_node(estate, "street"))
    street.open()
    street.tap("业主名册")
    street.expect_title("业主名册")
    street.expect_text("本单位在用的就是这一份")
    choose_file(street, "选择清册文件", flawed)
    street.expect_text("有 1 行不能用")
    street.expect_text(f"第 {len(lines) + 2} 行")
    street.expect_text("证件号码校验位不对")
    assert street.button("采用这份名册").count() == 0
    street.look("officer-roll-bad")
    street.tap("我已看过，略去这 1 行")
    street.expect_text("变更 1")
    street.expect_text(re.compile(f"{last.room}.*{last.owner}"))
    street.look("officer-roll-preview")
    street.tap("采用这份名册")
    street.answer_dialog("签名")
    street.expect_text("已公布，等待确认")
    street.look("officer-roll-published")
    assert standing(estate, "street", _node(estate, "street"))["in_use"] == before, "one organisation is not enough"
    assert street.outbox() == []

    owners = new_phone(estate.officer("owners"), PHONE_ELDER, node=_node(estate, "owners"))
    owners.open("staff/roll/index")
    owners.expect_text("还差 1 家单位")
    owners.look("officer-roll-waiting")
    choose_file(owners, "选择清册文件", clean)
    owners.expect_text("完全一致")
    owners.look("officer-roll-confirm")
    owners.tap("采用这份名册")
    owners.answer_dialog("签名")
    owners.expect_text("名册已生效")
    owners.look("officer-roll-in-force")
    now = standing(estate, "owners", _node(estate, "owners"))
    assert now["in_force"]["id"] != before
    assert now["waiting"] == []


def test_file_that_is_no_roster_is_refused_and_nothing_is_staged(
    estate: Estate, new_phone: NewPhone, tmp_path: Path
) -> None:
    staged = standing(estate, "property", _node(estate, "property"))["staged"]
    officer = new_phone(estate.officer("property"), PHONE, node=_node(estate, "property"))
    officer.open("staff/roll/index")
    wrong = tmp_path / "letter.csv"
    wrong.write_text("亲爱的邻居，\n", "utf-8")
    choose_file(officer, "选择清册文件", wrong)
    officer.expect_text("没有读成：")
    officer.look("officer-roll-unreadable")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG")
    choose_file(officer, "选择清册文件", picture)
    officer.expect_text("请选择 .xlsx 或 .csv 文件")
    assert standing(estate, "property", _node(estate, "property"))["staged"] == staged


def test_role_holds_once_officers_of_two_organisations_have_signed(estate: Estate, new_phone: NewPhone) -> None:
    owner = estate.next_owner()
    login = estate.new_resident(owner)
    street = new_phone(estate.officer("street"), TABLET, node=_node(estate, "street"))
    street.open()
    street.tap("岗位管理")
    street.expect_title("岗位管理")
    street.tap("签名授予")
    street.expect_text("请先找到并选定一个人")
    street.fill("找人", owner.room)
    street.tap("查找")
    expect(street.section.get_by_role("radio", name=re.compile(owner.owner))).to_be_checked()
    street.section.get_by_role("radiogroup", name="什么岗位").get_by_text("审计").click()
    street.section.get_by_role("radiogroup", name="属于哪家单位").get_by_text("街道居委会").click()
    street.look("officer-roles-form")
    street.tap("签名授予")
    street.answer_dialog("签名授予")
    street.expect_text("已签名，等另一家单位签名后生效")
    street.look("officer-roles-signed")
    assert "auditor@street" not in estate.ask(login, "/api/v1/session")["roles"]

    owners = new_phone(estate.officer("owners"), PHONE, node=_node(estate, "owners"))
    owners.open("staff/roles/index")
    owners.expect_text("街道居委会已签名")
    owners.look("officer-roles-waiting")
    owners.button(re.compile(f"同意并签名.*{owner.owner}")).click()
    owners.answer_dialog("签名授予")
    owners.expect_text("已生效")
    assert "auditor@street" in estate.ask(login, "/api/v1/session")["roles"]

    owners.button(re.compile(f"收回 {owner.owner}")).click()
    owners.answer_dialog("收回")
    owners.expect_text("已签名，等另一家单位签名后收回")


def test_clerk_who_owns_nothing_is_added_attested_at_two_counters_and_joins(
    estate: Estate, new_phone: NewPhone
) -> None:
    for organisation in ("property", "street"):
        officer = new_phone(estate.officer(organisation), TABLET, node=_node(estate, organisation))
        add_clerk(officer)
    phone = new_phone(None, PHONE)
    phone.open()
    phone.tap("开始核实")
    phone.tap("我已阅读并同意")
    phone.expect_title("核实身份")
    assert phone.button("用微信核实").count() == 0, "a browser is no WeChat"

    staff = new_phone(estate.logins["staff"], TABLET, node=_node(estate, "property"))
    staff.open()
    staff.tap("当面核实")
    attest(staff, show_code(phone, "物业公司"))
    phone.expect_title("核实身份")
    phone.expect_text("物业公司已核对")
    phone.look("join-second")
    street = new_phone(estate.officer("street"), PHONE_ELDER, node=_node(estate, "street"))
    street.open("staff/attest/index")
    attest(street, show_code(phone, "街道居委会"))
    phone.expect_text("核实完成")
    phone.tap("开始使用")
    phone.expect_text(re.compile(f"{CLERK}|您好"))
    assert phone.read("receipts")[0]["kind"] == "device.bind"


def test_who_owns_nothing_joins_by_codes_of_the_two_organisations_that_added_him(
    estate: Estate, new_phone: NewPhone
) -> None:
    number = "13700000001"
    for organisation in ("property", "street"):
        officer = new_phone(estate.officer(organisation), PHONE, node=_node(estate, organisation))
        officer.open("staff/people/index")
        officer.fill("姓名或名称", "沈嘉树")
        officer.fill("证件号码", "11010119900307803X")
        officer.fill("手机号", number)
        officer.button("登记", exact=True).click()
        officer.expect_text("沈嘉树已登记")
    phone = new_phone(None, PHONE_ELDER)
    phone.open()
    phone.tap("开始核实")
    phone.tap("我已阅读并同意")
    phone.expect_title("核实身份")
    phone.fill("姓名", "沈嘉树")
    phone.choose("我没有房屋")
    assert phone.section.get_by_label("房号").count() == 0
    phone.fill("手机号", number)
    phone.look("join-owns-none")
    phone.tap("获取验证码")
    for known in range(2):
        phone.expect_text(f"{known + 1}. ")
        if "业主委员会" in phone.section.inner_text():  # where nobody added him: it never says so, and no code comes
            phone.look("join-another")
            phone.tap("换一家单位")
        phone.expect_text(re.compile(rf"{known + 1}\. (物业公司|街道居委会)"))
        phone.fill("6 位数字验证码", estate.await_code(number, known))
        phone.tap("核对")
    phone.expect_text("核实完成")
    assert phone.read("receipts")[0]["kind"] == "device.bind"


def add_clerk(officer: Phone) -> None:
    """An officer adds somebody who stands on no roll; a number that cannot be is refused first."""
    officer.open("staff/people/index")
    officer.fill("姓名或名称", CLERK)
    officer.fill("证件号码", CLERK_DOCUMENT[:-1] + "6")
    officer.button("登记", exact=True).click()
    officer.expect_text("证件号码不对，请对照原件")
    officer.look("officer-people-fault")
    officer.fill("证件号码", CLERK_DOCUMENT)
    officer.button("登记", exact=True).click()
    officer.expect_text(f"{CLERK}已登记")
    officer.expect_text("110*************15")
    officer.look("officer-people")


def show_code(phone: Phone, organisation: str) -> str:
    """The resident's phone shows its code for one counter."""
    phone.tap("到柜台当面核实")
    phone.expect_title("到柜台当面核实")
    phone.choose(organisation)
    phone.tap("显示核对码")
    phone.expect_text("等工作人员核实")
    phone.look("join-counter")
    return phone.section.locator(".code").inner_text().replace(" ", "")


def attest(staff: Phone, code: str) -> None:
    """Staff find the person, type the code and say that they saw the document."""
    staff.expect_title("当面核实")
    staff.fill("是哪一位", CLERK)
    staff.tap("查找")
    expect(staff.section.get_by_role("radio", name=re.compile(CLERK))).to_be_checked()
    staff.fill("他手机上的核对码", code)
    staff.tap("为这部手机作证")
    staff.expect_text("看过证件原件后请先勾选")
    staff.choose("我已看过证件原件")
    staff.look("staff-attest-filled")
    staff.tap("为这部手机作证")
    staff.expect_text("已作证")
    staff.look("staff-attest-done")


def _node(estate: Estate, organisation: str) -> int:
    return [node.id for node in estate.cluster.nodes].index(organisation)
