"""The keys that a motion's ballots are sealed to: one of each organisation, announced under its own signature (D35).

The keys of a motion name the motion, so they serve no other: a key that was handed over after one close can never be
brought again for another vote. It must not know private keys nor boxes; who makes and keeps them is the node's concern.
"""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Meta

from server.ledger.genesis import MEMBERS_MAX
from server.record.box import KEY_BYTES, check_box_key
from server.record.canonical import Malformed, b64u_decode, b64u_encode, b64u_pattern, encode
from server.record.kind import Trust
from server.record.shape import NodeId, Shape
from server.record.signature import verify_node


class BallotKey(Shape, frozen=True):
    """An organisation's X25519 public key for one motion, signed with its attest key."""

    key: Annotated[str, Meta(pattern=rf"^{b64u_pattern(KEY_BYTES)}$(?!\n)", description="32 bytes in base64url")]
    member: NodeId
    signature: Annotated[str, Meta(pattern=rf"^{b64u_pattern(64)}$(?!\n)", description="64 bytes in base64url")]


class BallotKeys(Shape, frozen=True):
    """The keys of all organisations for one motion, in the order of members. Boxes are sealed to these for ever.

    Who joins later gets none, and who leaves takes nothing away as long as a threshold of the others is there.
    """

    keys: Annotated[tuple[BallotKey, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]

    def public_keys(self) -> tuple[bytes, ...]:
        """The keys as bytes, as `BoxContext` takes them."""
        return tuple(b64u_decode(announced.key, KEY_BYTES) for announced in self.keys)


class KeyFault(enum.Enum):
    """Why a motion's keys are not taken, in order of precedence."""

    MEMBERS_DIFFER = "ballot_keys_of_others"
    KEY_UNFIT = "ballot_key_unfit"
    KEY_TWICE = "ballot_key_twice"
    NOT_ANNOUNCED = "ballot_key_not_announced"


def ballot_key_bytes(cluster_id: bytes, motion: str, member: str, key: bytes) -> bytes:
    """What an organisation signs when it announces its key for a motion (DESIGN.md 2.6)."""
    content = {"cluster_id": b64u_encode(cluster_id), "key": b64u_encode(key), "member": member, "motion": motion}
    return b"linli/ballot-key/v1\n" + encode(content)


def find_key_fault(keys: BallotKeys, motion: str, trust: Trust) -> KeyFault | None:
    """Are these the keys that all organisations of today announced for this motion? None when they are."""
    if [announced.member for announced in keys.keys] != list(trust.attest_keys):
        return KeyFault.MEMBERS_DIFFER
    public_keys = keys.public_keys()
    if not all(_is_fit(key) for key in public_keys):
        return KeyFault.KEY_UNFIT
    if len(set(public_keys)) != len(public_keys):
        return KeyFault.KEY_TWICE
    if not all(_is_announced(announced, motion, trust) for announced in keys.keys):
        return KeyFault.NOT_ANNOUNCED
    return None


def _is_fit(key: bytes) -> bool:
    try:
        check_box_key(key, "keys")
    except Malformed:
        return False
    return True


def _is_announced(announced: BallotKey, motion: str, trust: Trust) -> bool:
    content = ballot_key_bytes(trust.cluster_id, motion, announced.member, b64u_decode(announced.key, KEY_BYTES))
    return verify_node(trust.attest_keys[announced.member], content, b64u_decode(announced.signature))
