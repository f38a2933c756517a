"""Evidence of retired keys (consensus.md 1.4, E8): what proves that a key signed on; nobody honest is blamed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.consensus import effects, events
from server.consensus.block import make_block, pack_block
from server.consensus.certificates import Certifier
from server.consensus.config import Config, Ending
from server.consensus.evidence import Evidence, Statement, unpack_evidence
from server.consensus.frames import encode_frame
from server.consensus.judgement import verify
from server.consensus.messages import (
    Commit,
    Cosign,
    EvidenceMessage,
    Prepare,
    PrePrepareMessage,
    SignedBody,
    ViewChange,
    ViewChangeMessage,
)
from server.consensus.retirement import accuse_of_line, accuse_of_vote
from server.ledger.block import Header, block_id, leaf_entry
from server.ledger.merkle import Frontier, inclusion_proof, leaf_hash
from server.record.canonical import Malformed, b64u_encode, encode
from tests.consensus.cluster import CLUSTER_ID
from tests.consensus.test_epochs import ENDS, Turning
from tests.consensus.test_normal import signed
from tests.simulation.keyring import HashKeyring

LAST = Header(0, "r" * 42 + "A", 0, 7, "p" * 42 + "A", "a", 1, "d" * 42 + "A", 1_700_000_000_000)
"""Of the last block of epoch 0."""
ENTRIES = [b"one", b"two", leaf_entry(CLUSTER_ID, LAST, 2, "s" * 42 + "A")]
ENDING = Ending(0, 7, 3, block_id(CLUSTER_ID, LAST), ENTRIES[-1], voters=("c",), cosigners=("c",))
CONFIG = Config(("a", "b", "d"), "a", CLUSTER_ID, 1, first_height=8, first_size=3, endings=(ENDING,))


def judge(evidence: Evidence, config: Config = CONFIG) -> None:
    """As a replica in the next epoch does."""
    keyring = HashKeyring("a", epoch=1)
    verify(unpack_evidence(evidence.packed), Certifier(config, keyring), keyring)


def following(**changes: Any) -> Header:
    """A header right behind the last block of the epoch."""
    values = {name: getattr(LAST, name) for name in LAST.__struct_fields__} | {"height": 8, "prev": ENDING.block_id}
    return Header(**(values | changes))


def vote(header: Header, shape: type[SignedBody] = Prepare, **changes: Any) -> SignedBody:
    values = {"block_id": block_id(CLUSTER_ID, header), "epoch": 0, "height": header.height, "sender": "c", "view": 0}
    extra = {"new_view": ""} if shape is Commit else {}
    return shape(**(values | extra | changes))


def leaving(**changes: Any) -> ViewChange:
    values = {"last_block": ENDING.block_id, "last_height": 7, "prepared_block": "", "prepared_view": 0, "view": 2}
    return ViewChange(**({"epoch": 0, "sender": "c"} | values | changes))


def tree(entries: list[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """The root over entries, and the inclusion proof of one of them."""
    frontier, nodes = Frontier(), {}
    for entry in entries:
        nodes.update({(level, place): node for level, place, node in frontier.append(leaf_hash(entry))})
    return frontier.root(), inclusion_proof(index, len(entries), lambda level, place: nodes[level, place])


def line(entries: list[bytes], member: str = "c") -> Cosign:
    root, size = tree(entries, 0)[0], len(entries)
    text = HashKeyring(member).cosign(size, root, 9)
    return Cosign(line=text, member=member, root=b64u_encode(root), size=size)


def evidence_of_line(entries: list[bytes]) -> Evidence:
    return accuse_of_line(ENDING, line(entries), tree(entries, 2)[1])


def evidence_of_vote(body: SignedBody, header: Header | None = None) -> Evidence:
    found = accuse_of_vote(CONFIG, ENDING, signed(body), encode(header) if header else b"")
    assert found is not None
    return found


# ---------------------------------------------------------------- what proves it


@pytest.mark.parametrize("more", [[], [b"later"], [b"later", b"and later", b"still"]])
def test_a_line_under_a_tree_that_holds_the_end_of_the_epoch_proves_it(more: list[bytes]) -> None:
    judge(evidence_of_line([*ENTRIES, *more]))


@pytest.mark.parametrize("shape", [Prepare, Commit])
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_vote_for_a_block_behind_the_last_one_proves_it_whatever_epoch_it_says(
    shape: type[SignedBody], epoch: int
) -> None:
    header = following(epoch=epoch)
    judge(evidence_of_vote(vote(header, shape, epoch=epoch), header))


def test_leaving_a_view_above_the_last_block_proves_it() -> None:
    judge(evidence_of_vote(leaving()))


# ---------------------------------------------------------------- what an honest member may have signed


def test_a_line_under_another_tree_proves_nothing_however_large_it_is() -> None:
    """At a fork the side that its change never reached is signed by whom the other side puts out."""
    aside = [b"one", b"two", b"another block of the same height", b"more", b"and more"]
    claimed = accuse_of_line(ENDING, line(aside), tree(aside, 2)[1])
    with pytest.raises(Malformed, match="does not hold the end"):
        judge(claimed)


def test_a_line_of_a_smaller_tree_proves_nothing() -> None:
    before = ENTRIES[:2]
    with pytest.raises(Malformed):
        judge(accuse_of_line(ENDING, line(before), tree(ENTRIES, 2)[1]))


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (vote(LAST), LAST),
        (vote(following(prev="q" * 42 + "A")), following(prev="q" * 42 + "A")),
        (vote(following(height=9)), following(height=9)),
        (vote(following()), None),
        (vote(following()), following(time_ms=1)),
        (leaving(last_height=6), None),
        (leaving(last_block="q" * 42 + "A"), None),
    ],
    ids=["the last block", "at a fork", "further up", "no header", "another header", "before it", "another last block"],
)
def test_a_vote_that_does_not_follow_that_very_end_proves_nothing(body: SignedBody, header: Header | None) -> None:
    assert accuse_of_vote(CONFIG, ENDING, signed(body), encode(header) if header else b"") is None
    claimed = evidence_of_vote(leaving())
    said = signed(body)
    kind = "VIEW-CHANGE" if isinstance(body, ViewChange) else "PREPARE"
    shown = () if header is None else (encode(header),)
    with pytest.raises(Malformed):
        judge(replace(claimed, first=Statement(kind, said.raw, said.signature), branches=shown))


def test_a_member_whose_keys_stayed_is_never_meant() -> None:
    for made in (evidence_of_line(ENTRIES), evidence_of_vote(leaving())):
        kept = replace(ENDING, voters=("b",), cosigners=("b",))
        with pytest.raises(Malformed, match="not retired"):
            judge(made, replace(CONFIG, endings=(kept,)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: replace(found, culprit="b"),
        lambda found: replace(found, offence="double_vote"),
        lambda found: replace(found, second=replace(found.second, raw=ENTRIES[0])),
        lambda found: replace(found, second=replace(found.second, signature=b"x")),
        lambda found: replace(found, second=replace(found.second, type="LEAF")),
        lambda found: replace(found, first=found.second),
        lambda found: replace(found, branches=()),
        lambda found: replace(found, branches=(*found.branches, b"{}")),
    ],
)
def test_changed_evidence_of_a_retired_key_proves_nothing(spoil: Any) -> None:
    for made in (evidence_of_line(ENTRIES), evidence_of_vote(vote(following()), following())):
        judge(made)
        with pytest.raises(Malformed):
            judge(spoil(made))


def test_forged_signatures_prove_nothing() -> None:
    made = evidence_of_vote(leaving())
    with pytest.raises(Malformed, match="not signed"):
        judge(replace(made, first=replace(made.first, signature=bytes(16))))
    other = line(ENTRIES, "b")
    stolen = Cosign(line=other.line, member="c", root=other.root, size=other.size)
    with pytest.raises(Malformed, match="not signed"):
        judge(accuse_of_line(ENDING, stolen, tree(ENTRIES, 2)[1]))


def test_before_the_epoch_has_ended_here_nothing_is_evidence() -> None:
    with pytest.raises(Malformed, match="no epoch ended"):
        judge(evidence_of_line(ENTRIES), replace(CONFIG, endings=()))


# ---------------------------------------------------------------- what replicas do with it


class Retiring(Turning):
    """Mutable. c is put out where the first epoch ends, and goes on being heard as a guest."""

    def __init__(self) -> None:
        super().__init__(after="abd")

    def config(self, member: str) -> Config:
        found = super().config(member)
        if found.epoch == 0:
            return found
        block, _, _, _ = self.seats[member].blocks[ENDS - 1]
        entry = leaf_entry(CLUSTER_ID, block.header, 2 * ENDS - 1, "")
        ending = Ending(0, ENDS, 2 * ENDS, block.block_id, entry, voters=("c",), cosigners=("c",))
        return replace(found, endings=(ending,))

    @property
    def ending(self) -> Ending:
        [found] = self["a"].state.config.endings
        return found

    def proposal(self) -> PrePrepareMessage:
        """What nobody honest proposes: a block of the old epoch behind its last one."""
        tip = self["a"].state.tip
        last = self.seats["a"].blocks[ENDS - 1][0].header
        values = {name: getattr(last, name) for name in last.__struct_fields__}
        header = Header(**(values | {"height": ENDS + 1, "prev": tip.block_id, "time_ms": last.time_ms + 1}))
        block = make_block(CLUSTER_ID, header, self.seats["a"].blocks[ENDS - 1][0].items)
        return PrePrepareMessage(signed(vote(header)), pack_block(block))

    def leave(self) -> ViewChangeMessage:
        said = leaving(last_block=self.ending.block_id, last_height=ENDS)
        return ViewChangeMessage(signed(said), b"", b"", b"", b"")


@pytest.mark.parametrize("made", [Retiring.proposal, Retiring.leave], ids=["proposal", "view-change"])
@pytest.mark.parametrize("carrier", ["b", "c"])
def test_a_statement_of_who_was_put_out_is_kept_and_told_once_and_bars_nobody(made: Any, carrier: str) -> None:
    bench = Retiring()
    bench.turn()
    bench.drop()
    for _ in range(3):
        bench.receive("a", carrier, encode_frame(made(bench)))
    state = bench["a"].state
    [kept] = bench["a"].asked(effects.KeepEvidence)
    assert (kept.evidence.offence, kept.evidence.culprit) == ("retired_key", "c")
    assert [*state.retired] == ["c/0"]
    assert (state.culprits, state.evidence) == ({}, {})
    told = [message for source, _, message in bench.drop() if source == "a" and isinstance(message, EvidenceMessage)]
    assert {unpack_evidence(message.evidence).id for message in told} == {kept.evidence.id}
    bench.agree(1)


def test_a_line_of_an_own_tree_is_handed_to_the_driver_to_be_proved_and_one_of_another_tree_is_not() -> None:
    bench = Retiring()
    bench.turn()
    tip = bench["a"].state.tip
    for root, asked in ((b"1" * 32, 0), (tip.root, 1)):
        text = HashKeyring("c").cosign(tip.size, root, 9)
        said = Cosign(line=text, member="c", root=b64u_encode(root), size=tip.size)
        bench.receive("a", "c", encode_frame(said))
        assert len(bench["a"].asked(effects.ProveRetired)) == asked
    assert bench["a"].state.retired == {}


def told_by_a_in_answer_to_b(bench: Retiring) -> list[str]:
    """Types of the frames that a sends b when it hears b's STATUS."""
    names: list[str] = []

    def arrives(source: str, target: str, name: str) -> bool:
        names.extend([name] if (source, target) == ("a", "b") else [])
        return (source, target, name) == ("b", "a", "status")

    bench.deliver(arrives)
    return names


def test_evidence_that_is_not_ordered_yet_is_wanted_and_told_with_each_status() -> None:
    bench = Retiring()
    bench.turn()
    bench.receive("a", "c", encode_frame(bench.leave()))
    bench.drop()
    for named, told in (((), True), (("c/0",), False)):
        bench.step("a", events.Agenda(retired=named))
        bench.tick("b", after_ms=1_000)
        names = told_by_a_in_answer_to_b(bench)
        assert ("evidence" in names) is told


def test_the_same_is_known_again_after_a_restart_and_not_told_anew() -> None:
    bench = Retiring()
    bench.turn()
    bench.receive("a", "c", encode_frame(bench.leave()))
    [kept] = bench["a"].asked(effects.KeepEvidence)
    bench.restart("a")
    assert [*bench["a"].state.retired] == ["c/0"]
    bench.receive("a", "c", encode_frame(bench.leave()))
    assert bench["a"].asked(effects.KeepEvidence) in ([], [kept])


def test_evidence_that_a_phone_brings_is_verified() -> None:
    bench = Retiring()
    bench.turn()
    bench.receive("a", "c", encode_frame(bench.leave()))
    [kept] = bench["a"].asked(effects.KeepEvidence)
    bench.step("b", events.Accused(kept.evidence.packed))
    assert [*bench["b"].state.retired] == ["c/0"]
    forged = replace(kept.evidence, culprit="b")
    bench.step("d", events.Accused(forged.packed))
    assert bench["d"].state.retired == {}
