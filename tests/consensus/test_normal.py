"""The normal case, sentence by sentence (PBFT 4.2; consensus.md 2.4): propose, pre-prepare, prepare."""

from dataclasses import replace
from typing import Any

import pytest

from server.consensus import effects, events
from server.consensus.block import make_block, pack_block
from server.consensus.events import Verdict
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import TYPES, Prepare, PrePrepareMessage, Signed, SignedBody
from server.ledger.block import Header, entries_root
from server.record.canonical import encode
from tests.consensus.cluster import CLUSTER_ID, Bench, heights, only
from tests.simulation.keyring import HashKeyring


def signed(body: SignedBody) -> Signed:  # type: ignore[type-arg]
    """A statement signed by the member it names."""
    raw = encode(body)
    return Signed(body, raw, HashKeyring(body.sender).sign(TYPES[type(body)], raw))


def header(bench: Bench, items: tuple[bytes, ...] = (b"r1",), **changes: Any) -> Header:
    """The header of a good first proposal at the tip of `b`, with some members changed."""
    tip = bench["b"].state.tip
    values: dict[str, Any] = {
        "entries_bytes": sum(map(len, items)),
        "entries_root": entries_root(items),
        "epoch": 0,
        "height": tip.height + 1,
        "prev": tip.block_id,
        "proposer": "a",
        "rules": 1,
        "state_digest_prev": tip.state_digest,
        "time_ms": bench.now,
    }
    return Header(**(values | changes))


def proposal(
    bench: Bench, view: int = 0, sender: str = "a", items: tuple[bytes, ...] = (b"r1",), **changes: Any
) -> bytes:
    """A PRE-PREPARE frame as `sender` would sign it."""
    block = make_block(CLUSTER_ID, header(bench, items, **changes), items)
    body = Prepare(block_id=block.block_id, epoch=0, height=block.height, sender=sender, view=view)
    return encode_frame(PrePrepareMessage(signed(body), pack_block(block)))


def votes(found: list[effects.Effect]) -> int:
    """How many votes were journalled."""
    entries = [entry for effect in found if isinstance(effect, effects.Persist) for entry in effect.entries]
    return sum(entry.type is effects.Entry.VOTE for entry in entries)


def test_a_good_proposal_gets_a_prepare() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    assert bench["b"].state.slot.vote is not None
    assert bench.names("b") == ["prepare", "prepare", "prepare"]


def test_the_vote_is_durable_with_its_block_before_it_is_sent() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    kinds = [type(effect) for effect in bench["b"].performed if isinstance(effect, effects.Persist | effects.Send)]
    assert kinds[-2:] == [effects.Persist, effects.Send]
    assert b"r1" in bench["b"].journal[-1].data


@pytest.mark.parametrize(
    "changes",
    [
        {"prev": "w" * 43},
        {"height": 3},
        {"epoch": 1},
        {"proposer": "b"},
        {"state_digest_prev": "w" * 43},
        {"time_ms": 0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_proposal_that_is_not_the_next_block_is_not_voted_for(changes: dict[str, Any]) -> None:
    bench = Bench()
    bench.agree()
    bench.receive("b", "a", proposal(bench, **changes))
    assert bench["b"].state.slot.vote is None


@pytest.mark.parametrize(("ahead_ms", "accepted"), [(5_000, True), (5_001, False), (-5_000, True), (-5_001, False)])
def test_a_first_proposal_may_differ_five_seconds_from_the_own_clock(ahead_ms: int, accepted: bool) -> None:
    bench = Bench()
    bench.receive("b", "a", proposal(bench, time_ms=bench.now + ahead_ms))
    assert (bench["b"].state.slot.vote is not None) is accepted


def test_only_the_primary_of_the_view_proposes() -> None:
    bench = Bench()
    bench.receive("b", "c", proposal(bench, sender="c", proposer="c"))
    assert bench["b"].state.slot.vote is None


def test_a_proposal_of_another_view_is_ignored() -> None:
    bench = Bench()
    bench.receive("b", "b", proposal(bench, view=1, sender="b", proposer="b"))
    assert bench["b"].state.slot.vote is None


def test_a_proposal_signed_by_another_is_ignored() -> None:
    bench = Bench()
    message = decode_frame(proposal(bench))
    assert isinstance(message, PrePrepareMessage)
    forged = Signed(message.prepare.body, message.prepare.raw, HashKeyring("c").sign("PREPARE", message.prepare.raw))
    bench.receive("b", "c", encode_frame(replace(message, prepare=forged)))
    assert bench["b"].state.slot.vote is None
    assert bench["b"].state.counters["bad_signature"] == 1


def test_a_prepare_signed_as_another_type_is_no_vote() -> None:
    bench = Bench()
    bench.receive("b", "a", proposal(bench))
    vote = bench["b"].state.slot.vote
    assert vote is not None
    raw = encode(Prepare(block_id=vote.block_id, epoch=0, height=1, sender="c", view=0))
    bench.receive("b", "c", encode_frame(Signed(decode_body(raw), raw, HashKeyring("c").sign("COMMIT", raw))))
    assert "c" not in bench["b"].state.slot.prepares


def decode_body(raw: bytes) -> Prepare:
    """The body of a PREPARE."""
    from server.consensus.messages import decode_body as decode

    return decode(Prepare, raw)


def test_a_signature_of_another_epoch_is_no_vote() -> None:
    bench = Bench()
    bench.receive("b", "c", encode_frame(signed(Prepare(block_id="w" * 43, epoch=1, height=1, sender="c", view=0))))
    assert "c" not in bench["b"].state.slot.prepares


def test_a_stranger_is_no_voter() -> None:
    bench = Bench()
    bench.receive("b", "c", encode_frame(signed(Prepare(block_id="w" * 43, epoch=0, height=1, sender="z", view=0))))
    assert "z" not in bench["b"].state.slot.prepares


def test_items_that_are_not_those_of_the_header_are_malformed() -> None:
    bench = Bench()
    message = decode_frame(proposal(bench))
    assert isinstance(message, PrePrepareMessage)
    other = make_block(CLUSTER_ID, header(bench), (b"r2",))
    bench.receive("b", "a", encode_frame(replace(message, block=pack_block(other))))
    assert bench["b"].state.slot.vote is None
    assert bench["b"].state.counters["malformed"] == 1


def test_a_second_proposal_in_the_same_view_is_not_voted_for() -> None:
    bench = Bench()
    bench.receive("b", "a", proposal(bench))
    first = bench["b"].state.slot.vote
    found = bench.receive("b", "a", proposal(bench, items=(b"r2",)))
    assert bench["b"].state.slot.vote is first
    assert votes(found) == 0


def test_a_replica_votes_only_after_the_driver_found_the_block_good() -> None:
    bench = Bench()
    bench["b"].verdict = None
    bench.receive("b", "a", proposal(bench))
    check = bench["b"].asked(effects.Check)[-1]
    assert bench["b"].state.slot.vote is None
    bench.step("b", events.Checked(check.block.block_id, Verdict.OK))
    assert bench["b"].state.slot.vote is not None


def test_a_block_found_bad_is_never_voted_for_and_checked_once() -> None:
    bench = Bench()
    bench["b"].verdict = Verdict.BAD
    frame = proposal(bench)
    bench.receive("b", "a", frame)
    bench.receive("b", "a", frame)
    assert bench["b"].state.slot.vote is None
    assert len(bench["b"].asked(effects.Check)) == 1


def test_a_block_whose_attachments_are_missing_is_checked_again_when_it_is_proposed_again() -> None:
    bench = Bench()
    bench["b"].verdict = Verdict.ATTACHMENTS_MISSING
    frame = proposal(bench)
    bench.receive("b", "a", frame)
    assert bench["b"].state.slot.vote is None
    assert bench["b"].state.slot.missing_ms is not None
    bench["b"].verdict = Verdict.OK
    bench.now += 300
    bench.receive("b", "a", frame)
    assert bench["b"].state.slot.vote is not None


def test_an_answer_to_a_check_after_the_view_was_left_casts_no_vote() -> None:
    bench = Bench()
    bench["b"].verdict = None
    bench.receive("b", "a", proposal(bench))
    check = bench["b"].asked(effects.Check)[-1]
    bench.submit("c", "rc")
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=1_100)
    bench.deliver(lambda source, target, name: name == "suspect" and "a" not in (source, target))
    assert bench["b"].state.view == 1
    bench.step("b", events.Checked(check.block.block_id, Verdict.OK))
    assert bench["b"].state.slot.vote is None


def test_prepared_needs_a_quorum_of_distinct_senders() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    vote = bench["b"].state.slot.vote
    assert vote is not None
    mine = encode_frame(signed(Prepare(block_id=vote.block_id, epoch=0, height=1, sender="a", view=0)))
    for _ in range(3):
        bench.receive("b", "a", mine)
    assert bench["b"].state.slot.prepared is None
    bench.receive(
        "b", "c", encode_frame(signed(Prepare(block_id=vote.block_id, epoch=0, height=1, sender="c", view=0)))
    )
    assert bench["b"].state.slot.prepared is not None


def test_prepares_for_other_blocks_or_views_do_not_add_up() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    vote = bench["b"].state.slot.vote
    assert vote is not None
    bench.receive("b", "c", encode_frame(signed(Prepare(block_id="w" * 43, epoch=0, height=1, sender="c", view=0))))
    bench.receive(
        "b", "d", encode_frame(signed(Prepare(block_id=vote.block_id, epoch=0, height=1, sender="d", view=1)))
    )
    assert bench["b"].state.slot.prepared is None


def test_the_certificate_is_durable_before_the_commit_is_sent() -> None:
    bench = Bench()
    bench.receive("b", "a", proposal(bench))
    kinds = [
        effect
        for effect in bench["b"].performed
        if isinstance(effect, effects.Persist | effects.Execute | effects.Send)
    ]
    prepared = next(
        i
        for i, effect in enumerate(kinds)
        if isinstance(effect, effects.Persist) and effect.entries[0].type is effects.Entry.PREPARED
    )
    commit = next(
        i for i, effect in enumerate(kinds) if isinstance(effect, effects.Send) and b"commit" in effect.frame[:12]
    )
    assert prepared < commit


def test_votes_for_the_next_height_wait_until_the_own_block_is_stored() -> None:
    bench = Bench()
    bench["c"].stores = False
    bench.agree(2)
    assert heights(bench) == [2, 2, 0]
    bench["c"].stores = True
    bench.store("c")
    bench.deliver()
    assert heights(bench) == [2, 2, 2]


def test_the_primary_proposes_at_once_what_waits_when_nothing_is_in_flight() -> None:
    bench = Bench()
    bench.submit("a", "r1")
    assert bench.names("a").count("pre-prepare") == 2
    bench.submit("a", "r2")
    assert len(bench["a"].asked(effects.Build)) == 1
    bench.deliver()
    assert [item for block, _, _, _ in bench["a"].blocks for item in block.items] == [b"r1", b"r2"]


def test_an_empty_batch_is_no_block_and_is_not_asked_for_again_at_once() -> None:
    bench = Bench()
    bench.step("a", events.Submitted("r1", b"r1", (), bench.now + 1_000))
    assert len(bench["a"].asked(effects.Build)) == 1
    assert bench["a"].state.slot.vote is None
    bench.tick("a", after_ms=50)
    assert len(bench["a"].asked(effects.Build)) == 2


def test_a_backup_does_not_build() -> None:
    bench = Bench()
    bench.submit("b")
    assert bench["b"].asked(effects.Build) == []


def test_block_time_grows_even_when_the_clock_does_not() -> None:
    bench = Bench()
    bench.agree()
    bench.now = bench["a"].state.tip.time_ms - 3_000
    bench.agree()
    times = [block.header.time_ms for block, _, _, _ in bench["c"].blocks]
    assert len(times) == 2
    assert times[0] < times[1]
