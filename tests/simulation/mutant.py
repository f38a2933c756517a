"""A broken protocol: one rule of the core left out, the runs in which that must show, and the oracle that must see it.

A seed count says little; what a simulation is worth is measured by what it catches (consensus.md 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.simulation.options import Options
from tests.simulation.world import run

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule left out, and the runs in which that must show."""

    name: str
    patch: Patch
    options: Callable[[int], Options]
    oracles: tuple[str, ...]
    """Who may catch it: any of these, and nobody else first. More than one where chance decides who comes first."""
    seeds: range = range(1, 61)


@dataclass(frozen=True, slots=True)
class Catch:
    """Who caught a mutant, saying what, in which seed and after how many. `oracle` is empty: it lives."""

    oracle: str = ""
    detail: str = ""
    seed: int = 0
    seeds: int = 0

    def is_by(self, mutant: Mutant) -> bool:
        """Whether the oracle is one that should."""
        return self.oracle in mutant.oracles


def hunt(mutant: Mutant) -> Catch:
    """Run the mutant's seeds until an oracle fires."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.patch(patch)
        for count, seed in enumerate(mutant.seeds, start=1):
            failures = run(mutant.options(seed)).failures
            if failures:
                oracle, _, detail = failures[0].partition(": ")
                return Catch(oracle, detail, seed, count)
    return Catch(seeds=len(mutant.seeds))
