"""The audit of the committee: who must sign a motion, what petitions ask for, how much notice there was (see books.py).

It knows the rules as a careful reader of the design does, and shares no code with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from server.domain.objection import Objection
from server.domain.petition import Petition
from tests.simulation.entries import Entry, Tables, differences, rows_of
from tests.simulation.polls import Poll, Polls

DAY_MS = 24 * 3_600_000
CHINA_MS = 8 * 3_600_000
ANSWER_MS = 60 * DAY_MS
NOTICE_DAYS = {"rehearsal@2026-11-01": 0, "civil-code@2021-01-01": 15}
"""The packs that people use in these worlds."""


@dataclass(slots=True)
class Plea:
    """Mutable. A petition: who signed for which head."""

    roll: str
    signed: dict[int, str] = field(default_factory=dict)
    state: str = "open"
    motion: str = ""


class Assembly:
    """Mutable. What a careful reader of the log knows of motions before they open. Complaints are returned.

    `timers` are the books' own: (kind, key) -> due time.
    """

    def __init__(self, polls: Polls, timers: dict[tuple[str, str], int]) -> None:
        self._polls, self._timers = polls, timers
        self._pleas: dict[str, Plea] = {}
        self._signed: dict[str, set[str]] = {}
        self._silence = ""
        self._answered: dict[str, bool] = {}

    # -- the committee

    def propose(self, entry: Entry, committee: Set[str]) -> str | None:
        """An accepted proposal."""
        body = entry.body
        if body["close_ms"] <= max(body["opens_ms"], entry.time_ms) + 60_000:
            return "proposes a motion that is open for less than a minute"
        if body["rule_pack"] != "rehearsal@2026-11-01" and not self._silence:
            return "proposes a motion without rules of procedure"
        if body["petition"] and body["petition"] not in self._pleas:
            return "answers a petition that is not there"
        questions = {one["id"]: [choice["id"] for choice in one["choices"]] for one in body["questions"]}
        poll = Poll(body["roll"], body["close_ms"], questions, body["opens_ms"], body["rule_pack"], body["petition"])
        poll.silence = self._silence or "absent"
        poll.approved.add(entry.author)
        self._polls.add(entry.id, poll)
        return self._notice(poll, entry.time_ms) or self._announce(entry.id, poll, entry.time_ms, committee)

    def approve(self, entry: Entry, committee: Set[str]) -> str | None:
        """An accepted signature under a proposal."""
        poll = self._polls.find(entry.body["motion"])
        if poll is None or poll.state != "proposed" or entry.author in poll.approved:
            return "signs what is not proposed, or twice"
        if (poll.roll, poll.petition) != (entry.body["roll"], entry.body["petition"]):
            return "signs another motion than was shown"
        poll.approved.add(entry.author)
        return self._notice(poll, entry.time_ms) or self._announce(entry.body["motion"], poll, entry.time_ms, committee)

    def _notice(self, poll: Poll, time_ms: int) -> str | None:
        days = (poll.opens_ms + CHINA_MS) // DAY_MS - (time_ms + CHINA_MS) // DAY_MS
        needed = NOTICE_DAYS[poll.pack]
        return "announces too late" if needed and days < needed else None

    def _announce(self, motion: str, poll: Poll, time_ms: int, committee: Set[str]) -> str | None:
        if 2 * len(poll.approved & committee) <= len(committee):
            return None
        if not self._polls.in_force(poll.roll):
            return "announces a motion on a roll that is not in force"
        poll.state, poll.opens_ms = "announced", max(poll.opens_ms, time_ms)
        self._timers["motion.open", motion] = poll.opens_ms
        self._timers["motion.tally", motion] = poll.close_ms
        if poll.petition:
            plea = self._pleas[poll.petition]
            plea.state, plea.motion = "answered", motion
            self._timers.pop(("petition.overdue", poll.petition), None)
        return None

    def _decide(self, entry: Entry, committee: Set[str]) -> bool | None:
        """Whether a decision takes effect with this signature; None if it was given before."""
        name = entry.kind + json.dumps(entry.body, sort_keys=True)
        signers = self._signed.setdefault(name, set())
        if entry.author in signers:
            return None
        signers.add(entry.author)
        if 2 * len(signers & committee) <= len(committee):
            return False
        signers.clear()
        return True

    def adopt(self, entry: Entry, committee: Set[str]) -> str | None:
        """Rules of procedure."""
        decided = self._decide(entry, committee)
        if decided:
            self._silence = entry.body["rules"]["silence"]
        return "signs twice" if decided is None else None

    def object(self, entry: Entry) -> str | None:
        """Somebody contests a ballot, or objects to a result."""
        self._answered[entry.id] = False
        if entry.kind == "ballot.contest":
            return self._polls.contest(entry)
        body, poll = entry.body, self._polls.find(entry.body["motion"])
        if poll is None or poll.state not in ("tallied", "final") or poll.pack == "rehearsal@2026-11-01":
            return "objects to what has no result that binds"
        is_own = poll.roll == body["roll"] and self._polls.is_of(poll.roll, body["position"], entry.author)
        return None if is_own else "objects without being on the roll"

    def answer(self, entry: Entry, committee: Set[str]) -> str | None:
        """The committee answers."""
        objection = entry.body["objection"]
        if self._answered.get(objection, True):
            return "answers what is not there, or was answered"
        decided = self._decide(entry, committee)
        self._answered[objection] = bool(decided)
        return "signs twice" if decided is None else None

    def change(self, entry: Entry, committee: Set[str]) -> str | None:
        """An extension, a correction or a cancellation."""
        body = entry.body
        poll = self._polls.find(body["motion"])
        if poll is None:
            return "changes what is not there"
        is_over = poll.state not in ("proposed", "announced", "open") or entry.time_ms >= poll.close_ms
        if is_over and entry.kind != "motion.correct":
            return "changes a motion that is over"
        complaint = getattr(self, "_may_" + entry.kind.partition(".")[2])(poll, body)
        decided = self._decide(entry, committee)
        if complaint or decided is None:
            return complaint or "signs twice"
        if decided:
            getattr(self, "_do_" + entry.kind.partition(".")[2])(body["motion"], poll, body)
        return None

    def _may_extend(self, poll: Poll, body: dict[str, Any]) -> str | None:
        if poll.state == "proposed" or poll.extended or body["close_ms"] <= poll.close_ms:
            return "extends again, backwards, or what is not announced"
        return None

    def _do_extend(self, motion: str, poll: Poll, body: dict[str, Any]) -> None:
        poll.close_ms, poll.extended = body["close_ms"], True
        self._timers["motion.tally", motion] = poll.close_ms

    def _may_cancel(self, poll: Poll, body: dict[str, Any]) -> str | None:
        return None

    def _do_cancel(self, motion: str, poll: Poll, body: dict[str, Any]) -> None:
        poll.state = "cancelled"
        for kind in ("motion.open", "motion.tally"):
            self._timers.pop((kind, motion), None)

    def _may_correct(self, poll: Poll, body: dict[str, Any]) -> str | None:
        if poll.state not in ("proposed", "announced") or not self._polls.in_force(body["roll"]):
            return "corrects the roll of an open motion, or to one that is not in force"
        return None

    def _do_correct(self, motion: str, poll: Poll, body: dict[str, Any]) -> None:
        poll.roll = body["roll"]

    # -- petitions

    def start(self, entry: Entry) -> str | None:
        """An accepted petition."""
        body = entry.body
        if not self._polls.in_force(body["roll"]) or not self._polls.is_of(
            body["roll"], body["position"], entry.author
        ):
            return "asks for a vote without being on a roll in force"
        self._pleas[entry.id] = Plea(body["roll"])
        return None

    def sign(self, entry: Entry) -> str | None:
        """A head signs, or takes its name back."""
        body, plea = entry.body, self._pleas.get(entry.body["petition"])
        position = body["position"]
        if plea is None or plea.roll != body["roll"] or plea.state == "answered":
            return "signs what is no open petition of this roll"
        if entry.kind == "petition.withdraw":
            if plea.state != "open" or plea.signed.get(position) != entry.author:
                return "takes back what it did not give, or too late"
            del plea.signed[position]
            return None
        if position in plea.signed or not self._polls.is_of(body["roll"], position, entry.author):
            return "signs twice, or for another head"
        plea.signed[position] = entry.author
        if plea.state == "open" and 5 * len(plea.signed) >= self._polls.heads_of(plea.roll):
            plea.state = "reached"
            self._timers["petition.overdue", body["petition"]] = entry.time_ms + ANSWER_MS
        return None

    def call_overdue(self, petition: str) -> None:
        """The committee's time is over."""
        self._pleas[petition].state = "overdue"

    def compare(self, tables: Tables) -> Iterator[str]:
        """What rows and books say differently."""
        rows = {row.id: (row.state, row.heads, row.motion) for row in rows_of(tables, Petition)}
        known = {name: (plea.state, len(plea.signed), plea.motion) for name, plea in self._pleas.items()}
        yield from differences("petition", rows, known)
        answered = {row.id: row.answered_ms > 0 for row in rows_of(tables, Objection)}
        yield from differences("objection", answered, self._answered)
