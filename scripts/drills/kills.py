"""The drill of kills: three node processes under load, killed without mercy; nothing acknowledged may be lost.

Each node is killed in turn at seeded moments; afterwards the three databases are read. The drill holds when each
acknowledged record stands once in every ledger, no silence was longer than 10 s, every node came back by itself, and
replay gives the same rows. `scripts/drill.py kills` runs it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, zip_longest
from pathlib import Path

import aiohttp

from ballot_load import BallotLoad, open_http
from cluster import Cluster, find_port_base, init_cluster
from drills.autopsy import examine
from drills.nemesis import Nemesis, Wound, plan_strikes
from drills.settling import settle, stop_in_order
from electorate import Electorate

SILENCE_S_MAX = 10.0
"""Service must be back so soon after a kill, while a quorum of the processes runs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a drill is to do."""

    kills: int = 50
    seed: int = 1
    clients: int = 64
    voters: int = 256
    pause_s_max: float = 3.0
    port_base: int = 0


@dataclass(frozen=True, slots=True)
class Blow:
    """One kill as reported: the longest silence that followed, and how long the node's return took, in seconds."""

    node: str
    moment: str
    silence_s: float
    back_s: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a drill found. It holds when `faults` is empty."""

    seed: int
    seconds: float
    acknowledged: int
    height: int
    view: int
    blows: list[Blow]
    faults: list[str]


async def run_kills(folder: Path, plan: Plan, tell: Callable[[str], None]) -> Report:
    """Make a cluster in `folder`, drill it, stop it, and look at what is left."""
    cluster = init_cluster(folder, port_base=plan.port_base or find_port_base())
    try:
        cluster.start_all()
        async with open_http() as http:
            return await _drill(cluster, http, plan, tell)
    finally:
        cluster.stop_all()


async def _drill(cluster: Cluster, http: aiohttp.ClientSession, plan: Plan, tell: Callable[[str], None]) -> Report:
    voters = Electorate(http, cluster.data, cluster.urls)
    tell(f"gathering {plan.voters} voters ...")
    await voters.gather(plan.voters)
    load = BallotLoad(voters, await voters.open_motion(), plan.clients)
    nemesis = Nemesis(cluster, http, tell)
    begin_s = time.monotonic()
    await _strike_under_load(load, nemesis, plan)
    end_s = time.monotonic()
    faults = [*load.faults, *nemesis.faults]
    state = await settle(voters, faults)
    faults += await stop_in_order(cluster)
    tell(f"{len(load.acknowledged)} acknowledged; reading the ledgers ...")
    faults += await examine(cluster, load.acknowledged)
    blows = list_blows(nemesis.wounds, [one.at_s for one in load.acknowledged], end_s)
    faults += [f"silence of {one.silence_s} s after {one.node}" for one in blows if one.silence_s >= SILENCE_S_MAX]
    return Report(
        plan.seed, round(end_s - begin_s, 1), len(load.acknowledged), state["height"], state["view"], blows, faults
    )


async def _strike_under_load(load: BallotLoad, nemesis: Nemesis, plan: Plan) -> None:
    """The clients vote until the last node is back; each then waits for its last receipt."""
    end = asyncio.Event()
    voting = asyncio.create_task(load.run(end), name="load")
    try:
        await nemesis.run(plan_strikes(plan.seed, plan.kills, plan.pause_s_max))
    finally:
        end.set()
        await voting


def list_blows(wounds: Sequence[Wound], acknowledged_s: Sequence[float], end_s: float) -> list[Blow]:
    """The longest silence after each kill, until the next. Time in which fewer than two nodes live is not counted."""
    outages = list_outages(wounds)
    blows = []
    for wound, following in zip_longest(wounds, wounds[1:]):
        until = following.killed_s if following else end_s
        since = wound.killed_s
        edges = sorted([since, end_s, *(at for at in acknowledged_s if at > since), *(end for _, end in outages)])
        silences = [_silence(a, b, outages) for a, b in pairwise(edges) if since <= a < until]
        back_s = None if wound.struck_again or not wound.ready_s else round(wound.ready_s - wound.started_s, 1)
        blows.append(Blow(wound.node, wound.moment, round(max(silences, default=0.0), 1), back_s))
    return blows


def list_outages(wounds: Sequence[Wound]) -> list[tuple[float, float]]:
    """(begin, end) of the times in which two nodes had no process that answers."""
    pairs = [(one, two) for one, two in combinations(wounds, 2) if one.node != two.node]
    spans = [(max(one.killed_s, two.killed_s), min(_end(one, wounds), _end(two, wounds))) for one, two in pairs]
    return [(begin, end) for begin, end in spans if begin < end]


def _end(wound: Wound, wounds: Sequence[Wound]) -> float:
    """When the node answered again; one that was killed before it did stays dead with the next wound."""
    again = next((one.killed_s for one in wounds if one.node == wound.node and one.killed_s > wound.killed_s), None)
    return wound.alive_s or again or float("inf")


def _silence(begin: float, end: float, outages: Sequence[tuple[float, float]]) -> float:
    return end - begin - sum(max(0.0, min(end, stop) - max(begin, start)) for start, stop in outages)


def print_report(report: Report) -> None:
    """The table of kills, and what it comes to."""
    print(f"{'kill':>4}  {'node':10} {'moment':12} {'silence s':>9} {'back s':>7}")
    for number, blow in enumerate(report.blows, start=1):
        back = "again" if blow.back_s is None else f"{blow.back_s:.1f}"
        print(f"{number:4}  {blow.node:10} {blow.moment:12} {blow.silence_s:9.1f} {back:>7}")
    kills = Counter(blow.node for blow in report.blows)
    longest = max((blow.silence_s for blow in report.blows), default=0.0)
    print(f"\nseed {report.seed}: {len(report.blows)} kills in {report.seconds:.0f} s, {dict(sorted(kills.items()))}")
    print(f"{report.acknowledged} records acknowledged, height {report.height}, view {report.view}")
    print(f"longest silence {longest:.1f} s (bound {SILENCE_S_MAX:.0f} s)")
    for fault in report.faults:
        print(f"FAULT: {fault}")
    print("Nothing acknowledged was lost." if not report.faults else f"{len(report.faults)} faults.")
