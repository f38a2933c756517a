"""The autopsy finds nothing wrong with a sound cluster, and everything that is done to its remains afterwards."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from ballot_load import Acknowledged, BallotLoad
from cluster import Cluster, NodePlace
from drills.autopsy import examine
from drills.neighbour_load import Neighbours
from drills.settling import settle, stop_in_order
from tests.cluster.running import running_town

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

LOAD_S = 3.0
VOTERS, CLIENTS, REPORTERS, SHOPPERS = 16, 4, 2, 4


@dataclass(frozen=True, slots=True)
class Remains:
    """A stopped cluster, and what its people were told."""

    cluster: Cluster
    acknowledged: list[Acknowledged]

    def copy_to(self, folder: Path) -> Remains:
        shutil.copytree(self.cluster.data, folder)
        return Remains(Cluster(folder), list(self.acknowledged))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def remains(tmp_path_factory: pytest.TempPathFactory) -> Remains:
    """What some seconds of all three jobs leave behind."""
    async with running_town(tmp_path_factory.mktemp("remains"), VOTERS) as town:
        ballots, neighbours = BallotLoad(town.voters, town.motion, CLIENTS), Neighbours(town.voters, seed=1)
        await neighbours.take_office()
        end = asyncio.Event()
        work = asyncio.gather(ballots.run(end), neighbours.run(end, REPORTERS, SHOPPERS))
        await asyncio.sleep(LOAD_S)
        end.set()
        await work
        faults: list[str] = []
        await settle(town.voters, faults)
        await neighbours.look_at_photos()
        assert faults + ballots.faults + neighbours.faults + await stop_in_order(town.cluster) == []
        assert neighbours.photos
        return Remains(town.cluster, [*ballots.acknowledged, *neighbours.acknowledged])


async def test_a_sound_cluster_has_no_fault(remains: Remains) -> None:
    assert await examine(remains.cluster, remains.acknowledged) == []


def change(node: NodePlace, statement: str) -> None:
    with sqlite3.connect(node.folder / "data" / "node.db") as database:
        assert database.execute(statement).rowcount > 0
    database.close()


def first_photo(node: NodePlace) -> Path:
    return next((node.folder / "data" / "photos").glob("??/??/*.jpg"))


def lose_photo(node: NodePlace) -> None:
    first_photo(node).unlink()


def spoil_photo(node: NodePlace) -> None:
    path = first_photo(node)
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")


def give_points(node: NodePlace) -> None:
    change(
        node, "UPDATE account SET credits = credits + 1 WHERE id = (SELECT id FROM account WHERE credits > 0 LIMIT 1)"
    )


def lose_signature(node: NodePlace) -> None:
    change(node, "DELETE FROM cosignature WHERE size = (SELECT MAX(size) FROM cosignature) AND member = 'owners'")


def change_entry(node: NodePlace) -> None:
    change(
        node,
        """UPDATE entry SET content = CAST(replace(content, '"height":2', '"height":3') AS BLOB) WHERE height = 2""",
    )


def lose_block(node: NodePlace) -> None:
    change(node, "DELETE FROM entry WHERE height = (SELECT MAX(height) FROM block)")
    change(node, "DELETE FROM block WHERE height = (SELECT MAX(height) FROM block)")


def stop_replica(node: NodePlace) -> None:
    with node.log.open("a") as log:
        log.write("timestamp=2026-01-01T00:00:00Z level=error event=replica_stopped reason=fork\n")


@pytest.mark.parametrize(
    ("deed", "finding"),
    [
        (lose_photo, "photos are not whole at property"),
        (spoil_photo, "photos are not whole at property"),
        (give_points, "rows of property replay otherwise"),
        (lose_signature, "property: only 2 members have signed the end of the log"),
        (change_entry, "owners and property differ at entry"),
        (lose_block, "owners ends after block"),
        (stop_replica, "has 1 lines like: timestamp="),
    ],
)
async def test_what_is_done_to_one_node_is_found(
    remains: Remains, tmp_path: Path, deed: Callable[[NodePlace], None], finding: str
) -> None:
    copy = remains.copy_to(tmp_path / "copy")
    deed(copy.cluster.node("property"))
    faults = await examine(copy.cluster, copy.acknowledged)
    assert any(finding in fault for fault in faults), faults


async def test_a_promise_that_the_ledger_does_not_hold_is_found(remains: Remains, tmp_path: Path) -> None:
    copy = remains.copy_to(tmp_path / "copy")
    first, second, third, *others = copy.acknowledged
    told = [replace(first, id="A" * 43), replace(second, index=second.index + 1), replace(third, outcome="expired")]
    faults = await examine(copy.cluster, [*told, *others])
    for node in copy.cluster.nodes:
        assert any(f"1 acknowledged records are not in {node.id}'s ledger" in fault for fault in faults)
        assert any(f"2 records of {node.id} stand otherwise" in fault for fault in faults)
