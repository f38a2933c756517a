"""The drill of an upgrade: three node processes get a later release in turn, under a load of all three jobs.

Then officers of two organisations have its rules begin at a height, and the load goes on across it. At the end one node
is put back to the older release, which must stop with a clear word and serve what it has. The older release is the
product's own program, or that of an earlier commit; the later one is `drills.next_release`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from ballot_load import BallotLoad, open_http
from client import ApiError, Person
from cluster import ROOT, Cluster, NodePlace, find_port_base, init_cluster
from drills.autopsy import Excuses, examine
from drills.chaos import count_jobs
from drills.neighbour_load import Neighbours
from drills.next_release import GRANT_MAX, NEXT_RULEBOOK
from drills.settling import settle, stop_in_order
from electorate import Electorate

VOTING_CLIENTS = 12
BALLOT_PAUSE_S = 0.1
REPORTERS = 3
SHOPPERS = 6
VOTERS = 32
CALM_S = 2.0
"""The load goes on so long after each step."""
READY_S = 45.0
KNOWN_S = 20.0
"""By then every node has heard what the others know."""
HEIGHTS_AHEAD = 40
"""Blocks between the officers' word and the first block of the new rules; under load some seconds."""
BEGUN_S = 60.0
NEXT_VERSION = NEXT_RULEBOOK.newest
TOO_OLD = "this release is too old"
EXCUSE = ("outdated",)
"""Why the node that is put back to the older release stops."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a drill is to do. `old`: a commit whose program is the older release; empty: that of this checkout."""

    old: str = ""
    seed: int = 1
    port_base: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a drill found. It holds when `faults` is empty. `away_s`: how long each node was away to be replaced."""

    old: str
    seconds: float
    away_s: dict[str, float]
    acknowledged: dict[str, int]
    activation_height: int
    height: int
    view: int
    outdated: str
    faults: list[str]


class MixedCluster(Cluster):
    """Mutable. A cluster whose nodes run one of two releases, each with the configuration of every day."""

    def __init__(self, data: Path, old: Path) -> None:
        super().__init__(data)
        self._old = old
        self.upgraded: set[str] = set()

    def command(self, node: NodePlace) -> list[str]:
        """The later release's program for a node that is upgraded."""
        module = "drills.next_release" if node.id in self.upgraded else "server"
        return [sys.executable, "-m", module, str(node.config)]

    def program_folder(self, node: NodePlace) -> Path:
        """A program finds its own code in the folder that it is started in."""
        return ROOT if node.id in self.upgraded else self._old

    def start(self, node: NodePlace, extra: dict[str, str] | None = None) -> None:
        """Start a node's process, of its release."""
        places = [str(ROOT / "scripts"), *filter(None, [os.environ.get("PYTHONPATH")])]
        path = {"PYTHONPATH": os.pathsep.join(places)} if node.id in self.upgraded else {}
        super().start(node, {**path, **(extra or {})})


@dataclass(slots=True)
class Upgrade:
    """Mutable. The steps, under load, and what went otherwise than it should."""

    cluster: MixedCluster
    voters: Electorate
    tell: Callable[[str], None]
    http: aiohttp.ClientSession
    faults: list[str] = field(default_factory=list)
    away_s: dict[str, float] = field(default_factory=dict)
    activation_height: int = 0
    outdated: str = ""

    async def run(self) -> None:
        """Replace every node, then activate, while the load goes on."""
        await self._expect_grant("accepted")
        for node in self.cluster.nodes:
            if node is self.cluster.nodes[-1]:
                await self._expect_unsupported()
            await self._replace(node, upgraded=True)
            await asyncio.sleep(CALM_S)
        if await self._wait(self._all_know, KNOWN_S, "not every node says that all nodes know the later rules"):
            await self._activate()

    async def _replace(self, node: NodePlace, *, upgraded: bool) -> None:
        """Stop one node in order, and start it with the other release."""
        begin_s = time.monotonic()
        code = await asyncio.to_thread(self.cluster.stop, node)
        if code != 0:
            self.faults.append(f"{node.id} ended with {code} when it was to be replaced")
        (self.cluster.upgraded.add if upgraded else self.cluster.upgraded.discard)(node.id)
        self.cluster.start(node)
        if not upgraded:
            return
        await asyncio.to_thread(self.cluster.wait_ready, node, READY_S)
        away_s = round(time.monotonic() - begin_s, 1)
        self.away_s.setdefault(node.id, away_s)
        self.tell(f"{node.id} runs the later release after {away_s} s")

    async def _activate(self) -> None:
        """Officers of as many organisations as must approve sign the same height; the load carries the nodes there."""
        height = max([(await self._state(node)).get("height", 0) for node in self.cluster.nodes]) + HEIGHTS_AHEAD
        self.activation_height = height
        for place in range(self.voters.genesis.policy.approvals):
            await self.voters.officer(place).do("rules.activate", {"height": height, "version": NEXT_VERSION})
        self.tell(f"rules {NEXT_VERSION} are to begin at block {height}")
        if await self._wait(self._all_follow, BEGUN_S, f"rules {NEXT_VERSION} have not begun on every node"):
            self.tell(f"rules {NEXT_VERSION} are in force")
            await self._expect_grant("over_grant_cap")

    async def _expect_unsupported(self) -> None:
        """While one node is of the older release, nobody can have the new rules begin."""
        upgraded = [place for place, node in enumerate(self.cluster.nodes) if node.id in self.cluster.upgraded]
        body = {"height": 1_000_000, "version": NEXT_VERSION}
        for place in upgraded:
            said = await self._refusal(self.voters.officer(place), body, place)
            if said != "rules_unsupported":
                self.faults.append(f"{self.cluster.nodes[place].id} answered an early activation with {said}")

    async def _refusal(self, officer: Person, body: dict[str, Any], place: int) -> str:
        try:
            return str(await officer.post(officer.sign("rules.activate", body), node=place))
        except ApiError as error:
            return error.code or str(error)

    async def _expect_grant(self, outcome: str) -> None:
        """More points than the later rules let anybody grant at once."""
        grantor, activity = self._grantor, f"rules-{outcome.replace('_', '-')}"
        member = self.voters.voters[0].person.member
        body = {"activity": activity, "amount": GRANT_MAX + 1, "member": member, "programme": "drill", "reason": "演练"}
        try:
            said = str((await grantor.deliver(grantor.sign("points.grant", body)))["outcome"])
        except ApiError as error:
            said = error.code or str(error)
        if said != outcome:
            self.faults.append(f"a grant beyond the later rules was answered {said}, not {outcome}")

    @property
    def _grantor(self) -> Person:
        return self.voters.voters[-1].person

    async def go_back(self) -> None:
        """One node is started with the older release again: it stops, says why, and serves what it has."""
        node = self.cluster.nodes[0]
        size = (await self._state(node)).get("size", -1)
        await self._replace(node, upgraded=False)

        async def is_stopped() -> bool:
            status, ready = await self._ask(node, "/readyz")
            self.outdated = str(ready.get("reason", "")) if status == 503 else ""
            return TOO_OLD in self.outdated

        if await self._wait(is_stopped, READY_S, f"{node.id} does not say that its release is too old"):
            self.tell(f"{node.id} with the older release: {self.outdated}")
        if (await self._state(node)).get("size", -1) != size:
            self.faults.append(f"{node.id} does not serve what it had")
        await self._replace(node, upgraded=True)

    async def _all_know(self) -> bool:
        states = [await self._state(node) for node in self.cluster.nodes]
        return all(one.get("rules") == NEXT_VERSION for state in states for one in state.get("nodes", [{}]))

    async def _all_follow(self) -> bool:
        return all([(await self._state(node)).get("rules") == NEXT_VERSION for node in self.cluster.nodes])

    async def _state(self, node: NodePlace) -> dict[str, Any]:
        return (await self._ask(node, "/api/v1/cluster"))[1]

    async def _ask(self, node: NodePlace, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a GET; status 0 while nobody answers."""
        try:
            async with self.http.get(node.url + path) as answer:
                return answer.status, dict(await answer.json())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}

    async def _wait(self, holds: Callable[[], Any], within_s: float, fault: str) -> bool:
        deadline = time.monotonic() + within_s
        while not await holds():
            if time.monotonic() > deadline:
                self.faults.append(fault)
                return False
            await asyncio.sleep(0.1)
        return True


async def run_upgrade(folder: Path, plan: Plan, tell: Callable[[str], None]) -> Report:
    """Make a cluster in `folder`, upgrade it under load, stop it, and look at what is left."""
    init_cluster(folder, port_base=plan.port_base or find_port_base())
    old = await asyncio.to_thread(_check_out, plan.old, folder / "old-release") if plan.old else ROOT
    cluster = MixedCluster(folder, old)
    try:
        await asyncio.to_thread(cluster.start_all)
        async with open_http() as http:
            return await _drill(cluster, http, plan, tell)
    finally:
        await asyncio.to_thread(cluster.stop_all)


def _check_out(commit: str, folder: Path) -> Path:
    """The program of a commit. Raises SystemExit when there is no such commit here."""
    folder.mkdir()
    made = subprocess.run(["git", "archive", commit, "server"], cwd=ROOT, capture_output=True, check=False)
    if made.returncode:
        raise SystemExit(f"there is no release {commit} here: {made.stderr.decode('utf-8', 'replace').strip()}")
    subprocess.run(["tar", "-x"], cwd=folder, input=made.stdout, check=True)
    return folder


async def _drill(cluster: MixedCluster, http: aiohttp.ClientSession, plan: Plan, tell: Callable[[str], None]) -> Report:
    voters = Electorate(http, cluster.data, cluster.urls)
    tell(f"gathering {VOTERS} people ...")
    await voters.gather(VOTERS)
    ballots = BallotLoad(voters, await voters.open_motion(), VOTING_CLIENTS, BALLOT_PAUSE_S)
    neighbours = Neighbours(voters, plan.seed)
    await neighbours.take_office()
    upgrade = Upgrade(cluster, voters, tell, http)
    begin_s = time.monotonic()
    await _under_load(upgrade, ballots, neighbours)
    seconds = round(time.monotonic() - begin_s, 1)
    state = await settle(voters, upgrade.faults)
    if not plan.old and not upgrade.faults:
        await upgrade.go_back()
        state = await settle(voters, upgrade.faults)
    acknowledged = [*ballots.acknowledged, *neighbours.acknowledged]
    faults = [*upgrade.faults, *ballots.faults, *neighbours.faults, *await stop_in_order(cluster)]
    tell(f"{len(acknowledged)} acknowledged; reading the ledgers ...")
    excuses: Excuses = {cluster.nodes[0].id: EXCUSE}
    faults += await examine(cluster, acknowledged, excuses, NEXT_RULEBOOK)
    return Report(
        plan.old,
        seconds,
        upgrade.away_s,
        count_jobs(ballots, neighbours),
        upgrade.activation_height,
        state["height"],
        state["view"],
        upgrade.outdated,
        faults,
    )


async def _under_load(upgrade: Upgrade, ballots: BallotLoad, neighbours: Neighbours) -> None:
    """The people go on until the new rules are in force and a while longer; each then waits for his last receipt."""
    end = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ballots.run(end), name="ballots")
        tasks.create_task(neighbours.run(end, REPORTERS, SHOPPERS), name="neighbours")
        try:
            await asyncio.sleep(CALM_S)
            await upgrade.run()
            await asyncio.sleep(CALM_S)
        finally:
            end.set()


def print_report(report: Report) -> None:
    """What was done, and what it comes to."""
    print(f"older release: {report.old or 'the program of this checkout'}")
    for node, seconds in report.away_s.items():
        print(f"{node:10} away for {seconds:.1f} s")
    jobs = ", ".join(f"{count} {job}" for job, count in report.acknowledged.items())
    print(f"acknowledged in {report.seconds:.0f} s: {jobs}")
    print(f"rules {NEXT_VERSION} from block {report.activation_height} on; height {report.height}, view {report.view}")
    if report.outdated:
        print(f"the older release afterwards: {report.outdated}")
    for fault in report.faults:
        print(f"FAULT: {fault}")
    print("Nothing acknowledged was lost." if not report.faults else f"{len(report.faults)} faults.")
