"""A hand-driven cluster for unit tests: replicas that are told what happened, one event at a time, without any chance.

`Bench` performs effects at once: what is persisted is durable, questions are answered, frames wait in `wire` until
a test delivers or drops them. Unlike the simulator it has no time of its own: a test sets `now`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TypeVar

from server.consensus import effects, events
from server.consensus.block import Block
from server.consensus.config import Config, Timeouts
from server.consensus.events import Verdict
from server.consensus.frames import decode_frame, frame_name
from server.consensus.messages import Message
from server.consensus.replica import Replica
from server.consensus.restored import Boundary, Restored, SignerMark, Tip, restored_genesis
from server.consensus.state import State
from server.record.canonical import b64u_encode
from tests.simulation.keyring import HashKeyring

E = TypeVar("E", bound=effects.Effect)
CLUSTER_ID = b"unit tests of the replica, once."
NAMES = {1: ("a",), 3: ("a", "b", "c"), 4: ("a", "b", "c", "d"), 7: ("a", "b", "c", "d", "e", "f", "g")}
TIMEOUTS = Timeouts(suspicion_ms=1_000, status_ms=200, retry_ms=200)
START_MS = 1_000_000
assert len(CLUSTER_ID) == 32


@dataclass(slots=True)
class Seat:
    """Mutable. One member: its replica, what is durable, and what its driver would answer."""

    member: str
    replica: Replica
    journal: list[effects.JournalEntry] = field(default_factory=list)
    blocks: list[tuple[Block, bytes, Boundary, str]] = field(default_factory=list)
    signer: SignerMark | None = None
    evidence: list[bytes] = field(default_factory=list)
    performed: list[effects.Effect] = field(default_factory=list)
    verdict: Verdict | None = Verdict.OK
    """Answer to every Check; None: no answer yet."""
    stores: bool = True
    executes: bool = True
    salt: bytes = b""
    """Another salt gives another state: a replica whose execution has diverged."""
    items: list[bytes] = field(default_factory=list)
    """What Build finds."""
    rules: int = 1
    """The version of the rules of what Build makes."""
    queue: deque[effects.Effect] = field(default_factory=deque)
    """Effects are performed in order, also across events."""
    busy: bool = False

    @property
    def state(self) -> State:
        """The replica's state, for reading."""
        return self.replica.state

    def asked(self, kind: type[E]) -> list[E]:
        """Effects of one kind performed so far."""
        return [effect for effect in self.performed if isinstance(effect, kind)]


class Bench:
    """Mutable. Seats and the frames between them."""

    def __init__(
        self,
        n: int = 3,
        mode: str = "available",
        *,
        greets: bool = False,
        releases: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`releases`: the highest version of the rules that a member's release knows, if it is not the first."""
        self.now = START_MS
        self.greets = greets
        self.releases = dict(releases)
        self.members = NAMES[n]
        self.mode = mode
        self.wire: list[tuple[str, str, bytes]] = []
        self.seats = {member: Seat(member, self._replica(member, None)) for member in self.members}
        for member in self.members:
            self.step(member, events.Start())
        self.wire.clear()

    def __getitem__(self, member: str) -> Seat:
        return self.seats[member]

    def config(self, member: str) -> Config:
        """The configuration of a member."""
        mode = "strict" if self.mode == "strict" else "available"
        told = Config(self.members, member, CLUSTER_ID, mode=mode, timeouts=TIMEOUTS, greets=self.greets)  # type: ignore[arg-type]
        return replace(told, rules=self.releases.get(member, 1))

    def _replica(self, member: str, seat: Seat | None) -> Replica:
        restored = restored_genesis(CLUSTER_ID)
        if seat is not None:
            tip, certificate = restored.tip, b""
            if seat.blocks:
                block, certificate, boundary, digest = seat.blocks[-1]
                header = block.header
                tip = Tip(header.height, block.block_id, header.time_ms, boundary.size, boundary.root, digest)
            recent = tuple(boundary for _, _, boundary, _ in seat.blocks)
            restored = Restored(tip, certificate, tuple(seat.journal), seat.signer, recent, tuple(seat.evidence))
        return Replica(self.config(member), HashKeyring(member), restored)

    def restart(self, member: str) -> None:
        """Crash and start again from what is durable."""
        seat = self.seats[member]
        seat.replica = self._replica(member, seat)
        seat.performed.clear()
        self.wire = [each for each in self.wire if each[0] != member]
        self.step(member, events.Start())

    # -- events

    def step(self, member: str, event: events.Event) -> list[effects.Effect]:
        """Give one event; perform what follows. Returns the effects of this event alone."""
        seat = self.seats[member]
        found = seat.replica.step(self.now, event)
        seat.queue.extend(found)
        if not seat.busy:
            seat.busy = True
            while seat.queue:
                self._perform(seat, seat.queue.popleft())
            seat.busy = False
        return found

    def submit(self, member: str, name: str = "r1", life_ms: int = 600_000) -> None:
        """A client's record."""
        seat = self.seats[member]
        seat.items.append(name.encode())
        self.step(member, events.Submitted(name, name.encode(), (), self.now + life_ms))

    def tick(self, *members: str, after_ms: int = 0) -> None:
        """Time passes for these members, or for all."""
        self.now += after_ms
        for member in members or self.members:
            self.step(member, events.Tick())

    def receive(self, member: str, sender: str, frame: bytes) -> list[effects.Effect]:
        """A frame arrives."""
        return self.step(member, events.Received(sender, frame))

    # -- the wire

    def deliver(self, keep: Callable[[str, str, str], bool] = lambda source, target, name: True) -> None:
        """Deliver frames, in order, until none is left; those that `keep(source, target, name)` refuses are lost."""
        for _ in range(10_000):
            if not self.wire:
                return
            self.deliver_one(keep)
        raise AssertionError("the replicas never stop talking")

    def deliver_one(self, keep: Callable[[str, str, str], bool] = lambda source, target, name: True) -> None:
        """Deliver the oldest frame, or lose it."""
        source, target, frame = self.wire.pop(0)
        if keep(source, target, frame_name(frame)):
            self.receive(target, source, frame)

    def drop(self) -> list[tuple[str, str, Message]]:
        """Lose all frames on the wire; returns them, decoded."""
        lost = [(source, target, decode_frame(frame)) for source, target, frame in self.wire]
        self.wire.clear()
        return lost

    def names(self, source: str | None = None) -> list[str]:
        """Types of the frames on the wire."""
        return [frame_name(frame) for sender, _, frame in self.wire if source in (None, sender)]

    def agree(self, count: int = 1) -> None:
        """Let the cluster commit `count` blocks in its present view, everybody taking part."""
        for _ in range(count):
            state = self[self.members[0]].state
            primary = state.primary(state.view)
            self.submit(primary, f"r{self[primary].state.height}-{self.now}")
            self.deliver()
            self.now += 10

    # -- effects

    def _perform(self, seat: Seat, effect: effects.Effect) -> None:
        seat.performed.append(effect)
        handler = _PERFORM.get(type(effect))
        if handler is not None:
            handler(self, seat, effect)

    def _persist(self, seat: Seat, effect: effects.Persist) -> None:
        seat.journal.extend(effect.entries)

    def _truncate(self, seat: Seat, effect: effects.Truncate) -> None:
        seat.journal = list(effect.entries)

    def _sign(self, seat: Seat, effect: effects.PersistSigner) -> None:
        seat.signer = SignerMark(effect.epoch, effect.size, effect.root, effect.time_s)

    def _keep_evidence(self, seat: Seat, effect: effects.KeepEvidence) -> None:
        seat.evidence.append(effect.evidence.packed)

    def _send(self, seat: Seat, effect: effects.Send) -> None:
        targets = [effect.to] if effect.to else [member for member in self.members if member != seat.member]
        self.wire.extend((seat.member, target, effect.frame) for target in targets)

    def _admit(self, seat: Seat, effect: effects.Admit) -> None:
        if any(effect.record in block.items for block, _, _, _ in seat.blocks):
            self.step(seat.member, events.Rejected(effect.record_id))
            return
        seat.items.append(effect.record)
        self.step(seat.member, events.Admitted(effect.record_id, effect.record, (), self.now + 600_000))

    def _build(self, seat: Seat, effect: effects.Build) -> None:
        self.step(seat.member, events.Built(effect.height, effect.time_ms, seat.rules, tuple(seat.items)))

    def _check(self, seat: Seat, effect: effects.Check) -> None:
        if seat.verdict is not None:
            self.step(seat.member, events.Checked(effect.block.block_id, seat.verdict))

    def _execute(self, seat: Seat, effect: effects.Execute) -> None:
        if seat.executes:
            self.step(seat.member, execute(effect.block, seat.salt))

    def _store(self, seat: Seat, effect: effects.Store) -> None:
        if seat.stores:
            self.store(seat.member)

    def store(self, member: str) -> None:
        """Answer the last Store: the block is durable."""
        seat = self.seats[member]
        effect = seat.asked(effects.Store)[-1]
        assert isinstance(effect, effects.Store)
        result = execute(effect.block, seat.salt)
        boundary = Boundary(effect.block.height, effect.block.block_id, result.size, result.root)
        seat.blocks.append((effect.block, effect.certificate, boundary, result.state_digest))
        done = [item.decode() for item in effect.block.items]
        seat.items = [item for item in seat.items if item.decode() not in done]
        self.step(member, events.Stored(effect.block.height, tuple(done)))

    def _read(self, seat: Seat, effect: effects.ReadBlocks) -> None:
        found = [(block, certificate) for block, certificate, _, _ in seat.blocks[effect.from_height - 1 :]]
        self.step(seat.member, events.BlocksRead(effect.to, tuple(found[: effect.blocks_max])))


def execute(block: Block, salt: bytes = b"") -> events.Executed:
    """Two entries a block; root and state follow from the block, and from the salt of a diverged replica."""
    root = sha256(salt + block.block_id.encode()).digest()
    return events.Executed(block.block_id, 2 * block.height, root, b64u_encode(sha256(root).digest()))


def only(*members: str) -> Callable[[str, str, str], bool]:
    """Deliver between these members only."""
    return lambda source, target, name: source in members and target in members


def without(*names: str) -> Callable[[str, str, str], bool]:
    """Deliver everything but frames of these types."""
    return lambda source, target, name: name not in names


def both(*filters: Callable[[str, str, str], bool]) -> Callable[[str, str, str], bool]:
    """Deliver what all filters let through."""
    return lambda source, target, name: all(keep(source, target, name) for keep in filters)


def heights(bench: Bench, members: Iterable[str] | None = None) -> list[int]:
    """Heights of the tips."""
    return [bench[member].state.tip.height for member in members or bench.members]


_PERFORM: dict[type, Callable[..., None]] = {
    effects.Persist: Bench._persist,
    effects.Truncate: Bench._truncate,
    effects.PersistSigner: Bench._sign,
    effects.Send: Bench._send,
    effects.Admit: Bench._admit,
    effects.Build: Bench._build,
    effects.Check: Bench._check,
    effects.Execute: Bench._execute,
    effects.Store: Bench._store,
    effects.ReadBlocks: Bench._read,
    effects.KeepEvidence: Bench._keep_evidence,
}
