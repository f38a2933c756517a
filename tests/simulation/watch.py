"""The oracles (consensus.md 3.2): they look at every frame that leaves, every block stored, every checkpoint shown.

They judge from outside: from durable images and from what leaves a node, never from what a replica says of itself (but
for the sizes of its tables).
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from server.consensus import effects
from server.consensus.accusation import voter_of
from server.consensus.block import Block
from server.consensus.config import (
    BLOCKS_HELD_MAX,
    BOUNDARIES_KEPT_MAX,
    LINES_KEPT_MAX,
    POOL_BYTES_MAX,
    POOL_RECORDS_MAX,
    SYNC_BLOCKS_MAX,
)
from server.consensus.evidence import Evidence
from server.consensus.frames import decode_frame
from server.consensus.messages import (
    Commit,
    CommitMessage,
    Cosign,
    Message,
    NewViewMessage,
    Prepare,
    PrePrepareMessage,
    Signed,
    ViewChangeMessage,
)
from server.consensus.restored import Boundary
from server.ledger.block import Header
from server.record.canonical import Malformed, b64u_decode
from tests.simulation import restart
from tests.simulation.annals import Seen
from tests.simulation.application import LedgerState
from tests.simulation.proofs import Proofs
from tests.simulation.transcript import kind_of

if TYPE_CHECKING:
    from tests.simulation.disk import StoredBlock
    from tests.simulation.node import Node
    from tests.simulation.world import World


SKEW_MS = 5_000
"""consensus.md 2.7."""
STATEMENTS_MAX = 300
EVIDENCE_MAX = 8
"""Of each member."""
VIEWS_AHEAD = 1_000
"""consensus.md 2.5."""


class Watch:
    """Mutable. What was seen so far, and what was wrong with it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.proofs = Proofs(world)
        self.failures: list[str] = []
        self.forks = 0
        self._said: dict[tuple[str, str, int, int], str] = {}
        self._chain: dict[int, tuple[str, str, int]] = {}
        self._roots: dict[int, bytes] = {}
        self._sealed: dict[int, bytes] = {}
        self._done: dict[str, dict[str, int]] = {}
        self._last: dict[str, tuple[str, int]] = {}
        self._forbidden: dict[bytes, None] = {}
        self._hash = blake2b(digest_size=16)
        self._frame: bytes = b""
        self._message: Message | None = None
        self.max_view = 0
        self.joins = 0
        """Nodes that joined by a snapshot."""
        self.lies_found = 0
        """Wrong answers that joining nodes found out."""

    @property
    def fingerprint(self) -> str:
        """A hash of every frame that left a node, in order: equal runs have equal fingerprints."""
        return self._hash.hexdigest()

    def fail(self, oracle: str, detail: str) -> None:
        """An oracle has fired."""
        if len(self.failures) < 20:
            self.failures.append(f"{oracle}: {detail} (at {self._world.now} ms)")

    # -- what leaves a node

    def before_send(self, node: Node, frame: bytes) -> None:
        """Output-commit: the durable image already holds what this frame implies (consensus.md 2.8)."""
        self._hash.update(node.address.encode() + frame)
        if node.liar is not None:
            return self._note_lines(frame)
        if frame is not self._frame:
            self._frame, self._message = frame, decode_frame(frame)
        message = self._message
        assert message is not None
        self.proofs.said(message)
        if voter_of(message) not in ("", node.member):
            return None  # passed on, or given back to whoever may have forgotten it
        if isinstance(message, PrePrepareMessage):
            self._vote(node, message.prepare)
        elif isinstance(message, Signed) and isinstance(message.body, Prepare):
            self._vote(node, message)
        elif isinstance(message, CommitMessage):
            self._commit(node, message.commit)
        elif isinstance(message, ViewChangeMessage):
            self._view_change(node, message)
        elif isinstance(message, NewViewMessage):
            self._new_view(node, message)
        elif isinstance(message, Cosign):
            self._cosign(node, message)
        return None

    def _note_lines(self, frame: bytes) -> None:
        """Of what a liar says only this counts: a line may be half of a split, an EXECUTED may make a quorum."""
        if kind_of(frame) in ("cosign", "commit", "executed"):
            with suppress(Malformed):
                self.proofs.said(decode_frame(frame))

    def _vote(self, node: Node, prepare: Signed[Prepare]) -> None:
        body = prepare.body
        if node.disk.durable.votes.get((body.view, body.height)) != body.block_id:
            self.fail("output-commit", f"{node.address} sends PREPARE {body.view}/{body.height} that is not durable")
        self._once(node, "PREPARE", body.view, body.height, body.block_id)
        base, named = node.disk.durable.named.get((body.epoch, body.view), (0, ""))
        if named and body.height == base + 1 and body.block_id != named:
            self.fail("lock", f"{node.address} votes in view {body.view} for another block than its NEW-VIEW names")
        header, blocks = node.disk.durable.headers.get(body.block_id), node.disk.blocks
        if header is not None and 1 < body.height <= len(blocks) + 1:
            self._follows(node, header, blocks[body.height - 2])

    def _follows(self, node: Node, header: Header, last: StoredBlock) -> None:
        """An honest vote is for a block that follows what the voter has stored, and is not of a time to come."""
        if header.prev != last.block.block_id:
            self.fail("vote", f"{node.address} votes for block {header.height} after another than its last")
        if header.state_digest_prev != last.state_digest:
            self.fail("vote", f"{node.address} votes for block {header.height} of another state")
        if header.time_ms <= last.block.header.time_ms:
            self.fail("vote", f"{node.address} votes for block {header.height} whose time does not grow")
        if not self._world.options.jump and header.time_ms > node.clock() + SKEW_MS:
            self.fail("vote", f"{node.address} votes for block {header.height} of a time to come")

    def _commit(self, node: Node, commit: Signed[Commit]) -> None:
        body = commit.body
        if node.disk.durable.prepared.get((body.view, body.height)) != body.block_id:
            self.fail("output-commit", f"{node.address} sends COMMIT {body.view}/{body.height} without its certificate")
        self._once(node, "COMMIT", body.view, body.height, body.block_id)

    def _view_change(self, node: Node, message: ViewChangeMessage) -> None:
        body = message.change.body
        self.proofs.changed(node.address, message)
        if body.sender == node.member:
            if node.disk.durable.changes.get((body.epoch, body.view)) != message.change.raw:
                self.fail("output-commit", f"{node.address} sends VIEW-CHANGE {body.view} that is not durable")
            self._once(node, "VIEW-CHANGE", body.epoch, body.view, message.change.raw.decode())

    def _new_view(self, node: Node, message: NewViewMessage) -> None:
        body = message.new_view.body
        self.max_view = max(self.max_view, body.view)
        self.proofs.announced(node.address, message)
        if node.disk.durable.new_views.get((body.epoch, body.view)) != message.new_view.raw:
            self.fail("output-commit", f"{node.address} sends NEW-VIEW {body.view} that is not durable")
        if body.sender == node.member:
            self._once(node, "NEW-VIEW", body.epoch, body.view, message.new_view.raw.decode())

    def _cosign(self, node: Node, message: Cosign) -> None:
        mark, root = node.disk.signer, b64u_decode(message.root, 32)
        if mark is None or mark.size < message.size or (mark.size == message.size and mark.root != root):
            self.fail("output-commit", f"{node.address} cosigns {message.size} without its signer's file")
        if not node.disk.has_stored(message.size):
            self.fail("output-commit", f"{node.address} cosigns {message.size}, which it has not stored")
        self.proofs.cosigned(node.member, node.config.epoch, message)
        self._once(node, "COSIGN", message.size, 0, message.root)

    def _once(self, node: Node, what: str, first: int, second: int, value: str) -> None:
        """No honest member ever says two different things in one place, across crashes."""
        if self._world.is_honest(node):
            key = (node.member, what, first, second)
            if self._said.setdefault(key, value) != value:
                self.fail("equivocation", f"{node.address} says two different {what} at {first}/{second}")

    # -- what a node stores and shows

    def forbid(self, record: bytes) -> None:
        """No honest node may ever order this."""
        self._forbidden[record] = None

    def started(self, node: Node) -> None:
        """What a node has computed again from its stored blocks is what it had computed before."""
        ledger, blocks = node.application.ledger, node.disk.blocks
        if blocks and (ledger.digest, ledger.frontier.root()) != (blocks[-1].state_digest, blocks[-1].boundary.root):
            self.fail("replay", f"{node.address} starts with another state than it stopped with")
        self._ask_scene(node, len(blocks), ledger)

    def put_back(self, node: Node) -> None:
        """The node's ledger is an older one: it will store again what it had stored."""
        last = node.disk.blocks[-1].block if node.disk.blocks else None
        self._last[node.address] = (last.block_id, last.header.time_ms) if last is not None else ("", 0)

    def joined(self, node: Node) -> None:
        """The log that a node took is the one agreed on, each block certified; its rows are judged at its start."""
        self.joins += 1
        self.proofs.stored(node.address, node.disk.blocks)
        for stored in node.disk.blocks:
            known = self._chain.get(stored.block.height)
            mine = (stored.block.block_id, stored.state_digest, stored.boundary.size)
            if known != mine:
                self.fail("join", f"{node.address} takes another block {stored.block.height} than was stored before")
            if self._roots.get(stored.boundary.size) != stored.boundary.root:
                self.fail("join", f"{node.address} takes another log up to size {stored.boundary.size}")
        last = node.disk.blocks[-1].block
        self._last[node.address] = (last.block_id, last.header.time_ms)

    def admitted(self, node: Node, block: Block) -> None:
        """Nothing that must never be ordered is in a stored block."""
        if self._world.is_honest(node) and any(item in self._forbidden for item in block.items):
            self.fail("admission", f"{node.address} stores in block {block.height} what must never be ordered")

    def _ask_scene(self, node: Node, height: int, ledger: LedgerState) -> None:
        if height and self._world.expects_agreement and self._world.is_honest(node):
            for complaint in self._world.scene.stored(node.address, height, ledger):
                self.fail("rows", f"{node.address} after block {height}: {complaint}")

    def stored(self, node: Node, block: Block, boundary: Boundary, ledger: LedgerState, ids: list[str]) -> None:
        """Agreement, chain, exactly once, equal size equal root, equal height equal state."""
        if not self._world.is_honest(node):
            return
        self.proofs.stored(node.address, node.disk.blocks[-1:])
        height, header = block.height, block.header
        known = self._chain.setdefault(height, (block.block_id, ledger.digest, boundary.size))
        if known[0] != block.block_id:
            self.forks += 1
            if self._world.expects_agreement:
                self.fail("agreement", f"{node.address} stores another block {height}")
        elif known != (block.block_id, ledger.digest, boundary.size):
            self.fail("state", f"{node.address} has another state after block {height}")
        if self._world.expects_agreement and self._roots.setdefault(boundary.size, boundary.root) != boundary.root:
            self.fail("root", f"{node.address} has another root at size {boundary.size}")
        prev, time_ms = self._last.get(node.address, ("", 0))
        if prev and header.prev != prev:
            self.fail("chain", f"{node.address} stores block {height} after another than its last")
        if header.time_ms <= time_ms:
            self.fail("chain", f"{node.address} stores block {height} with a time that does not grow")
        self._last[node.address] = (block.block_id, header.time_ms)
        done = self._done.setdefault(node.address, {})
        for record_id in ids:
            if done.setdefault(record_id, height) != height:
                self.fail("exactly-once", f"{node.address} executes {record_id} again in block {height}")
        self._ask_scene(node, height, ledger)

    def published(self, node: Node, effect: effects.PublishCheckpoint) -> None:
        """Shown to clients only when stored, with real signatures; sealed roots are one for all, whoever lies."""
        if not node.disk.has_stored(effect.size):
            self.fail("output-commit", f"{node.address} shows checkpoint {effect.size}, which it has not stored")
        verify = self._world.keyring.verify_cosignature
        good = [member for member, line in effect.lines if verify(member, effect.size, effect.root, line)]
        if len(dict.fromkeys(good)) != len(effect.lines) or len(good) < node.config.quorum:
            self.fail("checkpoint", f"{node.address} shows {len(effect.lines)} lines, {len(good)} good")
        assert node.replica is not None
        members, names = node.config.members, node.replica.state.agenda.excused(effect.size)
        signed = len(good) == len(members)
        excused = all(member in good or member in names for member in members)
        if (effect.sealed and not excused) or (signed and not effect.sealed):
            self.fail("checkpoint", f"{node.address} calls {effect.size} sealed, or does not, wrongly")
        if effect.sealed and self._sealed.setdefault(effect.size, effect.root) != effect.root:
            self.fail("sealed", f"two sealed roots at size {effect.size}")

    def accused(self, node: Node, evidence: Evidence) -> None:
        """No honest member is ever the culprit of evidence."""
        if any(other.member == evidence.culprit and self._world.is_honest(other) for other in self._world.nodes):
            self.fail("evidence", f"{node.address} accuses {evidence.culprit}, who is honest, of {evidence.offence}")

    def stopped(self, node: Node, effect: effects.Stop) -> None:
        """Without a liar nobody ever has a reason to stop, but that an epoch ends or its release is too old."""
        upgrades = self._world.upgrades
        if effect.reason == "epoch" or (upgrades is not None and upgrades.may_stop(node, effect.reason)):
            return
        if self._world.expects_agreement and self._world.is_honest(node):
            self.fail("stop", f"{node.address} stops: {effect.reason}: {effect.detail}")

    def began(self, node: Node, seen: Seen) -> None:
        """Every epoch begins with the same members wherever it does, and at one place, if its end was not forked."""
        if self._world.is_honest(node):
            complaint = self._world.annals.note(seen, at_one_place=self._world.expects_agreement)
            if complaint:
                self.fail("epoch", f"{node.address}: {complaint}")

    def judge(self) -> None:
        """At the end: what all members sealed is in every honest member's ledger that is long enough, whoever lied; and
        honest nodes that have met after a fork of what was committed have noticed it."""
        if self._world.forked_in_silence():
            self.fail("silence", "two honest nodes hold different blocks at one height and go on")
        for node in self._world.blind_at_fork():
            self.fail("culprit", f"{node.address} stands at a fork and does not know whose fault it is")
        for node in filter(self._world.is_honest, self._world.nodes):
            self._judge_sealed(node)
        self.proofs.conclude()
        for node in self._world.standing() if not self.failures else ():
            if not node.disk.is_rotten:
                for complaint in restart.complaints(node, self._world.options.seed):
                    self.fail("restart", complaint)
        if not self.failures and self._world.expects_agreement:
            self._conclude()

    def _judge_sealed(self, node: Node) -> None:
        """Who is no member has signed no seal, and may have followed the other side of a fork before."""
        ledger = node.application.ledger
        for size, root in self._sealed.items() if not node.config.observes else ():
            if size <= ledger.frontier.size and ledger.roots.get(size) != root:
                self.fail("sealed", f"{node.address} has another prefix than was sealed at size {size}")

    def _conclude(self) -> None:
        """The scene judges the longest honest chain; the others are its beginnings."""
        longest = max(filter(self._world.is_honest, self._world.nodes), key=lambda node: len(node.disk.blocks))
        blocks = [stored.block for stored in longest.disk.blocks]
        for complaint in self._world.scene.conclude(longest.address, blocks, longest.application.ledger):
            self.fail("books", complaint)

    def after_step(self, node: Node) -> None:
        """Bounded memory: every table within its limit, at every step."""
        assert node.replica is not None
        state, n = node.replica.state, len(node.config.members)
        bounds = (
            (len(state.pool), POOL_RECORDS_MAX),
            (state.pool.frame_bytes, POOL_BYTES_MAX),
            (len(state.slot.blocks), BLOCKS_HELD_MAX),
            (len(state.early), 4 * n),
            (max(len(state.slot.prepares), len(state.slot.commits), len(state.slot.executed), len(state.executed)), n),
            (max(len(state.suspects), len(state.changes)), n),
            (len(state.sync.queue), SYNC_BLOCKS_MAX),
            (len(state.sync.heights), n),
            (len(state.slot.checking) + len(state.slot.verdicts) + len(state.slot.results), 8 * BLOCKS_HELD_MAX),
            (len(state.statements), n * STATEMENTS_MAX),
            (len(state.recent), BOUNDARIES_KEPT_MAX),
            (len(state.evidence), n * EVIDENCE_MAX),
            (max((each.body.view - state.view for each in state.suspects.values()), default=0), VIEWS_AHEAD),
            (state.checkpoints.lines_kept, n * LINES_KEPT_MAX),
        )
        if any(size > limit for size, limit in bounds):
            over = [f"{size} of {limit}" for size, limit in bounds if size > limit]
            self.fail("memory", f"{node.address} keeps {', '.join(over)}")
