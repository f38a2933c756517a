"""The page of who keeps the records: who signed, who contradicted itself by whose word, and the proof to give away."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from server.consensus.certificates import Certifier
from server.consensus.evidence import unpack_evidence
from server.consensus.judgement import verify
from server.consensus.keyring import Keyring
from server.ledger.checkpoint import verify_cosign_line
from server.ledger.policy import Policy, parse_policy
from server.record.canonical import b64u_decode
from tests.browser.standin.conftest import App, Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SCREENS = {
    "phone": ((390, 844), {"language": "zh-CN", "elder": False, "fontPx": 17}),
    "english": ((390, 844), {"language": "en", "elder": False, "fontPx": 17}),
    "elder": ((390, 844), {"language": "zh-CN", "elder": True, "fontPx": 22}),
    "smallest": ((320, 640), {"language": "en", "elder": True, "fontPx": 30}),
    "tablet": ((1024, 768), {"language": "zh-CN", "elder": True, "fontPx": 22}),
}
PAGE = "pages/ledger/index"


def _nodes(base: str) -> list[str]:
    host, _, port = base.rstrip("/").rpartition(":")
    return [f"{host}:{int(port) + at}" for at in range(3)]


def _divert(app: App, path: str, target: str) -> None:
    """Let the phone get what the same node has at another address."""
    app.page.route(path, lambda route: route.fulfill(response=route.fetch(url=target)))


def _show(app: App, offence: str, nodes: list[str]) -> None:
    """Let these nodes show evidence of an offence against 业主委员会."""
    for url in nodes:
        _divert(app, f"{url}/api/v1/evidence", f"{url}/api/v1/evidence?offence={offence}")


def _delay_signature(app: App, member: str) -> None:
    """Let no node have a member's line of the newest checkpoint."""
    for url in _nodes(app.base):
        _divert(app, f"{url}/checkpoint", f"{url}/checkpoint?late={member}")


def test_all_who_signed_the_newest_checkpoint_are_said_to_agree(open_app: Open) -> None:
    app = open_app()
    app.go(PAGE)
    app.see("三方一致")
    app.see("各单位都签了同一个账本")


def test_who_has_not_signed_yet_is_named_and_the_ledger_holds(open_app: Open) -> None:
    app = open_app()
    _delay_signature(app, "owners")
    app.go(PAGE)
    app.see("两方一致，业主委员会还没有签")
    app.see("账本有效")


def test_what_one_organisation_says_and_nobody_can_check_here_is_told_as_its_word(open_app: Open) -> None:
    app = open_app()
    _show(app, "double_vote", _nodes(app.base)[:1])
    app.go(PAGE)
    app.see("兴业街道说：业主委员会前后说法不一")
    app.see("如果属实，它的签字不再算数")
    app.see("三方一致")


def test_what_two_organisations_show_is_a_disagreement_that_takes_nothing_from_anybody(open_app: Open) -> None:
    app = open_app()
    _show(app, "hidden_vote", _nodes(app.base)[::2])
    app.go(PAGE)
    app.see("分歧")
    app.see("它签过一页账，后来却当作没有签过。")
    app.see("账本从第 36 页起已写明这件事。")
    app.see("您的投票和积分一样都没有少")
    app.see("这是兴业街道、安居物业说的")


@dataclass(frozen=True)
class PolicyKeys:
    """The keys that anybody has who has the policy: they verify checkpoint lines, and sign nothing."""

    policy: Policy

    def verify_cosignature(self, member: str, size: int, root: bytes, line: str) -> bool:
        """Whether `line` is the member's."""
        key = self.policy.witnesses[member].public
        return verify_cosign_line(key, self.policy.origin, member, size, root, line)


def test_a_split_checkpoint_is_verified_by_the_phone_and_its_file_by_everybody(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    _show(app, "split_checkpoint", _nodes(app.base)[2:])
    app.go(PAGE)
    app.see("业主委员会前后说法不一")
    app.see("您的手机已亲自核对过这份证据。")
    app.see("这件事还没有写进账本。")
    with app.page.expect_download() as download:
        app.tap("分享证据文件")
    told: dict[str, Any] = json.loads(download.value.path().read_text())
    evidence = unpack_evidence(b64u_decode(told["packed"]))
    policy = json.loads(app.page.evaluate("localStorage.getItem('linli.1.trust')"))["estate"]["policy"]
    verify(evidence, cast(Certifier, None), cast(Keyring, PolicyKeys(parse_policy(policy))))
    assert (evidence.id, evidence.culprit, evidence.offence) == (told["id"], "owners", "split_checkpoint")


def test_a_fork_says_disagreement_on_the_red_page(open_app: Open) -> None:
    app = open_app()
    app.go(PAGE)
    app.see("三方一致")
    second = _nodes(app.base)[1]
    _divert(app, f"{second}/checkpoint", f"{second}/checkpoint?forked")
    app.page.reload()
    app.see("账本出现了两个不一样的版本")
    app.see("分歧")


@pytest.mark.parametrize("screen", SCREENS)
def test_the_page_with_evidence_is_readable_on_this_screen(open_app: Open, screen: str) -> None:
    (width, height), settings = SCREENS[screen]
    app = open_app(width=width, height=height)
    app.go(PAGE)
    app.page.evaluate("(value) => localStorage.setItem('linli.1.settings', JSON.stringify(value))", settings)
    _show(app, "double_vote", _nodes(app.base))
    app.page.reload()
    button = app.view.get_by_role(
        "button", name="Share the evidence file" if settings["language"] == "en" else "分享证据文件"
    )
    button.wait_for()
    assert app.violations() == []
    assert not app.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    least = 60 if settings["elder"] else 44
    box = button.bounding_box()
    assert box is not None and box["height"] >= least
    folder = os.environ.get("LINLI_SCREENSHOTS")
    if folder:
        app.page.screenshot(path=Path(folder) / f"agreement.{screen}.png", full_page=True)
    assert app.errors == []
