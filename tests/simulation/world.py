"""A whole cluster in one process from one seed: virtual time, faults for a while, then healing, then judgement."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING

from server.consensus.block import pack_attachments
from server.consensus.effects import Send
from server.consensus.frames import encode_frame
from server.consensus.messages import RequestMessage
from server.ledger.block import genesis_digest
from server.limits import DAY_MS, HOUR_MS
from tests.simulation.annals import Annals
from tests.simulation.application import Brought, Errand, SceneMaker
from tests.simulation.deceit import Liar
from tests.simulation.false_keys import KeepsOldKeys
from tests.simulation.faults import Faults
from tests.simulation.keyring import HashKeyring
from tests.simulation.liars import FORKS_THREE, LIARS, WITH_CHANGES
from tests.simulation.network import Network
from tests.simulation.node import CLUSTER_ID, EPOCH_MS, Node
from tests.simulation.options import Options
from tests.simulation.small import SmallScene
from tests.simulation.transcript import describe
from tests.simulation.upgrades import Upgrades
from tests.simulation.watch import Watch

MEMBERS = {
    1: ("owners",),
    3: ("owners", "property", "street"),
    4: ("owners", "property", "steward", "street"),
    7: ("archive", "district", "owners", "property", "school", "steward", "street"),
}
EPOCHS_MAX = 1_000
HEALED_WITHIN_MS = 45_000
"""After healing everything must be done within this: the longest patience, 2^5 T, and some more."""
EVENTS_MAX = 2_000_000
"""A run that needs more does not come to an end: it is judged as it stands."""
TOLD_WITHIN_MS = 3_000
"""Who has stopped at a fork still tells where it stands, several times in this."""
SOON_MS = 10_000
"""Timers are waited for when they are due so soon; else time leaps to them."""
NIGHTS_MS = (4 * HOUR_MS, 80 * HOUR_MS, 8 * DAY_MS)
"""Between the waves: nonces are forgotten after seven days."""


if TYPE_CHECKING:
    from tests.simulation.receipts import ReceiptPhones

Note = Callable[[int, str, str], None]
"""Hears the story: milliseconds, who, what."""


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
    epochs: int = 1


class World:
    """Mutable. Time, nodes, network, clients."""

    def __init__(
        self,
        options: Options,
        note: Note | None = None,
        make_scene: SceneMaker = SmallScene,
    ) -> None:
        self.options = options
        self.random = Random(f"world {options.nodes} {options.seed} {options.twins}")
        self.members = MEMBERS[options.nodes]
        self.annals = Annals(self.members, strict=options.mode == "strict")
        self.keyring = HashKeyring("nobody", annals=self.annals, epoch=EPOCHS_MAX)
        self.now = 0
        self.leapt_ms = 0
        self.events = 0
        self._limit = options.fault_ms + HEALED_WITHIN_MS
        self._waves = options.waves
        self._to_bring = 0
        self._split_since: int | None = None
        self.phones: ReceiptPhones | None = None
        """Who takes receipts, where somebody does."""
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._note = note
        self.scene = make_scene(self.members, genesis_digest(CLUSTER_ID), self.random)
        self.network = Network(self.random, options.weather)
        self.twin = self.random.choice(self.members) if options.twins else ""
        self._lies = Random(f"lies {options.nodes} {options.seed} {options.liar}")
        self.liar = self.twin or (self._lies.choice(self.members) if options.liar else "")
        self.watch = Watch(self)
        candidates = [member for member in MEMBERS[7] if member not in self.members] if options.changes else []
        addresses = [(member, member) for member in (*self.members, *candidates)]
        addresses += [(self.twin, self.twin + "'")] if self.twin else []
        self.faults = Faults(self)
        self.nodes = [Node(self, member, address) for member, address in addresses]
        self.healed = options.fault_ms == 0
        self.upgrades = Upgrades(self, self.scene.estate) if options.upgrades else None
        """Who changes the nodes' releases, where somebody does."""
        self._lasting: dict[str, None] = {}

    # -- what nodes ask of the world

    @property
    def time_ms(self) -> int:
        """The true time."""
        return EPOCH_MS + self.leapt_ms + self.now

    @property
    def expects_agreement(self) -> bool:
        """Whether nobody may ever fork: no liar, or no more than the cluster bears."""
        bears_it = self.options.nodes >= 4 or self.options.mode == "strict"
        return not self.liar or bears_it or self.options.liar not in FORKS_THREE

    def is_honest(self, node: Node) -> bool:
        """Whether the node's member does what the protocol says, and runs once only."""
        return self.is_honest_member(node.member)

    def is_honest_member(self, member: str) -> bool:
        """Whether a member does."""
        return member != self.liar

    def watch_fail(self, oracle: str, detail: str) -> None:
        """An oracle that stands beside the watch has fired."""
        self.watch.fail(oracle, detail)

    def standing(self) -> list[Node]:
        """Honest nodes of members that have not lost their journal."""
        members = self.annals.epochs[-1].secrets
        return [node for node in self.nodes if self.is_honest(node) and not node.is_lost and node.member in members]

    def liar_at(self, node: Node) -> Liar | None:
        """The liar that speaks for a node, if it is a liar's."""
        kind = {**LIARS, **WITH_CHANGES}.get(self.options.liar)
        return kind(node, Random(self._lies.random())) if kind is not None and node.member == self.liar else None

    def note(self, node: Node, what: str) -> None:
        """Tell the transcript, if one is written."""
        if self._note is not None:
            self._note(self.now, node.address, what)

    def tell(self, what: str) -> None:
        """Tell the transcript what happens to everybody."""
        if self._note is not None:
            self._note(self.now, "---", what)

    def at(self, delay: int, act: Callable[[], None]) -> None:
        """Do something after a delay in milliseconds."""
        self._sequence += 1
        heappush(self._heap, (self.now + delay, self._sequence, act))

    def transmit(self, source: Node, effect: Send) -> None:
        """Carry a frame to one member or to all others, as the links please."""
        self.watch.before_send(source, effect.frame)
        if self._note is not None:
            self._note(self.now, source.address, f"-> {effect.to or 'all'}: {describe(effect.frame)}")
        if self.options.mute and not self.healed and self.faults.loses_all(effect.frame):
            return
        for target in self.nodes:
            wanted = target.member in source.config.others if effect.to is None else target.member == effect.to
            if wanted and not (self.options.lone and not self.healed and self.faults.keeps_from(target, effect.frame)):
                for delay in self.network.arrivals(source.address, target.address, self.now):
                    target.receive(source.member, effect.frame, delay)
        if self.options.nemesis and not self.healed and source.liar is None:
            self.faults.after_vote(source, effect.frame)

    def reach(self, source: Node, target: Node) -> bool:
        """Whether a frame sent now would arrive."""
        return bool(self.network.arrivals(source.address, target.address, self.now))

    def may_lose(self, node: Node) -> bool:
        """Whether the others can go on for ever without this node. A liar uses up what the cluster bears."""
        spare = len(self.members) - node.config.quorum
        return not self.liar and sum(each.disk.is_rotten for each in self.nodes if each is not node) < spare

    def heal(self) -> None:
        """No more faults. A second copy ends; other liars go on lying; a lost journal stays lost."""
        self.tell("everything is healed")
        self.healed = True
        self._limit += self.faults.ahead_ms
        self.network.clear()
        for node in self.nodes:
            node.paused_until = node.jump_ms = 0
            node.boot()
        if self.twin:
            twin = self.nodes[-1]
            twin.crash()
            twin.receive = lambda sender, frame, delay: None  # type: ignore[method-assign]

    # -- clients

    def _add_errands(self, count: int, span_ms: int) -> None:
        self._add(self.scene.errands(count, span_ms, self.time_ms))

    def _add(self, errands: Sequence[Errand]) -> None:
        for errand in errands:
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
                self.bring(brought)

    def _smuggle(self, brought: Brought) -> None:
        """Hand in what must never be ordered: as a client at one node, and as a careless peer at another."""
        self.watch.forbid(brought.record)
        self.random.choice(self.nodes).submit(brought.record, brought.attachments)
        sender, target = self.random.choice(self.nodes), self.random.choice(self.nodes)
        if sender.member != target.member:
            packed = pack_attachments(brought.attachments)
            frame = encode_frame(RequestMessage(brought.record_id, brought.record, packed))
            target.receive(sender.member, frame, 5)

    def bring(self, brought: Brought) -> None:
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
        self.at(self.random.randint(1_000, 2_500), partial(self.bring, brought))

    # -- the run

    def run(self) -> Report:
        """Run until everything is done, or time is up; judge."""
        if self.liar:
            self.tell(f"{self.liar} lies: {self.options.liar}")
        for node in self.nodes:
            node.boot()
        span_ms = max(1, self.options.fault_ms * 3 // 4)
        self._add_errands(self.options.records, span_ms)
        self._add(self.scene.changes(self.options.changes, span_ms))
        if self.options.fault_ms:
            self.faults.begin()
        if self.upgrades is not None:
            self.upgrades.begin()
        self._watch_end()
        while self._heap and self.now <= self._limit and self.events < EVENTS_MAX and not self.watch.failures:
            self.now, _, act = heappop(self._heap)
            self.events += 1
            self._do(act)
        self.watch.judge()
        if not self.watch.failures and not self._is_done() and self.expects_agreement and not self._halts_by_design():
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
            len(self.annals.epochs),
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
            is_forked = bool(self.watch.forks and self._split_pairs())
            is_done = not is_forked and self._is_done()
            if (is_forked and self._is_over_for_good()) or (is_done and due_ms is None and not self._waves):
                return self._heap.clear()
            if is_done:
                self._leap(due_ms)
        self.at(200, self._watch_end)
        return None

    def _next_due_ms(self) -> int | None:
        due = [node.application.ledger.agenda().due_ms for node in self.standing()]
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

    def _is_over_for_good(self) -> bool:
        """Whether the honest stand at a fork, and have had time to tell each other whose fault it is."""
        if not self._is_split():
            self._split_since = None
        elif self._split_since is None:
            self._split_since = self.now
        return self._split_since is not None and self.now - self._split_since > TOLD_WITHIN_MS

    def _is_split(self) -> bool:
        pairs = self._split_pairs()
        return bool(pairs) and all(one.stopped and other.stopped for one, other in pairs)

    def forked_in_silence(self) -> bool:
        """Whether two honest nodes have forked and neither of them has stopped."""
        return any(not one.stopped and not other.stopped for one, other in self._split_pairs())

    def blind_at_fork(self) -> list[Node]:
        """Honest nodes that stopped at a fork and know no culprit, though the other side is in their epoch.

        Where one side has begun another epoch, neither looks at the votes of the other (DESIGN.md D32).
        """
        blind = [
            node
            for pair in self._split_pairs()
            if len({self._forked_epoch(*pair), *(each.config.epoch for each in pair)}) == 1
            for node in pair
            if node.stopped and node.replica is not None and not node.replica.state.culprits
        ]
        return list(dict.fromkeys(blind))

    def _forked_epoch(self, one: Node, other: Node) -> int:
        """Of the first block that two nodes store otherwise."""
        pairs = zip(one.disk.blocks, other.disk.blocks, strict=False)
        return next(a.block.header.epoch for a, b in pairs if a.block.block_id != b.block.block_id)

    def _halts_by_design(self) -> bool:
        """In strict mode everybody's vote is needed: that of a liar too."""
        return self.options.mode == "strict" and bool(self.liar)

    @property
    def _lacks_signers(self) -> bool:
        """Whether somebody may be for ever missing whose signature a seal needs."""
        return bool(self.liar) or any(node.is_lost for node in self.nodes)

    @property
    def told_keys(self) -> frozenset[str]:
        """Retired keys with which a liar has signed what gives it away."""
        return frozenset[str]().union(*(node.liar.told for node in self.nodes if isinstance(node.liar, KeepsOldKeys)))

    def _is_done(self) -> bool:
        """Every record that did not expire is executed everywhere, what is due too, and everything is sealed."""
        if self._to_bring or not (self.upgrades is None or self.upgrades.are_done):
            return False
        honest = self.standing()
        if len({node.height for node in honest}) != 1 or any(node.replica is None for node in honest):
            return False
        for node in honest:
            assert node.replica is not None
            state, ledger = node.replica.state, node.application.ledger
            if state.checkpoints.sealed_size < state.tip.size and not self._lacks_signers:
                return False
            if any(record_id not in ledger.done for record_id in self._lasting):
                return False
            agenda = ledger.agenda()
            if not self.told_keys <= set(agenda.retired):
                return False
            if agenda.awaiting_size is not None and not self._lacks_signers:
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
