"""A node whose openings are gone when a motion closes gets them back from its peers, and counts with the others."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from cluster import NodePlace
from tests.cluster.running import Town

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

VOTING_MS = 62_000
"""A motion may not close within its first minute (domain/motion.py)."""
BALLOTS = 6


def lose_openings(node: NodePlace) -> int:
    """Empty the table of openings of a node that is stopped, as a backup without private fields would; how many."""
    with sqlite3.connect(node.folder / "data" / "node.db") as database:
        return database.execute('DELETE FROM "opening"').rowcount


async def test_a_node_that_lost_its_openings_gets_them_back_when_a_motion_closes(town: Town) -> None:
    """With one node down the other two must agree on the tally: the one that lost everything has to get it back."""
    away, whole, robbed = town.cluster.nodes
    voters = town.voters
    motion = await voters.open_motion(VOTING_MS)
    closing = asyncio.get_running_loop().time() + VOTING_MS / 1000
    for voter in voters.voters[:BALLOTS]:
        await voters.committee.deliver(voters.ballot(motion, voter, "q0"))
    await town.all_sealed()
    await town.stop(robbed)
    assert lose_openings(robbed) >= BALLOTS
    await town.start(robbed)
    await town.all_sealed()
    await town.stop(away)
    await asyncio.sleep(max(0.0, closing - asyncio.get_running_loop().time()))

    async def is_counted() -> bool:
        answers = [await town.ask(node, f"/api/v1/motions/{motion}") for node in (whole, robbed)]
        return all("result" in answer for _, answer in answers)

    await town.wait_until(is_counted)
    _, answer = await town.ask(robbed, f"/api/v1/motions/{motion}")
    first = answer["result"]["questions"][0]
    assert (first["question"], first["participating"]["heads"]) == ("q0", BALLOTS)
    await town.start(away)
    await town.all_sealed()
