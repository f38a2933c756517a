"""Evidence of two histories holds for whoever has the policy, and what contradicts nothing does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import verify
from server.ledger.checkpoint import (
    TYPE_COSIGNATURE,
    TYPE_LOG,
    Checkpoint,
    VerifierKey,
    cosign_line,
    cosigner_name,
    log_line,
    note_of,
)
from server.ledger.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from server.record.canonical import b64u_encode
from server.record.signature import NodeSigner

ORIGIN = "log.example/estate"
MEMBERS = ("owners", "property", "street")
SIGNERS = {member: NodeSigner(member.encode().ljust(32)) for member in MEMBERS}
LOG = NodeSigner(b"log".ljust(32))
POLICY = "".join(
    [
        f"log {VerifierKey(ORIGIN, TYPE_LOG, LOG.public).text()}\n",
        *(
            f"witness {member} {VerifierKey(cosigner_name(ORIGIN, member), TYPE_COSIGNATURE, signer.public).text()}\n"
            for member, signer in SIGNERS.items()
        ),
        "group committed 2 owners property street\ngroup sealed all owners property street\nquorum committed\n",
    ]
)


def leaves_of(size: int, changed: int = -1) -> list[bytes]:
    return [leaf_hash(f"{'other ' * (place == changed)}{place}".encode()) for place in range(size)]


def note(leaves: list[bytes], members: tuple[str, ...] = MEMBERS) -> str:
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    root, size = tree.root(), tree.size
    lines = [log_line(LOG, ORIGIN, size, root)]
    lines += [cosign_line(SIGNERS[member], ORIGIN, member, size, root, 1_790_000_000) for member in members]
    return note_of(Checkpoint(ORIGIN, size, root), lines)


def branch(leaves: list[bytes], index: int) -> dict[str, Any]:
    def read(level: int, place: int) -> bytes:
        return node_hash(read(level - 1, 2 * place), read(level - 1, 2 * place + 1)) if level else leaves[place]

    proof = [b64u_encode(step) for step in inclusion_proof(index, len(leaves), read)]
    return {"index": index, "leaf": b64u_encode(leaves[index]), "proof": proof}


OURS, THEIRS = leaves_of(9), leaves_of(12, 4)
TWO_LEAVES = {"notes": [note(OURS), note(THEIRS)], "proofs": [branch(OURS, 4), branch(THEIRS, 4)]}
TWO_ROOTS = {"notes": [note(OURS), note(leaves_of(9, 4), ("property", "street"))], "proofs": []}


@pytest.fixture
def examine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[object], tuple[int, str]]:
    """Exit code and output of the program for evidence."""
    (tmp_path / "policy").write_text(POLICY)

    def run(evidence: object) -> tuple[int, str]:
        text = evidence if isinstance(evidence, str) else json.dumps(evidence, indent=1)
        (tmp_path / "evidence").write_text(text)
        code = verify.main(["split", str(tmp_path / "evidence"), "--policy", str(tmp_path / "policy")])
        return code, capsys.readouterr().out

    return run


Examine = Callable[[object], tuple[int, str]]


def test_two_roots_of_one_size_name_who_signed_both(examine: Examine) -> None:
    code, output = examine([TWO_ROOTS])
    assert code == 0
    assert "two roots of size 9" in output
    assert "property, street signed both" in output


def test_two_leaves_of_one_index_name_who_signed_both(examine: Examine) -> None:
    code, output = examine([TWO_LEAVES, TWO_ROOTS])
    assert code == 0
    assert "two entries at index 4" in output
    assert "owners, property, street signed both" in output


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"notes": [note(OURS), note(OURS)], "proofs": []}, "contradiction"),
        ({"proofs": []}, "contradiction"),
        ({"notes": TWO_ROOTS["notes"]}, "contradiction"),
        (
            {"notes": [note(OURS), note(leaves_of(12))], "proofs": [branch(OURS, 4), branch(leaves_of(12), 4)]},
            "contradiction",
        ),
        ({"proofs": [branch(OURS, 4), branch(THEIRS, 5)]}, "contradiction"),
        ({"proofs": [branch(THEIRS, 4), branch(OURS, 4)]}, "contradiction"),
        ({"proofs": [branch(OURS, 4), {**branch(THEIRS, 4), "proof": []}]}, "contradiction"),
        ({"notes": [note(OURS), note(THEIRS).replace("\n12\n", "\n13\n")]}, "checkpoints"),
        ({"notes": [note(OURS, ("owners",)), note(THEIRS, ("street",))]}, "signers"),
        ({"proofs": [branch(OURS, 4)]}, "form"),
        ({"proofs": [branch(OURS, 4), {**branch(THEIRS, 4), "index": -1}]}, "form"),
        ({"notes": [note(OURS)]}, "form"),
        ({"more": 1}, "form"),
    ],
)
def test_what_contradicts_nothing_is_no_evidence(examine: Examine, change: dict[str, Any], check: str) -> None:
    code, output = examine([{**TWO_LEAVES, **change}])
    assert code == 1
    assert [line.split()[1] for line in output.splitlines() if line.startswith("FAILED")] == [check]


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", "[" * 100_000, "nonsense"])
def test_file_of_another_form_is_no_evidence(examine: Examine, text: str) -> None:
    assert examine(text)[0] == 1
