"""Oracles about what an honest node proves to others, judged by arithmetic of their own: never by the core's.

Every VIEW-CHANGE, NEW-VIEW and stored block of an honest node brings certificates; here they are read and counted
again, with the quorum as the design page's table gives it. Of checkpoint lines all are kept that ever left a node:
where two quorums contradict each other, whoever stands in both is guilty, and nobody honest ever stands in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from server.consensus.certificates import read_certificate
from server.consensus.messages import (
    TYPES,
    Commit,
    CommitMessage,
    Cosign,
    Executed,
    Message,
    NewViewMessage,
    Prepare,
    Signed,
    SignedBody,
    Suspect,
    ViewChangeMessage,
)
from server.record.canonical import Malformed, b64u_decode
from tests.simulation.annals import Seen

if TYPE_CHECKING:
    from tests.simulation.disk import StoredBlock
    from tests.simulation.world import World

VIEW_MAX = 1_000
"""No run changes views so often: a higher one was not reached by suspicion of a quorum."""


class Proofs:
    """Mutable. What was proved to be, and what was said about checkpoints."""

    def __init__(self, world: World) -> None:
        self._annals, self._fail = world.annals, world.watch_fail
        self._keyring = world.keyring
        self._is_honest = world.is_honest_member
        self._expects_agreement = world.expects_agreement
        self._lines: dict[int, dict[str, dict[str, None]]] = {}
        self._executed: dict[tuple[int, str], dict[str, None]] = {}
        self._seen: dict[bytes, None] = {}

    # -- certificates

    def changed(self, who: str, message: ViewChangeMessage) -> None:
        """An honest node leaves a view because a quorum wanted to; it proves its last block and its prepared one."""
        body = message.change.body
        seen = self._seen_epoch(body.epoch, who)
        if seen is None:
            return
        if body.view > VIEW_MAX:
            self._fail("view", f"{who} leaves for view {body.view}")
        if not self._holds(seen, Suspect, message.suspects, since_view=body.view - 1):
            self._fail("certificate", f"{who} leaves for view {body.view}, which no quorum wanted")
        if body.last_height >= seen.first_height and not self._holds(
            seen, Commit, message.last, height=body.last_height, block_id=body.last_block
        ):
            self._fail("certificate", f"{who} proves block {body.last_height} by no quorum")
        if body.last_height < seen.first_height - 1:
            self._fail("certificate", f"{who} stands below the epoch that it speaks in")
        if body.prepared_block and not self._holds(
            seen,
            Prepare,
            message.prepared,
            height=body.last_height + 1,
            block_id=body.prepared_block,
            view=body.prepared_view,
        ):
            self._fail("certificate", f"{who} has prepared {body.prepared_block[:6]} without a quorum")

    def announced(self, who: str, message: NewViewMessage) -> None:
        """A NEW-VIEW that an honest node sends, or passes on, follows from VIEW-CHANGEs of a quorum."""
        body, changes = message.new_view.body, [each.change.body for each in message.changes]
        seen = self._seen_epoch(body.epoch, who)
        if seen is None or message.new_view.raw in self._seen:
            return
        self._seen[message.new_view.raw] = None
        senders = {each.sender: None for each in changes if each.view == body.view}
        if len(senders) < self._annals.quorum(seen) or len(senders) != len(changes):
            self._fail("new-view", f"{who} enters view {body.view} with {len(senders)} VIEW-CHANGEs of {len(changes)}")
        for each in message.changes:
            self.changed(f"{each.change.body.sender}, accepted by {who},", each)
        base = max(each.last_height for each in changes)
        prepared = [each for each in changes if each.last_height == base and each.prepared_block]
        newest = max((each.prepared_view for each in prepared), default=0)
        wanted = {each.prepared_block for each in prepared if each.prepared_view == newest} or {""}
        if body.base_height != base or body.block_id not in wanted:
            self._fail("new-view", f"{who} enters view {body.view}, which does not follow from its VIEW-CHANGEs")

    def stored(self, who: str, stored: Sequence[StoredBlock]) -> None:
        """A stored block was committed by a quorum in one view."""
        for each in stored:
            place: dict[str, Any] = {"height": each.block.height, "block_id": each.block.block_id, "view": each.view}
            seen = self._seen_epoch(each.block.header.epoch, who)
            if seen is not None and not self._holds(seen, Commit, each.certificate, **place):
                self._fail("certificate", f"{who} stores block {each.block.height} without a quorum")

    def _seen_epoch(self, number: int, who: str) -> Seen | None:
        """Nobody honest speaks in an epoch before somebody honest has stored what it stands on."""
        if number < len(self._annals.epochs):
            return self._annals.epochs[number]
        self._fail("epoch", f"{who} speaks in epoch {number}, which has not begun")
        return None

    def _holds(self, seen: Seen, shape: type[SignedBody], data: bytes, since_view: int = 0, **place: Any) -> bool:
        try:
            found: list[Signed[Any]] = read_certificate(shape, data)
        except Malformed:
            return False
        late = [each for each in found if each.body.view >= since_view]
        good = {each.body.sender: None for each in late if self._is_good(seen, each, place)}
        return len(good) >= self._annals.quorum(seen) and len(good) == len(found)

    def _is_good(self, seen: Seen, statement: Signed[Any], place: dict[str, object]) -> bool:
        body = statement.body
        fits = all(getattr(body, name) == value for name, value in place.items())
        known = body.epoch == seen.number and body.sender in seen.secrets
        signed = (TYPES[type(body)], statement.raw, statement.signature)
        return fits and known and self._keyring.attests(body.sender, seen.number, *signed)

    # -- checkpoints

    def said(self, message: Message) -> None:
        """A frame has left a node, whoever's it is: what it says of the state after a block."""
        if isinstance(message, Cosign):
            root = b64u_decode(message.root, 32)
            if self._keyring.verify_cosignature(message.member, message.size, root, message.line):
                self._lines.setdefault(message.size, {}).setdefault(message.root, {})[message.member] = None
        statement = message.executed if isinstance(message, CommitMessage) else message
        if isinstance(statement, Signed) and isinstance(statement.body, Executed):
            body = statement.body
            self._executed.setdefault((body.size, body.root), {})[body.sender] = None

    def cosigned(self, member: str, epoch: int, message: Cosign) -> None:
        """An honest node signs a checkpoint only after a quorum, itself among them, has said that it is so.

        A quorum of the epoch in which it stands, if not of an earlier one: on the other side of a fork a later one may
        have begun by this size.
        """
        agreeing = {
            member: None,
            **self._executed.get((message.size, message.root), {}),
            **self._lines.get(message.size, {}).get(message.root, {}),
        }
        seen = self._annals.epochs[min(self._annals.of_size(message.size).number, epoch)]
        if len(agreeing) < self._annals.quorum(seen):
            self._fail("cosign", f"{member} cosigns size {message.size} with {len(agreeing)} that agree")

    def conclude(self) -> None:
        """Two quorums that contradict each other share guilty members only, and 2q-n of them at least."""
        for size, roots in self._lines.items():
            quorum = self._annals.quorum(self._annals.of_size(size))
            certified = [signers for signers in roots.values() if len(signers) >= quorum]
            for index, one in enumerate(certified):
                for other in certified[index + 1 :]:
                    self._compare(size, one, other)

    def _compare(self, size: int, one: Iterable[str], other: Iterable[str]) -> None:
        guilty = [member for member in one if member in other]
        seen = self._annals.of_size(size)
        if len(guilty) < 2 * self._annals.quorum(seen) - len(seen.secrets):
            self._fail("culprit", f"two quorums cosigned size {size} and share {len(guilty)} members")
        for member in filter(self._is_honest, guilty):
            self._fail("culprit", f"{member}, who is honest, cosigned two roots at size {size}")
        if self._expects_agreement:
            self._fail("split", f"two quorums cosigned two roots at size {size}")
