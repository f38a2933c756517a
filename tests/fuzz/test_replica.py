"""A replica is shown anything: frames that were changed on the way, and journals that it did not write."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from server.consensus import effects, events
from server.consensus.effects import JournalEntry
from server.consensus.replica import Replica
from server.consensus.restored import Restored, restored_genesis
from server.record.canonical import Malformed
from tests.consensus.cluster import CLUSTER_ID, Bench, heights
from tests.fuzz import examples
from tests.fuzz.changes import changed
from tests.simulation.keyring import HashKeyring

JOURNAL = examples.entries_of_a_journal()
SENDERS = st.sampled_from(["b", "c"])


@settings(max_examples=100)
@given(st.lists(st.tuples(SENDERS, changed(examples.frames()) | st.binary(max_size=60)), min_size=1, max_size=12))
def test_frames_that_were_changed_stop_no_replica_and_cost_no_vote(frames: list[tuple[str, bytes]]) -> None:
    """Nothing is raised, nobody stops, and the next record is committed (and with it a request that came whole)."""
    bench = Bench(3)
    for sender, frame in frames:
        bench.receive("a", sender, frame)
    bench.agree()
    if not bench["a"].state.may_sign:  # it was shown what it really signs and does not know: the others go on (D22)
        for _ in range(12):
            bench.tick(after_ms=300)
            bench.deliver()
    assert bench["a"].state.phase != "stopped"
    assert heights(bench, "b") == heights(bench, "c") > [0]


@settings(max_examples=200)
@given(st.integers(0, len(JOURNAL) - 1), st.data())
def test_a_journal_with_a_changed_entry_is_restored_or_malformed(place: int, data: st.DataObject) -> None:
    entry = JournalEntry(JOURNAL[place].type, data.draw(changed([entry.data for entry in JOURNAL])))
    restore([*JOURNAL[:place], entry, *JOURNAL[place + 1 :]])


@settings(max_examples=200)
@given(st.lists(st.sampled_from(JOURNAL), max_size=8))
def test_a_journal_in_another_order_is_restored_or_malformed(entries: list[JournalEntry]) -> None:
    restore(entries)


def restore(entries: list[JournalEntry]) -> None:
    genesis = restored_genesis(CLUSTER_ID)
    bench = Bench(3)
    try:
        replica = Replica(bench.config("a"), HashKeyring("a"), Restored(genesis.tip, b"", tuple(entries), None, ()))
    except Malformed:
        return
    replica.step(bench.now, events.Start())
    replica.step(bench.now + 300, events.Tick())


def test_a_real_journal_is_restored() -> None:
    assert {entry.type for entry in JOURNAL} == set(effects.Entry)
    restore(JOURNAL)
