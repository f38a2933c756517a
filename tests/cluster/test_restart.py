"""Nodes that stop, start again, lag or lost their memory: what was acknowledged stays, and nobody starts wrongly."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ballot_load import BallotLoad
from cluster import NodePlace
from server.consensus.config import SYNC_BLOCKS_MAX
from server.ledger.policy import parse_policy
from server.ledger.receipt import verify_receipt
from tests.cluster.running import PATIENCE_S, Town

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

ROOT = Path(__file__).resolve().parents[2]
EXIT_REFUSED = 3
LOAD_S = 2.0
SHORTEST_VOTE_MS = 61_000
"""A motion may not close within its first minute (domain/motion.py)."""


async def run_refused(node: NodePlace) -> str:
    """Run a node's process to its end, which must be a refusal; what it says last."""
    command = [sys.executable, "-m", "server", str(node.config)]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ}
    )
    assert done.returncode == EXIT_REFUSED, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


async def test_stopping_all_nodes_and_starting_them_again_keeps_everything(town: Town) -> None:
    answers = [await town.cast(first=number) for number in range(6)]
    size = await town.all_sealed()
    assert [await town.stop(node) for node in town.cluster.nodes] == [0, 0, 0]
    await town.start(*town.cluster.nodes)
    assert await town.all_sealed() == size
    policy = parse_policy((town.cluster.data / "policy.txt").read_text("utf-8"))
    for node in town.cluster.nodes:
        for answer in answers:
            found = await town.state_of(node, answer["id"])
            assert (found["state"], found["index"], found["outcome"]) == ("ordered", answer["index"], "accepted")
            assert verify_receipt(found["receipt"], policy, town.voters.estate).owner_checked
    assert (await town.cast())["index"] >= size


async def test_a_record_posted_again_after_a_restart_gets_the_same_place(town: Town) -> None:
    record = town.next_ballot()
    first = await town.voters.committee.deliver(record)
    node = town.cluster.nodes[1]
    await town.stop(node)
    await town.start(node)
    for place in range(3):
        again = await town.voters.committee.post(record, node=place)
        assert (again["index"], again["outcome"]) == (first["index"], "accepted")


async def test_sigterm_under_load_ends_soon_and_loses_nothing_acknowledged(town: Town) -> None:
    motion = await town.voters.open_motion()
    load, end, node = BallotLoad(town.voters, motion, clients=16), asyncio.Event(), town.cluster.nodes[0]
    voting = asyncio.create_task(load.run(end))
    async with town.http.get(node.url + "/api/v1/events") as live:
        await live.content.readline()
        await asyncio.sleep(LOAD_S)
        assert await town.stop(node) == 0, "an open live page must not keep the process"
    await asyncio.sleep(LOAD_S)
    end.set()
    await voting
    assert load.faults == []
    assert load.acknowledged
    await town.start(node)
    await town.all_sealed()
    for one in load.acknowledged:
        found = await town.state_of(node, one.id)
        assert (found["state"], found["index"], found["outcome"]) == ("ordered", one.index, one.outcome)


async def test_a_node_that_missed_many_blocks_catches_up_and_cosigns(town: Town) -> None:
    node = town.cluster.nodes[2]
    await town.stop(node)
    height = (await town.ask(town.cluster.nodes[0], "/api/v1/cluster"))[1]["height"]
    for number in range(SYNC_BLOCKS_MAX + 6):
        await town.cast(first=number % 2)
    _, state = await town.ask(town.cluster.nodes[0], "/api/v1/cluster")
    assert state["height"] - height > SYNC_BLOCKS_MAX, "more than one answer of a peer holds"
    assert state["sealed_size"] < state["size"] == state["committed_size"]
    lag = next(one["lag"] for one in state["nodes"] if one["id"] == node.id)
    assert lag >= SYNC_BLOCKS_MAX
    town.cluster.start(node)
    reasons = await collect_reasons(town, node)
    assert reasons <= {"", "the other nodes have not said yet how far they are"} | {
        f"only {reached} of 3 nodes are reached" for reached in (1, 2)
    } | {f"{behind} blocks behind" for behind in range(2, state["height"])}
    assert await town.all_sealed() >= state["size"]


async def collect_reasons(town: Town, node: NodePlace) -> set[str]:
    """What readyz says until the node is ready."""
    reasons: set[str] = set()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status, answer = await town.ask(node, "/readyz")
        if status:
            assert answer["ready"] == (status == 200) == (answer["reason"] == "")
            reasons.add(answer["reason"])
        if status == 200:
            return reasons
        await asyncio.sleep(0.01)
    raise AssertionError(f"{node.id} is not ready: {reasons}")


async def test_a_node_alone_says_why_it_is_not_ready_and_keeps_what_it_is_given(town: Town) -> None:
    alone, *others = town.cluster.nodes
    for node in others:
        await town.stop(node)
    status, answer = await town.ask(alone, "/readyz")
    assert (status, answer["reason"]) == (503, "only 1 of 3 nodes are reached")
    record = town.next_ballot()
    posting = asyncio.create_task(town.voters.committee.deliver(record, within_s=2 * PATIENCE_S))
    await asyncio.sleep(LOAD_S)
    assert (await town.state_of(alone, record.id))["state"] == "waiting"
    await town.start(*others)
    assert (await posting)["outcome"] == "accepted"
    await town.all_sealed()


async def test_a_second_process_on_the_same_folder_is_refused(town: Town) -> None:
    node = town.cluster.nodes[0]
    assert "in use by another process: a node must never run twice" in await run_refused(node)
    assert (await town.ask(node, "/readyz"))[0] == 200


async def test_a_node_without_its_journal_refuses_to_start(town: Town) -> None:
    node = town.cluster.nodes[1]
    journal = node.folder / "data" / "journal"
    await town.stop(node)
    journal.rename(journal.with_name("lost"))
    assert "the file is missing. This node may have voted what it no longer knows" in await run_refused(node)
    journal.with_name("lost").rename(journal)
    await town.start(node)
    await town.all_sealed()


async def test_a_node_whose_data_folder_is_lost_refuses_to_start_until_its_operator_says_so(town: Town) -> None:
    node = town.cluster.nodes[1]
    data = node.folder / "data"
    await town.stop(node)
    data.rename(node.folder / "lost")
    said = await run_refused(node)
    assert "has voted before" in said
    assert str(node.folder / "voted") in said
    for number in range(2):
        await town.cast(first=2 * number)
    (node.folder / "voted").unlink()
    await town.start(node)
    await town.all_sealed()


async def test_a_port_in_use_is_a_refusal_in_one_line(town: Town) -> None:
    node, other = town.cluster.nodes[1], town.cluster.nodes[0]
    config = node.config.read_text("utf-8")
    await town.stop(node)
    node.config.write_text(config.replace(f"port = {node.peer_port}", f"port = {other.peer_port}", 1), "utf-8")
    assert f"cannot listen for peers on 127.0.0.1:{other.peer_port}" in await run_refused(node)
    node.config.write_text(config.replace(f"port = {node.port}", f"port = {other.port}", 1), "utf-8")
    assert str(other.port) in await run_refused(node)
    node.config.write_text(config, "utf-8")
    await town.start(node)
    await town.all_sealed()


async def test_an_idle_cluster_closes_a_motion_and_its_seal_makes_the_tally_final(town: Town) -> None:
    motion = await town.voters.open_motion(SHORTEST_VOTE_MS)
    cast = await town.voters.committee.deliver(town.voters.ballot(motion, town.voters.voters[0], "q0"))
    before = await town.all_sealed()
    assert before > cast["index"]
    await asyncio.sleep(SHORTEST_VOTE_MS / 1000)

    async def is_final() -> bool:
        answers = [await town.ask(node, f"/api/v1/motions/{motion}") for node in town.cluster.nodes]
        return all(status == 200 and answer["state"] == "final" for status, answer in answers)

    await town.wait_until(is_final)
    assert await town.all_sealed() > before


async def test_a_killed_node_leaves_no_process_behind(town: Town) -> None:
    """Photos are cleaned in processes of their own, which nobody tells of a SIGKILL."""
    node = town.cluster.nodes[2]
    await asyncio.to_thread(town.cluster.kill, node)

    async def are_gone() -> bool:
        return not await asyncio.to_thread(town.cluster.left_behind)

    await town.wait_until(are_gone)
    await town.start(node)
