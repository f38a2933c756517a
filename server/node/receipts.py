"""Receipts: what the author of a record keeps, checkable by any phone without trusting this node.

A fresh record's proof comes from memory: the nodes that its block completed and the peaks of the tree before it are all
that the path to that block's boundary can need. Older ones are read from the database.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from server.domain.evidence import Barred
from server.domain.execute import Executed
from server.domain.member import Device
from server.domain.plan import RecordWork
from server.ledger.block import derived_id
from server.ledger.genesis import Genesis
from server.ledger.merkle import inclusion_proof, perfect_nodes
from server.ledger.receipt import EVIDENCE_KIND, barring_text, proof_text, receipt_text
from server.node.checkpoints import Checkpoints, Published
from server.node.evidence import EvidenceDesk
from server.node.lookup import Lookup
from server.record.rows import key
from server.record.signature import DeviceKey, NodeSigner
from server.storage.ledger import FoundRecord, Ledger
from server.storage.stored import StoredEntry

RECENT_BLOCKS_MAX = 256
BIND_PROOFS_MAX = 4_096


class _RecentBlock:
    """Proof material of one block."""

    __slots__ = ("nodes", "records", "time_ms")

    def __init__(self, executed: Executed, peaks_before: tuple[bytes, ...], records: list[FoundRecord]) -> None:
        self.time_ms = executed.header.time_ms
        self.nodes = {(level, index): node for level, index, node in executed.nodes}
        self.nodes.update(zip(perfect_nodes(0, executed.first_index), peaks_before, strict=True))
        self.records = records


@dataclass(frozen=True, slots=True)
class _Barring:
    """The log entry that bars a member, and the id of the evidence that it names."""

    entry: StoredEntry
    evidence: str


class Receipts:
    """Mutable. Makes receipts of one node's log."""

    def __init__(
        self,
        ledger: Ledger,
        checkpoints: Checkpoints,
        evidence: EvidenceDesk,
        trust: tuple[Genesis, bytes],
        log_signer: NodeSigner,
    ) -> None:
        self._ledger = ledger
        self._lookup = Lookup(ledger)
        self._rows = ledger.rows
        self._checkpoints = checkpoints
        self._evidence = evidence
        genesis, self._cluster_id = trust
        self._members = [member.id for member in genesis.members]
        self._note: Callable[[Published], str] = lambda published: published.note(genesis.origin, log_signer)
        self._recent: OrderedDict[int, _RecentBlock] = OrderedDict()
        self._ordered: dict[str, FoundRecord] = {}
        self._notes: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._binds: OrderedDict[str, str] = OrderedDict()
        self._barrings: dict[str, _Barring] = {}

    def remember(
        self, executed: Executed, works: list[RecordWork], peaks_before: tuple[bytes, ...]
    ) -> list[FoundRecord]:
        """Keep a stored block's proof material; returns its records."""
        derived = len(executed.outcomes) - len(works)
        records = []
        for offset, work in enumerate(works, start=derived):
            index = executed.first_index + offset
            header = executed.header
            ordered = FoundRecord(
                work.envelope.id,
                work.envelope.kid,
                index,
                header.height,
                header.time_ms,
                executed.outcomes[offset],
                executed.entries[offset],
                executed.size,
            )
            records.append(ordered)
            self._ordered[ordered.id] = ordered
        self._recent[executed.size] = _RecentBlock(executed, peaks_before, records)
        while len(self._recent) > RECENT_BLOCKS_MAX:
            _, gone = self._recent.popitem(last=False)
            for ordered in gone.records:
                self._ordered.pop(ordered.id, None)
        return records

    def time_at(self, boundary: int) -> int:
        """Block time of the block that ends at this size; of the newest block when it is long ago."""
        recent = self._recent.get(boundary)
        return recent.time_ms if recent else self._ledger.tip.time_ms

    async def find(self, record_id: str) -> FoundRecord | None:
        """Where a record stands in the log. None holds until the caller awaits again: it was not stored by now."""
        known = self._ordered.get(record_id)
        if known is None and await self._lookup.holds(record_id):
            known = await self._ledger.find(record_id)
        return known or self._ordered.get(record_id)

    def is_recent(self, record_id: str) -> bool:
        """Was the record stored of late? What was stored since a question to the database began is always known."""
        return record_id in self._ordered

    async def receipt(self, ordered: FoundRecord) -> str:
        """The receipt file under the best checkpoint held, or empty while no quorum has signed past the record."""
        device, published = await self._device(ordered.kid), await self._choose(ordered)
        if published is None:
            return ""
        proof = await self._proof(ordered, published, device.key() if device else None)
        barrings = await self._barring_proofs(published)
        if device is None or not device.record or device.record == ordered.id:
            return receipt_text(proof, "", barrings)
        bind = await self._bind_proof(device)
        return receipt_text(proof, bind, barrings) if bind else ""

    async def _device(self, kid: str) -> Device | None:
        name = key(Device, kid)
        found = self._rows.peek(name) or (await self._rows.load([name])).loaded[name]
        return found if isinstance(found, Device) else None

    async def _bind_proof(self, device: Device) -> str:
        if device.record in self._binds:
            return self._binds[device.record]
        bind = await self.find(device.record)
        assert bind is not None, "a device was bound by an ordered record"
        published = await self._choose(bind)
        if published is None:
            return ""
        proof = await self._proof(bind, published, device.key())
        self._binds[device.record] = proof
        while len(self._binds) > BIND_PROOFS_MAX:
            self._binds.popitem(last=False)
        return proof

    async def _choose(self, ordered: FoundRecord) -> Published | None:
        """The checkpoint for a proof: of the record's own block, or a newer one that shows more to a phone."""
        published, best = self._checkpoints.at(ordered.boundary), self._checkpoints.covering(ordered.index)
        if published is None:
            return best
        if best is None or not best.sealed or (published.sealed and await self._shows_seal(published)):
            return published
        return best

    async def _shows_seal(self, published: Published) -> bool:
        """Can whoever has this checkpoint alone see that it is sealed? Who is not waited for must be barred in it."""
        barrings = [await self._barring(member) for member in self._missing(published)]
        return all(barring is not None and barring.entry.index < published.size for barring in barrings)

    def _missing(self, published: Published) -> list[str]:
        signed = {member for member, _ in published.lines}
        return [member for member in self._members if member not in signed]

    async def _barring(self, member: str) -> _Barring | None:
        """What bars a member, None while nothing does: the first evidence bars it for good."""
        if member not in self._barrings:
            row = (await self._rows.load([key(Barred, member)])).loaded[key(Barred, member)]
            if not isinstance(row, Barred):
                return None
            id_ = derived_id(self._cluster_id, EVIDENCE_KIND, row.evidence, 0)
            entry = await self._ledger.entry_of_record(id_)
            assert entry is not None, "a member was barred by an ordered entry"
            self._barrings[member] = _Barring(entry, row.evidence)
        return self._barrings[member]

    async def _barring_proofs(self, published: Published) -> list[str]:
        """For each member that a sealed checkpoint does without, the proof that the log bars it, and its evidence."""
        proofs = []
        for member in self._missing(published) if published.sealed else []:
            barring = await self._barring(member)
            packed = self._evidence.packed(barring.evidence) if barring else None
            if barring is None or packed is None or barring.entry.index >= published.size:
                return []  # without all of them it is not sealed for whoever reads it
            entry = barring.entry
            hashes = await self._hashes(entry.index, published.size)
            proofs.append(barring_text(entry.content, entry.index, hashes, self._note_of(published), packed))
        return proofs

    async def _proof(self, ordered: FoundRecord, published: Published, device_key: DeviceKey | None) -> str:
        hashes = await self._hashes(ordered.index, published.size)
        return proof_text(ordered.entry, ordered.index, hashes, self._note_of(published), device_key)

    def _note_of(self, published: Published) -> str:
        """The note's text, made once a checkpoint: a block of ballots shares it."""
        name = (published.size, len(published.lines))
        if name not in self._notes:
            self._notes[name] = self._note(published)
            while len(self._notes) > RECENT_BLOCKS_MAX:
                self._notes.popitem(last=False)
        return self._notes[name]

    async def _hashes(self, index: int, size: int) -> list[bytes]:
        recent = self._recent.get(size)
        if recent is not None:
            try:
                return inclusion_proof(index, size, lambda level, place: recent.nodes[level, place])
            except KeyError:
                pass  # an older entry: its path leaves the recent block
        return await self._ledger.inclusion_proof(index, size)
