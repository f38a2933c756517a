"""What every liar is made of: it hears all that its member hears, signs with its member's key, and says what it likes.

A liar stands between its replica, which is the real one, and the network: so it knows everything that an honest member
would know, and lies at the right moments. It has one member's key only; keys of others it never has (but see
`false_frames.Stranger`, who brings what they truly signed elsewhere).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING, ClassVar, TypeVar

from msgspec import structs

from server.consensus.block import Block, make_block, pack_block, unpack_block
from server.consensus.certificates import pack_certificate
from server.consensus.effects import Send
from server.consensus.events import Event
from server.consensus.frames import encode_frame
from server.consensus.messages import (
    TYPES,
    Body,
    Commit,
    CommitMessage,
    Executed,
    Message,
    Prepare,
    PrePrepareMessage,
    Signed,
    SignedBody,
)
from server.ledger.block import Header
from server.ledger.merkle import EMPTY_ROOT
from server.record.canonical import b64u_encode, encode
from tests.simulation.keyring import HashKeyring

if TYPE_CHECKING:
    from server.consensus.state import State
    from tests.simulation.node import Node

B = TypeVar("B", bound=SignedBody)


class Liar:
    """Mutable. Says everything as its replica does; the others override that. `node` is a node of the lying member."""

    forks_three: ClassVar[bool] = False
    """Whether three nodes, which bear no liar, may commit two blocks at one height because of this one. What it may
    do to them is in consensus.md 1.3: nobody else may ever be blamed, and what all members sealed never conflicts."""

    stays: ClassVar[bool] = False
    """Whether it goes on as a follower when it is no member any more."""

    def __init__(self, node: Node, random: Random) -> None:
        self.node, self.random = node, random
        self.keyring = HashKeyring(node.member)
        self.boldness = random.choice((0.2, 0.6, 1.0))
        """How often it lies when it could: who lies always is found out soon."""
        self._hidden: dict[str, None] = {}

    # -- what a liar may override

    def send(self, effect: Send) -> Iterable[Send]:
        """What leaves instead of a frame of its replica."""
        return (effect,)

    def say(self) -> Iterable[Send]:
        """What leaves unasked, ten times a second."""
        return ()

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """What leaves in answer to a well-formed frame."""
        return ()

    def twist(self, event: Event) -> Event:
        """What its replica is told instead of its driver's answer."""
        return event

    # -- what liars share

    @property
    def state(self) -> State:
        """What its replica knows. Only while the node runs."""
        assert self.node.replica is not None
        return self.node.replica.state

    @property
    def others(self) -> tuple[str, ...]:
        """Everybody else."""
        return self.node.config.others

    def dares(self) -> bool:
        """Whether to lie now."""
        return self.random.random() < self.boldness

    def sign(self, body: B) -> Signed[B]:
        """Sign anything, with the one key there is."""
        raw = encode(body)
        return Signed(body, raw, self.keyring.sign(TYPES[type(body)], raw))

    def tell(self, message: Message | Body, to: Sequence[str] | None = None) -> list[Send]:
        """Say it to some, or to all."""
        frame = encode_frame(message)
        return [Send(member, frame) for member in (self.others if to is None else to)]

    def shown(self, message: PrePrepareMessage, block: Block) -> list[Send]:
        """Propose another block than the own replica, and keep its votes for the own one back from now on."""
        self._hidden[message.prepare.body.block_id] = None
        return self.tell(self.proposal(message.prepare.body.view, block))

    def hides(self, message: Message) -> bool:
        """Whether this is a vote for a block that nobody else was shown."""
        vote = message.commit if isinstance(message, CommitMessage) else message
        vote = vote.prepare if isinstance(vote, PrePrepareMessage) else vote
        return isinstance(vote, Signed) and getattr(vote.body, "block_id", "") in self._hidden

    def halves(self) -> tuple[list[str], list[str]]:
        """The others on two sides, none of them empty where there are two."""
        order = self.random.sample(self.others, len(self.others))
        cut = self.random.randint(1, max(1, len(order) - 1))
        return order[:cut], order[cut:]

    def apart(self, one: Message | Body, other: Message | Body) -> list[Send]:
        """Say one thing to some and another thing to the rest."""
        first, second = self.halves()
        return self.tell(one, first) + self.tell(other, second)

    def prepare(self, view: int, height: int, block_id: str) -> Signed[Prepare]:
        """A vote for any block."""
        return self.sign(Prepare(block_id=block_id, epoch=0, height=height, sender=self.node.member, view=view))

    def commit(self, view: int, height: int, block_id: str) -> CommitMessage:
        """A COMMIT for any block, with an EXECUTED that says nothing true."""
        installed = self.state.installed
        digest = installed.digest if installed is not None and installed.body.view == view else ""
        body = Commit(
            block_id=block_id, epoch=0, height=height, new_view=digest, sender=self.node.member, view=view
        )  # fmt: skip
        return CommitMessage(self.sign(body), self.executed(height))

    def executed(self, height: int) -> Signed[Executed]:
        """Some state after this height."""
        return self.sign(
            Executed(
                epoch=0, height=height, root=self.noise(), sender=self.node.member, size=height * 3,
                state_digest=self.noise(),
            )
        )  # fmt: skip

    def noise(self) -> str:
        """A digest of nothing."""
        return b64u_encode(self.random.randbytes(32))

    def block_of(self, message: PrePrepareMessage) -> Block:
        """The block that the own replica proposes."""
        return unpack_block(self.node.config.cluster_id, message.block)

    def remade(self, block: Block, **changes: object) -> Block:
        """The block with another header."""
        header = structs.replace(block.header, **changes)
        return make_block(self.node.config.cluster_id, header, block.items, block.attachments)

    def proposal(self, view: int, block: Block) -> PrePrepareMessage:
        """A proposal of any block."""
        return PrePrepareMessage(self.prepare(view, block.height, block.block_id), pack_block(block))

    def invented(self) -> Block:
        """A block that nobody proposed, right above the own tip."""
        tip, state = self.state.tip, self.state
        header = Header(
            entries_bytes=0, entries_root=b64u_encode(EMPTY_ROOT), epoch=0, height=state.height, prev=tip.block_id,
            proposer=state.primary(state.view), rules=1, state_digest_prev=tip.state_digest, time_ms=tip.time_ms + 1,
        )  # fmt: skip
        return make_block(self.node.config.cluster_id, header, ())


def certificate_of(*statements: Signed[B]) -> bytes:
    """A certificate of whatever is given: nobody asks here whether the signers are distinct."""
    return pack_certificate(statements)
