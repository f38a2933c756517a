"""The scene of the real rules: their application, phones that use it, a second copy that lies, and the audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from server.consensus.block import Block
from tests.simulation.application import Errand, LedgerState
from tests.simulation.books import audit
from tests.simulation.domain import DomainApplication
from tests.simulation.domain_ledger import DomainLedger, Tables
from tests.simulation.estate import neighbourhood
from tests.simulation.liar import LyingApplication
from tests.simulation.node import CLUSTER_ID, EPOCH_MS
from tests.simulation.operators import Operators
from tests.simulation.phones import Phones
from tests.simulation.state_book import StateBook

ROWS_KEPT = 64
"""Heights whose rows are kept for nodes that are behind."""


class DomainScene:
    """The platform's rules, phones that use it, and the audit of what became of it."""

    def __init__(self, members: Sequence[str], genesis_digest: str, random: Random) -> None:
        self.home = neighbourhood(tuple(members), CLUSTER_ID, EPOCH_MS)
        self.phones = Phones(self.home, Random(random.random()))
        self.estate = self.home.estate
        self.operators = Operators(self.home, Random(random.random()))
        self._genesis_digest = genesis_digest
        self._rows: dict[int, Tables] = {}

    def application(self, address: str, held: Mapping[str, bytes]) -> DomainApplication:
        """See Scene."""
        if address.endswith("'"):
            return LyingApplication(self.home, self._genesis_digest, address, held, self.phones)
        return DomainApplication(self.home, self._genesis_digest, address, held)

    def errands(self, count: int, span_ms: int, now_ms: int) -> list[Errand]:
        """See Scene."""
        return self.phones.errands(count, span_ms)

    def changes(self, count: int, span_ms: int) -> list[Errand]:
        """See Scene."""
        return self.operators.errands(count, span_ms)

    def stored(self, address: str, height: int, ledger: LedgerState) -> list[str]:
        """Rows are the same on all nodes at equal height, row by row."""
        assert isinstance(ledger, DomainLedger)
        own = ledger.remembered()
        known = self._rows.setdefault(height, own)
        self._rows.pop(height - ROWS_KEPT, None)
        return [] if own == known else [f"other rows in {', '.join(_differing(own, known))}"]

    def conclude(self, address: str, blocks: Sequence[Block], ledger: LedgerState) -> list[str]:
        """The log replayed from genesis gives these rows, and the audit finds nothing."""
        assert isinstance(ledger, DomainLedger)
        replayed = self.application("replay", {})
        complaints = audit(self.home, _replay(replayed, blocks), ledger.done, self.phones.openings)
        complaints = complaints or _audit_states(self.application("replay", {}), blocks)
        if complaints:
            return complaints
        again = replayed.ledger
        if (again.digest, again.frontier.root()) != (ledger.digest, ledger.frontier.root()):
            complaints.append("the log replayed from genesis gives another state")
        differing = _differing(again.remembered(), ledger.remembered())
        return complaints + [f"the log replayed from genesis gives other rows of {table}" for table in differing]


def _replay(application: DomainApplication, blocks: Sequence[Block]) -> Iterator[tuple[Block, Tables]]:
    for block in blocks:
        application.keep(application.execute(block)[0])
        yield block, application.ledger.tables


def _audit_states(application: DomainApplication, blocks: Sequence[Block]) -> list[str]:
    """The first complaints about state roots, by a book that hashes the rows of a replay in its own way."""
    book = StateBook()
    for block, tables in _replay(application, blocks):
        complaints = book.complaints(block)
        if complaints:
            return complaints
        ledger = application.ledger
        book.keep(block, tables, (ledger.frontier.size, ledger.frontier.root(), ledger.digest))
    return []


def _differing(one: Tables, other: Tables) -> list[str]:
    return [table for table in sorted({*one, *other}) if one.get(table, {}) != other.get(table, {})]
