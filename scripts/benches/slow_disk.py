"""Disks that take their time: first one node's, then all nodes' syncs last longer, turn by turn with disks as they are.

The delay is made where Python meets the operating system (`drills.affliction`): journal and signer file wait, SQLite's
own syncs do not. It must not know what is synced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ballot_load import open_http
from benches.ballots import measure_ballots
from benches.turn import Turn, middle
from cluster import Cluster, NodePlace, find_port_base, init_cluster
from drills.affliction import Affliction
from electorate import Electorate

VOTERS = 500
AS_THEY_ARE, ONE_SLOW, ALL_SLOW = "as they are", "one slow", "all slow"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: each of the three states of the disks takes a turn a round."""

    clients: int
    ballots: int
    rounds: int
    sync_ms: int


class AfflictedCluster(Cluster):
    """Mutable. A cluster whose nodes' syncs can be made slow while they run."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.afflictions = {node.id: Affliction(node.folder / "affliction") for node in self.nodes}

    def start(self, node: NodePlace, extra: dict[str, str] | None = None) -> None:
        """Start a node that feels its affliction."""
        super().start(node, {**self.afflictions[node.id].variables(), **(extra or {})})

    def slow(self, nodes: Sequence[NodePlace], sync_ms: int) -> None:
        """From now on the syncs of these nodes take so much more, those of the others nothing."""
        for node in self.nodes:
            self.afflictions[node.id].set(sync_ms=sync_ms if node in nodes else 0)


async def run(folder: Path, plan: Plan, tell: Callable[[str], None]) -> list[Turn]:
    """Make a cluster in `folder` and measure. The system of a turn is the state of the disks."""
    init_cluster(folder, port_base=find_port_base())
    cluster = AfflictedCluster(folder)
    try:
        cluster.start_all()
        async with open_http() as http:
            voters = Electorate(http, cluster.data, cluster.urls)
            tell("making the electorate ...")
            await voters.gather(VOTERS)
            return await _measure(cluster, voters, plan, tell)
    finally:
        cluster.stop_all()


async def _measure(
    cluster: AfflictedCluster, voters: Electorate, plan: Plan, tell: Callable[[str], None]
) -> list[Turn]:
    states = {AS_THEY_ARE: [], ONE_SLOW: cluster.nodes[:1], ALL_SLOW: cluster.nodes}
    turns = []
    for _ in range(plan.rounds):
        for name, nodes in states.items():
            cluster.slow(nodes, plan.sync_ms)
            turn = await measure_ballots(cluster, voters, plan.clients, plan.ballots)
            turns.append(replace(turn, system=name))
            tell(f"{turns[-1]}")
    cluster.slow([], 0)
    return turns


def table_lines(turns: Sequence[Turn], plan: Plan) -> list[str]:
    """Medians of each state, and what is lost beside disks as they are."""
    lines = [
        f"syncs of the journal take {plan.sync_ms} ms more, {plan.clients} clients, medians of {plan.rounds} turns",
        f"{'disks':12} {'ballots/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'V':>6} {'load':>5} {'loss':>6}",
    ]
    usual = middle([turn.records_per_s for turn in turns if turn.system == AS_THEY_ARE])
    for name in (AS_THEY_ARE, ONE_SLOW, ALL_SLOW):
        group = [turn for turn in turns if turn.system == name]
        rate = middle([turn.records_per_s for turn in group])
        lines.append(
            f"{name:12} {rate:9.1f} {middle([turn.p50_ms for turn in group]):8.1f}"
            f" {middle([turn.p99_ms for turn in group]):8.1f} {middle([turn.cost_v for turn in group]):6.2f}"
            f" {middle([turn.load_average for turn in group]):5.1f} {1 - rate / usual:6.0%}"
        )
    return lines
