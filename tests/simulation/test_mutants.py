"""What the simulation is worth: every barrier left out, every rule broken, is caught."""

from collections.abc import Iterator

import pytest

from tests.simulation.disk import BARRIERS
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.options import swarm
from tests.simulation.world import run


def first_failure(nodes: int, seeds: Iterator[int] | tuple[int, ...], skip: frozenset[str] = frozenset()) -> str:
    """What the oracles say first, or nothing."""
    for seed in seeds:
        failures = run(swarm(nodes, seed, skip=skip)).failures
        if failures:
            return failures[0]
    return ""


@pytest.mark.parametrize("barrier", BARRIERS)
def test_each_barrier_of_the_sync_table_that_is_left_out_is_noticed(barrier: str) -> None:
    assert first_failure(3, tuple(range(1, 21)), frozenset([barrier])).startswith("output-commit")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.patch(monkeypatch)
    assert first_failure(mutant.nodes, mutant.seeds) != ""
