"""What a node does beside its work: signatures made durable while it is idle, and what nobody named let go.

Attachments whose record was never ordered are kept for 48 hours, in which a phone may still deliver it (decisions 3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from server.limits import HOUR_MS, SECOND_MS
from server.node.photo_desk import ORPHAN_MS, PhotoDesk
from server.storage.ledger import Ledger

log = structlog.get_logger()
FLUSH_MS = 2 * SECOND_MS
"""Cosignatures of the last block are written with the next one; while there is none, this often."""
COLLECT_MS = HOUR_MS


async def keep_up(ledger: Ledger, photos: PhotoDesk, now_ms: Callable[[], int]) -> None:
    """Run until cancelled, then write what is in memory. A failure ends the node, as any of its disk does."""
    leftovers = await photos.files.clear_leftovers()
    if leftovers:
        log.info("photo_leftovers_cleared", count=leftovers)
    turns = 0
    try:
        while True:
            await asyncio.sleep(FLUSH_MS / 1000)
            await ledger.cosignatures.flush()
            turns += 1
            if turns * FLUSH_MS >= COLLECT_MS:
                turns = 0
                await collect_orphans(ledger, photos, now_ms())
    except asyncio.CancelledError:
        await ledger.cosignatures.flush()  # an orderly end forgets no signature of the last block
        raise


async def collect_orphans(ledger: Ledger, photos: PhotoDesk, now_ms: int) -> None:
    """Let go of openings and photos that no ordered record has named for 48 hours, whoever its author is."""
    openings = await ledger.openings.collect_orphans(now_ms - ORPHAN_MS)
    pictures = await photos.collect_orphans(now_ms)
    if openings or pictures:
        log.info("orphans_collected", openings=openings, photos=pictures)
