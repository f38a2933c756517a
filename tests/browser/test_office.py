"""What those with a role do on their screens: open a motion, give points."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from demo_estate import SHOP
from tests.browser.conftest import NewPhone
from tests.browser.estate import Estate, wait_for
from tests.browser.phone import PHONE_ELDER, TABLET
from tests.browser.voting import cast, walk_to_choice

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


def test_committee_opens_a_motion_and_a_resident_votes_on_it(estate: Estate, new_phone: NewPhone) -> None:
    committee = new_phone(estate.logins["committee"], TABLET)
    committee.open()
    committee.tap("发起投票")
    committee.expect_title("发起投票")
    committee.fill("标题", "公共晾晒区")
    committee.fill("说明", "在二号楼南侧设公共晾晒区。")
    committee.choose("演练（无法律效力）")
    committee.choose("其他重大事项")
    committee.fill("问题 1", "是否同意设公共晾晒区?")
    committee.fill("截止日期", "2099-12-31")
    expect(committee.section.get_by_role("radio", name=re.compile("票 · .* 平方米"))).to_be_checked()
    committee.look("staff-motion-filled")
    committee.tap("提交")
    committee.expect_text("已提交")
    resident = new_phone(estate.logins["resident_2"])
    cast(resident, "公共晾晒区", "同意")


def test_an_election_is_put_up_voted_on_and_signed(estate: Estate, new_phone: NewPhone) -> None:
    committee = new_phone(estate.logins["committee"], TABLET)
    committee.open("staff/motion/index")
    committee.fill("标题", "增补委员")
    committee.fill("说明", "补选两名委员。")
    committee.choose("演练（无法律效力）")
    committee.choose("业主委员会选举")
    committee.fill("问题 1", "请选出两名委员")
    committee.fill("选项（每行一个）", "王建国\n李秀英\n陈卫东")
    committee.fill("当选人数", "2")
    committee.fill("截止日期", "2099-12-31")
    committee.look("staff-motion-election")
    committee.tap("提交")
    committee.expect_text("已提交")
    resident = new_phone(estate.logins["resident"], PHONE_ELDER)
    wait_for(lambda: ("增补委员", "open") in fates(estate), "the opening of the election")
    walk_to_choice(resident, "增补委员")
    for name in ("王建国", "李秀英", "陈卫东"):
        resident.section.get_by_role("checkbox", name=name).click()
    resident.expect_text("最多选 2 人，请先取消一个再选")
    resident.look("vote-choose-election")
    resident.tap("下一步")
    resident.expect_text("王建国、李秀英")


def fates(estate: Estate) -> set[tuple[str, str]]:
    """Title and state of the newest motions, as the first node tells them."""
    items = estate.ask(estate.logins["resident"], "/api/v1/motions?limit=50")["items"]
    return {(one["title"], one["state"]) for one in items}


def test_two_of_the_committee_announce_a_motion_extend_it_and_cancel_it(estate: Estate, new_phone: NewPhone) -> None:
    with estate.second_member() as login:
        first, second = new_phone(estate.logins["committee"], TABLET), new_phone(login)
        first.open("staff/motion/index")
        first.fill("标题", "门岗夜间值守")
        first.fill("说明", "夜间门岗由一人增至两人。")
        first.choose("演练（无法律效力）")
        first.choose("其他重大事项")
        first.fill("问题 1", "是否同意增加夜间值守?")
        first.fill("截止日期", "2099-12-31")
        first.tap("提交")
        first.expect_text("已提交")
        resident = new_phone(estate.logins["resident"])
        resident.open("pages/motions/index")
        expect(resident.section.get_by_text("门岗夜间值守")).to_have_count(0)
        second.open("staff/motions/index")
        second.look("staff-motions")
        second.tap("门岗夜间值守")
        second.expect_text("1 人已签，共需 2 人（委员 2 人）")
        second.look("staff-decide")
        second.tap("同意并签字")
        second.answer_dialog("同意并签字")
        second.expect_text("2 人已签")
        first.open("staff/motions/index")
        first.tap("门岗夜间值守")
        first.fill("理由", "参加人数不足")
        first.fill("新的截止日期", "2100-01-31")
        first.tap("延长投票")
        first.expect_text("等待其他委员签字")
        second.open("staff/motions/index")
        second.tap("门岗夜间值守")
        second.expect_text("参加人数不足")
        second.look("staff-decide-extension")
        second.tap("同意并签字 延长到")
        second.answer_dialog("同意并签字")
        second.expect_text("2100年1月31日")
        for phone in (second, first):
            phone.open("staff/motions/index")
            phone.tap("门岗夜间值守")
            if phone is second:
                phone.fill("理由", "改为试行")
                phone.tap("取消表决")
                phone.answer_dialog("取消表决")
                phone.expect_text("您已签字")
            else:
                phone.tap("同意并签字 取消")
                phone.answer_dialog("同意并签字")
                phone.expect_text("已签字")
        wait_for(lambda: ("门岗夜间值守", "cancelled") in fates(estate), "the cancellation at the resident's node")
        resident.open("pages/motions/index")
        resident.tap("门岗夜间值守")
        resident.expect_text("改为试行")
        resident.look("motion-cancelled")


def test_motion_that_lacks_its_title_is_said_so_and_not_signed(estate: Estate, new_phone: NewPhone) -> None:
    committee = new_phone(estate.logins["committee"], TABLET)
    committee.open("staff/motion/index")
    committee.tap("提交")
    committee.expect_text("请填写标题")
    committee.look("staff-motion-fault")
    assert committee.outbox() == [] and not committee.read("receipts")


def test_staff_find_a_resident_and_give_points_once_an_activity(estate: Estate, new_phone: NewPhone) -> None:
    owner = estate.next_owner()
    login = estate.new_resident(owner)
    staff = new_phone(estate.logins["staff"], TABLET)
    for outcome in ("已发放", "这项活动的积分已经发放过了。"):
        staff.open()
        staff.tap("发放积分")
        staff.expect_title("发放积分")
        staff.fill("发给谁", owner.room)
        staff.tap("查找")
        expect(staff.section.get_by_role("radio", name=re.compile(owner.owner))).to_be_checked()
        staff.fill("积分数", "25")
        staff.fill("项目", "volunteer")
        staff.fill("活动编号", "植树节")
        staff.fill("事由", "义务植树")
        staff.button("发放", exact=True).click()
        staff.expect_text("项目和活动编号只能用小写字母")
        staff.fill("活动编号", "tree-day")
        staff.button("发放", exact=True).click()
        staff.expect_text(outcome)
    staff.look("staff-grant-refused")
    resident = new_phone(login, PHONE_ELDER)
    resident.open("pages/points/index")
    expect(resident.section.locator(".hero .big-number")).to_have_text("25")
    resident.expect_text("义务植树")
    resident.look("points-earned")


def test_officer_names_a_shop_and_the_merchant_sees_it(estate: Estate, new_phone: NewPhone) -> None:
    own = [node.id for node in estate.cluster.nodes].index("property")
    officer = new_phone(estate.officer("property"), TABLET, node=2)
    officer.open()
    officer.tap("商户名称")
    officer.expect_title("商户名称")
    field = officer.section.get_by_label(re.compile("的店名")).first
    expect(field).to_have_value(SHOP)
    officer.look("staff-shops")
    field.fill("东门早餐铺")
    officer.expect_text("未保存")
    officer.button("保存店名").first.click()
    officer.expect_text("已保存")
    merchant = new_phone(estate.logins["merchant"], node=own)
    merchant.open("merchant/charge/index")
    merchant.expect_text("东门早餐铺")
    field.fill(SHOP)
    officer.button("保存店名").first.click()
    officer.expect_text("已保存")
