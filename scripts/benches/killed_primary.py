"""The gap after kill -9 of the primary: how long nobody is answered, and what who waited then had to wait.

Clients post and post again as phones do (`ballot_load`), so the gap is the residents', not the protocol's. Nothing
acknowledged may be missing: each kill's ballots are asked for again at the end. It must not know why a view changes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import aiohttp

from ballot_load import Acknowledged, BallotLoad, open_http
from benches.turn import P99, middle, percentile
from cluster import Cluster, find_port_base, init_cluster
from electorate import Electorate

CALM_S = 5.0
"""Load before a kill: its own figures are what the gap is seen against."""
WINDOW_S = 10.0
"""From the kill on: what was acknowledged in it makes the figures of the kill."""
BACK_S = 30.0


@dataclass(frozen=True, slots=True)
class Gap:
    """One kill: the longest silence in the window, and p99 of what was acknowledged before it and in it."""

    node: str
    clients: int
    gap_s: float
    calm_p99_ms: float
    window_p99_ms: float
    calm_per_s: float
    window_per_s: float
    load_average: float


class AcknowledgedLost(Exception):
    """A node that was asked afterwards does not hold what was acknowledged."""


async def run(folder: Path, clients: int, kills: int, tell: Callable[[str], None]) -> list[Gap]:
    """Make a cluster in `folder` and kill its primary so many times. Raises AcknowledgedLost."""
    cluster = init_cluster(folder, port_base=find_port_base())
    try:
        cluster.start_all()
        async with open_http() as http:
            voters = Electorate(http, cluster.data, cluster.urls)
            tell("making the electorate ...")
            await voters.gather(max(clients, 100))
            return [await _kill_once(cluster, voters, clients, tell) for _ in range(kills)]
    finally:
        cluster.stop_all()


async def _kill_once(cluster: Cluster, voters: Electorate, clients: int, tell: Callable[[str], None]) -> Gap:
    load = BallotLoad(voters, await voters.open_motion(), clients)
    end = asyncio.Event()
    voting = asyncio.create_task(load.run(end), name="load")
    begin_s = time.monotonic()
    try:
        await asyncio.sleep(CALM_S)
        state = await voters.officer().call("GET", "/api/v1/cluster")
        primary = cluster.nodes[int(state["view"]) % len(cluster.nodes)]
        killed_s = time.monotonic()
        await asyncio.to_thread(cluster.kill, primary)
        await asyncio.sleep(WINDOW_S)
    finally:
        end.set()
        await voting
    cluster.start(primary)
    await asyncio.to_thread(cluster.wait_ready, primary, BACK_S)
    if load.faults:
        raise AcknowledgedLost("; ".join(load.faults[:3]))
    await _ask_again(voters, load.acknowledged)
    gap = judge_gap(primary.id, clients, load.acknowledged, begin_s, killed_s)
    tell(f"{gap}")
    return gap


async def _ask_again(voters: Electorate, acknowledged: Sequence[Acknowledged]) -> None:
    """The last thousand of before and after the kill are asked for at every node in turn."""
    for number, one in enumerate(acknowledged[-1_000:]):
        node = number % len(voters.urls)
        try:
            state = await voters.officer().call("GET", f"/api/v1/records/{one.id}", node=node)
        except aiohttp.ClientError as error:
            raise AcknowledgedLost(f"{one.id}: {error}") from error
        if state["state"] not in ("ordered", "pending") or state.get("index", one.index) != one.index:
            raise AcknowledgedLost(f"{one.id} was acknowledged at {one.index}, node {node} says {state}")


def judge_gap(node: str, clients: int, acknowledged: Sequence[Acknowledged], begin_s: float, killed_s: float) -> Gap:
    """The figures of a kill. Raises ValueError when nothing was acknowledged before it or in its window."""
    end_s = killed_s + WINDOW_S
    calm = [one for one in acknowledged if begin_s <= one.at_s < killed_s]
    window = [one for one in acknowledged if killed_s <= one.at_s < end_s]
    edges = [killed_s, *sorted(one.at_s for one in window), end_s]
    return Gap(
        node,
        clients,
        round(max(later - earlier for earlier, later in pairwise(edges)), 2),
        round(percentile([one.took_s for one in calm], P99) * 1000),
        round(percentile([one.took_s for one in window], P99) * 1000),
        round(len(calm) / (killed_s - begin_s), 1),
        round(len(window) / WINDOW_S, 1),
        round(os.getloadavg()[0], 1),
    )


def table_lines(gaps: Sequence[Gap]) -> list[str]:
    """A line a kill, and the median and the longest gap."""
    lines = [
        f"{'killed':10} {'clients':>7} {'gap s':>6} {'p99 ms':>7} {'calm p99':>8} {'/s':>7} {'calm /s':>7} {'load':>5}"
    ]
    lines += [
        f"{one.node:10} {one.clients:7} {one.gap_s:6.2f} {one.window_p99_ms:7.0f} {one.calm_p99_ms:8.0f}"
        f" {one.window_per_s:7.0f} {one.calm_per_s:7.0f} {one.load_average:5.1f}"
        for one in gaps
    ]
    longest = max(one.gap_s for one in gaps)
    lines.append(f"gap: median {middle([one.gap_s for one in gaps]):.2f} s, longest {longest:.2f} s; nothing was lost")
    return lines
