"""The main jobs of a resident, a merchant and staff, as a person does them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.browser.standin.conftest import App, Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

MOTION = "M" * 43


def test_a_vote_takes_five_steps_and_ends_with_a_receipt_that_the_phone_verified(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go("pages/motions/index")
    app.view.get_by_role("link", name="更换 3 号楼").click()
    app.see("3 号楼 502 室")
    app.tap("没错，继续")
    app.tap("读完了，去选择")
    app.view.get_by_role("radio", name="同意").check()
    app.tap("下一步")
    app.see("第 2 个问题")
    app.view.get_by_role("radio", name="五一后开工").check()
    app.tap("下一步")
    app.see("五一后开工")
    app.tap("确认投票")
    app.see("投票成功")
    app.tap("查看凭证")
    app.see("核对无误")
    app.see("三家单位都已确认")
    app.see("本人手机签名，登记可查")
    assert app.stored("outbox") == []
    assert app.errors == []


def test_a_question_without_a_choice_is_not_left(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go(f"pages/vote/choose?motion={MOTION}&n=0")
    app.tap("下一步")
    app.see("请先选一项")


def test_going_back_and_closing_the_app_lose_no_choice(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go(f"pages/vote/choose?motion={MOTION}&n=0")
    app.view.get_by_role("radio", name="反对").check()
    app.tap("下一步")
    app.see("第 2 个问题")
    app.page.go_back()
    app.see("第 1 个问题")
    assert app.view.get_by_role("radio", name="反对").is_checked()
    app.page.reload()
    app.see("第 1 个问题")
    assert app.view.get_by_role("radio", name="反对").is_checked()


def test_a_vote_can_be_changed_and_replaces_the_first(open_app: Open) -> None:
    app = open_app()
    app.join()
    for choice in ("同意", "反对"):
        app.go(f"pages/vote/choose?motion={MOTION}&n=0")
        app.view.get_by_role("radio", name=choice).check()
        app.go(f"pages/vote/choose?motion={MOTION}&n=1")
        app.view.get_by_role("radio", name="弃权").check()
        app.tap("下一步")
        app.see("您的选择")
        app.tap("确认投票")
        app.see("投票成功")
    receipts = app.stored("receipts")
    assert [one["outcome"] for one in receipts if one["kind"] == "ballot.cast"] == ["accepted"] * 3


def test_a_report_survives_the_app_being_closed_with_its_photo(open_app: Open, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (640, 480), (120, 140, 130)).save(photo)
    app = open_app()
    app.join()
    app.go("pages/ticket-new/index")
    with app.page.expect_file_chooser() as chooser:
        app.tap("先拍一张照片")
    chooser.value.set_files(photo)
    app.see("已上传")
    app.view.get_by_role("radio", name="灯不亮").check()
    app.fill("在哪里", "3 号楼 2 单元")
    app.page.reload()
    app.see("已上传")
    assert app.view.get_by_label("在哪里").input_value() == "3 号楼 2 单元"
    app.tap("提交")
    app.see("已记入三方账本")
    app.go("pages/tickets/index")
    app.see("灯不亮")


def test_only_the_reporter_says_that_it_is_fixed(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go(f"pages/ticket/index?id={'T' * 43}")
    app.tap("修好了，确认")
    app.see("报事人确认修好")


def test_the_merchant_sees_the_payment_and_can_return_it(open_app: Open) -> None:
    shop = open_app()
    shop.join()
    shop.go("merchant/charge/index")
    for digit in ("5", "0"):
        shop.tap(f"数字 {digit}")
    shop.tap("生成收款码")
    code = shop.view.locator(".code").inner_text()

    customer = open_app(context=shop.page.context)
    customer.go("pages/pay/index")
    customer.fill("付款码", code)
    customer.tap("核对")
    customer.see("便民超市")
    customer.see("付后余额 270")
    customer.tap("确认支付 50 积分")
    customer.see("支付成功")

    shop.see("已收到 50 积分")
    shop.tap("退回这笔")
    dialog = shop.page.get_by_role("dialog")
    dialog.get_by_text("把 50 积分退回给顾客吗？").wait_for()
    dialog.get_by_role("button", name="取消").click()
    assert shop.view.get_by_text("已退回").count() == 0
    shop.tap("退回这笔")
    dialog.get_by_role("button", name="退回这笔").click()
    shop.see("已退回")
    customer.go("pages/points/index")
    customer.see("便民超市")
    customer.see("退回")


def test_a_wrong_payment_code_says_so_and_keeps_what_was_typed(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go("pages/pay/index")
    app.fill("付款码", "ABCD EFG")
    app.tap("核对")
    app.see("这不是付款码")
    assert app.view.get_by_label("付款码").input_value() == "ABCD EFG"


def test_a_wrong_sign_in_code_says_so(open_app: Open) -> None:
    app = open_app()
    app.go("pages/join/index")
    app.tap("我已阅读并同意")
    _claim(app)
    app.fill("6 位数字验证码", "111111")
    app.tap("核对")
    app.see("验证码不正确或已过期")


def test_one_organisation_that_is_away_does_not_stop_the_other(open_app: Open) -> None:
    app = open_app()
    for port in (1, 2):
        other = app.base.rstrip("/").rpartition(":")
        app.page.route(f"{other[0]}:{int(other[2]) + port}/**", lambda route: route.abort())
    app.go("pages/join/index")
    app.tap("我已阅读并同意")
    _claim(app)
    app.see("1. 兴业街道")
    app.fill("6 位数字验证码", "246810")
    app.tap("核对")
    app.see("另一家单位暂时联系不上")
    app.tap("先登记")
    app.see("核实完成")


def _claim(app: App) -> None:
    app.fill("姓名", "王秀英")
    app.fill("房号", "3 号楼 502 室")
    app.fill("手机号", "13800138000")
    app.tap("获取验证码")
