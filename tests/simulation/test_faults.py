"""Each fault by itself: it does happen, and the cluster bears it."""

from dataclasses import replace

import pytest

from tests.simulation.disk import Disk
from tests.simulation.options import Options
from tests.simulation.world import World

CRASHING = Options(3, 0, crash=0.05)
FAULTS = {
    "waits for": replace(CRASHING, crash=0, clog=0.3),
    "has a clock that is": replace(CRASHING, crash=0, jump=0.1),
    "the disk is full": replace(CRASHING, crash=0, disk_error=0.01),
    "the disk could not sync": replace(CRASHING, crash=0, disk_error=0.01),
    "does not start: its journal is damaged": replace(CRASHING, rot=0.5),
    "has its ledger put back": replace(CRASHING, restore=0.5),
    "is put back from an image": replace(CRASHING, nodes=4, liar="restored"),
    "partition one way": replace(CRASHING, crash=0, partition=0.3),
    "is paused until": replace(CRASHING, crash=0, pause=0.05),
    "crashes": replace(CRASHING, nemesis=0.05),
}
"""What the story says, and the options under which it must."""


@pytest.mark.parametrize("told", FAULTS)
def test_a_fault_happens_and_is_borne(told: str) -> None:
    happened = 0
    for seed in range(1, 5):
        story: list[str] = []
        world = World(replace(FAULTS[told], seed=seed), lambda now, who, what, story=story: story.append(what))
        assert world.run().failures == (), seed
        happened += sum(told in line for line in story)
    assert happened > 0


def test_a_slow_disk_and_blocks_that_come_rotten_from_it_are_borne() -> None:
    for seed in range(1, 5):
        report = World(replace(CRASHING, seed=seed, stall=0.05, serve_rot=0.5, lone=0.1)).run()
        assert report.failures == ()


def test_a_damaged_journal_is_never_started_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is worth something: a disk that reads over the damage is noticed."""

    def read_over(self: Disk) -> tuple[object, ...]:
        return ()

    monkeypatch.setattr(Disk, "journal", read_over)
    found = [World(replace(CRASHING, seed=seed, rot=0.9)).run().failures for seed in range(1, 6)]
    assert any(each.startswith("rot: ") for failures in found for each in failures[:1])
