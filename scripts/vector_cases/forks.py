"""Links of the second kind: an epoch that ended in a fork, and whatever may be wrong with its resolution (D32)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import msgspec

from samples import ORIGIN, node_signer, seed
from server.consensus.evidence import Branch as TreeBranch
from server.consensus.evidence import Evidence, accuse, accuse_of_split
from server.consensus.messages import TYPES, Commit, Cosign, Prepare, Signed, SignedBody, ViewChange
from server.ledger.block import LEAF_KIND, Derived, derived_entry
from server.ledger.checkpoint import cosign_line
from server.ledger.genesis import OPERATOR
from server.ledger.merkle import leaf_hash, root_of
from server.ledger.resolution import (
    RESOLUTION_KIND,
    Branch,
    Resolution,
    SignedResolution,
    records_summary,
    sign_resolution,
)
from server.ledger.succession import Link
from server.record.canonical import b64u_encode, decode, encode
from server.record.signature import NodeSigner
from vector_cases.successions import FOUNDED, FOUNDED_ID, TIME_S, Members, Story, added, rotated

KEPT, CULPRIT, LOST = "owners", "property", "street"
"""Who holds the kept branch, who signed both, and who holds the other one."""


@dataclass
class ForkPlan:
    """Mutable. A fork as it is resolved; a case spoils a field or two."""

    after: Members
    operators: Sequence[str] = (KEPT, LOST)
    culprits: Sequence[str] = (CULPRIT,)
    evidence: Evidence | None = None
    cluster_id: bytes = FOUNDED_ID
    signed_by: Sequence[str] | None = None
    kept_block: str = ""
    held_by: Sequence[str] = (KEPT,)
    lost_by: Sequence[str] = (LOST,)
    epoch: int | None = None
    lost_first: str = ""
    end_at: int | None = None
    signed_evidence: str = ""
    outcome: str = "accepted"
    spoil: Callable[[Resolution], Resolution] = field(default=lambda resolution: resolution)


def resolve(story: Story, plan: ForkPlan) -> Story:
    """Order the resolution behind the last leaf of the story, which is the kept tip."""
    epoch, fork = len(story.links), len(story.entries)
    story.add_leaf(epoch)
    tip = story.add_leaf(epoch)
    size = len(story.entries)
    tip_block, first = _block_at(story, tip), _block_at(story, fork)
    evidence = plan.evidence or split(CULPRIT)
    resolution = Resolution(
        abandoned=(
            Branch(
                block_id=b64u_encode(seed("lost tip")),
                first=plan.lost_first or b64u_encode(seed("lost first")),
                height=fork + 3,
                held_by=tuple(plan.lost_by),
                root=b64u_encode(seed("lost root")),
                size=fork + 3,
            ),
        ),
        culprits=tuple(plan.culprits),
        epoch=epoch if plan.epoch is None else plan.epoch,
        evidence=(plan.signed_evidence or evidence.id,),
        fork_height=fork + 1,
        fork_size=fork,
        kept=Branch(
            block_id=plan.kept_block or tip_block,
            first=first,
            height=size,
            held_by=tuple(plan.held_by),
            root=b64u_encode(root_of(story.entries)),
            size=size,
        ),
        members=tuple(encode(member).decode() for _, member in sorted(plan.after.items())),
        records=records_summary(["A" * 43]),
    )
    signed = SignedResolution(
        evidence=(b64u_encode(evidence.packed),), resolution=plan.spoil(resolution), signatures=()
    )
    for node in plan.operators:
        signed = sign_resolution(node_signer(node, OPERATOR), node, plan.cluster_id, signed)
    item = Derived(msgspec.to_builtins(signed), 0, str(epoch + 1), RESOLUTION_KIND)
    story.entries.append(derived_entry(FOUNDED_ID, size + 1, size, TIME_S * 1000, item, plan.outcome))
    story.add_leaf(epoch + 1)
    signers = plan.signed_by if plan.signed_by is not None else list(plan.after)
    end = tip if plan.end_at is None else plan.end_at
    shown = len(story.entries)
    story.links.append(
        Link(story.prove(size, shown, plan.after, signers), story.prove(end, shown, plan.after, signers))
    )
    story.members = plan.after
    return story


def resolution_of(story: Story) -> bytes:
    """The document that stands in a story's log."""
    found = [decode(entry).get("system", {}) for entry in story.entries]
    return encode(next(system["body"] for system in found if system.get("kind") == RESOLUTION_KIND))


def _block_at(story: Story, index: int) -> str:
    system = decode(story.entries[index])["system"]
    assert system["kind"] == LEAF_KIND
    return str(system["body"]["block_id"])


def resolved(story: Story) -> ForkPlan:
    """The culprit leaves, and who held the other branch takes new keys."""
    after = dict(rotated(story, LOST).after)
    del after[CULPRIT]
    return ForkPlan(after)


def forgiven(story: Story) -> ForkPlan:
    """The culprit comes back with new keys as well."""
    story.members = {**story.members}
    after = {**rotated(story, LOST).after, CULPRIT: rotated(story, CULPRIT).after[CULPRIT]}
    return ForkPlan(after)


def forked(plan: Callable[[Story], ForkPlan] = resolved, **fields: object) -> Story:
    """A story with one fork, whose plan has these fields otherwise."""
    story = Story()
    made = plan(story)
    return resolve(story, replace(made, **fields))  # type: ignore[arg-type]


# ---- evidence


def split(node: str, cosigner: NodeSigner | None = None) -> Evidence:
    """Two roots of one size."""
    one, other = (_line(node, 9, seed(label), cosigner) for label in ("one root", "other root"))
    found = accuse_of_split(one, other)
    assert found is not None
    return found


def split_of_sizes(node: str) -> Evidence:
    """Two leaves at one index of trees of two sizes."""
    one, other = [b"first", b"second"], [b"first", b"another", b"third"]
    lines = [_line(node, len(entries), root_of(entries), None) for entries in (one, other)]
    proofs = ((leaf_hash(b"first"),), (leaf_hash(b"first"), leaf_hash(b"third")))
    branches = [
        TreeBranch(index=1, leaf=b64u_encode(leaf_hash(entries[1])), proof=tuple(map(b64u_encode, proof)))
        for entries, proof in zip((one, other), proofs, strict=True)
    ]
    found = accuse_of_split(lines[0], lines[1], branches)
    assert found is not None
    return found


def _line(node: str, size: int, root: bytes, cosigner: NodeSigner | None) -> Cosign:
    line = cosign_line(cosigner or node_signer(node, "cosign"), ORIGIN, node, size, root, TIME_S)
    return Cosign(line=line, member=node, root=b64u_encode(root), size=size)


def double_vote(node: str, epoch: int = 0) -> Evidence:
    """Two PREPAREs in one view at one height."""
    votes = [
        Prepare(block_id=b64u_encode(seed(label)), epoch=epoch, height=2, sender=node, view=0) for label in ("x", "y")
    ]
    return _accuse(*(_sign(node, vote) for vote in votes))


def hidden_vote(node: str) -> Evidence:
    """A COMMIT that a later VIEW-CHANGE leaves out."""
    vote = Commit(block_id=b64u_encode(seed("x")), epoch=0, height=2, new_view="", sender=node, view=0)
    change = ViewChange(epoch=0, last_block="", last_height=0, prepared_block="", prepared_view=0, sender=node, view=1)
    return _accuse(_sign(node, vote), _sign(node, change))


def honest_votes(node: str) -> Evidence:
    """What an honest member says: one block in one view, another in the next."""
    told = double_vote(node)
    raw = encode(Prepare(block_id=b64u_encode(seed("y")), epoch=0, height=2, sender=node, view=1))
    return replace(told, second=replace(told.second, raw=raw, signature=_signature(node, "PREPARE", raw)))


def _accuse(one: Signed[SignedBody], other: Signed[SignedBody]) -> Evidence:
    found = accuse(one, other)
    assert found is not None
    return found


def _sign(node: str, body: SignedBody) -> Signed[SignedBody]:
    raw = encode(body)
    return Signed(body, raw, _signature(node, TYPES[type(body)], raw))


def _signature(node: str, type_: str, raw: bytes) -> bytes:
    said = b"linli/pbft/v1\n" + type_.encode() + b"\n" + b64u_encode(FOUNDED_ID).encode() + b"\n" + raw
    return node_signer(node, "consensus").sign(said)


# ---- cases


def good_stories() -> dict[str, Story]:
    """Forks that were resolved, by what happened."""
    twice = forked(forgiven)
    return {
        "a fork is resolved": forked(),
        "a fork whose culprit comes back with new keys": twice,
        "two leaves at one index prove a culprit": forked(evidence=split_of_sizes(CULPRIT)),
        "a vote for two blocks proves a culprit": forked(evidence=double_vote(CULPRIT)),
        "a vote that was hidden proves a culprit": forked(evidence=hidden_vote(CULPRIT)),
        "members change after a fork": _then_added(forked()),
    }


def _then_added(story: Story) -> Story:
    return story.change(added(story))


def told_checkpoints(story: Story) -> list[dict[str, Any]]:
    """Checkpoints after a fork at size 0, and how each must be told: its grade, and who signed it where it was lost."""
    founders, now = {member.id: member for member in FOUNDED.members}, story.members
    size = len(story.entries)
    cases = (
        (2, founders, (KEPT, CULPRIT), "committed", ()),
        (2, founders, (CULPRIT, LOST), "", (LOST,)),
        (2, founders, (CULPRIT,), "", ()),
        (size + 7, founders, (CULPRIT, LOST), "", (LOST,)),
        (size, now, (KEPT, LOST), "committed" if len(now) > 2 else "sealed", ()),
    )
    return [
        {
            "abandoned": list(abandoned),
            "grade": grade,
            "note": story.note(seed(f"root of {size} {signers}"), size, members, signers),
        }
        for size, members, signers, grade, abandoned in cases
    ]


def bad_stories() -> dict[str, Story]:
    """Resolutions that do not hold, by what is wrong."""
    with_old = resolved(Story()).after | {LOST: Story().members[LOST]}
    back_with_old = forgiven(Story()).after | {CULPRIT: Story().members[CULPRIT]}
    changed_kept = {**resolved(Story()).after, KEPT: rotated(Story(), KEPT).after[KEPT]}
    return {
        "a fork: an operator has not signed": forked(operators=[KEPT]),
        "a fork: the culprit signs as an operator": forked(operators=[KEPT, CULPRIT, LOST]),
        "a fork: the evidence is of somebody else": forked(evidence=split(LOST)),
        "a fork: an honest member is called the culprit": forked(
            after={node: one for node, one in forgiven(Story()).after.items() if node != LOST},
            culprits=[LOST],
            lost_by=[CULPRIT],
            operators=[KEPT, CULPRIT],
        ),
        "a fork: the evidence is not signed by the culprit": forked(
            evidence=split(CULPRIT, NodeSigner(seed("somebody's key")))
        ),
        "a fork: the statements are no contradiction": forked(evidence=honest_votes(CULPRIT)),
        "a fork: the evidence is of another epoch": forked(evidence=double_vote(CULPRIT, epoch=1)),
        "a fork: other evidence than was signed for": forked(signed_evidence=b64u_encode(sha256(b"other").digest())),
        "a fork: the kept tip is not the block before": forked(kept_block=b64u_encode(seed("another block"))),
        "a fork: the end is not the block before": forked(end_at=0),
        "a fork: an honest member comes back with its old keys": forked(after=with_old),
        "a fork: the culprit comes back with its old keys": forked(forgiven, after=back_with_old),
        "a fork: who holds the kept branch takes new keys": forked(after=changed_kept),
        "a fork: an honest member is left out": forked(after={KEPT: Story().members[KEPT]}, operators=[KEPT, LOST]),
        "a fork: somebody joins": forked(after={**resolved(Story()).after, **_tenants()}),
        "a fork: a member is on no side": forked(lost_by=[]),
        "a fork: a member is on both sides": forked(held_by=[KEPT, LOST]),
        "a fork: the branches do not part": forked(spoil=_parted_nowhere),
        "a fork: of another epoch": forked(epoch=1),
        "a fork: signed for another ledger": forked(cluster_id=bytes(32)),
        "a fork: a quorum of the new members has not signed": forked(signed_by=[KEPT]),
        "a fork: the resolution took no effect": forked(outcome="refused"),
        "a fork: a new key was used before": forked(after=_with_used_key()),
    }


def _tenants() -> Members:
    return {"tenants": added(Story()).after["tenants"]}


def _parted_nowhere(resolution: Resolution) -> Resolution:
    [lost] = resolution.abandoned
    same = msgspec.structs.replace(lost, first=resolution.kept.first)
    return msgspec.structs.replace(resolution, abandoned=(same,))


def _with_used_key() -> Members:
    after = resolved(Story()).after
    used = msgspec.structs.replace(after[LOST], consensus_key=after[KEPT].consensus_key)
    return {**after, LOST: used}
