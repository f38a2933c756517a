"""Ballots: one for each head and question, the same person's last one counts, while the motion is open.

Choices are private and no part of this: a ballot is a commitment. What the openings say is the check `tallies`.
"""

from __future__ import annotations

from typing import Any

from verifier.motions import Ballot, Motion, Motions
from verifier.offices import BALLOT_KIND, is_refused_for_its_device
from verifier.record import ACCEPTED, Record
from verifier.report import Result
from verifier.seen import COMMON_REFUSALS, Seen

_BALLOT_TEXTS = "choice motion question replaces roll"
_AFTER_THE_DEVICE = (ACCEPTED, "ballot_already_cast", "replaced_ballot_not_found", "commitment_already_used")


class Ballots:
    """Every ballot had the outcome that roll, motion and the ballots before give."""

    def __init__(self, motions: Motions) -> None:
        self._motions = motions
        self._commitments: dict[str, int] = {}
        self._cast = self._refused = 0

    @property
    def motions(self) -> dict[str, Motion]:
        """All motions with their counted ballots, by id."""
        return self._motions.all

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.record is not None and seen.kind == BALLOT_KIND and seen.entry.outcome not in COMMON_REFUSALS:
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
        if motion.state in ("proposed", "announced"):
            return "motion_not_open", f"it is {motion.state}"
        if motion.state != "open" or now_ms >= motion.close_ms:
            return "motion_closed", f"it is {motion.state}, to close at {motion.close_ms} ms"
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
