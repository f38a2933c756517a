"""Openings that this node never got, or has lost, are looked for and fetched beside its work (DESIGN.md D33).

Who joined was shown blocks without what is private, and who joined by a snapshot got what its peer had at hand. A
tally asks for its own openings when it is due (`attachments`); this finds all others before anybody needs them. Blocks
are gone through in their order, a page at a time; up to where nothing is missing is durable, so a node that is killed
goes on there. It must not know what an opening means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from server.domain.plan import parse_signed
from server.domain.rules import Rulebook, RulesUnknown
from server.node.attachments import AttachmentDesk, Named
from server.storage.ledger import Ledger, StoredBlock

log = structlog.get_logger()
PAUSE_S = 0.5
"""Between two pages of at most 64 blocks: a node on an old ledger has other work."""
AGAIN_S = 4.0
"""After a round that left something missing, as the first one does while no peer is connected; twice as long after each
further one."""
LATER_S = 600.0
"""After a round that left nothing: only what was stored since is looked at then, for blocks that are fetched bring what
their peer had. The longest pause, too."""


class Mending:
    """Mutable. `missing`: openings of ordered records that are known not to be here."""

    def __init__(
        self, ledger: Ledger, attachments: AttachmentDesk, estate: str, rulebook: Rulebook, now_ms: Callable[[], int]
    ) -> None:
        self._ledger, self._attachments = ledger, attachments
        self._estate, self._rulebook, self._now_ms = estate, rulebook, now_ms
        self.missing = 0
        self.pause_s, self.again_s = PAUSE_S, AGAIN_S

    async def run(self) -> None:
        """Run until cancelled. A failure ends the node, as any of its disk does."""
        wait_s = self.again_s
        while True:
            await self.mend()
            if self.missing:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LATER_S)
            else:
                wait_s = self.again_s
                await asyncio.sleep(LATER_S)

    async def mend(self) -> None:
        """One round over the blocks that were not found whole before, up to the tip of now."""
        height, tip = await self._ledger.openings.mended_height() + 1, self._ledger.tip.height
        left = 0
        while height <= tip:
            page = await self._ledger.blocks(height)
            left += await self._mend_page(page, left)
            height = page[-1].header.height + 1
            if not left:
                await self._ledger.openings.note_mended(height - 1)
            await asyncio.sleep(self.pause_s)
        if left < self.missing:
            log.info("openings_mended", left=left)
        self.missing = left

    async def _mend_page(self, page: list[StoredBlock], left: int) -> int:
        """Returns how many openings of these blocks nobody within reach has."""
        named: list[Named] = []
        for block in page:
            named += self._named_by(block)
            await asyncio.sleep(0)  # a full block takes some milliseconds to read
        lost = await self._ledger.openings.unheld(named) if named else []
        self.missing = max(self.missing, left + len(lost))
        return len(await self._attachments.restore(lost, self._now_ms())) if lost else 0

    def _named_by(self, block: StoredBlock) -> list[Named]:
        """What the records of a block name; of rules that this release does not know nothing is guessed."""
        try:
            rules = self._rulebook.find(block.header.rules)
        except RulesUnknown:
            return []
        items = [item.decode("ascii") for item in block.items if not item.startswith(b"{")]
        works = [parse_signed(item, self._estate, rules) for item in items]
        return [(work.signed.id, name) for work in works for name in work.signed.body.commitments()]
