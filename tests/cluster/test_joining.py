"""A node whose disk is lost comes back through a snapshot and seals again, however often it is killed meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from cluster import NodePlace
from tests.cluster.hurried_node import END_AT, MOMENTS, SCHEDULE
from tests.cluster.running import PATIENCE_S, Town, running_town

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

JOIN_BEHIND = 8
KILLED = -9


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hurried(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Three node processes that tell their state every eight blocks."""
    settings = {"consensus": {"join_behind": str(JOIN_BEHIND)}}
    async with running_town(tmp_path_factory.mktemp("hurried"), 16, "tests.cluster.hurried_node", settings) as town:
        yield town


def lose_disk(node: NodePlace) -> None:
    """The folder is gone; the operator says that the node may begin anew."""
    shutil.rmtree(node.folder / "data")
    (node.folder / "voted").unlink()


async def run_until_killed(town: Town, node: NodePlace, moment: str) -> None:
    town.cluster.start(node, {END_AT: moment})
    async with asyncio.timeout(PATIENCE_S):
        while town.cluster.runs(node):
            await asyncio.sleep(0.02)
    assert await town.stop(node) == KILLED


def tables_of(node: NodePlace) -> dict[str, list[tuple[object, ...]]]:
    """Every row that follows from the ledger, and the ledger itself, of a node that is stopped."""
    names = ("block", "entry", "member", "device", "motion", "ballot", "turnout", "roll_head", "sealed")
    columns = {"block": "height, block_id, size, root, peaks, state_digest", "entry": '"index", content'}
    with closing(sqlite3.connect(node.folder / "data" / "node.db")) as database:
        found = {name: database.execute(f"SELECT {columns.get(name, '*')} FROM {name}").fetchall() for name in names}
    return {name: sorted(rows) for name, rows in found.items()}


def has_blocks(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as database:
        return bool(database.execute("SELECT COUNT(*) FROM block WHERE height > 0").fetchone()[0])


async def test_a_node_whose_disk_is_lost_joins_although_it_is_killed_at_every_step_and_seals_again(
    hurried: Town,
) -> None:
    town, (whole, other, lost) = hurried, hurried.cluster.nodes
    receipts = [await town.cast(first=number) for number in range(16)]
    await town.all_sealed()
    _, state = await town.ask(whole, "/api/v1/cluster")
    assert state["height"] > SCHEDULE.every + SCHEDULE.lag + JOIN_BEHIND
    await town.stop(lost)
    lose_disk(lost)
    for moment in MOMENTS:
        await run_until_killed(town, lost, moment)
        assert has_blocks(lost.folder / "data" / "node.db") == (moment == "loaded"), "all of it or nothing"
    await town.start(lost)
    assert not (lost.folder / "data" / "joining").exists()
    log = lost.log.read_text("utf-8")
    assert log.count("event=snapshot_chosen") == 1
    assert log.count("event=snapshot_gone_on_with") == len(MOMENTS) - 1
    receipts.append(await town.cast(first=2))
    await town.all_sealed()
    for receipt in receipts:
        found = await town.state_of(lost, receipt["id"])
        assert (found["state"], found["index"], found["outcome"]) == ("ordered", receipt["index"], "accepted")
    for node in town.cluster.nodes:
        assert await town.stop(node) == 0
    assert tables_of(lost) == tables_of(whole) == tables_of(other)
    await town.start(*town.cluster.nodes)
    await town.all_sealed()
