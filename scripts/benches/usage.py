"""CPU time and memory of running programs, each with all its processes. It must not know what the programs do.

CPU comes from each process's own CPU clock (clock_getcpuclockid(3)), which counts nanoseconds and all threads, also
those that ended. /proc/PID/stat counts ticks of 10 ms, which is more than a short turn of a cheap system costs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CPUCLOCK_SCHED = 2
"""Of the kernel's posix-timers.h: the precise clock of a process stands in the lowest three bits of a clock's id."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What some processes used so far: CPU seconds by process id, and megabytes that they hold now."""

    cpu_s: dict[int, float]
    memory_mb: float

    def cpu_since(self, before: Usage) -> float:
        """CPU seconds between two looks. A process that ended in between is not counted, one that began is."""
        return sum(seconds - before.cpu_s.get(pid, 0.0) for pid, seconds in self.cpu_s.items())


def read_usage(roots: Iterable[int]) -> Usage:
    """Usage of these processes and all that descend from them.

    Raises ProcessLookupError when a root does not live: a cost of nothing would be a lie.
    """
    parents = _read_parents()
    wanted = set(roots)
    for root in wanted:
        if root not in parents:
            raise ProcessLookupError(f"process {root} does not live")
    cpu_s: dict[int, float] = {}
    memory_mb = 0.0
    for pid in parents:
        if not _descends(pid, wanted, parents):
            continue
        try:
            cpu_s[pid] = process_cpu_s(pid)
            memory_mb += _proportional_mb(pid)
        except OSError:
            continue  # it ended while we looked
    return Usage(cpu_s, memory_mb)


def process_cpu_s(pid: int) -> float:
    """User and system seconds of all threads of a process so far. Raises OSError when it does not live."""
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


def _proportional_mb(pid: int) -> float:
    """Memory of a process; what it shares is divided among those that share it (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("\nPss:")[1].split()[0]) / 1024


def _read_parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(path.parent.name)] = int(fields[1])
    return parents


def _descends(pid: int, roots: set[int], parents: dict[int, int]) -> bool:
    while pid and pid not in roots:
        pid = parents.get(pid, 0)
    return pid in roots
