"""What happens by itself: timers that fall due, seals, and rows that wait for a seal.

If something must happen later, the due time is a row; the entry is derived into the first block whose time has passed
it, on every replica alike (decisions 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from server.ledger.block import Derived
from server.record.canonical import encode
from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest

SEALED = "sealed"
"""Id of the one row that says how much of the log all members have signed."""


class Timer(Row, frozen=True):
    """Something due at a block time: a derived entry of `kind` for `key`. Id `<kind>/<key>`.

    The due time is no part of the id: a rule must name its rows before it knows the block's time.
    """

    table: ClassVar[str] = "timer"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("done", "due_ms"),)
    due_ms: int
    kind: str
    key: str
    done: bool = False


def timer_key(kind: str, key_: str) -> Key:
    """The row of the timer of `kind` for `key_`."""
    return key(Timer, kind, key_)


def set_timer(rows: Rows, due_ms: int, kind: str, key_: str) -> None:
    """Arm a timer, or arm it anew; its row (`timer_key`) must be in the access set."""
    rows.put(Timer(timer_key(kind, key_).id, due_ms, kind, key_))


def stop_timer(rows: Rows, kind: str, key_: str) -> None:
    """What was due no longer is; its row must be in the access set. A timer that rang stays rung."""
    timer = rows.get(Timer, kind, key_)
    if timer is not None and not timer.done:
        rows.put(Timer(timer.id, timer.due_ms, kind, key_, done=True))


def due_order(timer: Timer) -> tuple[int, str]:
    """Timers stand in a block by due time, then by id as code points (decisions 4): not by a database's collation."""
    return timer.due_ms, timer.id


def due_item(timer: Timer, body: Mapping[str, Any]) -> bytes:
    """The derived entry that a due timer becomes, as an item of a batch (DESIGN.md 2.4)."""
    return encode(Derived(dict(body), timer.due_ms, timer.key, timer.kind))


class SealWait(Row, frozen=True):
    """Something that becomes final when `sealed_size > index` (decisions 21). Id `<kind>/<key>`.

    `without_ms`: the block time from which a quorum's signatures are enough; 0 where all are waited for, however long.
    """

    table: ClassVar[str] = "seal_wait"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("done", "index"),)
    index: int
    kind: str
    key: str
    done: bool = False
    without_ms: int = 0


def wait_for_seal(rows: Rows, place: Place, kind: str, wait_key: str, without_ms: int = 0) -> None:
    """Make `kind` happen to `wait_key` once all members have signed past this entry."""
    rows.put(SealWait(f"{kind}/{wait_key}", place.index, kind, wait_key, without_ms=without_ms))


class Sealed(Row, frozen=True):
    """How much of the log all members have signed, as the state itself knows it."""

    table: ClassVar[str] = "sealed"
    size: int
    root: str


class Seal(DerivedKind, frozen=True):
    """All members have cosigned a checkpoint of this size; the lines prove it (decisions 7).

    A line for each member, in their order; empty for one that ordered evidence bars (decisions 21).
    """

    kind: ClassVar[str] = "seal"
    timed: ClassVar[bool] = False

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
