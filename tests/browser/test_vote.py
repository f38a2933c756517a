"""A ballot in five steps, its receipt on the phone, and what becomes of a second one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import NewPhone
from tests.browser.estate import ROOT, Estate, Login
from tests.browser.phone import PHONE, PHONE_ELDER, PREFIX, TABLET, Phone, Screen
from tests.browser.voting import cast, walk_to_signature

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def voter(estate: Estate) -> Login:
    """A resident who votes in several motions of this module."""
    return estate.new_resident()


def accepted_by_verifier(estate: Estate, receipt: Path) -> subprocess.CompletedProcess[str]:
    """The independent verifier's word on a receipt file."""
    trust = [
        "--policy",
        str(estate.cluster.data / "policy.txt"),
        "--genesis",
        str(estate.cluster.data / "genesis.json"),
    ]
    command = [sys.executable, str(ROOT / "scripts" / "verify.py"), "receipt", str(receipt), *trust]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("screen", [PHONE, PHONE_ELDER, TABLET], ids=lambda screen: screen.name)
def test_ballot_is_cast_in_five_steps_and_its_receipt_is_green(
    estate: Estate, voter: Login, new_phone: NewPhone, screen: Screen, tmp_path: Path
) -> None:
    title = f"水箱清洗 {screen.name}"
    motion = estate.open_motion(title)
    phone = new_phone(voter, screen)
    walk_to_signature(phone, title, "同意")
    phone.tap("确认投票")
    phone.expect_text("投票成功")
    phone.expect_text("您的票已记入三方账本，可随时核对")
    phone.look("vote-done")
    assert estate.turnout(motion) == 1
    phone.tap("查看凭证")
    phone.expect_text("核对无误")
    expect(phone.section.locator(".verdict.accent")).to_be_visible()
    phone.expect_text("三家单位都已确认")
    phone.expect_text("本人手机签名，登记可查")
    phone.look("receipt-good")
    assert phone.outbox() == []
    with phone.page.expect_download() as download:
        phone.tap("导出凭证文件")
    download.value.save_as(tmp_path / "receipt.txt")
    found = accepted_by_verifier(estate, tmp_path / "receipt.txt")
    assert found.returncode == 0, found.stdout + found.stderr


def test_receipts_of_everything_done_are_listed_and_open_again(
    estate: Estate, voter: Login, new_phone: NewPhone
) -> None:
    titles = ["信报箱更换", "绿化补种"]
    phone = new_phone(voter)
    for title in titles:
        estate.open_motion(title)
        cast(phone, title, "反对")
    phone.open()
    phone.tab("凭证")
    phone.expect_title("我的凭证")
    rows = phone.section.get_by_role("link")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(titles[1])
    phone.look("receipts")
    phone.link(titles[0]).click()
    phone.expect_text("核对无误")


def test_ballot_can_be_changed_and_counts_once(estate: Estate, voter: Login, new_phone: NewPhone) -> None:
    motion = estate.open_motion("垃圾房改造")
    phone = new_phone(voter)
    cast(phone, "垃圾房改造", "同意")
    phone.open()
    phone.tap("投票")
    expect(phone.link("垃圾房改造")).to_contain_text("您已投票")
    phone.link("垃圾房改造").click()
    phone.expect_text("您已投过票")
    phone.look("vote-voted")
    phone.tap("修改我的票")
    phone.tap("读完了，去选择")
    expect(phone.section.get_by_label("同意", exact=True)).to_be_checked()
    phone.choose("弃权")
    phone.tap("下一步")
    phone.tap("确认投票")
    phone.expect_text("投票成功")
    assert estate.turnout(motion) == 1
    mine = estate.ask(voter, f"/api/v1/motions/{motion}")["mine"][0]
    assert mine["choice"] == "abstain"
    assert mine["ballot"] == phone.read("receipts")[0]["id"]


def test_back_loses_nothing_of_a_ballot(estate: Estate, voter: Login, new_phone: NewPhone) -> None:
    estate.open_motion("门禁升级")
    phone = new_phone(voter)
    walk_to_signature(phone, "门禁升级", "反对")
    phone.page.get_by_role("button", name="返回").click()
    phone.expect_title("选择")
    expect(phone.section.get_by_label("反对")).to_be_checked()
    phone.kill()
    phone.reopen()
    walk_to_signature(phone, "门禁升级", None)
    phone.expect_text("反对")


def test_second_device_is_told_in_words_that_the_home_has_voted(
    estate: Estate, voter: Login, new_phone: NewPhone
) -> None:
    motion = estate.open_motion("快递柜选址")
    first, second = new_phone(voter), new_phone(voter, PHONE_ELDER, node=1)
    walk_to_signature(first, "快递柜选址", "同意")
    walk_to_signature(second, "快递柜选址", "反对")
    first.tap("确认投票")
    first.expect_text("投票成功")
    second.tap("确认投票")
    second.expect_text("这一票没有计入")
    second.expect_text("这一户已经投过票了，以已投的为准。")
    second.look("vote-refused")
    assert estate.turnout(motion) == 1
    assert estate.ask(voter, f"/api/v1/motions/{motion}")["mine"][0]["choice"] == "for"


def test_home_of_a_couple_has_one_ballot_and_the_other_owner_is_told_so(estate: Estate, new_phone: NewPhone) -> None:
    one, other = estate.next_couple()
    motion = estate.open_motion("楼梯扶手")
    first, second = new_phone(one), new_phone(other, node=1)
    walk_to_signature(second, "楼梯扶手", "反对")
    cast(first, "楼梯扶手", "同意")
    second.tap("确认投票")
    second.expect_text("这一户已经投过票了，以已投的为准。")
    second.open("pages/motions/index")
    second.link("楼梯扶手").click()
    second.expect_text("这一户的共有人已经投过票，以那一票为准。")
    second.look("vote-by-other")
    assert second.button("没错，继续").count() == 0
    assert estate.turnout(motion) == 1


def test_second_tab_that_signs_later_casts_no_second_ballot(estate: Estate, voter: Login, new_phone: NewPhone) -> None:
    motion = estate.open_motion("路灯更换")
    phone = new_phone(voter)
    walk_to_signature(phone, "路灯更换", "同意")
    first, phone.page = phone.page, phone.context.new_page()
    walk_to_signature(phone, "路灯更换", None)
    phone.tap("确认投票")
    phone.expect_text("投票成功")
    phone.page = first
    phone.tap("确认投票")
    phone.expect_text("这一户已经投过票了，以已投的为准。")
    assert estate.turnout(motion) == 1


# ---- a node that lies about a receipt


Lie = Callable[[dict[str, Any]], None]


def drop_signatures(answer: dict[str, Any]) -> None:
    """Only one organisation is left under the checkpoint."""
    first, _, rest = answer["receipt"].partition("\n---\n")
    lines = first.splitlines()
    kept = [line for line in lines if not line.startswith("— ")]
    signed = [line for line in lines if line.startswith("— ")][:2]
    answer["receipt"] = "\n".join([*kept, *signed, "---", rest])


def change_hash(answer: dict[str, Any]) -> None:
    """One hash of the inclusion proof is of another tree."""
    lines = answer["receipt"].splitlines()
    place = next(number for number, line in enumerate(lines) if len(line) == 44 and line.endswith("="))
    lines[place] = ("B" if lines[place][0] == "A" else "A") + lines[place][1:]
    answer["receipt"] = "\n".join(lines) + "\n"


def change_index(answer: dict[str, Any]) -> None:
    """The record is said to stand at another place."""
    lines = answer["receipt"].splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("index "))
    lines[place] = f"index {int(lines[place].split()[1]) - 1}"
    answer["receipt"] = "\n".join(lines) + "\n"


def show_nothing(answer: dict[str, Any]) -> None:
    """Not a receipt at all."""
    answer["receipt"] = "已记入三方账本"


LIES = {lie.__name__: lie for lie in (drop_signatures, change_hash, change_index, show_nothing)}


def lie_about(phone: Phone, lie: Lie) -> None:
    """Whoever stands between the phone and the nodes changes each receipt."""

    def answer(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        if "receipt" in body:
            lie(body)
        route.fulfill(response=response, body=json.dumps(body))

    phone.context.route("**/api/v1/records*", answer)
    phone.context.route("**/api/v1/records/*", answer)


@pytest.mark.parametrize("lie", LIES)
def test_receipt_that_does_not_hold_is_never_shown_as_success(
    estate: Estate, voter: Login, new_phone: NewPhone, lie: str
) -> None:
    title = f"楼道粉刷 {lie}"
    motion = estate.open_motion(title)
    phone = new_phone(voter)
    walk_to_signature(phone, title, "同意")
    lie_about(phone, LIES[lie])
    phone.tap("确认投票")
    phone.expect_text("收到的凭证没有通过核对，请不要继续操作，并拨打人工电话。")
    phone.look("vote-distrusted")
    assert phone.section.get_by_text("投票成功").count() == 0
    assert not phone.read("receipts")
    assert [item["state"] for item in phone.outbox()] == ["distrusted"]
    phone.context.unroute_all()
    phone.tap("完成")
    phone.tab("凭证")
    phone.expect_text("不能算数")
    phone.look("receipts-distrusted")
    phone.tap("再核对一次")
    phone.link(title).click()
    phone.expect_text("核对无误")
    assert estate.turnout(motion) == 1


def test_receipt_of_another_record_is_not_taken_for_ones_own(estate: Estate, voter: Login, new_phone: NewPhone) -> None:
    estate.open_motion("消防通道划线")
    estate.open_motion("儿童滑梯维修")
    phone = new_phone(voter)
    cast(phone, "消防通道划线", "同意")
    genuine = phone.read("receipt." + phone.read("receipts")[0]["id"])
    phone.open()
    walk_to_signature(phone, "儿童滑梯维修", "同意")
    lie_about(phone, lambda answer: answer.update(receipt=genuine))
    phone.tap("确认投票")
    phone.expect_text("收到的凭证没有通过核对")


def test_receipt_that_was_changed_on_the_phone_is_red(estate: Estate, voter: Login, new_phone: NewPhone) -> None:
    estate.open_motion("雨棚加固")
    phone = new_phone(voter)
    cast(phone, "雨棚加固", "同意")
    name = "receipt." + phone.read("receipts")[0]["id"]
    forged = {"receipt": phone.read(name)}
    change_hash(forged)
    phone.page.evaluate(
        "([key, text]) => localStorage.setItem(key, text)", [PREFIX + name, json.dumps(forged["receipt"])]
    )
    phone.open(f"pages/receipt/index?id={phone.read('receipts')[0]['id']}")
    phone.expect_text("核对没有通过")
    expect(phone.section.locator(".verdict.alarm")).to_be_visible()
    assert phone.section.get_by_text("核对无误").count() == 0
    phone.look("receipt-bad")
