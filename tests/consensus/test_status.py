"""Retransmission by STATUS (consensus.md 2.3, 2.5): what a peer lacks is sent until it has it, nothing blindly."""

import pytest

from tests.consensus.cluster import Bench, heights, only
from tests.consensus.test_view_change import suspect_frame


def settle(bench: Bench, rounds: int = 4) -> None:
    """Time passes; nothing is lost any more."""
    for _ in range(rounds):
        bench.tick(after_ms=250)
        bench.deliver()


@pytest.mark.parametrize("name", ["pre-prepare", "prepare", "commit", "cosign", "executed", "request"])
def test_a_frame_lost_by_everybody_is_sent_again(name: str) -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(lambda source, target, each: each != name)
    settle(bench)
    assert heights(bench) == [1, 1, 1]
    assert [seat.state.checkpoints.sealed_size for seat in bench.seats.values()] == [2, 2, 2]
    assert [seat.state.view for seat in bench.seats.values()] == [0, 0, 0]


@pytest.mark.parametrize("name", ["suspect", "view-change", "new-view"])
def test_a_lost_frame_of_a_view_change_is_sent_again(name: str) -> None:
    bench = Bench()
    bench.submit("b", "waiting")
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=1_100)
    bench.deliver(lambda source, target, each: each != name and "a" not in (source, target))
    for _ in range(3):
        bench.tick("b", "c", after_ms=250)
        bench.deliver(only("b", "c"))
    assert heights(bench, ("b", "c")) == [1, 1]
    assert [bench[member].state.view for member in ("b", "c")] == [1, 1]


def test_a_replica_left_behind_in_views_is_brought_to_the_present_one() -> None:
    bench = Bench()
    bench.submit("b", "waiting")
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=1_100)
    bench.deliver(only("b", "c"))
    assert bench["a"].state.view == 0
    settle(bench)
    assert [bench[member].state.view for member in bench.members] == [1, 1, 1]
    assert heights(bench) == [1, 1, 1]


def test_a_pending_record_that_a_peer_never_got_is_sent_again_but_not_at_every_status() -> None:
    bench = Bench()
    bench.submit("b")
    bench.drop()
    bench.tick(after_ms=250)
    bench.deliver(lambda source, target, name: name == "status")
    assert "request" not in bench.names()
    bench.tick(after_ms=250)
    bench.deliver_one()
    sent = 0
    while bench.wire:
        sent += bench.names()[0] == "request"
        bench.deliver_one(lambda source, target, name: name == "status")
    assert 1 <= sent <= 2


def test_nothing_is_resent_to_a_peer_that_lacks_nothing() -> None:
    bench = Bench()
    bench.agree()
    settle(bench)
    bench.tick(after_ms=250)
    assert dict.fromkeys(bench.names()) == {"status": None}
    bench.deliver()
    assert bench.wire == []


def test_status_is_told_once_in_each_interval() -> None:
    bench = Bench()
    bench.tick("a", after_ms=250)
    bench.tick("a", after_ms=100)
    bench.tick("a", after_ms=99)
    assert bench.names("a") == ["status", "status"]
    bench.tick("a", after_ms=1)
    assert bench.names("a") == ["status"] * 4


def test_a_waiting_primary_gets_the_view_changes_it_lacks() -> None:
    bench = Bench()
    for member in ("b", "c"):
        for sender in ("a", "b", "c"):
            if sender != member:
                bench.receive(member, sender, suspect_frame(sender))
    bench.drop()
    assert [bench[member].state.phase for member in ("b", "c")] == ["changing", "changing"]
    bench.tick("b", "c", after_ms=250)
    bench.deliver(only("b", "c"))
    assert [bench[member].state.phase for member in ("b", "c")] == ["normal", "normal"]
