"""Everything a replica knows, and the few acts that every handler shares: sign, send, persist, stop.

Mutable. Handlers change it; nothing outside this package does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar

from server.consensus.block import Block
from server.consensus.certificates import Certifier
from server.consensus.checkpoints import Checkpoints
from server.consensus.config import BOUNDARIES_KEPT_MAX, GREETING_STATUSES, Config
from server.consensus.effects import Effect, JournalEntry, Persist, Send, Stop, StopReason
from server.consensus.events import Agenda
from server.consensus.evidence import Evidence
from server.consensus.frames import encode_frame
from server.consensus.keyring import Keyring
from server.consensus.messages import (
    TYPES,
    Body,
    Executed,
    Message,
    NewView,
    NewViewMessage,
    Signed,
    SignedBody,
    Suspect,
    ViewChangeMessage,
)
from server.consensus.pool import Pool
from server.consensus.quorum import primary_of
from server.consensus.restored import Boundary, SignerMark, Tip
from server.consensus.slot import Slot
from server.consensus.statements import Statements
from server.record.canonical import encode

B = TypeVar("B", bound=SignedBody)
Phase = Literal["normal", "changing", "stopped"]
"""normal: votes in its view. changing: left the old view, waits for the NEW-VIEW. stopped: signs nothing more."""


@dataclass(frozen=True, slots=True)
class InstalledView:
    """The NEW-VIEW that this replica accepted for its view."""

    message: NewViewMessage
    digest: str
    entry: JournalEntry

    @property
    def body(self) -> NewView:
        """What was selected."""
        return self.message.new_view.body


@dataclass(slots=True)
class Sync:
    """Mutable. Catching up: certified blocks not yet executed, and the question that is open."""

    queue: list[tuple[Block, bytes]] = field(default_factory=list)
    heights: dict[str, int] = field(default_factory=dict)
    """Greatest height each peer has claimed; a claim only chooses whom to ask."""
    asked_ms: int | None = None
    asked: str = ""
    behind_since_ms: int | None = None
    fetched_ms: int | None = None
    fetches: int = 0


@dataclass(slots=True)
class State:
    """Mutable. The whole replica."""

    config: Config
    keyring: Keyring
    certifier: Certifier
    checkpoints: Checkpoints
    tip: Tip
    tip_certificate: bytes
    signer: SignerMark | None
    statements: Statements
    view: int = 0
    phase: Phase = "normal"
    slot: Slot = field(default_factory=Slot)
    installed: InstalledView | None = None
    change: tuple[ViewChangeMessage, JournalEntry] | None = None
    """Own VIEW-CHANGE for `view`."""
    suspicion: Signed[Suspect] | None = None
    suspects: dict[str, Signed[Suspect]] = field(default_factory=dict)
    changes: dict[str, ViewChangeMessage] = field(default_factory=dict)
    executed: dict[str, Signed[Executed]] = field(default_factory=dict)
    """EXECUTED of the tip, by member."""
    pool: Pool = field(default_factory=Pool)
    sync: Sync = field(default_factory=Sync)
    agenda: Agenda = field(default_factory=Agenda)
    early: dict[tuple[str, str], Message] = field(default_factory=dict)
    """Votes for the height after the one in flight: one of each type and carrier."""
    evidence: dict[str, Evidence] = field(default_factory=dict)
    """All that is known, by id."""
    culprits: dict[str, None] = field(default_factory=dict)
    """Whom evidence names, in the order of its discovery: no vote of theirs is counted any more."""
    retired: dict[str, Evidence] = field(default_factory=dict)
    """What proves that retired keys went on signing, by `<member>/<epoch>`: one for each key."""
    recent: dict[int, str] = field(default_factory=dict)
    """Ids of the last own blocks, by height."""
    backoff: int = 0
    progress_ms: int = 0
    """When the last block was committed, or the view entered."""
    view_since_ms: int = 0
    observe_until: int = 0
    """No vote up to this height: its journal or a peer shows that this member voted there, and forgot what."""
    later: dict[int, Slot] = field(default_factory=dict)
    """By height, what the journal knows of votes above a ledger that was put back from a copy."""
    releases: dict[str, int] = field(default_factory=dict)
    """The highest version of the rules that each peer says that it knows; silence means the first one."""
    release_ages: dict[str, int] = field(default_factory=dict)
    """How many own STATUSes ago each peer said so."""
    ahead: list[JournalEntry] = field(default_factory=list)
    """Entries of the journal from a later epoch: the ledger was put back from a copy. They are kept until it begins."""
    heard: dict[str, None] = field(default_factory=dict)
    """Peers that have told where they stand since this replica started."""
    greeted_ms: int | None = None
    """When a quorum, itself among them, was heard."""
    seal_since_ms: int | None = None
    evidence_since_ms: int | None = None
    status_ms: int | None = None
    truncated_height: int = 0
    """The journal holds nothing of this height and those below, or only what was in flight then."""
    journal_bytes: int = 0
    """What the journal holds."""
    now_ms: int = 0
    """For patience: it grows as the driver's clock does, and stands while that is set back."""
    wall_ms: int = 0
    """The driver's clock, as it was given: for block times, and for what is due or has expired."""
    out: list[Effect] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """The height in flight: one above the tip."""
        return self.tip.height + 1

    @property
    def is_primary(self) -> bool:
        """Whether this replica leads its view."""
        return self.primary(self.view) == self.config.me

    def primary(self, view: int) -> str:
        """The primary of a view at the height in flight: who is barred by ordered evidence is passed over."""
        return primary_of(self.config.members, view, self.agenda.barred)

    @property
    def may_vote(self) -> bool:
        """Whether to vote at the height in flight: in a view, not catching up, and nothing forgotten."""
        busy = self.phase != "normal" or bool(self.sync.queue) or self.slot.committed is not None
        return not busy and self.may_sign

    @property
    def is_taking_blocks(self) -> bool:
        """Whether blocks that others have committed are at hand and not stored yet.

        A VIEW-CHANGE now would tell a tip that is past for the others; and who lost its journal has perhaps voted for
        just these blocks, which peers no longer show, since for them it is over.
        """
        return bool(self.sync.queue) or (self.slot.committed is not None and self.slot.prepared is None)

    @property
    def may_sign(self) -> bool:
        """Whether what this member signed before is known, by its own files and by what the peers hold of it."""
        return not (self.config.observes or self.is_forgetful or self.is_greeting)

    @property
    def is_greeting(self) -> bool:
        """Whether it has just started and still listens (consensus.md 2.8, the signer guard).

        Its folder may be an old copy; peers send back what it signed and no longer knows.
        """
        if not self.config.greets:
            return False
        listened_ms = GREETING_STATUSES * self.config.timeouts.status_ms if len(self.config.members) > 1 else 0
        return self.greeted_ms is None or self.now_ms - self.greeted_ms < listened_ms

    def recall(self, height: int) -> None:
        """A peer shows that this member has signed something about this height and no longer knows it."""
        if height > self.observe_until:
            self.observe_until = height
            self.count("recalled")

    def note_heard(self, member: str) -> None:
        """A peer has told where it stands."""
        self.heard[member] = None
        if self.greeted_ms is None and len(self.heard) + 1 >= self.config.quorum:
            self.greeted_ms = self.now_ms

    @property
    def is_forgetful(self) -> bool:
        """Whether the ledger is behind the signer or the journal: it was put back from a copy, and what was voted and
        committed since is not known here (consensus.md H10). Until it is fetched again, nothing is signed about it."""
        is_behind = self.signer is not None and self.signer.size > self.tip.size
        return is_behind or self.height <= self.observe_until

    def emit(self, effect: Effect) -> None:
        """Ask the driver for something, after all that was asked before."""
        self.out.append(effect)

    def persist(self, *entries: JournalEntry) -> None:
        """Make entries durable before anything that follows."""
        self.journal_bytes += sum(len(entry.data) for entry in entries)
        self.emit(Persist(entries))

    def stop_if_outdated(self, version: int, what: str) -> bool:
        """Stop for what is of a version of the rules that this release does not know: nothing of it is ever guessed."""
        known = self.config.rules
        if version > known:
            detail = f"this release is too old: it knows rules up to {known}, and {what} is of rules {version}"
            self.stop("outdated", f"{detail}; start the release of the other members")
        return version > known

    def send(self, message: Message | Body, to: str | None = None) -> None:
        """Send a message to one member or to all others."""
        self.send_frame(encode_frame(message), to)

    def send_frame(self, frame: bytes, to: str | None = None) -> None:
        """Send a frame, new or kept as it was first sent, to one member or to all others."""
        if to is not None or self.config.others:
            self.emit(Send(to, frame))

    def sign(self, body: B) -> Signed[B]:
        """Sign a body as this member."""
        raw = encode(body)
        signed = Signed(body, raw, self.keyring.sign(TYPES[type(body)], raw))
        if not isinstance(body, Executed | Suspect):
            self.statements.note(signed)
        return signed

    def extend(self, boundary: Boundary) -> None:
        """Note a boundary of the own chain."""
        self.recent[boundary.height] = boundary.block_id
        self.recent.pop(boundary.height - BOUNDARIES_KEPT_MAX, None)
        for publication in self.checkpoints.extend(boundary):
            self.emit(publication)

    def stop(self, reason: StopReason, detail: str) -> None:
        """Sign nothing more, for a reason that an operator can read."""
        if self.phase != "stopped":
            self.phase = "stopped"
            self.emit(Stop(reason, detail))

    def count(self, what: str) -> None:
        """Count something for the metrics."""
        self.counters[what] = self.counters.get(what, 0) + 1
