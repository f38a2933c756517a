"""Try counters that hold over all nodes: each counts its own, durably, and asks the others (decisions 15)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from hashlib import sha256

from server.node.transport import CallFailed, Peers
from server.storage.attempts import AttemptStore

CALL_S = 0.5
"""A peer that does not answer in time is left out: a person must not wait for a node that is down."""


class SharedTries:
    """Names are keyed with the roll key: nobody outside can try all telephone numbers against them."""

    def __init__(self, attempts: AttemptStore, peers: Peers, secret: bytes, now_ms: Callable[[], int]) -> None:
        self._attempts = attempts
        self._peers = peers
        self._secret = secret
        self._now_ms = now_ms
        peers.handle("tries", self._serve)

    async def count(self, name: str, forget_ms: int) -> int:
        """Count one more; the tries of all nodes that answer."""
        hidden = hmac.digest(self._secret, b"tries\n" + name.encode(), sha256).hex()
        own = await self._attempts.add(hidden, self._now_ms(), forget_ms)
        others = await asyncio.gather(*(self._ask(member, hidden) for member in self._peers.connected()))
        return own + sum(others)

    async def _ask(self, member: str, hidden: str) -> int:
        try:
            answer = await self._peers.call(member, "tries", hidden.encode(), CALL_S)
            return max(0, int(answer))
        except (CallFailed, ValueError):
            return 0

    async def _serve(self, member: str, payload: bytes) -> bytes:
        return b"%d" % await self._attempts.tries(payload.decode("ascii"), self._now_ms())
