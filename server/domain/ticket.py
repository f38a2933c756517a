"""Tickets: what residents report, who handles it, and what became of it, photo by photo.

A handler never says that something is fixed: the reporter does, or 72 hours without his objection. Texts, contact and
place are private; the ledger holds their commitments. The steps after the report are in ticket_step.py.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.photo import PhotoOwner, claim_photo
from server.limits import HOUR_MS, OPENING_BYTES_MAX
from server.record.kind import Context, Place, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import SALT_BYTES, Digest, Name, Opens, OptionalLine, PhotoRef, Photos

AUTOCONFIRM = "ticket.autoconfirm"
AUTOCONFIRM_MS = 72 * HOUR_MS
"""A ticket that is done is confirmed by itself after this time, with notice to the reporter (product.md 2.3)."""
NOTE_CHARACTERS_MAX = 1_000
Note = Annotated[
    str,
    Meta(pattern=r"^[^\u0000-\u0009\u000b-\u001f\u007f]{0,1000}$(?!\n)", description="Private text of several lines"),
]
"""Private text: shorter than public text, because its opening must fit whatever the script."""
assert SALT_BYTES + 2 + 4 * NOTE_CHARACTERS_MAX <= OPENING_BYTES_MAX
HANDLING = (Role.STAFF, Role.COMMITTEE)
"""Roles whose holders may handle tickets, and see all of them."""
CATEGORIES = ("cleaning", "door", "lift", "lighting", "noise", "other", "parking", "power", "safety", "water")

TRANSITIONS: Mapping[str, Mapping[str, str]] = {
    "submitted": {"ticket.assign": "assigned"},
    "assigned": {"ticket.assign": "assigned", "ticket.progress": "in_progress", "ticket.complete": "done"},
    "in_progress": {"ticket.assign": "assigned", "ticket.progress": "in_progress", "ticket.complete": "done"},
    "done": {"ticket.confirm": "confirmed", AUTOCONFIRM: "confirmed", "ticket.reopen": "reopened"},
    "confirmed": {"ticket.reopen": "reopened"},
    "reopened": {"ticket.assign": "assigned"},
}
"""The states of a ticket: what each kind makes of each state. What is not here is refused.

Assigning again while it is being handled replaces a handler who left. A small job may be completed without a progress
note. Only the reporter (or time) confirms, and a confirmed ticket can be reopened: closed is not fixed.
"""


class Ticket(Row, frozen=True):
    """A ticket as it stands. `completion` is the record that last said it was done; empty once that is undone."""

    table: ClassVar[str] = "ticket"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("changed_ms",),
        ("state", "changed_ms"),
        ("reporter", "changed_ms"),
    )
    reporter: str
    category: str
    home: bool
    state: str
    handler: str
    organisation: str
    completion: str
    opened_ms: int
    changed_ms: int
    events: int
    reopened: int


class TicketEvent(Row, frozen=True):
    """One step of a ticket. Its id is the record's or the timer's key; `photos` are hex digests of cleaned pictures."""

    table: ClassVar[str] = "ticket_event"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("ticket", "index"),)
    ticket: str
    kind: str
    state: str
    member: str
    at_ms: int
    index: int
    photos: tuple[str, ...] = ()
    commitments: tuple[str, ...] = ()


class TicketPhoto(Row, frozen=True):
    """A photo of a ticket, so that the right to a picture is the right to its ticket. Id `<photo>/<record>`."""

    table: ClassVar[str] = "ticket_photo"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("photo",),)
    photo: str
    ticket: str


def photo_keys(photos: tuple[PhotoRef, ...], record: str) -> tuple[Key, ...]:
    """The rows that tie a record's photos to its ticket."""
    named = tuple(dict.fromkeys(photo.sha256 for photo in photos))
    owners = (key(PhotoOwner, photo) for photo in named)
    return (*owners, *(key(TicketPhoto, photo, record) for photo in named))


def change_ticket(rows: Rows, ticket: Ticket, event: TicketEvent) -> None:
    """Store the ticket with one more event, and the event."""
    rows.put(msgspec.structs.replace(ticket, changed_ms=event.at_ms, events=ticket.events + 1))
    rows.put(event)


def record_change(rows: Rows, context: Context, ticket: Ticket) -> None:
    """Store what a record makes of a ticket, and the photos that it names."""
    event = _record_event(context, ticket.id, ticket.state)
    change_ticket(rows, ticket, event)
    for photo in event.photos:
        _tie_photo(rows, context, photo, ticket.id)


def _tie_photo(rows: Rows, context: Context, photo: str, ticket: str) -> None:
    """Who handles tickets may see them all, so a picture of his may stand in several."""
    if claim_photo(rows, context, photo) or any(context.organisations(role) for role in HANDLING):
        rows.put(TicketPhoto(f"{photo}/{context.signed.id}", photo, ticket))


def _record_event(context: Context, ticket: str, state: str) -> TicketEvent:
    signed, place = context.signed, context.place
    return TicketEvent(
        id=signed.id,
        ticket=ticket,
        kind=signed.kind,
        state=state,
        member=signed.author,
        at_ms=place.time_ms,
        index=place.index,
        photos=tuple(dict.fromkeys(photo.sha256 for photo in signed.body.photo_refs())),
        commitments=signed.body.commitments(),
    )


def timer_event(key_: str, ticket: str, state: str, place: Place) -> TicketEvent:
    """The event of a timer."""
    return TicketEvent(key_, ticket, AUTOCONFIRM, state, "", place.time_ms, place.index)


class ReportTicket(RecordKind, frozen=True):
    """A member reports something: a category, photos, and in private what and where it is."""

    kind: ClassVar[str] = "ticket.report"
    signed_by: ClassVar[frozenset[Role]] = frozenset()

    class Refusal(enum.Enum):
        """In order of precedence."""

        CATEGORY_UNKNOWN = "category_unknown"

    category: Name
    contact: Annotated[Digest, Opens(OptionalLine)]
    home: bool
    photos: Photos
    place: Annotated[Digest, Opens(OptionalLine)]
    text: Annotated[Digest, Opens(Note)]

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The ticket, its first event, and its photos."""
        return (key(Ticket, signed.id), key(TicketEvent, signed.id), *photo_keys(self.photos, signed.id))

    def execute(self, rows: Rows, context: Context) -> ReportTicket.Refusal | None:
        """Product 2.3: one attestation is enough to report."""
        if self.category not in CATEGORIES:
            return self.Refusal.CATEGORY_UNKNOWN
        ticket = Ticket(
            id=context.signed.id,
            reporter=context.author,
            category=self.category,
            home=self.home,
            state="submitted",
            handler="",
            organisation="",
            completion="",
            opened_ms=context.time_ms,
            changed_ms=context.time_ms,
            events=0,
            reopened=0,
        )
        record_change(rows, context, ticket)
        return None
