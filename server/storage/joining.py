"""Joining by a snapshot, on disk: what has come of it, in `DATA/joining/`, and how it enters the database at once.

Files are written whole, one for each answer of a peer, so that a node that ends in between goes on where it was. They
are read and checked again before one transaction takes the log, the rows and what lies beside them: until it is
durable the database is what it was before. It must not know peers, nor why what it is given is true.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from server.domain.joining import JoinRefused, PastBlock
from server.record.canonical import decode, encode
from server.record.rows import Row
from server.storage.database import Database
from server.storage.journal import replace_file
from server.storage.ledger_tables import BLOCK, ENTRY, TILE
from server.storage.openings import OpeningStore
from server.storage.photos import settle_photos
from server.storage.snapshots import chunk_name
from server.storage.statements import Batch, Connection, Unexpected, change
from server.storage.stored import Tip
from server.storage.tables import ROW_TABLES
from server.storage.tree import TreeStore

_SHOWN = "snapshot.json"
_LAST_BLOCK = 'SELECT "block_id" FROM "block" ORDER BY "height" DESC LIMIT 1'
_PAGE_NAME = "{:012d}.page"


class Committed(NamedTuple):
    """A block below the snapshot with what its certificate says of the view (it stands beside the log)."""

    past: PastBlock
    view: int
    new_view: str


class JoiningFolder:
    """What has come of a snapshot. Holds one snapshot at a time; another one begins it anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shown(self) -> bytes | None:
        """The snapshot that is being fetched, as the peer showed it; None when there is none."""
        path = self._folder / _SHOWN
        return path.read_bytes() if path.exists() else None

    def begin(self, shown: bytes) -> None:
        """Fetch this snapshot from now on. What had come of the state before goes."""
        self.clear()
        self._folder.mkdir(parents=True, mode=0o700)
        replace_file(self._folder / _SHOWN, shown)

    def chunk(self, number: int) -> bytes | None:
        """A chunk that has come."""
        return self._read(chunk_name(number))

    def keep_chunk(self, number: int, chunk: bytes) -> None:
        """Keep a chunk that was checked."""
        replace_file(self._folder / chunk_name(number), chunk)

    def page(self, begin: int) -> bytes | None:
        """The page of the log that begins with this height, if it has come."""
        return self._read(_PAGE_NAME.format(begin))

    def keep_page(self, begin: int, page: bytes) -> None:
        """Keep a page that was checked."""
        replace_file(self._folder / _PAGE_NAME.format(begin), page)

    def clear(self) -> None:
        """Let go of everything."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        return path.read_bytes() if path.exists() else None


async def load_snapshot(
    database: Database,
    openings: OpeningStore,
    tip: Tip,
    log: Iterable[Sequence[Committed]],
    state: Iterable[Sequence[Row]],
) -> None:
    """Take the log after `tip` and the rows of the state after its last block, in one transaction.

    The rows that were there are replaced. `log` and `state` are read meanwhile, piece by piece; what they raise ends it
    and nothing has happened. Raises JoinRefused when the database no longer ends at `tip`.
    """
    tree = TreeStore(database)
    try:
        await database.run(partial(_expect_end, tip))
        await tree.load_edge(tip.size)
        await database.run(partial(_load, openings, tree, tip, log, state))
    except Unexpected:
        raise JoinRefused("the database no longer ends where this node left it") from None


async def _expect_end(tip: Tip, connection: Connection) -> None:
    expected = Batch()
    expected.expect(_LAST_BLOCK, tip.block_id)
    await expected.run(connection)


async def _load(
    openings: OpeningStore,
    tree: TreeStore,
    tip: Tip,
    log: Iterable[Sequence[Committed]],
    state: Iterable[Sequence[Row]],
    connection: Connection,
) -> None:
    await _expect_end(tip, connection)
    for blocks in log:
        for batch in _log_batches(openings, tree, blocks):
            await batch.run(connection)
    for table in ROW_TABLES:
        await change(connection, f'DELETE FROM "{table}"')  # noqa: S608 - names of our own tables
    await change(connection, 'DELETE FROM "row_before"')
    for rows in state:
        await _row_batch(rows).run(connection)


def _log_batches(openings: OpeningStore, tree: TreeStore, blocks: Sequence[Committed]) -> Iterator[Batch]:
    """What a page writes; what lies beside a block in a batch of its own, for two blocks may name one photo."""
    page = Batch()
    page.add(BLOCK, [_block_row(block) for block in blocks])
    page.add(ENTRY, [row for block in blocks for row in _entry_rows(block.past)])
    tiles = tree.grow(node for block in blocks for node in block.past.nodes)
    page.put(TILE, sorted(tiles.items()))
    tree.take(tiles)
    yield page
    for past in (block.past for block in blocks):
        works = [work for work in past.works if work is not None]
        if works:
            beside = Batch()
            openings.settle(beside, works, past.given, past.header.height, past.header.time_ms)
            settle_photos(beside, works, past.header.time_ms)
            yield beside


def _row_batch(rows: Sequence[Row]) -> Batch:
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        tables[row.table].append(row)
    batch = Batch()
    for table, of_table in sorted(tables.items()):
        batch.add(ROW_TABLES[table].table, [ROW_TABLES[table].values(row) for row in of_table])
    return batch


def _block_row(block: Committed) -> tuple[Any, ...]:
    past = block.past
    return (
        past.header.height,
        past.block_id,
        encode(past.header),
        block.view,
        block.new_view,
        past.certificate,
        past.first_index,
        past.size,
        past.root,
        b"".join(past.peaks),
        past.state_digest,
        past.header.time_ms,
    )


def _entry_rows(past: PastBlock) -> Iterator[tuple[Any, ...]]:
    for offset, (content, work) in enumerate(zip(past.contents, past.works, strict=True)):
        entry = decode(content)
        if work is None:
            about = (entry["system"]["id"], entry["system"]["kind"], "")
        else:
            about = (work.signed.id, work.signed.kind, work.signed.author)
        yield (past.first_index + offset, past.header.height, *about, entry["outcome"], content)
