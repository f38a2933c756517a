"""What the members have signed: the newest committed and sealed checkpoint, and recent ones by size for receipts."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from server.consensus.effects import PublishCheckpoint
from server.ledger.checkpoint import Checkpoint, log_line, note_of
from server.record.signature import NodeSigner

RECENT_MAX = 4_096
"""Checkpoints kept in memory by size: the time a phone may take between posting and asking for its receipt."""


class Published(msgspec.Struct, frozen=True):
    """A block boundary with the cosignatures that are held of it, at least a quorum's."""

    size: int
    root: bytes
    lines: tuple[tuple[str, str], ...]
    sealed: bool

    def note(self, origin: str, log_signer: NodeSigner) -> str:
        """The C2SP checkpoint: note text, our log line, the members' cosignatures (decisions 11)."""
        line = log_line(log_signer, origin, self.size, self.root)
        return note_of(Checkpoint(origin, self.size, self.root), [line, *(line for _, line in self.lines)])


class Checkpoints:
    """Mutable. The checkpoints of one node."""

    def __init__(self) -> None:
        self.committed: Published | None = None
        self.sealed: Published | None = None
        self._recent: OrderedDict[int, Published] = OrderedDict()
        self.newest_of: dict[str, int] = {}

    def publish(self, effect: PublishCheckpoint) -> Published:
        """Take what the replica says is signed."""
        published = Published(effect.size, effect.root, effect.lines, effect.sealed)
        self._recent[effect.size] = published
        self._recent.move_to_end(effect.size)
        while len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)
        if self.committed is None or effect.size >= self.committed.size:
            self.committed = published
        if effect.sealed and (self.sealed is None or effect.size >= self.sealed.size):
            self.sealed = published
        for member, _ in effect.lines:
            self.newest_of[member] = max(self.newest_of.get(member, 0), effect.size)
        return published

    def at(self, size: int) -> Published | None:
        """The checkpoint of exactly this size, if it is held."""
        return self._recent.get(size)

    def covering(self, index: int) -> Published | None:
        """The best checkpoint that covers an entry: a sealed one, else the newest committed one."""
        for published in (self.sealed, self.committed):
            if published is not None and published.size > index:
                return published
        return None
