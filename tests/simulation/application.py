"""What a simulated cluster runs: an application behind the questions of a driver, its clients, and its own oracle.

A scene is all three. `small.py` is cheap and tries the protocol; `domain.py` runs the rules of the platform itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from server.consensus.block import Attachments, Block
from server.consensus.effects import PublishCheckpoint
from server.consensus.events import Agenda
from server.consensus.evidence import Evidence
from server.ledger.block import Header
from server.ledger.merkle import Frontier
from tests.simulation.annals import Seen


class OpeningsMissing(LookupError):
    """A derived entry cannot be computed before these attachments are here."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} openings are missing")
        self.names = tuple(names)


class LedgerState(Protocol):
    """What follows from the stored blocks. Never changed after it was made: `execute` gives a new one."""

    frontier: Frontier
    digest: str
    roots: dict[int, bytes]
    """Root of the log at every block boundary."""
    done: dict[str, str]
    """Outcome of every record, by id."""

    @property
    def epoch(self) -> Seen | None:
        """The epoch in force; None where members never change."""
        ...

    def agenda(self) -> Agenda:
        """What the state waits for."""
        ...


@dataclass(frozen=True, slots=True)
class SignedCheckpoints:
    """The newest that all members have signed, and the newest that a quorum has, as this node knows them."""

    seal: PublishCheckpoint | None
    committed: PublishCheckpoint | None


class Application(Protocol):
    """What the simulator's driver asks of an application."""

    @property
    def ledger(self) -> LedgerState:
        """The state after the last stored block."""
        ...

    newest: int
    """The highest version of the rules that the node's release knows."""

    def keep(self, ledger: LedgerState) -> None:
        """A block was stored: its state is the state now."""
        ...

    def record_id(self, record: bytes) -> str | None:
        """The id of a well-formed record."""
        ...

    def expires_ms(self, record: bytes) -> int:
        """Until when a well-formed record may be ordered."""
        ...

    def attachments(self, record: bytes) -> tuple[str, ...]:
        """Names of the attachments without which no replica prepares a record or derived entry."""
        ...

    def admits(self, record: bytes, attachments: Attachments, now_ms: int) -> bool:
        """Whether a record that a client or a peer brings may wait here to be ordered."""
        ...

    def would_include(self, record: bytes, now_ms: int) -> bool:
        """Whether this node would itself order an admitted record."""
        ...

    def accuse(self, evidence: Evidence) -> None:
        """The replica has verified evidence."""
        ...

    def note_release(self, member: str, rules: int) -> None:
        """A member's release knows the rules up to this version."""
        ...

    def build(self, time_ms: int, pending: Iterable[bytes], signed: SignedCheckpoints) -> list[bytes]:
        """A batch for this time. Raises OpeningsMissing."""
        ...

    def check(self, header: Header, items: Sequence[bytes]) -> bool:
        """Whether a batch is one that `build` may give. Raises OpeningsMissing."""
        ...

    def execute(self, block: Block) -> tuple[LedgerState, list[str]]:
        """The state after the block, and the ids of its records. Changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Brought:
    """A record that a client brings until it is done or has expired, to any node."""

    record_id: str
    record: bytes
    expires_ms: int
    lasting: bool = True
    """Must be ordered: it is well-formed and does not expire while there are faults."""
    attachments: Attachments = ()
    photos: tuple[str, ...] = ()
    """Attachments that do not travel with the record but were given to some of the nodes before."""
    never: bool = False
    """No honest node may ever order it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """At a time after the beginning (ms) a client looks at a node's state and brings records."""

    due_ms: int
    bring: Callable[[LedgerState, int], Sequence[Brought]]
    """(what a node shows, the time) -> records."""


class Scene(Protocol):
    """What one run of a world is about. One for each world: it may remember."""

    estate: str
    """How records name it."""

    def application(self, address: str, held: Mapping[str, bytes]) -> Application:
        """An application at genesis for the node at this address, which holds these attachments."""
        ...

    def errands(self, count: int, span_ms: int, now_ms: int) -> list[Errand]:
        """What clients do within a span of time."""
        ...

    def changes(self, count: int, span_ms: int) -> list[Errand]:
        """Other memberships that operators want within a span of time; none where members never change."""
        ...

    def stored(self, address: str, height: int, ledger: LedgerState) -> list[str]:
        """Complaints about the state after a block of an honest node."""
        ...

    def conclude(self, address: str, blocks: Sequence[Block], ledger: LedgerState) -> list[str]:
        """Complaints about a whole chain at the end, and what it has led to."""
        ...


SceneMaker = Callable[[Sequence[str], str, Random], Scene]
"""(members, state digest of genesis, the run's randomness) -> scene."""
