"""What screens tell: nothing that nobody knows yet, what is true afterwards, and what to do when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from tests.browser.standin.conftest import App, Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
MOTION = "M" * 43
TEXT_MAX = 1_000
PHONE = "021-5555 0123"


def refuse(status: int, code: str) -> Callable[[Route], None]:
    """A node that answers with this problem."""
    problem = {"status": status, "code": code, "detail": code, "title": code, "type": "about:blank"}
    return lambda route: route.fulfill(status=status, content_type="application/problem+json", body=json.dumps(problem))


def forge_receipt(route: Route) -> None:
    """A receipt that proves nothing."""
    answer = route.fetch()
    body = answer.json()
    route.fulfill(response=answer, json={**body, "receipt": body["receipt"].replace("index ", "index 1")})


def choose_all(app: App) -> None:
    """A draft in which every question has a choice."""
    draft = json.dumps({"choices": {"q1": "for", "q2": "c1"}})
    app.page.evaluate("([name, draft]) => localStorage.setItem(name, draft)", [f"linli.1.ballot.{MOTION}", draft])


def speak_english(app: App) -> None:
    settings = json.dumps({"language": "en", "elder": False, "fontPx": 17})
    app.page.evaluate("(value) => localStorage.setItem('linli.1.settings', value)", settings)
    app.page.reload()


def test_a_number_of_votes_that_nobody_told_is_not_called_none(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.page.route("**/api/v1/motions*", lambda route: route.abort())
    app.go()
    app.see("余额 320")
    app.see("看看在投什么")
    assert app.view.get_by_text("暂无待投").count() == 0
    app.page.unroute_all()
    app.go("pages/me/index")
    app.go()
    app.see("1 件等您决定")


def test_the_state_of_the_ledgers_is_never_a_link_without_words(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.page.route("**/api/v1/cluster", lambda route: None)
    app.go()
    lamp = app.view.locator(".lamp")
    expect(lamp).to_have_text("正在查看账本…")
    expect(lamp).to_have_attribute("aria-label", "账本状态：正在查看账本…。点开查看")
    app.page.unroute_all()
    app.page.reload()
    expect(lamp).to_have_text("三方账本一致")


def test_a_vote_that_is_cast_is_titled_so(open_app: Open) -> None:
    app = open_app()
    app.join()
    choose_all(app)
    app.go(f"pages/vote/sign?motion={MOTION}")
    expect(app.page.locator("h1")).to_have_text("确认并签名")
    app.tap("确认投票")
    app.see("投票成功")
    expect(app.page.locator("h1")).to_have_text("投票成功")
    assert app.page.title() == "投票成功"


def test_a_receipt_that_does_not_hold_is_neither_a_vote_that_counts_nor_one_that_does_not(open_app: Open) -> None:
    app = open_app()
    app.join()
    choose_all(app)
    app.page.route("**/api/v1/records", forge_receipt)
    app.go(f"pages/vote/sign?motion={MOTION}")
    app.tap("确认投票")
    app.see("先不要再操作")
    expect(app.page.locator("h1")).to_have_text("先不要再操作")
    assert app.view.get_by_text("这一票没有计入").count() == 0
    expect(app.view.get_by_role("button", name=f"打人工电话 {PHONE}")).to_be_visible()
    app.go("pages/home/index")
    app.see("没有通过核对，先不要再操作")
    app.go("pages/receipts/index")
    app.see("不能算数")
    assert app.view.get_by_text("请保持联网").count() == 0
    assert app.view.locator(".card.alarm").count() == 1
    app.page.unroute_all()
    app.tap("再核对一次")
    app.page.wait_for_function("() => localStorage.getItem('linli.1.outbox') === '[]'")
    expect(app.view.locator(".card.alarm")).to_have_count(0)


def test_a_receipt_that_fails_says_what_to_do_and_offers_a_person_first(open_app: Open) -> None:
    app = open_app()
    app.join()
    receipt = app.stored("receipts")[0]["id"]
    spoil = "(name) => localStorage.setItem(name, localStorage.getItem(name).replace('index ', 'index 7'))"
    app.page.evaluate(spoil, f"linli.1.receipt.{receipt}")
    app.go(f"pages/receipt/index?id={receipt}")
    app.see("请不要以这张凭证为准")
    expect(app.view.locator(".button.primary")).to_have_text(f"打人工电话 {PHONE}")


@pytest.mark.parametrize("page", ["pages/ticket-new/index", "pages/pay/index", "pages/settings/index"])
def test_a_page_that_is_opened_first_has_the_number_of_a_person(open_app: Open, page: str) -> None:
    app = open_app()
    app.join()
    app.page.evaluate("localStorage.removeItem('linli.1.trust')")
    app.page.goto("about:blank")
    app.go(page)
    expect(app.view.locator(".tools").get_by_role("button", name=PHONE)).to_be_visible()


def test_a_text_that_is_too_long_is_told_while_typing_and_stays(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go("pages/ticket-new/index")
    app.view.locator("label", has_text="漏水堵塞").click()
    app.fill("在哪里", "3 号楼")
    field = app.view.get_by_label("说说情况")
    field.fill("水" * (TEXT_MAX - 20))
    app.see("还可写 20 字")
    field.fill("水" * (TEXT_MAX + 1))
    app.see("多了 1 字")
    app.tap("提交")
    app.see("内容太长，请先缩短。")
    app.page.reload()
    expect(field).to_have_value("水" * (TEXT_MAX + 1))
    field.fill("水\t" + "𠮷" * (TEXT_MAX - 2))
    expect(field).to_have_value("水 " + "𠮷" * (TEXT_MAX - 2))
    app.tap("提交")
    app.see("已提交")
    assert app.stored("outbox") == []


def test_a_damaged_photo_can_only_be_removed_and_one_without_network_sent_again(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    app.join()
    picture = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), (20, 90, 60)).save(picture)
    app.go("pages/ticket-new/index")
    for answer, may_retry in ((refuse(422, "photo_damaged"), 0), (lambda route: route.abort(), 1)):
        app.page.route("**/api/v1/photos", answer)
        with app.page.expect_file_chooser() as chooser:
            app.view.locator(".camera").click()
        chooser.value.set_files(picture)
        expect(app.view.get_by_role("button", name="移除照片 1")).to_be_visible()
        expect(app.view.locator(".photo-state")).not_to_have_text("正在上传")
        expect(app.view.get_by_role("button", name="重新上传")).to_have_count(may_retry)
        app.view.get_by_role("button", name="移除照片 1").click()
        app.page.unroute_all()


def test_a_photo_that_a_node_does_not_give_leaves_its_frame_and_no_broken_picture(
    open_app: Open, tmp_path: Path
) -> None:
    app = open_app()
    app.join()
    picture = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), (20, 90, 60)).save(picture)
    app.go("pages/ticket-new/index")
    with app.page.expect_file_chooser() as chooser:
        app.view.locator(".camera").click()
    chooser.value.set_files(picture)
    app.see("已上传")
    app.view.locator("label", has_text="电梯").click()
    app.fill("在哪里", "5 号楼")
    app.tap("提交")
    app.see("已提交")
    app.page.route("**/api/v1/photos/*", refuse(404, "photo_unknown"))
    app.go("pages/tickets/index")
    app.view.get_by_role("link", name="5 号楼").click()
    expect(app.view.get_by_role("button", name="照片 1")).to_be_visible()
    app.page.wait_for_timeout(300)
    assert app.view.locator("img.photo-image").first.get_attribute("src") is None


def test_a_code_that_was_taken_from_the_screen_can_be_paid_and_the_merchant_is_told(open_app: Open) -> None:
    shop = open_app()
    shop.join()
    shop.go("merchant/charge/index")
    shop.see("本店 便民超市")
    for digit in "40":
        shop.view.get_by_role("button", name=f"数字 {digit}").click()
    shop.tap("生成收款码")
    code = shop.view.locator(".code").inner_text()
    shop.tap("取消")
    shop.see("上一个 40 积分的码还有效")

    customer = open_app(context=shop.page.context)
    customer.go("pages/pay/index")
    customer.fill("付款码", code)
    customer.tap("核对")
    customer.tap("确认支付 40 积分")
    customer.see("支付成功")
    shop.see("已收到 40 积分")
    assert shop.view.get_by_text("还有效").count() == 0


def test_a_payment_for_an_earlier_code_leaves_the_next_customer_his(open_app: Open) -> None:
    shop = open_app()
    shop.join()
    shop.go("merchant/charge/index")
    codes = []
    for digit in "35":
        shop.view.get_by_role("button", name=f"数字 {digit}").click()
        shop.tap("生成收款码")
        codes.append(shop.view.locator(".code").inner_text())
        if digit == "3":
            shop.tap("取消")
    customer = open_app(context=shop.page.context)
    customer.go("pages/pay/index")
    customer.fill("付款码", codes[0])
    customer.tap("核对")
    customer.tap("确认支付 3 积分")
    customer.see("支付成功")
    shop.see("已收到 3 积分")
    assert shop.view.locator(".code").inner_text() == codes[1]
    shop.see("等待顾客支付")


def test_the_usual_choices_are_worded_in_english(open_app: Open) -> None:
    app = open_app()
    app.join()
    speak_english(app)
    app.go(f"pages/vote/choose?motion={MOTION}&n=0")
    for name in ("For", "Against", "Abstain"):
        expect(app.view.get_by_role("radio", name=name, exact=True)).to_be_visible()
    choose_all(app)
    app.go(f"pages/vote/sign?motion={MOTION}")
    app.see("For")
    app.go(f"pages/result/index?motion={'N' * 43}")
    app.see("Against")


def test_an_officer_names_a_shop(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go("staff/shops/index")
    app.fill("的店名", "  ")
    app.tap("保存店名")
    app.see("请填写店名，最多 30 个字")
    app.fill("的店名", "老王修鞋")
    app.see("未保存")
    app.tap("保存店名")
    app.see("已保存")
    app.go("merchant/charge/index")
    app.see("本店 老王修鞋")
