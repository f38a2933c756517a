"""Pages read what the last block left, in order, whole, and page by page."""

from __future__ import annotations

from hashlib import sha256

import pytest

from server.domain.ballot import Ballot
from server.domain.member import Member
from server.domain.motion import Motion
from server.domain.offer import Offer
from server.domain.points import Account, Transfer
from server.domain.roll import RollHead
from server.domain.ticket import Ticket, TicketEvent
from server.record.canonical import Malformed, digest
from server.record.rows import Key, Row
from server.storage.database import Database
from server.storage.queries import Queries
from server.storage.rows import RowStore
from server.storage.statements import Batch
from tests.storage.estate import Estate


async def write(database: Database, *rows: Row) -> Queries:
    changed = {Key(row.table, row.id): row for row in rows}
    batch = Batch()
    RowStore(database).flush(batch, changed, 0)
    await database.run(batch.run)
    return Queries(database)


def ticket(number: int, changed_ms: int, **changes: object) -> Ticket:
    fields = {"reporter": "m-1", "state": "submitted", "handler": "", "organisation": ""} | changes
    return Ticket(
        id=digest(b"%d" % number),
        category="lift",
        home=False,
        completion="",
        opened_ms=1,
        changed_ms=changed_ms,
        events=1,
        reopened=0,
        **fields,  # type: ignore[arg-type]
    )


def event(name: str, of: str, index: int) -> TicketEvent:
    return TicketEvent(name, of, "ticket.report", "submitted", "m-1", 5, index, ("p",), ("c",))


def transfer(index: int, debit: str, credit: str) -> Transfer:
    return Transfer(digest(b"%d" % index), debit, credit, 1, "points.grant", "", 5, index)


def head(roll: str, position: int, *members: str) -> RollHead:
    return RollHead(f"{roll}/{position}", roll, position, members, 100, "leaf")


def ballot(motion: str, position: int, member: str, question: str = "q1") -> Ballot:
    return Ballot(f"{motion}/{question}/{position}", motion, question, position, "r", member, "c", 100, 5, 0)


async def test_motion_is_read_with_turnout_and_head_and_ballots(estate: Estate) -> None:
    motion = await estate.add_motion(4)
    await estate.accept(estate.ballot(motion, 1), estate.ballot(motion, 3))
    queries = Queries(estate.ledger.database)
    row = await queries.get(Motion, motion)
    assert row is not None
    assert (row.title, row.state, row.roll_heads) == ("维修电梯", "open", 4)
    assert [(one.question, one.heads, one.area_cm2) for one in await queries.turnouts(motion)] == [("q1", 2, 2_000_000)]
    assert await queries.results(motion) == []
    assert [one.position for one in await queries.ballots_of(motion)] == [1, 3]
    assert [one.id for one in await queries.rolls()] == ["roll-1"]
    assert [one.label for one in await queries.devices("m-1")] == ["phone"]


async def test_ballots_come_by_position_as_a_number(database: Database) -> None:
    queries = await write(database, *(ballot("m", place, "x") for place in (10, 9, 2, 100)), ballot("n", 1, "x"))
    assert [one.position for one in await queries.ballots_of("m")] == [2, 9, 10, 100]


async def test_heads_are_those_of_the_member_and_roll(database: Database) -> None:
    queries = await write(
        database, head("r", 10, "m-1", "m-2"), head("r", 2, "m-1"), head("r", 3, "m-11"), head("s", 0, "m-1")
    )
    assert [one.position for one in await queries.heads_of("r", "m-1")] == [2, 10]
    for other in ("m", "m_1", "%", 'm-1"', ""):
        assert await queries.heads_of("r", other) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_pages_together_hold_every_row_once_in_order(database: Database, limit: int) -> None:
    tickets = [ticket(number, changed_ms=number // 3) for number in range(10)]
    queries = await write(database, *tickets)
    expected = sorted(tickets, key=lambda one: (one.changed_ms, one.id), reverse=True)
    found, cursor = await queries.tickets("", limit)
    while cursor:
        page, cursor = await queries.tickets(cursor, limit)
        found += page
    assert found == expected


async def test_tickets_are_narrowed_by_what_is_given(database: Database) -> None:
    mine = ticket(1, 1)
    others = ticket(2, 2, reporter="m-2", state="assigned")
    queries = await write(database, mine, others)
    assert (await queries.tickets())[0] == [others, mine]
    assert (await queries.tickets(reporter="m-1"))[0] == [mine]
    assert (await queries.tickets(state="assigned"))[0] == [others]
    assert (await queries.tickets(reporter="m-1", state="assigned"))[0] == []


@pytest.mark.parametrize("cursor", ["x", "/", "1", "99999999999999999999/x", "9223372036854775808/x", "1 OR 1=1/x"])
async def test_cursor_that_no_page_gave_is_malformed(database: Database, cursor: str) -> None:
    with pytest.raises(Malformed):
        await Queries(database).tickets(cursor)


async def test_events_of_a_ticket_come_in_the_order_of_the_ledger(database: Database) -> None:
    events = [event("z", "t", 1), event("a", "t", 7), event("b", "u", 3)]
    queries = await write(database, *events)
    assert await queries.ticket_events("t") == events[:2]
    assert await queries.events(["a", "b", "none"]) == [events[2], events[1]]


async def test_account_shows_both_sides_newest_first(database: Database) -> None:
    rows = [transfer(index, *pair) for index, pair in enumerate([("i", "a"), ("a", "b"), ("c", "d"), ("b", "a")])]
    queries = await write(database, *rows, Account("a", 3, 10))
    assert await queries.transfers("a") == ([rows[3], rows[1], rows[0]], "")
    page, cursor = await queries.transfers("a", "", 2)
    assert page == [rows[3], rows[1]]
    assert await queries.transfers("a", cursor, 2) == ([rows[0]], "")
    assert (await queries.account("a")).balance == 7
    assert await queries.account("nobody") == Account("nobody")


async def test_offers_of_a_shop_and_those_that_are_open(database: Database) -> None:
    offers = [Offer(sha256(b"%d" % place).hexdigest(), "shop", 5, 99, place) for place in range(4)]
    used = Offer("used", "shop", 5, 99, 3, state="redeemed")
    queries = await write(database, *offers, used, Offer("other", "shop-2", 5, 99, 2))
    found, cursor = await queries.offers("shop", "", 3)
    assert {one.id for one in found[:2]} == {"used", offers[3].id}
    assert found[2] == offers[2]
    assert await queries.offers("shop", cursor, 3) == ([offers[1], offers[0]], "")
    assert {one.id for one in await queries.offers_since(2)} == {offers[2].id, offers[3].id, "other"}


async def test_members_are_found_by_role_with_or_without_organisation(database: Database) -> None:
    roles = {"m-1": ("resident",), "m-2": ("staff@property",), "m-3": ("resident", "staff@street"), "m-4": ()}
    queries = await write(database, *(Member(name, held) for name, held in roles.items()))

    async def ids(role: str, after: str = "") -> list[str]:
        return [member.id for member in await queries.members_with_role(role, after=after)]

    assert await ids("staff") == ["m-2", "m-3"]
    assert await ids("staff", "m-2") == ["m-3"]
    assert await ids("staff@property") == ["m-2"]
    assert await ids("resident") == ["m-1", "m-3"]
    assert await ids("%") == await ids("st_ff") == await ids("staf") == []


async def test_select_narrows_by_columns_and_goes_on_after_an_id(database: Database) -> None:
    queries = await write(database, *(head("r", place, "m-1") for place in range(5)), head("s", 0, "m-1"))
    assert [one.id for one in await queries.select(RollHead, roll="r", limit=2)] == ["r/0", "r/1"]
    assert [one.id for one in await queries.select(RollHead, roll="r", after="r/3")] == ["r/4"]
    with pytest.raises(AssertionError):
        await queries.select(RollHead, **{'roll" OR "1': "1"})
