"""What a record does: one file a noun, each rule in the class of its record kind. Pure: rows in, rows out.

`KINDS`, `DERIVED`, `FINALS` and `ROWS` are the one list of everything; parsers, schemas, tables and clients follow.
"""

from server.domain.agenda import Seal, Sealed, SealWait, Timer
from server.domain.member import Approval, BindDevice, Device, GrantRole, Member, Nonce, RevokeDevice, RevokeRole
from server.domain.roll import ConfirmRoll, PublishRoll, Roll, RollHead
from server.record.kind import DerivedKind, RecordKind
from server.record.rows import Row

_KINDS: tuple[type[RecordKind], ...] = (BindDevice, RevokeDevice, GrantRole, RevokeRole, PublishRoll, ConfirmRoll)
KINDS = {kind.kind: kind for kind in _KINDS}
"""Record kinds by name."""

_DERIVED: tuple[type[DerivedKind], ...] = (Seal,)
DERIVED = {kind.kind: kind for kind in _DERIVED}
"""Kinds of derived entries that stand in the log."""

_FINALS: tuple[type[DerivedKind], ...] = ()
FINALS = {kind.kind: kind for kind in _FINALS}
"""What happens to rows that waited for a seal; part of the seal's entry."""

_ROWS: tuple[type[Row], ...] = (
    Approval, Device, Member, Nonce, Roll, RollHead, Sealed, SealWait, Timer,
)  # fmt: skip
ROWS = {row.table: row for row in _ROWS}
"""Row shapes by table."""
