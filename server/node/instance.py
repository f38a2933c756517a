"""Is another process alive that signs with this member's keys? A machine that was copied, a folder started twice: two
honest processes of one member make two histories (consensus.md 2.8, the signer guard; DESIGN.md D24).

Each process draws a nonce when it starts and announces it to every peer, signed, again and again. A peer answers which
other nonce of the same member it heard of just now, and the next announcement names that one. So an announcement with
the own signature that names the own nonce was made after this process had begun, by another one. Whoever is shown such
an announcement stops. No peer can make one: a lie stops nobody. It must not know what is ordered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_hex
from time import monotonic
from typing import Protocol

import msgspec
import structlog

from server.consensus.packing import pack, unpack
from server.node.transport import CallFailed, Peers
from server.record.canonical import Malformed, encode

log = structlog.get_logger()
CALL = "instance"
_TYPE = "INSTANCE"
ANNOUNCE_S = 1.0
SEEK_S = 0.1
"""How soon a peer that is not connected, or has not answered yet, is asked again."""
LIVE_S = 2.5 * ANNOUNCE_S
"""A process that has not announced itself for so long is taken for ended; one that hangs up, at once."""
PATIENCE_S = 5.0
"""A peer that has not given a clear answer for so long is listened to all the same: it shall not keep us silent."""
KNOWN_MAX = 4


class Announcement(msgspec.Struct, frozen=True):
    """A process of `member` says that it lives. `heard`: the nonce of another one that a peer told it of, or empty."""

    heard: str
    member: str
    nonce: str


class Signing(Protocol):
    """Signs and verifies as the consensus messages are signed: bound to the cluster and to the type."""

    def sign(self, type: str, body: bytes) -> bytes: ...
    def is_signed_now(self, member: str, type: str, body: bytes, signature: bytes) -> bool: ...


class InstanceGuard:
    """Mutable. Announces this process, hears those of the peers, and says which peers know of no second one of us."""

    def __init__(self, me: str, keyring: Signing, peers: Peers, now_s: Callable[[], float] = monotonic) -> None:
        self._me, self._keyring, self._peers, self._now_s = me, keyring, peers, now_s
        self.nonce = token_hex(16)
        self._heard: dict[str, str] = {}
        self._cleared: set[str] = set()
        self._alive: dict[str, dict[str, tuple[bytes, float]]] = {}
        """By member and nonce: the last announcement and when it came."""
        self._twice: set[str] = set()
        peers.handle(CALL, self._answer)
        peers.on_hangup = lambda member: self._alive.pop(member, None)

    def is_cleared(self, member: str) -> bool:
        """Whether this peer has said that it hears no other process of ours: before that none of its frames is read,
        so that a second process signs nothing where the first one is heard."""
        return member in self._cleared

    async def watch(self, member: str, on_twin: Callable[[str], None]) -> None:
        """Announce this process to one peer until cancelled; `on_twin(peer)` once another one is proven."""
        asked_s: float | None = None
        while True:
            if not self._peers.reaches(member):
                await asyncio.sleep(SEEK_S)
                continue
            asked_s = self._now_s() if asked_s is None else asked_s
            if await self._announce(member):
                on_twin(member)
            if self._now_s() - asked_s >= PATIENCE_S:
                self._cleared.add(member)
            await asyncio.sleep(ANNOUNCE_S if member in self._cleared else SEEK_S)

    async def _announce(self, member: str) -> bool:
        """Tell one peer; whether it shows another process of ours."""
        raw = encode(msgspec.to_builtins(Announcement(self._heard.get(member, ""), self._me, self.nonce)))
        try:
            answer = await self._peers.call(member, CALL, pack((raw, self._keyring.sign(_TYPE, raw))))
            other, proof = unpack(answer, 2)
        except (CallFailed, Malformed):
            return False
        self._heard[member] = other.decode("ascii", "replace")
        if not other:
            self._cleared.add(member)
        return bool(proof) and self._is_twin(proof)

    def _is_twin(self, proof: bytes) -> bool:
        try:
            announcement, _ = self._read(self._me, proof)
        except Malformed:
            return False
        return announcement.heard == self.nonce != announcement.nonce

    def _read(self, member: str, packed: bytes) -> tuple[Announcement, bytes]:
        """An announcement that `member` signed. Raises Malformed."""
        raw, signature = unpack(packed, 2)
        try:
            found = msgspec.json.decode(raw, type=Announcement)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("no announcement") from None
        if found.member != member or not self._keyring.is_signed_now(member, _TYPE, raw, signature):
            raise Malformed(f"not an announcement of {member}")
        return found, packed

    async def _answer(self, member: str, payload: bytes) -> bytes:
        """Note that a process of a peer lives; tell it which other one does, and what that one said of it."""
        announcement, packed = self._read(member, payload)
        now_s, alive = self._now_s(), self._alive.setdefault(member, {})
        for nonce in [nonce for nonce, (_, at_s) in alive.items() if now_s - at_s > LIVE_S]:
            del alive[nonce]
        if announcement.nonce in alive or len(alive) < KNOWN_MAX:
            alive[announcement.nonce] = (packed, now_s)
        others = [(at_s, nonce, said) for nonce, (said, at_s) in alive.items() if nonce != announcement.nonce]
        if not others:
            self._twice.discard(member)
            return pack((b"", b""))
        _, nonce, said = max(others)
        if member not in self._twice:
            self._twice.add(member)
            log.warning("peer_lives_twice", member=member)
        names_it = self._read(member, said)[0].heard == announcement.nonce
        return pack((nonce.encode(), said if names_it else b""))
