"""What the simulation is worth: every barrier left out, every rule broken, is caught."""

from collections.abc import Iterable

import pytest

from tests.simulation.disk import BARRIERS
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.options import Options, swarm
from tests.simulation.world import run


def first_failure(options: Iterable[Options]) -> str:
    """What the oracles say first, or nothing."""
    for each in options:
        failures = run(each).failures
        if failures:
            return failures[0]
    return ""


@pytest.mark.parametrize("barrier", BARRIERS)
def test_each_barrier_of_the_sync_table_that_is_left_out_is_noticed(barrier: str) -> None:
    options = (swarm(3, seed, skip=frozenset([barrier])) for seed in range(1, 21))
    assert first_failure(options).startswith("output-commit")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.patch(monkeypatch)
    assert first_failure(map(mutant.options, mutant.seeds)) != ""


def test_the_unbroken_rules_pass_where_the_broken_ones_are_caught() -> None:
    lone = next(mutant for mutant in MUTANTS if mutant.name.startswith("a new view forgets"))
    assert first_failure(map(lone.options, range(1, 41))) == ""
