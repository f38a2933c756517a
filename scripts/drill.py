"""Drills on a real cluster: three node processes under load, killed without mercy; nothing acknowledged may be lost.

    python3 scripts/drill.py kills [--kills 50] [--seed N] [--clients 64] [--json]

Starts a throw-away cluster on loopback with a synthetic electorate, kills -9 each node in turn at seeded moments, and
reads the three databases afterwards. Exits 0 when every promise held: each acknowledged record stands once in every
ledger, no silence was longer than 10 s, every node came back by itself, and replay gives the same rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise, zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import aiohttp

from autopsy import examine
from ballot_load import BallotLoad, open_http
from cluster import Cluster, find_port_base, init_cluster
from electorate import Electorate
from nemesis import Nemesis, Wound, plan_strikes

SILENCE_S_MAX = 10.0
"""Service must be back so soon after a kill, while a quorum of the processes runs."""
FOLLOW_S = 15.0
"""By then the processes that a node started must have followed it."""
SEAL_S = 30.0
"""In calm, all members must have signed the end of the log by then."""


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


async def run_drill(folder: Path, plan: Plan, tell: Callable[[str], None]) -> Report:
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
    state = await _settle(voters, faults)
    for node in cluster.nodes:
        code = await asyncio.to_thread(cluster.stop, node)
        if code != 0:
            faults.append(f"{node.id} ended with {code} when it was asked to stop")
    faults += await _find_left_behind(cluster)
    tell(f"{len(load.acknowledged)} acknowledged; reading the ledgers ...")
    faults += await examine(cluster, load.acknowledged)
    blows = list_blows(nemesis.wounds, [one.at_s for one in load.acknowledged], end_s)
    faults += [f"silence of {one.silence_s} s after {one.node}" for one in blows if one.silence_s >= SILENCE_S_MAX]
    return Report(
        plan.seed, round(end_s - begin_s, 1), len(load.acknowledged), state["height"], state["view"], blows, faults
    )


async def _find_left_behind(cluster: Cluster) -> list[str]:
    """Processes that should have ended with their nodes, and have not in good time."""
    deadline = time.monotonic() + FOLLOW_S
    while left := await asyncio.to_thread(cluster.left_behind):
        if time.monotonic() > deadline:
            return [f"{len(left)} processes of nodes that ended live on: {left[:5]}"]
        await asyncio.sleep(0.1)
    return []


async def _strike_under_load(load: BallotLoad, nemesis: Nemesis, plan: Plan) -> None:
    """The clients vote until the last node is back; each then waits for its last receipt."""
    end = asyncio.Event()
    voting = asyncio.create_task(load.run(end), name="load")
    try:
        await nemesis.run(plan_strikes(plan.seed, plan.kills, plan.pause_s_max))
    finally:
        end.set()
        await voting


async def _settle(voters: Electorate, faults: list[str]) -> dict[str, int]:
    """Wait until every node holds and has sealed the same log; its last state as the first node tells it."""
    deadline = time.monotonic() + SEAL_S
    while True:
        states = await asyncio.gather(*(_state(voters, node) for node in range(len(voters.urls))))
        sizes = [(state["size"], state["sealed_size"]) for state in states]
        if len({size for pair in sizes for size in pair}) == 1:
            return states[0]
        if time.monotonic() > deadline:
            faults.append(f"not sealed after {SEAL_S:.0f} s of calm: (size, sealed size) of the nodes are {sizes}")
            return states[0]
        await asyncio.sleep(0.1)


async def _state(voters: Electorate, node: int) -> dict[str, int]:
    try:
        return dict(await voters.officer().call("GET", "/api/v1/cluster", node=node))
    except (aiohttp.ClientError, TimeoutError, OSError):
        return {"size": -1, "sealed_size": 0, "height": 0, "view": 0}


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


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Drill a throw-away cluster of node processes.")
    parser.add_argument("drill", choices=("kills",), help="kills: kill -9 of each node in turn, under load")
    parser.add_argument("--kills", type=int, default=50, help="how many (50)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    parser.add_argument("--clients", type=int, default=64, help="closed loops of ballots (64)")
    parser.add_argument("--voters", type=int, default=256, help="heads on the roll, at least one a client (256)")
    parser.add_argument("--port-base", type=int, default=0, help="first public port; 0 finds free ones")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave it behind")
    options = parser.parse_args()
    plan = Plan(options.kills, options.seed, options.clients, options.voters, port_base=options.port_base)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="linli-drill-") as folder:
        report = asyncio.run(run_drill(options.keep or Path(folder) / "cluster", plan, tell))
    print(json.dumps(asdict(report), indent=1)) if options.json else print_report(report)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
