"""Liars about votes and what they propose: two blocks in one place, votes withheld and shown later, bad blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs

from server.consensus.effects import Send
from server.consensus.events import Built, Checked, Event, Verdict
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import (
    Commit,
    CommitMessage,
    Message,
    Prepare,
    PrePrepareMessage,
    Signed,
    ViewChangeMessage,
)
from server.ledger.block import Header
from tests.simulation.deceit import Liar

if TYPE_CHECKING:
    from tests.simulation.node import Node

JUST_IN_TIME = 0.9
"""The part of the others' patience that a slow liar takes for each message."""
SELDOM = 0.1
PASSED_OVER = 3
"""One in so many records is of the client that is passed over."""


class EquivocatingPrimary(Liar):
    """As primary shows each half of the others another block, and votes for each with those who were shown it."""

    forks_three: ClassVar[bool] = True

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        self._sides: dict[str, list[str]] = {}
        """Who was shown a block, of those of which there are two."""

    def send(self, effect: Send) -> Iterable[Send]:
        """Two proposals instead of one; its votes go to the side that they are for."""
        message = decode_frame(effect.frame)
        if isinstance(message, PrePrepareMessage) and effect.to is None and self.dares():
            return self._show_two(message)
        vote = message.commit if isinstance(message, CommitMessage) else message
        vote = vote.prepare if isinstance(vote, PrePrepareMessage) else vote
        if not isinstance(vote, Signed) or not isinstance(vote.body, Commit | Prepare):
            return (effect,)
        side = self._sides.get(vote.body.block_id)
        if side is None:
            return (effect,)
        return [Send(member, effect.frame) for member in side if effect.to in (None, member)]

    def _show_two(self, message: PrePrepareMessage) -> Iterable[Send]:
        block, view = self.block_of(message), message.prepare.body.view
        other = self.remade(block, time_ms=block.header.time_ms + 1)
        first, second = self.halves()
        self._sides.update({block.block_id: first, other.block_id: second})
        for shown, side in ((block, first), (other, second)):
            yield from self.tell(self.proposal(view, shown), side)
            yield from self.tell(self.commit(view, shown.height, shown.block_id), side)


class DoubleVoter(Liar):
    """Votes, with each voter, for whatever that one votes for; now and then for a block that nobody knows."""

    forks_three: ClassVar[bool] = True

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        self._voted: dict[tuple[int, int, str], None] = {}

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """PREPARE and COMMIT at once, in whatever view."""
        vote = message.prepare if isinstance(message, PrePrepareMessage) else message
        if not isinstance(vote, Signed) or not isinstance(vote.body, Prepare):
            return ()
        place = (vote.body.view, vote.body.height, vote.body.block_id)
        if place in self._voted or not self.dares():
            return ()
        self._voted[place] = None
        view, height, block_id = place
        chosen = self.noise() if self.random.random() < SELDOM else block_id
        votes = (self.prepare(view, height, chosen), self.commit(view, height, block_id))
        return [send for each in votes for send in self.tell(each, [sender])]


class BackToThePast(Liar):
    """Keeps its COMMITs to itself, leaves out of its VIEW-CHANGE what it had prepared, and shows the votes later."""

    forks_three: ClassVar[bool] = True

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        self._withheld: list[CommitMessage] = []

    def send(self, effect: Send) -> Iterable[Send]:
        """Nothing instead of a COMMIT; a VIEW-CHANGE that has forgotten it."""
        message = decode_frame(effect.frame)
        if isinstance(message, CommitMessage) and self.dares():
            if effect.to is None:
                self._withheld.append(message)
            return ()
        if isinstance(message, ViewChangeMessage) and message.change.body.sender == self.node.member:
            return (Send(effect.to, encode_frame(forgetful(self, message))),)
        return (effect,)

    def say(self) -> Iterable[Send]:
        """Show a vote of a view that is long over, to some."""
        old = [vote for vote in self._withheld if vote.commit.body.view < self.state.view]
        if not old or self.random.random() >= 0.1:
            return ()
        shown = self.random.choice(old)
        self._withheld.remove(shown)
        return self.tell(shown, self.random.sample(self.others, self.random.randint(1, len(self.others))))


def forgetful(liar: Liar, message: ViewChangeMessage) -> ViewChangeMessage:
    """The VIEW-CHANGE without the block that was prepared, signed anew."""
    body = message.change.body
    if not body.prepared_block:
        return message
    change = liar.sign(structs.replace(body, prepared_block="", prepared_view=0))
    return replace(message, change=change, prepared=b"", header=b"")


class SilentPrimary(Liar):
    """Leads by saying nothing: no proposal and no NEW-VIEW."""

    def send(self, effect: Send) -> Iterable[Send]:
        """Everything else leaves."""
        name = effect.frame[4 : 4 + effect.frame[3]]
        return () if name in (b"pre-prepare", b"new-view") else (effect,)


class PassesOver(Liar):
    """As primary leaves the records of one client out, and orders everybody else's."""

    def twist(self, event: Event) -> Event:
        """The batch without them."""
        if not isinstance(event, Built):
            return event
        return replace(event, items=tuple(item for item in event.items if not self._is_unloved(item)))

    def _is_unloved(self, item: bytes) -> bool:
        return not item.startswith((b"timer ", b"seal ", b"evidence ", b"{")) and sum(item[:12]) % PASSED_OVER == 0


class SlowDrip(Liar):
    """Sends every vote just before the others lose patience."""

    def send(self, effect: Send) -> Iterable[Send]:
        """Later."""
        name = effect.frame[4 : 4 + effect.frame[3]]
        if name not in (b"pre-prepare", b"prepare", b"commit", b"new-view"):
            return (effect,)
        delay = int(JUST_IN_TIME * self.node.config.timeouts.suspicion_ms)
        self.node.world.at(delay, lambda: self.node.world.transmit(self.node, effect))
        return ()


class WrongTime(Liar):
    """As primary puts a wrong time into its blocks: within what is borne, beyond it, and before the last block."""

    def send(self, effect: Send) -> Iterable[Send]:
        """The proposal at another time."""
        message = decode_frame(effect.frame)
        if self.hides(message):
            return ()
        if not isinstance(message, PrePrepareMessage) or effect.to is not None or not self.dares():
            return (effect,)
        block, tip_ms = self.block_of(message), self.state.tip.time_ms
        now_ms = block.header.time_ms
        wrong_ms = self.random.choice((tip_ms, tip_ms - 10_000, now_ms - 60_000, now_ms + 4_000, now_ms + 9_000))
        return self.shown(message, self.remade(block, time_ms=max(1, wrong_ms)))


class BadItems(Liar):
    """Finds every proposal good, and proposes what no honest node would order."""

    def twist(self, event: Event) -> Event:
        """A lie about a batch; a verdict that is always good."""
        if isinstance(event, Checked):
            return replace(event, verdict=Verdict.OK)
        if isinstance(event, Built) and self.dares():
            return replace(event, items=tuple(self.random.choice(_WORSE)(self, event.items)))
        return event

    def _add_garbage(self, items: Sequence[bytes]) -> Sequence[bytes]:
        return [*items, self.random.choice((b"", b"\xff" * 9, b"[" * 5_000, b"{}", b"timer 1 never", b"seal 9 00 -"))]

    def _repeat(self, items: Sequence[bytes]) -> Sequence[bytes]:
        return [*items, *items[-1:]]

    def _order_again(self, items: Sequence[bytes]) -> Sequence[bytes]:
        blocks = self.node.disk.blocks
        old = self.random.choice(blocks).block.items if blocks else ()
        return [*items, *old[-2:]]

    def _turn_round(self, items: Sequence[bytes]) -> Sequence[bytes]:
        return items[::-1] if len(items) > 1 else [*items, *items]

    def _accuse_the_honest(self, items: Sequence[bytes]) -> Sequence[bytes]:
        return [f"evidence {self.noise()} {self.random.choice(self.others)}".encode(), *items]


_WORSE: tuple[Callable[[BadItems, Sequence[bytes]], Sequence[bytes]], ...] = (
    BadItems._add_garbage,
    BadItems._repeat,
    BadItems._order_again,
    BadItems._turn_round,
    BadItems._accuse_the_honest,
)


class BadHeader(Liar):
    """As primary proposes blocks that do not follow: of another state, predecessor, height, epoch or proposer."""

    def send(self, effect: Send) -> Iterable[Send]:
        """The proposal with another header."""
        message = decode_frame(effect.frame)
        if self.hides(message):
            return ()
        if not isinstance(message, PrePrepareMessage) or effect.to is not None or not self.dares():
            return (effect,)
        block = self.block_of(message)
        choices: tuple[dict[str, object], ...] = (
            {"state_digest_prev": self.noise()},
            {"prev": self.noise()},
            {"epoch": 1},
            {"height": block.height + 1},
            {"proposer": self.random.choice(self.others)},
            {"entries_bytes": block.header.entries_bytes + 1},
            {"entries_root": self.noise()},
        )
        wrong = self.random.choice(choices)
        assert all(name in Header.__struct_fields__ for name in wrong)
        return self.shown(message, self.remade(block, **wrong))


class FalseState(Liar):
    """Says that execution gave another state than it did."""

    def send(self, effect: Send) -> Iterable[Send]:
        """EXECUTED, alone or beside a COMMIT, of some other state."""
        message = decode_frame(effect.frame)
        if isinstance(message, CommitMessage) and self.dares():
            false = replace(message, executed=self.executed(message.commit.body.height))
            return (Send(effect.to, encode_frame(false)),)
        if effect.frame[4:12] == b"executed" and isinstance(message, Signed) and self.dares():
            return (Send(effect.to, encode_frame(self.executed(message.body.height))),)
        return (effect,)
