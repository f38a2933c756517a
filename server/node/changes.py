"""Fan-out of what changed, for live pages: names of record kinds, never content. Slow listeners miss, nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

LISTENERS_MAX = 2_000
PENDING_MAX = 32
_END = ""


class TooManyListeners(Exception):
    """No more live pages can be served by this node."""


class Changes:
    """Mutable. The listeners of one node."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str]] = set()
        self._ended = False

    def end(self) -> None:
        """Let every listener come to its end: nothing more is told."""
        self._ended = True
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(_END)

    def publish(self, topics: Sequence[str]) -> None:
        """Tell every listener; one whose queue is full misses the news and reads the page again later."""
        for queue in self._queues:
            for topic in topics:
                if not queue.full():
                    queue.put_nowait(topic)

    async def listen(self) -> AsyncIterator[str]:
        """Topics as they come, until the node ends. Raises TooManyListeners."""
        if len(self._queues) >= LISTENERS_MAX:
            raise TooManyListeners
        queue: asyncio.Queue[str] = asyncio.Queue(PENDING_MAX)
        self._queues.add(queue)
        try:
            while not self._ended and (topic := await queue.get()) != _END:
                yield topic
        finally:
            self._queues.discard(queue)
