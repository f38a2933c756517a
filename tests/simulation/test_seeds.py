"""Whole clusters under faults, from seeds. A failing seed is mended and kept here, never skipped."""

import pytest

from tests.simulation.hash_seeds import differing_outputs
from tests.simulation.network import Weather
from tests.simulation.options import Options, swarm
from tests.simulation.world import Report, World, run

CHUNKS = (
    [(3, first, 30) for first in range(1, 301, 30)]
    + [(4, first, 20) for first in range(1, 101, 20)]
    + [(1, 1, 20), (7, 1, 5), (7, 6, 5)]
)
"""(nodes, first seed, count): 300 seeds of three nodes, 100 of four, 20 of one, 10 of seven."""


def said(reports: list[Report], nodes: int, twins: bool = False) -> list[str]:
    """What the oracles said, with the command that replays each failing seed."""
    extra = " --twins" if twins else ""
    command = f"python3 scripts/simulate.py --nodes {nodes}{extra} --trace --seeds"
    return [f"{command} {each.seed}..{each.seed}: {each.failures[0]}" for each in reports if each.failures]


@pytest.mark.parametrize(("nodes", "first", "count"), CHUNKS)
def test_no_oracle_fires_under_faults(nodes: int, first: int, count: int) -> None:
    reports = [run(swarm(nodes, seed)) for seed in range(first, first + count)]
    assert said(reports, nodes) == []
    assert all(report.blocks > 0 for report in reports)


def test_tables_stay_bounded_over_a_thousand_blocks() -> None:
    """Boundaries, lines, votes and journal: what is kept does not grow with the chain."""
    weather = Weather(loss=0.03, duplicate=0.05, delay_ms=8)
    options = Options(3, 1, weather=weather, records=1_500, fault_ms=240_000, crash=0.004, mute=0.05, lone=0.002)
    world = World(options)
    report = world.run()
    assert report.failures == ()
    assert report.blocks > 900
    assert max(len(node.disk.journal()) for node in world.nodes) < 400


@pytest.mark.parametrize("first", [1, 21])
def test_four_nodes_bear_one_member_that_runs_twice(first: int) -> None:
    reports = [run(swarm(4, seed, twins=True)) for seed in range(first, first + 20)]
    assert said(reports, 4, twins=True) == []
    assert not any(report.forks for report in reports)


def test_three_nodes_may_fork_what_is_committed_but_never_what_is_sealed_when_a_member_runs_twice() -> None:
    """consensus.md 1.3 H4: the honest statement. Forks do happen; what all members signed never conflicts."""
    reports = [run(swarm(3, seed, twins=True)) for seed in range(1, 61)]
    assert said(reports, 3, twins=True) == []
    assert any(report.forks for report in reports)


def test_without_faults_a_cluster_stays_in_its_first_view() -> None:
    report = run(Options(3, 1, fault_ms=0, records=10))
    assert report.failures == ()
    assert report.views == 0


@pytest.mark.parametrize("seed", [3, 17, 42])
def test_the_same_seed_gives_the_same_frames(seed: int) -> None:
    assert run(swarm(3, seed)) == run(swarm(3, seed))


def test_hash_randomisation_changes_nothing() -> None:
    """Nothing in the core depends on the order of a set: another PYTHONHASHSEED, the same frames."""
    program = (
        "from tests.simulation.options import swarm\n"
        "from tests.simulation.world import run\n"
        "print([run(swarm(n, seed)).fingerprint for n, seed in ((3, 5), (3, 8), (4, 6))])\n"
    )
    assert len(differing_outputs(program)) == 1


def test_views_change_and_blocks_are_named_by_new_views_in_these_seeds() -> None:
    """The seeds are worth something: most of them change views, and crash nodes in the middle of effects."""
    options = [swarm(3, seed) for seed in range(1, 101)]
    assert sum(each.crash_between > 0 for each in options) > 20
    assert sum(each.nemesis > 0 for each in options) > 20
    assert sum(each.weather.loss > 0 for each in options) > 40
    assert sum(run(each).views > 0 for each in options[:20]) > 10
