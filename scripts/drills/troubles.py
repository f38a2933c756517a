"""What can befall nodes that really run, as a seeded plan: bad networks, stopped and killed processes, sick machines.

A plan is pure: when, what, to whom, for how long, how badly. `scripts/drills/chaos.py` carries it out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "lag", "loss", "drip", "cut", "one_way", "split", "refuse", "reset", "pause", "kill", "clock", "disk", "sync"
]
NETWORK: frozenset[Kind] = frozenset({"lag", "loss", "drip", "cut", "one_way", "split", "refuse", "reset"})
PROCESS: frozenset[Kind] = frozenset({"pause", "kill", "disk"})
"""Troubles that stop a node altogether."""
WEIGHTS: dict[Kind, int] = {
    "lag": 3,
    "loss": 3,
    "drip": 2,
    "cut": 3,
    "one_way": 3,
    "split": 3,
    "refuse": 1,
    "reset": 3,
    "pause": 4,
    "kill": 4,
    "clock": 3,
    "disk": 2,
    "sync": 2,
}
WORDS: dict[Kind, str] = {
    "lag": "every byte to and from it is late",
    "loss": "segments to and from it are lost and sent again",
    "drip": "what it sends drips",
    "cut": "nothing reaches it and nothing leaves it, and nobody is told",
    "one_way": "it hears the others, they do not hear it",
    "split": "it and one other node do not hear each other",
    "refuse": "its connections are refused",
    "reset": "its connections are reset",
    "pause": "its process is stopped and goes on later (SIGSTOP, SIGCONT)",
    "kill": "its process is killed (kill -9) and started again",
    "clock": "its clock jumps, and back again",
    "disk": "its disk is full; it is started again when there is space",
    "sync": "its disk takes its time to sync",
}
CLOCK_MS = (-3_600_000, -60_000, -8_000, -2_000, 2_000, 8_000, 15_000)
"""Jumps of a clock. What is more than five seconds off must not be proposed (consensus.md 2.7). A replica's time never
runs back: one whose clock was ahead stands still until the true time has caught up, so these jumps are short."""
SYNC_MS = (20, 100, 400)
SECONDS = (1.0, 7.0)
PAUSES_S = (0.3, 3.0)
"""Between the beginnings of troubles: shorter than they last, so that several befall at a time."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble: from `begin_s` of the run for `seconds`. `strength` is between 0 and 1; `other` a second node."""

    begin_s: float
    seconds: float
    kind: Kind
    node: str
    other: str
    strength: float

    @property
    def clock_ms(self) -> int:
        """The jump of a clock."""
        return _pick(CLOCK_MS, self.strength)

    @property
    def sync_ms(self) -> int:
        """What a sync takes more."""
        return _pick(SYNC_MS, self.strength)


def _pick(values: Sequence[int], strength: float) -> int:
    return values[min(int(strength * len(values)), len(values) - 1)]


def plan_troubles(seed: int, seconds: float, nodes: Sequence[str], left_out: frozenset[Kind]) -> list[Trouble]:
    """The plan of a seed: every kind that is not left out comes before one comes again for the third time.

    Which kinds are left out changes no other trouble's time, so that one seed is one run on every machine.
    """
    chance = random.Random(seed)  # noqa: S311 - a plan to be repeated, not a secret
    plan: list[Trouble] = []
    at_s = chance.uniform(*PAUSES_S)
    bag: list[Kind] = []
    while at_s < seconds:
        if not bag:
            bag = _shuffle(chance)
        node, other = chance.sample(list(nodes), 2)
        lasting_s = min(chance.uniform(*SECONDS), seconds - at_s)
        trouble = Trouble(round(at_s, 2), round(lasting_s, 2), bag.pop(), node, other, chance.random())
        if trouble.kind not in left_out:
            plan.append(trouble)
        at_s += chance.uniform(*PAUSES_S)
    return plan


def _shuffle(chance: random.Random) -> list[Kind]:
    """Each kind once, then as many more as weigh: a short run meets most kinds."""
    first = list(WEIGHTS)
    chance.shuffle(first)
    kinds, weights = zip(*WEIGHTS.items(), strict=True)
    more: list[Kind] = chance.choices(kinds, weights, k=len(kinds))
    return [*more, *first]
