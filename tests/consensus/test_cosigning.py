"""Cosignatures (consensus.md 1.4; decisions 6 and 7): what is signed, when, and what it makes of a checkpoint."""

from dataclasses import replace
from hashlib import sha256

from server.consensus import effects
from server.consensus.checkpoints import Checkpoints, Line
from server.consensus.config import BOUNDARIES_KEPT_MAX, LINES_KEPT_MAX, Config
from server.consensus.frames import encode_frame
from server.consensus.messages import Cosign
from server.consensus.restored import Boundary
from server.record.canonical import b64u_encode
from tests.consensus.cluster import CLUSTER_ID, NAMES, Bench, only, without
from tests.simulation.keyring import HashKeyring


def cosign_frame(member: str, size: int, root: bytes, signer: str = "") -> bytes:
    """A cosignature said to be of `member`."""
    line = HashKeyring(signer or member).cosign(size, root, 7)
    return encode_frame(Cosign(line=line, member=member, root=b64u_encode(root), size=size))


def signed_sizes(bench: Bench, member: str) -> list[int]:
    """Sizes that the member's signer was asked to keep, in order."""
    return [effect.size for effect in bench[member].asked(effects.PersistSigner)]


def test_every_block_boundary_is_cosigned() -> None:
    bench = Bench()
    bench.agree(4)
    assert signed_sizes(bench, "a") == signed_sizes(bench, "b") == signed_sizes(bench, "c") == [2, 4, 6, 8]


def test_the_signers_file_is_durable_before_the_cosignature_leaves() -> None:
    bench = Bench()
    bench.agree()
    performed = bench["a"].performed
    at = next(i for i, each in enumerate(performed) if isinstance(each, effects.Send) and b"cosign" in each.frame[:16])
    assert isinstance(performed[at - 1], effects.PersistSigner) or isinstance(performed[at - 2], effects.PersistSigner)


def test_nothing_is_cosigned_on_the_own_word_alone() -> None:
    """c gets the block with its certificate, but nobody's EXECUTED: it stores, and waits with its cosignature."""
    bench = Bench()
    bench.submit("a")
    bench.deliver(only("a", "b"))
    bench.tick("a", after_ms=300)
    bench.deliver(without("executed", "cosign", "commit"))
    bench.tick("c", after_ms=300)
    bench.deliver(without("executed", "cosign", "commit"))
    assert bench["c"].state.tip.height == 1
    assert signed_sizes(bench, "c") == []
    bench.tick(after_ms=300)
    bench.deliver()
    assert signed_sizes(bench, "c") == [2]


def test_a_quorum_of_signatures_is_a_committed_checkpoint_and_all_are_a_sealed_one() -> None:
    bench = Bench()
    bench.agree()
    shown = bench["a"].asked(effects.PublishCheckpoint)
    assert [(len(each.lines), each.sealed) for each in shown] == [(2, False), (3, True)]
    assert bench["a"].state.checkpoints.sealed_size == 2


def test_a_member_that_does_not_sign_stops_sealing_but_not_ordering() -> None:
    bench = Bench()
    for index in range(3):
        bench.submit("a", f"r{index}")
        bench.deliver(lambda source, target, name: not (source == "c" and name == "cosign"))
        bench.now += 10
    assert bench["a"].state.tip.height == 3
    assert bench["a"].state.checkpoints.committed_size == 6
    assert bench["a"].state.checkpoints.sealed_size == 0


def test_a_forged_cosignature_counts_for_nobody() -> None:
    bench = Bench()
    bench.agree()
    tip = bench["a"].state.tip
    fresh = Bench(4)
    fresh.receive("a", "b", cosign_frame("c", tip.size, tip.root, signer="b"))
    assert fresh["a"].state.checkpoints.newest("c") is None


def test_a_cosignature_may_be_passed_on_by_anyone() -> None:
    bench = Bench()
    bench.receive("a", "b", cosign_frame("c", 2, sha256(b"root").digest()))
    assert bench["a"].state.checkpoints.newest("c") is not None


def test_a_cosignature_of_the_own_key_from_outside_is_not_taken() -> None:
    bench = Bench()
    bench.receive("a", "b", cosign_frame("a", 2, sha256(b"root").digest()))
    assert bench["a"].state.checkpoints.newest("a") is None


def test_a_quorum_of_others_with_another_root_stops_a_replica() -> None:
    bench = Bench()
    bench.agree()
    wrong = sha256(b"another history").digest()
    other = Bench()
    other.submit("a")
    other.deliver(without("cosign"))
    other.drop()
    other.receive("a", "b", cosign_frame("b", 2, wrong))
    assert other["a"].asked(effects.Stop) == []
    other.receive("a", "c", cosign_frame("c", 2, wrong))
    assert [stop.reason for stop in other["a"].asked(effects.Stop)] == ["diverged"]


def test_a_synchronised_replica_compares_with_the_cosigned_checkpoint_before_it_cosigns() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(only("a", "b"))
    wrong = sha256(b"another history").digest()
    bench.receive("c", "a", cosign_frame("a", 2, wrong))
    bench.receive("c", "b", cosign_frame("b", 2, wrong))
    bench.tick("a", after_ms=300)
    bench.deliver(without("cosign", "executed"))
    bench.tick("c", after_ms=300)
    bench.deliver(without("cosign", "executed"))
    assert bench["c"].state.tip.height == 1
    assert bench["c"].state.phase == "stopped"
    assert signed_sizes(bench, "c") == []


def test_the_same_mark_gives_the_same_line_after_a_restart() -> None:
    bench = Bench()
    bench.agree()
    before = bench["b"].state.checkpoints.newest("b")
    bench.now += 100_000
    bench.restart("b")
    assert bench["b"].state.checkpoints.newest("b") == before
    assert signed_sizes(bench, "b") == []


def test_cosigning_times_never_fall() -> None:
    bench = Bench()
    bench.now += 50_000
    bench.agree()
    bench.now -= 40_000
    bench.restart("b")
    bench.agree()
    marks = [bench[member].signer for member in bench.members]
    assert all(mark is not None and mark.time_s >= 1_050 for mark in marks)


def test_the_journal_is_truncated_after_cosignatures_and_keeps_what_is_in_flight() -> None:
    bench = Bench()
    bench.agree(63)
    assert bench["a"].asked(effects.Truncate) == []
    bench.agree(1)
    assert len(bench["a"].asked(effects.Truncate)) == 1
    assert bench["a"].journal == []
    bench.restart("a")
    bench.agree(2)
    assert bench["a"].state.tip.height == 66


def test_a_node_that_is_started_again_and_again_truncates_its_journal_all_the_same() -> None:
    bench = Bench()
    for _ in range(4):
        bench.agree(20)
        bench.restart("a")
    assert bench["a"].state.tip.height == 80
    assert bench["a"].state.journal_bytes == sum(len(entry.data) for entry in bench["a"].journal)
    assert len(bench["a"].journal) == 2 * (80 - 64)


def test_a_journal_that_holds_much_is_truncated_before_its_time() -> None:
    bench = Bench()
    bench.agree(3)
    state = bench["a"].state
    assert state.journal_bytes == sum(len(entry.data) for entry in bench["a"].journal) > 0
    state.config = replace(state.config, truncate_bytes=state.journal_bytes + 1)
    bench.agree(1)
    assert len(bench["a"].asked(effects.Truncate)) == 1
    assert state.journal_bytes == sum(len(entry.data) for entry in bench["a"].journal)
    assert state.journal_bytes < state.config.truncate_bytes


# -- the table


def table(n: int = 3) -> Checkpoints:
    """An empty table of a."""
    return Checkpoints(Config(NAMES[n], "a", CLUSTER_ID))


def root(size: int) -> bytes:
    """Some root."""
    return sha256(b"%d" % size).digest()


def test_lines_that_come_before_the_own_block_count_when_it_is_there() -> None:
    checkpoints = table()
    assert checkpoints.note("b", Line(2, root(2), "b's")) == []
    assert checkpoints.note("c", Line(2, root(2), "c's")) == []
    shown = checkpoints.extend(Boundary(1, "x", 2, root(2)))
    assert [each.lines for each in shown] == [(("b", "b's"), ("c", "c's"))]


def test_lines_over_another_root_do_not_count() -> None:
    checkpoints = table()
    checkpoints.extend(Boundary(1, "x", 2, root(2)))
    assert checkpoints.note("b", Line(2, root(2), "b's")) == []
    assert checkpoints.note("c", Line(2, root(3), "c's")) == []


def test_a_checkpoint_is_shown_again_only_with_more_lines() -> None:
    checkpoints = table()
    checkpoints.extend(Boundary(1, "x", 2, root(2)))
    checkpoints.note("a", Line(2, root(2), "a's"))
    assert len(checkpoints.note("b", Line(2, root(2), "b's"))) == 1
    assert checkpoints.note("b", Line(2, root(2), "b's")) == []
    assert [each.sealed for each in checkpoints.note("c", Line(2, root(2), "c's"))] == [True]


def test_the_table_is_bounded_whatever_a_member_sends() -> None:
    checkpoints = table()
    for size in range(3 * LINES_KEPT_MAX):
        checkpoints.note("b", Line(size, root(size), "b's"))
    for height in range(1, 3 * BOUNDARIES_KEPT_MAX):
        checkpoints.extend(Boundary(height, "x", 2 * height, root(height)))
    assert checkpoints.lines_kept == LINES_KEPT_MAX
    assert checkpoints.height_of(2) == 0
    assert checkpoints.holds("b", 0)
