"""The parts of one node, wired once by `Node`; what the parts share and no more."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.config import Config
from server.consensus.events import Agenda
from server.domain.agenda import SEALED, Sealed
from server.domain.evidence import Barred
from server.ledger.genesis import Genesis
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

    async def read_agenda(self) -> None:
        """What the stored state waits for."""
        rows = self.ledger.rows
        name = key(Sealed, SEALED)
        barred = {member.id: key(Barred, member.id) for member in self.genesis.members}
        loaded = (await rows.load([name, *barred.values()])).loaded
        sealed = loaded[name]
        size = sealed.size if isinstance(sealed, Sealed) else 0
        named = tuple(member for member, row in barred.items() if loaded[row] is not None)
        self.agenda = Agenda(await rows.next_due_ms(), await rows.awaiting_size(), size, named)
        self.agenda_known = True
