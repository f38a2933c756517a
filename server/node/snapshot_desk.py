"""What a node shows to peers that join by a snapshot: its newest state, the log below it, and what proves both.

Shown is only what the log tells under a checkpoint that a quorum signed: by then a quorum holds it durably. Every
answer proves itself, and each peer is answered a bounded number of questions at a time, at a bounded rate. It must not
know what the peer does with the answers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from msgspec import Meta, structs

from server.domain.joining import CheckpointLine, OldBlock, Page, Snapshot
from server.domain.state_root import TellStateRoot
from server.ledger.block import derived_id
from server.limits import (
    FRAME_BYTES_MAX,
    HISTORY_BLOCKS_MAX,
    HISTORY_PAGE_BYTES,
    INTEGER_MAX,
    KIB,
    SNAPSHOT_BYTES_PER_S,
    SNAPSHOT_CALLS_MAX,
)
from server.node.parts import Parts
from server.node.successions import make_links
from server.node.transport import CallFailed, Handler, Peers
from server.record.canonical import b64u_encode, decode, encode
from server.record.shape import Shape, parse
from server.storage.stored import StoredBlock

SNAPSHOT, CHUNK, HISTORY = "snapshot", "snapshot-chunk", "snapshot-history"
Height = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
PAGE_BYTES_MAX = FRAME_BYTES_MAX - KIB
OPENINGS_ROOM = FRAME_BYTES_MAX // 4
"""Openings in one answer, in base64url: those of further blocks come with the next page."""


class AskChunk(Shape, frozen=True):
    """Which chunk of the state after which block."""

    height: Height
    number: Annotated[int, Meta(ge=0, le=10**6)]


class AskHistory(Shape, frozen=True):
    """Blocks from `begin` on, none above `end`, the snapshot's block; the proof is against the log after `end`."""

    begin: Height
    end: Height


class SnapshotDesk:
    """Mutable. Answers questions about snapshots at one node."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running: Counter[str] = Counter()
        self._free_s: dict[str, float] = {}
        """By peer, when it has been given less than its rate again (the loop's clock)."""

    def serve(self, peers: Peers) -> None:
        """Answer the calls of members, and of who follows to become one."""
        handlers: dict[str, Handler] = {
            SNAPSHOT: lambda member, _: self._bounded(member, self._show),
            CHUNK: lambda member, payload: self._bounded(member, partial(self._chunk, payload)),
            HISTORY: lambda member, payload: self._bounded(member, partial(self._history, member, payload)),
        }
        for method, handler in handlers.items():
            peers.handle(method, handler, for_guests=True)

    async def _bounded(self, member: str, find: Callable[[], Awaitable[bytes]]) -> bytes:
        """Few answers at a time, and each waits until the peer's rate allows it. Raises CallFailed."""
        if self._parts.membership.last_height_of(member) is not None:
            raise CallFailed("the log goes on without this member")
        if self._running[member] >= SNAPSHOT_CALLS_MAX:
            raise CallFailed("too many questions about snapshots at a time")
        self._running[member] += 1
        try:
            answer = await find()
            now_s = asyncio.get_running_loop().time()
            free_s = max(now_s, self._free_s.get(member, now_s))
            self._free_s[member] = free_s + len(answer) / SNAPSHOT_BYTES_PER_S
            await asyncio.sleep(free_s - now_s)
            return answer
        finally:
            self._running[member] -= 1

    async def _show(self) -> bytes:
        """The newest snapshot that a quorum stands for; empty when there is none."""
        for height in self._parts.snapshots.heights():
            shown = await self._find(height)
            if shown is not None:
                return encode(shown)
        return b""

    async def _find(self, height: int) -> Snapshot | None:
        """The state after a block with its proof; None unless a signed checkpoint covers the entry that tells it."""
        ledger = self._parts.ledger
        told = await ledger.entry_of_record(derived_id(self._parts.cluster_id, TellStateRoot.kind, str(height), 0))
        signed = None if told is None else self._parts.checkpoints.covering(told.index)
        if told is None or signed is None or signed.size > ledger.tip.size:
            return None
        manifest = await self._parts.snapshots.read_manifest(height)
        proof = await ledger.inclusion_proof(told.index, signed.size)
        parts = self._parts
        links = await make_links(ledger, parts.membership, parts.genesis.origin, parts.checkpoints.committed)
        if links is None:
            return None
        return Snapshot(
            entry=told.content.decode(),
            index=told.index,
            lines=tuple(CheckpointLine(member=member, text=line) for member, line in signed.lines),
            links=tuple(links),
            manifest=manifest.decode(),
            proof=tuple(map(b64u_encode, proof)),
            root=b64u_encode(signed.root),
            size=signed.size,
        )

    async def _chunk(self, payload: bytes) -> bytes:
        asked = parse(AskChunk, decode(payload))
        return await self._parts.snapshots.read_chunk(asked.height, asked.number)

    async def _history(self, member: str, payload: bytes) -> bytes:
        """A page of the log: as many blocks as fit, one at least; openings are for members. Raises CallFailed when the
        blocks are not here."""
        asked, ledger = parse(AskHistory, decode(payload)), self._parts.ledger
        limit = min(HISTORY_BLOCKS_MAX, asked.end - asked.begin + 1)
        end = await ledger.block(asked.end)
        found = await ledger.blocks(asked.begin, limit, HISTORY_PAGE_BYTES) if end is not None and limit > 0 else []
        if end is None or not found or found[0].header.height != asked.begin:
            raise CallFailed("no such blocks here")
        blocks, room = list[OldBlock](), OPENINGS_ROOM
        is_member = member in self._parts.membership.current.ids
        for stored in found:
            old = await self._old_block(stored, with_openings=is_member)
            room -= sum(map(len, old.openings.values()))
            if room < 0 and blocks:
                break
            blocks.append(old)
        proof = await ledger.consistency_proof(found[len(blocks) - 1].size, end.size)
        return encode_page(Page(blocks=tuple(blocks), proof=tuple(map(b64u_encode, proof))))

    async def _old_block(self, stored: StoredBlock, *, with_openings: bool) -> OldBlock:
        entries = await self._parts.ledger.entries(range(stored.first_index, stored.size))
        records = [entry.record for entry in entries if entry.author and with_openings]
        openings = await self._parts.attachments.read_openings(records)
        return OldBlock(
            certificate=b64u_encode(stored.certificate),
            entries=tuple(entry.content.decode() for entry in entries),
            openings={name: b64u_encode(opening) for name, opening in openings.items()},
        )


def encode_page(page: Page) -> bytes:
    """The page as it is sent. A single full block may be too large for a frame with its openings: they stay away then,
    and are asked for when a tally needs them, as any that a node has lost."""
    encoded = encode(page)
    if len(encoded) <= PAGE_BYTES_MAX:
        return encoded
    bare = [structs.replace(block, openings={}) for block in page.blocks]
    return encode(structs.replace(page, blocks=tuple(bare)))
