"""Run whole clusters in one process each, from seeds, with faulty networks and disks, and judge them by oracles.

    python3 scripts/simulate.py --nodes 3 --seeds 1..300
    python3 scripts/simulate.py --nodes 3 --seeds 17..17 --trace     one seed again, as a story
    python3 scripts/simulate.py --nodes 4 --seeds 1..100 --twins     one member runs twice, with one key
    python3 scripts/simulate.py --nodes 3 --seeds 1..20 --skip vote  a broken driver: the oracles must notice
    python3 scripts/simulate.py --nodes 3 --seeds 1..50 --rules      the platform's own rules, and phones that use them

Both ends of A..B are run. Prints one line for each failing seed, with the command that replays it; exits 0 only if no
oracle fired. With --twins and 3 nodes, forks of committed blocks are counted and are no failure: three nodes tolerate
no liar (the member that runs twice is one); what all members sealed never conflicts.

Without --rules the cluster runs a small application, a tenth of the cost: for the protocol. With --rules it executes
signed records of every kind, for days of virtual time, and an audit with books of its own judges the log and the rows.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import environment

if TYPE_CHECKING:
    from tests.simulation.world import Report, World

CHUNK = 4
"""Seeds handed to a worker at a time: a seed takes tens of milliseconds."""


Note = Callable[[int, str, str], None]


class Job(NamedTuple):
    """One seed and what is done with it."""

    nodes: int
    seed: int
    twins: bool
    skip: frozenset[str]
    rules: bool


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    sys.path.insert(0, str(environment.ROOT))
    if options.trace:
        return _trace(options)
    began = time.monotonic()
    reports = []
    for report in _run_all(options):
        reports.append(report)
        if report.failures and not options.json:
            print(f"seed {report.seed}: {report.failures[0]}; replay: {_replay(options, report.seed)}", flush=True)
    summary = _summary(options, reports, time.monotonic() - began)
    print(json.dumps(summary, sort_keys=True) if options.json else _in_words(summary))
    return 1 if summary["failed"] else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="simulate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, choices=(1, 3, 4, 7), default=3, help="nodes of each cluster")
    parser.add_argument("--seeds", type=_seeds, default=range(1, 101), metavar="A..B", help="seeds, both ends included")
    parser.add_argument("--twins", action="store_true", help="one member runs twice with the same key")
    parser.add_argument("--rules", action="store_true", help="run the rules of the platform, not a small application")
    parser.add_argument("--skip", action="append", default=[], help="leave out one barrier of the sync table")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    parser.add_argument("--trace", action="store_true", help="tell the first seed as a story")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.parse_args(arguments)
    if options.twins and options.nodes == 1:
        parser.error("--twins needs more than one node")
    return options


def _seeds(text: str) -> range:
    first, separator, last = text.partition("..")
    if not separator or not first.isdigit() or not last.isdigit() or int(last) < int(first):
        raise argparse.ArgumentTypeError("seeds are written A..B, with A not greater than B")
    return range(int(first), int(last) + 1)


def _run_all(options: argparse.Namespace) -> Iterator["Report"]:
    jobs = [_job(options, seed) for seed in options.seeds]
    processes = max(1, min(options.jobs, len(jobs) // CHUNK))
    if processes == 1:
        yield from map(_run_one, jobs)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(_run_one, jobs, CHUNK)


def _job(options: argparse.Namespace, seed: int) -> Job:
    return Job(options.nodes, seed, options.twins, frozenset(options.skip), options.rules)


def _run_one(job: Job) -> "Report":
    return _make_world(job).run()


def _make_world(job: Job, note: "Note | None" = None) -> "World":
    from tests.simulation.options import days, swarm
    from tests.simulation.rules import DomainScene
    from tests.simulation.small import SmallScene
    from tests.simulation.world import World

    choose = days if job.rules else swarm
    chosen = choose(job.nodes, job.seed, job.twins, job.skip)
    return World(chosen, note, DomainScene if job.rules else SmallScene)


def _trace(options: argparse.Namespace) -> int:
    def note(now: int, who: str, what: str) -> None:
        print(f"{now:>7} ms  {who:<10} {what}")

    world = _make_world(_job(options, options.seeds[0]), note)
    print(world.options)
    report = world.run()
    print(report)
    return 1 if report.failures else 0


def _replay(options: argparse.Namespace, seed: int) -> str:
    flags = [" --twins" if options.twins else "", " --rules" if options.rules else ""]
    extra = "".join([*flags, *[f" --skip {name}" for name in options.skip]])
    return f"python3 scripts/simulate.py --nodes {options.nodes} --seeds {seed}..{seed}{extra} --trace"


def _summary(options: argparse.Namespace, reports: list["Report"], seconds: float) -> dict[str, object]:
    failed = [report for report in reports if report.failures]
    return {
        "nodes": options.nodes,
        "twins": options.twins,
        "rules": options.rules,
        "seeds": len(reports),
        "failed": [dict(asdict(report), replay=_replay(options, report.seed)) for report in failed],
        "events": sum(report.events for report in reports),
        "blocks": sum(report.blocks for report in reports),
        "with_view_changes": sum(report.views > 0 for report in reports),
        "with_forks": sum(report.forks > 0 for report in reports),
        "seconds": round(seconds, 1),
    }


def _in_words(summary: dict[str, object]) -> str:
    failed = summary["failed"]
    assert isinstance(failed, list)
    verdict = f"{len(failed)} FAILED" if failed else "no oracle fired"
    forks = f", {summary['with_forks']} with forks of committed blocks" if summary["twins"] else ""
    rules = " with the platform's rules" if summary["rules"] else ""
    return (
        f"{summary['seeds']} seeds of {summary['nodes']} nodes{rules} in {summary['seconds']} s: {verdict}; "
        f"{summary['blocks']} blocks, {summary['events']} events, "
        f"{summary['with_view_changes']} with view changes{forks}"
    )


if __name__ == "__main__":
    environment.reexec_in_environment()
    sys.exit(main(sys.argv[1:]))
