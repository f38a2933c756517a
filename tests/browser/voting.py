"""The way of a voter through the five steps."""

from __future__ import annotations

from tests.browser.phone import Phone


def walk_to_choice(phone: Phone, title: str) -> None:
    """Find, verify, read; the page of the first question is in front."""
    phone.open()
    phone.tap("投票")
    phone.expect_title("投票")
    phone.look("motions")
    phone.link(title).click()
    phone.expect_title("核对身份")
    phone.look("vote-verify")
    phone.tap("没错，继续")
    phone.expect_title("阅读内容")
    phone.look("vote-read")
    phone.tap("读完了，去选择")
    phone.expect_title("选择")


def walk_to_signature(phone: Phone, title: str, choice: str | None) -> None:
    """Find, verify, read, choose; the last page is in front. No choice: the one that the app still knows."""
    walk_to_choice(phone, title)
    if choice is not None:
        phone.choose(choice)
    phone.look("vote-choose")
    phone.tap("下一步")
    phone.expect_title("确认并签名")
    phone.look("vote-sign")


def cast(phone: Phone, title: str, choice: str) -> None:
    """All five steps; the ballot is on the ledger and its receipt on the phone."""
    walk_to_signature(phone, title, choice)
    phone.tap("确认投票")
    phone.expect_text("投票成功")
