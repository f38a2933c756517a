"""Ballots: one for each head and question. Public in motion, roll position and commitment; the choice is private.

There is no row by choice: openings are attachments at the nodes until the tally (decisions 18, 19).
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.member import Device
from server.domain.motion import ANNOUNCED, OPEN, PROPOSED, SEATS_MAX, Motion, Turnout, has_question
from server.domain.roll import RollHead
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest, Name, Opens, OptionalRecordId, Position, RecordId

Picked = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=SEATS_MAX)]
"""What a voter picks: one choice; in an election as many candidates as there are seats, or fewer."""


class Ballot(Row, frozen=True):
    """The counted ballot of a head: `<motion>/<question>/<position>`. `replaced` says how often it was changed."""

    table: ClassVar[str] = "ballot"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("motion", "question", "position"),)
    motion: str
    question: str
    position: int
    record: str
    member: str
    commitment: str
    area_cm2: int
    cast_ms: int
    replaced: int


class BallotCommitment(Row, frozen=True):
    """A commitment that a ballot used, and the record that used it first.

    Without it a voter could copy a neighbour's commitment, and with it his unknown choice.
    """

    table: ClassVar[str] = "ballot_commitment"
    record: str


class CastBallot(RecordKind, frozen=True):
    """An owner casts the one ballot of his head in a question, or replaces the ballot he cast before."""

    kind: ClassVar[str] = "ballot.cast"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        MOTION_NOT_OPEN = "motion_not_open"
        MOTION_CLOSED = "motion_closed"
        QUESTION_NOT_FOUND = "question_not_found"
        ROLL_DIFFERS = "roll_differs"
        NOT_ON_ROLL = "not_on_roll"
        DEVICE_NOT_VERIFIED = "device_not_verified"
        DEVICE_TOO_NEW = "device_too_new"
        BALLOT_ALREADY_CAST = "ballot_already_cast"
        REPLACED_BALLOT_NOT_FOUND = "replaced_ballot_not_found"
        COMMITMENT_ALREADY_USED = "commitment_already_used"

    permanent: ClassVar[frozenset[str]] = frozenset(
        {"motion_closed", "question_not_found", "roll_differs", "not_on_roll", "commitment_already_used"}
    )

    choice: Annotated[Digest, Opens(Picked)]
    motion: RecordId
    position: Position
    question: Name
    replaces: OptionalRecordId
    roll: Name

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, the head, its ballot, the commitment, and the turnout."""
        position = str(self.position)
        return (
            key(Motion, self.motion),
            key(RollHead, self.roll, position),
            key(Ballot, self.motion, self.question, position),
            key(BallotCommitment, self.choice),
            key(Turnout, self.motion, self.question),
        )

    def execute(self, rows: Rows, context: Context) -> CastBallot.Refusal | None:
        """Decisions 18. Only the first ballot of a head changes the turnout."""
        head = rows.get(RollHead, self.roll, str(self.position))
        refusal = self._refuse_motion(rows, context) or self._refuse_voter(head, rows, context)
        if refusal is not None:
            return refusal
        counted = rows.get(Ballot, self.motion, self.question, str(self.position))
        if counted is not None and (self.replaces, context.author) != (counted.record, counted.member):
            return self.Refusal.BALLOT_ALREADY_CAST
        if counted is None and self.replaces:
            return self.Refusal.REPLACED_BALLOT_NOT_FOUND
        if rows.get(BallotCommitment, self.choice) is not None:
            return self.Refusal.COMMITMENT_ALREADY_USED

        assert head is not None, "a voter stands on the roll"
        rows.put(self._ballot(head, context, counted.replaced + 1 if counted else 0))
        rows.put(BallotCommitment(self.choice, context.signed.id))
        if counted is None:
            turnout = rows.get(Turnout, self.motion, self.question)
            assert turnout is not None, "a motion opens with a turnout for each question"
            heads, area_cm2 = turnout.heads + 1, turnout.area_cm2 + head.area_cm2
            rows.put(msgspec.structs.replace(turnout, heads=heads, area_cm2=area_cm2))
        return None

    def _refuse_motion(self, rows: Rows, context: Context) -> CastBallot.Refusal | None:
        motion = rows.get(Motion, self.motion)
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if motion.state in (PROPOSED, ANNOUNCED):
            return self.Refusal.MOTION_NOT_OPEN
        if motion.state != OPEN or context.time_ms >= motion.close_ms:
            return self.Refusal.MOTION_CLOSED
        if not has_question(motion, self.question):
            return self.Refusal.QUESTION_NOT_FOUND
        return self.Refusal.ROLL_DIFFERS if motion.roll != self.roll else None

    def _refuse_voter(self, head: RollHead | None, rows: Rows, context: Context) -> CastBallot.Refusal | None:
        if head is None or context.author not in head.members:
            return self.Refusal.NOT_ON_ROLL
        device = rows.get(Device, context.signed.kid)
        if device is None or len(device.attested_by) < context.trust.attestations:
            return self.Refusal.DEVICE_NOT_VERIFIED
        return self.Refusal.DEVICE_TOO_NEW if context.time_ms < device.votes_from_ms else None

    def _ballot(self, head: RollHead, context: Context, replaced: int) -> Ballot:
        return Ballot(
            id=f"{self.motion}/{self.question}/{self.position}",
            motion=self.motion,
            question=self.question,
            position=self.position,
            record=context.signed.id,
            member=context.author,
            commitment=self.choice,
            area_cm2=head.area_cm2,
            cast_ms=context.time_ms,
            replaced=replaced,
        )
