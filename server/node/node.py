"""One node: the engine below the API. It takes signed records, orders them with its peers and gives receipts.

`submit`, `members`, `status` and the block hook are the Engine interface that another ordering engine could stand
behind. The only place where the parts of a node are put together is `open_node`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
import structlog

from server.consensus import effects as fx
from server.consensus import events as ev
from server.consensus.block import Attachments
from server.consensus.quorum import Quorum
from server.domain.activation import RulesPlan
from server.domain.execute import execute_record
from server.domain.member import Attestation, attestation_bytes
from server.domain.plan import RecordWork, access_set
from server.ledger.block import ACCEPTED
from server.ledger.membership import Membership
from server.ledger.policy import policy_text
from server.ledger.succession import Link
from server.node.admission import Admission
from server.node.changes import Changes
from server.node.driver import Driver
from server.node.instance import InstanceGuard
from server.node.outside import Outside
from server.node.parts import Parts
from server.node.pool import PoolFull, Waiting
from server.node.private import Private
from server.node.receipts import Receipts
from server.node.successions import make_links
from server.node.transport import Peers
from server.node.tries import SharedTries
from server.record.canonical import b64u_encode
from server.record.kind import Place, Trust
from server.record.rows import Rows
from server.storage.ledger import FoundRecord

log = structlog.get_logger()


EXPIRY_S = 1.0
"""How often the pool is searched for records whose time is over."""


class Busy(Exception):
    """Too many records wait, here or of this device; come again."""


class Stopped(Exception):
    """This node's replica has stopped: it is read-only until its operator has looked."""


class Submission(msgspec.Struct, frozen=True):
    """What is known of a record: ordered with receipt, pending (ordered, not yet certified) or waiting."""

    id: str
    state: Literal["ordered", "pending", "waiting"]
    outcome: str = ""
    receipt: str = ""
    index: int = -1


async def _logged(work: Coroutine[None, None, None], name: str) -> None:
    try:
        await work
    except Exception:
        log.exception("background_failed", task=name)


class Node:
    """Mutable. A running node. `begin` gives it its driver; `outside` is what it has of the outside world."""

    def __init__(
        self, parts: Parts, peers: Peers, guard: InstanceGuard, outside: Outside, private: Private, genesis_bytes: bytes
    ) -> None:
        self.parts, self.private, self.genesis_bytes = parts, private, genesis_bytes
        self.config, self.genesis, self.cluster_id = parts.config, parts.genesis, parts.cluster_id
        self.estate, self.keys, self.ledger, self.rows = parts.estate, parts.keys, parts.ledger, parts.ledger.rows
        self.clock, self.cache, self.workshop = outside.clock, outside.cache, outside.workshop
        self.sms, self.wechat = outside.sms, outside.wechat
        self.queries, self.people, self.sessions = private.queries, private.people, private.sessions
        self.phone_codes = private.phone_codes
        self.openings, self.photos, self.evidence = parts.ledger.openings, parts.photos, parts.evidence
        self.tries = SharedTries(private.attempts, peers, parts.keys.roll, self.now_ms)
        self._tasks: set[asyncio.Task[None]] = set()
        self.changes = Changes()
        self.stop: fx.Stop | None = None
        self.epoch_ended = asyncio.Event()
        """Set when the next epoch has begun: close this node, and open it again."""
        self._peers = peers
        self._guard = guard
        self._quorum = Quorum(len(parts.genesis.members), parts.genesis.mode)

    def begin(self, driver: Driver, admission: Admission, receipts: Receipts) -> None:
        """Take the driver and what judges and certifies records."""
        self.driver = driver
        self._admission = admission
        self._receipts = receipts

    def now_ms(self) -> int:
        """Wall time."""
        return self.clock.now_ms()

    @property
    def policy_text(self) -> str:
        """The tlog-policy of this log (decisions 11)."""
        return policy_text(self.genesis, self._quorum.quorum)

    @property
    def membership(self) -> Membership:
        """All epochs so far."""
        return self.parts.membership

    @property
    def openings_missing(self) -> int:
        """Openings of ordered records that are known not to be here."""
        return self.parts.mending.missing

    @property
    def trust(self) -> Trust:
        """What rules trust in the epoch in force."""
        return self.parts.trust

    @property
    def me(self) -> str:
        """This node's member id."""
        return self.config.node.id

    async def admit(self, jws: str, openings: Sequence[bytes]) -> RecordWork:
        """Judge a record before it may wait. Raises Malformed, Unauthorised or AttachmentMissing."""
        work, _ = await self._admission.admit(jws, openings)
        await self.photos.check_originals(work)
        return work

    async def submit(self, work: RecordWork, openings: Sequence[bytes], *, wait_ms: int) -> Submission:
        """Have an admitted record ordered, and wait for its receipt. Raises Busy, Stopped, RulesUnsupported.

        The same record again gives the same answer, however often and wherever it was posted before.
        """
        ordered = await self._receipts.find(work.envelope.id)
        if ordered is None:
            done = self._enter(work, openings)
        else:
            found = await self._submission(ordered)
            if found.state == "ordered" or self.stop is not None:
                return found
            done = self._await_signatures(ordered)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1000):
                await done.wait()
        return await self.find(work.envelope.id) or Submission(work.envelope.id, "waiting")

    def _enter(self, work: RecordWork, openings: Sequence[bytes]) -> asyncio.Event:
        """Put a record that was not ordered by now into the pool, once."""
        if self.stop is not None:
            raise Stopped(self.stop.detail)
        if self.parts.replica_config.observes:
            raise Stopped("this node follows only: bring the record to a member")
        pairs: Attachments = self._admission.pairs(work, openings)
        known = self.parts.pool.get(work.envelope.id)
        if known is not None:
            return known.done
        self.parts.check_support(work)
        try:
            waiting = self.parts.pool.add(Waiting(work, pairs, self.now_ms(), ours=True))
        except PoolFull:
            raise Busy from None
        self.driver.put(ev.Submitted(work.envelope.id, waiting.item, pairs, work.signed.expires_ms))
        return waiting.done

    def _await_signatures(self, ordered: FoundRecord) -> asyncio.Event:
        """Of a record that is stored: another request may have handed it in, or this node before it was restarted."""
        done = self.parts.unsigned.wait_for(ordered.id, ordered.index)
        if self.parts.checkpoints.covering(ordered.index) is not None:
            done.set()
        return done

    async def find(self, record_id: str) -> Submission | None:
        """What is known of a record that was ordered; None when the log does not hold it."""
        ordered = await self._receipts.find(record_id)
        return None if ordered is None else await self._submission(ordered)

    async def _submission(self, ordered: FoundRecord) -> Submission:
        receipt = await self._receipts.receipt(ordered)
        state: Literal["ordered", "pending"] = "ordered" if receipt else "pending"
        return Submission(ordered.id, state, ordered.outcome, receipt, ordered.index)

    def is_waiting(self, record_id: str) -> bool:
        """Does the record wait here to be ordered?"""
        return self.parts.pool.get(record_id) is not None

    async def preview(self, work: RecordWork) -> str:
        """The outcome that execution would give now, on the rows as they are stored here. Changes nothing.

        Of a record that was ordered while its rows were read they say nothing: then it is `accepted` here, and `submit`
        tells its true outcome.
        """
        rows: Rows = await self.rows.load(access_set([work]))
        tip = self.ledger.tip
        place = Place(tip.height + 1, tip.size, max(self.now_ms(), tip.time_ms + 1))
        outcome = execute_record(work, rows, place, self.parts.trust)
        return ACCEPTED if self._receipts.is_recent(work.envelope.id) else outcome

    def attest(self, member: str, kid: str, evidence: Literal["document", "phone", "wechat"]) -> Attestation:
        """This organisation's word that a key belongs to a member; the caller has seen the evidence."""
        time_ms = self.now_ms()
        content = attestation_bytes(self.cluster_id, member, kid, evidence, self.me, time_ms)
        signature = b64u_encode(self.keys.attest.sign(content))
        return Attestation(evidence=evidence, node=self.me, signature=signature, time_ms=time_ms)

    def checkpoint_text(self) -> str:
        """The newest checkpoint a quorum has signed, with our log line; empty before the first."""
        committed = self.parts.checkpoints.committed
        return committed.note(self.genesis.origin, self.keys.log) if committed else ""

    def checkpoint_time_ms(self) -> int:
        """Block time under the newest checkpoint; 0 before the first."""
        committed = self.parts.checkpoints.committed
        return self._receipts.time_at(committed.size) if committed else 0

    async def succession(self) -> list[Link] | None:
        """The links from genesis to the members in force; None while the epoch has no checkpoint of its own."""
        committed = self.parts.checkpoints.committed
        return await make_links(self.ledger, self.parts.membership, self.genesis.origin, committed)

    async def entries(self, begin: int, count: int) -> list[bytes]:
        """Log entries from an index on."""
        return await self.ledger.contents(begin, count)

    def members(self) -> list[str]:
        """The organisations of the cluster, in their order."""
        return [member.id for member in self.genesis.members]

    def ready(self) -> tuple[bool, str]:
        """(in quorum and caught up, why not)."""
        if self.stop is not None:
            return False, f"stopped: {self.stop.reason}: {self.stop.detail}"
        if self.parts.replica_config.observes:
            return False, "follows only: the members do not include this node's keys"
        reached = len(self._reached())
        if reached < self._quorum.quorum:
            return False, f"only {reached} of {len(self.members())} nodes are reached"
        state = self.driver.replica.state
        heights = state.sync.heights
        if len(heights) + 1 < self._quorum.quorum:
            return False, "the other nodes have not said yet how far they are"
        behind = max(heights.values(), default=0) - state.tip.height
        return (True, "") if behind <= 1 else (False, f"{behind} blocks behind")

    def _reached(self) -> set[str]:
        """Members that this node has a connection to, and itself."""
        return {self.me, *self._peers.connected()}.intersection(self.members())

    def cluster_status(self) -> dict[str, Any]:
        """What GET /api/v1/cluster tells: view, heights, grades, and how far each member's signature is behind."""
        state, checkpoints = self.driver.replica.state, self.parts.checkpoints
        tip, sealed = self.ledger.tip, checkpoints.sealed
        connected = self._reached()
        nodes = []
        for member in self.genesis.members:
            size = checkpoints.newest_of.get(member.id, 0)
            url = self.config.peers[member.id].url if member.id in self.config.peers else self.config.public_url()
            node = {"id": member.id, "name": member.name, "url": url, "reachable": member.id in connected}
            known = self.parts.known_rules(member.id)
            nodes.append({**node, "size": size, "lag": max(0, tip.size - size), "rules": known})
        return {
            "view": state.view,
            "mode": "stopped" if self.stop else state.phase,
            "height": tip.height,
            "size": tip.size,
            "committed_size": checkpoints.committed.size if checkpoints.committed else 0,
            "sealed_size": sealed.size if sealed else 0,
            "quorum": self._quorum.quorum,
            "rules": self.parts.agenda.rules,
            "next_rules": self._planned_rules(),
            "nodes": nodes,
        }

    def _planned_rules(self) -> dict[str, int] | None:
        """The version that is to begin and its first block; None when none waits for its height."""
        plan = self.parts.plan
        if not isinstance(plan, RulesPlan) or plan.height <= self.ledger.tip.height + 1:
            return None
        return {"version": plan.version, "height": plan.height}

    def send(self, to: str | None, frame: bytes) -> None:
        """Give a frame to the transport; it may be lost."""
        for member in self.members() if to is None else (to,):
            if member != self.me:
                self._peers.send(member, frame)

    def receive(self, member: str, frame: bytes) -> None:
        """A frame of a peer."""
        if self._guard.is_cleared(member):
            self.driver.put(ev.Received(member, frame))

    def hear_peers(self) -> None:
        """Read the frames of the peers from now on."""
        self._peers.on_message = self.receive

    async def hang_up(self) -> None:
        """End the connections to the peers, and what they had asked."""
        await self._peers.close()

    def seek_peers(self) -> list[Coroutine[None, None, None]]:
        """Two endless tasks a peer: one holds the connection to it, one tells it that this process lives."""
        known = sorted((name, peer) for name, peer in self.config.peers.items() if self._peers.knows(name))
        connections = [self._peers.keep_connected(member, peer.host, peer.port) for member, peer in known]
        return connections + [self._guard.watch(member, self._note_twin) for member, _ in known]

    def _note_twin(self, peer: str) -> None:
        """Another process signs with our keys at this moment: stop before anything contradicts."""
        detail = f"another process that uses the keys of {self.me} is alive, {peer} hears it: end one of the two"
        self.driver.put(ev.Halted(detail, "twin"))

    async def share_tries(self, name: str, forget_ms: int) -> int:
        """Count one more try under this name, durably, and ask the peers for theirs: the tries of all nodes."""
        return await self.tries.count(name, forget_ms)

    def spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run something beside an answer; its failure is logged."""
        task = asyncio.get_running_loop().create_task(_logged(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for what runs beside answers."""
        await asyncio.gather(*self._tasks)

    def note_changes(self, works: Sequence[RecordWork], outcomes: Sequence[str]) -> None:
        """Tell live pages what a stored block changed: kinds only, no content."""
        self.changes.publish(sorted({work.signed.kind for work in works}) or ["block"])

    def note_stop(self, stop: fx.Stop) -> None:
        """The replica signs nothing more; the node goes on serving what it stored, or is opened anew for an epoch."""
        self.stop = stop
        if stop.reason == "epoch":
            self.epoch_ended.set()
        self.release()

    def release(self) -> None:
        """Let go of every request that waits for its record: it is answered with what is known now."""
        for waiting in self.parts.pool:
            waiting.done.set()
        self.parts.unsigned.release()

    async def drop_expired(self) -> None:
        """For ever: let go of records whose time is over, on a node that builds no blocks too."""
        while True:
            await asyncio.sleep(EXPIRY_S)
            self.parts.pool.drop_expired(self.now_ms())
