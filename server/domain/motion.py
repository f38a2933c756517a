"""Motions: what owners are asked, on which frozen roll, until when, and how many have taken part.

Life of a motion: open -> tallied (timer at close_ms, tally.py) -> final (sealed, tally.py). It must not know choices.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.agenda import set_timer, timer_key
from server.domain.roll import Roll
from server.domain.rulepack import Matter, find_matter
from server.limits import SECOND_MS
from server.record.canonical import encode
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Line, Name, Shape, Text, TimeMs

FOR, AGAINST, ABSTAIN = "for", "against", "abstain"
APPROVAL = frozenset({FOR, AGAINST, ABSTAIN})
"""The choices of an ordinary question (product.md 2.2 M3: 同意, 反对, 弃权)."""
TALLY = "motion.tally"
"""The derived kind that is due at `close_ms`."""
QUESTIONS_MAX = 10
CHOICES_MAX = 10
QUESTIONS_PARSED_MAX = 256
"""Motions whose questions are kept parsed: every ballot asks for them."""
VOTING_MS_MIN = 60 * SECOND_MS
"""A motion that closes within a minute of its opening cannot be read before it is over."""


class Choice(Shape, frozen=True):
    """What a voter can pick."""

    id: Name
    text: Line


class Question(Shape, frozen=True):
    """One question of a motion; each is counted by itself."""

    choices: Annotated[tuple[Choice, ...], Meta(min_length=2, max_length=CHOICES_MAX)]
    id: Name
    text: Annotated[str, Meta(pattern=r"^[^\u0000-\u0009\u000b-\u001f\u007f]{1,1000}$(?!\n)")]

    def choice_ids(self) -> tuple[str, ...]:
        """The ids of the choices, in the order of the question."""
        return tuple(choice.id for choice in self.choices)

    def is_approval(self) -> bool:
        """Is it the question whether owners agree?"""
        return frozenset(self.choice_ids()) == APPROVAL


class Motion(Row, frozen=True):
    """A motion on a frozen roll. `questions` is canonical JSON; `state` is open, tallied or final."""

    table: ClassVar[str] = "motion"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("close_ms",), ("state", "close_ms"))
    title: str
    text: str
    matter: str
    rule_pack: str
    roll: str
    roll_heads: int
    roll_area_cm2: int
    questions: str
    opens_ms: int
    close_ms: int
    state: str
    opened_by: str
    index: int
    tally_index: int = 0
    """Index of the log entry that carries the tally; 0 while it is open."""
    final_without_ms: int = 0
    """How long after the tally all members are waited for; the policy's at the opening."""
    final_without: tuple[str, ...] = ()
    """Members who had not signed past the tally when it became final without them (decisions 21)."""


class Turnout(Row, frozen=True):
    """How many took part in a question so far, void ballots included: all that is public before the close."""

    table: ClassVar[str] = "turnout"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("motion",),)
    motion: str
    question: str
    heads: int
    area_cm2: int


def questions_of(motion: Motion) -> tuple[Question, ...]:
    """The questions of a motion's row."""
    return _parse_questions(motion.questions)


@lru_cache(maxsize=QUESTIONS_PARSED_MAX)
def _parse_questions(text: str) -> tuple[Question, ...]:
    return msgspec.json.decode(text, type=tuple[Question, ...])


def has_question(motion: Motion, question: str) -> bool:
    """Does the motion ask this question?"""
    return any(one.id == question for one in questions_of(motion))


def questions_follow(matter: Matter, questions: Sequence[Question]) -> bool:
    """Are ids unique, and does each question offer for, against and abstain, or what its matter allows?"""
    ids = [question.id for question in questions]
    return len(set(ids)) == len(ids) and all(_choices_follow(matter, question) for question in questions)


def _choices_follow(matter: Matter, question: Question) -> bool:
    ids = question.choice_ids()
    if len(set(ids)) != len(ids):
        return False
    if question.is_approval():
        return True
    return matter.free_choices and ABSTAIN in ids and len(ids) >= 3 and not {FOR, AGAINST} & set(ids)


class OpenMotion(RecordKind, frozen=True):
    """The committee puts questions to the owners of a roll that is in force; the roll is frozen by reference."""

    kind: ClassVar[str] = "motion.open"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        ROLL_NOT_FOUND = "roll_not_found"
        ROLL_NOT_IN_FORCE = "roll_not_in_force"
        MATTER_NOT_FOUND = "matter_not_found"
        CLOSES_TOO_SOON = "closes_too_soon"
        QUESTIONS_MALFORMED = "questions_malformed"

    permanent: ClassVar[frozenset[str]] = frozenset({"closes_too_soon", "questions_malformed"})

    close_ms: TimeMs
    matter: Name
    questions: Annotated[tuple[Question, ...], Meta(min_length=1, max_length=QUESTIONS_MAX)]
    roll: Name
    rule_pack: Name
    text: Text
    title: Line

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The roll, the motion, its timer, and a turnout for each question."""
        turnouts = (key(Turnout, signed.id, question.id) for question in self.questions)
        return (key(Roll, self.roll), key(Motion, signed.id), timer_key(TALLY, signed.id), *turnouts)

    def execute(self, rows: Rows, context: Context) -> OpenMotion.Refusal | None:
        """Civil Code 278: the matter carries the majority, the roll the electorate."""
        roll = rows.get(Roll, self.roll)
        if roll is None:
            return self.Refusal.ROLL_NOT_FOUND
        if not roll.in_force:
            return self.Refusal.ROLL_NOT_IN_FORCE
        matter = find_matter(self.rule_pack, self.matter)
        if matter is None:
            return self.Refusal.MATTER_NOT_FOUND
        if self.close_ms <= context.time_ms + VOTING_MS_MIN:
            return self.Refusal.CLOSES_TOO_SOON
        if not questions_follow(matter, self.questions):
            return self.Refusal.QUESTIONS_MALFORMED

        motion = self._motion(roll, context)
        rows.put(motion)
        for question in self.questions:
            rows.put(Turnout(f"{motion.id}/{question.id}", motion.id, question.id, 0, 0))
        set_timer(rows, self.close_ms, TALLY, motion.id)
        return None

    def _motion(self, roll: Roll, context: Context) -> Motion:
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
            opens_ms=context.time_ms,
            close_ms=self.close_ms,
            state="open",
            opened_by=context.author,
            index=context.place.index,
            final_without_ms=context.trust.final_without_ms,
        )
