"""The phone's first trust: nodes that do not tell the same stop the app before anything is signed."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Route

from tests.browser.conftest import NewPhone
from tests.browser.estate import Estate, wait_for
from tests.browser.phone import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


@pytest.mark.parametrize("member", ["genesis_sha256", "policy"])
def test_nodes_that_tell_different_estates_are_an_alarm(estate: Estate, new_phone: NewPhone, member: str) -> None:
    phone = new_phone(estate.logins["resident"], PHONE)

    def differ(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, body=json.dumps({**told, member: told[member][::-1]}))

    phone.context.route(f"{estate.urls[1]}/api/v1/estate", differ)
    phone.open("pages/motions/index")
    phone.expect_text("各单位给出的信息不一致，可能有人冒充。请不要继续操作，并拨打人工电话。")
    phone.look("alarm")
    phone.context.unroute_all()
    for page in ("home", "points", "motions"):
        phone.open(f"pages/{page}/index")
        phone.expect_text("各单位给出的信息不一致")
    assert phone.outbox() == []


def test_estate_that_changes_its_genesis_later_is_an_alarm(estate: Estate, new_phone: NewPhone) -> None:
    phone = new_phone(estate.logins["resident"], PHONE)
    phone.open()
    phone.expect_text("三方账本一致")

    def differ(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, body=json.dumps({**told, "genesis_sha256": told["genesis_sha256"][::-1]}))

    phone.context.route("**/api/v1/estate", differ)
    phone.kill()
    phone.reopen()
    phone.expect_text("各单位给出的信息不一致")
    phone.open("pages/motions/index")
    phone.expect_text("各单位给出的信息不一致")


def test_phone_keeps_the_newest_checkpoint_and_asks_a_second_organisation(estate: Estate, new_phone: NewPhone) -> None:
    phone = new_phone(estate.logins["resident"], PHONE)
    asked: list[tuple[str, str]] = []
    phone.context.on(
        "request",
        lambda request: (
            asked.append((request.url, request.headers.get("x-linli-size", "")))
            if request.url.endswith("/checkpoint") and request.method == "GET"
            else None
        ),
    )
    phone.open()
    wait_for(lambda: phone.read("crossed") is not None, "the second organisation's checkpoint")
    [seen] = phone.read("seen").values()
    assert [url for url, _ in asked] == [f"{url}/checkpoint" for url in estate.urls[:2]]
    phone.open("pages/ledger/index")
    phone.expect_text(re.compile(r"您的手机已亲自核对到第 [\d,]+ 条"))
    assert phone.read("doubt") is None
    phone.kill()
    asked.clear()
    phone.reopen()
    wait_for(lambda: bool(asked), "the next look at the checkpoint")
    assert asked[0] == (f"{estate.urls[0]}/checkpoint", str(seen["size"]))
