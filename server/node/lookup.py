"""Which records the stored log holds. Questions that come while one is asked of the database are asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.storage.ledger import Ledger, StoredEntry


@dataclass(slots=True)
class _Batch:
    """Mutable. Records that are asked for together."""

    records: list[str] = field(default_factory=list)
    answer: asyncio.Task[Mapping[str, StoredEntry]] | None = None


class Lookup:
    """Mutable. Every record that is handed in, here or at a peer, is looked up once: one query each would cost more
    than its signature."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._collecting: _Batch | None = None
        self._turn = asyncio.Lock()

    async def holds(self, record_id: str) -> bool:
        """Was the record stored before this question was asked?"""
        batch = self._collecting
        if batch is None:
            batch = self._collecting = _Batch()
            batch.answer = asyncio.create_task(self._ask(batch), name="lookup")
        batch.records.append(record_id)
        assert batch.answer is not None, "a batch is asked when it is made"
        return record_id in await asyncio.shield(batch.answer)

    async def _ask(self, batch: _Batch) -> Mapping[str, StoredEntry]:
        async with self._turn:
            self._collecting = None
            return await self._ledger.entries_of_records(batch.records)
