"""Drills on real clusters of node processes on this machine: what they survive, and what accidents look like.

    python3 scripts/drill.py kills [--kills 50] [--seed N]        kill -9 each node in turn, under load
    python3 scripts/drill.py chaos [--seed N] [--seconds 60]      bad networks, pauses, kills, clocks, disks, under load
    python3 scripts/drill.py upgrade [--old COMMIT]               each node gets a later release in turn, under load
    python3 scripts/drill.py down|partition|clone|restore|fork    one accident, step by step, as its operator sees it

Each starts a throw-away cluster of its own. `kills`, `chaos` and `upgrade` read the databases at the end; all exit 0
when every promise held.
"""

from __future__ import annotations

import argparse
import asyncio
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

from drills import accidents, chaos, kills, upgrade
from drills.unshared import is_unshared, reexec_unshared

EXIT_LEFT_OUT = 2
"""What was asked for is not possible on this machine; the words say why."""
ACCIDENT_WORDS = {
    "down": "one node ends without a word",
    "partition": "one node is cut off",
    "clone": "a second living copy of a node",
    "restore": "a node gets back the data of an earlier day",
    "fork": "two histories, and the ceremony that leaves one of them",
}


def main(arguments: Sequence[str]) -> int:
    """Command line."""
    options = _parse(arguments)
    if options.drill == "chaos":
        reexec_unshared("mount")
    if getattr(options, "networks", False):
        reexec_unshared("net")
    with tempfile.TemporaryDirectory(prefix="linli-drill-") as temporary:
        folder = options.keep or Path(temporary) / "cluster"
        if options.drill in accidents.ACCIDENTS:
            return _rehearse(options, folder)
        report = asyncio.run(_run(options, folder))
    if options.json:
        print(json.dumps(asdict(report), indent=1))
    elif isinstance(report, chaos.Report):
        chaos.print_report(report)
    elif isinstance(report, upgrade.Report):
        upgrade.print_report(report)
    else:
        kills.print_report(report)
    return 1 if report.faults else 0


def _rehearse(options: argparse.Namespace, folder: Path) -> int:
    if options.networks and not is_unshared("net"):
        print("separate networks take root, or a machine that gives everybody a user namespace (unshare -rn)")
        return EXIT_LEFT_OUT
    drill = accidents.rehearse(options.drill, folder, options.data, show, is_distant=options.networks)
    return bool(asyncio.run(drill))


async def _run(options: argparse.Namespace, folder: Path) -> chaos.Report | kills.Report | upgrade.Report:
    if options.drill == "chaos":
        troubles = chaos.Plan(options.seed, options.seconds, options.nodes, options.port_base)
        return await chaos.run_chaos(folder, troubles, tell)
    if options.drill == "upgrade":
        return await upgrade.run_upgrade(folder, upgrade.Plan(options.old, options.seed, options.port_base), tell)
    plan = kills.Plan(options.kills, options.seed, options.clients, options.voters, port_base=options.port_base)
    return await kills.run_kills(folder, plan, tell)


def show(line: str) -> None:
    """A line of an accident's screen."""
    print(line, flush=True)


def tell(line: str) -> None:
    """Say how far the drill is."""
    print(line, file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="drill.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    drills = parser.add_subparsers(dest="drill", required=True)
    killing = drills.add_parser("kills", help="kill -9 of each node in turn, under load")
    killing.add_argument("--kills", type=int, default=50, help="how many (50)")
    killing.add_argument("--clients", type=int, default=64, help="closed loops of ballots (64)")
    killing.add_argument("--voters", type=int, default=256, help="heads on the roll, at least one a client (256)")
    troubled = drills.add_parser("chaos", help="seeded troubles of network, processes and machines, under load")
    troubled.add_argument("--seconds", type=float, default=60.0, help="how long troubles begin (60)")
    troubled.add_argument("--nodes", type=int, default=3, choices=(3, 4, 7), help="node processes (3)")
    renewed = drills.add_parser("upgrade", help="each node gets a later release in turn, under load")
    renewed.add_argument("--old", default="", metavar="COMMIT", help="an earlier commit is the older release")
    for drill in (killing, troubled, renewed):
        drill.add_argument("--seed", type=int, default=1, help="of the plan (1)")
        drill.add_argument("--port-base", type=int, default=0, help="first public port; 0 finds free ones")
        drill.add_argument("--json", action="store_true", help="print the report as JSON")
    accident = {name: drills.add_parser(name, help=words) for name, words in ACCIDENT_WORDS.items()}
    for drill in accident.values():
        drill.add_argument("--data", type=Path, help="work on a copy of this stopped cluster instead of a new one")
        drill.set_defaults(networks=False)
    for name in ("down", "partition"):
        words = "each node in a network namespace of its own, with lines that are really cut"
        accident[name].add_argument("--networks", action="store_true", help=words)
    for drill in (killing, troubled, renewed, *accident.values()):
        drill.add_argument("--keep", type=Path, help="work in this new folder and leave it behind")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
