"""Catching up (consensus.md 2.6): certificates decide, not who sent them; a certified stranger is a fork."""

from dataclasses import replace

import msgspec
import pytest

from server.consensus import effects, events
from server.consensus.block import pack_block
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import Status, SyncReplyMessage, SyncRequest
from tests.consensus.cluster import Bench, heights, only, without


def lagging(blocks: int = 3) -> Bench:
    """a and b have committed some blocks, c none."""
    bench = Bench()
    for index in range(blocks):
        bench.submit("a", f"r{index}")
        bench.deliver(only("a", "b"))
        bench.now += 10
    assert heights(bench) == [blocks, blocks, 0]
    return bench


def reply(bench: Bench, first: int = 0) -> SyncReplyMessage:
    """What a would answer."""
    pairs = [(pack_block(block), certificate) for block, certificate, _, _ in bench["a"].blocks[first:]]
    return SyncReplyMessage(tuple(pairs))


def test_a_replica_that_is_behind_asks_and_catches_up() -> None:
    bench = lagging()
    for _ in range(3):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench) == [3, 3, 3]
    assert bench["c"].state.checkpoints.sealed_size == 6


def test_being_one_block_behind_for_a_moment_asks_nobody() -> None:
    bench = lagging(1)
    bench.tick("a", after_ms=300)
    bench.deliver(only("a", "c"))
    assert "sync-request" not in bench.names("c")
    bench.tick("c", after_ms=150)
    assert "sync-request" in bench.names("c")


def test_a_question_without_answer_goes_to_another_peer() -> None:
    bench = lagging()
    bench.tick("a", "b", after_ms=300)
    bench.deliver(lambda source, target, name: target == "c" and name == "status")
    bench.tick("c", after_ms=300)
    sent = bench["c"].asked(effects.Send)
    asked = [effect.to or "" for effect in sent if isinstance(decode_frame(effect.frame), SyncRequest)]
    assert sorted(dict.fromkeys(asked)) == ["a", "b"]


def test_blocks_are_executed_and_stored_one_by_one() -> None:
    bench = lagging()
    bench["c"].stores = False
    bench.receive("c", "a", encode_frame(reply(bench)))
    assert len(bench["c"].asked(effects.Store)) == 1
    bench["c"].stores = True
    bench.store("c")
    assert heights(bench, "c") == [3]


def test_a_catching_up_replica_cosigns_only_the_newest_boundary() -> None:
    bench = lagging()
    bench.tick("a", "b", after_ms=300)
    bench.deliver(lambda source, target, name: name in ("cosign", "status"))
    bench.drop()
    bench.receive("c", "a", encode_frame(reply(bench)))
    bench.deliver()
    for _ in range(2):
        bench.tick(after_ms=300)
        bench.deliver()
    sizes = [effect.size for effect in bench["c"].asked(effects.PersistSigner)]
    assert sizes == [6]


@pytest.mark.parametrize("what", ["certificate", "block", "order"])
def test_blocks_without_their_certificate_are_not_taken(what: str) -> None:
    bench = lagging()
    good = reply(bench)
    (block1, certificate1), (block2, certificate2), third = good.blocks
    bad = {
        "certificate": ((block1, certificate2), (block2, certificate1), third),
        "block": ((block2, certificate1), (block1, certificate2), third),
        "order": (third, (block2, certificate2), (block1, certificate1)),
    }[what]
    bench.receive("c", "a", encode_frame(replace(good, blocks=bad)))
    assert heights(bench, "c") == [0]
    assert bench["c"].state.phase == "normal"


def test_a_good_beginning_of_a_bad_reply_is_taken() -> None:
    bench = lagging()
    good = reply(bench)
    bad = (good.blocks[0], (good.blocks[1][0], good.blocks[2][1]))
    bench.receive("c", "b", encode_frame(replace(good, blocks=bad)))
    assert heights(bench, "c") == [1]


def test_a_certified_block_that_does_not_follow_the_own_tip_is_a_fork() -> None:
    bench, other = lagging(), Bench()
    other.submit("a", "something else")
    other.deliver()
    block, certificate, _, _ = other["c"].blocks[0]
    bench.receive("c", "a", encode_frame(SyncReplyMessage(((pack_block(block), certificate),))))
    assert heights(bench, "c") == [1]
    bench.receive("c", "a", encode_frame(reply(bench, 1)))
    stop = bench["c"].asked(effects.Stop)[-1]
    assert stop.reason == "fork"
    assert heights(bench, "c") == [1]


def test_another_certified_block_at_an_own_height_is_a_fork() -> None:
    bench, other = lagging(), Bench()
    other.submit("a", "something else")
    other.deliver()
    block, certificate, _, _ = other["c"].blocks[0]
    bench.receive("a", "c", encode_frame(SyncReplyMessage(((pack_block(block), certificate),))))
    stop = bench["a"].asked(effects.Stop)[-1]
    assert stop.reason == "fork"


def test_a_peer_that_claims_too_much_delays_nobody() -> None:
    """c hears of a height that nobody has: it asks, gets nothing, and goes on voting."""
    bench = Bench()
    bench["c"].state.sync.heights["b"] = 2**50
    bench.tick("c", after_ms=300)
    bench.drop()
    bench.agree(2)
    assert heights(bench) == [2, 2, 2]


def test_a_question_below_the_first_or_above_the_last_block_is_not_answered() -> None:
    bench = lagging()
    for height in (0, 4, 2**50):
        bench.receive("a", "c", encode_frame(SyncRequest(from_height=height)))
    assert bench["a"].asked(effects.ReadBlocks) == []


def test_a_reply_holds_no_more_than_a_frame() -> None:
    bench = lagging()
    block, certificate, _, _ = bench["a"].blocks[0]
    large = replace(block, attachments=tuple((f"n{index:04}", bytes(4_096)) for index in range(500)))
    bench.drop()
    bench.step("a", events.BlocksRead("c", ((large, certificate), (large, certificate), (large, certificate))))
    message = decode_frame(bench.wire[0][2])
    assert isinstance(message, SyncReplyMessage)
    assert len(message.blocks) == 1


def test_small_attachments_travel_with_fetched_blocks() -> None:
    bench = lagging(1)
    block, certificate, _, _ = bench["a"].blocks[0]
    bench.step("a", events.BlocksRead("c", ((replace(block, attachments=(("n", b"opening"),)), certificate),)))
    bench.deliver(lambda source, target, name: name == "sync-reply")
    store = bench["c"].asked(effects.Store)[-1]
    assert store.block.attachments == (("n", b"opening"),)


def test_a_peer_that_claims_another_block_at_an_own_height_is_asked_for_its_certificate() -> None:
    """Two halves of a fork at equal height meet, and nobody has anything to order: it is noticed all the same."""
    bench, other = lagging(1), Bench()
    other.submit("a", "something else")
    other.deliver()
    bench.seats["c"].blocks = list(other["c"].blocks)
    bench.seats["c"].journal = list(other["c"].journal)
    bench.seats["c"].signer = other["c"].signer
    bench.restart("c")
    bench.tick(after_ms=300)
    bench.deliver(without("cosign", "executed"))
    assert bench["c"].asked(effects.Stop)[-1].reason == "fork"
    assert all(bench[member].state.phase == "stopped" for member in bench.members)


def test_a_claim_of_another_block_without_certificate_changes_nothing() -> None:
    bench = lagging(1)
    bench.tick("a", after_ms=300)
    status = next(decode_frame(frame) for source, target, frame in bench.wire if source == "a")
    assert isinstance(status, Status)
    bench.drop()
    for _ in range(5):
        bench.now += 50
        bench.receive("b", "c", encode_frame(msgspec.structs.replace(status, tip="w" * 43)))
    asked = [frame for source, target, frame in bench.wire if isinstance(decode_frame(frame), SyncRequest)]
    assert len(asked) == 2
    assert bench["b"].state.phase == "normal"
