"""The audit of votes: rolls, motions, ballots, tallies, by books of its own (see books.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.domain.ballot import Ballot
from server.domain.motion import Motion, Turnout
from server.domain.roll import Roll, RollHead
from server.domain.tally import TallyResult
from tests.simulation.entries import Entry, Key, Tables, differences, rows_of
from tests.simulation.estate import Neighbourhood

SALT_BYTES = 16
Total = tuple[int, int]
"""(heads, area)."""


@dataclass(slots=True)
class Electorate:
    """Mutable. A roll: (members, area) of each head, and who has confirmed it."""

    heads: list[tuple[frozenset[str], int]]
    root: str
    confirmed: set[str]


@dataclass(slots=True)
class Poll:
    """Mutable. A motion: its questions with their choices, and the counted ballot of each head."""

    roll: str
    close_ms: int
    questions: dict[str, list[str]]
    opens_ms: int
    pack: str
    petition: str
    approved: set[str] = field(default_factory=set)
    extended: bool = False
    silence: str = "absent"
    served: set[int] = field(default_factory=set)
    contested: set[tuple[str, int]] = field(default_factory=set)
    counted: dict[tuple[str, int], tuple[str, str, str]] = field(default_factory=dict)
    """(question, position) -> (record, member, commitment)."""
    state: str = "proposed"
    tallied_at: int = 0
    tallied_ms: int = 0


class Polls:
    """Mutable. What a careful reader of the log knows of votes. Complaints are returned."""

    def __init__(self, home: Neighbourhood, openings: Mapping[str, bytes]) -> None:
        self._trust, self._openings = home.trust, openings
        self._rolls: dict[str, Electorate] = {}
        self._polls: dict[str, Poll] = {}
        self._commitments: set[str] = set()
        heads = [row for row in home.rows.values() if isinstance(row, RollHead)]
        for row in home.rows.values():
            if isinstance(row, Roll):
                own = sorted((head for head in heads if head.roll == row.id), key=lambda head: head.position)
                listed = [(frozenset(head.members), head.area_cm2) for head in own]
                self._rolls[row.id] = Electorate(listed, row.root, set(row.confirmed_by))

    def take_roll(self, entry: Entry, organisation: str) -> str | None:
        """An accepted part of a roll (these rolls have one part), or its confirmation."""
        body = entry.body
        roll = self._rolls.get(body["roll"])
        if entry.kind == "roll.confirm":
            if roll is None or roll.root != body["root"] or organisation in roll.confirmed:
                return "confirms what is not there, or twice"
            roll.confirmed.add(organisation)
            return None
        if roll is not None:
            return "publishes a roll that is there"
        heads = [(frozenset(head["members"]), head["area_cm2"]) for head in body["heads"]]
        self._rolls[body["roll"]] = Electorate(heads, body["root"], {organisation})
        return None

    def in_force(self, name: str) -> bool:
        """Have enough organisations confirmed this roll?"""
        return name in self._rolls and len(self._rolls[name].confirmed) >= self._trust.approvals

    def is_of(self, roll: str, position: int, member: str) -> bool:
        """Does the member stand at this place of the roll?"""
        heads = self._rolls[roll].heads
        return position < len(heads) and member in heads[position][0]

    def heads_of(self, roll: str) -> int:
        """How many heads the roll has."""
        return len(self._rolls[roll].heads)

    def add(self, motion: str, poll: Poll) -> None:
        """A motion that is proposed (see assembly.py)."""
        self._polls[motion] = poll

    def find(self, motion: str) -> Poll | None:
        """A motion."""
        return self._polls.get(motion)

    def open(self, motion: str) -> str | None:
        """Its time has come."""
        poll = self._polls.get(motion)
        if poll is None or poll.state != "announced":
            return "opens what was not announced"
        poll.state = "open"
        return None

    def cast(self, entry: Entry, key: Key) -> str | None:
        """An accepted ballot, signed with this key."""
        body, poll = entry.body, self._polls.get(entry.body["motion"])
        if poll is None or entry.time_ms >= poll.close_ms or poll.state != "open":
            return "votes where nothing is open"
        if body["question"] not in poll.questions or body["roll"] != poll.roll:
            return "votes on another question or roll"
        heads = self._rolls[poll.roll].heads
        if body["position"] >= len(heads) or entry.author not in heads[body["position"]][0]:
            return "votes for a head that is not the author's"
        if len(key.attested) < self._trust.attestations or entry.time_ms < key.votes_from_ms:
            return "votes with a key that may not vote yet"
        place = (body["question"], body["position"])
        before = poll.counted.get(place)
        if before is None and body["replaces"]:
            return "replaces a ballot that was not cast"
        if before is not None and (before[0], before[1]) != (body["replaces"], entry.author):
            return "a second ballot of one head"
        if body["choice"] in self._commitments:
            return "uses a commitment again"
        self._commitments.add(body["choice"])
        poll.counted[place] = (entry.id, entry.author, body["choice"])
        return None

    def serve(self, entry: Entry) -> str | None:
        """An accepted proof that heads were served."""
        body, poll = entry.body, self._polls.get(entry.body["motion"])
        if poll is None or poll.state not in ("announced", "open") or entry.time_ms >= poll.close_ms:
            return "serves people with what is not announced"
        if body["roll"] != poll.roll or any(place >= len(self._rolls[poll.roll].heads) for place in body["positions"]):
            return "serves who is not on the roll"
        if body["channel"] in ("door", "notice", "post") and not body["proof"]:
            return "serves without a picture"
        poll.served.update(body["positions"])
        return None

    def contest(self, entry: Entry) -> str | None:
        """An accepted word that a ballot is not the home's: while it is open, or of a binding vote after the count."""
        body, poll = entry.body, self._polls.get(entry.body["motion"])
        place = (body["question"], body["position"])
        if poll is None or body["roll"] != poll.roll or place not in poll.counted:
            return "contests what is no ballot"
        if poll.state != "open" and (poll.state not in ("tallied", "final") or poll.pack == "rehearsal@2026-11-01"):
            return "contests a ballot of a motion that is over"
        is_own = poll.counted[place][1] == entry.author and poll.state == "open"
        if not self.is_of(poll.roll, body["position"], entry.author) or is_own:
            return "contests a ballot of another home, or the author's own"
        if place in poll.contested:
            return "contests a ballot twice"
        poll.contested.add(place)
        return None

    def tally(self, motion: str, body: dict[str, Any], index: int, time_ms: int) -> str | None:
        """A derived tally says what the counted ballots say."""
        poll = self._polls.get(motion)
        if poll is None or poll.state != "open":
            return "a tally of what is not open"
        poll.state, poll.tallied_at, poll.tallied_ms = "tallied", index, time_ms
        if [one["question"] for one in body["questions"]] != list(poll.questions):
            return "a tally of other questions"
        for said in body["questions"]:
            totals = {choice["choice"]: (choice["heads"], choice["area_cm2"]) for choice in said["choices"]}
            part = tuple(sum(total[way] for total in totals.values()) for way in (0, 1))
            if part != (said["part"]["heads"], said["part"]["area_cm2"]):
                return f"the tally of {said['question']} says that others took part"
            void = (said["void"]["heads"], said["void"]["area_cm2"])
            if (said["silent"]["heads"], said["silent"]["area_cm2"]) != self._silent(poll, said["question"]):
                return f"the tally of {said['question']} counts other people as silent"
            if {**totals, "": void} != self._count(poll, said["question"]):
                return f"the tally of {said['question']} is not what was cast"
        return None

    def _silent(self, poll: Poll, question: str) -> Total:
        """Who was served and cast no ballot, where that counts."""
        if poll.silence == "absent":
            return 0, 0
        heads = self._rolls[poll.roll].heads
        silent = [heads[place][1] for place in poll.served if (question, place) not in poll.counted]
        return len(silent), sum(silent)

    def _count(self, poll: Poll, question: str) -> dict[str, Total]:
        """Each head's counted ballot once; void ones under the empty choice."""
        heads, totals = self._rolls[poll.roll].heads, dict.fromkeys([*poll.questions[question], ""], (0, 0))
        for (asked, position), (_, _, commitment) in poll.counted.items():
            if asked == question:
                [choice] = json.loads(self._openings[commitment][SALT_BYTES:])
                counted = choice if choice in totals else ""
                totals[counted] = (totals[counted][0] + 1, totals[counted][1] + heads[position][1])
        return totals

    def seal(self, size: int) -> None:
        """All members have signed the log at this size: tallies in it are final."""
        for poll in self._polls.values():
            if poll.state == "tallied" and poll.tallied_at < size:
                poll.state = "final"

    def end(self, motion: str, size: int, time_ms: int) -> str | None:
        """A result is final without somebody: a quorum has signed past the tally, and all were waited for. (Policies
        of later epochs wait longer, in these worlds.)"""
        poll = self._polls.get(motion)
        if poll is None or poll.state != "tallied":
            return "final is what was not tallied, or was final before"
        if size <= poll.tallied_at or time_ms < poll.tallied_ms + self._trust.final_without_ms:
            return "final without somebody, too early"
        poll.state = "final"
        return None

    def glance(self, tables: Tables) -> Iterator[str]:
        """Motions that are not in the state that the log has brought them to."""
        for row in rows_of(tables, Motion):
            known = self._polls.get(row.id)
            if known is None or known.state != row.state:
                yield f"motion {row.id} is {row.state}, the books say {known.state if known else None}"
        if len(tables.get(Motion.table, {})) != len(self._polls):
            yield "a motion of the log has no row"

    def compare(self, tables: Tables) -> Iterator[str]:
        """What rows and books say differently."""
        ballots = {row.id: (row.record, row.member, row.commitment) for row in rows_of(tables, Ballot)}
        turnouts = {row.id: (row.heads, row.area_cm2) for row in rows_of(tables, Turnout)}
        confirmed = {row.id: set(row.confirmed_by) for row in rows_of(tables, Roll)}
        results = {row.id: (row.heads, row.area_cm2) for row in rows_of(tables, TallyResult)}
        yield from differences("ballot", ballots, self._ballots())
        yield from self.glance(tables)
        yield from differences("turnout", turnouts, self._turnouts())
        yield from differences("roll", confirmed, {name: roll.confirmed for name, roll in self._rolls.items()})
        yield from differences("tally_result", results, self._results())

    def _ballots(self) -> dict[str, tuple[str, str, str]]:
        return {
            f"{motion}/{question}/{position}": ballot
            for motion, poll in self._polls.items()
            for (question, position), ballot in poll.counted.items()
        }

    def _turnouts(self) -> dict[str, Total]:
        found = {}
        for motion, poll in self._polls.items():
            for question in poll.questions:
                totals = self._count(poll, question).values()
                found[f"{motion}/{question}"] = (sum(one[0] for one in totals), sum(one[1] for one in totals))
        return found

    def _results(self) -> dict[str, Total]:
        """Who took part: void ballots do not (law.md 1)."""
        found = {}
        for motion, poll in self._polls.items():
            for question in poll.questions if poll.state in ("tallied", "final") else ():
                totals = [total for choice, total in self._count(poll, question).items() if choice]
                found[f"{motion}/{question}"] = (sum(one[0] for one in totals), sum(one[1] for one in totals))
        return found
