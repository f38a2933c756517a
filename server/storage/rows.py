"""The rows that blocks read and write: loaded a table at a time, cached because the node is the only writer.

Rules never come here: they see rows in memory. Storage never looks into a row, but for timers and waits for a seal.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from server.domain.agenda import SealWait, Timer
from server.domain.execute import Executed
from server.domain.plan import Work, access_set, parse_items
from server.domain.rules import Rules
from server.domain.state_root import Schedule, row_line
from server.limits import BLOCK_TIMERS_MAX, INTEGER_MAX
from server.record.rows import Key, Row, Rows
from server.storage.database import Database
from server.storage.ledger_tables import ROW_BEFORE
from server.storage.statements import Batch, Connection, fetch, find_in_tables, is_postgres
from server.storage.tables import FORGET_COLUMN, ROW_TABLES

CACHED_ROWS_MAX = 20_000
"""Rows kept in memory, absent ones too: about 12 MB, forty full blocks."""
_UNKNOWN: Any = object()


class RowStore:
    """Mutable. The rows of one ledger; only `Ledger` and replay write through it."""

    def __init__(self, database: Database, cached_max: int = CACHED_ROWS_MAX, schedule: Schedule | None = None) -> None:
        self._database = database
        self.schedule = schedule or Schedule()
        self._cached: OrderedDict[Key, Row | None] = OrderedDict()
        self._cached_max = cached_max
        self._next_due_ms: int | None = None
        self._timers_known = False
        self._waits: tuple[SealWait, ...] | None = None
        self.guard = asyncio.Lock()
        """Held while a block is stored: nothing read before it may enter the cache after it."""

    async def load(self, keys: Iterable[Key]) -> Rows:
        """The rows of these keys, absent ones as None: one query for each table that the cache does not answer."""
        names = tuple(keys)
        loaded, missing = self._at_hand(names)
        if missing:
            async with self.guard:
                loaded, missing = self._at_hand(names)
                if missing:
                    read = await self._database.read(lambda connection: _read(connection, missing))
                    loaded.update(read)
                    self._remember(read)
        return Rows(loaded)

    def _at_hand(self, names: Sequence[Key]) -> tuple[dict[Key, Row | None], Mapping[str, list[str]]]:
        """What the cache answers, of one moment, and the ids that it does not know, by table."""
        loaded: dict[Key, Row | None] = {}
        missing: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            found = self._cached.get(name, _UNKNOWN)
            if found is _UNKNOWN:
                missing[name.table].append(name.id)
            else:
                self._cached.move_to_end(name)
                loaded[name] = found
        return loaded, missing

    def peek(self, name: Key) -> Row | None:
        """A row as the cache has it, without waiting; None when it is absent or not in the cache."""
        return self._cached.get(name)

    async def plan(self, items: Sequence[bytes], estate: str, rules: Rules) -> tuple[list[Work], Rows]:
        """The work of a batch and the rows that it may touch, ready to execute. Raises Malformed."""
        sealing = any(item.startswith(b"{") for item in items)
        waits = await self.seal_waits() if sealing else []
        works = parse_items(items, estate, waits, rules)
        return works, await self.load(access_set(works))

    async def due_timers(self, time_ms: int, limit: int = BLOCK_TIMERS_MAX) -> list[Timer]:
        """Timers due at a block time, the earliest first, in the order of a block (decisions 4)."""
        first_ms = await self.next_due_ms()
        if first_ms is None or first_ms > time_ms:
            return []
        return await self._database.read(lambda connection: _due_timers(connection, time_ms, limit))

    async def next_due_ms(self) -> int | None:
        """When the next timer falls due, or None when none is armed."""
        if not self._timers_known:
            async with self.guard:
                self._next_due_ms = await self._database.read(_first_due)
                self._timers_known = True
        return self._next_due_ms

    async def awaiting_size(self) -> int | None:
        """The smallest size of the log that, once sealed, lets a waiting row go on; None when none waits."""
        waits = await self.seal_waits()
        return waits[0].index + 1 if waits else None

    async def next_late(self) -> tuple[int | None, int]:
        """From which block time what waits goes on without a seal (`SealWait.without_ms`), and its index."""
        late = [(wait.without_ms, wait.index) for wait in await self.seal_waits() if wait.without_ms]
        return min(late, default=(None, 0))

    async def seal_waits(self, below: int = INTEGER_MAX) -> list[SealWait]:
        """Rows that wait for a seal, oldest first: those that a seal of size `below` makes final, or all.

        They are few, one a closed motion at most, and asked for with every seal: memory knows them between blocks.
        """
        waits = self._waits
        if waits is None:
            async with self.guard:
                waits = self._waits = await self._database.read(_seal_waits)
        return [wait for wait in waits if wait.index < below]

    def flush_block(self, batch: Batch, executed: Executed) -> None:
        """Have the rows of a block written; while the state before it is being hashed, what they were as well.

        Meanwhile nothing is forgotten either: the hash takes its time, and must find the state as it was.
        """
        header = executed.header
        hashing = self.schedule.hashing_during(header.height) is not None
        self.flush(batch, executed.changed, header.time_ms, forgets=not hashing)
        if hashing:
            batch.add_missing(ROW_BEFORE, [_before(name, row) for name, row in executed.before.items()])
        elif self.schedule.hashing_during(header.height - 1) is not None:
            batch.change('DELETE FROM "row_before"')

    def flush(self, batch: Batch, changed: Mapping[Key, Row], time_ms: int, *, forgets: bool = True) -> None:
        """Have changed rows written, one statement a table, and what is forgotten by then deleted."""
        tables: defaultdict[str, list[Row]] = defaultdict(list)
        for name, row in changed.items():
            tables[name.table].append(row)
        for table, rows in sorted(tables.items()):
            row_table = ROW_TABLES[table]
            kept = [row for row in rows if not _is_forgotten(row, time_ms)] if row_table.forgets else rows
            batch.put(row_table.table, [row_table.values(row) for row in kept])
            if len(kept) < len(rows):
                gone = [row.id for row in rows if _is_forgotten(row, time_ms)]
                batch.change_chosen(f'DELETE FROM "{table}"', "id", gone)  # noqa: S608 - names of our own tables
        for table, row_table in ROW_TABLES.items():
            if forgets and row_table.forgets:
                forget = f'DELETE FROM "{table}" WHERE "{FORGET_COLUMN}" <= ?'  # noqa: S608 - names of our own tables
                batch.change(forget, time_ms)

    def take(self, changed: Mapping[Key, Row]) -> None:
        """After the block is durable: the cache takes the changed rows."""
        self._remember(changed)
        tables = {name.table for name in changed}
        if Timer.table in tables:
            self._timers_known = False
        if SealWait.table in tables:
            self._waits = None

    def clear(self) -> None:
        """Forget everything: the tables were filled anew."""
        self._cached.clear()
        self._timers_known = False
        self._waits = None

    def _remember(self, rows: Mapping[Key, Row | None] | Mapping[Key, Row]) -> None:
        """A row that is soon forgotten is asked for once in its life: it would only push others out."""
        for name, row in rows.items():
            if not ROW_TABLES[name.table].forgets:
                self._cached[name] = row
                self._cached.move_to_end(name)
        while len(self._cached) > self._cached_max:
            self._cached.popitem(last=False)


def _is_forgotten(row: Row, time_ms: int) -> bool:
    return int(getattr(row, FORGET_COLUMN)) <= time_ms


def _before(name: Key, row: Row | None) -> tuple[str, bytes]:
    return f"{name.table}/{name.id}", b"" if row is None else row_line(name.table, row)


async def read_all(connection: Connection, table: str) -> list[Row]:
    """Every row of a table, sorted by id as bytes."""
    found = await fetch(connection, _select(table, "TRUE"))
    return sorted((ROW_TABLES[table].row(record) for record in found), key=lambda row: row.id)


async def _read(connection: Connection, missing: Mapping[str, Sequence[str]]) -> dict[Key, Row | None]:
    read: dict[Key, Row | None] = {}
    found = await find_in_tables(connection, {ROW_TABLES[table].table: ids for table, ids in missing.items()})
    for (table, ids), records in zip(missing.items(), found, strict=True):
        read.update((Key(table, name), None) for name in ids)
        for record in records:
            row = ROW_TABLES[table].row(record)
            read[Key(table, row.id)] = row
    return read


async def _due_timers(connection: Connection, time_ms: int, limit: int) -> list[Timer]:
    where = f'"done" = ? AND "due_ms" <= ? ORDER BY "due_ms", {_id_order(connection)} LIMIT ?'
    found = await fetch(connection, _select(Timer.table, where), False, time_ms, limit)
    return [cast("Timer", ROW_TABLES[Timer.table].row(record)) for record in found]


async def _first_due(connection: Connection) -> int | None:
    [(due_ms,)] = await fetch(connection, 'SELECT MIN("due_ms") FROM "timer" WHERE "done" = ?', False)
    return cast("int | None", due_ms)


async def _seal_waits(connection: Connection) -> tuple[SealWait, ...]:
    where = f'"done" = ? ORDER BY "index", {_id_order(connection)}'
    found = await fetch(connection, _select(SealWait.table, where), False)
    return tuple(cast("SealWait", ROW_TABLES[SealWait.table].row(record)) for record in found)


def _select(table: str, where: str) -> str:
    columns = ",".join(f'"{column}"' for column in ROW_TABLES[table].table.columns)
    return f'SELECT {columns} FROM "{table}" WHERE {where}'  # noqa: S608 - names of our own tables


async def read_lines(connection: Connection, table: str, after: str, limit: int) -> tuple[list[bytes], str | None]:
    """A page of a table as it was when the state began to be hashed: lines in the order of ids above `after`.

    Rows are read before what they were: whatever changes in between has left its earlier line behind by then. Returns
    also the id where the next page begins, None after the last one.
    """
    order = _id_order(connection)
    found = await fetch(connection, _select(table, f"{order} > ? ORDER BY {order} LIMIT ?"), after, limit)
    rows = [ROW_TABLES[table].row(record) for record in found]
    last = rows[-1].id if len(rows) == limit else None
    lines = {row.id: row_line(table, row) for row in rows}
    # A slash ends the table's name, and 0 is the character after it.
    bounds = (f"{table}/{after}", f"{table}0" if last is None else f"{table}/{last}")
    sql = 'SELECT "id", "line" FROM "row_before" WHERE "id" > ? AND "id" <= ?'
    for name, line in await fetch(connection, sql, *bounds):
        lines[name[len(table) + 1 :]] = bytes(line)
    return [line for _, line in sorted(lines.items()) if line], last


def _id_order(connection: Connection) -> str:
    """Order by id as bytes: a database's own collation may differ between nodes, the order of a block may not."""
    return '"id" COLLATE "C"' if is_postgres(connection) else '"id"'
