"""People on the ledger: pseudonyms, the devices that sign for them, and their roles."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from server.domain.office import Office, keep_office
from server.limits import DAY_MS
from server.record.canonical import b64u_decode, b64u_encode, b64u_pattern, encode
from server.record.kind import Context, RecordKind, Role, Signed, Trust
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest, MemberId, Name, NodeId, Shape, TimeMs
from server.record.signature import DeviceKey, verify_node

ATTESTATION_LIFE_MS = DAY_MS
"""An attestation is used within a day of its making, or asked for again."""
DEVICES_MAX = 10
"""Active devices of one member."""


class Member(Row, frozen=True):
    """A person: a pseudonym, the roles held, and the active devices."""

    table: ClassVar[str] = "member"
    roles: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    devices_revoked: int = 0


class Device(Row, frozen=True):
    """A key that signs for a member. `attested_by` are the organisations that tied it to the person.

    `record` is the bind that named the key first, which stands before all that the key signed; empty for genesis.
    """

    table: ClassVar[str] = "device"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("member",),)
    member: str
    x: str
    y: str
    label: str
    attested_by: tuple[str, ...]
    bound_ms: int
    votes_from_ms: int
    revoked: bool = False
    record: str = ""

    def key(self) -> DeviceKey:
        """The public key as a JWK."""
        return DeviceKey("P-256", "EC", self.x, self.y)

    def point(self) -> bytes:
        """The public key as a SEC 1 point. It was checked when the device was bound."""
        return self.key().point()


def usable_roles(member: Member, device: Device, time_ms: int, trust: Trust) -> tuple[str, ...]:
    """The roles that a member may use at `time_ms` with one of his devices (DESIGN.md D6); reading obeys this too.

    Roles for an organisation that is no member of the cluster, not yet or no longer, are none.

    Offices (every role but resident) need what a vote needs: a device that `attestations` organisations tied to the
    person and whose delay is over. Else one organisation could attest a key of its own to another organisation's
    officer, and sign for both (decisions 13: one attestation lets a member report, earn and read).
    """
    held = [role for role in member.roles if role.partition("@")[2] in ("", *trust.attest_keys)]
    if len(device.attested_by) >= trust.attestations and device.votes_from_ms <= time_ms:
        return tuple(held)
    return tuple(role for role in held if role == Role.RESIDENT.value)


class Nonce(Row, frozen=True):
    """A (kid, nonce) that was used: exactly once, whatever became of the record.

    `conflicts` are further records with the same nonce that were ordered and refused: they are ordered once, too.
    """

    table: ClassVar[str] = "nonce"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("forget_ms",),)
    record: str
    forget_ms: int
    conflicts: tuple[str, ...] = ()

    def has_seen(self, record: str) -> bool:
        """Was this record ordered before?"""
        return record == self.record or record in self.conflicts


class Approval(Row, frozen=True):
    """Officers' signatures under one grant of a role: `<member>/<role>/<organisation>`."""

    table: ClassVar[str] = "approval"
    approved_by: tuple[str, ...]


class Attestation(Shape, frozen=True):
    """An organisation's word that a key belongs to a person (decisions 13)."""

    evidence: Literal["document", "phone", "wechat"]
    node: NodeId
    signature: Annotated[str, Meta(pattern=rf"^{b64u_pattern(64)}$(?!\n)", description="64 bytes in base64url")]
    time_ms: TimeMs


def attestation_bytes(cluster_id: bytes, member: str, kid: str, evidence: str, node: str, time_ms: int) -> bytes:
    """What an organisation signs when it attests (DESIGN.md 2.6)."""
    content = {
        "cluster_id": b64u_encode(cluster_id),
        "evidence": evidence,
        "kid": kid,
        "member": member,
        "node": node,
        "time_ms": time_ms,
    }
    return b"linli/attest/v1\n" + encode(content)


def is_attested(trust: Trust, attestation: Attestation, member: str, kid: str) -> bool:
    """Is the attestation a genuine signature of its organisation over this member and key?"""
    public = trust.attest_keys.get(attestation.node)
    content = attestation_bytes(
        trust.cluster_id, member, kid, attestation.evidence, attestation.node, attestation.time_ms
    )
    return public is not None and verify_node(public, content, b64u_decode(attestation.signature))


class BindDevice(RecordKind, frozen=True):
    """A person ties a new key to himself; the key being bound signs, organisations attest."""

    kind: ClassVar[str] = "device.bind"
    signed_by: ClassVar[frozenset[Role]] = frozenset()
    binds_device: ClassVar[bool] = True

    class Refusal(enum.Enum):
        """In order of precedence."""

        DEVICE_REVOKED = "device_revoked"
        KEY_OF_ANOTHER = "key_of_another"
        ATTESTATION_INVALID = "attestation_invalid"
        ATTESTATION_EXPIRED = "attestation_expired"
        TOO_MANY_DEVICES = "too_many_devices"

    permanent: ClassVar[frozenset[str]] = frozenset({"attestation_invalid", "key_of_another"})

    attestations: Annotated[tuple[Attestation, ...], Meta(min_length=1, max_length=4)]
    device_key: DeviceKey
    label: Name
    member: MemberId
    privacy_version: Annotated[int, Meta(ge=1, le=10_000, description="The privacy notice that was agreed to")]

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The member and the device."""
        return (key(Member, self.member), key(Device, signed.kid))

    def execute(self, rows: Rows, context: Context) -> BindDevice.Refusal | None:
        """Decisions 13. A further bind of the same key adds attestations; receipts go on proving the first one."""
        kid = context.signed.kid
        device = rows.get(Device, kid)
        member = rows.get(Member, self.member) or Member(self.member)
        refusal = self._refuse(context, device, member)
        if refusal is not None:
            return refusal

        nodes = {attestation.node for attestation in self.attestations}
        attested_by = tuple(sorted(nodes | set(device.attested_by if device else ())))
        votes_from_ms = self._votes_from_ms(context, device, member)
        bound_ms = device.bound_ms if device else context.time_ms
        public, record = self.device_key, device.record if device else context.signed.id
        rows.put(
            Device(kid, member.id, public.x, public.y, self.label, attested_by, bound_ms, votes_from_ms, record=record)
        )
        if kid not in member.devices:
            rows.put(msgspec.structs.replace(member, devices=tuple(sorted((*member.devices, kid)))))
        return None

    def _refuse(self, context: Context, device: Device | None, member: Member) -> BindDevice.Refusal | None:
        kid = context.signed.kid
        if device is not None and device.revoked:
            return self.Refusal.DEVICE_REVOKED
        wrong_key = self.device_key.thumbprint() != kid or context.author != self.member
        if wrong_key or (device is not None and device.member != self.member):
            return self.Refusal.KEY_OF_ANOTHER
        if not all(is_attested(context.trust, attestation, self.member, kid) for attestation in self.attestations):
            return self.Refusal.ATTESTATION_INVALID
        if any(abs(context.time_ms - one.time_ms) > ATTESTATION_LIFE_MS for one in self.attestations):
            return self.Refusal.ATTESTATION_EXPIRED
        if device is None and len(member.devices) >= DEVICES_MAX:
            return self.Refusal.TOO_MANY_DEVICES
        return None

    def _votes_from_ms(self, context: Context, device: Device | None, member: Member) -> int:
        """A key bound beside or after another votes after a delay, unless two organisations saw the person.

        After another: else whoever holds the phone number for an hour binds a key, revokes all, and binds again.
        """
        seen = {one.node for one in self.attestations if one.evidence == "document"}
        if len(seen) >= context.trust.attestations or not (member.devices or member.devices_revoked):
            return context.time_ms
        if device is not None:
            return device.votes_from_ms
        return context.time_ms + context.trust.new_key_vote_delay_ms


class RevokeDevice(RecordKind, frozen=True):
    """A member ends a device of his own: a lost phone, an old tablet."""

    kind: ClassVar[str] = "device.revoke"
    signed_by: ClassVar[frozenset[Role]] = frozenset()

    class Refusal(enum.Enum):
        """In order of precedence."""

        DEVICE_NOT_FOUND = "device_not_found"
        ALREADY_REVOKED = "already_revoked"

    permanent: ClassVar[frozenset[str]] = frozenset({"already_revoked"})

    revoked: Digest

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The author and the device."""
        return (key(Member, signed.author), key(Device, self.revoked))

    def execute(self, rows: Rows, context: Context) -> RevokeDevice.Refusal | None:
        """Decisions 13: listed and revoked by their owner."""
        device = rows.get(Device, self.revoked)
        if device is None or device.member != context.author:
            return self.Refusal.DEVICE_NOT_FOUND
        if device.revoked:
            return self.Refusal.ALREADY_REVOKED
        member = rows.get(Member, context.author)
        assert member is not None, "an active device belongs to a member"
        rows.put(msgspec.structs.replace(device, revoked=True))
        left = tuple(kid for kid in member.devices if kid != device.id)
        rows.put(msgspec.structs.replace(member, devices=left, devices_revoked=member.devices_revoked + 1))
        return None


GRANTABLE = (Role.STAFF, Role.COMMITTEE, Role.MERCHANT, Role.AUDITOR)


class _OfficersRecord(RecordKind, frozen=True):
    """Granting and revoking a role take the same body and the same two signatures."""

    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.OFFICER})

    member: MemberId
    organisation: NodeId
    role: Literal["auditor", "committee", "merchant", "staff"]

    @property
    def held(self) -> str:
        """How a member's row names the role."""
        return f"{self.role}@{self.organisation}"

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The member, who holds the office, and what officers signed for this role so far."""
        approval = key(Approval, self.kind, self.member, self.role, self.organisation)
        return (key(Member, self.member), key(Office, self.role), approval)

    def _approve(self, rows: Rows, context: Context) -> frozenset[str] | None:
        """Add the author's organisation; None when it has signed before. Returns all that signed.

        One person speaks for one organisation, also an officer of two.
        """
        row_id = (self.kind, self.member, self.role, self.organisation)
        approval = rows.get(Approval, *row_id)
        before = frozenset(approval.approved_by if approval else ())
        after = before | frozenset(context.organisations(Role.OFFICER)[:1])
        if after == before:
            return None
        enough = len(after) >= context.trust.approvals
        rows.put(Approval("/".join(row_id), () if enough else tuple(sorted(after))))
        return after

    def _hold(self, rows: Rows, member: Member, *, holds: bool) -> None:
        """The member holds the role from now on, or no longer; his row and the office's say the same."""
        left = {held for held in member.roles if held != self.held}
        roles = tuple(sorted(left | {self.held} if holds else left))
        rows.put(msgspec.structs.replace(member, roles=roles))
        keep_office(rows, self.role, self.member, self.organisation, holds=holds)


class GrantRole(_OfficersRecord, frozen=True):
    """Officers of two organisations give a member a role; the second signature makes it hold."""

    kind: ClassVar[str] = "role.grant"

    class Refusal(enum.Enum):
        """In order of precedence."""

        ORGANISATION_UNKNOWN = "organisation_unknown"
        ROLE_ALREADY_HELD = "role_already_held"
        ALREADY_APPROVED = "already_approved"

    permanent: ClassVar[frozenset[str]] = frozenset({"organisation_unknown"})

    def execute(self, rows: Rows, context: Context) -> GrantRole.Refusal | None:
        """Decisions 13. Genesis fixes the organisations; each of them has a key to attest with."""
        if self.organisation not in context.trust.attest_keys:
            return self.Refusal.ORGANISATION_UNKNOWN
        member = rows.get(Member, self.member) or Member(self.member)
        if self.held in member.roles:
            return self.Refusal.ROLE_ALREADY_HELD
        approved = self._approve(rows, context)
        if approved is None:
            return self.Refusal.ALREADY_APPROVED
        if len(approved) >= context.trust.approvals:
            self._hold(rows, member, holds=True)
        return None


class RevokeRole(_OfficersRecord, frozen=True):
    """Officers of two organisations take a role back."""

    kind: ClassVar[str] = "role.revoke"

    class Refusal(enum.Enum):
        """In order of precedence."""

        ROLE_NOT_HELD = "role_not_held"
        ALREADY_APPROVED = "already_approved"

    def execute(self, rows: Rows, context: Context) -> RevokeRole.Refusal | None:
        """Decisions 13."""
        member = rows.get(Member, self.member)
        if member is None or self.held not in member.roles:
            return self.Refusal.ROLE_NOT_HELD
        approved = self._approve(rows, context)
        if approved is None:
            return self.Refusal.ALREADY_APPROVED
        if len(approved) >= context.trust.approvals:
            self._hold(rows, member, holds=False)
        return None
