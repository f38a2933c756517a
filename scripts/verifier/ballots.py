"""Motions and their ballots: one for each head and question, the same person's last one counts, none after the close.

Choices are private and no part of this: a ballot is a commitment. What the openings say is the check `tallies`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from verifier.encoding import members
from verifier.offices import BALLOT_KIND, is_refused_for_its_device
from verifier.record import ACCEPTED, Record
from verifier.report import Result
from verifier.rolls import Roll, Rolls
from verifier.seen import COMMON_REFUSALS, TALLY_KIND, Seen

MOTION_KIND = "motion.propose"
VOTING_MS_MIN = 60_000
TIMERS_MAX = 200
"""So many due timers a block must carry, the earliest first; with fewer, all of them."""
_BALLOT_TEXTS = "choice motion question replaces roll"
_AFTER_THE_DEVICE = (ACCEPTED, "ballot_already_cast", "replaced_ballot_not_found", "commitment_already_used")


@dataclass(frozen=True)
class Ballot:
    """The counted ballot of a head: `record` is its id."""

    record: str
    author: str
    commitment: str
    area_cm2: int


@dataclass
class Question:
    """Mutable. A question's choices in order, and its counted ballots by position on the roll."""

    id: str
    choices: list[str]
    ballots: dict[int, Ballot] = field(default_factory=dict)


@dataclass
class Motion:
    """Mutable. `roll` is frozen by being whole; `tally` is the index of the entry that counted it."""

    id: str
    matter: tuple[str, str]
    roll: Roll
    roll_name: str
    close_ms: int
    questions: dict[str, Question]
    tally: int | None = None


class Ballots:
    """Every ballot had the outcome that roll, motion and the ballots before give; a motion is counted at its close."""

    def __init__(self, rolls: Rolls) -> None:
        self._rolls = rolls
        self._open: dict[str, Motion] = {}
        self.motions: dict[str, Motion] = {}
        self._commitments: dict[str, int] = {}
        self._cast = self._refused = self._derived = 0

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.is_leaf:
            self._check_due(seen)
            self._derived = 0
        elif seen.record is None:
            self._derived += 1
            if seen.kind == TALLY_KIND:
                self._close(seen)
        elif seen.kind == MOTION_KIND and seen.is_accepted:
            self._open_motion(seen, seen.record)
        elif seen.kind == BALLOT_KIND and seen.entry.outcome not in COMMON_REFUSALS:
            self._vote(seen, seen.record)

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if not self.motions:
            return Result.OK, "no votes in this log"
        counted = sum(
            len(question.ballots) for motion in self.motions.values() for question in motion.questions.values()
        )
        said = f"{len(self.motions)} motions, {self._cast} ballots accepted, {self._refused} refused"
        return Result.OK, f"{said}; {counted} count: one a head on the frozen roll, the last one"

    def _open_motion(self, seen: Seen, record: Record) -> None:
        body = seen.body("matter roll rule_pack text title", "close_ms", "questions")
        roll = self._rolls.find(body["roll"])
        if roll is None or not self._rolls.in_force(body["roll"]):
            raise seen.reject(f"a motion on roll {body['roll']}, which is not in force")
        if body["close_ms"] <= seen.entry.time_ms + VOTING_MS_MIN:
            raise seen.reject("a motion that closes within a minute")
        questions = [_parse_question(seen, value) for value in body["questions"]]
        by_id = {question.id: question for question in questions}
        if not questions or len(by_id) != len(questions):
            raise seen.reject("a motion without questions, or with one twice")
        matter = (body["rule_pack"], body["matter"])
        motion = Motion(record.id, matter, roll, body["roll"], body["close_ms"], by_id)
        self.motions[record.id] = self._open[record.id] = motion

    def _vote(self, seen: Seen, record: Record) -> None:
        body = seen.body(_BALLOT_TEXTS, "position")
        due, why = self._judge(body, record.author, seen.entry.time_ms)
        outcome = seen.entry.outcome
        self._refused += outcome != ACCEPTED
        if is_refused_for_its_device(outcome) and due in _AFTER_THE_DEVICE:
            return
        if due != outcome:
            raise seen.reject(f"a ballot {outcome}, roll and ballots say {due}{': ' * bool(why)}{why}")
        if due == ACCEPTED:
            self._count(seen, record, body)

    def _judge(self, body: dict[str, Any], author: str, now_ms: int) -> tuple[str, str]:
        """The outcome that is due, but for the voter's device; and why."""
        motion = self.motions.get(body["motion"])
        if motion is None:
            return "motion_not_found", "there is no such motion"
        if now_ms >= motion.close_ms:
            return "motion_closed", f"it closed at {motion.close_ms} ms"
        question = motion.questions.get(body["question"])
        if question is None:
            return "question_not_found", "the motion does not ask it"
        if body["roll"] != motion.roll_name:
            return "roll_differs", f"the motion's roll is {motion.roll_name}"
        heads, position = motion.roll.heads, body["position"]
        if position >= len(heads) or author not in heads[position].members:
            return "not_on_roll", f"{author} is not of head {position}"
        return self._judge_repetition(question.ballots.get(position), body, author)

    def _judge_repetition(self, counted: Ballot | None, body: dict[str, Any], author: str) -> tuple[str, str]:
        if counted is not None and (body["replaces"], author) != (counted.record, counted.author):
            return "ballot_already_cast", f"record {counted.record} is the ballot of head {body['position']}"
        if counted is None and body["replaces"]:
            return "replaced_ballot_not_found", "there is no ballot to replace"
        if body["choice"] in self._commitments:
            return "commitment_already_used", f"entry {self._commitments[body['choice']]} used the commitment"
        return ACCEPTED, ""

    def _count(self, seen: Seen, record: Record, body: dict[str, Any]) -> None:
        motion, position = self.motions[body["motion"]], body["position"]
        ballot = Ballot(record.id, record.author, body["choice"], motion.roll.heads[position].area_cm2)
        motion.questions[body["question"]].ballots[position] = ballot
        self._commitments[body["choice"]] = seen.entry.index
        self._cast += 1

    def _close(self, seen: Seen) -> None:
        motion = self._open.pop(seen.entry.system["key"], None)
        if motion is None:
            raise seen.reject("a tally of a motion that is not open: none such, or counted before")
        if seen.entry.system["due_ms"] != motion.close_ms:
            raise seen.reject(f"a tally due at another time than the motion's close at {motion.close_ms} ms")
        motion.tally = seen.entry.index

    def _check_due(self, seen: Seen) -> None:
        if self._derived >= TIMERS_MAX:
            return
        for motion in self._open.values():
            if motion.close_ms <= seen.entry.time_ms:
                raise seen.reject(f"block {seen.entry.height} lacks the tally of motion {motion.id}, which had closed")


def _parse_question(seen: Seen, value: Any) -> Question:
    question = members(value, "choices id text", "log")
    choices = question["choices"]
    if not isinstance(question["id"], str) or not isinstance(choices, list):
        raise seen.reject("a question of another form")
    ids = [members(choice, "id text", "log")["id"] for choice in choices]
    if not all(isinstance(choice, str) for choice in ids) or len(set(ids)) != len(ids) or len(ids) < 2:
        raise seen.reject("choices of another form")
    return Question(question["id"], ids)
