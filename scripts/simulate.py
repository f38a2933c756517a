"""Run whole clusters in one process each, from seeds, with faulty networks and disks, and judge them by oracles.

    python3 scripts/simulate.py --nodes 3 --seeds 1..300
    python3 scripts/simulate.py --nodes 3 --seeds 17..17 --trace     one seed again, as a story
    python3 scripts/simulate.py --nodes 4 --seeds 1..100 --twins     one member runs twice, with one key
    python3 scripts/simulate.py --nodes 3 --seeds 1..20 --skip vote  a broken driver: the oracles must notice

Both ends of A..B are run. Prints one line for each failing seed, with the command that replays it; exits 0 only if no
oracle fired. With --twins and 3 nodes, forks of committed blocks are counted and are no failure: three nodes tolerate
no liar (the member that runs twice is one); what all members sealed never conflicts.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from tests.simulation.world import Report

CHUNK = 4
"""Seeds handed to a worker at a time: a seed takes tens of milliseconds."""


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
    jobs = [(options.nodes, seed, options.twins, tuple(options.skip)) for seed in options.seeds]
    processes = max(1, min(options.jobs, len(jobs) // CHUNK))
    if processes == 1:
        yield from map(_run_one, jobs)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(_run_one, jobs, CHUNK)


def _run_one(job: tuple[int, int, bool, tuple[str, ...]]) -> "Report":
    from tests.simulation.options import swarm
    from tests.simulation.world import run

    nodes, seed, twins, skip = job
    return run(swarm(nodes, seed, twins, frozenset(skip)))


def _trace(options: argparse.Namespace) -> int:
    from tests.simulation.options import swarm
    from tests.simulation.world import World

    def note(now: int, who: str, what: str) -> None:
        print(f"{now:>7} ms  {who:<10} {what}")

    chosen = swarm(options.nodes, options.seeds[0], options.twins, frozenset(options.skip))
    print(chosen)
    report = World(chosen, note).run()
    print(report)
    return 1 if report.failures else 0


def _replay(options: argparse.Namespace, seed: int) -> str:
    extra = "".join([" --twins" if options.twins else "", *[f" --skip {name}" for name in options.skip]])
    return f"python3 scripts/simulate.py --nodes {options.nodes} --seeds {seed}..{seed}{extra} --trace"


def _summary(options: argparse.Namespace, reports: list["Report"], seconds: float) -> dict[str, object]:
    failed = [report for report in reports if report.failures]
    return {
        "nodes": options.nodes,
        "twins": options.twins,
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
    return (
        f"{summary['seeds']} seeds of {summary['nodes']} nodes in {summary['seconds']} s: {verdict}; "
        f"{summary['blocks']} blocks, {summary['events']} events, "
        f"{summary['with_view_changes']} with view changes{forks}"
    )


if __name__ == "__main__":
    environment.reexec_in_environment()
    sys.exit(main(sys.argv[1:]))
