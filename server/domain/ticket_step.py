"""The steps of a ticket after its report: each looks up the table of states, who may take it, and what it needs."""

from __future__ import annotations

import enum
from typing import Annotated, Any, ClassVar

import msgspec

from server.domain.agenda import set_timer, timer_key
from server.domain.member import Member
from server.domain.ticket import (
    AUTOCONFIRM,
    AUTOCONFIRM_MS,
    HANDLING,
    TRANSITIONS,
    Note,
    Ticket,
    TicketEvent,
    change_ticket,
    photo_keys,
    record_change,
    timer_event,
)
from server.record.kind import Context, DerivedKind, Place, RecordKind, Role, Signed
from server.record.rows import Key, Rows, key
from server.record.shape import Digest, MemberId, Opens, Photos, RecordId


class _TicketStep(RecordKind, frozen=True):
    """What all steps share: the ticket that they change."""

    ticket: RecordId

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The ticket, this event, and its photos."""
        photos = photo_keys(self.photo_refs(), signed.id)
        return (key(Ticket, self.ticket), key(TicketEvent, signed.id), *photos)

    def _next_state(self, ticket: Ticket) -> str | None:
        return TRANSITIONS[ticket.state].get(self.kind)

    def _change(self, rows: Rows, context: Context, ticket: Ticket, state: str, **columns: Any) -> None:
        record_change(rows, context, msgspec.structs.replace(ticket, state=state, **columns))


class AssignTicket(_TicketStep, frozen=True):
    """Staff or the committee names who handles a ticket."""

    kind: ClassVar[str] = "ticket.assign"
    signed_by: ClassVar[frozenset[Role]] = frozenset(HANDLING)

    class Refusal(enum.Enum):
        """In order of precedence."""

        TICKET_NOT_FOUND = "ticket_not_found"
        TICKET_STATE_DIFFERS = "ticket_state_differs"
        HANDLER_NOT_STAFF = "handler_not_staff"

    handler: MemberId

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The handler too."""
        return (key(Member, self.handler), *super().access(signed))

    def execute(self, rows: Rows, context: Context) -> AssignTicket.Refusal | None:
        """Product 2.3 M2."""
        ticket = rows.get(Ticket, self.ticket)
        if ticket is None:
            return self.Refusal.TICKET_NOT_FOUND
        state = self._next_state(ticket)
        if state is None:
            return self.Refusal.TICKET_STATE_DIFFERS
        organisation = handling_organisation(rows.get(Member, self.handler))
        if organisation is None:
            return self.Refusal.HANDLER_NOT_STAFF
        self._change(rows, context, ticket, state, handler=self.handler, organisation=organisation)
        return None


def handling_organisation(member: Member | None) -> str | None:
    """The organisation for which a member handles tickets; None when he does not."""
    prefixes = tuple(f"{role.value}@" for role in HANDLING)
    held = (role for role in (member.roles if member else ()) if role.startswith(prefixes))
    found = next(held, None)
    return found.partition("@")[2] if found else None


class ProgressTicket(_TicketStep, frozen=True):
    """The handler, or other staff, says how it goes."""

    kind: ClassVar[str] = "ticket.progress"
    signed_by: ClassVar[frozenset[Role]] = frozenset(HANDLING)

    class Refusal(enum.Enum):
        """In order of precedence."""

        TICKET_NOT_FOUND = "ticket_not_found"
        NOT_HANDLER = "not_handler"
        TICKET_STATE_DIFFERS = "ticket_state_differs"

    note: Annotated[Digest, Opens(Note)]
    photos: Photos

    def execute(self, rows: Rows, context: Context) -> ProgressTicket.Refusal | None:
        """Product 2.3 M2."""
        ticket = rows.get(Ticket, self.ticket)
        if ticket is None:
            return self.Refusal.TICKET_NOT_FOUND
        if context.author != ticket.handler and not context.organisations(Role.STAFF):
            return self.Refusal.NOT_HANDLER
        state = self._next_state(ticket)
        if state is None:
            return self.Refusal.TICKET_STATE_DIFFERS
        self._change(rows, context, ticket, state)
        return None


class CompleteTicket(_TicketStep, frozen=True):
    """The handler says that it is done and shows it; the reporter has 72 hours to object."""

    kind: ClassVar[str] = "ticket.complete"
    signed_by: ClassVar[frozenset[Role]] = frozenset(HANDLING)

    class Refusal(enum.Enum):
        """In order of precedence."""

        TICKET_NOT_FOUND = "ticket_not_found"
        NOT_HANDLER = "not_handler"
        TICKET_STATE_DIFFERS = "ticket_state_differs"
        PHOTO_MISSING = "photo_missing"

    permanent: ClassVar[frozenset[str]] = frozenset({"photo_missing"})

    note: Annotated[Digest, Opens(Note)]
    photos: Photos

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The timer of this completion too."""
        return (timer_key(AUTOCONFIRM, completion_key(self.ticket, signed.id)), *super().access(signed))

    def execute(self, rows: Rows, context: Context) -> CompleteTicket.Refusal | None:
        """Product 2.3 M4: a photo after the work."""
        ticket = rows.get(Ticket, self.ticket)
        if ticket is None:
            return self.Refusal.TICKET_NOT_FOUND
        if context.author != ticket.handler:
            return self.Refusal.NOT_HANDLER
        state = self._next_state(ticket)
        if state is None:
            return self.Refusal.TICKET_STATE_DIFFERS
        if not self.photos:
            return self.Refusal.PHOTO_MISSING
        record = context.signed.id
        self._change(rows, context, ticket, state, completion=record)
        set_timer(rows, context.time_ms + AUTOCONFIRM_MS, AUTOCONFIRM, completion_key(ticket.id, record))
        return None


def completion_key(ticket: str, record: str) -> str:
    """Key of the timer of one completion of a ticket: a later completion has a timer of its own."""
    return f"{ticket}/{record}"


class ConfirmTicket(_TicketStep, frozen=True):
    """The reporter confirms that it is fixed."""

    kind: ClassVar[str] = "ticket.confirm"
    signed_by: ClassVar[frozenset[Role]] = frozenset()

    class Refusal(enum.Enum):
        """In order of precedence."""

        TICKET_NOT_FOUND = "ticket_not_found"
        NOT_YOURS = "not_yours"
        HANDLER_CANNOT_CONFIRM = "handler_cannot_confirm"
        TICKET_STATE_DIFFERS = "ticket_state_differs"

    def execute(self, rows: Rows, context: Context) -> ConfirmTicket.Refusal | None:
        """Product 2.3 N1: a handler cannot say "fixed", also not of what he reported himself."""
        ticket = rows.get(Ticket, self.ticket)
        if ticket is None:
            return self.Refusal.TICKET_NOT_FOUND
        if context.author != ticket.reporter:
            return self.Refusal.NOT_YOURS
        if context.author == ticket.handler:
            return self.Refusal.HANDLER_CANNOT_CONFIRM
        state = self._next_state(ticket)
        if state is None:
            return self.Refusal.TICKET_STATE_DIFFERS
        self._change(rows, context, ticket, state)
        return None


class ReopenTicket(_TicketStep, frozen=True):
    """The reporter says that it is not fixed; the ticket waits to be assigned again."""

    kind: ClassVar[str] = "ticket.reopen"
    signed_by: ClassVar[frozenset[Role]] = frozenset()

    class Refusal(enum.Enum):
        """In order of precedence."""

        TICKET_NOT_FOUND = "ticket_not_found"
        NOT_YOURS = "not_yours"
        TICKET_STATE_DIFFERS = "ticket_state_differs"

    note: Annotated[Digest, Opens(Note)]
    photos: Photos

    def execute(self, rows: Rows, context: Context) -> ReopenTicket.Refusal | None:
        """Product 2.3 M6: reopening is always a visible event."""
        ticket = rows.get(Ticket, self.ticket)
        if ticket is None:
            return self.Refusal.TICKET_NOT_FOUND
        if context.author != ticket.reporter:
            return self.Refusal.NOT_YOURS
        state = self._next_state(ticket)
        if state is None:
            return self.Refusal.TICKET_STATE_DIFFERS
        self._change(rows, context, ticket, state, completion="", reopened=ticket.reopened + 1)
        return None


class ConfirmTicketByTime(DerivedKind, frozen=True):
    """72 hours after a completion the ticket is confirmed, unless it was reopened. The key is `<ticket>/<record>`."""

    kind: ClassVar[str] = AUTOCONFIRM

    def access(self, key_: str) -> tuple[Key, ...]:
        """The ticket and the event."""
        return (key(Ticket, key_.partition("/")[0]), key(TicketEvent, key_))

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """Product 2.3 M2. A timer of an earlier completion, or of a ticket that moved on, does nothing."""
        name, _, completion = key_.partition("/")
        ticket = rows.get(Ticket, name)
        assert ticket is not None, "a completion arms this timer for a ticket that exists"
        state = TRANSITIONS[ticket.state].get(AUTOCONFIRM)
        if state is None or ticket.completion != completion:
            return
        changed = msgspec.structs.replace(ticket, state=state)
        change_ticket(rows, changed, timer_event(key_, ticket.id, state, place))
