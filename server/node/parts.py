"""The parts of one node, wired once by `Node`; what the parts share and no more."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.config import Config
from server.consensus.config import Config as ReplicaConfig
from server.consensus.events import Agenda
from server.domain.activation import PLAN_KEY, ActivateRules, lacking_support, version_at
from server.domain.agenda import SEALED, Sealed
from server.domain.evidence import Barred
from server.domain.membership import IN_FORCE, EpochInForce
from server.domain.plan import RecordWork
from server.domain.retirement import RetiredKey
from server.domain.rules import FIRST_VERSION, Rulebook, Rules
from server.ledger.genesis import Genesis
from server.ledger.membership import Membership
from server.ledger.resolution import SignedResolution
from server.node.attachments import AttachmentDesk
from server.node.checkpoints import Checkpoints
from server.node.derivations import Derivations
from server.node.evidence import EvidenceDesk
from server.node.keyring import Keys, NodeKeyring
from server.node.mending import Mending
from server.node.photo_desk import PhotoDesk
from server.node.pool import Pool
from server.node.unsigned import Unsigned
from server.record.kind import Trust
from server.record.rows import Row, key
from server.storage.ledger import Ledger
from server.storage.snapshots import Snapshots
from server.storage.transcripts import TranscriptStore


class RulesUnsupported(Exception):
    """A version of the rules is to begin that not every member's release is known to know; `members` are the others."""

    def __init__(self, members: tuple[str, ...]) -> None:
        super().__init__(f"the releases of {', '.join(members)} do not know these rules")
        self.members = members


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
    mending: Mending
    rulebook: Rulebook
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    agenda: Agenda = field(default_factory=Agenda)
    unsigned: Unsigned = field(default_factory=Unsigned)
    agenda_known: bool = False
    has_epoch_ended: bool = False
    """The stored state is of a later epoch than `membership`: all of this is to be made anew."""
    releases: dict[str, int] = field(default_factory=dict)
    """The highest version of the rules that each peer's release says that it knows."""
    given: SignedResolution | None = None
    """The resolution that begins this epoch, while this node must go on to the tip that it keeps, or order it."""
    resolution: SignedResolution | None = None
    """The same, while it is the next thing to order."""
    plan: Row | None = None
    """The row that says which version of the rules is in force from which height."""

    @property
    def rules(self) -> Rules:
        """The rules of the next block. A node whose release does not know them has stopped: what it is handed it parses
        by the newest it knows, only to find it among what it stored."""
        return self.rulebook.find(min(self.agenda.rules, self.rulebook.newest))

    @property
    def next_rules(self) -> int:
        """The version in force at the height after the stored tip."""
        return version_at(self.plan, self.ledger.tip.height + 1)

    def known_rules(self, member: str) -> int:
        """The highest version that a member's release says that it knows; the first one for who says nothing now."""
        if member == self.config.node.id:
            return self.rulebook.newest
        return self.releases.get(member, FIRST_VERSION)

    def check_support(self, work: RecordWork) -> None:
        """Raise RulesUnsupported for the activation of a version that not every member has announced (decisions 8).

        Members that ordered evidence names are left out of "every" (decisions 21).
        """
        if not isinstance(work.signed.body, ActivateRules):
            return
        members = [member.id for member in self.genesis.members if member.id not in self.agenda.barred]
        lacking = lacking_support(work.signed.body, {member: self.known_rules(member) for member in members})
        if lacking:
            raise RulesUnsupported(lacking)

    @property
    def has_come_to_kept_tip(self) -> bool:
        """Whether the ledger has just come to the tip with which its epoch ends: the next one begins there."""
        given, tip = self.given, self.ledger.tip
        is_waiting = given is not None and given.resolution.epoch == self.membership.current.number
        return is_waiting and given is not None and given.resolution.kept.block_id == tip.block_id

    async def read_agenda(self) -> None:
        """What the stored state waits for."""
        rows = self.ledger.rows
        name = key(Sealed, SEALED)
        in_force = key(EpochInForce, IN_FORCE)
        barred = {member: key(Barred, member) for member in self.membership.known_certificates}
        retired = [key(RetiredKey, name) for name in self.replica_config.retired_keys]
        loaded = (await rows.load([name, in_force, PLAN_KEY, *barred.values(), *retired])).loaded
        sealed = loaded[name]
        size = sealed.size if isinstance(sealed, Sealed) else 0
        named = tuple(member for member, row in barred.items() if loaded[row] is not None)
        signing = tuple(row.id for row in retired if loaded[row] is not None)
        standing, leaving = loaded[in_force], ("", 0)
        if isinstance(standing, EpochInForce):
            leaving = (standing.leaving, standing.pending_index)
            self.has_epoch_ended = standing.number > self.membership.current.number
        self.plan = loaded[PLAN_KEY]
        due_ms, awaiting = await rows.next_due_ms(), await rows.awaiting_size()
        late = await rows.next_late()
        begins = isinstance(standing, EpochInForce) and standing.number < self.membership.current.number
        self.resolution = self.given if begins else None
        if self.resolution is not None:
            due_ms = self.ledger.tip.time_ms
        self.agenda = Agenda(due_ms, awaiting, size, named, self.next_rules, *leaving, *late, retired=signing)
        self.agenda_known = True
