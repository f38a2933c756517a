"""The epochs of one ledger, from its rows, with the size of the tree at which each of them began."""

from __future__ import annotations

from server.domain.membership import EpochBegun, epoch_of_row
from server.domain.resolution import ForkResolved, disputed_by
from server.ledger.genesis import Genesis
from server.ledger.membership import Membership, founding_epoch
from server.storage.ledger import Ledger
from server.storage.rows import read_all


async def read_membership(ledger: Ledger, genesis: Genesis) -> Membership:
    """All epochs as the stored blocks left them; that of genesis alone where it names no operators."""
    found = await ledger.database.read(lambda connection: read_all(connection, EpochBegun.table))
    rows = sorted((row for row in found if isinstance(row, EpochBegun)), key=lambda row: int(row.id))
    if not rows:
        return Membership((founding_epoch(genesis),))
    forks = {row.id: row for row in await read_forks(ledger)}
    return Membership(
        tuple(
            [
                epoch_of_row(row, await _size_before(ledger, row.first_height), disputed_by(forks.get(row.id)))
                for row in rows
            ]
        )
    )


async def read_forks(ledger: Ledger) -> list[ForkResolved]:
    """Every fork that was resolved, oldest first."""
    found = await ledger.database.read(lambda connection: read_all(connection, ForkResolved.table))
    return sorted((row for row in found if isinstance(row, ForkResolved)), key=lambda row: int(row.id))


async def _size_before(ledger: Ledger, height: int) -> int:
    return (await ledger.frontier_at(height - 1)).size if height > 1 else 0
