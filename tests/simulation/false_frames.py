"""Liars about certificates and frames: signers counted twice, another cluster's or epoch's words, replays, garbage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec import structs

from server.consensus.block import Block, pack_block
from server.consensus.config import FRAME_BYTES_MAX
from server.consensus.effects import Send
from server.consensus.evidence import Evidence, Offence, Statement
from server.consensus.frames import encode_frame
from server.consensus.messages import (
    TYPES,
    Commit,
    CommitMessage,
    EvidenceMessage,
    Message,
    NewView,
    NewViewMessage,
    Prepare,
    PrePrepareMessage,
    RequestMessage,
    Signed,
    SignedBody,
    Suspect,
    SyncReplyMessage,
    ViewChange,
    ViewChangeMessage,
)
from server.consensus.packing import pack
from server.consensus.view_change import digest_of_change
from server.record.canonical import encode
from tests.simulation.deceit import Liar, certificate_of
from tests.simulation.keyring import HashKeyring

if TYPE_CHECKING:
    from tests.simulation.node import Node

SELDOM = 0.1
"""How many of its ten chances a second such a liar takes."""
REMEMBERED = 300
TOO_LARGE = bytes(FRAME_BYTES_MAX + 1)


class _Forger(Liar):
    """Brings certificates for things that nobody decided. Whose signatures are in them is for the others to say."""

    def signers(self, body: SignedBody) -> list[Signed[Any]]:
        """What stands for the signatures of a quorum below this body."""
        raise NotImplementedError

    def say(self) -> Iterable[Send]:
        """Now and then one of the forgeries."""
        return _FORGERIES[self.random.randrange(len(_FORGERIES))](self) if self.random.random() < SELDOM else ()

    def _votes_for(self, block: Block, view: int) -> list[Signed[Any]]:
        return self.signers(
            Commit(
                block_id=block.block_id, epoch=0, height=block.height, new_view="", sender=self.node.member, view=view
            )
        )

    def certified_block(self) -> Iterable[Send]:
        """An invented block above everybody's tip, with its certificate, as if it had been asked for."""
        block = self.invented()
        certificate = certificate_of(*self._votes_for(block, self.state.view))
        return self.tell(SyncReplyMessage(((pack_block(block), certificate),)))

    def commits(self) -> Iterable[Send]:
        """The COMMITs one by one."""
        votes = self._votes_for(self.invented(), self.state.view)
        return [send for vote in votes for send in self.tell(CommitMessage(vote, self.executed(self.state.height)))]

    def change(self) -> ViewChangeMessage:
        """A VIEW-CHANGE whose suspicion and prepared block are forged."""
        state, me, block = self.state, self.node.member, self.invented()
        suspects = self.signers(Suspect(epoch=0, height=state.height, reason="view", sender=me, view=state.view))
        prepares = self.signers(
            Prepare(block_id=block.block_id, epoch=0, height=state.height, sender=me, view=state.view)
        )
        body = ViewChange(
            epoch=0, last_block=state.tip.block_id if state.tip.height else "", last_height=state.tip.height,
            prepared_block=block.block_id, prepared_view=state.view, sender=me, view=state.view + 1,
        )  # fmt: skip
        proofs = (state.tip_certificate, certificate_of(*suspects), certificate_of(*prepares), encode(block.header))
        return ViewChangeMessage(self.sign(body), *proofs)

    def view_change(self) -> Iterable[Send]:
        """Alone."""
        return self.tell(self.change())

    def new_view(self) -> Iterable[Send]:
        """In a NEW-VIEW, as often as a quorum wants."""
        change = self.change()
        count = self.node.config.quorum
        body = NewView(
            base_height=change.change.body.last_height, block_id=change.change.body.prepared_block, epoch=0,
            sender=self.node.member, view=change.change.body.view,
            view_changes=(digest_of_change(change),) * count,
        )  # fmt: skip
        return self.tell(NewViewMessage(self.sign(body), (change,) * count))

    def suspicions(self) -> Iterable[Send]:
        """SUSPECTs of the view that is."""
        body = Suspect(
            epoch=0, height=self.state.height, reason="view", sender=self.node.member, view=self.state.view
        )  # fmt: skip
        return [send for each in self.signers(body) for send in self.tell(each)]


_FORGERIES: tuple[Callable[[_Forger], Iterable[Send]], ...] = (
    _Forger.certified_block,
    _Forger.commits,
    _Forger.view_change,
    _Forger.new_view,
    _Forger.suspicions,
)


class SignsOften(_Forger):
    """Certificates in which its own signature stands as often as a quorum wants."""

    def signers(self, body: SignedBody) -> list[Signed[Any]]:
        """Its own, again and again."""
        return [self.sign(body)] * self.node.config.quorum


class Impersonator(_Forger):
    """Certificates in the names of others, all signed with its own key."""

    def signers(self, body: SignedBody) -> list[Signed[Any]]:
        """Everybody's name."""
        return [self.sign(structs.replace(body, sender=member)) for member in self.node.config.members]


class Stranger(_Forger):
    """Certificates that all members truly signed: in another cluster which they also run, and in an epoch to come.

    So it holds signatures of honest members, over the same heights and views as here.
    """

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        elsewhere = b"\xff" * 32
        self._here = {member: HashKeyring(member) for member in node.config.members}
        self._there = {member: HashKeyring(member, elsewhere) for member in node.config.members}

    def signers(self, body: SignedBody) -> list[Signed[Any]]:
        """Everybody's signature, for another cluster or another epoch."""
        members, kind = self.node.config.members, TYPES[type(body)]
        if self.random.random() < 0.5:
            raws = {member: encode(structs.replace(body, sender=member)) for member in members}
            signatures = {member: self._there[member].sign(kind, raw) for member, raw in raws.items()}
        else:
            raws = {member: encode(structs.replace(body, sender=member, epoch=1)) for member in members}
            signatures = {member: self._here[member].sign(kind, raw) for member, raw in raws.items()}
        bodies = {member: structs.replace(body, sender=member) for member in members}
        return [Signed(bodies[member], raws[member], signatures[member]) for member in members]


class Replayer(Liar):
    """Sends again, to anybody, whatever it heard or said: of old views and heights, of others, at the wrong moment."""

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        self._known: list[bytes] = []

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """Remember, and forget something else."""
        self._known.append(encode_frame(message))
        if len(self._known) > REMEMBERED:
            self._known.pop(self.random.randrange(REMEMBERED))
        return ()

    def say(self) -> Iterable[Send]:
        """Some of it."""
        count = min(len(self._known), self.random.choice((0, 1, 4)))
        return [Send(self.random.choice(self.others), frame) for frame in self.random.sample(self._known, count)]


class Babbler(Liar):
    """Frames that are none: too large, too deep, cut short, flipped, unknown, with numbers beyond all bounds."""

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        self._heard = pack([b"status", b"{}"])

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """Keep one good frame to spoil."""
        if self.random.random() < 0.2:
            self._heard = encode_frame(message)
        return ()

    def say(self) -> Iterable[Send]:
        """One of them, now and then."""
        if self.random.random() >= 3 * SELDOM:
            return ()
        return [Send(self.random.choice(self.others), self.random.choice(_NOISES)(self))]

    def _deep(self) -> bytes:
        return pack([b"suspect", b'{"a":' * 20_000, b"0" * 16])

    def _large(self) -> bytes:
        return TOO_LARGE if self.random.random() < SELDOM else self._deep()

    def _cut(self) -> bytes:
        return self._heard[: self.random.randrange(len(self._heard) + 1)]

    def _flipped(self) -> bytes:
        place, data = self.random.randrange(len(self._heard)), bytearray(self._heard)
        data[place] ^= 1 << self.random.randrange(8)
        return bytes(data)

    def _unknown(self) -> bytes:
        return pack([self.random.choice((b"", b"\xff", b"halt", b"snapshot")), b"{}", b""])

    def _huge_numbers(self) -> bytes:
        number = str(self.random.choice((2**53, 2**63 - 1, 2**64, -1, 10**400))).encode()
        body = (
            b'{"epoch":0,"height":1,"reason":"view","sender":"'
            + self.node.member.encode() + b'","view":' + number + b"}"
        )  # fmt: skip
        return pack([b"suspect", body, self.keyring.sign("SUSPECT", body)])

    def _last_view(self) -> bytes:
        return encode_frame(
            self.sign(Suspect(epoch=0, height=1, reason="view", sender=self.node.member, view=2**53 - 1))
        )

    def _bad_certificates(self) -> bytes:
        body = ViewChange(
            epoch=0, last_block=self.noise(), last_height=3, prepared_block=self.noise(), prepared_view=1,
            sender=self.node.member, view=self.state.view + 2,
        )  # fmt: skip
        junk = self.random.choice((b"", b"\0\0\0\1", self._heard, b"\xff" * 64))
        return encode_frame(ViewChangeMessage(self.sign(body), junk, junk, junk, junk))


_NOISES: tuple[Callable[[Babbler], bytes], ...] = (
    Babbler._deep,
    Babbler._large,
    Babbler._cut,
    Babbler._flipped,
    Babbler._unknown,
    Babbler._huge_numbers,
    Babbler._last_view,
    Babbler._bad_certificates,
)


class Accuser(Liar):
    """Brings false evidence against the honest, made of what they truly said, and of what it signs in their names."""

    def __init__(self, node: Node, random: Random) -> None:
        super().__init__(node, random)
        self._said: dict[str, list[Signed[Any]]] = {}

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """Collect honest votes."""
        vote: object = message
        if isinstance(message, PrePrepareMessage):
            vote = message.prepare
        elif isinstance(message, CommitMessage):
            vote = message.commit
        elif isinstance(message, ViewChangeMessage):
            vote = message.change
        if isinstance(vote, Signed) and isinstance(vote.body, Prepare | Commit | ViewChange):
            kept = self._said.setdefault(vote.body.sender, [])
            kept.append(vote)
            del kept[:-60]
        return ()

    def say(self) -> Iterable[Send]:
        """Two statements that an honest member may well make; or one that it never made."""
        if not self._said or self.random.random() >= SELDOM:
            return ()
        culprit = self.random.choice(list(self._said))
        first, second = (self._statement(self.random.choice(self._said[culprit])) for _ in range(2))
        if self.random.random() < 0.3:
            body = structs.replace(self.random.choice(self._said[culprit]).body, view=self.random.randint(0, 9))
            second = self._statement(self.sign(body))
        offence: Offence = self.random.choice(("double_vote", "hidden_vote", "double_new_view", "split_checkpoint"))
        evidence = Evidence(offence, culprit, first, second)
        return self.tell(EvidenceMessage(evidence.packed))

    def _statement(self, said: Signed[Any]) -> Statement:
        return Statement(TYPES[type(said.body)], said.raw, said.signature)


class Mislabels(Liar):
    """Passes records on under other ids, with other attachments, and records that are none."""

    def hear(self, sender: str, message: Message) -> Iterable[Send]:
        """A record that a peer passed on, spoiled."""
        if not isinstance(message, RequestMessage) or not self.dares():
            return ()
        wrong = self.random.choice(
            (
                RequestMessage("r999", message.record, message.attachments),
                RequestMessage(message.record_id, b"not a record", b""),
                RequestMessage(message.record_id, message.record, pack([b"name", b"of nothing"])),
                RequestMessage(message.record_id, message.record + b"0", message.attachments),
            )
        )
        return self.tell(wrong)
