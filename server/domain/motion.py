"""Motions: what owners are asked, on which frozen roll, from when until when, and how many have taken part.

Life of a motion (`STEPS`): proposed by a member of the committee and announced by more than half of it (proposal.py),
opened by time (opening.py), perhaps extended or cancelled (motion_change.py), tallied by time and final when all have
signed (tally.py). It must not know choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.rulepacks.shape import Matter
from server.limits import SECOND_MS
from server.record.rows import Row
from server.record.shape import Line, Name, Shape

FOR, AGAINST, ABSTAIN = "for", "against", "abstain"
APPROVAL = frozenset({FOR, AGAINST, ABSTAIN})
"""The choices of an ordinary question (product.md 2.2 M3: 同意, 反对, 弃权)."""
OPENING, TALLY = "motion.open", "motion.tally"
"""The derived kinds that are due at `opens_ms` and at `close_ms`."""
PROPOSED, ANNOUNCED, OPEN, TALLIED, FINAL, CANCELLED = "proposed", "announced", "open", "tallied", "final", "cancelled"
STEPS: Mapping[str, frozenset[str]] = {
    PROPOSED: frozenset({ANNOUNCED, CANCELLED}),
    ANNOUNCED: frozenset({OPEN, CANCELLED}),
    OPEN: frozenset({TALLIED, CANCELLED}),
    TALLIED: frozenset({FINAL}),
    FINAL: frozenset(),
    CANCELLED: frozenset(),
}
"""Which state may follow which (product.md 2.2 M2)."""
QUESTIONS_MAX = 10
CHOICES_MAX = 31
"""Thirty candidates or options, and the abstention."""
SEATS_MAX = 15
"""Seats of a committee, with room."""
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
    seats: Annotated[int, Meta(ge=0, le=SEATS_MAX, description="Of an election: how many are elected; else 0")]
    text: Annotated[str, Meta(pattern=r"^[^\u0000-\u0009\u000b-\u001f\u007f]{1,1000}$(?!\n)")]

    def choice_ids(self) -> tuple[str, ...]:
        """The ids of the choices, in the order of the question."""
        return tuple(choice.id for choice in self.choices)

    def candidates(self) -> tuple[str, ...]:
        """The choices that can be chosen: abstaining and opposing pass nothing."""
        return (FOR,) if self.is_approval() else tuple(one for one in self.choice_ids() if one != ABSTAIN)

    def is_approval(self) -> bool:
        """Is it the question whether owners agree?"""
        return frozenset(self.choice_ids()) == APPROVAL


class Motion(Row, frozen=True):
    """A motion on a frozen roll. `questions` and `procedure` are canonical JSON; `state` is one of STEPS."""

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
    proposed_by: str
    index: int
    procedure: str = ""
    """The estate's rules of procedure as they were when it was proposed; empty where its pack needs none."""
    petition: str = ""
    approved_by: tuple[str, ...] = ()
    announced_ms: int = 0
    closed_first_ms: int = 0
    """When it would have closed before it was extended; 0 while it was not."""
    reason: str = ""
    """Why it was extended or cancelled."""
    tally_index: int = 0
    """Index of the log entry that carries the tally; 0 while it is open."""
    tallied_ms: int = 0
    final_without_ms: int = 0
    """How long after the tally all members are waited for; the policy's at the opening."""
    final_without: tuple[str, ...] = ()
    """Members who had not signed past the tally when it became final without them (decisions 21)."""


def step(motion: Motion, state: str) -> Motion:
    """The motion in its next state. A step that STEPS does not have is a bug."""
    assert state in STEPS[motion.state], f"a motion goes from {motion.state} to {sorted(STEPS[motion.state])}"
    return msgspec.structs.replace(motion, state=state)


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
    if question.seats:
        return matter.is_election and ABSTAIN in ids and not {FOR, AGAINST} & set(ids)
    if question.is_approval():
        return True
    return matter.free_choices and ABSTAIN in ids and len(ids) >= 3 and not {FOR, AGAINST} & set(ids)
