"""What the node answers to its driver, and what it does when a block is stored or a checkpoint is signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog

from server.consensus import effects as fx
from server.consensus import events as ev
from server.consensus.block import Attachments, Block
from server.domain.activation import RulesPlan
from server.domain.agenda import Sealed, SealWait, Timer
from server.domain.evidence import Barred
from server.domain.membership import EpochInForce
from server.domain.plan import RecordWork, parse_signed
from server.domain.retirement import RetiredKey
from server.domain.rules import RulesUnknown
from server.node.admission import Admission, Unadmitted
from server.node.attachments import PATIENCE_S, OpeningsLost
from server.node.blocks import Blocks
from server.node.parts import Parts, RulesUnsupported
from server.node.pool import PoolFull, Waiting
from server.node.receipts import Receipts
from server.node.retirement import prove_line
from server.record.canonical import Malformed, b64u_encode
from server.record.rows import Key
from server.storage.cosignatures import CosignatureLine
from server.storage.ledger import StoredBlock

log = structlog.get_logger()
AGENDA_TABLES = {
    Barred.table, EpochInForce.table, RetiredKey.table, RulesPlan.table, Sealed.table, SealWait.table, Timer.table,
}  # fmt: skip
Changed = Callable[[Sequence[RecordWork], Sequence[str]], None]


class Answers:
    """Implements `driver.Questions` for one node."""

    def __init__(
        self,
        parts: Parts,
        admission: Admission,
        receipts: Receipts,
        now_ms: Callable[[], int],
        changed: Changed,
        on_stop: Callable[[fx.Stop], None],
    ) -> None:
        self._parts = parts
        self._admission = admission
        self._receipts = receipts
        self._blocks = Blocks(parts)
        self._now_ms = now_ms
        self._changed = changed
        self._on_stop = on_stop

    def admit_at_once(self, effect: fx.Admit) -> ev.Event | None:
        """Judge a record that a peer passed on, if memory is enough for it; None when `admit` must be asked."""
        if self._parts.ledger.may_hold(effect.record_id):
            return None
        try:
            found = self._admission.admit_at_once(_text(effect), _openings(effect))
            return None if found is None else self._take(effect, *found)
        except (Malformed, Unadmitted, PoolFull, RulesUnsupported) as error:
            return _rejected(effect, error)

    async def admit(self, effect: fx.Admit) -> ev.Event:
        """Judge a record that a peer passed on, as if a client had brought it."""
        try:
            found = await self._admission.admit(_text(effect), _openings(effect))
            if await self._receipts.find(effect.record_id) is not None:
                # A slow peer, or one that lies: waiting for it would end in suspecting a primary that did its work.
                return ev.Rejected(effect.record_id)
            return self._take(effect, *found)
        except (Malformed, Unadmitted, PoolFull, RulesUnsupported) as error:
            return _rejected(effect, error)

    def _take(self, effect: fx.Admit, work: RecordWork, openings: Attachments) -> ev.Event:
        if work.envelope.id != effect.record_id:
            raise Malformed("the id is not the record's")
        self._parts.check_support(work)
        self._parts.pool.add(Waiting(work, openings, self._now_ms(), ours=False))
        return ev.Admitted(effect.record_id, effect.record, effect.attachments, work.signed.expires_ms)

    async def attend(self, effect: fx.Check) -> None:
        """Fetch what a proposal needs, for its records and for the tallies that are due."""
        try:
            works, evidence = self._blocks.parse_records(effect.block), self._blocks.parse_evidence(effect.block)
        except (Malformed, RulesUnknown):
            return  # checking will say so
        await self._parts.attachments.attend(works, dict(effect.block.attachments), effect.proposer)
        await self._parts.evidence.seek(evidence, effect.proposer)
        due_ms, time_ms = self._parts.agenda.due_ms, effect.block.header.time_ms
        if due_ms is not None and due_ms <= time_ms:
            await self._restore_lost(time_ms)

    async def _restore_lost(self, time_ms: int) -> None:
        lost = await self._parts.derivations.lost(time_ms)
        if lost:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._parts.attachments.restore(lost, time_ms)

    async def build(self, effect: fx.Build) -> Sequence[ev.Event]:
        """Choose the next batch; nothing when our tip has moved on meanwhile. Records it passes over are let go."""
        nothing = ev.Built(effect.height, effect.time_ms, self._parts.rules.version, ())
        tip = self._parts.ledger.tip
        if (effect.height, effect.prev) != (tip.height + 1, tip.block_id):
            return (nothing,)
        try:
            batch = await self._blocks.build(effect.time_ms)
        except OpeningsLost as error:
            log.error("openings_missing_for_tally", count=len(error.lost))
            self._parts.attachments.restore_soon(error.lost, effect.time_ms)
            return (nothing,)
        built = ev.Built(effect.height, effect.time_ms, batch.rules, batch.items, batch.attachments)
        return *map(ev.Rejected, batch.stale), built

    async def check(self, effect: fx.Check) -> ev.Event:
        """Is the proposal valid?"""
        return ev.Checked(effect.block.block_id, await self._blocks.check(effect.block))

    async def execute(self, effect: fx.Execute) -> ev.Event:
        """What the block does."""
        executed = await self._blocks.execute(effect.block)
        return ev.Executed(effect.block.block_id, executed.size, executed.root, executed.state_digest)

    async def store(self, effect: fx.Store) -> Sequence[ev.Event]:
        """Make a committed block durable, then tell everybody who waits."""
        peaks_before = self._parts.ledger.tip.peaks
        executed, works = await self._blocks.store(effect)
        for ordered in self._receipts.remember(executed, works, peaks_before):
            waiting = self._parts.pool.remove(ordered.id)
            if waiting is not None:
                self._parts.unsigned.add(ordered.id, ordered.index, waiting.done)
        await self._parts.photos.await_named(photo.sha256 for work in works for photo in work.signed.body.photo_refs())
        self._changed(works, executed.outcomes)
        unfit = await self._follow(executed.changed)
        ids, parts = tuple(work.envelope.id for work in works), self._parts
        stored = ev.Stored(effect.block.height, ids, parts.has_epoch_ended or parts.has_come_to_kept_tip)
        return stored, self._parts.agenda, *map(ev.Rejected, unfit)

    async def _follow(self, changed: Iterable[Key]) -> list[str]:
        """Bring the agenda up to date after a block. Returns records that the rules of the next one do not know."""
        parts, before = self._parts, self._parts.agenda.rules
        is_new = parts.next_rules != before or any(name.table in AGENDA_TABLES for name in changed)
        if is_new or not parts.agenda_known:
            await parts.read_agenda()
        return [] if parts.agenda.rules == before else self._parse_anew()

    def _parse_anew(self) -> list[str]:
        """Another version of the rules begins: records that wait are parsed by it, and those that it does not know any
        more leave the pool, on every node, so that nobody suspects a primary which passes them over."""
        rules, unfit = self._parts.rules, list[str]()
        log.info("rules_begin", version=self._parts.agenda.rules, height=self._parts.ledger.tip.height + 1)
        for waiting in list(self._parts.pool):
            try:
                waiting.work = parse_signed(waiting.work.envelope.jws, self._parts.estate, rules)
            except Malformed:
                self._parts.pool.remove(waiting.record_id)
                waiting.done.set()
                unfit.append(waiting.record_id)
        return unfit

    def note_release(self, effect: fx.NoteRelease) -> None:
        """A peer's release knows the rules up to this version."""
        self._parts.releases[effect.member] = effect.rules

    async def read_blocks(self, effect: fx.ReadBlocks) -> ev.Event:
        """Stored blocks for a peer that is behind.

        Openings are for members: who only follows is given none. Who was put out is shown how that came, and no more.
        """
        ledger, membership = self._parts.ledger, self._parts.membership
        end, is_member = membership.last_height_of(effect.to), effect.to in membership.current.ids
        found = await ledger.blocks(effect.from_height, effect.blocks_max, effect.bytes_max)
        shown = [stored for stored in found if end is None or stored.header.height <= end]
        blocks = [(await self._block(stored, with_openings=is_member), stored.certificate) for stored in shown]
        return ev.BlocksRead(effect.to, tuple(blocks))

    async def _block(self, stored: StoredBlock, *, with_openings: bool) -> Block:
        if not with_openings:
            return Block(stored.block_id, stored.header, stored.items, ())
        entries = await self._parts.ledger.entries(range(stored.first_index, stored.size - 1))
        openings = await self._parts.attachments.read_openings([entry.record for entry in entries if entry.author])
        return Block(stored.block_id, stored.header, stored.items, tuple(sorted(openings.items())))

    async def keep_transcript(self, effect: fx.KeepTranscript) -> None:
        """Keep a NEW-VIEW beside the ledger."""
        await self._parts.transcripts.keep("new-view", effect.digest, effect.frame)

    async def keep_evidence(self, effect: fx.KeepEvidence) -> None:
        """Keep what proves that a member contradicted itself."""
        await self._parts.evidence.keep(effect.evidence)

    async def prove_retired(self, effect: fx.ProveRetired) -> None:
        """Make the evidence that a line with a retired key is; bringing it tells the replica."""
        evidence = await prove_line(self._parts.ledger, effect.ending, effect.line)
        if evidence is not None:
            await self._parts.evidence.bring(evidence.packed)

    def publish(self, effect: fx.PublishCheckpoint) -> None:
        """A checkpoint has a quorum's signatures: receipts can be given."""
        published = self._parts.checkpoints.publish(effect)
        root = b64u_encode(published.root)
        lines = [CosignatureLine(published.size, member, root, line) for member, line in published.lines]
        self._parts.ledger.cosignatures.add(lines)
        self._parts.unsigned.settle(published.size)

    def refused(self, record_id: str) -> None:
        """The replica has no room for a record: it leaves the pool, its client comes again."""
        waiting = self._parts.pool.remove(record_id)
        if waiting is not None:
            waiting.done.set()

    def stopped(self, effect: fx.Stop) -> None:
        """The replica signs nothing more."""
        say = log.info if effect.reason == "epoch" else log.error
        say("replica_stopped", reason=effect.reason, detail=effect.detail)
        self._on_stop(effect)


def _text(effect: fx.Admit) -> str:
    return effect.record.decode("ascii", "replace")


def _openings(effect: fx.Admit) -> tuple[bytes, ...]:
    return tuple(opening for _, opening in effect.attachments)


def _rejected(effect: fx.Admit, error: Exception) -> ev.Event:
    log.info("record_not_admitted", sender=effect.sender, reason=type(error).__name__)
    return ev.Rejected(effect.record_id)
