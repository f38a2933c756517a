"""Run whole clusters in one process each, from seeds, with faulty networks and disks, and judge them by oracles.

    python3 scripts/simulate.py --nodes 3 --seeds 1..300
    python3 scripts/simulate.py --nodes 3 --seeds 17..17 --trace     one seed again, as a story
    python3 scripts/simulate.py --nodes 4 --liar stranger            one member lies, in this way (--liar x lists them)
    python3 scripts/simulate.py --nodes 3 --liar twin --strict       everybody's vote is asked for
    python3 scripts/simulate.py --nodes 3 --seeds 1..20 --skip vote  a broken driver: the oracles must notice
    python3 scripts/simulate.py --nodes 3 --seeds 1..50 --rules      the platform's own rules, and phones that use them
    python3 scripts/simulate.py --rules --upgrades                   a later release in turn, and its rules begin
    python3 scripts/simulate.py --nodes 3 --seeds 1..50 --rules --changes 4    members join, leave and take new keys
    python3 scripts/simulate.py --rules --upgrades --changes 10      both at once
    python3 scripts/simulate.py --rules --changes 12 --liar keeps-old-keys     a retired key signs on: is it found?
    python3 scripts/simulate.py --mixed                              2,000 seeds of every kind, with progress
    python3 scripts/simulate.py --nightly                            50,000 of them
    python3 scripts/simulate.py --mutants                            what the oracles are worth: broken rules they catch

Both ends of A..B are run. A failing seed is told with the commit, its options and the command that replays it; the
program exits 0 only if no oracle fired (with --mutants: only if each mutant is caught, and by whom it should be).

Three nodes tolerate no liar: with some of them forks of committed blocks are counted and are no failure. That nobody
honest is ever blamed, and that what all members sealed never conflicts, holds there too.

Without --rules the cluster runs a small application, a tenth of the cost: for the protocol. With --rules it executes
signed records of every kind, for days of virtual time, and an audit with books of its own judges the log and the rows.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import environment

if TYPE_CHECKING:
    from tests.simulation.lots import Lot
    from tests.simulation.world import Report

CHUNK = 4
"""Seeds handed to a worker at a time: a seed takes tens of milliseconds."""
MIXED, NIGHTLY = range(1, 2_001), range(1, 50_001)
PROGRESS_S = 5.0


class Run(NamedTuple):
    """A lot and how it went."""

    lot: "Lot"
    report: "Report"


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    if options.mutants:
        return _show_mutants()
    lots = _lots(options)
    if options.trace:
        return _trace(lots[0])
    began = time.monotonic()
    runs = []
    for run in _run_all(lots, options.jobs, _progress(len(lots), options.mixed)):
        runs.append(run)
        if run.report.failures and not options.json:
            print(_in_full(run), flush=True)
    summary = _summary(options, runs, time.monotonic() - began)
    print(json.dumps(summary, sort_keys=True) if options.json else _in_words(summary))
    return 1 if summary["failed"] else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="simulate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, choices=(1, 3, 4, 7), default=3, help="nodes of each cluster")
    parser.add_argument("--seeds", type=_seeds, default=None, metavar="A..B", help="seeds, both ends included")
    parser.add_argument("--liar", default="", metavar="NAME", help="what one member does that no honest one does")
    parser.add_argument("--twins", action="store_const", const="twin", dest="liar", help="the same as --liar twin")
    parser.add_argument("--strict", action="store_true", help="every vote is needed: stop rather than fork")
    parser.add_argument("--rules", action="store_true", help="run the rules of the platform, not a small application")
    parser.add_argument("--upgrades", action="store_true", help="with --rules: nodes get a later release in turn")
    parser.add_argument("--changes", type=int, default=0, metavar="N", help="with --rules: other members, N times")
    parser.add_argument("--skip", action="append", default=[], help="leave out one barrier of the sync table")
    parser.add_argument("--mixed", action="store_true", help="the seed chooses nodes, liar, mode and rules as well")
    parser.add_argument("--nightly", action="store_true", help="--mixed with 50,000 seeds")
    parser.add_argument("--mutants", action="store_true", help="break one rule after another; who notices, and when")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    parser.add_argument("--trace", action="store_true", help="tell the first seed as a story")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.parse_args(arguments)
    options.mixed = options.mixed or options.nightly
    options.seeds = options.seeds or (NIGHTLY if options.nightly else MIXED if options.mixed else range(1, 101))
    _check_liar(parser, options)
    return options


def _check_liar(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    from tests.simulation.liars import KEEPS_OLD_KEYS, NAMES, WITH_CHANGES

    if options.liar and options.liar not in (*NAMES, *WITH_CHANGES):
        parser.error(f"--liar is one of {', '.join((*NAMES, *WITH_CHANGES))}")
    if options.liar and options.nodes == 1:
        parser.error("a liar needs more than one node")
    if options.upgrades and (options.liar or not options.rules):
        parser.error("--upgrades goes with --rules, where nobody lies")
    if options.liar not in ("", "twin", KEEPS_OLD_KEYS) and options.rules:
        parser.error(f"with --rules the only liars are twin, which lies in what it proposes, and {KEEPS_OLD_KEYS}")
    if options.liar == KEEPS_OLD_KEYS and not options.changes:
        parser.error(f"{KEEPS_OLD_KEYS} needs --changes: else no key is ever retired")


def _seeds(text: str) -> range:
    first, separator, last = text.partition("..")
    if not separator or not first.isdigit() or not last.isdigit() or int(last) < int(first):
        raise argparse.ArgumentTypeError("seeds are written A..B, with A not greater than B")
    return range(int(first), int(last) + 1)


def _lots(options: argparse.Namespace) -> list["Lot"]:
    from tests.simulation.lots import Lot, mixed

    if options.mixed:
        return [mixed(seed) for seed in options.seeds]
    skip = frozenset(options.skip)
    told = (options.liar, options.strict, options.rules, options.upgrades, options.changes, skip)
    return [Lot(options.nodes, seed, *told) for seed in options.seeds]


def _run_all(lots: Sequence["Lot"], jobs: int, progress: Callable[[Run], None]) -> Iterator[Run]:
    processes = max(1, min(jobs, len(lots) // CHUNK))
    if processes == 1:
        for run in map(_run_one, lots):
            progress(run)
            yield run
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for run in pool.imap(_run_one, lots, CHUNK):
            progress(run)
            yield run


def _run_one(lot: "Lot") -> Run:
    return Run(lot, lot.world().run())


def _progress(count: int, is_long: bool) -> Callable[[Run], None]:
    """What tells, every few seconds of a long run, how far it is."""
    began = told = time.monotonic()
    done = failed = 0

    def note(run: Run) -> None:
        nonlocal told, done, failed
        done, failed, now = done + 1, failed + bool(run.report.failures), time.monotonic()
        if is_long and now - told >= PROGRESS_S:
            told = now
            left_s = (now - began) / done * (count - done)
            print(f"{done:,} of {count:,} seeds, {failed} failed, {left_s:,.0f} s to go", file=sys.stderr, flush=True)

    return note


def _trace(lot: "Lot") -> int:
    def note(now: int, who: str, what: str) -> None:
        print(f"{now:>7} ms  {who:<10} {what}")

    world = lot.world(note)
    print(world.options)
    report = world.run()
    print(report)
    return 1 if report.failures else 0


def _in_full(run: Run) -> str:
    """What a person needs who was not there: what fired, at which commit, with what, and how to see it again."""
    first = f"seed {run.lot.seed}: {run.report.failures[0]}; commit {_commit()}; replay: {run.lot.command}"
    return f"{first}\n    {run.lot.options}"


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(git, cwd=environment.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _summary(options: argparse.Namespace, runs: Sequence[Run], seconds: float) -> dict[str, object]:
    from tests.simulation.lots import in_json

    reports = [run.report for run in runs]
    failed = [run for run in runs if run.report.failures]
    return {
        "nodes": "mixed" if options.mixed else options.nodes,
        "liar": options.liar,
        "liars": sum(bool(run.lot.liar) for run in runs),
        "rules": options.rules,
        "commit": _commit(),
        "seeds": len(reports),
        "failed": [dict(asdict(run.report), lot=in_json(run.lot), replay=run.lot.command) for run in failed],
        "events": sum(report.events for report in reports),
        "blocks": sum(report.blocks for report in reports),
        "with_view_changes": sum(report.views > 0 for report in reports),
        "with_forks": sum(report.forks > 0 for report in reports),
        "changes": sum(report.epochs - 1 for report in reports),
        "seconds": round(seconds, 1),
    }


def _in_words(summary: dict[str, object]) -> str:
    failed = summary["failed"]
    assert isinstance(failed, list)
    verdict = f"{len(failed)} FAILED" if failed else "no oracle fired"
    liars = f", {summary['liars']} with a liar, {summary['with_forks']} with forks of committed blocks"
    rules = " with the platform's rules" if summary["rules"] else ""
    changes = f", {summary['changes']} changes of members" if summary["changes"] else ""
    return (
        f"{summary['seeds']} seeds of {summary['nodes']} nodes{rules} in {summary['seconds']} s: {verdict}; "
        f"{summary['blocks']} blocks, {summary['events']} events, "
        f"{summary['with_view_changes']} with view changes{changes}{liars if summary['liars'] else ''}"
    )


def _show_mutants() -> int:
    """A table: each rule left out, the oracle that caught it, after how many seeds."""
    from tests.simulation.mutant import hunt
    from tests.simulation.mutants import MUTANTS

    missed = 0
    for mutant in MUTANTS:
        catch = hunt(mutant)
        missed += not catch.is_by(mutant)
        who = catch.oracle or "NOBODY"
        verdict = "" if catch.is_by(mutant) else f"   SHOULD BE {' or '.join(mutant.oracles)}"
        print(f"{mutant.name:<58} {who:<14} {catch.seeds:>3} seeds   {catch.detail[:70]}{verdict}", flush=True)
    print(f"{len(MUTANTS)} mutants, {missed} not caught by the oracle that should")
    return 1 if missed else 0


if __name__ == "__main__":
    environment.reexec_in_environment("dev" if "--mutants" in sys.argv else "runtime")
    sys.exit(main(sys.argv[1:]))
