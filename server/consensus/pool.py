"""Pending records that this replica itself would include: for timers and retransmission. It never reads a record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from server.consensus.config import ADMITTING_MAX, POOL_BYTES_MAX, POOL_RECORDS_MAX, RECORDS_RESENT_MAX


@dataclass(slots=True)
class Pending:
    """Mutable. A pending record: since when it waits, until when it may, and the REQUEST frame that carries it."""

    since_ms: int
    expires_ms: int
    frame: bytes
    resent_ms: dict[str, int]


class Pool:
    """Mutable. At most 10,000 records and 32 MiB (consensus.md 2.10), oldest first."""

    __slots__ = ("_admitting", "_bytes", "_expiry", "_records")

    def __init__(self) -> None:
        self._records: dict[str, Pending] = {}
        self._admitting: dict[str, None] = {}
        self._expiry: list[tuple[int, str]] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._records

    @property
    def frame_bytes(self) -> int:
        """Bytes of all frames kept."""
        return self._bytes

    @property
    def oldest_ms(self) -> int | None:
        """Since when the oldest record waits."""
        return next(iter(self._records.values())).since_ms if self._records else None

    def ask(self, record_id: str) -> bool:
        """Note that the driver is asked about a peer's record. False: it is known, asked about, or too many are."""
        if record_id in self._records or record_id in self._admitting or len(self._admitting) >= ADMITTING_MAX:
            return False
        self._admitting[record_id] = None
        return True

    def answered(self, record_id: str) -> bool:
        """The driver has answered. Returns whether it was asked."""
        return self._admitting.pop(record_id, "absent") is None

    def add(self, record_id: str, frame: bytes, now_ms: int, expires_ms: int) -> bool:
        """Keep a record until it is committed, rejected or expired. False when there is no room."""
        if record_id in self._records:
            return True
        if len(self._records) >= POOL_RECORDS_MAX or self._bytes + len(frame) > POOL_BYTES_MAX:
            return False
        self._records[record_id] = Pending(now_ms, expires_ms, frame, {})
        self._bytes += len(frame)
        heappush(self._expiry, (expires_ms, record_id))
        return True

    def remove(self, record_ids: Iterable[str]) -> None:
        """Forget records: committed, or no longer to be included."""
        for record_id in record_ids:
            pending = self._records.pop(record_id, None)
            if pending is not None:
                self._bytes -= len(pending.frame)
        if len(self._expiry) > 2 * len(self._records) + 64:
            self._expiry = [(pending.expires_ms, record_id) for record_id, pending in self._records.items()]
            heapify(self._expiry)

    def expire(self, now_ms: int) -> None:
        """Forget what can no longer be ordered: a record past its time must not drive a view change (decisions 22)."""
        while self._expiry and self._expiry[0][0] <= now_ms:
            expires_ms, record_id = heappop(self._expiry)
            pending = self._records.get(record_id)
            if pending is not None and pending.expires_ms == expires_ms:
                self.remove((record_id,))

    def to_resend(self, member: str, now_ms: int, after_ms: int) -> list[bytes]:
        """Frames of the oldest records that wait longer than `after_ms` and were not sent to `member` since."""
        frames: list[bytes] = []
        for pending in self._records.values():
            if len(frames) >= RECORDS_RESENT_MAX or now_ms - pending.since_ms <= after_ms:
                break
            if now_ms - pending.resent_ms.get(member, pending.since_ms) > after_ms:
                pending.resent_ms[member] = now_ms
                frames.append(pending.frame)
        return frames
