"""What one seed does: each seed takes a random subset of faults (swarm testing, as TigerBeetle's VOPR does)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from tests.simulation.network import CALM, Weather

FAULT_PHASE_MS = 20_000
RECORDS = 24


@dataclass(frozen=True, slots=True)
class Options:
    """A whole run. The same options give the same run, event for event."""

    nodes: int
    seed: int
    mode: Literal["available", "strict"] = "available"
    twins: bool = False
    liar: str = ""
    """What one member does that no honest one does: a name of `liars.NAMES`; empty: all are honest."""
    skip: frozenset[str] = frozenset()
    """Barriers that the drivers leave out: mutants for the oracles to catch."""
    weather: Weather = CALM
    fault_ms: int = FAULT_PHASE_MS
    records: int = RECORDS
    partition: float = 0.0
    crash: float = 0.0
    """Probability of a crash, each half second and node."""
    crash_between: float = 0.0
    """Probability of a crash before any one effect."""
    nemesis: float = 0.0
    """Probability that a node crashes right after it sent a vote, while another is isolated."""
    mute: float = 0.0
    """Probability that, after a NEW-VIEW was sent, votes of all nodes are lost for some seconds."""
    lone: float = 0.0
    """Probability that COMMITs reach one node only, which stores the block and at once falls silent."""
    pause: float = 0.0
    sync_ms: int = 1
    skew_ms: int = 0
    drift_ppm: int = 0
    """Clocks differ by up to skew_ms from the start, and run up to this fast or slow."""
    truncate_every: int = 64
    work_ms: int = 2
    """Mean time of building, checking, executing, storing."""
    leap: float = 0.0
    """Probability, each half second, that all clocks leap forward: minutes or hours in which nobody did anything."""
    clog: float = 0.0
    """Probability, each half second, that what one node sends to another waits for up to five seconds."""
    jump: float = 0.0
    """Probability, each half second, that one node's clock jumps, or is put right again."""
    stall: float = 0.0
    """Probability that a sync takes up to three seconds."""
    disk_error: float = 0.0
    """Probability that a sync fails: the disk is full, or says that it could not. The node ends and starts again."""
    rot: float = 0.0
    """Probability that a crashed node finds its journal damaged: a bit flipped, a record where another belongs."""
    serve_rot: float = 0.0
    """Probability that a block which a peer asks for comes from the disk with a bit flipped."""
    restore: float = 0.0
    """Probability that a crashed node's ledger is put back from a copy some blocks old; journal and signer are not."""
    lose: float = 0.0
    """Probability that a crashed node has lost its ledger, or its whole disk, and joins by a snapshot."""
    deceive: float = 0.0
    """Probability that an answer to a joining node is wrong, or does not come."""
    upgrades: bool = False
    """Nodes begin with an older release and get a later one in turn, whose rules are then activated."""
    changes: int = 0
    """How often operators change who the members are."""
    waves: int = 0
    """How often, after everything is done, some days pass and clients come again."""


def swarm(
    nodes: int,
    seed: int,
    twins: bool = False,
    skip: frozenset[str] = frozenset(),
    liar: str = "",
    strict: bool = False,
    later: bool = True,
) -> Options:
    """The options of a seed. `later`: with the faults that came later. `strict`: everybody's vote is asked for; else
    one seed in ten does so."""
    twins = twins or liar == "twin"
    random = Random(f"swarm {nodes} {seed} {twins}")
    weather = Weather(
        loss=random.choice([0, 0.02, 0.1, 0.25]),
        duplicate=random.choice([0, 0.1, 0.4]),
        replay=random.choice([0, 0, 0.02]),
        delay_ms=random.choice([2, 15, 60]),
        spike=random.choice([0, 0, 0.01]),
    )
    options = Options(
        nodes,
        seed,
        twins=twins,
        liar="twin" if twins else liar,
        skip=skip,
        weather=weather,
        partition=0.3 if twins else random.choice([0, 0.08, 0.3]),
        crash=random.choice([0, 0, 0.02, 0.05]),
        crash_between=random.choice([0, 0, 0.001, 0.005]),
        nemesis=random.choice([0, 0, 0.02, 0.05]),
        pause=random.choice([0, 0, 0.03]),
        sync_ms=random.choice([0, 1, 5, 20]),
        skew_ms=random.choice([0, 200, 1_500]),
        drift_ppm=random.choice([0, 200, 5_000]),
        work_ms=random.choice([1, 2, 10]),
        truncate_every=random.choice([1, 4, 64]),
        mute=random.choice([0, 0, 0.1, 0.5]),
        lone=random.choice([0, 0, 0.02, 0.1]),
    )
    if random.random() < 0.1 or strict:
        options = replace(options, mode="strict")
    options = _later_faults(options) if later else options
    return options if nodes > 1 else replace(options, partition=0, weather=Weather())


def _later_faults(options: Options) -> Options:
    """Faults that came later, drawn by themselves: the older ones stay in each seed what they were."""
    random = Random(f"later {options.nodes} {options.seed} {options.liar}")
    options = replace(
        options,
        clog=random.choice([0, 0, 0.1]),
        jump=random.choice([0, 0, 0.05]),
        stall=random.choice([0, 0, 0.01]),
        disk_error=random.choice([0, 0, 0.002]),
        rot=random.choice([0, 0, 0, 0.2]),
        serve_rot=random.choice([0, 0, 0.2]),
    )
    bears_it = options.nodes > 1 and not options.rot and not options.liar
    if bears_it and random.random() < 0.2:
        options = replace(options, restore=0.3, crash=max(options.crash, 0.02))
    return replace(options, crash=0.05) if options.liar == "restored" else options


def days(
    nodes: int,
    seed: int,
    twins: bool = False,
    skip: frozenset[str] = frozenset(),
    *,
    upgrades: bool = False,
    liar: str = "",
) -> Options:
    """The options of a seed with leaps of time: for rules that know deadlines."""
    random = Random(f"days {nodes} {seed} {twins}")
    options = swarm(nodes, seed, twins, skip, liar, later=False)
    records, leap, waves = random.choice([30, 45, 60]), random.choice([0, 0.05, 0.15]), random.choice([0, 1, 2])
    options = replace(options, records=records, leap=leap, waves=waves, upgrades=upgrades)
    return joins(options) if _loses(nodes, seed, twins, options) else options


def _loses(nodes: int, seed: int, twins: bool, options: Options) -> bool:
    """One seed in three, where the others can go on for ever without the node that has lost its disk."""
    may_lose = nodes > 1 and not twins and not options.liar and options.mode == "available"
    return may_lose and Random(f"lose {seed}").random() < 1 / 3


def joins(options: Options) -> Options:
    """The same seed, and a node that loses its disk again and again while those who should help it deceive it. Of the
    other faults those that leave the cluster time to go on: who has nothing to join learns nothing."""
    crash, partition = min(options.crash, 0.02), min(options.partition, 0.08)
    return replace(options, lose=0.7, deceive=0.6, crash=crash, partition=partition, nemesis=0, mute=0, lone=0)
