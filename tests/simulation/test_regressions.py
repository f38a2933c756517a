"""Seeds that once showed something. They are run for ever; none is ever skipped."""

import pytest

from tests.simulation.lots import Regression, in_json, mixed, regressions


@pytest.mark.parametrize("kept", regressions(), ids=lambda kept: kept.lot.command)
def test_a_seed_that_was_kept_passes(kept: Regression) -> None:
    assert kept.lot.world().run().failures == (), kept.showed


def test_what_is_kept_says_what_it_showed() -> None:
    assert all(len(kept.showed) > 20 for kept in regressions())


def test_a_mixed_seed_is_the_same_lot_every_time_and_all_kinds_occur() -> None:
    lots = [mixed(seed) for seed in range(1, 401)]
    assert lots == [mixed(seed) for seed in range(1, 401)]
    assert {lot.nodes for lot in lots} == {1, 3, 4, 7}
    assert any(lot.rules for lot in lots)
    assert any(lot.strict for lot in lots)
    assert len({lot.liar for lot in lots}) > 25
    assert in_json(lots[0]).keys() >= {"nodes", "seed"}
