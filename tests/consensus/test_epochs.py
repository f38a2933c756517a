"""A replica lives in one epoch: it stops where that ends, and votes of one epoch say nothing in another (D26)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from server.consensus import effects, events
from server.consensus.config import Config
from server.consensus.evidence import accuse
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import EvidenceMessage, Prepare, Status, SyncReplyMessage, SyncRequest
from server.consensus.replica import Replica
from tests.consensus.cluster import CLUSTER_ID, TIMEOUTS, Bench, Seat, heights
from tests.consensus.test_normal import signed
from tests.simulation.keyring import HashKeyring

ENDS = 2
"""Height of the block with which the first epoch ends."""
FOUNDERS = ("a", "b", "c")


class Turning(Bench):
    """Mutable. Three members and d, who follows; from the block after `ENDS` on the members are `after`."""

    def __init__(self, after: str = "abcd") -> None:
        self.after = tuple(after)
        super().__init__()
        self.members = (*FOUNDERS, "d")
        self.seats["d"] = Seat("d", self._replica("d", None))
        self.step("d", events.Start())

    def config(self, member: str) -> Config:
        """Of the epoch in which a member's stored blocks leave it."""
        blocks = self.seats[member].blocks if hasattr(self, "seats") and member in self.seats else []
        if len(blocks) < ENDS:
            observes = member not in FOUNDERS
            return Config(FOUNDERS, member, CLUSTER_ID, timeouts=TIMEOUTS, greets=False, observes=observes)
        return Config(
            self.after, member, CLUSTER_ID, 1, first_height=ENDS + 1, base_block=blocks[ENDS - 1][0].block_id,
            first_size=2 * ENDS, timeouts=TIMEOUTS, greets=False, observes=member not in self.after,
        )  # fmt: skip

    def _replica(self, member: str, seat: Seat | None) -> Replica:
        made = super()._replica(member, seat)
        made.state.keyring = HashKeyring(member, epoch=made.state.config.epoch)
        made.state.certifier._keyring = made.state.keyring
        return made

    def step(self, member: str, event: events.Event) -> list[effects.Effect]:
        """As the driver tells the replica: this block was the last of its epoch."""
        if isinstance(event, events.Stored) and event.height == ENDS:
            event = replace(event, ends_epoch=True)
        return super().step(member, event)

    def turn(self) -> None:
        """Two blocks, and d fetches them; then everybody who has stopped begins again in the next epoch."""
        self.agree(ENDS)
        self.settle("d")
        for member in self.members:
            assert self[member].state.phase == "stopped"
            self.restart(member)

    def settle(self, *members: str) -> None:
        """Let these fetch what they lack."""
        for _ in range(4):
            self.tick(*members, after_ms=300)
            self.deliver()


def sent(bench: Bench, member: str) -> list[object]:
    """Everything that a member has sent."""
    return [decode_frame(effect.frame) for effect in bench[member].asked(effects.Send)]


# ---------------------------------------------------------------- the end of an epoch


def test_the_last_block_of_an_epoch_stops_every_replica_and_nothing_is_sent_after() -> None:
    bench = Turning()
    bench.agree(ENDS)
    for member in FOUNDERS:
        bench.submit(member, "late")
        bench.tick(after_ms=5_000)
        [stop] = bench[member].asked(effects.Stop)
        assert stop.reason == "epoch"
        done = bench[member].performed
        later = [effect for effect in done[done.index(stop) + 1 :] if isinstance(effect, effects.Send)]
        assert {type(decode_frame(effect.frame)) for effect in later} <= {Status}
    assert heights(bench, FOUNDERS) == [ENDS, ENDS, ENDS]
    assert {*bench.names()} <= {"status"}


def test_the_next_epoch_goes_on_from_the_same_chain_with_its_own_members() -> None:
    bench = Turning()
    bench.turn()
    bench.agree(2)
    assert heights(bench) == [ENDS + 2] * 4
    assert [block.header.epoch for block, _, _, _ in bench["d"].blocks] == [0, 0, 1, 1]
    assert bench["d"].journal != [], "it votes now"


def test_who_was_put_out_can_neither_order_nor_hinder() -> None:
    bench = Turning(after="abd")
    bench.turn()
    bench.deliver(lambda source, target, name: source != "c")
    bench.agree(2)
    assert heights(bench, "abd") == [ENDS + 2] * 3


# ---------------------------------------------------------------- who only follows


def test_an_observer_stores_what_others_decided_and_signs_nothing() -> None:
    bench = Turning()
    bench.agree(1)
    bench.settle("d")
    assert heights(bench) == [1] * 4
    assert bench["d"].journal == []
    assert bench["d"].signer is None
    assert {type(message) for message in sent(bench, "d")} <= {Status, SyncRequest}


def test_a_guest_is_shown_blocks_and_nothing_of_it_is_believed() -> None:
    bench = Turning()
    bench.agree(1)
    bench.drop()
    far = Status(
        accused=("a",), attachments_missing=False, commits=(), cosigned=(), executed=(), height=99, mode="normal",
        prepares=(), size=0, tip="", view=7, voted="",
    )  # fmt: skip
    state = bench["a"].state
    for message in (far, msgspec.structs.replace(far, height=0), SyncRequest(from_height=1)):
        bench.receive("a", "d", encode_frame(message))
    answered = [(target, type(message)) for source, target, message in bench.drop() if source == "a"]
    assert answered == [("d", Status), ("d", SyncReplyMessage)]
    assert "d" not in state.sync.heights
    assert state.culprits == {}


def test_a_guest_that_follows_one_side_of_a_fork_is_told_so_and_whose_fault_it_is() -> None:
    bench = Turning()
    bench.agree(1)
    votes = [Prepare(block_id=letter * 43, epoch=0, height=9, sender="c", view=0) for letter in "AE"]
    found = accuse(*map(signed, votes))
    assert found is not None
    bench.receive("a", "b", encode_frame(EvidenceMessage(found.packed)))
    bench.drop()
    there = Status(
        accused=(), attachments_missing=False, commits=(), cosigned=(), executed=(), height=1, mode="normal",
        prepares=(), size=0, tip="w" * 43, view=0, voted="",
    )  # fmt: skip
    bench.receive("a", "d", encode_frame(there))
    bench.receive("a", "d", encode_frame(msgspec.structs.replace(there, accused=("c",))))
    answered = [type(message) for source, _, message in bench.drop() if source == "a"]
    assert answered == [EvidenceMessage, Status, Status]


# ---------------------------------------------------------------- votes of another epoch


@pytest.mark.parametrize("kind", ["pre-prepare", "prepare", "commit", "suspect"])
def test_a_frame_of_the_epoch_before_is_nothing_in_this_one(kind: str) -> None:
    bench = Turning()
    frames: list[tuple[str, str, bytes]] = []
    kept: Callable[[str, str, str], bool] = lambda source, target, name: True  # noqa: E731
    bench.submit("a", "r1")
    bench.step("b", events.Tick())
    while bench.wire:
        frames.append(bench.wire[0])
        bench.deliver_one(kept)
    bench.now += 10
    bench.agree(ENDS - 1)
    bench.settle("d")
    for member in bench.members:
        bench.restart(member)
    before = [repr(bench[member].replica) for member in bench.members]
    journals = [len(bench[member].journal) for member in bench.members]
    for source, target, frame in frames:
        bench.receive(target, source, frame)
    assert [repr(bench[member].replica) for member in bench.members] == before
    assert [len(bench[member].journal) for member in bench.members] == journals


def test_what_the_journal_holds_of_the_epoch_before_is_not_taken_for_a_vote_in_this_one() -> None:
    bench = Turning()
    bench.agree(ENDS)
    assert bench["a"].journal != []
    bench.restart("a")
    assert (bench["a"].state.config.epoch, bench["a"].state.slot.vote) == (1, None)


def test_votes_of_a_later_epoch_are_kept_while_a_ledger_from_a_copy_is_brought_up_to_it() -> None:
    """A copy of the ledger from before the change, and the journal of today: what was voted since stays voted."""
    bench = Turning()
    bench.turn()
    bench.submit("a", "r9")
    bench.deliver(lambda source, target, name: name in ("request", "pre-prepare"))
    voted = bench["b"].state.slot.vote
    assert voted is not None
    del bench["b"].blocks[1:]
    bench.restart("b")
    state = bench["b"].state
    assert state.config.epoch == 0
    assert state.ahead != []
    for _ in range(4):
        bench.tick("a", "b", after_ms=200)
        bench.deliver(lambda source, target, name: name in ("status", "sync-request", "sync-reply"))
    assert bench["b"].state.phase == "stopped"
    bench.restart("b")
    found = bench["b"].state.slot.vote
    assert found is not None
    assert found.prepare == voted.prepare
