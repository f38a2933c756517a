"""The block in flight: everything known of the one height above the tip. A new height starts an empty slot."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.consensus.block import Block
from server.consensus.config import BLOCKS_HELD_MAX
from server.consensus.effects import JournalEntry
from server.consensus.events import Executed as Result
from server.consensus.events import Verdict
from server.consensus.messages import Commit, CommitMessage, Executed, Prepare, Signed


@dataclass(frozen=True, slots=True)
class CastVote:
    """This replica's PREPARE at (view, height), durable before it was sent. Never another in that view."""

    prepare: Signed[Prepare]
    since_ms: int
    entry: JournalEntry

    @property
    def view(self) -> int:
        """The view of the vote."""
        return self.prepare.body.view

    @property
    def block_id(self) -> str:
        """The block voted for."""
        return self.prepare.body.block_id


@dataclass(frozen=True, slots=True)
class PreparedBlock:
    """A quorum prepared this block in this view (PBFT 4.2). Kept until its height commits or a later view's comes."""

    view: int
    block: Block
    certificate: bytes
    commit: Signed[Commit]
    """This replica's COMMIT: signed when prepared, sent once executed."""
    entries: tuple[JournalEntry, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    """A quorum committed this block: it will be executed and stored, whatever the view does meanwhile."""

    block: Block
    certificate: bytes
    view: int
    new_view: str


@dataclass(slots=True)
class Slot:
    """Mutable. Votes are kept per sender, the latest view's only, so that no sender takes more than its place."""

    blocks: dict[str, Block] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    checking: dict[str, None] = field(default_factory=dict)
    missing_ms: int | None = None
    """When an attachment was last found missing; None when the last check missed nothing."""
    vote: CastVote | None = None
    prepared: PreparedBlock | None = None
    commit_sent: CommitMessage | None = None
    committed: Committed | None = None
    storing: bool = False
    building: bool = False
    nothing_to_build: bool = False
    executing: dict[str, None] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    prepares: dict[str, Signed[Prepare]] = field(default_factory=dict)
    commits: dict[str, Signed[Commit]] = field(default_factory=dict)
    executed: dict[str, Signed[Executed]] = field(default_factory=dict)

    def hold(self, block: Block) -> None:
        """Keep a candidate block; the oldest that nothing refers to makes room."""
        self.blocks[block.block_id] = block
        kept = {self.vote.block_id if self.vote else "", self.prepared.block.block_id if self.prepared else ""}
        for block_id in list(self.blocks):
            if len(self.blocks) <= BLOCKS_HELD_MAX:
                break
            if block_id not in kept and block_id != block.block_id:
                self.blocks.pop(block_id)
                self.verdicts.pop(block_id, None)
                self.results.pop(block_id, None)

    def preparers(self, view: int, block_id: str) -> list[Signed[Prepare]]:
        """PREPAREs of distinct senders for this block in this view."""
        return [vote for vote in self.prepares.values() if (vote.body.view, vote.body.block_id) == (view, block_id)]

    def committers(self, view: int, block_id: str) -> list[Signed[Commit]]:
        """COMMITs of distinct senders for this block in this view."""
        return [vote for vote in self.commits.values() if (vote.body.view, vote.body.block_id) == (view, block_id)]
