"""Rows are a cache of the ledger: from the stored entries alone all of them can be built again, and compared.

Replay executes every block by the version of the rules that its header names, and refuses to go on where an entry, an
outcome, a digest or a root comes out otherwise than it was stored. It verifies no signature.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from server.domain import RULEBOOK
from server.domain.execute import Executed, execute_block
from server.domain.genesis_rows import genesis_rows, trust_of
from server.domain.plan import RecordWork, Work
from server.domain.rules import Rulebook, Rules, RulesUnknown
from server.domain.state_root import Schedule
from server.ledger.genesis import Genesis, estate_of
from server.ledger.merkle import Frontier
from server.record.canonical import encode
from server.record.rows import Key
from server.storage.database import Database
from server.storage.ledger import EntryDamaged, Ledger
from server.storage.rows import RowStore, read_all
from server.storage.statements import Batch, Connection, change
from server.storage.stored import Commitment, StoredBlock
from server.storage.tables import ROW_TABLES
from server.storage.vault import Vault


class ReplayDiffers(Exception):
    """A block does not execute to what was stored: rules that this release does not know, or a damaged database."""


async def open_ledger(
    database: Database,
    genesis: Genesis,
    cluster_id: bytes,
    vault: Vault,
    schedule: Schedule | None = None,
    rulebook: Rulebook = RULEBOOK,
) -> Ledger:
    """Open or begin the ledger of this genesis, and rebuild its rows when this program's shapes are other ones.

    Raises DatabaseFault (another ledger, a wrong key) and ReplayDiffers.
    """
    ledger = await Ledger.open(database, genesis, cluster_id, vault, schedule)
    if not database.rows_current:
        await rebuild_rows(ledger, genesis, cluster_id, rulebook)
    return ledger


async def rebuild_rows(ledger: Ledger, genesis: Genesis, cluster_id: bytes, rulebook: Rulebook = RULEBOOK) -> None:
    """Empty the row tables and fill them from the stored blocks; interrupted, it is begun anew at the next start.

    Raises ReplayDiffers; the tables then stay marked as not current.
    """
    rows = ledger.rows
    await ledger.database.run(_empty_rows)
    rows.clear()
    first = {Key(row.table, row.id): row for row in genesis_rows(genesis)}
    batch = Batch()
    rows.flush(batch, first, genesis.created_ms)
    await ledger.database.write(batch)
    async for _, _, executed in _execute_stored(ledger, rows, genesis, cluster_id, rulebook):
        batch = Batch()
        rows.flush_block(batch, executed)
        await ledger.database.write(batch)
        rows.take(executed.changed)
    await ledger.database.keep_derived()


async def replay_into(
    source: Ledger, target: Ledger, genesis: Genesis, cluster_id: bytes, rulebook: Rulebook = RULEBOOK
) -> int:
    """Execute and store the blocks of `source` that an emptier ledger lacks. Returns how many. Raises ReplayDiffers."""
    count = 0
    above = target.tip.height
    async for stored, works, executed in _execute_stored(source, target.rows, genesis, cluster_id, rulebook, above):
        openings = await source.openings.of_records([work.signed.id for work in works if isinstance(work, RecordWork)])
        given = {name: opening for held in openings.values() for name, opening in held.items()}
        await target.store(executed, works, Commitment(stored.view, stored.certificate, stored.new_view), given)
        count += 1
    return count


async def row_differences(one: Database, other: Database) -> list[str]:
    """`<table>/<id>` of every row that two databases do not hold in the same bytes, sorted; empty when all agree."""
    differences: list[str] = []
    for table in ROW_TABLES:
        left, right = await _canonical_rows(one, table), await _canonical_rows(other, table)
        names = {name for name, _ in left.items() ^ right.items()}
        differences.extend(f"{table}/{name}" for name in sorted(names))
    return differences


async def _execute_stored(
    source: Ledger, rows: RowStore, genesis: Genesis, cluster_id: bytes, rulebook: Rulebook, above: int = 0
) -> AsyncIterator[tuple[StoredBlock, list[Work], Executed]]:
    """The blocks of `source` above a height, executed on `rows`; the caller writes each before it asks for the next."""
    estate, trust = estate_of(genesis, cluster_id), trust_of(genesis, cluster_id)
    tree = await _frontier_after(source, above)
    height = above + 1
    while blocks := await _read(source, height):
        for stored in blocks:
            rules = _find_rules(rulebook, stored)
            works, loaded = await rows.plan(stored.items, estate, rules)
            executed = execute_block(stored.header, works, loaded, tree, trust, rules)
            await _compare(source, stored, executed)
            tree = Frontier(executed.size, executed.peaks)
            yield stored, works, executed
        height = blocks[-1].header.height + 1


def _find_rules(rulebook: Rulebook, stored: StoredBlock) -> Rules:
    try:
        return rulebook.find(stored.header.rules)
    except RulesUnknown as error:
        raise ReplayDiffers(f"block {stored.header.height}: {error}") from None


async def _read(source: Ledger, height: int) -> list[StoredBlock]:
    try:
        return await source.blocks(height)
    except EntryDamaged as damage:
        raise ReplayDiffers(str(damage)) from damage


async def _frontier_after(source: Ledger, height: int) -> Frontier:
    return Frontier() if height == 0 else await source.frontier_at(height)


async def _compare(source: Ledger, stored: StoredBlock, executed: Executed) -> None:
    height = stored.header.height
    if (executed.size, executed.root, executed.state_digest) == (stored.size, stored.root, stored.state_digest):
        return
    kept = await source.contents(stored.first_index, stored.size - stored.first_index)
    for index, (old, new) in enumerate(zip(kept, executed.entries, strict=False), start=stored.first_index):
        if old != new:
            raise ReplayDiffers(f"block {height}, entry {index}: stored {old!r}, executed {new!r}")
    raise ReplayDiffers(f"block {height} executes to another size, root or digest than was stored")


async def _empty_rows(connection: Connection) -> None:
    for table in ROW_TABLES:
        await change(connection, f'DELETE FROM "{table}"')  # noqa: S608 - names of our own tables
    await change(connection, 'DELETE FROM "row_before"')
    await change(connection, 'DELETE FROM "derived_table"')


async def _canonical_rows(database: Database, table: str) -> dict[str, bytes]:
    rows = await database.read(lambda connection: read_all(connection, table))
    return {row.id: encode([table, row.id, row]) for row in rows}
