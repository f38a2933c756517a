"""What the driver tells a replica. Times are the driver's clock in milliseconds, given to `step` beside the event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from server.consensus.block import Attachments, Block


@dataclass(frozen=True, slots=True)
class Start:
    """The first event after construction."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; to be told every 50 to 100 ms."""


@dataclass(frozen=True, slots=True)
class Received:
    """A frame over the authenticated connection of `sender`, a member."""

    sender: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """A client's record admitted here: this node would itself put it into a block. `attachments`: the small ones."""

    record_id: str
    record: bytes
    attachments: Attachments
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """Answer to Admit: the record's id is the one claimed, and this node would itself include it."""

    record_id: str
    record: bytes
    attachments: Attachments
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Answer to Admit; or, at any time, that this node would no longer include a pending record."""

    record_id: str


@dataclass(frozen=True, slots=True)
class Built:
    """Answer to Build: the batch for `height` at `time_ms`. No items: there is nothing to order now."""

    height: int
    time_ms: int
    rules: int
    items: tuple[bytes, ...]
    attachments: Attachments = ()


class Verdict(Enum):
    """What checking found."""

    OK = "ok"
    """Valid at this height, and every attachment is here, checked and durable."""
    BAD = "bad"
    ATTACHMENTS_MISSING = "attachments_missing"
    """Valid, but an attachment could not be had in time (decisions 3); a later proposal is checked anew."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Answer to Check, once."""

    block_id: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Executed:
    """Answer to Execute: tree size and root, and the state digest, after the block."""

    block_id: str
    size: int
    root: bytes
    state_digest: str


@dataclass(frozen=True, slots=True)
class Stored:
    """Answer to Store: block, certificate and rows are durable. `record_ids`: its client records. `ends_epoch`: the
    next block has other members, keys or another policy."""

    height: int
    record_ids: tuple[str, ...]
    ends_epoch: bool = False


@dataclass(frozen=True, slots=True)
class Agenda:
    """What the state waits for; told after Start and after every Stored.

    `due_ms`: the earliest due timer. `awaiting_size`: the smallest tree size that, once sealed, lets a row go on.
    `sealed_size`: the size sealed so far as the state knows it. `barred`: culprits of ordered evidence; they lead no
    view, and a seal does not wait for them (decisions 21). `rules`: the version in force at the height in flight.
    `leaving`: whom a change that waits puts out; a seal past `leaving_index`, where that change stands, does not wait
    for it. `late_ms`: from when what waits at `late_index` goes on with a quorum's signatures.
    """

    due_ms: int | None = None
    awaiting_size: int | None = None
    sealed_size: int = 0
    barred: tuple[str, ...] = ()
    rules: int = 1
    leaving: str = ""
    leaving_index: int = 0
    late_ms: int | None = None
    late_index: int = 0
    retired: tuple[str, ...] = ()
    """Keys that ordered evidence names for what they signed after they were retired: `<member>/<epoch>`."""

    @property
    def named(self) -> tuple[str, ...]:
        """Culprits and retired keys that ordered evidence names: no other block says it again."""
        return (*self.barred, *self.retired)

    def excused(self, size: int) -> tuple[str, ...]:
        """Whose signatures a seal of `size` entries does not wait for."""
        return (*self.barred, self.leaving) if self.leaving and size > self.leaving_index else self.barred


@dataclass(frozen=True, slots=True)
class Accused:
    """Evidence that somebody brought to the driver, packed: not verified yet."""

    evidence: bytes


@dataclass(frozen=True, slots=True)
class BlocksRead:
    """Answer to ReadBlocks: consecutive stored blocks from the height asked, with their certificates."""

    to: str
    blocks: tuple[tuple[Block, bytes], ...]


@dataclass(frozen=True, slots=True)
class Halted:
    """The driver cannot go on (a disk error, a second process of this member): stop voting and cosigning."""

    detail: str
    reason: Literal["halted", "twin"] = "halted"


Event = (
    Start
    | Tick
    | Received
    | Submitted
    | Admitted
    | Rejected
    | Built
    | Checked
    | Executed
    | Stored
    | Agenda
    | Accused
    | BlocksRead
    | Halted
)
