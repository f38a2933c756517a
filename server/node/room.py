"""Is there room on the disk of the data folder? A node without room ends, and does not begin before there is some.

It must not know what needs the room. DESIGN.md D23 says why the node ends instead of waiting.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from server.limits import MIB

ROOM_BYTES_MIN = 48 * MIB
"""SQLite's WAL grows to 32 MB before it is moved into the file; a start may write as much before it votes again."""
_FULL_WORDS = ("No space left on device", "disk is full", "Disk quota exceeded", "File too large")
"""Of Linux (ENOSPC, EDQUOT, EFBIG) and SQLite (SQLITE_FULL): a quota is not seen in the file system's free bytes."""


class NoRoom(Exception):
    """The disk is full: the node does not begin. The message says what to do."""


def check_room(folder: Path) -> None:
    """Raise NoRoom unless a node that keeps its data in `folder` has room to begin."""
    free = shutil.disk_usage(folder).free
    if free < ROOM_BYTES_MIN:
        raise NoRoom(
            f"the disk of {folder} has {free // MIB} MiB free; a node begins with {ROOM_BYTES_MIN // MIB} at least. "
            "Make room: nothing was lost, and the node starts where it ended."
        )


def lacks_room(folder: Path, failure: str) -> bool:
    """Did a node that ended with these words end because its disk is full?

    SQLite may call it an I/O error, so the disk is asked as well.
    """
    return any(word in failure for word in _FULL_WORDS) or shutil.disk_usage(folder).free < MIB
