"""Requests that wait for a quorum's signatures under a record that is stored. It must not know what was signed."""

from __future__ import annotations

import asyncio


class Unsigned:
    """Mutable. Who waits, by record; a checkpoint of a greater size than the record's index wakes them."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[int, asyncio.Event]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, record_id: str, index: int, done: asyncio.Event) -> None:
        """Wake `done` when the entry at this index is signed."""
        self._waiting[record_id] = (index, done)

    def wait_for(self, record_id: str, index: int) -> asyncio.Event:
        """The event of a record; of one nobody waits for, a new one."""
        return self._waiting.setdefault(record_id, (index, asyncio.Event()))[1]

    def settle(self, size: int) -> None:
        """A quorum has signed the log at this size. A node that catches up skips sizes: all below it are covered."""
        for record_id, (index, done) in list(self._waiting.items()):
            if index < size:
                done.set()
                del self._waiting[record_id]

    def release(self) -> None:
        """Nothing more will be signed here: let everybody go."""
        for _, done in self._waiting.values():
            done.set()
        self._waiting.clear()
