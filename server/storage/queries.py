"""Reading for pages: straight from the row tables, as the last stored block left them. Never through consensus.

Every list is paged: `cursor` is the last page's `next_cursor`, empty for the first page and after the last. It must not
know who asks: rights are the API's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

from server.domain.ballot import Ballot
from server.domain.member import Device, Member
from server.domain.motion import Motion, Turnout
from server.domain.offer import Offer
from server.domain.points import MEMBER, MERCHANT, Account, Transfer
from server.domain.roll import RollHead
from server.domain.tally import TallyResult
from server.domain.ticket import Ticket, TicketEvent, TicketPhoto
from server.record.rows import Row, key
from server.storage.database import Database
from server.storage.ledger_tables import ENTRY
from server.storage.statements import Connection, fetch, find_rows
from server.storage.stored import StoredEntry, entry_of
from server.storage.tables import ROW_TABLES

LIMIT_MAX = 200
"""Rows of one page."""
_CURSOR = re.compile(r"(-?[0-9]{1,19})/(.{0,255})", re.DOTALL)
R = TypeVar("R", bound=Row)


class CursorMalformed(ValueError):
    """A cursor that no page gave."""


class Page(msgspec.Struct, Generic[R], frozen=True):
    """Rows of one page, and the cursor of the next; empty when there is none."""

    rows: list[R]
    next_cursor: str


class MotionDetail(msgspec.Struct, frozen=True):
    """A motion with what is public of it: turnouts by question, and results once it is tallied."""

    motion: Motion
    turnouts: list[Turnout]
    results: list[TallyResult]


class Queries:
    """The reading side of one node."""

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
        self, row: type[R], order: str, *, cursor: str = "", limit: int = 50, **columns: str | int | Sequence[str]
    ) -> Page[R]:
        """A page of rows whose columns have these values (or one of several), the largest in column `order` first."""
        wanted = {name: (value,) if isinstance(value, str | int) else tuple(value) for name, value in columns.items()}
        if any(not values for values in wanted.values()):
            return Page([], "")
        where, values = _equal(row, wanted)
        column = _column(row, order)
        if cursor:
            before, name = _read_cursor(cursor)
            where += f' AND ({column} < ? OR ({column} = ? AND "id" < ?))'
            values += [before, before, name]
        limit = _bounded(limit)
        found = await self._rows(row, f'{where} ORDER BY {column} DESC, "id" DESC LIMIT ?', [*values, limit + 1])
        more = len(found) > limit
        return Page(found[:limit], _cursor_after(found[limit - 1], order) if more else "")

    async def motions(self, states: Sequence[str] = (), *, cursor: str = "", limit: int = 50) -> Page[Motion]:
        """Motions, the newest first; all, or those in these states (open, tallied, final)."""
        chosen = {"state": states} if states else {}
        return await self.newest(Motion, "index", cursor=cursor, limit=limit, **chosen)

    async def motion(self, motion: str) -> MotionDetail | None:
        """A motion with its turnouts and results."""
        found = await self.get(Motion, motion)
        if found is None:
            return None
        turnouts = await self.select(Turnout, motion=motion)
        return MotionDetail(found, turnouts, await self.select(TallyResult, motion=motion))

    async def ballots_of(self, motion: str) -> list[Ballot]:
        """All counted ballots of a motion, by question and position: what a tally is made of."""
        where, values = _equal(Ballot, {"motion": (motion,)})
        return await self._rows(Ballot, f'{where} ORDER BY "question", "position"', values)

    async def ballots_by(self, member: str, motion: str) -> list[Ballot]:
        """The counted ballots that a member cast in a motion."""
        where, values = _equal(Ballot, {"motion": (motion,), "member": (member,)})
        return await self._rows(Ballot, f'{where} ORDER BY "question", "position"', values)

    async def heads_of(self, member: str, roll: str) -> list[RollHead]:
        """The heads of a roll that a member may vote for, by position."""
        # Members stand in the row as canonical JSON of pseudonyms, which hold neither quotes nor wildcards.
        where, values = _equal(RollHead, {"roll": (roll,)})
        tail = f"""{where} AND "members" LIKE ? ORDER BY "position\""""
        return await self._rows(RollHead, tail, [*values, f'%"{member}"%'])

    async def tickets(
        self,
        *,
        reporter: str = "",
        handler: str = "",
        organisation: str = "",
        states: Sequence[str] = (),
        cursor: str = "",
        limit: int = 50,
    ) -> Page[Ticket]:
        """Tickets, those changed last first; each argument that is given narrows the list."""
        given = {"reporter": reporter, "handler": handler, "organisation": organisation, "state": states}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value}
        return await self.newest(Ticket, "changed_ms", cursor=cursor, limit=limit, **chosen)

    async def ticket_events(self, ticket: str) -> list[TicketEvent]:
        """The steps of a ticket in their order."""
        where, values = _equal(TicketEvent, {"ticket": (ticket,)})
        return await self._rows(TicketEvent, f'{where} ORDER BY "index", "id"', values)

    async def tickets_of_photo(self, sha256: str) -> list[str]:
        """Ids of the tickets that show a picture: who may see one of them may see it."""
        return sorted({row.ticket for row in await self.select(TicketPhoto, photo=sha256)})

    async def account(self, owner: str) -> Account:
        """An account by its id, as `member/m-1` or `merchant/m-2`; an unknown one is empty."""
        return await self.get(Account, owner) or Account(owner)

    async def member_account(self, member: str) -> Account:
        """A member's points."""
        return await self.account(f"{MEMBER}/{member}")

    async def merchant_account(self, shop: str) -> Account:
        """A merchant's points."""
        return await self.account(f"{MERCHANT}/{shop}")

    async def transfers(self, account: str, *, cursor: str = "", limit: int = 50) -> Page[Transfer]:
        """What went out of an account and came into it, the newest first."""
        out = await self.newest(Transfer, "index", cursor=cursor, limit=limit, debit=account)
        into = await self.newest(Transfer, "index", cursor=cursor, limit=limit, credit=account)
        both = sorted((*out.rows, *into.rows), key=lambda row: (row.index, row.id), reverse=True)
        limit = _bounded(limit)
        more = len(both) > limit or out.next_cursor or into.next_cursor
        return Page(both[:limit], _cursor_after(both[limit - 1], "index") if more else "")

    async def offers(self, shop: str, *, cursor: str = "", limit: int = 50) -> Page[Offer]:
        """A merchant's offers, the newest first."""
        return await self.newest(Offer, "made_ms", cursor=cursor, limit=limit, shop=shop)

    async def devices(self, member: str) -> list[Device]:
        """A member's devices, revoked ones too, the oldest first."""
        found = await self.select(Device, member=member)
        return sorted(found, key=lambda device: (device.bound_ms, device.id))

    async def members_with_role(self, role: str, *, after: str = "", limit: int = 100) -> list[Member]:
        """Members that hold a role (`committee`, or `staff@property` for one organisation), by id."""
        sign = '"' if "@" in role or role == "resident" else "@"
        tail = """"roles" LIKE ? AND "id" > ? ORDER BY "id" LIMIT ?"""
        return await self._rows(Member, tail, [f'%"{role}{sign}%', after, _bounded(limit)])

    async def entries_by(self, author: str, *, before_index: int = 2**62, limit: int = 50) -> list[StoredEntry]:
        """The log entries of a member's records, the newest first, below an index."""
        columns = ",".join(f'"{column}"' for column in ENTRY.columns)
        where = '"author" = ? AND "index" < ? ORDER BY "index" DESC LIMIT ?'
        sql = f'SELECT {columns} FROM "entry" WHERE {where}'  # noqa: S608 - names of our own table
        values = (author, before_index, _bounded(limit))
        return [entry_of(row) for row in await self._database.read(lambda connection: fetch(connection, sql, *values))]

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
    return max(1, min(limit, LIMIT_MAX))


def _cursor_after(row: Row, order: str) -> str:
    return f"{getattr(row, order)}/{row.id}"


def _read_cursor(cursor: str) -> tuple[int, str]:
    match = _CURSOR.fullmatch(cursor)
    if match is None or abs(int(match[1])) >= 2**63:
        raise CursorMalformed("not a cursor of this list")
    return int(match[1]), match[2]
