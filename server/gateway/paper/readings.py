"""What a machine saw on paper, and what it does not dare to say. Plain values and rules; knows no pixels.

A reading is a proposal to people: it names the boxes that look marked and every reason to doubt. It is never a vote,
and no doubt is ever taken back here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from server.gateway.paper.codes import is_genuine, parse_token
from server.gateway.paper.contents import PaperQuestion


class Verdict(StrEnum):
    """How one box looks."""

    MARKED = "marked"
    UNMARKED = "unmarked"
    DOUBTFUL = "doubtful"


class Doubt(StrEnum):
    """Why people must look themselves: stable codes, of a question or of a page."""

    NO_MARK = "no_mark"
    TOO_MANY_MARKS = "too_many_marks"
    """More than may be chosen, or abstaining together with something else."""
    FAINT = "faint"
    """A box between empty and marked: a light pencil, a mark that was erased, dirt."""
    STROKE_OUTSIDE = "stroke_outside"
    """Ink beside a box that is not marked."""
    STROKE_THROUGH = "stroke_through"
    """One stroke leads from box to box."""
    MARKS_DIFFER = "marks_differ"
    """Boxes filled and boxes ticked in one question: perhaps a correction."""
    CORNER_MISSING = "corner_missing"
    """Fewer than four corner codes could be read."""
    NOT_FLAT = "not_flat"
    """The codes do not lie in one plane: the page is bent, or two pages lie upon each other."""
    BLURRED = "blurred"
    MAIN_CODE_MISSING = "main_code_missing"
    MAIN_CODE_DIFFERS = "main_code_differs"
    """The main code names another page than the corners."""
    NOT_GENUINE = "not_genuine"
    """The check of the main code fails: not printed by who holds the key, or changed."""
    WRONG_MOTION = "wrong_motion"
    """A ballot, but of another motion or another release of its pages."""
    SEEN_BEFORE = "seen_before"
    """This page of this serial was read before: scanned twice, or photocopied."""


@dataclass(frozen=True, slots=True)
class BoxReading:
    """One box: `ink_um2` is the area of ink inside, as if it were black; `beside_um2` around it, outside the frame."""

    choice: str
    verdict: Verdict
    ink_um2: int
    beside_um2: int


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """One question. `marks`: the choices that look marked, for people to compare with; no doubts: it looks clear."""

    question: str
    marks: tuple[str, ...]
    boxes: tuple[BoxReading, ...]
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class PageReading:
    """One page of one ballot in a picture.

    `serial` and `page` are what the corners say, `token` the text of the main code or empty. `picture` is the page made
    flat and upright as JPEG without metadata, with the signature, for those who key in; empty where the page could not
    be laid flat. `turned` is by how many quarters, clockwise, the page lay in the picture.
    """

    serial: str
    page: int
    token: str
    turned: int
    questions: tuple[QuestionReading, ...]
    doubts: tuple[Doubt, ...]
    picture: bytes

    @property
    def is_clear(self) -> bool:
        """Whether there is no doubt, neither of the page nor of a question. People key in clear pages all the same."""
        return not self.doubts and not any(question.doubts for question in self.questions)


def propose(question: PaperQuestion, boxes: tuple[BoxReading, ...], doubts: Iterable[Doubt]) -> QuestionReading:
    """The marks of a question and the doubts about it: `doubts` are those that only pixels can tell."""
    marks = tuple(box.choice for box in boxes if box.verdict is Verdict.MARKED)
    found = set(doubts)
    if any(box.verdict is Verdict.DOUBTFUL for box in boxes):
        found.add(Doubt.FAINT)
    if not marks:
        found.add(Doubt.NO_MARK)
    alone = {choice.id for choice in question.choices if choice.alone}
    if len(marks) > question.picks_max or (len(marks) > 1 and alone & set(marks)):
        found.add(Doubt.TOO_MANY_MARKS)
    return QuestionReading(question.id, marks, boxes, _ordered(found))


def judge(
    readings: Iterable[PageReading], key: bytes, digest: bytes, seen: frozenset[tuple[str, int]]
) -> tuple[PageReading, ...]:
    """The same readings with the doubts that a confined worker cannot know: it has no key and no memory.

    `seen` holds (serial, page) of what was read before; a page that stands twice in `readings` is doubted both times.
    """
    pages = tuple(readings)
    times = Counter((page.serial, page.page) for page in pages)
    again = seen | {name for name, count in times.items() if count > 1}
    return tuple(_judge(page, key, digest, (page.serial, page.page) in again) for page in pages)


def _judge(page: PageReading, key: bytes, digest: bytes, again: bool) -> PageReading:
    doubts = set(page.doubts)
    token = parse_token(page.token)
    if token is not None and Doubt.WRONG_MOTION not in doubts and not is_genuine(token, key, digest):
        doubts.add(Doubt.NOT_GENUINE)
    if again:
        doubts.add(Doubt.SEEN_BEFORE)
    return replace(page, doubts=_ordered(doubts))


def _ordered(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    found = set(doubts)
    return tuple(doubt for doubt in Doubt if doubt in found)
