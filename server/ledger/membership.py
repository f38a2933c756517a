"""Who the members are, epoch after epoch: the changes that operators signed, and what it takes to change once more.

Pure rules on values (consensus.md 2.9, DESIGN.md D26). It must not know rows, replicas or peers: `domain/membership.py`
says what a change does to the state, and when it begins.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.ledger.checkpoint import TYPE_COSIGNATURE, VerifierKey, cosigner_name
from server.ledger.genesis import MEMBERS_MAX, OPERATOR, ROLES, Genesis, Organisation, Policy, check_organisation
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.shape import NodeId, Shape, parse
from server.record.signature import MessageSigner, verify_node

STATEMENT = b"linli/membership/v1\n"
"""Begins what an operator signs, so that the key's signature fits nothing else (DESIGN.md 2.6)."""
EPOCHS_MAX = 1_000_000
_SIGNATURE_BYTES = 64
_ROTATED = ("consensus_key", "cosign_key")
"""What `key.rotate` replaces: the keys under which a node without its journal must never sign again."""

ChangeKind = Literal["node.add", "node.remove", "key.rotate", "policy.set"]


class Change(Shape, frozen=True):
    """What operators agree to: the epoch that it ends, the policy of the next one and its members, by their ids."""

    epoch: Annotated[int, Meta(ge=0, le=EPOCHS_MAX)]
    kind: ChangeKind
    members: Annotated[tuple[Organisation, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    policy: Policy


class OperatorSignature(Shape, frozen=True):
    """Ed25519 by the operator key of the member `node` over `change_message`."""

    node: NodeId
    signature: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{86}$(?!\n)")]


class SignedChange(Shape, frozen=True):
    """A change with the signatures that it has got so far, in the order of their nodes."""

    change: Change
    signatures: Annotated[tuple[OperatorSignature, ...], Meta(max_length=MEMBERS_MAX)]


class ChangeRefusal(enum.Enum):
    """Why a change can have no effect on an epoch, in order of precedence."""

    EPOCH_PASSED = "epoch_passed"
    """It was signed for another epoch than the one in force."""
    NOT_ONE_STEP = "not_one_step"
    """The members differ otherwise than the kind says: one more, one less, or one with other keys."""
    POLICY_TOO_FEW = "policy_too_few"
    """Fewer organisations would be left than must attest or approve."""
    ID_USED = "id_used"
    """The id was a member's before: ids are never used again."""
    KEY_USED = "key_used"
    """A new key stands, or stood, in another place."""
    SIGNATURES = "signatures"
    """Not exactly the members that must agree signed, or a signature does not hold."""


class Disputed(msgspec.Struct, frozen=True):
    """Sizes, from `first_size` to the end of the epoch before, of which there are two trees (DESIGN.md D32).

    Only a checkpoint that bears the line of a member that held the kept branch is of the ledger.
    """

    first_size: int
    held_by: tuple[str, ...]


class Epoch(msgspec.Struct, frozen=True):
    """Members and policy, and since when: blocks from `first_height` on, and trees of `first_size` entries and more."""

    number: int
    members: tuple[Organisation, ...]
    policy: Policy
    first_height: int = 1
    first_size: int = 0
    change_index: int = 0
    """Where the change stands by which it began; inside the epoch where that was the resolution of a fork (D32)."""
    disputed: Disputed | None = None
    """Where the epoch before ended in a fork: which of its trees are of the ledger."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The members in order; that is the rotation of primaries."""
        return tuple(member.id for member in self.members)

    def member(self, node: str) -> Organisation | None:
        """The member with this id."""
        return next((member for member in self.members if member.id == node), None)

    def cosign_keys(self, origin: str) -> dict[str, VerifierKey]:
        """The key of each member's cosignatures in this epoch."""
        return {
            member.id: VerifierKey(
                cosigner_name(origin, member.id), TYPE_COSIGNATURE, b64u_decode(member.cosign_key, 32)
            )
            for member in self.members
        }


class Membership(msgspec.Struct, frozen=True):
    """All epochs, oldest first; the last one is in force."""

    epochs: tuple[Epoch, ...]

    @property
    def current(self) -> Epoch:
        """The epoch in force."""
        return self.epochs[-1]

    def epoch(self, number: int) -> Epoch | None:
        """The epoch of this number; None for one that has not begun."""
        return self.epochs[number] if 0 <= number < len(self.epochs) else None

    def epoch_at_height(self, height: int) -> Epoch:
        """The epoch whose members order the block at `height` (from 1)."""
        return next(epoch for epoch in reversed(self.epochs) if epoch.first_height <= height)

    def epoch_of_size(self, size: int) -> Epoch:
        """The epoch whose members cosign the tree of `size` entries.

        The tree with which an epoch ends is signed by the next one already: no key that was retired signs it.
        """
        return next(epoch for epoch in reversed(self.epochs) if epoch.first_size <= size)

    def last_height_of(self, node: str) -> int | None:
        """The last block of the last epoch in which `node` was a member; None for a member, and for who never was."""
        last = next((epoch for epoch in reversed(self.epochs) if node in epoch.ids), None)
        if last is None or last is self.current:
            return None
        return self.epochs[last.number + 1].first_height - 1

    @property
    def known_certificates(self) -> dict[str, str]:
        """The transport certificate of everybody who is or was a member: who was put out may ask until when."""
        return {member.id: member.transport_certificate for epoch in self.epochs for member in epoch.members}


def founding_epoch(genesis: Genesis) -> Epoch:
    """The epoch before any change: the members of genesis, from block 1 on."""
    return Epoch(0, genesis.members, genesis.policy)


def genesis_of_epoch(genesis: Genesis, epoch: Epoch) -> Genesis:
    """Genesis as if this epoch's members had founded the ledger: the policy file of the epoch follows from it."""
    return msgspec.structs.replace(genesis, members=epoch.members, policy=epoch.policy)


def change_message(cluster_id: bytes, change: Change) -> bytes:
    """What the operators sign: bound to this ledger, to the epoch and to every member of the next one."""
    return STATEMENT + encode({"change": change, "cluster_id": b64u_encode(cluster_id)})


def sign_change(signer: MessageSigner, node: str, cluster_id: bytes, signed: SignedChange) -> SignedChange:
    """`signed` with this member's signature too, instead of an earlier one of the same member."""
    line = OperatorSignature(node=node, signature=b64u_encode(signer.sign(change_message(cluster_id, signed.change))))
    others = [other for other in signed.signatures if other.node != node]
    ordered = sorted((*others, line), key=lambda each: each.node)
    return SignedChange(change=signed.change, signatures=tuple(ordered))


def parse_change(data: bytes) -> SignedChange:
    """Read a signed change. Raises Malformed, see `check_change`."""
    signed = parse(SignedChange, decode(data))
    check_change(signed)
    return signed


def check_change(signed: SignedChange) -> None:
    """Raise Malformed for members or signatures out of order, and for keys that are none."""
    change = signed.change
    ids = [member.id for member in change.members]
    signers = [line.node for line in signed.signatures]
    if ids != sorted(set(ids)) or signers != sorted(set(signers)):
        raise Malformed("members and signatures must stand in the order of their ids, each once", "change.members")
    for position, member in enumerate(change.members):
        if not member.operator_key:
            raise Malformed("a member without an operator key", f"change.members[{position}].operator_key")
        check_organisation(member, f"change.members[{position}]")


def signers_needed(change: Change) -> tuple[str, ...]:
    """Who must agree, in order: all members, but for whoever is removed (consensus.md 2.9), and whoever joins.

    That is everybody who will be a member: who joins says himself that he does, and who is put out is not asked.
    """
    return tuple(member.id for member in change.members)


def refuse_change(
    before: Epoch, used: Collection[str], cluster_id: bytes, signed: SignedChange
) -> ChangeRefusal | None:
    """Why this checked change can have no effect on the epoch in force, or None; that none is pending is not asked.

    `used`: all ids and keys that any member has, or had in any epoch (`names_of`).
    """
    change = signed.change
    if change.epoch != before.number:
        return ChangeRefusal.EPOCH_PASSED
    if not _is_one_step(before, change):
        return ChangeRefusal.NOT_ONE_STEP
    if len(change.members) < max(change.policy.approvals, change.policy.attestations):
        return ChangeRefusal.POLICY_TOO_FEW
    return _refuse_reuse(before, used, change) or _refuse_signatures(before, cluster_id, signed)


def names_of(members: Collection[Organisation]) -> tuple[str, ...]:
    """The ids and keys of members, sorted: what nobody else may ever have."""
    return tuple(sorted({name for member in members for name in (member.id, *_keys(member))}))


def unsigned_by(before: Epoch, cluster_id: bytes, signed: SignedChange) -> tuple[str, ...]:
    """The members that must agree and whose signature is missing or does not hold: what a verifier says by name."""
    message = change_message(cluster_id, signed.change)
    keys = {member.id: member.operator_key for member in (*signed.change.members, *before.members)}
    lines = {line.node: b64u_decode(line.signature, _SIGNATURE_BYTES) for line in signed.signatures}
    return tuple(
        node
        for node in signers_needed(signed.change)
        if node not in lines or not verify_node(b64u_decode(keys[node], 32), message, lines[node])
    )


def retired_with(before: Epoch, after: Epoch, role: str) -> tuple[str, ...]:
    """Members whose key of this role (`consensus`, `cosign`) ends with the epoch `before`, and who can know it there.

    Nobody where the end was a fork (DESIGN.md D32): it was decided afterwards where the epoch had ended, and honest
    members had signed that end, and what followed it, with keys that were good.
    """
    if after.disputed is not None:
        return ()
    name = role + "_key"
    kept = {member.id: getattr(member, name) for member in after.members}
    return tuple(member.id for member in before.members if kept.get(member.id) != getattr(member, name))


def _is_one_step(epoch: Epoch, change: Change) -> bool:
    """Whether all members but one are what they were, and that one came, went or has other keys."""
    before = epoch.members
    gone = [member for member in before if member not in change.members]
    come = [member for member in change.members if member not in before]
    if (change.kind == "policy.set") != (change.policy != epoch.policy):
        return False
    if change.kind == "policy.set":
        return not gone and not come
    if change.kind == "node.add":
        return not gone and len(come) == 1 and come[0].id not in epoch.ids
    if change.kind == "node.remove":
        return not come and len(gone) == 1
    return len(gone) == len(come) == 1 and come[0] == msgspec.structs.replace(
        gone[0], **{name: getattr(come[0], name) for name in _ROTATED}
    )


def _refuse_reuse(before: Epoch, used: Collection[str], change: Change) -> ChangeRefusal | None:
    come = [member for member in change.members if member not in before.members]
    if change.kind == "node.add" and come[0].id in used:
        return ChangeRefusal.ID_USED
    new = [key for member in come for key in _keys(member) if key not in _unchanged(member, before)]
    is_fresh = len(set(new)) == len(new) and set(used).isdisjoint(new)
    return None if is_fresh else ChangeRefusal.KEY_USED


def _unchanged(member: Organisation, before: Epoch) -> tuple[str, ...]:
    """The keys that this member had before, in the same places."""
    was = next((other for other in before.members if other.id == member.id), None)
    if was is None:
        return ()
    return tuple(key for key, old in zip(_keys(member), _keys(was), strict=True) if key == old)


def _keys(member: Organisation) -> Iterator[str]:
    return (getattr(member, role + "_key") for role in (*ROLES, OPERATOR))


def _refuse_signatures(before: Epoch, cluster_id: bytes, signed: SignedChange) -> ChangeRefusal | None:
    named = tuple(line.node for line in signed.signatures)
    if named != signers_needed(signed.change) or unsigned_by(before, cluster_id, signed):
        return ChangeRefusal.SIGNATURES
    return None
