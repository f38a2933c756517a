"""The tally of a closed motion: totals that every replica recomputes from its own openings, and the result by law.

`tally_body` is the one counting. A replica prepares a `motion.tally` entry only when its own body is the same
(decisions 19). It must not know where openings are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from server.domain.agenda import SealWait, wait_for_seal
from server.domain.ballot import Ballot, Picked
from server.domain.delivery import Delivery
from server.domain.law.count import Count
from server.domain.law.deemed import Silence, count_silent
from server.domain.law.election import elect
from server.domain.law.majority import Majority, Result, has_majority, result_of
from server.domain.motion import (
    CHOICES_MAX,
    FINAL,
    QUESTIONS_MAX,
    TALLIED,
    TALLY,
    Motion,
    Question,
    questions_of,
    step,
)
from server.domain.procedure import procedure_of
from server.domain.rulepacks import find_matter
from server.ledger.genesis import MEMBERS_MAX
from server.ledger.merkle import root_of
from server.limits import INTEGER_MAX
from server.record.canonical import Malformed, b64u_encode, encode
from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest, Name, Shape, open_private
from server.record.signature import commitment_of

FINALITY = "motion.final"
"""What happens to a tallied motion once all members have signed past its tally."""
Total = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]


class MissingOpening(LookupError):
    """A counted ballot's opening is not at hand, so this node cannot tally yet."""

    def __init__(self, commitment: str) -> None:
        super().__init__(f"no opening of commitment {commitment}")
        self.commitment = commitment


class ChoiceTotal(Shape, frozen=True):
    """Who picked a choice: heads and area."""

    area_cm2: Total
    choice: Name
    heads: Total


class Weight(Shape, frozen=True):
    """So many heads, with so much area."""

    area_cm2: Total
    heads: Total


class QuestionTally(Shape, frozen=True):
    """Totals of one question, and the RFC 6962 root over its openings in order of position.

    `part`: who took part; in an election a ballot is under several choices. `silent`: who was served, with proof, and
    cast no ballot, where the rules of procedure let silence count. `void`: ballots whose opening names no
    choice of the question, or more than there are seats; they do not take part (law.md 1).
    """

    choices: Annotated[tuple[ChoiceTotal, ...], Meta(min_length=2, max_length=CHOICES_MAX)]
    openings_root: Digest
    part: Weight
    question: Name
    silent: Weight
    void: Weight


class TallyResult(Row, frozen=True):
    """The result of a question: `<motion>/<question>`. `choices` is the canonical JSON of the totals by choice."""

    table: ClassVar[str] = "tally_result"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("motion",),)
    motion: str
    question: str
    electorate_heads: int
    electorate_area_cm2: int
    heads: int
    area_cm2: int
    void_heads: int
    void_area_cm2: int
    choices: str
    openings_root: str
    majority: str
    result: str
    chosen: str
    """The choice that reached the majority, or who is elected, with commas; empty unless `result` is passed."""
    index: int
    tallied_ms: int
    silence: str = "absent"
    """What the rules of procedure say of who was served and did not vote."""
    silent_heads: int = 0
    silent_area_cm2: int = 0
    deemed_result: str = ""
    """The result with the silent in it, beside the one by ballots alone; empty where silence counts as nothing."""
    deemed_chosen: str = ""

    @property
    def is_carried(self) -> bool:
        """Did the owners decide it? Where silence counts, the result with the silent is theirs."""
        return (self.deemed_result or self.result) == Result.PASSED.value


class TallyMotion(DerivedKind, frozen=True):
    """At its close a motion is counted, and its result waits to be sealed. The key is the motion's id."""

    kind: ClassVar[str] = TALLY

    questions: Annotated[tuple[QuestionTally, ...], Meta(min_length=1, max_length=QUESTIONS_MAX)]

    def access(self, key_: str) -> tuple[Key, ...]:
        """The motion, its results, and what waits for the seal."""
        results = (key(TallyResult, key_, tally.question) for tally in self.questions)
        return (key(Motion, key_), key(SealWait, FINALITY, key_), *results)

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """Civil Code 278, question by question."""
        motion = rows.get(Motion, key_)
        assert motion is not None, "the timer is armed when the motion is announced, and rings once"
        for question, tally in zip(questions_of(motion), self.questions, strict=True):
            rows.put(_result(motion, question, tally, place))
        rows.put(msgspec.structs.replace(step(motion, TALLIED), tally_index=place.index, tallied_ms=place.time_ms))
        wait_for_seal(rows, place, FINALITY, motion.id, place.time_ms + motion.final_without_ms)


class FinalizeMotion(DerivedKind, frozen=True):
    """All members have signed past the tally: the result is final (decisions 21). The key is the motion's id."""

    kind: ClassVar[str] = FINALITY

    def access(self, key_: str) -> tuple[Key, ...]:
        """The motion."""
        return (key(Motion, key_),)

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The last state of a motion."""
        motion = rows.get(Motion, key_)
        assert motion is not None, "only a tally waits for this"
        rows.put(step(motion, FINAL))


class FinalizeWithout(DerivedKind, frozen=True):
    """Not all members have signed past a tally, a quorum has, and the motion's patience is over: the result is final
    without the absent ones, who are named (decisions 21). The key is the motion's id.

    `signatures`: a line for each member, in their order, under the checkpoint of `size` and `root`; empty for who is
    `absent`, or barred by ordered evidence.
    """

    kind: ClassVar[str] = "motion.final_without"
    timed: ClassVar[bool] = False

    absent: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    root: Digest
    signatures: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    size: Annotated[int, Meta(ge=1, le=INTEGER_MAX)]

    def access(self, key_: str) -> tuple[Key, ...]:
        """The motion, and its row that waits for the seal."""
        return (key(Motion, key_), key(SealWait, FINALITY, key_))

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The last state of a motion, with whoever did not sign; a later seal changes nothing any more."""
        motion, wait = rows.get(Motion, key_), rows.get(SealWait, FINALITY, key_)
        assert motion is not None and motion.state == TALLIED, "a batch is checked before it is executed"
        assert wait is not None and not wait.done, "a batch is checked before it is executed"
        rows.put(msgspec.structs.replace(step(motion, FINAL), final_without=self.absent))
        rows.put(msgspec.structs.replace(wait, done=True))


def absent_from(lines: Sequence[str], members: Sequence[str], barred: Sequence[str]) -> tuple[str, ...]:
    """Whom a result names that is final without him: no line under the checkpoint, not barred by ordered evidence."""
    return tuple(member for member, line in zip(members, lines, strict=True) if not line and member not in barred)


def tally_body(
    motion: Motion, ballots: Iterable[Ballot], openings: Mapping[str, bytes], served: Iterable[Delivery] = ()
) -> dict[str, Any]:
    """The body of a motion's tally. `ballots`: its counted ballots in any order; `openings` by commitment; `served`:
    its proofs of delivery, in any order.

    Raises MissingOpening when a counted ballot's opening is not there or does not fit its commitment.
    """
    counted = sorted(ballots, key=lambda ballot: (ballot.question, ballot.position))
    heads = {one.position: one.area_cm2 for one in served} if _silence_of(motion) is not Silence.ABSENT else {}
    questions = []
    for question in questions_of(motion):
        own = [ballot for ballot in counted if ballot.question == question.id]
        silent = heads.keys() - {ballot.position for ballot in own}
        weight = {"area_cm2": sum(heads[position] for position in silent), "heads": len(silent)}
        questions.append({**_tally_question(question, own, openings), "silent": weight})
    return {"questions": questions}


def _silence_of(motion: Motion) -> Silence:
    procedure = procedure_of(motion.procedure)
    return Silence(procedure.silence) if procedure is not None else Silence.ABSENT


def _tally_question(question: Question, ballots: Sequence[Ballot], openings: Mapping[str, bytes]) -> dict[str, Any]:
    totals = {choice: Count() for choice in question.choice_ids()}
    part = void = Count()
    revealed: list[bytes] = []
    for ballot in ballots:
        opening = _opening_of(ballot, openings)
        revealed.append(opening)
        picked, weight = picked_of(question, ballot.commitment, opening), Count(1, ballot.area_cm2)
        if picked:
            part = part.plus(weight)
        else:
            void = void.plus(weight)
        for choice in picked:
            totals[choice] = totals[choice].plus(weight)
    return {
        "choices": [
            {"area_cm2": total.area_cm2, "choice": choice, "heads": total.heads} for choice, total in totals.items()
        ],
        "openings_root": b64u_encode(root_of(revealed)),
        "part": {"area_cm2": part.area_cm2, "heads": part.heads},
        "question": question.id,
        "void": {"area_cm2": void.area_cm2, "heads": void.heads},
    }


def _opening_of(ballot: Ballot, openings: Mapping[str, bytes]) -> bytes:
    opening = openings.get(ballot.commitment)
    if opening is None or commitment_of(opening) != ballot.commitment:
        raise MissingOpening(ballot.commitment)
    return opening


def picked_of(question: Question, commitment: str, opening: bytes) -> tuple[str, ...]:
    """What a ballot picks of its question; nothing when it is void.

    One choice; in an election different candidates, as many as there are seats at most, or the abstention alone.
    """
    try:
        picked: tuple[str, ...] = open_private(Picked, commitment, opening)
    except Malformed:
        return ()
    allowed = question.choice_ids() if len(picked) == 1 else question.candidates()
    is_good = len(set(picked)) == len(picked) <= max(1, question.seats) and all(one in allowed for one in picked)
    return picked if is_good else ()


def _result(motion: Motion, question: Question, tally: QuestionTally, place: Place) -> TallyResult:
    matter = find_matter(motion.rule_pack, motion.matter)
    assert matter is not None, "a motion opens with a matter of its rule pack"
    totals = {total.choice: Count(total.heads, total.area_cm2) for total in tally.choices}
    electorate = Count(motion.roll_heads, motion.roll_area_cm2)
    part = Count(tally.part.heads, tally.part.area_cm2)
    result, chosen = judge(question, matter.majority, electorate, part, totals)
    silence, silent = _silence_of(motion), Count(tally.silent.heads, tally.silent.area_cm2)
    deemed, deemed_chosen = result, chosen
    if silence is not Silence.ABSENT:
        # Nobody is deemed to have picked a candidate: in an election the silent only take part.
        counted = count_silent(Silence.PARTICIPATES if question.seats else silence, part, totals, silent)
        all_of_them = (counted.participating, counted.totals)
        deemed, deemed_chosen = judge(question, matter.majority, electorate, *all_of_them)
    return TallyResult(
        id=f"{motion.id}/{question.id}",
        motion=motion.id,
        question=question.id,
        electorate_heads=electorate.heads,
        electorate_area_cm2=electorate.area_cm2,
        heads=part.heads,
        area_cm2=part.area_cm2,
        void_heads=tally.void.heads,
        void_area_cm2=tally.void.area_cm2,
        choices=encode(tally.choices).decode(),
        openings_root=tally.openings_root,
        majority=matter.majority.value,
        result=result.value,
        chosen=",".join(chosen),
        index=place.index,
        tallied_ms=place.time_ms,
        silence=silence.value,
        silent_heads=silent.heads,
        silent_area_cm2=silent.area_cm2,
        deemed_result="" if silence is Silence.ABSENT else deemed.value,
        deemed_chosen="" if silence is Silence.ABSENT else ",".join(deemed_chosen),
    )


def judge(
    question: Question, majority: Majority, electorate: Count, part: Count, totals: Mapping[str, Count]
) -> tuple[Result, tuple[str, ...]]:
    """The result of a question, and what reached the majority: `for`, one of its own options, or who is elected."""
    if question.seats:
        elected = elect(question.seats, part, {one: totals[one] for one in question.candidates()}).members
        result = result_of(majority, electorate, part, totals[elected[-1]] if elected else Count())
        return result, elected if result is Result.PASSED else ()
    chosen = next((one for one in question.candidates() if has_majority(majority, part, totals[one])), "")
    result = result_of(majority, electorate, part, totals[chosen] if chosen else Count())
    return result, (chosen,) if result is Result.PASSED else ()
