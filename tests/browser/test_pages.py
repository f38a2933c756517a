"""Every page in every mode: axe finds nothing, nothing is too wide or too small, and a keyboard reaches all of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import NewPhone
from tests.browser.estate import ROOT, Estate
from tests.browser.phone import (
    NARROW,
    NARROW_LARGEST,
    PHONE,
    PHONE_ELDER,
    TABLET,
    TABLET_ELDER,
    Phone,
    Screen,
    Watch,
)
from tests.browser.voting import cast

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(300)]

APP = json.loads((ROOT / "miniapp" / "src" / "app.json").read_text("utf-8"))
PAGES = [*APP["pages"], *(f"{part['root']}/{page}" for part in APP["subPackages"] for page in part["pages"])]
ROLES = {
    "merchant/charge/index": "merchant",
    "merchant/sales/index": "merchant",
    "staff/tickets/index": "staff",
    "staff/ticket/index": "staff",
    "staff/motion/index": "committee",
    "staff/motions/index": "committee",
    "staff/decide/index": "committee",
    "staff/grant/index": "staff",
    "staff/attest/index": "staff",
    "staff/people/index": "officer",
    "staff/roles/index": "officer",
    "staff/roll/index": "officer",
    "staff/shops/index": "officer",
}
"""Who sees a page, where it is not a resident's."""
VOTE = "花坛补种"


@pytest.fixture(scope="module")
def motion(estate: Estate) -> str:
    """A motion that is open."""
    return estate.open_motion(VOTE)


@pytest.fixture(scope="module")
def memory(estate: Estate, motion: str, browser: Browser) -> dict[str, Any]:
    """What lies on the phone of a resident who has voted on it."""
    phone = Phone(browser, estate.urls[0], Watch(frozenset(estate.urls)), PHONE, estate.logins["resident"])
    cast(phone, VOTE, "同意")
    kept = phone.memory()
    phone.close()
    return kept


def path_of(page: str, estate: Estate, motion: str, memory: dict[str, Any]) -> str:
    """A page with something to show."""
    ticket = estate.ask(estate.logins["resident"], "/api/v1/tickets?mine=true")["items"][0]["id"]
    queries = {
        "pages/vote/choose": f"?motion={motion}&n=0",
        "pages/result/index": f"?motion={estate.closing_motion}",
        "pages/receipt/index": f"?id={memory['receipts'][0]['id']}",
        "pages/ticket/index": f"?id={ticket}",
        "staff/ticket/index": f"?id={ticket}",
        "staff/decide/index": f"?motion={motion}",
    }
    return page + queries.get(page, f"?motion={motion}" if page.startswith("pages/vote/") else "")


@pytest.mark.parametrize(
    ("screen", "language"),
    [
        (PHONE, "zh-CN"),
        (PHONE_ELDER, "zh-CN"),
        (TABLET, "zh-CN"),
        (TABLET_ELDER, "zh-CN"),
        (NARROW_LARGEST, "zh-CN"),
        (NARROW, "en"),
        (NARROW_LARGEST, "en"),
    ],
    ids=lambda value: value.name if isinstance(value, Screen) else value,
)
def test_no_page_has_a_flaw(
    estate: Estate, motion: str, memory: dict[str, Any], new_phone: NewPhone, screen: Screen, language: str
) -> None:
    estate.await_result(estate.closing_motion)
    resident = new_phone(estate.logins["resident"], screen, language=language, memory=memory)
    phones = {role: new_phone(estate.logins[role], screen, language=language) for role in set(ROLES.values())}
    for page in PAGES:
        phone = phones[ROLES[page]] if page in ROLES else resident
        phone.open(path_of(page, estate, motion, memory))
        phone.await_pictures()
        name = page.replace("/index", "").replace("/", "-")
        phone.look(f"page-{name}" if language == "zh-CN" else f"page-{name}-en")


@pytest.mark.parametrize("screen", [PHONE, TABLET_ELDER, NARROW_LARGEST], ids=lambda screen: screen.name)
def test_no_page_of_a_guest_has_a_flaw(new_phone: NewPhone, screen: Screen) -> None:
    phone = new_phone(None, screen)
    for page in ("home", "privacy", "me", "receipts", "settings", "ledger"):
        phone.open(f"pages/{page}/index")
        phone.await_pictures()
        phone.look(f"guest-{page}")


CONTROLS = """
() => [...document.querySelectorAll('button, a[href], input, textarea')]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)
  .map((one) => one.type === 'radio' ? one.name : (one.dataset.seen ??= String(Math.random())))
"""
FOCUSED = """
() => {
  const one = document.activeElement
  return one.type === 'radio' ? one.name : (one.dataset.seen ?? '')
}
"""


@pytest.mark.parametrize(
    "page", ["home", "motions", "tickets", "ticket-new", "points", "pay", "receipts", "me", "settings"]
)
def test_every_control_is_reached_by_the_tab_key(estate: Estate, new_phone: NewPhone, page: str) -> None:
    phone = new_phone(estate.logins["resident"])
    phone.open(f"pages/{page}/index")
    phone.await_pictures()
    controls = set(phone.page.evaluate(CONTROLS))
    reached = set()
    for _ in range(len(controls) + 5):
        phone.page.keyboard.press("Tab")
        reached.add(phone.page.evaluate(FOCUSED))
    assert controls - reached == set()


def press_on(phone: Phone, role: Any, name: str, key: str = "Enter") -> None:
    """Walk by the tab key to a control of the page in front, and press it."""
    wanted = phone.section.get_by_role(role, name=name).first
    expect(wanted).to_be_visible()
    for _ in range(60):
        if wanted.evaluate("(one) => one === document.activeElement"):
            return phone.page.keyboard.press(key)
        phone.page.keyboard.press("Tab")
    raise AssertionError(f"the tab key never came to {name}")


def test_vote_is_cast_by_keyboard_alone(estate: Estate, new_phone: NewPhone) -> None:
    motion = estate.open_motion("自行车棚加顶")
    phone = new_phone(estate.logins["elder"], TABLET)
    phone.open()
    press_on(phone, "link", "投票")
    phone.expect_title("投票")
    press_on(phone, "link", "自行车棚加顶")
    phone.expect_title("核对身份")
    press_on(phone, "button", "没错，继续")
    phone.expect_title("阅读内容")
    press_on(phone, "button", "读完了，去选择")
    phone.expect_title("选择")
    press_on(phone, "radio", "同意", "Space")
    phone.page.keyboard.press("ArrowDown")
    expect(phone.section.get_by_role("radio", name="反对")).to_be_checked()
    press_on(phone, "button", "下一步")
    phone.expect_title("确认并签名")
    press_on(phone, "button", "确认投票")
    phone.expect_text("投票成功")
    assert estate.ask(estate.logins["elder"], f"/api/v1/motions/{motion}")["mine"][0]["choice"] == "against"


def test_result_shows_both_fractions_and_the_clause(estate: Estate, new_phone: NewPhone) -> None:
    estate.await_result(estate.closing_motion)
    phone = new_phone(estate.logins["resident"])
    phone.open()
    phone.tap("投票")
    phone.link("大门夜间关闭").click()
    phone.expect_title("投票结果")
    phone.expect_text("最终结果，三方都已确认")
    phone.expect_text("未通过")
    phone.expect_text("2/3")
    phone.expect_text("依据：")


def test_elder_mode_and_language_change_at_once_and_stay(new_phone: NewPhone) -> None:
    phone = new_phone()
    phone.open()
    phone.tap("长辈版")
    phone.expect_text("标准版")
    phone.open("pages/settings/index")
    phone.choose("30 号")
    expect(phone.section.locator(".page, .page.elder").first).to_have_css("font-size", "30px")
    phone.choose("English")
    phone.expect_title("Display")
    phone.kill()
    phone.reopen("pages/settings/index")
    expect(phone.section.get_by_label("English")).to_be_checked()
    expect(phone.section.locator(".page").first).to_have_css("font-size", "30px")
