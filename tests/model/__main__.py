"""Look at every state of one height: agreement, and whether liars and only liars are named where it fails.

    python3 -m tests.model                        every member lying in turn, three views: some minutes
    python3 -m tests.model --nodes 4 --views 3 --liars 0
    python3 -m tests.model --nodes 4 --attribution --liars 0,1 --views 2      two liars of four

Run it with the project's environment. Exits 1 with the shortest story that leads to a state that is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from server.consensus.quorum import Mode
from tests.model.judges import Attribution, judge_agreement
from tests.model.protocol import Model, Rules, State
from tests.model.search import Found, Search


@dataclass(frozen=True, slots=True)
class Task:
    """One configuration, and what is asked of it."""

    n: int
    liars: tuple[int, ...]
    views: int
    mode: Mode = "available"
    attribution: bool = False
    trusts_primaries: bool = True

    @property
    def model(self) -> Model:
        """Its transitions."""
        rules = Rules(trusts_primaries=self.trusts_primaries)
        return Model(self.n, self.liars, self.views, self.mode, rules, transcripts=self.attribution)

    def __str__(self) -> str:
        liars = ",".join(map(str, self.liars)) or "nobody"
        asked = "attribution" if self.attribution else "agreement"
        led = "" if self.trusts_primaries else ", any primary"
        return f"n={self.n} {self.mode}, {liars} lying, {self.views} views{led}: {asked}"


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.model", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, choices=(3, 4), help="one cluster only")
    parser.add_argument("--liars", type=_members, help="members that lie, as 0,1; without it each lies in turn")
    parser.add_argument("--views", type=int, default=3, choices=(1, 2, 3, 4), help="views of the height")
    parser.add_argument("--strict", action="store_true", help="all members are the quorum")
    parser.add_argument("--attribution", action="store_true", help="ask who is named for forks, not whether they are")
    parser.add_argument("--any-primary", action="store_true", help="every primary proposes and announces as it likes")
    options = parser.parse_args(arguments)
    failed = 0
    for task in _chosen(options) if options.nodes else _everything(options.views):
        failed += run(task)
    return 1 if failed else 0


def _members(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(member): None for member in text.split(",")}))


def _chosen(options: argparse.Namespace) -> Iterator[Task]:
    mode: Mode = "strict" if options.strict else "available"
    for liars in [options.liars] if options.liars else [(member,) for member in range(options.nodes)]:
        yield Task(options.nodes, liars, options.views, mode, options.attribution, not options.any_primary)


def _everything(views: int) -> Iterator[Task]:
    for liar in range(3):
        yield Task(3, (liar,), views, "strict")
    for liar in range(3):
        yield Task(3, (liar,), views, attribution=True)
    for liar in range(4):
        yield Task(4, (liar,), views)


def run(task: Task) -> bool:
    """Look at one configuration and say what was seen; whether something was wrong."""
    model = task.model
    attribution = Attribution(model)
    began = time.monotonic()

    def judge(state: State) -> str:
        return attribution.judge(state) if task.attribution else judge_agreement(model, state)

    def progress(seen: int, waiting: int) -> None:
        print(f"  {seen:,} states, {waiting:,} waiting, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    found = Search(model).run(judge, progress=progress)
    print(f"{task}: {found.states:,} states, {found.steps:,} steps, {time.monotonic() - began:.1f} s", flush=True)
    if task.attribution:
        print(f"  {attribution.forks:,} states fork, {attribution.conflicts:,} conflicts of certificates in them")
        print(f"  the naive rule frames somebody in {attribution.naive_frames:,}")
        print(f"  nobody is named in {attribution.unattributed:,}")
    _tell(found)
    return bool(found.complaint)


def _tell(found: Found) -> None:
    if not found.complaint:
        return
    print(f"  {found.complaint}")
    for before, after in zip(found.story, found.story[1:], strict=False):
        for member, (was, now) in enumerate(zip(before, after, strict=True)):
            if was is not None and now is not None and was != now:
                print(f"  {member}: {now}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
