"""What a simulated node's program does for its replica: the questions that the block worker answers, in virtual time.

It judges with the application, keeps records that wait, and fetches what a proposal lacks from nodes within reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from server.consensus import effects, events
from server.consensus.block import Attachments, Block, make_block
from server.consensus.events import Verdict
from server.consensus.restored import Boundary
from tests.simulation.application import LedgerState, OpeningsMissing, SignedCheckpoints
from tests.simulation.endings import prove

if TYPE_CHECKING:
    from tests.simulation.node import Node


class Desk:
    """Mutable. `_results`: executed blocks that are not stored yet."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._results: dict[str, tuple[LedgerState, list[str]]] = {}

    def clear(self) -> None:
        """The program begins anew."""
        self._results.clear()

    def admit(self, effect: effects.Admit) -> None:
        """May a record that a peer passes on wait here?"""

        def judge() -> None:
            record = effect.record
            good = self._node.application.record_id(record) == effect.record_id
            if good and self._node.application.admits(record, effect.attachments, self._node.clock()):
                self.keep(effect.record_id, record, effect.attachments)
                answer = (effect.record_id, record, effect.attachments, self._node.application.expires_ms(record))
                self._node.step(events.Admitted(*answer))
            else:
                self._node.step(events.Rejected(effect.record_id))

        self._node.later(self._node.work_ms(), judge)

    def keep(self, record_id: str, record: bytes, attachments: Attachments) -> None:
        """A record waits to be ordered."""
        self._node.pool[record_id] = (record, attachments)
        self._node.disk.held.update(attachments)

    def build(self, effect: effects.Build) -> None:
        """The batch of the next block."""

        def build() -> None:
            items: list[bytes] = []
            if effect.height == self._node.height + 1:
                pending = [record for record, _ in self._node.pool.values() if not self._lacks(record)]
                try:
                    signed = SignedCheckpoints(self._node.seal, self._node.signed)
                    items = self._node.application.build(effect.time_ms, pending, signed)
                except OpeningsMissing as missing:
                    self._fetch(missing.names)
            ids = [self._node.application.record_id(item) for item in items]
            held = {name: data for key in ids if key in self._node.pool for name, data in self._node.pool[key][1]}
            attachments = tuple(sorted(held.items()))
            rules = self._node.application.ledger.agenda().rules
            self._node.step(events.Built(effect.height, effect.time_ms, rules, tuple(items), attachments))

        self._node.later(self._node.work_ms(), build)

    def _lacks(self, record: bytes) -> list[str]:
        return [name for name in self._node.application.attachments(record) if name not in self._node.disk.held]

    def check(self, effect: effects.Check) -> None:
        """Is a proposal valid?"""
        self._node.later(self._node.work_ms(), lambda: self._judge(effect.block, last=False))

    def _judge(self, block: Block, *, last: bool) -> None:
        """Check a proposal; what it lacks is fetched once."""
        if block.height != self._node.height + 1:
            return
        self._node.disk.held.update(block.attachments)
        lacking = [name for item in block.items for name in self._lacks(item)]
        try:
            good = self._node.application.check(block.header, block.items)
        except OpeningsMissing as missing:
            good, lacking = True, [*lacking, *missing.names]
        if not good:
            self._node.step(events.Checked(block.block_id, Verdict.BAD))
        elif lacking and not last:
            self._node.later(self._node.world.random.randint(20, 600), lambda: self._look_again(block, lacking))
        else:
            self._node.step(events.Checked(block.block_id, Verdict.ATTACHMENTS_MISSING if lacking else Verdict.OK))

    def _look_again(self, block: Block, lacking: Sequence[str]) -> None:
        self._fetch(lacking)
        self._judge(block, last=True)

    def _fetch(self, names: Sequence[str]) -> None:
        """Get attachments, and evidence that a proposal names, from any node within reach that has them."""
        for name in names:
            for other in self._node.world.nodes:
                if other.replica is None or not self._node.world.reach(other, self._node):
                    continue
                if name in other.disk.held:
                    self._node.disk.held[name] = other.disk.held[name]
                elif name in other.disk.evidence:
                    self._node.step(events.Accused(other.disk.evidence[name].packed))

    def execute(self, effect: effects.Execute) -> None:
        """What a block does."""

        def execute() -> None:
            block = effect.block
            if block.height == self._node.height + 1:
                ledger, ids = self._node.application.execute(block)
                self._results[block.block_id] = (ledger, ids)
                frontier = ledger.frontier
                self._node.step(events.Executed(block.block_id, frontier.size, frontier.root(), ledger.digest))

        self._node.later(self._node.work_ms(), execute)

    def store(self, effect: effects.Store) -> None:
        """A block becomes durable, and everybody is told who waits for it."""

        def stored() -> None:
            block = effect.block
            ledger, ids = self._results[block.block_id]
            frontier = ledger.frontier
            boundary = Boundary(block.height, block.block_id, frontier.size, frontier.root())
            self._node.disk.store(effect, boundary, ledger.digest)
            self._node.disk.held.update(block.attachments)
            self._node.application.keep(ledger)
            self._results.clear()
            self._node.world.watch.admitted(self._node, block)
            self._node.world.watch.stored(self._node, block, boundary, ledger, ids)
            if self._node.world.upgrades is not None:
                self._node.world.upgrades.stored(self._node, ledger)
            for record_id in ids:
                self._node.pool.pop(record_id, None)
            ends_epoch = ledger.epoch is not None and ledger.epoch.number > self._node.config.epoch
            if ledger.epoch is not None and ends_epoch:
                self._node.world.watch.began(self._node, ledger.epoch)
            self._node.step(events.Stored(block.height, tuple(ids), ends_epoch))
            self._node.step(ledger.agenda())
            self._node.world.faults.after_store(self._node)

        self._node.later(self._node.work_ms(), stored)

    def read_blocks(self, effect: effects.ReadBlocks) -> None:
        """Stored blocks for a peer that is behind."""

        def answer() -> None:
            found: list[tuple[Block, bytes]] = []
            room = effect.bytes_max
            for stored in self._node.disk.blocks[effect.from_height - 1 :][: effect.blocks_max]:
                room -= stored.block.header.entries_bytes
                if room < 0 and found:
                    break
                found.append((self._read(stored.block), stored.certificate))
            self._node.step(events.BlocksRead(effect.to, tuple(found)))

        self._node.later(self._node.work_ms(), answer)

    def _read(self, block: Block) -> Block:
        """A block from the disk, now and then with a flipped bit."""
        if not self._node.world.faults.rots_now():
            return block
        header = structs.replace(block.header, time_ms=block.header.time_ms ^ 1)
        return make_block(self._node.config.cluster_id, header, block.items, block.attachments)

    def prove_retired(self, effect: effects.ProveRetired) -> None:
        """Show that the end of an epoch stands in the tree that a retired key has signed."""

        def proved() -> None:
            self._node.step(events.Accused(prove(self._node, effect.ending, effect.line).packed))

        self._node.later(self._node.work_ms(), proved)
