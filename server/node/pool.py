"""Records that wait to be ordered: one entry a record id, in the order of their arrival, with who waits for each.

Bounded in number, bytes and per device. It must not know rules: what comes in was admitted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from server.consensus.block import ATTACHMENTS_BYTES_MAX, ATTACHMENTS_MAX, Attachments
from server.domain.plan import RecordWork
from server.limits import (
    BLOCK_BYTES_MAX,
    BLOCK_ITEMS_MAX,
    BLOCK_TIMERS_MAX,
    POOL_BYTES_MAX,
    POOL_RECORDS_MAX,
    RECORDS_IN_FLIGHT_PER_DEVICE,
)

RESERVED_ITEMS = BLOCK_TIMERS_MAX + 2
"""Places of a block kept free for its seal, the state's root and its due timers."""
RESERVED_BYTES = 64 * 1024
NAMED_BYTES = 8
"""Lengths of an opening and of its name in a frame."""


class PoolFull(Exception):
    """Too many records wait; the client comes again."""


@dataclass(slots=True)
class Waiting:
    """Mutable. One record of the pool; `done` is set once when its fate is known."""

    work: RecordWork
    openings: Attachments
    received_ms: int
    ours: bool
    item: bytes = b""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.item = self.work.envelope.jws.encode()

    @property
    def record_id(self) -> str:
        """The record's id."""
        return self.work.envelope.id

    @property
    def size(self) -> int:
        """Bytes held for it."""
        return len(self.work.envelope.jws) + self.openings_size

    @property
    def openings_size(self) -> int:
        """Bytes of its openings, with their names, as a frame carries them."""
        return sum(len(name) + len(opening) + NAMED_BYTES for name, opening in self.openings)


class Pool:
    """Mutable. The pool of one node. A device's limit counts what was posted here, not what peers passed on."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._by_item: dict[bytes, Waiting] = {}
        self._in_flight: dict[str, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting.values())

    def get(self, record_id: str) -> Waiting | None:
        """The entry of a record."""
        return self._waiting.get(record_id)

    def by_item(self, item: bytes) -> Waiting | None:
        """The entry whose bytes are exactly these, signature included: it needs no second check."""
        return self._by_item.get(item)

    def add(self, waiting: Waiting) -> Waiting:
        """Take a record, or give the entry that is there. Raises PoolFull."""
        known = self._waiting.get(waiting.record_id)
        if known is not None:
            return known
        kid = waiting.work.signed.kid
        crowded = len(self._waiting) >= POOL_RECORDS_MAX or self._bytes + waiting.size > POOL_BYTES_MAX
        if crowded or (waiting.ours and self._in_flight.get(kid, 0) >= RECORDS_IN_FLIGHT_PER_DEVICE):
            raise PoolFull
        self._waiting[waiting.record_id] = waiting
        self._by_item[waiting.item] = waiting
        if waiting.ours:
            self._in_flight[kid] = self._in_flight.get(kid, 0) + 1
        self._bytes += waiting.size
        return waiting

    def remove(self, record_id: str) -> Waiting | None:
        """Let a record go: it was ordered, or it expired."""
        waiting = self._waiting.pop(record_id, None)
        if waiting is not None:
            kid = waiting.work.signed.kid
            self._by_item.pop(waiting.item, None)
            self._bytes -= waiting.size
            if waiting.ours:
                self._leave(kid)
        return waiting

    def _leave(self, kid: str) -> None:
        left = self._in_flight[kid] - 1
        if left:
            self._in_flight[kid] = left
        else:
            del self._in_flight[kid]

    def drop_expired(self, time_ms: int) -> None:
        """Let go of records that can no longer have effect."""
        for record_id in [one.record_id for one in self if one.work.signed.expires_ms <= time_ms]:
            gone = self.remove(record_id)
            if gone is not None:
                gone.done.set()

    def pick(self) -> list[Waiting]:
        """Records for the next block, by arrival, within its bounds."""
        picked: list[Waiting] = []
        room, attachments_room, openings_left = BLOCK_BYTES_MAX - RESERVED_BYTES, ATTACHMENTS_BYTES_MAX, ATTACHMENTS_MAX
        for waiting in self._waiting.values():
            room -= len(waiting.item)
            attachments_room -= waiting.openings_size
            openings_left -= len(waiting.openings)
            if min(room, attachments_room, openings_left) < 0 or len(picked) == BLOCK_ITEMS_MAX - RESERVED_ITEMS:
                break
            picked.append(waiting)
        return picked

    def openings_of(self, record_ids: Iterable[str]) -> Attachments:
        """The openings held for some records."""
        found = [self._waiting[record_id] for record_id in dict.fromkeys(record_ids) if record_id in self._waiting]
        return tuple(opening for waiting in found for opening in waiting.openings)
