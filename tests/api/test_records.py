"""POST /api/v1/records as api.md fixes it: one record, one outcome, a receipt for either; the same answer each time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import pytest

from client import Person, SignedRecord
from server.api import limit, records
from server.ledger.policy import parse_policy
from server.ledger.receipt import verify_receipt
from server.node.node import Submission
from server.record.canonical import b64u_encode, digest
from server.record.envelope import Payload, sign_record
from server.record.shape import seal
from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


def report(person: Person, **changes: Any) -> SignedRecord:
    body = {
        "category": "lighting",
        "contact": person.seal("13800000000"),
        "home": False,
        "photos": [],
        "place": person.seal("大堂"),
        "text": person.seal("灯坏了"),
        **changes,
    }
    return person.sign("ticket.report", body)


async def post(site: Site, record: SignedRecord, **headers: str) -> tuple[int, Mapping[str, str], Any]:
    return await site.ask("POST", "/api/v1/records", json=record.body(), headers=headers)


async def test_accepted_record_is_answered_with_a_receipt_that_holds(site: Site) -> None:
    record = report(await site.bind("m-accept"))
    status, _, answer = await post(site, record)
    assert (status, answer["id"], answer["outcome"]) == (200, record.id, "accepted")
    policy = (await site.ask("GET", "/policy.txt"))[2].decode()
    verified = verify_receipt(answer["receipt"], parse_policy(policy), site.node.estate)
    assert verified.owner_checked
    assert verified.proven.envelope is not None
    assert verified.proven.envelope.id == record.id


async def test_receipt_still_holds_after_its_device_was_attested_again(site: Site) -> None:
    person = await site.bind("m-twice")
    record = report(person)
    assert (await post(site, record))[0] == 200
    await person.do("device.bind", site.bind_body(person, "m-twice", "document"))
    policy = (await site.ask("GET", "/policy.txt"))[2].decode()
    receipt = (await site.ask("GET", f"/api/v1/records/{record.id}/receipt"))[2].decode()
    assert verify_receipt(receipt, parse_policy(policy), site.node.estate).owner_checked


async def test_same_record_again_gives_the_same_answer(site: Site) -> None:
    record = report(await site.bind("m-again"))
    first, second = await post(site, record), await post(site, record)
    assert (first[0], first[2]["index"]) == (second[0], second[2]["index"]) == (200, first[2]["index"])


async def test_same_nonce_with_another_payload_is_refused(site: Site) -> None:
    person = await site.bind("m-nonce")
    nonce = b64u_encode(secrets.token_bytes(16))
    first, second = (rewrite(site, person, nonce, home) for home in (False, True))
    assert (await post(site, first))[0] == 200
    status, _, problem = await post(site, second)
    assert (status, problem["code"], problem["ordered"]) == (409, "nonce_conflict", False)


def rewrite(site: Site, person: Person, nonce: str, home: bool) -> SignedRecord:
    """A report with a nonce of our choice."""
    seals = {name: seal("", secrets.token_bytes(16)) for name in ("contact", "place", "text")}
    body = {"category": "door", "home": home, "photos": [], **{name: one[0] for name, one in seals.items()}}
    now_ms = site.node.clock.now_ms()
    payload = Payload(
        author=person.member,
        body=body,
        estate=site.node.estate,
        expires_ms=now_ms + 60_000,
        kind="ticket.report",
        made_ms=now_ms,
        nonce=nonce,
    )
    jws = sign_record(person.signer, payload)
    return SignedRecord(digest(jws.rpartition(".")[0].encode()), jws, tuple(one[1] for one in seals.values()))


async def test_refusal_that_may_pass_is_ordered_and_has_a_receipt(site: Site) -> None:
    person = await site.bind("m-refused")
    status, _, problem = await post(site, report(person, category="nonsense"))
    assert (status, problem["code"], problem["ordered"]) == (409, "category_unknown", True)
    policy = (await site.ask("GET", "/policy.txt"))[2].decode()
    assert verify_receipt(problem["receipt"], parse_policy(policy), site.node.estate).proven.entry.outcome == (
        "category_unknown"
    )


async def test_permanent_refusal_comes_early_unless_order_is_preferred(site: Site) -> None:
    kept, lost = await site.bind("m-early"), await site.bind("m-early")
    await kept.do("device.revoke", {"revoked": lost.signer.kid})
    size = site.node.ledger.tip.size
    again = kept.sign("device.revoke", {"revoked": lost.signer.kid})
    early = await post(site, again)
    assert (early[0], early[2]["code"], early[2]["ordered"]) == (409, "already_revoked", False)
    assert "receipt" not in early[2]
    assert site.node.ledger.tip.size == size
    ordered = await post(site, again, Prefer="respond-async, ordered")
    assert (ordered[0], ordered[2]["code"], ordered[2]["ordered"]) == (409, "already_revoked", True)
    assert ordered[2]["receipt"].startswith("c2sp.org/tlog-proof@v1")
    assert (await post(site, again))[2]["receipt"] == ordered[2]["receipt"]


async def test_wrong_signature_and_unknown_device_are_never_ordered(site: Site) -> None:
    person, stranger = await site.bind("m-sign"), site.device()
    stranger.member = "m-sign"
    good, forged = report(person), report(stranger)
    mixed = SignedRecord(good.id, good.jws.rpartition(".")[0] + "." + forged.jws.rpartition(".")[2], good.openings)
    size = site.node.ledger.tip.size
    assert [(await post(site, one))[2]["code"] for one in (mixed, forged)] == ["signature_invalid", "device_unbound"]
    assert site.node.ledger.tip.size == size


async def test_record_of_another_estate_is_malformed(site: Site) -> None:
    person = await site.bind("m-estate")
    person.estate = "garden." + "A" * 22
    status, _, problem = await post(site, report(person))
    assert (status, problem["code"], problem["field"]) == (400, "malformed", "estate")


async def test_openings_must_fit_and_be_there(site: Site) -> None:
    person = await site.bind("m-open")
    record = report(person)
    without = SignedRecord(record.id, record.jws, record.openings[1:])
    foreign = SignedRecord(record.id, record.jws, (*record.openings, seal("x", bytes(16))[1]))
    assert (await post(site, without))[2]["code"] == "attachment_missing"
    assert (await post(site, foreign))[2]["code"] == "malformed"
    assert (await post(site, record))[0] == 200


async def test_text_has_one_spelling(site: Site) -> None:
    person = await site.bind("m-spell")
    status, _, problem = await post(site, report(person, text=person.seal("cafe\u0301")))
    assert (status, problem["code"]) == (400, "malformed")
    assert (await post(site, report(person, text=person.seal("caf\u00e9 邻里😀"))))[0] == 200


async def test_bad_records_of_one_address_are_slowed_down_and_good_ones_are_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FAULTS", limit.Limit("faults-here", 3, 60))
    answers = [await post(site, SignedRecord("", "a.b.c")) for _ in range(5)]
    assert [answer[0] for answer in answers] == [400, 400, 400, 429, 429]
    assert answers[-1][1]["Retry-After"] == "60"
    assert (await post(site, report(await site.bind("m-neighbour"))))[0] == 200


async def test_too_many_records_of_one_device_are_slowed_down(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "POSTS", limit.Limit("posts-here", 3, 60))
    person, other = await site.bind("m-busy"), await site.bind("m-calm")
    statuses = [(await post(site, report(person)))[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await post(site, report(other)))[0] == 200


async def test_nobody_uses_up_anothers_limit_with_his_old_records(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "POSTS", limit.Limit("posts-there", 3, 60))
    person = await site.bind("m-copied")
    old = report(person)
    assert [(await post(site, old))[0] for _ in range(5)] == [200] * 5
    assert (await post(site, report(person)))[0] == 200


async def test_nonce_is_not_used_again_without_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "CONFLICTS", limit.Limit("conflicts-here", 2, 60))
    person = await site.bind("m-conflicts")
    nonce = b64u_encode(secrets.token_bytes(16))
    posted = [rewrite(site, person, nonce, home=True) for _ in range(4)]
    statuses = [(await post(site, one, Prefer="ordered"))[0] for one in posted]
    assert statuses == [200, 409, 409, 429]
    assert (await post(site, posted[1]))[0] == 409, "its answer is still given"
    assert (await post(site, report(await site.bind("m-conflicts-not"))))[0] == 200


async def test_known_record_tells_where_it_stands(site: Site) -> None:
    record = report(await site.bind("m-state"))
    _, _, answer = await post(site, record)
    status, _, state = await site.ask("GET", f"/api/v1/records/{record.id}")
    assert (status, state["state"], state["outcome"], state["index"]) == (200, "ordered", "accepted", answer["index"])
    status, headers, receipt = await site.ask("GET", f"/api/v1/records/{record.id}/receipt")
    assert (status, receipt.decode()) == (200, state["receipt"])
    assert headers["Content-Type"].startswith("text/plain")


async def test_unknown_record_was_never_ordered_only_once_its_time_is_over(site: Site) -> None:
    person = await site.bind("m-never")
    record = report(person)
    await post(site, report(person))
    path = f"/api/v1/records/{record.id}"
    now_ms = site.node.clock.now_ms()
    assert (await site.ask("GET", path))[2]["state"] == "unknown"
    assert (await site.ask("GET", f"{path}?expires_ms={now_ms + 60_000}"))[2]["state"] == "unknown"
    _, _, state = await site.ask("GET", f"{path}?expires_ms={now_ms - 60_000}")
    assert state["state"] == "never_ordered"
    assert state["checkpoint"].startswith(site.node.genesis.origin)
    assert (await site.ask("GET", f"{path}/receipt"))[2]["code"] == "record_not_found"


async def test_record_ordered_while_it_is_looked_for_is_not_called_never_ordered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a checkpoint that stood before the search proves anything (decisions 26)."""
    record, find = report(await site.bind("m-race")), site.node.find
    expires_ms = site.node.ledger.tip.time_ms + 1

    async def find_then_order(record_id: str) -> Submission | None:
        found = await find(record_id)
        if found is None and record_id == record.id:
            monkeypatch.setattr(site.node, "find", find)
            await post(site, record)
            async with asyncio.timeout(5):
                while site.node.checkpoint_time_ms() <= expires_ms:
                    await asyncio.sleep(0.01)
        return found

    monkeypatch.setattr(site.node, "find", find_then_order)
    path = f"/api/v1/records/{record.id}?expires_ms={expires_ms}"
    assert (await site.ask("GET", path))[2]["state"] == "unknown"
    assert (await site.ask("GET", path))[2]["state"] == "ordered"


async def test_node_without_a_quorum_keeps_the_record_and_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    record = report(await site.bind("m-quorum"))

    async def wait(work: Any, openings: Any, *, wait_ms: int) -> Submission:
        return Submission(work.envelope.id, "waiting")

    monkeypatch.setattr(site.node, "submit", wait)
    status, headers, problem = await post(site, record)
    assert (status, problem["code"], problem["id"]) == (503, "no_quorum", record.id)
    assert int(headers["Retry-After"]) > 0


async def test_record_that_is_not_certified_yet_is_answered_202(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    record = report(await site.bind("m-pending"))

    async def order(work: Any, openings: Any, *, wait_ms: int) -> Submission:
        return Submission(work.envelope.id, "pending", "accepted")

    monkeypatch.setattr(site.node, "submit", order)
    status, headers, answer = await post(site, record)
    assert (status, answer) == (202, {"id": record.id, "state": "pending"})
    assert int(headers["Retry-After"]) > 0
