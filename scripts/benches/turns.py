"""Systems that take turns within one run, so that what befalls the machine befalls all of them; and the table of it.

It must not know what the systems are.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benches.peer import Peer
from benches.turn import Turn, judge_turn, measure_v, middle
from benches.usage import read_usage

ONE_CLIENT_PART = 10
"""A lone client is given this part of the records: it is slow, and its median needs few."""


@dataclass(frozen=True, slots=True)
class System:
    """Something that can take a turn: given clients and records."""

    name: str
    words: str
    turn: Callable[[int, int], Awaitable[Turn]]


class RecordsLost(Exception):
    """A peer holds another number of records than it acknowledged: its figures mean nothing."""


def system_of(peer: Peer) -> System:
    """A peer as a system that takes turns; after each its records are counted."""

    async def turn(clients: int, records: int) -> Turn:
        held = await peer.count()
        v_us, before = measure_v(), read_usage(peer.pids())
        work = await peer.append(clients, records)
        after = read_usage(peer.pids())
        v_us = (v_us + measure_v()) / 2
        if await peer.count() != held + len(work.times_ms):
            raise RecordsLost(f"{peer.name} acknowledged {len(work.times_ms)} and holds {await peer.count() - held}")
        return judge_turn(peer.name, clients, work, (before, after), v_us)

    return System(peer.name, peer.words, turn)


async def take_turns(
    systems: Sequence[System], clients: Sequence[int], records: int, rounds: int, tell: Callable[[Turn], None]
) -> list[Turn]:
    """For each number of clients: rounds in which each system has one turn, the first one changing."""
    turns: list[Turn] = []
    for number in clients:
        count = records if number > 1 else max(1, records // ONE_CLIENT_PART)
        for place in range(rounds):
            first = place % len(systems)
            for system in (*systems[first:], *systems[:first]):
                turns.append(await system.turn(number, count))
                tell(turns[-1])
    return turns


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians of a system's turns with one number of clients; ranges of the rates show how much the machine drifted."""

    system: str
    clients: int
    rate: float
    rate_min: float
    rate_max: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    cost_v: float
    memory_mb: float
    load_average: float


def summarise(turns: Sequence[Turn]) -> list[Summary]:
    """A summary for each number of clients and system, in the order in which they came first."""
    groups: dict[tuple[int, str], list[Turn]] = {}
    for turn in turns:
        groups.setdefault((turn.clients, turn.system), []).append(turn)
    return [_summary(group) for group in groups.values()]


def _summary(group: Sequence[Turn]) -> Summary:
    rates = [turn.records_per_s for turn in group]
    return Summary(
        group[0].system,
        group[0].clients,
        middle(rates),
        min(rates),
        max(rates),
        middle([turn.p50_ms for turn in group]),
        middle([turn.p99_ms for turn in group]),
        middle([turn.cpu_us for turn in group]),
        middle([turn.cost_v for turn in group]),
        max(turn.memory_mb for turn in group),
        middle([turn.load_average for turn in group]),
    )


_COLUMNS = (
    f"{'clients':>7} {'system':12} {'records/s':>9} {'(least-most)':>15} {'p50 ms':>8} {'p99 ms':>8}"
    f" {'CPU us':>7} {'V':>6} {'MB':>5} {'load':>5}"
)


def table_lines(turns: Sequence[Turn], systems: Sequence[System]) -> list[str]:
    """One page: what the systems are, the medians, and below each number of clients the first system's ratios."""
    v_us = sorted(turn.v_us for turn in turns)
    lines = [f"{system.name}: {system.words}" for system in systems]
    lines.append(
        f"V = {middle(v_us):.0f} us ({v_us[0]:.0f}-{v_us[-1]:.0f} in the run), {os.cpu_count()} cores,"
        f" {platform.machine()}; medians of {len(turns) // len({(turn.clients, turn.system) for turn in turns})} turns"
    )
    summaries = summarise(turns)
    for clients in dict.fromkeys(one.clients for one in summaries):
        group = [one for one in summaries if one.clients == clients]
        lines += ["", _COLUMNS, *map(_line, group)]
        lines += [_ratio_line(group, systems[0].name, other) for other in group if other.system != systems[0].name]
    return lines


def _line(one: Summary) -> str:
    spread = f"({one.rate_min:.0f}-{one.rate_max:.0f})"
    return (
        f"{one.clients:7} {one.system:12} {one.rate:9.1f} {spread:>15} {one.p50_ms:8.1f} {one.p99_ms:8.1f}"
        f" {one.cpu_us:7.0f} {one.cost_v:6.2f} {one.memory_mb:5.0f} {one.load_average:5.1f}"
    )


def _ratio_line(group: Sequence[Summary], first: str, other: Summary) -> str:
    ours = next(one for one in group if one.system == first)
    return (
        f"{'':7} {first} / {other.system}: rate {ours.rate / other.rate:.2f}, p50 {ours.p50_ms / other.p50_ms:.1f},"
        f" p99 {ours.p99_ms / other.p99_ms:.1f}, V {ours.cost_v / other.cost_v:.1f},"
        f" memory {ours.memory_mb / other.memory_mb:.1f}"
    )
