"""View changes, sentence by sentence (PBFT 4.4; consensus.md 2.5, 2.12)."""

from dataclasses import replace
from typing import Any

import pytest

from server.consensus import effects, events
from server.consensus.certificates import pack_certificate
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import NewViewMessage, Suspect, ViewChange, ViewChangeMessage
from server.consensus.normal import may_propose
from tests.consensus.cluster import Bench, both, heights, only, without
from tests.consensus.test_normal import proposal, signed


def suspect_frame(sender: str, view: int = 0) -> bytes:
    """A SUSPECT of `sender`."""
    return encode_frame(signed(Suspect(epoch=0, height=1, reason="record", sender=sender, view=view)))


def certificate(view: int, *senders: str) -> bytes:
    """SUSPECTs of some members for a view."""
    return pack_certificate(
        [signed(Suspect(epoch=0, height=1, reason="record", sender=sender, view=view)) for sender in senders]
    )


def change(sender: str, view: int = 1, suspects: bytes | None = None, **changes: Any) -> ViewChangeMessage:
    """A VIEW-CHANGE of a member that has committed and prepared nothing."""
    values: dict[str, Any] = {
        "epoch": 0,
        "last_block": "",
        "last_height": 0,
        "prepared_block": "",
        "prepared_view": 0,
        "sender": sender,
        "view": view,
    }
    body = ViewChange(**(values | changes))
    proof = certificate(view - 1, "a", "b", "c") if suspects is None else suspects
    return ViewChangeMessage(signed(body), b"", proof, b"", b"")


def lose_primary(bench: Bench, *members: str) -> None:
    """The primary falls silent, a record waits, the others change the view."""
    bench.submit(members[0], "waiting")
    bench.deliver(only(*members))
    bench.tick(*members, after_ms=1_100)
    bench.deliver(only(*members))


def test_one_suspicion_disturbs_nobody() -> None:
    bench = Bench()
    bench.receive("b", "c", suspect_frame("c"))
    assert bench["b"].state.view == 0
    assert bench["b"].state.phase == "normal"


def test_who_suspects_stays_in_its_view_and_goes_on_voting() -> None:
    bench = Bench()
    bench.submit("b")
    bench.drop()
    bench.tick("b", after_ms=1_100)
    assert "suspect" in bench.names("b")
    assert (bench["b"].state.view, bench["b"].state.phase) == (0, "normal")
    bench.receive("b", "a", proposal(bench))
    assert bench["b"].state.slot.vote is not None


def test_a_quorum_of_suspicions_leaves_the_view() -> None:
    bench = Bench()
    bench.receive("b", "c", suspect_frame("c"))
    bench.receive("b", "a", suspect_frame("a"))
    assert (bench["b"].state.view, bench["b"].state.phase) == (1, "changing")


def test_who_suspects_a_later_view_suspects_the_one_before_it_too() -> None:
    """Else members that stand in different views, each one short of a quorum, would wait for each other for ever."""
    bench = Bench()
    bench.receive("b", "c", suspect_frame("c", view=1))
    bench.receive("b", "a", suspect_frame("a"))
    assert (bench["b"].state.view, bench["b"].state.phase) == (1, "changing")
    proof = pack_certificate(
        [signed(Suspect(epoch=0, height=1, reason="record", sender=s, view=v)) for s, v in (("a", 0), ("c", 1))]
    )
    fresh = Bench()
    fresh.receive("b", "c", encode_frame(change("c", suspects=proof)))
    assert fresh["b"].state.view == 1
    fresh.receive("b", "a", encode_frame(change("a", view=2, suspects=proof)))
    assert fresh["b"].state.view == 1, "who suspects a view says nothing of the later ones"


def test_one_member_suspecting_twice_is_one_suspicion() -> None:
    bench = Bench()
    bench.receive("b", "c", suspect_frame("c"))
    bench.receive("b", "c", suspect_frame("c"))
    bench.receive("b", "c", suspect_frame("c", view=1))
    assert bench["b"].state.view == 0
    assert len(bench["b"].state.suspects) == 1


def test_a_suspicion_of_a_view_far_ahead_is_ignored() -> None:
    bench = Bench()
    for sender in ("a", "c"):
        bench.receive("b", sender, suspect_frame(sender, view=1_001))
        bench.receive("b", sender, suspect_frame(sender, view=2**53 - 1))
    assert bench["b"].state.suspects == {}


def test_a_view_change_that_carries_its_certificate_is_joined_however_far_ahead() -> None:
    bench = Bench()
    bench.receive("b", "c", encode_frame(change("c", view=5_000)))
    assert (bench["b"].state.view, bench["b"].state.phase) == (5_000, "changing")


@pytest.mark.parametrize(
    "suspects",
    [certificate(0, "a"), certificate(0, "a") * 2, certificate(0, "a", "b"), b"", b"x"],
    ids=["one", "one twice", "of an earlier view", "none", "no certificate"],
)
def test_a_view_change_without_a_quorum_of_suspicions_is_refused(suspects: bytes) -> None:
    bench = Bench()
    bench.receive("b", "c", encode_frame(change("c", view=2, suspects=suspects)))
    assert bench["b"].state.view == 0


@pytest.mark.parametrize(
    "claims",
    [
        {"last_height": 4, "last_block": "w" * 43},
        {"last_block": "w" * 43},
        {"prepared_block": "w" * 43},
        {"epoch": 1},
    ],
    ids=["a block without certificate", "a block at height 0", "prepared without certificate", "another epoch"],
)
def test_a_view_change_that_does_not_prove_its_claims_is_refused(claims: dict[str, Any]) -> None:
    bench = Bench()
    bench.receive("b", "c", encode_frame(change("c", **claims)))
    assert bench["b"].state.view == 0


def test_the_view_change_is_durable_before_it_is_sent() -> None:
    bench = Bench()
    for sender in ("a", "c"):
        bench.receive("b", sender, suspect_frame(sender))
    performed = [each for each in bench["b"].performed if isinstance(each, effects.Persist | effects.Send)]
    at = next(
        i for i, each in enumerate(performed) if isinstance(each, effects.Send) and b"view-change" in each.frame[:20]
    )
    entry = performed[at - 1]
    assert isinstance(entry, effects.Persist)
    assert entry.entries[0].type is effects.Entry.VIEW_CHANGE


def test_the_new_view_is_durable_before_it_is_sent() -> None:
    bench = Bench()
    lose_primary(bench, "b", "c")
    performed = [each for each in bench["b"].performed if isinstance(each, effects.Persist | effects.Send)]
    at = next(
        i for i, each in enumerate(performed) if isinstance(each, effects.Send) and b"new-view" in each.frame[:20]
    )
    entry = next(each for each in reversed(performed[:at]) if isinstance(each, effects.Persist))
    assert entry.entries[0].type is effects.Entry.NEW_VIEW


def test_the_next_primary_takes_over_and_orders_what_waits() -> None:
    bench = Bench()
    lose_primary(bench, "b", "c")
    assert [bench[member].state.view for member in ("b", "c")] == [1, 1]
    assert heights(bench, ("b", "c")) == [1, 1]


def test_a_block_that_one_replica_committed_survives_the_view_change() -> None:
    """a proposes, b and a prepare, only a sees the COMMITs and stores; then a falls silent."""
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), lambda source, target, name: not (name == "commit" and target == "b")))
    assert heights(bench) == [1, 0, 0]
    committed = bench["a"].state.tip.block_id
    lose_primary(bench, "b", "c")
    bench.tick("b", "c", after_ms=300)
    bench.deliver(only("b", "c"))
    assert bench["b"].blocks[0][0].block_id == bench["c"].blocks[0][0].block_id == committed


def test_a_block_proposed_again_keeps_its_id_time_and_proposer_though_the_clock_went_on() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    bench.drop()
    bench.now += 60_000
    lose_primary(bench, "b", "c")
    bench.tick("b", "c", after_ms=300)
    bench.deliver(only("b", "c"))
    first = bench["c"].blocks[0][0]
    assert first.header.proposer == "a"
    assert bench.now - first.header.time_ms > 60_000


def test_a_replica_without_the_batch_of_the_named_block_fetches_it_by_id() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    bench.drop()
    seen: list[str] = []

    def see(source: str, target: str, name: str) -> bool:
        seen.append(name)
        return "a" not in (source, target)

    bench.submit("b", "waiting")
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=1_100)
    bench.deliver(see)
    bench.tick("b", "c", after_ms=300)
    bench.deliver(see)
    assert {"fetch", "batch"} <= set(seen)
    assert bench["c"].blocks[0][0].header.proposer == "a"


def test_who_already_sent_commit_still_takes_part_in_view_changes() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    assert bench["b"].state.slot.commit_sent is not None
    bench.drop()
    lose_primary(bench, "b", "c")
    assert bench["b"].state.view == 1


def test_the_own_prepared_block_is_kept_until_its_height_commits() -> None:
    """b prepares X in view 0. Views 1 and 2 begin and end without anything prepared: b still reports X."""
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    bench.drop()
    prepared = bench["b"].state.slot.prepared
    assert prepared is not None
    for view in (0, 1, 2):
        for sender in ("a", "c"):
            bench.receive("b", sender, suspect_frame(sender, view))
        message = bench["b"].state.change
        assert message is not None
        assert message[0].change.body.prepared_block == prepared.block.block_id
        bench.drop()


def new_view(bench: Bench) -> NewViewMessage:
    """A good NEW-VIEW of view 1 by b, with VIEW-CHANGEs of b and c."""
    lose_primary(bench, "b", "c")
    installed = bench["b"].state.installed
    assert installed is not None
    return installed.message


def test_a_new_view_is_recomputed_by_everybody() -> None:
    message = new_view(Bench())
    fresh = Bench()
    fresh.receive("a", "b", encode_frame(message))
    assert (fresh["a"].state.view, fresh["a"].state.phase) == (1, "normal")


@pytest.mark.parametrize(
    "changes",
    [{"base_height": 1}, {"block_id": "w" * 43}, {"sender": "c"}, {"epoch": 1}, {"view": 4}, {"view_changes": ()}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_new_view_that_says_something_else_than_its_view_changes_is_refused(changes: dict[str, Any]) -> None:
    message = new_view(Bench())
    old = message.new_view.body
    values = {
        name: getattr(old, name) for name in ("base_height", "block_id", "epoch", "sender", "view", "view_changes")
    }
    body = type(old)(**(values | changes))
    fresh = Bench()
    fresh.receive("a", "b", encode_frame(replace(message, new_view=signed(body))))
    assert fresh["a"].state.view == 0


def test_a_new_view_of_one_member_twice_is_refused() -> None:
    message = new_view(Bench())
    twice = (message.changes[0], message.changes[0])
    body = type(message.new_view.body)(
        base_height=0,
        block_id="",
        epoch=0,
        sender="b",
        view=1,
        view_changes=(message.new_view.body.view_changes[0],) * 2,
    )
    fresh = Bench()
    fresh.receive("a", "b", encode_frame(NewViewMessage(signed(body), twice)))
    assert fresh["a"].state.view == 0


def test_a_new_view_may_be_carried_by_anyone() -> None:
    message = new_view(Bench())
    fresh = Bench()
    fresh.receive("a", "c", encode_frame(message))
    assert fresh["a"].state.view == 1


def test_an_old_new_view_is_ignored() -> None:
    bench = Bench()
    message = new_view(bench)
    for sender in ("a", "c"):
        bench.receive("b", sender, suspect_frame(sender, view=3))
    bench.receive("b", "b", encode_frame(message))
    assert (bench["b"].state.view, bench["b"].state.phase) == (4, "changing")


def test_a_new_primary_behind_the_base_synchronises_before_it_announces_the_view() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(only("a", "c"))
    assert heights(bench) == [1, 0, 1]
    for receiver in ("b", "c"):
        for sender in ("a", "b", "c"):
            if sender != receiver:
                bench.receive(receiver, sender, suspect_frame(sender))
    bench.deliver(lambda source, target, name: name == "view-change" and "a" not in (source, target))
    assert (bench["b"].state.view, bench["b"].state.phase) == (1, "changing")
    assert not may_propose(bench["b"].state)
    bench.tick("b", "c", after_ms=300)
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=300)
    bench.deliver(only("b", "c"))
    assert heights(bench) == [1, 1, 1]
    assert bench["b"].state.installed is not None
    assert bench["b"].state.installed.body.base_height == 1


def test_a_view_change_with_another_certified_block_at_the_own_height_is_a_fork() -> None:
    """Two clusters with the same keys stand for a cluster that was split and lied to."""
    bench, other = Bench(4), Bench(4)
    bench.submit("a")
    bench.deliver(only("a", "b", "d"))
    other.submit("a", "something else")
    other.deliver(only("a", "b", "c"))
    assert other["c"].state.tip.block_id != bench["d"].state.tip.block_id
    for sender in ("a", "b"):
        other.receive("c", sender, suspect_frame(sender))
    other.step("c", events.Tick())
    suspicion = signed(Suspect(epoch=0, height=2, reason="view", sender="d", view=0))
    other.receive("c", "d", encode_frame(suspicion))
    message = other["c"].state.change
    assert message is not None
    bench.receive("d", "c", encode_frame(message[0]))
    assert bench["d"].asked(effects.Stop)[-1].reason == "fork"
    assert list(bench["d"].state.culprits) == ["a", "b"], "they committed both blocks"


def test_commit_names_the_new_view_that_justified_its_view() -> None:
    bench = Bench()
    lose_primary(bench, "b", "c")
    store = bench["c"].asked(effects.Store)[-1]
    assert bench["c"].state.installed is not None
    assert store.view == 1
    assert store.new_view == bench["c"].state.installed.digest
    kept = bench["c"].asked(effects.KeepTranscript)[-1]
    assert kept.digest == store.new_view
    assert isinstance(decode_frame(kept.frame), NewViewMessage)


def test_a_primary_does_not_propose_its_own_block_where_the_new_view_names_one() -> None:
    bench = Bench()
    bench.submit("a")
    bench.deliver(both(only("a", "b"), without("commit")))
    bench.drop()
    bench.submit("b", "waiting")
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=1_100)
    bench.deliver(both(only("b", "c"), without("batch", "prepare")))
    assert bench["b"].state.installed is not None
    assert bench["b"].state.installed.body.block_id
    assert not may_propose(bench["b"].state)
