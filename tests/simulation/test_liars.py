"""One member lies, in every way that we know of. What each size of cluster then still promises (consensus.md 1.4)."""

import pytest

from tests.simulation.liars import FORKS_THREE, LIARS, NAMES
from tests.simulation.lots import Lot
from tests.simulation.world import Report

HARMLESS = sorted({*NAMES} - FORKS_THREE)
"""Liars that may not even fork what three nodes call committed: they say what a certificate would have to prove."""


def reports(nodes: int, seeds: range, liar: str, strict: bool = False) -> dict[str, Report]:
    """How they went, by the command that shows each again."""
    lots = [Lot(nodes, seed, liar, strict) for seed in seeds]
    return {lot.command: lot.world().run() for lot in lots}


def failures(found: dict[str, Report]) -> list[str]:
    """What the oracles say."""
    return [f"{command}: {each}" for command, report in found.items() for each in report.failures]


@pytest.mark.parametrize("liar", NAMES)
def test_four_nodes_bear_one_liar_of_any_kind(liar: str) -> None:
    """Agreement, liveness, and that nobody honest is blamed: no oracle fires."""
    found = reports(4, range(1, 4), liar)
    assert failures(found) == []
    assert not any(report.forks for report in found.values())


@pytest.mark.parametrize("liar", sorted(FORKS_THREE))
def test_three_nodes_never_fork_what_is_sealed_nor_blame_the_honest(liar: str) -> None:
    assert failures(reports(3, range(1, 9), liar)) == []


@pytest.mark.parametrize("liar", HARMLESS)
def test_three_nodes_bear_whoever_cannot_vote_twice(liar: str) -> None:
    found = reports(3, range(1, 6), liar)
    assert failures(found) == []
    assert not any(report.forks for report in found.values())


@pytest.mark.parametrize("liar", sorted(FORKS_THREE))
def test_three_nodes_that_ask_for_everybody_stop_rather_than_fork(liar: str) -> None:
    found = reports(3, range(1, 3), liar, strict=True)
    assert failures(found) == []
    assert not any(report.forks for report in found.values())


def test_liars_are_worth_something() -> None:
    """An equivocating primary does fork three nodes."""
    found = reports(3, range(1, 31), "equivocating-primary")
    assert sum(report.forks > 0 for report in found.values()) >= 3


def test_every_liar_is_declared_once() -> None:
    assert len(set(LIARS.values())) == len(LIARS)
