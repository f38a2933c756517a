"""A member that signed two histories is named by all nodes, in the log, and counted no longer."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any

import pytest

from server.consensus.certificates import Certifier
from server.consensus.config import Config
from server.consensus.judgement import convict
from server.domain.evidence import Barred
from server.ledger.checkpoint import Checkpoint, cosign_line, log_line, note_of
from server.ledger.policy import Grade, parse_policy
from server.ledger.receipt import verify_receipt
from server.record.rows import key
from tests.api.test_three_nodes import Estate, estate, raw

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["estate"]


def note(estate: Estate, number: int, size: int, root: bytes, time_s: int = 1_700_000_000) -> str:
    """A checkpoint that the member of a node has signed."""
    node = estate.nodes[number]
    origin, keys = node.genesis.origin, node.keys
    lines = [log_line(keys.log, origin, size, root), cosign_line(keys.cosign, origin, node.me, size, root, time_s)]
    return note_of(Checkpoint(origin, size, root), lines)


async def bring(estate: Estate, number: int, body: dict[str, Any]) -> tuple[int, Any]:
    return await raw(estate, number, "POST", "/api/v1/evidence", json=body)


async def read_text(estate: Estate, path: str) -> str:
    async with estate.http.get(estate.urls[0] + path) as response:
        assert response.status == 200
        return await response.text()


async def test_what_proves_nothing_accuses_nobody(estate: Estate) -> None:
    one, other = note(estate, 0, 5, bytes(32)), note(estate, 0, 5, b"1" * 32)
    stranger = other.replace(estate.nodes[0].genesis.origin, "linli.test/elsewhere")
    forged = other.replace("\n5\n", "\n6\n")
    for notes in ([one, one], [one, stranger], [one, forged], [one, note(estate, 1, 5, b"1" * 32)], [one, "nonsense"]):
        status, problem = await bring(estate, 0, {"notes": notes, "proofs": []})
        assert (status, problem["code"]) == (422, "evidence_void"), notes
    for alone in (one, forged, "nonsense"):
        status, problem = await bring(estate, 0, {"notes": [alone]})
        assert (status, problem["code"]) == (422, "evidence_void"), "no key of these members was ever retired"
    for count in (0, 3):
        status, _ = await bring(estate, 0, {"notes": [one] * count})
        assert status == 400
    status, shown = await raw(estate, 0, "GET", "/api/v1/evidence")
    assert (status, shown) == (200, {"evidence": [], "barred": []})


async def test_two_roots_of_one_size_bar_their_signer_at_every_node(estate: Estate) -> None:
    culprit = estate.nodes[2]
    notes = [note(estate, 2, 5, bytes(32)), note(estate, 2, 5, b"1" * 32)]
    status, taken = await bring(estate, 0, {"notes": notes, "proofs": []})
    assert status == 200
    assert (await bring(estate, 1, {"notes": notes[::-1]}))[1] == taken, "the same evidence in whichever order"
    for number, node in enumerate(estate.nodes[:2]):
        async with asyncio.timeout(20):
            while True:
                _, shown = await raw(estate, number, "GET", "/api/v1/evidence")
                if shown["barred"]:
                    break
                await asyncio.sleep(0.05)
        [found] = shown["evidence"]
        assert (found["id"], found["member"], found["offence"]) == (taken["ids"][0], culprit.me, "split_checkpoint")
        assert found["member_name"] == "居委会"
        assert found["height"] > 0
        assert shown["barred"] == [culprit.me]
        row = (await node.rows.load([key(Barred, culprit.me)])).loaded[key(Barred, culprit.me)]
        assert isinstance(row, Barred)
        assert row.height == found["height"]


async def test_a_node_that_is_named_stops_because_somebody_has_its_key(estate: Estate) -> None:
    async with asyncio.timeout(10):
        while estate.nodes[2].stop is None:
            await asyncio.sleep(0.05)
    assert estate.nodes[2].stop.reason == "twin"
    assert not estate.nodes[2].ready()[0]


async def test_the_others_go_on_and_seal_without_it(estate: Estate) -> None:
    officer = estate.officers[0]
    await officer.do("role.grant", {"member": "m-new", "organisation": "property", "role": "staff"})
    size = estate.nodes[0].ledger.tip.size
    async with asyncio.timeout(10):
        while estate.nodes[0].cluster_status()["sealed_size"] < size:
            await asyncio.sleep(0.05)


async def test_a_receipt_shows_by_itself_that_it_is_sealed_without_the_member(estate: Estate) -> None:
    node, culprit = estate.nodes[0], estate.nodes[2].me
    answer = await estate.officers[1].do(
        "role.grant", {"member": "m-next", "organisation": "property", "role": "staff"}
    )
    policy, certifier = (
        parse_policy(node.policy_text),
        Certifier(Config(tuple(node.members()), node.me, node.cluster_id), node.parts.keyring),
    )
    async with asyncio.timeout(10):
        while True:
            receipt = await read_text(estate, f"/api/v1/records/{answer['id']}/receipt")
            convict_ = partial(convict, certifier=certifier, keyring=node.parts.keyring)
            verified = verify_receipt(receipt, policy, node.estate, convict=convict_)
            if verified.grade is Grade.SEALED:
                break
            await asyncio.sleep(0.05)
    assert verified.barred == (culprit,)
    assert culprit not in verified.proven.checkpoint.cosigned
    assert verified.proven.grade is Grade.COMMITTED, "what the signatures alone show"


async def test_the_metrics_tell_how_far_each_signature_is_behind(estate: Estate) -> None:
    nodes = estate.nodes
    text = await read_text(estate, "/metrics")
    lags = {name: float(value) for name, value in re.findall(r'linli_member_lag_entries{member="(.+)"} (\S+)', text)}
    assert list(lags) == nodes[0].members()
    assert lags.pop(nodes[2].me) > 0, "a member that has stopped"
    status, shown = await raw(estate, 0, "GET", "/api/v1/cluster")
    assert status == 200
    told = {one["id"]: one["lag"] for one in shown["nodes"]}
    assert told[nodes[2].me] > 0
    assert {name: told[name] for name in lags} == lags
