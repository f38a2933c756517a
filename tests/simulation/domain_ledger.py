"""The rows of a simulated node, with what storage is asked of them: loaded rows, due timers, what waits for a seal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from server.consensus.events import Agenda
from server.domain.activation import PLAN_KEY, version_at
from server.domain.agenda import SEALED, Sealed, SealWait, Timer, due_order
from server.domain.evidence import Barred
from server.domain.member import Nonce
from server.domain.state_root import Manifest, Schedule
from server.ledger.merkle import Frontier
from server.record.rows import Key, Row, Rows, key

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
        return Agenda(due_ms, waits[0].index + 1 if waits else None, self.sealed_size, self.barred, self.rules)

    def remembered(self) -> Tables:
        """The rows that every node has at this height: nonces are forgotten by each node when it likes (D8)."""
        nonces: dict[str, Row] = {
            name: row
            for name, row in self.tables.get(Nonce.table, {}).items()
            if isinstance(row, Nonce) and row.forget_ms > self.time_ms
        }
        return {**{table: rows for table, rows in self.tables.items() if rows}, Nonce.table: nonces}
