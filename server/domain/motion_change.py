"""What the committee may change about a motion after it was announced: its end, once, or that it takes place at all.

Each takes the signatures of more than half of the committee under the same words, and a reason that all can read.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.agenda import set_timer, stop_timer, timer_key
from server.domain.motion import ANNOUNCED, CANCELLED, OPEN, OPENING, PROPOSED, TALLY, Motion, step
from server.domain.office import decision_keys, sign_decision, signers_of
from server.domain.roll import Roll
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Rows, key
from server.record.shape import Name, RecordId, TimeMs

Reason = Annotated[str, Meta(pattern=r"^[^\u0000-\u0009\u000b-\u001f\u007f]{1,500}$(?!\n)", description="Why")]


class ExtendMotion(RecordKind, frozen=True):
    """A member of the committee signs that voting goes on until `close_ms`, and why: once, and before the close."""

    kind: ClassVar[str] = "motion.extend"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        MOTION_CLOSED = "motion_closed"
        ALREADY_EXTENDED = "already_extended"
        CLOSES_TOO_SOON = "closes_too_soon"
        ALREADY_SIGNED = "already_signed"

    permanent: ClassVar[frozenset[str]] = frozenset({"motion_closed", "already_extended"})

    close_ms: TimeMs
    motion: RecordId
    reason: Reason

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, its close, and the committee's signatures."""
        return (key(Motion, self.motion), timer_key(TALLY, self.motion), *decision_keys(self))

    def execute(self, rows: Rows, context: Context) -> ExtendMotion.Refusal | None:
        """Product 2.2 M2: an extension with its reason, once, before the close."""
        motion = rows.get(Motion, self.motion)
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if motion.state not in (ANNOUNCED, OPEN) or context.time_ms >= motion.close_ms:
            return self.Refusal.MOTION_CLOSED
        if motion.closed_first_ms:
            return self.Refusal.ALREADY_EXTENDED
        if self.close_ms <= motion.close_ms:
            return self.Refusal.CLOSES_TOO_SOON
        if context.author in signers_of(rows, self):
            return self.Refusal.ALREADY_SIGNED
        if sign_decision(rows, context, motion.id):
            first_ms = motion.close_ms
            rows.put(
                msgspec.structs.replace(motion, close_ms=self.close_ms, closed_first_ms=first_ms, reason=self.reason)
            )
            set_timer(rows, self.close_ms, TALLY, motion.id)
        return None


class CancelMotion(RecordKind, frozen=True):
    """A member of the committee signs that a motion does not take place, and why: before its close."""

    kind: ClassVar[str] = "motion.cancel"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        MOTION_CLOSED = "motion_closed"
        ALREADY_SIGNED = "already_signed"

    permanent: ClassVar[frozenset[str]] = frozenset({"motion_closed"})

    motion: RecordId
    reason: Reason

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, its timers, and the committee's signatures."""
        timers = (timer_key(OPENING, self.motion), timer_key(TALLY, self.motion))
        return (key(Motion, self.motion), *timers, *decision_keys(self))

    def execute(self, rows: Rows, context: Context) -> CancelMotion.Refusal | None:
        """Product 2.2 M2: nobody sees what was cast, for nothing is ever counted."""
        motion = rows.get(Motion, self.motion)
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if motion.state not in (PROPOSED, ANNOUNCED, OPEN) or context.time_ms >= motion.close_ms:
            return self.Refusal.MOTION_CLOSED
        if context.author in signers_of(rows, self):
            return self.Refusal.ALREADY_SIGNED
        if sign_decision(rows, context, motion.id):
            rows.put(msgspec.structs.replace(step(motion, CANCELLED), reason=self.reason))
            stop_timer(rows, OPENING, motion.id)
            stop_timer(rows, TALLY, motion.id)
        return None


class CorrectMotion(RecordKind, frozen=True):
    """A member of the committee signs that a motion that is not open yet uses a corrected roll, and why.

    The roll itself carries the signatures of two organisations (`roll.confirm`).
    """

    kind: ClassVar[str] = "motion.correct"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        MOTION_ALREADY_OPEN = "motion_already_open"
        ROLL_NOT_FOUND = "roll_not_found"
        ROLL_NOT_IN_FORCE = "roll_not_in_force"
        ALREADY_SIGNED = "already_signed"

    permanent: ClassVar[frozenset[str]] = frozenset({"motion_already_open"})

    motion: RecordId
    reason: Reason
    roll: Name

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, the roll, and the committee's signatures."""
        return (key(Motion, self.motion), key(Roll, self.roll), *decision_keys(self))

    def execute(self, rows: Rows, context: Context) -> CorrectMotion.Refusal | None:
        """Product 2.1 M4: a frozen roll changes by a logged correction alone, and never once voting has begun."""
        motion, roll = rows.get(Motion, self.motion), rows.get(Roll, self.roll)
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if motion.state not in (PROPOSED, ANNOUNCED):
            return self.Refusal.MOTION_ALREADY_OPEN
        if roll is None:
            return self.Refusal.ROLL_NOT_FOUND
        if not roll.in_force:
            return self.Refusal.ROLL_NOT_IN_FORCE
        if context.author in signers_of(rows, self):
            return self.Refusal.ALREADY_SIGNED
        if sign_decision(rows, context, motion.id):
            counted = {"roll": roll.id, "roll_heads": roll.heads, "roll_area_cm2": roll.area_cm2}
            rows.put(msgspec.structs.replace(motion, **counted, reason=self.reason))
        return None
