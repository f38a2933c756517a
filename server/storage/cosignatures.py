"""Cosignature lines under the checkpoints of the last 10,000 blocks (decisions 7). It verifies none: the node has.

Lines are answered from memory at once and written with the next block, or by `flush` when the chain is idle: a sync of
their own for each would cost more than the block. A line lost in a crash is asked of its member again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from server.limits import INTEGER_MAX
from server.storage.database import Database
from server.storage.ledger_tables import COSIGNATURE
from server.storage.statements import Batch, fetch, find_rows

BLOCKS_KEPT = 10_000
_MEMORY_SIZES = 64
"""Checkpoints whose lines are also in memory: receipts are asked for right after their block."""


class CosignatureLine(NamedTuple):
    """A member's signature line (C2SP) under the checkpoint (size, root); `root` in base64url."""

    size: int
    member: str
    root: str
    line: str


class CosignatureStore:
    """Mutable. Lines by size: the newest in memory, the others in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: dict[int, dict[str, CosignatureLine]] = {}
        self._unwritten: list[CosignatureLine] = []

    def add(self, lines: Iterable[CosignatureLine]) -> None:
        """Keep lines; the first of a member and size stays. Durable with the next block or `flush`."""
        for line in lines:
            members = self._recent.setdefault(line.size, {})
            if line.member not in members:
                members[line.member] = line
                self._unwritten.append(line)

    async def of_size(self, size: int) -> list[CosignatureLine]:
        """The lines under the checkpoint of this size, sorted by member."""
        stored = await self._database.read(lambda connection: find_rows(connection, COSIGNATURE, [size], "size"))
        lines = {member: CosignatureLine(size, member, root, line) for _, size, member, root, line in stored}
        return [line for _, line in sorted({**lines, **self._recent.get(size, {})}.items())]

    def recent(self, size: int) -> list[CosignatureLine]:
        """The lines of a size that came since the start, without a query: enough for the newest checkpoints."""
        return [line for _, line in sorted(self._recent.get(size, {}).items())]

    async def newest_size(self, members: int, up_to: int = INTEGER_MAX) -> int:
        """The largest size that at least `members` members have signed; 0 when there is none. Flushes first."""
        await self.flush()
        sql = """SELECT "size" FROM "cosignature" WHERE "size" <= ? GROUP BY "size" HAVING COUNT(*) >= ?
                 ORDER BY "size" DESC LIMIT 1"""
        found = await self._database.read(lambda connection: fetch(connection, sql, up_to, members))
        return int(found[0][0]) if found else 0

    async def flush(self) -> None:
        """Write what waits for the next block."""
        if self._unwritten:
            lines = list(self._unwritten)
            batch = Batch()
            self.write(batch, lines)
            await self._database.write(batch)
            self.written(lines)

    def unwritten(self) -> list[CosignatureLine]:
        """What the next block's transaction has to write."""
        return list(self._unwritten)

    def write(self, batch: Batch, lines: list[CosignatureLine]) -> None:
        """Have lines written with a batch."""
        batch.add_missing(COSIGNATURE, [(f"{line.size}/{line.member}", *line) for line in lines])

    def written(self, lines: list[CosignatureLine]) -> None:
        """After they are durable."""
        done = set(lines)
        self._unwritten = [line for line in self._unwritten if line not in done]
        waiting = {line.size for line in self._unwritten}
        for size in sorted(self._recent)[:-_MEMORY_SIZES]:
            if size not in waiting:
                del self._recent[size]


def prune(batch: Batch, height: int) -> None:
    """Have the lines deleted of blocks that are more than 10,000 before `height`."""
    if height > BLOCKS_KEPT:
        sql = 'DELETE FROM "cosignature" WHERE "size" <= (SELECT "size" FROM "block" WHERE "height" = ?)'
        batch.change(sql, height - BLOCKS_KEPT)
