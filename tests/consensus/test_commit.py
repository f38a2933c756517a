"""From prepared to durable (PBFT 4.2; decisions 6; consensus.md 1.3 H3)."""

import pytest

from server.consensus import effects, events
from server.consensus.block import Block
from server.consensus.frames import encode_frame
from server.consensus.messages import Commit, CommitMessage, Executed
from server.record.canonical import b64u_encode
from tests.consensus.cluster import Bench, execute, heights, only
from tests.consensus.test_normal import proposal, signed


def commit_frame(sender: str, block: Block, view: int = 0) -> bytes:
    """A COMMIT frame of `sender`, with what execution of the block gives."""
    height, result = block.height, execute(block)
    commit = signed(Commit(block_id=block.block_id, epoch=0, height=height, new_view="", sender=sender, view=view))
    state = Executed(
        epoch=0,
        height=height,
        root=b64u_encode(result.root),
        sender=sender,
        size=result.size,
        state_digest=result.state_digest,
    )
    return encode_frame(CommitMessage(commit, signed(state)))


def held(bench: Bench) -> Block:
    """The block that `b` holds for the height in flight."""
    return next(iter(bench["b"].state.slot.blocks.values()))


def test_commit_waits_for_execution_and_carries_its_result() -> None:
    bench = Bench()
    bench["b"].executes = False
    bench.receive("b", "a", proposal(bench))
    assert "commit" not in bench.names("b")
    wanted = bench["b"].asked(effects.Execute)[-1]
    bench.step("b", execute(wanted.block))
    assert bench.names("b")[-2:] == ["commit", "commit"]


def test_a_quorum_of_commits_of_one_view_commits() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    block = held(bench)
    bench.receive("b", "a", commit_frame("a", block))
    bench.receive("b", "c", commit_frame("c", block, view=1))
    bench.receive("b", "d", commit_frame("d", block))
    assert heights(bench, "b") == [0]
    bench.receive("b", "a", commit_frame("a", block, view=1))
    bench.receive("b", "d", commit_frame("d", block, view=1))
    assert heights(bench, "b") == [1]


def test_commits_of_an_older_view_still_commit() -> None:
    bench = Bench(4)
    bench["b"].verdict = None
    bench.receive("b", "a", proposal(bench))
    check = bench["b"].asked(effects.Check)[-1]
    for sender in ("a", "c", "d"):
        bench.receive("b", sender, commit_frame(sender, check.block))
    assert heights(bench, "b") == [1]


def test_one_sender_counts_once_however_often_it_commits() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    for _ in range(5):
        bench.receive("b", "c", commit_frame("c", held(bench)))
    assert heights(bench, "b") == [0]


def test_a_committed_block_that_follows_another_chain_stops_the_replica() -> None:
    bench = Bench()
    bench.agree()
    frame = proposal(bench, prev="w" * 43)
    bench.receive("b", "a", frame)
    assert bench["b"].state.slot.vote is None
    bench.receive("b", "a", commit_frame("a", held(bench)))
    bench.receive("b", "c", commit_frame("c", held(bench)))
    stop = bench["b"].performed[-1]
    assert isinstance(stop, effects.Stop)
    assert stop.reason == "fork"
    assert "follows another chain" in stop.detail


def test_nothing_is_visible_before_the_block_is_stored() -> None:
    bench = Bench()
    bench["a"].stores = False
    bench.agree()
    assert bench["a"].asked(effects.PublishCheckpoint) == []
    assert bench["a"].asked(effects.PersistSigner) == []
    bench.store("a")
    bench.deliver()
    assert bench["a"].asked(effects.PublishCheckpoint) != []


def test_store_carries_a_certificate_that_others_can_check() -> None:
    bench = Bench()
    bench.agree()
    store = bench["c"].asked(effects.Store)[-1]
    assert bench["a"].state.certifier.committed(store.certificate, 1, store.block.block_id)
    assert not bench["a"].state.certifier.committed(store.certificate, 2, store.block.block_id)
    assert not bench["a"].state.certifier.committed(store.certificate, 1, "w" * 43)


def test_a_certificate_of_one_member_twice_is_none() -> None:
    bench = Bench()
    bench.agree()
    store = bench["c"].asked(effects.Store)[-1]
    half = store.certificate[: len(store.certificate) // 2]
    assert not bench["a"].state.certifier.committed(half, 1, store.block.block_id)
    assert not bench["a"].state.certifier.committed(half + half, 1, store.block.block_id)


def test_a_replica_whose_execution_differs_from_a_quorum_of_others_stops() -> None:
    bench = Bench()
    bench["c"].salt = b"a bit flipped here"
    bench.agree()
    assert bench["c"].state.phase == "stopped"
    stop = bench["c"].asked(effects.Stop)[-1]
    assert stop.reason == "diverged"
    assert bench["c"].asked(effects.PersistSigner) == []
    assert heights(bench, ("a", "b")) == [1, 1]


def test_a_stopped_replica_votes_no_more_and_still_serves_blocks() -> None:
    bench = Bench()
    bench.agree(2)
    bench.step("b", events.Halted("the disk is full"))
    bench.drop()
    bench.submit("a", "r9")
    bench.deliver(only("a", "b"))
    assert heights(bench) == [2, 2, 2]
    bench.seats["c"].blocks.clear()
    bench.seats["c"].journal.clear()
    bench.seats["c"].signer = None
    bench.restart("c")
    bench.tick("b", "c", after_ms=300)
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=300)
    bench.deliver(only("b", "c"))
    assert heights(bench, "c") == [2]


@pytest.mark.parametrize("n", [1, 3, 4, 7])
def test_a_cluster_of_any_size_orders_records(n: int) -> None:
    bench = Bench(n)
    bench.agree(3)
    assert heights(bench) == [3] * n
    assert len({seat.state.tip.block_id for seat in bench.seats.values()}) == 1


def test_strict_mode_commits_only_with_everybody() -> None:
    bench = Bench(3, "strict")
    bench.submit("a")
    bench.deliver(only("a", "b"))
    assert heights(bench) == [0, 0, 0]
    bench.tick(after_ms=300)
    bench.deliver()
    bench.tick(after_ms=300)
    bench.deliver()
    assert heights(bench) == [1, 1, 1]
