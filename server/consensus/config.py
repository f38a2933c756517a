"""What a replica is told once: who the members are, who it is, how long it waits, how much it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from server.consensus.quorum import Mode, Quorum
from server.limits import BLOCK_BYTES_MAX, MIB, SECOND_MS

VIEWS_AHEAD_MAX = 1_000
"""A SUSPECT for a later view than this is ignored: nothing certifies it, and it would pin memory (FISCO #2311)."""
FRAME_BYTES_MAX = 4 * MIB
"""consensus.md 2.3: a block, its small attachments and a certificate fit."""
SYNC_BLOCKS_MAX = 64
SYNC_BYTES_MAX = MIB
POOL_RECORDS_MAX = 10_000
POOL_BYTES_MAX = 32 * MIB
ADMITTING_MAX = 1_000
"""Records of peers that the driver is still judging; more are dropped, and come again by retransmission."""
BLOCKS_HELD_MAX = 4
"""Candidates of the height in flight: proposed now, voted for, prepared, named by the NEW-VIEW."""
LINES_KEPT_MAX = 64
"""Newest cosignatures kept of each member; older ones are the driver's to store."""
BOUNDARIES_KEPT_MAX = 256
"""Own block boundaries kept to compare peers' cosignatures with."""
GREETING_STATUSES = 2
"""Times in which every peer tells its STATUS: so long one listens, after a quorum was heard, before one signs."""
FIRST_RULES = 1
"""A release that knows no later version of the rules announces none: so did those before there were announcements."""
RELEASE_AGE_MAX = 40
"""Intervals of STATUS for which an announcement holds: ten seconds. A quorum must agree on who has announced what."""
RECORDS_RESENT_MAX = 8
"""Pending records sent again in answer to one STATUS."""
assert FRAME_BYTES_MAX > 3 * BLOCK_BYTES_MAX
assert SYNC_BYTES_MAX >= BLOCK_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Milliseconds. Defaults for a local network; on a wide one take suspicion_ms=4000 (consensus.md 2.5)."""

    suspicion_ms: int = 1_500
    backoff_max: int = 5
    """Suspicion waits suspicion_ms * 2^k; k counts view changes since the last commit, up to this."""
    status_ms: int = 250
    clock_skew_ms: int = 5 * SECOND_MS
    """A first proposal's time may differ this much from the own clock (consensus.md 2.7)."""
    timer_grace_ms: int = SECOND_MS
    """A due timer not proposed this long after its time is the primary's fault (decisions 4)."""
    starvation_ms: int = 12 * SECOND_MS
    """A record that waits this long in one view is passed over, even if the primary orders others meanwhile."""
    retry_ms: int = 500
    """A question to a peer (blocks, a batch) is asked again, of another peer, after this."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Where an earlier epoch ended, and whose keys ended with it: what tells a signature that came too late.

    `entry` is the log's last entry of the epoch, as it stands there: the leaf of its last block, `block_id` at
    `height`; the log with it has `size` entries. `voters` and `cosigners`: members whose consensus key, or cosign key,
    the next epoch does not name any more.
    """

    epoch: int
    height: int
    size: int
    block_id: str
    entry: bytes
    voters: tuple[str, ...] = ()
    cosigners: tuple[str, ...] = ()

    def key_name(self, member: str) -> str:
        """What the log names a key by that was retired here: whose it was, and the last epoch that it was good in."""
        return f"{member}/{self.epoch}"


@dataclass(frozen=True, slots=True)
class Config:
    """The cluster in one epoch, and this node's place in it. `members` in the order of their ids.

    A replica lives in one epoch: where the next one begins it stops, and is built again from what is durable.
    """

    members: tuple[str, ...]
    me: str
    cluster_id: bytes
    epoch: int = 0
    rules: int = FIRST_RULES
    """The highest version of the rules that this release knows (decisions 8)."""
    first_height: int = 1
    """Of the epoch's first block; the one before needs no certificate among its members, who all have stored it."""
    base_block: str = ""
    """Id of that one before; empty for genesis."""
    first_size: int = 0
    """Of the tree when the epoch began: the smallest that its members cosign."""
    endings: tuple[Ending, ...] = ()
    """Of the epochs before, in their order."""
    pinned: tuple[tuple[int, str], ...] = ()
    """(height, block id) that operators decided when they resolved a fork: of others at these heights none is taken."""
    mode: Mode = "available"
    timeouts: Timeouts = Timeouts()
    observes: bool = False
    """Whether this replica only follows: it is no member yet, or its keys are not those that the epoch names."""
    greets: bool = True
    """Whether a replica that starts listens before it signs: what peers hold of its own signatures it must know."""
    truncate_every: int = 64
    """Heights between two truncations of the journal: a rewrite costs several syncs."""
    truncate_bytes: int = 32 * MIB
    """Truncated earlier when so much was written since: full blocks with their openings are up to 4 MiB each."""

    def __post_init__(self) -> None:
        if not (self.observes or self.me in self.members) or len(dict.fromkeys(self.members)) != len(self.members):
            raise ValueError("this node must observe, or be one of the members, each of them named once")

    @property
    def retired_keys(self) -> tuple[str, ...]:
        """All keys that were retired, by their names."""
        return tuple(
            ending.key_name(member) for ending in self.endings for member in sorted({*ending.voters, *ending.cosigners})
        )

    @property
    def quorum(self) -> int:
        """Votes that decide, see `Quorum`."""
        return Quorum(len(self.members), self.mode).quorum

    @property
    def base_height(self) -> int:
        """Of the block on which the epoch stands: the last one of the epoch before, or 0 for genesis."""
        return self.first_height - 1

    def abandons(self, height: int, block_id: str) -> bool:
        """Whether operators have decided for another block at this height, whatever certifies this one (D32)."""
        return any(at == height and pinned != block_id for at, pinned in self.pinned)

    @property
    def others(self) -> tuple[str, ...]:
        """Every member but this one, in order."""
        return tuple(member for member in self.members if member != self.me)
