"""The operators' tool for forks refuses, in words, what no node would take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from resolutions import (
    Draft,
    History,
    Refused,
    draw_up,
    fork_height_of,
    give,
    in_words,
    is_draft,
    read_draft,
    sign_draft,
)
from samples import node_signer
from server.ledger.block import Header, leaf_entry
from server.ledger.genesis import OPERATOR, Organisation
from server.record.canonical import b64u_encode, decode, encode
from vector_cases.forks import CULPRIT, KEPT, LOST, forgiven, resolved, split
from vector_cases.successions import FOUNDED, FOUNDED_ID, ORIGIN, Members, Story

NOW: dict[str, Any] = {
    "cluster_id": b64u_encode(FOUNDED_ID),
    "epoch": 0,
    "members": msgspec.to_builtins(FOUNDED.members),
    "pending": "",
    "policy": msgspec.to_builtins(FOUNDED.policy),
}


def history(member: str, *marks: str) -> History:
    """A log of empty blocks, told apart by their marks."""
    entries = []
    for index, mark in enumerate(marks):
        digest = b64u_encode(mark.encode().ljust(32, b"."))
        header = Header(0, digest, 0, index + 1, digest, "owners", 1, digest, index + 1)
        entries.append(leaf_entry(FOUNDED_ID, header, index, digest))
    blocks = [(str(decode(entry)["system"]["body"]["block_id"]), at + 1) for at, entry in enumerate(entries)]
    return History(member, tuple(blocks), tuple(entries))


KEEPER, LOSER = history(KEPT, "a", "b", "c"), history(LOST, "a", "x", "y", "z")
EVIDENCE = [split(CULPRIT).packed]


def renewed(after: Members, *nodes: str) -> list[Organisation]:
    return [after[node] for node in nodes]


def drawn(evidence: list[bytes] = EVIDENCE, nodes: tuple[str, ...] = (LOST,)) -> Draft:
    return draw_up(NOW, ORIGIN, [KEEPER], [LOSER], evidence, renewed(forgiven(Story()).after, *nodes))


def test_what_is_drawn_up_says_where_the_branches_part_and_who_leaves() -> None:
    resolution = drawn().signed.resolution
    assert (resolution.fork_height, resolution.fork_size, resolution.culprits) == (2, 1, (CULPRIT,))
    assert (resolution.kept.height, resolution.kept.held_by, resolution.abandoned[0].held_by) == (3, (KEPT,), (LOST,))
    assert [member.id for member in resolution.organisations] == sorted(resolved(Story()).after)
    words = "\n".join(in_words(drawn()))
    assert f"- {CULPRIT}" in words
    assert f"signatures missing: {KEPT}, {LOST}" in words


def test_a_culprit_comes_back_with_new_keys_only() -> None:
    assert [one.id for one in drawn(nodes=(CULPRIT, LOST)).signed.resolution.organisations] == [KEPT, CULPRIT, LOST]
    with pytest.raises(Refused, match="keys_not_renewed"):
        draw_up(NOW, ORIGIN, [KEEPER], [LOSER], EVIDENCE, [Story().members[CULPRIT], forgiven(Story()).after[LOST]])


def test_an_honest_member_that_signed_the_abandoned_branch_needs_new_keys() -> None:
    with pytest.raises(Refused, match=r"keys_not_renewed: .* need a new consensus key"):
        drawn(nodes=())


def test_nobody_is_put_out_without_evidence() -> None:
    for evidence in ([], [split(KEPT).packed]):
        with pytest.raises(Refused, match=f"no evidence against {CULPRIT}"):
            drawn(evidence)


def test_who_is_only_behind_is_on_no_other_branch() -> None:
    with pytest.raises(Refused, match="only has to catch up"):
        fork_height_of(KEEPER, [history(LOST, "a", "b")])


def test_two_that_are_named_on_one_side_must_be_on_one_branch() -> None:
    other = history(CULPRIT, "a", "b", "q")
    with pytest.raises(Refused, match="on two branches"):
        draw_up(NOW, ORIGIN, [KEEPER, other], [LOSER], EVIDENCE, renewed(forgiven(Story()).after, LOST))


def test_a_signed_document_is_laid_where_the_node_looks_for_it(tmp_path: Path) -> None:
    draft, path, data = drawn(), tmp_path / "fork.json", tmp_path / "data"
    data.mkdir()
    with pytest.raises(Refused, match="signatures missing"):
        give(draft, data)
    for node in (KEPT, LOST):
        draft, whose = sign_draft(draft, node_signer(node, OPERATOR))
        assert whose == node
    with pytest.raises(Refused, match="key of none of"):
        sign_draft(draft, node_signer(CULPRIT, OPERATOR))
    path.write_bytes(encode(draft))
    assert is_draft(path)
    assert read_draft(path) == draft
    assert give(draft, data).read_bytes() == encode(draft.signed)
    with pytest.raises(Refused, match="no folder"):
        give(draft, tmp_path / "nowhere")


def test_a_file_that_somebody_changed_is_refused(tmp_path: Path) -> None:
    path, draft = tmp_path / "fork.json", drawn()
    other = split(CULPRIT, node_signer(KEPT, "cosign")).packed
    spoiled = msgspec.structs.replace(draft.signed, evidence=(b64u_encode(other),))
    path.write_bytes(encode(msgspec.structs.replace(draft, signed=spoiled)))
    with pytest.raises(Refused, match="not the evidence that was signed for"):
        read_draft(path)
    path.write_text("{}")
    with pytest.raises(Refused, match="not the resolution"):
        read_draft(path)
    assert not is_draft(path)
