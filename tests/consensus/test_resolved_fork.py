"""After a fork was resolved no certificate leads back to the abandoned branch, and retired keys accuse nobody (D32)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.consensus.config import Config
from server.consensus.evidence import Evidence, accuse, is_of_epoch
from server.consensus.frames import encode_frame
from server.consensus.messages import Prepare
from tests.consensus.cluster import Bench, heights, only
from tests.consensus.test_evidence import line
from tests.consensus.test_normal import signed
from tests.consensus.test_sync import reply

OTHER = "o" * 42 + "A"
X, Y = "x" * 42 + "A", "y" * 42 + "A"


class Decided(Bench):
    """Mutable. a and b have committed some blocks; c has none, and begins with what its operator has told it."""

    def __init__(self, blocks: int = 3) -> None:
        self.pinned: tuple[tuple[int, str], ...] = ()
        self.epoch = self.first_size = 0
        super().__init__()
        for index in range(blocks):
            self.submit("a", f"r{index}")
            self.deliver(only("a", "b"))

    def config(self, member: str) -> Config:
        """What c is told."""
        config = super().config(member)
        return (
            replace(config, pinned=self.pinned, epoch=self.epoch, first_size=self.first_size)
            if member == "c"
            else config
        )

    def tell(self, *pinned: tuple[int, str], epoch: int = 0) -> None:
        """c begins anew: these blocks count, and this epoch is in force."""
        self.pinned, self.epoch = pinned, epoch
        self.restart("c")
        self.drop()


@pytest.mark.parametrize(("height", "stored"), [(1, 0), (2, 1), (3, 2)])
def test_a_certified_block_that_operators_have_abandoned_is_not_fetched(height: int, stored: int) -> None:
    bench = Decided()
    bench.tell((height, OTHER))
    bench.receive("c", "a", encode_frame(reply(bench)))
    bench.deliver(lambda source, target, name: False)
    assert heights(bench, "c") == [stored]
    assert bench["c"].state.counters["abandoned"] == 1
    assert bench["c"].state.phase != "stopped", "it goes on asking for the kept branch"


def test_the_blocks_that_they_have_kept_are_fetched_like_any() -> None:
    bench = Decided()
    bench.tell(*((height, bench["a"].blocks[height - 1][0].block_id) for height in (2, 3)))
    bench.receive("c", "a", encode_frame(reply(bench)))
    assert heights(bench, "c") == [3]


def test_votes_do_not_commit_an_abandoned_block_either() -> None:
    bench = Decided(blocks=0)
    bench.tell((1, OTHER))
    bench.tick(after_ms=300)
    bench.deliver()
    bench.submit("a")
    bench.deliver()
    assert heights(bench) == [1, 1, 0]
    assert bench["c"].state.counters["abandoned"] > 0


# ---------------------------------------------------------------- retired keys


@pytest.mark.parametrize(("first_size", "phase"), [(0, "stopped"), (100, "normal")])
def test_lines_that_old_keys_gave_the_abandoned_branch_stop_nobody(first_size: int, phase: str) -> None:
    """Whoever kept them may send them again; in an epoch whose own trees they are they would mean divergence."""
    bench = Decided()
    bench.receive("c", "a", encode_frame(reply(bench)))
    bench.deliver(lambda source, target, name: False)
    assert heights(bench, "c") == [3]
    bench.first_size = first_size
    bench.tell()
    size = bench["c"].state.tip.size
    for member in "ab":
        bench.receive("c", member, encode_frame(line(member, size, b"1" * 32)))
    assert bench["c"].state.phase == phase


@pytest.mark.parametrize(("first_size", "is_taken"), [(0, True), (100, False)])
def test_an_own_line_under_an_abandoned_tree_is_not_taken_for_what_the_new_key_signed(
    first_size: int, is_taken: bool
) -> None:
    bench = Decided()
    bench.first_size = first_size
    bench.tell()
    bench.receive("c", "a", encode_frame(line("c", 9, b"1" * 32)))
    assert (bench["c"].state.signer is not None) == is_taken


def double_vote(epoch: int) -> Evidence:
    """b signed two votes in this epoch."""
    votes = [signed(Prepare(block_id=block, epoch=epoch, height=1, sender="b", view=0)) for block in (X, Y)]
    found = accuse(*votes)
    assert found is not None
    return found


def test_evidence_is_of_the_epoch_in_which_it_was_signed() -> None:
    evidence = double_vote(0)
    assert is_of_epoch(evidence, 0, 0)
    assert not is_of_epoch(evidence, 1, 0)


@pytest.mark.parametrize(("epoch", "culprits"), [(0, ["b"]), (1, [])])
def test_who_comes_back_with_new_keys_is_counted_whatever_its_old_ones_signed(epoch: int, culprits: list[str]) -> None:
    bench = Decided()
    bench["c"].evidence.append(double_vote(0).packed)
    bench.tell(epoch=epoch)
    state = bench["c"].state
    assert list(state.evidence) == [double_vote(0).id], "it is known for ever"
    assert list(state.culprits) == culprits
