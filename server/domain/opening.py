"""The opening of a motion: an entry of its own on the ledger, at the announced time. Pure, and by time alone."""

from __future__ import annotations

from typing import ClassVar

from server.domain.motion import OPEN, OPENING, Motion, step
from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Rows, key


class OpenMotion(DerivedKind, frozen=True):
    """From here on ballots count. The key is the motion's id."""

    kind: ClassVar[str] = OPENING

    def access(self, key_: str) -> tuple[Key, ...]:
        """The motion."""
        return (key(Motion, key_),)

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """The announced time has come; a cancelled motion's timer was stopped."""
        motion = rows.get(Motion, key_)
        assert motion is not None, "the timer is armed when the motion is announced"
        rows.put(step(motion, OPEN))
