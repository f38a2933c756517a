"""Openings of private fields, sealed at rest (decisions 2, 3). It must not know what a value means.

An opening is kept by record *and* commitment: who copies another's public commitment into a record of his own neither
makes that record complete nor may read what is behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from server.domain.plan import RecordWork, Work
from server.record.canonical import encode
from server.storage.database import Database
from server.storage.private_tables import MENDED, OPENING
from server.storage.statements import Batch, Connection, add_missing, change, fetch, find_rows, is_postgres, put_rows
from server.storage.vault import Cell, Vault

_AFTER_SLASH = "0"
"""The sign after "/" in the order of bytes: all openings of a record lie between."""
NOT_ORDERED = -1
"""`height` of an opening whose record no block has ordered."""
FORGOTTEN = -2
"""`height` of an opening that was deleted on purpose: nobody is asked for it again (see `unheld`)."""
_MENDED = 1
"""Id of the one row that says how far this store was looked through."""
RESTORED = 0
"""`height` of an opening that was lost and came back: its record is ordered, in which block nobody asks."""


class HeldOpening(NamedTuple):
    """A private value as it came with its record."""

    record: str
    commitment: str
    opening: bytes

    @property
    def id(self) -> str:
        """Its key."""
        return f"{self.record}/{self.commitment}"


class OpeningStore:
    """The openings that one node holds."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def hold(self, openings: Sequence[HeldOpening], received_ms: int) -> None:
        """Keep openings durably before their records are prepared. Held ones stay as they are."""
        rows = [self._row(opening, NOT_ORDERED, received_ms) for opening in openings]
        await self._database.run(lambda connection: add_missing(connection, OPENING, rows))

    async def restore(self, openings: Sequence[HeldOpening], received_ms: int) -> None:
        """Keep openings of ordered records again that were lost here; they are no orphans."""
        rows = [self._row(opening, RESTORED, received_ms) for opening in openings]
        await self._database.run(lambda connection: put_rows(connection, OPENING, rows))

    async def missing(self, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The (record, commitment) pairs whose openings are not held."""
        ids = [f"{record}/{commitment}" for record, commitment in wanted]
        rows = await self._heights(ids)
        return [pair for pair, name in zip(wanted, ids, strict=True) if rows.get(name, FORGOTTEN) == FORGOTTEN]

    async def unheld(self, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The same, but for those that were forgotten on purpose: what a node may ask others for by itself."""
        ids = [f"{record}/{commitment}" for record, commitment in wanted]
        rows = await self._heights(ids)
        return [pair for pair, name in zip(wanted, ids, strict=True) if name not in rows]

    async def _heights(self, ids: Sequence[str]) -> dict[str, int]:
        found = await self._database.read(lambda connection: find_rows(connection, OPENING, ids))
        return {row[0]: row[OPENING.columns.index("height")] for row in found}

    async def mended_height(self) -> int:
        """Up to which block every opening was found to be here once; 0 when nobody has looked."""
        found = await self._database.read(lambda connection: find_rows(connection, MENDED, [_MENDED]))
        return int(found[0][1]) if found else 0

    async def note_mended(self, height: int) -> None:
        """Every opening of the blocks up to `height` is here."""
        await self._database.run(lambda connection: put_rows(connection, MENDED, [(_MENDED, height)]))

    async def of_records(self, records: Iterable[str]) -> dict[str, dict[str, bytes]]:
        """Openings by record and commitment. Who may read them is the caller's to know, and to log."""
        wanted = sorted(set(records))
        found = await self._database.read(lambda connection: _read_of_records(connection, wanted))
        openings: dict[str, dict[str, bytes]] = {}
        for name, sealed in found:
            if not sealed:
                continue  # forgotten
            record, _, commitment = name.partition("/")
            openings.setdefault(record, {})[commitment] = self._vault.unseal(_cell(name), bytes(sealed))
        return openings

    async def forget(self, record: str) -> None:
        """Delete a record's private values, as law may ask; the ledger is not touched. What stays says that it was on
        purpose, so that the values are not fetched from peers that have not deleted them yet."""
        sql = 'UPDATE "opening" SET "sealed_opening" = ?, "height" = ? WHERE "id" >= ? AND "id" < ?'
        values = (b"", FORGOTTEN, f"{record}/", f"{record}{_AFTER_SLASH}")
        await self._database.run(lambda connection: change(connection, sql, *values))

    async def collect_orphans(self, received_before_ms: int) -> int:
        """Delete openings whose records were never ordered (decisions 3: after 48 h). Returns how many."""

        async def work(connection: Connection) -> int:
            where = 'WHERE "height" = ? AND "received_ms" < ?'
            count = f'SELECT COUNT(*) FROM "opening" {where}'  # noqa: S608 - fixed text
            [(found,)] = await fetch(connection, count, NOT_ORDERED, received_before_ms)
            await change(connection, f'DELETE FROM "opening" {where}', NOT_ORDERED, received_before_ms)  # noqa: S608
            return int(found)

        return await self._database.run(work)

    def settle(
        self, batch: Batch, works: Sequence[Work], given: Mapping[str, bytes], height: int, time_ms: int
    ) -> None:
        """With a block: its records' openings are ordered; those `given`, by commitment, are kept.

        Two fields of a record may have one commitment: no statement may put the same row twice (PostgreSQL).
        """
        records = [work.signed for work in works if isinstance(work, RecordWork)]
        named = dict.fromkeys((signed.id, name) for signed in records for name in signed.body.commitments())
        new = [HeldOpening(record, name, given[name]) for record, name in named if name in given]
        batch.put(OPENING, [self._row(opening, height, time_ms) for opening in new])
        held = [f"{record}/{name}" for record, name in named if name not in given]
        batch.change_chosen('UPDATE "opening" SET "height" = ?', "id", held, height)

    def _row(self, opening: HeldOpening, height: int, received_ms: int) -> tuple[str, bytes, int, int]:
        return opening.id, self._vault.seal(_cell(opening.id), opening.opening), height, received_ms


def _cell(name: str) -> Cell:
    return Cell(OPENING.name, "sealed_opening", name)


async def _read_of_records(connection: Connection, records: list[str]) -> Sequence[Any]:
    """By ranges of the key, `<record>/...`: an index by record would cost as much again at every ballot."""
    wanted = "unnest(?::text[]) AS wanted(value)" if is_postgres(connection) else "json_each(?) AS wanted"
    join = """JOIN "opening" ON "opening"."id" >= wanted.value || '/' AND "opening"."id" < wanted.value || '0'"""
    sql = f'SELECT "opening"."id", "sealed_opening" FROM {wanted} {join}'  # noqa: S608 - fixed texts
    return await fetch(connection, sql, _array(connection, records)) if records else []


def _array(connection: Connection, values: list[str]) -> Any:
    return values if is_postgres(connection) else encode(values).decode()
