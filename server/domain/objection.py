"""After the count: owners object to a result, or say that a ballot of their home is not theirs; both are answered.

Neither changes a count: what was counted stays as it was, and the result page shows what is contested and whether it
could change the outcome. It must not know choices.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.ballot import Ballot
from server.domain.motion import FINAL, OPEN, TALLIED, Motion
from server.domain.office import decision_keys, sign_decision, signers_of
from server.domain.procedure import procedure_of
from server.domain.roll import RollHead
from server.domain.rulepacks import find_pack
from server.limits import DAY_MS
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest, Name, Opens, Position, RecordId

WORDS_MAX = 500
Words = Annotated[
    str, Meta(pattern=rf"^[^\u0000-\u0009\u000b-\u001f\u007f]{{1,{WORDS_MAX}}}$(?!\n)", description="What is said")
]


class Objection(Row, frozen=True):
    """An objection to a motion's result: the id is its record's. `contested` names a ballot, or is empty."""

    table: ClassVar[str] = "objection"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("motion",),)
    motion: str
    member: str
    position: int
    contested: str
    """`<question>/<ballot record>` of a ballot that is said not to be the home's; empty for the result as a whole."""
    area_cm2: int
    at_ms: int
    answered_ms: int = 0
    upheld: bool = False


class ContestedBallot(Row, frozen=True):
    """That a ballot is contested, so that it is once: `<motion>/<question>/<position>`."""

    table: ClassVar[str] = "contested_ballot"
    objection: str


def objections_end_ms(motion: Motion, tallied_ms: int) -> int:
    """Until when a result can be objected to: as the rules of procedure say, but not shorter than the rule pack allows;
    a rehearsal's not at all."""
    pack, procedure = find_pack(motion.rule_pack), procedure_of(motion.procedure)
    if pack is None or not pack.is_binding or procedure is None:
        return tallied_ms
    return tallied_ms + max(procedure.objection_days, pack.objection_days_min.value) * DAY_MS


class ContestBallot(RecordKind, frozen=True):
    """A member of a head says that the ballot counted for it is not the home's: 这不是我投的.

    While voting goes on and until objections end; whoever cast it himself replaces it instead.
    """

    kind: ClassVar[str] = "ballot.contest"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        OBJECTIONS_OVER = "objections_over"
        ROLL_DIFFERS = "roll_differs"
        NOT_ON_ROLL = "not_on_roll"
        BALLOT_NOT_FOUND = "ballot_not_found"
        OWN_BALLOT = "own_ballot"
        ALREADY_CONTESTED = "already_contested"

    permanent: ClassVar[frozenset[str]] = frozenset({"objections_over"})

    motion: RecordId
    position: Position
    question: Name
    roll: Name
    words: Annotated[Digest, Opens(Words)]

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, the head, its ballot, and the objection."""
        place = (self.motion, self.question, str(self.position))
        return (
            key(Motion, self.motion),
            key(RollHead, self.roll, str(self.position)),
            key(Ballot, *place),
            key(ContestedBallot, *place),
            key(Objection, signed.id),
        )

    def execute(self, rows: Rows, context: Context) -> ContestBallot.Refusal | None:
        """Product 2.2 N2."""
        place = (self.motion, self.question, str(self.position))
        motion, head = rows.get(Motion, self.motion), rows.get(RollHead, self.roll, str(self.position))
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if not is_open_to_objections(motion, context.time_ms):
            return self.Refusal.OBJECTIONS_OVER
        if motion.roll != self.roll:
            return self.Refusal.ROLL_DIFFERS
        if head is None or context.author not in head.members:
            return self.Refusal.NOT_ON_ROLL
        ballot = rows.get(Ballot, *place)
        if ballot is None:
            return self.Refusal.BALLOT_NOT_FOUND
        if ballot.member == context.author and motion.state == OPEN:
            return self.Refusal.OWN_BALLOT
        if rows.get(ContestedBallot, *place) is not None:
            return self.Refusal.ALREADY_CONTESTED
        rows.put(ContestedBallot("/".join(place), context.signed.id))
        contested = f"{self.question}/{ballot.record}"
        who = (motion.id, context.author, self.position, contested, ballot.area_cm2)
        rows.put(Objection(context.signed.id, *who, at_ms=context.time_ms))
        return None


class ObjectToMotion(RecordKind, frozen=True):
    """An owner objects to a result as a whole, in private words that the committee reads."""

    kind: ClassVar[str] = "motion.object"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        OBJECTIONS_OVER = "objections_over"
        ROLL_DIFFERS = "roll_differs"
        NOT_ON_ROLL = "not_on_roll"

    permanent: ClassVar[frozenset[str]] = frozenset({"objections_over"})

    motion: RecordId
    position: Position
    roll: Name
    words: Annotated[Digest, Opens(Words)]

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, the author's head, and the objection."""
        head = key(RollHead, self.roll, str(self.position))
        return (key(Motion, self.motion), head, key(Objection, signed.id))

    def execute(self, rows: Rows, context: Context) -> ObjectToMotion.Refusal | None:
        """Civil Code 280: who is harmed may go to court as well; this is the short way."""
        motion, head = rows.get(Motion, self.motion), rows.get(RollHead, self.roll, str(self.position))
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if motion.state not in (TALLIED, FINAL) or not is_open_to_objections(motion, context.time_ms):
            return self.Refusal.OBJECTIONS_OVER
        if motion.roll != self.roll:
            return self.Refusal.ROLL_DIFFERS
        if head is None or context.author not in head.members:
            return self.Refusal.NOT_ON_ROLL
        who = (motion.id, context.author, self.position, "", head.area_cm2)
        rows.put(Objection(context.signed.id, *who, at_ms=context.time_ms))
        return None


def is_open_to_objections(motion: Motion, time_ms: int) -> bool:
    """While it is open, and after the count until objections end."""
    if motion.state == OPEN:
        return True
    return motion.state in (TALLIED, FINAL) and time_ms < objections_end_ms(motion, motion.tallied_ms)


class AnswerObjection(RecordKind, frozen=True):
    """Members of the committee answer an objection; it takes more than half of them under the same words."""

    kind: ClassVar[str] = "objection.answer"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        OBJECTION_NOT_FOUND = "objection_not_found"
        ALREADY_ANSWERED = "already_answered"
        ALREADY_SIGNED = "already_signed"

    permanent: ClassVar[frozenset[str]] = frozenset({"already_answered"})

    objection: RecordId
    reason: Words
    upheld: bool

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The objection, and the committee's signatures."""
        return (key(Objection, self.objection), *decision_keys(self))

    def execute(self, rows: Rows, context: Context) -> AnswerObjection.Refusal | None:
        """The answer is public; whether it was upheld shows on the result page."""
        objection = rows.get(Objection, self.objection)
        if objection is None:
            return self.Refusal.OBJECTION_NOT_FOUND
        if objection.answered_ms:
            return self.Refusal.ALREADY_ANSWERED
        if context.author in signers_of(rows, self):
            return self.Refusal.ALREADY_SIGNED
        if sign_decision(rows, context, objection.motion):
            rows.put(msgspec.structs.replace(objection, answered_ms=context.time_ms, upheld=self.upheld))
        return None
