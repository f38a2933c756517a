"""Whoever kills nodes: a seeded plan of kill -9, each node in turn, at moments that hurt, and what came of each.

A killed node is started again after a seeded pause and must come back by itself. It must not know what the load does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp

from cluster import Cluster, NodePlace

Moment = Literal["load", "primary", "catching_up", "pair"]
MOMENTS: tuple[tuple[Moment, int], ...] = (("load", 5), ("primary", 2), ("catching_up", 2), ("pair", 1))
"""When a node is killed, with weights: while it serves; while it leads; while it comes back; just after another one."""
SETTLED_S_MAX = 2.0
"""Longest time of calm between the return of all nodes and the next kill."""
RETURN_S = 60.0
"""A node that is not back by then does not come back by itself."""
POLL_S = 0.1
READY_BEHIND_MAX = 50
"""What a node knows of the others is as old as their last STATUS, and this machine orders many blocks meanwhile."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One kill of the plan."""

    moment: Moment
    after_s: float
    pause_s: float


@dataclass(slots=True)
class Wound:
    """Mutable. What a strike did. Times are those of the monotonic clock; 0 is never."""

    node: str
    moment: Moment
    killed_s: float
    height: int = 0
    """The greatest height of the others when the node was started again: it must get there."""
    started_s: float = 0.0
    alive_s: float = 0.0
    """Since when its new process answers."""
    ready_s: float = 0.0
    struck_again: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)


def plan_strikes(seed: int, kills: int, pause_s_max: float) -> list[Strike]:
    """The plan of a seed. The first strike finds all nodes up; no pair follows a pair, so that a quorum can live."""
    chance = random.Random(seed)  # noqa: S311 - a plan to be repeated, not a secret
    moments, weights = zip(*MOMENTS, strict=True)
    plan: list[Strike] = []
    for _ in range(kills):
        moment: Moment = chance.choices(moments, weights)[0] if plan else "load"
        if moment in ("pair", "catching_up") and plan[-1].moment not in ("load", "primary"):
            moment = "load"
        soon = moment in ("pair", "catching_up")
        after_s = chance.uniform(0.0, 0.3 if moment == "pair" else SETTLED_S_MAX)
        plan.append(Strike(moment, after_s, chance.uniform(0.0, 0.5 if soon else pause_s_max)))
    return plan


@dataclass(slots=True)
class Nemesis:
    """Mutable. Carries a plan out on a running cluster; `wounds` tells what happened."""

    cluster: Cluster
    http: aiohttp.ClientSession
    tell: Callable[[str], None]
    wounds: list[Wound] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _returning: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self, plan: Sequence[Strike]) -> None:
        """Strike after strike; returns when every node is back."""
        try:
            for number, strike in enumerate(plan, start=1):
                wound = await self._strike(strike)
                self.tell(f"{number:3}/{len(plan)} kill -9 {wound.node} ({wound.moment})")
                if self.faults:
                    break
            await self.all_back()
        finally:
            for task in self._returning.values():
                task.cancel()

    async def all_back(self) -> None:
        """Wait until the nodes that were killed are ready again."""
        await asyncio.gather(*self._returning.values())

    async def _strike(self, strike: Strike) -> Wound:
        victim = await self._choose(strike)
        if victim.id in self._returning:
            self._returning.pop(victim.id).cancel()
        last = next((wound for wound in reversed(self.wounds) if wound.node == victim.id), None)
        if last is not None and not last.ready_s:
            last.struck_again = True
        wound = Wound(victim.id, strike.moment, time.monotonic())
        await asyncio.to_thread(self.cluster.kill, victim)
        self.wounds.append(wound)
        self._returning[victim.id] = asyncio.create_task(self._bring_back(victim, wound, strike.pause_s))
        return wound

    async def _choose(self, strike: Strike) -> NodePlace:
        """Wait for the strike's moment, then name its victim."""
        nodes = self.cluster.nodes
        if strike.moment in ("load", "primary"):
            await self.all_back()
            await asyncio.sleep(strike.after_s)
            return await self._leader() if strike.moment == "primary" else self._least_struck()
        last = self.wounds[-1]
        place = next(place for place, node in enumerate(nodes) if node.id == last.node)
        if strike.moment == "catching_up":
            await last.started.wait()
        await asyncio.sleep(strike.after_s)
        return nodes[place if strike.moment == "catching_up" else (place + 1) % len(nodes)]

    def _least_struck(self) -> NodePlace:
        """Whose turn it is: who leads is not in the plan, so turns taken by place alone could spare a node."""
        strikes = Counter(wound.node for wound in self.wounds)
        return min(self.cluster.nodes, key=lambda node: strikes[node.id])

    async def _leader(self) -> NodePlace:
        states = [state for state in [await self._state(node) for node in self.cluster.nodes] if state]
        view = max((int(state["view"]) for state in states), default=0)
        return self.cluster.nodes[view % len(self.cluster.nodes)]

    async def _bring_back(self, node: NodePlace, wound: Wound, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        heights = [state["height"] for state in [await self._state(other) for other in self.cluster.nodes] if state]
        wound.height = max(heights, default=0)
        self.cluster.start(node)
        wound.started_s = time.monotonic()
        wound.started.set()
        while time.monotonic() < wound.started_s + RETURN_S:
            if await self._is_back(node, wound):
                return
            await asyncio.sleep(POLL_S)
        self.faults.append(f"{node.id} did not come back within {RETURN_S:.0f} s")

    async def _is_back(self, node: NodePlace, wound: Wound) -> bool:
        """Is it ready, and has it, whatever it says itself, the blocks that the others had when it was started?"""
        if not wound.alive_s and await self._get(node, "/healthz"):
            wound.alive_s = time.monotonic()
        state = await self._state(node) if await self._get(node, "/readyz") else None
        if state is None:
            return False
        height = int(state["height"])
        if not wound.ready_s and height < wound.height - READY_BEHIND_MAX:
            self.faults.append(f"{node.id} claims to be ready at height {height}, others had {wound.height}")
        wound.ready_s = wound.ready_s or time.monotonic()
        return height >= wound.height

    async def _state(self, node: NodePlace) -> dict[str, Any] | None:
        return await self._get(node, "/api/v1/cluster")

    async def _get(self, node: NodePlace, path: str) -> dict[str, Any] | None:
        try:
            async with self.http.get(node.url + path, timeout=aiohttp.ClientTimeout(total=2.0)) as answer:
                return dict(await answer.json()) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
