"""The parts of one node, wired once by `Node`; what the parts share and no more."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.config import Config
from server.consensus.config import Config as ReplicaConfig
from server.consensus.events import Agenda
from server.domain.agenda import SEALED, Sealed
from server.domain.evidence import Barred
from server.domain.membership import IN_FORCE, EpochInForce
from server.ledger.genesis import Genesis
from server.ledger.membership import Membership
from server.node.attachments import AttachmentDesk
from server.node.checkpoints import Checkpoints
from server.node.derivations import Derivations
from server.node.evidence import EvidenceDesk
from server.node.keyring import Keys, NodeKeyring
from server.node.photo_desk import PhotoDesk
from server.node.pool import Pool
from server.node.unsigned import Unsigned
from server.record.kind import Trust
from server.record.rows import key
from server.storage.ledger import Ledger
from server.storage.snapshots import Snapshots
from server.storage.transcripts import TranscriptStore


@dataclass(slots=True)
class Parts:
    """Mutable. `agenda` follows the stored state; it is read again when a block changed what it is made of."""

    config: Config
    genesis: Genesis
    """As if the members of the epoch in force had founded the ledger."""
    membership: Membership
    replica_config: ReplicaConfig
    cluster_id: bytes
    estate: str
    trust: Trust
    keys: Keys
    keyring: NodeKeyring
    ledger: Ledger
    attachments: AttachmentDesk
    derivations: Derivations
    transcripts: TranscriptStore
    photos: PhotoDesk
    evidence: EvidenceDesk
    pool: Pool
    snapshots: Snapshots
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    agenda: Agenda = field(default_factory=Agenda)
    unsigned: Unsigned = field(default_factory=Unsigned)
    agenda_known: bool = False
    has_epoch_ended: bool = False
    """The stored state is of a later epoch than `membership`: all of this is to be made anew."""

    async def read_agenda(self) -> None:
        """What the stored state waits for."""
        rows = self.ledger.rows
        name = key(Sealed, SEALED)
        in_force = key(EpochInForce, IN_FORCE)
        barred = {member: key(Barred, member) for member in self.membership.known_certificates}
        loaded = (await rows.load([name, in_force, *barred.values()])).loaded
        sealed = loaded[name]
        size = sealed.size if isinstance(sealed, Sealed) else 0
        named = tuple(member for member, row in barred.items() if loaded[row] is not None)
        standing, leaving = loaded[in_force], ("", 0)
        if isinstance(standing, EpochInForce):
            leaving = (standing.leaving, standing.pending_index)
            self.has_epoch_ended = standing.number > self.membership.current.number
        self.agenda = Agenda(await rows.next_due_ms(), await rows.awaiting_size(), size, named, *leaving)
        self.agenda_known = True
