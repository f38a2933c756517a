"""The ledger in the database: blocks, entries, tree and rows, written together by one writer, and read for everybody.

A block is stored whole or not at all, and nothing that was stored is changed. It must not know any rule, and it
verifies no signature: consensus has.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec

from server.domain.execute import Executed
from server.domain.genesis_rows import genesis_rows
from server.domain.plan import RecordWork, Work
from server.domain.state_root import Schedule
from server.ledger.block import ACCEPTED, LEAF_KIND, block_id, derived_id, genesis_digest, genesis_tip
from server.ledger.genesis import Genesis
from server.ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash
from server.record.canonical import encode
from server.record.envelope import RECORD_TYPE, split_jws
from server.record.rows import Key
from server.storage.cosignatures import CosignatureStore, prune
from server.storage.database import Database, DatabaseFault
from server.storage.ledger_tables import BLOCK, ENTRY, TILE
from server.storage.openings import OpeningStore
from server.storage.photos import settle_photos
from server.storage.rows import RowStore
from server.storage.seen import SeenRecords
from server.storage.statements import Batch, Connection, Unexpected, fetch, find_rows
from server.storage.stored import (
    Commitment,
    FoundRecord,
    RecordEntry,
    StoredBlock,
    StoredEntry,
    Tip,
    entry_of,
    read_blocks,
    read_tip,
    split_peaks,
)
from server.storage.tree import TreeStore
from server.storage.vault import Vault, check_vault

__all__ = ["Commitment", "FoundRecord", "Ledger", "StoredBlock", "StoredEntry", "Tip", "WrongTip"]

SYNC_BLOCKS_MAX = 64
SYNC_BYTES_MAX = 1024 * 1024
"""What one answer to a node that catches up holds at most (one block always fits)."""
_LAST_BLOCK = 'SELECT "block_id" FROM "block" ORDER BY "height" DESC LIMIT 1'
"""The database itself must agree with the node: a restored backup or a second process would not."""
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


class EntryDamaged(DatabaseFault):
    """An entry is not what the tree says: the disk or somebody changed it. It is never served."""


class WrongTip(Exception):
    """A block does not extend what is stored. The node must stop: it is on another branch, or runs twice."""


ROOTS_KEPT = 64
"""Roots in memory: each block seals a boundary a few blocks back."""
SEEN_PAGE = 50_000
"""Entries read at once when the filter of ordered records is filled."""


class Ledger:
    """Mutable. One ledger in one database; the node is its only writer."""

    def __init__(
        self, database: Database, cluster_id: bytes, openings: OpeningStore, schedule: Schedule | None = None
    ) -> None:
        self.database = database
        self.rows = RowStore(database, schedule=schedule)
        self._tiles = TreeStore(database)
        self.cosignatures = CosignatureStore(database)
        self.openings = openings
        self._cluster_id = cluster_id
        self._tip: Tip | None = None
        self._seen = SeenRecords()
        self._roots: OrderedDict[int, bytes] = OrderedDict()
        self._writing = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        database: Database,
        genesis: Genesis,
        cluster_id: bytes,
        vault: Vault,
        schedule: Schedule | None = None,
    ) -> Ledger:
        """Open the ledger of this genesis, or begin it. Raises DatabaseFault when the database holds another ledger.

        When the row tables do not fit this program (`database.rows_current`), `replay.rebuild_rows` must follow.
        """
        await check_vault(database, vault)
        ledger = cls(database, cluster_id, OpeningStore(database, vault), schedule)
        tip = await database.read(read_tip)
        if tip is None:
            await ledger._begin(genesis)
        else:
            await ledger._check_genesis()
            ledger._tip = tip
            await ledger._tiles.load_edge(tip.size)
            await ledger._load_seen()
        return ledger

    async def _load_seen(self) -> None:
        """In pages, so that a long log takes no more memory than its filter."""
        sql = """SELECT "record" FROM "entry" WHERE "index" >= ? AND "index" < ? AND "author" <> ''"""
        for begin in range(0, self.tip.size, SEEN_PAGE):
            for (record,) in await self.database.read(partial(_read_page, sql, begin)):
                self._seen.add(record)

    def may_hold(self, record: str) -> bool:
        """False, without a query, for a client record that was never ordered here."""
        return self._seen.may_hold(record)

    @property
    def tip(self) -> Tip:
        """The end of what is stored, without a query."""
        assert self._tip is not None, "the ledger was not opened"
        return self._tip

    @property
    def tree(self) -> Frontier:
        """The frontier of the stored log, fresh, to execute the next block on."""
        return self.tip.frontier()

    async def store(
        self, executed: Executed, works: Sequence[Work], commitment: Commitment, given: Mapping[str, bytes] = _NOTHING
    ) -> Tip:
        """Store a committed block: entries, tree, rows, openings, in one transaction that no cancelling interrupts.

        Args: `works` as they were executed; `commitment`, which stands beside the log; `given`, by commitment, openings
        of the block's records that were not held before. Raises WrongTip and stores nothing when the block does not
        extend the stored tip.
        """
        return await self.database.finish(self._store(executed, works, commitment, dict(given)))

    async def block(self, height: int) -> StoredBlock | None:
        """A stored block; None for genesis and what is not there."""
        found = await self.blocks(height, limit=1)
        return found[0] if found and found[0].header.height == height else None

    async def blocks(
        self, height: int, limit: int = SYNC_BLOCKS_MAX, bytes_max: int = SYNC_BYTES_MAX
    ) -> list[StoredBlock]:
        """Blocks from `height` on, at most `limit` of them with about `bytes_max` bytes of items; one at least."""
        found = await self.database.read(lambda connection: read_blocks(connection, max(height, 1), limit, bytes_max))
        if found:
            await self.contents(found[0].first_index, found[-1].size - found[0].first_index)
        return found

    async def root_at(self, size: int) -> bytes | None:
        """The root that this node stored for a block boundary, 32 bytes; None when no block ended there."""
        if size in self._roots:
            return self._roots[size]
        found = await self.database.read(lambda connection: find_rows(connection, BLOCK, [size], "size"))
        return bytes(found[0][BLOCK.columns.index("root")]) if found else None

    async def frontier_at(self, height: int) -> Frontier:
        """The frontier of the log after a stored block. Raises ValueError when there is no such block."""
        found = await self.database.read(lambda connection: find_rows(connection, BLOCK, [height]))
        if not found:
            raise ValueError(f"block {height} is not stored")
        return Frontier(found[0][BLOCK.columns.index("size")], split_peaks(found[0][BLOCK.columns.index("peaks")]))

    async def entry(self, index: int) -> StoredEntry | None:
        """The entry at an index of the log."""
        found = await self.entries([index])
        return found[0] if found else None

    async def entries(self, indexes: Sequence[int]) -> list[StoredEntry]:
        """The entries at these indexes, sorted; those that are not there are left out."""
        found = await self.database.read(lambda connection: find_rows(connection, ENTRY, indexes))
        return await self._checked(sorted((entry_of(row) for row in found), key=lambda entry: entry.index))

    async def newest_of_kind(self, kind: str, end: int) -> StoredEntry | None:
        """The last derived entry of this kind below index `end`."""
        columns = ",".join(f'"{name}"' for name in ENTRY.columns)
        sql = f"""SELECT {columns} FROM "entry" WHERE "author" = '' AND "index" < ? AND "kind" = ?
                  ORDER BY "index" DESC LIMIT 1"""  # noqa: S608 - ours
        found = await self.database.read(lambda connection: fetch(connection, sql, end, kind))
        checked = await self._checked([entry_of(row) for row in found])
        return checked[0] if checked else None

    async def entry_of_record(self, record: str) -> StoredEntry | None:
        """Where a record, or a derived entry, stands by its id: the first place, should a faulty primary repeat it."""
        return (await self.entries_of_records([record])).get(record)

    async def entries_of_records(self, records: Sequence[str]) -> dict[str, StoredEntry]:
        """Where records stand, by their ids; those that were never ordered are left out."""
        found = await self.database.read(lambda connection: find_rows(connection, ENTRY, records, "record"))
        last_first = sorted((entry_of(row) for row in found), key=lambda entry: -entry.index)
        return {entry.record: entry for entry in await self._checked(last_first)}

    async def find(self, record: str) -> FoundRecord | None:
        """A client record by its id, with what its receipt needs; None when it was never ordered."""
        if not self._seen.may_hold(record):
            return None
        stored = await self.entry_of_record(record)
        if stored is None or not stored.author:
            return None
        [block] = await self.database.read(lambda connection: find_rows(connection, BLOCK, [stored.height]))
        entry = msgspec.json.decode(stored.content, type=RecordEntry)
        _, kid, _ = split_jws(entry.record, RECORD_TYPE)
        boundary = block[BLOCK.columns.index("size")]
        return FoundRecord(
            record, kid, stored.index, stored.height, entry.time_ms, entry.outcome, stored.content, boundary
        )

    async def contents(self, begin: int, count: int) -> list[bytes]:
        """The bytes of `count` entries from index `begin` on, fewer at the end of the log: what entry tiles hold."""
        columns = ",".join(f'"{name}"' for name in ENTRY.columns)
        sql = f'SELECT {columns} FROM "entry" WHERE "index" >= ? AND "index" < ? ORDER BY "index"'  # noqa: S608 - ours
        found = await self.database.read(lambda connection: fetch(connection, sql, begin, begin + count))
        return [entry.content for entry in await self._checked([entry_of(row) for row in found])]

    async def _checked(self, entries: list[StoredEntry]) -> list[StoredEntry]:
        """The same entries, each compared with its leaf. Raises EntryDamaged.

        A block that is being stored at this moment is in the database before its leaves are in memory: just written.
        """
        known = [entry for entry in entries if entry.index < self.tip.size]
        for entry, leaf in zip(known, await self._tiles.leaves(entry.index for entry in known), strict=True):
            if leaf_hash(entry.content) != leaf:
                raise EntryDamaged(
                    f"block {entry.height}, entry {entry.index}: the database is damaged: it holds other bytes than "
                    "the ledger's tree. Stop the node, look at its disk, and put back a whole copy of the database"
                )
        return entries

    async def tree_nodes(self, level: int, begin: int, end: int) -> list[bytes]:
        """The perfect nodes [begin, end) of a level: what C2SP's hash tiles hold. ValueError for what is not there."""
        if not 0 <= begin <= end <= self.tip.size >> level:
            raise ValueError("the tree has no such nodes")
        return await self._tiles.nodes(level, begin, end)

    async def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """RFC 9162 2.1.3.1. Raises ValueError unless 0 <= index < size <= the stored size."""
        if not 0 <= index < size <= self.tip.size:
            raise ValueError("no such entry in a tree of this size")
        return await self._tiles.inclusion(index, size)

    async def consistency_proof(self, size1: int, size2: int) -> list[bytes]:
        """RFC 9162 2.1.4.1. Raises ValueError unless 0 < size1 <= size2 <= the stored size."""
        if not 0 < size1 <= size2 <= self.tip.size:
            raise ValueError("no such sizes of this tree")
        return await self._tiles.consistency(size1, size2)

    async def _store(
        self, executed: Executed, works: Sequence[Work], commitment: Commitment, given: Mapping[str, bytes]
    ) -> Tip:
        async with self._writing, self.rows.guard:
            self._check_extends(executed)
            assert len(works) + 1 == len(executed.entries), "the work is not that of this block"
            tip = _tip_after(executed, self._cluster_id)
            tiles = self._tiles.grow(executed.nodes)
            lines = self.cosignatures.unwritten()
            batch = Batch()
            batch.expect(_LAST_BLOCK, self.tip.block_id)
            batch.add(BLOCK, [_block_row(executed, tip, commitment)])
            batch.add(ENTRY, self._entry_rows(executed, works))
            batch.put(TILE, sorted(tiles.items()))
            self.rows.flush_block(batch, executed)
            self.openings.settle(batch, works, given, tip.height, tip.time_ms)
            settle_photos(batch, works, tip.time_ms)
            self.cosignatures.write(batch, lines)
            prune(batch, tip.height)
            try:
                await self.database.write(batch)
            except Unexpected:
                raise WrongTip("the database no longer ends where this node left it") from None
            self._take_tip(tip)
            self._tiles.take(tiles)
            self.rows.take(executed.changed)
            self.cosignatures.written(lines)
            for work_ in works:
                if isinstance(work_, RecordWork):
                    self._seen.add(work_.signed.id)
            return tip

    def _take_tip(self, tip: Tip) -> None:
        self._tip = tip
        self._roots[tip.size] = tip.root
        if len(self._roots) > ROOTS_KEPT:
            self._roots.popitem(last=False)

    def _check_extends(self, executed: Executed) -> None:
        header, tip = executed.header, self.tip
        expected = (tip.height + 1, tip.block_id, tip.state_digest, tip.size)
        if (header.height, header.prev, header.state_digest_prev, executed.first_index) != expected:
            raise WrongTip(f"block {header.height} does not extend the stored block {tip.height}")

    def _entry_rows(self, executed: Executed, works: Sequence[Work]) -> list[tuple[Any, ...]]:
        header, first = executed.header, executed.first_index
        rows: list[tuple[Any, ...]] = []
        for offset, (work, outcome) in enumerate(zip(works, executed.outcomes, strict=True)):
            if isinstance(work, RecordWork):
                about = (work.signed.id, work.signed.kind, work.signed.author)
            else:
                item = work.item
                about = (derived_id(self._cluster_id, item.kind, item.key, item.due_ms), item.kind, "")
            rows.append((first + offset, header.height, *about, outcome, executed.entries[offset]))
        leaf = derived_id(self._cluster_id, LEAF_KIND, str(header.height), 0)
        rows.append((executed.size - 1, header.height, leaf, LEAF_KIND, "", ACCEPTED, executed.entries[-1]))
        return rows

    async def _begin(self, genesis: Genesis) -> None:
        tip = _genesis_tip(genesis, self._cluster_id)
        rows = {Key(row.table, row.id): row for row in genesis_rows(genesis)}
        row = (0, tip.block_id, b"", 0, "", b"", 0, 0, tip.root, b"", tip.state_digest, tip.time_ms)
        batch = Batch()
        batch.add(BLOCK, [row])
        self.rows.flush(batch, rows, tip.time_ms)
        await self.database.write(batch)
        await self.database.keep_derived()
        self._tip = tip
        await self._tiles.load_edge(0)

    async def _check_genesis(self) -> None:
        [stored] = await self.database.read(lambda connection: find_rows(connection, BLOCK, [0]))
        if stored[BLOCK.columns.index("block_id")] != genesis_tip(self._cluster_id):
            raise DatabaseFault("the database holds the ledger of another genesis")


def _genesis_tip(genesis: Genesis, cluster_id: bytes) -> Tip:
    return Tip(0, genesis_tip(cluster_id), 0, EMPTY_ROOT, (), genesis_digest(cluster_id), genesis.created_ms)


def _tip_after(executed: Executed, cluster_id: bytes) -> Tip:
    header = executed.header
    name = block_id(cluster_id, header)
    return Tip(header.height, name, executed.size, executed.root, executed.peaks, executed.state_digest, header.time_ms)


def _block_row(executed: Executed, tip: Tip, commitment: Commitment) -> tuple[Any, ...]:
    return (
        tip.height,
        tip.block_id,
        encode(executed.header),
        commitment.view,
        commitment.new_view,
        commitment.certificate,
        executed.first_index,
        tip.size,
        tip.root,
        b"".join(tip.peaks),
        tip.state_digest,
        tip.time_ms,
    )


async def _read_page(sql: str, begin: int, connection: Connection) -> Sequence[Any]:
    return await fetch(connection, sql, begin, begin + SEEN_PAGE)
