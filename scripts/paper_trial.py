"""Try how well paper ballots are read: print, fill in, distort and read 800 pages, and print what came out.

    python3 scripts/paper_trial.py [--pages 300,300,200] [--seed 1] [--processes 2]

The three sets are photographs that are easy, hard and extreme (tests/gateway/paper/distortion.py). Exit code 1 when
less than 99.5 % of the rows of a set were read right, or a single wrong one was not doubted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from tests.gateway.paper.trial import Tally

WRONG_SHARE = 200
"""One row of so many may be read wrong."""
CHUNK = 4


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    from tests.gateway.paper.trial import HEADING, SETS

    print(HEADING, flush=True)
    context = multiprocessing.get_context("spawn")
    failed = False
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        for name, pages in zip(SETS, options.pages, strict=True):
            tally = _try_set(pool, name, options.seed, pages)
            print(tally.line(name), flush=True)
            print("          " + ", ".join(f"{doubt} {count}" for doubt, count in sorted(tally.doubts.items())))
            if tally.strong and tally.faint:
                faintest, darkest = min(tally.strong) / 1e6, max(tally.faint) / 1e6
                print(
                    f"          ink: faintest mark {faintest:.2f} mm2, dirtiest empty box {darkest:.2f} mm2", flush=True
                )
            failed |= tally.counts["wrong"] * WRONG_SHARE > tally.counts["rows"] or tally.counts["lost"] > 0
    return 1 if failed else 0


def _try_set(pool: ProcessPoolExecutor, name: str, seed: int, pages: int) -> Tally:
    from tests.gateway.paper.trial import Tally, try_page

    total = Tally()
    for tally in pool.map(partial(try_page, name), repeat(seed, pages), range(pages), chunksize=CHUNK):
        total.add(tally)
    return total


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print, fill in, photograph and read ballots, and count mistakes.")
    parser.add_argument("--pages", metavar="E,H,X", type=_read_pages, default=(300, 300, 200), help="pages of each set")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other hands and other light")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args(arguments)


def _read_pages(text: str) -> tuple[int, int, int]:
    easy, hard, extreme = (int(number) for number in text.split(","))
    return easy, hard, extreme


if __name__ == "__main__":
    environment.reexec_in_environment("dev")
    environment.finish(lambda: main(sys.argv[1:]))
