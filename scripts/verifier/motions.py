"""The life of a motion as the log tells it: proposed, announced by more than half of the committee, opened, closed.

What is asked is fixed by the first signature; notice, extensions and cancellations are judged by who signed and when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from verifier.encoding import b64u, canonical, is_count, members, sha256
from verifier.law import NOTICE_DAYS
from verifier.offices import Offices
from verifier.petitions import Petitions
from verifier.record import Record
from verifier.report import Result
from verifier.rolls import Roll, Rolls
from verifier.seen import TALLY_KIND, Seen

PROPOSE_KIND, APPROVE_KIND, OPENING_KIND = "motion.propose", "motion.approve", "motion.open"
ADOPT_KIND, DELIVERY_KIND = "procedure.adopt", "delivery.confirm"
SILENCES = ("absent", "participates", "follows")
DECISION_KINDS = {
    "motion.cancel": "motion reason",
    "motion.correct": "motion reason roll",
    "motion.extend": "motion reason",
}
"""Kinds that take the same words of more than half of the committee; and their texts."""
VOTING_MS_MIN = 60_000
DAY_MS, CHINA_MS = 86_400_000, 8 * 3_600_000
_PROCEDURE = "electronic garages objection_days proxies_max silence"
TIMERS_MAX = 200
"""So many due timers a block must carry, the earliest first; with fewer, all of them."""


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
    seats: int
    ballots: dict[int, Ballot] = field(default_factory=dict)


@dataclass
class Motion:
    """Mutable. `state` is proposed, announced, open, tallied or cancelled; `tally` the entry that counted it."""

    id: str
    matter: tuple[str, str]
    roll: Roll
    roll_name: str
    opens_ms: int
    close_ms: int
    petition: str
    questions: dict[str, Question]
    approved: set[str]
    silence: str
    """What who was served and does not vote counts as, by the rules of procedure when it was proposed."""
    is_extended: bool = False
    served: set[int] = field(default_factory=set)
    state: str = "proposed"
    tally: int | None = None


class Motions:
    """What was put to the owners was signed by the committee, announced in time, and opened and closed by time."""

    def __init__(self, rolls: Rolls, offices: Offices, petitions: Petitions) -> None:
        self._rolls, self._offices, self._petitions = rolls, offices, petitions
        self.all: dict[str, Motion] = {}
        self._decisions: dict[str, set[str]] = {}
        self._silence = ""
        self._derived = 0

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.is_leaf:
            self._check_due(seen)
            self._derived = 0
        elif seen.record is None:
            self._derived += 1
            if seen.kind == OPENING_KIND:
                self._open(seen)
            elif seen.kind == TALLY_KIND:
                self._close(seen)
        elif seen.is_accepted and seen.kind == PROPOSE_KIND:
            self._propose(seen, seen.record)
        elif seen.is_accepted and seen.kind == APPROVE_KIND:
            self._approve(seen, seen.record)
        elif seen.is_accepted and seen.kind in DECISION_KINDS:
            self._decide(seen, seen.record)
        elif seen.is_accepted and seen.kind == ADOPT_KIND:
            self._adopt(seen, seen.record)
        elif seen.is_accepted and seen.kind == DELIVERY_KIND:
            self._deliver(seen)

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        if not self.all:
            return Result.OK, "no motions in this log"
        states: dict[str, int] = {}
        for motion in self.all.values():
            states[motion.state] = states.get(motion.state, 0) + 1
        return Result.OK, ", ".join(f"{count} motions {state}" for state, count in sorted(states.items()))

    def find(self, seen: Seen, motion: str) -> Motion:
        """The motion that an accepted entry names; Rejected where there is none."""
        found = self.all.get(motion)
        if found is None:
            raise seen.reject(f"there is no motion {motion}")
        return found

    def _propose(self, seen: Seen, record: Record) -> None:
        body = seen.body(
            "matter petition roll rule_pack text title", "close_ms opens_ms", "budget contract questions quotes"
        )
        roll, now_ms = self._rolls.find(body["roll"]), seen.entry.time_ms
        if roll is None:
            raise seen.reject(f"a motion on roll {body['roll']}, which is not there")
        if body["close_ms"] <= max(body["opens_ms"], now_ms) + VOTING_MS_MIN:
            raise seen.reject("a motion that closes within a minute")
        questions = [_parse_question(seen, value) for value in body["questions"]]
        by_id = {question.id: question for question in questions}
        if not questions or len(by_id) != len(questions):
            raise seen.reject("a motion without questions, or with one twice")
        matter, times = (body["rule_pack"], body["matter"]), (body["opens_ms"], body["close_ms"])
        is_binding = bool(NOTICE_DAYS.get(body["rule_pack"]))
        if is_binding and not self._silence:
            raise seen.reject("a motion of an estate without rules of procedure")
        first, silence = {record.author}, self._silence or "absent"
        motion = Motion(record.id, matter, roll, body["roll"], *times, body["petition"], by_id, first, silence)
        self.all[record.id] = motion
        self._announce(seen, motion)

    def _approve(self, seen: Seen, record: Record) -> None:
        body = seen.body("motion petition roll")
        motion = self.find(seen, body["motion"])
        if (body["petition"], body["roll"]) != (motion.petition, motion.roll_name):
            raise seen.reject("it signs another petition or roll than the motion's")
        if motion.state != "proposed" or record.author in motion.approved:
            raise seen.reject(f"a signature under a motion that is {motion.state}, or a second one")
        motion.approved.add(record.author)
        self._announce(seen, motion)

    def _announce(self, seen: Seen, motion: Motion) -> None:
        """Whether or not this signature is the one that announces it, the whole notice must lie ahead."""
        needed = NOTICE_DAYS.get(motion.matter[0])
        if needed is None:
            raise seen.reject(f"rule pack {motion.matter[0]} is not known here")
        if needed and _day_of(motion.opens_ms) - _day_of(seen.entry.time_ms) < needed:
            raise seen.reject(f"a motion with less than {needed} days of notice")
        if not self._is_decided(motion.approved):
            return
        if not self._rolls.in_force(motion.roll_name):
            raise seen.reject(f"a motion on roll {motion.roll_name}, which is not in force")
        motion.state, motion.opens_ms = "announced", max(motion.opens_ms, seen.entry.time_ms)
        if motion.petition:
            self._petitions.answer(seen, motion.petition)

    def _is_decided(self, signers: set[str]) -> bool:
        committee = self._offices.committee()
        return 2 * len(signers & committee) > len(committee)

    def _decide(self, seen: Seen, record: Record) -> None:
        counts = "close_ms" if seen.kind == "motion.extend" else ""
        body = seen.body(DECISION_KINDS[seen.kind], counts)
        motion = self.find(seen, body["motion"])
        self._check_decision(seen, motion, body)
        if not self._sign(seen, record, body):
            return
        if seen.kind == "motion.cancel":
            motion.state = "cancelled"
        elif seen.kind == "motion.extend":
            motion.close_ms, motion.is_extended = body["close_ms"], True
        else:
            roll = self._rolls.find(body["roll"])
            assert roll is not None, "a roll in force is there"
            motion.roll, motion.roll_name = roll, body["roll"]

    def _sign(self, seen: Seen, record: Record, body: dict[str, Any]) -> bool:
        """One more signature under these words: is the decision taken with it?"""
        signers = self._decisions.setdefault(f"{seen.kind}/{b64u(sha256(canonical(body)))}", set())
        if record.author in signers:
            raise seen.reject(f"{record.author} signs the same decision twice")
        signers.add(record.author)
        is_taken = self._is_decided(signers)
        if is_taken:
            signers.clear()
        return is_taken

    def _adopt(self, seen: Seen, record: Record) -> None:
        body = record.payload["body"]
        rules = members(members(body, "document name rules", "log")["rules"], _PROCEDURE, "log")
        if rules["silence"] not in SILENCES:
            raise seen.reject("rules of procedure with another silence")
        if self._sign(seen, record, body):
            self._silence = str(rules["silence"])

    def _deliver(self, seen: Seen) -> None:
        body = seen.body("channel motion roll", "", "positions proof")
        motion = self.find(seen, body["motion"])
        if motion.state not in ("announced", "open") or seen.entry.time_ms >= motion.close_ms:
            raise seen.reject(f"served with a motion that is {motion.state}, or after its close")
        positions = body["positions"]
        if not all(is_count(one) and one < len(motion.roll.heads) for one in positions):
            raise seen.reject("served is who does not stand on the roll")
        if body["roll"] != motion.roll_name:
            raise seen.reject("served by another roll than the motion's")
        motion.served.update(positions)

    def _check_decision(self, seen: Seen, motion: Motion, body: dict[str, Any]) -> None:
        if seen.kind == "motion.correct":
            if motion.state not in ("proposed", "announced") or not self._rolls.in_force(body["roll"]):
                raise seen.reject("another roll for a motion that is open, or a roll that is not in force")
            return
        before = ("announced", "open") if seen.kind == "motion.extend" else ("proposed", "announced", "open")
        if motion.state not in before or seen.entry.time_ms >= motion.close_ms:
            raise seen.reject(f"a decision about a motion that is {motion.state}, or after its close")
        if seen.kind == "motion.extend" and (motion.is_extended or body["close_ms"] <= motion.close_ms):
            raise seen.reject("a motion is extended once, to a later time")

    def _open(self, seen: Seen) -> None:
        motion = self.all.get(seen.entry.system["key"])
        if motion is None or motion.state != "announced" or seen.entry.system["due_ms"] != motion.opens_ms:
            raise seen.reject("an opening of a motion that is not announced for then")
        motion.state = "open"

    def _close(self, seen: Seen) -> None:
        motion = self.all.get(seen.entry.system["key"])
        if motion is None or motion.state != "open":
            raise seen.reject("a tally of a motion that is not open: none such, or counted before")
        if seen.entry.system["due_ms"] != motion.close_ms:
            raise seen.reject(f"a tally due at another time than the motion's close at {motion.close_ms} ms")
        motion.state, motion.tally = "tallied", seen.entry.index

    def _check_due(self, seen: Seen) -> None:
        if self._derived >= TIMERS_MAX:
            return
        for motion in self.all.values():
            if motion.state == "open" and motion.close_ms <= seen.entry.time_ms:
                raise seen.reject(f"block {seen.entry.height} lacks the tally of motion {motion.id}, which had closed")
            if motion.state == "announced" and motion.opens_ms < seen.entry.time_ms:
                raise seen.reject(f"block {seen.entry.height} lacks the opening of motion {motion.id}, which was due")


def _day_of(time_ms: int) -> int:
    """The day in China's time."""
    return (time_ms + CHINA_MS) // DAY_MS


def _parse_question(seen: Seen, value: Any) -> Question:
    question = members(value, "choices id seats text", "log")
    choices = question["choices"]
    if not isinstance(question["id"], str) or not isinstance(choices, list):
        raise seen.reject("a question of another form")
    ids = [members(choice, "id text", "log")["id"] for choice in choices]
    if not all(isinstance(choice, str) for choice in ids) or len(set(ids)) != len(ids) or len(ids) < 2:
        raise seen.reject("choices of another form")
    if not is_count(question["seats"]):
        raise seen.reject("seats are a number")
    return Question(question["id"], ids, question["seats"])
