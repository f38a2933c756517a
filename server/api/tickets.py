"""Tickets as those may see them who have to do with them: the reporter, staff and the committee; else 404.

Texts, place and contact come from the openings that this node keeps; a deleted one shows as empty. Reading a ticket
leaves a line in the access log, with pseudonyms only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import structlog

from server.api.call import Call, Caller
from server.api.errors import Declined
from server.api.paging import LIMIT_DEFAULT, Cursor, Limit, Page
from server.api.route import Path, Query, Routes
from server.domain import KINDS
from server.domain.ticket import HANDLING, TRANSITIONS, Ticket, TicketEvent
from server.record.canonical import Malformed
from server.record.kind import Role, private_fields_of
from server.record.shape import RecordId, open_private

routes = Routes()
log = structlog.get_logger()
Openings = Mapping[str, Mapping[str, bytes]]
Verb = Literal["assign", "progress", "complete", "confirm", "reopen"]
_VERBS: tuple[Verb, ...] = ("assign", "progress", "complete", "confirm", "reopen")
TicketState = Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{0,20}$(?!\n)", description="A state; empty: all")]


class TicketSummary(msgspec.Struct, frozen=True):
    """A ticket in a list."""

    id: str
    category: str
    state: str
    place: str
    home: bool
    at_ms: int
    changed_ms: int
    reopened: int


class TicketStep(msgspec.Struct, frozen=True):
    """One thing that happened to a ticket. `by` is a pseudonym, empty for what time did."""

    record: str
    kind: str
    state: str
    at_ms: int
    by: str
    note: str
    photos: tuple[str, ...]


class TicketPage(msgspec.Struct, frozen=True):
    """A ticket with its history, and what the caller may do now."""

    id: str
    category: str
    state: str
    home: bool
    place: str
    text: str
    contact: str
    reporter: str
    handler: str
    organisation: str
    at_ms: int
    changed_ms: int
    reopened: int
    photos: tuple[str, ...]
    history: tuple[TicketStep, ...]
    may: tuple[Verb, ...]


def handles(caller: Caller) -> bool:
    """Does the caller handle tickets of the estate?"""
    return any(caller.has(role) for role in HANDLING)


def may_see(caller: Caller, ticket: Ticket) -> bool:
    """The right to a ticket, and with it to its texts and photos (decisions 16). A handler's ends with his office."""
    return caller.member == ticket.reporter or handles(caller)


@routes.route("GET", "/api/v1/tickets")
async def list_tickets(
    call: Call,
    cursor: Annotated[Cursor, Query] = "",
    limit: Annotated[Limit, Query] = LIMIT_DEFAULT,
    state: Annotated[TicketState, Query] = "",
    mine: Annotated[bool, Query] = False,
) -> Page[TicketSummary]:
    """The caller's own tickets, newest change first; who handles tickets sees all, unless `mine` is asked for."""
    reporter = "" if handles(call.caller) and not mine else call.caller.member
    tickets, following = await call.node.queries.tickets(cursor, limit, reporter=reporter, state=state)
    ids = [ticket.id for ticket in tickets]
    reports = {event.id: event for event in await call.node.queries.events(ids)}
    openings = await call.node.openings.of_records(list(reports))
    places = [_values_of(reports[name], openings).get("place", "") for name in ids]
    return Page([_summary(ticket, place) for ticket, place in zip(tickets, places, strict=True)], following)


@routes.route("GET", "/api/v1/tickets/{id}", declines=("ticket_unknown",))
async def show_ticket(call: Call, id: Annotated[RecordId, Path]) -> TicketPage:
    """A ticket, to those who have to do with it."""
    ticket = await call.node.queries.get(Ticket, id)
    if ticket is None or not may_see(call.caller, ticket):
        raise Declined("ticket_unknown")
    events = await call.node.queries.ticket_events(id)
    openings = await call.node.openings.of_records([event.id for event in events])
    log.info("ticket_read", ticket=id, member=call.caller.member)
    return _page(ticket, events, openings, call.caller)


def _summary(ticket: Ticket, place: str) -> TicketSummary:
    return TicketSummary(
        ticket.id,
        ticket.category,
        ticket.state,
        place,
        ticket.home,
        ticket.opened_ms,
        ticket.changed_ms,
        ticket.reopened,
    )


def _page(ticket: Ticket, events: Sequence[TicketEvent], openings: Openings, caller: Caller) -> TicketPage:
    report = _values_of(events[0], openings)
    return TicketPage(
        ticket.id,
        ticket.category,
        ticket.state,
        ticket.home,
        report.get("place", ""),
        report.get("text", ""),
        report.get("contact", ""),
        ticket.reporter,
        ticket.handler,
        ticket.organisation,
        ticket.opened_ms,
        ticket.changed_ms,
        ticket.reopened,
        events[0].photos,
        tuple(_step(event, openings) for event in events),
        verbs_of(ticket, caller),
    )


def _step(event: TicketEvent, openings: Openings) -> TicketStep:
    note = _values_of(event, openings).get("note", "")
    return TicketStep(event.id, event.kind, event.state, event.at_ms, event.member, note, event.photos)


def _values_of(event: TicketEvent, openings: Openings) -> Mapping[str, Any]:
    """The private values of an event's record that are held here; the order of commitments is that of the fields."""
    kind = KINDS.get(event.kind)
    if kind is None:
        return {}
    held = openings.get(event.id, {})
    return open_values(dict(zip(private_fields_of(kind), event.commitments, strict=True)), event.kind, held)


def open_values(commitments: Mapping[str, str], kind: str, held: Mapping[str, bytes]) -> Mapping[str, Any]:
    """Field by field the private values whose openings are held and fit."""
    values: dict[str, Any] = {}
    for name, value_type in private_fields_of(KINDS[kind]).items():
        commitment = commitments[name]
        if commitment in held:
            try:
                values[name] = open_private(value_type, commitment, held[commitment])
            except Malformed:
                log.warning("opening_unreadable", commitment=commitment)
    return values


def verbs_of(ticket: Ticket, caller: Caller) -> tuple[Verb, ...]:
    """What the caller may do to a ticket now: the table of states, and who may take each step."""
    allowed = TRANSITIONS[ticket.state]
    return tuple(verb for verb in _VERBS if f"ticket.{verb}" in allowed and _may(verb, ticket, caller))


def _may(verb: Verb, ticket: Ticket, caller: Caller) -> bool:
    """As the rules of ticket_step would say; execution decides."""
    is_reporter, is_handler = caller.member == ticket.reporter, caller.member == ticket.handler
    match verb:
        case "assign":
            return handles(caller)
        case "progress":
            return handles(caller) and (is_handler or caller.has(Role.STAFF))
        case "complete":
            return handles(caller) and is_handler
        case "confirm":
            return is_reporter and not is_handler
        case "reopen":
            return is_reporter
