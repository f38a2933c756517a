"""The real rules on a simulated cluster: parse, access set, rows, checks, execution, derived entries, as in a node.

Records carry real ES256 signatures that are really checked. Only the disk is simulated: rows are in memory. Where
a contract leaves an order or a time open (ballots of a tally, when a nonce's row is deleted), each node does it its own
way, and the oracles see whether it matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256

from drills.next_release import make_rulebook
from server.consensus.block import Attachments, Block
from server.consensus.effects import PublishCheckpoint
from server.consensus.evidence import RETIRED_KEY, Evidence
from server.consensus.quorum import Quorum
from server.domain import activation
from server.domain.agenda import Seal, Timer, due_item
from server.domain.ballot import Ballot
from server.domain.check import BatchInvalid, check_batch, check_final_lines, check_seal_lines, signature_checks
from server.domain.delivery import Delivery
from server.domain.evidence import OrderEvidence, evidence_item
from server.domain.execute import execute_block
from server.domain.joining import PastBlock
from server.domain.member import Nonce
from server.domain.motion import TALLY, Motion
from server.domain.plan import DerivedWork, RecordWork, Work, access_set, parse_items, parse_signed
from server.domain.retirement import OrderRetiredKey, retired_item
from server.domain.rules import FIRST_VERSION, Rules, RulesUnknown
from server.domain.state_root import After, Manifest, manifest_of
from server.domain.tally import FinalizeWithout, absent_from, tally_body
from server.ledger.block import Derived, Header
from server.ledger.merkle import Frontier
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.kind import private_fields_of
from server.record.rows import Key, Row, Rows, key
from server.record.shape import open_private
from server.record.signature import verify
from tests.simulation.annals import Seen
from tests.simulation.application import LedgerState, OpeningsMissing, SignedCheckpoints
from tests.simulation.domain_ledger import SCHEDULE, DomainLedger, Tables
from tests.simulation.estate import Neighbourhood
from tests.simulation.keyring import is_line_of

BATCH = 12
RULEBOOK = make_rulebook(grant_max=50)
"""What the later release knows; the older one knows the first version only. People grant up to 90 points."""


@lru_cache(maxsize=1_024)
def _parse(record: bytes, estate: str, version: int) -> RecordWork | None:
    """A record as nodes parse it; None for what is malformed. Every node asks for the same ones."""
    try:
        return parse_signed(record.decode("ascii", "replace"), estate, RULEBOOK.find(version))
    except Malformed:
        return None


class DomainApplication:
    """Mutable: `ledger` moves from block to block. See the module."""

    def __init__(self, home: Neighbourhood, genesis_digest: str, address: str, held: Mapping[str, bytes]) -> None:
        self._home, self._address, self._held = home, address, held
        self.newest, self.releases = RULEBOOK.newest, dict[str, int]()
        """What this node's release knows, and what the other members' releases are known to know."""
        self._member = address.rstrip("'")
        self.entries: dict[str, tuple[bytes, ...]] = {}
        """What each executed block adds to the log."""
        self._evidence: dict[str, Evidence] = {}
        self._admitted: dict[bytes, RecordWork] = {}
        """Records whose signature this node has verified: once a node, never once a phase."""
        tables: Tables = {}
        for name, row in home.rows.items():
            tables.setdefault(name.table, {})[name.id] = row
        self.ledger = DomainLedger(tables, genesis_digest)

    def keep(self, ledger: LedgerState) -> None:
        """See Application."""
        assert isinstance(ledger, DomainLedger)
        self.ledger = ledger

    # -- records

    def _parse(self, record: bytes) -> RecordWork | None:
        return self._admitted.get(record) or _parse(record, self._home.estate, self.rules)

    @property
    def rules(self) -> int:
        """See Application. A node whose release does not know them has stopped, and only looks for what it stored."""
        return min(self.ledger.agenda().rules, self.newest)

    def record_id(self, record: bytes) -> str | None:
        """The id of a well-formed record."""
        work = None if record.startswith(b"{") else self._parse(record)
        return work.signed.id if work else None

    def expires_ms(self, record: bytes) -> int:
        """What the record says."""
        work = self._parse(record)
        assert work is not None
        return work.signed.expires_ms

    def attachments(self, record: bytes) -> tuple[str, ...]:
        """Openings by commitment and photos by hash."""
        work = None if record.startswith(b"{") else self._parse(record)
        if work is None:
            return ()
        body = work.signed.body
        return (*body.commitments(), *(photo.sha256 for photo in body.photo_refs()))

    def admits(self, record: bytes, attachments: Attachments, now_ms: int) -> bool:
        """Shape, known key, signature, openings that fit; never a rule (decisions 14)."""
        work = self._parse(record)
        if work is None or not self._fits(work, dict(attachments), complete=True) or self._lacking(work):
            return False
        try:
            checks = signature_checks([work], self.ledger.load(work.keys))
        except BatchInvalid:
            return False
        if not all(verify(*check) for check in checks):
            return False
        self._admitted[record] = work
        return self.would_include(record, now_ms)

    def _fits(self, work: RecordWork, openings: Mapping[str, bytes], *, complete: bool) -> bool:
        """Does every opening fit its commitment and its field's type?"""
        body = work.signed.body
        for name, value_type in private_fields_of(type(body)).items():
            commitment = getattr(body, name)
            opening = openings.get(commitment, self._held.get(commitment))
            if opening is None:
                if complete:
                    return False
                continue
            try:
                open_private(value_type, commitment, opening)
            except Malformed:
                return False
        return True

    def would_include(self, record: bytes, now_ms: int) -> bool:
        """Admitted, not ordered before, not expired at this clock."""
        work = self._admitted.get(record)
        if work is None or work.signed.expires_ms <= now_ms:
            return False
        nonce = self.ledger.get(key(Nonce, work.signed.kid, work.signed.nonce))
        return not (isinstance(nonce, Nonce) and nonce.has_seen(work.signed.id))

    # -- blocks

    def accuse(self, evidence: Evidence) -> None:
        """See Application."""
        self._evidence[evidence.id] = evidence

    def note_release(self, member: str, rules: int) -> None:
        """See Application."""
        self.releases[member] = rules

    def build(self, time_ms: int, pending: Iterable[bytes], signed: SignedCheckpoints) -> list[bytes]:
        """Evidence, a seal, what becomes final without a member, every due timer, records."""
        timers = [due_item(timer, self._body(timer)) for timer in self.ledger.due(time_ms)]
        items = timers + [record for record in pending if self.would_include(record, time_ms)][:BATCH]
        found = {_name_of(item): item for item in map(_item, self._evidence.values())}
        known = (*self.ledger.barred, *self.ledger.retired)
        evidence = [encode(item) for name, item in sorted(found.items()) if name not in known]
        derived = [*evidence, *self._seal(signed.seal, bool(items or evidence))]
        finals = self._finals(time_ms, signed)
        told = self._told(self.ledger.height + 1) if items or derived or finals else None
        return [*derived, *([] if told is None else [encode(told)]), *finals, *items]

    def _finals(self, time_ms: int, signed: SignedCheckpoints) -> list[bytes]:
        """Decisions 21: what waited long enough, under the newest checkpoint that a quorum has signed."""
        newest, sealed = signed.committed, signed.seal.size if signed.seal else 0
        if newest is None or newest.size < self._seen.first_size or newest.size not in self.ledger.roots:
            return []
        lines = dict(newest.lines)
        signatures = [lines.get(member, "") for member in self._members]
        absent = absent_from(signatures, self._members, self.ledger.barred)
        body = {"absent": absent, "root": b64u_encode(newest.root), "signatures": signatures, "size": newest.size}
        late = [wait for wait in self.ledger.waits() if 0 < wait.without_ms <= time_ms and sealed <= wait.index]
        covered = [wait for wait in late if wait.index < newest.size and absent]
        return [encode(Derived(body, 0, wait.key, FinalizeWithout.kind)) for wait in covered]

    def _told(self, height: int) -> Derived | None:
        """What the block must tell of the state."""
        if SCHEDULE.told_at(height) is None:
            return None
        assert self.ledger.state is not None, "the state was hashed after its block"
        return self.ledger.state.item()

    def _seal(self, seal: PublishCheckpoint | None, other_content: bool) -> list[bytes]:
        """Decisions 7: with other content, or alone if a row waits for it."""
        if (
            seal is None
            or not seal.sealed
            or seal.size < max(self.ledger.sealed_size + 1, self._seen.first_size)
            or seal.size not in self.ledger.roots
        ):
            return []
        awaited = self.ledger.agenda().awaiting_size
        if not other_content and (awaited is None or awaited > seal.size):
            return []
        signed = dict(seal.lines)
        signatures = [signed.get(member, "") for member in self._members]
        body = {"root": b64u_encode(seal.root), "signatures": signatures, "size": seal.size}
        return [encode(Derived(body, 0, str(seal.size), Seal.kind))]

    def _body(self, timer: Timer) -> dict[str, object]:
        """What a due timer's entry says; a tally is counted from this node's own openings, in an order of its own."""
        if timer.kind != TALLY:
            return {}
        motion = self.ledger.get(key(Motion, timer.key))
        assert isinstance(motion, Motion), "a tally's timer is armed by its motion"
        missing = [name for name in self._commitments(motion.id) if name not in self._held]
        if missing:
            raise OpeningsMissing(missing)
        ballots = [row for row in self.ledger.all(Ballot) if isinstance(row, Ballot) and row.motion == motion.id]
        own = sorted(ballots, key=lambda ballot: sha256((self._address + ballot.id).encode()).digest())
        served = [row for row in self.ledger.all(Delivery) if isinstance(row, Delivery) and row.motion == motion.id]
        return tally_body(motion, own, self._held, served)

    def _commitments(self, motion: str) -> list[str]:
        ballots = (row for row in self.ledger.all(Ballot) if isinstance(row, Ballot))
        return [ballot.commitment for ballot in ballots if ballot.motion == motion]

    def check(self, header: Header, items: Sequence[bytes]) -> bool:
        """What `Blocks.check` asks of a proposal, but for attachments, which the driver looks for."""
        try:
            rules = self._find(header)
            works, rows = self._plan(items, rules)
            timers = self.ledger.due(header.time_ms)
            check_batch(header, items, works, rows, timers, rules, self._told(header.height))
            self._check_support(works)
            self._check_derived(works, timers)
            self._check_records([work for work in works if isinstance(work, RecordWork)], rows)
        except (Malformed, BatchInvalid, RulesUnknown):
            return False
        return True

    def _find(self, header: Header) -> Rules:
        """The rules of a block, if this node's release knows them. Raises RulesUnknown."""
        if header.rules > self.newest:
            raise RulesUnknown(header.rules, self.newest)
        return RULEBOOK.find(header.rules)

    def _check_support(self, works: Sequence[Work]) -> None:
        """What a node does not know to be supported it does not vote for now; later it may."""
        lacking = {name for work in works if isinstance(work, RecordWork) for name in self._lacking(work)}
        if lacking:
            raise OpeningsMissing(sorted(lacking))

    def _lacking(self, work: RecordWork) -> tuple[str, ...]:
        members = [member for member in self._members if member not in self.ledger.barred]
        known = {member: self.releases.get(member, FIRST_VERSION) for member in members}
        return activation.lacking_support(work.signed.body, {**known, self._member: self.newest})

    def _plan(self, items: Sequence[bytes], rules: Rules) -> tuple[list[Work], Rows]:
        works = parse_items(items, self._home.estate, self.ledger.waits(), rules)
        return works, self.ledger.load(access_set(works))

    def _check_derived(self, works: Sequence[Work], timers: Sequence[Timer]) -> None:
        derived = [work for work in works if isinstance(work, DerivedWork)]
        for work in derived:
            if isinstance(work.rule, Seal):
                self._check_seal(work.rule)
            elif isinstance(work.rule, FinalizeWithout):
                self._check_final(work.rule)
            elif isinstance(work.rule, OrderEvidence | OrderRetiredKey):
                self._check_evidence(work.item)
        for work, timer in zip([work for work in derived if work.rule.timed], timers, strict=True):
            if encode(work.item) != due_item(timer, self._body(timer)):
                raise BatchInvalid(f"the derived entry {timer.kind} {timer.key} is not what we compute")

    def _check_evidence(self, item: Derived) -> None:
        known = self._evidence.get(item.key)
        if known is None:
            raise OpeningsMissing([item.key])
        if item != _item(known):
            raise BatchInvalid("the entry is not of this evidence")

    def _check_seal(self, seal: Seal) -> None:
        check_seal_lines(self._unsigned(seal), self.ledger.agenda().excused(seal.size))

    def _check_final(self, final: FinalizeWithout) -> None:
        quorum = Quorum(len(self._members)).quorum
        check_final_lines(final, self._unsigned(final), self._members, self.ledger.barred, quorum)

    def _unsigned(self, signed: Seal | FinalizeWithout) -> dict[str, str]:
        """Members whose line does not hold, with that line."""
        root, members, secrets = self.ledger.roots.get(signed.size), self._members, self._seen.secrets
        if root is None or b64u_encode(root) != signed.root or len(signed.signatures) != len(members):
            raise BatchInvalid("the checkpoint is not of our log")
        given = zip(members, signed.signatures, strict=True)
        return {name: line for name, line in given if not is_line_of(secrets[name], signed.size, root, line)}

    @property
    def _seen(self) -> Seen:
        seen = self.ledger.epoch
        assert seen is not None, "this estate's genesis names operators"
        return seen

    @property
    def _members(self) -> tuple[str, ...]:
        return self._seen.members

    def _check_records(self, records: Sequence[RecordWork], rows: Rows) -> None:
        unknown = [work for work in records if work.envelope.jws.encode() not in self._admitted]
        if not all(verify(*check) for check in signature_checks(unknown, rows)):
            raise BatchInvalid("a record's signature is wrong")
        if not all(self._fits(work, {}, complete=False) for work in records):
            raise BatchInvalid("an opening does not fit")

    def execute(self, block: Block) -> tuple[DomainLedger, list[str]]:
        """The ledger after the block, and the ids of its records."""
        before, header = self.ledger, block.header
        rules = self._find(header)
        works, loaded = self._plan(block.items, rules)
        executed = execute_block(header, works, loaded, before.frontier, self._home.trust, rules)
        self.entries[block.block_id] = executed.entries
        outcomes = zip(works, executed.outcomes, strict=True)
        done = {work.signed.id: outcome for work, outcome in outcomes if isinstance(work, RecordWork)}
        ledger = DomainLedger(
            _changed(before.tables, executed.changed),
            executed.state_digest,
            Frontier(executed.size, executed.peaks),
            header.time_ms,
            {**before.roots, executed.size: executed.root},
            {**before.done, **done},
            before.state,
            header.height,
            before.first_size,
            before.states,
        )
        if ledger.epoch != before.epoch:
            ledger.first_size = executed.size
        if header.height % SCHEDULE.every == 0:
            after = After(
                header.height, block.block_id, executed.size, executed.root, executed.state_digest, header.time_ms,
                header.rules,
            )  # fmt: skip
            _hash_state(ledger, after)
        self._forget(ledger, block)
        return ledger, list(done)

    # -- joining by a snapshot

    @property
    def cluster_id(self) -> bytes:
        """Of the neighbourhood's ledger."""
        return self._home.trust.cluster_id

    @property
    def estate(self) -> str:
        """As records name it."""
        return self._home.estate

    def take_snapshot(self, manifest: Manifest, rows: Sequence[Row], past: Sequence[PastBlock]) -> None:
        """The rows of a state and the log up to there take the place of what was executed; the state is hashed anew."""
        tables: Tables = {}
        for row in rows:
            tables.setdefault(row.table, {})[row.id] = row
        before, last = self.ledger, past[-1]
        done = {
            work.signed.id: str(decode(content)["outcome"])
            for block in past
            for content, work in zip(block.contents, block.works, strict=True)
            if work is not None
        }
        self.entries.update({block.block_id: block.contents for block in past})
        roots = {**before.roots, **{block.size: block.root for block in past}}
        self.ledger = DomainLedger(
            tables, last.state_digest, Frontier(last.size, last.peaks), last.header.time_ms, roots,
            {**before.done, **done}, None, last.header.height, before.first_size,
        )  # fmt: skip
        epoch = self.ledger.epoch
        if epoch is not None:
            sizes = {block.header.height: block.size for block in past}
            self.ledger.first_size = sizes.get(epoch.first_height - 1, before.first_size)
        _hash_state(self.ledger, _after(manifest))

    def _forget(self, ledger: DomainLedger, block: Block) -> None:
        """Nonces past their time are deleted by each node when it likes."""
        if sha256((self._address + block.block_id).encode()).digest()[0] % 3 == 0:
            ledger.tables = ledger.remembered()


def _after(manifest: Manifest) -> After:
    return After(
        manifest.height, manifest.block_id, manifest.size, b64u_decode(manifest.root, 32), manifest.state_digest,
        manifest.time_ms, manifest.rules,
    )  # fmt: skip


def _hash_state(ledger: DomainLedger, after: After) -> None:
    """From this node's own rows, those among them that others may have forgotten."""
    ledger.state = manifest_of(after, _all_rows(ledger.tables), RULEBOOK.find(after.rules))
    ledger.states = {**dict(list(ledger.states.items())[-1:]), ledger.state: ledger.tables}


def _all_rows(tables: Tables) -> Iterator[tuple[str, Row]]:
    return ((table, row) for table, rows in tables.items() for row in rows.values())


def _item(evidence: Evidence) -> Derived:
    if evidence.offence == RETIRED_KEY:
        epoch = decode(evidence.second.raw)["system"]["body"]["epoch"]
        return retired_item(evidence.id, evidence.culprit, epoch, evidence.digests)
    return evidence_item(evidence.id, evidence.culprit, evidence.offence, evidence.digests)


def _name_of(item: Derived) -> str:
    """What the log names by this entry: a member, or a retired key."""
    culprit = str(item.body["culprit"])
    return f"{culprit}/{item.body['epoch']}" if item.kind == OrderRetiredKey.kind else culprit


def _changed(tables: Tables, changed: Mapping[Key, Row]) -> Tables:
    grown = dict(tables)
    for table in dict.fromkeys(name.table for name in changed):
        grown[table] = dict(grown.get(table, {}))
    for name, row in changed.items():
        grown[name.table][name.id] = row
    return grown
