"""What the simulation is worth: every barrier left out, every rule broken, is caught, and by whom it should be."""

import pytest

from tests.simulation.mutant import Mutant, hunt
from tests.simulation.mutants import MUTANTS
from tests.simulation.world import run


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_rule_left_out_is_noticed_by_the_oracle_that_should(mutant: Mutant) -> None:
    catch = hunt(mutant)
    assert catch.is_by(mutant), catch


def test_the_unbroken_rules_pass_where_the_broken_ones_are_caught() -> None:
    lone = next(mutant for mutant in MUTANTS if mutant.name.startswith("a new view forgets"))
    assert [each for seed in range(1, 41) for each in run(lone.options(seed)).failures] == []
