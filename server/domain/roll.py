"""The roll of owners: heads by the law's counting, their area, and a salted leaf for each.

A head is one buyer set: one person with three homes is one head, a couple that owns one home is one head (Judicial
interpretation art. 9; Guiding rules art. 25). Names, homes and phone numbers stay in each organisation's private copy.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.member import Member
from server.ledger.merkle import Frontier, leaf_hash, root_of
from server.limits import ROLL_HEADS_MAX, ROLL_PARTS_MAX
from server.record.canonical import b64u_decode, b64u_encode, encode
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import AreaCm2, Digest, MemberId, Name, Shape

HEAD_MEMBERS_MAX = 10


class Roll(Row, frozen=True):
    """A roll in the making or in force. `peaks` is the frontier of the heads published so far."""

    table: ClassVar[str] = "roll"
    root: str
    parts: int
    parts_published: int
    heads: int
    area_cm2: int
    peaks: tuple[str, ...]
    confirmed_by: tuple[str, ...]
    in_force: bool
    published_ms: int


class RollHead(Row, frozen=True):
    """One head: `<roll>/<position>`. Its members may cast its one ballot."""

    table: ClassVar[str] = "roll_head"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("roll",),)
    roll: str
    position: int
    members: tuple[str, ...]
    area_cm2: int
    leaf: str


class Head(Shape, frozen=True):
    """A head as it is published: pseudonyms, area, and the salted leaf of its private details."""

    area_cm2: AreaCm2
    leaf: Digest
    members: Annotated[tuple[MemberId, ...], Meta(min_length=1, max_length=HEAD_MEMBERS_MAX)]


def roll_root(heads: Iterable[Head]) -> str:
    """RFC 6962 root over the canonical heads as they are published, in base64url.

    Over members and areas too, not over the private leaves alone: who confirms the root confirms who may vote.
    """
    return b64u_encode(root_of([encode(head) for head in heads]))


class PublishRoll(RecordKind, frozen=True):
    """An officer publishes one part of a roll; parts come in order, the last one must complete the root."""

    kind: ClassVar[str] = "roll.publish"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.OFFICER})

    class Refusal(enum.Enum):
        """In order of precedence."""

        ROLL_PART_OUT_OF_ORDER = "roll_part_out_of_order"
        ROLL_DIFFERS = "roll_differs"

    permanent: ClassVar[frozenset[str]] = frozenset({"roll_differs"})

    heads: Annotated[tuple[Head, ...], Meta(min_length=1, max_length=ROLL_HEADS_MAX)]
    part: Annotated[int, Meta(ge=0, lt=ROLL_PARTS_MAX)]
    parts: Annotated[int, Meta(ge=1, le=ROLL_PARTS_MAX)]
    position: Annotated[int, Meta(ge=0, le=ROLL_PARTS_MAX * ROLL_HEADS_MAX, description="Place of the first head")]
    roll: Name
    root: Digest

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The roll, the heads of this part, and their members."""
        positions = range(self.position, self.position + len(self.heads))
        members = {member for head in self.heads for member in head.members}
        return (
            key(Roll, self.roll),
            *(key(RollHead, self.roll, str(position)) for position in positions),
            *(key(Member, member) for member in sorted(members)),
        )

    def execute(self, rows: Rows, context: Context) -> PublishRoll.Refusal | None:
        """Append the part's heads; the last part must give the announced root (`roll_root`)."""
        roll = rows.get(Roll, self.roll) or self._blank(context)
        if (roll.parts_published, roll.heads) != (self.part, self.position) or self.part >= roll.parts:
            return self.Refusal.ROLL_PART_OUT_OF_ORDER
        tree = Frontier(roll.heads, [b64u_decode(peak) for peak in roll.peaks])
        for head in self.heads:
            tree.append(leaf_hash(encode(head)))
        complete = self.part + 1 == self.parts
        wrong_root = complete and b64u_encode(tree.root()) != self.root
        if wrong_root or (roll.root, roll.parts) != (self.root, self.parts):
            return self.Refusal.ROLL_DIFFERS

        confirmed = context.organisations(Role.OFFICER)[:1] if complete else ()
        grown = msgspec.structs.replace(
            roll,
            parts_published=self.part + 1,
            heads=tree.size,
            area_cm2=roll.area_cm2 + sum(head.area_cm2 for head in self.heads),
            peaks=tuple(b64u_encode(peak) for peak in tree.peaks),
            confirmed_by=confirmed,
            in_force=complete and len(confirmed) >= context.trust.approvals,
        )
        rows.put(grown)
        self._put_heads(rows)
        return None

    def _blank(self, context: Context) -> Roll:
        return Roll(self.roll, self.root, self.parts, 0, 0, 0, (), (), False, context.time_ms)

    def _put_heads(self, rows: Rows) -> None:
        for offset, head in enumerate(self.heads):
            position = self.position + offset
            rows.put(RollHead(f"{self.roll}/{position}", self.roll, position, head.members, head.area_cm2, head.leaf))
            for member_id in head.members:
                member = rows.get(Member, member_id) or Member(member_id)
                if Role.RESIDENT.value not in member.roles:
                    roles = tuple(sorted((*member.roles, Role.RESIDENT.value)))
                    rows.put(msgspec.structs.replace(member, roles=roles))


class ConfirmRoll(RecordKind, frozen=True):
    """An officer of another organisation confirms that its own copy gives the same root; then the roll is in force."""

    kind: ClassVar[str] = "roll.confirm"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.OFFICER})

    class Refusal(enum.Enum):
        """In order of precedence."""

        ROLL_NOT_FOUND = "roll_not_found"
        ROLL_DIFFERS = "roll_differs"
        ALREADY_APPROVED = "already_approved"

    permanent: ClassVar[frozenset[str]] = frozenset({"already_approved"})

    roll: Name
    root: Digest

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The roll."""
        return (key(Roll, self.roll),)

    def execute(self, rows: Rows, context: Context) -> ConfirmRoll.Refusal | None:
        """Decisions 13: no organisation alone says who may vote."""
        roll = rows.get(Roll, self.roll)
        if roll is None or roll.parts_published < roll.parts:
            return self.Refusal.ROLL_NOT_FOUND
        if roll.root != self.root:
            return self.Refusal.ROLL_DIFFERS
        confirmed = tuple(sorted({*roll.confirmed_by, *context.organisations(Role.OFFICER)[:1]}))
        if confirmed == roll.confirmed_by:
            return self.Refusal.ALREADY_APPROVED
        in_force = len(confirmed) >= context.trust.approvals
        rows.put(msgspec.structs.replace(roll, confirmed_by=confirmed, in_force=in_force))
        return None
