"""Chaos on real node processes: a fault proxy between them, a load of all three jobs, and a seeded plan of troubles.

Afterwards everything is mended, all nodes catch up, everybody opens his photos at every node, and the autopsy reads
what is left on the disks. Troubles that need what this machine does not give are left out, and the report says so.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from ballot_load import BallotLoad, open_http
from cluster import Cluster, NodePlace, find_port_base, init_cluster
from drills.autopsy import Excuses, examine
from drills.fault_proxy import CLEAR, REFUSED, SILENT, Condition, FaultProxy
from drills.fragile_cluster import FragileCluster
from drills.neighbour_load import Neighbours
from drills.settling import settle, stop_in_order
from drills.small_disk import find_obstacle
from drills.troubles import NETWORK, PROCESS, WORDS, Kind, Trouble, plan_troubles
from electorate import Electorate

MEND_S = 45.0
"""A node must be ready so soon after everything was mended."""
CALM_S = 2.0
"""The load goes on so long after that: service must be whole again."""
VOTING_CLIENTS = 12
BALLOT_PAUSE_S = 0.1
REPORTERS = 3
SHOPPERS = 6
VOTERS = 32
PHOTOS_S = 30.0
FULL_DISK_WORDS = ("No space left on device", "disk is full", "disk I/O error")
"""What a node may say in its last words when its disk was full."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do."""

    seed: int = 1
    seconds: float = 60.0
    nodes: int = 3
    port_base: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found. It holds when `faults` is empty. `left_out`: why a kind of trouble was not tried."""

    seed: int
    nodes: int
    seconds: float
    acknowledged: dict[str, int]
    photos: int
    photos_late: int
    height: int
    view: int
    troubles: list[Trouble]
    left_out: dict[Kind, str]
    carried_mb: float
    faults: list[str]


@dataclass(slots=True)
class Chaos:
    """Mutable. Carries a plan out. A node has one trouble of its process at a time, the others wait."""

    cluster: FragileCluster
    tell: Callable[[str], None]
    faults: list[str] = field(default_factory=list)
    filled: set[str] = field(default_factory=set)
    """Nodes whose disk was full once: such a node may end by itself, and says why."""
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def run(self, plan: list[Trouble]) -> None:
        """Every trouble at its time; returns when the last is over and everything is mended."""
        begin_s = time.monotonic()
        self.locks = {node.id: asyncio.Lock() for node in self.cluster.nodes}
        try:
            async with asyncio.TaskGroup() as tasks:
                for trouble in plan:
                    tasks.create_task(self._befall(trouble, begin_s), name=f"{trouble.kind}-{trouble.node}")
        finally:
            self._mend()
        await self._all_ready()

    async def _befall(self, trouble: Trouble, begin_s: float) -> None:
        await asyncio.sleep(max(0.0, begin_s + trouble.begin_s - time.monotonic()))
        if trouble.kind in NETWORK:
            self._say(trouble, begin_s)
            await self._disturb(trouble)
        elif trouble.kind in PROCESS:
            async with self.locks[trouble.node]:
                self._say(trouble, begin_s)
                await self._stop(trouble)
        else:
            self._say(trouble, begin_s)
            affliction = self.cluster.afflictions[trouble.node]
            is_clock = trouble.kind == "clock"
            affliction.set(clock_ms=trouble.clock_ms) if is_clock else affliction.set(sync_ms=trouble.sync_ms)
            await asyncio.sleep(trouble.seconds)
            affliction.set()

    def _say(self, trouble: Trouble, begin_s: float) -> None:
        what = {"clock": f" {trouble.clock_ms} ms", "sync": f" {trouble.sync_ms} ms", "split": f" from {trouble.other}"}
        at_s = time.monotonic() - begin_s
        detail = what.get(trouble.kind, "")
        self.tell(f"{at_s:6.1f} s  {trouble.kind:8} {trouble.node}{detail}, {trouble.seconds:.1f} s")

    async def _disturb(self, trouble: Trouble) -> None:
        """Set directions for a time; the last word on a direction holds."""
        proxy = self.cluster.proxy
        if trouble.kind == "reset":
            for peer in proxy.nodes:
                proxy.reset(trouble.node, peer)
            return
        directions, condition = self._directions(trouble)
        for sender, receiver in directions:
            proxy.set(sender, receiver, condition)
        await asyncio.sleep(trouble.seconds)
        for sender, receiver in directions:
            proxy.set(sender, receiver, CLEAR)

    def _directions(self, trouble: Trouble) -> tuple[list[tuple[str, str]], Condition]:
        node, other, strength = trouble.node, trouble.other, trouble.strength
        peers = [peer for peer in self.cluster.proxy.nodes if peer != node]
        outwards = [(node, peer) for peer in peers]
        both_ways = [*outwards, *((peer, node) for peer in peers)]
        match trouble.kind:
            case "lag":
                return both_ways, Condition(delay_ms=20 + 400 * strength, jitter_ms=300 * strength)
            case "loss":
                return both_ways, Condition(delay_ms=5, loss=0.02 + 0.2 * strength)
            case "drip":
                return outwards, Condition(bytes_per_s=1_000 + int(30_000 * strength))
            case "one_way":
                return outwards, SILENT
            case "split":
                return [(node, other), (other, node)], SILENT
            case "refuse":
                return both_ways, REFUSED
            case _:
                return both_ways, SILENT

    async def _stop(self, trouble: Trouble) -> None:
        """Pause, kill, or fill the disk, and undo it. A node that was told to go on must still be there."""
        cluster, node = self.cluster, self.cluster.node(trouble.node)
        if trouble.kind == "pause":
            cluster.signal(node, signal.SIGSTOP)
            await asyncio.sleep(trouble.seconds)
            cluster.signal(node, signal.SIGCONT)
        elif trouble.kind == "kill":
            await asyncio.to_thread(cluster.kill, node)
            await asyncio.sleep(trouble.seconds)
        else:
            self.filled.add(node.id)
            await asyncio.to_thread(cluster.disks[node.id].fill)
            await asyncio.sleep(trouble.seconds)
            cluster.disks[node.id].free()
        if trouble.kind == "pause" and not cluster.runs(node) and node.id not in self.filled:
            self.faults.append(f"{node.id} ended by itself")
        cluster.start(node)

    def _mend(self) -> None:
        """Undo whatever is left of any trouble."""
        self.cluster.proxy.clear()
        for node in self.cluster.nodes:
            self.cluster.afflictions[node.id].set()
            self.cluster.signal(node, signal.SIGCONT)
            if node.id in self.cluster.disks:
                self.cluster.disks[node.id].free()

    async def _all_ready(self) -> None:
        for node in self.cluster.nodes:
            if not self.cluster.runs(node):
                if node.id not in self.filled:
                    self.faults.append(f"{node.id} ended by itself")
                self.cluster.start(node)
        for node in self.cluster.nodes:
            try:
                await asyncio.to_thread(self._await_ready, node)
            except SystemExit as error:
                self.faults.append(str(error))

    def _await_ready(self, node: NodePlace) -> None:
        """Wait until the node is ready. One that met the full disk while it began ends after it was told to go on."""
        try:
            self.cluster.wait_ready(node, MEND_S)
        except SystemExit:
            if node.id not in self.filled or self.cluster.runs(node):
                raise
            self.cluster.start(node)
            self.cluster.wait_ready(node, MEND_S)


async def run_chaos(folder: Path, plan: Plan, tell: Callable[[str], None]) -> Report:
    """Make a cluster in `folder`, put it through a plan, stop it, and look at what is left."""
    obstacle = find_obstacle()
    left_out: dict[Kind, str] = {"disk": obstacle} if obstacle else {}
    made = init_cluster(folder, plan.nodes, plan.port_base or find_port_base(plan.nodes))
    targets = {node.id: ("127.0.0.1", node.peer_port) for node in made.nodes}
    async with FaultProxy(targets, plan.seed) as proxy, open_http() as http:
        cluster = FragileCluster(folder, proxy, with_disks=not obstacle)
        try:
            for disk in cluster.disks.values():
                disk.mount()
            await asyncio.to_thread(cluster.start_all)
            return await _run(cluster, http, plan, left_out, tell)
        finally:
            await asyncio.to_thread(cluster.stop_all)
            await asyncio.to_thread(cluster.put_disks_back)


async def _run(
    cluster: FragileCluster,
    http: aiohttp.ClientSession,
    plan: Plan,
    left_out: dict[Kind, str],
    tell: Callable[[str], None],
) -> Report:
    voters = Electorate(http, cluster.data, cluster.urls)
    tell(f"gathering {VOTERS} people ...")
    await voters.gather(VOTERS)
    ballots = BallotLoad(voters, await voters.open_motion(), VOTING_CLIENTS, BALLOT_PAUSE_S)
    neighbours = Neighbours(voters, plan.seed)
    await neighbours.take_office()
    chaos = Chaos(cluster, tell)
    troubles = plan_troubles(plan.seed, plan.seconds, [node.id for node in cluster.nodes], frozenset(left_out))
    begin_s = time.monotonic()
    await _under_load(chaos, troubles, ballots, neighbours)
    seconds = time.monotonic() - begin_s
    faults = list(chaos.faults)
    state = await settle(voters, faults)
    late = find_late_photos(cluster, neighbours.photos)
    await _await_photos(cluster, neighbours.photos, faults)
    await neighbours.look_at_photos()
    faults += [*ballots.faults, *neighbours.faults, *await stop_in_order(cluster)]
    acknowledged = [*ballots.acknowledged, *neighbours.acknowledged]
    tell(f"{len(acknowledged)} acknowledged; reading the ledgers ...")
    excuses: Excuses = dict.fromkeys(chaos.filled, FULL_DISK_WORDS)
    faults += await examine(cluster, acknowledged, excuses)
    return Report(
        plan.seed,
        plan.nodes,
        round(seconds, 1),
        count_jobs(ballots, neighbours),
        len(neighbours.photos),
        late,
        state["height"],
        state["view"],
        troubles,
        left_out,
        round(cluster.proxy.passed_bytes / 1e6, 1),
        faults,
    )


async def _under_load(chaos: Chaos, troubles: list[Trouble], ballots: BallotLoad, neighbours: Neighbours) -> None:
    """The people go on until all is mended and a while longer; each then waits for his last receipt."""
    end = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ballots.run(end), name="ballots")
        tasks.create_task(neighbours.run(end, REPORTERS, SHOPPERS), name="neighbours")
        try:
            await chaos.run(troubles)
            await asyncio.sleep(CALM_S)
        finally:
            end.set()


def count_jobs(ballots: BallotLoad, neighbours: Neighbours) -> dict[str, int]:
    """Acknowledged records by job."""
    tickets = neighbours.counts["ticket"]
    return {"ballots": len(ballots.acknowledged), "tickets": tickets, "points": neighbours.counts.total() - tickets}


def find_late_photos(cluster: Cluster, photos: Collection[str]) -> int:
    """How many of these pictures are not on some node's disk yet: a node that was away fetches them by itself."""
    held = [{path.stem for path in (node.folder / "data" / "photos").glob("??/??/*.jpg")} for node in cluster.nodes]
    return sum(len(set(photos) - names) for names in held)


async def _await_photos(cluster: Cluster, photos: Collection[str], faults: list[str]) -> None:
    """Every node gets every picture of an ordered record by itself, soon."""
    deadline = time.monotonic() + PHOTOS_S
    while late := find_late_photos(cluster, photos):
        if time.monotonic() > deadline:
            return faults.append(f"{late} times a node has not fetched a photo by itself")
        await asyncio.sleep(0.5)


def print_report(report: Report) -> None:
    """What befell, and what it comes to."""
    print(f"{'at s':>7}  {'for s':>5}  {'trouble':8} {'node':10} what")
    for one in report.troubles:
        print(f"{one.begin_s:7.1f}  {one.seconds:5.1f}  {one.kind:8} {one.node:10} {WORDS[one.kind]}")
    for kind, why in report.left_out.items():
        print(f"left out: {kind} ({WORDS[kind]}): {why}")
    jobs = ", ".join(f"{count} {job}" for job, count in report.acknowledged.items())
    print(f"\nseed {report.seed}, {report.nodes} nodes: {len(report.troubles)} troubles in {report.seconds:.0f} s")
    print(f"acknowledged: {jobs}")
    print(f"{report.photos} photos, {report.photos_late} times fetched by a node that had been away")
    print(f"height {report.height}, view {report.view}, {report.carried_mb} MB between the nodes")
    for fault in report.faults:
        print(f"FAULT: {fault}")
    print("Everything promised holds." if not report.faults else f"{len(report.faults)} faults.")
