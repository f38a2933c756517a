"""The way out of a fork: what operators sign, and what it takes to go on from one branch (consensus.md 1.4, D32).

Honest nodes that have committed different blocks at one height have stopped. The operators of all members that are not
proven culprits agree which branch is kept; the next epoch begins with the block after its tip, and that block's first
entry is the resolution. Pure rules on values: it must not know rows, replicas or files, nor how evidence is verified.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from server.ledger.genesis import MEMBERS_MAX, OPERATOR, ROLES, Organisation, check_organisation
from server.ledger.membership import EPOCHS_MAX, Disputed, Epoch, OperatorSignature, names_of
from server.ledger.merkle import root_of
from server.limits import INTEGER_MAX
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.shape import Digest, NodeId, Shape, parse
from server.record.signature import MessageSigner, verify_node

RESOLUTION_KIND = "fork.resolution"
"""The derived entry that carries it: first in its block, and its key is the number of the epoch that begins."""
STATEMENT = b"linli/fork-resolution/v1\n"
"""Begins what an operator signs, so that the key's signature fits nothing else (DESIGN.md 2.6)."""
BRANCHES_MAX = 8
MEMBER_CHARACTERS_MAX = 8_000
EVIDENCE_CHARACTERS_MAX = 12_000
"""Packed evidence in base64url: the largest that a log entry has room for beside the members."""
_RENEWED = ("consensus_key", "cosign_key")
"""With these the abandoned branch was voted for and cosigned: on the kept one they would make evidence."""
_SIGNATURE_BYTES = 64
CulpritOf = Callable[[bytes, Epoch], str]
"""(packed evidence, epoch) -> the member of that epoch whom it proves guilty in it. Raises Malformed."""
Packed = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_-]{{2,{EVIDENCE_CHARACTERS_MAX}}}$(?!\n)")]
"""Evidence as nodes keep it, in base64url."""
Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Height = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]


class Branch(Shape, frozen=True):
    """One of the histories: the block at the fork's height, the last block, the log with it, and who holds it."""

    block_id: Digest
    """The last block."""
    first: Digest
    """The block at the height of the fork, where the branches part."""
    height: Height
    held_by: Annotated[tuple[NodeId, ...], Meta(max_length=MEMBERS_MAX)]
    """Members that are no culprits, in order."""
    root: Digest
    size: Height


class AbandonedRecords(Shape, frozen=True):
    """Client records that stand on abandoned branches and not on the kept one.

    `root`: RFC 6962 root over their ids (43 characters each), sorted; the list itself is public and of any length.
    """

    count: Count
    root: Digest


class Resolution(Shape, frozen=True):
    """What operators agree to. All members, in order; the policy of the epoch that ends stays in force."""

    abandoned: Annotated[tuple[Branch, ...], Meta(min_length=1, max_length=BRANCHES_MAX)]
    culprits: Annotated[tuple[NodeId, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    epoch: Annotated[int, Meta(ge=0, le=EPOCHS_MAX)]
    """The epoch that ends."""
    evidence: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    """Id (SHA-256) of the evidence against each culprit, in their order."""
    fork_height: Height
    """The first height at which the branches hold different blocks."""
    fork_size: Count
    """Entries of the log before that height: what stands there stands on every branch."""
    kept: Branch
    members: Annotated[
        tuple[Annotated[str, Meta(max_length=MEMBER_CHARACTERS_MAX)], ...], Meta(min_length=1, max_length=MEMBERS_MAX)
    ]
    """Canonical text of each, as genesis spells it: with their officers they would lie too deep in a log entry."""
    records: AbandonedRecords

    @property
    def organisations(self) -> tuple[Organisation, ...]:
        """The members of the next epoch. Raises Malformed before `check_resolution` has looked at them."""
        return tuple(parse(Organisation, decode(text.encode())) for text in self.members)


class SignedResolution(Shape, frozen=True):
    """A resolution with the evidence itself (packed, base64url) and the signatures that it has got so far."""

    evidence: Annotated[tuple[Packed, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    resolution: Resolution
    signatures: Annotated[tuple[OperatorSignature, ...], Meta(max_length=MEMBERS_MAX)]


class ResolutionRefusal(enum.Enum):
    """Why a resolution cannot end an epoch, in order of precedence. What proves the culprits is asked beside it."""

    EPOCH_PASSED = "epoch_passed"
    """It was signed for another epoch than the one in force."""
    BRANCHES = "branches"
    """The branches do not part at the height that it names, or end before it."""
    SIDES = "sides"
    """Not every member stands exactly once: on the kept branch, on an abandoned one, or among the culprits."""
    KEPT_CHANGED = "kept_changed"
    """Who holds the kept branch must stay as it is."""
    KEYS_NOT_RENEWED = "keys_not_renewed"
    """Who signed an abandoned branch comes back with the keys that signed it: they would be evidence against it."""
    NOT_A_MEMBER = "not_a_member"
    """Somebody joins, or more than the consensus and cosign keys of a member changes."""
    POLICY_TOO_FEW = "policy_too_few"
    """Fewer organisations would be left than must attest or approve."""
    KEY_USED = "key_used"
    """A new key stands, or stood, in another place."""
    SIGNATURES = "signatures"
    """Not exactly the operators of all members that are no culprits signed, or a signature does not hold."""


WORDS = {
    ResolutionRefusal.EPOCH_PASSED: "it was drawn up for another epoch than the one in force",
    ResolutionRefusal.BRANCHES: "its branches do not part at the height that it names",
    ResolutionRefusal.SIDES: "every member must stand once: on the kept branch, on another one, or among the culprits",
    ResolutionRefusal.KEPT_CHANGED: "who holds the kept branch must stay a member, with all keys as they are",
    ResolutionRefusal.KEYS_NOT_RENEWED: "an honest member that signed an abandoned branch, and a culprit that comes "
    "back, need a new consensus key and a new cosign key (keys.py renew): with the old ones it would be accused",
    ResolutionRefusal.NOT_A_MEMBER: "nobody joins and no honest member leaves by it, and only the consensus and cosign "
    "keys change",
    ResolutionRefusal.POLICY_TOO_FEW: "fewer organisations would be left than the policy asks for: let the culprit "
    "come back with new keys",
    ResolutionRefusal.KEY_USED: "a new key has been used before",
    ResolutionRefusal.SIGNATURES: "exactly the operators of all members that are no culprits must sign",
}
"""For the people who read a refusal."""


def resolution_message(cluster_id: bytes, resolution: Resolution) -> bytes:
    """What the operators sign: bound to this ledger, to the branches, and to every member of the next epoch."""
    return STATEMENT + encode({"cluster_id": b64u_encode(cluster_id), "resolution": resolution})


def sign_resolution(signer: MessageSigner, node: str, cluster_id: bytes, signed: SignedResolution) -> SignedResolution:
    """`signed` with this member's signature too, instead of an earlier one of the same member."""
    signature = b64u_encode(signer.sign(resolution_message(cluster_id, signed.resolution)))
    others = [other for other in signed.signatures if other.node != node]
    lines = sorted((*others, OperatorSignature(node=node, signature=signature)), key=lambda each: each.node)
    return msgspec.structs.replace(signed, signatures=tuple(lines))


def parse_resolution(data: bytes) -> SignedResolution:
    """Read a signed resolution from canonical bytes. Raises Malformed, see `check_resolution`."""
    signed = parse(SignedResolution, decode(data))
    check_resolution(signed)
    return signed


def check_resolution(signed: SignedResolution) -> None:
    """Raise Malformed for lists out of order, keys that are none, and evidence that is not that which is signed for."""
    resolution = signed.resolution
    signers = [line.node for line in signed.signatures]
    branches = (resolution.kept, *resolution.abandoned)
    lists = ([member.id for member in resolution.organisations], resolution.culprits, signers)
    if any(list(names) != sorted(set(names)) for names in (*lists, *(branch.held_by for branch in branches))):
        raise Malformed("members, culprits, holders and signatures must stand in order, each once", "resolution")
    if not len(signed.evidence) == len(resolution.evidence) == len(resolution.culprits):
        raise Malformed("each culprit needs one piece of evidence", "evidence")
    for position, member in enumerate(resolution.organisations):
        if not member.operator_key:
            raise Malformed(f"a member without an {OPERATOR} key", f"resolution.members[{position}]")
        check_organisation(member, f"resolution.members[{position}]")


def check_culprits(signed: SignedResolution, before: Epoch, culprit_of: CulpritOf) -> None:
    """Raise Malformed unless each piece of evidence is the one that was signed for, and proves its culprit guilty."""
    packed = [b64u_decode(one) for one in signed.evidence]
    if tuple(b64u_encode(sha256(one).digest()) for one in packed) != signed.resolution.evidence:
        raise Malformed("not the evidence that was signed for", "evidence")
    proved = tuple(culprit_of(one, before) for one in packed)
    if proved != signed.resolution.culprits:
        raise Malformed(f"the evidence proves {', '.join(proved)} guilty and nobody else", "evidence")


def records_summary(ids: Collection[str]) -> AbandonedRecords:
    """How a resolution names the abandoned records: their number, and the root over the sorted ids."""
    return AbandonedRecords(count=len(set(ids)), root=b64u_encode(root_of([id_.encode() for id_ in sorted(set(ids))])))


def operators_needed(before: Epoch, resolution: Resolution) -> tuple[str, ...]:
    """Who must sign, in order: every member of the epoch that ends but the culprits."""
    return tuple(node for node in before.ids if node not in resolution.culprits)


def operators_missing(before: Epoch, cluster_id: bytes, signed: SignedResolution) -> tuple[str, ...]:
    """Those of them whose signature is missing or does not hold."""
    message = resolution_message(cluster_id, signed.resolution)
    lines = {line.node: b64u_decode(line.signature, _SIGNATURE_BYTES) for line in signed.signatures}
    keys = {member.id: b64u_decode(member.operator_key, 32) for member in before.members if member.operator_key}
    return tuple(
        node
        for node in operators_needed(before, signed.resolution)
        if node not in lines or node not in keys or not verify_node(keys[node], message, lines[node])
    )


def refuse_resolution(
    before: Epoch, used: Collection[str], cluster_id: bytes, signed: SignedResolution
) -> ResolutionRefusal | None:
    """Why this checked resolution cannot end the epoch in force, or None.

    `used`: all ids and keys that any member has, or had in any epoch (`names_of`). That the evidence proves the
    culprits, and that the log ends at the kept tip, is the caller's to ask.
    """
    resolution = signed.resolution
    if resolution.epoch != before.number:
        return ResolutionRefusal.EPOCH_PASSED
    if not _parts_there(resolution):
        return ResolutionRefusal.BRANCHES
    return (
        _refuse_sides(before, resolution)
        or _refuse_members(before, used, resolution)
        or _refuse_signatures(before, cluster_id, signed)
    )


def epoch_after(before: Epoch, resolution: Resolution) -> Epoch:
    """The epoch that begins with the resolution's own block; its members sign trees that hold its entry.

    Smaller trees stay those of the members before: receipts that they signed on the kept branch stay good.
    """
    kept = resolution.kept
    disputed = Disputed(resolution.fork_size + 1, kept.held_by)
    return Epoch(
        before.number + 1, resolution.organisations, before.policy, kept.height + 1, kept.size + 1, kept.size, disputed
    )


def _parts_there(resolution: Resolution) -> bool:
    kept, branches = resolution.kept, (resolution.kept, *resolution.abandoned)
    is_after = all(one.height >= resolution.fork_height and one.size > resolution.fork_size for one in branches)
    others = [(one.first, one.block_id) for one in resolution.abandoned]
    is_other = all(first != kept.first and tip != kept.block_id for first, tip in others)
    return is_after and is_other and len(set(others)) == len(others)


def _refuse_sides(before: Epoch, resolution: Resolution) -> ResolutionRefusal | None:
    sides = [*resolution.kept.held_by, *resolution.culprits]
    sides += [node for branch in resolution.abandoned for node in branch.held_by]
    is_each_once = sorted(sides) == sorted(before.ids) and bool(resolution.kept.held_by)
    return None if is_each_once else ResolutionRefusal.SIDES


def _refuse_members(before: Epoch, used: Collection[str], resolution: Resolution) -> ResolutionRefusal | None:
    after = {member.id: member for member in resolution.organisations}
    was = {member.id: member for member in before.members}
    if any(after.get(node) != was[node] for node in resolution.kept.held_by):
        return ResolutionRefusal.KEPT_CHANGED
    back = [node for node in was if node not in resolution.kept.held_by and node in after]
    honest = [node for node in was if node not in resolution.culprits]
    if any(getattr(after[node], name) == getattr(was[node], name) for node in back for name in _RENEWED):
        return ResolutionRefusal.KEYS_NOT_RENEWED
    if any(node not in after for node in honest) or any(not _is_renewal(was.get(node), after[node]) for node in after):
        return ResolutionRefusal.NOT_A_MEMBER
    if len(after) < max(before.policy.approvals, before.policy.attestations):
        return ResolutionRefusal.POLICY_TOO_FEW
    new = [getattr(after[node], name) for node in back for name in _RENEWED]
    is_fresh = len(set(new)) == len(new) and not {*used, *names_of(before.members)}.intersection(new)
    return None if is_fresh else ResolutionRefusal.KEY_USED


def _is_renewal(was: Organisation | None, now: Organisation) -> bool:
    """Whether nothing but the renewed keys differs."""
    return was is not None and now == msgspec.structs.replace(was, **{name: getattr(now, name) for name in _RENEWED})


def _refuse_signatures(before: Epoch, cluster_id: bytes, signed: SignedResolution) -> ResolutionRefusal | None:
    named = tuple(line.node for line in signed.signatures)
    is_signed = named == operators_needed(before, signed.resolution) and not operators_missing(
        before, cluster_id, signed
    )
    return None if is_signed else ResolutionRefusal.SIGNATURES


def branch_at(resolution: Resolution, block_id: str) -> Branch | None:
    """The branch to which the block at the height of the fork belongs; None for one that nobody named."""
    branches: Sequence[Branch] = (resolution.kept, *resolution.abandoned)
    return next((branch for branch in branches if branch.first == block_id), None)


assert set(_RENEWED) <= {f"{role}_key" for role in ROLES}
