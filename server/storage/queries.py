"""Reading for pages: straight from the row tables, as the last stored block left them. Never through consensus.

Long lists are paged: a cursor names the last row of the page before, empty for the first page; another text raises
Malformed. It must not know who asks: rights are the API's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from server.domain.ballot import Ballot
from server.domain.delivery import Delivery
from server.domain.member import Device, Member
from server.domain.motion import Motion, Turnout
from server.domain.offer import OPEN, Offer
from server.domain.points import Account, Transfer
from server.domain.roll import Roll, RollHead
from server.domain.tally import TallyResult
from server.domain.ticket import Ticket, TicketEvent, TicketPhoto
from server.record.canonical import Malformed
from server.record.rows import Row, key
from server.storage.database import Database
from server.storage.statements import Connection, fetch, find_rows
from server.storage.tables import ROW_TABLES

LIMIT_MAX = 200
"""Rows of one page."""
_CURSOR = re.compile(r"(-?[0-9]{1,19})/(.{0,255})", re.DOTALL)
R = TypeVar("R", bound=Row)


class Queries:
    """The reading side of one node. Lists come with the cursor of their next page, empty at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, row: type[R], *parts: str) -> R | None:
        """One row by its id, composite ids in parts."""
        name = key(row, *parts)
        table = ROW_TABLES[row.table]
        found = await self._database.read(lambda connection: find_rows(connection, table.table, [name.id]))
        return cast("R", table.row(found[0])) if found else None

    async def select(self, row: type[R], *, after: str = "", limit: int = 100, **columns: Any) -> list[R]:
        """Rows whose columns have these values, in the order of their ids, those after an id."""
        wanted = {name: (value,) for name, value in columns.items()}
        where, values = _equal(row, wanted)
        tail = f'{where} AND "id" > ? ORDER BY "id" LIMIT ?'
        return await self._rows(row, tail, [*values, after, _bounded(limit)])

    async def newest(
        self, row: type[R], order: str, cursor: str, limit: int, **columns: str | int | Sequence[str]
    ) -> tuple[list[R], str]:
        """A page of rows whose columns have these values (or one of several), the largest in column `order` first."""
        wanted = {name: (value,) if isinstance(value, str | int) else tuple(value) for name, value in columns.items()}
        where, values = _equal(row, wanted)
        column = _column(row, order)
        if cursor:
            before, name = _read_cursor(cursor)
            # As a pair, so that the index is entered at the cursor: an OR would walk to it from the newest row.
            where += f' AND ({column}, "id") < (?, ?)'
            values += [before, name]
        limit = _bounded(limit)
        found = await self._rows(row, f'{where} ORDER BY {column} DESC, "id" DESC LIMIT ?', [*values, limit + 1])
        return _page(found, limit, order)

    async def rolls(self) -> list[Roll]:
        """All rolls, newest first."""
        return await self._rows(Roll, 'TRUE ORDER BY "published_ms" DESC, "id" DESC', [])

    async def heads_of(self, roll: str, member: str) -> list[RollHead]:
        """The heads of a roll that a member belongs to, by position."""
        where, values = _equal(RollHead, {"roll": (roll,)})
        tail = f"""{where} AND "members" LIKE ? ORDER BY "position\""""
        found = await self._rows(RollHead, tail, [*values, f'%"{member}"%'])
        return [head for head in found if member in head.members]

    async def motions(
        self, cursor: str = "", limit: int = 50, *, states: Sequence[str] = ()
    ) -> tuple[list[Motion], str]:
        """Motions, the one that closes last first; all, or those in these states (open, tallied, final)."""
        return await self.newest(Motion, "close_ms", cursor, limit, **({"state": states} if states else {}))

    async def turnouts(self, motion: str) -> list[Turnout]:
        """Turnouts of a motion's questions."""
        return await self.select(Turnout, motion=motion)

    async def results(self, motion: str) -> list[TallyResult]:
        """Results of a motion's questions; none before it is tallied."""
        return await self.select(TallyResult, motion=motion)

    async def ballots_of(self, motion: str) -> list[Ballot]:
        """All counted ballots of a motion, by question and position: what a tally is made of."""
        where, values = _equal(Ballot, {"motion": (motion,)})
        return await self._rows(Ballot, f'{where} ORDER BY "question", "position"', values)

    async def deliveries_of(self, motion: str) -> list[Delivery]:
        """All proofs that heads were served with a motion, by position."""
        where, values = _equal(Delivery, {"motion": (motion,)})
        return await self._rows(Delivery, f'{where} ORDER BY "position"', values)

    async def tickets(
        self,
        cursor: str = "",
        limit: int = 50,
        *,
        reporter: str = "",
        state: str = "",
    ) -> tuple[list[Ticket], str]:
        """Tickets, those changed last first; each argument that is given narrows the list."""
        given = {"reporter": reporter, "state": state}
        chosen = {name: value for name, value in given.items() if value}
        return await self.newest(Ticket, "changed_ms", cursor, limit, **chosen)

    async def ticket_events(self, ticket: str) -> list[TicketEvent]:
        """The steps of a ticket in the order of the ledger."""
        where, values = _equal(TicketEvent, {"ticket": (ticket,)})
        return await self._rows(TicketEvent, f'{where} ORDER BY "index", "id"', values)

    async def events(self, records: Sequence[str]) -> list[TicketEvent]:
        """Steps of tickets by their ids, in the order of the ledger."""
        table = ROW_TABLES[TicketEvent.table]
        found = await self._database.read(lambda connection: find_rows(connection, table.table, records))
        return sorted((cast("TicketEvent", table.row(row)) for row in found), key=lambda event: event.index)

    async def photo_tickets(self, photo: str) -> list[TicketPhoto]:
        """The tickets that a photo belongs to: who may see one of these may see it."""
        return await self.select(TicketPhoto, photo=photo)

    async def account(self, account: str) -> Account:
        """An account by its id, as `member/m-1` or `merchant/m-2`; an unknown one is empty."""
        return await self.get(Account, account) or Account(account)

    async def transfers(self, account: str, cursor: str = "", limit: int = 50) -> tuple[list[Transfer], str]:
        """What went out of an account and came into it, the newest first."""
        limit = _bounded(limit)
        out, _ = await self.newest(Transfer, "index", cursor, limit + 1, debit=account)
        into, _ = await self.newest(Transfer, "index", cursor, limit + 1, credit=account)
        both = sorted((*out, *into), key=lambda row: (row.index, row.id), reverse=True)
        return _page(both, limit, "index")

    async def offers(self, shop: str, cursor: str = "", limit: int = 50) -> tuple[list[Offer], str]:
        """A shop's offers, newest first."""
        return await self.newest(Offer, "made_ms", cursor, limit, shop=shop)

    async def offers_since(self, made_ms: int) -> list[Offer]:
        """Open offers of all shops made since then, by id."""
        return await self._rows(Offer, '"state" = ? AND "made_ms" >= ? ORDER BY "id"', [OPEN, made_ms])

    async def devices(self, member: str) -> list[Device]:
        """A member's devices, revoked ones too, the oldest first."""
        found = await self.select(Device, member=member)
        return sorted(found, key=lambda device: (device.bound_ms, device.id))

    async def members_with_role(self, role: str, *, after: str = "", limit: int = 100) -> list[Member]:
        """Members that hold a role (`committee`, or `staff@property` of one organisation), by id, those after an id."""
        tail = """"roles" LIKE ? AND "id" > ? ORDER BY "id" LIMIT ?"""
        found = await self._rows(Member, tail, [f'%"{role}%', after, _bounded(limit)])
        return [member for member in found if any(role in (held, held.partition("@")[0]) for held in member.roles)]

    async def _rows(self, row: type[R], tail: str, values: Sequence[Any]) -> list[R]:
        table = ROW_TABLES[row.table]

        async def work(connection: Connection) -> list[R]:
            columns = ",".join(f'"{column}"' for column in table.table.columns)
            sql = f'SELECT {columns} FROM "{row.table}" WHERE {tail}'  # noqa: S608 - names of our own tables
            return [cast("R", table.row(record)) for record in await fetch(connection, sql, *values)]

        return await self._database.read(work)


def _column(row: type[Row], name: str) -> str:
    """A column's name in quotes; only names that the shape declares reach SQL."""
    assert name in row.__struct_fields__, f"{row.table} has no column {name}"
    return f'"{name}"'


def _equal(row: type[Row], columns: dict[str, tuple[Any, ...]]) -> tuple[str, list[Any]]:
    parts = [f"{_column(row, name)} IN ({','.join('?' * len(values))})" for name, values in columns.items()]
    return " AND ".join(parts) or "TRUE", [value for values in columns.values() for value in values]


def _bounded(limit: int) -> int:
    return max(1, min(limit, LIMIT_MAX + 1))


def _page(found: list[R], limit: int, order: str) -> tuple[list[R], str]:
    """The rows of a page of which one more than `limit` was asked for, and the cursor of the next."""
    page = found[:limit]
    return page, f"{getattr(page[-1], order)}/{page[-1].id}" if len(found) > limit else ""


def _read_cursor(cursor: str) -> tuple[int, str]:
    match = _CURSOR.fullmatch(cursor)
    if match is None or abs(int(match[1])) >= 2**63:
        raise Malformed("not a cursor of this list", "cursor")
    return int(match[1]), match[2]
