"""Points at a shop: a code on the merchant's screen, the resident's camera, one tap, and a way back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Playwright, expect

from demo_estate import SHOP
from tests.browser.conftest import NewPhone, launch
from tests.browser.estate import Estate
from tests.browser.phone import PHONE, PHONE_ELDER, TABLET, Phone, Screen

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

FRAMES = 30
FRAME = (640, 480)


def charge(merchant: Phone, amount: int) -> None:
    """Type an amount by thumb and show its code."""
    merchant.open()
    merchant.tap("商户收款")
    merchant.expect_title("商户收款")
    for digit in str(amount):
        merchant.button(f"数字 {digit}").click()
    merchant.expect_text(SHOP)
    merchant.look("charge-amount")
    merchant.tap("生成收款码")
    expect(merchant.section.locator("img.qr")).to_be_visible()
    merchant.look("charge-code")


def film(merchant: Phone, path: Path) -> None:
    """What a hand-held camera sees of the code on the merchant's screen: a moving MJPEG."""
    code = Image.open(io.BytesIO(merchant.section.locator("img.qr").screenshot())).convert("RGB").resize((300, 300))
    with path.open("wb") as video:
        for number in range(FRAMES):
            frame = Image.new("RGB", FRAME, (150, 150, 150))
            turned = code.rotate(number % 7 - 3, expand=True, fillcolor=(255, 255, 255))
            frame.paste(turned, (150 + number % 5 * 4, 70))
            frame.save(video, "JPEG", quality=88)


def with_camera(driver: Playwright, chromium: Path, video: Path) -> Browser:
    """A browser whose camera sees a film."""
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    return launch(driver, chromium, *camera, f"--use-file-for-fake-video-capture={video}")


def expect_offer(phone: Phone, amount: int, left: int) -> None:
    """The page names shop, amount and what remains, the amount in large type."""
    phone.expect_title("付积分")
    phone.expect_text("付给")
    phone.expect_text(SHOP)
    number = phone.section.locator(".big-number")
    expect(number).to_have_text(str(amount))
    size, body = number.evaluate(
        "(element) => [element, element.closest('.page')].map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert size >= 2 * body
    phone.expect_text(f"付后余额 {left}")
    phone.look("pay")


@pytest.mark.parametrize("screen", [PHONE, PHONE_ELDER], ids=lambda screen: screen.name)
def test_code_is_scanned_paid_and_given_back_by_the_merchant(
    estate: Estate, new_phone: NewPhone, driver: Playwright, chromium: Path, screen: Screen, tmp_path: Path
) -> None:
    resident = estate.new_resident()
    estate.grant_points(resident, 120)
    merchant = new_phone(estate.logins["merchant"], PHONE, node=1)
    charge(merchant, 35)
    film(merchant, tmp_path / "camera.mjpeg")
    camera = with_camera(driver, chromium, tmp_path / "camera.mjpeg")
    phone = new_phone(resident, screen, browser=camera)
    phone.open()
    phone.tap("积分")
    phone.expect_text("120")
    phone.tap("扫码付积分")
    expect_offer(phone, 35, 85)
    phone.tap("确认支付 35 积分")
    phone.expect_text("支付成功")
    phone.look("pay-done")
    merchant.expect_text("已收到 35 积分")
    merchant.look("charge-paid")
    phone.tap("完成")
    phone.expect_title("积分")
    expect(phone.section.locator(".hero .big-number")).to_have_text("85")
    expect(phone.section.locator(".list .item").first).to_contain_text("\u221235")
    phone.look("points")
    merchant.tap("退回这笔")
    merchant.answer_dialog("取消")
    merchant.expect_text("已收到 35 积分")
    merchant.tap("退回这笔")
    merchant.answer_dialog("退回这笔")
    merchant.expect_text("已退回")
    phone.open()
    phone.open("pages/points/index")
    expect(phone.section.locator(".hero .big-number")).to_have_text("120")
    newest = phone.section.locator(".list .item").first
    expect(newest).to_contain_text(SHOP)
    expect(newest).to_contain_text("退回")
    expect(newest).to_contain_text("+35")
    phone.look("points-returned")
    camera.close()


def test_code_is_typed_where_no_camera_is(estate: Estate, new_phone: NewPhone) -> None:
    resident = estate.new_resident()
    estate.grant_points(resident, 50)
    merchant, phone = new_phone(estate.logins["merchant"], TABLET), new_phone(resident, TABLET, node=2)
    charge(merchant, 20)
    alias = merchant.section.locator(".code").inner_text()
    phone.open("pages/points/index")
    phone.tap("输入付款码")
    phone.fill("付款码", alias.lower())
    phone.look("pay-type")
    phone.tap("核对")
    expect_offer(phone, 20, 30)
    phone.tap("确认支付 20 积分")
    phone.expect_text("支付成功")
    merchant.expect_text("已收到 20 积分")
    merchant.tap("再收一笔")
    merchant.tap("收款记录")
    merchant.expect_title("收款记录")
    expect(merchant.section.locator(".sale").first).to_contain_text("20")
    merchant.look("sales")
    merchant.button("退回这笔").first.click()
    merchant.answer_dialog("退回这笔")
    expect(merchant.section.locator(".sale").first).to_contain_text("已退回")


def test_who_has_too_few_points_is_told_how_many_and_cannot_pay(estate: Estate, new_phone: NewPhone) -> None:
    resident = estate.new_resident()
    estate.grant_points(resident, 10)
    merchant, phone = new_phone(estate.logins["merchant"]), new_phone(resident)
    charge(merchant, 30)
    phone.open("pages/pay/index")
    phone.fill("付款码", merchant.section.locator(".code").inner_text())
    phone.tap("核对")
    phone.expect_text("余额不足，还差 20")
    expect(phone.button("确认支付 30 积分")).to_be_disabled()
    phone.look("pay-short")


def test_what_is_not_a_code_of_payment_is_said_to_be_none(estate: Estate, new_phone: NewPhone) -> None:
    phone = new_phone(estate.logins["resident"])
    phone.open("pages/pay/index")
    for typed in ("", "ABC", "ZZZZZZZZ"):
        phone.fill("付款码", typed)
        phone.tap("核对")
        phone.expect_text("这不是付款码，请核对后再输。")
    phone.look("pay-unknown")
