"""What happens by itself: timers that fall due, seals, and rows that wait for a seal.

If something must happen later, the due time is a row; the entry is derived into the first block whose time has passed
it, on every replica alike (decisions 4).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest

SEALED = "sealed"
"""Id of the one row that says how much of the log all members have signed."""


class Timer(Row, frozen=True):
    """Something due at a block time: a derived entry of `kind` for `key`. Id `<due_ms>/<kind>/<key>`."""

    table: ClassVar[str] = "timer"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("done", "due_ms"),)
    due_ms: int
    kind: str
    key: str
    done: bool = False


def timer_id(due_ms: int, kind: str, timer_key: str) -> str:
    """Id of a timer: sorts by due time."""
    return f"{due_ms:016d}/{kind}/{timer_key}"


def set_timer(rows: Rows, due_ms: int, kind: str, timer_key: str) -> None:
    """Arm a timer; its key (Timer, timer_id) must be in the access set."""
    rows.put(Timer(timer_id(due_ms, kind, timer_key), due_ms, kind, timer_key))


class SealWait(Row, frozen=True):
    """Something that becomes final when `sealed_size > index` (decisions 21). Id `<kind>/<key>`."""

    table: ClassVar[str] = "seal_wait"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("done", "index"),)
    index: int
    kind: str
    key: str
    done: bool = False


def wait_for_seal(rows: Rows, place: Place, kind: str, wait_key: str) -> None:
    """Make `kind` happen to `wait_key` once all members have signed past this entry."""
    rows.put(SealWait(f"{kind}/{wait_key}", place.index, kind, wait_key))


class Sealed(Row, frozen=True):
    """How much of the log all members have signed, as the state itself knows it."""

    table: ClassVar[str] = "sealed"
    size: int
    root: str


class Seal(DerivedKind, frozen=True):
    """All members have cosigned a checkpoint of this size; the lines prove it (decisions 7)."""

    kind: ClassVar[str] = "seal"

    root: Digest
    signatures: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)]
    size: Annotated[int, Meta(ge=1)]

    def access(self, key_: str) -> tuple[Key, ...]:
        """The sealed size; what waits for it is added when the block is planned."""
        return (key(Sealed, SEALED),)

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The sealed size only grows."""
        before = rows.get(Sealed, SEALED)
        if before is None or before.size < self.size:
            rows.put(Sealed(SEALED, self.size, self.root))
