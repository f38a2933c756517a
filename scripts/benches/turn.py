"""One turn of one system: what is measured, and the unit V. It must not know which systems there are.

V is the CPU time of one P-256 verification with a parsed key, measured just before and after each turn, so that figures
of different machines and moments compare.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benches.usage import Usage
from server.record.signature import DeviceSigner, verify

V_ROUNDS = 2_000
P99 = 0.99


@dataclass(frozen=True, slots=True)
class Turn:
    """Figures of one turn. `cpu_us` and `cost_v`: CPU of all the system's processes for one committed record."""

    system: str
    clients: int
    records: int
    seconds: float
    records_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    cost_v: float
    v_us: float
    memory_mb: float
    load_average: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a turn did: its wall seconds, and the milliseconds that each record took."""

    seconds: float
    times_ms: Sequence[float]


def measure_v() -> float:
    """CPU microseconds of one P-256 verification with a parsed key."""
    signer = DeviceSigner.generate()
    point, message = signer.public.point(), b"x" * 400
    signature = signer.sign(message)
    verify(point, message, signature)
    begin = time.process_time()
    for _ in range(V_ROUNDS):
        verify(point, message, signature)
    return (time.process_time() - begin) / V_ROUNDS * 1e6


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part of the values lies (nearest rank). Raises ValueError when there is none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def judge_turn(system: str, clients: int, work: Work, usage: tuple[Usage, Usage], v_us: float) -> Turn:
    """The figures of a turn, from the usage before and after it. Raises ValueError when nothing was committed."""
    before, after = usage
    count = len(work.times_ms)
    p50, p99 = percentile(work.times_ms, 0.5), percentile(work.times_ms, P99)
    cpu_us = after.cpu_since(before) / count * 1e6
    return Turn(
        system,
        clients,
        count,
        round(work.seconds, 2),
        round(count / work.seconds, 1),
        round(p50, 1),
        round(p99, 1),
        round(cpu_us, 1),
        round(cpu_us / v_us, 2),
        round(v_us, 1),
        round(after.memory_mb),
        round(os.getloadavg()[0], 1),
    )


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)
