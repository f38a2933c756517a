"""What goes wrong, until the world heals: crashes, partitions, clogged links, wrong clocks, disks that fail or rot.

Each seed has a random subset of them (options.py). They are the faults that the protocol must bear whoever is honest:
what it cannot bear (a member that runs twice, a member put back from a copy of everything) is among the liars.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from server.consensus.frames import decode_frame
from server.consensus.messages import CommitMessage, NewViewMessage, Prepare, Signed, ViewChangeMessage
from server.limits import HOUR_MS
from tests.simulation.disk import DiskFault
from tests.simulation.liars import RESTORED
from tests.simulation.transcript import kind_of

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

CHAOS_MS = 500
LEAPS_MS = (70_000, 11 * 60_000, 2 * HOUR_MS)
"""How far all clocks leap while there are faults: a motion's shortest time, what may be undone, an evening."""
LEAPT_MS_MAX = 20 * HOUR_MS
"""Less than the longest life of a record: what clients brought is still wanted when the faults end."""
LOSES = 0.1
"""How often, after a block, the node crashes whose disk may be lost then."""
CLOG_MS = (200, 5_000)
STALL_MS = (300, 3_000)
JUMPS_MS = (-60_000, -2_000, 2_000, 8_000, 60_000)
"""How far a clock jumps: within what a proposal's time may differ (5 s), and beyond it."""


class Faults:
    """Mutable. Strikes every half second, and between any two effects of a node."""

    def __init__(self, world: World) -> None:
        self._world, self._options = world, world.options
        self._random = world.random
        self._more = Random(f"faults {world.options.nodes} {world.options.seed}")
        """For the faults that came later: the older ones strike in each seed where they always did."""
        self._muted_until = 0
        self._favoured = ""
        self._forgot: dict[str, int] = {}
        """By address, the height up to which a node that lost its whole disk may have voted."""
        self.ahead_ms = 0
        """How far any clock has ever been ahead: a replica whose clock is put back waits until it is there again."""

    @property
    def _careless(self) -> Node:
        """The one node whose operator puts old copies back: what all have lost no protocol brings back."""
        return self._world.nodes[self._options.seed % len(self._world.nodes)]

    def begin(self) -> None:
        """From now on."""
        self._world.at(CHAOS_MS, self._strike)

    # -- frames

    def loses_all(self, frame: bytes) -> bool:
        """Lose votes for a while after a NEW-VIEW: so that it must be remembered through the next view change."""
        world, name = self._world, kind_of(frame)
        if name == "new-view" and world.now >= self._muted_until and self._random.random() < self._options.mute:
            self._muted_until = world.now + self._random.randint(500, 5_000)
        return world.now < self._muted_until and name in ("prepare", "pre-prepare", "commit", "batch")

    def keeps_from(self, target: Node, frame: bytes) -> bool:
        """Let COMMITs reach one node only: it alone will know that the block is committed."""
        if kind_of(frame) != "commit":
            return False
        if not self._favoured and self._random.random() < self._options.lone:
            self._favoured = target.address
        return self._favoured not in ("", target.address)

    def after_store(self, node: Node) -> None:
        """The node that alone knew of a committed block falls silent."""
        if self._options.lose and node is self._careless and not self._world.healed and self._more.random() < LOSES:
            self.crash(node)
        if self._favoured == node.address:
            self._favoured = ""
            if not self._world.healed:
                self.crash(node)

    def after_vote(self, node: Node, frame: bytes) -> None:
        """The directed nemesis: crash a node right after it voted, and isolate another.

        There most mistakes of durability would show, and chance alone never finds them (consensus.md 3.3).
        """
        if self._random.random() >= self._options.nemesis:
            return
        message, network = decode_frame(frame), self._world.network
        is_vote = isinstance(message, Signed) and isinstance(message.body, Prepare)
        if is_vote or isinstance(message, CommitMessage | ViewChangeMessage | NewViewMessage):
            self.crash(node)
            if not network.is_cut and len(self._world.nodes) > 1:
                addresses = [each.address for each in self._world.nodes]
                network.isolate(self._random.choice(addresses), addresses)

    # -- nodes and disks

    def crashes_now(self, node: Node) -> bool:
        """Whether the node crashes before its next effect."""
        chance = self._options.crash_between
        if self._world.healed or not chance or self._random.random() >= chance:
            return False
        self.crash(node)
        return True

    def crash(self, node: Node) -> None:
        """Stop it at once, and start it again some time later; meanwhile its disk may have changed."""
        node.crash()
        self._spoil(node)
        self._world.at(self._random.randint(50, 8_000), lambda: node.boot() if node.replica is None else None)

    def _spoil(self, node: Node) -> None:
        options, world = self._options, self._world
        if options.liar == RESTORED and node.member == world.liar:
            node.disk.put_back(self._more)
            world.note(node, "is put back from an image of its whole disk")
        elif options.restore and node is self._careless and self._more.random() < options.restore:
            lost = node.disk.lose_blocks(self._more)
            world.watch.put_back(node)
            world.note(node, f"has its ledger put back from a copy that lacks {lost} blocks")
        elif options.lose and node is self._careless and self._more.random() < options.lose:
            self._lose(node)
        elif options.rot and world.may_lose(node) and self._more.random() < options.rot:
            what = node.disk.rot(self._more)
            world.note(node, f"finds {what} in its journal" if what else "finds its journal whole")

    def _lose(self, node: Node) -> None:
        """The ledger is gone; or the whole disk, if no view that the node spoke of is above where the others are.

        Where members change only the ledger goes: with other keys a node may begin at once, with its own it must not.
        """
        world, durable = self._world, node.disk.durable
        others = [each for each in world.nodes if each is not node]
        views = [each.replica.state.view for each in others if each.replica is not None]
        spoken = max([*(view for _, view in durable.changes), *(view for view, _ in durable.votes)], default=0)
        everything = bool(views) and spoken <= max(views) and self._more.random() < 0.5 and not self._options.changes
        if everything:
            voted = max((height for _, height in durable.votes), default=0)
            self._forgot[node.address] = max(voted, len(node.disk.blocks), self._forgot.get(node.address, 0))
        node.disk.lose(everything=everything)
        world.watch.put_back(node)
        world.note(node, "has lost its whole disk" if everything else "has lost its ledger")

    def may_begin(self, node: Node) -> bool:
        """What the operator must look at before a node begins that forgot its votes: have all others gone on since?"""
        others = [each for each in self._world.nodes if each is not node]
        return all(len(each.disk.blocks) >= self._forgot.get(node.address, 0) for each in others)

    def sync_fails(self, node: Node) -> DiskFault | None:
        """Whether the sync that a node waits for fails now: the disk is full, or says that it could not."""
        if self._world.healed or not self._options.disk_error or self._more.random() >= self._options.disk_error:
            return None
        fault = self._more.choice((DiskFault.FULL, DiskFault.SYNC))
        self._world.note(node, f"stops: {fault.value}")
        return fault

    def stall_ms(self) -> int:
        """How much longer than usual the disk takes this time."""
        if self._world.healed or not self._options.stall or self._more.random() >= self._options.stall:
            return 0
        return self._more.randint(*STALL_MS)

    def rots_now(self) -> bool:
        """Whether a block read for a peer has a flipped bit."""
        chance = self._options.serve_rot
        return not self._world.healed and bool(chance) and self._more.random() < chance

    # -- every half second

    def _strike(self) -> None:
        if self._world.now >= self._options.fault_ms:
            return self._world.heal()
        self._strike_links()
        self._strike_nodes()
        self._strike_clocks()
        self._world.at(CHAOS_MS, self._strike)
        return None

    def _strike_links(self) -> None:
        world, random, options = self._world, self._random, self._options
        if not world.network.is_cut and random.random() < options.partition:
            sides = {node.address: random.randint(0, 1) for node in world.nodes}
            one_way = random.random() < 0.3
            world.network.partition(sides, one_way)
            world.tell(f"partition{' one way' if one_way else ''}: {_sides(sides)}")
        elif world.network.is_cut and random.random() < 0.25:
            world.network.heal()
            world.tell("the partition ends")
        if options.clog and len(world.nodes) > 1 and self._more.random() < options.clog:
            source, target = self._more.sample([node.address for node in world.nodes], 2)
            clog_ms = self._more.randint(*CLOG_MS)
            world.network.clog(source, target, world.now + clog_ms)
            world.tell(f"what {source} sends to {target} waits for {clog_ms} ms")

    def _strike_nodes(self) -> None:
        random, options = self._random, self._options
        for node in self._world.nodes:
            if node.replica is not None and random.random() < options.crash:
                self.crash(node)
            elif random.random() < options.pause:
                node.paused_until = self._world.now + random.randint(200, 4_000)
                self._world.note(node, f"is paused until {node.paused_until} ms")

    def _strike_clocks(self) -> None:
        world, random, options = self._world, self._random, self._options
        if options.leap and random.random() < options.leap and world.leapt_ms < LEAPT_MS_MAX - max(LEAPS_MS):
            world.leapt_ms += random.choice(LEAPS_MS)
            world.tell("all clocks leap")
        if options.jump and self._more.random() < options.jump:
            node = self._more.choice(world.nodes)
            node.jump_ms = 0 if node.jump_ms else self._more.choice(JUMPS_MS)
            self.ahead_ms = max(self.ahead_ms, node.jump_ms)
            world.note(node, f"has a clock that is {node.jump_ms} ms wrong")


def _sides(sides: dict[str, int]) -> str:
    return " | ".join(" ".join(name for name, side in sides.items() if side == each) for each in (0, 1))
