"""A report with a real photo, the work on it by staff, and the word of its reporter that it is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from client import ApiError
from tests.browser.conftest import NewPhone
from tests.browser.estate import ROOT, Estate, Login, wait_for
from tests.browser.phone import PHONE, PHONE_ELDER, TABLET, TABLET_ELDER, Phone, Screen

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def reporter(estate: Estate) -> Login:
    """A resident with reports of his own only."""
    return estate.new_resident()


def photo(name: str) -> Path:
    """A picture as a phone takes it, if the shared ones are there; else the project's own."""
    shared = ROOT.parent / "shared" / "data" / "photos" / name
    return shared if shared.exists() else ROOT / "scripts" / "samples" / "photo.jpg"


def add_photo(phone: Phone, button: str, path: Path) -> None:
    """Choose a picture; it has been uploaded when this returns."""
    before = phone.section.get_by_text("已上传").count()
    choose_photo(phone, button, path)
    expect(phone.section.get_by_text("已上传")).to_have_count(before + 1, timeout=30_000)


def choose_photo(phone: Phone, button: str, path: Path) -> None:
    """Choose a picture from the phone."""
    with phone.page.expect_file_chooser() as chooser:
        phone.tap(button)
    chooser.value.set_files(path)


def report(phone: Phone, place: str, text: str) -> None:
    """Report something broken, with a photo."""
    phone.open()
    phone.tap("报修诉求")
    phone.expect_title("报修诉求")
    phone.look("tickets-empty")
    phone.tap("拍照报修")
    phone.expect_title("拍照报修")
    phone.look("ticket-new-empty")
    add_photo(phone, "先拍一张照片", photo("phone.jpg"))
    phone.choose("漏水堵塞")
    phone.fill("在哪里", place)
    phone.fill("说说情况", text)
    phone.look("ticket-new")
    phone.tap("提交")
    phone.expect_text("已提交")
    phone.look("ticket-new-done")
    phone.tap("完成")
    phone.expect_title("报修诉求")


def expect_picture(picture: Locator) -> None:
    """The picture is really drawn, not a frame with a label."""
    expect(picture).to_be_visible()
    wait_for(lambda: picture.evaluate("(image) => image.complete && image.naturalWidth") > 100, "a picture")


@pytest.mark.parametrize(("screen", "desk"), [(PHONE, TABLET), (PHONE_ELDER, TABLET_ELDER)], ids=["plain", "elder"])
def test_report_is_assigned_worked_on_and_confirmed_by_its_reporter(
    estate: Estate, reporter: Login, new_phone: NewPhone, screen: Screen, desk: Screen
) -> None:
    place = f"1号楼地下室 {screen.name}"
    phone, staff = new_phone(reporter, screen), new_phone(estate.logins["staff"], desk, node=1)
    report(phone, place, "水管漏水，地面积水。")
    staff.open()
    staff.tap("工作台")
    staff.expect_title("工作台")
    staff.look("staff-tickets")
    staff.link(place).click()
    staff.expect_text("水管漏水，地面积水。")
    expect_picture(staff.section.locator("img.photo-image").first)
    work_on(staff)
    phone.tap(place)
    phone.expect_text("待您确认")
    phone.expect_text("已更换接头。")
    phone.expect_text("已关闭阀门，等待配件。")
    expect_picture(phone.section.locator("img.photo-image").last)
    phone.look("ticket-done")
    phone.tap("修好了，确认")
    expect(phone.section.locator(".chip").first).to_have_text("已修好")
    titles = phone.section.locator(".moment .strong").all_inner_texts()
    assert titles == ["报事人确认修好", "处理人员报完工", "处理进展", "派人处理", "提交"]
    phone.look("ticket-confirmed")


def work_on(staff: Phone) -> None:
    """Take over the report in front, write what is being done, and report it done with a photo."""
    staff.tap("派人处理")
    staff.tap("我来处理")
    expect(staff.section.locator(".chip").first).to_have_text("已派人")
    staff.look("staff-ticket")
    staff.tap("写进展")
    staff.fill("说明", "已关闭阀门，等待配件。")
    staff.button("确定").click()
    expect(staff.section.locator(".chip").first).to_have_text("处理中")
    staff.tap("报完工")
    staff.fill("说明", "已更换接头。")
    staff.button("确定").click()
    staff.expect_text("请至少加一张完工照片")
    add_photo(staff, "完工后的照片", photo("landscape_5.jpg"))
    staff.look("staff-ticket-complete")
    staff.button("确定").click()
    expect(staff.section.locator(".chip").first).to_have_text("待您确认")
    assert staff.button("修好了").count() == 0


def test_reporter_who_is_not_content_has_the_work_done_again(
    estate: Estate, reporter: Login, new_phone: NewPhone
) -> None:
    phone, staff = new_phone(reporter), new_phone(estate.logins["staff"], TABLET)
    report(phone, "车库入口", "积水没有退。")
    staff.open()
    staff.tap("工作台")
    staff.link("车库入口").click()
    work_on(staff)
    phone.tap("车库入口")
    phone.tap("没修好，重新处理")
    phone.fill("还有什么问题", "还在滴水。")
    phone.tap("没修好，重新处理")
    expect(phone.section.locator(".chip").first).to_have_text("重新处理")
    phone.expect_text("还在滴水。")


def test_another_resident_gets_nothing_of_a_report(estate: Estate, reporter: Login, new_phone: NewPhone) -> None:
    phone = new_phone(reporter)
    report(phone, "电表间", "门锁坏了。")
    phone.link("电表间").click()
    phone.expect_text("门锁坏了。")
    ticket = phone.page.url.partition("id=")[2]
    sha256 = estate.ask(reporter, f"/api/v1/tickets/{ticket}")["photos"][0]
    other = new_phone(estate.logins["resident_2"])
    other.open("pages/tickets/index")
    assert other.link("电表间").count() == 0
    other.open(f"pages/ticket/index?id={ticket}")
    other.expect_text("没有")
    assert other.section.get_by_text("门锁坏了。").count() == 0
    other.look("ticket-of-another")
    for path in (
        f"/api/v1/tickets/{ticket}",
        f"/api/v1/photos/{sha256}?size=full",
        f"/api/v1/photos/{sha256}?size=thumbnail",
    ):
        with pytest.raises(ApiError) as refused:
            estate.ask(estate.logins["resident_2"], path)
        assert refused.value.status == 404


def test_damaged_photo_is_named_and_holds_up_nothing_else(
    estate: Estate, reporter: Login, new_phone: NewPhone, tmp_path: Path
) -> None:
    whole = photo("landscape_2.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    phone = new_phone(reporter)
    phone.open("pages/ticket-new/index")
    choose_photo(phone, "先拍一张照片", tmp_path / "half.jpg")
    phone.expect_text("照片已损坏，请换一张。")
    add_photo(phone, "添加照片", photo("gps_1.jpg"))
    phone.look("ticket-new-damaged")
    phone.button("移除照片 1").click()
    expect(phone.section.get_by_text("照片已损坏")).to_have_count(0)
    expect(phone.section.get_by_text("已上传")).to_have_count(1)


def test_half_written_report_survives_the_end_of_the_app(estate: Estate, reporter: Login, new_phone: NewPhone) -> None:
    phone = new_phone(reporter)
    phone.open("pages/ticket-new/index")
    add_photo(phone, "先拍一张照片", photo("landscape_1.jpg"))
    phone.choose("噪音")
    phone.fill("说说情况", "夜里施工。")
    phone.kill()
    phone.reopen("pages/tickets/index")
    phone.tap("有一件没报完，接着填")
    expect(phone.section.get_by_label("说说情况")).to_have_value("夜里施工。")
    expect(phone.section.get_by_label("噪音")).to_be_checked()
    expect_picture(phone.section.locator("img.photo-image").first)
    phone.fill("在哪里", "3号楼后面")
    phone.tap("提交")
    phone.expect_text("已提交")
