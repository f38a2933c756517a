"""Work that goes on beside an answer. Ended with the application; its failures are logged, never shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine

import structlog
from aiohttp import web

log = structlog.get_logger()


class Background:
    """Mutable. The tasks of one application."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run `work` until it ends or the application does."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_failed", task=task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel what still runs, and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


BACKGROUND = web.AppKey("background", Background)


async def keep_background(app: web.Application) -> AsyncIterator[None]:
    """For `cleanup_ctx`: the tasks end before the node does."""
    yield
    await app[BACKGROUND].close()
