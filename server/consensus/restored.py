"""What a replica is rebuilt from after a stop: the ledger's tip, its journal, its signer's mark. All of it durable."""

from __future__ import annotations

from dataclasses import dataclass

from server.consensus.effects import JournalEntry
from server.ledger.block import genesis_digest, genesis_tip
from server.ledger.merkle import EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Tip:
    """The last stored block, and the tree and state after it. At genesis: height 0."""

    height: int
    block_id: str
    time_ms: int
    size: int
    root: bytes
    state_digest: str


@dataclass(frozen=True, slots=True)
class SignerMark:
    """The last checkpoint that this member's cosigning key was allowed to sign (consensus.md 2.8)."""

    epoch: int
    size: int
    root: bytes
    time_s: int


@dataclass(frozen=True, slots=True)
class Boundary:
    """A block boundary of the own chain: where the tree stood after block `height`."""

    height: int
    block_id: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Restored:
    """Everything durable. `journal` in the order written; `recent` the last boundaries, oldest first, tip included."""

    tip: Tip
    certificate: bytes = b""
    """The commit certificate of the tip; empty at genesis."""
    journal: tuple[JournalEntry, ...] = ()
    signer: SignerMark | None = None
    recent: tuple[Boundary, ...] = ()
    evidence: tuple[bytes, ...] = ()
    """Packed evidence that was kept."""


def restored_genesis(cluster_id: bytes, created_ms: int = 0) -> Restored:
    """The start of a new ledger: height 0, the empty tree, no journal."""
    tip = Tip(0, genesis_tip(cluster_id), created_ms, 0, EMPTY_ROOT, genesis_digest(cluster_id))
    return Restored(tip)
