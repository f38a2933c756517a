"""Cost of a committed ballot: signed ballots a second, latency, node CPU in V, memory; beside others, and in trouble.

    python3 scripts/bench.py [--clients 1,64,256] [--ballots 3000] [--json] [--save FILE]
    python3 scripts/bench.py --beside postgresql,etcd [--rounds 3]      systems of Debian's packages, turn by turn
    python3 scripts/bench.py --scenario killed-primary                  the gap after kill -9 of the primary, under load
    python3 scripts/bench.py --scenario slow-disk [--sync-ms 10]        one node's syncs, then all nodes', take longer
    python3 scripts/bench.py --scenario growth --records N --keep DIR   a ledger that grows; goes on where it stopped

V is the CPU time of one P-256 verification, measured just before and after each turn, so that figures of different
machines compare. Clients are closed loops over raw connections, spread over all nodes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import cluster
import machine
from ballot_load import open_http
from benches import growth, killed_primary, slow_disk
from benches.ballots import NAME, WORDS, measure_ballots
from benches.etcd import running_etcd
from benches.postgresql import running_postgresql
from benches.turn import Turn
from benches.turns import System, system_of, table_lines, take_turns
from electorate import Electorate

PEERS = {"postgresql": machine.DATABASES[0], "etcd": machine.ETCD}
Figures = Turn | killed_primary.Gap | growth.Step
SCENARIOS = ("killed-primary", "slow-disk", "growth")


async def compare(options: argparse.Namespace) -> tuple[Sequence[Figures], list[str]]:
    """Ours and its peers, turn by turn; the figures and the lines of the table."""
    async with contextlib.AsyncExitStack() as stack:
        systems = [await _enter_own(stack, options)]
        systems += [system for name in options.beside if (system := await enter_peer(stack, name)) is not None]
        turns = await take_turns(systems, options.clients, options.ballots, options.rounds, tell_turn)
        return turns, table_lines(turns, systems)


async def _enter_own(stack: contextlib.AsyncExitStack, options: argparse.Namespace) -> System:
    """A throw-away cluster with its electorate."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linli-bench-")))
    nodes = cluster.init_cluster(folder / "cluster", options.nodes, options.port_base or cluster.find_port_base())
    stack.callback(nodes.stop_all)
    nodes.start_all()
    voters = Electorate(await stack.enter_async_context(open_http()), nodes.data, nodes.urls)
    tell("making the electorate ...")
    await voters.gather(options.voters)

    async def turn(clients: int, ballots: int) -> Turn:
        return await measure_ballots(nodes, voters, clients, ballots)

    return System(NAME, WORDS, turn)


async def enter_peer(stack: contextlib.AsyncExitStack, name: str) -> System | None:
    """A running peer; None, and a word with the command that installs it, when it is not on this machine."""
    program = PEERS[name].find()
    if program is None:
        tell(f"{name} is left out; to install it: {machine.install_command([PEERS[name]])}")
        return None
    tell(f"starting {name} ...")
    if name == "etcd":
        return system_of(await stack.enter_async_context(running_etcd(program)))
    return system_of(await stack.enter_async_context(running_postgresql(program)))


async def run_scenario(options: argparse.Namespace) -> tuple[Sequence[Figures], list[str]]:
    """One scenario; its figures and the lines of its table."""
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as temporary:
        folder = options.keep or Path(temporary) / "cluster"
        if options.scenario == "killed-primary":
            gaps = await killed_primary.run(folder, options.clients[-1], options.rounds, tell)
            return gaps, killed_primary.table_lines(gaps)
        if options.scenario == "slow-disk":
            plan = slow_disk.Plan(options.clients[-1], options.ballots, options.rounds, options.sync_ms)
            turns = await slow_disk.run(folder, plan, tell)
            return turns, slow_disk.table_lines(turns, plan)
        steps = await growth.run(folder, options.records, options.clients[-1], tell)
        return steps, growth.table_lines(steps)


def tell(line: str) -> None:
    """Say how far the bench is."""
    print(line, file=sys.stderr, flush=True)


def tell_turn(turn: Turn) -> None:
    """Say what a turn gave."""
    tell(json.dumps(asdict(turn)))


def main(arguments: Sequence[str]) -> int:
    """Command line."""
    options = _parse(arguments)
    figures, lines = asyncio.run(run_scenario(options) if options.scenario else compare(options))
    text = "\n".join(lines)
    if options.json:
        text = json.dumps([asdict(one) for one in figures], indent=1)
    print(text)
    if options.save:
        options.save.write_text(text + "\n", "utf-8")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=_numbers, default=[1, 64, 256], help="numbers of concurrent clients")
    parser.add_argument("--ballots", type=int, default=3_000, help="ballots a turn (a tenth of it for one client)")
    parser.add_argument("--voters", type=int, default=500, help="heads on the roll; each has ten ballots a turn")
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 3, 4, 7), help="node processes")
    parser.add_argument("--port-base", type=int, default=0, help="first public port; 0 finds free ones")
    parser.add_argument("--beside", type=_peers, default=[], help=f"peers: {','.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=1, help="turns of each system, or kills")
    parser.add_argument("--scenario", choices=SCENARIOS, help="instead of the comparison; takes the last of --clients")
    parser.add_argument("--sync-ms", type=int, default=10, help="slow-disk: what a sync takes more")
    parser.add_argument("--records", type=int, default=100_000, help="growth: records of the ledger at the end")
    parser.add_argument("--keep", type=Path, help="a scenario's folder, left behind; growth goes on in it")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--save", type=Path, help="write what is printed to this file as well")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("numbers of clients begin at 1")
    return numbers


def _peers(text: str) -> list[str]:
    names = text.split(",")
    if unknown := sorted(set(names) - PEERS.keys()):
        raise argparse.ArgumentTypeError(f"no peer is called {unknown[0]}")
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
