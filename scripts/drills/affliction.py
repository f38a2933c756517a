"""What a drill does to a node's machine while it runs: a clock that jumps, a disk that takes its time. No root needed.

Two numbers in a file that the node's process maps into its memory (scripts/drills/afflicted says what they do there).
The node's own code and command are those of every day. A drill writes, the node reads, nobody waits.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "afflicted"
_VALUES = struct.Struct("<qq")


class Affliction:
    """Mutable. The affliction of one node; none at first."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(_VALUES.pack(0, 0))
        self._path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _VALUES.size)

    def set(self, clock_ms: int = 0, sync_ms: int = 0) -> None:
        """From now on the wall clock is `clock_ms` ahead (behind if negative), and each sync takes `sync_ms` more."""
        _VALUES.pack_into(self._memory, 0, clock_ms, sync_ms)

    def variables(self) -> dict[str, str]:
        """What must stand in the environment of a process that is to feel it."""
        paths = [str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths), "LINLI_AFFLICTION": str(self._path)}
