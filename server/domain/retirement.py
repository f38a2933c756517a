"""Retired keys in the log: whose key signed on after the epoch that it was good in (consensus.md 1.4, E8).

It names, and bars nobody: who is no member any more has nothing to lose here, and a member with new keys goes on with
those, for they are the remedy against whoever has got hold of the old ones (DESIGN.md D33).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from server.ledger.block import Derived
from server.ledger.membership import EPOCHS_MAX
from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest, NodeId


class RetiredKey(Row, frozen=True):
    """A retired key that signed on. Id `<member>/<the last epoch it was good in>`; `evidence` what proved it first."""

    table: ClassVar[str] = "retired_key"
    evidence: str
    height: int


def retired_item(id_: str, culprit: str, epoch: int, statements: tuple[str, str]) -> Derived:
    """The derived entry for evidence of a retired key: its id, and the digests of what was signed and of the end."""
    body = {"culprit": culprit, "epoch": epoch, "statements": list(statements)}
    return Derived(body, 0, id_, OrderRetiredKey.kind)


class OrderRetiredKey(DerivedKind, frozen=True):
    """A key is proved to have signed after it was retired. Its key is the id of the evidence."""

    kind: ClassVar[str] = "evidence.retired_key"
    timed: ClassVar[bool] = False

    culprit: NodeId
    epoch: Annotated[int, Meta(ge=0, le=EPOCHS_MAX)]
    statements: Annotated[tuple[Digest, ...], Meta(min_length=2, max_length=2)]

    @property
    def row(self) -> Key:
        """The row of the key."""
        return key(RetiredKey, self.culprit, str(self.epoch))

    def access(self, key_: str) -> tuple[Key, ...]:
        """The row of the key."""
        return (self.row,)

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The first evidence against a key is noted; a batch holds no other (see domain.check)."""
        rows.put(RetiredKey(self.row.id, key_, place.height))
