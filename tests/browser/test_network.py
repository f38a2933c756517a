"""A dead network, a killed app and a stopped node: what was signed arrives, once, as it was signed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.conftest import NewPhone
from tests.browser.estate import Estate, Login, wait_for
from tests.browser.phone import PHONE, PHONE_ELDER, Phone, Screen
from tests.browser.voting import walk_to_signature

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

RECORDS = "**/api/v1/records"
RECOVERY_MS = 40_000
"""A primary that was killed must be missed, and another one chosen, on a machine that is busy with other tests."""


@pytest.fixture(scope="module")
def voter(estate: Estate) -> Login:
    """A resident who votes in several motions of this module."""
    return estate.new_resident()


def posted_records(phone: Phone) -> list[str]:
    """A list that grows by each record that this device posts."""
    records: list[str] = []

    def see(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/api/v1/records"):
            records.append(json.loads(request.post_data or "{}")["record"])

    phone.context.on("request", see)
    return records


def cut_line_after_sending(route: Route) -> None:
    """The node gets the record, but no answer comes back."""
    route.fetch()
    route.abort("connectionreset")


def expect_pictures(phone: Phone) -> None:
    """No icon is missing just because the network is."""
    broken = (
        "(images) => images.filter((image) => image.complete && !image.naturalWidth).map((image) => image.outerHTML)"
    )
    assert phone.page.locator("img:visible").evaluate_all(broken) == []


def test_network_that_dies_before_the_answer_loses_nothing_and_doubles_nothing(
    estate: Estate, voter: Login, new_phone: NewPhone
) -> None:
    motion = estate.open_motion("长廊座椅")
    phone = new_phone(voter)
    walk_to_signature(phone, "长廊座椅", "同意")
    posted = posted_records(phone)
    phone.context.route(RECORDS, cut_line_after_sending)
    phone.tap("确认投票")
    phone.expect_text("已保存在手机里")
    phone.expect_text("网络恢复后会自动送出，不会重复，也不会丢失。")
    phone.look("vote-kept")
    (waiting,) = phone.outbox()
    phone.context.set_offline(True)
    phone.context.unroute_all()
    phone.context.set_offline(False)
    wait_for(lambda: phone.outbox() == [], "the receipt")
    assert set(posted) == {waiting["record"]}
    assert [note["id"] for note in phone.read("receipts")] == [waiting["id"]]
    assert estate.turnout(motion) == 1


@pytest.mark.parametrize("screen", [PHONE, PHONE_ELDER], ids=lambda screen: screen.name)
def test_vote_signed_without_any_network_is_delivered_when_it_comes_back(
    estate: Estate, voter: Login, new_phone: NewPhone, screen: Screen
) -> None:
    title = f"晾衣架 {screen.name}"
    motion = estate.open_motion(title)
    phone = new_phone(voter, screen)
    walk_to_signature(phone, title, "反对")
    phone.context.set_offline(True)
    phone.tap("确认投票")
    phone.expect_text("已保存在手机里")
    phone.tap("完成")
    phone.expect_text("有 1 件正在送达")
    expect_pictures(phone)
    phone.look("home-pending")
    phone.tab("凭证")
    phone.expect_text("不用重复提交")
    phone.look("receipts-pending")
    (waiting,) = phone.outbox()
    assert estate.turnout(motion) == 0
    phone.context.set_offline(False)
    wait_for(lambda: phone.outbox() == [], "the receipt")
    assert phone.read("receipts")[0]["id"] == waiting["id"]
    assert estate.turnout(motion) == 1
    phone.tab("首页")
    expect(phone.section.get_by_text("有 1 件正在送达")).to_have_count(0)


def test_app_killed_between_signing_and_receipt_gets_the_receipt_when_it_starts_again(
    estate: Estate, voter: Login, new_phone: NewPhone
) -> None:
    motion = estate.open_motion("篮球架更换")
    phone = new_phone(voter)
    walk_to_signature(phone, "篮球架更换", "同意")
    posted = posted_records(phone)
    sent: list[int] = []
    phone.context.route(RECORDS, lambda route: sent.append(route.fetch().status))  # and never an answer
    phone.tap("确认投票")
    wait_for(lambda: phone.page.evaluate("1") == 1 and sent != [], "the record at the node")
    (waiting,) = phone.outbox()
    phone.kill()
    phone.context.unroute_all()
    phone.reopen()
    wait_for(lambda: phone.outbox() == [], "the receipt")
    phone.tab("凭证")
    phone.link("篮球架更换").click()
    phone.expect_text("核对无误")
    assert phone.read("receipts")[0]["id"] == waiting["id"]
    assert set(posted) == {waiting["record"]}
    assert estate.turnout(motion) == 1


def test_page_without_network_says_so_and_offers_another_try(estate: Estate, voter: Login, new_phone: NewPhone) -> None:
    phone = new_phone(voter)
    phone.open()
    phone.context.set_offline(True)
    phone.tap("积分")
    phone.expect_text("现在没有网络")
    expect_pictures(phone)
    phone.look("offline")
    phone.context.set_offline(False)
    phone.tap("再试一次")
    phone.expect_text("可用积分")


@pytest.fixture
def whole_cluster(estate: Estate) -> Iterator[None]:
    """All nodes run again after the test."""
    yield
    for node in estate.cluster.nodes:
        estate.cluster.start(node)
    for node in estate.cluster.nodes:
        estate.cluster.wait_ready(node)


@pytest.mark.usefixtures("whole_cluster")
def test_killed_node_is_not_the_end_the_app_goes_on_at_another(
    estate: Estate, voter: Login, new_phone: NewPhone
) -> None:
    motion = estate.open_motion("信息栏移位")
    phone = new_phone(voter)
    walk_to_signature(phone, "信息栏移位", "同意")
    estate.cluster.kill(estate.cluster.nodes[0])
    phone.tap("确认投票")
    expect(phone.section.get_by_text("投票成功")).to_be_visible(timeout=RECOVERY_MS)
    assert estate.turnout(motion) == 1
    phone.tap("完成")
    phone.expect_text("两方一致，一方暂未联系上")
    phone.look("home-node-missing")
    phone.section.get_by_role("link", name="账本状态").click()
    phone.expect_text("暂时联系不上")
    phone.look("ledger-node-missing")
    phone.page.go_back()
    phone.tap("积分")
    phone.expect_text("可用积分")


@pytest.mark.usefixtures("whole_cluster")
def test_receipt_grows_from_two_signatures_to_three_when_the_third_node_is_back(
    estate: Estate, voter: Login, new_phone: NewPhone
) -> None:
    estate.open_motion("楼顶防水")
    phone = new_phone(voter)
    third = estate.cluster.nodes[2]
    estate.cluster.kill(third)
    walk_to_signature(phone, "楼顶防水", "同意")
    phone.tap("确认投票")
    phone.expect_text("投票成功")
    phone.tap("查看凭证")
    phone.expect_text("两家单位已确认，第三家稍后补上")
    phone.look("receipt-committed")
    estate.cluster.start(third)
    estate.cluster.wait_ready(third)
    record = phone.read("receipts")[0]["id"]
    wait_for(lambda: is_sealed(estate, phone, record), "the third signature")
    phone.open()
    phone.tab("凭证")
    phone.expect_text("三方已确认")


def is_sealed(estate: Estate, phone: Phone, record: str) -> bool:
    """Has the ledger been sealed by all past what this phone's newest receipt proves?"""
    index = int(phone.section.locator(".fact-value.number").inner_text())
    state = estate.ask(estate.logins["auditor"], "/api/v1/cluster")
    return bool(state["sealed_size"] > index)
