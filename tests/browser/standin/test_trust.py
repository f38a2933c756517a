"""What the app must never do: trust nodes that disagree, lose what was signed, or ask anybody else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Request, Route

import verify
from tests.browser.standin.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _second(base: str) -> str:
    host, _, port = base.rstrip("/").rpartition(":")
    return f"{host}:{int(port) + 1}"


def note_post(request: Request, posted: list[str]) -> None:
    if request.method == "POST" and request.url.endswith("/records"):
        posted.append(request.post_data or "")


def test_nodes_that_disagree_at_first_use_stop_the_app_with_a_red_page(open_app: Open) -> None:
    app = open_app()

    def forge(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "genesis_sha256": "0" * 64})

    app.page.route(f"{_second(app.base)}/api/v1/estate", forge)
    app.go()
    app.see("各单位给出的信息不一致")
    app.page.reload()
    app.see("各单位给出的信息不一致")
    app.go("pages/ledger/index")
    app.see("请停止使用")


def test_a_node_that_is_away_at_first_use_is_named_and_the_rest_compared(open_app: Open) -> None:
    app = open_app()
    app.page.route(f"{_second(app.base)}/**", lambda route: route.abort())
    app.go("pages/ledger/index")
    app.see("已核对 2 家，另有 1 家暂时联系不上")


def test_a_changed_policy_later_is_an_alarm(open_app: Open) -> None:
    app = open_app()
    app.go()
    app.see("三方账本一致")

    def forge(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "policy": answer.json()["policy"] + "# other\n"})

    app.page.route(f"{app.base}api/v1/estate", forge)
    app.page.reload()
    app.page.wait_for_timeout(800)
    app.page.reload()
    app.see("各单位给出的信息不一致")


def test_no_other_host_is_ever_asked_and_the_content_policy_holds(open_app: Open) -> None:
    app = open_app()
    app.join()
    for page in ("pages/home/index", "pages/points/index", "pages/ledger/index", "merchant/charge/index"):
        app.go(page)
        app.page.wait_for_timeout(300)
    first = int(app.base.rstrip("/").rpartition(":")[2])
    assert app.hosts <= {f"127.0.0.1:{first + offset}" for offset in range(3)}
    assert app.errors == []


def test_a_signed_record_survives_a_dead_network_and_a_killed_app_and_is_sent_once(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go(f"pages/ticket/index?id={'T' * 43}")
    app.see("修好了，确认")
    app.page.context.set_offline(True)
    app.tap("修好了，确认")
    app.see("网络恢复后会自动送出")
    (waiting,) = app.stored("outbox")
    app.page.close()

    posted: list[str] = []
    again = open_app(context=app.page.context)
    again.page.on("request", lambda request: note_post(request, posted))
    again.page.context.set_offline(False)
    again.go("pages/receipts/index")
    again.see("确认修好")
    again.page.wait_for_function("() => localStorage.getItem('linli.1.outbox') === '[]'")
    assert [json.loads(one)["record"] for one in posted] == [waiting["record"]]
    assert any(one["id"] == waiting["id"] for one in again.stored("receipts"))


def test_a_vote_on_two_questions_without_network_keeps_both_ballots(open_app: Open) -> None:
    app = open_app()
    app.join()
    motion = "M" * 43
    for number, choice in ((0, "同意"), (1, "弃权")):
        app.go(f"pages/vote/choose?motion={motion}&n={number}")
        app.view.get_by_role("radio", name=choice).check()
    app.tap("下一步")
    app.see("您的选择")
    app.page.context.set_offline(True)
    app.tap("确认投票")
    app.page.wait_for_function("() => JSON.parse(localStorage.getItem('linli.1.outbox') ?? '[]').length === 2")
    app.see("网络恢复后会自动送出")
    app.page.context.set_offline(False)
    app.page.wait_for_function("() => localStorage.getItem('linli.1.outbox') === '[]'")
    outcomes = [one["outcome"] for one in app.stored("receipts") if one["kind"] == "ballot.cast"]
    assert outcomes == ["accepted", "accepted"]


def test_a_receipt_that_does_not_verify_is_not_believed(open_app: Open) -> None:
    app = open_app()
    app.join()

    def forge(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        route.fulfill(response=answer, json={**body, "receipt": body["receipt"].replace("index ", "index 1")})

    app.page.route("**/api/v1/records", forge)
    app.go(f"pages/ticket/index?id={'T' * 43}")
    app.tap("修好了，确认")
    app.see("收到的凭证没有通过核对")
    (waiting,) = app.stored("outbox")
    assert waiting["state"] == "distrusted"


def test_a_stopped_node_is_not_the_end(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.page.route(f"{app.base}api/v1/points/**", lambda route: route.abort())
    app.go("pages/points/index")
    app.see("可用积分")


def test_offline_pages_say_so_and_come_back(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go()
    app.see("三方账本一致")
    app.page.context.set_offline(True)
    app.view.locator(".tile").first.click()
    app.see("现在没有网络")
    app.page.context.set_offline(False)
    app.tap("再试一次")
    app.see("更换 3 号楼")


def test_a_stored_receipt_that_was_tampered_with_turns_red(open_app: Open) -> None:
    app = open_app()
    app.join()
    (receipt,) = app.stored("receipts")
    key = f"linli.1.receipt.{receipt['id']}"
    app.page.evaluate(
        "(key) => localStorage.setItem(key, localStorage.getItem(key).replace('index ', 'index 1'))",
        key,
    )
    app.go(f"pages/receipt/index?id={receipt['id']}")
    app.see("核对没有通过")


SEEN = "() => localStorage.getItem('linli.1.seen')"


def test_two_signed_histories_are_an_alarm_and_the_proof_is_kept_shown_and_sent(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    app.go()
    app.page.wait_for_function("() => localStorage.getItem('linli.1.crossed')")
    app.page.evaluate("localStorage.removeItem('linli.1.crossed')")

    def fork(route: Route) -> None:
        route.fulfill(response=route.fetch(url=f"{_second(app.base)}/checkpoint?forked"))

    app.page.route(f"{_second(app.base)}/checkpoint", fork)
    app.page.reload()
    app.page.wait_for_function("() => JSON.parse(localStorage.getItem('linli.1.trust')).alarm === 'fork'")
    app.go("pages/motions/index")
    app.see("账本出现了两个不一样的版本")
    app.go("pages/ledger/index")
    app.tap("查看证据")
    app.see("请先停一停")
    assert app.violations() == []
    app.see("已交给：兴业街道、业主委员会、安居物业")
    with app.page.expect_download() as download:
        app.tap("分享证据文件")
    policy = tmp_path / "policy.txt"
    policy.write_text(json.loads(app.page.evaluate("localStorage.getItem('linli.1.trust')"))["estate"]["policy"])
    assert verify.main(["split", str(download.value.path()), "--policy", str(policy)]) == 0
    (split,) = json.loads(download.value.path().read_text())
    (kept,) = app.stored("splits")
    assert split == {"notes": kept["notes"], "proofs": []}
    assert split["notes"][0].split("\n")[1] == split["notes"][1].split("\n")[1]


def test_one_node_with_a_wrong_proof_is_no_alarm(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.page.wait_for_function(SEEN)
    app.page.route(f"{app.base}api/v1/consistency**", lambda route: route.fulfill(json={"proof": ["A" * 43]}))
    app.go(f"pages/ticket/index?id={'T' * 43}")
    app.tap("修好了，确认")
    app.see("报事人确认修好")
    app.page.wait_for_timeout(500)
    app.go("pages/ledger/index")
    app.see("此前的记录没有被改动过")


def test_the_sheet_for_the_board_fits_one_page_of_paper(open_app: Open) -> None:
    app = open_app()
    app.go("pages/notice/index")
    app.see("账本公示")
    lines = app.view.locator(".sheet-lines > *").all_inner_texts()
    note = app.page.request.get(f"{app.base}checkpoint").text()
    assert lines == note.split("\n")[:3]
    paper = app.page.pdf(format="A4", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", paper)) == 1
