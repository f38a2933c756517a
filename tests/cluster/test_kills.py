"""Nodes are killed in turn while everybody votes: nothing acknowledged is lost, and service comes back by itself.

The long run is `python3 scripts/drill.py kills`; this is the same drill with fewer kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.kills import Plan, run_kills

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(300)]

KILLS = 8
NODES = 3


async def test_nothing_acknowledged_is_lost_when_nodes_are_killed_in_turn(tmp_path: Path) -> None:
    plan = Plan(kills=KILLS, seed=11, clients=64, voters=128, pause_s_max=1.0)
    report = await run_kills(tmp_path / "cluster", plan, print)
    assert report.faults == []
    assert len(report.blows) == KILLS
    assert len({blow.node for blow in report.blows}) == NODES
    assert report.acknowledged > plan.clients, "clients went on voting through the kills"
