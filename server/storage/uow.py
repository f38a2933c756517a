"""Units of work that end, whoever stops waiting for them. The only importer of Tortoise's transactions.

Tortoise 1.1.9 takes its lock and then awaits BEGIN; a caller cancelled there leaves the lock held for ever (SQLite) or
a pooled connection lost (PostgreSQL). So each unit runs in a task of its own, shielded from its caller, in a copy of
the database's clean context: no unit ever sees the connection of another one's transaction. Units run one after the
other, on PostgreSQL too: what a unit reads does not change before it writes, and one process is all there is.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from server.storage.statements import Batch, Connection, is_postgres

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]


class UnitsOfWork:
    """Mutable. The transactions under way on one connection of one database."""

    def __init__(self, scope: contextvars.Context, connection_name: str) -> None:
        self._scope = scope
        self._connection_name = connection_name
        self._live: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()

    async def run(self, work: Work[T]) -> T:
        """Run `work` in one transaction: all of it happens, or, when it raises, nothing.

        A caller that is cancelled stops waiting; the work goes on to its end all the same.
        """
        return await self.finish(self._transact(work))

    async def write(self, batch: Batch) -> None:
        """Run a batch as a transaction of its own: on SQLite in one hop, as each takes up to 4 ms when it is busy."""
        await self.finish(self._write(batch))

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, also when the caller is cancelled meanwhile."""
        task = asyncio.create_task(coroutine, context=self._scope.copy(), name="storage-unit-of-work")
        self._live.add(task)
        task.add_done_callback(self._live.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until every unit has ended. Their failures belong to their callers."""
        while self._live:
            await asyncio.wait(self._live)

    async def _transact(self, work: Work[T]) -> T:
        async with self._turn, in_transaction(self._connection_name) as connection:
            return await work(connection)

    async def _write(self, batch: Batch) -> None:
        connection = get_connection(self._connection_name)
        if is_postgres(connection):
            await self._transact(batch.run)
        else:
            async with self._turn:
                await batch.run_alone(connection)
