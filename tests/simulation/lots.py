"""What is run, as the command line and the tests name it: a cluster, a seed, whose lie, under which rules.

A lot says everything about its run, so that a failing one can be kept and run again: see regressions.json.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.liars import NAMES, TWIN
from tests.simulation.options import Options, days, swarm
from tests.simulation.rules import DomainScene
from tests.simulation.small import SmallScene
from tests.simulation.world import Note, World

REGRESSIONS = Path(__file__).with_name("regressions.json")
"""Seeds that once showed a fault of the core or of the test machine. They pass now, and are run for ever."""
_NODES = (3,) * 12 + (4,) * 6 + (1, 7)
"""How often a mixed seed takes a cluster of which size."""


@dataclass(frozen=True, slots=True)
class Lot:
    """One run. Its seed decides everything else that chance decides."""

    nodes: int
    seed: int
    liar: str = ""
    strict: bool = False
    rules: bool = False
    upgrades: bool = False
    changes: int = 0
    """How often operators change the members; with the rules only."""
    skip: frozenset[str] = field(default_factory=frozenset)

    @property
    def options(self) -> Options:
        """Every choice that the seed makes."""
        if self.rules:
            twins, liar = self.liar == TWIN, "" if self.liar == TWIN else self.liar
            many = days(self.nodes, self.seed, twins, self.skip, upgrades=self.upgrades, liar=liar)
            return replace(many, changes=self.changes)
        return swarm(self.nodes, self.seed, False, self.skip, self.liar, self.strict)

    @property
    def command(self) -> str:
        """How to see it again, as a story."""
        words = ["python3 scripts/simulate.py", f"--nodes {self.nodes}", f"--seeds {self.seed}..{self.seed}"]
        words += [f"--liar {self.liar}"] if self.liar else []
        set_words = (("--strict", self.strict), ("--rules", self.rules), ("--upgrades", self.upgrades))
        words += [name for name, is_set in set_words if is_set]
        words += [f"--changes {self.changes}"] if self.changes else []
        words += [f"--skip {name}" for name in sorted(self.skip)]
        return " ".join([*words, "--trace"])

    def world(self, note: Note | None = None) -> World:
        """The world to run."""
        return World(self.options, note, DomainScene if self.rules else SmallScene)


def mixed(seed: int) -> Lot:
    """A seed of the nightly mixture: any size of cluster, half of them with a liar of any kind, one in twelve strict.

    One in forty runs the platform's own rules; those know no liar but a second copy.
    """
    random = Random(f"mixed {seed}")
    nodes = random.choice(_NODES)
    liar = random.choice(NAMES) if nodes > 1 and random.random() < 0.5 else ""
    rules = random.random() < 0.025
    if rules:
        return Lot(nodes, seed, "twin" if liar and nodes >= 4 else "", rules=True)
    return Lot(nodes, seed, liar, strict=random.random() < 0.08)


@dataclass(frozen=True, slots=True)
class Regression:
    """A lot that is kept, and what it once showed."""

    lot: Lot
    showed: str


def regressions() -> list[Regression]:
    """All that are kept."""
    return [_regression(each) for each in json.loads(REGRESSIONS.read_text("utf-8"))]


def _regression(kept: dict[str, Any]) -> Regression:
    showed = kept.pop("showed")
    return Regression(Lot(**{**kept, "skip": frozenset(kept.get("skip", ()))}), showed)


def in_json(lot: Lot) -> dict[str, object]:
    """The lot as it would be kept: what is not set is left out."""
    return {name: sorted(value) if name == "skip" else value for name, value in asdict(lot).items() if value}
