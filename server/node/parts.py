"""The parts of one node, wired once by `Node`; what the parts share and no more."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.config import Config
from server.consensus.events import Agenda
from server.ledger.genesis import Genesis
from server.node.attachments import AttachmentDesk
from server.node.checkpoints import Checkpoints
from server.node.derivations import Derivations
from server.node.keyring import Keys, NodeKeyring
from server.node.pool import Pool
from server.node.store import Store
from server.record.kind import Trust


@dataclass(slots=True)
class Parts:
    """Mutable. `agenda` follows the stored state."""

    config: Config
    genesis: Genesis
    cluster_id: bytes
    estate: str
    trust: Trust
    keys: Keys
    keyring: NodeKeyring
    store: Store
    attachments: AttachmentDesk
    derivations: Derivations
    pool: Pool = field(default_factory=Pool)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    agenda: Agenda = field(default_factory=Agenda)
