"""Loaded by Python itself into a process that a drill afflicts: its clock is shifted, its syncs take longer.

What the operating system would do is done where Python meets it: `time.time` and `time.time_ns` for the wall clock,
`os.fsync` and `os.fdatasync` for a slow disk. Timers run on the monotonic clock, which no jump touches; SQLite's own
syncs are made in C and stay as fast as they are. The values are read at each call from the file that
`scripts/drills/affliction.py` writes. It must not know what the process is.
"""

import mmap
import os
import struct
import time
from pathlib import Path

_VALUES = struct.Struct("<qq")


def _afflict(path: str) -> None:
    with Path(path).open("rb") as file:
        memory = mmap.mmap(file.fileno(), _VALUES.size, access=mmap.ACCESS_READ)
    true_time, true_time_ns = time.time, time.time_ns
    true_fsync, true_fdatasync = os.fsync, os.fdatasync

    def shifted_time() -> float:
        return true_time() + int(_VALUES.unpack_from(memory)[0]) / 1_000

    def shifted_time_ns() -> int:
        return true_time_ns() + int(_VALUES.unpack_from(memory)[0]) * 1_000_000

    def slow_fsync(descriptor: int) -> None:
        time.sleep(_VALUES.unpack_from(memory)[1] / 1_000)
        true_fsync(descriptor)

    def slow_fdatasync(descriptor: int) -> None:
        time.sleep(_VALUES.unpack_from(memory)[1] / 1_000)
        true_fdatasync(descriptor)

    vars(time).update(time=shifted_time, time_ns=shifted_time_ns)
    vars(os).update(fsync=slow_fsync, fdatasync=slow_fdatasync)


if "LINLI_AFFLICTION" in os.environ:
    _afflict(os.environ["LINLI_AFFLICTION"])
