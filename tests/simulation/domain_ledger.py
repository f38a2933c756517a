"""The rows of a simulated node, with what storage is asked of them: loaded rows, due timers, what waits for a seal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from server.consensus.events import Agenda
from server.domain.activation import PLAN_KEY, version_at
from server.domain.agenda import SEALED, Sealed, SealWait, Timer, due_order
from server.domain.evidence import Barred
from server.domain.member import Nonce
from server.domain.membership import IN_FORCE, EpochInForce
from server.domain.retirement import RetiredKey
from server.domain.state_root import Manifest, Schedule
from server.ledger.merkle import Frontier
from server.record.rows import Key, Row, Rows, key
from tests.simulation.annals import Seen
from tests.simulation.estate import secret_of

Tables = dict[str, dict[str, Row]]
SCHEDULE = Schedule(every=2, lag=1)
"""State roots come often here, so that every run orders some."""


@dataclass(slots=True)
class DomainLedger:
    """Rows, tree and digest after a block. Never changed after it was made."""

    tables: Tables
    digest: str
    frontier: Frontier = field(default_factory=Frontier)
    time_ms: int = 0
    roots: dict[int, bytes] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    state: Manifest | None = None
    """The newest state whose root the log tells, or will tell."""
    height: int = 0
    first_size: int = 0
    """Of the tree when the epoch in force began."""

    states: dict[Manifest, Tables] = field(default_factory=dict)
    """The newest two states with their rows, for nodes that join."""

    @property
    def epoch(self) -> Seen | None:
        """The epoch in force, with the secrets that stand for its members' keys."""
        row = self.get(key(EpochInForce, IN_FORCE))
        if not isinstance(row, EpochInForce):
            return None
        secrets = {member.id: secret_of(member) for member in row.epoch.members}
        return Seen(row.number, secrets, row.first_height, self.first_size)

    @property
    def leaving(self) -> tuple[str, int]:
        """Whom a change that waits puts out, and where that change stands."""
        row = self.get(key(EpochInForce, IN_FORCE))
        return (row.leaving, row.pending_index) if isinstance(row, EpochInForce) else ("", 0)

    def get(self, name: Key) -> Row | None:
        """A row."""
        return self.tables.get(name.table, {}).get(name.id)

    def all(self, row: type[Row]) -> Iterable[Row]:
        """Every row of a table."""
        return self.tables.get(row.table, {}).values()

    def load(self, keys: Iterable[Key]) -> Rows:
        """The rows of these keys, as storage loads them for a block."""
        return Rows({name: self.get(name) for name in keys})

    @property
    def sealed_size(self) -> int:
        """How much of the log all members have signed, as the state knows it."""
        sealed = self.get(key(Sealed, SEALED))
        return sealed.size if isinstance(sealed, Sealed) else 0

    @property
    def barred(self) -> tuple[str, ...]:
        """Members that ordered evidence names."""
        return tuple(sorted(row.id for row in self.all(Barred)))

    @property
    def retired(self) -> tuple[str, ...]:
        """Retired keys that ordered evidence names."""
        return tuple(sorted(row.id for row in self.all(RetiredKey)))

    @property
    def rules(self) -> int:
        """The version of the rules in force for the next block."""
        return version_at(self.get(PLAN_KEY), self.height + 1)

    def timers(self) -> Iterator[Timer]:
        """Timers that have not rung."""
        return (row for row in self.all(Timer) if isinstance(row, Timer) and not row.done)

    def due(self, time_ms: int) -> list[Timer]:
        """Timers that are due at a block's time, in their order."""
        return sorted((timer for timer in self.timers() if timer.due_ms <= time_ms), key=due_order)

    def waits(self) -> list[SealWait]:
        """What waits for a seal, oldest first."""
        found = [row for row in self.all(SealWait) if isinstance(row, SealWait) and not row.done]
        return sorted(found, key=lambda wait: (wait.index, wait.id))

    def agenda(self) -> Agenda:
        """What the state waits for."""
        waits = self.waits()
        due_ms = min((timer.due_ms for timer in self.timers()), default=None)
        awaiting = waits[0].index + 1 if waits else None
        late = min(((wait.without_ms, wait.index) for wait in waits if wait.without_ms), default=(None, 0))
        told = Agenda(due_ms, awaiting, self.sealed_size, self.barred, self.rules, *self.leaving, *late)
        return replace(told, retired=self.retired)

    def remembered(self) -> Tables:
        """The rows that every node has at this height: nonces are forgotten by each node when it likes (D8)."""
        nonces: dict[str, Row] = {
            name: row
            for name, row in self.tables.get(Nonce.table, {}).items()
            if isinstance(row, Nonce) and row.forget_ms > self.time_ms
        }
        return {**{table: rows for table, rows in self.tables.items() if rows}, Nonce.table: nonces}
