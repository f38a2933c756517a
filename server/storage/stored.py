"""What the ledger's tables say, as values: tip, blocks, entries; and how rows of tables become them. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from server.ledger.block import LEAF_KIND, Header
from server.ledger.merkle import Frontier
from server.record.canonical import decode, encode
from server.storage.ledger_tables import BLOCK
from server.storage.statements import Connection, fetch, find_rows

_HASH_BYTES = 32


class Tip(msgspec.Struct, frozen=True):
    """The end of the stored ledger. Height 0 is genesis; `root` and `peaks` as bytes, digests in base64url."""

    height: int
    block_id: str
    size: int
    root: bytes
    peaks: tuple[bytes, ...]
    state_digest: str
    time_ms: int

    def frontier(self) -> Frontier:
        """A fresh frontier of the log, to execute the next block on."""
        return Frontier(self.size, self.peaks)


class Commitment(msgspec.Struct, frozen=True):
    """How a block was committed. It stands beside the log, because nodes may commit one block in different views."""

    view: int
    certificate: bytes
    new_view: str = ""
    """Digest of the NEW-VIEW that justified the view; empty in view 0."""


class StoredBlock(msgspec.Struct, frozen=True):
    """A block as another node needs it to catch up: `items` is the batch, byte for byte as it was ordered."""

    header: Header
    block_id: str
    view: int
    new_view: str
    certificate: bytes
    items: tuple[bytes, ...]
    first_index: int
    size: int
    root: bytes
    state_digest: str


class StoredEntry(msgspec.Struct, frozen=True):
    """A log entry and what it is about; `author` is empty for a derived one."""

    index: int
    height: int
    record: str
    kind: str
    author: str
    outcome: str
    content: bytes


class FoundRecord(msgspec.Struct, frozen=True):
    """Where a client record stands: `entry` is the log entry's bytes, `boundary` the log's size after its block."""

    id: str
    kid: str
    index: int
    height: int
    time_ms: int
    outcome: str
    entry: bytes
    boundary: int


class RecordEntry(msgspec.Struct, frozen=True):
    """What a receipt needs of a record's entry."""

    record: str
    time_ms: int
    outcome: str


def entry_of(row: Sequence[Any]) -> StoredEntry:
    """An entry from its columns in the table's order."""
    index, height, record, kind, author, outcome, content = row
    return StoredEntry(index, height, record, kind, author, outcome, bytes(content))


def item_of(content: bytes) -> bytes | None:
    """The item of a batch behind a log entry, byte for byte (DESIGN.md 2.4); None for the block's leaf."""
    entry = decode(content)
    if "record" in entry:
        return str(entry["record"]).encode("ascii")
    system = entry["system"]
    if system["kind"] == LEAF_KIND:
        return None
    return encode({name: system[name] for name in ("body", "due_ms", "key", "kind")})


async def read_tip(connection: Connection) -> Tip | None:
    """The end of the stored ledger; None before it was begun."""
    columns = '"height","block_id","size","root","peaks","state_digest","time_ms"'
    found = await fetch(connection, f'SELECT {columns} FROM "block" ORDER BY "height" DESC LIMIT 1')  # noqa: S608
    if not found:
        return None
    height, name, size, root, joined, state_digest, time_ms = found[0]
    return Tip(height, name, size, bytes(root), split_peaks(joined), state_digest, time_ms)


def split_peaks(joined: bytes) -> tuple[bytes, ...]:
    """The peaks of a frontier, 32 bytes each, that the table holds joined."""
    return tuple(bytes(joined[begin : begin + _HASH_BYTES]) for begin in range(0, len(joined), _HASH_BYTES))


async def read_blocks(connection: Connection, height: int, limit: int, bytes_max: int) -> list[StoredBlock]:
    """Blocks from `height` on: at most `limit`, with about `bytes_max` bytes of items, one at least."""
    found = await find_rows(connection, BLOCK, range(height, height + limit))
    rows = sorted(found, key=lambda row: int(row[0]))
    blocks: list[StoredBlock] = []
    total = 0
    for row in rows:
        header = msgspec.json.decode(bytes(row[2]), type=Header)
        total += header.entries_bytes
        if blocks and total > bytes_max:
            break
        blocks.append(await _read_block(connection, header, row))
    return blocks


async def _read_block(connection: Connection, header: Header, row: Sequence[Any]) -> StoredBlock:
    _, name, _, view, new_view, certificate, first_index, size, root, _, state_digest, _ = row
    sql = 'SELECT "content" FROM "entry" WHERE "index" >= ? AND "index" < ? ORDER BY "index"'
    contents = await fetch(connection, sql, first_index, size - 1)
    items = tuple(item for (content,) in contents if (item := item_of(bytes(content))) is not None)
    return StoredBlock(
        header, name, view, new_view, bytes(certificate), items, first_index, size, bytes(root), state_digest
    )
