"""A whole cluster in one process from one seed: virtual time, faults for a while, then healing, then judgement."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from random import Random

from server.consensus.block import pack_attachments
from server.consensus.effects import Send
from server.consensus.frames import decode_frame, encode_frame, frame_name
from server.consensus.messages import (
    CommitMessage,
    NewViewMessage,
    Prepare,
    RequestMessage,
    Signed,
    ViewChangeMessage,
)
from server.ledger.block import genesis_digest
from server.limits import DAY_MS, HOUR_MS
from tests.simulation.application import Brought, Errand, SceneMaker
from tests.simulation.keyring import HashKeyring
from tests.simulation.network import CALM, Network
from tests.simulation.node import CLUSTER_ID, EPOCH_MS, Node
from tests.simulation.options import Options
from tests.simulation.small import SmallScene
from tests.simulation.transcript import describe
from tests.simulation.watch import Watch

MEMBERS = {
    1: ("owners",),
    3: ("owners", "property", "street"),
    4: ("owners", "property", "steward", "street"),
    7: ("archive", "district", "owners", "property", "school", "steward", "street"),
}
HEALED_WITHIN_MS = 45_000
"""After healing everything must be done within this: the longest patience, 2^5 T, and some more."""
CHAOS_MS = 500
SOON_MS = 10_000
"""Timers are waited for when they are due so soon; else time leaps to them."""
LEAPS_MS = (70_000, 11 * 60_000, 2 * HOUR_MS)
"""How far all clocks leap while there are faults: a motion's shortest time, what may be undone, an evening."""
LEAPT_MS_MAX = 20 * HOUR_MS
"""Less than the longest life of a record: what clients brought is still wanted when the faults end."""
NIGHTS_MS = (4 * HOUR_MS, 80 * HOUR_MS, 8 * DAY_MS)
"""Between the waves: nonces are forgotten after seven days."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a run went."""

    seed: int
    failures: tuple[str, ...]
    events: int
    virtual_ms: int
    blocks: int
    views: int
    forks: int
    fingerprint: str


class World:
    """Mutable. Time, nodes, network, clients."""

    def __init__(
        self,
        options: Options,
        note: Callable[[int, str, str], None] | None = None,
        make_scene: SceneMaker = SmallScene,
    ) -> None:
        self.options = options
        self.random = Random(f"world {options.nodes} {options.seed} {options.twins}")
        self.members = MEMBERS[options.nodes]
        self.keyring = HashKeyring("nobody")
        self.now = 0
        self.leapt_ms = 0
        self.events = 0
        self._limit = options.fault_ms + HEALED_WITHIN_MS
        self._waves = options.waves
        self._to_bring = 0
        self._muted_until = 0
        self._favoured = ""
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._note = note
        self.scene = make_scene(self.members, genesis_digest(CLUSTER_ID), self.random)
        self.network = Network(self.random, options.weather)
        self.watch = Watch(self)
        self.twin = self.random.choice(self.members) if options.twins else ""
        addresses = [(member, member) for member in self.members]
        addresses += [(self.twin, self.twin + "'")] if self.twin else []
        self.nodes = [Node(self, member, address) for member, address in addresses]
        self.healed = options.fault_ms == 0
        self._lasting: dict[str, None] = {}

    # -- what nodes ask of the world

    @property
    def time_ms(self) -> int:
        """The true time."""
        return EPOCH_MS + self.leapt_ms + self.now

    @property
    def expects_agreement(self) -> bool:
        """Whether nobody may ever fork: no liar, or no more than the cluster bears."""
        return not self.twin or self.options.nodes >= 4 or self.options.mode == "strict"

    def is_honest(self, node: Node) -> bool:
        """Whether the node's member runs once only."""
        return node.member != self.twin

    def note(self, node: Node, what: str) -> None:
        """Tell the transcript, if one is written."""
        if self._note is not None:
            self._note(self.now, node.address, what)

    def at(self, delay: int, act: Callable[[], None]) -> None:
        """Do something after a delay in milliseconds."""
        self._sequence += 1
        heappush(self._heap, (self.now + delay, self._sequence, act))

    def transmit(self, source: Node, effect: Send) -> None:
        """Carry a frame to one member or to all others, as the links please."""
        if self._note is not None:
            self._note(self.now, source.address, f"-> {effect.to or 'all'}: {describe(effect.frame)}")
        if self.options.mute and not self.healed and self._is_muted(effect.frame):
            return
        for target in self.nodes:
            wanted = target.member != source.member if effect.to is None else target.member == effect.to
            if wanted and not (self.options.lone and not self.healed and self._is_kept_from(target, effect.frame)):
                for delay in self.network.arrivals(source.address, target.address):
                    target.receive(source.member, effect.frame, delay)
        if self.options.nemesis and not self.healed:
            self._nemesis(source, effect.frame)

    def _is_muted(self, frame: bytes) -> bool:
        """Lose votes for a while after a NEW-VIEW: so that it must be remembered through the next view change."""
        name = frame_name(frame)
        if name == "new-view" and self.now >= self._muted_until and self.random.random() < self.options.mute:
            self._muted_until = self.now + self.random.randint(500, 5_000)
        return self.now < self._muted_until and name in ("prepare", "pre-prepare", "commit", "batch")

    def _is_kept_from(self, target: Node, frame: bytes) -> bool:
        """Let COMMITs reach one node only: it alone will know that the block is committed."""
        if frame_name(frame) != "commit":
            return False
        if not self._favoured and self.random.random() < self.options.lone:
            self._favoured = target.address
        return self._favoured not in ("", target.address)

    def after_store(self, node: Node) -> None:
        """The node that alone knew of a committed block falls silent."""
        if self._favoured == node.address:
            self._favoured = ""
            if not self.healed:
                self._crash(node)

    def reach(self, source: Node, target: Node) -> bool:
        """Whether a frame sent now would arrive."""
        return bool(self.network.arrivals(source.address, target.address))

    def crashes_now(self, node: Node) -> bool:
        """Whether the node crashes before its next effect."""
        if self.healed or not self.options.crash_between or self.random.random() >= self.options.crash_between:
            return False
        self._crash(node)
        return True

    # -- faults

    def _crash(self, node: Node) -> None:
        node.crash()
        self.at(self.random.randint(50, 8_000), lambda: node.boot() if node.replica is None else None)

    def _nemesis(self, node: Node, frame: bytes) -> None:
        """Crash a node right after it voted and isolate another: where most mistakes of durability would show."""
        if self.random.random() >= self.options.nemesis:
            return
        message = decode_frame(frame)
        is_vote = isinstance(message, Signed) and isinstance(message.body, Prepare)
        if is_vote or isinstance(message, CommitMessage | ViewChangeMessage | NewViewMessage):
            self._crash(node)
            if not self.network.is_cut and len(self.nodes) > 1:
                self.network.isolate(self.random.choice(self.nodes).address, [each.address for each in self.nodes])

    def _chaos(self) -> None:
        if self.now >= self.options.fault_ms:
            return self._heal()
        random, options = self.random, self.options
        if not self.network.is_cut and random.random() < options.partition:
            sides = {node.address: random.randint(0, 1) for node in self.nodes}
            self.network.partition(sides, random.random() < 0.3)
        elif self.network.is_cut and random.random() < 0.25:
            self.network.heal()
        for node in self.nodes:
            if node.replica is not None and random.random() < options.crash:
                self._crash(node)
            elif random.random() < options.pause:
                node.paused_until = self.now + random.randint(200, 4_000)
        if options.leap and random.random() < options.leap and self.leapt_ms < LEAPT_MS_MAX - max(LEAPS_MS):
            self.leapt_ms += random.choice(LEAPS_MS)
        self.at(CHAOS_MS, self._chaos)
        return None

    def _heal(self) -> None:
        self.healed = True
        self.network.heal()
        self.network.weather = CALM
        for node in self.nodes:
            node.paused_until = 0
            if node.replica is None:
                node.boot()
        if self.twin:
            twin = self.nodes[-1]
            twin.crash()
            twin.receive = lambda sender, frame, delay: None  # type: ignore[method-assign]

    # -- clients

    def _add_errands(self, count: int, span_ms: int) -> None:
        for errand in self.scene.errands(count, span_ms, self.time_ms):
            self._to_bring += 1
            self.at(errand.due_ms, partial(self._run_errand, errand))

    def _run_errand(self, errand: Errand) -> None:
        """A client looks at a node that shows something, and brings what follows from it."""
        self._to_bring -= 1
        seen = max(self.nodes, key=lambda node: (node.replica is not None, node.height))
        for brought in errand.bring(seen.application.ledger, self.time_ms):
            if brought.never:
                self._smuggle(brought)
            else:
                if brought.lasting:
                    self._lasting[brought.record_id] = None
                self._submit(brought)

    def _smuggle(self, brought: Brought) -> None:
        """Hand in what must never be ordered: as a client at one node, and as a careless peer at another."""
        self.watch.forbid(brought.record)
        self.random.choice(self.nodes).submit(brought.record, brought.attachments)
        sender, target = self.random.choice(self.nodes), self.random.choice(self.nodes)
        if sender.member != target.member:
            packed = pack_attachments(brought.attachments)
            frame = encode_frame(RequestMessage(brought.record_id, brought.record, packed))
            target.receive(sender.member, frame, 5)

    def _submit(self, brought: Brought) -> None:
        """A phone brings its record to a node; until a node tells that it is done, it comes again, to any node."""
        node = self.random.choice(self.nodes)
        if node.replica is not None and brought.record_id in node.application.ledger.done:
            return
        if brought.expires_ms <= self.time_ms:
            return
        for name in brought.photos:
            for each in self.nodes:
                if each is node or self.random.random() < 0.6:
                    each.disk.held[name] = b""
        node.submit(brought.record, brought.attachments)
        self.at(self.random.randint(1_000, 2_500), partial(self._submit, brought))

    # -- the run

    def run(self) -> Report:
        """Run until everything is done, or time is up; judge."""
        for node in self.nodes:
            node.boot()
        self._add_errands(self.options.records, max(1, self.options.fault_ms * 3 // 4))
        if self.options.fault_ms:
            self.at(CHAOS_MS, self._chaos)
        self._watch_end()
        while self._heap and self.now <= self._limit and not self.watch.failures:
            self.now, _, act = heappop(self._heap)
            self.events += 1
            self._do(act)
        self.watch.judge()
        if not self.watch.failures and not self._is_done() and self.expects_agreement:
            self.watch.fail("liveness", "; ".join(map(self._describe, self.nodes)))
        return Report(
            self.options.seed,
            tuple(self.watch.failures),
            self.events,
            self.now,
            max(len(node.disk.blocks) for node in self.nodes),
            self.watch.max_view,
            self.watch.forks,
            self.watch.fingerprint,
        )

    def _do(self, act: Callable[[], None]) -> None:
        """A node whose code fails would end at once: that is a finding, not the end of the simulation."""
        try:
            act()
        except (AssertionError, LookupError, TypeError, ValueError) as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            self.watch.fail("failure", f"{type(error).__name__} in {at.name}: {error}")

    def _watch_end(self) -> None:
        """When nothing is left to do, time leaps: to the next due timer, then to the next wave of errands."""
        if self.healed and self.now >= self.options.fault_ms:
            due_ms = self._next_due_ms()
            if self._is_split() or (self._is_done() and due_ms is None and not self._waves):
                return self._heap.clear()
            if self._is_done():
                self._leap(due_ms)
        self.at(200, self._watch_end)
        return None

    def _next_due_ms(self) -> int | None:
        due = [node.application.ledger.agenda().due_ms for node in self.nodes if self.is_honest(node)]
        return min((each for each in due if each is not None), default=None)

    def _leap(self, due_ms: int | None) -> None:
        if due_ms is not None:
            self.leapt_ms += max(0, due_ms - self.time_ms)
        else:
            self._waves -= 1
            self.leapt_ms += self.random.choice(NIGHTS_MS)
            self._add_errands(self.options.records // 3, 3_000)
        self._limit = self.now + HEALED_WITHIN_MS

    def _split_pairs(self) -> list[tuple[Node, Node]]:
        """Pairs of honest nodes that stored different blocks at one height."""
        honest = [node for node in self.nodes if self.is_honest(node)]
        return [
            (one, other)
            for index, one in enumerate(honest)
            for other in honest[index + 1 :]
            if any(
                a.block.block_id != b.block.block_id for a, b in zip(one.disk.blocks, other.disk.blocks, strict=False)
            )
        ]

    def _is_split(self) -> bool:
        pairs = self._split_pairs()
        return bool(pairs) and all(one.stopped and other.stopped for one, other in pairs)

    def forked_in_silence(self) -> bool:
        """Whether two honest nodes have forked and neither of them has stopped."""
        return any(not one.stopped and not other.stopped for one, other in self._split_pairs())

    def _is_done(self) -> bool:
        """Every record that did not expire is executed everywhere, what is due too, and everything is sealed."""
        if self._to_bring:
            return False
        honest = [node for node in self.nodes if self.is_honest(node)]
        if len({node.height for node in honest}) != 1 or any(node.replica is None for node in honest):
            return False
        for node in honest:
            assert node.replica is not None
            state, ledger = node.replica.state, node.application.ledger
            if state.checkpoints.sealed_size < state.tip.size and not self.twin:
                return False
            if any(record_id not in ledger.done for record_id in self._lasting):
                return False
            agenda = ledger.agenda()
            if agenda.awaiting_size is not None and not self.twin:
                return False
            if agenda.due_ms is not None and agenda.due_ms <= self.time_ms + SOON_MS:
                return False
        return True

    def _describe(self, node: Node) -> str:
        lacking = len([key for key in self._lasting if key not in node.application.ledger.done])
        agenda = node.application.ledger.agenda()
        agenda = replace(agenda, due_ms=agenda.due_ms and agenda.due_ms - self.time_ms)
        return f"{node.address} {node.replica!r} lacks {lacking} {agenda} {node.stopped}"


def run(options: Options, make_scene: SceneMaker = SmallScene) -> Report:
    """Run one seed."""
    return World(options, make_scene=make_scene).run()
