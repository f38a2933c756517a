"""Motions as people see them: questions, turnout, their own ballots; results only after the close.

Before the close nobody but the voter sees a choice, and he sees his own because his opening is kept for him.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from server.api.call import Call
from server.api.errors import Declined
from server.api.language import LANGUAGE_EN
from server.api.needs import NodeService
from server.api.paging import LIMIT_DEFAULT, Cursor, Limit, Page
from server.api.route import VISITOR, Path, Query, Routes
from server.domain.agenda import SEALED, Sealed
from server.domain.ballot import Ballot, Picked
from server.domain.law.count import Count
from server.domain.law.majority import Majority, Result, has_majority, has_quorum
from server.domain.law.margin import missing_to_quorum
from server.domain.motion import (
    ANNOUNCED,
    CANCELLED,
    FINAL,
    OPEN,
    PROPOSED,
    TALLIED,
    Motion,
    Question,
    Turnout,
    questions_of,
)
from server.domain.photo import Document
from server.domain.roll import RollHead
from server.domain.rulepacks import find_matter
from server.domain.rulepacks.shape import Matter
from server.domain.tally import TallyResult
from server.record.canonical import Malformed
from server.record.rows import key
from server.record.shape import RecordId, open_private

routes = Routes()
MotionState = Literal["proposed", "announced", "open", "closed", "final", "cancelled"]
Grade = Literal["closed", "final", "final_without"]
_STATES: Mapping[str, MotionState] = {
    PROPOSED: "proposed",
    ANNOUNCED: "announced",
    OPEN: "open",
    TALLIED: "closed",
    FINAL: "final",
    CANCELLED: "cancelled",
}


class TurnoutView(msgspec.Struct, frozen=True):
    """Who took part so far, of the electorate, and what is missing to two thirds of both."""

    heads: int
    area_cm2: int
    heads_total: int
    area_total_cm2: int
    heads_missing: int
    area_missing_cm2: int


class DocumentView(msgspec.Struct, frozen=True):
    """A page that the committee puts before the owners: of the budget, the contract, or what others ask."""

    kind: str
    page: int
    photo: str


class ChoiceView(msgspec.Struct, frozen=True):
    """What can be picked."""

    id: str
    text: str


class QuestionView(msgspec.Struct, frozen=True):
    """A question with its choices and its own turnout. `seats`: of an election, how many may be picked; else 0."""

    id: str
    text: str
    seats: int
    choices: tuple[ChoiceView, ...]
    heads: int
    area_cm2: int


class MyBallot(msgspec.Struct, frozen=True):
    """One head of the caller's and one question: the ballot that counts, by whom, and the choice if it is his own."""

    question: str
    position: int
    area_cm2: int
    ballot: str
    choice: str
    by_me: bool


class ChoiceTotal(msgspec.Struct, frozen=True):
    """Who picked a choice."""

    choice: str
    heads: int
    area_cm2: int


class QuestionResult(msgspec.Struct, frozen=True):
    """The result of a question; a missed quorum is told apart from a missed majority."""

    question: str
    choices: tuple[ChoiceTotal, ...]
    result: str
    chosen: str
    quorum: bool
    majority: bool
    passed: bool
    clause: str
    majority_rule: str
    electorate: Count
    participating: Count
    void: Count


class MotionResult(msgspec.Struct, frozen=True):
    """The results of a motion. `missing`: organisations whose signature is not there yet. `final_without`: final by
    time, without theirs (decisions 21)."""

    questions: tuple[QuestionResult, ...]
    grade: Grade
    missing: tuple[str, ...]
    index: int


class MotionSummary(msgspec.Struct, frozen=True):
    """A motion in a list."""

    id: str
    title: str
    matter: str
    matter_name: str
    state: MotionState
    opens_ms: int
    close_ms: int
    turnout: TurnoutView
    mine: tuple[MyBallot, ...]


class MotionPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A motion with all that its page shows."""

    id: str
    title: str
    text: str
    matter: str
    matter_name: str
    rule_pack: str
    clause: str
    state: MotionState
    opens_ms: int
    close_ms: int
    roll: str
    proposed_by: str
    announced_ms: int
    closed_first_ms: int
    reason: str
    petition: str
    documents: tuple[DocumentView, ...]
    questions: tuple[QuestionView, ...]
    turnout: TurnoutView
    mine: tuple[MyBallot, ...]
    result: MotionResult | None = None


@routes.route("GET", "/api/v1/motions", access=VISITOR)
async def list_motions(
    call: Call, cursor: Annotated[Cursor, Query] = "", limit: Annotated[Limit, Query] = LIMIT_DEFAULT
) -> Page[MotionSummary]:
    """Motions, the one that closes last first."""
    motions, following = await call.node.queries.motions(cursor, limit)
    return Page([await _summary(call, motion) for motion in motions], following)


@routes.route("GET", "/api/v1/motions/{id}", access=VISITOR, declines=("motion_unknown",))
async def show_motion(call: Call, id: Annotated[RecordId, Path]) -> MotionPage:
    """A motion: its questions, who took part, the caller's own ballots, and after the close its result."""
    motion = await call.node.queries.get(Motion, id)
    if motion is None:
        raise Declined("motion_unknown")
    turnouts = await _turnouts(call.node, motion)
    matter = matter_of(motion)
    return MotionPage(
        motion.id,
        motion.title,
        motion.text,
        motion.matter,
        name_of(matter, call),
        motion.rule_pack,
        matter.clause.article,
        state_of(motion, call.node.clock.now_ms()),
        motion.opens_ms,
        motion.close_ms,
        motion.roll,
        motion.proposed_by,
        motion.announced_ms,
        motion.closed_first_ms,
        motion.reason,
        motion.petition,
        await _documents(call.node, motion),
        tuple(_question(question, turnouts) for question in questions_of(motion)),
        _turnout(motion, turnouts),
        await _mine(call, motion),
        await _result(call.node, motion),
    )


def state_of(motion: Motion, now_ms: int) -> MotionState:
    """The state as people know it; after the last moment it is closed, whether or not it has been counted yet."""
    return "closed" if motion.state == OPEN and now_ms >= motion.close_ms else _STATES[motion.state]


def matter_of(motion: Motion) -> Matter:
    """The matter of a motion; its record was refused unless it exists."""
    matter = find_matter(motion.rule_pack, motion.matter)
    assert matter is not None, "a motion opens with a matter of its rule pack"
    return matter


async def _documents(node: NodeService, motion: Motion) -> tuple[DocumentView, ...]:
    filed = await node.queries.select(Document, subject=motion.id)
    ordered = sorted(filed, key=lambda one: (one.kind, one.page))
    return tuple(DocumentView(one.kind, one.page, one.photo) for one in ordered)


async def _summary(call: Call, motion: Motion) -> MotionSummary:
    matter = matter_of(motion)
    return MotionSummary(
        motion.id,
        motion.title,
        motion.matter,
        name_of(matter, call),
        state_of(motion, call.node.clock.now_ms()),
        motion.opens_ms,
        motion.close_ms,
        _turnout(motion, await _turnouts(call.node, motion)),
        await _mine(call, motion),
    )


def name_of(matter: Matter, call: Call) -> str:
    """The matter's name in the reader's language."""
    return matter.name_en if call.language == LANGUAGE_EN else matter.name_zh


async def _turnouts(node: NodeService, motion: Motion) -> Mapping[str, Turnout]:
    return {turnout.question: turnout for turnout in await node.queries.turnouts(motion.id)}


def _turnout(motion: Motion, turnouts: Mapping[str, Turnout]) -> TurnoutView:
    """The question with the most heads stands for the motion: who answered one of several took part."""
    most = max(turnouts.values(), key=lambda turnout: (turnout.heads, turnout.area_cm2))
    electorate = Count(motion.roll_heads, motion.roll_area_cm2)
    missing = missing_to_quorum(electorate, Count(most.heads, most.area_cm2))
    return TurnoutView(
        most.heads, most.area_cm2, electorate.heads, electorate.area_cm2, missing.heads, missing.area_cm2
    )


def _question(question: Question, turnouts: Mapping[str, Turnout]) -> QuestionView:
    turnout = turnouts[question.id]
    choices = tuple(ChoiceView(choice.id, choice.text) for choice in question.choices)
    return QuestionView(question.id, question.text, question.seats, choices, turnout.heads, turnout.area_cm2)


async def _mine(call: Call, motion: Motion) -> tuple[MyBallot, ...]:
    """The caller's heads on the motion's roll, question by question."""
    if call.visitor is None:
        return ()
    member = call.visitor.member
    heads = await call.node.queries.heads_of(motion.roll, member)
    places = [(question.id, head) for question in questions_of(motion) for head in heads]
    keys = [key(Ballot, motion.id, question, str(head.position)) for question, head in places]
    loaded = (await call.node.ledger.rows.load(keys)).loaded
    ballots = [found if isinstance(found, Ballot) else None for found in map(loaded.__getitem__, keys)]
    own = [ballot.record for ballot in ballots if ballot is not None and ballot.member == member]
    openings = await call.node.openings.of_records(own)
    return tuple(
        _my_ballot(question, head, ballot, member, openings)
        for (question, head), ballot in zip(places, ballots, strict=True)
    )


def _my_ballot(
    question: str, head: RollHead, ballot: Ballot | None, member: str, openings: Mapping[str, Mapping[str, bytes]]
) -> MyBallot:
    if ballot is None:
        return MyBallot(question, head.position, head.area_cm2, "", "", by_me=False)
    opening = openings.get(ballot.record, {}).get(ballot.commitment)
    by_me = ballot.member == member
    choice = _choice_of(ballot, opening) if by_me and opening else ""
    return MyBallot(question, head.position, head.area_cm2, ballot.record, choice, by_me)


def _choice_of(ballot: Ballot, opening: bytes) -> str:
    try:
        return ",".join(open_private(Picked, ballot.commitment, opening))
    except Malformed:
        return ""


async def _result(node: NodeService, motion: Motion) -> MotionResult | None:
    if motion.state not in (TALLIED, FINAL):
        return None
    by_question = {result.question: result for result in await node.queries.results(motion.id)}
    results = tuple(_question_result(motion, question, by_question[question.id]) for question in questions_of(motion))
    return MotionResult(results, *await _grade(node, motion), motion.tally_index)


async def _grade(node: NodeService, motion: Motion) -> tuple[Grade, tuple[str, ...]]:
    """How far a tallied motion is, and the organisations that have not signed past the tally yet.

    Who was absent when it became final and has signed since is missed no longer.
    """
    if motion.final_without:
        sealed = await node.queries.get(Sealed, SEALED)
        is_sealed = sealed is not None and sealed.size > motion.tally_index
        return ("final", ()) if is_sealed else ("final_without", motion.final_without)
    if motion.state == FINAL:
        return "final", ()
    nodes = node.cluster_status()["nodes"]
    return "closed", tuple(one["id"] for one in nodes if one["size"] <= motion.tally_index)


def _question_result(motion: Motion, question: Question, result: TallyResult) -> QuestionResult:
    totals = msgspec.json.decode(result.choices, type=tuple[ChoiceTotal, ...])
    electorate = Count(result.electorate_heads, result.electorate_area_cm2)
    participating = Count(result.heads, result.area_cm2)
    majority, able = Majority(result.majority), question.candidates()
    return QuestionResult(
        question.id,
        totals,
        result.result,
        result.chosen,
        has_quorum(electorate, participating),
        any(
            has_majority(majority, participating, Count(one.heads, one.area_cm2))
            for one in totals
            if one.choice in able
        ),
        result.result == Result.PASSED.value,
        matter_of(motion).clause.article,
        result.majority,
        electorate,
        participating,
        Count(result.void_heads, result.void_area_cm2),
    )
