"""A simulated node: the driver that performs a replica's effects, in order, on a disk that forgets and a lossy network.

It does what the real driver does, with virtual time: barriers are awaited, questions are answered later, and a crash
may come between any two effects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from server.consensus import effects, events
from server.consensus.block import Attachments
from server.consensus.config import FIRST_RULES, Config, Timeouts
from server.consensus.effects import JournalEntry
from server.consensus.frames import decode_frame
from server.consensus.replica import Replica
from server.consensus.restored import Restored, Tip, restored_genesis
from server.consensus.state import State
from server.record.canonical import Malformed
from server.storage.journal import JournalCorrupt
from tests.simulation.annals import Seen
from tests.simulation.application import Application
from tests.simulation.desk import Desk
from tests.simulation.disk import Disk, DiskFault
from tests.simulation.endings import endings_of
from tests.simulation.joining import Joining
from tests.simulation.keyring import HashKeyring
from tests.simulation.transcript import describe

if TYPE_CHECKING:
    from tests.simulation.deceit import Liar
    from tests.simulation.world import World

CLUSTER_ID = bytes(range(32))
TIMEOUTS = Timeouts(suspicion_ms=1_000, status_ms=400, retry_ms=400)
TICK_MS = 100
EPOCH_MS = 1_700_000_000_000
"""Where virtual time 0 lies: records and blocks carry real-looking times."""


class Node:
    """Mutable. One running copy of a member; twins are two nodes of one member."""

    def __init__(self, world: World, member: str, address: str) -> None:
        self.world, self.member, self.address = world, member, address
        skew, drift = world.options.skew_ms, world.options.drift_ppm
        self._skew_ms = world.random.randint(-skew, skew)
        self._drift_ppm = world.random.randint(-drift, drift)
        self.disk = Disk(world.options.skip)
        self.rules = FIRST_RULES
        """The highest version of the rules that this node's release knows."""
        self.config = self._configured(world.annals.epochs[0])
        self.application: Application = world.scene.application(address, self.disk.held)
        self.replica: Replica | None = None
        self.liar = world.liar_at(self)
        self.incarnation = 0
        self.paused_until = 0
        self.jump_ms = 0
        self.is_lost = False
        """Its journal is damaged: with its present keys it must never vote again."""
        self.is_removed = False
        """An epoch has begun without its member: it ends for good."""
        self.stopped = ""
        self.joining: Joining | None = None
        """While it joins by a snapshot its replica has not begun."""
        self.signed: effects.PublishCheckpoint | None = None
        """The newest checkpoint that a quorum signed, as it is shown."""
        self.pool: dict[str, tuple[bytes, Attachments]] = {}
        self.seal: effects.PublishCheckpoint | None = None
        self.desk = Desk(self)
        self._queue: deque[effects.Effect] = deque()
        self._blocked = False

    @property
    def height(self) -> int:
        """Height of the last stored block."""
        return self.replica.state.tip.height if self.replica else len(self.disk.blocks)

    @property
    def keyring(self) -> HashKeyring:
        """Its member's keys in the epoch that it is in."""
        return HashKeyring(self.member, annals=self.world.annals, epoch=self.config.epoch)

    def _configured(self, seen: Seen) -> Config:
        options, base = self.world.options, self.disk.blocks[seen.first_height - 2 :] if seen.first_height > 1 else []
        return Config(
            seen.members,
            self.member,
            CLUSTER_ID,
            epoch=seen.number,
            rules=self.rules,
            first_height=seen.first_height,
            base_block=base[0].block.block_id if base else "",
            first_size=seen.first_size,
            endings=endings_of(self, seen) if seen.number else (),
            observes=self.member not in seen.secrets,
            mode=options.mode,
            timeouts=TIMEOUTS,
            truncate_every=options.truncate_every,
        )

    def clock(self) -> int:
        """This node's own clock."""
        return self.world.time_ms + self.jump_ms + self._skew_ms + self.world.now * self._drift_ppm // 1_000_000

    # -- life

    def boot(self) -> None:
        """Start from what the disk kept, unless the journal is damaged; who is far behind joins by a snapshot first."""
        if self.is_removed or self.replica is not None or self.joining is not None or not self._can_read_journal():
            return
        if not self.world.faults.may_begin(self):
            return self.world.at(TICK_MS, self.boot)
        self.incarnation += 1
        self._queue.clear()
        self.desk.clear()
        self.pool.clear()
        self._blocked, self.seal, self.signed = False, None, None
        self.application = self.world.scene.application(self.address, self.disk.held)
        for stored in self.disk.blocks:
            ledger, _ = self.application.execute(stored.block)
            self.application.keep(ledger)
        self.application.newest = self.rules
        for evidence in self.disk.evidence.values():
            self.application.accuse(evidence)
        if self.world.options.lose:
            self.joining = Joining(self)
            return self.joining.begin()
        return self._start()

    def end_joining(self, *, joined: bool) -> None:
        """What could be had by a snapshot is here: begin."""
        self.joining = None
        if joined:
            self.world.watch.joined(self)
        self._start()

    def _start(self) -> None:
        self.world.watch.started(self)
        if not self._enter_epoch():
            return
        self.replica = Replica(self.config, self.keyring, self.restored(self.disk.journal()))
        if not self.world.is_honest(self):
            self.replica.state.__class__ = Shameless
        self.step(events.Start())
        self.step(self.application.ledger.agenda())
        self.later(self.world.random.randint(1, TICK_MS), self._tick)

    def _enter_epoch(self) -> bool:
        """Be what the stored blocks say that it is. False: it is no member any more."""
        seen = self.application.ledger.epoch or self.world.annals.epochs[0]
        self.world.watch.began(self, seen)
        is_out = self.member not in seen.secrets and self.world.annals.was_member(self.member, seen.number)
        self.is_removed = is_out and not (self.liar is not None and self.liar.stays)
        if self.is_removed:
            self.world.note(self, "ends for good: it is no member any more")
            return False
        self.config = self._configured(seen)
        return True

    def _can_read_journal(self) -> bool:
        try:
            self.disk.journal()
        except JournalCorrupt:
            self.is_lost = True
            self.world.note(self, "does not start: its journal is damaged")
            return False
        if self.disk.is_rotten:
            self.world.watch.fail("rot", f"{self.address} starts from a damaged journal")
        return True

    def restored(self, journal: tuple[JournalEntry, ...]) -> Restored:
        """What a restart finds, if the journal held this."""
        blocks = self.disk.blocks
        evidence = tuple(each.packed for each in self.disk.evidence.values())
        if not blocks:
            genesis = restored_genesis(CLUSTER_ID)
            return Restored(genesis.tip, b"", journal, self.disk.signer, evidence=evidence)
        last = blocks[-1]
        boundary = last.boundary
        tip = Tip(
            last.block.height,
            last.block.block_id,
            last.block.header.time_ms,
            boundary.size,
            boundary.root,
            last.state_digest,
        )
        recent = tuple(stored.boundary for stored in blocks[-64:])
        return Restored(tip, last.certificate, journal, self.disk.signer, recent, evidence)

    def crash(self) -> None:
        """Stop at once; what was not synced is lost or torn."""
        if self.replica is not None:
            self.world.note(self, "crashes")
            self.incarnation += 1
            self.replica = None
            self._queue.clear()
            self.disk.crash(self.world.random)

    def step(self, event: events.Event) -> None:
        """Give the replica an event and perform what follows."""
        if self.replica is None:
            return
        if self.liar is not None:
            event = self._tell_liar(self.liar, event)
        self._queue.extend(self.replica.step(self.clock(), event))
        self.world.watch.after_step(self)
        self._pump()

    def _tell_liar(self, liar: Liar, event: events.Event) -> events.Event:
        """The liar of this member hears what its replica hears, and may answer at once."""
        if isinstance(event, events.Received):
            try:
                message = decode_frame(event.frame)
            except Malformed:
                return event
            for lie in liar.hear(event.sender, message):
                self.world.transmit(self, lie)
        return liar.twist(event)

    def _tick(self) -> None:
        self.step(events.Tick())
        for lie in self.liar.say() if self.liar is not None and self.replica is not None else ():
            self.world.transmit(self, lie)
        self.later(TICK_MS, self._tick)

    def later(self, delay: int, act: Callable[[], None]) -> None:
        """Do something later, unless this incarnation has ended; a paused node does it when it wakes."""
        incarnation = self.incarnation

        def wake() -> None:
            if incarnation != self.incarnation or self.replica is None:
                return
            if self.world.now < self.paused_until:
                self.world.at(self.paused_until - self.world.now + self.world.random.randint(0, 3), wake)
            else:
                act()

        self.world.at(delay, wake)

    def receive(self, sender: str, frame: bytes, delay: int) -> None:
        """A frame will arrive, if this node runs then."""
        self.world.at(delay, lambda: self._arrive(sender, frame))

    def _arrive(self, sender: str, frame: bytes) -> None:
        if self.world.now < self.paused_until:
            self.world.at(self.paused_until - self.world.now, lambda: self._arrive(sender, frame))
        else:
            self.step(events.Received(sender, frame))

    # -- effects

    def _pump(self) -> None:
        incarnation = self.incarnation
        while self._queue and not self._blocked:
            if self.world.faults.crashes_now(self):
                return
            effect = self._queue.popleft()
            _PERFORM[type(effect)](self, effect)
            if incarnation != self.incarnation:
                return

    def work_ms(self) -> int:
        """How long the next piece of work takes."""
        return int(self.world.random.expovariate(1 / self.world.options.work_ms))

    def _barrier(self, act: Callable[[], None]) -> None:
        self._blocked = True

        def synced() -> None:
            fault = self.world.faults.sync_fails(self)
            if fault is not None:
                return self._end(fault, act)
            act()
            self._blocked = False
            self._pump()

        sync_ms = self.world.options.sync_ms
        if sync_ms:
            wait_ms = int(self.world.random.expovariate(1 / sync_ms)) + self.world.faults.stall_ms()
            self.later(wait_ms, synced)
        else:
            synced()

    def _end(self, fault: DiskFault, act: Callable[[], None]) -> None:
        """As the driver does when the disk fails: the replica is told, nothing more leaves, the program ends.

        What was written is lost, or is there although the disk said that it is not.
        """
        assert self.replica is not None
        if fault is DiskFault.FULL:
            self.disk.drop()
        elif self.world.random.random() < 0.5:
            act()
        self.replica.step(self.clock(), events.Halted(fault.value))
        self.world.faults.crash(self)

    def _persist(self, effect: effects.Persist) -> None:
        self.disk.append(effect.entries)
        self._barrier(self.disk.sync)

    def _persist_signer(self, effect: effects.PersistSigner) -> None:
        self._barrier(lambda: self.disk.sign(effect))

    def _truncate(self, effect: effects.Truncate) -> None:
        self.disk.truncate(effect.entries)

    def _send(self, effect: effects.Send) -> None:
        if self.liar is None:
            return self.world.transmit(self, effect)
        said = list(self.liar.send(effect))
        if said != [effect]:
            verb = "lies, and instead of this says what follows" if said else "lies, and does not say"
            self.world.note(self, f"{verb}: {describe(effect.frame)}")
        for lie in said:
            self.world.transmit(self, lie)
        return None

    def submit(self, record: bytes, attachments: Attachments) -> bool:
        """A client brings a record. False when this node is down."""
        record_id = self.application.record_id(record)
        if self.replica is None or self.stopped or record_id is None or self.world.now < self.paused_until:
            return False
        if self.config.observes:
            return False
        if self.application.admits(record, attachments, self.clock()):
            self.desk.keep(record_id, record, attachments)
            self.step(events.Submitted(record_id, record, attachments, self.application.expires_ms(record)))
        return True

    def _publish(self, effect: effects.PublishCheckpoint) -> None:
        self.world.watch.published(self, effect)
        if self.signed is None or effect.size >= self.signed.size:
            self.signed = effect
        if self.world.phones is not None:
            self.world.phones.shown(self, effect)
        if effect.sealed and (self.seal is None or effect.size > self.seal.size):
            self.seal = effect

    def _stop(self, effect: effects.Stop) -> None:
        if effect.reason == "epoch":
            return self.later(self.world.random.randint(1, 300), self._reopen)
        self.stopped = f"{effect.reason}: {effect.detail}"
        self.world.watch.stopped(self, effect)
        return None

    def _reopen(self) -> None:
        """An epoch has ended: begin anew from what is durable, as the program does."""
        self.crash()
        self.boot()

    def _keep_evidence(self, effect: effects.KeepEvidence) -> None:
        """Kept for ever, and known to who builds blocks."""
        self.disk.evidence[effect.evidence.id] = effect.evidence
        self.application.accuse(effect.evidence)
        self.world.watch.accused(self, effect.evidence)

    def _note_release(self, effect: effects.NoteRelease) -> None:
        self.application.note_release(effect.member, effect.rules)

    def _ignore(self, _effect: effects.Effect) -> None:
        """Transcripts and refusals concern clients and auditors, not this run."""


class Shameless(State):
    """The state of a liar: shown that it has signed two things, it goes on all the same."""

    __slots__ = ()

    def stop(self, reason: effects.StopReason, detail: str) -> None:
        """A liar does not stop for what is said of itself."""
        if reason != "twin":
            super().stop(reason, detail)


_PERFORM: dict[type, Callable[..., None]] = {
    effects.Persist: Node._persist,
    effects.PersistSigner: Node._persist_signer,
    effects.Truncate: Node._truncate,
    effects.Send: Node._send,
    effects.Admit: lambda node, effect: node.desk.admit(effect),
    effects.Build: lambda node, effect: node.desk.build(effect),
    effects.Check: lambda node, effect: node.desk.check(effect),
    effects.Execute: lambda node, effect: node.desk.execute(effect),
    effects.Store: lambda node, effect: node.desk.store(effect),
    effects.ReadBlocks: lambda node, effect: node.desk.read_blocks(effect),
    effects.PublishCheckpoint: Node._publish,
    effects.Stop: Node._stop,
    effects.KeepTranscript: Node._ignore,
    effects.KeepEvidence: Node._keep_evidence,
    effects.ProveRetired: lambda node, effect: node.desk.prove_retired(effect),
    effects.NoteRelease: Node._note_release,
    effects.Refused: Node._ignore,
}
