"""Proof that owners were served with a motion: how, by whom, and with which picture.

The law lets silence count only where the ballot was really delivered ((2022) Hu 02 Min Chu 16), so each home's proof is
a row of its own. It must not know what silence counts as.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from server.domain.motion import ANNOUNCED, OPEN, Motion
from server.domain.photo import claim_photo, own_documents, owner_keys
from server.domain.roll import RollHead
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Name, PhotoRef, Position, RecordId

POSITIONS_MAX = 200
PICTURES_MAX = 6
NEEDS_PICTURE = frozenset({"door", "post", "notice"})
"""What only a picture proves: a ballot handed over, a letter sent, a notice put up."""


class Delivery(Row, frozen=True):
    """The first proof that a head was served: `<motion>/<position>`."""

    table: ClassVar[str] = "delivery"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("motion", "position"),)
    motion: str
    position: int
    channel: str
    by: str
    record: str
    area_cm2: int
    at_ms: int


class ConfirmDelivery(RecordKind, frozen=True):
    """Staff or committee say that heads were served with a motion, before its close; the first proof stands."""

    kind: ClassVar[str] = "delivery.confirm"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.STAFF, Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        MOTION_NOT_ANNOUNCED = "motion_not_announced"
        ROLL_DIFFERS = "roll_differs"
        NOT_ON_ROLL = "not_on_roll"
        PROOF_MISSING = "proof_missing"
        PHOTO_OF_ANOTHER = "photo_of_another"

    permanent: ClassVar[frozenset[str]] = frozenset({"proof_missing"})

    channel: Literal["door", "notice", "phone", "post", "sms", "wechat"]
    motion: RecordId
    positions: Annotated[tuple[Position, ...], Meta(min_length=1, max_length=POSITIONS_MAX)]
    proof: Annotated[tuple[PhotoRef, ...], Meta(max_length=PICTURES_MAX)]
    roll: Name

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, the heads, their proofs so far, and who the pictures belong to."""
        positions = [str(position) for position in dict.fromkeys(self.positions)]
        return (
            key(Motion, self.motion),
            *(key(RollHead, self.roll, position) for position in positions),
            *(key(Delivery, self.motion, position) for position in positions),
            *owner_keys(self.proof),
        )

    def execute(self, rows: Rows, context: Context) -> ConfirmDelivery.Refusal | None:
        """Guiding rules art. 22: ballots to every owner; what cannot be delivered is announced publicly."""
        motion = rows.get(Motion, self.motion)
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if motion.state not in (ANNOUNCED, OPEN) or context.time_ms >= motion.close_ms:
            return self.Refusal.MOTION_NOT_ANNOUNCED
        if motion.roll != self.roll:
            return self.Refusal.ROLL_DIFFERS
        heads = [rows.get(RollHead, self.roll, str(position)) for position in dict.fromkeys(self.positions)]
        served = [head for head in heads if head is not None]
        if len(served) < len(heads):
            return self.Refusal.NOT_ON_ROLL
        if self.channel in NEEDS_PICTURE and not self.proof:
            return self.Refusal.PROOF_MISSING
        if not own_documents(rows, context, self.proof):
            return self.Refusal.PHOTO_OF_ANOTHER

        for photo in self.proof:
            claim_photo(rows, context, photo.sha256)
        for head in served:
            self._serve(rows, context, head)
        return None

    def _serve(self, rows: Rows, context: Context, head: RollHead) -> None:
        if rows.get(Delivery, self.motion, str(head.position)) is not None:
            return
        who = (self.channel, context.author, context.signed.id)
        place = f"{self.motion}/{head.position}"
        rows.put(Delivery(place, self.motion, head.position, *who, head.area_cm2, context.time_ms))
