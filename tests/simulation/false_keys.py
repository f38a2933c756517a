"""A liar that goes on signing with keys that were retired: it was put out of the cluster, or has new keys (E8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from msgspec import structs

from server.consensus.block import make_block
from server.consensus.config import Ending
from server.consensus.effects import Send
from server.consensus.messages import Cosign, Message, ViewChange, ViewChangeMessage
from server.record.canonical import b64u_encode
from tests.simulation.deceit import Liar


class KeepsOldKeys(Liar):
    """Behaves, as long as its first keys are good. From then on it signs with them as well: trees that everybody has,
    blocks behind the end, views above it; and trees and blocks of nobody, which prove nothing."""

    stays: ClassVar[bool] = True
    told: frozenset[str] = frozenset()
    """What it has given away: retired keys by their names."""

    def say(self) -> Iterable[Send]:
        """Something with an old key, now and then."""
        endings = [one for one in self.state.config.endings if self.node.member in one.cosigners][:1]
        if not endings or self.state.tip.size < endings[0].size or self.random.random() > 0.3:
            return ()
        harmless, guilty = self._harmless(endings[0]), self._guilty(endings[0])
        if self.dares():
            self.told |= {endings[0].key_name(self.node.member)}
            return self.tell(self.random.choice(guilty))
        return self.tell(self.random.choice(harmless))

    def _line(self, size: int, root: bytes) -> Cosign:
        text = self.keyring.cosign(size, root, self.node.world.time_ms // 1000)
        return Cosign(line=text, member=self.node.member, root=b64u_encode(root), size=size)

    def _guilty(self, ending: Ending) -> list[Message]:
        tip, height = self.state.tip, ending.height
        following = structs.replace(self.invented().header, height=height + 1, prev=ending.block_id)
        block = make_block(self.node.config.cluster_id, following, ())
        view = self.random.randint(1, 3)
        change = ViewChange(
            epoch=ending.epoch, last_block=ending.block_id, last_height=height, prepared_block="", prepared_view=0,
            sender=self.node.member, view=view,
        )  # fmt: skip
        return [
            self._line(tip.size, tip.root),
            self.proposal(view, block),
            ViewChangeMessage(self.sign(change), b"", b"", b"", b""),
        ]

    def _harmless(self, ending: Ending) -> list[Message]:
        """What a member at a fork might sign as well."""
        aside = structs.replace(self.invented().header, height=ending.height + 1, prev=self.noise())
        return [
            self._line(self.state.tip.size, self.random.randbytes(32)),
            self.proposal(1, make_block(self.node.config.cluster_id, aside, ())),
        ]
