"""Liars about views: VIEW-CHANGEs that hide or are old, NEW-VIEWs that do not follow from them, endless suspicion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs

from server.consensus.effects import Send
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.messages import Message, NewView, NewViewMessage, Suspect, ViewChange, ViewChangeMessage
from server.consensus.select import Selection, select
from server.consensus.view_change import claim_of, digest_of_change
from tests.simulation.deceit import Liar
from tests.simulation.false_votes import forgetful

if TYPE_CHECKING:
    from tests.simulation.node import Node


class _AboutViews(Liar):
    """Mutable. Remembers VIEW-CHANGEs by view and sender, and can make a NEW-VIEW of any of them."""

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        self.changes: dict[int, dict[str, ViewChangeMessage]] = {}

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """Remember."""
        self.note(message)
        return ()

    def send(self, effect: Send) -> Iterable[Send]:
        """What to say instead of an own VIEW-CHANGE or NEW-VIEW."""
        message = decode_frame(effect.frame)
        self.note(message)
        if isinstance(message, ViewChangeMessage) and message.change.body.sender == self.node.member:
            return self.change(effect, message)
        if isinstance(message, NewViewMessage) and message.new_view.body.sender == self.node.member:
            return self.new_view(effect, message)
        return (effect,)

    def note(self, message: Message) -> None:
        """Remember VIEW-CHANGEs."""
        found = message.changes if isinstance(message, NewViewMessage) else (message,)
        for each in found:
            if isinstance(each, ViewChangeMessage):
                body = each.change.body
                self.changes.setdefault(body.view, {}).setdefault(body.sender, each)

    def change(self, effect: Send, message: ViewChangeMessage) -> Iterable[Send]:
        """Instead of an own VIEW-CHANGE."""
        return (effect,)

    def new_view(self, effect: Send, message: NewViewMessage) -> Iterable[Send]:
        """Instead of an own NEW-VIEW."""
        return (effect,)

    def made(
        self, view: int, changes: Iterable[ViewChangeMessage], selection: Selection | None = None
    ) -> NewViewMessage:
        """A NEW-VIEW of these VIEW-CHANGEs: what follows from them, or anything else."""
        chosen = tuple(changes)
        found = selection or select(map(claim_of, chosen))
        body = NewView(
            base_height=found.base_height, block_id=found.block_id, epoch=0, sender=self.node.member, view=view,
            view_changes=tuple(map(digest_of_change, chosen)),
        )  # fmt: skip
        return NewViewMessage(self.sign(body), chosen)


class HidesPrepared(_AboutViews):
    """Its VIEW-CHANGE says nothing of the block that it had prepared, nor does the NEW-VIEW that it makes of it."""

    forks_three: ClassVar[bool] = True

    def change(self, effect: Send, message: ViewChangeMessage) -> Iterable[Send]:
        """Signed anew, without it."""
        return (Send(effect.to, encode_frame(self._shortened(message))),)

    def new_view(self, effect: Send, message: NewViewMessage) -> Iterable[Send]:
        """With the shortened VIEW-CHANGE, and what follows from it: a NEW-VIEW that holds."""
        changes = [
            self._shortened(each) if each.change.body.sender == self.node.member else each for each in message.changes
        ]
        return (Send(effect.to, encode_frame(self.made(message.new_view.body.view, changes))),)

    def _shortened(self, message: ViewChangeMessage) -> ViewChangeMessage:
        return forgetful(self, message)


class StaleViewChange(HidesPrepared):
    """Its VIEW-CHANGE is older than what it has stored: it says that it is at genesis still."""

    def _shortened(self, message: ViewChangeMessage) -> ViewChangeMessage:
        body = structs.replace(
            message.change.body, last_block="", last_height=0, prepared_block="", prepared_view=0
        )  # fmt: skip
        return ViewChangeMessage(self.sign(body), b"", message.suspects, b"", b"")


class FalseNewView(_AboutViews):
    """Its NEW-VIEW does not follow from its VIEW-CHANGEs, or they are old, too few, or the same one again."""

    def new_view(self, effect: Send, message: NewViewMessage) -> Iterable[Send]:
        """One that nobody may accept."""
        if not self.dares():
            return (effect,)
        return (Send(effect.to, encode_frame(self.random.choice(_FALSE)(self, message))),)

    def _wrong_base(self, message: NewViewMessage) -> NewViewMessage:
        body = message.new_view.body
        wrong = max(0, body.base_height + self.random.choice((-1, 1)))
        return self.made(body.view, message.changes, Selection(wrong, body.block_id))

    def _wrong_block(self, message: NewViewMessage) -> NewViewMessage:
        body = message.new_view.body
        block_id = "" if body.block_id else self.noise()
        return self.made(body.view, message.changes, Selection(body.base_height, block_id))

    def _reuse(self, message: NewViewMessage) -> NewViewMessage:
        view = message.new_view.body.view
        older = [changes for known, changes in self.changes.items() if known < view and len(changes) > 1]
        return self.made(view, self.random.choice(older).values()) if older else self._wrong_base(message)

    def _repeat(self, message: NewViewMessage) -> NewViewMessage:
        return self.made(message.new_view.body.view, message.changes[:1] * len(message.changes))

    def _too_few(self, message: NewViewMessage) -> NewViewMessage:
        return self.made(message.new_view.body.view, message.changes[:1])

    def _other_names(self, message: NewViewMessage) -> NewViewMessage:
        names = (self.noise(), *message.new_view.body.view_changes[1:])
        return replace(message, new_view=self.sign(structs.replace(message.new_view.body, view_changes=names)))


_FALSE: tuple[Callable[[FalseNewView, NewViewMessage], NewViewMessage], ...] = (
    FalseNewView._wrong_base,
    FalseNewView._wrong_block,
    FalseNewView._reuse,
    FalseNewView._repeat,
    FalseNewView._too_few,
    FalseNewView._other_names,
)


class DoubleNewView(_AboutViews):
    """Makes two NEW-VIEWs of one view, of different VIEW-CHANGEs: each of them holds. Its own is shortened in one."""

    forks_three: ClassVar[bool] = True

    def new_view(self, effect: Send, message: NewViewMessage) -> Iterable[Send]:
        """One for some, the other for the rest."""
        body = message.new_view.body
        own, others = message.changes[0], list(message.changes[1:])
        for sender, change in self.changes.get(body.view, {}).items():
            if sender != self.node.member and change not in others:
                others = [change, *others[:-1]]
        return self.apart(message, self.made(body.view, [forgetful(self, own), *others]))


class ViewSpammer(_AboutViews):
    """Suspects everybody all the time, in every view to come, and leaves for views alone."""

    def say(self) -> Iterable[Send]:
        """SUSPECTs of its view, the next, and one far ahead; a VIEW-CHANGE that nobody else wanted."""
        view = self.state.view + self.random.choice((0, 0, 0, 1, 7, 999, 1_001, 2**53 - 1))
        suspicion = self.sign(
            Suspect(
                epoch=0, height=self.state.height, reason="record", sender=self.node.member, view=min(view, 2**53 - 1)
            )
        )
        if self.random.random() < 0.7:
            return self.tell(suspicion)
        return self.tell(ViewChangeMessage(self._leave(view), b"", b"", b"", b""))

    def _leave(self, view: int):  # type: ignore[no-untyped-def]
        body = ViewChange(
            epoch=0, last_block="", last_height=0, prepared_block="", prepared_view=0, sender=self.node.member,
            view=min(view + 1, 2**53 - 1),
        )  # fmt: skip
        return self.sign(body)
