"""Petitions: owners ask for a vote; with a fifth of them the committee must bring it about in time.

A signature is a head's, not a person's from two homes. It must not know which motion answers, only that one does.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from server.domain.agenda import set_timer, stop_timer, timer_key
from server.domain.law.convening import is_one_fifth
from server.domain.roll import Roll, RollHead
from server.limits import DAY_MS
from server.record.kind import Context, DerivedKind, Place, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Line, Name, OptionalRecordId, Position, RecordId, Text

OVERDUE = "petition.overdue"
"""The derived kind that is due when the committee has let its time pass."""
ANSWER_MS = 60 * DAY_MS
"""How long the committee has to bring a motion of a petition that has enough signatures. Shanghai art. 25 says that it
must, and not within how many days: 60, which is notice and voting and a fortnight besides, is our own choice."""


class Petition(Row, frozen=True):
    """A petition. `state` is open, reached, answered or overdue; an overdue one can still be answered."""

    table: ClassVar[str] = "petition"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("started_ms",),)
    title: str
    text: str
    roll: str
    roll_heads: int
    started_by: str
    started_ms: int
    heads: int
    area_cm2: int
    state: str
    reached_ms: int = 0
    due_ms: int = 0
    motion: str = ""
    """The motion that answers it."""


class PetitionSignature(Row, frozen=True):
    """A head's signature: `<petition>/<position>`."""

    table: ClassVar[str] = "petition_signature"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("petition",), ("member",))
    petition: str
    position: int
    member: str
    withdrawn: bool = False


class StartPetition(RecordKind, frozen=True):
    """An owner asks for a vote. His own signature is a record of its own."""

    kind: ClassVar[str] = "petition.start"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        ROLL_NOT_FOUND = "roll_not_found"
        ROLL_NOT_IN_FORCE = "roll_not_in_force"
        NOT_ON_ROLL = "not_on_roll"

    permanent: ClassVar[frozenset[str]] = frozenset({"not_on_roll"})

    position: Position
    roll: Name
    text: Text
    title: Line

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The roll, the author's head, and the petition."""
        return (key(Roll, self.roll), key(RollHead, self.roll, str(self.position)), key(Petition, signed.id))

    def execute(self, rows: Rows, context: Context) -> StartPetition.Refusal | None:
        """Any owner may ask."""
        roll, head = rows.get(Roll, self.roll), rows.get(RollHead, self.roll, str(self.position))
        if roll is None:
            return self.Refusal.ROLL_NOT_FOUND
        if not roll.in_force:
            return self.Refusal.ROLL_NOT_IN_FORCE
        if head is None or context.author not in head.members:
            return self.Refusal.NOT_ON_ROLL
        asked = (self.title, self.text, roll.id, roll.heads, context.author, context.time_ms)
        rows.put(Petition(context.signed.id, *asked, heads=0, area_cm2=0, state="open"))
        return None


class _Signing(RecordKind, frozen=True):
    """Signing and withdrawing name the same things."""

    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    petition: RecordId
    position: Position
    roll: Name

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The petition, the head, its signature, and the committee's clock."""
        position = str(self.position)
        return (
            key(Petition, self.petition),
            key(RollHead, self.roll, position),
            key(PetitionSignature, self.petition, position),
            timer_key(OVERDUE, self.petition),
        )

    def _count(self, rows: Rows, petition: Petition, sign: int) -> Petition:
        """The petition with one head more (`sign` 1) or less (-1)."""
        head = rows.get(RollHead, self.roll, str(self.position))
        assert head is not None, "who signed stands on the roll"
        heads, area_cm2 = petition.heads + sign, petition.area_cm2 + sign * head.area_cm2
        return msgspec.structs.replace(petition, heads=heads, area_cm2=area_cm2)

    def _put_signature(self, rows: Rows, member: str, *, withdrawn: bool) -> None:
        name = f"{self.petition}/{self.position}"
        rows.put(PetitionSignature(name, self.petition, self.position, member, withdrawn))


class SignPetition(_Signing, frozen=True):
    """An owner signs a petition for his head; with a fifth of all heads the committee's clock starts."""

    kind: ClassVar[str] = "petition.sign"

    class Refusal(enum.Enum):
        """In order of precedence."""

        PETITION_NOT_FOUND = "petition_not_found"
        PETITION_CLOSED = "petition_closed"
        ROLL_DIFFERS = "roll_differs"
        NOT_ON_ROLL = "not_on_roll"
        ALREADY_SIGNED = "already_signed"

    permanent: ClassVar[frozenset[str]] = frozenset({"petition_closed", "roll_differs", "not_on_roll"})

    def execute(self, rows: Rows, context: Context) -> SignPetition.Refusal | None:
        """Shanghai art. 25: a fifth of the owners, and the committee must convene."""
        petition = rows.get(Petition, self.petition)
        if petition is None:
            return self.Refusal.PETITION_NOT_FOUND
        if petition.state == "answered":
            return self.Refusal.PETITION_CLOSED
        if petition.roll != self.roll:
            return self.Refusal.ROLL_DIFFERS
        head = rows.get(RollHead, self.roll, str(self.position))
        if head is None or context.author not in head.members:
            return self.Refusal.NOT_ON_ROLL
        before = rows.get(PetitionSignature, self.petition, str(self.position))
        if before is not None and not before.withdrawn:
            return self.Refusal.ALREADY_SIGNED

        self._put_signature(rows, context.author, withdrawn=False)
        petition = self._count(rows, petition, 1)
        if petition.state == "open" and is_one_fifth(petition.heads, petition.roll_heads):
            due_ms = context.time_ms + ANSWER_MS
            petition = msgspec.structs.replace(petition, state="reached", reached_ms=context.time_ms, due_ms=due_ms)
            set_timer(rows, due_ms, OVERDUE, petition.id)
        rows.put(petition)
        return None


class WithdrawSignature(_Signing, frozen=True):
    """A head's signature is taken back, by whoever of the head gave it, while the petition has not reached a fifth."""

    kind: ClassVar[str] = "petition.withdraw"

    class Refusal(enum.Enum):
        """In order of precedence."""

        PETITION_NOT_FOUND = "petition_not_found"
        ROLL_DIFFERS = "roll_differs"
        NOT_SIGNED = "not_signed"
        PETITION_CLOSED = "petition_closed"

    permanent: ClassVar[frozenset[str]] = frozenset({"petition_closed", "roll_differs"})

    def execute(self, rows: Rows, context: Context) -> WithdrawSignature.Refusal | None:
        """Once a fifth has signed the committee is bound, whoever thinks better of it."""
        petition = rows.get(Petition, self.petition)
        if petition is None:
            return self.Refusal.PETITION_NOT_FOUND
        if petition.roll != self.roll:
            return self.Refusal.ROLL_DIFFERS
        signature = rows.get(PetitionSignature, self.petition, str(self.position))
        if signature is None or signature.withdrawn or signature.member != context.author:
            return self.Refusal.NOT_SIGNED
        if petition.state != "open":
            return self.Refusal.PETITION_CLOSED
        self._put_signature(rows, context.author, withdrawn=True)
        rows.put(self._count(rows, petition, -1))
        return None


class CallPetitionOverdue(DerivedKind, frozen=True):
    """The committee has brought no motion in its time; everybody sees it. The key is the petition's id."""

    kind: ClassVar[str] = OVERDUE

    def access(self, key_: str) -> tuple[Key, ...]:
        """The petition, and its timer."""
        return (key(Petition, key_), timer_key(OVERDUE, key_))

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """An answered petition's timer was taken back, so this one is not answered."""
        petition = rows.get(Petition, key_)
        assert petition is not None and petition.state == "reached", "the timer is armed once a fifth has signed"
        rows.put(msgspec.structs.replace(petition, state="overdue"))


def petition_keys(petition: OptionalRecordId) -> tuple[Key, ...]:
    """The rows of a petition that a motion answers; none where it answers none."""
    return (key(Petition, petition), timer_key(OVERDUE, petition)) if petition else ()


def answer_petition(rows: Rows, petition_id: str, motion: str) -> None:
    """The petition is answered by a motion that the committee has approved; its clock stops."""
    petition = rows.get(Petition, petition_id)
    assert petition is not None, "a motion names a petition that is there"
    rows.put(msgspec.structs.replace(petition, state="answered", motion=motion))
    stop_timer(rows, OVERDUE, petition_id)
