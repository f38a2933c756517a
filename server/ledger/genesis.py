"""The genesis of a ledger: its estate, its members and their keys, its policy. Its hash is the cluster id."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

from msgspec import Meta

from server.record.canonical import Malformed, b64u_decode, decode
from server.record.envelope import estate_name
from server.record.shape import Digest, Line, MemberId, NodeId, Shape, TimeMs, parse
from server.record.signature import DeviceKey, check_node_key

MEMBERS_MAX = 16
ROLES = ("attest", "consensus", "cosign", "log")
"""What a member has an Ed25519 key for."""
Duration = Annotated[int, Meta(ge=0, le=365 * 86_400_000)]
Origin = Annotated[str, Meta(pattern=r"^[a-z0-9.-]{1,80}/[a-z0-9/-]{1,60}$(?!\n)")]


class Estate(Shape, frozen=True):
    """The neighbourhood whose ledger this is."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$(?!\n)")]
    name: Line


class Policy(Shape, frozen=True):
    """Numbers that genesis fixes."""

    approvals: Annotated[int, Meta(ge=1, le=MEMBERS_MAX)]
    """Organisations whose officers must sign a role or confirm a roll."""
    attestations: Annotated[int, Meta(ge=1, le=MEMBERS_MAX)]
    """Organisations that must attest a device before it votes (decisions 13)."""
    final_without_ms: Duration
    new_key_vote_delay_ms: Duration


class Officer(Shape, frozen=True):
    """A person who signs for an organisation, known from the start."""

    device_key: DeviceKey
    member: MemberId


class Organisation(Shape, frozen=True):
    """A member of the cluster: an organisation that runs one node."""

    attest_key: Digest
    consensus_key: Digest
    cosign_key: Digest
    id: NodeId
    log_key: Digest
    name: Line
    officers: tuple[Officer, ...]
    transport_certificate: str


class Genesis(Shape, frozen=True):
    """The first agreement of all organisations; canonical JSON, never changed."""

    created_ms: TimeMs
    estate: Estate
    members: Annotated[tuple[Organisation, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    mode: Literal["available", "strict"]
    origin: Origin
    policy: Policy
    rules: Literal[1]

    def member(self, node: str) -> Organisation | None:
        """The organisation with this id."""
        return next((member for member in self.members if member.id == node), None)

    def key(self, node: str, role: str) -> bytes:
        """A member's Ed25519 public key; `role` is one of ROLES."""
        member = self.member(node)
        assert member is not None, node
        return b64u_decode(getattr(member, role + "_key"), 32)


def parse_genesis(data: bytes) -> tuple[Genesis, bytes]:
    """Genesis and cluster id of the file's bytes. Raises Malformed."""
    genesis = parse(Genesis, decode(data))
    ids = [member.id for member in genesis.members]
    if ids != sorted(set(ids)):
        raise Malformed("members must stand in the order of their ids, each once", "members")
    if max(genesis.policy.approvals, genesis.policy.attestations) > len(ids):
        raise Malformed("the policy asks for more organisations than there are", "policy")
    for position, member in enumerate(genesis.members):
        for role in ROLES:
            check_node_key(genesis.key(member.id, role), f"members[{position}].{role}_key")
        b64u_decode(member.transport_certificate)
        for officer in member.officers:
            officer.device_key.point()
    return genesis, sha256(data).digest()


def estate_of(genesis: Genesis, cluster_id: bytes) -> str:
    """The `estate` member of this ledger's records."""
    return estate_name(genesis.estate.id, cluster_id)
