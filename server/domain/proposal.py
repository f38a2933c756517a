"""A motion before it opens: a member of the committee proposes it, and more than half of the committee announce it.

Everything that owners will be asked is fixed in the first signature. It must not know how ballots are counted.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.agenda import set_timer, timer_key
from server.domain.law.days import is_noticed
from server.domain.motion import (
    ANNOUNCED,
    OPENING,
    PROPOSED,
    QUESTIONS_MAX,
    TALLY,
    VOTING_MS_MIN,
    Motion,
    Question,
    Turnout,
    questions_follow,
    step,
)
from server.domain.office import is_decided, office_key
from server.domain.petition import Petition, answer_petition, petition_keys
from server.domain.photo import document_keys, file_documents, own_documents
from server.domain.procedure import IN_FORCE, ProcedureInForce
from server.domain.roll import Roll
from server.domain.rulepacks import find_matter, find_pack
from server.domain.rulepacks.shape import RulePack
from server.record.canonical import encode
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Rows, key
from server.record.shape import Line, Name, OptionalRecordId, PhotoRef, RecordId, Text, TimeMs

PAGES_MAX = 6
"""Pictures of one kind of document; three kinds of them are named in one record."""
Pages = Annotated[tuple[PhotoRef, ...], Meta(max_length=PAGES_MAX)]


class ProposeMotion(RecordKind, frozen=True):
    """A member of the committee proposes questions to the owners of a roll. It is the first of the signatures.

    The estate's rules of procedure are copied as they are now. Pictures: what it costs, what is to be signed, and what
    others ask for the same.
    """

    kind: ClassVar[str] = "motion.propose"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        ROLL_NOT_FOUND = "roll_not_found"
        MATTER_NOT_FOUND = "matter_not_found"
        PROCEDURE_MISSING = "procedure_missing"
        PETITION_NOT_FOUND = "petition_not_found"
        CLOSES_TOO_SOON = "closes_too_soon"
        QUESTIONS_MALFORMED = "questions_malformed"
        PHOTO_OF_ANOTHER = "photo_of_another"
        NOTICE_TOO_SHORT = "notice_too_short"
        ROLL_NOT_IN_FORCE = "roll_not_in_force"

    permanent: ClassVar[frozenset[str]] = frozenset({"closes_too_soon", "questions_malformed"})

    budget: Pages
    close_ms: TimeMs
    contract: Pages
    matter: Name
    opens_ms: TimeMs
    petition: OptionalRecordId
    questions: Annotated[tuple[Question, ...], Meta(min_length=1, max_length=QUESTIONS_MAX)]
    quotes: Pages
    roll: Name
    rule_pack: Annotated[str, Meta(pattern=r"^[a-z-]{1,20}@[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)")]
    text: Text
    title: Line

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The roll, the rules of procedure, the petition, the motion with its turnouts and timers, and the pictures."""
        turnouts = (key(Turnout, signed.id, question.id) for question in self.questions)
        return (
            *announcement_keys(signed.id, self.roll, self.petition),
            key(ProcedureInForce, IN_FORCE),
            *turnouts,
            *document_keys(self.photo_refs(), signed.id),
        )

    def execute(self, rows: Rows, context: Context) -> ProposeMotion.Refusal | None:
        """Civil Code 278: the matter carries the majority, the roll the electorate."""
        pack, roll = find_pack(self.rule_pack), rows.get(Roll, self.roll)
        refusal = self._refuse_grounds(pack, roll, rows) or self._refuse_content(rows, context)
        if refusal is not None:
            return refusal
        assert pack is not None and roll is not None, "both are among the grounds"
        if not is_noticed(context.time_ms, self.opens_ms, pack.notice_days.value):
            return self.Refusal.NOTICE_TOO_SHORT
        decided = is_decided(rows, (context.author,), context.trust)
        if decided and not roll.in_force:
            return self.Refusal.ROLL_NOT_IN_FORCE

        self._file(rows, context)
        for question in self.questions:
            rows.put(Turnout(f"{context.signed.id}/{question.id}", context.signed.id, question.id, 0, 0))
        procedure = rows.get(ProcedureInForce, IN_FORCE)
        motion = self._motion(roll, procedure.content if procedure is not None else "", context)
        rows.put(announce(rows, motion, roll, context) if decided else motion)
        return None

    def _refuse_grounds(self, pack: RulePack | None, roll: Roll | None, rows: Rows) -> ProposeMotion.Refusal | None:
        """What a motion stands on must be there."""
        if roll is None:
            return self.Refusal.ROLL_NOT_FOUND
        if pack is None or pack.matter(self.matter) is None:
            return self.Refusal.MATTER_NOT_FOUND
        if pack.is_binding and rows.get(ProcedureInForce, IN_FORCE) is None:
            return self.Refusal.PROCEDURE_MISSING
        if self.petition and rows.get(Petition, self.petition) is None:
            return self.Refusal.PETITION_NOT_FOUND
        return None

    def _refuse_content(self, rows: Rows, context: Context) -> ProposeMotion.Refusal | None:
        matter = find_matter(self.rule_pack, self.matter)
        assert matter is not None, "the matter is among the grounds"
        if self.close_ms <= max(self.opens_ms, context.time_ms) + VOTING_MS_MIN:
            return self.Refusal.CLOSES_TOO_SOON
        if not questions_follow(matter, self.questions):
            return self.Refusal.QUESTIONS_MALFORMED
        return None if own_documents(rows, context, self.photo_refs()) else self.Refusal.PHOTO_OF_ANOTHER

    def _file(self, rows: Rows, context: Context) -> None:
        file_documents(rows, context, "budget", self.budget)
        file_documents(rows, context, "contract", self.contract)
        file_documents(rows, context, "quotes", self.quotes)

    def _motion(self, roll: Roll, procedure: str, context: Context) -> Motion:
        return Motion(
            id=context.signed.id,
            title=self.title,
            text=self.text,
            matter=self.matter,
            rule_pack=self.rule_pack,
            roll=roll.id,
            roll_heads=roll.heads,
            roll_area_cm2=roll.area_cm2,
            questions=encode(self.questions).decode(),
            opens_ms=self.opens_ms,
            close_ms=self.close_ms,
            state=PROPOSED,
            proposed_by=context.author,
            index=context.place.index,
            procedure=procedure,
            petition=self.petition,
            approved_by=(context.author,),
            final_without_ms=context.trust.final_without_ms,
        )


class ApproveMotion(RecordKind, frozen=True):
    """A further member of the committee signs a proposed motion; with more than half of all it is announced."""

    kind: ClassVar[str] = "motion.approve"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        MOTION_NOT_FOUND = "motion_not_found"
        MOTION_DIFFERS = "motion_differs"
        NOT_PROPOSED = "not_proposed"
        ALREADY_SIGNED = "already_signed"
        NOTICE_TOO_SHORT = "notice_too_short"
        ROLL_NOT_IN_FORCE = "roll_not_in_force"

    permanent: ClassVar[frozenset[str]] = frozenset({"motion_differs"})

    motion: RecordId
    petition: OptionalRecordId
    roll: Name

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The motion, its roll, its petition, the committee, and its timers."""
        return announcement_keys(self.motion, self.roll, self.petition)

    def execute(self, rows: Rows, context: Context) -> ApproveMotion.Refusal | None:
        """Shanghai art. 26: signed by more than half of all members; announced only with the whole notice ahead."""
        motion, roll = rows.get(Motion, self.motion), rows.get(Roll, self.roll)
        if motion is None:
            return self.Refusal.MOTION_NOT_FOUND
        if (motion.roll, motion.petition) != (self.roll, self.petition):
            return self.Refusal.MOTION_DIFFERS
        if motion.state != PROPOSED:
            return self.Refusal.NOT_PROPOSED
        if context.author in motion.approved_by:
            return self.Refusal.ALREADY_SIGNED
        pack = find_pack(motion.rule_pack)
        assert roll is not None and pack is not None, "a motion is proposed on a roll, by a pack"
        is_noticed_now = is_noticed(context.time_ms, motion.opens_ms, pack.notice_days.value)
        if not is_noticed_now or context.time_ms >= motion.close_ms - VOTING_MS_MIN:
            return self.Refusal.NOTICE_TOO_SHORT
        signed = msgspec.structs.replace(motion, approved_by=tuple(sorted((*motion.approved_by, context.author))))
        decided = is_decided(rows, signed.approved_by, context.trust)
        if decided and not roll.in_force:
            return self.Refusal.ROLL_NOT_IN_FORCE
        rows.put(announce(rows, signed, roll, context) if decided else signed)
        return None


def announcement_keys(motion: str, roll: str, petition: str) -> tuple[Key, ...]:
    """What the announcement of a motion touches."""
    return (
        key(Motion, motion),
        key(Roll, roll),
        office_key(Role.COMMITTEE),
        timer_key(OPENING, motion),
        timer_key(TALLY, motion),
        *petition_keys(petition),
    )


def announce(rows: Rows, motion: Motion, roll: Roll, context: Context) -> Motion:
    """The committee has decided: the notice begins, and time does the rest. A petition is answered by it.

    The roll was perhaps not whole when the motion was proposed; it is in force now, and changes no more.
    """
    opens_ms = max(motion.opens_ms, context.time_ms)
    set_timer(rows, opens_ms, OPENING, motion.id)
    set_timer(rows, motion.close_ms, TALLY, motion.id)
    if motion.petition:
        answer_petition(rows, motion.petition, motion.id)
    times = {"announced_ms": context.time_ms, "opens_ms": opens_ms}
    return msgspec.structs.replace(step(motion, ANNOUNCED), roll_heads=roll.heads, roll_area_cm2=roll.area_cm2, **times)
