"""Evidence at one node: kept for ever, first in the next block, given to whoever asks, made from what phones bring.

What it proves is for `server.consensus.evidence`; here it is found again by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog

from server.consensus.certificates import Certifier
from server.consensus.events import Accused
from server.consensus.evidence import Branch, Evidence, accuse_of_split, is_of_epoch, unpack_evidence, verify
from server.consensus.keyring import Keyring
from server.consensus.messages import Cosign
from server.domain.evidence import evidence_item
from server.domain.plan import DerivedWork
from server.ledger.block import Derived
from server.ledger.checkpoint import CheckpointError, cosigner_name, note_line, parse_note
from server.ledger.membership import Epoch
from server.node.transport import CallFailed, Peers
from server.record.canonical import Malformed, b64u_encode
from server.storage.transcripts import TranscriptStore

log = structlog.get_logger()
KIND = "evidence"


class EvidenceDesk:
    """Mutable. What one node knows of members that contradicted themselves. `report` tells the replica."""

    def __init__(self, store: TranscriptStore, peers: Peers, certifier: Certifier, keyring: Keyring) -> None:
        self._store = store
        self._peers = peers
        self._certifier = certifier
        self._keyring = keyring
        self._known: dict[str, Evidence] = {}
        self.report: Callable[[Accused], None] = lambda event: None

    async def load(self) -> None:
        """Know again what was kept, and answer peers that ask."""
        for _, packed in await self._store.of_kind(KIND):
            evidence = unpack_evidence(packed)
            self._known[evidence.id] = evidence
        self._peers.handle("evidence", self._serve)

    @property
    def all(self) -> list[Evidence]:
        """Everything known, the first found first."""
        return list(self._known.values())

    async def keep(self, evidence: Evidence) -> None:
        """Keep verified evidence durably. The same again is harmless."""
        await self._store.keep(KIND, evidence.id, evidence.packed)
        if evidence.id not in self._known:
            self._known[evidence.id] = evidence
            log.error("member_contradicts_itself", member=evidence.culprit, offence=evidence.offence, id=evidence.id)

    async def bring(self, packed: bytes) -> Evidence:
        """Take evidence from outside, and tell the replica. Raises Malformed unless it proves something."""
        evidence = unpack_evidence(packed)
        if evidence.id not in self._known:
            verify(evidence, self._certifier, self._keyring)
            await self.keep(evidence)
            self.report(Accused(packed))
        return evidence

    def items(self, barred: Sequence[str], epoch: Epoch) -> list[Derived]:
        """What the next block has to say: one entry for each culprit that no block names yet, by the first evidence.

        Evidence from an earlier epoch accuses a key that signs no more.
        """
        first: dict[str, Evidence] = {}
        for evidence in self.all:
            if evidence.culprit not in barred and is_of_epoch(evidence, epoch.number, epoch.first_size):
                first.setdefault(evidence.culprit, evidence)
        return [item_of(evidence) for _, evidence in sorted(first.items())]

    def find(self, item: Derived) -> Evidence | None:
        """The evidence that an entry of a proposal names, whatever its body says; None when it is not here."""
        return self._known.get(item.key)

    async def seek(self, works: Iterable[DerivedWork], proposer: str) -> None:
        """Ask peers, the proposer first, for the evidence that a proposal names and that is not here."""
        for name in [work.item.key for work in works if work.item.key not in self._known]:
            for member in sorted(self._peers.connected(), key=lambda peer: peer != proposer):
                try:
                    await self.bring(await self._peers.call(member, "evidence", name.encode()))
                except (CallFailed, Malformed) as error:
                    log.info("evidence_not_there", member=member, reason=str(error)[:100])
                if name in self._known:
                    break

    async def _serve(self, member: str, payload: bytes) -> bytes:
        found = self._known.get(payload.decode("ascii"))
        if found is None:
            raise CallFailed("no such evidence")
        return found.packed


def item_of(evidence: Evidence) -> Derived:
    """The entry of evidence."""
    return evidence_item(evidence.id, evidence.culprit, evidence.offence, evidence.digests)


def accuse_of_notes(
    origin: str, members: Sequence[str], notes: tuple[str, str], branches: Sequence[Branch]
) -> list[Evidence]:
    """The claims in two checkpoints, one for each member that cosigned both; nothing is verified yet.

    Raises Malformed when a text is no checkpoint of this log, or nobody signed both.
    """
    lines = [_lines_of(origin, members, note) for note in notes]
    claims = [
        accuse_of_split(lines[0][member], lines[1][member], branches)
        for member in members
        if member in lines[0] and member in lines[1]
    ]
    found = [claim for claim in claims if claim is not None]
    if not found:
        raise Malformed("no member has signed two checkpoints here that contradict each other", "notes")
    return found


def _lines_of(origin: str, members: Sequence[str], text: str) -> dict[str, Cosign]:
    try:
        note = parse_note(text, origin)
    except CheckpointError as error:
        raise Malformed(f"not a checkpoint of this log: {error}", "notes") from None
    names = {cosigner_name(origin, member): member for member in members}
    root, size = b64u_encode(note.checkpoint.root), note.checkpoint.size
    return {
        names[line.name]: Cosign(line=note_line(line), member=names[line.name], root=root, size=size)
        for line in note.lines
        if line.name in names
    }
