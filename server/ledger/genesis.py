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
"""What a member's node has an Ed25519 key for."""
OPERATOR = "operator"
"""What a member agrees to another membership with: a key that no node has, for it is kept offline (DESIGN.md D26)."""
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


class Organisation(Shape, frozen=True, kw_only=True, omit_defaults=True):
    """A member of the cluster: an organisation that runs one node.

    `operator_key` is absent in a genesis from before there were any; such a cluster keeps its members for ever.
    """

    attest_key: Digest
    consensus_key: Digest
    cosign_key: Digest
    id: NodeId
    log_key: Digest
    name: Line
    officers: tuple[Officer, ...]
    operator_key: Digest = ""
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

    @property
    def has_operators(self) -> bool:
        """Whether the members have the keys that another membership needs: all of them, or none."""
        return bool(self.members[0].operator_key)

    def key(self, node: str, role: str) -> bytes:
        """A member's Ed25519 public key; `role` is one of ROLES, or OPERATOR where `has_operators`."""
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
    if len({bool(member.operator_key) for member in genesis.members}) > 1:
        raise Malformed("either every member has an operator key or none", "members")
    for position, member in enumerate(genesis.members):
        check_organisation(member, f"members[{position}]")
    return genesis, sha256(data).digest()


def check_organisation(member: Organisation, where: str) -> None:
    """Raise Malformed for keys under which anybody could sign, or that are none; `where` begins the field's name."""
    for role in (*ROLES, OPERATOR) if member.operator_key else ROLES:
        check_node_key(b64u_decode(getattr(member, role + "_key"), 32), f"{where}.{role}_key")
    b64u_decode(member.transport_certificate)
    for officer in member.officers:
        officer.device_key.point()


def estate_of(genesis: Genesis, cluster_id: bytes) -> str:
    """The `estate` member of this ledger's records."""
    return estate_name(genesis.estate.id, cluster_id)
