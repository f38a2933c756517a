"""Tickets: every state against every step, who may take it, and the 72 hours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import pytest

from server.domain import KINDS
from server.domain.agenda import Timer
from server.domain.ticket import (
    AUTOCONFIRM_MS,
    CATEGORIES,
    NOTE_CHARACTERS_MAX,
    TRANSITIONS,
    Note,
    Ticket,
    TicketEvent,
    TicketPhoto,
)
from server.domain.ticket_step import AssignTicket, CompleteTicket, ConfirmTicket, ProgressTicket, ReopenTicket
from server.limits import DAY_MS, OPENING_BYTES_MAX
from server.record.canonical import Malformed, digest
from server.record.kind import private_fields_of
from server.record.shape import SALT_BYTES, open_private, seal
from tests.domain.world import World, photo, salt_of

NO_TICKET = digest(b"no such ticket")
REPORT: dict[str, Any] = {
    "category": "lift",
    "contact": "138 0000 0000",
    "home": False,
    "photos": [photo("before")],
    "place": "3 号楼 2 单元",
    "text": "电梯异响",
}

STEPS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "ticket.assign": ("hu", lambda ticket: {"handler": "sun", "ticket": ticket}),
    "ticket.progress": ("sun", lambda ticket: {"note": "在修", "photos": [], "ticket": ticket}),
    "ticket.complete": ("sun", lambda ticket: {"note": "修好了", "photos": [photo("after")], "ticket": ticket}),
    "ticket.confirm": ("li", lambda ticket: {"ticket": ticket}),
    "ticket.reopen": ("li", lambda ticket: {"note": "还响", "photos": [], "ticket": ticket}),
}
"""Each step with who may take it."""

PATHS = {
    "submitted": [],
    "assigned": ["ticket.assign"],
    "in_progress": ["ticket.assign", "ticket.progress"],
    "done": ["ticket.assign", "ticket.complete"],
    "confirmed": ["ticket.assign", "ticket.complete", "ticket.confirm"],
    "reopened": ["ticket.assign", "ticket.complete", "ticket.reopen"],
}
"""How a ticket comes into each state."""


def step(world: World, ticket: str, kind: str, **changes: Any) -> str:
    author, body = STEPS[kind]
    return world.do(author, kind, {**body(ticket), **changes})


def ticket_in(world: World, state: str) -> str:
    ticket = world.do("li", "ticket.report", REPORT)
    for kind in PATHS[state]:
        step(world, ticket, kind)
    row = world.get(Ticket, ticket)
    assert row is not None and row.state == state
    return ticket


def state_of(world: World, ticket: str) -> str:
    row = world.get(Ticket, ticket)
    assert row is not None
    return row.state


def test_a_report_shows_its_category_and_photos_and_nothing_of_its_text(world: World) -> None:
    before = dict(world.rows)
    ticket = world.do("li", "ticket.report", REPORT)
    row, event = world.get(Ticket, ticket), world.get(TicketEvent, ticket)
    assert row is not None and event is not None
    assert (row.reporter, row.category, row.home, row.state, row.events) == ("li", "lift", False, "submitted", 1)
    assert event.photos == (photo("before")["sha256"],)
    assert len(event.commitments) == 3
    assert all(opening in world.openings for opening in event.commitments)
    assert tickets_of(world, "before") == [ticket]
    shown = repr([row for name, row in world.rows.items() if before.get(name) != row])
    assert not any(REPORT[name] in shown for name in ("contact", "place", "text"))


def tickets_of(world: World, name: str) -> list[str]:
    """The tickets that a photo belongs to."""
    return [one.ticket for one in world.all(TicketPhoto, photo=photo(name)["sha256"])]


def test_naming_a_photo_of_somebody_elses_does_not_tie_it_to_a_ticket(world: World) -> None:
    ticket = world.do("li", "ticket.report", REPORT)
    world.do("chen", "ticket.report", REPORT)
    assert tickets_of(world, "before") == [ticket]


def test_a_photo_of_ones_own_and_one_of_who_handles_tickets_may_stand_in_several(world: World) -> None:
    tickets = [world.do("li", "ticket.report", REPORT) for _ in range(2)]
    assert sorted(tickets_of(world, "before")) == sorted(tickets)
    for ticket in tickets:
        world.do("sun", "ticket.assign", {"handler": "sun", "ticket": ticket})
        world.do("sun", "ticket.complete", {"note": "", "photos": [photo("after")], "ticket": ticket})
    assert sorted(tickets_of(world, "after")) == sorted(tickets)


def test_one_attestation_is_enough_to_report(world: World) -> None:
    world.bind("guest", nodes=("street",))
    world.do("guest", "ticket.report", {**REPORT, "home": True})


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_can_be_reported(world: World, category: str) -> None:
    world.do("li", "ticket.report", {**REPORT, "category": category})


def test_another_category_is_unknown(world: World) -> None:
    assert world.refuse("li", "ticket.report", {**REPORT, "category": "weather"}) == "category_unknown"


@pytest.mark.parametrize("state", TRANSITIONS)
@pytest.mark.parametrize("kind", STEPS)
def test_every_state_answers_every_step_as_the_table_says(world: World, state: str, kind: str) -> None:
    ticket = ticket_in(world, state)
    author, body = STEPS[kind]
    expected = {
        "submitted": {"ticket.assign": "assigned"},
        "assigned": {"ticket.assign": "assigned", "ticket.progress": "in_progress", "ticket.complete": "done"},
        "in_progress": {"ticket.assign": "assigned", "ticket.progress": "in_progress", "ticket.complete": "done"},
        "done": {"ticket.confirm": "confirmed", "ticket.reopen": "reopened"},
        "confirmed": {"ticket.reopen": "reopened"},
        "reopened": {"ticket.assign": "assigned"},
    }[state].get(kind)
    outcomes = world.block(world.record(author, kind, body(ticket)))
    reached = (outcomes[0], state_of(world, ticket))
    handled_before = state != "submitted"
    if expected is not None:
        assert reached == ("accepted", expected)
    elif kind == "ticket.complete" and not handled_before:
        assert reached == ("not_handler", state)
    else:
        assert reached == ("ticket_state_differs", state)


def test_the_table_knows_only_states_that_it_answers_for() -> None:
    assert {state for after in TRANSITIONS.values() for state in after.values()} <= set(TRANSITIONS)
    derived = {"ticket.autoconfirm"}
    assert {kind for after in TRANSITIONS.values() for kind in after} == {*STEPS, *derived}
    assert set(STEPS) | {"ticket.report"} == {kind for kind in KINDS if kind.startswith("ticket.")}


def ladder(world: World, kind: str, author: str, body: dict[str, Any], mends: list[Callable[[], object]]) -> list[str]:
    """The refusals of a record with every fault, as one after the other is mended; then it is accepted."""
    codes = []
    for mend in mends:
        codes.append(world.refuse(author, kind, body))
        mend()
    world.do(author, kind, body)
    return codes


def test_assigning_refusals_stand_in_their_order(world: World) -> None:
    ticket = ticket_in(world, "done")
    body: dict[str, Any] = {"handler": "li", "ticket": NO_TICKET}
    mends = [
        lambda: body.update(ticket=ticket),
        lambda: step(world, ticket, "ticket.reopen"),
        lambda: body.update(handler="qian"),
    ]
    assert ladder(world, AssignTicket.kind, "hu", body, mends) == [one.value for one in AssignTicket.Refusal]


def test_progress_refusals_stand_in_their_order(world: World) -> None:
    ticket = ticket_in(world, "submitted")
    body = {**STEPS["ticket.progress"][1](NO_TICKET)}
    codes = [world.refuse("hu", "ticket.progress", body)]
    body.update(ticket=ticket)
    codes.append(world.refuse("hu", "ticket.progress", body))
    codes.append(world.refuse("sun", "ticket.progress", body))
    assert codes == [one.value for one in ProgressTicket.Refusal]
    step(world, ticket, "ticket.assign")
    world.do("qian", "ticket.progress", body)


def test_a_committee_member_reports_progress_only_of_what_he_handles(world: World) -> None:
    ticket = ticket_in(world, "assigned")
    body = STEPS["ticket.progress"][1](ticket)
    assert world.refuse("hu", "ticket.progress", body) == "not_handler"
    step(world, ticket, "ticket.assign", handler="hu")
    world.do("hu", "ticket.progress", body)


def test_completing_refusals_stand_in_their_order(world: World) -> None:
    ticket = ticket_in(world, "done")
    body = {**STEPS["ticket.complete"][1](NO_TICKET), "photos": []}
    codes = [world.refuse("qian", "ticket.complete", body)]
    body.update(ticket=ticket)
    codes.append(world.refuse("qian", "ticket.complete", body))
    codes.append(world.refuse("sun", "ticket.complete", body))
    step(world, ticket, "ticket.reopen")
    step(world, ticket, "ticket.assign")
    codes.append(world.refuse("sun", "ticket.complete", body))
    assert codes == [one.value for one in CompleteTicket.Refusal]


def test_confirming_refusals_stand_in_their_order(world: World) -> None:
    ticket = world.do("sun", "ticket.report", REPORT)
    step(world, ticket, "ticket.assign")
    body = {"ticket": NO_TICKET}
    codes = [world.refuse("li", "ticket.confirm", body)]
    body.update(ticket=ticket)
    codes.append(world.refuse("li", "ticket.confirm", body))
    codes.append(world.refuse("sun", "ticket.confirm", body))
    step(world, ticket, "ticket.assign", handler="qian")
    codes.append(world.refuse("sun", "ticket.confirm", body))
    assert codes == [one.value for one in ConfirmTicket.Refusal]


def test_reopening_refusals_stand_in_their_order(world: World) -> None:
    ticket = ticket_in(world, "assigned")
    body = STEPS["ticket.reopen"][1](NO_TICKET)
    codes = [world.refuse("chen", "ticket.reopen", body)]
    body.update(ticket=ticket)
    codes.append(world.refuse("chen", "ticket.reopen", body))
    codes.append(world.refuse("li", "ticket.reopen", body))
    assert codes == [one.value for one in ReopenTicket.Refusal]


@pytest.mark.parametrize("state", TRANSITIONS)
@pytest.mark.parametrize("author", ["sun", "hu", "chen", "ma"])
def test_nobody_but_the_reporter_confirms(world: World, state: str, author: str) -> None:
    ticket = ticket_in(world, state)
    assert world.refuse(author, "ticket.confirm", {"ticket": ticket}) == "not_yours"


def test_the_handlers_organisation_stands_on_the_ticket(world: World) -> None:
    ticket = ticket_in(world, "assigned")
    row = world.get(Ticket, ticket)
    assert row is not None and (row.handler, row.organisation) == ("sun", "property")
    step(world, ticket, "ticket.assign", handler="hu")
    row = world.get(Ticket, ticket)
    assert row is not None and (row.handler, row.organisation) == ("hu", "owners")


def test_a_handler_who_lost_his_role_cannot_go_on(world: World) -> None:
    ticket = ticket_in(world, "assigned")
    for officer in ("officer-owners", "officer-street"):
        world.do(officer, "role.revoke", {"member": "sun", "organisation": "property", "role": "staff"})
    assert world.refuse("sun", "ticket.complete", STEPS["ticket.complete"][1](ticket)) == "role_missing"
    assert world.refuse("hu", "ticket.assign", {"handler": "sun", "ticket": ticket}) == "handler_not_staff"


def test_after_72_hours_a_done_ticket_is_confirmed_by_itself_and_not_before(world: World) -> None:
    ticket = ticket_in(world, "done")
    [timer] = world.all(Timer)
    assert timer.due_ms == world.time_ms + AUTOCONFIRM_MS
    filler = world.record("li", "ticket.report", REPORT, made_ms=world.time_ms + AUTOCONFIRM_MS - 10)
    early = world.copy()
    early.block(filler, after_ms=AUTOCONFIRM_MS - 1)
    assert state_of(early, ticket) == "done"
    world.block(after_ms=AUTOCONFIRM_MS)
    assert state_of(world, ticket) == "confirmed"
    event = world.get(TicketEvent, timer.key)
    assert event is not None and (event.kind, event.member, event.ticket) == ("ticket.autoconfirm", "", ticket)


@pytest.mark.parametrize("steps", [["ticket.confirm"], ["ticket.reopen"], ["ticket.confirm", "ticket.reopen"]])
def test_a_ticket_that_moved_on_is_left_alone_by_the_timer(world: World, steps: list[str]) -> None:
    ticket = ticket_in(world, "done")
    for kind in steps:
        step(world, ticket, kind)
    before = world.get(Ticket, ticket)
    world.block(after_ms=AUTOCONFIRM_MS)
    assert world.get(Ticket, ticket) == before
    assert all(timer.done for timer in world.all(Timer))


def test_each_completion_has_its_own_72_hours(world: World) -> None:
    ticket = ticket_in(world, "done")
    world.block(world.record("li", "ticket.report", REPORT, made_ms=world.time_ms + DAY_MS), after_ms=DAY_MS)
    for kind in ("ticket.reopen", "ticket.assign", "ticket.complete"):
        step(world, ticket, kind)
    completed_ms = world.time_ms
    first, second = sorted(world.all(Timer), key=lambda timer: timer.due_ms)
    world.block(after_ms=first.due_ms - world.time_ms)
    assert state_of(world, ticket) == "done"
    assert second.due_ms == completed_ms + AUTOCONFIRM_MS
    world.block(after_ms=second.due_ms - world.time_ms)
    assert state_of(world, ticket) == "confirmed"


def test_every_step_leaves_an_event_and_is_counted(world: World) -> None:
    ticket = ticket_in(world, "reopened")
    events = sorted(world.all(TicketEvent, ticket=ticket), key=lambda event: event.index)
    assert [event.kind for event in events] == ["ticket.report", "ticket.assign", "ticket.complete", "ticket.reopen"]
    assert [event.state for event in events] == ["submitted", "assigned", "done", "reopened"]
    row = world.get(Ticket, ticket)
    assert row is not None and (row.events, row.reopened, row.completion) == (4, 1, "")
    assert row.changed_ms == events[-1].at_ms


@pytest.mark.parametrize("character", ["a", "理", "😀", "\n", '"', "\\"])
def test_the_longest_private_text_fits_an_opening_in_any_script(character: str) -> None:
    commitment, opening = seal(character * NOTE_CHARACTERS_MAX, salt_of("x"))
    assert len(opening) <= OPENING_BYTES_MAX
    assert open_private(Note, commitment, opening) == character * NOTE_CHARACTERS_MAX
    with pytest.raises(Malformed):
        open_private(Note, *seal(character * (NOTE_CHARACTERS_MAX + 1), salt_of("x")))


@pytest.mark.parametrize("kind", ["ticket.report", "ticket.progress", "ticket.complete", "ticket.reopen"])
def test_no_private_text_may_be_longer_than_an_opening_holds(kind: str) -> None:
    for value_type in private_fields_of(KINDS[kind]).values():
        [pattern] = [mark.pattern for mark in get_args(value_type) if hasattr(mark, "pattern")]
        longest = max(int(number) for number in re.findall(r"\{0,(\d+)\}", pattern))
        assert SALT_BYTES + 2 + 4 * longest <= OPENING_BYTES_MAX
