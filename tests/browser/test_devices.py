"""Which phones act for a person: a list, a new phone by the same way as the first, and an end to one that is lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from server.gateway.roster_line import RosterLine
from tests.browser.conftest import NewPhone
from tests.browser.estate import Estate
from tests.browser.phone import PHONE, TABLET_ELDER, Phone
from tests.browser.voting import walk_to_signature

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


def bind_anew(estate: Estate, phone: Phone, owner: RosterLine) -> None:
    """A phone that nobody has used becomes one more phone of this owner."""
    phone.open("pages/me/index")
    phone.tap("核实身份")
    phone.tap("我已阅读并同意")
    prove(estate, phone, owner)


def prove(estate: Estate, phone: Phone, owner: RosterLine) -> None:
    """Who one is, and the codes of two organisations; the phone is bound."""
    known = len(estate.codes(owner.phone))
    phone.fill("姓名", owner.owner)
    phone.fill("房号", owner.room)
    phone.fill("手机号", owner.phone)
    phone.tap("获取验证码")
    for more in range(2):
        phone.expect_text(f"{more + 1}. ")
        phone.fill("6 位数字验证码", estate.await_code(owner.phone, known + more))
        phone.tap("核对")
    phone.expect_text("核实完成")


def open_devices(phone: Phone) -> None:
    """The list of phones, by the way of the menu."""
    phone.open("pages/me/index")
    phone.tap("我的手机")
    phone.expect_title("我的手机")


def test_new_phone_is_listed_at_the_old_one_which_can_end_it(estate: Estate, new_phone: NewPhone) -> None:
    owner = estate.next_owner()
    old = new_phone(estate.new_resident(owner))
    new = new_phone(None, TABLET_ELDER, node=1)
    bind_anew(estate, new, owner)
    new.expect_text("24 小时后才能投票")
    new.look("join-done-second")
    open_devices(old)
    cards = old.section.locator(".card", has=old.page.locator(".item-title"))
    expect(cards).to_have_count(2)
    expect(cards.filter(has_text="这部手机")).to_contain_text("可以投票")
    other = cards.filter(has_not_text="这部手机")
    expect(other).to_contain_text("起可以投票")
    old.look("devices")
    other.get_by_role("button").click()
    old.look("devices-ask")
    old.answer_dialog("取消")
    expect(other).not_to_contain_text("已停用")
    other.get_by_role("button").click()
    old.answer_dialog("停用这部手机")
    expect(other).to_contain_text("已停用")
    new.open("pages/points/index")
    new.expect_text("已被停用")
    new.look("points-device-ended")


def test_key_bound_beside_another_may_not_vote_for_a_day(estate: Estate, new_phone: NewPhone) -> None:
    owner = estate.next_owner()
    estate.new_resident(owner)
    motion = estate.open_motion("邮箱加锁")
    new = new_phone()
    bind_anew(estate, new, owner)
    walk_to_signature(new, "邮箱加锁", "同意")
    new.tap("确认投票")
    new.expect_text("24 小时后才能投票")
    new.look("vote-too-new")
    assert estate.turnout(motion) == 0


def test_resident_who_ends_the_phone_in_hand_can_register_it_again_and_votes_a_day_later(
    estate: Estate, new_phone: NewPhone
) -> None:
    owner = estate.next_owner()
    phone = new_phone(estate.new_resident(owner), PHONE)
    open_devices(phone)
    before = phone.read("seed")
    phone.tap("停用这部手机")
    phone.answer_dialog("停用这部手机")
    phone.expect_title("核实身份")
    phone.open("pages/me/index")
    phone.expect_text("还没有核实身份")
    phone.tap("核实身份")
    prove(estate, phone, owner)
    assert phone.read("seed") != before
    open_devices(phone)
    expect(phone.section.get_by_text("已停用")).to_have_count(1)
    expect(phone.section.get_by_text("起可以投票")).to_have_count(1)
