"""A ledger that grows through the real write path: rate, latency, CPU, memory, disk and receipts at each decade.

Works in a folder that is kept: after Ctrl-C or a fault the next run goes on with the same cluster and voters. It must
not know how anything is stored.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ballot_load import open_http
from benches.ballots import measure_ballots
from benches.turn import P99, Turn, percentile
from cluster import Cluster, find_port_base, init_cluster
from electorate import QUESTIONS, Electorate

VOTERS = 500
RECEIPTS = 100
"""Receipts asked for at a step, of entries anywhere in the log."""
STEPS_A_DECADE = (1, 2, 5)
IDS_KEPT_EVERY = 50
"""Of so many records the id of one is kept."""
VOTERS_FILE, STEPS_FILE, IDS_FILE = "bench-voters.json", "bench-steps.jsonl", "bench-ids.txt"


@dataclass(frozen=True, slots=True)
class Step:
    """Figures at one size of the log; the turn that reached it gives the rate. `disk_mb`: all nodes' folders."""

    size: int
    clients: int
    ballots_per_s: float
    p50_ms: float
    p99_ms: float
    cost_v: float
    memory_mb: float
    disk_mb: float
    receipt_p50_ms: float
    receipt_p99_ms: float
    load_average: float


async def run(folder: Path, records: int, clients: int, tell: Callable[[str], None]) -> list[Step]:
    """Grow the log of the cluster in `folder`, new or known, to so many entries; all steps, also of earlier runs."""
    is_known = (folder / VOTERS_FILE).exists()
    cluster = Cluster(folder) if is_known else init_cluster(folder, port_base=find_port_base())
    try:
        cluster.start_all()
        async with open_http() as http:
            voters = Electorate(http, cluster.data, cluster.urls)
            if is_known:
                voters.resume(folder / VOTERS_FILE)
            else:
                tell("making the electorate ...")
                await voters.gather(VOTERS)
                voters.keep(folder / VOTERS_FILE)
            await _grow(cluster, voters, (records, clients), tell)
    finally:
        cluster.stop_all()
    return read_steps(folder)


async def _grow(cluster: Cluster, voters: Electorate, goal: tuple[int, int], tell: Callable[[str], None]) -> None:
    records, clients = goal
    size = await _size(voters)
    while size < records:
        aim = next_step(size, records)
        ids: list[str] = []
        turn = await measure_ballots(cluster, voters, clients, min(VOTERS * QUESTIONS, max(aim - size, clients)), ids)
        with (cluster.data / IDS_FILE).open("a", encoding="ascii") as file:
            file.writelines(f"{record_id}\n" for record_id in ids[::IDS_KEPT_EVERY])
        size = await _size(voters)
        tell(f"{size} entries, {turn.records_per_s} ballots/s, {turn.cost_v} V")
        if size >= aim:
            step = await _look(cluster, voters, size, turn)
            with (cluster.data / STEPS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(step)) + "\n")


def next_step(size: int, records: int) -> int:
    """The next size to look at: 1, 2 or 5 times a power of ten, from a thousand on, or the end."""
    power = 1_000
    while True:
        for factor in STEPS_A_DECADE:
            if factor * power > size:
                return min(factor * power, records)
        power *= 10


async def _size(voters: Electorate) -> int:
    state: dict[str, Any] = await voters.officer().call("GET", "/api/v1/cluster")
    return int(state["size"])


async def _look(cluster: Cluster, voters: Electorate, size: int, turn: Turn) -> Step:
    ids = (cluster.data / IDS_FILE).read_text("ascii").split()
    receipts = await _receipt_times(voters, ids)
    return Step(
        size,
        turn.clients,
        turn.records_per_s,
        turn.p50_ms,
        turn.p99_ms,
        turn.cost_v,
        turn.memory_mb,
        round(disk_mb(cluster.data), 1),
        round(percentile(receipts, 0.5), 1),
        round(percentile(receipts, P99), 1),
        round(os.getloadavg()[0], 1),
    )


async def _receipt_times(voters: Electorate, ids: Sequence[str]) -> list[float]:
    """Milliseconds of receipts by id, one after the other, of records from anywhere in the log."""
    times: list[float] = []
    officer = voters.officer()
    chance = random.Random(len(ids))  # noqa: S311 - places to look at, no secret
    for record_id in chance.choices(ids, k=RECEIPTS):
        begin = time.perf_counter()
        await officer.call("GET", f"/api/v1/records/{record_id}/receipt")
        times.append((time.perf_counter() - begin) * 1000)
    return times


def disk_mb(folder: Path) -> float:
    """Megabytes that the files of a folder take on the disk, however long they claim to be."""
    return sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file()) * 512 / 2**20


def read_steps(folder: Path) -> list[Step]:
    """The steps that were reached in this folder. Raises ValueError for a line that is none."""
    try:
        lines = (folder / STEPS_FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [Step(**json.loads(line)) for line in lines]


def table_lines(steps: Sequence[Step]) -> list[str]:
    """A line a step, and the last beside the first."""
    names = [field.name for field in fields(Step)]
    lines = [" ".join(f"{name:>14}" for name in names)]
    lines += [" ".join(f"{value:14}" for value in asdict(step).values()) for step in steps]
    if len(steps) > 1:
        first, last = steps[0], steps[-1]
        lines.append(
            f"at {last.size} / at {first.size}: CPU {last.cost_v / first.cost_v:.2f}, memory"
            f" {last.memory_mb / first.memory_mb:.2f}, receipt {last.receipt_p50_ms / first.receipt_p50_ms:.2f};"
            f" {last.disk_mb / last.size * 1000:.2f} MB of disk a thousand records on all nodes"
        )
    return lines
