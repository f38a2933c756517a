"""Evidence that members signed two histories, as a phone exports it: a list of splits (consensus.md 1.4, E5).

A split is two checkpoints with a signer in common: of one size with two roots, or of two sizes with two leaves at one
index of the log, each shown to stand in its tree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from verifier.checkpoint import Checkpoint, check_checkpoint
from verifier.encoding import HASH_BYTES, Rejected, is_count, members, unb64u
from verifier.merkle import check_inclusion
from verifier.policy import Policy
from verifier.report import Report, Result

CHECKS = ("form", "checkpoints", "contradiction", "signers")
"""In the order in which they are made."""


@dataclass(frozen=True)
class Branch:
    """A leaf's hash at an index, and its inclusion proof."""

    index: int
    leaf: bytes
    path: list[bytes]


@dataclass(frozen=True)
class Split:
    """Two notes and, for notes of two sizes, two branches in their order: nothing in it is checked yet."""

    notes: list[str]
    branches: list[Branch]


def examine(text: str, policy: Policy) -> Report:
    """Check evidence and report on every check; of several splits the first that fails is told."""
    report = Report(CHECKS)
    try:
        splits = parse_splits(text)
        report.say("form", Result.OK, f"{len(splits)} pair{'s' * (len(splits) > 1)} of checkpoints")
        pairs = [[check_checkpoint(note, policy) for note in split.notes] for split in splits]
        sizes = "; ".join(f"sizes {one.size} and {other.size}" for one, other in pairs)
        report.say("checkpoints", Result.OK, f"{policy.origin}, {sizes}; every known signature holds")
        found = [check_contradiction(split, *pair) for split, pair in zip(splits, pairs, strict=True)]
        report.say("contradiction", Result.OK, "\n".join(found))
        signers = [check_signers(*pair) for pair in pairs]
        report.say("signers", Result.OK, "\n".join(f"{', '.join(names)} signed both" for names in signers))
    except Rejected as error:
        failed = next(name for name in CHECKS if report.result(name) is Result.NOT_CHECKED)
        report.say(failed, Result.FAILED, f"{error.detail} ({error.fault})")
    return report


def parse_splits(text: str) -> list[Split]:
    """The splits of a file; Rejected with fault `form`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Rejected("form", "not JSON") from None
    if not isinstance(value, list) or not value:
        raise Rejected("form", "not a list of evidence")
    return [_parse_split(one) for one in value]


def _parse_split(value: Any) -> Split:
    said = members(value, "notes proofs", "form")
    notes, proofs = said["notes"], said["proofs"]
    if not isinstance(notes, list) or len(notes) != 2 or not all(isinstance(note, str) for note in notes):
        raise Rejected("form", "two checkpoints are needed")
    if not isinstance(proofs, list) or len(proofs) not in (0, 2):
        raise Rejected("form", "no branches or two are needed")
    return Split(notes, [_parse_branch(proof) for proof in proofs])


def _parse_branch(value: Any) -> Branch:
    said = members(value, "index leaf proof", "form")
    if not is_count(said["index"]) or not isinstance(said["proof"], list):
        raise Rejected("form", "not a branch")
    path = [unb64u(step, "form", HASH_BYTES) for step in said["proof"]]
    return Branch(said["index"], unb64u(said["leaf"], "form", HASH_BYTES), path)


def check_contradiction(split: Split, one: Checkpoint, other: Checkpoint) -> str:
    """What contradicts, in words; Rejected with fault `no_contradiction` or `not_in_tree`."""
    if one.size == other.size:
        if one.root == other.root or split.branches:
            raise Rejected("no_contradiction", "not two roots of one size")
        return f"two roots of size {one.size}"
    if len(split.branches) != 2:
        raise Rejected("no_contradiction", "two sizes may have two roots: branches are needed")
    ours, theirs = split.branches
    if ours.index != theirs.index or ours.leaf == theirs.leaf:
        raise Rejected("no_contradiction", "not two leaves of one index")
    for branch, tree in ((ours, one), (theirs, other)):
        check_inclusion(branch.leaf, branch.index, tree.size, branch.path, tree.root)
    return f"two entries at index {ours.index}: {ours.leaf.hex()[:16]} and {theirs.leaf.hex()[:16]}"


def check_signers(one: Checkpoint, other: Checkpoint) -> list[str]:
    """The witnesses that signed both; Rejected with fault `no_signer` when there is none."""
    both = sorted(set(one.signers) & set(other.signers))
    if not both:
        raise Rejected("no_signer", "nobody signed both: who is at fault is not shown")
    return both
