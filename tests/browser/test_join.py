"""A new resident: the notice first, then two organisations' codes, then a phone that acts for him."""

from __future__ import annotations

import pytest

from tests.browser.conftest import NewPhone
from tests.browser.estate import Estate
from tests.browser.phone import PHONE, TABLET_ELDER, Phone, Screen

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


def claim_home(estate: Estate, phone: Phone) -> str:
    """Type name, home and number of an owner; returns the number. The first code has been asked for."""
    owner = estate.next_owner()
    phone.fill("姓名", owner.owner)
    phone.fill("房号", owner.room)
    phone.fill("手机号", owner.phone)
    phone.look("join-claim")
    phone.tap("获取验证码")
    return owner.phone


def enter_code(estate: Estate, phone: Phone, number: str, known: int) -> None:
    """Type the code that was texted after the first `known` ones."""
    phone.expect_text(f"{known + 1}. ")
    phone.fill("6 位数字验证码", estate.await_code(number, known))
    phone.look(f"join-code-{known + 1}")
    phone.tap("核对")


@pytest.mark.parametrize("screen", [PHONE, TABLET_ELDER], ids=lambda screen: screen.name)
def test_new_resident_reads_the_notice_then_proves_himself_to_two_organisations(
    estate: Estate, new_phone: NewPhone, screen: Screen
) -> None:
    phone = new_phone(None, screen)
    phone.open()
    phone.look("home-guest")
    phone.tap("开始核实")
    phone.expect_title("隐私说明")
    phone.look("privacy")
    phone.tap("我已阅读并同意")
    phone.expect_title("核实身份")
    number = claim_home(estate, phone)
    enter_code(estate, phone, number, 0)
    phone.expect_text("已核对")
    enter_code(estate, phone, number, 1)
    phone.expect_text("核实完成")
    phone.look("join-done")
    phone.tap("开始使用")
    phone.expect_title("邻里")
    phone.expect_text("您好")
    assert phone.link("开始核实").count() == 0
    phone.expect_text("三方账本一致")
    phone.look("home-member")
    assert phone.read("receipts")[0]["kind"] == "device.bind"
