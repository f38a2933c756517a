"""What is evidence and what is not (consensus.md 1.4), and that nothing else verifies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from server.consensus.certificates import Certifier
from server.consensus.evidence import (
    Branch,
    Evidence,
    Statement,
    accuse,
    accuse_of_split,
    offence_of,
    unpack_evidence,
)
from server.consensus.judgement import verify
from server.consensus.messages import Commit, Cosign, NewView, Prepare, SignedBody, ViewChange
from server.ledger.merkle import Frontier, inclusion_proof, leaf_hash
from server.record.canonical import Malformed, b64u_encode
from tests.consensus.cluster import Bench
from tests.consensus.test_normal import signed
from tests.simulation.keyring import HashKeyring

X, Y = "x" * 42 + "A", "y" * 42 + "A"


def prepare(**changes: Any) -> Prepare:
    return Prepare(**({"block_id": X, "epoch": 0, "height": 5, "sender": "c", "view": 1} | changes))


def commit(**changes: Any) -> Commit:
    return Commit(**({"block_id": X, "epoch": 0, "height": 5, "new_view": "", "sender": "c", "view": 1} | changes))


def change(**changes: Any) -> ViewChange:
    values = {"last_block": Y, "last_height": 4, "prepared_block": "", "prepared_view": 0, "view": 2}
    return ViewChange(**({"epoch": 0, "sender": "c"} | values | changes))


def new_view(**changes: Any) -> NewView:
    values = {"base_height": 4, "block_id": "", "epoch": 0, "sender": "c", "view": 2, "view_changes": (X,)}
    return NewView(**(values | changes))


@pytest.mark.parametrize(
    ("first", "second", "offence"),
    [
        (prepare(), prepare(block_id=Y), "double_vote"),
        (commit(), commit(block_id=Y), "double_vote"),
        (prepare(), commit(block_id=Y), "double_vote"),
        (prepare(), prepare(), None),
        (prepare(), commit(), None),
        (prepare(), prepare(block_id=Y, view=2), None),
        (commit(), commit(block_id=Y, view=2), None),
        (prepare(), prepare(block_id=Y, height=6), None),
        (prepare(), prepare(block_id=Y, epoch=1), None),
        (prepare(), prepare(block_id=Y, sender="b"), None),
        (new_view(), new_view(block_id=Y), "double_new_view"),
        (new_view(), new_view(view_changes=(Y,)), "double_new_view"),
        (new_view(), new_view(), None),
        (new_view(), new_view(view=3), None),
        (new_view(), prepare(), None),
        (commit(), change(), "hidden_vote"),
        (commit(), change(last_height=3, prepared_block=X, prepared_view=1), "hidden_vote"),
        (commit(view=1), change(view=3, prepared_block=X, prepared_view=0), "hidden_vote"),
        (commit(), change(prepared_block=X, prepared_view=1), None),
        (commit(view=1), change(view=3, prepared_block=Y, prepared_view=2), None),
        (commit(), change(last_height=5), None),
        (commit(), change(view=1), None),
        (commit(view=2), change(view=2), None),
        (prepare(), change(), None),
    ],
)
def test_two_statements_are_evidence_when_no_honest_member_makes_both(
    first: SignedBody, second: SignedBody, offence: str | None
) -> None:
    assert offence_of(first, second) == offence
    assert offence_of(second, first) == offence, "in whichever order they were made"


def judges() -> tuple[Certifier, HashKeyring]:
    return Certifier(Bench().config("a"), HashKeyring("a")), HashKeyring("a")


def double_vote() -> Evidence:
    found = accuse(signed(prepare()), signed(prepare(block_id=Y)))
    assert found is not None
    return found


def test_evidence_is_the_same_whoever_found_its_halves_first() -> None:
    assert accuse(signed(prepare(block_id=Y)), signed(prepare())) == double_vote()
    assert accuse(signed(change()), signed(commit())) == accuse(signed(commit()), signed(change()))


def test_evidence_survives_its_bytes_and_verifies() -> None:
    for found in (
        double_vote(),
        accuse(signed(change()), signed(commit())),
        accuse(signed(new_view()), signed(new_view(block_id=Y))),
    ):
        assert found is not None
        again = unpack_evidence(found.packed)
        assert (again, again.id) == (found, found.id)
        verify(again, *judges())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: replace(found, culprit="b"),
        lambda found: replace(found, offence="hidden_vote"),
        lambda found: replace(found, offence="split_checkpoint"),
        lambda found: replace(found, first=found.second, second=found.first),
        lambda found: replace(found, second=found.first),
        lambda found: replace(found, first=replace(found.first, signature=bytes(32))),
        lambda found: replace(found, first=replace(found.first, type="COMMIT")),
        lambda found: replace(found, first=replace(found.first, type="EXECUTED")),
        lambda found: replace(found, first=Statement("PREPARE", b"{}", b"")),
        lambda found: replace(found, branches=(b"{}", b"{}")),
    ],
)
def test_changed_evidence_proves_nothing(spoil: Any) -> None:
    with pytest.raises(Malformed):
        verify(spoil(double_vote()), *judges())


def test_a_member_of_another_cluster_or_epoch_is_not_accused() -> None:
    for changes in ({"sender": "stranger"}, {"epoch": 7}):
        found = accuse(signed(prepare(**changes)), signed(prepare(block_id=Y, **changes)))
        assert found is not None
        with pytest.raises(Malformed):
            verify(found, *judges())


def line(member: str, size: int, root: bytes, time_s: int = 9) -> Cosign:
    text = HashKeyring(member).cosign(size, root, time_s)
    return Cosign(line=text, member=member, root=b64u_encode(root), size=size)


def test_two_roots_of_one_size_are_a_split() -> None:
    first, second = line("c", 8, bytes(32)), line("c", 8, b"1" * 32)
    found = accuse_of_split(first, second)
    assert found is not None
    assert found == accuse_of_split(second, first)
    verify(unpack_evidence(found.packed), *judges())
    assert accuse_of_split(first, line("c", 8, bytes(32), 10)) is None, "the same root at another time"
    assert accuse_of_split(first, line("b", 8, b"1" * 32)) is None
    assert accuse_of_split(first, line("c", 9, b"1" * 32)) is None, "a tree may have grown"
    forged = replace(found, second=Statement("COSIGN", msgspec.json.encode(second).replace(b'"size":8', b'"size":7')))
    with pytest.raises(Malformed):
        verify(forged, *judges())


def branch(entries: list[bytes], index: int) -> tuple[bytes, Branch]:
    """The root over entries, and the branch of one of them."""
    tree, nodes = Frontier(), {}
    for entry in entries:
        nodes.update({(level, place): node for level, place, node in tree.append(leaf_hash(entry))})
    proof = inclusion_proof(index, len(entries), lambda level, place: nodes[level, place])
    leaf = b64u_encode(leaf_hash(entries[index]))
    return tree.root(), Branch(index=index, leaf=leaf, proof=tuple(map(b64u_encode, proof)))


def test_two_leaves_at_one_index_are_a_split_whatever_the_sizes() -> None:
    shorter, longer = [b"a", b"b", b"c"], [b"a", b"B", b"c", b"d", b"e"]
    (root1, branch1), (root2, branch2) = branch(shorter, 1), branch(longer, 1)
    first, second = line("c", 3, root1), line("c", 5, root2)
    found = accuse_of_split(first, second, (branch1, branch2))
    assert found is not None
    assert found == accuse_of_split(second, first, (branch2, branch1))
    verify(unpack_evidence(found.packed), *judges())
    _, same = branch(longer, 2)
    for wrong in ((branch1, branch1), (branch2, branch1), (branch1, same), (branch1,)):
        claimed = accuse_of_split(first, second, wrong)
        if claimed is not None:
            with pytest.raises(Malformed):
                verify(claimed, *judges())


def test_a_tree_that_only_grew_is_no_split() -> None:
    (root1, branch1), (root2, branch2) = branch([b"a", b"b"], 1), branch([b"a", b"b", b"c"], 1)
    claimed = accuse_of_split(line("c", 2, root1), line("c", 3, root2), (branch1, branch2))
    assert claimed is not None
    with pytest.raises(Malformed, match="no contradiction"):
        verify(claimed, *judges())
