"""After a crash between any two effects (consensus.md 2.8): stored bytes are repeated, nothing is decided anew."""

import pytest

from server.consensus import effects, events
from server.consensus.effects import Entry, JournalEntry
from server.consensus.frames import encode_frame
from server.consensus.journal_entries import live_entries
from server.consensus.messages import Cosign, Prepare
from server.consensus.replica import Replica
from server.consensus.restored import Restored, SignerMark, restored_genesis
from server.record.canonical import Malformed, b64u_encode
from tests.consensus.cluster import CLUSTER_ID, Bench, Seat, both, heights, only, without
from tests.consensus.test_normal import proposal, signed
from tests.consensus.test_view_change import lose_primary, suspect_frame
from tests.simulation.keyring import HashKeyring


def test_a_vote_is_repeated_and_never_another_is_cast_in_its_view() -> None:
    bench = Bench(4)
    bench.receive("b", "a", proposal(bench))
    before = bench["b"].state.slot.vote
    assert before is not None
    bench.restart("b")
    bench.receive("b", "a", proposal(bench, items=(b"another",)))
    after = bench["b"].state.slot.vote
    assert after is not None
    assert after.prepare == before.prepare


def test_a_restarted_primary_proposes_its_journalled_block_and_no_other() -> None:
    bench = Bench()
    bench.submit("a", "r1")
    lost = [message for _, _, message in bench.drop() if type(message).__name__ == "PrePrepareMessage"]
    bench.restart("a")
    bench["a"].items.append(b"r2")
    bench.step("a", events.Submitted("r2", b"r2", (), bench.now + 9_000))
    assert "pre-prepare" not in bench.names()
    for _ in range(2):
        bench.tick(after_ms=300)
        bench.deliver()
    block = bench["c"].blocks[0][0]
    assert block.items == (b"r1",)
    assert block.block_id == lost[0].prepare.body.block_id  # type: ignore[union-attr]


def test_a_prepared_block_is_reported_in_a_view_change_after_a_restart() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    prepared = bench["b"].state.slot.prepared
    assert prepared is not None
    bench.restart("b")
    bench.drop()
    for sender in ("a", "c"):
        bench.receive("b", sender, suspect_frame(sender))
    change = bench["b"].state.change
    assert change is not None
    assert change[0].change.body.prepared_block == prepared.block.block_id


def test_a_prepared_replica_commits_after_a_restart() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    bench.restart("b")
    for _ in range(3):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench) == [1, 1, 1]


def test_a_view_change_in_progress_is_repeated_byte_for_byte() -> None:
    bench = Bench()
    for sender in ("a", "c"):
        bench.receive("b", sender, suspect_frame(sender))
    before = bench["b"].state.change
    assert before is not None
    bench.restart("b")
    after = bench["b"].state.change
    assert after is not None
    assert encode_frame(after[0]) == encode_frame(before[0])
    assert (bench["b"].state.view, bench["b"].state.phase) == (1, "changing")


@pytest.mark.parametrize("member", ["b", "c"])
def test_an_installed_view_survives(member: str) -> None:
    bench = Bench()
    lose_primary(bench, "b", "c")
    bench.restart(member)
    assert (bench[member].state.view, bench[member].state.phase) == (1, "normal")
    bench.submit("b", "more")
    bench.deliver(only("b", "c"))
    assert heights(bench, ("b", "c")) == [2, 2]


def test_everybody_may_restart_at_once() -> None:
    bench = Bench()
    bench.agree(2)
    bench.submit("a", "in flight")
    bench.deliver(without("commit"))
    for member in bench.members:
        bench.restart(member)
    for _ in range(3):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench) == [3, 3, 3]


@pytest.mark.parametrize("cut", range(12))
def test_a_crash_between_any_two_effects_loses_nothing(cut: int) -> None:
    """b performs its first `cut` effects and crashes; the cluster then goes on to one and the same block."""
    bench = Bench()
    bench.submit("a")
    seat, performed = bench["b"], 0
    original = bench._perform

    def until_cut(each: object, effect: effects.Effect) -> None:
        nonlocal performed
        if each is seat:
            performed += 1
            if performed > cut:
                return
        original(each, effect)  # type: ignore[arg-type]

    bench._perform = until_cut  # type: ignore[method-assign,assignment]
    bench.deliver()
    bench._perform = original  # type: ignore[method-assign]
    bench.restart("b")
    for _ in range(4):
        bench.tick(after_ms=400)
        bench.deliver()
    assert heights(bench) == [1, 1, 1]
    assert len({seat.blocks[0][0].block_id for seat in bench.seats.values()}) == 1


def test_votes_of_committed_heights_are_dropped() -> None:
    bench = Bench()
    bench.agree(2)
    bench.restart("b")
    assert bench["b"].state.slot.vote is None
    assert live_entries(bench["b"].state) == ()


def test_a_ledger_put_back_from_a_copy_makes_an_observer_until_it_has_caught_up() -> None:
    bench = Bench()
    bench.agree(3)
    seat = bench["c"]
    del seat.blocks[1:]
    bench.restart("c")
    bench.drop()
    assert not seat.state.may_vote
    for _ in range(4):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench) == [3, 3, 3]
    assert seat.state.may_vote


def test_a_journal_that_knows_more_than_the_ledger_forbids_votes_up_to_there() -> None:
    bench = Bench()
    bench.agree(3)
    seat = bench["c"]
    del seat.blocks[1:]
    seat.signer = None
    bench.restart("c")
    assert seat.state.observe_until == 2
    assert not seat.state.may_vote


def test_votes_that_the_journal_knows_above_a_ledger_put_back_are_known_again_when_it_comes_there() -> None:
    """In strict mode everybody's vote is asked for: who kept silent there for ever would end the cluster."""
    bench = Bench(mode="strict")
    bench.agree(2)
    bench.submit("a")
    bench.deliver(without("commit"))
    seat = bench["c"]
    vote, prepared = seat.state.slot.vote, seat.state.slot.prepared
    assert vote is not None
    assert prepared is not None
    bench.drop()
    del seat.blocks[1:]
    seat.signer = None
    bench.restart("c")
    assert live_entries(seat.state)[-2:] == prepared.entries, "a truncated journal still knows"
    bench.restart("c")
    for _ in range(6):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench) == [3, 3, 3]
    assert seat.blocks[2][0].block_id == vote.block_id


def test_a_ledger_whose_root_is_not_the_one_cosigned_stops_the_node() -> None:
    bench = Bench()
    bench.agree()
    mark = bench["b"].signer
    assert mark is not None
    bench["b"].signer = SignerMark(mark.epoch, mark.size, bytes(32), mark.time_s)
    bench.restart("b")
    assert bench["b"].state.phase == "stopped"


@pytest.mark.parametrize(
    "entry",
    [
        JournalEntry(Entry.VOTE, b"x"),
        JournalEntry(Entry.PREPARED, b""),
        JournalEntry(
            Entry.VIEW_CHANGE, encode_frame(signed(Prepare(block_id="w" * 43, epoch=0, height=1, sender="a", view=0)))
        ),
        JournalEntry(Entry.NEW_VIEW, b"\x00\x00\x00\x01x"),
    ],
    ids=lambda entry: entry.type.name,
)
def test_a_journal_that_holds_something_else_refuses_to_start(entry: JournalEntry) -> None:
    bench = Bench()
    genesis = restored_genesis(CLUSTER_ID)
    with pytest.raises(Malformed):
        Replica(bench.config("a"), HashKeyring("a"), Restored(genesis.tip, b"", (entry,)))


def test_a_certificate_without_its_vote_refuses_to_start() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    only_certificates = tuple(entry for entry in bench["b"].journal if entry.type is Entry.PREPARED)
    genesis = restored_genesis(CLUSTER_ID)
    with pytest.raises(Malformed):
        Replica(bench.config("b"), HashKeyring("b"), Restored(genesis.tip, b"", only_certificates))


# The signer guard (consensus.md 2.8): what peers hold of one's own signatures


def put_back(bench: Bench, member: str, blocks: int) -> Seat:
    """Start a member from a copy of its folder that was made when it had so many blocks; it knows of nothing since."""
    seat = bench[member]
    del seat.blocks[blocks:]
    boundary = seat.blocks[-1][2] if seat.blocks else None
    seat.signer = SignerMark(0, boundary.size, boundary.root, 1) if boundary else None
    seat.journal = []
    bench.restart(member)
    return seat


def test_a_replica_that_starts_listens_before_it_signs() -> None:
    bench = Bench(greets=True)
    bench.submit("a")
    bench.deliver(without("status"))
    assert not bench["a"].asked(effects.Build), "nobody has told it where he stands"
    bench.tick(after_ms=300)
    bench.deliver()
    assert bench["a"].state.is_greeting
    for _ in range(3):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench) == [1, 1, 1]


def test_a_cluster_of_one_has_nobody_to_listen_to() -> None:
    bench = Bench(1, greets=True)
    bench.submit("a")
    assert heights(bench) == [1]


def test_a_folder_put_back_from_a_copy_signs_nothing_before_it_has_caught_up() -> None:
    bench = Bench()
    bench.agree(3)
    bench.greets = True
    seat = put_back(bench, "c", 1)
    bench.tick(after_ms=300)
    bench.deliver(without("sync-reply"))
    assert seat.signer is not None
    assert seat.signer.size == 6, "the peers showed it its own line"
    assert seat.state.is_forgetful
    for _ in range(4):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench) == [3, 3, 3]
    assert seat.state.may_sign
    assert [list(bench[member].state.culprits) for member in bench.members] == [[], [], []]
    bench.agree()
    assert heights(bench) == [4, 4, 4]
    assert seat.state.signer is not None
    assert seat.state.signer.size == 8


def test_a_vote_that_was_forgotten_with_the_folder_is_not_cast_again() -> None:
    """It voted for a block that nobody committed yet; from an old copy it would vote for another one."""
    bench = Bench()
    bench.agree()
    bench.submit("a", "first")
    bench.deliver(lambda source, target, name: name == "pre-prepare" or (source == "c" and name == "prepare"))
    assert bench["c"].state.slot.vote is not None
    bench.drop()
    bench.greets = True
    seat = put_back(bench, "c", 1)
    bench.tick(after_ms=300)
    bench.deliver(lambda source, target, name: name in ("status", "prepare") and "c" in (source, target))
    assert seat.state.observe_until == 2
    assert not seat.state.may_sign
    for _ in range(4):
        bench.tick(after_ms=300)
        bench.deliver()
    assert heights(bench, "ab") == [2, 2], "the others go on"
    assert [list(bench[member].state.culprits) for member in bench.members] == [[], [], []]
    bench.agree()
    assert heights(bench) == [3, 3, 3]
    assert seat.state.may_sign


def test_a_lie_about_own_signatures_recalls_nothing() -> None:
    bench = Bench()
    bench.agree()
    forged = signed(Prepare(block_id="w" * 42 + "A", epoch=0, height=2, sender="c", view=0))
    bench.receive("c", "a", encode_frame(type(forged)(forged.body, forged.raw, bytes(len(forged.signature)))))
    line = Cosign(line=HashKeyring("a").cosign(99, bytes(32), 1), member="c", root=b64u_encode(bytes(32)), size=99)
    bench.receive("c", "a", encode_frame(line))
    assert bench["c"].state.may_sign
    bench.agree()
    assert heights(bench) == [2, 2, 2]
