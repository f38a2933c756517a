"""Another membership of the cluster, as the state knows it: the epoch in force, and the change that waits to begin.

What a change is and who must agree says `ledger/membership.py`; here it is ordered, waits for a seal by everybody who
stays, and begins with the block after the one that brings the seal (consensus.md 2.9, DESIGN.md D26).
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.agenda import SealWait, wait_for_seal
from server.domain.member import Device, Member
from server.ledger.genesis import MEMBERS_MAX, Genesis, Organisation, Policy
from server.ledger.membership import (
    Change,
    ChangeRefusal,
    Disputed,
    Epoch,
    OperatorSignature,
    SignedChange,
    check_change,
    founding_epoch,
    names_of,
    refuse_change,
)
from server.record.canonical import Malformed, b64u_decode, decode, encode
from server.record.kind import Context, DerivedKind, Place, RecordKind, Role, Signed, Trust
from server.record.rows import Key, Row, Rows, key
from server.record.shape import parse

IN_FORCE = "epoch"
"""Id of the one row that says who the members are."""


class EpochBegun(Row, frozen=True):
    """An epoch: its members and policy as genesis spells them, and the first block that is its own. Id: its number."""

    table: ClassVar[str] = "epoch_begun"
    members: tuple[str, ...]
    policy: str
    first_height: int
    change_index: int = 0
    """Where the change stands by which it began."""


class EpochInForce(Row, frozen=True):
    """The epoch in force, the ids and keys that anybody ever had, and the change that waits (`pending`, or empty)."""

    table: ClassVar[str] = "epoch_in_force"
    number: int
    members: tuple[str, ...]
    policy: str
    first_height: int
    used: tuple[str, ...]
    pending: str = ""
    pending_index: int = 0

    @property
    def epoch(self) -> Epoch:
        """The epoch, but for the tree's size when it began: rows do not know it."""
        return Epoch(self.number, _members(self.members), _policy(self.policy), self.first_height)

    @property
    def pending_kind(self) -> str:
        """What the change that waits does, or empty."""
        return parse(Change, decode(self.pending.encode())).kind if self.pending else ""

    def excused(self, size: int) -> str:
        """Whose signature a seal of `size` entries does not wait for: `leaving`, where the change is among them."""
        return self.leaving if size > self.pending_index else ""

    @property
    def leaving(self) -> str:
        """Whom the change that waits puts out, or gives other keys; or empty. The old ones may be lost."""
        if not self.pending:
            return ""
        after = parse(Change, decode(self.pending.encode())).members
        return next((member.id for member in _members(self.members) if member not in after), "")


def epoch_of_row(row: EpochBegun, size_before: int, disputed: Disputed | None = None) -> Epoch:
    """An epoch; `size_before`: of the log when its first block was ordered.

    Where its first entry is the resolution of a fork its members sign the trees that hold that; else also the tree
    before, which retired keys never sign.
    """
    number, index = int(row.id), row.change_index
    first_size = index + 1 if number and index >= size_before else size_before
    return Epoch(number, _members(row.members), _policy(row.policy), row.first_height, first_size, index, disputed)


def founding_rows(genesis: Genesis) -> list[Row]:
    """The rows of epoch 0; none where genesis names no operators, whose members are for ever."""
    if not genesis.has_operators:
        return []
    epoch = founding_epoch(genesis)
    members, policy = texts_of(epoch.members), encode(epoch.policy).decode()
    return [
        EpochBegun("0", members, policy, epoch.first_height),
        EpochInForce(IN_FORCE, 0, members, policy, epoch.first_height, names_of(epoch.members)),
    ]


def trust_in_force(rows: Rows, founding: Trust) -> Trust:
    """What rules trust in a block: the members and the policy of its epoch. The row must be loaded, or absent."""
    row = rows.loaded.get(key(EpochInForce, IN_FORCE))
    if not isinstance(row, EpochInForce) or row.number == 0:
        return founding
    return trust_of_epoch(row.epoch, founding.cluster_id)


def trust_of_epoch(epoch: Epoch, cluster_id: bytes) -> Trust:
    """What rules need to know of an epoch."""
    policy = epoch.policy
    attest_keys = {member.id: b64u_decode(member.attest_key, 32) for member in epoch.members}
    return Trust(
        cluster_id,
        attest_keys,
        policy.attestations,
        policy.approvals,
        policy.new_key_vote_delay_ms,
        policy.final_without_ms,
    )


class ChangeMembers(RecordKind, frozen=True):
    """Another membership of the cluster: a member more or less, new keys of one, or another policy.

    Signed by the operator keys of everybody who will be a member. It begins when everybody who stays has sealed it.
    """

    kind: ClassVar[str] = "members.change"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.OFFICER})

    class Refusal(enum.Enum):
        """In order of precedence; those of `ChangeRefusal`, and what operators cannot have meant."""

        NO_OPERATORS = "no_operators"
        CHANGE_MALFORMED = "change_malformed"
        """Members out of order, or keys that are none."""
        CHANGE_PENDING = "change_pending"
        EPOCH_PASSED = "epoch_passed"
        NOT_ONE_STEP = "not_one_step"
        POLICY_TOO_FEW = "policy_too_few"
        ID_USED = "id_used"
        KEY_USED = "key_used"
        SIGNATURES = "signatures"
        OFFICER_KNOWN = "officer_known"
        """An officer of whoever joins, or his device, is known already: no change gives an office to who had none."""

    permanent: ClassVar[frozenset[str]] = frozenset({"no_operators", "change_malformed", "epoch_passed"})

    change: Change
    signatures: Annotated[tuple[OperatorSignature, ...], Meta(max_length=MEMBERS_MAX)]

    @property
    def signed_change(self) -> SignedChange:
        """What the operators signed, with their signatures."""
        return SignedChange(change=self.change, signatures=self.signatures)

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The epoch in force, what waits for the seal, and the officers of whoever joins."""
        officers = [officer for member in self.change.members for officer in member.officers]
        return (
            key(EpochInForce, IN_FORCE),
            key(SealWait, BeginEpoch.kind, str(self.change.epoch + 1)),
            *(key(Device, officer.device_key.thumbprint()) for officer in officers),
            *(key(Member, officer.member) for officer in officers),
        )

    def execute(self, rows: Rows, context: Context) -> ChangeMembers.Refusal | None:
        """Consensus.md 2.9: one change at a time, one step, signed by all who will be members."""
        standing = rows.get(EpochInForce, IN_FORCE)
        if standing is None:
            return self.Refusal.NO_OPERATORS
        try:
            check_change(self.signed_change)
        except Malformed:
            return self.Refusal.CHANGE_MALFORMED
        if standing.pending:
            return self.Refusal.CHANGE_PENDING
        refused = refuse_change(standing.epoch, standing.used, context.trust.cluster_id, self.signed_change)
        if refused is not None:
            return self.Refusal(refused.value)
        joining = [member for member in self.change.members if member.id not in standing.epoch.ids]
        for member in joining:
            if any(_is_known(rows, officer.device_key.thumbprint(), officer.member) for officer in member.officers):
                return self.Refusal.OFFICER_KNOWN
        for member in joining:
            _put_officers(rows, member, context)
        pending = encode(self.change).decode()
        rows.put(msgspec.structs.replace(standing, pending=pending, pending_index=context.place.index))
        wait_for_seal(rows, context.place, BeginEpoch.kind, str(self.change.epoch + 1))
        return None


class BeginEpoch(DerivedKind, frozen=True):
    """Everybody who stays as it is has signed the change: the next block is the first of the next epoch, whose number
    is the key. Part of the seal's entry."""

    kind: ClassVar[str] = "epoch.begin"
    timed: ClassVar[bool] = False

    def access(self, key_: str) -> tuple[Key, ...]:
        """The epoch in force, and the row of the one that begins."""
        return (key(EpochInForce, IN_FORCE), key(EpochBegun, key_))

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The change is no longer pending: its members are in force from the next block on."""
        before = rows.get(EpochInForce, IN_FORCE)
        assert before is not None and before.pending, "an epoch begins by a change that waits"
        change = parse(Change, decode(before.pending.encode()))
        members = texts_of(change.members)
        policy = encode(change.policy).decode()
        used = tuple(sorted({*before.used, *names_of(change.members)}))
        first_height = place.height + 1
        rows.put(EpochBegun(key_, members, policy, first_height, before.pending_index))
        rows.put(EpochInForce(IN_FORCE, int(key_), members, policy, first_height, used))


def _is_known(rows: Rows, kid: str, member: str) -> bool:
    return rows.get(Device, kid) is not None or rows.get(Member, member) is not None


def _put_officers(rows: Rows, organisation: Organisation, context: Context) -> None:
    """The officers of whoever joins, as genesis would have them. Their role counts when their organisation does."""
    everyone = tuple(context.trust.attest_keys)
    for officer in organisation.officers:
        public, time_ms = officer.device_key, context.time_ms
        kid = public.thumbprint()
        known = rows.get(Member, officer.member) or Member(officer.member, (f"{Role.OFFICER.value}@{organisation.id}",))
        rows.put(Device(kid, officer.member, public.x, public.y, "genesis", everyone, time_ms, time_ms))
        rows.put(msgspec.structs.replace(known, devices=tuple(sorted({*known.devices, kid}))))


def texts_of(members: tuple[Organisation, ...]) -> tuple[str, ...]:
    """Members as rows hold them: as genesis spells them."""
    return tuple(encode(member).decode() for member in members)


def _members(texts: tuple[str, ...]) -> tuple[Organisation, ...]:
    return tuple(parse(Organisation, decode(text.encode())) for text in texts)


def _policy(text: str) -> Policy:
    return parse(Policy, decode(text.encode()))


assert {refusal.value for refusal in ChangeRefusal} <= {refusal.value for refusal in ChangeMembers.Refusal}
