"""Evidence at one node: kept for ever, first in the next block, given to whoever asks, made from what phones bring.

What it proves is for `server.consensus.evidence`; here it is found again by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import structlog

from server.consensus.certificates import Certifier
from server.consensus.events import Accused
from server.consensus.evidence import RETIRED_KEY, Branch, Evidence, accuse_of_split, is_of_epoch, unpack_evidence
from server.consensus.judgement import verify
from server.consensus.keyring import Keyring
from server.consensus.retirement import ending_of
from server.domain.evidence import evidence_item
from server.domain.plan import DerivedWork
from server.domain.retirement import retired_item
from server.ledger.block import Derived
from server.ledger.membership import Epoch
from server.node.notes import lines_of
from server.node.retirement import accuse_of_note
from server.node.transport import CallFailed, Peers
from server.record.canonical import Malformed
from server.storage.ledger import Ledger
from server.storage.transcripts import TranscriptStore

log = structlog.get_logger()
KIND = "evidence"


class EvidenceDesk:
    """Mutable. What one node knows of members that contradicted themselves. `report` tells the replica."""

    def __init__(
        self, store: TranscriptStore, ledger: Ledger, peers: Peers, certifier: Certifier, keyring: Keyring
    ) -> None:
        self._store = store
        self._ledger = ledger
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

    async def claims(self, origin: str, notes: Sequence[str], branches: Sequence[Branch]) -> list[Evidence]:
        """The claims in one checkpoint, that a key under it was retired before, or in two that contradict each other.

        Raises Malformed when there is none.
        """
        config = self._certifier.config
        if len(notes) == 1:
            return await accuse_of_note(self._ledger, config.endings, self._keyring, origin, notes[0])
        return accuse_of_notes(origin, config.members, (notes[0], notes[1]), branches)

    async def bring(self, packed: bytes) -> Evidence:
        """Take evidence from outside, and tell the replica. Raises Malformed unless it proves something."""
        evidence = unpack_evidence(packed)
        if evidence.id not in self._known:
            verify(evidence, self._certifier, self._keyring)
            await self.keep(evidence)
            self.report(Accused(packed))
        return evidence

    def items(self, named: Collection[str], epoch: Epoch) -> list[Derived]:
        """What the next block has to say: one entry for each culprit, and each retired key, that no block names yet, by
        the first evidence. Two statements of an earlier epoch accuse a key that signs no more, and nobody now."""
        first: dict[str, Evidence] = {}
        for evidence in self.all:
            is_late = evidence.offence == RETIRED_KEY
            what = self.name_of(evidence)
            is_said_now = is_late or is_of_epoch(evidence, epoch.number, epoch.first_size)
            if is_said_now and what is not None and what not in named:
                first.setdefault(what, evidence)
        return [self.item_of(evidence) for _, evidence in sorted(first.items())]

    def name_of(self, evidence: Evidence) -> str | None:
        """What the log names: a member, or a retired key. None for a key of an epoch that has not ended here again."""
        if evidence.offence != RETIRED_KEY:
            return evidence.culprit
        ended = [one for one in self._certifier.config.endings if one.entry == evidence.second.raw]
        return ended[0].key_name(evidence.culprit) if ended else None

    def item_of(self, evidence: Evidence) -> Derived:
        """The entry of evidence."""
        if evidence.offence == RETIRED_KEY:
            epoch = ending_of(self._certifier.config, evidence).epoch
            return retired_item(evidence.id, evidence.culprit, epoch, evidence.digests)
        return evidence_item(evidence.id, evidence.culprit, evidence.offence, evidence.digests)

    def find(self, item: Derived) -> Evidence | None:
        """The evidence that an entry of a proposal names, whatever its body says; None when it is not here."""
        return self._known.get(item.key)

    def packed(self, id_: str) -> bytes | None:
        """The bytes of evidence by its id; None when it is not here."""
        found = self._known.get(id_)
        return found.packed if found else None

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


def accuse_of_notes(
    origin: str, members: Sequence[str], notes: tuple[str, str], branches: Sequence[Branch]
) -> list[Evidence]:
    """The claims in two checkpoints, one for each member that cosigned both; nothing is verified yet.

    Raises Malformed when a text is no checkpoint of this log, or nobody signed both.
    """
    lines = [lines_of(origin, members, note) for note in notes]
    claims = [
        accuse_of_split(lines[0][member], lines[1][member], branches)
        for member in members
        if member in lines[0] and member in lines[1]
    ]
    found = [claim for claim in claims if claim is not None]
    if not found:
        raise Malformed("no member has signed two checkpoints here that contradict each other", "notes")
    return found
