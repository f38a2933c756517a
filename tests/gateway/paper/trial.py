"""The round trip: ballots printed, filled in, photographed and read, set by set, and what came out as a table."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from server.gateway.paper.layout import lay_out
from server.gateway.paper.reading import read_pixels
from server.gateway.paper.readings import Verdict, judge
from server.gateway.paper.scans import decode
from tests.gateway.paper.distortion import EASY, EXTREME, HARD, fill_in, photograph, print_sheets
from tests.gateway.paper.motions import KEY, approvals, election, motion_of, options

SETS = {"easy": EASY, "hard": HARD, "extreme": EXTREME}
MOTION = motion_of(*approvals(8), options(), election(3))
HEADING = "set         pages   read  clear   rows  wrong  wrong and not doubted  asked"


@dataclass
class Tally:
    """Mutable. What became of the pages of one set. `asked`: rows read right that a person is asked about all the same.

    Rows that must be doubted, empty ones and those with too many marks, are not counted as asked.
    """

    counts: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    faint: list[int] = field(default_factory=list)
    strong: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.doubts += other.doubts
        self.faint += other.faint
        self.strong += other.strong

    def line(self, name: str) -> str:
        """A row of the table under HEADING."""
        numbers = [self.counts[key] for key in ("pages", "read", "clear", "rows", "wrong", "lost", "asked")]
        return "{:8}  {:>7}{:>7}{:>7}{:>7}{:>7}{:>23}{:>7}".format(name, *numbers)


def try_page(name: str, seed: int, number: int) -> Tally:
    """Print, fill in, photograph and read one page of a set; the same seed and number give the same page."""
    rng = random.Random(f"{seed}/{name}/{number}")
    layout = lay_out(MOTION)
    page = layout.pages[number % len(layout.pages)]
    picks = {question.id: question.picks_max for question in MOTION.questions}
    sheet, truth = fill_in(print_sheets(MOTION)[page.number - 1], page, rng, picks)
    found = read_pixels(decode(photograph(sheet, rng, SETS[name]), 1), layout)
    tally = Tally(Counter(pages=1))
    for reading in judge(found.readings, KEY, MOTION.digest, frozenset()):
        tally.doubts.update(reading.doubts)
        if reading.questions:
            tally.counts.update(read=1, clear=reading.is_clear)
        for question in reading.questions:
            marks, plain = truth[question.question], 1 <= len(truth[question.question]) <= picks[question.question]
            wrong = frozenset(question.marks) != marks
            lost = wrong and not question.doubts
            tally.counts.update(rows=1, wrong=wrong, lost=lost, asked=plain and not wrong and bool(question.doubts))
            tally.doubts.update(question.doubts)
            for box in question.boxes:
                (tally.strong if box.choice in marks else tally.faint).append(box.ink_um2)
                tally.doubts.update(["box_doubtful"] if box.verdict is Verdict.DOUBTFUL else [])
    return tally
