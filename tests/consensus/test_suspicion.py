"""Who waits for what, and for how long (PBFT 4.5.2; consensus.md 2.5; decisions 4, 7, 22)."""

import pytest

from server.consensus import events
from server.consensus.block import pack_attachments
from server.consensus.frames import encode_frame
from server.consensus.messages import RequestMessage
from server.consensus.suspicion import patience_ms, reason_to_suspect
from tests.consensus.cluster import Bench, heights, only
from tests.consensus.test_normal import proposal
from tests.consensus.test_view_change import suspect_frame


def suspects(bench: Bench, member: str) -> bool:
    """Whether the member has lost patience with its view."""
    return bench[member].state.suspicion is not None


def test_an_idle_cluster_suspects_nobody() -> None:
    bench = Bench()
    bench.tick(after_ms=3_600_000)
    assert [suspects(bench, member) for member in bench.members] == [False, False, False]


def test_a_record_that_is_not_ordered_in_time_makes_its_holder_suspect() -> None:
    bench = Bench()
    bench.submit("b")
    bench.tick("b", after_ms=999)
    assert not suspects(bench, "b")
    bench.tick("b", after_ms=1)
    assert suspects(bench, "b")


def test_a_record_that_this_node_would_not_include_drives_no_suspicion() -> None:
    bench = Bench()
    bench.submit("b")
    bench.step("b", events.Rejected("r1"))
    bench.tick("b", after_ms=5_000)
    assert not suspects(bench, "b")


def test_an_expired_record_drives_no_suspicion() -> None:
    bench = Bench()
    bench.submit("b", life_ms=900)
    bench.tick("b", after_ms=5_000)
    assert not suspects(bench, "b")
    assert len(bench["b"].state.pool) == 0


def test_a_record_of_a_peer_counts_only_when_the_driver_admits_it() -> None:
    bench = Bench()
    bench.submit("c", "crafted")
    frame = next(frame for source, target, frame in bench.wire if target == "b")
    bench.drop()
    admit = bench["b"].replica.step(bench.now, events.Received("c", frame))
    assert len(admit) == 1
    assert len(bench["b"].state.pool) == 0
    bench.step("b", events.Rejected("crafted"))
    bench.tick("b", after_ms=5_000)
    assert not suspects(bench, "b")


def test_a_forgery_under_the_id_of_a_record_does_not_push_it_out() -> None:
    """A peer passes on other bytes under the id; while they are judged a client brings the record itself."""
    bench = Bench()
    forged = encode_frame(RequestMessage("r1", b"forged", pack_attachments(())))
    assert len(bench["b"].replica.step(bench.now, events.Received("c", forged))) == 1
    bench.submit("b", "r1")
    bench.step("b", events.Rejected("r1"))
    assert "r1" in bench["b"].state.pool
    bench.tick("b", after_ms=1_000)
    assert suspects(bench, "b")


def test_the_same_record_is_judged_once() -> None:
    bench = Bench()
    bench.submit("c", "r1")
    frame = next(frame for source, target, frame in bench.wire if target == "b")
    first = bench["b"].replica.step(bench.now, events.Received("c", frame))
    again = bench["b"].replica.step(bench.now, events.Received("c", frame))
    assert (len(first), len(again)) == (1, 0)


def test_patience_doubles_with_each_view_change_and_a_commit_restores_it() -> None:
    bench = Bench()
    waits = []
    for view in range(8):
        waits.append(patience_ms(bench["b"].state))
        for sender in ("a", "c"):
            bench.receive("b", sender, suspect_frame(sender, view))
        bench.drop()
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000, 32_000]
    other = Bench()
    other["b"].state.backoff = 3
    other.agree()
    assert patience_ms(other["b"].state) == 1_000


def test_a_view_that_is_not_installed_in_time_is_suspected_too() -> None:
    bench = Bench()
    for sender in ("a", "c"):
        bench.receive("b", sender, suspect_frame(sender))
    bench.drop()
    bench.tick("b", after_ms=2_100)
    suspicion = bench["b"].state.suspicion
    assert suspicion is not None
    assert (suspicion.body.view, suspicion.body.reason) == (1, "view")


def test_a_vote_that_leads_to_nothing_is_a_reason() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    bench.drop()
    bench.tick("b", after_ms=1_000)
    suspicion = bench["b"].state.suspicion
    assert suspicion is not None
    assert suspicion.body.reason == "vote"


def test_a_due_timer_not_proposed_a_second_after_its_time_is_a_reason() -> None:
    bench = Bench()
    bench.step("b", events.Agenda(due_ms=bench.now + 10_000))
    bench.tick("b", after_ms=11_000)
    assert not suspects(bench, "b")
    bench.tick("b", after_ms=1)
    suspicion = bench["b"].state.suspicion
    assert suspicion is not None
    assert suspicion.body.reason == "timer"


def test_an_idle_primary_proposes_when_a_timer_is_due() -> None:
    bench = Bench()
    bench["a"].items.append(b"close the poll")
    bench.step("a", events.Agenda(due_ms=bench.now + 500))
    bench.tick("a", after_ms=499)
    assert bench["a"].state.slot.vote is None
    bench.tick("a", after_ms=1)
    assert bench["a"].state.slot.vote is not None


@pytest.mark.parametrize(
    ("awaiting_size", "sealed_size", "proposes"),
    [(1, 0, True), (None, 0, False), (3, 0, False), (1, 2, False)],
    ids=["a row waits", "nobody waits", "it waits for more", "it is in the chain already"],
)
def test_a_seal_alone_is_proposed_only_when_a_row_waits_for_it(
    awaiting_size: int | None, sealed_size: int, proposes: bool
) -> None:
    bench = Bench()
    bench.agree()
    assert bench["a"].state.checkpoints.sealed_size == 2
    bench["a"].items.append(b"seal")
    bench.step("a", events.Agenda(None, awaiting_size, sealed_size))
    assert (bench["a"].state.slot.vote is not None) is proposes


def test_a_primary_that_passes_over_one_record_is_suspected_though_it_orders_others() -> None:
    bench = Bench()
    bench.submit("b", "unwanted")
    bench.drop()
    for _ in range(29):
        bench.agree()
        bench.tick("b", after_ms=390)
        bench.drop()
    assert not suspects(bench, "b")
    bench.tick("b", after_ms=400)
    assert suspects(bench, "b")


def test_a_suspicion_is_forgotten_when_a_block_is_committed() -> None:
    bench = Bench()
    bench.submit("b", "late")
    bench.drop()
    bench.tick("b", after_ms=1_000)
    bench.drop()
    assert suspects(bench, "b")
    bench.submit("a", "other")
    bench.deliver()
    assert not suspects(bench, "b")
    assert bench["b"].state.suspects == {}


def test_a_halted_driver_is_patient_for_ever() -> None:
    bench = Bench()
    bench.submit("b")
    bench.step("b", events.Halted("operator"))
    bench.drop()
    bench.tick("b", after_ms=60_000)
    assert bench.names("b") == ["status", "status"]
    assert reason_to_suspect(bench["b"].state) is not None
    bench.deliver(only("b"))


def test_a_clock_that_was_ahead_and_is_set_right_costs_nothing_after_that() -> None:
    """Patience goes on as before, and a proposal is judged by the clock as it is now."""
    bench = Bench()
    bench.now += 3_600_000
    bench.step("b", events.Tick())
    bench.drop()
    bench.now -= 3_600_000
    bench.submit("a")
    bench.deliver()
    assert heights(bench) == [1, 1, 1]
    for _ in range(4):
        bench.tick("b", after_ms=300)
    assert any(name == "status" for name in bench.names("b"))
