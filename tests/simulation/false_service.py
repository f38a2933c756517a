"""Liars about what they serve: checkpoints of two histories, blocks in answer to questions, where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar

from msgspec import structs

from server.consensus.block import pack_block, unpack_block
from server.consensus.effects import Send
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import Cosign, Fetch, Held, Message, Status, SyncReplyMessage
from server.record.canonical import b64u_decode
from tests.simulation.deceit import Liar


class SplitsCheckpoints(Liar):
    """Cosigns two roots of one size, and shows each half of the others another one."""

    def send(self, effect: Send) -> Iterable[Send]:
        """Its own line, or one of another tree."""
        message = decode_frame(effect.frame)
        if not isinstance(message, Cosign) or message.member != self.node.member or not self.dares():
            return (effect,)
        other = self._other(message)
        if effect.to is None:
            return self.apart(message, other)
        return self.tell(self.random.choice((message, other)), [effect.to])

    def _other(self, message: Cosign) -> Cosign:
        root, time_s = self.noise(), self.node.world.time_ms // 1000
        line = self.keyring.cosign(message.size, b64u_decode(root, 32), time_s)
        return structs.replace(message, root=root, line=line)


class NeverCosigns(Liar):
    """Orders with everybody, and signs no checkpoint: a veto against sealing (consensus.md 1.3 H7)."""

    cosigns: ClassVar[bool] = False

    def send(self, effect: Send) -> Iterable[Send]:
        """Everything but its own lines."""
        message = decode_frame(effect.frame)
        is_own = isinstance(message, Cosign) and message.member == self.node.member
        return () if is_own else (effect,)


class FalseSync(Liar):
    """Answers questions for blocks with stale, reordered, changed and uncertified ones."""

    def send(self, effect: Send) -> Iterable[Send]:
        """Another answer."""
        message = decode_frame(effect.frame)
        if not isinstance(message, SyncReplyMessage) or not self.dares():
            return (effect,)
        return [Send(effect.to, encode_frame(self.random.choice(_SPOILED)(self, message)))]

    def _stale(self, message: SyncReplyMessage) -> SyncReplyMessage:
        first = self.node.disk.blocks[0]
        return SyncReplyMessage(((pack_block(first.block), first.certificate),) * len(message.blocks))

    def _turned_round(self, message: SyncReplyMessage) -> SyncReplyMessage:
        return SyncReplyMessage(message.blocks[::-1])

    def _other_certificates(self, message: SyncReplyMessage) -> SyncReplyMessage:
        certificates = [certificate for _, certificate in message.blocks]
        certificates.append(self.node.disk.blocks[0].certificate)
        blocks = [block for block, _ in message.blocks]
        return SyncReplyMessage(tuple(zip(blocks, certificates[1:], strict=True)))

    def _changed(self, message: SyncReplyMessage) -> SyncReplyMessage:
        packed, certificate = message.blocks[0]
        block = unpack_block(self.node.config.cluster_id, packed)
        changed = self.remade(block, time_ms=block.header.time_ms + 1)
        return SyncReplyMessage(((pack_block(changed), certificate), *message.blocks[1:]))

    def _invented(self, message: SyncReplyMessage) -> SyncReplyMessage:
        return SyncReplyMessage(((pack_block(self.invented()), message.blocks[-1][1]),))

    def _without_attachments(self, message: SyncReplyMessage) -> SyncReplyMessage:
        blocks = [unpack_block(self.node.config.cluster_id, packed) for packed, _ in message.blocks]
        bare = [pack_block(replace(block, attachments=())) for block in blocks]
        return SyncReplyMessage(tuple((packed, pair[1]) for packed, pair in zip(bare, message.blocks, strict=True)))

    def _with_junk(self, message: SyncReplyMessage) -> SyncReplyMessage:
        return SyncReplyMessage(((b"\0\0\0\1x", b"\xff"), *message.blocks))


_SPOILED: tuple[Callable[[FalseSync, SyncReplyMessage], SyncReplyMessage], ...] = (
    FalseSync._stale,
    FalseSync._turned_round,
    FalseSync._other_certificates,
    FalseSync._changed,
    FalseSync._invented,
    FalseSync._without_attachments,
    FalseSync._with_junk,
)


class FalseStatus(Liar):
    """Says that it stands where it does not, holds what it does not, and asks for what it needs not."""

    def send(self, effect: Send) -> Iterable[Send]:
        """A STATUS in which something is wrong."""
        message = decode_frame(effect.frame)
        if not isinstance(message, Status) or not self.dares():
            return (effect,)
        choices: tuple[dict[str, object], ...] = (
            {"height": message.height + self.random.choice((1, 2, 1_000, 2**40))},
            {"height": 0, "tip": "", "size": 0},
            {"tip": self.noise()},
            {"mode": self.random.choice(("normal", "changing", "stopped"))},
            {"view": message.view + self.random.choice((1, 2**40))},
            {"view": 0},
            {"accused": self.others},
            {"prepares": (), "commits": (), "executed": (), "voted": ""},
            {"prepares": self.others, "commits": self.others, "executed": self.others, "voted": self.noise()},
            {"cosigned": tuple(Held(member=member, size=2**50) for member in self.others)},
            {"cosigned": ()},
        )
        wrong = self.random.choice(choices)
        return [Send(effect.to, encode_frame(structs.replace(message, **wrong)))]

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """Questions for blocks that nobody has."""
        if self.random.random() < 0.02:
            return self.tell(Fetch(block_id=self.noise(), height=self.state.height))
        return ()
