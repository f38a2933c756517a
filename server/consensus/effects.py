"""What a replica asks of its driver.

Effects are performed strictly in order, within a list and across lists. Persist and PersistSigner are barriers: no
later effect, of this list or of a later one, is begun before they are durable (consensus.md 2.8); a driver may make
several durable with one sync. Build, Check, Execute, Store, Admit and ReadBlocks are questions: an event answers later.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from server.consensus.block import Attachments, Block
from server.consensus.config import Ending
from server.consensus.evidence import Evidence
from server.consensus.messages import Cosign

StopReason = Literal["fork", "diverged", "twin", "outdated", "halted", "epoch"]
"""`epoch` is no accident: the next epoch has begun, and the replica is to be built again from what is durable."""


class Entry(IntEnum):
    """What a journal entry holds. The numbers are stored: they never change."""

    VOTE = 1
    """A block and this replica's PREPARE for it."""
    PREPARED = 2
    """A certificate of PREPAREs and this replica's COMMIT."""
    VIEW_CHANGE = 3
    NEW_VIEW = 4


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing that must survive a crash."""

    type: Entry
    data: bytes


@dataclass(frozen=True, slots=True)
class Persist:
    """Append to the journal, in one write, and wait until it is durable."""

    entries: tuple[JournalEntry, ...]


@dataclass(frozen=True, slots=True)
class Truncate:
    """Replace the journal by these entries, atomically: all that is older is certified elsewhere."""

    entries: tuple[JournalEntry, ...]


@dataclass(frozen=True, slots=True)
class PersistSigner:
    """Write the signer file, and wait until it is durable, before the cosignature that follows leaves."""

    epoch: int
    size: int
    root: bytes
    time_s: int


@dataclass(frozen=True, slots=True)
class Send:
    """A frame to one member, or to all others when `to` is None. May be lost."""

    to: str | None
    frame: bytes


@dataclass(frozen=True, slots=True)
class Admit:
    """Judge a record that `sender` passed on; answer Admitted or Rejected with this very id."""

    record_id: str
    record: bytes
    attachments: Attachments
    sender: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No room for a submitted record; the client may come again later."""

    record_id: str


@dataclass(frozen=True, slots=True)
class Build:
    """Choose a batch for this height: derived entries due at `time_ms`, then pending records; answer Built."""

    height: int
    prev: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Check:
    """Judge a proposal against the state after its predecessor, and get its attachments; answer Checked, once."""

    block: Block
    proposer: str
    """Who proposed it to this node, and so holds its attachments."""


@dataclass(frozen=True, slots=True)
class Execute:
    """Execute a block in memory on the state after its predecessor, writing nothing; answer Executed."""

    block: Block


@dataclass(frozen=True, slots=True)
class Store:
    """Write block, commit certificate and the rows of its execution in one durable transaction; answer Stored."""

    block: Block
    certificate: bytes
    view: int
    new_view: str
    """Digest of the NEW-VIEW that justified the view; empty in view 0."""


@dataclass(frozen=True, slots=True)
class KeepTranscript:
    """Keep a NEW-VIEW beside the ledger, under its digest, for ever (consensus.md 1.3, the transcript rule)."""

    digest: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class KeepEvidence:
    """Keep verified evidence for ever, show it to whoever asks, and order it: first in the next block."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class ProveRetired:
    """A line with a retired key under a tree of the own log: prove that the end of that epoch is in it; the evidence
    comes back as Accused."""

    line: Cosign
    ending: Ending


@dataclass(frozen=True, slots=True)
class PublishCheckpoint:
    """The cosignatures now held of a block boundary: those of a quorum at least. Supersedes what was told of `size`."""

    size: int
    root: bytes
    lines: tuple[tuple[str, str], ...]
    """(member, line), in the order of members."""
    sealed: bool
    """Whether all members have signed that ordered evidence does not name."""


@dataclass(frozen=True, slots=True)
class NoteRelease:
    """A peer's release knows the rules up to this version; told when it is another one than before."""

    member: str
    rules: int


@dataclass(frozen=True, slots=True)
class ReadBlocks:
    """Read stored blocks from this height on for a peer, within both bounds; answer BlocksRead."""

    to: str
    from_height: int
    blocks_max: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Stop:
    """This replica signs nothing more. It goes on serving what it stored; the operator must look.

    fork: a certified block does not extend the own chain. diverged: a quorum of others executed to another state.
    twin: something else signs with this member's key. outdated: the next block, or a certified one, is of a version of
    the rules that this release does not know. halted: the driver said so.
    """

    reason: StopReason
    detail: str


Effect = (
    Persist
    | Truncate
    | PersistSigner
    | Send
    | Admit
    | Refused
    | Build
    | Check
    | Execute
    | Store
    | KeepTranscript
    | KeepEvidence
    | ProveRetired
    | PublishCheckpoint
    | NoteRelease
    | ReadBlocks
    | Stop
)
