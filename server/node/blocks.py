"""The blocks of one node: it builds batches, checks proposals, executes them in memory and stores what was committed.

Called by the driver's one worker, in order. Rows are loaded once a block; what was checked is what is executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from server.consensus.block import Attachments, Block, fit_attachments
from server.consensus.effects import Store
from server.consensus.events import Verdict
from server.consensus.guilt import culprit_finder
from server.domain.agenda import Seal, SealWait, Timer
from server.domain.check import (
    BatchInvalid,
    check_batch,
    check_final_lines,
    check_seal_lines,
    check_state_root,
    signature_checks,
)
from server.domain.evidence import OrderEvidence
from server.domain.execute import Executed, execute_block
from server.domain.member import Nonce
from server.domain.plan import DerivedWork, RecordWork, Work, access_set, parse_derived, parse_signed
from server.domain.resolution import ResolveFork, refuse_work, resolution_item
from server.domain.retirement import OrderRetiredKey
from server.domain.rules import Rules, RulesUnknown
from server.domain.tally import FINALITY, FinalizeWithout, absent_from
from server.ledger.block import Derived
from server.ledger.resolution import SignedResolution
from server.limits import BLOCK_TIMERS_MAX
from server.node.attachments import AttachmentsMissing
from server.node.checkpoints import Published
from server.node.parts import Parts, RulesUnsupported
from server.record.canonical import Malformed, b64u_encode, encode
from server.record.rows import Row, Rows, key
from server.record.signature import verify
from server.storage.ledger import Commitment

log = structlog.get_logger()
PREPARED_MAX = 4
"""Checked candidates of one height that are kept with their rows."""
INLINE_CHECKS_MAX = 8
"""Signatures checked on the loop; more go to a thread, where the C code releases the lock."""


class StateDiffers(Exception):
    """This node's rows are not the ledger's: it must end before it serves or signs anything more of them."""


@dataclass(slots=True)
class Candidate:
    """Mutable. A checked block on its way: its work, the rows it may touch, and what executing it gave."""

    block: Block
    works: list[Work]
    rows: Rows
    rules: Rules
    executed: Executed | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A batch of this node's own making, with the rows it may touch."""

    items: tuple[bytes, ...]
    works: list[Work]
    rows: Rows
    rules: Rules


@dataclass(frozen=True, slots=True)
class Batch:
    """What to propose. `stale`: records that were in the pool although nobody orders them now; they left it."""

    items: tuple[bytes, ...]
    attachments: Attachments
    rules: int
    stale: tuple[str, ...] = ()


class Blocks:
    """Mutable. See the module."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._candidates: dict[str, Candidate] = {}
        self._built: Planned | None = None

    async def build(self, time_ms: int) -> Batch:
        """The batch for the next block at `time_ms`: evidence, a seal, every due timer, records; empty when idle."""
        pool = self._parts.pool
        pool.drop_expired(time_ms)
        if self._parts.resolution is not None:
            return await self._build_resolution(self._parts.resolution)
        timers = await self._parts.ledger.rows.due_timers(time_ms, BLOCK_TIMERS_MAX)
        derived = tuple([encode(await self._derive(timer)) for timer in timers])
        picked = pool.pick()
        known = self._parts.evidence.items(self._parts.agenda.named, self._parts.membership.current)
        evidence = tuple(encode(item) for item in known)
        seal = await self._seal(bool(picked or derived or evidence))
        finals = await self._finals(time_ms)
        told = await self._state_root(bool(picked or derived or evidence or seal or finals))
        derived = (*evidence, *seal, *told, *finals, *derived)
        rules = self._parts.rules
        works, rows = await self._plan_items((*derived, *(waiting.item for waiting in picked)), rules)
        passed = [one for one in picked if _was_ordered(one.work, rows) or not self._is_supported(one.work)]
        stale = {waiting.record_id: waiting for waiting in passed}
        for record_id, waiting in stale.items():
            pool.remove(record_id)
            waiting.done.set()
        fresh = [waiting for waiting in picked if waiting.record_id not in stale]
        works = [work for work in works if not (isinstance(work, RecordWork) and work.signed.id in stale)]
        items = (*derived, *(waiting.item for waiting in fresh))
        self._built = Planned(items, works, rows, rules)
        openings = dict(opening for waiting in fresh for opening in waiting.openings)
        frame = fit_attachments(tuple(openings.items()))
        await self._parts.attachments.hold_rest(_records(works), dict(frame), time_ms)
        return Batch(items, frame, rules.version, tuple(stale))

    async def _build_resolution(self, signed: SignedResolution) -> Batch:
        """The first block of an epoch that begins after a fork: everything else waits for the next one."""
        rules = self._parts.rules
        items = (encode(resolution_item(signed)), *await self._state_root(other_content=True))
        works, rows = await self._plan_items(items, rules)
        self._built = Planned(items, works, rows, rules)
        return Batch(items, (), rules.version)

    def _is_supported(self, work: RecordWork) -> bool:
        """Not any more, when a member fell silent while an activation waited: peers would not vote for it."""
        try:
            self._parts.check_support(work)
        except RulesUnsupported:
            return False
        return True

    async def _derive(self, timer: Timer) -> Derived:
        body = await self._parts.derivations.body(timer)
        return Derived(body, timer.due_ms, timer.key, timer.kind)

    async def _seal(self, other_content: bool) -> tuple[bytes, ...]:
        """Decisions 7: into the next block that has other content, or alone if a row waits for it."""
        sealed = self._parts.checkpoints.sealed
        if sealed is None or sealed.size <= self._parts.agenda.sealed_size:
            return ()
        awaited = self._parts.agenda.awaiting_size
        if not other_content and (awaited is None or awaited > sealed.size):
            return ()
        return (encode(Derived(self._signed(sealed), 0, str(sealed.size), Seal.kind)),)

    @property
    def _members(self) -> list[str]:
        return [member.id for member in self._parts.genesis.members]

    def _signed(self, published: Published) -> dict[str, Any]:
        """A checkpoint as entries of the log hold it: a line for each member, in their order, or none."""
        lines = dict(published.lines)
        return {
            "root": b64u_encode(published.root),
            "signatures": [lines.get(member, "") for member in self._members],
            "size": published.size,
        }

    async def _finals(self, time_ms: int) -> tuple[bytes, ...]:
        """What becomes final without a member (decisions 21): all that a quorum has signed past and not everybody."""
        parts = self._parts
        committed, sealed = parts.checkpoints.committed, parts.checkpoints.sealed
        if committed is None or committed.size < parts.membership.current.first_size:
            return ()
        waits = await parts.ledger.rows.seal_waits(committed.size)
        late = [wait for wait in waits if 0 < wait.without_ms <= time_ms and not _covers(sealed, wait)]
        body = self._signed(committed)
        absent = absent_from(body["signatures"], self._members, parts.agenda.barred)
        items = [Derived({"absent": absent, **body}, 0, wait.key, FinalizeWithout.kind) for wait in late]
        return tuple(map(encode, items[:BLOCK_TIMERS_MAX])) if absent else ()

    async def _state_root(self, other_content: bool) -> tuple[bytes, ...]:
        """What the next block must tell of the state (decisions 8); by itself it is no reason for a block."""
        told = await self._parts.snapshots.told(self._parts.ledger.tip.height + 1) if other_content else None
        return () if told is None else (encode(told),)

    async def check(self, block: Block) -> Verdict:
        """Is a proposal valid on our tip, with every attachment here?"""
        if block.block_id in self._candidates:
            return Verdict.OK
        try:
            candidate = await self._plan(block)
            await self._judge(candidate)
        except (Malformed, BatchInvalid, RulesUnknown) as error:
            log.warning("proposal_refused", height=block.height, proposer=block.header.proposer, reason=str(error))
            return Verdict.BAD
        except RulesUnsupported as error:
            log.warning("rules_unsupported", height=block.height, reason=str(error))
            return Verdict.ATTACHMENTS_MISSING
        except AttachmentsMissing as error:
            log.warning("attachments_missing", height=block.height, count=len(error.names))
            return Verdict.ATTACHMENTS_MISSING
        self._keep(candidate)
        return Verdict.OK

    def _keep(self, candidate: Candidate) -> None:
        self._candidates[candidate.block.block_id] = candidate
        while len(self._candidates) > PREPARED_MAX:
            self._candidates.pop(next(iter(self._candidates)))

    async def _plan(self, block: Block) -> Candidate:
        """Parse the items and load the rows they may touch; what this node built itself is planned already."""
        header, tip = block.header, self._parts.ledger.tip
        if (header.height, header.prev, header.state_digest_prev) != (tip.height + 1, tip.block_id, tip.state_digest):
            raise BatchInvalid("it does not extend our tip")
        rules = self._parts.rulebook.find(header.rules)
        if self._built is not None and (self._built.items, self._built.rules) == (block.items, rules):
            return Candidate(block, self._built.works, self._built.rows, rules)
        works, rows = await self._plan_items(block.items, rules)
        return Candidate(block, works, rows, rules)

    async def _plan_items(self, items: Sequence[bytes], rules: Rules) -> tuple[list[Work], Rows]:
        rows = self._parts.ledger.rows
        derives = any(item.startswith(b"{") for item in items)
        waits = await rows.seal_waits() if derives else []
        works: list[Work] = []
        for item in items:
            known = self._parts.pool.by_item(item)
            if known is not None and rules.has_made(known.work.signed.body):
                works.append(known.work)
            elif item.startswith(b"{"):
                works.append(parse_derived(item, waits, rules))
            else:
                works.append(parse_signed(item.decode("ascii", "replace"), self._parts.estate, rules))
        return works, await rows.load(access_set(works))

    async def _judge(self, candidate: Candidate) -> None:
        block, works, rows = candidate.block, candidate.works, candidate.rows
        timers = await self._parts.ledger.rows.due_timers(block.header.time_ms, BLOCK_TIMERS_MAX)
        told = await self._parts.snapshots.told(block.height)
        check_batch(block.header, block.items, works, rows, timers, candidate.rules, told)
        for record in _records(works):
            self._parts.check_support(record)
        self._check_resolution(works, rows)
        await self._check_derived(works, timers, rows)
        await self._check_signatures(works, rows)
        attachments, records, frame = self._parts.attachments, _records(works), dict(block.attachments)
        await attachments.check(records, frame)
        await attachments.hold_rest(records, frame, block.header.time_ms)

    async def _check_derived(self, works: Sequence[Work], timers: Sequence[Timer], rows: Rows) -> None:
        """Every derived entry is recomputed; a checkpoint's lines are checked; evidence is what was verified here."""
        derived = [work for work in works if isinstance(work, DerivedWork)]
        for work in derived:
            if isinstance(work.rule, Seal):
                await self._check_seal(work.rule)
            elif isinstance(work.rule, FinalizeWithout):
                await self._check_final(work.rule, rows.loaded[key(SealWait, FINALITY, work.item.key)])
            elif isinstance(work.rule, OrderEvidence | OrderRetiredKey):
                self._check_evidence(work.item)
        for work, timer in zip([work for work in derived if work.rule.timed], timers, strict=True):
            if encode(work.item) != encode(await self._derive(timer)):
                raise BatchInvalid(f"the derived entry {timer.kind} {timer.key} is not what we compute")

    def _check_resolution(self, works: Sequence[Work], rows: Rows) -> None:
        """The resolution that begins this epoch is the one that the operator gave this node, and holds on its log."""
        awaited, rule = self._parts.resolution, works[0].rule if isinstance(works[0], DerivedWork) else None
        if awaited is None and not isinstance(rule, ResolveFork):
            return
        if not isinstance(rule, ResolveFork) or rule.signed != awaited:
            raise BatchInvalid("it is not the resolution that this node was given")
        tip, genesis = self._parts.ledger.tip, self._parts.genesis
        culprit_of = culprit_finder(genesis.origin, self._parts.cluster_id)
        refused = refuse_work(rule, rows, (tip.size, tip.root), self._parts.cluster_id, culprit_of)
        if refused is not None:
            raise BatchInvalid(f"the resolution does not hold: {refused}")

    def _check_evidence(self, item: Derived) -> None:
        known = self._parts.evidence.find(item)
        if known is None:
            raise AttachmentsMissing([item.key])
        if item != self._parts.evidence.item_of(known):
            raise BatchInvalid("the entry is not of this evidence")

    async def _check_seal(self, seal: Seal) -> None:
        agenda = self._parts.agenda
        if seal.size <= agenda.sealed_size:
            raise BatchInvalid("the seal is not of our log")
        check_seal_lines(await self._unsigned(seal), agenda.excused(seal.size))

    async def _check_final(self, final: FinalizeWithout, wait: Row | None) -> None:
        """Nobody is named as absent who signed: then this node knows a seal."""
        parts, unsigned = self._parts, await self._unsigned(final)
        check_final_lines(final, unsigned, self._members, parts.agenda.barred, parts.replica_config.quorum)
        if isinstance(wait, SealWait) and _covers(parts.checkpoints.sealed, wait):
            raise BatchInvalid("all members have signed: nobody is absent")

    async def _unsigned(self, signed: Seal | FinalizeWithout) -> dict[str, str]:
        """The members whose line under a checkpoint of our own log does not hold, with that line, or none."""
        parts, lines, members = self._parts, signed.signatures, self._members
        root = await parts.ledger.root_at(signed.size)
        if signed.size < parts.membership.current.first_size or root is None or b64u_encode(root) != signed.root:
            raise BatchInvalid("the checkpoint is not of our log")
        if len(lines) != len(members):
            raise BatchInvalid("a checkpoint has a line for each member, or an empty one")
        holds = parts.keyring.verify_cosignature
        given = zip(members, lines, strict=True)
        return {member: line for member, line in given if not holds(member, signed.size, root, line)}

    async def _check_signatures(self, works: Sequence[Work], rows: Rows) -> None:
        """Check signatures that admission has not checked yet: once a node, never once a phase."""
        pool = self._parts.pool
        unknown = [work for work in _records(works) if pool.by_item(work.envelope.jws.encode()) is None]
        checks = signature_checks(unknown, rows)
        if len(checks) <= INLINE_CHECKS_MAX:
            good = all(verify(*check) for check in checks)
        else:
            good = await asyncio.to_thread(lambda: all(verify(*check) for check in checks))
        if not good:
            raise BatchInvalid("a record's signature is wrong")

    async def execute(self, block: Block) -> Executed:
        """Execute a block in memory on our tip; the same answer however often it is asked.

        Raises StateDiffers: a quorum tells another state than this node holds; RulesUnknown, of which the replica
        keeps it.
        """
        candidate = self._candidates.get(block.block_id)
        if candidate is None:
            candidate = await self._plan(block)
            self._keep(candidate)
        if candidate.executed is None:
            await self._compare_state(candidate)
            works, rows, tree = candidate.works, candidate.rows, self._parts.ledger.tree
            candidate.executed = execute_block(block.header, works, rows, tree, self._parts.trust, candidate.rules)
        return candidate.executed

    async def _compare_state(self, candidate: Candidate) -> None:
        """Prepared or fetched with a certificate: what it tells of the state is what a quorum computed."""
        height = candidate.block.height
        try:
            check_state_root(candidate.works, await self._parts.snapshots.told(height))
        except BatchInvalid:
            raise StateDiffers(
                f"the rows of this node are not those of the ledger: block {height} tells another state.root than they "
                "give. They are damaged, or were changed: stop the node and look with scripts/replay.py --data"
            ) from None

    async def store(self, effect: Store) -> tuple[Executed, list[RecordWork]]:
        """Write a committed block with its rows and openings in one transaction."""
        block = effect.block
        executed = await self.execute(block)
        works = self._candidates[block.block_id].works
        records = _records(works)
        given = self._parts.attachments.given(records, dict(block.attachments))
        commitment = Commitment(effect.view, effect.certificate, effect.new_view)
        await self._parts.ledger.store(executed, works, commitment, given)
        self._candidates.clear()
        self._built = None
        await self._parts.snapshots.begin()
        return executed, records

    def parse_evidence(self, block: Block) -> list[DerivedWork]:
        """The entries of evidence in a proposal. Raises Malformed, RulesUnknown."""
        rules = self._parts.rulebook.find(block.header.rules)
        derived = [parse_derived(item, (), rules) for item in block.items if item.startswith(b"{")]
        return [work for work in derived if isinstance(work.rule, OrderEvidence | OrderRetiredKey)]

    def parse_records(self, block: Block) -> list[RecordWork]:
        """The records of a proposal; those of the pool are parsed already. Raises Malformed, RulesUnknown."""
        works, rules = [], self._parts.rulebook.find(block.header.rules)
        for item in block.items:
            known = self._parts.pool.by_item(item)
            if known is not None and rules.has_made(known.work.signed.body):
                works.append(known.work)
            elif not item.startswith(b"{"):
                works.append(parse_signed(item.decode("ascii", "replace"), self._parts.estate, rules))
        return works


def _covers(sealed: Published | None, wait: SealWait) -> bool:
    return sealed is not None and sealed.size > wait.index


def _was_ordered(work: RecordWork, rows: Rows) -> bool:
    """A record that came back to the pool after it was ordered: it must never be proposed again."""
    nonce = rows.loaded.get(key(Nonce, work.signed.kid, work.signed.nonce))
    return isinstance(nonce, Nonce) and nonce.has_seen(work.signed.id)


def _records(works: Sequence[Work]) -> list[RecordWork]:
    return [work for work in works if isinstance(work, RecordWork)]
