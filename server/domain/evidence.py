"""Evidence in the log: which member said two things that no honest member says together, and what follows from it.

The entry carries hashes; the statements themselves are kept beside the log (decisions 9) and verified by every replica
before it votes. Who is named leads no view any more, and no seal waits for it (decisions 21); removing it from the
cluster stays a decision of people.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from server.ledger.block import Derived
from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest, Name, NodeId


class Barred(Row, frozen=True):
    """A member that ordered evidence names. Id: the member's; `evidence` the id of what proved it first."""

    table: ClassVar[str] = "barred"
    evidence: str
    offence: str
    height: int


def evidence_item(id_: str, culprit: str, offence: str, statements: tuple[str, str]) -> Derived:
    """The derived entry for evidence: its id, and the digests of the two statements."""
    body = {"culprit": culprit, "offence": offence, "statements": list(statements)}
    return Derived(body, 0, id_, OrderEvidence.kind)


class OrderEvidence(DerivedKind, frozen=True):
    """A member is proved to have contradicted itself (consensus.md 1.4). Its key is the id of the evidence."""

    kind: ClassVar[str] = "evidence"
    timed: ClassVar[bool] = False

    culprit: NodeId
    offence: Name
    statements: Annotated[tuple[Digest, ...], Meta(min_length=2, max_length=2)]

    def access(self, key_: str) -> tuple[Key, ...]:
        """The row of the culprit."""
        return (key(Barred, self.culprit),)

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The first evidence against a member bars it; a batch holds no other (see domain.check)."""
        rows.put(Barred(self.culprit, key_, self.offence, place.height))
