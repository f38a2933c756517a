"""Contradictions are noticed whenever their second half turns up; the culprit is counted no longer, honest ones are."""

from __future__ import annotations

from typing import Any

import pytest

from server.consensus import effects, events
from server.consensus.accusation import EVIDENCE_KEPT_MAX
from server.consensus.evidence import accuse
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import (
    Commit,
    CommitMessage,
    Cosign,
    EvidenceMessage,
    Executed,
    Prepare,
    Status,
    Suspect,
    ViewChange,
    ViewChangeMessage,
)
from server.record.canonical import b64u_encode
from tests.consensus.cluster import Bench, both, heights, only, without
from tests.consensus.test_normal import proposal, signed
from tests.simulation.keyring import HashKeyring

X, Y = "x" * 42 + "A", "y" * 42 + "A"


def vote(sender: str, block_id: str = Y, height: int = 1, view: int = 0) -> bytes:
    """A PREPARE frame."""
    return encode_frame(signed(Prepare(block_id=block_id, epoch=0, height=height, sender=sender, view=view)))


def commit(sender: str, block_id: str = Y, height: int = 1, view: int = 0) -> bytes:
    """A COMMIT frame."""
    body = Commit(block_id=block_id, epoch=0, height=height, new_view="", sender=sender, view=view)
    executed = Executed(epoch=0, height=height, root=Y, sender=sender, size=2, state_digest=Y)
    return encode_frame(CommitMessage(signed(body), signed(executed)))


def view_change(sender: str, view: int = 1, last_height: int = 0) -> bytes:
    """A VIEW-CHANGE frame that tells of nothing prepared; its proofs are empty."""
    body = ViewChange(
        epoch=0,
        last_block="",
        last_height=last_height,
        prepared_block="",
        prepared_view=0,
        sender=sender,
        view=view,
    )
    return encode_frame(ViewChangeMessage(signed(body), b"", b"", b"", b""))


def named(bench: Bench, member: str) -> list[tuple[str, str]]:
    """Whom a member accuses, and of what."""
    return [(one.culprit, one.offence) for one in bench[member].state.evidence.values()]


def test_a_primary_that_proposes_two_blocks_is_named_by_who_saw_both() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench, items=(b"one",)))
    bench.receive("b", "a", proposal(bench, items=(b"two",)))
    assert named(bench, "b") == [("a", "double_vote")]
    bench.deliver(lambda source, target, name: name == "evidence")
    assert [named(bench, member) for member in "cd"] == [[("a", "double_vote")]] * 2
    kept = bench["c"].asked(effects.KeepEvidence)
    assert [one.evidence.culprit for one in kept] == ["a"]


def test_the_culprit_of_evidence_stops_because_somebody_has_its_key() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench, items=(b"one",)))
    bench.receive("b", "a", proposal(bench, items=(b"two",)))
    bench.deliver(lambda source, target, name: name == "evidence")
    assert bench["a"].asked(effects.Stop)[-1].reason == "twin"


def test_votes_of_a_culprit_count_no_longer_and_the_others_go_on() -> None:
    bench = Bench(4)
    bench.receive("b", "d", vote("d", X))
    bench.receive("b", "d", vote("d", Y))
    bench.deliver(lambda source, target, name: name == "evidence")
    bench.submit("a")
    bench.deliver()
    assert heights(bench, "abc") == [1, 1, 1]
    for member in "abc":
        senders = [read.culprit for read in bench[member].state.evidence.values()]
        assert senders == ["d"]
        assert "d" not in bench[member].state.executed


def test_a_withheld_vote_is_compared_after_its_height_is_over() -> None:
    bench = Bench(4)
    bench.agree(3)
    bench.receive("b", "c", commit("c", Y, height=1))
    assert named(bench, "b") == [("c", "double_vote")]


@pytest.mark.parametrize("vote_first", [True, False])
def test_a_view_change_that_hides_a_commit_is_noticed_in_either_order(vote_first: bool) -> None:
    bench = Bench(4)
    frames = [commit("d"), view_change("d")]
    for frame in frames if vote_first else reversed(frames):
        bench.receive("b", "d", frame)
    assert named(bench, "b") == [("d", "hidden_vote")]


def test_who_prepared_and_changed_views_with_the_certificate_is_honest() -> None:
    bench = Bench(4)
    bench.submit("a")
    bench.deliver(without("commit"))
    bench.now += 20_000
    for _ in range(3):
        bench.tick(after_ms=2_000)
        bench.deliver()
    assert heights(bench) == [1, 1, 1, 1]
    assert [named(bench, member) for member in bench.members] == [[]] * 4


def test_evidence_is_told_again_until_a_peer_knows_the_culprit() -> None:
    bench = Bench(4)
    bench.receive("b", "d", vote("d", X))
    bench.receive("b", "d", vote("d", Y))
    bench.drop()
    bench.tick(after_ms=300)
    bench.deliver(both(only("b", "c"), without("commit")))
    assert named(bench, "c") == [("d", "double_vote")]
    bench.drop()
    bench.tick(after_ms=300)
    bench.deliver(without("status"))
    bench.tick("c", after_ms=300)
    status = next(decode_frame(frame) for source, _, frame in bench.wire if source == "c")
    assert isinstance(status, Status)
    assert status.accused == ("d",)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: b"", lambda data: data + b"x"])
def test_what_proves_nothing_accuses_nobody(spoil: Any) -> None:
    bench = Bench(4)
    found = accuse(*(signed(Prepare(block_id=block, epoch=0, height=1, sender="d", view=0)) for block in (X, Y)))
    assert found is not None
    bench.receive("b", "c", encode_frame(EvidenceMessage(spoil(found.packed))))
    bench.step("b", events.Accused(spoil(found.packed)))
    assert named(bench, "b") == []
    bench.step("b", events.Accused(found.packed))
    assert named(bench, "b") == [("d", "double_vote")], "whoever brings it"


def test_a_statement_with_a_bad_signature_accuses_nobody() -> None:
    bench = Bench(4)
    bench.receive("b", "d", vote("d", X))
    forged = signed(Prepare(block_id=Y, epoch=0, height=1, sender="d", view=0))
    bench.receive("b", "c", encode_frame(type(forged)(forged.body, forged.raw, bytes(len(forged.signature)))))
    assert named(bench, "b") == []


def test_two_lines_of_one_size_are_evidence() -> None:
    bench = Bench(4)
    for root in (bytes(32), b"1" * 32):
        line = HashKeyring("d").cosign(2, root, 5)
        frame = encode_frame(Cosign(line=line, member="d", root=b64u_encode(root), size=2))
        bench.receive("b", "c", frame)
    assert named(bench, "b") == [("d", "split_checkpoint")]


def test_evidence_that_was_kept_is_known_after_a_restart() -> None:
    bench = Bench(4)
    bench.receive("b", "d", vote("d", X))
    bench.receive("b", "d", vote("d", Y))
    bench.restart("b")
    assert list(bench["b"].state.culprits) == ["d"]
    bench.submit("a")
    bench.deliver()
    assert "d" not in bench["b"].state.executed


def test_a_barred_member_leads_no_view_and_no_seal_waits_for_it() -> None:
    bench = Bench(4)
    for member in bench.members:
        bench.step(member, events.Agenda(barred=("a",)))
    state = bench["b"].state
    assert [state.primary(view) for view in range(4)] == ["b", "b", "c", "d"]
    bench.submit("b")
    bench.deliver(only("b", "c", "d"))
    assert heights(bench, "bcd") == [1, 1, 1]
    assert state.checkpoints.sealed_size == 2


def test_evidence_that_is_not_ordered_is_work_and_a_primary_that_passes_it_over_is_suspected() -> None:
    bench = Bench(4)
    bench.receive("b", "d", vote("d", X))
    bench.receive("b", "d", vote("d", Y))
    bench.drop()
    bench.tick("b", after_ms=1)
    bench.drop()
    bench.tick("b", after_ms=1_500)
    said = [decode_frame(frame) for source, _, frame in bench.wire if source == "b"]
    assert any(getattr(getattr(one, "body", None), "reason", "") == "evidence" for one in said)
    bench.step("b", events.Agenda(barred=("d",)))
    assert bench["b"].state.evidence_since_ms is None


def test_a_replica_that_forgot_its_votes_signs_no_view_change() -> None:
    """Its ledger was put back from a copy: what it would say to have prepared may hide what it committed."""
    bench = Bench(4)
    bench.agree(3)
    seat = bench["c"]
    del seat.blocks[1:]
    seat.signer = None
    bench.restart("c")
    assert seat.state.is_forgetful
    bench.drop()
    for sender in "abd":
        body = Suspect(epoch=0, height=4, reason="record", sender=sender, view=0)
        bench.receive("c", sender, encode_frame(signed(body)))
    assert seat.state.change is None
    assert (seat.state.view, seat.state.phase) == (0, "normal")
    assert not [name for name in bench.names("c") if name == "view-change"]


def test_evidence_that_a_proposal_names_is_kept_however_much_is_known_against_its_culprit() -> None:
    bench = Bench(4)
    found = [
        accuse(*(signed(Prepare(block_id=block, epoch=0, height=1, sender="d", view=view)) for block in (X, Y)))
        for view in range(EVIDENCE_KEPT_MAX + 1)
    ]
    for evidence in found:
        assert evidence is not None
        bench.receive("b", "c", encode_frame(EvidenceMessage(evidence.packed)))
    assert len(bench["b"].state.evidence) == EVIDENCE_KEPT_MAX
    last = found[-1]
    assert last is not None
    bench.step("b", events.Accused(last.packed))
    assert len(bench["b"].state.evidence) == EVIDENCE_KEPT_MAX
    assert bench["b"].asked(effects.KeepEvidence)[-1].evidence == last
