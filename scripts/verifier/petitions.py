"""Petitions as the log tells them: one signature a head, and the committee's clock from a fifth of all heads on."""

from __future__ import annotations

from dataclasses import dataclass, field

from verifier.record import Record
from verifier.report import Result
from verifier.rolls import Roll, Rolls
from verifier.seen import Seen

START_KIND, OVERDUE_KIND = "petition.start", "petition.overdue"
SIGNING_KINDS = ("petition.sign", "petition.withdraw")
ANSWER_MS = 60 * 86_400_000


@dataclass
class Petition:
    """Mutable. Who signed for which head; `due_ms` is 0 while the clock does not run."""

    roll: Roll
    roll_name: str
    signed: dict[int, str] = field(default_factory=dict)
    state: str = "open"
    due_ms: int = 0


class Petitions:
    """Every signature is of a head that had not signed; a committee that was late is said to be, in time."""

    def __init__(self, rolls: Rolls) -> None:
        self._rolls = rolls
        self._petitions: dict[str, Petition] = {}

    def see(self, seen: Seen) -> None:
        """Look at the next entry."""
        if seen.record is None:
            if seen.kind == OVERDUE_KIND:
                self._call_overdue(seen)
        elif seen.is_accepted and seen.kind == START_KIND:
            self._start(seen, seen.record)
        elif seen.is_accepted and seen.kind in SIGNING_KINDS:
            self._sign(seen, seen.record)

    def conclude(self) -> tuple[Result, str]:
        """The result at the end."""
        reached = sum(petition.state != "open" for petition in self._petitions.values())
        return Result.OK, f"{len(self._petitions)} petitions, {reached} with a fifth of the heads or answered"

    def answer(self, seen: Seen, petition: str) -> None:
        """A motion that answers it is announced."""
        found = self._petitions.get(petition)
        if found is None:
            raise seen.reject(f"it answers petition {petition}, which is not there")
        found.state, found.due_ms = "answered", 0

    def _start(self, seen: Seen, record: Record) -> None:
        body = seen.body("roll text title", "position")
        roll = self._rolls.find(body["roll"])
        if roll is None or not self._rolls.in_force(body["roll"]):
            raise seen.reject("a petition on a roll that is not in force")
        _check_head(seen, roll, body["position"], record.author)
        self._petitions[record.id] = Petition(roll, body["roll"])

    def _sign(self, seen: Seen, record: Record) -> None:
        body = seen.body("petition roll", "position")
        petition, position = self._petitions.get(body["petition"]), body["position"]
        if petition is None or petition.roll_name != body["roll"] or petition.state == "answered":
            raise seen.reject("a signature under no open petition of this roll")
        if seen.kind == "petition.withdraw":
            if petition.state != "open" or petition.signed.pop(position, None) != record.author:
                raise seen.reject("a signature taken back that was not given, or too late")
            return
        _check_head(seen, petition.roll, position, record.author)
        if position in petition.signed:
            raise seen.reject(f"head {position} signs twice")
        petition.signed[position] = record.author
        if petition.state == "open" and 5 * len(petition.signed) >= len(petition.roll.heads):
            petition.state, petition.due_ms = "reached", seen.entry.time_ms + ANSWER_MS

    def _call_overdue(self, seen: Seen) -> None:
        petition = self._petitions.get(seen.entry.system["key"])
        if petition is None or petition.state != "reached" or petition.due_ms != seen.entry.system["due_ms"]:
            raise seen.reject("overdue is said of a petition whose clock does not run, or at another time")
        petition.state = "overdue"


def _check_head(seen: Seen, roll: Roll, position: int, author: str) -> None:
    if position >= len(roll.heads) or author not in roll.heads[position].members:
        raise seen.reject(f"{author} is not of head {position}")
